//! What names of methods and settings say of what they do.

use model::Verb;

/// Splits a name into its words, in lower case: `batchDelete`, `DELETE_GROUP`, `gmail.users.messages.trash`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before_is_lower = false;
    for letter in name.chars() {
        let begins = !letter.is_alphanumeric() || (letter.is_uppercase() && before_is_lower);
        if begins && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        before_is_lower = letter.is_lowercase() || letter.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Words by what they say, the ones first that decide.
const VERBS: [(Verb, &[&str]); 8] = [
    (Verb::Untrash, &["untrash", "undelete", "restore", "unsuspend"]),
    (Verb::Trash, &["trash"]),
    (Verb::Delete, &["delete", "remove", "purge", "empty", "clear", "wipe"]),
    (Verb::Revoke, &["revoke", "unassign", "suspend", "deny", "block", "disallow"]),
    (Verb::Grant, &["grant", "authorize", "assign", "allow", "trusted"]),
    (Verb::Share, &["share", "acl", "acls", "permissions", "publish", "forwarding"]),
    (Verb::Insert, &["create", "insert", "add", "upload", "import", "send", "copy", "delivery"]),
    (
        Verb::Read,
        &[
            "view", "get", "list", "read", "download", "preview", "print", "search", "query", "watch",
            "export", "access", "prefetch", "sync", "open", "fetch",
        ],
    ),
];

/// Returns what a name says that is done; `None` when no word of it is known.
pub(super) fn verb(name: &str) -> Option<Verb> {
    let words = words(name);
    // Emptying the trash is more than putting something there.
    if words.iter().any(|word| word == "empty") {
        return Some(Verb::Delete);
    }
    let says = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
    VERBS.into_iter().find(|(_, known)| says(known)).map(|(verb, _)| verb)
}

/// Returns what a method of an API does, by its last part.
pub(super) fn method(name: &str) -> Option<Verb> {
    let mut parts = name.rsplit('.');
    let (last, of) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let first = words(last).into_iter().next().unwrap_or_default();
    if ["get", "list", "watch", "query", "search", "export", "download"].contains(&first.as_str()) {
        return Some(Verb::Read);
    }
    match verb(last) {
        Some(verb @ (Verb::Insert | Verb::Read | Verb::Delete)) if ["permissions", "acl"].contains(&of) => {
            Some(match verb {
                Verb::Insert => Verb::Share,
                Verb::Delete => Verb::Revoke,
                verb => verb,
            })
        }
        verb => verb,
    }
}

/// Tells whether a method destroys many things by one call.
pub(super) fn destroys_many(name: &str) -> bool {
    let mut parts = name.rsplit('.');
    let (last, of) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let words = words(last);
    let is = |wanted: &str| words.iter().any(|word| word == wanted);
    (is("batch") && is("delete"))
        || is("empty")
        || is("clear")
        || (is("delete") && ["calendars", "drives", "users", "groups"].contains(&of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_they_do() {
        let told = [
            ("DELETE_GROUP", Verb::Delete),
            ("UNDELETE_USER", Verb::Untrash),
            ("trash", Verb::Trash),
            ("ASSIGN_ROLE", Verb::Grant),
            ("UNASSIGN_ROLE", Verb::Revoke),
            ("CREATE_ORG_UNIT", Verb::Insert),
            ("change_calendar_acls", Verb::Share),
            ("download_attachment", Verb::Read),
        ];
        for (name, expected) in told {
            assert_eq!(verb(name), Some(expected), "{name}");
        }
        assert_eq!(verb("CHANGE_PASSWORD"), None);
        assert_eq!(verb(""), None);
    }

    #[test]
    fn methods_say_what_they_do_with_what() {
        let told = [
            ("gmail.users.messages.batchDelete", Some(Verb::Delete)),
            ("gmail.users.messages.trash", Some(Verb::Trash)),
            ("gmail.users.messages.get", Some(Verb::Read)),
            ("drive.files.emptyTrash", Some(Verb::Delete)),
            ("drive.permissions.create", Some(Verb::Share)),
            ("drive.permissions.delete", Some(Verb::Revoke)),
            ("drive.permissions.list", Some(Verb::Read)),
            ("drive.files.update", None),
            ("gmail.users.settings.getAutoForwarding", Some(Verb::Read)),
            ("gmail.users.settings.updateAutoForwarding", Some(Verb::Share)),
            ("calendar.calendars.clear", Some(Verb::Delete)),
        ];
        for (name, expected) in told {
            assert_eq!(method(name), expected, "{name}");
        }
        assert!(destroys_many("gmail.users.messages.batchDelete") && destroys_many("drive.drives.delete"));
        assert!(!destroys_many("drive.files.delete") && !destroys_many("gmail.users.messages.batchModify"));
    }
}
