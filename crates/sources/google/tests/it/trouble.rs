//! What stands in the way: keys, scopes, suspended users, clocks, a network that breaks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use connect::{Progress, ReadEnd, ReadError, SourceReader, Standing, Stop, testing::MemorySink};
use connect_http::{Body, HttpSettings, HttpTransport, Request, Response, Transport, TransportError};
use google_tenant::scopes;
use model::UnreadableReason;
use ports::Clock;
use serde_json::json;
use source_google::{GoogleReader, Part};

use crate::domain::{Domain, SECOND};

fn client_id(domain: &Domain) -> String {
    domain.running.with_tenant(|tenant| tenant.service_accounts().next().unwrap().client_id.clone())
}

#[test]
fn a_missing_scope_is_named_with_the_place_where_it_is_granted() {
    let domain = Domain::start(&[Part::Gmail]);
    let id = client_id(&domain);
    domain.running.with_tenant(|tenant| tenant.delegate(&id, [scopes::USER_READONLY]));
    let findings = domain.reader().check();
    let mail = findings.iter().find(|finding| finding.subject == "mail can be read").unwrap();
    assert_eq!(mail.standing, Standing::Bad);
    assert!(mail.evidence.contains("gmail.readonly"), "{}", mail.evidence);
    let fix = mail.fix.as_ref().unwrap();
    assert!(
        fix.contains(&id) && fix.contains("Domain-wide delegation") && fix.contains("gmail.readonly"),
        "{fix}"
    );

    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let blinded = sink.stream("blinded");
    assert_eq!(blinded.len(), domain.users().len() + suspended(&domain));
    assert!(sink.commits.iter().all(|commit| commit.removed == 0));
}

fn suspended(domain: &Domain) -> usize {
    domain.running.with_tenant(|tenant| {
        let blind =
            |user: &&google_tenant::User| user.suspended && user.has_mailbox && user.deleted.is_none();
        tenant.users().iter().filter(blind).count()
    })
}

#[test]
fn nothing_of_a_mailbox_is_taken_for_deleted_once_it_cannot_be_seen() {
    let domain = Domain::start(&[Part::Gmail]);
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let held = sink.held.len();
    let id = client_id(&domain);
    domain.running.with_tenant(|tenant| tenant.delegate(&id, [scopes::USER_READONLY]));
    domain.clock.advance_micros(7200 * SECOND);
    domain.capture(&mut sink);
    let blinded = sink.stream("blinded");
    assert_eq!(sink.held.len(), held + domain.users().len());
    for item in blinded.values() {
        assert!(matches!(item.content, Err(UnreadableReason::Blinded { .. })));
    }
}

#[test]
fn a_suspended_user_is_told_and_costs_nothing() {
    let domain = Domain::start(&[Part::Gmail]);
    let count = suspended(&domain);
    assert!(count > 0, "the domain has a suspended user");
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let blinded = sink.stream("blinded");
    assert_eq!(blinded.len(), count);
    for item in blinded.values() {
        let Err(UnreadableReason::Blinded { detail }) = &item.content else { panic!("{item:?}") };
        assert!(detail.contains("suspended"), "{detail}");
    }
}

fn refused(domain: &Domain) -> (String, String, bool) {
    let mut sink = MemorySink::new();
    match domain.try_capture(&mut sink).unwrap_err() {
        ReadError::Source { message, hint, transient, .. } => (message, hint.unwrap_or_default(), transient),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_that_was_removed_ends_the_capture_with_what_to_do() {
    let domain = Domain::start(&[Part::Gmail]);
    let mut reader = domain.reader();
    domain.running.with_tenant(|tenant| {
        let email = tenant.service_accounts().next().unwrap().email.clone();
        tenant.remove_keys(&email);
    });
    let error = reader.changes(None, &mut MemorySink::new(), &Stop::default()).unwrap_err();
    assert!(error.to_string().contains("key is refused"), "{error}");
    assert!(error.hint().unwrap().contains("make a new key"));
}

#[test]
fn an_administrator_who_is_none_is_told() {
    let domain = Domain::start(&[Part::Gmail]);
    let id = client_id(&domain);
    domain.running.with_tenant(|tenant| tenant.delegate(&id, []));
    let (message, hint, transient) = refused(&domain);
    assert!(message.contains("admin.directory.user.readonly"), "{message}");
    assert!(hint.contains(&id), "{hint}");
    assert!(!transient);
}

#[test]
fn a_clock_that_is_wrong_is_told_from_a_key_that_is_wrong() {
    let domain = Domain::start(&[Part::Gmail]);
    let mut other =
        Domain { clock: Arc::new(ports::ManualClock::new(model::Moment::from_micros(0))), ..domain };
    let (message, hint, _) = refused(&other);
    assert!(message.contains("clock"), "{message}");
    assert!(hint.contains("set-ntp"), "{hint}");
    other.parts.clear();
}

#[test]
fn an_unsteady_service_changes_nothing_about_what_is_held() {
    let domain = Domain::start(&[Part::Gmail]);
    domain.unsteady("gmail.*", 0.02);
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    assert!(domain.running.with_tenant(|tenant| tenant.faults_served()) > 20);
    domain.running.with_tenant(google_tenant::Tenant::lift_faults);
    // What failed although it was tried again comes with the next capture.
    domain.capture(&mut sink);
    domain.assert_held(&sink);
}

#[test]
fn a_capture_without_a_network_fails_in_passing() {
    let domain = Domain::start(&[Part::Gmail]);
    let settings = HttpSettings { ..HttpSettings::default() };
    let transport = Arc::new(HttpTransport::new(settings).unwrap());
    let mut reader = domain.reader_through(transport);
    drop(domain);
    let error = reader.changes(None, &mut MemorySink::new(), &Stop::default()).unwrap_err();
    assert!(matches!(error, ReadError::Source { transient: true, .. }), "{error:?}");
}

fn everything_small() -> Domain {
    Domain::with(&[Part::Directory, Part::Gmail, Part::Drive], |settings| {
        (settings.size.users, settings.size.files, settings.size.messages) = (4, 18, 12);
    })
}

/// Carries calls, and asks the reader to end at one of them.
struct Ending {
    inner: HttpTransport,
    stop: Stop,
    left: AtomicU64,
}

impl Transport for Ending {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.stop.request();
        }
        self.inner.send(request)
    }
}

#[test]
fn whoever_asks_a_capture_to_end_is_told_that_it_was_stopped() {
    let domain = everything_small();
    let mut sink = MemorySink::new();
    // Tokens, the list of users, the lists of shared drives and their members, the units.
    for request in 0..14 {
        let inner = HttpTransport::new(HttpSettings::default()).unwrap();
        let ending = Ending { inner, stop: Stop::default(), left: AtomicU64::new(request) };
        let stop = ending.stop.clone();
        if request == 0 {
            stop.request();
        }
        let mut reader = domain.reader_through(Arc::new(ending));
        let end = reader.changes(sink.cursor().as_ref(), &mut sink, &stop).unwrap();
        assert_eq!(end, ReadEnd::Stopped, "at request {request}");
    }
    assert!(sink.commits.iter().all(|commit| commit.removed == 0));
    assert_eq!(domain.try_capture(&mut sink).unwrap(), ReadEnd::UpToDate);
    domain.assert_held(&sink);
    domain.assert_drives_held(&sink);
}

#[test]
fn a_position_that_is_not_understood_takes_a_comparison_and_no_deletion_is_missed() {
    let domain = everything_small();
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    let user = domain.people()[1].clone();
    for damaged in [
        "{}",
        "no position",
        r#"{"mailbox":"somebody.else@acme.test","history":"1","listed":true,"compare":false}"#,
    ] {
        let letters: Vec<String> = domain.letters(&user).into_keys().collect();
        domain.agent(&user).delete(&format!("messages/{}", letters[0]));
        domain.agent(&user).post(&format!("messages/{}/trash", letters[1]), &json!({}));
        let file = domain.hand(&user).make(&json!({ "name": "soon gone", "mimeType": "text/plain" }));
        domain.capture(&mut sink);
        domain.agent(&user).delete(&format!("messages/{}", letters[2]));
        domain.agent(&user).post(&format!("messages/{}/untrash", letters[1]), &json!({}));
        domain.hand(&user).delete(&format!("files/{file}"));
        for ((stream, _), item) in &mut sink.held {
            if stream.as_str() == "position" {
                damaged.clone_into(&mut item.attributes);
            }
        }
        domain.capture(&mut sink);
        domain.assert_held(&sink);
        domain.assert_drives_held(&sink);
    }
}

/// Something between here and Google that answers for the issuer of tokens.
struct Portal(HttpTransport);

impl Transport for Portal {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let response = self.0.send(request)?;
        if !request.place().ends_with("/token") {
            return Ok(response);
        }
        Ok(Response { body: Body::of(b"<html>Please log in</html>".to_vec()), ..response })
    }
}

#[test]
fn an_answer_that_is_no_token_says_nothing_about_the_key() {
    let domain = Domain::start(&[Part::Gmail]);
    let portal = Portal(HttpTransport::new(HttpSettings::default()).unwrap());
    let mut reader = domain.reader_through(Arc::new(portal));
    let error = reader.changes(None, &mut MemorySink::new(), &Stop::default()).unwrap_err();
    assert!(matches!(error, ReadError::Source { transient: true, .. }), "{error:?}");
    assert!(error.to_string().contains("without a token"), "{error}");
}

/// Changes a domain while it is followed, and ends that some minutes later.
struct Comings {
    domain: Arc<Domain>,
    suspended: String,
    done: AtomicU64,
    stop: Stop,
}

impl Progress for Comings {
    fn phase(&self, _title: &str, _total: Option<u64>) {}

    fn advance(&self, _units: u64) {
        let domain = &*self.domain;
        let now = domain.clock.elapsed();
        if self.done.load(Ordering::SeqCst) == 0 && now >= Duration::from_secs(30) {
            self.done.store(1, Ordering::SeqCst);
            let admin = domain.running.with_tenant(|tenant| tenant.administrator().unwrap().to_owned());
            let hand = domain.program(&admin, &[scopes::USER]);
            let name = json!({ "givenName": "Zoe", "familyName": "New" });
            let zoe = json!({ "primaryEmail": "zoe@acme.test", "name": name, "password": "long enough" });
            hand.call("POST", "admin/directory/v1/users", &zoe);
            let path = format!("admin/directory/v1/users/{}", self.suspended);
            hand.call("PATCH", &path, &json!({ "suspended": true }));
            let letter =
                |text: &str| format!("From: x@y.test\r\nSubject: new\r\n\r\n{text}\r\n").into_bytes();
            domain.running.with_tenant(|tenant| tenant.deliver("zoe@acme.test", &letter("welcome")).unwrap());
        }
        if now >= Duration::from_mins(4) {
            self.stop.request();
        }
    }
}

#[test]
fn who_comes_while_a_domain_is_followed_is_read_and_who_is_suspended_is_told() {
    let domain = Arc::new(Domain::start(&[Part::Gmail, Part::Directory]));
    let suspended_before = suspended(&domain);
    let user = domain.users()[1].clone();
    let held = domain.letters(&user);
    let comings = Arc::new(Comings {
        domain: Arc::clone(&domain),
        suspended: user.clone(),
        done: AtomicU64::new(0),
        stop: Stop::default(),
    });
    let transport = Arc::new(HttpTransport::new(HttpSettings::default()).unwrap());
    let reader = GoogleReader::new(domain.key(), transport, domain.settings(), Arc::clone(&comings) as _);
    let mut sink = MemorySink::new();
    let end = reader.every(Duration::from_secs(5)).changes(None, &mut sink, &comings.stop).unwrap();
    assert_eq!(end, ReadEnd::Stopped);
    assert!(domain.users().contains(&"zoe@acme.test".to_owned()));
    domain.assert_held(&sink);
    assert_eq!(sink.stream("blinded").len(), suspended_before + 1);
    let kept = sink.stream(&format!("gmail/{user}"));
    assert_eq!(kept.keys().filter(|key| key.starts_with("message/")).count(), held.len(), "nothing is lost");
}

#[test]
fn what_was_taken_of_the_quota_is_told_with_what_was_refused() {
    use google_tenant::{Effect, Fault, When};

    let domain = Domain::start(&[Part::Directory, Part::Gmail]);
    domain.running.with_tenant(|tenant| {
        tenant.fault(Fault::new("gmail.users.*", When::First(2), Effect::TooMany(Some(1))));
        tenant.fault(Fault::new("gmail.users.*", When::Nth(5), Effect::UserRate));
    });
    let mut reader = domain.reader();
    let meter = reader.meter().unwrap();
    assert!(meter.quota_use().is_empty(), "nothing was called yet");
    let mut sink = MemorySink::new();
    reader.changes(None, &mut sink, &Stop::default()).unwrap();

    let uses = meter.quota_use();
    let of =
        |name: &str| uses.iter().find(|it| it.name == name).unwrap_or_else(|| panic!("{name}: {uses:?}"));
    let (user, project) = (of("gmail/user"), of("gmail/project"));
    let (late, shared) = (user.of_late.unwrap(), project.of_late.unwrap());
    assert!(late.day > 0 && late.day == shared.day, "each call is charged to both");
    assert_eq!((late.refused, shared.refused), (3, 3), "two of 429, one of 403");
    assert!(late.waited_ms >= 1000, "it was asked to wait a second: {late:?}");
    assert!(user.used <= late.hour && user.limit == 6000 && user.share_percent == Some(100));
    let subject = user.subject.as_ref();
    assert!(subject.is_none_or(|subject| domain.users().contains(subject)), "{subject:?}");
    assert_eq!((of("gmail/day").used, of("gmail/day").limit), (shared.day, 80_000_000));
    assert_eq!(of("admin/project").of_late.unwrap().refused, 0);
}

#[test]
fn a_limit_of_ones_own_is_told_as_a_share_of_what_google_gives() {
    let domain = Domain::start(&[Part::Gmail]);
    let mut settings = domain.settings();
    settings.api.limit("gmail/user", 3000);
    settings.api.limit("gmail/day", 40_000_000);
    let transport = Arc::new(HttpTransport::new(HttpSettings::default()).unwrap());
    let mut reader = GoogleReader::new(domain.key(), transport, settings, Arc::new(connect::Silent));
    let meter = reader.meter().unwrap();
    reader.changes(None, &mut MemorySink::new(), &Stop::default()).unwrap();
    let uses = meter.quota_use();
    let share = |name: &str| uses.iter().find(|it| it.name == name).unwrap().share_percent;
    assert_eq!(
        (share("gmail/user"), share("gmail/project"), share("gmail/day")),
        (Some(50), Some(100), Some(50))
    );
}
