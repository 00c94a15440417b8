//! The journal of one session, and a fresh one when all of it is in the vault.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use model::StreamName;
use ports::Random;
use vault::{
    CaptureKey,
    journal::{Journal, JournalError, JournalOptions},
};

/// A journal with what is needed to open it again.
pub(crate) struct JournalKeeper {
    folder: PathBuf,
    key: CaptureKey,
    random: Arc<dyn Random>,
    options: JournalOptions,
    journal: Journal,
}

impl JournalKeeper {
    pub(crate) fn open(
        folder: PathBuf,
        key: CaptureKey,
        random: Arc<dyn Random>,
        options: JournalOptions,
    ) -> Result<Self, JournalError> {
        let journal = Journal::open(&folder, &key, Arc::clone(&random), options)?;
        Ok(Self { folder, key, random, options, journal })
    }

    pub(crate) fn damaged(&self) -> &[PathBuf] {
        self.journal.damaged()
    }

    pub(crate) fn replay(&self, each: impl FnMut(&StreamName, u64, &[u8])) -> Result<(), JournalError> {
        self.journal.replay(each)
    }

    pub(crate) fn append(
        &mut self,
        stream: &StreamName,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), JournalError> {
        self.journal.append(stream, offset, bytes)
    }

    pub(crate) fn sync(&mut self) -> Result<(), JournalError> {
        self.journal.sync()
    }

    /// Releases what lies before these positions, because commits hold it.
    pub(crate) fn retire(&mut self, up_to: &BTreeMap<StreamName, u64>) -> Result<(), JournalError> {
        up_to.iter().try_for_each(|(stream, up_to)| self.journal.retire(stream, *up_to))
    }

    /// Ends the session's newest file too: a journal releases files only once it has gone on to the next one.
    pub(crate) fn begin_anew(self, up_to: &BTreeMap<StreamName, u64>) -> Result<(), JournalError> {
        let Self { folder, key, random, options, journal } = self;
        // Its lock on the folder must go first.
        drop(journal);
        Self::open(folder, key, random, options)?.retire(up_to)
    }
}
