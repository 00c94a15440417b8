use model::StreamName;

use crate::{Progress, StoredError, StoredItem};

/// The content of one item, portion by portion.
pub trait StoredBody {
    /// Returns the next bytes, at most a few MiB; `None` at the end, once all of it was found right.
    ///
    /// A small item comes whole, and was checked before.
    fn next_portion(&mut self) -> Result<Option<&[u8]>, StoredError>;
}

/// Takes one item; called from several threads.
pub type TakeItem<'a> = dyn Fn(&StoredItem, &mut dyn StoredBody) -> Result<(), StoredError> + Sync + 'a;

/// What a connector with very many items may read: they come in the order in which they lie in the vault, so that
/// nothing is opened twice, and never all at once.
pub trait StoredItems: Send + Sync {
    /// Hands out every item that was live after commit `at`, with its content. The first error ends it.
    fn each(
        &self,
        stream: &StreamName,
        at: u64,
        take: &TakeItem<'_>,
        progress: &dyn Progress,
    ) -> Result<(), StoredError>;

    /// Lists the items that were listed but could not be read, as of commit `at`; so many at most.
    fn unread(&self, stream: &StreamName, at: u64, limit: u32) -> Result<Vec<String>, StoredError>;
}

/// One item as it was after a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVersion {
    /// The item, with the attributes that its connector gave it.
    pub item: StoredItem,
    /// Whether its content is held; it is not when the item could not be read.
    pub has_content: bool,
}

/// What a planner may read of a source's past: what changed between two commits, and how each item was at any of them.
pub trait StoredHistory: Send + Sync {
    /// Lists the keys of a stream that came, changed or went after one commit and no later than another, in order.
    fn changed(&self, stream: &StreamName, after: u64, until: u64) -> Result<Vec<String>, StoredError>;

    /// Lists the keys of a stream that were live after commit `at`, in order, from behind a key on; so many at most.
    fn live_keys(
        &self,
        stream: &StreamName,
        at: u64,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, StoredError>;

    /// Returns an item as it was after commit `at`; `None` when it was not there.
    fn version(&self, stream: &StreamName, key: &str, at: u64) -> Result<Option<StoredVersion>, StoredError>;

    /// Lists what an item became after one commit and no later than another, oldest first; its end is no version.
    fn versions(
        &self,
        stream: &StreamName,
        key: &str,
        after: u64,
        until: u64,
    ) -> Result<Vec<StoredVersion>, StoredError>;

    /// Reads the content that an item had after commit `at`.
    fn content(&self, stream: &StreamName, key: &str, at: u64) -> Result<Vec<u8>, StoredError>;

    /// Begins to read the content that an item had after commit `at`: a large one is never in memory whole, where the vault
    /// is a real one.
    fn open<'a>(
        &'a self,
        stream: &StreamName,
        key: &str,
        at: u64,
    ) -> Result<Box<dyn StoredBody + 'a>, StoredError> {
        Ok(Box::new(WholeBody { content: self.content(stream, key, at)?, is_taken: false }))
    }
}

/// A content that is in memory.
struct WholeBody {
    content: Vec<u8>,
    is_taken: bool,
}

impl StoredBody for WholeBody {
    fn next_portion(&mut self) -> Result<Option<&[u8]>, StoredError> {
        let is_over = std::mem::replace(&mut self.is_taken, true) || self.content.is_empty();
        Ok((!is_over).then_some(&self.content[..]))
    }
}
