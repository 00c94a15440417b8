//! Planning what happens to a user's contacts, out of what is stored.

use std::collections::{BTreeMap, BTreeSet};

use connect::{fidelity::Way, plan::Action};
use google_api::method;
use serde_json::Value;
use source_google::contacts::{
    GROUP_PREFIX, OTHER_PREFIX, PERSON_PREFIX, PHOTO_PREFIX, PersonAttributes, PhotoAttributes,
};

use super::{
    create::MADE_MAX,
    groups::is_system,
    person::{MEMBERSHIPS, fields_of, name_of},
    promise::{CONTACT, GROUP},
    step::{ContactsStep, CreateRow, GroupRow, PhotoRow, UpdateRow},
};
use crate::{
    Destination, Planner, PlanningError, Request,
    fields::{Fields, plainly_same, undo},
    planner::{Documents, NewStep, TAKEN_AGAIN, live_below},
    request::ORIGIN,
    step::StepDetails,
};

/// So many contacts are read in one call.
const READ_MAX: u64 = 100;
/// So many contacts are on one page of the list.
const PAGE: u64 = 1000;

impl Planner<'_> {
    /// Plans what happens to a user's contacts.
    ///
    /// In place, contacts, groups and photos that were deleted or changed within the window go back to what they were;
    /// what came within it or was changed again after it stays. For another user, every contact that was there before the
    /// window is made, in a group that tells whose it was.
    pub fn contacts(&mut self, request: &Request) -> Result<(), PlanningError> {
        self.begin(request, "the contacts of");
        let mut planning = Planning { request, planner: self, rows: Rows::default(), others: 0 };
        match &request.destination {
            Destination::InPlace => planning.decide_all()?,
            Destination::OtherUser { .. } | Destination::Sandbox(_) => planning.take_all()?,
        }
        planning.finish()
    }
}

#[derive(Default)]
struct Rows {
    groups: Vec<GroupRow>,
    renamed: Vec<GroupRow>,
    updated: Vec<UpdateRow>,
    created: Vec<CreateRow>,
    photos: Vec<PhotoRow>,
}

struct Planning<'r, 'q, 'p> {
    request: &'r Request,
    planner: &'q mut Planner<'p>,
    rows: Rows,
    /// People who were only written to, and are gone.
    others: u64,
}

impl Planning<'_, '_, '_> {
    fn documents(&self) -> Documents<'_> {
        Documents { past: self.planner.past, stream: &self.request.stream, window: self.request.window }
    }

    fn conflict(&mut self, key: &str, reason: String) {
        self.planner.conflict(&self.request.account, key, reason);
    }

    /// Tells whether an item is meant; a photo is with its contact.
    fn is_meant(&self, key: &str) -> bool {
        let selection = &self.request.selection;
        let of_photo = key.strip_prefix(PHOTO_PREFIX).map(|id| format!("{PERSON_PREFIX}{id}"));
        selection.has(key) || of_photo.is_some_and(|person| selection.has(&person))
    }

    /// Tells that an item is there of which nothing could be read.
    fn unreadable(&mut self, key: &str) {
        self.planner.loss(
            format!("{}: {key}", self.request.account),
            "it could not be read when it was captured".to_owned(),
        );
    }

    fn decide_all(&mut self) -> Result<(), PlanningError> {
        let window = self.request.window;
        for key in self.planner.past.changed(&self.request.stream, window.before.0, window.after.0)? {
            if !self.is_meant(&key) {
                continue;
            }
            if let Some(id) = key.strip_prefix(GROUP_PREFIX) {
                self.decide_group(&key, id)?;
            } else if let Some(id) = key.strip_prefix(PERSON_PREFIX) {
                self.decide_person(&key, id)?;
            } else if let Some(id) = key.strip_prefix(PHOTO_PREFIX) {
                self.decide_photo(&key, id)?;
            } else if key.starts_with(OTHER_PREFIX) && self.documents().at(&key, window.after.0)?.is_none() {
                self.others += 1;
            }
        }
        if self.others > 0 {
            self.planner.loss(
                format!("{}: {} people who were only written to", self.request.account, self.others),
                "Google fills this list by itself, and no call writes it".to_owned(),
            );
        }
        Ok(())
    }

    fn decide_group(&mut self, key: &str, id: &str) -> Result<(), PlanningError> {
        let window = self.request.window;
        let Some(before) = self.documents().at(key, window.before.0)? else { return Ok(()) };
        if before["groupType"] == "SYSTEM_CONTACT_GROUP" {
            return Ok(());
        }
        let (after, now) = (self.documents().at(key, window.after.0)?, self.documents().at(key, window.now)?);
        let name = |group: &Value| group["name"].as_str().unwrap_or_default().to_owned();
        let mut row = GroupRow {
            id: id.to_owned(),
            name: name(&before),
            client_data: before["clientData"].clone(),
            expected: None,
        };
        match (after, now) {
            (None, None) if self.documents().later(key)?.is_any => {
                self.conflict(key, TAKEN_AGAIN.to_owned());
            }
            (None, None) => self.rows.groups.push(row),
            (None, Some(_)) => self.planner.unchanged(),
            (Some(_), None) => self.conflict(key, "it was deleted after the window".to_owned()),
            (Some(_), Some(now)) if name(&now) == row.name => self.planner.unchanged(),
            (Some(after), Some(now)) => {
                if self.documents().later(key)?.documents.iter().any(|later| name(later) != name(&after)) {
                    self.conflict(key, "it was renamed again after the window".to_owned());
                } else if name(&after) != row.name {
                    row.expected = Some(name(&now));
                    self.rows.renamed.push(row);
                }
            }
        }
        Ok(())
    }

    fn decide_person(&mut self, key: &str, id: &str) -> Result<(), PlanningError> {
        let (past, window) = (self.planner.past, self.request.window);
        let was = past.version(&self.request.stream, key, window.before.0)?;
        let Some(before) = self.documents().at(key, window.before.0)? else {
            if was.is_some() {
                self.unreadable(key);
            }
            return Ok(());
        };
        let (after, now) = (self.documents().at(key, window.after.0)?, self.documents().at(key, window.now)?);
        match (after, now) {
            (None, None) if self.documents().later(key)?.is_any => {
                self.conflict(key, TAKEN_AGAIN.to_owned());
            }
            (None, None) => self.make(id, &before)?,
            (None, Some(_)) => self.planner.unchanged(),
            (Some(_), None) => self.conflict(key, "it was deleted after the window".to_owned()),
            (Some(after), Some(now)) => {
                let later: Vec<Fields> =
                    self.documents().later(key)?.documents.iter().map(fields_of).collect();
                let undo =
                    undo(&fields_of(&before), &fields_of(&after), &later, &fields_of(&now), plainly_same);
                if !undo.kept.is_empty() {
                    let reason = format!("this was changed again after the window: {}", undo.kept.join(", "));
                    self.conflict(key, reason);
                } else if undo.set.is_empty() {
                    self.planner.unchanged();
                }
                if !undo.set.is_empty() {
                    let resource = now["resourceName"].as_str().unwrap_or_default().to_owned();
                    let name = name_of(&before);
                    self.rows.updated.push(UpdateRow {
                        id: id.to_owned(),
                        resource,
                        changes: undo.set,
                        name,
                    });
                }
            }
        }
        Ok(())
    }

    /// Takes a contact that is made, with its photo.
    fn make(&mut self, id: &str, person: &Value) -> Result<(), PlanningError> {
        self.rows.created.push(CreateRow { id: id.to_owned(), name: name_of(person) });
        let photo = format!("{PHOTO_PREFIX}{id}");
        let version =
            self.planner.past.version(&self.request.stream, &photo, self.request.window.before.0)?;
        if let Some(version) = version {
            if !version.has_content {
                self.unreadable(&photo);
                return Ok(());
            }
            let mark = match self.request.destination {
                Destination::InPlace => id.to_owned(),
                Destination::OtherUser { .. } | Destination::Sandbox(_) => {
                    format!("{}/{id}", self.request.copies_of())
                }
            };
            self.rows.photos.push(PhotoRow { id: id.to_owned(), mark, resource: None, expected: None });
        }
        Ok(())
    }

    fn decide_photo(&mut self, key: &str, id: &str) -> Result<(), PlanningError> {
        let (past, stream, window) = (self.planner.past, &self.request.stream, self.request.window);
        let Some(was) = past.version(stream, key, window.before.0)? else { return Ok(()) };
        let person = format!("{PERSON_PREFIX}{id}");
        let Some(now) = past.version(stream, &person, window.now)? else { return Ok(()) };
        if !was.has_content {
            self.unreadable(key);
            return Ok(());
        }
        let owner = PersonAttributes::of_text(&now.item.item.attributes).unwrap_or_default();
        let hash = |at: u64| -> Result<Option<String>, PlanningError> {
            let version = past.version(stream, key, at)?;
            Ok(version
                .and_then(|version| Some(PhotoAttributes::of_text(&version.item.item.attributes)?.hash)))
        };
        let before = PhotoAttributes::of_text(&was.item.item.attributes).map(|photo| photo.hash);
        let (after, now) = (hash(window.after.0)?, hash(window.now)?);
        if before == after || before == now {
            self.planner.unchanged();
        } else if after != now || !past.versions(stream, key, window.after.0, window.now)?.is_empty() {
            self.conflict(key, "it got another photo after the window".to_owned());
        } else {
            let (id, mark) = (id.to_owned(), id.to_owned());
            self.rows.photos.push(PhotoRow {
                id,
                mark,
                resource: Some(owner.resource),
                expected: owner.photo,
            });
        }
        Ok(())
    }

    /// Takes every contact that was there.
    fn take_all(&mut self) -> Result<(), PlanningError> {
        let at = self.request.window.before.0;
        let mut keys = Vec::new();
        live_below(self.planner.past, &self.request.stream, PERSON_PREFIX, at, &mut |key| {
            keys.push(key.to_owned());
            Ok(true)
        })?;
        for key in keys.iter().filter(|key| self.request.selection.has(key)) {
            let Some(id) = key.strip_prefix(PERSON_PREFIX) else { continue };
            let Some(person) = self.documents().at(key, at)? else {
                self.unreadable(key);
                continue;
            };
            self.make(id, &person)?;
        }
        if self.request.sandbox().is_some() {
            self.take_groups()?;
        }
        if !self.rows.created.is_empty() {
            let name = self.request.origin_name(&self.request.account);
            self.planner.note(format!("each contact is in the group {name:?}"));
            let id = ORIGIN.to_owned();
            self.rows.groups.push(GroupRow { id, name, client_data: Value::Null, expected: None });
        }
        Ok(())
    }

    /// Returns the names of all groups by the ids that they had, those of the system too.
    fn group_names(&self) -> Result<BTreeMap<String, String>, PlanningError> {
        let (mut keys, mut names) = (Vec::new(), BTreeMap::new());
        for at in [self.request.window.before.0, self.request.window.now] {
            live_below(self.planner.past, &self.request.stream, GROUP_PREFIX, at, &mut |key| {
                keys.push((key.to_owned(), at));
                Ok(true)
            })?;
        }
        for (key, at) in keys {
            let Some(id) = key.strip_prefix(GROUP_PREFIX).filter(|id| !names.contains_key(*id)) else {
                continue;
            };
            let group = self.documents().at(&key, at)?.unwrap_or_default();
            let name = group["name"].as_str().unwrap_or(id);
            names.insert(id.to_owned(), self.group_name(&group, name));
        }
        if self.request.is_elsewhere() {
            names.insert(ORIGIN.to_owned(), self.request.origin_name(&self.request.account));
        }
        Ok(names)
    }

    /// Returns what a group is called where it goes; groups of the system are everywhere.
    fn group_name(&self, group: &Value, name: &str) -> String {
        if self.request.sandbox().is_some() && !is_system(group) {
            format!("{}/{name}", self.request.origin_name(&self.request.account))
        } else {
            name.to_owned()
        }
    }

    /// Takes the groups that are meant, and those in which somebody is who is made.
    fn take_groups(&mut self) -> Result<(), PlanningError> {
        let at = self.request.window.before.0;
        let mut of_people = BTreeSet::new();
        for row in &self.rows.created {
            let person = self.documents().at(&format!("{PERSON_PREFIX}{}", row.id), at)?.unwrap_or_default();
            let groups = fields_of(&person).into_keys();
            of_people.extend(groups.filter_map(|path| path.strip_prefix(MEMBERSHIPS).map(str::to_owned)));
        }
        let mut keys = Vec::new();
        live_below(self.planner.past, &self.request.stream, GROUP_PREFIX, at, &mut |key| {
            keys.push(key.to_owned());
            Ok(true)
        })?;
        for key in keys {
            let Some(id) = key.strip_prefix(GROUP_PREFIX) else { continue };
            if !self.request.selection.has(&key) && !of_people.contains(id) {
                continue;
            }
            let Some(group) = self.documents().at(&key, at)?.filter(|group| !is_system(group)) else {
                continue;
            };
            let name = self.group_name(&group, group["name"].as_str().unwrap_or_default());
            let (id, client_data) = (format!("{ORIGIN}/{id}"), group["clientData"].clone());
            self.rows.groups.push(GroupRow { id, name, client_data, expected: None });
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), PlanningError> {
        self.count_calls();
        let group_names = self.group_names()?;
        let Request { stream, window, .. } = self.request;
        let user = self.request.receiver().to_owned();
        let rows = std::mem::take(&mut self.rows);
        let from = self.request.is_elsewhere().then(|| self.request.copies_of().into_owned());
        let with_groups = self.request.sandbox().is_some();
        let (stream, at) = (stream.as_str().to_owned(), window.before.0);
        let target = &user;
        let planner = &mut *self.planner;
        for (rows, action, way, verb) in [
            (&rows.groups, Action::Create, Way::MadeAnew, "make"),
            (&rows.renamed, Action::Redefine, Way::InPlace, "rename"),
        ] {
            let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).take(5).collect();
            planner.step(NewStep {
                title: format!("{verb} {} groups of contacts: {}", rows.len(), names.join(", ")),
                target,
                action,
                name: "groups",
                rows,
                details: StepDetails::Contacts(ContactsStep::Groups { user: user.clone() }),
                promise: (GROUP, way),
            })?;
        }
        let memberships = rows.updated.iter().flat_map(|row| row.changes.keys());
        let some_names = memberships
            .filter_map(|path| path.strip_prefix(MEMBERSHIPS))
            .filter_map(|id| Some((id.to_owned(), group_names.get(id)?.clone())))
            .collect();
        planner.step(NewStep {
            title: format!("set {} contacts back to what they were", rows.updated.len()),
            target,
            action: Action::Revert,
            name: "contact-fields",
            rows: &rows.updated,
            details: StepDetails::Contacts(ContactsStep::Update {
                user: user.clone(),
                group_names: some_names,
            }),
            promise: (CONTACT, Way::InPlace),
        })?;
        let create = ContactsStep::Create {
            user: user.clone(),
            from,
            with_groups,
            stream: stream.clone(),
            at,
            group_names,
        };
        planner.step(NewStep {
            title: format!("make {} contacts again", rows.created.len()),
            target,
            action: Action::Insert,
            name: "contacts",
            rows: &rows.created,
            details: StepDetails::Contacts(create),
            promise: (CONTACT, Way::MadeAnew),
        })?;
        planner.step(NewStep {
            title: format!("give {} contacts their photos back", rows.photos.len()),
            target,
            action: Action::Revert,
            name: "photos",
            rows: &rows.photos,
            details: StepDetails::Contacts(ContactsStep::Photos { user: user.clone(), stream, at }),
            promise: (CONTACT, Way::InPlace),
        })
    }

    fn count_calls(&mut self) {
        let rows = &self.rows;
        let (updated, created) = (rows.updated.len() as u64, rows.created.len() as u64);
        let (photos, groups) = (rows.photos.len() as u64, (rows.groups.len() + rows.renamed.len()) as u64);
        let steps = |count: u64| count.min(1);
        let calls = [
            (&method::RESTORE_CONTACT_GROUPS_LIST, 2 * (steps(groups) + steps(updated) + steps(created))),
            (&method::RESTORE_CONTACT_GROUPS_CREATE, groups),
            (
                &method::RESTORE_PEOPLE_GET,
                2 * updated.div_ceil(READ_MAX) + created.div_ceil(READ_MAX) + 2 * photos.div_ceil(READ_MAX),
            ),
            (&method::RESTORE_CONTACTS_UPDATE, updated),
            (&method::RESTORE_CONNECTIONS_LIST, if created > 0 { created.div_ceil(PAGE) } else { 0 }),
            (&method::RESTORE_CONTACTS_CREATE, created.div_ceil(MADE_MAX as u64)),
            (&method::RESTORE_CONTACT_PHOTO, photos),
        ];
        for (method, count) in calls {
            self.planner.calls(self.request.receiver(), method, count);
        }
    }
}
