//! People and the tokens of service identities.

use std::{collections::BTreeSet, time::Duration};

use access::{CredentialId, PersonName, Role, Scope, ServiceName};
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  unwipe person invite anna --role owner           the first owner; its page makes a passkey
  unwipe person invite ben --role viewer --role approver
  unwipe person invite anna --key file:kit.txt     one more passkey, on another device
  unwipe person recover anna --key file:kit.txt    anna lost all passkeys

What weakens protection is approved by others in the pages. Here it is done at once, because whoever runs this \
command holds the files of the host anyway; it is written to the vault's operation log and told.")]
pub(crate) struct Person {
    #[command(subcommand)]
    pub(crate) action: PersonAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PersonAction {
    /// List people, their roles and their passkeys
    List,
    /// Invite somebody, or let a person register one more passkey
    Invite(PersonInvite),
    /// Give and take roles; all sessions of the person end
    Roles(PersonRoles),
    /// Remove one passkey of several, because the device was lost
    RemovePasskey {
        /// Whose
        #[arg(value_name = "NAME")]
        person: PersonName,
        /// Which, as `unwipe person list` shows it
        #[arg(allow_hyphen_values = true)]
        passkey: CredentialId,
    },
    /// Let a person sign in no more; inviting them again starts afresh
    Deactivate {
        /// Who
        #[arg(value_name = "NAME")]
        person: PersonName,
    },
    /// Invite a person again who lost all passkeys, once the recovery kit has opened the vault
    Recover(PersonRecover),
}

#[derive(Debug, Args)]
pub(crate) struct PersonInvite {
    /// The account: lower-case letters, digits, and between them hyphens, dots, underscores
    #[arg(value_name = "NAME")]
    pub(crate) person: PersonName,
    /// What they are for: viewer (sees), operator (plans, drills, contains), approver (approves), owner (all of it)
    #[arg(long = "role", value_name = "ROLE", value_parser = role)]
    pub(crate) roles: Vec<Role>,
    /// What people read in place of the name: "Anna Berg"
    #[arg(long, value_name = "TEXT", requires = "roles")]
    pub(crate) display: Option<String>,
    /// For one more passkey of somebody who has an account: the recovery kit, file:PATH or shares:FILE,FILE,…
    #[arg(long, value_name = "REFERENCE", conflicts_with = "roles")]
    pub(crate) key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PersonRoles {
    /// Who
    #[arg(value_name = "NAME")]
    pub(crate) person: PersonName,
    /// The roles afterwards: viewer, operator, approver, owner
    #[arg(long = "role", value_name = "ROLE", required = true, value_parser = role)]
    pub(crate) roles: Vec<Role>,
}

#[derive(Debug, Args)]
pub(crate) struct PersonRecover {
    /// Who
    #[arg(value_name = "NAME")]
    pub(crate) person: PersonName,
    /// The recovery kit: file:PATH, or shares:FILE,FILE,… of the pages that it was split into
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) key: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  unwipe token create deploy-agent --scope see --scope snapshot
  unwipe token create dashboards --scope see --lifetime 90d
  unwipe token revoke deploy-agent

There is no scope that approves, applies, contains or manages: a token cannot be given what only people may.")]
pub(crate) struct Token {
    #[command(subcommand)]
    pub(crate) action: TokenAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenAction {
    /// Make a token for a script or an agent; it is shown once
    Create(TokenCreate),
    /// List the tokens that have not lapsed, without their texts
    List,
    /// End a token now
    Revoke {
        /// Whose
        #[arg(value_name = "NAME")]
        service: ServiceName,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TokenCreate {
    /// The service identity; it has one token at a time
    #[arg(value_name = "NAME")]
    pub(crate) service: ServiceName,
    /// What it may do: see (as a viewer), content (read items), snapshot (ask for a capture), request (plan, and ask people)
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_parser = scope)]
    pub(crate) scopes: Vec<Scope>,
    /// How long it lives, at most 90d: 30m, 8h, 7d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
    pub(crate) lifetime: Duration,
}

impl PersonInvite {
    pub(crate) fn roles(&self) -> BTreeSet<Role> {
        self.roles.iter().copied().collect()
    }
}

fn role(text: &str) -> Result<Role, String> {
    let found = Role::ALL.into_iter().find(|role| role.as_str() == text);
    found.ok_or_else(|| "a role is viewer, operator, approver or owner".to_owned())
}

fn scope(text: &str) -> Result<Scope, String> {
    let found = Scope::ALL.into_iter().find(|scope| scope.as_str() == text);
    found.ok_or_else(|| "a scope is see, content, snapshot or request; no other exists".to_owned())
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let shape = || format!("{text:?} is no time such as 30m, 8h or 7d");
    let unit = text.chars().last().ok_or_else(shape)?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(shape()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| shape())?;
    Ok(Duration::from_secs(count.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(lifetime("90d"), Ok(Duration::from_hours(90 * 24)));
        assert_eq!(lifetime("1h"), Ok(Duration::from_hours(1)));
        for bad in ["", "h", "-1h", "1", "1w", "1.5h", "1é", "é"] {
            assert!(lifetime(bad).is_err(), "{bad:?} was read");
        }
    }

    #[test]
    fn there_is_no_scope_for_what_people_do() {
        for word in ["approve", "apply", "contain", "manage", "owner", "See", ""] {
            assert!(scope(word).is_err(), "{word:?} was read");
        }
        for known in Scope::ALL {
            assert_eq!(scope(known.as_str()), Ok(known));
        }
    }
}
