//! The stream of WAL.

use std::{ops::Range, time::Duration};

use bytes::BufMut;
use model::Moment;
use postgres_protocol::message::{backend::Message, frontend};

use crate::{
    channel::{Incoming, Wait},
    connection::{Connection, malformed, unexpected},
    error::WireError,
    replication::{lsn, number},
    sql::read_row,
};

/// 2000-01-01, from where PostgreSQL counts, in microseconds since 1970-01-01.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

const DATA_HEADER_BYTES: usize = 25;
const KEEPALIVE_BYTES: usize = 18;

/// A message of the stream; data is lent until the next message is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalMessage<'s> {
    /// Physical: raw WAL. Logical: one message of the output plugin.
    Data {
        /// Where the data begins.
        start_lsn: u64,
        /// How far the server has WAL.
        server_end_lsn: u64,
        /// When the server sent it, by its clock.
        sent: Moment,
        /// The data.
        data: &'s [u8],
    },
    /// A sign of life.
    Keepalive {
        /// How far the server has WAL.
        server_end_lsn: u64,
        /// When the server sent it, by its clock.
        sent: Moment,
        /// The server will end the session unless [`WalStream::send_status`] follows soon.
        reply_requested: bool,
    },
    /// The timeline ends here; the session takes commands again. The stream goes on from `switch_lsn` of
    /// `next_timeline`.
    EndOfTimeline {
        /// The timeline that follows.
        next_timeline: u32,
        /// Where it begins.
        switch_lsn: u64,
    },
}

enum Content {
    Data { start_lsn: u64, server_end_lsn: u64, sent: Moment, range: Range<usize> },
    Keepalive { server_end_lsn: u64, sent: Moment, reply_requested: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Streaming,
    /// The end is known and not yet told.
    Ended {
        next_timeline: u32,
        switch_lsn: u64,
    },
    Over,
}

/// A running `START_REPLICATION`.
///
/// Nothing is acknowledged unless [`WalStream::send_status`] is called. A stream that is dropped before
/// [`WalStream::stop`] or the end of its timeline loses the session.
#[derive(Debug)]
pub struct WalStream<'c> {
    connection: &'c mut Connection,
    state: State,
}

impl<'c> WalStream<'c> {
    pub(crate) const fn new(connection: &'c mut Connection) -> Self {
        Self { connection, state: State::Streaming }
    }

    /// A stream of a timeline that has ended at the very start; the row description was read.
    pub(crate) fn ended(connection: &'c mut Connection) -> Result<Self, WireError> {
        let mut stream = Self { connection, state: State::Streaming };
        let (next_timeline, switch_lsn) =
            stream.read_end()?.ok_or_else(|| unexpected("starting replication"))?;
        stream.state = State::Ended { next_timeline, switch_lsn };
        Ok(stream)
    }

    /// Returns the next message, or nothing if none came within the timeout.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<WalMessage<'_>>, WireError> {
        match self.state {
            State::Streaming => {}
            State::Ended { next_timeline, switch_lsn } => {
                self.state = State::Over;
                return Ok(Some(WalMessage::EndOfTimeline { next_timeline, switch_lsn }));
            }
            State::Over => return Err(WireError::Unusable),
        }
        let Some(message) = self.receive(timeout)? else { return Ok(None) };
        match message {
            Incoming::CopyData(range) => self.lend(range).map(Some),
            Incoming::Other(Message::CopyDone) => {
                self.answer_done()?;
                let end = self.read_end()?;
                self.state = State::Over;
                match end {
                    Some((next_timeline, switch_lsn)) => {
                        Ok(Some(WalMessage::EndOfTimeline { next_timeline, switch_lsn }))
                    }
                    None => Err(WireError::Closed { source: None }),
                }
            }
            // A server that shuts down in an orderly way has sent everything and says so like this.
            Incoming::Other(Message::CommandComplete(_)) => Err(WireError::Closed { source: None }),
            Incoming::Other(Message::ErrorResponse(body)) => {
                self.state = State::Over;
                Err(self.connection.fail(&body))
            }
            _ => Err(unexpected("streaming WAL")),
        }
    }

    /// Reports whether [`WalStream::next`] would return a message without waiting.
    ///
    /// So a follower can take all that has arrived before it makes it durable and acknowledges it.
    pub fn is_ready(&mut self) -> Result<bool, WireError> {
        match self.state {
            State::Streaming => self.connection.channel.is_ready(),
            State::Ended { .. } => Ok(true),
            State::Over => Ok(false),
        }
    }

    /// Tells the server how far WAL is written, durable and applied here, and optionally asks for an answer.
    ///
    /// The server frees WAL, and with synchronous replication confirms commits, on the strength of `flushed_lsn`.
    pub fn send_status(
        &mut self,
        written_lsn: u64,
        flushed_lsn: u64,
        applied_lsn: u64,
        reply_requested: bool,
    ) -> Result<(), WireError> {
        if self.state != State::Streaming {
            return Err(WireError::Unusable);
        }
        let now = self.connection.channel.clock().now().as_micros().saturating_sub(POSTGRES_EPOCH_MICROS);
        let mut status = [0_u8; 34];
        let mut buffer = &mut status[..];
        buffer.put_u8(b'r');
        buffer.put_u64(written_lsn);
        buffer.put_u64(flushed_lsn);
        buffer.put_u64(applied_lsn);
        buffer.put_i64(now);
        buffer.put_u8(u8::from(reply_requested));
        frontend::CopyData::new(&status[..]).map_err(malformed)?.write(self.connection.channel.outbox());
        self.connection.channel.flush()
    }

    /// Ends the stream; the session takes commands again. What is still on its way is thrown away.
    pub fn stop(mut self) -> Result<(), WireError> {
        if self.state != State::Streaming {
            return Ok(());
        }
        self.answer_done()?;
        loop {
            match self.connection.expect()? {
                Incoming::CopyData(_) => {}
                Incoming::Other(Message::CopyDone) => break,
                Incoming::Other(Message::ErrorResponse(body)) => return Err(self.connection.fail(&body)),
                Incoming::Other(Message::CommandComplete(_)) => {
                    return Err(WireError::Closed { source: None });
                }
                _ => return Err(unexpected("ending a WAL stream")),
            }
        }
        self.read_end().map(drop)
    }

    fn receive(&mut self, timeout: Duration) -> Result<Option<Incoming>, WireError> {
        if timeout.is_zero() {
            return self.connection.receive(Wait::Never);
        }
        let deadline = self.connection.channel.clock().elapsed().saturating_add(timeout);
        self.connection.receive(Wait::Until(deadline))
    }

    fn answer_done(&mut self) -> Result<(), WireError> {
        frontend::copy_done(self.connection.channel.outbox());
        self.connection.flush()
    }

    /// Reads what follows the stream: where the next timeline begins, if this one has ended.
    fn read_end(&mut self) -> Result<Option<(u32, u64)>, WireError> {
        let mut end = None;
        loop {
            match self.connection.expect()? {
                Incoming::Other(Message::DataRow(body)) => {
                    let row = read_row(&body)?;
                    end = Some((number(&row, 0)?, lsn(&row, 1)?));
                }
                // A logical walsender may still send a keepalive after it has said that it is done.
                Incoming::CopyData(_)
                | Incoming::Other(Message::RowDescription(_) | Message::CommandComplete(_)) => {}
                Incoming::Other(Message::ErrorResponse(body)) => return Err(self.connection.fail(&body)),
                Incoming::Other(Message::ReadyForQuery(_)) => {
                    self.connection.end_exchange();
                    return Ok(end);
                }
                _ => return Err(unexpected("ending a WAL stream")),
            }
        }
    }

    fn lend(&self, range: Range<usize>) -> Result<WalMessage<'_>, WireError> {
        let offset = range.start;
        match parse(self.connection.channel.bytes(range))? {
            Content::Data { start_lsn, server_end_lsn, sent, range } => {
                let data = self.connection.channel.bytes(offset + range.start..offset + range.end);
                Ok(WalMessage::Data { start_lsn, server_end_lsn, sent, data })
            }
            Content::Keepalive { server_end_lsn, sent, reply_requested } => {
                Ok(WalMessage::Keepalive { server_end_lsn, sent, reply_requested })
            }
        }
    }
}

fn parse(message: &[u8]) -> Result<Content, WireError> {
    let word = |at: usize| message.get(at..)?.first_chunk::<8>().copied();
    let lsn_at = |at: usize| word(at).map(u64::from_be_bytes).ok_or_else(short);
    let time_at = |at: usize| {
        let micros = word(at).map(i64::from_be_bytes).ok_or_else(short)?;
        Ok(Moment::from_micros(micros.saturating_add(POSTGRES_EPOCH_MICROS)))
    };
    match message.first() {
        Some(b'w') if message.len() >= DATA_HEADER_BYTES => Ok(Content::Data {
            start_lsn: lsn_at(1)?,
            server_end_lsn: lsn_at(9)?,
            sent: time_at(17)?,
            range: DATA_HEADER_BYTES..message.len(),
        }),
        Some(b'k') if message.len() >= KEEPALIVE_BYTES => Ok(Content::Keepalive {
            server_end_lsn: lsn_at(1)?,
            sent: time_at(9)?,
            reply_requested: message[17] != 0,
        }),
        Some(b'w' | b'k') => Err(short()),
        _ => Err(WireError::violation("a message of the WAL stream is of an unknown kind")),
    }
}

fn short() -> WireError {
    WireError::violation("a message of the WAL stream is too short")
}
