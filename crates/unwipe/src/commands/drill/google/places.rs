//! Whose things of which kind go where in the sandbox, and what no drill can prove.

use std::collections::{BTreeMap, BTreeSet};

use drill::Check;
use google_recovery::sandbox::{Mark, domain_of, may_be_member};
use model::StreamName;
use serde_json::Value;
use source_google::Part;

use super::{
    super::certify::not_held,
    sandbox::Sandbox,
    things::{document, keys},
};
use crate::{
    commands::google::StoredAccount, connectors::google::StoredDomain, exit::Exit, failure::Failure,
};

pub(super) const SHARED: &str = "shared-drive/";
pub(super) const SHARED_DRIVES: &str = "shared-drives";
pub(super) const DIRECTORY: &str = "directory";

/// What no drill proves, and why, by the part of the service that it belongs to.
const NEVER: [(Part, &str, &str); 8] = [
    (Part::Gmail, "settings of mailboxes", "no plan writes them"),
    (
        Part::Drive,
        "sharing of files",
        "Google lets somebody in who has no account only by writing them a mail",
    ),
    (Part::Drive, "comments and earlier revisions of files", "what is made anew has none"),
    (
        Part::Calendar,
        "rights to calendars, their settings and conferences",
        "they belong to accounts of the protected domain",
    ),
    (Part::Contacts, "people who were only written to", "Google fills this list by itself"),
    (Part::Directory, "users, organizational units and roles", "no plan makes them"),
    (Part::Directory, "settings of groups of users", "the directory does not hold them"),
    (Part::Audit, "the audit log", "nobody can write into Google's"),
];

/// Somebody's things of one kind, and where they go.
pub(super) struct Place {
    /// Whose: an address, the id of a shared drive, or `directory`.
    pub(super) of: StoredAccount,
    /// The account of the sandbox that gets them.
    pub(super) receiver: String,
}

impl Place {
    /// Returns the id of the shared drive that this is of.
    pub(super) fn shared_drive(&self) -> Option<&str> {
        self.of.stream.as_str().strip_prefix(SHARED)
    }

    /// Returns what says in the sandbox where the things of this come from.
    pub(super) fn origin(&self, mark: &Mark) -> String {
        mark.place(&self.of.account)
    }
}

/// What goes into the sandbox, and what does not.
pub(super) struct Places {
    pub(super) all: Vec<Place>,
    /// What is not covered, with the reasons.
    pub(super) missing: Vec<Check>,
}

impl Places {
    /// Finds a place for everything that is stored and can be put into the sandbox.
    pub(super) fn of(domain: &StoredDomain, sandbox: &Sandbox) -> Result<Self, Failure> {
        let streams = streams(domain)?;
        let parts = sandbox.parts();
        let (mut all, mut homeless) = (Vec::new(), BTreeSet::new());
        for text in streams {
            let Some((part, account)) = part_of(&text) else { continue };
            if !parts.contains(&part) {
                continue;
            }
            let stream = StreamName::new(&text).map_err(|error| not_held(&domain.name, error))?;
            let of_domain = text == DIRECTORY || text == SHARED_DRIVES || text.starts_with(SHARED);
            let receiver = if of_domain {
                Some(sandbox.admin())
            } else {
                sandbox.accounts.get(&account.to_lowercase()).cloned()
            };
            match receiver {
                Some(receiver) => {
                    all.push(Place { of: StoredAccount { part, account, stream }, receiver });
                }
                None => drop(homeless.insert(account)),
            }
        }
        if all.iter().all(|place| place.receiver == sandbox.admin()) && !homeless.is_empty() {
            return Err(Failure::new(
                Exit::Nothing,
                "nothing is stored of the accounts that have a place in the sandbox",
            )
            .hint(format!("[drills.sources.{}.sandbox.accounts]", domain.name)));
        }
        let mut missing = not_covered(&parts);
        if !homeless.is_empty() {
            let some: Vec<&str> = homeless.iter().map(String::as_str).take(5).collect();
            let text = format!("{} have no place in the sandbox: {}", homeless.len(), some.join(", "));
            missing.push(Check::not_checked("things of other accounts", text));
        }
        Ok(Self { all, missing })
    }

    /// Returns the members of the shared drives whom nobody stands for in the sandbox, as something that is not covered.
    pub(super) fn foreign_members(
        domain: &StoredDomain,
        sandbox: &google_recovery::Sandbox,
        drives: &BTreeMap<String, Vec<Value>>,
    ) -> Option<Check> {
        let all: usize = drives.values().map(Vec::len).sum();
        let foreign = drives.values().flatten().filter(|one| may_be_member(sandbox, one).is_none()).count();
        let reason = format!(
            "{foreign} of {all} have no account in the sandbox of {}; Google lets others in only by writing them a mail",
            domain.name
        );
        (foreign > 0).then(|| Check::not_checked("members of shared drives whom nobody stands for", reason))
    }
}

/// Lists the streams of which something is stored.
pub(super) fn streams(domain: &StoredDomain) -> Result<Vec<String>, Failure> {
    let counts = domain.stored.catalog().counts_at(domain.at)?;
    Ok(counts.into_iter().map(|(stream, _)| stream).collect())
}

/// Returns the members of a shared drive as they are stored.
pub(super) fn members_of(domain: &StoredDomain, drive: &str) -> Result<Vec<Value>, Failure> {
    let stream = StreamName::new(SHARED_DRIVES).map_err(|error| not_held(&domain.name, error))?;
    let mut members = Vec::new();
    for key in keys(&domain.stored, &stream, domain.at)? {
        if key.starts_with(&format!("member/{drive}/")) {
            let member = document(&domain.stored, &stream, &key, domain.at);
            members.extend(member.map_err(|error| not_held(&domain.name, error))?);
        }
    }
    Ok(members)
}

/// Tells what a stream holds, and whose it is.
fn part_of(stream: &str) -> Option<(Part, String)> {
    match stream.split_once('/') {
        None if stream == DIRECTORY => Some((Part::Directory, stream.to_owned())),
        None if stream == SHARED_DRIVES => Some((Part::Drive, stream.to_owned())),
        Some(("gmail", account)) => Some((Part::Gmail, account.to_owned())),
        Some(("drive" | "shared-drive", account)) => Some((Part::Drive, account.to_owned())),
        Some(("calendar", account)) => Some((Part::Calendar, account.to_owned())),
        Some(("contacts", account)) => Some((Part::Contacts, account.to_owned())),
        _ => None,
    }
}

fn not_covered(parts: &BTreeSet<Part>) -> Vec<Check> {
    let never = NEVER
        .iter()
        .filter(|(part, _, _)| *part == Part::Audit || parts.contains(part))
        .map(|(_, what, reason)| Check::not_checked(*what, *reason));
    let left_out = [
        (Part::Gmail, "mail"),
        (Part::Drive, "files"),
        (Part::Calendar, "calendars"),
        (Part::Contacts, "contacts"),
        (Part::Directory, "groups of users"),
    ];
    let left_out = left_out
        .iter()
        .filter(|(part, _)| !parts.contains(part))
        .map(|(_, what)| Check::not_checked(*what, "the sandbox's settings leave them out (parts)"));
    never.chain(left_out).collect()
}

/// Returns the domains of the accounts whose streams these are.
pub(super) fn domains_of(streams: &[String]) -> BTreeSet<String> {
    let account = |stream: &String| part_of(stream).map(|(_, account)| account);
    let accounts = streams.iter().filter_map(account).filter(|account| account.contains('@'));
    accounts.map(|account| domain_of(&account).to_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stream_that_a_plan_brings_back_has_a_part() {
        for (stream, part) in [
            ("gmail/a@x.test", Part::Gmail),
            ("shared-drive/0A", Part::Drive),
            (SHARED_DRIVES, Part::Drive),
            ("contacts/a@x.test", Part::Contacts),
            (DIRECTORY, Part::Directory),
        ] {
            assert_eq!(part_of(stream).map(|(part, _)| part), Some(part), "{stream}");
        }
        assert!(part_of("position").is_none() && part_of("audit/drive").is_none());
        let streams = ["gmail/a@X.test".to_owned(), "shared-drive/0A".to_owned(), "position".to_owned()];
        assert_eq!(domains_of(&streams), BTreeSet::from(["x.test".to_owned()]));
    }

    #[test]
    fn what_is_left_out_is_said() {
        let all: BTreeSet<Part> = Part::ALL.into();
        let few = BTreeSet::from([Part::Gmail]);
        assert!(not_covered(&all).iter().all(|check| check.subject != "calendars"));
        let said: Vec<String> = not_covered(&few).into_iter().map(|check| check.subject).collect();
        assert!(said.contains(&"calendars".to_owned()) && said.contains(&"groups of users".to_owned()));
        assert!(!said.contains(&"sharing of files".to_owned()), "{said:?}");
    }
}
