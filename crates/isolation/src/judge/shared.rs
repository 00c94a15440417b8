//! What vault and production share: machines, volumes, users, key services, identity providers.

use connect::Finding;

use super::{not_made, some};
use crate::{
    access::Survey,
    hosts::{Machine, Sameness},
    system::{User, Volume},
};

/// Judges whether a place of the vault's and a source are on one machine.
///
/// `promised`: the place is meant to be elsewhere, a server or a bucket; then one machine is worse than advice.
pub fn host(place: &Machine, source: &Machine, promised: bool) -> Finding {
    let subject = format!("{} and {} are on different hosts", place.label, source.label);
    let fix = "keep the vault on another host: docs/guide/vault-on-another-host.md";
    match place.compare(source) {
        Sameness::Same(evidence) if promised => {
            Finding::bad(subject, format!("the place is meant to be elsewhere and is not: {evidence}"), fix)
        }
        Sameness::Same(evidence) => Finding::advice(subject, evidence, fix),
        Sameness::Apart(evidence) => {
            Finding::good(subject, format!("{evidence} (guests of one machine would look so, too)"))
        }
        Sameness::Unknown(evidence) => not_made(subject, evidence, "run doctor where both names resolve"),
    }
}

/// Judges whether a folder of the vault's and something of production's lie on one volume.
pub fn volume(
    place: &str,
    vault: &std::io::Result<Volume>,
    source: &str,
    production: &Result<Volume, String>,
) -> Finding {
    let subject = format!("{place} and {source} lie on different volumes");
    match (vault, production) {
        (Ok(vault), Ok(production)) if vault.is_same(production) => Finding::advice(
            subject,
            format!("both are on {}", vault.text()),
            "mount a disk of its own for the vault: whoever formats or fills the one must not have the other",
        ),
        (Ok(vault), Ok(production)) => {
            Finding::good(subject, format!("{}; {}", vault.text(), production.text()))
        }
        (Err(error), _) => {
            not_made(subject, error, "run doctor as a user who may look at the vault's folder")
        }
        (_, Err(error)) => {
            not_made(subject, error, "run doctor on production's host, as a user who may look")
        }
    }
}

/// Somebody of production's on the machine of the vault.
#[derive(Debug, Clone)]
pub struct Person {
    /// The user.
    pub user: User,
    /// Why it is production's: `owner of /srv/app/.env`.
    pub because: String,
    /// Whether somebody said so: a credential that was named as production's was this user's.
    pub named: bool,
}

/// Judges whether a user of production's could destroy what lies in a folder of the vault's.
///
/// That the user who runs this could is what tier 0 says already; it is bad where production is named as the same user.
pub fn folder_user(place: &str, survey: &Survey, person: &Person, own: u32) -> Finding {
    let user = person.user.text();
    let subject = format!("production's {user} cannot destroy {place}");
    let ways = survey.ways_to_destroy(&person.user);
    let fix = "keep the vault on another host, or let a sealer of its own user guard it: unwipe vault sealer --help";
    let because = &person.because;
    let (flagged, files) = survey.flags();
    if ways.is_empty() {
        if survey.inside.is_empty() || !survey.unseen.is_empty() && survey.inside.len() <= 1 {
            let missing = "run doctor as a user who may look at the vault's folder";
            return not_made(subject, some(&survey.unseen), missing);
        }
        let more = if survey.more { " (not all were looked at)" } else { "" };
        let evidence = format!(
            "{because}; owner, mode, access list and flags of {} files and folders{more} give it no way; {flagged} of {files} files \
             carry the immutable flag",
            survey.inside.len()
        );
        return Finding::good(subject, evidence);
    }
    let evidence = format!("{because}; no protection from this user, who may {}", some(&ways));
    if person.user.uid == own && !person.named {
        Finding::advice(subject, evidence, fix)
    } else {
        Finding::bad(subject, evidence, fix)
    }
}

/// A secret that is had by reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// Whose: `the vault's capture key`, `the password of shop`.
    pub what: String,
    /// `file:…`, `env:…`, `exec:…`
    pub reference: String,
}

impl KeyUse {
    /// Returns whom one has to ask: the program of a command, the folder of a file; an environment is one of its own.
    fn keeper(&self) -> Option<String> {
        let (kind, rest) = self.reference.split_once(':')?;
        match kind {
            "exec" => {
                let program = rest.split_whitespace().next()?;
                // These print what they are given and keep nothing.
                (!["printf", "echo", "cat"].contains(&program)).then(|| format!("the program {program}"))
            }
            _ => None,
        }
    }
}

/// Judges whether secrets of the vault and of production come from one hand.
pub fn key_service(vault: &[KeyUse], production: &[KeyUse]) -> Vec<Finding> {
    let subject = "vault and production keep their secrets apart";
    let mut findings = Vec::new();
    for ours in vault {
        for theirs in production {
            if ours.reference == theirs.reference {
                findings.push(Finding::bad(
                    subject,
                    format!(
                        "{} and {} are the same secret: {}",
                        ours.what,
                        theirs.what,
                        form(&ours.reference)
                    ),
                    "give each a secret of its own in unwipe.toml",
                ));
            } else if let (Some(one), Some(other)) = (ours.keeper(), theirs.keeper())
                && one == other
            {
                findings.push(Finding::advice(
                    subject,
                    format!("{} and {} both come from {one}", ours.what, theirs.what),
                    "keep the vault's secrets in another key service, or in files of a user of its own",
                ));
            }
        }
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.standing));
    findings.truncate(super::SHOWN_MAX);
    if findings.is_empty() {
        let evidence = format!(
            "{} secrets of the vault's and {} of the sources', each by a reference of its own",
            vault.len(),
            production.len()
        );
        findings.push(Finding::good(subject, evidence));
    }
    findings
}

/// A reference may be a command with something in it; only its kind and its first word are shown.
fn form(reference: &str) -> String {
    match reference.split_once(':') {
        Some(("exec", command)) => {
            format!("exec:{} …", command.split_whitespace().next().unwrap_or_default())
        }
        _ => reference.to_owned(),
    }
}

/// Judges whether those who approve are kept by the domain that is protected.
pub fn identity_provider(approvers: &[String], domains: &[String]) -> Finding {
    let subject = "approvals do not rest on production's identity provider";
    let within: Vec<&String> = approvers
        .iter()
        .filter(|name| {
            let domain = name.rsplit_once('@').map(|(_, domain)| domain);
            domain.is_some_and(|domain| domains.iter().any(|d| d.eq_ignore_ascii_case(domain)))
        })
        .collect();
    if within.is_empty() {
        let evidence = format!(
            "{} approvers, by keys that they hold; nobody signs in here through a domain",
            approvers.len()
        );
        return Finding::good(subject, evidence);
    }
    Finding::advice(
        subject,
        format!("{} have their address in the protected domain: {}", within.len(), some(&within)),
        "their keys are their own; reach them by another address too, for the day on which the domain is lost",
    )
}
