//! Consents that are taken from programs.

use google_containment::ProgramConsents;
use google_tenant::scopes;
use model::{Actor, Attribution};
use watch::containment::{ActionKind, Container, ContainmentError, Suspect};

use crate::domain::{Breaking, CALENDLY, CLAW, Domain, NOW, actor, suspect};

#[test]
fn an_agent_that_deletes_mail_is_stopped_and_others_go_on() {
    let domain = Domain::start();
    let people = domain.people();
    let mut agent = domain.program(&people[0], CLAW, "OpenClaw", &[scopes::MAIL]);
    let mut other = domain.program(&people[0], CALENDLY, "Meet", &[scopes::MAIL]);
    let mut same_elsewhere = domain.program(&people[1], CLAW, "OpenClaw", &[scopes::MAIL]);
    assert!(agent.renew() && other.renew() && same_elsewhere.renew());
    assert!(agent.delete_one() && agent.delete_one());

    let mut container = domain.container(&[]);
    let suspect = suspect(&format!("gmail/{}", people[0]), Some(actor(&people[0], CLAW)));
    let proposal = container.propose(&suspect).unwrap().unwrap();
    assert_eq!(proposal.attribution, Attribution::Recorded);
    let [action] = &proposal.actions[..] else { panic!("{proposal:?}") };
    assert_eq!((action.kind, action.subject.as_str()), (ActionKind::RevokeConsent, CLAW));
    assert_eq!(action.title, format!("take the consent of {} from OpenClaw ({CLAW})", people[0]));
    assert!(agent.delete_one(), "a proposal changes nothing");

    let taken = container.take(action, NOW).unwrap();
    let record: ProgramConsents = serde_json::from_value(taken.prior.clone()).unwrap();
    assert_eq!((record.client.as_str(), record.consents.len()), (CLAW, 1));
    assert_eq!(
        (&record.consents[0].user, &record.consents[0].scopes[..]),
        (&people[0], &[scopes::MAIL.to_owned()][..])
    );
    assert!(!agent.delete_one() && !agent.renew());
    assert!(other.delete_one() && other.renew() && same_elsewhere.delete_one() && same_elsewhere.renew());

    assert!(!taken.can_be_taken_back);
    let error = container.take_back(&taken).unwrap_err().to_string();
    assert!(
        error.contains(&format!("{} would have to let OpenClaw ({CLAW}) in again", people[0])),
        "{error}"
    );
}

#[test]
fn where_access_tokens_outlive_revocation_the_next_renewal_fails() {
    let domain = Domain::with(|settings| settings.access_tokens_outlive_revocation = true);
    let user = &domain.people()[0];
    let mut agent = domain.program(user, CLAW, "OpenClaw", &[scopes::MAIL]);
    assert!(agent.renew());
    let mut container = domain.container(&[]);
    let proposal = container.propose(&suspect(user, Some(actor(user, CLAW)))).unwrap().unwrap();
    container.take(&proposal.actions[0], NOW).unwrap();
    assert!(agent.delete_one() && !agent.renew());
    domain.clock.advance_micros(3_600_000_000);
    assert!(!agent.delete_one());
}

#[test]
fn taking_it_twice_is_the_same_as_once() {
    let domain = Domain::start();
    let user = &domain.people()[0];
    domain.let_in(user, CLAW, "OpenClaw", &[scopes::MAIL, scopes::DRIVE]);
    let wire = Breaking::never();
    let mut container = domain.container_through(wire.clone(), &[]);
    let proposal = container.propose(&suspect(user, Some(actor(user, CLAW)))).unwrap().unwrap();
    let first = container.take(&proposal.actions[0], NOW).unwrap();
    assert_eq!(wire.take(), [format!("DELETE /users/{}/tokens/{CLAW}", user.replace('@', "%40"))]);
    let second = container.take(&proposal.actions[0], NOW).unwrap();
    assert_eq!((wire.take(), first), (Vec::new(), second));
}

#[test]
fn what_broke_off_is_completed_by_the_next_try() {
    let domain = Domain::start();
    let people = domain.people();
    for user in &people[..2] {
        domain.let_in(user, CLAW, "OpenClaw", &[scopes::MAIL]);
    }
    let wire = Breaking::after(1);
    let mut container = domain.container_through(wire.clone(), &[]);
    let suspect = suspect(&format!("gmail/{}", people[1]), Some(actor(&people[0], CLAW)));
    let proposal = container.propose(&suspect).unwrap().unwrap();
    let error = container.take(&proposal.actions[0], NOW).unwrap_err();
    assert!(matches!(error, ContainmentError::Failed { .. }), "{error}");
    assert_eq!(domain.granted(CLAW), 1);
    wire.mend();
    let taken = container.take(&proposal.actions[0], NOW).unwrap();
    assert_eq!(domain.granted(CLAW), 0);
    let record: ProgramConsents = serde_json::from_value(taken.prior).unwrap();
    let users: Vec<&str> = record.consents.iter().map(|consent| consent.user.as_str()).collect();
    assert_eq!(users, [people[0].as_str(), &people[1]], "the record has what the first try took");
    assert!(record.consents.iter().all(|consent| consent.scopes == [scopes::MAIL]));
}

#[test]
fn somebody_who_is_not_named_is_inferred_where_only_one_program_can_destroy() {
    let domain = Domain::start();
    let people = domain.people();
    let mut container = domain.container(&[]);
    domain.forget_consents(&people[0]);
    let unknown = suspect(&people[0], None);
    assert_eq!(container.propose(&unknown).unwrap(), None, "nobody was let in");
    domain.let_in(&people[0], CALENDLY, "Meet", &[scopes::CALENDAR_READONLY]);
    assert_eq!(container.propose(&unknown).unwrap(), None, "who may only read does not destroy");
    domain.let_in(&people[0], CLAW, "OpenClaw", &[scopes::GMAIL_MODIFY]);
    let proposal = container.propose(&unknown).unwrap().unwrap();
    assert_eq!(proposal.attribution, Attribution::Inferred);
    assert_eq!((proposal.actor.client.as_deref(), proposal.actions.len()), (Some(CLAW), 1));
    // Whoever changed a file last is a person, in whose name the program acted.
    let person = Actor { identity: people[0].clone(), ..Actor::default() };
    let guess =
        Suspect { attribution: Attribution::Inferred, ..suspect("shared-drive/0AbC", Some(person.clone())) };
    assert_eq!(container.propose(&guess).unwrap(), Some(proposal));
    let named = suspect(&people[0], Some(person));
    assert_eq!(container.propose(&named).unwrap(), None, "a person who is known to have done it");
    domain.let_in(&people[0], CALENDLY, "Meet", &[scopes::DRIVE]);
    assert_eq!(container.propose(&unknown).unwrap(), None, "it may be either of them");
    assert_eq!(container.propose(&guess).unwrap(), None);
    assert_eq!(container.propose(&suspect("shared-drive/0AbC", None)).unwrap(), None);
}

#[test]
fn against_a_service_account_a_person_is_told_what_to_do() {
    let domain = Domain::start();
    let user = &domain.people()[0];
    let mut container = domain.container(&[]);
    let impersonating = Actor { impersonated: true, ..actor(user, "104822034915") };
    let error = container.propose(&suspect(user, Some(impersonating))).unwrap_err();
    let ContainmentError::Protected { subject, reason } = &error else { panic!("{error}") };
    assert_eq!(subject, "104822034915");
    assert!(reason.contains("Domain-wide delegation, remove the client 104822034915"), "{reason}");
    let robot = Actor { identity: "agent@p.iam.gserviceaccount.com".to_owned(), ..Actor::default() };
    let error = container.propose(&suspect(user, Some(robot))).unwrap_err();
    assert!(matches!(error, ContainmentError::Protected { .. }), "{error}");
}

#[test]
fn a_program_that_nobody_let_in_is_nobody_to_stop() {
    let domain = Domain::start();
    let user = &domain.people()[0];
    let mut container = domain.container(&[]);
    assert_eq!(container.propose(&suspect(user, Some(actor(user, CLAW)))).unwrap(), None);
    let stranger = suspect("gmail/guest@elsewhere.test", Some(actor("guest@elsewhere.test", CLAW)));
    assert_eq!(container.propose(&stranger).unwrap(), None);
}

#[test]
fn whether_it_could_act_is_known_before_it_has_to() {
    let domain = Domain::start();
    domain.container(&[]).ready().unwrap();
    let container = domain.container(&[]);
    domain.running.with_tenant(|tenant| {
        let account = tenant.service_accounts().find(|account| account.email.starts_with("containment"));
        let client = account.unwrap().client_id.clone();
        tenant.delegate(&client, [scopes::USER]);
    });
    let error = container.ready().unwrap_err();
    assert!(error.hint().unwrap().contains("admin.directory.user.security"), "{error}");
}
