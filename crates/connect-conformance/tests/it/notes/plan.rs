//! Planning: what becomes of each note, decided once.

use std::{io::Write, time::Duration};

use connect::{
    StoredVersion,
    fidelity::{Fidelity, Grade, Way},
    plan::{Action, Counts, Loss, PLAN_FORMAT, Plan, PlanFolder, Step, Subject},
};
use connect_conformance::Undo;
use connect_http::{Charge, Workload, estimate};
use model::{Moment, StreamName};
use serde::{Deserialize, Serialize};

use super::{
    api::{NoteAttributes, POOL, pools},
    service::PAGE,
};

/// A line of the plan's attachment: a note as it is to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) attributes: NoteAttributes,
    /// The version that the service has now as far as the plan knows; absent: the note is gone and is made anew.
    pub(crate) expected: Option<u64>,
}

/// Returns what becomes of a note in each way of bringing it back.
pub(crate) fn promises() -> Vec<Fidelity> {
    vec![
        Fidelity::new("note", Way::InPlace)
            .exact(&["text", "folder", "tags", "id"])
            .lost("sharing", "whom a note is shown to is for its owner to say again"),
        Fidelity::new("note", Way::MadeAnew)
            .exact(&["text", "folder", "tags"])
            .lost("id", "the service gives a new one")
            .lost("sharing", "whom a note is shown to is for its owner to say again"),
    ]
}

/// Plans the undo of what happened to a user's notes.
pub(crate) fn plan(undo: &Undo<'_>, user: &str, folder: &PlanFolder) -> Plan {
    let stream = StreamName::new(format!("notes/{user}")).unwrap();
    let (mut anew, mut back) = (Vec::new(), Vec::new());
    for id in undo.past.changed(&stream, undo.before, undo.after).unwrap() {
        let version = |at| undo.past.version(&stream, &id, at).unwrap();
        // What came within the window stays.
        let Some(was) = version(undo.before).filter(|was| was.has_content) else { continue };
        let text = undo.past.content(&stream, &id, undo.before).unwrap();
        let (attributes, now) = (attributes(&was), version(undo.after).map(|now| self::attributes(&now)));
        let expected = now.map(|now| now.version);
        let row = Row { id, text: String::from_utf8(text).unwrap(), attributes, expected };
        if expected.is_some() { back.push(row) } else { anew.push(row) }
    }
    let (inserted, reverted) = (anew.len() as u64, back.len() as u64);
    let live = undo.past.live_keys(&stream, undo.after, None, u32::MAX).unwrap().len() as u64;
    let (mut steps, mut attachments) = (Vec::new(), Vec::new());
    for (rows, action, name) in
        [(anew, Action::Insert, "notes/anew.jsonl"), (back, Action::Revert, "notes/back.jsonl")]
    {
        if rows.is_empty() {
            continue;
        }
        let mut writer = folder.create(name).unwrap();
        for row in &rows {
            writeln!(writer, "{}", serde_json::to_string(row).unwrap()).unwrap();
        }
        attachments.push(writer.finish().unwrap());
        steps.push(Step {
            number: steps.len() as u32 + 1,
            title: format!("bring {} notes back", rows.len()),
            target: user.to_owned(),
            action,
            rows: rows.len() as u64,
            attachment: Some(name.to_owned()),
            details: serde_json::Value::Null,
        });
    }
    let duration = duration(live, inserted, reverted);
    let losses = promises().into_iter().flat_map(|promise| promise.aspects);
    let losses = losses.filter(|aspect| aspect.grade != Grade::Exact);
    Plan {
        format: PLAN_FORMAT,
        id: "notes".to_owned(),
        source: "notes".to_owned(),
        subject: Subject { title: format!("what happened to the notes of {user}"), position: None, at: None },
        destination: user.to_owned(),
        base: format!("commit {}", undo.before),
        made_at: Moment::from_micros(0),
        steps,
        conflicts: Vec::new(),
        losses: losses
            .map(|aspect| Loss { target: aspect.name, reason: aspect.reason.unwrap_or_default() })
            .collect(),
        notes: Vec::new(),
        counts: Counts { inserted, reverted, ..Counts::default() },
        attachments,
        fidelity: promises(),
        duration_s: Some(duration.as_secs_f64().ceil() as u64),
    }
}

/// Adds up the calls of applying and verifying: one listing before, one for each note, one listing after.
fn duration(live: u64, inserted: u64, reverted: u64) -> Duration {
    let pages = |notes: u64| notes.div_ceil(PAGE as u64).max(1);
    let mut workload = Workload::default();
    let calls = pages(live) + inserted + reverted + pages(live + inserted);
    workload.add(&[Charge::shared(POOL, 1)], calls);
    estimate(&pools(), &workload, 1, 0.0).unwrap()
}

fn attributes(version: &StoredVersion) -> NoteAttributes {
    NoteAttributes::of_text(&version.item.item.attributes).unwrap_or_default()
}
