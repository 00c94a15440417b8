//! `unwipe head`

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use model::{Moment, SourceName};
use serde::Serialize;
use service::{
    Installation, ServiceError,
    heads::{Answer, NewestHead},
};
use vault::{TreeHash, tree::InclusionProof};
use witness::{Submission, SubmitError};

use crate::{
    arguments::{Head, HeadAction},
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{count, counted},
};

#[derive(Serialize)]
struct Shown {
    origin: String,
    number: u64,
    size: u64,
    root: TreeHash,
    vault_time: Moment,
    checkpoint: String,
    witnesses: Vec<Answered>,
}

#[derive(Serialize)]
struct Answered {
    witness: String,
    cosigned_at: Option<Moment>,
    problem: Option<String>,
}

#[derive(Serialize)]
struct Advanced {
    heads: u64,
    commits: u64,
    size: u64,
}

#[derive(Serialize)]
struct Kept {
    witness: String,
    head: u64,
}

/// A text that is a document of its own: with `--json` it is one field.
#[derive(Serialize)]
struct Document {
    document: String,
}

/// How often a running capture looks for a new head to show to the witnesses, and how soon it notices its end.
const LOOK_EVERY: Duration = Duration::from_mins(1);
const END_CHECK: Duration = Duration::from_millis(200);

pub(crate) fn run(context: &Context, options: &Head) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    match &options.action {
        HeadAction::Show { qr } => show(context, &installation, *qr),
        HeadAction::Key => {
            let vault = installation.vault(&environment)?;
            let keys = vault.keys().verifier_keys(vault.manifest().vault);
            print(context, keys.iter().map(|key| format!("{key}\n")).collect())
        }
        HeadAction::Advance => advance(context, &installation),
        HeadAction::Submit => submit(context, &installation),
        HeadAction::Prove { source, sequence } => prove(context, &installation, source, *sequence),
        HeadAction::Request { old } => request(context, &installation, *old),
        HeadAction::Keep { file } => keep(context, &installation, file),
    }
}

fn print(context: &Context, document: String) -> Result<Exit, Failure> {
    let document = Document { document };
    context.output.result(&document, || document.document.clone())?;
    Ok(Exit::Done)
}

fn newest(installation: &Installation) -> Result<NewestHead, Failure> {
    installation.newest_head(&environment)?.ok_or_else(|| {
        Failure::new(Exit::Nothing, "the vault has no tree head yet").hint("unwipe head advance")
    })
}

fn show(context: &Context, installation: &Installation, qr: bool) -> Result<Exit, Failure> {
    let NewestHead { head, signed, witnesses } = newest(installation)?;
    let cosigned = |(witness, seconds): (String, u64)| Answered {
        witness,
        cosigned_at: i64::try_from(seconds).ok().map(|s| Moment::from_micros(s.saturating_mul(1_000_000))),
        problem: None,
    };
    let shown = Shown {
        origin: signed.checkpoint.origin.clone(),
        number: head.number,
        size: head.size(),
        root: signed.checkpoint.root,
        vault_time: head.vault_time,
        checkpoint: signed.note.to_string(),
        witnesses: witnesses.into_iter().map(cosigned).collect(),
    };
    let code = if qr { signed.qr() } else { None };
    context.output.result(&shown, || match &code {
        Some(code) => format!("{}\n{code}\n", shown.checkpoint),
        None => shown.checkpoint.clone(),
    })?;
    Ok(Exit::Done)
}

fn advance(context: &Context, installation: &Installation) -> Result<Exit, Failure> {
    let advance = installation.advance_head(&environment)?;
    let size = advance.newest.as_ref().map_or(0, vault::tree::TreeHead::size);
    let advanced = Advanced { heads: advance.heads, commits: advance.commits, size };
    context.output.result(&advanced, || match advanced.commits {
        0 => format!("nothing new: the tree covers {}\n", counted(advanced.size, "commit")),
        new => format!("{} more; the tree covers {}\n", counted(new, "commit"), count(advanced.size)),
    })?;
    Ok(Exit::Done)
}

fn submit(context: &Context, installation: &Installation) -> Result<Exit, Failure> {
    let results = installation.submitter(&environment)?.submit()?;
    if results.is_empty() {
        return Err(Failure::new(Exit::Nothing, "no witness is configured")
            .hint("[witnesses.NAME] with url and key in unwipe.toml"));
    }
    let tampering = results.iter().any(|(_, result)| matches!(result, Err(e) if e.is_tampering()));
    let failed = results.iter().any(|(_, result)| result.is_err());
    for (name, result) in &results {
        if let Err(error) = result {
            remark(context, name, error);
        }
    }
    let cosigned = |(witness, result): (String, Result<Submission, SubmitError>)| match result {
        Ok(submission) => Answered { witness, cosigned_at: Some(submission.cosigned_at), problem: None },
        Err(error) => Answered { witness, cosigned_at: None, problem: Some(error.to_string()) },
    };
    let results: Vec<_> = results.into_iter().map(cosigned).collect();
    context.output.result(&results, || {
        let line = |cosigned: &Answered| match cosigned.cosigned_at {
            Some(at) => format!("{}: cosigned at {at}\n", cosigned.witness),
            None => format!("{}: not cosigned\n", cosigned.witness),
        };
        results.iter().map(line).collect()
    })?;
    Ok(match (tampering, failed) {
        (true, _) => Exit::Tampering,
        (false, true) => Exit::Failed,
        (false, false) => Exit::Done,
    })
}

fn remark(context: &Context, name: &str, error: &SubmitError) {
    let mut text = format!("witness {name}: {}", vault::error_text(error));
    if let Some(hint) = error.hint() {
        text = format!("{text}\nhint: {hint}");
    }
    context.output.say(text);
}

fn prove(
    context: &Context,
    installation: &Installation,
    source: &str,
    sequence: u64,
) -> Result<Exit, Failure> {
    let name =
        SourceName::new(source).map_err(|error| Failure::because(Exit::Usage, "no such source", error))?;
    let vault = installation.vault(&environment)?;
    let absent = || {
        Failure::new(Exit::Nothing, format!("no tree head covers commit {sequence} of {name}"))
            .hint("unwipe head advance")
    };
    let (index, tree, head) = vault.tree_covering(&name, sequence)?.ok_or_else(absent)?;
    let path = tree.inclusion_proof(index, head.size()).ok_or_else(absent)?;
    let proof = InclusionProof { index, path, signed: vault.cosigned(&head)? };
    print(context, proof.to_string())
}

fn request(context: &Context, installation: &Installation, old: u64) -> Result<Exit, Failure> {
    let head = newest(installation)?.head;
    let vault = installation.vault(&environment)?;
    let request = witness::request(&vault, &head, old)?.ok_or_else(|| {
        Failure::new(
            Exit::Tampering,
            format!(
                "the vault's tree covers {}, fewer than the witness cosigned: {old}",
                counted(head.size(), "commit")
            ),
        )
        .hint("the vault was rolled back: stop captures, and compare with unwipe verify --against FILE")
    })?;
    print(context, request.to_string())
}

fn keep(context: &Context, installation: &Installation, file: &Path) -> Result<Exit, Failure> {
    let answer = ports::files::read_text(file)?.replace("\r\n", "\n");
    let kept = installation.keep_cosignatures(&answer, &environment)?;
    if kept.is_empty() {
        return Err(Failure::new(
            Exit::Failed,
            "no configured witness signed one of this vault's checkpoints there",
        )
        .hint("[witnesses.NAME] with url and key in unwipe.toml"));
    }
    let kept: Vec<_> = kept.into_iter().map(|(witness, head)| Kept { witness, head }).collect();
    context.output.result(&kept, || {
        kept.iter().map(|kept| format!("{}: kept beside heads/{}\n", kept.witness, kept.head)).collect()
    })?;
    Ok(Exit::Done)
}

/// Works, and shows the vault's newest head to the configured witnesses meanwhile and at the end. A witness that does
/// not answer stops nothing; what it says about the history is told at once.
pub(crate) fn while_witnessed<T>(
    context: &Context,
    installation: &Installation,
    work: impl FnOnce() -> T,
) -> T {
    if installation.config().witnesses.is_empty() {
        return work();
    }
    let mut submitter = match installation.submitter(&environment) {
        Ok(submitter) => submitter,
        Err(error) => {
            context.output.say(format!("no witness is asked: {error}"));
            return work();
        }
    };
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ended = &ended;
        scope.spawn(move || {
            // The first time at once: a vault that was put back is found before anything is added to it.
            let mut next = context.clock().elapsed();
            while !ended.load(Ordering::SeqCst) {
                if context.clock().elapsed() >= next {
                    tell(context, submitter.submit_if_due());
                    next = context.clock().elapsed() + LOOK_EVERY;
                }
                context.clock().sleep(END_CHECK);
            }
            tell(context, submitter.submit_if_due());
        });
        let result = work();
        ended.store(true, Ordering::SeqCst);
        result
    })
}

fn tell(context: &Context, answers: Result<Vec<Answer>, ServiceError>) {
    match answers {
        Ok(answers) => {
            for (name, answer) in answers {
                match answer {
                    Ok(_) | Err(SubmitError::NoHead) => {}
                    Err(error) => remark(context, &name, &error),
                }
            }
        }
        Err(error) => context.output.say(format!("no witness was asked: {error}")),
    }
}
