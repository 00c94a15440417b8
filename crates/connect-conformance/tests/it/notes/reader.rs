//! The reader: which units there are, and one pass over all of them.

use std::{sync::Arc, time::Duration};

use connect::{
    ChangeSink, Cursor, ReadEnd, ReadError, Silent, SourceReader, Stop,
    units::{Unit, UnitSettings, Units},
};
use connect_http::{CallError, Transport};
use model::{Redacted, StreamName};
use ports::Clock;
use serde::Deserialize;

use super::{api::Api, unit::Notebook};

/// What failed is tried again after so long.
const ROUND: Duration = Duration::from_hours(1);

/// Reads all notes with a key that may only read.
pub(crate) struct NotesReader {
    transport: Arc<dyn Transport>,
    key: Redacted<String>,
    clock: Arc<dyn Clock>,
    paced: bool,
    units: Units,
    last_round: Option<Duration>,
}

#[derive(Deserialize)]
struct Users {
    users: Vec<String>,
}

impl NotesReader {
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        key: Redacted<String>,
        clock: Arc<dyn Clock>,
        threads: usize,
        paced: bool,
    ) -> Self {
        let settings = UnitSettings { threads, ..UnitSettings::new(Arc::clone(&clock)) };
        Self { transport, key, clock, paced, units: Units::new(settings), last_round: None }
    }
}

impl SourceReader for NotesReader {
    fn changes(
        &mut self,
        _cursor: Option<&Cursor>,
        sink: &mut dyn ChangeSink,
        stop: &Stop,
    ) -> Result<ReadEnd, ReadError> {
        let (transport, clock) = (Arc::clone(&self.transport), Arc::clone(&self.clock));
        let api = Arc::new(Api::new(transport, self.key.clone(), clock, stop.clone(), self.paced));
        let users = match api.get::<Users>("users") {
            Ok(users) => users.users,
            Err(CallError::Stopped) => return Ok(ReadEnd::Stopped),
            Err(error) => return Err(read_error(error)),
        };
        let now = self.clock.elapsed();
        let round = self.last_round.is_none_or(|last| now.saturating_sub(last) >= ROUND);
        if round {
            self.last_round = Some(now);
        }
        let mut units: Vec<Box<dyn Unit>> = Vec::new();
        for user in users {
            let name = format!("notes/{user}");
            let stream = StreamName::new(name.clone()).map_err(read_error)?;
            units.push(Box::new(Notebook { api: Arc::clone(&api), user, name, stream, round }));
        }
        let report = self.units.read(&units, sink, stop, &Silent)?;
        Ok(if report.stopped { ReadEnd::Stopped } else { ReadEnd::UpToDate })
    }
}

fn read_error(error: impl std::error::Error + Send + Sync + 'static) -> ReadError {
    ReadError::Source {
        message: "the users cannot be listed".to_owned(),
        hint: Some("notes-admin status".to_owned()),
        transient: true,
        source: Some(Box::new(error)),
    }
}
