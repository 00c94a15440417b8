//! What stands in the way: keys, scopes, suspended users, clocks, a network that breaks.

use std::sync::Arc;

use connect::{ReadError, SourceReader, Standing, Stop, testing::MemorySink};
use connect_http::{HttpSettings, HttpTransport};
use google_tenant::scopes;
use model::UnreadableReason;
use source_google::Part;

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
