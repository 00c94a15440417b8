use std::collections::BTreeSet;

use google_api::WriteApi;
use model::{Actor, Attribution, Moment};
use serde_json::Value;
use watch::containment::{Action, ActionKind, Container, ContainmentError, Proposal, Suspect, Taken};

use crate::{
    accounts::{self, Account, SuspendedAccount},
    consents::{self, ProgramConsents},
    failure::{foreign, protected},
};

/// How the addresses of service accounts end.
const SERVICE_ACCOUNTS: &str = ".gserviceaccount.com";

/// Who contains, and who is never contained.
#[derive(Debug, Clone)]
pub struct ContainmentSettings {
    /// The administrator in whose name it is acted.
    pub admin: String,
    /// Addresses of accounts that are never suspended: the administrator of the capture. The one above, and super
    /// administrators, never are either.
    pub spared: BTreeSet<String>,
    /// Addresses of accounts that belong to programs and to no person: these may be suspended.
    pub machines: BTreeSet<String>,
}

/// Stops programs and accounts of a domain, with an identity that can do nothing else.
pub struct DomainContainer {
    api: WriteApi,
    settings: ContainmentSettings,
}

impl DomainContainer {
    /// Makes a container; the calls are made with a service account of its own, which was granted the scopes of
    /// [`google_api::containment_scope`] over the domain.
    pub const fn new(api: WriteApi, settings: ContainmentSettings) -> Self {
        Self { api, settings }
    }

    /// Tells whether it could act: both scopes are tried by reading what is the administrator's.
    pub fn ready(&self) -> Result<(), ContainmentError> {
        let admin = &self.settings.admin;
        consents::of_user(&self.api, admin, admin)?;
        match accounts::find(&self.api, admin, admin)? {
            Some(_) => Ok(()),
            None => Err(ContainmentError::Gone { subject: admin.clone() }),
        }
    }

    /// Proposes what would stop somebody who is known.
    fn against(&self, suspect: &Suspect, actor: &Actor) -> Result<Option<Proposal>, ContainmentError> {
        if actor.impersonated || actor.identity.ends_with(SERVICE_ACCOUNTS) {
            let subject = actor.client.as_deref().unwrap_or(&actor.identity);
            return Err(protected(subject, delegated(actor)));
        }
        let mut actions = Vec::new();
        if let Some(client) = &actor.client {
            let mut users: Vec<&str> = vec![&actor.identity];
            users.extend(account_of(&suspect.scope).filter(|user| *user != actor.identity));
            actions.extend(self.revocation(suspect, client, &users)?);
        }
        if has(&self.settings.machines, &actor.identity)
            && let Some(account) = accounts::find(&self.api, &self.settings.admin, &actor.identity)?
            && !account.suspended
        {
            self.check(&account)?;
            actions.push(suspension(suspect, &account)?);
        }
        let proposal = Proposal { actor: actor.clone(), attribution: suspect.attribution, actions };
        Ok((!proposal.actions.is_empty()).then_some(proposal))
    }

    /// Proposes to take the consents of some users from a program; `None` when none of them let it in.
    fn revocation(
        &self,
        suspect: &Suspect,
        client: &str,
        users: &[&str],
    ) -> Result<Option<Action>, ContainmentError> {
        let mut found =
            ProgramConsents { client: client.to_owned(), name: client.to_owned(), consents: Vec::new() };
        for user in users {
            let tokens = consents::of_user(&self.api, &self.settings.admin, user)?;
            if let Some(token) = tokens.iter().find(|token| token.client_id == client) {
                token.name().clone_into(&mut found.name);
                found.note(token.consent(user));
            }
        }
        if found.consents.is_empty() { Ok(None) } else { revoking(suspect, &found).map(Some) }
    }

    /// Proposes something where nobody told who it is: of the programs that the user let in exactly one can destroy.
    fn inferred(&self, suspect: &Suspect, whose: Option<&str>) -> Result<Option<Proposal>, ContainmentError> {
        let Some(user) = whose.or_else(|| account_of(&suspect.scope)) else { return Ok(None) };
        let tokens = consents::of_user(&self.api, &self.settings.admin, user)?;
        let mut able = tokens.iter().filter(|token| token.is_destructive());
        let (Some(token), None) = (able.next(), able.next()) else { return Ok(None) };
        let found = ProgramConsents {
            client: token.client_id.clone(),
            name: token.name().to_owned(),
            consents: vec![token.consent(user)],
        };
        let actor = Actor {
            identity: user.to_owned(),
            application: Some(found.name.clone()),
            client: Some(found.client.clone()),
            ..Actor::default()
        };
        let actions = vec![revoking(suspect, &found)?];
        Ok(Some(Proposal { actor, attribution: Attribution::Inferred, actions }))
    }

    /// Refuses to suspend whom the domain, or unwipe, needs.
    fn check(&self, account: &Account) -> Result<(), ContainmentError> {
        let own = self.settings.spared.iter().chain([&self.settings.admin]);
        let reason = if own.into_iter().any(|address| account.is(address)) {
            "unwipe itself acts in this account's name"
        } else if account.is_admin {
            "it is a super administrator, who can end every suspension but perhaps not this one"
        } else {
            return Ok(());
        };
        Err(protected(account.primary_email.as_str(), reason))
    }

    /// Takes the consents away, those that are still there; returns what they were.
    fn revoke(&self, details: &Value) -> Result<ProgramConsents, ContainmentError> {
        let mut record: ProgramConsents = serde_json::from_value(details.clone()).map_err(foreign)?;
        let admin = &self.settings.admin;
        // All of it is known before anything is done.
        let mut present = Vec::new();
        for consent in record.consents.clone() {
            let tokens = consents::of_user(&self.api, admin, &consent.user)?;
            if let Some(token) = tokens.iter().find(|token| token.client_id == record.client) {
                record.note(token.consent(&consent.user));
                present.push(consent.user);
            }
        }
        for user in present {
            consents::revoke(&self.api, admin, &user, &record.client)?;
        }
        Ok(record)
    }

    fn suspend(&self, action: &Action) -> Result<SuspendedAccount, ContainmentError> {
        let mut record: SuspendedAccount = serde_json::from_value(action.details.clone()).map_err(foreign)?;
        let admin = &self.settings.admin;
        let account = accounts::find(&self.api, admin, &record.id)?
            .ok_or_else(|| ContainmentError::Gone { subject: action.subject.clone() })?;
        self.check(&account)?;
        // One that is suspended now and was not when this was proposed: the answer to the first try was lost.
        let account =
            if account.suspended { account } else { accounts::suspend(&self.api, admin, &record.id, true)? };
        record.reason_since = account.reason().map(str::to_owned);
        Ok(record)
    }

    /// Ends a suspension, if it is the one that this container made.
    fn restore(&self, prior: &Value) -> Result<(), ContainmentError> {
        let record: SuspendedAccount = serde_json::from_value(prior.clone()).map_err(foreign)?;
        let admin = &self.settings.admin;
        let account = accounts::find(&self.api, admin, &record.id)?
            .ok_or_else(|| ContainmentError::Gone { subject: record.email.clone() })?;
        if record.suspended || !account.suspended {
            return Ok(());
        }
        if account.reason() != record.reason_since.as_deref() {
            let reason = account.reason().unwrap_or("unknown");
            return Err(protected(
                record.email,
                format!(
                    "it is suspended for another reason since then ({reason}), and that is not to be undone here"
                ),
            ));
        }
        accounts::suspend(&self.api, admin, &record.id, false).map(drop)
    }
}

impl Container for DomainContainer {
    fn propose(&mut self, suspect: &Suspect) -> Result<Option<Proposal>, ContainmentError> {
        match &suspect.actor {
            // Who changed a file last names the person, and not what acted in their name.
            Some(actor) if is_guess(suspect, actor) => self.inferred(suspect, Some(&actor.identity)),
            Some(actor) => self.against(suspect, actor),
            None => self.inferred(suspect, None),
        }
    }

    fn take(&mut self, action: &Action, now: Moment) -> Result<Taken, ContainmentError> {
        let taken = |prior: Value, can_be_taken_back| Taken {
            action: action.clone(),
            at: now,
            prior,
            can_be_taken_back,
        };
        match action.kind {
            ActionKind::RevokeConsent => {
                let record = self.revoke(&action.details)?;
                Ok(taken(serde_json::to_value(&record).map_err(foreign)?, false))
            }
            ActionKind::SuspendAccount => {
                let record = self.suspend(action)?;
                Ok(taken(serde_json::to_value(&record).map_err(foreign)?, !record.suspended))
            }
            ActionKind::EndSession | ActionKind::BarLogin => {
                Err(protected(action.subject.as_str(), "a Google Workspace domain has no such action"))
            }
        }
    }

    fn take_back(&mut self, taken: &Taken) -> Result<(), ContainmentError> {
        match taken.action.kind {
            ActionKind::SuspendAccount => self.restore(&taken.prior),
            ActionKind::RevokeConsent => {
                let record: ProgramConsents = serde_json::from_value(taken.prior.clone()).map_err(foreign)?;
                Err(protected(record.client.as_str(), record.to_be_given_again()))
            }
            ActionKind::EndSession | ActionKind::BarLogin => {
                Err(protected(taken.action.subject.as_str(), "a Google Workspace domain has no such action"))
            }
        }
    }
}

/// Tells whether it is only guessed who it was, and nothing is known of a program.
fn is_guess(suspect: &Suspect, actor: &Actor) -> bool {
    let guessed = matches!(suspect.attribution, Attribution::Inferred | Attribution::Unknown);
    guessed && actor.client.is_none() && !actor.impersonated && actor.identity.contains('@')
}

fn has(addresses: &BTreeSet<String>, address: &str) -> bool {
    addresses.iter().any(|own| own.eq_ignore_ascii_case(address))
}

/// Returns the account whose things a scope names, `gmail/anna@x.org` or `anna@x.org`; a shared drive is nobody's.
fn account_of(scope: &str) -> Option<&str> {
    let account = scope.rsplit('/').next().unwrap_or(scope);
    account.contains('@').then_some(account)
}

fn revoking(suspect: &Suspect, consents: &ProgramConsents) -> Result<Action, ContainmentError> {
    let users: Vec<&str> = consents.consents.iter().map(|consent| consent.user.as_str()).collect();
    Ok(Action {
        kind: ActionKind::RevokeConsent,
        source: suspect.source.clone(),
        subject: consents.client.clone(),
        title: format!(
            "take the consent of {} from {} ({})",
            users.join(", "),
            consents.name,
            consents.client
        ),
        details: serde_json::to_value(consents).map_err(foreign)?,
    })
}

fn suspension(suspect: &Suspect, account: &Account) -> Result<Action, ContainmentError> {
    Ok(Action {
        kind: ActionKind::SuspendAccount,
        source: suspect.source.clone(),
        subject: account.primary_email.clone(),
        title: format!("suspend the account {}", account.primary_email),
        details: serde_json::to_value(account.record()).map_err(foreign)?,
    })
}

/// Says what a person can do against a service account: no API takes its delegation away.
fn delegated(actor: &Actor) -> String {
    let client = actor.client.as_deref().unwrap_or("whose number its page in the Cloud console shows");
    format!(
        "a service account acts by domain-wide delegation, which only a person can end: in the Admin console, Security, \
         Access and data control, API controls, Domain-wide delegation, remove the client {client}; tokens that it has are \
         good for an hour at most, unless its key is deleted and the account disabled in the Cloud console"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_things_they_are_is_read_from_a_scope() {
        assert_eq!(account_of("anna@acme.test"), Some("anna@acme.test"));
        assert_eq!(account_of("gmail/anna@acme.test"), Some("anna@acme.test"));
        assert_eq!(account_of("shared-drive/0AbC"), None);
    }
}
