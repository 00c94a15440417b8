//! Every fault, and quota.

use std::time::Duration;

use google_tenant::{Effect, Fault, QuotaSettings, Settings, When, scopes};

use crate::support::{Domain, SECOND};

const LIST: &str = "admin/directory/v1/users?customer=my_customer";

fn with_fault(effect: Effect) -> (Domain, String) {
    let domain = Domain::usual();
    domain
        .running
        .with_tenant(|tenant| tenant.fault(Fault::new("directory.users.list", When::Nth(2), effect)));
    let token = domain.admin_token();
    domain.get(LIST, &token).ok();
    (domain, token)
}

#[test]
fn answered_faults_have_their_code_and_reason_and_pass() {
    let cases = [
        (Effect::Backend(500), 500, "backendError"),
        (Effect::Backend(502), 502, "backendError"),
        (Effect::Backend(503), 503, "backendError"),
        (Effect::TooMany(Some(7)), 429, "rateLimitExceeded"),
        (Effect::UserRate, 403, "userRateLimitExceeded"),
        (Effect::HistoryExpired, 404, "notFound"),
        (Effect::Gone("fullSyncRequired"), 410, "fullSyncRequired"),
    ];
    for (effect, code, reason) in cases {
        let (domain, token) = with_fault(effect.clone());
        let answer = domain.get(LIST, &token);
        assert_eq!((answer.code, answer.reason()), (code, reason));
        assert_eq!(answer.header("retry-after"), (effect == Effect::TooMany(Some(7))).then_some("7"));
        domain.get(LIST, &token).ok();
        domain.running.with_tenant(|tenant| {
            assert_eq!((tenant.faults_served(), tenant.faults_served_by(0)), (1, 1));
            assert_eq!((tenant.traffic().calls("*.list"), tenant.traffic().refused("*.list")), (3, 1));
        });
    }
}

#[test]
fn a_token_that_expires_in_the_middle_is_good_no_longer() {
    let (domain, token) = with_fault(Effect::TokenExpired);
    assert_eq!(domain.get(LIST, &token).code, 401);
    assert_eq!(domain.get(LIST, &token).code, 401);
    domain.get(LIST, &domain.admin_token()).ok();
}

#[test]
fn answers_are_cut_off_lost_or_late() {
    for effect in [
        Effect::Truncated(100),
        Effect::Truncated(0),
        Effect::Truncated(usize::MAX),
        Effect::Reset,
        Effect::Lost,
    ] {
        let (domain, token) = with_fault(effect.clone());
        let failed = domain.try_send("GET", LIST, &token, &[], b"");
        assert!(failed.is_err(), "{effect:?}: {failed:?}");
        domain.get(LIST, &token).ok();
    }
    let (domain, token) = with_fault(Effect::Slow(Duration::from_millis(20)));
    domain.get(LIST, &token).ok();
    assert_eq!(domain.running.with_tenant(|tenant| tenant.faults_served()), 1);
}

#[test]
fn a_lost_answer_was_carried_out_and_a_reset_one_was_not() {
    for (effect, code) in [(Effect::Lost, 404), (Effect::Reset, 204)] {
        let domain = Domain::usual();
        domain.running.with_tenant(|tenant| tenant.fault(Fault::new("*.delete", When::First(1), effect)));
        let (token, path) = (domain.admin_token(), format!("admin/directory/v1/users/{}", domain.user(0)));
        assert!(domain.try_send("DELETE", &path, &token, &[], b"").is_err());
        assert_eq!(domain.delete(&path, &token).code, code);
    }
}

#[test]
fn quota_is_spent_by_price_and_comes_back_with_time() {
    let mut quota = QuotaSettings::new();
    quota.pools.insert("admin".to_owned(), google_tenant::Pool { project: 12, user: 6 });
    quota.prices.push(("directory.users.list".to_owned(), 3));
    quota.retry_after = true;
    let domain = Domain::start(Settings { quota, ..Settings::default() });
    let token = domain.admin_token();
    domain.get(LIST, &token).ok();
    domain.get(LIST, &token).ok();
    let refused = domain.get(LIST, &token);
    assert!([403, 429].contains(&refused.code));
    assert!(["userRateLimitExceeded", "rateLimitExceeded"].contains(&refused.reason()));
    assert_eq!(refused.header("retry-after"), Some("31"));
    domain.clock.advance_micros(30 * SECOND);
    domain.get(LIST, &token).ok();
    let admin = domain.admin();
    domain.running.with_tenant(|tenant| {
        assert_eq!((tenant.spent("admin", &admin), tenant.quota_refusals()), (9, 1));
    });
}

#[test]
fn too_many_calls_at_a_time_are_refused() {
    let domain = Domain::start(Settings {
        latency: Duration::from_millis(300),
        concurrent_max: Some(2),
        ..Settings::default()
    });
    let user = domain.user(0);
    let token = domain.token(&user, &[scopes::USER_READONLY]);
    let path = format!("admin/directory/v1/users/{user}");
    let codes: Vec<u16> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..5).map(|_| scope.spawn(|| domain.get(&path, &token).code)).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == 200).count(), 2, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 429).count(), 3, "{codes:?}");
    domain.running.with_tenant(|tenant| assert_eq!(tenant.traffic().peak("admin", &user), 5));
    domain.get(&path, &token).ok();
}
