//! The Drive API: files, folders, shared drives, and who may see them.

mod about;
mod archive;
mod blob;
mod capability;
mod changes;
mod channels;
mod comments;
mod content;
mod create;
mod delete;
mod document;
mod drives;
mod export;
mod file;
mod files;
mod kind;
mod look;
mod names;
mod office;
mod permission;
mod permissions;
mod query;
mod reply;
mod resource;
mod revisions;
mod routes;
mod settings;
mod trail;
mod tree;
mod update;
mod upload;
mod write;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use model::Moment;

pub use blob::Look;
pub(crate) use blob::{Blob, WORDS};
use changes::Log;
pub use channels::Channel;
pub(crate) use comments::{Comment, Reply as CommentReply};
pub(crate) use document::Document;
use drives::SharedDrive;
pub(crate) use file::{Content, File, Id, Revision};
pub(crate) use kind::{Kind, guessed};
pub use look::FileView;
pub(crate) use names::unknown as unknown_name;
pub(crate) use permission::Permission;
pub use permission::{Grantee, Role};
pub(crate) use routes::ROUTES;
pub use settings::DriveSettings;

use crate::Settings;
use export::Operation;
use tree::Tree;

/// All drives of the domain.
#[derive(Debug)]
pub(crate) struct Drive {
    pub(crate) tree: Tree,
    /// Shared drives by id.
    drives: BTreeMap<Id, SharedDrive>,
    /// What changed, by user or shared drive.
    logs: BTreeMap<Id, Log>,
    /// What was put into the trash when; what was taken out again may still be here.
    pub(crate) trash: BTreeSet<(Moment, Id)>,
    /// Which permission of which file ends when; what was changed since may still be here.
    expiring: BTreeSet<(Moment, Id, String)>,
    /// Ids that were given out in advance.
    generated: HashSet<String>,
    /// Ids of what was deleted; they are not used again.
    gone: HashSet<String>,
    operations: BTreeMap<String, Operation>,
    channels: Vec<Channel>,
    /// What sharing has written to whom: the file and the address.
    mails: Vec<(Id, String)>,
}

impl Drive {
    /// Makes an empty one.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            tree: Tree::new(settings),
            drives: BTreeMap::new(),
            logs: BTreeMap::new(),
            trash: BTreeSet::new(),
            expiring: BTreeSet::new(),
            generated: HashSet::new(),
            gone: HashSet::new(),
            operations: BTreeMap::new(),
            channels: Vec::new(),
            mails: Vec::new(),
        }
    }
}
