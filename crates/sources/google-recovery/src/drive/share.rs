//! Setting permissions back, without mails.

use std::sync::{Mutex, PoisonError};

use connect::plan::{ApplyMode, WriteError};
use connect_http::escape;
use google_api::{ApiError, Change, method};
use serde_json::{Map, Value, json};
use source_google::drive::Permission;

use super::{
    make::STEP,
    rows::{Grant, GrantChange, ShareRow},
    sharing::{grant, rank},
    wire::{Drive, FILE, PERMISSION, TAKEN_BACK, refused},
};
use crate::{
    journal::Made,
    parallel,
    step::{Outcome, failed},
};

/// Google's word for a permission that a folder above gives.
const INHERITED: &str = "cannotModifyInheritedPermission";

/// What is to be done about one permission, after a look at what it is now.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Nothing,
    Take,
    Give,
    Set,
    Conflict,
}

impl Drive<'_> {
    pub(super) fn share(&self, rows: &[ShareRow]) -> Result<Outcome, WriteError> {
        let task = self.task;
        task.progress.counted_phase("setting permissions back", Some(rows.len() as u64));
        // Folders first: what is in them often has its permissions from there.
        self.by_level(
            rows,
            |row| row.depth,
            |step, take| {
                let ids: Vec<String> = step.iter().map(|row| self.id(&row.id)).collect();
                for ((row, id), found) in step.iter().zip(&ids).zip(self.permissions(&ids)?) {
                    take(self.share_one(row, id, found)?);
                }
                Ok(())
            },
        )
    }

    fn share_one(
        &self,
        row: &ShareRow,
        id: &str,
        found: Option<Vec<Permission>>,
    ) -> Result<Outcome, WriteError> {
        let mut outcome = Outcome::default();
        let is_rehearsal = self.task.mode == ApplyMode::Rehearsal;
        let Some(found) = found else {
            if is_rehearsal && row.changes.iter().all(|change| change.from.is_none()) {
                outcome.changed = 1;
            } else {
                outcome.conflicts.push((row.id.clone(), "it is not there any more".to_owned()));
            }
            return Ok(outcome);
        };
        let mut has_changed = false;
        let is_new = self.task.journal.made(FILE, &row.id).is_some();
        for change in &row.changes {
            let present = found.iter().find(|one| one.id == change.who.id);
            let verdict = verdict(change, present, is_new);
            let reason = match verdict {
                Verdict::Nothing => continue,
                Verdict::Conflict => Some(format!(
                    "what {} may do was changed since the plan was made",
                    change
                        .who
                        .email_address
                        .as_deref()
                        .or(change.who.domain.as_deref())
                        .unwrap_or(&change.who.kind)
                )),
                _ if self.was_written(&row.id, change) => Some(TAKEN_BACK.to_owned()),
                _ if is_rehearsal => None,
                verdict => self.write((&row.id, id), change, &verdict)?,
            };
            match reason {
                Some(reason) => outcome.conflicts.push((row.id.clone(), reason)),
                None => has_changed = true,
            }
        }
        if !is_rehearsal && !row.below.is_empty() {
            has_changed |= self.share_below(row)?;
        }
        outcome.changed = u64::from(has_changed);
        outcome.unchanged = u64::from(!has_changed && outcome.conflicts.is_empty());
        Ok(outcome)
    }

    /// Takes away what files below a folder were given by themselves although they had it from the folder, too.
    fn share_below(&self, row: &ShareRow) -> Result<bool, WriteError> {
        let has_changed = Mutex::new(false);
        let steps: Vec<&[String]> = row.below.chunks(STEP).collect();
        parallel::each(self.task.threads, &steps, |step| {
            let ids: Vec<String> = step.iter().map(|old| self.id(old)).collect();
            for ((old, id), found) in step.iter().zip(&ids).zip(self.permissions(&ids)?) {
                let found = found.unwrap_or_default();
                let taken = row.changes.iter().filter(|change| change.to.is_none());
                for change in taken.filter(|change| !self.was_written(old, change)) {
                    let present = found.iter().find(|one| one.id == change.who.id);
                    // Where it still comes from a folder, Google says so.
                    if verdict(change, present, false) == Verdict::Take
                        && self.write((old, id), change, &Verdict::Take)?.is_none()
                    {
                        *has_changed.lock().unwrap_or_else(PoisonError::into_inner) = true;
                    }
                }
            }
            Ok(())
        })?;
        Ok(has_changed.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells whether an earlier run set a permission back: what is otherwise now, somebody took back.
    fn was_written(&self, old: &str, change: &GrantChange) -> bool {
        self.task.journal.made(PERMISSION, &noted(old, change)).is_some()
    }

    /// Writes one permission of a file with this old id and this one, and notes it; returns the reason why it is left alone.
    fn write(
        &self,
        (old, id): (&str, &str),
        change: &GrantChange,
        verdict: &Verdict,
    ) -> Result<Option<String>, WriteError> {
        let reason = self.send(id, change, verdict)?;
        if reason.is_none() {
            let (old, new) = (noted(old, change), change.who.id.clone());
            self.task.journal.note(Made { kind: PERMISSION.to_owned(), old, new, place: None })?;
        }
        Ok(reason)
    }

    fn send(&self, id: &str, change: &GrantChange, verdict: &Verdict) -> Result<Option<String>, WriteError> {
        let all = format!("drive/v3/files/{}/permissions", escape(id));
        let one = format!("{all}/{}", escape(&change.who.id));
        let call = match (verdict, &change.to) {
            (Verdict::Give, Some(to)) => {
                Change::post(&method::RESTORE_PERMISSIONS_CREATE, all, described(&change.who, to))
                    .query("sendNotificationEmail", "false")
            }
            (Verdict::Set, Some(to)) => {
                let mut body = json!({ "role": to.role });
                if let Some(until) = &to.until {
                    body["expirationTime"] = until.as_str().into();
                }
                let call = Change::patch(&method::RESTORE_PERMISSIONS_UPDATE, one, body);
                let had_end = change.from.as_ref().is_some_and(|from| from.until.is_some());
                if to.until.is_none() && had_end { call.query("removeExpiration", "true") } else { call }
            }
            _ => Change::delete(&method::RESTORE_PERMISSIONS_DELETE, one),
        };
        match self.task.api.send_only(self.subject(), &call.query("supportsAllDrives", "true")) {
            Ok(()) => Ok(None),
            // It went meanwhile.
            Err(ApiError::NotFound(_)) if *verdict == Verdict::Take => Ok(None),
            Err(ApiError::Refused(refusal)) if refusal.reason == INHERITED => {
                Ok(Some("a folder above gives it".to_owned()))
            }
            Err(error @ (ApiError::Refused(_) | ApiError::NotFound(_))) => {
                refused("set a permission back", error).map(Some)
            }
            Err(error) => Err(failed("set a permission back", error)),
        }
    }
}

/// Returns by what the journal calls a permission of a file.
fn noted(old: &str, change: &GrantChange) -> String {
    format!("{old}/{}", change.who.id)
}

fn described(who: &Permission, to: &Grant) -> Value {
    let mut body = Map::new();
    body.insert("type".to_owned(), who.kind.as_str().into());
    body.insert("role".to_owned(), to.role.as_str().into());
    match who.kind.as_str() {
        "user" | "group" => body.insert("emailAddress".to_owned(), who.email_address.clone().into()),
        "domain" => body.insert("domain".to_owned(), who.domain.clone().into()),
        _ => None,
    };
    if let Some(found) = who.allow_file_discovery.filter(|_| matches!(who.kind.as_str(), "domain" | "anyone"))
    {
        body.insert("allowFileDiscovery".to_owned(), found.into());
    }
    if let Some(until) = &to.until {
        body.insert("expirationTime".to_owned(), until.as_str().into());
    }
    body.into()
}

/// Decides about one permission: what somebody changed since the plan was made stays. What a file has that the plan made
/// comes from the folders above it.
fn verdict(change: &GrantChange, present: Option<&Permission>, is_new: bool) -> Verdict {
    let is_inherited = present.is_some_and(is_inherited);
    match (&change.to, present.map(grant), &change.from) {
        (None, None, _) => Verdict::Nothing,
        (None, Some(_), _) if is_inherited => Verdict::Nothing,
        (None, present, from) if present == *from => Verdict::Take,
        (Some(to), Some(present), _) if *to == present => Verdict::Nothing,
        (Some(_), None, None) => Verdict::Give,
        // A folder above gives as much already, or less than is given here.
        (Some(to), Some(present), None) if rank(&present.role) >= rank(&to.role) => Verdict::Nothing,
        (Some(_), Some(_), None) if is_inherited || is_new => Verdict::Give,
        (Some(_), Some(present), None) if Some(&present) == change.above.as_ref() => Verdict::Give,
        (Some(_), Some(present), Some(from)) if present == *from => Verdict::Set,
        _ => Verdict::Conflict,
    }
}

/// Tells what of a planned change is not as it should be.
pub(super) fn difference(change: &GrantChange, present: Option<&Permission>) -> Option<String> {
    let who =
        change.who.email_address.as_deref().or(change.who.domain.as_deref()).unwrap_or(&change.who.kind);
    match (&change.to, present) {
        (None, Some(present)) => {
            (!is_inherited(present)).then(|| format!("{who} still has the role {}", present.role))
        }
        (Some(to), None) => Some(format!("{who} lacks the role {}", to.role)),
        (Some(to), Some(present)) if rank(&present.role) < rank(&to.role) => {
            Some(format!("{who} has the role {} and not {}", present.role, to.role))
        }
        (Some(to), Some(present)) if change.from.is_some() && present.role != to.role => {
            Some(format!("{who} has the role {} and not {}", present.role, to.role))
        }
        (Some(to), Some(present)) if present.role == to.role && !is_inherited(present) => {
            let (is, wanted) = (present.expiration_time.as_deref(), to.until.as_deref());
            let told =
                |end: Option<&str>| end.map_or_else(|| "for good".to_owned(), |end| format!("until {end}"));
            let is_other = !is_same_end(is, wanted) && Some(&grant(present)) != change.above.as_ref();
            is_other.then(|| format!("{who} has the role {} {} and not {}", to.role, told(is), told(wanted)))
        }
        _ => None,
    }
}

/// Tells whether two ends are the same time, however they are written.
fn is_same_end(one: Option<&str>, other: Option<&str>) -> bool {
    let time = |end: &str| end.parse::<jiff::Timestamp>().ok();
    let same = |(one, other)| time(one).zip(time(other)).is_some_and(|(one, other)| one == other);
    one == other || one.zip(other).is_some_and(same)
}

/// Tells whether a folder above gives a permission, as far as Google says so.
fn is_inherited(permission: &Permission) -> bool {
    let details = &permission.permission_details;
    !details.is_empty() && details.iter().all(|detail| detail["inherited"] == true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(role: &str) -> Permission {
        Permission {
            id: "1".to_owned(),
            kind: "user".to_owned(),
            role: role.to_owned(),
            ..Permission::default()
        }
    }

    fn change(to: Option<&str>, from: Option<&str>) -> GrantChange {
        let grant = |role: &str| Grant { role: role.to_owned(), until: None };
        GrantChange { who: permission("reader"), to: to.map(grant), from: from.map(grant), above: None }
    }

    #[test]
    fn what_somebody_changed_since_the_plan_stays() {
        let verdict = |to, from, present: Option<&str>| {
            verdict(&change(to, from), present.map(permission).as_ref(), false)
        };
        assert_eq!(verdict(None, Some("writer"), Some("writer")), Verdict::Take);
        assert_eq!(verdict(None, Some("writer"), None), Verdict::Nothing);
        assert_eq!(verdict(None, Some("writer"), Some("reader")), Verdict::Conflict);
        assert_eq!(verdict(Some("reader"), None, None), Verdict::Give);
        assert_eq!(verdict(Some("reader"), None, Some("writer")), Verdict::Nothing);
        assert_eq!(verdict(Some("writer"), None, Some("reader")), Verdict::Conflict);
        assert_eq!(verdict(Some("reader"), Some("writer"), Some("writer")), Verdict::Set);
        assert_eq!(verdict(Some("reader"), Some("writer"), None), Verdict::Conflict);
    }

    #[test]
    fn an_end_that_is_another_is_told() {
        let until = |end: &str| Some(end.to_owned());
        let mut wanted = change(Some("reader"), None);
        wanted.to = Some(Grant { role: "reader".to_owned(), until: until("2026-03-01T00:00:00Z") });
        let found = |end: Option<String>| Permission { expiration_time: end, ..permission("reader") };
        let differs = |end| difference(&wanted, Some(&found(end))).is_some();
        assert!(!differs(until("2026-03-01T00:00:00.000Z")));
        assert!(differs(until("2026-04-01T00:00:00.000Z")) && differs(None));
        let lasting = change(Some("reader"), None);
        assert!(difference(&lasting, Some(&found(until("2026-03-01T00:00:00Z")))).is_some());
        assert!(difference(&lasting, Some(&found(None))).is_none());
    }
}
