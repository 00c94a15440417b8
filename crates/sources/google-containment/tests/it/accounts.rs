//! Accounts that are suspended.

use google_tenant::scopes;
use model::Actor;
use watch::containment::{Action, ActionKind, Container, ContainmentError, Suspect};

use crate::domain::{Breaking, CLAW, Domain, NOW, actor, suspect};

/// Returns what the audit log knows of somebody who uses no program.
fn themselves(user: &str) -> Suspect {
    suspect(user, Some(Actor { identity: user.to_owned(), ..Actor::default() }))
}

/// Returns the action against an account that is said to be a machine's.
fn suspension(domain: &Domain, user: &str) -> Action {
    let mut container = domain.container(&[user]);
    let mut proposal = container.propose(&themselves(user)).unwrap().unwrap();
    assert_eq!(proposal.actions.len(), 1);
    proposal.actions.remove(0)
}

#[test]
fn a_suspension_that_is_taken_back_leaves_the_account_as_it_was() {
    let domain = Domain::start();
    let user = &domain.people()[0];
    let before = domain.account(user);
    let mut program = domain.program(user, CLAW, "OpenClaw", &[scopes::MAIL]);
    assert!(program.renew() && program.delete_one());
    let mut container = domain.container(&[]);
    let action = suspension(&domain, user);
    assert_eq!((action.kind, &action.subject), (ActionKind::SuspendAccount, user));
    assert_eq!(domain.account(user), before, "a proposal changes nothing");

    let taken = container.take(&action, NOW).unwrap();
    assert!(taken.can_be_taken_back);
    assert_eq!(taken.prior["suspended"], false);
    assert_eq!(domain.account(user)["suspended"], true);
    assert!(!program.delete_one() && !program.renew());
    let noted = domain.running.with_tenant(|tenant| {
        tenant.activities().any(|activity| format!("{activity:?}").contains("SUSPEND_USER"))
    });
    assert!(noted);

    container.take_back(&taken).unwrap();
    assert_eq!(domain.account(user), before);
    assert!(program.renew() && program.delete_one());
    container.take_back(&taken).unwrap();
    assert_eq!(domain.account(user), before);
}

#[test]
fn whoever_is_needed_is_not_suspended() {
    let domain = Domain::start();
    let (admin, people) = (domain.admin(), domain.people());
    let another = domain.running.with_tenant(|tenant| {
        let others = tenant.users().iter().filter(|user| user.is_admin && user.primary_email != admin);
        others.map(|user| user.primary_email.clone()).next()
    });
    let mut protected = vec![admin, domain.spared.to_uppercase()];
    protected.extend(another);
    let mut action = suspension(&domain, &people[0]);
    for user in &protected {
        let mut container = domain.container(&[user]);
        let error = container.propose(&themselves(user)).unwrap_err();
        assert!(matches!(error, ContainmentError::Protected { .. }), "{user}: {error}");
        // Even an action that somebody made up is refused.
        action.details["id"] = domain.account(user)["id"].clone();
        let error = container.take(&action, NOW).unwrap_err();
        assert!(matches!(error, ContainmentError::Protected { .. }), "{user}: {error}");
        assert_eq!(domain.account(user)["suspended"], false);
    }
}

#[test]
fn people_and_strangers_are_not_suspended_and_a_machine_is_with_its_program() {
    let domain = Domain::start();
    let user = &domain.people()[0];
    let mut container = domain.container(&[]);
    assert_eq!(container.propose(&themselves(user)).unwrap(), None, "a person");
    let mut container = domain.container(&["nobody@acme.test"]);
    assert_eq!(container.propose(&themselves("nobody@acme.test")).unwrap(), None);
    domain.let_in(user, CLAW, "OpenClaw", &[scopes::MAIL]);
    let mut container = domain.container(&[user]);
    let proposal = container.propose(&suspect(user, Some(actor(user, CLAW)))).unwrap().unwrap();
    let kinds: Vec<ActionKind> = proposal.actions.iter().map(|action| action.kind).collect();
    assert_eq!(kinds, [ActionKind::RevokeConsent, ActionKind::SuspendAccount]);
}

#[test]
fn a_suspension_that_somebody_else_made_stays() {
    let domain = Domain::start();
    let user = &domain.people()[0];
    let action = suspension(&domain, user);
    domain.set_suspended(user, true);
    let mut container = domain.container(&[user]);
    assert_eq!(container.propose(&themselves(user)).unwrap(), None, "it is suspended already");
    // One that was suspended before this action was made.
    let mut late = action;
    late.details["suspended"] = true.into();
    let taken = container.take(&late, NOW).unwrap();
    assert!(!taken.can_be_taken_back);
    container.take_back(&taken).unwrap();
    assert_eq!(domain.account(user)["suspended"], true);
}

#[test]
fn a_suspension_that_was_ended_and_made_for_another_reason_stays() {
    let domain = Domain::start();
    let user = &domain.people()[0];
    let mut container = domain.container(&[]);
    let mut taken = container.take(&suspension(&domain, user), NOW).unwrap();
    // As if the directory had had another word for it.
    taken.prior["reason_since"] = "ABUSE".into();
    let error = container.take_back(&taken).unwrap_err();
    assert!(matches!(error, ContainmentError::Protected { .. }), "{error}");
    assert_eq!(domain.account(user)["suspended"], true);
}

#[test]
fn a_try_whose_answer_was_lost_is_completed_by_the_next() {
    let domain = Domain::start();
    let user = &domain.people()[0];
    let action = suspension(&domain, user);
    let wire = Breaking::after(0);
    let mut container = domain.container_through(wire.clone(), &[]);
    let error = container.take(&action, NOW).unwrap_err();
    assert!(matches!(error, ContainmentError::Failed { .. }), "{error}");
    wire.mend();
    let first = container.take(&action, NOW).unwrap();
    let id = action.details["id"].as_str().unwrap();
    assert_eq!(wire.take(), [format!("PATCH /users/{id}")]);
    let second = container.take(&action, NOW).unwrap();
    assert_eq!((wire.take(), first), (Vec::new(), second.clone()));
    container.take_back(&second).unwrap();
    assert_eq!(domain.account(user)["suspended"], false);
}

#[test]
fn an_account_that_is_gone_and_an_action_of_another_platform_are_told() {
    let domain = Domain::start();
    let user = &domain.people()[0];
    let mut action = suspension(&domain, user);
    let mut container = domain.container(&[]);
    action.details["id"] = "100000000000000000000".into();
    let error = container.take(&action, NOW).unwrap_err();
    assert!(matches!(error, ContainmentError::Gone { .. }), "{error}");
    action.details = serde_json::json!({ "process": 4711 });
    let error = container.take(&action, NOW).unwrap_err();
    assert!(matches!(error, ContainmentError::Failed { .. }), "{error}");
    action.kind = ActionKind::EndSession;
    let error = container.take(&action, NOW).unwrap_err();
    assert!(matches!(error, ContainmentError::Protected { .. }), "{error}");
}
