//! A drive as it was after some commits.

use std::{
    collections::{BTreeSet, HashMap},
    rc::Rc,
};

use connect::{StoredError, StoredHistory, StoredVersion};
use model::StreamName;
use source_google::drive::{FILE_PREFIX, FileAttributes, METADATA_PREFIX, file_key};

use super::decide::Known;
use crate::planner::live_below;

/// A chain of folders is not followed farther than this: chains that lead in a circle have no end.
const DEPTH_MAX: usize = 10_000;

/// Looks up files and remembers them.
pub(super) struct Past<'p> {
    history: &'p dyn StoredHistory,
    stream: StreamName,
    known: HashMap<(u64, String), Option<Rc<Known>>>,
    depths: HashMap<String, u32>,
}

impl<'p> Past<'p> {
    pub(super) fn new(history: &'p dyn StoredHistory, stream: &StreamName) -> Self {
        Self { history, stream: stream.clone(), known: HashMap::new(), depths: HashMap::new() }
    }

    /// Returns a file as it was after a commit; `None` when it was not there.
    pub(super) fn at(&mut self, id: &str, at: u64) -> Result<Option<Rc<Known>>, StoredError> {
        let place = (at, id.to_owned());
        if let Some(known) = self.known.get(&place) {
            return Ok(known.clone());
        }
        let known = self.read(id, at)?.map(Rc::new);
        self.known.insert(place, known.clone());
        Ok(known)
    }

    fn read(&self, id: &str, at: u64) -> Result<Option<Known>, StoredError> {
        let Some(version) = self.history.version(&self.stream, &file_key(id), at)? else { return Ok(None) };
        if let Some(attributes) = attributes(&version).filter(|_| version.has_content) {
            return Ok(Some(Known { attributes, has_content: true, bytes: version.item.size_bytes }));
        }
        // What could not be read has its attributes beside, if those could be.
        let beside = self.history.version(&self.stream, &format!("{METADATA_PREFIX}{id}"), at)?;
        let attributes = beside.as_ref().and_then(attributes).or_else(|| attributes(&version));
        Ok(Some(Known { attributes: attributes.unwrap_or_default(), has_content: false, bytes: 0 }))
    }

    /// Returns what a file became after one commit and no later than another.
    pub(super) fn later(&self, id: &str, after: u64, until: u64) -> Result<Vec<FileAttributes>, StoredError> {
        let mut found = self.history.versions(&self.stream, &file_key(id), after, until)?;
        found.extend(self.history.versions(&self.stream, &format!("{METADATA_PREFIX}{id}"), after, until)?);
        Ok(found.iter().filter_map(attributes).collect())
    }

    /// Returns the ids of the files of which something changed after one commit and no later than another.
    pub(super) fn changed(&self, after: u64, until: u64) -> Result<BTreeSet<String>, StoredError> {
        let keys = self.history.changed(&self.stream, after, until)?;
        let id = |key: &String| {
            key.strip_prefix(FILE_PREFIX).or_else(|| key.strip_prefix(METADATA_PREFIX)).map(str::to_owned)
        };
        Ok(keys.iter().filter_map(id).collect())
    }

    /// Returns the ids of the files that were there after a commit.
    pub(super) fn live(&self, at: u64) -> Result<Vec<String>, StoredError> {
        let mut ids = Vec::new();
        live_below(self.history, &self.stream, FILE_PREFIX, at, &mut |key| {
            ids.extend(key.strip_prefix(FILE_PREFIX).map(str::to_owned));
            Ok(true)
        })?;
        Ok(ids)
    }

    /// Returns the folder that a file was in after a commit.
    pub(super) fn parent(&mut self, id: &str, at: u64) -> Result<Option<String>, StoredError> {
        Ok(self.at(id, at)?.and_then(|known| known.attributes.parents.first().cloned()))
    }

    /// Returns the folder that a file was in, as far as it is stored.
    pub(super) fn folder(&mut self, known: &Known, at: u64) -> Result<Option<Rc<Known>>, StoredError> {
        match known.attributes.parents.first() {
            Some(parent) => self.at(parent, at),
            None => Ok(None),
        }
    }

    /// Returns a file and the folders above it after a commit, the nearest first.
    pub(super) fn chain(&mut self, id: &str, at: u64) -> Result<Vec<String>, StoredError> {
        let mut chain = vec![id.to_owned()];
        while chain.len() < DEPTH_MAX
            && let Some(parent) = chain.last().map(|last| self.parent(last, at)).transpose()?.flatten()
        {
            chain.push(parent);
        }
        Ok(chain)
    }

    /// Returns how many folders were above a file after a commit; always the same one.
    pub(super) fn depth(&mut self, id: &str, at: u64) -> Result<u32, StoredError> {
        let mut path = Vec::new();
        let mut next = Some(id.to_owned());
        let mut depth = 0;
        while let Some(id) = next.take().filter(|_| path.len() < DEPTH_MAX) {
            if let Some(known) = self.depths.get(&id) {
                depth = *known;
                break;
            }
            next = self.parent(&id, at)?;
            path.push(id);
        }
        for id in path.into_iter().rev() {
            depth += 1;
            self.depths.insert(id, depth);
        }
        Ok(depth)
    }
}

fn attributes(version: &StoredVersion) -> Option<FileAttributes> {
    // An item that could not be read has the attributes `{}`.
    FileAttributes::of_text(&version.item.item.attributes)
        .filter(|attributes| !attributes.mime_type.is_empty())
}
