//! `unwipe approve`

use std::{io::IsTerminal, path::Path};

use approvals::{Case, Decision, Subject, Weakening};
use connect::plan::{PlanFolder, PlanHash};
use serde::Serialize;
use service::{
    Installation,
    approval::{Approval, ApprovalError, Proof, Quorum, approvers_of},
    cases::CaseStore,
    operations::{self, Kind},
    plans::name_of,
    signature::SigningKey,
};

use crate::{
    arguments::Approve,
    commands::{cases, show::document_text},
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{Format, printable},
};

#[derive(Serialize)]
struct Approved {
    approval: Approval,
    /// Whether the key is one of those that count.
    counts: bool,
    /// Whose approvals count by now.
    approvers: Vec<String>,
    /// So many must approve.
    needed: usize,
    /// Who may approve and has not; empty once there are enough.
    missing: Vec<String>,
}

/// The name under which the first approver of an installation is listed.
const OWNER: &str = "owner";

pub(crate) fn run(context: &Context, options: &Approve) -> Result<Exit, Failure> {
    let mut installation = context.installation()?;
    super::weakened::look(context, &installation);
    let place = context.plan_folder(&options.plan);
    if place.is_dir() {
        let hash = PlanFolder::new(&place).read_document(None)?.hash()?;
        return match waiting_case(&installation, hash)? {
            Some(case) => approve_case(context, &mut installation, options, &case),
            None => approve_plan(context, &mut installation, options, (&place, hash)),
        };
    }
    let typed = options.plan.to_string_lossy();
    let Ok(id) = cases::id(&typed) else {
        return Err(Failure::new(
            Exit::Usage,
            format!("{} is neither a plan's folder nor a case", printable(&typed)),
        )
        .hint("unwipe cases list"));
    };
    let case = cases::open(&installation)?.get(&id)?;
    approve_case(context, &mut installation, options, &case)
}

/// Returns the open case in which a plan waits for approval.
fn waiting_case(installation: &Installation, plan: PlanHash) -> Result<Option<Case>, Failure> {
    // Without any case, the vault is not needed to know that.
    if CaseStore::of(installation.home()).of_plan(plan)?.is_empty() {
        return Ok(None);
    }
    let case = cases::open(installation)?.of_plan(plan)?;
    Ok(case.filter(|case| !case.state.is_over()))
}

fn approve_case(
    context: &Context,
    installation: &mut Installation,
    options: &Approve,
    case: &Case,
) -> Result<Exit, Failure> {
    let mut text = cases::text(installation, case);
    if let Subject::Restore { plan, folder, .. } = &case.subject {
        // What is shown and what is approved are the same: the folder must hold the plan that the case is about.
        let folder = PlanFolder::new(folder);
        let document = folder.read_document(Some(*plan))?;
        text.push('\n');
        text.push_str(&document_text(context.output, &folder, &document)?);
    }
    if !options.yes {
        confirm(context, &text)?;
    }
    let key = key(context, installation, options)?;
    let cases = cases::open(installation)?;
    let proof = Proof::sign(&key, &cases.statement(&case.id, Decision::Approve)?);
    let step = cases.decide(&case.id, Decision::Approve, "", &proof)?;
    cases::told(context, installation, &step)?;
    match &step.case.subject {
        Subject::Restore { folder, .. } => {
            let name = name_of(installation.home(), Path::new(folder));
            context.output.say(format!("next: unwipe apply {} --url URL", printable(&name)));
        }
        Subject::Weakening(Weakening::LetIn { incident }) => {
            context.output.say(format!("next: unwipe contain {incident} --take-back"));
        }
        Subject::Weakening(_) => {}
    }
    Ok(Exit::Done)
}

fn approve_plan(
    context: &Context,
    installation: &mut Installation,
    options: &Approve,
    (place, hash): (&Path, PlanHash),
) -> Result<Exit, Failure> {
    let folder = PlanFolder::new(place);
    let document = folder.read_document(Some(hash))?;
    // Whoever approves a bundle approves its parts: they must be what it says.
    let text = document_text(context.output, &folder, &document)?;
    if !options.yes {
        confirm(context, &text)?;
    }
    let key = key(context, installation, options)?;
    let approval = Approval::sign(&key, hash, context.clock().now());
    approval.write(place)?;
    let (writer, _) = installation.writer(&environment)?;
    operations::record(&writer, Kind::Approval, &format!("{hash}/{}", approval.approver), &approval)?;
    let counts = installation.config().approvers.values().any(|public| *public == approval.approver);
    let (approvers, missing) = standing(installation, hash, place)?;
    let needed = installation.config().approvals.needed();
    let result = Approved { approval, counts, approvers, needed, missing };
    context.output.result(&result, || {
        if !counts {
            format!(
                "plan {hash} is signed, but this key counts only once unwipe.toml lists it:\n\n[approvers]\nNAME = \"{}\"\n",
                result.approval.approver
            )
        } else if result.approvers.len() < needed {
            let given = result.approvers.len();
            format!("{given} of {needed} approvals; missing: {}\n", printable(&result.missing.join(", ")))
        } else {
            format!("plan {hash} is approved\n")
        }
    })?;
    context
        .output
        .say(format!("next: unwipe apply {} --url URL", printable(&name_of(installation.home(), place))));
    Ok(if counts { Exit::Done } else { Exit::Authentication })
}

/// Returns who approved a plan and who may and has not.
fn standing(
    installation: &Installation,
    plan: PlanHash,
    folder: &Path,
) -> Result<(Vec<String>, Vec<String>), Failure> {
    let passkeys = cases::passkeys(installation);
    match approvers_of(plan, folder, &Quorum::of(installation, &*passkeys, plan)?) {
        Ok(approvers) => Ok((approvers, Vec::new())),
        Err(ApprovalError::Missing { given, missing, .. }) => Ok((given, missing)),
        Err(ApprovalError::NoApprovers { .. }) => Ok((Vec::new(), Vec::new())),
        Err(error) => Err(error.into()),
    }
}

/// Reads the approver's key; the first key of an installation is made here and listed.
fn key(context: &Context, installation: &mut Installation, options: &Approve) -> Result<SigningKey, Failure> {
    let path = cases::key_path(installation, options.key.as_deref());
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
        let what =
            format!("the first key of this installation approves, under the name {OWNER}: {}", key.public());
        super::weakened::note(context, installation, &what);
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
