//! Where files are: folders, what is in them, what is above.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use model::Moment;

use super::{
    file::{File, Id, Ids},
    kind::Kind,
    permission::{Effective, Grantee, Permission, Role},
};
use crate::{Settings, directory::Directory, text};

/// A chain of folders is not followed farther than this; there are no cycles, so this is a matter of patience.
const DEPTH_MAX: usize = 2000;

/// Somebody who asks: the directory in which they are, their id, and their domain.
pub(crate) type Asking<'a> = (&'a Directory, &'a str, &'a str);

/// All files of the domain.
#[derive(Debug)]
pub(crate) struct Tree {
    files: HashMap<Id, File>,
    children: HashMap<Id, BTreeSet<Id>>,
    owned: HashMap<Id, BTreeSet<Id>>,
    by_number: BTreeMap<u64, Id>,
    pub(crate) ids: Ids,
    count: u64,
}

impl Tree {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            files: HashMap::new(),
            children: HashMap::new(),
            owned: HashMap::new(),
            by_number: BTreeMap::new(),
            ids: Ids(text::mixed(settings.seed ^ 0x6472_6976_6521)),
            count: 0,
        }
    }

    /// Draws the next number, from which ids are made.
    pub(crate) const fn next_number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Adds a file.
    pub(crate) fn add(&mut self, mut file: File) -> Id {
        file.number = self.next_number();
        let id = Arc::clone(&file.id);
        self.by_number.insert(file.number, Arc::clone(&id));
        if let Some(parent) = &file.parent {
            self.children.entry(Arc::clone(parent)).or_default().insert(Arc::clone(&id));
        }
        if file.drive.is_none() {
            self.owned.entry(Arc::clone(&file.owner)).or_default().insert(Arc::clone(&id));
        }
        self.files.insert(Arc::clone(&id), file);
        id
    }

    /// Returns a file.
    pub(crate) fn get(&self, id: &str) -> Option<&File> {
        self.files.get(id)
    }

    /// Returns a file to be changed. Its place and its owner are changed with [`Tree::place`] and [`Tree::give`].
    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut File> {
        self.files.get_mut(id)
    }

    /// Takes a file away. What was in it stays where it is, without a folder.
    pub(crate) fn remove(&mut self, id: &str) -> Option<File> {
        let file = self.files.remove(id)?;
        self.by_number.remove(&file.number);
        if let Some(siblings) = file.parent.as_ref().and_then(|parent| self.children.get_mut(parent)) {
            siblings.remove(id);
        }
        if let Some(owned) = self.owned.get_mut(&file.owner) {
            owned.remove(id);
        }
        Some(file)
    }

    /// Puts a file with everything in it into another folder, and so perhaps into another drive.
    pub(crate) fn place(&mut self, id: &Id, parent: Option<Id>) {
        let drive =
            parent.as_ref().and_then(|parent| self.get(parent)).and_then(|parent| parent.drive.clone());
        let Some(file) = self.files.get_mut(id) else { return };
        if let Some(siblings) = file.parent.as_ref().and_then(|parent| self.children.get_mut(parent)) {
            siblings.remove(id);
        }
        file.parent.clone_from(&parent);
        if let Some(parent) = parent {
            self.children.entry(parent).or_default().insert(Arc::clone(id));
        }
        for below in self.subtree(id) {
            let Some(file) = self.files.get_mut(&below) else { continue };
            file.drive.clone_from(&drive);
            let owned = self.owned.entry(Arc::clone(&file.owner)).or_default();
            if drive.is_none() {
                owned.insert(below);
            } else {
                owned.remove(&below);
            }
        }
    }

    /// Gives a file of My Drive to another owner.
    pub(crate) fn give(&mut self, id: &Id, owner: &Id) {
        let Some(file) = self.files.get_mut(id) else { return };
        if let Some(owned) = self.owned.get_mut(&file.owner) {
            owned.remove(id);
        }
        file.owner = Arc::clone(owner);
        self.owned.entry(Arc::clone(owner)).or_default().insert(Arc::clone(id));
    }

    /// Returns what is directly in a folder.
    pub(crate) fn children<'a>(&'a self, id: &str) -> impl Iterator<Item = &'a File> {
        self.children.get(id).into_iter().flatten().filter_map(|id| self.files.get(id))
    }

    /// Returns the files that a user owns, top folder included.
    pub(crate) fn owned<'a>(&'a self, user: &str) -> impl Iterator<Item = &'a File> {
        self.owned.get(user).into_iter().flatten().filter_map(|id| self.files.get(id))
    }

    /// Returns all files.
    pub(crate) fn all(&self) -> impl Iterator<Item = &File> {
        self.by_number.values().filter_map(|id| self.files.get(id))
    }

    /// Returns a file and everything in it, folders before what is in them.
    pub(crate) fn subtree(&self, id: &Id) -> Vec<Id> {
        let mut found = vec![Arc::clone(id)];
        let mut at = 0;
        while at < found.len() {
            let below: Vec<Id> = self.children(&found[at]).map(|file| Arc::clone(&file.id)).collect();
            found.extend(below);
            at += 1;
        }
        found
    }

    /// Returns the folders above a file, the nearest first.
    pub(crate) fn above<'a>(&'a self, file: &'a File) -> impl Iterator<Item = &'a File> {
        let mut next = file.parent.as_ref();
        std::iter::from_fn(move || {
            let folder = self.files.get(next?)?;
            next = folder.parent.as_ref();
            Some(folder)
        })
        .take(DEPTH_MAX)
    }

    /// Tells whether a file is in the trash, itself or with a folder above it.
    pub(crate) fn is_trashed(&self, file: &File) -> bool {
        file.trashed.is_some() || self.above(file).any(|folder| folder.trashed.is_some())
    }

    /// Makes a user's top folder if there is none yet, and returns its id.
    pub(crate) fn root(&mut self, user: &Id, at: Moment) -> Id {
        let id = self.root_id(user);
        if !self.files.contains_key(&id) {
            let mut root = File::new(Arc::clone(&id), "My Drive", Kind::Folder, user, at);
            let owner = Grantee::User(String::new(), Some(Arc::clone(user)));
            root.permissions.push(Permission::new(owner, Role::Owner, user, at));
            self.add(root);
        }
        id
    }

    /// Returns the id of a user's top folder.
    pub(crate) fn root_id(&self, user: &str) -> Id {
        self.ids.top(text::drawn(user.as_bytes()))
    }

    /// Returns the permissions that are in force: the file's own, and of the folders above those that say more.
    pub(crate) fn effective(&self, file: &File, now: Moment) -> Vec<Effective> {
        let mut found: Vec<Effective> = Vec::new();
        let own = file.permissions.iter().filter(|permission| permission.holds(now));
        found.extend(own.map(|own| Effective { permission: own.clone(), inherited_from: None }));
        if file.traits.inheritance_disabled && file.drive.is_none() {
            return found;
        }
        for folder in self.above(file) {
            for permission in folder.permissions.iter().filter(|permission| permission.holds(now)) {
                let mut permission = permission.clone();
                if permission.role == Role::Owner {
                    // Whoever owns the folder may change what others put into it, and owns it not.
                    permission.role = Role::Writer;
                }
                let known = found.iter_mut().find(|known| known.permission.id == permission.id);
                match known {
                    Some(known) if known.permission.role >= permission.role => {}
                    Some(known) if known.inherited_from.is_none() && folder.drive.is_none() => {
                        known.permission.role = permission.role;
                    }
                    Some(known) => {
                        *known = Effective { permission, inherited_from: Some(Arc::clone(&folder.id)) };
                    }
                    None => {
                        found.push(Effective { permission, inherited_from: Some(Arc::clone(&folder.id)) });
                    }
                }
            }
            if folder.traits.inheritance_disabled && folder.drive.is_none() {
                break;
            }
        }
        found
    }

    /// Returns the most that a user may do with a file; `domain` is the user's.
    pub(crate) fn role(
        &self,
        file: &File,
        (directory, user, domain): Asking<'_>,
        now: Moment,
    ) -> Option<Role> {
        let to = |grantee: &Grantee| match grantee {
            Grantee::Domain(own) => own == domain,
            Grantee::Anyone => true,
            grantee => names(directory, grantee, user),
        };
        self.strongest(file, now, to)
    }

    /// Returns what a user may do by name or as a member of a group: only such files are in the user's lists.
    pub(crate) fn named_role(
        &self,
        file: &File,
        directory: &Directory,
        user: &str,
        now: Moment,
    ) -> Option<Role> {
        self.strongest(file, now, |grantee| names(directory, grantee, user))
    }

    fn strongest(&self, file: &File, now: Moment, to: impl Fn(&Grantee) -> bool) -> Option<Role> {
        let best = |of: &File| {
            let named =
                of.permissions.iter().filter(|permission| permission.holds(now) && to(&permission.grantee));
            named.map(|permission| permission.role).max()
        };
        let mut role = best(file);
        let mut open = file.drive.is_some() || !file.traits.inheritance_disabled;
        for folder in self.above(file) {
            if !open || role == Some(Role::Owner) {
                break;
            }
            let inherited = best(folder).map(|role| if role == Role::Owner { Role::Writer } else { role });
            role = role.max(inherited);
            open = folder.drive.is_some() || !folder.traits.inheritance_disabled;
        }
        role
    }

    /// Returns the users in whose lists a file is.
    pub(crate) fn audience(&self, file: &File, directory: &Directory, now: Moment) -> BTreeSet<Id> {
        let mut users = BTreeSet::new();
        for effective in self.effective(file, now) {
            match effective.permission.grantee {
                Grantee::User(_, Some(id)) => {
                    users.insert(id);
                }
                Grantee::Group(address) => users.extend(directory.users_in_group(&address)),
                Grantee::User(_, None) | Grantee::Domain(_) | Grantee::Anyone => {}
            }
        }
        users
    }
}

fn names(directory: &Directory, grantee: &Grantee, user: &str) -> bool {
    match grantee {
        Grantee::User(_, id) => id.as_deref() == Some(user),
        Grantee::Group(address) => directory.is_in_group(address, user),
        Grantee::Domain(_) | Grantee::Anyone => false,
    }
}
