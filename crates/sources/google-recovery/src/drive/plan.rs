//! Planning what happens to a drive, out of what is stored.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
};

use source_google::drive::{FileAttributes, FileKind};

use super::{
    decide::{Change, Decision, FileStates, Known, again, decide, is_importable},
    past::Past,
    rows::{ChangeRow, ContentChange, ContentMark, GrantChange, MakeRow, Making, ShareRow},
    sharing::{self, Place, Sharing},
    subject::{Target, known_organizer},
};
use crate::{Destination, Planner, PlanningError, Request};

const SHARED_PREFIX: &str = "shared-drive/";

impl Planner<'_> {
    /// Plans what happens to a drive: that of a user, or a shared one.
    ///
    /// In place, what was trashed, deleted, moved, changed or shared within the window goes back to what it was; what came
    /// within it or was changed again after it stays. For another user, every file that was there before the window and not
    /// in the trash is made in a folder that tells whose it was.
    pub fn drive(&mut self, request: &Request) -> Result<(), PlanningError> {
        let shared = request.stream.as_str().strip_prefix(SHARED_PREFIX).map(str::to_owned);
        self.begin(request, if shared.is_some() { "the shared drive" } else { "the drive of" });
        let target = match (&request.destination, &shared) {
            (Destination::OtherUser { email }, _) => Target { subject: email.clone(), shared: None },
            (Destination::Sandbox(sandbox), _) => {
                Target { subject: sandbox.email.clone(), shared: sandbox.drive.clone() }
            }
            (Destination::InPlace, None) => Target { subject: request.account.clone(), shared: None },
            (Destination::InPlace, Some(drive)) => {
                let organizer = known_organizer(self.past, drive, request.window.now)?;
                let subject = organizer.ok_or_else(|| PlanningError::NoOrganizer { drive: drive.clone() })?;
                Target { subject, shared: shared.clone() }
            }
        };
        let past = Past::new(self.past, &request.stream);
        let mut planning = Planning {
            request,
            planner: self,
            past,
            target,
            made: Vec::new(),
            changed: BTreeMap::new(),
            untrashed: BTreeMap::new(),
            rubbish: BTreeMap::new(),
            narrower: BTreeMap::new(),
            wider: BTreeMap::new(),
            live: HashMap::new(),
        };
        match &request.destination {
            Destination::InPlace => planning.decide_all()?,
            Destination::OtherUser { .. } | Destination::Sandbox(_) => {
                planning.take_all(shared.as_deref())?;
            }
        }
        planning.finish()
    }
}

/// The planning of one drive.
pub(super) struct Planning<'r, 'q, 'p> {
    pub(super) request: &'r Request,
    pub(super) planner: &'q mut Planner<'p>,
    pub(super) past: Past<'p>,
    pub(super) target: Target,
    pub(super) made: Vec<MakeRow>,
    pub(super) changed: BTreeMap<String, ChangeRow>,
    pub(super) untrashed: BTreeMap<String, ChangeRow>,
    /// What the actor made, on its way into the trash.
    pub(super) rubbish: BTreeMap<String, ChangeRow>,
    pub(super) narrower: BTreeMap<String, ShareRow>,
    pub(super) wider: BTreeMap<String, ShareRow>,
    /// Whether files will be there, and not in the trash, once the plan is applied.
    live: HashMap<String, bool>,
}

impl Planning<'_, '_, '_> {
    fn decide_all(&mut self) -> Result<(), PlanningError> {
        let window = self.request.window;
        let (mut gone, mut there) = (BTreeMap::new(), Vec::new());
        for id in self.past.changed(window.before.0, window.after.0)? {
            if !self.is_chosen(&id)? {
                continue;
            }
            let Some(before) = self.past.at(&id, window.before.0)? else {
                self.take_made(&id)?;
                continue;
            };
            let states = FileStates {
                after: self.past.at(&id, window.after.0)?.as_deref().cloned(),
                later: self.past.later(&id, window.after.0, window.now)?,
                now: self.past.at(&id, window.now)?.as_deref().cloned(),
                before: Some((*before).clone()),
            };
            if before.attributes.mime_type.is_empty() {
                self.lost(&id, "what it was could not be read when it was captured".to_owned());
                continue;
            }
            match decide(&states) {
                None => {}
                Some(Decision::Make) => drop(gone.insert(id, before)),
                Some(decision) => there.push((id, states, decision)),
            }
        }
        for (id, states, decision) in there {
            self.take(&id, &states, decision)?;
        }
        self.leave_used_folders()?;
        self.make_all(&gone)
    }

    /// Tells whether a file is meant, by itself or with a folder above it.
    pub(super) fn is_chosen(&mut self, id: &str) -> Result<bool, PlanningError> {
        let selection = &self.request.selection;
        if selection.keys.is_empty() {
            return Ok(true);
        }
        if selection.deeds {
            let itself = selection.has(&source_google::drive::file_key(id));
            // What is gone went with its folder.
            if itself || self.past.at(id, self.request.window.after.0)?.is_some() {
                return Ok(itself);
            }
        }
        let chain = self.past.chain(id, self.request.window.before.0)?;
        Ok(chain.iter().any(|id| selection.has(&source_google::drive::file_key(id))))
    }

    /// Decides about a file that came within the window: where it is known who made it, it goes into the trash, from which
    /// it can be taken again.
    fn take_made(&mut self, id: &str) -> Result<(), PlanningError> {
        let window = self.request.window;
        if !self.request.selection.deeds || self.request.selection.keys.is_empty() {
            return Ok(());
        }
        let Some(now) = self.past.at(id, window.now)?.filter(|now| !now.attributes.trashed) else {
            return Ok(());
        };
        if !self.past.later(id, window.after.0, window.now)?.is_empty() {
            self.conflict(id, "it was made by the actor, and somebody has changed it since".to_owned());
            return Ok(());
        }
        let depth = self.past.depth(id, window.now)?;
        let name = now.attributes.name.clone();
        self.rubbish.insert(
            id.to_owned(),
            ChangeRow { id: id.to_owned(), name, depth, trash: Some(true), ..ChangeRow::default() },
        );
        Ok(())
    }

    /// Leaves those made folders alone in which somebody else has put something: with them, that would go as well.
    fn leave_used_folders(&mut self) -> Result<(), PlanningError> {
        let window = self.request.window;
        if self.rubbish.is_empty() {
            return Ok(());
        }
        let mut used = BTreeSet::new();
        for id in self.past.live(window.now)? {
            let Some(known) = self.past.at(&id, window.now)? else { continue };
            if known.attributes.trashed || self.rubbish.contains_key(&id) {
                continue;
            }
            let mut folder = known.attributes.parents.first().cloned();
            while let Some(id) = folder.filter(|folder| self.rubbish.contains_key(folder)) {
                folder = self.past.parent(&id, window.now)?;
                if !used.insert(id) {
                    break;
                }
            }
        }
        for id in used {
            self.rubbish.remove(&id);
            self.conflict(
                &id,
                "it was made by the actor, and something of somebody else is in it".to_owned(),
            );
        }
        Ok(())
    }

    fn take(&mut self, id: &str, states: &FileStates, decision: Decision) -> Result<(), PlanningError> {
        let (Some(before), Some(now)) = (&states.before, &states.now) else {
            self.take_gone(id, decision);
            return Ok(());
        };
        let sharing = self.sharing(states)?;
        let name = &before.attributes.name;
        let depth = self.past.depth(id, self.request.window.before.0)?;
        let is_shared = !sharing.narrower.is_empty() || !sharing.wider.is_empty();
        let told = !sharing.kept.is_empty() || !sharing.lost.is_empty();
        if !sharing.kept.is_empty() {
            self.conflict(id, again(&sharing.kept));
        }
        for reason in &sharing.lost {
            self.lost(id, reason.clone());
        }
        let share = |changes: Vec<GrantChange>| ShareRow {
            id: id.to_owned(),
            name: name.clone(),
            depth,
            changes,
            below: Vec::new(),
        };
        if !sharing.narrower.is_empty() {
            self.narrower.entry(id.to_owned()).or_insert_with(|| share(Vec::new())).changes =
                sharing.narrower;
        }
        if !sharing.wider.is_empty() {
            self.wider.insert(id.to_owned(), share(sharing.wider));
        }
        self.note_below(id, &sharing.from_above)?;
        match decision {
            Decision::Unchanged if !is_shared && !told => self.planner.unchanged(),
            Decision::Unchanged | Decision::Make => {}
            Decision::Change(change) => self.take_change(id, depth, before, now, change),
            Decision::Conflict(reason) => self.conflict(id, reason),
            Decision::Loss(reason) => self.lost(id, reason),
        }
        Ok(())
    }

    fn take_gone(&mut self, id: &str, decision: Decision) {
        match decision {
            Decision::Conflict(reason) => self.conflict(id, reason),
            Decision::Loss(reason) => self.lost(id, reason),
            Decision::Unchanged | Decision::Make | Decision::Change(_) => {}
        }
    }

    fn take_change(&mut self, id: &str, depth: u32, before: &Known, now: &Known, change: Change) {
        if !change.kept.is_empty() {
            self.conflict(id, again(&change.kept));
        }
        for reason in &change.lost {
            self.lost(id, reason.clone());
        }
        let name = before.attributes.name.clone();
        let row = ChangeRow { id: id.to_owned(), name, depth, ..ChangeRow::default() };
        if change.untrash {
            self.untrashed.insert(id.to_owned(), ChangeRow { trash: Some(false), ..row.clone() });
        }
        let content = change.content.then(|| ContentChange {
            media_type: content_type(&before.attributes),
            bytes: before.bytes,
            to: ContentMark::of(&before.attributes),
            from: ContentMark::of(&now.attributes),
        });
        if content.is_some() || change.place.is_some() || !change.fields.is_empty() {
            self.changed.insert(
                id.to_owned(),
                ChangeRow { place: change.place, fields: change.fields, content, ..row },
            );
        }
    }

    fn sharing(&mut self, states: &FileStates) -> Result<Sharing, PlanningError> {
        let window = self.request.window;
        let (Some(before), Some(now)) = (&states.before, &states.now) else { return Ok(Sharing::default()) };
        let after = states.after.as_ref().unwrap_or(now);
        let above = [self.past.folder(before, window.before.0)?, self.past.folder(after, window.after.0)?];
        let [was, became] = above.each_ref().map(|folder| folder.as_ref().map(|folder| &folder.attributes));
        Ok(sharing::decide(
            Place { file: &before.attributes, folder: was },
            Place { file: &after.attributes, folder: became },
            &states.later,
            &now.attributes,
            |time| is_over(time, window.after.1),
        ))
    }

    /// Notes of a file that has a permission from a folder, where that is taken away: it may have it by itself as well.
    fn note_below(&mut self, id: &str, permissions: &[String]) -> Result<(), PlanningError> {
        let window = self.request.window;
        for permission in permissions {
            let mut top = None;
            for folder in self.past.chain(id, window.after.0)?.into_iter().skip(1) {
                let has = |known: Option<Rc<Known>>| {
                    known.is_some_and(|known| {
                        known.attributes.permissions.iter().any(|one| one.id == *permission)
                    })
                };
                let (was, became) =
                    (self.past.at(&folder, window.before.0)?, self.past.at(&folder, window.after.0)?);
                if was.is_none() || has(was) || !has(became) {
                    break;
                }
                top = Some(folder);
            }
            let Some(top) = top else { continue };
            let depth = self.past.depth(&top, window.before.0)?;
            let name = self.past.at(&top, window.before.0)?.map(|known| known.attributes.name.clone());
            let row = self.narrower.entry(top.clone()).or_insert_with(|| ShareRow {
                id: top,
                name: name.unwrap_or_default(),
                depth,
                ..ShareRow::default()
            });
            if row.below.last().is_none_or(|last| last != id) {
                row.below.push(id.to_owned());
            }
        }
        Ok(())
    }
}

/// Tells whether a time had come. What ends between the window's end and now is planned: Google refuses an end that has
/// passed, and that is told when the plan is applied.
fn is_over(time: &str, at: model::Moment) -> bool {
    time.parse::<jiff::Timestamp>().is_ok_and(|time| time.as_microsecond() <= at.as_micros())
}

/// Returns the media type in which a content is stored.
fn content_type(attributes: &FileAttributes) -> String {
    match attributes.kind() {
        FileKind::Editor => attributes.export.clone().unwrap_or_default(),
        _ => attributes.mime_type.clone(),
    }
}

impl Planning<'_, '_, '_> {
    /// Decides where what is gone comes back.
    fn make_all(&mut self, gone: &BTreeMap<String, Rc<Known>>) -> Result<(), PlanningError> {
        let window = self.request.window;
        self.drop_lost_places(gone)?;
        let (mut homeless, mut orphans) = (0_u64, BTreeSet::new());
        for (id, known) in gone {
            let mut parent = known.attributes.parents.first().cloned();
            if let Some(folder) = &parent
                && !known.attributes.trashed
                && !self.will_be_live(folder, gone)?
            {
                homeless += 1;
                orphans.insert(folder.clone());
                parent = None;
            }
            let depth = self.past.depth(id, window.before.0)?;
            self.made.push(make_row(id, known, parent, depth));
            if known.attributes.explicitly_trashed {
                let row = ChangeRow {
                    id: id.clone(),
                    name: known.attributes.name.clone(),
                    depth,
                    trash: Some(true),
                    ..ChangeRow::default()
                };
                self.changed.insert(id.clone(), row);
            }
            let folder = self.past.folder(known, window.before.0)?;
            let place =
                Place { file: &known.attributes, folder: folder.as_ref().map(|folder| &folder.attributes) };
            let changes = sharing::given_anew(place, |time| is_over(time, window.after.1));
            if !changes.is_empty() {
                let (id, name) = (id.clone(), known.attributes.name.clone());
                self.wider.insert(id.clone(), ShareRow { id, name, depth, changes, below: Vec::new() });
            }
        }
        if homeless > 0 {
            self.planner.note(format!(
                "{homeless} files come into the top folder: {} folders that they were in are gone, or in the trash, and do \
                 not come back with this plan",
                orphans.len()
            ));
        }
        Ok(())
    }

    /// Leaves those where they are whose folder is gone, or in the trash, and does not come back.
    fn drop_lost_places(&mut self, gone: &BTreeMap<String, Rc<Known>>) -> Result<(), PlanningError> {
        let place = |row: &ChangeRow| row.place.as_ref().map(|place| (row.id.clone(), place.to.clone()));
        let places: Vec<(String, String)> = self.changed.values().filter_map(place).collect();
        for (id, folder) in places {
            if self.will_be_live(&folder, gone)? {
                continue;
            }
            self.conflict(
                &id,
                "the folder that it was in does not come back: it stays where it is".to_owned(),
            );
            if let Some(row) = self.changed.get_mut(&id) {
                row.place = None;
                if row.fields.is_empty() && row.content.is_none() {
                    self.changed.remove(&id);
                }
            }
            self.live.clear();
        }
        Ok(())
    }

    /// Tells whether a folder will be there, and not in the trash, once the plan is applied.
    fn will_be_live(
        &mut self,
        folder: &str,
        gone: &BTreeMap<String, Rc<Known>>,
    ) -> Result<bool, PlanningError> {
        let window = self.request.window;
        let (mut path, mut next, mut is_live) = (Vec::new(), Some(folder.to_owned()), true);
        while let Some(id) = next.take() {
            if let Some(known) = self.live.get(&id) {
                is_live = *known;
                break;
            }
            if path.contains(&id) {
                break;
            }
            if let Some(known) = gone.get(&id) {
                // Wherever it comes itself.
                is_live = !known.attributes.trashed;
                path.push(id);
                break;
            }
            let (was, known) = (self.past.at(&id, window.before.0)?, self.past.at(&id, window.now)?);
            // What was never in this drive's stream is a top folder, or somebody else's.
            is_live = known.as_ref().map_or(was.is_none(), |is| {
                !is.attributes.explicitly_trashed || self.untrashed.contains_key(&id)
            });
            let moved =
                self.changed.get(&id).and_then(|row| row.place.as_ref()).map(|place| place.to.clone());
            path.push(id);
            if !is_live {
                break;
            }
            next = moved.or_else(|| known.and_then(|known| known.attributes.parents.first().cloned()));
        }
        for id in path {
            self.live.insert(id, is_live);
        }
        Ok(is_live)
    }

    pub(super) fn conflict(&mut self, id: &str, reason: String) {
        self.planner.conflict(&self.request.account, id, reason);
    }

    pub(super) fn lost(&mut self, id: &str, reason: String) {
        self.planner.loss(format!("{}: {id}", self.request.account), reason);
    }
}

/// Returns what is made of a file.
pub(super) fn making(attributes: &FileAttributes) -> Making {
    match attributes.kind() {
        FileKind::Folder => Making::Folder,
        FileKind::Shortcut => Making::Shortcut,
        FileKind::Binary => Making::Binary,
        FileKind::Editor if is_importable(attributes) => Making::Document,
        FileKind::Editor => Making::Exported,
    }
}

/// Returns the line of a file that is made anew.
pub(super) fn make_row(id: &str, known: &Known, parent: Option<String>, depth: u32) -> MakeRow {
    let attributes = &known.attributes;
    let making = making(attributes);
    let has_body = !matches!(making, Making::Folder | Making::Shortcut);
    MakeRow {
        id: id.to_owned(),
        name: attributes.name.clone(),
        making,
        parent,
        depth,
        media_type: has_body.then(|| content_type(attributes)),
        bytes: known.bytes,
    }
}
