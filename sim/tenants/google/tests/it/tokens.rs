//! Who gets a token, and what it is good for.

use google_tenant::{App, Settings, scopes};
use serde_json::json;

use crate::support::{Domain, SECOND, START};

const READ: &[&str] = &[scopes::USER_READONLY];

#[test]
fn a_signed_assertion_gets_a_token_that_works_until_it_expires() {
    let domain = Domain::usual();
    let key = domain.key();
    let answer = domain.ask_token(&key.sign(&key.claims(&domain.admin(), READ, START))).ok();
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(3599)));
    let token = answer["access_token"].as_str().unwrap();
    let list = "admin/directory/v1/users?customer=my_customer";
    let users = domain.get(list, token);
    assert_eq!(users.header("x-simulator"), Some("google"));
    assert_eq!(users.ok()["users"].as_array().unwrap().len(), 8);
    domain.clock.advance_micros(3598 * SECOND);
    domain.get(list, token).ok();
    domain.clock.advance_micros(SECOND);
    let expired = domain.get(list, token);
    assert_eq!((expired.code, expired.reason()), (401, "authError"));
    assert!(expired.header("www-authenticate").is_some());
}

#[test]
fn a_wrong_key_audience_or_account_is_an_invalid_grant() {
    let (domain, key) = (Domain::usual(), Domain::usual().key());
    let own = domain.key();
    let claims = own.claims(&domain.admin(), READ, START);
    let foreign = key.sign(&claims);
    let mut no_audience = claims.clone();
    no_audience["aud"] = "https://oauth2.example.org/token".into();
    let mut nobody = claims.clone();
    nobody["iss"] = "nobody@x.iam.gserviceaccount.com".into();
    // Both simulators have the same chance, and so the same first key; from the second on they differ.
    domain.running.with_tenant(|tenant| {
        let email = tenant.service_accounts().next().unwrap().email.clone();
        tenant.remove_keys(&email);
    });
    let renewed = domain.key();
    for assertion in [foreign, renewed.sign(&no_audience), renewed.sign(&nobody), "a.b.c".to_owned()] {
        let answer = domain.ask_token(&assertion);
        assert_eq!((answer.code, &answer.json["error"]), (400, &json!("invalid_grant")), "{}", answer.text);
    }
    domain.ask_token(&renewed.sign(&claims)).ok();
    let mut official = claims.clone();
    official["aud"] = "https://oauth2.googleapis.com/token".into();
    domain.ask_token(&renewed.sign(&official)).ok();
}

#[test]
fn one_scope_that_was_not_delegated_fails_the_whole_token() {
    let domain = Domain::usual();
    let key = domain.key();
    let ask = |scopes: &[&str]| domain.ask_token(&key.sign(&key.claims(&domain.admin(), scopes, START)));
    let refused = ask(&[scopes::USER_READONLY, scopes::MAIL]);
    assert_eq!((refused.code, &refused.json["error"]), (401, &json!("unauthorized_client")));
    let client = key.file["client_id"].as_str().unwrap().to_owned();
    ask(&[scopes::USER_READONLY]).ok();
    domain.running.with_tenant(|tenant| tenant.undelegate(&client));
    assert_eq!(ask(&[scopes::USER_READONLY]).code, 401);
}

#[test]
fn a_clock_may_be_off_by_minutes_and_not_by_more() {
    let domain = Domain::usual();
    let key = domain.key();
    let ask = |minutes: i64| {
        let claims = key.claims(&domain.admin(), READ, START.plus_micros(minutes * 60 * SECOND));
        domain.ask_token(&key.sign(&claims)).code
    };
    assert_eq!([-66, -64, 0, 4, 6].map(ask), [400, 200, 200, 200, 400]);
    let mut long = key.claims(&domain.admin(), READ, START);
    long["exp"] = json!(long["exp"].as_i64().unwrap() + 1);
    assert_eq!(domain.ask_token(&key.sign(&long)).json["error"], "invalid_grant");
}

#[test]
fn nobody_acts_for_a_suspended_unknown_or_deleted_user() {
    let domain = Domain::usual();
    let key = domain.key();
    let ask = |user: &str| domain.ask_token(&key.sign(&key.claims(user, &[scopes::GMAIL_READONLY], START)));
    let suspended = domain.running.with_tenant(|tenant| {
        tenant.users().iter().find(|user| user.suspended).unwrap().primary_email.clone()
    });
    for user in [suspended.as_str(), "nobody@acme.test"] {
        let answer = ask(user);
        assert_eq!((answer.code, &answer.json["error"]), (400, &json!("invalid_grant")), "{user}");
    }
    let user = domain.user(0);
    let token = ask(&user).ok()["access_token"].as_str().unwrap().to_owned();
    let users = "admin/directory/v1/users?customer=my_customer";
    assert_eq!(domain.get(users, &token).reason(), "insufficientPermissions");
    let path = format!("admin/directory/v1/users/{user}");
    assert_eq!(domain.delete(&path, &domain.admin_token()).code, 204);
    assert_eq!(ask(&user).code, 400);
    assert_eq!(domain.get(users, &token).code, 401);
}

#[test]
fn a_program_trades_its_refresh_token_until_consent_is_withdrawn() {
    let domain = Domain::usual();
    let app = App {
        client_id: "700000000001-agent.apps.googleusercontent.com".to_owned(),
        client_secret: "s3cret".to_owned(),
        display_text: "Tidy Agent".to_owned(),
        native: false,
    };
    let user = domain.user(0);
    let grant = domain.running.with_tenant(|tenant| tenant.authorize(&user, &app, &[scopes::MAIL])).unwrap();
    let trade = |secret: &str| {
        let form = format!(
            "grant_type=refresh_token&client_id={}&client_secret={secret}&refresh_token={}",
            app.client_id, grant.refresh_token
        );
        domain.send("POST", "token", "", &[], form.as_bytes())
    };
    assert_eq!(trade("wrong").json["error"], "invalid_client");
    let token = trade("s3cret").ok()["access_token"].as_str().unwrap().to_owned();
    let info = domain.get(&format!("tokeninfo?access_token={token}"), "").ok();
    assert_eq!((&info["azp"], &info["email"]), (&json!(app.client_id), &json!(user)));
    domain.send("POST", &format!("revoke?token={token}"), "", &[], b"").ok();
    assert_eq!(trade("s3cret").json["error"], "invalid_grant");
    assert_eq!(domain.get(&format!("tokeninfo?access_token={token}"), "").code, 400);
}

#[test]
fn over_tls_the_authority_of_the_run_is_trusted_and_key_files_point_there() {
    let domain = Domain::start(Settings { tls: true, ..Settings::default() });
    assert!(domain.running.url().starts_with("https://"));
    let key = domain.key();
    assert_eq!(key.file["token_uri"], format!("{}/token", domain.running.url()));
    domain.ask_token(&key.sign(&key.claims(&domain.admin(), READ, START))).ok();
}

#[test]
fn who_was_let_in_is_in_the_log_and_so_is_what_it_did() {
    let domain =
        Domain::start(Settings { audit: google_tenant::AuditSettings::immediate(), ..Settings::default() });
    let user = domain.user(0);
    let token = domain.token(&user, &[scopes::MAIL]);
    let key = domain.key();
    let client = key.file["client_id"].as_str().unwrap().to_owned();
    domain.running.with_tenant(|tenant| tenant.delegate(&client, [scopes::GMAIL_READONLY]));
    let answer = domain.ask_token(&key.sign(&key.claims(&user, &[scopes::GMAIL_READONLY], START))).ok();
    let own = answer["access_token"].as_str().unwrap();
    let list = domain.get("gmail/v1/users/me/messages?maxResults=1", own).ok();
    let path = format!("gmail/v1/users/me/messages/{}", list["messages"][0]["id"].as_str().unwrap());
    assert_eq!(domain.delete(&path, &token).code, 204);
    domain.running.with_tenant(|tenant| {
        let names = |application| -> Vec<&str> {
            tenant.visible_activities(application).iter().map(|activity| activity.name).collect()
        };
        assert_eq!(names("admin"), ["AUTHORIZE_API_CLIENT_ACCESS"]);
        assert_eq!(names("token").iter().filter(|name| **name == "authorize").count(), 1);
        let calls = tenant.visible_activities("token");
        let by: Vec<_> =
            calls.iter().filter(|a| a.name == "activity").map(|a| (a.impersonation, &*a.actor)).collect();
        assert_eq!(by.iter().filter(|by| **by == (true, user.as_str())).count(), 1);
        assert_eq!(by.iter().filter(|by| **by == (false, user.as_str())).count(), 1);
        let deleted = tenant.visible_activities("gmail");
        assert_eq!((deleted.len(), deleted[0].client_name.as_deref()), (1, Some("Test")));
    });
}
