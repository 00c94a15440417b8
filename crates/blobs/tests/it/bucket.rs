//! Stores in buckets, for tests.

use std::{sync::Arc, time::Duration};

use blobs::s3::{Addressing, Patience, S3Credential, S3Settings, S3Store};
use buckets::LockServer;
use model::Redacted;
use ports::{SystemClock, SystemRandom};

/// May write, and neither delete nor configure.
pub(crate) const WRITER: &str = "writer";
/// May read and delete.
pub(crate) const REAPER: &str = "reaper";
/// May do everything.
pub(crate) const ROOT: &str = "root";

pub(crate) fn credential(key: &str) -> S3Credential {
    S3Credential {
        access_key: key.to_owned(),
        secret_key: Redacted::new(format!("{key}-secret")),
        session_token: None,
    }
}

pub(crate) fn settings(endpoint: &str, prefix: &str) -> S3Settings {
    S3Settings {
        endpoint: endpoint.to_owned(),
        region: LockServer::REGION.to_owned(),
        bucket: LockServer::BUCKET.to_owned(),
        prefix: prefix.to_owned(),
        addressing: Addressing::Path,
        certificate_authorities: None,
        patience: Patience {
            attempts: 4,
            pause: Duration::from_millis(5),
            pause_max: Duration::from_millis(20),
            ..Patience::default()
        },
    }
}

pub(crate) fn bucket(endpoint: &str, key: &str, prefix: &str) -> S3Store {
    let (clock, random) = (Arc::new(SystemClock::new()), Arc::new(SystemRandom));
    S3Store::new(&settings(endpoint, prefix), credential(key), clock, random).unwrap()
}
