//! Putting what was drawn into the sandbox, by a plan like any other.

use std::collections::{BTreeMap, BTreeSet};

use connect::{
    Stop,
    plan::{AppliedReport, ApplyMode, PlanFolder, SourceWriter, WriteError},
};
use drill::{Candidate, Check, Sample};
use google_recovery::{
    Destination, GoogleWriter, Selection,
    sandbox::{GUESTS_REFUSED, is_stand_in, make_drive},
};
use serde_json::Value;

use super::{
    Domain, Drilling,
    describe::{self, member_identity},
    places::{DIRECTORY, Place, Places, SHARED_DRIVES, members_of},
    refused,
    things::{Stored, series_of},
};
use crate::{
    commands::{
        drill::room::ScratchFolder,
        google::{
            StoredAccount,
            rewind::{Back, Span, plan_part, plan_parts},
        },
    },
    failure::Failure,
};

const PUT_IN: &str = "the sandbox took everything that was put in";
const STAND_INS: &str = "the sandbox takes addresses that stand for people";
const ATTENDEES: &str = "attendees/";

/// A place's things that go into the sandbox.
pub(super) struct Move<'p> {
    pub(super) place: &'p Place,
    /// Which of them; empty for all.
    keys: Vec<String>,
}

/// What came of putting everything in.
pub(super) struct Put {
    pub(super) check: Check,
    /// The shared drives of the sandbox, by the ids of those that they were made for.
    pub(super) drives: BTreeMap<String, String>,
    /// Members of shared drives whom nobody stands for.
    pub(super) foreign: Option<Check>,
    pub(super) refused: Refused,
}

/// What the sandbox did not take because of addresses that stand for people: that says nothing of the copy.
#[derive(Default)]
pub(super) struct Refused {
    /// What the members are found by.
    members: BTreeSet<String>,
    /// The keys of events that are there without their guests.
    events: BTreeSet<String>,
    pub(super) check: Option<Check>,
}

impl Refused {
    /// Takes what was left aside for that reason, and returns how much was for others.
    fn of(report: &AppliedReport) -> (Self, u64) {
        let (mut refused, mut reasons) = (Self::default(), BTreeSet::new());
        for conflict in &report.conflicts {
            let member = conflict.key.split_once('/').filter(|(_, member)| is_stand_in(member));
            if let Some((group, member)) = member {
                refused.members.insert(format!("{DIRECTORY} {}", member_identity(group, member)));
            } else if conflict.reason.starts_with(GUESTS_REFUSED) {
                refused.events.insert(format!("event/{}", conflict.key));
            } else {
                continue;
            }
            reasons.insert(conflict.reason.clone());
        }
        let count = (refused.members.len() + refused.events.len()) as u64;
        if count > 0 {
            let reasons = reasons.into_iter().take(3).collect::<Vec<_>>().join("; ");
            refused.check = Some(Check::not_checked(
                STAND_INS,
                format!(
                    "{} members of groups are not there, and {} events are without their guests: {reasons}",
                    refused.members.len(),
                    refused.events.len()
                ),
            ));
        }
        (refused, report.counts.conflicts.saturating_sub(count))
    }

    /// Takes from what must be there what the sandbox refused.
    pub(super) fn excuse(&self, stored: &mut Stored) {
        if stored.thing.kind == describe::MEMBER && self.members.contains(&stored.identity) {
            stored.readable = false;
        }
        if stored.thing.kind == describe::EVENT && self.events.contains(&stored.thing.key) {
            // The guests stand in the text.
            stored.thing.aspects.retain(|name, _| !name.starts_with(ATTENDEES) && name != "description");
        }
    }
}

impl Domain<'_> {
    /// Says for each place what of it goes into the sandbox.
    pub(super) fn moves<'p>(
        &self,
        places: &'p [Place],
        candidates: &[Candidate],
        sample: &Sample,
    ) -> Vec<Move<'p>> {
        let with_keys = |place: &'p Place| {
            let (stored, stream) = (&self.stored.stored, &place.of.stream);
            let of_place = |chosen: &&usize| candidates[**chosen].stream == stream.as_str();
            let mut keys: BTreeSet<String> =
                sample.chosen.iter().filter(of_place).map(|&chosen| candidates[chosen].key.clone()).collect();
            // No key at all would mean everything.
            let is_any = !keys.is_empty();
            if self.drilling.asked.whole {
                keys.clear();
            }
            // What differs in a series goes along with it.
            let series: Vec<String> =
                keys.iter().filter_map(|key| series_of(stored, stream, key, self.stored.at)).collect();
            keys.extend(series);
            is_any.then(|| Move { place, keys: keys.into_iter().collect() })
        };
        places.iter().filter_map(with_keys).collect()
    }

    /// Puts everything into the sandbox.
    pub(super) fn put_in(
        &self,
        moves: &[Move<'_>],
        scratch: &ScratchFolder,
        stop: &Stop,
    ) -> Result<Put, Failure> {
        let Drilling { context, progress, .. } = self.drilling;
        let (sandbox, domain) = (&self.sandbox, &self.stored);
        let api = sandbox.settings.writer(context, &self.secrets, &sandbox.credential, stop)?;
        let (drives, foreign) = self.make_drives(&api, moves)?;
        let path = scratch.0.join("plan");
        ports::files::create_folder(&path)?;
        let folder = PlanFolder::new(path);
        let span = Span { before: domain.at, after: domain.at };
        progress.phase("planning", None);
        let plan = plan_parts(context, domain, &domain.stored, span, &folder, &mut |planner, window| {
            for to_move in moves.iter().filter(|to_move| to_move.place.of.stream.as_str() != SHARED_DRIVES) {
                let place = to_move.place;
                let drive = place.shared_drive().and_then(|drive| drives.get(drive).cloned());
                let back = Back {
                    account: StoredAccount {
                        part: place.of.part,
                        account: place.of.account.clone(),
                        stream: place.of.stream.clone(),
                    },
                    span,
                    destination: Destination::Sandbox(self.sandbox_of(&place.receiver, drive)),
                    selection: Selection { keys: to_move.keys.clone(), ..Selection::default() },
                };
                plan_part(planner, place.of.part, &back.request(window), domain)?;
            }
            Ok(())
        })?;
        progress.phase("putting things into the sandbox", None);
        let journal = folder.path().join("applied.jsonl");
        let mut writer = GoogleWriter::new(&api, &domain.stored, journal, domain.config.threads);
        let report = match writer.apply(&plan, &folder, ApplyMode::Lasting, *progress) {
            Ok(report) => report,
            Err(error) => {
                let check = self.not_put(error)?;
                return Ok(Put { check, drives, foreign, refused: Refused::default() });
            }
        };
        let (refused, conflicts) = Refused::of(&report);
        let put = report.counts.inserted + report.counts.objects;
        let check = if conflicts == 0 {
            Check::passed(PUT_IN, format!("{put} things"))
        } else {
            let some: Vec<String> = report
                .conflicts
                .iter()
                .take(3)
                .map(|conflict| format!("{} {}: {}", conflict.target, conflict.key, conflict.reason))
                .collect();
            let text = format!("{put} things; {conflicts} were left aside: {}", some.join("; "));
            Check::failed(PUT_IN, text)
        };
        Ok(Put { check, drives, foreign, refused })
    }

    /// Tells what it means that not everything could be put in: a finding, unless it is the sandbox that does not take it.
    fn not_put(&self, error: WriteError) -> Result<Check, Failure> {
        self.drilling.check_time()?;
        match error {
            error @ (WriteError::Privilege { .. } | WriteError::Source { transient: true, .. }) => {
                Err(refused(error, "the sandbox does not take what is put in"))
            }
            error => Ok(Check::failed(PUT_IN, vault::error_text(&error))),
        }
    }

    /// Makes a shared drive for each of which something goes into the sandbox.
    fn make_drives(
        &self,
        api: &google_api::WriteApi,
        moves: &[Move<'_>],
    ) -> Result<(BTreeMap<String, String>, Option<Check>), Failure> {
        let domain = &self.stored;
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        for to_move in moves {
            wanted.extend(to_move.place.shared_drive().map(str::to_owned));
            if to_move.place.of.stream.as_str() == SHARED_DRIVES {
                let keys = if to_move.keys.is_empty() {
                    super::things::keys(&domain.stored, &to_move.place.of.stream, domain.at)?
                } else {
                    to_move.keys.clone()
                };
                let drive = |key: &String| Some(key.strip_prefix("member/")?.split_once('/')?.0.to_owned());
                wanted.extend(keys.iter().filter_map(drive));
            }
        }
        let sandbox = self.sandbox_of(&self.sandbox.admin(), None);
        let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for drive in wanted {
            let members = members_of(domain, &drive)?;
            all.insert(drive, members);
        }
        let mut made = BTreeMap::new();
        for (drive, members) in &all {
            let id = make_drive(api, &domain.stored, &sandbox, drive, members, domain.at)
                .map_err(|error| refused(error, "the sandbox has no room for a shared drive"))?;
            made.insert(drive.clone(), id);
        }
        Ok((made, Places::foreign_members(domain, &sandbox, &all)))
    }
}
