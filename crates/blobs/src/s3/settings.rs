use std::{path::PathBuf, time::Duration};

use model::Redacted;

/// Where a bucket is and how it is spoken to.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// The server: `https://s3.eu-central-1.amazonaws.com`. Plain `http` is for this machine only.
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The bucket; it was made with Object Lock.
    pub bucket: String,
    /// What the vault's keys begin with inside the bucket; empty: they begin with nothing.
    pub prefix: String,
    /// Where the bucket's name stands.
    pub addressing: Addressing,
    /// A file with the certificates that are trusted; the system's when there is none.
    pub certificate_authorities: Option<PathBuf>,
    /// How patient the client is.
    pub patience: Patience,
}

/// Where the bucket's name stands in a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Addressing {
    /// In the path: `https://HOST/BUCKET/KEY`.
    #[default]
    Path,
    /// In the host's name: `https://BUCKET.HOST/KEY`.
    VirtualHost,
}

/// How long is waited and how often is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For one request with all its bytes.
    pub request: Duration,
    /// How often a request is sent at most.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles from there, up to [`Self::pause_max`].
    pub pause: Duration,
    /// The longest pause.
    pub pause_max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_mins(5),
            attempts: 7,
            pause: Duration::from_millis(200),
            pause_max: Duration::from_secs(10),
        }
    }
}

/// What requests are signed with.
#[derive(Debug, Clone)]
pub struct S3Credential {
    /// The public half.
    pub access_key: String,
    /// The secret half.
    pub secret_key: Redacted<String>,
    /// The token of a credential that lasts for a session.
    pub session_token: Option<Redacted<String>>,
}

/// Why a bucket cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The endpoint is no address of a server.
    #[error("{endpoint:?} is no endpoint: {reason}")]
    Endpoint {
        /// The refused text.
        endpoint: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The bucket's name cannot stand in an address.
    #[error("{bucket:?} is no name of a bucket")]
    Bucket {
        /// The refused text.
        bucket: String,
    },
    /// The prefix would not be found again.
    #[error("{prefix:?} cannot be a prefix: letters, digits, and - _ . / only")]
    Prefix {
        /// The refused text.
        prefix: String,
    },
    /// The trusted certificates cannot be had.
    #[error("the certificates that are trusted cannot be read: {detail}")]
    Certificates {
        /// What is wrong.
        detail: String,
    },
}

/// A checked endpoint and bucket: makes the addresses of requests.
#[derive(Debug, Clone)]
pub(super) struct Address {
    scheme: &'static str,
    /// What the `Host` header says.
    pub(super) host: String,
    /// What every path begins with: empty, or `/BUCKET`.
    bucket_path: String,
    /// What every key begins with: empty, or ending in a slash.
    pub(super) prefix: String,
}

impl Address {
    /// Reads the address of a server whose requests are about no bucket.
    pub(super) fn of_server(endpoint: &str) -> Result<Self, SettingsError> {
        let refused = |reason| SettingsError::Endpoint { endpoint: endpoint.to_owned(), reason };
        let (scheme, rest) = match endpoint.split_once("://") {
            Some(("https", rest)) => ("https", rest),
            Some(("http", rest)) => ("http", rest),
            _ => return Err(refused("write https://HOST or https://HOST:PORT")),
        };
        let host = rest.strip_suffix('/').unwrap_or(rest);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b);
        if host.is_empty() || !host.bytes().all(plain) {
            return Err(refused("write https://HOST or https://HOST:PORT"));
        }
        // Whoever sits between could forge the answers that say what is locked.
        if scheme == "http" && !is_this_machine(host) {
            return Err(refused("without TLS only a server on this machine is believed"));
        }
        Ok(Self { scheme, host: host.to_owned(), bucket_path: String::new(), prefix: String::new() })
    }

    pub(super) fn new(settings: &S3Settings) -> Result<Self, SettingsError> {
        let Self { scheme, host, .. } = Self::of_server(&settings.endpoint)?;
        let bucket = &settings.bucket;
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(allowed) {
            return Err(SettingsError::Bucket { bucket: bucket.clone() });
        }
        let prefix = settings.prefix.trim_matches('/');
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
        if !prefix.bytes().all(allowed) || prefix.split('/').any(|s| s == "." || s == "..") {
            return Err(SettingsError::Prefix { prefix: settings.prefix.clone() });
        }
        let (host, bucket_path) = match settings.addressing {
            Addressing::Path => (host, format!("/{bucket}")),
            Addressing::VirtualHost => (format!("{bucket}.{host}"), String::new()),
        };
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self { scheme, host, bucket_path, prefix })
    }

    /// Returns the path of an object, or of the bucket itself. Keys hold only characters that need no escape.
    pub(super) fn path(&self, key: Option<&str>) -> String {
        match key {
            Some(key) => format!("{}/{}{key}", self.bucket_path, self.prefix),
            None if self.bucket_path.is_empty() => "/".to_owned(),
            None => self.bucket_path.clone(),
        }
    }

    pub(super) fn uri(&self, path: &str, query: &str) -> String {
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}://{}{path}{mark}{query}", self.scheme, self.host)
    }
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(endpoint: &str, bucket: &str, prefix: &str, addressing: Addressing) -> S3Settings {
        S3Settings {
            endpoint: endpoint.to_owned(),
            region: "us-east-1".to_owned(),
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            addressing,
            certificate_authorities: None,
            patience: Patience::default(),
        }
    }

    #[test]
    fn the_bucket_stands_in_the_path_or_in_the_host() {
        let path =
            Address::new(&settings("https://s3.example.org:9000/", "vault", "/a/b/", Addressing::Path));
        let path = path.unwrap();
        assert_eq!(path.uri(&path.path(Some("keys/0")), ""), "https://s3.example.org:9000/vault/a/b/keys/0");
        assert_eq!(path.uri(&path.path(None), "versions="), "https://s3.example.org:9000/vault?versions=");
        let host =
            Address::new(&settings("https://s3.example.org", "vault", "", Addressing::VirtualHost)).unwrap();
        assert_eq!(host.uri(&host.path(Some("keys/0")), ""), "https://vault.s3.example.org/keys/0");
        assert_eq!(host.uri(&host.path(None), "x="), "https://vault.s3.example.org/?x=");
    }

    #[test]
    fn what_could_be_forged_or_leave_the_bucket_is_refused() {
        for endpoint in
            ["s3.example.org", "ftp://x", "https://", "https://user@x", "https://x/path", "http://10.0.0.1"]
        {
            assert!(Address::new(&settings(endpoint, "vault", "", Addressing::Path)).is_err(), "{endpoint}");
        }
        for endpoint in ["http://127.0.0.1:9000", "http://[::1]:9000", "http://localhost"] {
            assert!(Address::new(&settings(endpoint, "vault", "", Addressing::Path)).is_ok(), "{endpoint}");
        }
        for bucket in ["", "ab", "Vault", "a/b", "a?b"] {
            assert!(Address::new(&settings("https://x", bucket, "", Addressing::Path)).is_err(), "{bucket}");
        }
        for prefix in ["a/../b", "a b", "a?b", "ä"] {
            assert!(
                Address::new(&settings("https://x", "vault", prefix, Addressing::Path)).is_err(),
                "{prefix}"
            );
        }
    }
}
