//! Who may do what: one pure function.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{PersonName, ServiceName};

/// Whoever acts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Principal {
    /// A person who signed in with a passkey.
    Person(PersonName),
    /// Whoever holds a token.
    Service(ServiceName),
    /// Whoever runs the command line on the host: a note, and no proof.
    Host(String),
}

impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Person(name) => write!(f, "{name}"),
            Self::Service(name) => write!(f, "service {name}"),
            Self::Host(note) => write!(f, "{note} on the host"),
        }
    }
}

/// What a person is for. A person may have several roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees posture, sources, incidents, drills and activity.
    Viewer,
    /// Also reads content, plans, requests, drills, contains.
    Operator,
    /// Sees, reads content, approves.
    Approver,
    /// All of it, and manages people. Still never approves what they requested.
    Owner,
}

impl Role {
    /// All of them, the weakest first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Approver, Self::Owner];

    /// Returns the role as a word: `viewer`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Owner => "owner",
        }
    }

    /// Returns whether giving this role to somebody weakens protection.
    pub const fn is_power(self) -> bool {
        !matches!(self, Self::Viewer)
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a token is for. There is none that approves, applies, manages or contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Sees what a viewer sees.
    See,
    /// Reads content, with secrets masked where agents read it.
    Content,
    /// Asks for a capture now.
    Snapshot,
    /// Announces an intent, plans, and requests what people then approve.
    Request,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::See, Self::Content, Self::Snapshot, Self::Request];

    /// Returns the scope as a word: `see`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::See => "see",
            Self::Content => "content",
            Self::Snapshot => "snapshot",
            Self::Request => "request",
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that may be allowed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// See posture, sources, incidents, drills, activity.
    See,
    /// Read the content of items.
    Content,
    /// Ask for a capture now.
    Snapshot,
    /// Say that something is intended; a person confirms it.
    Announce,
    /// Confirm that something is expected, so that it raises no alarm.
    Expect,
    /// Make a plan, which changes nothing.
    Plan,
    /// Open a case for approval.
    Request,
    /// Run a drill.
    Drill,
    /// Stop whoever an incident is about.
    Contain,
    /// Approve or refuse a case that somebody else requested.
    Approve,
    /// Have an approved plan applied.
    Apply,
    /// Make and revoke tokens of service identities.
    ManageTokens,
    /// Invite people and change what they may do, as far as the approvals that this needs allow.
    ManagePeople,
}

impl Permission {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::See,
        Self::Content,
        Self::Snapshot,
        Self::Announce,
        Self::Expect,
        Self::Plan,
        Self::Request,
        Self::Drill,
        Self::Contain,
        Self::Approve,
        Self::Apply,
        Self::ManageTokens,
        Self::ManagePeople,
    ];

    /// Returns the permission as words: `manage people`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::See => "see",
            Self::Content => "content",
            Self::Snapshot => "snapshot",
            Self::Announce => "announce",
            Self::Expect => "expect",
            Self::Plan => "plan",
            Self::Request => "request",
            Self::Drill => "drill",
            Self::Contain => "contain",
            Self::Approve => "approve",
            Self::Apply => "apply",
            Self::ManageTokens => "manage tokens",
            Self::ManagePeople => "manage people",
        }
    }
}

/// What somebody is, as far as permissions go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'a> {
    /// A person with these roles.
    Person(&'a BTreeSet<Role>),
    /// A service identity with these scopes.
    Service(&'a BTreeSet<Scope>),
    /// Whoever runs the command line on the host. They hold its files, so little can be kept from them; they approve
    /// nothing, because a note proves nothing.
    Host,
}

/// Returns whether somebody may do something.
pub fn allows(standing: Standing<'_>, permission: Permission) -> bool {
    match standing {
        Standing::Person(roles) => roles.iter().any(|&role| role_allows(role, permission)),
        Standing::Service(scopes) => scopes.iter().any(|&scope| scope_allows(scope, permission)),
        Standing::Host => permission != Permission::Approve,
    }
}

const fn role_allows(role: Role, permission: Permission) -> bool {
    use Permission as P;
    match role {
        Role::Viewer => matches!(permission, P::See),
        Role::Operator => matches!(
            permission,
            P::See
                | P::Content
                | P::Snapshot
                | P::Announce
                | P::Expect
                | P::Plan
                | P::Request
                | P::Drill
                | P::Contain
                | P::Apply
        ),
        Role::Approver => matches!(permission, P::See | P::Content | P::Approve),
        Role::Owner => true,
    }
}

/// A match over scopes and permissions that a token can have: what is not named here, no token does.
const fn scope_allows(scope: Scope, permission: Permission) -> bool {
    use Permission as P;
    match scope {
        Scope::See => matches!(permission, P::See),
        Scope::Content => matches!(permission, P::Content),
        Scope::Snapshot => matches!(permission, P::Snapshot),
        Scope::Request => matches!(permission, P::Announce | P::Plan | P::Request),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of principal and every permission; a change of this table is a change of who may do what.
    const TABLE: &str = "
               viewer operator approver owner see content snapshot request host
see            yes    yes      yes      yes   yes -       -        -       yes
content        -      yes      yes      yes   -   yes     -        -       yes
snapshot       -      yes      -        yes   -   -       yes      -       yes
announce       -      yes      -        yes   -   -       -        yes     yes
expect         -      yes      -        yes   -   -       -        -       yes
plan           -      yes      -        yes   -   -       -        yes     yes
request        -      yes      -        yes   -   -       -        yes     yes
drill          -      yes      -        yes   -   -       -        -       yes
contain        -      yes      -        yes   -   -       -        -       yes
approve        -      -        yes      yes   -   -       -        -       -
apply          -      yes      -        yes   -   -       -        -       yes
manage tokens  -      -        -        yes   -   -       -        -       yes
manage people  -      -        -        yes   -   -       -        -       yes
";

    fn table() -> String {
        let mut header = format!("{:15}", "");
        header.extend(Role::ALL.iter().map(|role| format!("{role} ")));
        header.extend(Scope::ALL.iter().map(|scope| format!("{scope} ")));
        let mut text = format!("{header}host\n");
        for permission in Permission::ALL {
            let mut line = format!("{:15}", permission.as_str());
            let mut cell = |standing: Standing<'_>, width: usize| {
                let word = if allows(standing, permission) { "yes" } else { "-" };
                line.push_str(&format!("{word:width$} "));
            };
            for role in Role::ALL {
                cell(Standing::Person(&BTreeSet::from([role])), role.as_str().len());
            }
            for scope in Scope::ALL {
                cell(Standing::Service(&BTreeSet::from([scope])), scope.as_str().len());
            }
            cell(Standing::Host, 4);
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    #[test]
    fn the_whole_table() {
        assert_eq!(format!("\n{}", table()), TABLE);
    }

    #[test]
    fn nothing_is_allowed_to_nobody_and_several_roles_add_up() {
        for permission in Permission::ALL {
            assert!(!allows(Standing::Person(&BTreeSet::new()), permission));
            assert!(!allows(Standing::Service(&BTreeSet::new()), permission));
            for first in Role::ALL {
                for second in Role::ALL {
                    let either = [first, second]
                        .iter()
                        .any(|&role| allows(Standing::Person(&BTreeSet::from([role])), permission));
                    assert_eq!(
                        allows(Standing::Person(&BTreeSet::from([first, second])), permission),
                        either
                    );
                }
            }
        }
    }

    #[test]
    fn no_token_weakens_applies_or_approves() {
        let everything: BTreeSet<Scope> = Scope::ALL.into();
        for permission in [
            Permission::Approve,
            Permission::Apply,
            Permission::Contain,
            Permission::Expect,
            Permission::Drill,
            Permission::ManagePeople,
            Permission::ManageTokens,
        ] {
            assert!(!allows(Standing::Service(&everything), permission), "{permission:?}");
        }
        // The words of tokens are closed: there is no such scope to ask for.
        for word in ["approve", "apply", "manage", "contain", "owner", "drill"] {
            assert!(serde_json::from_value::<Scope>(word.into()).is_err());
        }
    }
}
