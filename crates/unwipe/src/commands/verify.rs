//! `unwipe verify`

use std::path::Path;

use model::Moment;
use serde::Serialize;
use service::{Installation, ServiceError};
use vault::{
    Vault, VaultError,
    keys::KeyError,
    tree::{Comparison, SignedCheckpoint, Standing},
    verify::{Depth, Finding, Report},
};

use crate::{
    arguments::Verify,
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{Style, bytes, count, counted},
};

#[derive(Serialize)]
struct Verified {
    sound: bool,
    objects: u64,
    commits: u64,
    packs: u64,
    packs_of_no_commit: u64,
    read_bytes: u64,
    contents: u64,
    with_key: bool,
    heads: u64,
    commits_in_no_head: u64,
    /// Logs of sources that the vault's server does not show to this host.
    logs_not_shown: u64,
    /// The newest checkpoint: worth keeping where this vault's owner cannot reach.
    checkpoint: Option<String>,
    findings: Vec<Found>,
    against: Vec<Compared>,
}

/// How the vault stands to a checkpoint that was kept elsewhere.
#[derive(Serialize)]
struct Compared {
    checkpoint_time: Option<Moment>,
    size: u64,
    standing: &'static str,
    detail: String,
}

#[derive(Serialize)]
struct Found {
    object: String,
    problem: String,
    detail: String,
    affected_items: Option<u64>,
}

const CONSISTENT: &str = "consistent";

pub(crate) fn run(context: &Context, options: &Verify) -> Result<Exit, Failure> {
    verify(context, &context.installation()?, options)
}

/// Checks the vault, or the mirror, that an installation reads.
pub(crate) fn verify(
    context: &Context,
    installation: &Installation,
    options: &Verify,
) -> Result<Exit, Failure> {
    let depth = if options.read_data { Depth::ReadData } else { Depth::Structure };
    let reference = options.reading.key.as_deref().or(installation.config().restore.key.as_deref());
    let reader = match reference.map(|reference| installation.reader(Some(reference), &environment)) {
        None => None,
        Some(Ok(reader)) => Some(reader),
        Some(Err(error)) if is_damaged_key(&error) => {
            return Err(Failure::because(Exit::Tampering, "the wrapped keys in keys/ are damaged", error)
                .hint("restore the object keys/0 from another copy of this vault"));
        }
        Some(Err(error)) => return Err(error.into()),
    };
    let vault = installation.vault(&environment)?;
    let kept = options.against.iter().map(|text| read_kept(&vault, text)).collect::<Result<Vec<_>, _>>()?;
    let report = {
        let display = context.progress();
        let mut done = 0;
        vault::verify::verify(&vault, reader.as_ref(), depth, &mut |progress| {
            if done == 0 {
                display.phase("verifying objects", Some(progress.total));
            }
            display.advance(progress.done - done);
            done = progress.done;
        })?
    };
    let against = compare(&vault, &kept)?;
    let sound = report.is_sound() && against.iter().all(|compared| compared.standing == CONSISTENT);
    let verified = Verified { sound, against, ..describe(report, reader.is_some()) };
    let output = context.output;
    output.result(&verified, || {
        let mut text = format!(
            "{}: {}, {}, {}; {} read, {} checked{}\n",
            counted(verified.objects, "object"),
            counted(verified.commits, "commit"),
            counted(verified.packs, "pack"),
            counted(verified.heads, "tree head"),
            bytes(verified.read_bytes),
            counted(verified.contents, "content"),
            if verified.with_key { "" } else { " (no restore key: contents stay closed)" },
        );
        if verified.logs_not_shown > 0 {
            let hidden = counted(verified.logs_not_shown, "source");
            text.push_str(&format!("the vault shows this host nothing of {hidden}: check there\n"));
        }
        for found in &verified.findings {
            let items = found
                .affected_items
                .map(|n| format!(" ({} affected)", counted(n, "item")))
                .unwrap_or_default();
            let word = output.paint(Style::Bad, &found.problem);
            text.push_str(&format!("{word}  {}: {}{items}\n", found.object, found.detail));
        }
        for compared in &verified.against {
            let style = if compared.standing == CONSISTENT { Style::Good } else { Style::Bad };
            text.push_str(&format!("{}  {}\n", output.paint(style, compared.standing), compared.detail));
        }
        if let Some(checkpoint) = &verified.checkpoint {
            text.push_str(&format!("the newest checkpoint, to be kept elsewhere:\n\n{checkpoint}\n"));
        }
        if verified.sound {
            text.push_str(&output.paint(Style::Good, "nothing is missing, nothing was changed"));
            text.push('\n');
        }
        text
    })?;
    Ok(if sound { Exit::Done } else { Exit::Tampering })
}

/// Reads a checkpoint that was kept elsewhere: from a file, or from the command line itself.
fn read_kept(vault: &Vault, text: &str) -> Result<SignedCheckpoint, Failure> {
    let text = if text.contains('\n') { text.to_owned() } else { ports::files::read_text(Path::new(text))? };
    let kept = SignedCheckpoint::parse(&text)
        .and_then(|kept| kept.check(vault.manifest().vault, &vault.keys()).map(|()| kept));
    kept.map_err(|error| {
        Failure::because(Exit::Usage, "nothing can be compared with this checkpoint", error)
            .hint("give a checkpoint as unwipe head show printed it")
    })
}

/// Compares the vault with kept checkpoints, the oldest first: the last one that it continues tells since when it
/// does not.
fn compare(vault: &Vault, kept: &[SignedCheckpoint]) -> Result<Vec<Compared>, Failure> {
    let mut kept: Vec<_> = kept.iter().collect();
    kept.sort_by_key(|kept| kept.checkpoint.size);
    let mut since: Option<String> = None;
    let mut results = Vec::new();
    for signed in kept {
        let checkpoint = &signed.checkpoint;
        let time = checkpoint.time().map_or_else(|| "unknown time".to_owned(), |time| time.to_string());
        let (standing, detail) = match Comparison::of(vault, signed) {
            Ok(Ok(comparison)) => {
                let words = explain(&comparison, signed, &time, since.as_deref());
                (comparison.standing, words)
            }
            Ok(Err(error)) => {
                return Err(Failure::because(
                    Exit::Usage,
                    "nothing can be compared with this checkpoint",
                    error,
                ));
            }
            // Heads that do not hold cannot vouch for what is in the vault.
            Err(error) if error.is_tampering() || error.object().is_some() => {
                (Standing::Forked, format!("the tree heads do not hold: {error}"))
            }
            Err(error) => return Err(error.into()),
        };
        if standing == Standing::Consistent {
            since = Some(time);
        }
        let standing = match standing {
            Standing::Consistent => CONSISTENT,
            Standing::RolledBack => "rolled back",
            Standing::Forked => "forked",
        };
        results.push(Compared {
            checkpoint_time: checkpoint.time(),
            size: checkpoint.size,
            standing,
            detail,
        });
    }
    Ok(results)
}

fn explain(comparison: &Comparison, kept: &SignedCheckpoint, time: &str, since: Option<&str>) -> String {
    let size = kept.checkpoint.size;
    let since = since.map_or_else(String::new, |time| format!("; what was kept at {time} is still there"));
    match (comparison.standing, &comparison.newest) {
        (Standing::Consistent, _) => {
            format!("all {} that the checkpoint of {time} covers are there", counted(size, "commit"))
        }
        (Standing::RolledBack, None) => {
            format!(
                "the checkpoint of {time} covers {}, and the vault has no tree head",
                counted(size, "commit")
            )
        }
        (Standing::RolledBack, Some(newest)) => format!(
            "the checkpoint of {time} covers {}, the vault's newest tree head of {} only {}: at least {} made \
             since then {} gone{since}",
            counted(size, "commit"),
            newest.vault_time,
            count(newest.size()),
            counted(size - newest.size(), "commit"),
            if size - newest.size() == 1 { "is" } else { "are" },
        ),
        (Standing::Forked, _) => format!(
            "of the {} that the checkpoint of {time} covers, the vault has others in the place of some: its history \
             was replaced, by somebody with the key that signs{since}",
            counted(size, "commit")
        ),
    }
}

/// Returns whether the vault's own wrapped keys are damaged; a wrong key is something else.
const fn is_damaged_key(error: &ServiceError) -> bool {
    matches!(error, ServiceError::Vault(VaultError::Key(KeyError::Damaged { .. })))
}

fn describe(report: Report, with_key: bool) -> Verified {
    let found = |finding: Finding| Found {
        object: finding.object,
        problem: finding.problem.to_string(),
        detail: finding.detail,
        affected_items: finding.affected_items,
    };
    Verified {
        sound: report.is_sound(),
        objects: report.objects,
        commits: report.commits,
        packs: report.packs,
        packs_of_no_commit: report.unreferenced_packs,
        read_bytes: report.read_bytes,
        contents: report.contents,
        with_key,
        heads: report.heads,
        commits_in_no_head: report.uncovered_commits,
        logs_not_shown: report.hidden_logs,
        checkpoint: report.newest_head.map(|head| head.signed.note.to_string()),
        against: Vec::new(),
        findings: report.findings.into_iter().map(found).collect(),
    }
}
