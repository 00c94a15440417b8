//! The ground: notes of everybody go to one account of another tenant, are read again there, and are compared.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use connect::{Stop, testing::HeldItems};
use connect_conformance::Wanted;
use connect_http::{Request, Transport, http::Method};
use drill::{
    Against, Candidate, Check, Comparison, Extent, Findings, Ground, Sample, Swept, Tally, Thing, compare,
    draw,
};
use model::Redacted;
use ports::ManualClock;
use serde_json::json;

use super::{
    api::{Api, Entry, NoteAttributes},
    plan::promises,
    service::{ADDRESS, KEY},
    writer::NotesWriter,
};

/// What the origin of each note begins with that a drill made.
pub(crate) const MARK: &str = "unwipe drill of notes: ";
const NOTHING_MORE: &str = "nothing is there that was not put in";
const SEED: u64 = 7;
const SAMPLE: u64 = 3;

/// An account of a sandbox tenant.
pub(crate) struct NotesGround {
    stored: HeldItems,
    wanted: Wanted,
    receiver: String,
    writer: NotesWriter,
    drawn: Vec<Candidate>,
    extent: Extent,
}

fn words(error: impl std::error::Error) -> String {
    error.to_string()
}

/// Describes a note by the names of the promise; of a stored one and of one in the sandbox alike.
fn aspects(attributes: &NoteAttributes) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("text".to_owned(), attributes.digest.clone()),
        ("folder".to_owned(), attributes.folder.clone()),
        ("tags".to_owned(), attributes.tags.join(", ")),
    ])
}

impl NotesGround {
    pub(crate) fn new(
        stored: HeldItems,
        wanted: Wanted,
        receiver: &str,
        (transport, clock): (Arc<dyn Transport>, Arc<ManualClock>),
    ) -> Self {
        let api = Api::new(transport, Redacted::new(KEY.to_owned()), clock, Stop::default(), false);
        Self {
            stored,
            wanted,
            receiver: receiver.to_owned(),
            writer: NotesWriter { api },
            drawn: Vec::new(),
            extent: Extent::Whole,
        }
    }

    /// Lists the notes that drills made.
    fn made(&self) -> Result<Vec<(String, Entry)>, String> {
        let present = self.writer.present(&self.receiver).map_err(words)?;
        let own = |entry: Entry| Some((entry.origin.clone()?.strip_prefix(MARK)?.to_owned(), entry));
        Ok(present.by_id.into_values().filter_map(own).collect())
    }

    fn candidates(&self) -> Vec<Candidate> {
        let notes = self.stored.iter().filter(|((stream, _), _)| stream.as_str().starts_with("notes/"));
        notes
            .map(|((stream, key), item)| Candidate {
                stream: stream.to_string(),
                key: key.clone(),
                sequence: NoteAttributes::of_text(&item.attributes).map_or(0, |known| known.version),
                size_bytes: item.content.as_ref().map_or(0, |text| text.len() as u64),
            })
            .collect()
    }

    /// Returns what is stored of a note: its attributes, and its text where it could be read.
    fn stored(&self, note: &Candidate) -> Option<(NoteAttributes, Option<String>)> {
        let of_note = |((stream, key), _): &(&(model::StreamName, String), _)| {
            stream.as_str() == note.stream && *key == note.key
        };
        let (_, item) = self.stored.iter().find(of_note)?;
        let text = item.content.as_ref().ok().map(|text| String::from_utf8_lossy(text).into_owned());
        Some((NoteAttributes::of_text(&item.attributes).unwrap_or_default(), text))
    }
}

impl Ground for NotesGround {
    type Error = String;

    fn refuse_production(&mut self) -> Result<(), String> {
        let own = format!("notes/{}", self.receiver);
        let is_captured = self.stored.keys().any(|(stream, _)| stream.as_str() == own);
        if is_captured { Err(format!("{} is one of those that are proven", self.receiver)) } else { Ok(()) }
    }

    fn sweep(&mut self) -> Result<Swept, String> {
        let mut swept = Swept::new();
        for (_, entry) in self.made()? {
            let url = format!("{ADDRESS}/users/{}/notes/{}", self.receiver, entry.id);
            let call = self.writer.api.call(Request::new(Method::DELETE, url));
            self.writer.api.client.call(&call).map_err(words)?;
            *swept.entry("notes".to_owned()).or_default() += 1;
        }
        Ok(swept)
    }

    fn put(&mut self) -> Result<(), String> {
        let all = self.candidates();
        let sample = match self.wanted {
            Wanted::Whole => Sample { chosen: (0..all.len()).collect(), extent: Extent::Whole },
            Wanted::Sample => draw(&all, SEED, SAMPLE, &BTreeSet::new()),
        };
        self.extent = sample.extent;
        self.drawn = sample.chosen.into_iter().map(|place| all[place].clone()).collect();
        for note in &self.drawn {
            let Some((attributes, Some(text))) = self.stored(note) else { continue };
            let body = json!({
                "text": text,
                "folder": attributes.folder,
                "tags": attributes.tags,
                "origin": format!("{MARK}{}", note.subject()),
            });
            let request = Request::post(format!("{ADDRESS}/users/{}/notes", self.receiver));
            let call = self.writer.api.call(request.json(&body).map_err(words)?).once();
            self.writer.api.client.call(&call).map_err(words)?;
        }
        Ok(())
    }

    fn compare(&mut self) -> Result<Findings, String> {
        let mut found: BTreeMap<String, Entry> = self.made()?.into_iter().collect();
        let promise = promises().into_iter().find(|one| one.way == connect::fidelity::Way::MadeAnew);
        let promise = promise.ok_or("nothing is promised")?;
        let mut tally = Tally::default();
        for note in &self.drawn {
            let thing = |attributes: &NoteAttributes| Thing {
                stream: note.stream.clone(),
                key: note.key.clone(),
                kind: "note".to_owned(),
                aspects: aspects(attributes),
            };
            let twin = found.remove(&note.subject()).map(|entry| thing(&entry.attributes));
            let comparison = match self.stored(note) {
                Some((attributes, Some(_))) => compare(&thing(&attributes), twin.as_ref(), &promise),
                // Its text could not be read when it was captured.
                _ => Comparison::NotComparable,
            };
            tally.add(&note.subject(), &comparison);
        }
        let more = found.into_keys().next();
        let more = more.map_or_else(
            || Check::passed(NOTHING_MORE, ""),
            |first| Check::failed(NOTHING_MORE, format!("{first} is there")),
        );
        Ok(Findings {
            kind: "notes",
            simulated: true,
            restored_commit: 1,
            moment: None,
            position: "commit 1".to_owned(),
            extent: self.extent.clone(),
            against: Against::Stored,
            tally,
            checks: vec![more],
            probes: Vec::new(),
            serving_ms: None,
            space_bytes: 0,
            tables: BTreeMap::new(),
        })
    }
}
