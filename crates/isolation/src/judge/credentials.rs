//! What credentials of production are worth against the vault.

use std::collections::BTreeMap;

use connect::Finding;

use super::{not_made, some};
use crate::{
    Credential, Kind,
    aws::account_of,
    credential::{printable, tail},
    own::Owned,
    scan::Looked,
    trial::{Answer, Summary, Trial},
};

/// Judges what was found by looking alone: copies of the vault's secrets, and what was not looked at.
pub fn looked(looked: &Looked, owned: &Owned) -> Vec<Finding> {
    let mut findings = Vec::new();
    let subject = "production holds no secret of the vault's";
    let seen = format!(
        "credentials found: {}, places looked at: {}; compared with {} secrets of the vault and its capture",
        looked.credentials.len(),
        looked.places,
        owned.len()
    );
    for held in &looked.held {
        let evidence =
            format!("{} is in {}: whoever has it can {}", held.what, held.found, held.power.text());
        findings.push(if held.power.reaches_vault() {
            let fix =
                format!("remove it from {}, and make a new one: it was in production's hands", held.found);
            Finding::bad(subject, evidence, fix)
        } else {
            let fix =
                format!("give production a credential of its own, and remove this one from {}", held.found);
            Finding::advice("production does not share the capture's credentials", evidence, fix)
        });
    }
    if !looked.held.iter().any(|held| held.power.reaches_vault()) {
        findings.push(if looked.places == 0 {
            not_made(
                subject,
                "nothing of production's was found here",
                "unwipe doctor --credentials file:/srv/app/.env --credentials process:PID --network",
            )
        } else if owned.is_empty() {
            not_made(
                subject,
                "none of the vault's secrets can be read here",
                "run doctor as the capturing user",
            )
        } else {
            Finding::good(subject, seen)
        });
    }
    for folder in &looked.inside {
        findings.push(Finding::bad(
            "the vault's folders lie outside of what production can read",
            format!("{} lies inside of a folder of production's", folder.display()),
            format!("mv {} to a folder of a user of its own, and give it with --home", folder.display()),
        ));
    }
    if !looked.skipped.is_empty() {
        let texts: Vec<String> =
            looked.skipped.iter().map(|skipped| format!("{}: {}", skipped.path, skipped.why)).collect();
        findings.push(Finding::advice(
            "everything that was named could be looked at",
            format!("not looked at, {}: {}", texts.len(), some(&texts)),
            "look at these yourself, or name them with --credentials as a user who may read them",
        ));
    }
    findings
}

/// Judges those secrets whose issuer nobody knows: they were compared, and what they open was not tried.
pub fn other_secrets(credentials: &[Credential]) -> Option<Finding> {
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for credential in credentials {
        if let Kind::Secret { .. } = &credential.kind {
            *names.entry(credential.to_string()).or_default() += 1;
        }
    }
    if names.is_empty() {
        return None;
    }
    let names: Vec<String> = names.into_keys().collect();
    Some(not_made(
        "passwords and tokens of other services do not reach the vault",
        format!(
            "none of {} is a secret of the vault's; what they open was not tried: {}",
            names.len(),
            some(&names)
        ),
        "make sure that none of them signs in where the vault lies: its host, its bucket's account",
    ))
}

/// Says that a credential was not tried.
pub fn not_tried(credential: &Credential, why: &str, missing: &str) -> Finding {
    not_made(subject(credential), why, missing)
}

fn subject(credential: &Credential) -> String {
    format!("{credential} does not reach the vault")
}

/// A bucket in which a vault or a mirror lies.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// `the vault`, `mirror other`.
    pub label: String,
    /// Where: `https://HOST/BUCKET/PREFIX`.
    pub place: String,
    /// The writer's public half.
    pub writer: String,
}

/// Judges an access key by what became of the attempts that were made with it.
pub fn bucket_key(credential: &Credential, bucket: &Bucket, trials: &[Trial]) -> Finding {
    let subject = subject(credential);
    let summary = Summary::of(trials);
    let at = format!("at {}", bucket.place);
    if let Kind::Aws { access_key, .. } = &credential.kind
        && *access_key == bucket.writer
    {
        let evidence = format!("{at}: it is the writer's own key; {}", some(&summary.done));
        return Finding::bad(subject, evidence, revoke(credential));
    }
    if !summary.done.is_empty() {
        let evidence = format!("{at}: the bucket lets it {}", some(&summary.done));
        return Finding::bad(subject, evidence, revoke(credential));
    }
    if summary.refused.is_empty() || !summary.unknown.is_empty() {
        let why = format!("{at}: {}", some(&[summary.unknown, summary.refused].concat()));
        return not_made(subject, why, "run doctor again where the bucket can be reached, with --network");
    }
    let refused = summary.refused.len();
    Finding::good(subject, format!("{at}: {refused} attempts, all refused: {}", some(&summary.refused)))
}

fn revoke(credential: &Credential) -> String {
    format!(
        "deny this key the bucket's account, or keep the vault in an account of its own; then take it out of {}",
        credential.found
    )
}

/// Whose an access key is, as its maker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Nobody was asked.
    NotAsked,
    /// It belongs to an account, as a user or a role.
    Known {
        /// The account's number.
        account: String,
        /// The user or the role.
        arn: String,
    },
    /// Its maker does not take it.
    Refused(String),
    /// Its maker did not say.
    Unknown(String),
}

impl Whose {
    /// Returns the account, as its maker says or as the key itself does, and how that is known.
    fn account(&self, access_key: &str) -> Option<(String, String)> {
        if let Self::Known { account, arn } = self {
            return Some((account.clone(), format!("account {account}, as {}", printable(arn))));
        }
        let account = account_of(access_key)?;
        let known = format!("account {account}, as the key itself says");
        Some((account, known))
    }

    fn missing(&self, whose: &str) -> Option<String> {
        match self {
            Self::Known { .. } | Self::NotAsked => None,
            Self::Refused(why) => Some(format!("{whose} is not taken: {}", printable(why))),
            Self::Unknown(why) => Some(format!("of {whose} nobody said: {}", printable(why))),
        }
    }
}

/// Judges whether a production key and the bucket's writer belong to one account; what their maker said of both counts
/// before what the keys themselves say.
pub fn same_account(
    credential: &Credential,
    bucket: &Bucket,
    theirs: &Whose,
    ours: &Whose,
) -> Option<Finding> {
    let Kind::Aws { access_key, .. } = &credential.kind else { return None };
    let subject = format!("{credential} and the writer of {} are of different accounts", bucket.label);
    let fix = "make an account of its own for the vault: its root and its administrators may be nobody of production";
    if *access_key == bucket.writer {
        return Some(Finding::bad(subject, format!("it is the same key: {}", tail(access_key)), fix));
    }
    if let Whose::Refused(why) = theirs {
        let evidence = format!("it opens nothing any more: its maker does not take it: {}", printable(why));
        return Some(Finding::good(subject, evidence));
    }
    Some(match (theirs.account(access_key), ours.account(&bucket.writer)) {
        (Some((one, known)), Some((other, known_of_ours))) if one == other => {
            Finding::bad(subject, format!("both are of one: {known}; the writer: {known_of_ours}"), fix)
        }
        (Some((_, known)), Some((_, known_of_ours))) => {
            Finding::good(subject, format!("{known}; the writer: {known_of_ours}"))
        }
        _ => {
            let whys: Vec<String> =
                [theirs.missing("it"), ours.missing("the writer")].into_iter().flatten().collect();
            let why = if whys.is_empty() {
                "the account cannot be read from these keys".to_owned()
            } else {
                whys.join("; ")
            };
            not_made(
                subject,
                why,
                "unwipe doctor --credentials WHERE --network --sts URL, or aws sts get-caller-identity with each of the two \
                 keys; the accounts must differ",
            )
        }
    })
}

/// Says whose a key is where no place of the vault is a bucket.
pub fn whose(credential: &Credential, theirs: &Whose) -> Finding {
    let subject = subject(credential);
    let no_bucket =
        "no place of the vault is a bucket; whether it administers the vault's machine was not tried";
    match theirs {
        Whose::Refused(why) => Finding::good(
            subject,
            format!("it opens nothing any more: its maker does not take it: {}", printable(why)),
        ),
        Whose::Known { account, arn } => not_made(
            subject,
            format!("{no_bucket}; it is {} of account {account}", printable(arn)),
            format!("make sure that account {account} is not the one of the vault's host"),
        ),
        Whose::NotAsked => not_made(
            subject,
            no_bucket,
            "unwipe doctor --credentials WHERE --network --sts URL tells whose it is: the account must not be the one of the \
             vault's host",
        ),
        Whose::Unknown(why) => not_made(
            subject,
            format!("{no_bucket}; whose it is was not said: {}", printable(why)),
            "aws sts get-caller-identity: the account must not be the one of the vault's host",
        ),
    }
}

/// Judges a key with a certificate by the answer of the vault's server.
pub fn server_key(credential: &Credential, server: &str, answer: &Answer) -> Finding {
    let subject = subject(credential);
    match answer {
        Answer::Refused(text) => Finding::good(subject, format!("{server} does not let it in: {text}")),
        Answer::Done(text) => Finding::bad(
            subject,
            format!("{server} lets it in: {text}"),
            "unwipe vault authority revoke SERIAL, on the vault's host; then remove the key here",
        ),
        Answer::Unknown(text) => {
            not_made(subject, format!("{server}: {text}"), "run doctor again where the server can be reached")
        }
    }
}

/// Judges an identity by whether it opens the vault.
pub fn identity(credential: &Credential, answer: &Answer) -> Finding {
    let subject = format!("{credential} does not open the vault");
    match answer {
        Answer::Refused(text) => Finding::good(subject, text),
        Answer::Done(text) => Finding::bad(
            subject,
            format!("it does: {text}"),
            format!("remove it from {}, and replace it: unwipe keys --help", credential.found),
        ),
        Answer::Unknown(text) => not_made(subject, text, "unwipe verify, then run doctor again"),
    }
}
