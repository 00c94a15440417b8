//! Photos of contacts.

use connect::plan::{Check, WriteError};
use google_api::{ApiError, Change, method};
use serde_json::{Value, json};

use super::{
    book::{Book, CONTACT, of_person},
    person::photo_of,
    step::PhotoRow,
};
use crate::step::{Answer, Outcome, answer, note};

/// What the journal calls a photo.
const PHOTO: &str = "photo";
const PHOTO_BYTES_MAX: u64 = 16 << 20;

impl Book<'_> {
    fn resources(&self, rows: &[PhotoRow]) -> Vec<Option<String>> {
        let made = |id: &str| self.task.journal.made(CONTACT, id).map(|made| made.new);
        rows.iter().map(|row| row.resource.clone().or_else(|| made(&row.mark))).collect()
    }

    /// Gives contacts their photos; one that somebody gave since stays.
    pub(super) fn set_photos(&self, rows: &[PhotoRow]) -> Result<Outcome, WriteError> {
        self.task.progress.counted_phase("setting photos back", Some(rows.len() as u64));
        let resources = self.resources(rows);
        let known: Vec<&str> = resources.iter().flatten().map(String::as_str).collect();
        let (mut people, mut outcome) = (self.people(&known)?.into_iter(), Outcome::default());
        for (row, resource) in rows.iter().zip(&resources) {
            self.task.progress.advance(1);
            let person = resource.as_ref().and_then(|_| people.next()).flatten();
            let conflict = |reason: &str| (row.id.clone(), reason.to_owned());
            if self.task.journal.made(PHOTO, &row.mark).is_some() {
                outcome.unchanged += 1;
                continue;
            }
            let (Some(resource), Some(person)) = (resource, person) else {
                if self.is_rehearsal() && row.resource.is_none() {
                    outcome.changed += 1;
                } else {
                    outcome.conflicts.push(conflict("the contact is not there"));
                }
                continue;
            };
            if photo_of(&person) != row.expected.as_deref() {
                if self.has_photo(&person, &row.id)? {
                    outcome.unchanged += 1;
                    continue;
                }
                outcome.conflicts.push(conflict("it got another photo since the plan was made"));
                continue;
            }
            if !self.is_rehearsal()
                && let Some(reason) = self.set_photo(row, resource)?
            {
                outcome.conflicts.push((row.id.clone(), reason));
                continue;
            }
            outcome.changed += 1;
        }
        Ok(outcome)
    }

    /// Tells whether a contact has the photo already: an earlier run gave it and could not write that down.
    fn has_photo(&self, person: &Value, id: &str) -> Result<bool, WriteError> {
        let found = photo_of(person)
            .and_then(|url| self.reading().get_open(&method::CONTACT_PHOTO, url, PHOTO_BYTES_MAX));
        Ok(match found {
            Some(Ok(bytes)) => bytes == self.photo(id)?,
            Some(Err(_)) | None => false,
        })
    }

    fn set_photo(&self, row: &PhotoRow, resource: &str) -> Result<Option<String>, WriteError> {
        let bytes = base64_simd::URL_SAFE.encode_to_string(self.photo(&row.id)?);
        let change = Change::patch(
            &method::RESTORE_CONTACT_PHOTO,
            of_person(resource, "updateContactPhoto"),
            json!({ "photoBytes": bytes }),
        );
        let sent: Result<Value, ApiError> = self.task.api.send(self.user, &change);
        Ok(match answer("set a photo back", sent)? {
            Answer::Done(_) => {
                self.note(PHOTO, &row.mark, resource)?;
                None
            }
            Answer::Refused(reason) => Some(reason),
            Answer::Gone | Answer::Taken | Answer::Unknown => Some("the contact is not there".to_owned()),
        })
    }

    pub(super) fn verify_photos(&self, rows: &[PhotoRow]) -> Result<Check, WriteError> {
        let resources = self.resources(rows);
        let known: Vec<&str> = resources.iter().flatten().map(String::as_str).collect();
        let (mut people, mut check) = (self.people(&known)?.into_iter(), self.task.check());
        for (row, resource) in rows.iter().zip(&resources) {
            let person = resource.as_ref().and_then(|_| people.next()).flatten();
            let photo = person.as_ref().and_then(photo_of);
            // Google stores it in a form of its own, so that there is one is all that can be compared.
            let is_set = photo.is_some() && photo != row.expected.as_deref();
            note(&mut check, &row.id, (!is_set).then(|| "it does not have its photo".to_owned()));
        }
        Ok(check)
    }
}
