use std::{fmt, sync::Arc, time::Duration};

use ports::Clock;
use postgres_protocol::message::frontend;

use super::startup;
use crate::{
    channel::{Channel, Transport, Wait},
    error::WireError,
    settings::ConnectionSettings,
};

/// Cancels the command that a session is running, over a connection of its own.
#[derive(Clone)]
pub struct CancelHandle {
    settings: ConnectionSettings,
    process: i32,
    secret: i32,
    encrypted: bool,
}

impl CancelHandle {
    pub(super) const fn new(
        settings: ConnectionSettings,
        process: i32,
        secret: i32,
        encrypted: bool,
    ) -> Self {
        Self { settings, process, secret, encrypted }
    }

    /// Asks the server to cancel. The command, if it still runs, then fails with SQLSTATE 57014.
    pub fn cancel(&self, timeout: Duration, clock: Arc<dyn Clock>) -> Result<(), WireError> {
        let deadline = clock.elapsed() + timeout;
        let transport = startup::open(&self.settings, self.encrypted, deadline, &clock)?;
        if self.encrypted && matches!(transport, Transport::Plain(_)) {
            return Err(WireError::violation("the server spoke TLS before and does not now"));
        }
        let mut channel = Channel::new(transport, clock, 1024);
        frontend::cancel_request(self.process, self.secret, channel.outbox());
        channel.flush()?;
        // The server answers by closing, after it has sent the signal.
        match channel.receive(Wait::Until(deadline)) {
            Err(WireError::Closed { .. }) => Ok(()),
            Ok(None) => Err(WireError::TimedOut { waited: timeout }),
            Ok(Some(_)) => Err(WireError::violation("an answer to a cancel request")),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelHandle").field("process", &self.process).finish_non_exhaustive()
    }
}
