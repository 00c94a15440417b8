//! The customers of the car rental: writes that go on while everything else happens, each witnessed outside.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use ports::Clock;
use postgres_wire::Connection;
use tenants::rental::{Rental, RentalWriter, StepError, Witness, WitnessError};

use crate::{exit::Exit, failure::Failure};

/// A writer on a thread of its own.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), WitnessError>>,
    pub(crate) record: PathBuf,
}

impl Traffic {
    /// Begins to write; every acknowledged transaction goes into the record, which lies outside of database and vault.
    pub(crate) fn start(
        mut connection: Connection,
        rental: Rental,
        seed: u64,
        record: PathBuf,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        let failed = |error| Failure::because(Exit::Failed, "the witness cannot record", error);
        let mut witness = Witness::open(&record).map_err(failed)?;
        let stop = Arc::new(AtomicBool::new(false));
        let its_stop = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("traffic".to_owned()).spawn(move || {
            let mut writer = RentalWriter::new(rental, seed);
            while !its_stop.load(Ordering::SeqCst) {
                match writer.step(&*clock, &mut witness, |sql| connection.simple_query(sql).map(drop)) {
                    Ok(_) => {}
                    // The database is gone: what customers see then is not a matter of the rehearsal.
                    Err(StepError::Unacknowledged { .. }) => return Ok(()),
                    Err(StepError::Witness(error)) => return Err(error),
                }
            }
            Ok(())
        })?;
        Ok(Self { stop, thread, record })
    }

    /// Ends the writing and returns the path of the record.
    pub(crate) fn end(self) -> Result<PathBuf, Failure> {
        self.stop.store(true, Ordering::SeqCst);
        match self.thread.join() {
            Ok(Ok(())) => Ok(self.record),
            Ok(Err(error)) => Err(Failure::because(Exit::Failed, "the witness cannot record", error)),
            Err(_) => Err(Failure::new(Exit::Failed, "the writing thread died")),
        }
    }
}
