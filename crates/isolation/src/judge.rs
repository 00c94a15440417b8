//! From what was seen and answered to findings. What is not known is advice, with what is missing; it is never good.

mod credentials;
mod identities;
mod shared;

use connect::Finding;

pub use self::{
    credentials::{
        Bucket, Whose, bucket_key, identity, looked, not_tried, other_secrets, same_account, server_key,
        whose,
    },
    identities::{ServerReach, capture_role, capture_scopes, login},
    shared::{KeyUse, Person, folder_user, host, identity_provider, key_service, volume},
};

/// At most so many words of evidence of one kind; the rest is counted.
const SHOWN_MAX: usize = 4;

/// Says that a check was not made, and what is missing for it.
pub fn not_made(
    subject: impl Into<String>,
    why: impl std::fmt::Display,
    missing: impl Into<String>,
) -> Finding {
    Finding::advice(subject, format!("not known: {why}"), missing)
}

/// Writes the first of several texts, and how many more there are.
fn some<T: AsRef<str>>(texts: &[T]) -> String {
    let shown: Vec<&str> = texts.iter().take(SHOWN_MAX).map(AsRef::as_ref).collect();
    let rest = texts.len().saturating_sub(SHOWN_MAX);
    let more = if rest == 0 { String::new() } else { format!("; and {rest} more") };
    format!("{}{more}", shown.join("; "))
}

#[cfg(test)]
mod tests;
