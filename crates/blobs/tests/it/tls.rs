//! A bucket behind TLS.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use blobs::s3::{S3Settings, S3Store};
use buckets::LockServer;
use ports::{BlobError, BlobName, BlobStore, Clock, SystemClock, SystemRandom};

use crate::bucket::{WRITER, credential, settings};

#[test]
fn a_certificate_is_trusted_only_when_it_is_said_so() {
    let (server, folder) = (LockServer::start(), tempfile::tempdir().unwrap());
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let endpoint = server.endpoint();
    let mut relay = Command::new(here.join("../../.tools/python/bin/python"))
        .arg(here.join("tests/it/tls_relay.py"))
        .arg(folder.path())
        .arg(endpoint.trim_start_matches("http://"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect(".tools/python is missing; run tools/install_python");
    let mut port = String::new();
    BufReader::new(relay.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let open = |host: &str, authority: Option<&str>| {
        let settings = S3Settings {
            certificate_authorities: authority.map(|name| folder.path().join(name)),
            ..settings(&format!("https://{host}:{}", port.trim()), "v")
        };
        S3Store::new(&settings, credential(WRITER), Arc::new(SystemClock::new()), Arc::new(SystemRandom))
    };
    let (object, until) =
        (BlobName::new("keys/0").unwrap(), SystemClock::new().now().plus_micros(3_600_000_000));
    let create = |store: &S3Store| store.create(&object, &vec![7; 200_000], until);
    // Another authority, another name, no certificate at all.
    for (host, authority) in [("127.0.0.1", "ca.pem"), ("localhost", "own.pem")] {
        let refused = create(&open(host, Some(authority)).unwrap());
        assert!(matches!(refused, Err(BlobError::Unavailable { .. })), "{host} {authority}: {refused:?}");
    }
    assert!(open("localhost", Some("own.key")).is_err());
    let store = open("localhost", Some("ca.pem")).unwrap();
    create(&store).unwrap();
    assert_eq!(BlobStore::read(&store, &object).unwrap(), vec![7; 200_000]);
    drop(relay.stdin.take());
    assert!(relay.wait().unwrap().success());
}
