//! What is to be done about a file's permissions: a pure comparison of three states.

use std::collections::BTreeSet;

use source_google::drive::{FileAttributes, Permission};

use super::rows::{Grant, GrantChange};

/// Roles from the one that may do least.
const ROLES: [&str; 6] = ["reader", "commenter", "writer", "fileOrganizer", "organizer", "owner"];

/// Returns how much a role may do.
pub(super) fn rank(role: &str) -> usize {
    ROLES.iter().position(|own| *own == role).unwrap_or(ROLES.len())
}

/// A file at one time with the folder that it was in, as far as that is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) file: &'a FileAttributes,
    pub(super) folder: Option<&'a FileAttributes>,
}

/// What is to be done about a file's permissions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sharing {
    /// What takes something away.
    pub(super) narrower: Vec<GrantChange>,
    /// What gives something back.
    pub(super) wider: Vec<GrantChange>,
    /// Permissions that were added to the folder above as well: from there, or by themselves.
    pub(super) from_above: Vec<String>,
    /// Who has what was changed again after the window.
    pub(super) kept: Vec<String>,
    /// What is not set back, and why.
    pub(super) lost: Vec<String>,
}

/// Returns what a permission allows.
pub(super) fn grant(permission: &Permission) -> Grant {
    Grant { role: permission.role.clone(), until: permission.expiration_time.clone() }
}

/// Returns the permissions that a file has by itself, without its owner's.
pub(super) fn own(place: Place<'_>) -> Vec<Permission> {
    let own = place.file.permissions.iter().filter(|one| one.role != "owner" && !is_inherited(one, place));
    own.cloned().collect()
}

/// Tells whether a permission comes from a folder above: drives that are shared say so; elsewhere the folder has it too.
fn is_inherited(permission: &Permission, place: Place<'_>) -> bool {
    if !permission.permission_details.is_empty() {
        return permission.permission_details.iter().all(|detail| detail["inherited"] == true);
    }
    let above = place.folder.and_then(|folder| of(folder, &permission.id));
    above.is_some_and(|above| rank(&above.role) >= rank(&permission.role))
}

fn of<'a>(attributes: &'a FileAttributes, id: &str) -> Option<&'a Permission> {
    attributes.permissions.iter().find(|permission| permission.id == id)
}

/// Returns how people call who has a permission.
fn called(permission: &Permission) -> String {
    let name = permission.email_address.as_ref().or(permission.domain.as_ref());
    name.cloned().unwrap_or_else(|| permission.kind.clone())
}

/// Decides about the permissions of a file that is there; what somebody changed after the window stays. `ended` tells
/// whether a time had come when the window ended.
pub(super) fn decide(
    before: Place<'_>,
    after: Place<'_>,
    later: &[FileAttributes],
    now: &FileAttributes,
    ended: impl Fn(&str) -> bool,
) -> Sharing {
    let mut sharing = Sharing::default();
    let ids: BTreeSet<&str> =
        [before, after].iter().flat_map(|place| &place.file.permissions).map(|one| one.id.as_str()).collect();
    for id in ids {
        let (was, became, is) = (of(before.file, id), of(after.file, id), of(now, id));
        let (wanted, done, present) = (was.map(grant), became.map(grant), is.map(grant));
        let Some(who) = was.or(became).filter(|_| wanted != done && present != wanted) else { continue };
        if was.into_iter().chain(became).any(|one| one.role == "owner") {
            sharing.lost.push(format!("ownership is not transferred ({})", called(who)));
            continue;
        }
        // What a folder above gives comes and goes there.
        let own_was = was.filter(|was| !is_inherited(was, before)).map(grant);
        let own_became = became.filter(|became| !is_inherited(became, after)).map(grant);
        if own_was == own_became {
            if was.is_none() && became.is_some_and(|became| became.permission_details.is_empty()) {
                sharing.from_above.push(id.to_owned());
            }
            continue;
        }
        if later.iter().any(|version| of(version, id).map(grant) != done) {
            sharing.kept.push(called(who));
            continue;
        }
        if was.is_some_and(|was| was.deleted == Some(true)) {
            sharing.lost.push(format!("the account {} is deleted", called(who)));
            continue;
        }
        if own_was.as_ref().and_then(|wanted| wanted.until.as_deref()).is_some_and(&ended) {
            continue;
        }
        let is_narrower = match (&own_was, &own_became) {
            (None, _) => true,
            (Some(wanted), Some(present)) => rank(&wanted.role) < rank(&present.role),
            (Some(_), None) => false,
        };
        let above = present.filter(|_| own_became.is_none());
        let change = GrantChange { who: bare(who), to: own_was, from: own_became, above };
        if is_narrower { sharing.narrower.push(change) } else { sharing.wider.push(change) }
    }
    sharing
}

/// Returns what of a permission says who has it.
pub(super) fn bare(permission: &Permission) -> Permission {
    Permission {
        id: permission.id.clone(),
        kind: permission.kind.clone(),
        role: permission.role.clone(),
        email_address: permission.email_address.clone(),
        domain: permission.domain.clone(),
        allow_file_discovery: permission.allow_file_discovery,
        ..Permission::default()
    }
}

/// Returns the permissions that a file which is made anew gets: those that it had by itself.
pub(super) fn given_anew(place: Place<'_>, ended: impl Fn(&str) -> bool) -> Vec<GrantChange> {
    let own = own(place).into_iter().filter(|own| own.deleted != Some(true));
    own.filter(|own| !own.expiration_time.as_deref().is_some_and(&ended))
        .map(|own| GrantChange { to: Some(grant(&own)), who: bare(&own), from: None, above: None })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file(permissions: &[(&str, &str)]) -> FileAttributes {
        let permission = |(id, role): &(&str, &str)| Permission {
            id: (*id).to_owned(),
            kind: "user".to_owned(),
            role: (*role).to_owned(),
            ..Permission::default()
        };
        FileAttributes {
            permissions: permissions.iter().map(permission).collect(),
            ..FileAttributes::default()
        }
    }

    fn ways(changes: &[GrantChange]) -> Vec<(Option<&str>, Option<&str>)> {
        fn role(grant: Option<&Grant>) -> Option<&str> {
            grant.map(|grant| grant.role.as_str())
        }
        changes.iter().map(|change| (role(change.from.as_ref()), role(change.to.as_ref()))).collect()
    }

    fn decided(before: &FileAttributes, after: &FileAttributes, later: &[FileAttributes]) -> Sharing {
        let now = later.last().unwrap_or(after);
        let place = |file| Place { file, folder: None };
        decide(place(before), place(after), later, now, |_| false)
    }

    #[test]
    fn what_was_added_is_taken_away_and_what_was_taken_is_given() {
        let (before, after) =
            (file(&[("1", "reader"), ("2", "writer")]), file(&[("2", "reader"), ("3", "writer")]));
        let sharing = decided(&before, &after, &[]);
        assert_eq!(ways(&sharing.narrower), [(Some("writer"), None)]);
        assert_eq!(ways(&sharing.wider), [(None, Some("reader")), (Some("reader"), Some("writer"))]);
    }

    #[test]
    fn what_somebody_changed_after_the_window_stays() {
        let (before, after) = (file(&[("1", "writer")]), file(&[]));
        let sharing = decided(&before, &after, &[file(&[("1", "reader")])]);
        assert!(sharing.wider.is_empty() && sharing.kept.len() == 1);
        let sharing = decided(&before, &after, &[file(&[("1", "writer")]), file(&[])]);
        assert!(sharing.wider.is_empty() && sharing.kept.len() == 1, "given and taken away again");
        assert_eq!(decided(&before, &after, std::slice::from_ref(&before)), Sharing::default());
    }

    #[test]
    fn ownership_is_never_given() {
        let (before, after) = (file(&[("1", "owner")]), file(&[("1", "writer"), ("2", "owner")]));
        let sharing = decided(&before, &after, &[]);
        assert!(sharing.narrower.is_empty() && sharing.wider.is_empty() && sharing.lost.len() == 2);
    }

    #[test]
    fn what_a_folder_gives_is_set_back_there() {
        let (plain, shared) = (file(&[]), file(&[("1", "reader")]));
        let sharing = decide(
            Place { file: &plain, folder: Some(&plain) },
            Place { file: &shared, folder: Some(&shared) },
            &[],
            &shared,
            |_| false,
        );
        assert_eq!(sharing, Sharing { from_above: vec!["1".to_owned()], ..Sharing::default() });

        let mut inherited = shared.clone();
        inherited.permissions[0].permission_details = vec![json!({ "inherited": true, "role": "reader" })];
        assert_eq!(decided(&plain, &inherited, &[]), Sharing::default());
        inherited.permissions[0].permission_details.push(json!({ "inherited": false, "role": "reader" }));
        assert_eq!(decided(&plain, &inherited, &[]).narrower.len(), 1);
    }

    #[test]
    fn what_has_ended_by_itself_is_not_given_again() {
        let mut before = file(&[("1", "reader")]);
        before.permissions[0].expiration_time = Some("t".to_owned());
        let (after, place) = (file(&[]), |file| Place { file, folder: None });
        let given =
            |ended: bool| decide(place(&before), place(&after), &[], &after, move |_| ended).wider.len();
        assert_eq!((given(true), given(false)), (0, 1));
    }
}
