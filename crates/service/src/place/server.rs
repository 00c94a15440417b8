//! What a vault server really enforces against this host.

use blobs::{RemoteStore, remote::Attempt};
use connect::Finding;

use super::{PlaceError, Standing};

/// Tries with this host's certificate what nobody must be able to do.
pub(super) fn measure(store: &RemoteStore) -> Result<Standing, PlaceError> {
    let status = store.status()?;
    let mut attempts = store.attempt_forbidden()?;
    // A host that captures must not be able to read back what it stored; one that restores must.
    if status.capability.starts_with("capture/") {
        attempts.extend(store.attempt_reading()?);
    }
    let holds = attempts.iter().all(|attempt| attempt.held);
    let findings = attempts.iter().map(finding).collect();
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
