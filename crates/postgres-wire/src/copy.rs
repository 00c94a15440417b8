//! Bulk data in and out.

use std::io;

use postgres_protocol::message::{
    backend::Message,
    frontend::{self},
};

use crate::{
    channel::Incoming,
    connection::{Connection, malformed, unexpected},
    error::WireError,
    sql::rows_of_tag,
};

/// The largest piece that goes into one message.
const COPY_MESSAGE_BYTES: usize = 64 * 1024;

impl Connection {
    /// Runs `COPY ... TO STDOUT` and hands each piece of data on; returns the number of rows.
    ///
    /// The server sends one row per piece in text and CSV format. If the consumer fails, the session is lost,
    /// as the server would go on sending.
    pub fn copy_out(
        &mut self,
        sql: &str,
        consumer: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<u64, WireError> {
        self.begin_query(sql)?;
        let mut rows = 0;
        loop {
            match self.expect()? {
                Incoming::CopyData(range) => {
                    consumer(self.channel.bytes(range)).map_err(|source| WireError::Consumer { source })?;
                }
                Incoming::Other(Message::CopyOutResponse(_) | Message::CopyDone) => {}
                Incoming::Other(Message::CommandComplete(body)) => {
                    rows = rows_of_tag(body.tag().map_err(malformed)?);
                }
                Incoming::Other(Message::ErrorResponse(body)) => return Err(self.fail(&body)),
                Incoming::Other(Message::ReadyForQuery(_)) => {
                    self.end_exchange();
                    return Ok(rows);
                }
                _ => return Err(unexpected("copying out")),
            }
        }
    }

    /// Begins `COPY ... FROM STDIN`.
    pub fn copy_in(&mut self, sql: &str) -> Result<CopyIn<'_>, WireError> {
        self.begin_query(sql)?;
        match self.expect()? {
            Incoming::Other(Message::CopyInResponse(_)) => Ok(CopyIn { connection: self }),
            Incoming::Other(Message::ErrorResponse(body)) => Err(self.fail(&body)),
            _ => Err(unexpected("beginning to copy in")),
        }
    }
}

/// A running `COPY ... FROM STDIN`.
///
/// It must end with [`CopyIn::finish`] or [`CopyIn::fail`]; dropped before, it loses the session, and the server
/// takes nothing over.
#[derive(Debug)]
#[must_use = "nothing is stored before `finish`"]
pub struct CopyIn<'c> {
    connection: &'c mut Connection,
}

impl CopyIn<'_> {
    /// Adds data; pieces need not end at rows.
    pub fn write(&mut self, data: &[u8]) -> Result<(), WireError> {
        for piece in data.chunks(COPY_MESSAGE_BYTES) {
            let message = frontend::CopyData::new(piece).map_err(malformed)?;
            message.write(self.connection.channel.outbox());
            if let Err(failure) = self.connection.channel.flush_if_full() {
                // `flush` with nothing left to send looks for what the server said before it hung up.
                self.connection.flush()?;
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Ends the data; the server stores it and tells the number of rows.
    pub fn finish(self) -> Result<u64, WireError> {
        frontend::copy_done(self.connection.channel.outbox());
        self.connection.flush()?;
        let mut rows = 0;
        loop {
            match self.connection.expect()? {
                Incoming::Other(Message::CommandComplete(body)) => {
                    rows = rows_of_tag(body.tag().map_err(malformed)?);
                }
                Incoming::Other(Message::ErrorResponse(body)) => return Err(self.connection.fail(&body)),
                Incoming::Other(Message::ReadyForQuery(_)) => {
                    self.connection.end_exchange();
                    return Ok(rows);
                }
                _ => return Err(unexpected("ending a copy")),
            }
        }
    }

    /// Gives up: the server rolls the statement back and the session stays usable.
    pub fn fail(self, reason: &str) -> Result<(), WireError> {
        frontend::copy_fail(&reason.replace('\0', " "), self.connection.channel.outbox())
            .map_err(malformed)?;
        self.connection.flush()?;
        match self.connection.finish_exchange() {
            // 57014 is the server's word for "cancelled as you asked".
            Err(WireError::Server { server }) if server.sqlstate == "57014" => Ok(()),
            other => other,
        }
    }
}
