//! What a vault server really enforces against this host.

use blobs::{
    RemoteStore,
    remote::{Attempt, protocol::Status},
};
use connect::Finding;
use model::Moment;
use vault::retention::DAY_MICROS;

use super::{PlaceError, Standing};
use crate::words::counted;

/// Tries with this host's certificate what nobody must be able to do.
pub(super) fn measure(store: &RemoteStore) -> Result<Standing, PlaceError> {
    let status = store.status()?;
    let mut attempts = store.attempt_forbidden()?;
    // A host that captures must not be able to read back what it stored; one that restores must.
    if status.capability.starts_with("capture/") {
        attempts.extend(store.attempt_reading()?);
    }
    let holds = attempts.iter().all(|attempt| attempt.held);
    let mut findings: Vec<Finding> = attempts.iter().map(finding).collect();
    findings.extend(certificate(&status));
    let statement = if holds {
        format!(
            "another host, which lets this one {} and neither delete nor overwrite",
            granted(&status.capability)
        )
    } else {
        "a server that lets this host change what is stored".to_owned()
    };
    Ok(Standing { tier: if holds { 2 } else { 0 }, statement, findings })
}

fn granted(capability: &str) -> &'static str {
    match capability {
        "restore" | "mirror" => "read",
        _ => "add",
    }
}

/// A certificate that has run out stops the capture: whoever may renew it should hear of it in time.
fn certificate(status: &Status) -> Option<Finding> {
    const SOON_DAYS: i64 = 30;
    let expires = Moment::from_micros(status.certificate_expires?);
    let days = expires.micros_since(Moment::from_micros(status.now)) / DAY_MICROS;
    let subject = "this host's certificate counts for a while";
    let evidence =
        format!("{}, until {expires}: {}", status.capability, counted(days.max(0).unsigned_abs(), "day"));
    Some(if days > SOON_DAYS {
        Finding::good(subject, evidence)
    } else {
        Finding::advice(subject, evidence, "unwipe vault enrol SOURCE, on the vault's host, makes a new one")
    })
}

fn finding(attempt: &Attempt) -> Finding {
    let evidence = attempt.evidence.as_str();
    if attempt.held {
        Finding::good(format!("this host cannot {}", attempt.what), evidence)
    } else {
        Finding::bad(
            format!("this host can {}", attempt.what),
            evidence,
            "run `unwipe vault serve` of this version on the vault's host",
        )
    }
}
