use std::{net::TcpListener, os::unix::fs::PermissionsExt, sync::Arc};

use connect::{ChangeSink, Cursor, ReadEnd, ReadError, Silent, SourceReader, Stop, Stored};
use model::{Item, Layout, StreamName};
use ports::{Clock, ManualClock, SeededRandom, SystemClock};
use vault::{RestoreKey, keys::KeyRing};
use vault_server::{Authority, Capability, Keeper, Policy, Server, ServerSettings, server::PATIENCE};

use super::*;
use crate::installation::InitRequest;

const NOWHERE: Environment<'static> = &|_| None;

/// A source with one item and a log.
struct Shop;

impl SourceReader for Shop {
    fn changes(
        &mut self,
        _: Option<&Cursor>,
        sink: &mut dyn ChangeSink,
        _: &Stop,
    ) -> Result<ReadEnd, ReadError> {
        let stream = StreamName::new("files").unwrap();
        let item = Item { stream, key: "a".to_owned(), attributes: "{}".to_owned() };
        sink.upsert(item, Layout::Small, &mut &b"carried over"[..])?;
        sink.append(&StreamName::new("wal/1").unwrap(), 0, &[5; 10_000])?;
        sink.checkpoint(&Cursor("end".to_owned()))?;
        Ok(ReadEnd::UpToDate)
    }
}

/// The host of the vault, with its server.
struct Host {
    folder: tempfile::TempDir,
    ports: Ports,
    installation: Installation,
    authority: Authority,
    server: Server,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(SystemClock::new().now()));
        let ports = Ports {
            clock: clock.clone(),
            random: Arc::new(SeededRandom::new(1)),
            tracing: ports::Tracing::default(),
        };
        let place = Place::Folder { path: "vault".into(), immutable_flags: false };
        Installation::init(folder.path(), &InitRequest { place, lock_days: 1 }, &ports, NOWHERE).unwrap();
        let installation = Installation::open(folder.path(), ports.clone()).unwrap();
        let authority = Authority::init(&folder.path().join("authority"), clock.now()).unwrap();
        let issued = authority.issue_server("127.0.0.1", 9, clock.now()).unwrap();
        let settings = ServerSettings {
            certificate: issued.certificate,
            key: issued.key,
            authority: authority.certificate().unwrap(),
            revoked: None,
            patience: PATIENCE,
        };
        let store = installation.store(NOWHERE).unwrap();
        let accounts = folder.path().join("accounts.json");
        let keeper =
            Keeper::open(store, &accounts, Policy::default(), clock.clone(), Box::new(|| None)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server::start(listener, settings, Arc::new(keeper), clock).unwrap();
        Self { folder, ports, installation, authority, server }
    }

    fn enrol(&self, source: &str) -> Enrolment {
        let source = SourceName::new(source).unwrap();
        let capability = Capability::Capture(source.clone());
        let issued = self.authority.issue_client(&capability, 9, self.ports.clock.now()).unwrap();
        let store = self.installation.store(NOWHERE).unwrap();
        let owner = RestoreKey::load(&self.folder.path().join("keys/restore.key")).unwrap();
        let (clock, random) = (&*self.ports.clock, &*self.ports.random);
        let bound = Some(source.clone());
        let capture_key =
            KeyRing::open(store, &owner).unwrap().issue_capture_key(bound, clock, random).unwrap();
        Enrolment {
            source,
            url: format!("https://{}", self.server.address()),
            authority: self.authority.certificate().unwrap(),
            certificate: issued.certificate,
            key: issued.key,
            capture_key: Redacted::new(capture_key.to_text().unwrap().to_string()),
        }
    }
}

#[test]
fn a_production_host_captures_with_an_enrolment_and_can_read_nothing() {
    let host = Host::new();
    let path = host.folder.path().join("shop.enrolment");
    host.enrol("shop").save(&path).unwrap();
    let production = tempfile::tempdir().unwrap();
    let home = production.path().join("home");
    let enrolment = Enrolment::load(&path).unwrap();
    let standing = Installation::join(&home, &enrolment, &host.ports).unwrap();
    assert_eq!(standing.tier, 2, "{standing:?}");

    let installation = Installation::open(&home, host.ports.clone()).unwrap();
    assert_eq!(installation.config().restore.key, None);
    let shop = SourceName::new("shop").unwrap();
    for _ in 0..2 {
        installation.capture(&shop, &mut Shop, NOWHERE, &Stop::default()).unwrap();
    }
    let standing = installation.measure(NOWHERE).unwrap();
    let certificate = standing.findings.iter().find(|finding| finding.subject.contains("certificate"));
    assert_eq!(certificate.unwrap().standing, connect::Standing::Advice, "nine days are soon");
    assert!(standing.findings.iter().any(|finding| finding.subject.contains("read what is stored")));
    assert_eq!(standing.tier, 2, "{standing:?}");
    // The keys of the vault's host open it; the production host has none, and may not fetch what they open.
    assert!(matches!(installation.reader(None, NOWHERE), Err(ServiceError::NoRestoreKey)));

    let reader = host.installation.reader(None, NOWHERE).unwrap();
    let stored = host.installation.stored(&shop, reader, &Silent).unwrap();
    let mut bytes = Vec::new();
    let items = stored.items(&StreamName::new("files").unwrap()).unwrap();
    stored.read(&items[0], &mut bytes).unwrap();
    assert_eq!(bytes, b"carried over");
}

#[test]
fn an_enrolment_is_for_one_source() {
    let host = Host::new();
    let production = tempfile::tempdir().unwrap();
    Installation::join(production.path(), &host.enrol("shop"), &host.ports).unwrap();
    let installation = Installation::open(production.path(), host.ports.clone()).unwrap();
    let other = SourceName::new("other").unwrap();
    assert!(installation.capture(&other, &mut Shop, NOWHERE, &Stop::default()).is_err());
    assert!(host.installation.vault(NOWHERE).unwrap().sources().unwrap().is_empty());
}

#[test]
fn an_enrolment_that_others_may_read_is_refused_and_a_home_is_joined_once() {
    let host = Host::new();
    let path = host.folder.path().join("shop.enrolment");
    let enrolment = host.enrol("shop");
    enrolment.save(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(Enrolment::load(&path), Err(EnrolmentError::Public { .. })));
    let again = Installation::join(host.folder.path(), &enrolment, &host.ports);
    assert!(matches!(again, Err(ServiceError::Enrolment(EnrolmentError::Exists))));
    assert!(!format!("{enrolment:?}").contains("PRIVATE"));
}

#[test]
fn a_server_that_is_not_there_leaves_nothing_half_made() {
    let host = Host::new();
    let production = tempfile::tempdir().unwrap();
    let enrolment = host.enrol("shop");
    let away = Enrolment { url: "https://127.0.0.1:1".to_owned(), ..enrolment.clone() };
    assert!(Installation::join(production.path(), &away, &host.ports).is_err());
    assert_eq!(std::fs::read_dir(production.path()).unwrap().count(), 0);
    Installation::join(production.path(), &enrolment, &host.ports).unwrap();
}
