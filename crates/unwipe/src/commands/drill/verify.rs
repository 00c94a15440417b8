//! Checking certificates, and printing them.

use std::path::Path;

use serde::Serialize;
use service::{
    Installation,
    certificate::{Certificate, Statement, Trust, Verified, page},
    proof,
};
use vault::tree::{Comparison, Standing, VerifierKey};

use super::{exit_of, show};
use crate::{
    arguments::DrillVerify,
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
};

#[derive(Serialize)]
struct Checked<'c> {
    certificate: &'c Certificate,
    /// What is said, in the newest format.
    statement: &'c Statement,
    id: String,
    #[serde(flatten)]
    verified: Verified,
    /// Whether the vault was compared with, and agrees.
    vault_agrees: Option<bool>,
}

/// Checks a certificate as somebody can who has no vault; with `--vault`, the vault as well.
pub(super) fn run(context: &Context, options: &DrillVerify) -> Result<Exit, Failure> {
    let certificate = Certificate::read(&options.certificate)?;
    let keys =
        options.vault_key.iter().map(|text| text.parse::<VerifierKey>()).collect::<Result<Vec<_>, _>>();
    let mut trust = Trust {
        signers: options.signer.clone(),
        vault_keys: keys.map_err(|error| {
            Failure::because(Exit::Usage, "this is no key of a vault", error)
                .hint("unwipe head key prints it")
        })?,
    };
    if let Some(bad) = trust.signers.iter().find(|signer| !service::signature::is_public_key(signer)) {
        return Err(Failure::new(
            Exit::Usage,
            format!("{bad:?} is no public key: it has 64 hexadecimal digits"),
        ));
    }
    // Where an installation is, its own keys are the ones to compare with.
    let installation = match context.installation() {
        Ok(installation) => Some(installation),
        Err(failure) if options.vault => return Err(failure),
        Err(_) => None,
    };
    if let Some(installation) = installation.as_ref().filter(|_| trust.signers.is_empty()) {
        trust.signers = proof::signers(installation)?;
    }
    let verified = certificate.verify(&trust)?;
    let vault_agrees = match &installation {
        Some(installation) if options.vault => Some(compare_with_vault(installation, &certificate)?),
        _ => None,
    };
    let checked = Checked {
        statement: &certificate.statement,
        id: certificate.id(),
        verified,
        vault_agrees,
        certificate: &certificate,
    };
    let output = context.output;
    output.result(&checked, || {
        let mut text = show::text(output, &certificate, Some(&verified));
        if vault_agrees.is_some() {
            text.push_str("vault     it holds the same commit and continues the same tree\n");
        }
        text
    })?;
    Ok(exit_of(&certificate))
}

/// Compares a certificate with a vault that can be reached: the commit must be the same, and the tree must continue the
/// certificate's. Something else is no answer but a finding.
fn compare_with_vault(installation: &Installation, certificate: &Certificate) -> Result<bool, Failure> {
    let statement = &certificate.statement;
    let vault = installation.vault(&environment)?;
    let differs = |what: String| Failure::new(Exit::Tampering, what);
    if vault.manifest().vault.to_string() != statement.vault {
        return Err(differs("the certificate belongs to another vault".to_owned()));
    }
    if statement.commit > 0 {
        let (source, sequence) = (&statement.source, statement.commit);
        if vault.last_sequence(source)? < sequence {
            return Err(differs(format!(
                "rolled back: the vault has no commit {sequence} of {source} any more"
            )));
        }
        if vault.commit(source, sequence)?.hash.to_string() != statement.commit_hash {
            return Err(differs(format!(
                "forked: commit {sequence} of {source} is another one in this vault"
            )));
        }
    }
    if let Some(signed) = statement.tree.checkpoint() {
        let comparison = Comparison::of(&vault, &signed)?.map_err(|error| {
            Failure::because(Exit::Tampering, "the tree head is not of this vault", error)
        })?;
        match comparison.standing {
            Standing::Consistent => {}
            Standing::RolledBack => {
                return Err(differs("rolled back: the vault's tree is smaller".to_owned()));
            }
            Standing::Forked => return Err(differs("forked: the vault's tree is another one".to_owned())),
        }
    }
    Ok(true)
}

#[derive(Serialize)]
struct Printed {
    page: String,
}

/// Writes a certificate as one page.
pub(super) fn print(context: &Context, path: &Path, to: &Path) -> Result<Exit, Failure> {
    let certificate = Certificate::read(path)?;
    certificate.verify(&Trust::default())?;
    let to = std::path::absolute(to)?;
    ports::files::replace(&to, page(&certificate).as_bytes())?;
    let printed = Printed { page: to.display().to_string() };
    context.output.result(&printed, || format!("written to {}\n", printed.page))?;
    Ok(Exit::Done)
}
