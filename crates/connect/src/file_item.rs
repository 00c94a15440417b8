use model::{Actor, Item, Moment};

/// An item that is somebody's file, as people know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileItem {
    /// The account, drive or folder that it belongs to, in the words of the source's events.
    pub scope: String,
    /// Its name or path, for people.
    pub name: String,
    /// What events of the source call it.
    pub target: String,
    /// When it was changed, as the source tells; whoever may write can set it to anything.
    pub changed_at: Option<Moment>,
    /// Who changed it last, as the file itself tells: a guess, because what they changed may not have been the content.
    pub changed_by: Option<Actor>,
}

/// Tells which items are files whose versions can be compared; nothing for any other item, such as a record or a folder.
pub type FileOf = fn(&Item) -> Option<FileItem>;
