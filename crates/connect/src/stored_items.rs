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
