//! `unwipe approve`

use std::{io::IsTerminal, path::PathBuf};

use connect::plan::PlanFolder;
use serde::Serialize;
use service::{
    Installation,
    approval::Approval,
    operations::{self, Kind},
    signature::SigningKey,
};

use crate::{
    arguments::Approve,
    commands::show::document_text,
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::Format,
};

#[derive(Serialize)]
struct Approved {
    approval: Approval,
    counts: bool,
}

/// The name under which the first approver of an installation is listed.
const OWNER: &str = "owner";

pub(crate) fn run(context: &Context, options: &Approve) -> Result<Exit, Failure> {
    let mut installation = context.installation()?;
    let folder = PlanFolder::new(&options.plan);
    let document = folder.read_document(None)?;
    let hash = document.hash()?;
    // Whoever approves a bundle approves its parts: they must be what it says.
    let text = document_text(context.output, &folder, &document)?;
    if !options.yes {
        confirm(context, &text)?;
    }
    let key = key(context, &mut installation, options)?;
    let approval = Approval::sign(&key, hash, context.clock().now());
    approval.write(&options.plan)?;
    let (writer, _) = installation.writer(&environment)?;
    operations::record(&writer, Kind::Approval, &format!("{hash}/{}", approval.approver), &approval)?;
    let counts = installation.config().approvers.values().any(|public| *public == approval.approver);
    let result = Approved { approval, counts };
    context.output.result(&result, || {
        if counts {
            format!("plan {hash} is approved\n")
        } else {
            format!(
                "plan {hash} is signed, but this key counts only once unwipe.toml lists it:\n\n[approvers]\nNAME = \"{}\"\n",
                result.approval.approver
            )
        }
    })?;
    context.output.say(format!("next: unwipe apply {} --url URL", options.plan.display()));
    Ok(if counts { Exit::Done } else { Exit::Authentication })
}

/// Reads the approver's key; the first key of an installation is made here and listed.
fn key(context: &Context, installation: &mut Installation, options: &Approve) -> Result<SigningKey, Failure> {
    let path = match options.key.as_deref() {
        Some(reference) => PathBuf::from(reference.strip_prefix("file:").unwrap_or(reference)),
        None => installation.home().join("keys/approval.key"),
    };
    if path.exists() {
        return Ok(SigningKey::read(&path)?);
    }
    let key = SigningKey::create(&path, &*context.ports.random)?;
    context.output.say(format!("made a new approval key: {}", path.display()));
    if installation.config().approvers.is_empty() {
        let public = key.public();
        installation.reconfigure(|config| {
            config.approvers.insert(OWNER.to_owned(), public);
            Ok(())
        })?;
    }
    Ok(key)
}

fn confirm(context: &Context, plan: &str) -> Result<(), Failure> {
    if context.output.format == Format::Json || !std::io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Usage, "a plan is approved by a person who has seen it")
            .hint("look at it with `unwipe show PLAN`, then add --yes"));
    }
    context.output.say(plan);
    context.output.say("Approve? Type yes:");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if answer.trim() == "yes" {
        Ok(())
    } else {
        Err(Failure::new(Exit::Authentication, "the plan was not approved"))
    }
}
