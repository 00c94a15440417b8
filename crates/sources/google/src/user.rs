use serde_json::Value;

/// A user of the domain, as far as reading their data needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// The number that stays when the address changes.
    pub(crate) id: String,
    /// The primary address, in lower case.
    pub(crate) email: String,
    /// Nobody may act in the user's name.
    pub(crate) is_suspended: bool,
    /// Whether there is a mailbox; a user without a mail licence has none.
    pub(crate) has_mailbox: bool,
}

impl User {
    /// Reads a user of `users.list`; `None` when it lacks what every user has.
    pub(crate) fn of(document: &Value) -> Option<Self> {
        let flag = |name: &str| document[name].as_bool();
        Some(Self {
            id: document["id"].as_str()?.to_owned(),
            email: document["primaryEmail"].as_str()?.to_lowercase(),
            is_suspended: flag("suspended").unwrap_or(false),
            has_mailbox: flag("isMailboxSetup").unwrap_or(true),
        })
    }
}
