use ports::{BlobError, BlobStore, Clock};
use rustls::version::{TLS12, TLS13};
use vault_server::{Authority, AuthorityError};

use crate::support::{Raw, World, name};

const REQUEST: &str = "GET /v1/time HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[expect(clippy::needless_pass_by_value, reason = "made to be given a result")]
fn is_cut_off<T: std::fmt::Debug>(result: Result<T, BlobError>) {
    assert!(matches!(result, Err(BlobError::Unavailable { .. })), "{result:?}");
}

#[test]
fn without_a_certificate_there_is_no_answer() {
    let world = World::new();
    assert_eq!(Raw::connect(&world, None, &[&TLS13]).ask(REQUEST), None);
    let issued = world.issue("mirror");
    assert_eq!(Raw::connect(&world, Some(&issued), &[&TLS13]).ask(REQUEST).unwrap().0, 200);
}

#[test]
fn an_older_protocol_is_refused() {
    let world = World::new();
    let issued = world.issue("mirror");
    assert_eq!(Raw::connect(&world, Some(&issued), &[&TLS12]).ask(REQUEST), None);
}

#[test]
fn a_certificate_of_another_authority_counts_for_nothing() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let foreign = Authority::init(folder.path(), world.clock.now()).unwrap();
    let issued = foreign.issue_client(&"mirror".parse().unwrap(), 10, world.clock.now()).unwrap();
    let client = world.client_with(&issued, &world.authority.certificate().unwrap());
    is_cut_off(client.read(&name("vault.json")));
    // Nor does a client believe a server that its own authority does not know.
    let client = world.client_with(&world.issue("mirror"), &foreign.certificate().unwrap());
    is_cut_off(client.read(&name("vault.json")));
}

#[test]
fn an_expired_certificate_counts_for_nothing_also_on_an_open_connection() {
    let world = World::new();
    let issued = world.issue("mirror");
    let mut open = Raw::connect(&world, Some(&issued), &[&TLS13]);
    assert_eq!(open.ask(REQUEST).unwrap().0, 200);
    world.clock.advance_micros(11 * vault::retention::DAY_MICROS);
    let (status, text) = open.ask(REQUEST).unwrap();
    assert_eq!(status, 401, "{text}");
    let client = world.client_with(&issued, &world.authority.certificate().unwrap());
    is_cut_off(client.read(&name("vault.json")));
}

#[test]
fn a_revoked_certificate_counts_for_nothing() {
    let world = World::new();
    let issued = world.issue("mirror");
    let client = world.client_with(&issued, &world.authority.certificate().unwrap());
    client.read(&name("vault.json")).unwrap();
    world.authority.revoke(&issued.serial).unwrap();
    let refused = client.read(&name("vault.json"));
    assert!(matches!(refused, Err(BlobError::Refused { .. })), "{refused:?}");
    assert!(world.client("mirror").read(&name("vault.json")).is_ok());
}

#[test]
fn the_servers_own_certificate_opens_nothing() {
    let world = World::new();
    let issued = world.authority.issue_server("localhost", 10, world.clock.now()).unwrap();
    let client = world.client_with(&issued, &world.authority.certificate().unwrap());
    is_cut_off(client.read(&name("vault.json")));
}

#[test]
fn an_authority_is_made_once_and_its_keys_are_private() {
    use std::os::unix::fs::PermissionsExt;

    let world = World::new();
    let folder = world.folder.path().join("authority");
    let again = Authority::init(&folder, world.clock.now());
    assert!(matches!(again, Err(AuthorityError::Exists { .. })));
    let mode = folder.join("authority.key").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(world.authority.issue_server("no host", 1, world.clock.now()).is_err());
    assert!(world.authority.revoke("../x").is_err());
}
