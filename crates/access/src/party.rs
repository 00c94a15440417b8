//! For whom passkeys are made: the origin that people type.

use serde::{Deserialize, Serialize};

/// For whom passkeys are made. A passkey answers to nobody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelyingParty {
    /// The domain that passkeys belong to: the origin's host, or a parent domain of it.
    pub rp_id: String,
    /// What people type: `https://unwipe.example.org`, without a slash at the end.
    pub origin: String,
    /// What devices show.
    pub name: String,
}

/// Why an origin cannot have passkeys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartyError {
    /// Browsers make passkeys for https, and for localhost.
    #[error(
        "the origin {origin:?} is neither https://HOST nor http://localhost, so browsers make no passkeys for it"
    )]
    Origin {
        /// The refused origin.
        origin: String,
    },
    /// The domain is not the origin's.
    #[error("passkeys of {rp_id:?} do not belong to the origin {origin:?}")]
    Domain {
        /// The refused domain.
        rp_id: String,
        /// The origin.
        origin: String,
    },
}

impl RelyingParty {
    /// Makes a party whose passkeys belong to the host of its origin.
    pub fn of_origin(origin: &str, name: &str) -> Result<Self, PartyError> {
        let origin = origin.strip_suffix('/').unwrap_or(origin).to_owned();
        let rp_id = host(&origin).ok_or_else(|| PartyError::Origin { origin: origin.clone() })?.to_owned();
        Ok(Self { rp_id, origin, name: name.to_owned() })
    }

    /// Checks that the domain fits the origin.
    pub fn check(&self) -> Result<(), PartyError> {
        let host = host(&self.origin).ok_or_else(|| PartyError::Origin { origin: self.origin.clone() })?;
        let parent = host.strip_suffix(self.rp_id.as_str()).is_some_and(|rest| rest.ends_with('.'));
        if host == self.rp_id || (parent && self.rp_id.contains('.')) {
            return Ok(());
        }
        Err(PartyError::Domain { rp_id: self.rp_id.clone(), origin: self.origin.clone() })
    }
}

/// Returns the host of an origin for which browsers make passkeys.
fn host(origin: &str) -> Option<&str> {
    let (secure, rest) = match origin.strip_prefix("https://") {
        Some(rest) => (true, rest),
        None => (false, origin.strip_prefix("http://")?),
    };
    let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
    let port_good = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let host_good = !host.is_empty() && host.chars().all(letters) && !host.starts_with('.');
    let reachable = secure || host == "localhost" || host.ends_with(".localhost");
    // An address of numbers is no domain: browsers refuse passkeys for it.
    let domain = host.rsplit('.').next().is_some_and(|last| !last.chars().all(|c| c.is_ascii_digit()));
    (port_good && host_good && reachable && domain).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_without_passkeys_is_refused_at_once() {
        for bad in [
            "",
            "unwipe.example.org",
            "http://unwipe.example.org",
            "https://",
            "https://127.0.0.1:8787",
            "https://a.org/x",
            "https://A.org",
            "https://a.org:x",
            "ftp://a.org",
        ] {
            assert!(RelyingParty::of_origin(bad, "unwipe").is_err(), "{bad:?} was accepted");
        }
        let party = RelyingParty::of_origin("https://unwipe.example.org:8443/", "unwipe").unwrap();
        assert_eq!(
            (party.rp_id.as_str(), party.origin.as_str()),
            ("unwipe.example.org", "https://unwipe.example.org:8443")
        );
        assert_eq!(RelyingParty::of_origin("http://localhost:8787", "unwipe").unwrap().rp_id, "localhost");
    }

    #[test]
    fn the_domain_is_the_host_or_its_parent() {
        let mut party = RelyingParty::of_origin("https://unwipe.example.org", "unwipe").unwrap();
        party.rp_id = "example.org".to_owned();
        assert_eq!(party.check(), Ok(()));
        for bad in ["org", "xample.org", "evil.org", "", "a.unwipe.example.org"] {
            party.rp_id = bad.to_owned();
            assert!(party.check().is_err(), "{bad:?} was accepted");
        }
    }
}
