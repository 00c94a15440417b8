//! `unwipe person`

use access::{
    Access, Authorised, Change, Edit, Invitation, Outcome, Person, Principal, VaultOpened, Weakening,
};
use serde::Serialize;
use service::{
    Installation, Secrets, keys,
    operations::{self, Kind},
};
use vault::VaultReader;

use super::keys::vault_failure;
use crate::{
    accounts,
    arguments::{Person as Options, PersonAction, PersonInvite, PersonRecover, PersonRoles},
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{printable, table},
};

/// What was done, and what became less by it.
#[derive(Serialize)]
struct Done {
    #[serde(flatten)]
    outcome: Outcome,
    weakening: Option<Weakening>,
}

pub(crate) fn run(context: &Context, options: Options) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let access = accounts::open(context, &installation)?;
    match options.action {
        PersonAction::List => return list(context, &access),
        PersonAction::Invite(options) => invite(context, &installation, &access, &options)?,
        PersonAction::Roles(PersonRoles { person: name, roles }) => {
            change(context, &access, Edit::SetRoles { name, roles: roles.into_iter().collect() })?;
        }
        PersonAction::RemovePasskey { person: name, passkey: credential } => {
            change(context, &access, Edit::RemovePasskey { name, credential })?;
        }
        PersonAction::Deactivate { person: name } => change(context, &access, Edit::Deactivate { name })?,
        PersonAction::Recover(options) => recover(context, &installation, &access, &options)?,
    }
    Ok(Exit::Done)
}

/// Says that something is not in the vault's operation log yet.
pub(super) fn say_what_waits(context: &Context, access: &Access) {
    let waiting = access.undelivered().map_or(0, |entries| entries.len());
    if waiting > 0 {
        context.output.say(format!(
            "{waiting} entries wait to be written to the vault's operation log: it cannot be written from here now"
        ));
    }
}

fn list(context: &Context, access: &Access) -> Result<Exit, Failure> {
    let people = access.people()?;
    context.output.result(&people, || list_text(&people))?;
    Ok(Exit::Done)
}

fn list_text(people: &[Person]) -> String {
    if people.is_empty() {
        return "nobody has an account; invite the first owner: unwipe person invite NAME --role owner\n"
            .to_owned();
    }
    let mut rows = vec![
        ["person", "roles", "standing", "passkey", "signs by", "last used", "note"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for person in people {
        let roles: Vec<&str> = person.roles.iter().map(|role| role.as_str()).collect();
        let standing = match (person.active, person.passkeys.is_empty()) {
            (false, _) => "deactivated",
            (true, true) => "invited again",
            (true, false) => "active",
        };
        let mut cells = vec![person_name(person), roles.join(", "), standing.to_owned()];
        if person.passkeys.is_empty() {
            rows.push(cells);
            continue;
        }
        for passkey in &person.passkeys {
            let used = passkey.used.map_or_else(|| "never".to_owned(), |used| used.to_string());
            let note = match (passkey.suspicious, passkey.may_be_copied) {
                (Some(at), _) => format!("its counter went back at {at}: it may have been copied, remove it"),
                (None, true) => "shared among the person's devices".to_owned(),
                (None, false) => String::new(),
            };
            cells.extend([passkey.credential.to_string(), passkey.algorithm.clone(), used, note]);
            rows.push(std::mem::replace(&mut cells, vec![String::new(); 3]));
        }
    }
    table(&rows)
}

fn person_name(person: &Person) -> String {
    if person.display == person.name.as_str() {
        return person.name.to_string();
    }
    format!("{} ({})", person.name, printable(&person.display))
}

/// Without roles it is about one more passkey.
fn invite(
    context: &Context,
    installation: &Installation,
    access: &Access,
    options: &PersonInvite,
) -> Result<(), Failure> {
    let (name, roles) = (options.person.clone(), options.roles());
    if !roles.is_empty() {
        return change(context, access, Edit::Invite { name, display: options.display.clone(), roles });
    }
    if access.person(&name)?.is_some_and(|person| person.active) {
        let key = options.key.as_deref().ok_or(access::AccessError::NeedsKit)?;
        return change_with_kit(context, installation, access, Edit::AddPasskey { name }, key);
    }
    Err(Failure::new(Exit::Usage, format!("{name} has no account yet, so say what they are for"))
        .hint(format!("unwipe person invite {name} --role viewer")))
}

fn recover(
    context: &Context,
    installation: &Installation,
    access: &Access,
    options: &PersonRecover,
) -> Result<(), Failure> {
    let name = options.person.clone();
    change_with_kit(context, installation, access, Edit::Recover { name }, &options.key)
}

fn change_with_kit(
    context: &Context,
    installation: &Installation,
    access: &Access,
    edit: Edit,
    key: &str,
) -> Result<(), Failure> {
    // Looked at before the kit is used.
    let change = access.plan_change(edit, &host(context))?;
    let opened = open_with_kit(context, installation, key)?;
    apply(context, access, &change, &Authorised::of_host_with_kit(context.person(), &opened))
}

/// Reads samples of the vault back with the kit. A key that stays on a host for restoring proves nothing about people.
fn open_with_kit(
    context: &Context,
    installation: &Installation,
    reference: &str,
) -> Result<VaultOpened, Failure> {
    const SAMPLES: u64 = 3;

    let secrets = Secrets::new(installation.home(), &environment);
    let (key, shares) = keys::resolve(reference, &secrets)?;
    let reader = VaultReader::open(installation.store(&environment)?, &key).map_err(vault_failure)?;
    let recipient = key.recipient_text();
    let recipients = reader.vault().keys().recipients;
    if !recipients.iter().any(|known| known.age == recipient && known.role == "recovery") {
        return Err(Failure::new(
            Exit::Authentication,
            "this key opens the vault, but is no recovery kit: it shows nothing about who holds it",
        )
        .hint("unwipe keys list"));
    }
    let mut drill = keys::prove(&reader, SAMPLES, context.clock().now(), &*context.ports.random)?;
    drill.recipient.clone_from(&recipient);
    drill.shares = shares;
    if let Ok((writer, _)) = installation.writer(&environment) {
        // It is a drill of the kit as well; what was recovered is recorded by itself.
        operations::record(&writer, Kind::KeyDrill, &drill.at.to_string(), &drill).ok();
    }
    Ok(VaultOpened { recipient, commits: drill.commits })
}

fn host(context: &Context) -> Principal {
    Principal::Host(context.person())
}

fn change(context: &Context, access: &Access, edit: Edit) -> Result<(), Failure> {
    let change = access.plan_change(edit, &host(context))?;
    apply(context, access, &change, &Authorised::of_host(context.person()))
}

fn apply(
    context: &Context,
    access: &Access,
    change: &Change,
    authorised: &Authorised,
) -> Result<(), Failure> {
    let outcome = access.apply_change(change, authorised)?;
    let done = Done { outcome, weakening: change.weakening.clone() };
    context.output.result(&done, || match &done.outcome {
        Outcome::Invited(invitation) => invitation_text(invitation),
        Outcome::Done(person) => list_text(std::slice::from_ref(person)),
    })?;
    if let Some(weakening) = &done.weakening {
        context.output.say(format!(
            "this weakens protection: {weakening}; nobody else was asked, because this is the host itself"
        ));
    }
    say_what_waits(context, access);
    Ok(())
}

fn invitation_text(invitation: &Invitation) -> String {
    let Invitation { person, expires_at, url, .. } = invitation;
    format!(
        "{url}\n\nOpens once, until {expires_at}. Whoever opens it becomes {person}: give it to {person} in person, or on a way that \
         nobody else reads.\nThe pages are served by: unwipe serve\n"
    )
}
