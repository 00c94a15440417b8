//! Takes commits in, in order, each as one transaction.

use std::collections::BTreeMap;

use model::{Item, Ledger, Moment, Severity, StreamName};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use vault::{Change, Commit, CommitHash, Content, log::ChangeBlock};

use crate::{Catalog, CatalogError};

/// What the catalog keeps of a commit besides its changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its place in the source's log.
    pub sequence: u64,
    /// Its hash.
    pub hash: CommitHash,
    /// Its vault time.
    pub vault_time: Moment,
    /// Where capture resumes after it.
    pub cursor: Vec<u8>,
    /// Its completeness ledger.
    pub ledger: Ledger,
}

impl From<&Commit> for Applied {
    fn from(commit: &Commit) -> Self {
        let envelope = &commit.envelope;
        Self {
            sequence: envelope.sequence,
            hash: commit.hash,
            vault_time: envelope.vault_time,
            cursor: envelope.cursor.clone(),
            ledger: envelope.ledger,
        }
    }
}

impl Catalog {
    /// Returns the number of the newest applied commit; 0 when there is none.
    pub fn last_sequence(&self) -> Result<u64, CatalogError> {
        last_sequence(&self.database)
    }

    /// Returns the hash of an applied commit.
    pub fn commit_hash(&self, sequence: u64) -> Result<Option<CommitHash>, CatalogError> {
        commit_hash(&self.database, sequence)
    }

    /// Applies the next commit with its changes; one that is there already changes nothing.
    ///
    /// Capture and a reader that catches up may both come with the same commit: whoever is second has nothing to do.
    pub fn apply(
        &mut self,
        commit: &Applied,
        changes: impl IntoIterator<Item = Change>,
    ) -> Result<(), CatalogError> {
        self.apply_all(commit, changes.into_iter().map(Ok))
    }

    /// Applies the next commit like [`Self::apply`], from its raw change blocks: one is taken apart after the other.
    pub fn apply_blocks(
        &mut self,
        commit: &Applied,
        blocks: impl IntoIterator<Item = Vec<u8>>,
    ) -> Result<(), CatalogError> {
        let changes = blocks.into_iter().flat_map(|block| match ChangeBlock::parse(&block) {
            Ok(block) => block.changes.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(damaged("change block")(error))],
        });
        self.apply_all(commit, changes)
    }

    fn apply_all(
        &mut self,
        commit: &Applied,
        changes: impl Iterator<Item = Result<Change, CatalogError>>,
    ) -> Result<(), CatalogError> {
        // The write lock comes first, so that nobody else applies anything between the look and the deed.
        let transaction = self.database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if commit_hash(&transaction, commit.sequence)? == Some(commit.hash) {
            return Ok(());
        }
        let last = last_sequence(&transaction)?;
        if commit.sequence != last + 1 {
            return Err(CatalogError::Order { last, found: commit.sequence });
        }
        insert_commit(&transaction, commit)?;
        let mut application = Application {
            transaction: &transaction,
            sequence: commit.sequence as i64,
            last_stream: None,
            growth: BTreeMap::new(),
        };
        for change in changes {
            application.change(change?)?;
        }
        application.note_sizes()?;
        transaction.commit()?;
        Ok(())
    }
}

fn last_sequence(database: &Connection) -> Result<u64, CatalogError> {
    let last: Option<i64> = database.query_row("SELECT max(sequence) FROM commits", [], |row| row.get(0))?;
    Ok(last.unwrap_or(0) as u64)
}

fn commit_hash(database: &Connection, sequence: u64) -> Result<Option<CommitHash>, CatalogError> {
    let hash = database
        .prepare_cached("SELECT hash FROM commits WHERE sequence = ?1")?
        .query_row([sequence as i64], |row| row.get(0))
        .optional()?;
    Ok(hash.map(CommitHash))
}

fn insert_commit(transaction: &Transaction<'_>, commit: &Applied) -> Result<(), CatalogError> {
    let ledger = commit.ledger;
    transaction.execute(
        "INSERT INTO commits VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            commit.sequence as i64,
            commit.hash.0.as_slice(),
            commit.vault_time.as_micros(),
            commit.cursor,
            ledger.enumerated as i64,
            ledger.stored as i64,
            ledger.unchanged as i64,
            ledger.unreadable as i64,
        ],
    )?;
    Ok(())
}

struct Application<'a> {
    transaction: &'a Transaction<'a>,
    sequence: i64,
    /// Neighbours are most often of one stream.
    last_stream: Option<(StreamName, i64)>,
    /// By how many items and bytes each stream grew in this commit.
    growth: BTreeMap<i64, (i64, i64)>,
}

impl Application<'_> {
    fn change(&mut self, change: Change) -> Result<(), CatalogError> {
        match change {
            Change::Upsert { item, content } => {
                let encoded = encode(&content)?;
                self.version(&item, content.length as i64, Some(&encoded), None)
            }
            Change::Removed { stream, key } => self.remove(&stream, &key),
            Change::Unreadable { item, reason } => {
                let reason = serde_json::to_string(&reason).map_err(damaged("reason"))?;
                self.version(&item, 0, None, Some(&reason))
            }
            Change::Event(event) => {
                let document = serde_json::to_string(&event).map_err(damaged("event"))?;
                self.transaction
                    .prepare_cached(
                        "INSERT INTO events (sequence, at, position, severity, document) VALUES (?1, ?2, ?3, ?4, ?5)",
                    )?
                    .execute(params![
                        self.sequence,
                        event.at.as_micros(),
                        event.position,
                        severity_rank(event.severity),
                        document
                    ])?;
                Ok(())
            }
        }
    }

    fn version(
        &mut self,
        item: &Item,
        size_bytes: i64,
        content: Option<&[u8]>,
        reason: Option<&str>,
    ) -> Result<(), CatalogError> {
        let stream = self.stream(&item.stream)?;
        self.close(stream, &item.key)?;
        let growth = self.growth.entry(stream).or_default();
        *growth = (growth.0 + 1, growth.1 + size_bytes);
        self.transaction
            .prepare_cached(
                "INSERT INTO versions (stream, key, from_sequence, attributes, size_bytes, content, reason)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                stream,
                item.key,
                self.sequence,
                item.attributes,
                size_bytes,
                content,
                reason
            ])?;
        Ok(())
    }

    fn remove(&mut self, stream: &StreamName, key: &str) -> Result<(), CatalogError> {
        let stream = self.stream(stream)?;
        for version in self.close(stream, key)? {
            self.transaction
                .prepare_cached("INSERT INTO removals (sequence, version) VALUES (?1, ?2)")?
                .execute([self.sequence, version])?;
        }
        Ok(())
    }

    /// Ends the live version of an item, if there is one, and returns its row.
    fn close(&mut self, stream: i64, key: &str) -> Result<Vec<i64>, CatalogError> {
        let mut statement = self.transaction.prepare_cached(
            "UPDATE versions SET until_sequence = ?3 WHERE stream = ?1 AND key = ?2 AND until_sequence IS NULL
             RETURNING id, size_bytes",
        )?;
        let ended = statement
            .query_map(params![stream, key, self.sequence], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))?
            .collect::<Result<Vec<(i64, i64)>, _>>()?;
        for (_, size_bytes) in &ended {
            let growth = self.growth.entry(stream).or_default();
            *growth = (growth.0 - 1, growth.1 - size_bytes);
        }
        Ok(ended.into_iter().map(|(id, _)| id).collect())
    }

    /// Notes how much each stream holds now.
    fn note_sizes(&self) -> Result<(), CatalogError> {
        for (stream, (items, bytes)) in &self.growth {
            self.transaction
                .prepare_cached(
                    "WITH held (items, bytes) AS
                         (SELECT items, bytes FROM sizes WHERE stream = ?1 ORDER BY sequence DESC LIMIT 1)
                     INSERT INTO sizes (stream, sequence, items, bytes)
                     VALUES (?1, ?2, ifnull((SELECT items FROM held), 0) + ?3, ifnull((SELECT bytes FROM held), 0) + ?4)",
                )?
                .execute([*stream, self.sequence, *items, *bytes])?;
        }
        Ok(())
    }

    fn stream(&mut self, stream: &StreamName) -> Result<i64, CatalogError> {
        if let Some((last, id)) = &self.last_stream
            && last == stream
        {
            return Ok(*id);
        }
        let id = self.find_stream(stream)?;
        self.last_stream = Some((stream.clone(), id));
        Ok(id)
    }

    fn find_stream(&self, stream: &StreamName) -> Result<i64, CatalogError> {
        let known: Option<i64> = self
            .transaction
            .prepare_cached("SELECT id FROM streams WHERE name = ?1")?
            .query_row([stream.as_str()], |row| row.get(0))
            .optional()?;
        if let Some(id) = known {
            return Ok(id);
        }
        self.transaction.execute("INSERT INTO streams (name) VALUES (?1)", [stream.as_str()])?;
        Ok(self.transaction.last_insert_rowid())
    }
}

pub(crate) fn encode(content: &Content) -> Result<Vec<u8>, CatalogError> {
    content.to_bytes().map_err(damaged("content"))
}

pub(crate) fn damaged<E>(what: &'static str) -> impl FnOnce(E) -> CatalogError
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    move |source| CatalogError::Damaged { what, source: source.into() }
}

pub(crate) const fn severity_rank(severity: Severity) -> i64 {
    match severity {
        Severity::Routine => 0,
        Severity::Notable => 1,
        Severity::Destructive => 2,
    }
}

#[cfg(test)]
pub(crate) mod tests;
