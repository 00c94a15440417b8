//! Protocol messages over a socket: bounded, reused buffers and no copy of what streams through.

use std::{io, io::Write, ops::Range, sync::Arc, time::Duration};

use bytes::BytesMut;
use ports::Clock;
use postgres_protocol::message::backend::Message;

use crate::{error::WireError, socket::Socket, tls::TlsSocket};

const HEADER_BYTES: usize = 5;
/// Large enough for several of a walsender's messages (at most 128 KiB each), so that one read takes them all.
const INBOX_BYTES: usize = 256 * 1024;
/// Written to the socket when this much is collected.
const OUTBOX_BYTES: usize = 64 * 1024;

pub(crate) enum Transport {
    Plain(Socket),
    Tls(Box<TlsSocket>),
}

impl Transport {
    pub(crate) fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.socket(),
        }
    }

    fn read(&mut self, buffer: &mut [u8], wait: bool) -> io::Result<usize> {
        loop {
            let result = match self {
                Self::Plain(socket) if wait => io::Read::read(socket, buffer),
                Self::Plain(socket) => socket.read_ready(buffer),
                Self::Tls(tls) => tls.read(buffer, wait),
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(bytes),
            Self::Tls(tls) => tls.write_all(bytes),
        }
    }
}

/// How long to wait for a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wait {
    /// Each read may take this long; no limit if absent.
    Silence(Option<Duration>),
    /// Until this point of the clock's elapsed time.
    Until(Duration),
    /// Not at all: only what has arrived.
    Never,
}

/// A message of the server.
pub(crate) enum Incoming {
    /// Stream data; the range is valid in [`Channel::bytes`] until the next message is asked for.
    CopyData(Range<usize>),
    /// Both sides may now send stream data.
    CopyBoth,
    /// Anything else.
    Other(Message),
}

pub(crate) struct Channel {
    transport: Transport,
    clock: Arc<dyn Clock>,
    inbox: Vec<u8>,
    start: usize,
    end: usize,
    outbox: BytesMut,
    message_bytes_max: usize,
    /// What the socket was last told, to save the system call.
    read_timeout: Option<Duration>,
}

impl Channel {
    pub(crate) fn new(transport: Transport, clock: Arc<dyn Clock>, message_bytes_max: usize) -> Self {
        Self {
            transport,
            clock,
            inbox: vec![0; INBOX_BYTES],
            start: 0,
            end: 0,
            outbox: BytesMut::with_capacity(1024),
            message_bytes_max,
            read_timeout: None,
        }
    }

    pub(crate) fn set_message_bytes_max(&mut self, message_bytes_max: usize) {
        self.message_bytes_max = message_bytes_max;
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.inbox[range]
    }

    /// Returns the next message, or nothing if it did not arrive in time; a message that has begun to arrive
    /// is kept.
    pub(crate) fn receive(&mut self, wait: Wait) -> Result<Option<Incoming>, WireError> {
        while self.whole_message()?.is_none() {
            if !self.fill(wait)? {
                return Ok(None);
            }
        }
        let Some(length) = self.whole_message()? else { return Ok(None) };
        let message = self.start..self.start + length;
        self.start = message.end;
        match self.inbox[message.start] {
            b'd' => Ok(Some(Incoming::CopyData(message.start + HEADER_BYTES..message.end))),
            b'W' => Ok(Some(Incoming::CopyBoth)),
            _ => decode(&self.inbox[message]).map(|message| Some(Incoming::Other(message))),
        }
    }

    /// Reports whether the next message can be had without waiting, reading what has arrived.
    pub(crate) fn is_ready(&mut self) -> Result<bool, WireError> {
        while self.whole_message()?.is_none() {
            if !self.fill(Wait::Never)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns the length of the message at the front, if all of it has arrived.
    fn whole_message(&self) -> Result<Option<usize>, WireError> {
        let available = &self.inbox[self.start..self.end];
        let Some(&[tag, a, b, c, d]) = available.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length < 4 || length > self.message_bytes_max {
            let tag = char::from(tag).escape_default();
            return Err(WireError::violation(format!(
                "a message '{tag}' claims {length} bytes; 4 to {} are possible",
                self.message_bytes_max
            )));
        }
        Ok(Some(length + 1).filter(|&whole| whole <= available.len()))
    }

    /// Reads once; false if nothing came in time.
    fn fill(&mut self, wait: Wait) -> Result<bool, WireError> {
        self.make_room();
        let timeout = match wait {
            Wait::Never => None,
            Wait::Silence(timeout) => timeout,
            Wait::Until(deadline) => {
                let left = deadline.saturating_sub(self.clock.elapsed());
                // A wait that is over still takes what lies ready.
                if left.is_zero() {
                    return self.fill(Wait::Never);
                }
                Some(left)
            }
        };
        let waits = !matches!(wait, Wait::Never);
        if waits && timeout != self.read_timeout {
            self.transport
                .socket()
                .set_read_timeout(timeout)
                .map_err(|error| WireError::Closed { source: Some(error) })?;
            self.read_timeout = timeout;
        }
        match self.transport.read(&mut self.inbox[self.end..], waits) {
            Ok(0) => Err(WireError::Closed { source: None }),
            Ok(count) => {
                self.end += count;
                Ok(true)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(false)
            }
            Err(error) => Err(WireError::Closed { source: Some(error) }),
        }
    }

    /// Makes room behind what has arrived. The buffer grows only as bytes come in, never because a header
    /// promises many.
    fn make_room(&mut self) {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
        if self.end < self.inbox.len() {
            return;
        }
        if self.start > 0 {
            self.inbox.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        } else {
            self.inbox.resize(self.inbox.len() * 2, 0);
        }
    }

    /// Returns the buffer of what will be sent.
    pub(crate) fn outbox(&mut self) -> &mut BytesMut {
        &mut self.outbox
    }

    /// Sends if much is collected.
    pub(crate) fn flush_if_full(&mut self) -> Result<(), WireError> {
        if self.outbox.len() >= OUTBOX_BYTES { self.flush() } else { Ok(()) }
    }

    /// Sends what is collected.
    pub(crate) fn flush(&mut self) -> Result<(), WireError> {
        let result = self.transport.write_all(&self.outbox);
        self.outbox.clear();
        result.map_err(|error| WireError::Closed { source: Some(error) })
    }

    /// Ends the session in an orderly way if the peer still listens.
    pub(crate) fn terminate(&mut self) {
        self.outbox.clear();
        postgres_protocol::message::frontend::terminate(&mut self.outbox);
        drop(self.flush());
        if let Transport::Tls(tls) = &mut self.transport {
            tls.say_goodbye();
        }
    }
}

fn decode(message: &[u8]) -> Result<Message, WireError> {
    let tag = char::from(message[0]).escape_default();
    match Message::parse(&mut BytesMut::from(message)) {
        Ok(Some(message)) => Ok(message),
        Ok(None) => Err(WireError::violation(format!("a message '{tag}' is shorter than it says"))),
        Err(error) => Err(WireError::violation(format!("a message '{tag}' is malformed: {error}"))),
    }
}
