//! Contacts that are gone, or that go to somebody else: made once.

use std::collections::{BTreeMap, BTreeSet};

use connect::plan::{Check, WriteError};
use google_api::{ApiError, Change, method};
use serde_json::{Value, json};

use super::{
    book::{Book, CONTACT, missing_groups, with_groups_now},
    person::{MEMBERSHIPS, body, fields_of, mark_of},
    step::CreateRow,
};
use crate::{
    fields::{Fields, differing, plainly_same},
    request::ORIGIN,
    step::{Answer, Outcome, answer, note},
};

/// So many contacts are made in one call.
pub(super) const MADE_MAX: usize = 200;
const MY_CONTACTS: &str = "myContacts";

/// Whose contacts are made.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin<'o> {
    /// The user's own.
    Own,
    /// Somebody else's, without the groups that they were in.
    Other(&'o str),
    /// Somebody else's, with copies of their groups.
    WithGroups(&'o str),
}

impl<'o> Origin<'o> {
    pub(super) const fn of(from: Option<&'o str>, with_groups: bool) -> Self {
        match from {
            None => Self::Own,
            Some(from) if with_groups => Self::WithGroups(from),
            Some(from) => Self::Other(from),
        }
    }

    const fn is_own(self) -> bool {
        matches!(self, Self::Own)
    }
}

/// What the contacts of a step have in common.
struct Making<'m> {
    origin: Origin<'m>,
    names: &'m BTreeMap<String, String>,
    groups: BTreeMap<String, String>,
}

impl Making<'_> {
    /// Returns what a contact is marked with: for whom it was made.
    fn mark(&self, id: &str) -> String {
        match self.origin {
            Origin::Own => id.to_owned(),
            Origin::Other(from) | Origin::WithGroups(from) => format!("{from}/{id}"),
        }
    }

    /// Returns the fields that a contact gets, with groups as the plan calls them.
    fn planned(&self, wanted: &Value) -> Fields {
        let mut fields = fields_of(wanted);
        if let Origin::Other(_) = self.origin {
            // The groups are those of whose contacts they were.
            fields.retain(|path, _| !path.starts_with(MEMBERSHIPS));
        }
        if !self.origin.is_own() {
            fields.insert(format!("{MEMBERSHIPS}{ORIGIN}"), true.into());
            fields.insert(format!("{MEMBERSHIPS}{MY_CONTACTS}"), true.into());
        }
        fields
    }

    /// Returns the fields that a contact gets.
    fn fields(&self, wanted: &Value) -> Fields {
        with_groups_now(self.planned(wanted), &self.groups)
    }

    /// Says of which groups that are not there a contact should be a member.
    fn missing(&self, wanted: &Value) -> Option<String> {
        missing_groups(&self.planned(wanted), self.names, &self.groups)
    }
}

impl Book<'_> {
    pub(super) fn create(
        &self,
        origin: Origin<'_>,
        group_names: &BTreeMap<String, String>,
        rows: &[CreateRow],
    ) -> Result<Outcome, WriteError> {
        self.task.progress.counted_phase("making contacts again", Some(rows.len() as u64));
        let groups = self.groups_now(group_names, origin.is_own())?;
        let making = Making { origin, names: group_names, groups };
        let mut outcome = Outcome::default();
        let open = |row: &&CreateRow| self.task.journal.made(CONTACT, &making.mark(&row.id)).is_none();
        let mut open: Vec<&CreateRow> = rows.iter().filter(open).collect();
        outcome.unchanged += (rows.len() - open.len()) as u64;
        if !open.is_empty() {
            // Those that an earlier run made and could not write down.
            let all = self.all("clientData,metadata")?;
            let marked: BTreeMap<String, String> = all.iter().filter_map(marked).collect();
            let there: BTreeSet<&str> = all.iter().flat_map(ids_of).collect();
            let (mut missing, mut found) = (Vec::new(), Vec::new());
            for row in open {
                match marked.get(&making.mark(&row.id)) {
                    Some(resource) => found.push((row, resource)),
                    // Its owner can take it out of the bin, with its old id.
                    None if origin.is_own() && there.contains(row.id.as_str()) => outcome
                        .conflicts
                        .push((row.id.clone(), "it is there: somebody brought it back".to_owned())),
                    None => missing.push(row),
                }
            }
            outcome.unchanged += found.len() as u64;
            if !self.is_rehearsal() {
                for (row, resource) in found {
                    self.note(CONTACT, &making.mark(&row.id), resource)?;
                }
            }
            open = missing;
        }
        for rows in open.chunks(MADE_MAX) {
            if self.is_rehearsal() {
                outcome.changed += rows.len() as u64;
            } else {
                self.create_some(&making, rows, &mut outcome)?;
            }
            self.task.progress.advance(rows.len() as u64);
        }
        Ok(outcome)
    }

    /// Makes contacts in one call; one that Google does not take is found by halves.
    fn create_some(
        &self,
        making: &Making<'_>,
        rows: &[&CreateRow],
        outcome: &mut Outcome,
    ) -> Result<(), WriteError> {
        let (mut contacts, mut incomplete) = (Vec::with_capacity(rows.len()), BTreeMap::new());
        for row in rows {
            let wanted = self.wanted(&row.id)?;
            let fields = making.fields(&wanted);
            incomplete.extend(making.missing(&wanted).map(|reason| (row.id.as_str(), reason)));
            contacts.push(json!({ "contactPerson": body(&fields, Some(&making.mark(&row.id))) }));
        }
        let change = Change::post(
            &method::RESTORE_CONTACTS_CREATE,
            "v1/people:batchCreateContacts",
            json!({ "contacts": contacts, "readMask": "clientData,metadata" }),
        );
        let made: Result<Value, ApiError> = self.task.api.send(self.user, &change.once());
        let made: BTreeMap<String, String> = match answer("make contacts again", made)? {
            Answer::Done(made) => {
                let people = made["createdPeople"].as_array().into_iter().flatten();
                people.filter_map(|one| marked(&one["person"])).collect()
            }
            Answer::Unknown => self.marked()?,
            Answer::Refused(_) if rows.len() > 1 => {
                let (left, right) = rows.split_at(rows.len() / 2);
                self.create_some(making, left, outcome)?;
                return self.create_some(making, right, outcome);
            }
            Answer::Refused(reason) => {
                outcome.conflicts.extend(rows.iter().map(|row| (row.id.clone(), reason.clone())));
                return Ok(());
            }
            Answer::Gone | Answer::Taken => BTreeMap::new(),
        };
        for row in rows {
            match made.get(&making.mark(&row.id)) {
                Some(resource) => {
                    self.note(CONTACT, &making.mark(&row.id), resource)?;
                    outcome.changed += 1;
                    let incomplete = incomplete.remove(row.id.as_str());
                    outcome.conflicts.extend(incomplete.map(|reason| (row.id.clone(), reason)));
                }
                None => {
                    let reason = "nobody knows whether it was made; look before applying again";
                    outcome.conflicts.push((row.id.clone(), reason.to_owned()));
                }
            }
        }
        Ok(())
    }

    /// Returns the names of the contacts that restores made, by what they are marked with.
    fn marked(&self) -> Result<BTreeMap<String, String>, WriteError> {
        Ok(self.all("clientData,metadata")?.iter().filter_map(marked).collect())
    }

    pub(super) fn verify_created(
        &self,
        origin: Origin<'_>,
        group_names: &BTreeMap<String, String>,
        rows: &[CreateRow],
    ) -> Result<Check, WriteError> {
        let groups = self.groups_now(group_names, origin.is_own())?;
        let making = Making { origin, names: group_names, groups };
        let mut check = self.task.check();
        let made: Vec<Option<String>> = rows
            .iter()
            .map(|row| self.task.journal.made(CONTACT, &making.mark(&row.id)).map(|made| made.new))
            .collect();
        let resources: Vec<&str> = made.iter().flatten().map(String::as_str).collect();
        let mut people = self.people(&resources)?.into_iter();
        for (row, made) in rows.iter().zip(&made) {
            let difference = match made.as_ref().and_then(|_| people.next()) {
                None => Some("it was not made".to_owned()),
                Some(None) => Some("it is gone again".to_owned()),
                Some(Some(person)) => {
                    let stored = self.wanted(&row.id)?;
                    let mut wanted = making.fields(&stored);
                    if !wanted.keys().any(|path| path.starts_with(MEMBERSHIPS)) {
                        // Everybody is in a group at least.
                        wanted.insert(format!("{MEMBERSHIPS}{MY_CONTACTS}"), true.into());
                    }
                    let other = differing(&wanted, &fields_of(&person), plainly_same);
                    let other = other.first().map(|path| format!("its {path} is another one"));
                    other.or_else(|| making.missing(&stored))
                }
            };
            note(&mut check, &row.id, difference);
        }
        Ok(check)
    }
}

fn marked(person: &Value) -> Option<(String, String)> {
    Some((mark_of(person)?.to_owned(), person["resourceName"].as_str()?.to_owned()))
}

/// Returns the ids by which keys name a contact.
fn ids_of(person: &Value) -> impl Iterator<Item = &str> {
    let sources = person["metadata"]["sources"].as_array().into_iter().flatten();
    sources.filter(|source| source["type"] == "CONTACT").filter_map(|source| source["id"].as_str())
}
