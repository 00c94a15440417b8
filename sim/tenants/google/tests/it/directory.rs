//! The directory.

use google_tenant::Settings;
use serde_json::{Value, json};

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
        token.clone_into(&mut next);
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

#[test]
fn groups_have_members_and_members_of_members() {
    let domain = Domain::usual();
    let token = domain.admin_token();
    let groups = "admin/directory/v1/groups";
    let listed = domain.get(&format!("{groups}?customer=my_customer"), &token).ok();
    let all = listed["groups"].as_array().unwrap();
    assert_eq!((all.len(), &all[0]["kind"]), (6, &json!("admin#directory#group")));
    assert!(all[0]["directMembersCount"].is_string());
    let members = |path: &str| {
        let list = domain.get(&format!("{groups}/{path}"), &token).ok();
        list["members"].as_array().map_or(0, Vec::len)
    };
    let direct = members("announcements@acme.test/members");
    let derived = members("announcements@acme.test/members?includeDerivedMembership=true");
    assert!(direct == 2 && derived > 6, "{derived}");
    let made = domain.post(groups, &token, &json!({ "email": "New@acme.test", "name": "New" })).ok();
    assert_eq!(domain.post(groups, &token, &json!({ "email": "new@acme.test" })).code, 409);
    let path = format!("{groups}/{}", made["id"].as_str().unwrap());
    let user = domain.user(0);
    let body = json!({ "email": user, "role": "OWNER" });
    assert_eq!(domain.post(&format!("{path}/members"), &token, &body).ok()["type"], "USER");
    assert_eq!(domain.post(&format!("{path}/members"), &token, &body).code, 409);
    assert_eq!(domain.get(&format!("{path}/hasMember/{user}"), &token).ok()["isMember"], true);
    assert_eq!(members("new@acme.test/members?roles=MEMBER"), 0);
    assert_eq!(
        domain.put(&format!("{path}/members/{user}"), &token, &json!({ "role": "MEMBER" })).ok()["role"],
        "MEMBER"
    );
    assert_eq!(members("new@acme.test/members?roles=MEMBER"), 1);
    assert_eq!(domain.delete(&format!("{path}/members/{user}"), &token).code, 204);
    assert_eq!(domain.delete(&path, &token).code, 204);
    assert_eq!(domain.get(&path, &token).reason(), "notFound");
}

#[test]
fn units_move_with_everybody_in_them() {
    let domain = Domain::start(Settings {
        size: google_tenant::Size { users: 40, ..Settings::default().size },
        ..Settings::default()
    });
    let token = domain.admin_token();
    let units = "admin/directory/v1/customer/my_customer/orgunits";
    let count = |kind: &str, key: &str| {
        let list = domain.get(&format!("{units}?type={kind}&orgUnitPath={key}"), &token).ok();
        list["organizationUnits"].as_array().map_or(0, Vec::len)
    };
    assert_eq!([count("all", "/"), count("children", "/"), count("children", "/Sales")], [7, 5, 1]);
    let people = |unit: &str| {
        let path = format!(
            "admin/directory/v1/users?customer=my_customer&maxResults=500&query=orgUnitPath='{unit}'"
        );
        ids(&domain.get(&path, &token).ok())
    };
    let before = people("/Sales/EMEA");
    assert!(!before.is_empty());
    let body = json!({ "name": "Europe", "parentOrgUnitPath": "/" });
    assert_eq!(domain.put(&format!("{units}/Sales/EMEA"), &token, &body).ok()["orgUnitPath"], "/Europe");
    assert_eq!(people("/Europe"), before);
    assert_eq!(domain.delete(&format!("{units}/Europe"), &token).reason(), "failedPrecondition");
    let new = domain.post(units, &token, &json!({ "name": "New", "parentOrgUnitPath": "/Europe" })).ok();
    assert_eq!(new["orgUnitPath"], "/Europe/New");
    assert_eq!(domain.delete(&format!("{units}/Europe/New"), &token).code, 204);
    assert_eq!(domain.get("admin/directory/v1/customer/C0ther/orgunits", &token).code, 400);
}

#[test]
fn roles_make_administrators() {
    let domain = Domain::usual();
    let token = domain.admin_token();
    let base = "admin/directory/v1/customer/my_customer";
    let roles = domain.get(&format!("{base}/roles"), &token).ok();
    let readers = &roles["items"][3]["roleId"];
    assert_eq!(
        domain.get(&format!("{base}/roleassignments"), &token).ok()["items"].as_array().unwrap().len(),
        2
    );
    let user = domain.running.with_tenant(|t| {
        t.users().iter().find(|u| !u.is_admin && !u.is_delegated_admin && !u.suspended).unwrap().clone()
    });
    let own = domain.token(&user.primary_email, &[google_tenant::scopes::USER_READONLY]);
    let list = "admin/directory/v1/users?customer=my_customer";
    assert_eq!(domain.get(list, &own).code, 403);
    let body = json!({ "roleId": readers, "assignedTo": *user.id, "scopeType": "CUSTOMER" });
    let made = domain.post(&format!("{base}/roleassignments"), &token, &body).ok();
    domain.get(list, &own).ok();
    let path = format!("{base}/roleassignments/{}", made["roleAssignmentId"].as_str().unwrap());
    assert_eq!(domain.delete(&path, &token).code, 204);
    assert_eq!(domain.get(list, &own).code, 403);
    let service = domain.running.with_tenant(|t| t.service_accounts().next().unwrap().client_id.clone());
    let body = json!({ "roleId": readers, "assignedTo": service });
    assert_eq!(domain.post(&format!("{base}/roleassignments"), &token, &body).ok()["assigneeType"], "user");
}

#[test]
fn consents_are_listed_without_dates_and_revoked_with_their_tokens() {
    let domain = Domain::usual();
    let user = domain.user(0);
    let app = domain.token(&user, &[google_tenant::scopes::GMAIL_READONLY]);
    let token = domain.admin_token();
    let path = format!("admin/directory/v1/users/{user}/tokens");
    let listed = domain.get(&path, &token).ok();
    assert_eq!(listed["kind"], "admin#directory#tokenList");
    let own = listed["items"].as_array().unwrap().iter().find(|item| item["displayText"] == "Test").unwrap();
    assert_eq!(own["scopes"], json!([google_tenant::scopes::GMAIL_READONLY]));
    domain.get("gmail/v1/users/me/profile", &app).ok();
    let one = format!("{path}/{}", own["clientId"].as_str().unwrap());
    assert_eq!(domain.delete(&one, &token).code, 204);
    assert_eq!(domain.get("gmail/v1/users/me/profile", &app).code, 401);
    assert_eq!(domain.get(&one, &token).code, 404);
    let log = |minutes: i64| {
        domain.clock.advance_micros(minutes * 60 * crate::support::SECOND);
        domain.running.with_tenant(|tenant| {
            tenant.visible_activities("admin").iter().map(|activity| activity.name).collect::<Vec<_>>()
        })
    };
    assert_eq!((log(1), log(1)), (vec![], vec!["REVOKE_3LO_TOKEN"]));
}

#[test]
fn an_alias_is_an_address_and_names_its_user() {
    let domain = Domain::usual();
    let token = domain.admin_token();
    let path = format!("admin/directory/v1/users/{}/aliases", domain.user(0));
    domain.post(&path, &token, &json!({ "alias": "Help@acme.test" })).ok();
    assert_eq!(
        domain.get("admin/directory/v1/users/help%40acme.test", &token).ok()["primaryEmail"],
        domain.user(0)
    );
    assert_eq!(domain.post(&path, &token, &json!({ "alias": "help@acme.test" })).code, 409);
    let listed = domain.get(&path, &token).ok();
    assert!(listed["aliases"].as_array().unwrap().iter().any(|alias| alias["alias"] == "help@acme.test"));
    assert_eq!(domain.delete(&format!("{path}/help@acme.test"), &token).code, 204);
    assert_eq!(domain.get("admin/directory/v1/users/help@acme.test", &token).code, 404);
}
