use blobs::Fault;
use model::{Item, UnreadableReason};
use vault::{CommitReceipt, CommitWriter, Cursor, NoChunks, VaultError, VaultWriter, WriteError};

use crate::{
    Violation, World,
    action::Commit,
    bytes::{content, layout},
    clock::HOUR,
    reference::{Change, Committed},
};

impl World {
    /// A host makes a commit; whatever goes wrong, an acknowledgement is kept and nothing else is lost.
    pub(crate) fn commit(&mut self, commit: &Commit) -> Result<(), Violation> {
        self.count("commit");
        let cursor = self.next_cursor();
        self.set(commit.trouble);
        let (writer, outcome) = match self.host_writer(commit.host) {
            Ok(writer) => {
                let outcome = self.fill(&writer, commit).and_then(|open| open.finish(&cursor));
                (Some(writer), outcome)
            }
            Err(error) => (None, Err(error)),
        };
        let forgot = matches!(&outcome, Err(WriteError::MissingPack { .. }));
        self.settle(commit, &cursor, outcome)?;
        self.keep(commit, writer);
        // With nothing remembered it must work, unless something goes wrong again.
        if forgot { self.commit(&Commit { trouble: None, ..commit.clone() }) } else { Ok(()) }
    }

    /// Two hosts commit to one source at the same time: both commits are kept.
    pub(crate) fn race(&mut self, first: &Commit, second: &Commit) -> Result<(), Violation> {
        self.count("race");
        let cursor = self.next_cursor();
        self.set(first.trouble);
        let (writer, open) = match self.host_writer(first.host) {
            Ok(writer) => {
                let open = self.fill(&writer, first);
                (Some(writer), open)
            }
            Err(error) => (None, Err(error)),
        };
        let injected = self.faults.injected() > 0;
        self.commit(second)?;
        if !injected {
            self.set(first.trouble);
        }
        let outcome = open.and_then(|open| open.finish(&cursor));
        if injected && outcome.is_err() {
            // What went wrong before the other commit explains it.
            self.hosts[first.host].known.settle(false);
            return Ok(());
        }
        self.settle(first, &cursor, outcome)?;
        self.keep(first, writer);
        Ok(())
    }

    /// A writer lives on after an error, unless its process died.
    fn keep(&mut self, commit: &Commit, writer: Option<VaultWriter>) {
        let died = commit.trouble.is_some_and(|trouble| trouble.lasting) && self.last_disturbance.1 > 0;
        if !died {
            self.hosts[commit.host].writer = writer;
        }
    }

    pub(crate) fn next_cursor(&mut self) -> Cursor {
        self.commits += 1;
        Cursor(format!("c{}", self.commits).into_bytes())
    }

    fn host_writer(&mut self, host: usize) -> Result<VaultWriter, WriteError> {
        match self.hosts[host].writer.take() {
            Some(writer) => Ok(writer),
            None => self.open_writer(self.hosts[host].clock.clone(), self.faults.clone()),
        }
    }

    pub(crate) fn fill(&self, writer: &VaultWriter, commit: &Commit) -> Result<CommitWriter, WriteError> {
        let known = self.hosts[commit.host].known.clone();
        let mut open = if commit.look_up {
            writer.begin_with(&commit.source, Box::new(known))
        } else {
            writer.begin_with(&commit.source, Box::new(NoChunks))
        };
        let item = |stream: &model::StreamName, key: &str| Item {
            stream: stream.clone(),
            key: key.to_owned(),
            attributes: "{}".to_owned(),
        };
        for change in &commit.changes {
            match change {
                Change::Upsert { stream, key, content: number } => {
                    let stored = open.store_bytes(layout(*number), &content(*number))?;
                    open.upsert(item(stream, key), stored)?;
                }
                Change::Removed { stream, key } => open.remove(stream.clone(), key.clone())?,
                Change::Unreadable { stream, key } => {
                    open.unreadable(item(stream, key), UnreadableReason::Vanished)?;
                }
            }
        }
        open.unchanged(3);
        Ok(open)
    }

    /// Compares what the writer heard with what is in the store, and takes it into the reference.
    pub(crate) fn settle(
        &mut self,
        commit: &Commit,
        cursor: &Cursor,
        outcome: Result<CommitReceipt, WriteError>,
    ) -> Result<(), Violation> {
        let injected = self.heal();
        let receipt = match outcome {
            Ok(receipt) => {
                self.trace.note(format_args!("     committed {} {}", receipt.sequence, receipt.hash));
                Some(receipt)
            }
            Err(error) => {
                self.trace.note(format_args!("     not committed: {error}"));
                self.excuse(commit, &error, injected)?;
                None
            }
        };
        self.hosts[commit.host].known.settle(receipt.is_some());
        let found = self.take_new(commit, cursor)?;
        match (&receipt, found) {
            (Some(receipt), Some(hash)) if receipt.hash == hash => Ok(()),
            (Some(receipt), found) => Err(Violation::new(
                "an acknowledged commit is in the vault",
                format_args!("{} {}: found {found:?}", receipt.source, receipt.sequence),
            )),
            (None, Some(hash)) => {
                self.trace.note(format_args!("     but it took effect: {hash}"));
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }

    /// A commit may fail, but not without a reason that the world knows.
    fn excuse(&mut self, commit: &Commit, error: &WriteError, injected: bool) -> Result<(), Violation> {
        let blocked = self.blocked.contains(&commit.source)
            && matches!(error, WriteError::Vault(VaultError::Commit { .. }));
        if let WriteError::MissingPack { id } = error {
            // As the error says: whoever keeps known chunks must forget them. It is no surprise after a reaping.
            self.hosts[commit.host].known.forget();
            let (_, retention) = self.retention_log()?;
            if retention.reaped().contains(id) || !self.destroyed.is_empty() {
                return Ok(());
            }
        }
        let full = commit.trouble.is_some_and(|trouble| trouble.fault == Fault::Full) && injected;
        if full && !error.is_full() {
            return Err(Violation::new("a full store is called full", format_args!("{commit}: {error}")));
        }
        if injected || blocked {
            return Ok(());
        }
        Err(Violation::new("a commit fails only when something is wrong", format_args!("{commit}: {error}")))
    }

    /// Takes commits that are in the store and not yet in the reference; there is at most the one just made.
    fn take_new(&mut self, commit: &Commit, cursor: &Cursor) -> Result<Option<vault::CommitHash>, Violation> {
        let vault = self.vault()?;
        let sequence = self.reference.log(&commit.source).len() as u64 + 1;
        let stored = match vault.commit(&commit.source, sequence) {
            Ok(stored) => stored,
            Err(VaultError::Store(ports::BlobError::Missing { .. })) => return Ok(None),
            Err(_) if self.blocked.contains(&commit.source) => return Ok(None),
            Err(error) => return Err(Violation::new("a commit in the vault is sound", error)),
        };
        if stored.envelope.cursor != cursor.0 {
            let found = String::from_utf8_lossy(&stored.envelope.cursor).into_owned();
            return Err(Violation::new(
                "every commit in the vault is one that was made",
                format_args!("{} {sequence} has the cursor {found}", commit.source),
            ));
        }
        let committed = Committed {
            hash: stored.hash,
            at: self.truth.now(),
            vault_time: stored.envelope.vault_time,
            locked_until: stored.envelope.locked_until,
            changes: commit.changes.clone(),
            weak: self.hosts[commit.host].clock.error_micros() < -HOUR,
            forfeit: false,
        };
        self.reference.commit(&commit.source, committed);
        Ok(Some(stored.hash))
    }
}
