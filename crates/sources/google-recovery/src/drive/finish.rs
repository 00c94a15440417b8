//! What was planned for a drive as steps, in the order in which they are done.

use std::collections::BTreeMap;

use connect::{fidelity::Way, plan::Action};
use google_api::{WriteApi, method};

use super::{
    plan::{Planning, making},
    promise,
    rows::{ChangeRow, MakeRow, Making, ShareRow},
    step::DriveStep,
};
use crate::{Destination, PlanningError, planner::NewStep, step::StepDetails};

impl Planning<'_, '_, '_> {
    pub(super) fn finish(mut self) -> Result<(), PlanningError> {
        let narrower = by_depth(std::mem::take(&mut self.narrower), |row| row.depth);
        let wider = by_depth(std::mem::take(&mut self.wider), |row| row.depth);
        let untrashed = by_depth(std::mem::take(&mut self.untrashed), |row| row.depth);
        let rubbish = by_depth(std::mem::take(&mut self.rubbish), |row| row.depth);
        let all = by_depth(std::mem::take(&mut self.changed), |row| row.depth);
        let (again, changed): (Vec<_>, Vec<_>) = all.into_iter().partition(|row| row.trash == Some(true));
        let mut made = std::mem::take(&mut self.made);
        made.sort_by(|one, other| (one.depth, &one.id).cmp(&(other.depth, &other.id)));
        self.count_calls(&[&narrower, &wider], &[&untrashed, &changed, &again, &rubbish], &made);
        // What strangers may do is taken away before anything else, and given again last.
        self.add_sharing(Action::Remove, &narrower, "take away permissions that were added, on")?;
        self.add_change(
            Action::Revert,
            &untrashed,
            "untrash",
            format!("take {} out of the trash", items(untrashed.len())),
        )?;
        self.add_making(&made, |making| making == Making::Folder)?;
        self.add_change(Action::Revert, &changed, "changes", format!("set {} back", items(changed.len())))?;
        self.add_making(&made, |making| {
            matches!(making, Making::Binary | Making::Document | Making::Exported)
        })?;
        self.add_making(&made, |making| making == Making::Shortcut)?;
        self.add_sharing(Action::Redefine, &wider, "give permissions again, on")?;
        let title = format!("put {} into the trash again, where they were", items(again.len()));
        self.add_change(Action::Revert, &again, "trash", title)?;
        let title = format!("put {} that were made into the trash", items(rubbish.len()));
        self.add_change(Action::Remove, &rubbish, "rubbish", title)
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

    fn add_change(
        &mut self,
        action: Action,
        rows: &[ChangeRow],
        name: &'static str,
        title: String,
    ) -> Result<(), PlanningError> {
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
            action,
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
        let title = format!(
            "make {} {what} anew{}",
            rows.len(),
            if bytes > 0 { format!(", {bytes} bytes") } else { String::new() }
        );
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
            // What gets its content back is looked at once more just before.
            gets += 2 + u64::from(row.content.is_some());
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
            if self.target.shared.is_some() {
                lists += looks;
            } else {
                gets += looks;
            }
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
