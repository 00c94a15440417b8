//! Planning what happens to a drive, out of what is stored.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
};

use connect::fidelity::Way;
use connect::plan::Action;
use google_api::{WriteApi, method};
use source_google::drive::{FileAttributes, FileKind};

use super::{
    decide::{Change, Decision, FileStates, Known, again, decide, is_importable},
    past::Past,
    promise,
    rows::{ChangeRow, ContentChange, ContentMark, GrantChange, MakeRow, Making, ShareRow},
    sharing::{self, Place, Sharing},
    step::DriveStep,
    subject::{Target, drive_name, known_organizer},
};
use crate::{Destination, Planner, PlanningError, Request, planner::NewStep, step::StepDetails};

const SHARED_PREFIX: &str = "shared-drive/";
/// What a plan calls the folder into which everything comes, in place of an id.
const ORIGIN: &str = "unwipe:origin";

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
            narrower: BTreeMap::new(),
            wider: BTreeMap::new(),
            live: HashMap::new(),
        };
        match &request.destination {
            Destination::InPlace => planning.decide_all()?,
            Destination::OtherUser { .. } => planning.take_all(shared.as_deref())?,
        }
        planning.finish()
    }
}

struct Planning<'r, 'q, 'p> {
    request: &'r Request,
    planner: &'q mut Planner<'p>,
    past: Past<'p>,
    target: Target,
    made: Vec<MakeRow>,
    changed: BTreeMap<String, ChangeRow>,
    untrashed: BTreeMap<String, ChangeRow>,
    narrower: BTreeMap<String, ShareRow>,
    wider: BTreeMap<String, ShareRow>,
    /// Whether files will be there, and not in the trash, once the plan is applied.
    live: HashMap<String, bool>,
}

impl Planning<'_, '_, '_> {
    fn decide_all(&mut self) -> Result<(), PlanningError> {
        let window = self.request.window;
        let (mut gone, mut there) = (BTreeMap::new(), Vec::new());
        for id in self.past.changed(window.before.0, window.after.0)? {
            let Some(before) = self.past.at(&id, window.before.0)? else { continue };
            if !self.is_chosen(&id)? {
                continue;
            }
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
        self.make_all(&gone)
    }

    /// Tells whether a file is meant, by itself or with a folder above it.
    fn is_chosen(&mut self, id: &str) -> Result<bool, PlanningError> {
        let selection = &self.request.selection;
        if selection.keys.is_empty() {
            return Ok(true);
        }
        let chain = self.past.chain(id, self.request.window.before.0)?;
        Ok(chain.iter().any(|id| selection.has(&source_google::drive::file_key(id))))
    }

    fn take(&mut self, id: &str, states: &FileStates, decision: Decision) -> Result<(), PlanningError> {
        let (Some(before), Some(now)) = (&states.before, &states.now) else {
            return self.take_gone(id, decision);
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
            self.narrower.entry(id.to_owned()).or_insert_with(|| share(Vec::new())).changes = sharing.narrower;
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

    fn take_gone(&mut self, id: &str, decision: Decision) -> Result<(), PlanningError> {
        match decision {
            Decision::Conflict(reason) => self.conflict(id, reason),
            Decision::Loss(reason) => self.lost(id, reason),
            Decision::Unchanged | Decision::Make | Decision::Change(_) => {}
        }
        Ok(())
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
                    known.is_some_and(|known| known.attributes.permissions.iter().any(|one| one.id == *permission))
                };
                let (was, became) = (self.past.at(&folder, window.before.0)?, self.past.at(&folder, window.after.0)?);
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

/// Tells whether a time had come.
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
            let place = Place {
                file: &known.attributes,
                folder: folder.as_ref().map(|folder| &folder.attributes),
            };
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

    /// Tells whether a folder will be there, and not in the trash, once the plan is applied.
    fn will_be_live(&mut self, folder: &str, gone: &BTreeMap<String, Rc<Known>>) -> Result<bool, PlanningError> {
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
            let moved = self.changed.get(&id).and_then(|row| row.place.as_ref()).map(|place| place.to.clone());
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

    /// Takes every file that was there and not in the trash.
    fn take_all(&mut self, shared: Option<&str>) -> Result<(), PlanningError> {
        let at = self.request.window.before.0;
        let (mut trashed, mut shared_files) = (0_u64, 0_u64);
        for id in self.past.live(at)? {
            let Some(known) = self.past.at(&id, at)?.filter(|_| !id.is_empty()) else { continue };
            let is_top = known.attributes.parents.is_empty() && known.attributes.kind() == FileKind::Folder;
            if is_top || !self.is_chosen(&id)? {
                continue;
            }
            if known.attributes.trashed {
                trashed += 1;
                continue;
            }
            let has_body = matches!(known.attributes.kind(), FileKind::Binary | FileKind::Editor);
            if has_body && !known.has_content {
                self.lost(&id, "its content could not be read when it was captured".to_owned());
                continue;
            }
            shared_files += u64::from(known.attributes.permissions.len() > 1);
            let parent = match known.attributes.parents.first() {
                Some(parent) => self.past.at(parent, at)?.filter(|above| !above.attributes.parents.is_empty() || above.attributes.drive_id.is_some()).map(|_| parent.clone()),
                None => None,
            };
            let is_in = match &parent {
                Some(parent) => self.is_chosen(parent)?,
                None => false,
            };
            let parent = parent.filter(|_| is_in).unwrap_or_else(|| ORIGIN.to_owned());
            let depth = self.past.depth(&id, at)?;
            self.made.push(make_row(&id, &known, Some(parent), depth));
        }
        if self.made.is_empty() {
            return Ok(());
        }
        let name = match shared {
            Some(drive) => drive_name(self.planner.past, drive, at)?.unwrap_or_else(|| drive.to_owned()),
            None => self.request.account.clone(),
        };
        let name = format!("From {name}");
        self.planner.note(format!("everything comes into a new folder {name:?}"));
        if trashed > 0 {
            self.planner.note(format!("{trashed} files lay in the trash and are left out"));
        }
        if shared_files > 0 {
            let reason = format!("{shared_files} files were shared; in another user's drive they are not");
            self.planner.loss(format!("{}: permissions", self.request.account), reason);
        }
        self.made.push(MakeRow {
            id: ORIGIN.to_owned(),
            name,
            making: Making::Folder,
            parent: None,
            depth: 0,
            media_type: None,
            bytes: 0,
        });
        Ok(())
    }

    fn conflict(&mut self, id: &str, reason: String) {
        self.planner.conflict(&self.request.account, id, reason);
    }

    fn lost(&mut self, id: &str, reason: String) {
        self.planner.loss(format!("{}: {id}", self.request.account), reason);
    }

    fn finish(mut self) -> Result<(), PlanningError> {
        let narrower = by_depth(std::mem::take(&mut self.narrower), |row| row.depth);
        let wider = by_depth(std::mem::take(&mut self.wider), |row| row.depth);
        let untrashed = by_depth(std::mem::take(&mut self.untrashed), |row| row.depth);
        let all = by_depth(std::mem::take(&mut self.changed), |row| row.depth);
        let (again, changed): (Vec<_>, Vec<_>) = all.into_iter().partition(|row| row.trash == Some(true));
        let mut made = std::mem::take(&mut self.made);
        made.sort_by(|one, other| (one.depth, &one.id).cmp(&(other.depth, &other.id)));
        self.count_calls(&[&narrower, &wider], &[&untrashed, &changed, &again], &made);
        // What strangers may do is taken away before anything else, and given again last.
        self.add_sharing(Action::Remove, &narrower, "take away permissions that were added, on")?;
        self.add_change(&untrashed, "untrash", format!("take {} out of the trash", items(untrashed.len())))?;
        self.add_making(&made, |making| making == Making::Folder)?;
        self.add_change(&changed, "changes", format!("set {} back", items(changed.len())))?;
        self.add_making(&made, |making| matches!(making, Making::Binary | Making::Document | Making::Exported))?;
        self.add_making(&made, |making| making == Making::Shortcut)?;
        self.add_sharing(Action::Redefine, &wider, "give permissions again, on")?;
        let title = format!("put {} into the trash again, where they were", items(again.len()));
        self.add_change(&again, "trash", title)
    }

    fn add_sharing(&mut self, action: Action, rows: &[ShareRow], what: &str) -> Result<(), PlanningError> {
        let target = self.target.clone();
        let in_place = (promise::PERMISSION, Way::InPlace);
        self.planner.step(NewStep {
            title: format!("{what} {}", items(rows.len())),
            target: &self.request.account,
            action,
            name: "sharing",
            rows,
            details: StepDetails::Drive(DriveStep::Share { drive: target }),
            promise: in_place,
        })
    }

    fn add_change(&mut self, rows: &[ChangeRow], name: &'static str, title: String) -> Result<(), PlanningError> {
        let window = self.request.window;
        for row in rows {
            let known = self.past.at(&row.id, window.before.0)?;
            if let Some(known) = known.filter(|_| row.trash != Some(true)) {
                self.planner.promise((promise::kind(making(&known.attributes)), Way::InPlace));
            }
        }
        let details = DriveStep::Change {
            drive: self.target.clone(),
            stream: self.request.stream.as_str().to_owned(),
            at: window.before.0,
        };
        self.planner.step(NewStep {
            title,
            target: &self.request.account,
            action: Action::Revert,
            name,
            rows,
            details: StepDetails::Drive(details),
            promise: (promise::FILE, Way::InPlace),
        })
    }

    fn add_making(&mut self, all: &[MakeRow], wanted: impl Fn(Making) -> bool) -> Result<(), PlanningError> {
        let rows: Vec<&MakeRow> = all.iter().filter(|row| wanted(row.making)).collect();
        let Some(first) = rows.first().map(|row| row.making) else { return Ok(()) };
        let (kind, is_folder) = (promise::kind(first), first == Making::Folder);
        for row in &rows {
            self.planner.promise((promise::kind(row.making), Way::MadeAnew));
        }
        // Files have their folders by then, in whatever order they come.
        let rows: Vec<MakeRow> = rows
            .into_iter()
            .map(|row| MakeRow { depth: if is_folder { row.depth } else { 0 }, ..row.clone() })
            .collect();
        let bytes: u64 = rows.iter().map(|row| row.bytes).sum();
        let what = match first {
            Making::Folder => "folders",
            Making::Shortcut => "shortcuts",
            Making::Binary | Making::Document | Making::Exported => "files",
        };
        let title = format!("make {} {what} anew{}", rows.len(), if bytes > 0 { format!(", {bytes} bytes") } else { String::new() });
        let details = DriveStep::Make {
            drive: self.target.clone(),
            stream: self.request.stream.as_str().to_owned(),
            at: self.request.window.before.0,
            are_gone: self.request.destination == Destination::InPlace,
        };
        let receiver = self.request.receiver();
        self.planner.step(NewStep {
            title,
            target: receiver,
            action: Action::Insert,
            name: what,
            rows: &rows,
            details: StepDetails::Drive(details),
            promise: (kind, Way::MadeAnew),
        })
    }

    fn count_calls(&mut self, shared: &[&[ShareRow]], changed: &[&[ChangeRow]], made: &[MakeRow]) {
        let subject = self.target.subject.clone();
        let (mut gets, mut updates, mut creates, mut lists) = (0, 0, 0, 0);
        for row in changed.iter().copied().flatten() {
            gets += 2;
            updates += row.content.as_ref().map_or(0, |content| WriteApi::upload_calls(content.bytes));
            updates += u64::from(row.content.is_none() || row.fields.len() > 1 || row.place.is_some());
        }
        for row in made {
            gets += 1 + u64::from(self.request.destination == Destination::InPlace);
            let is_small = row.media_type.is_none() || row.making != Making::Document && row.bytes <= 1 << 20;
            creates += if is_small { 1 } else { WriteApi::upload_calls(row.bytes) };
        }
        let (mut given, mut taken, mut set) = (0, 0, 0);
        for row in shared.iter().copied().flatten() {
            let looks = 2 + row.below.len() as u64;
            if self.target.shared.is_some() { lists += looks } else { gets += looks }
            for change in &row.changes {
                match (&change.from, &change.to) {
                    (_, None) => taken += 1,
                    (None, Some(_)) => given += 1,
                    (Some(_), Some(_)) => set += 1,
                }
            }
        }
        let some = u64::from(!made.is_empty());
        let calls = [
            (&method::RESTORE_FILES_GET, gets),
            (&method::RESTORE_FILES_UPDATE, updates),
            (&method::RESTORE_FILES_CREATE, creates),
            (&method::RESTORE_FILES_LIST, 3 * some),
            (&method::RESTORE_FILES_IDS, (made.len() as u64).div_ceil(1000) + 2 * some),
            (&method::RESTORE_PERMISSIONS_LIST, lists),
            (&method::RESTORE_PERMISSIONS_CREATE, given),
            (&method::RESTORE_PERMISSIONS_UPDATE, set),
            (&method::RESTORE_PERMISSIONS_DELETE, taken),
        ];
        for (method, count) in calls {
            self.planner.calls(&subject, method, count);
        }
    }
}

fn items(count: usize) -> String {
    if count == 1 { "1 item".to_owned() } else { format!("{count} items") }
}

fn by_depth<T>(rows: BTreeMap<String, T>, depth: impl Fn(&T) -> u32) -> Vec<T> {
    let mut rows: Vec<T> = rows.into_values().collect();
    rows.sort_by_key(depth);
    rows
}

fn making(attributes: &FileAttributes) -> Making {
    match attributes.kind() {
        FileKind::Folder => Making::Folder,
        FileKind::Shortcut => Making::Shortcut,
        FileKind::Binary => Making::Binary,
        FileKind::Editor if is_importable(attributes) => Making::Document,
        FileKind::Editor => Making::Exported,
    }
}

fn make_row(id: &str, known: &Known, parent: Option<String>, depth: u32) -> MakeRow {
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
