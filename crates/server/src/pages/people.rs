//! Who may come in and what they may do.

use std::{collections::BTreeSet, sync::Arc};

use access::{Edit, Outcome, Permission, Person, PersonName, Role, Scope, ServiceName, TokenNote};
use approvals::CaseId;
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use model::Moment;
use service::{
    account_changes::{AccountChangeError, AccountChanges, Asked},
    words,
};

use super::{
    Page, elsewhere,
    frame::{Frame, Section},
    show,
};
use crate::{
    problem::Problem,
    site::Site,
    visitor::{Member, Posted},
};

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/people", get(people))
        .route("/people/change", post(change))
        .route("/people/carry-out/{case}", post(carry_out))
        .route("/tokens", post(create_token))
        .route("/tokens/{name}/revoke", post(revoke_token))
}

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    frame: Frame,
    people: Vec<Person>,
    tokens: Vec<TokenNote>,
    may_manage: bool,
    needed: u32,
    now: Moment,
}

impl PeoplePage {
    fn roles(&self, person: &Person) -> String {
        person.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn standing(&self, person: &Person) -> (&'static str, &'static str) {
        match (person.active, person.passkeys.is_empty()) {
            (false, _) => ("", "deactivated"),
            (true, true) => ("warning", "invited"),
            (true, false) => ("good", "active"),
        }
    }

    fn used(&self, person: &Person) -> String {
        let last = person.passkeys.iter().filter_map(|passkey| passkey.used).max();
        last.map_or_else(|| "never".to_owned(), |at| words::ago(at, self.now))
    }

    fn scopes(&self, token: &TokenNote) -> String {
        token.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn token_state(&self, token: &TokenNote) -> (&'static str, String) {
        match token.revoked_at {
            Some(at) => ("", format!("revoked {}", words::ago(at, self.now))),
            None if token.expires_at <= self.now => ("", "over".to_owned()),
            None => ("good", format!("ends {}", words::ago(token.expires_at, self.now))),
        }
    }

    fn is_in_force(&self, token: &TokenNote) -> bool {
        token.revoked_at.is_none() && token.expires_at > self.now
    }

    fn all_roles(&self) -> [Role; 4] {
        Role::ALL
    }

    fn all_scopes(&self) -> [Scope; 4] {
        Scope::ALL
    }
}

async fn people(State(site): State<Arc<Site>>, Member(visitor, person): Member, headers: HeaderMap) -> Page {
    visitor.require(Permission::See)?;
    let (people, tokens, needed) = elsewhere(&site, |site| {
        let needed = site.installation()?.config().approvals.needed;
        Ok((site.access.people()?, site.access.tokens()?, needed))
    })
    .await?;
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::People, "People");
    let may_manage = visitor.may(Permission::ManagePeople);
    show(&PeoplePage { frame, people, tokens, may_manage, needed, now: site.now() })
}

impl From<AccountChangeError> for Problem {
    fn from(error: AccountChangeError) -> Self {
        let hint = error.hint();
        match error {
            AccountChangeError::Access(error) => error.into(),
            AccountChangeError::NoAccount { .. } => Self::of(StatusCode::NOT_FOUND, &error),
            AccountChangeError::Unwritable(_) => Self::of(StatusCode::INTERNAL_SERVER_ERROR, &error),
            AccountChangeError::Case(_) | AccountChangeError::Other => {
                Self::of(StatusCode::CONFLICT, &error).hint(hint)
            }
        }
    }
}

fn changes(site: &Site) -> Result<AccountChanges, Problem> {
    Ok(AccountChanges::new(Arc::clone(&site.access), site.cases()?))
}

/// What is shown once: whoever has it comes in.
#[derive(Template)]
#[template(path = "shown_once.html")]
struct ShownOncePage {
    frame: Frame,
    secret: String,
    what: String,
    until: String,
    is_address: bool,
}

/// A session in which a passkey was used minutes ago: changes of people are asked of no other.
fn fresh(site: &Site, until: Moment) -> Result<(), Problem> {
    if until > site.now() {
        return Ok(());
    }
    Err(Problem::new(StatusCode::FORBIDDEN, "You logged in too long ago for this.")
        .hint(Some("Log out and in again, then do it within five minutes.".to_owned())))
}

async fn change(State(site): State<Arc<Site>>, headers: HeaderMap, posted: Posted) -> Page {
    let Posted(Member(visitor, person), fields) = posted;
    visitor.require(Permission::ManagePeople)?;
    fresh(&site, person.fresh_until)?;
    let unusable = |error: model::NameError| Problem::unusable(error.to_string());
    let name = PersonName::new(fields.required("name")?).map_err(unusable)?;
    let roles: BTreeSet<Role> =
        Role::ALL.into_iter().filter(|role| fields.all("role").any(|given| given == role.as_str())).collect();
    let edit = match fields.required("edit")? {
        "invite" => Edit::Invite { name, display: fields.get("display").map(str::to_owned), roles },
        "roles" => Edit::SetRoles { name, roles },
        "passkey" => Edit::AddPasskey { name },
        "deactivate" => Edit::Deactivate { name },
        other => return Err(Problem::unusable(format!("There is no change called {other:?}.")).into()),
    };
    let reason = fields.get("reason").unwrap_or_default().to_owned();
    let by = visitor.principal();
    let asked = elsewhere(&site, move |site| Ok(changes(site)?.ask(edit, &by, &reason)?)).await?;
    match asked {
        Asked::Waits(case) => Ok(Redirect::to(&format!("/cases/{}", case.id)).into_response()),
        Asked::Done(outcome) => {
            let frame = Frame::of(&site, &visitor, &person, &headers, Section::People, "Invitation");
            shown_once(frame, *outcome)
        }
    }
}

/// Does what people approved.
async fn carry_out(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    Path(case): Path<String>,
    posted: Posted,
) -> Page {
    let Posted(Member(visitor, person), _) = posted;
    visitor.require(Permission::ManagePeople)?;
    fresh(&site, person.fresh_until)?;
    let id = CaseId::new(&case).map_err(|_| Problem::missing(format!("case {case}")))?;
    let outcome = elsewhere(&site, move |site| Ok(changes(site)?.carry_out(&id)?)).await?;
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::People, "Invitation");
    shown_once(frame, outcome)
}

fn shown_once(frame: Frame, outcome: Outcome) -> Page {
    match outcome {
        Outcome::Done(_) => Ok(Redirect::to("/people").into_response()),
        Outcome::Invited(invitation) => show(&ShownOncePage {
            frame,
            what: format!("The invitation of {}", invitation.person),
            secret: invitation.url,
            until: words::moment(invitation.expires_at),
            is_address: true,
        }),
    }
}

async fn create_token(State(site): State<Arc<Site>>, headers: HeaderMap, posted: Posted) -> Page {
    let Posted(Member(visitor, person), fields) = posted;
    visitor.require(Permission::ManageTokens)?;
    fresh(&site, person.fresh_until)?;
    let unusable = |error: model::NameError| Problem::unusable(error.to_string());
    let name = ServiceName::new(fields.required("name")?).map_err(unusable)?;
    let scopes: BTreeSet<Scope> = Scope::ALL
        .into_iter()
        .filter(|scope| fields.all("scope").any(|given| given == scope.as_str()))
        .collect();
    let hours: u64 = fields
        .required("hours")?
        .parse()
        .map_err(|_| Problem::unusable("The lifetime is a number of hours."))?;
    let lifetime = std::time::Duration::from_secs(hours.saturating_mul(3_600));
    let by = visitor.principal();
    let new =
        elsewhere(&site, move |site| Ok(site.access.create_token(&name, scopes, lifetime, &by)?)).await?;
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::People, "Token");
    show(&ShownOncePage {
        frame,
        what: format!("The token of {}", new.note.name),
        secret: new.token,
        until: words::moment(new.note.expires_at),
        is_address: false,
    })
}

async fn revoke_token(State(site): State<Arc<Site>>, Path(name): Path<String>, posted: Posted) -> Page {
    let Posted(Member(visitor, _), _) = posted;
    visitor.require(Permission::ManageTokens)?;
    let name = ServiceName::new(&name).map_err(|_| Problem::missing(format!("token {name}")))?;
    let by = visitor.principal();
    elsewhere(&site, move |site| Ok(site.access.revoke_token(&name, &by)?)).await?;
    Ok(Redirect::to("/people").into_response())
}
