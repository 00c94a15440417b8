//! `unwipe verify`

use connect::Progress;
use serde::Serialize;
use service::{Installation, ServiceError};
use vault::{
    VaultError,
    keys::KeyError,
    verify::{Depth, Finding, Report},
};

use crate::{
    arguments::Verify,
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{Style, bytes, count},
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
    findings: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    object: String,
    problem: String,
    detail: String,
    affected_items: Option<u64>,
}

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
    let sound = report.is_sound();
    let verified = describe(report, reader.is_some());
    let output = context.output;
    output.result(&verified, || {
        let mut text = format!(
            "{} objects: {} commits, {} packs; {} read, {} contents checked{}\n",
            count(verified.objects),
            count(verified.commits),
            count(verified.packs),
            bytes(verified.read_bytes),
            count(verified.contents),
            if verified.with_key { "" } else { " (no restore key: contents stay closed)" },
        );
        for found in &verified.findings {
            let items =
                found.affected_items.map(|n| format!(" ({} items affected)", count(n))).unwrap_or_default();
            let word = output.paint(Style::Bad, &found.problem);
            text.push_str(&format!("{word}  {}: {}{items}\n", found.object, found.detail));
        }
        if verified.sound {
            text.push_str(&output.paint(Style::Good, "nothing is missing, nothing was changed"));
            text.push('\n');
        }
        text
    })?;
    Ok(if sound { Exit::Done } else { Exit::Tampering })
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
        findings: report.findings.into_iter().map(found).collect(),
    }
}
