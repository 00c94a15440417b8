//! The directory.

use google_tenant::Settings;
use serde_json::Value;

use crate::support::{DAY, Domain};

fn ids(users: &Value) -> Vec<String> {
    users["users"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|user| user["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn users_come_in_pages_whose_tokens_expire_and_belong_to_their_list() {
    let domain = Domain::usual();
    let token = domain.admin_token();
    let path = "admin/directory/v1/users?customer=my_customer&maxResults=3";
    let mut all = Vec::new();
    let mut next = String::new();
    loop {
        let page = domain.get(&format!("{path}&pageToken={next}"), &token).ok();
        assert_eq!(page["kind"], "admin#directory#users");
        all.extend(ids(&page));
        let Some(token) = page["nextPageToken"].as_str() else { break };
        next = token.to_owned();
    }
    all.dedup();
    assert_eq!(all.len(), 8);
    let other = domain.get(&format!("{path}&showDeleted=true&pageToken={next}"), &token);
    assert_eq!((other.code, other.reason()), (400, "invalid"));
    let broken = format!("{}x", &next[..next.len() - 1]);
    assert_eq!(domain.get(&format!("{path}&pageToken={broken}"), &token).code, 400);
    let foreign = Domain::start(Settings { seed: 2, ..Settings::default() });
    assert_eq!(foreign.get(&format!("{path}&pageToken={next}"), &foreign.admin_token()).code, 400);
    domain.clock.advance_micros(3 * DAY);
    let fresh = domain.admin_token();
    domain.get(&format!("{path}&pageToken={next}"), &fresh).ok();
    domain.clock.advance_micros(1);
    assert_eq!(domain.get(&format!("{path}&pageToken={next}"), &fresh).reason(), "invalid");
}

#[test]
fn a_deleted_user_is_listed_apart_and_comes_back_by_its_id_for_twenty_days() {
    let domain = Domain::usual();
    let token = domain.admin_token();
    let user = domain.user(0);
    let path = format!("admin/directory/v1/users/{user}");
    let id = domain.get(&path, &token).ok()["id"].as_str().unwrap().to_owned();
    assert_eq!(domain.delete(&path, &token).code, 204);
    assert_eq!(domain.get(&path, &token).reason(), "notFound");
    let deleted = "admin/directory/v1/users?customer=my_customer&showDeleted=true";
    let listed = domain.get(deleted, &token).ok();
    assert_eq!(ids(&listed), [id.as_str()]);
    assert!(listed["users"][0]["deletionTime"].is_string());
    let body = serde_json::json!({ "orgUnitPath": "/" });
    assert_eq!(domain.post(&format!("{path}/undelete"), &token, &body).code, 404);
    let by_id = format!("admin/directory/v1/users/{id}/undelete");
    assert_eq!(domain.post(&by_id, &token, &body).code, 204);
    assert_eq!(domain.get(&path, &token).ok()["orgUnitPath"], "/");
    assert!(ids(&domain.get(deleted, &token).ok()).is_empty());
    assert_eq!(domain.delete(&path, &token).code, 204);
    domain.clock.advance_micros(20 * DAY + 1);
    assert_eq!(domain.post(&by_id, &domain.admin_token(), &body).code, 404);
}

#[test]
fn the_same_seed_and_anchor_give_the_same_people() {
    let people = |seed| {
        let domain = Domain::start(Settings { seed, ..Settings::default() });
        let token = domain.admin_token();
        domain.get("admin/directory/v1/users?customer=my_customer", &token).ok()
    };
    assert_eq!(people(7), people(7));
    assert_ne!(people(7), people(8));
}

#[test]
fn only_administrators_and_matching_scopes_may_list() {
    let domain = Domain::usual();
    let path = "admin/directory/v1/users?customer=my_customer";
    let user = domain.token(&domain.user(1), &[google_tenant::scopes::USER]);
    assert_eq!(domain.get(path, &user).reason(), "forbidden");
    assert_eq!(domain.get(path, "ya29.nonsense").reason(), "authError");
    let masked = domain.get(&format!("{path}&fields=users(id,name/fullName)"), &domain.admin_token()).ok();
    assert_eq!(masked.as_object().unwrap().len(), 1);
    assert_eq!(masked["users"][0].as_object().unwrap().len(), 2);
    let zipped = domain.send("GET", path, &domain.admin_token(), &[("accept-encoding", "gzip")], b"");
    assert_eq!((zipped.code, zipped.header("content-encoding")), (200, Some("gzip")));
}
