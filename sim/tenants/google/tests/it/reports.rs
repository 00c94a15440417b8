//! The audit log as administrators read it.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use google_tenant::{Activity, Agent, App, AuditSettings, Parameter, Settings, scopes};
use model::Moment;
use serde_json::{Value, json};

use crate::{
    calendars::items,
    support::{DAY, Domain, SECOND, START},
};

fn path(user: &str, application: &str) -> String {
    format!("admin/reports/v1/activity/users/{user}/applications/{application}")
}

fn start(audit: AuditSettings) -> Domain {
    Domain::start(Settings { audit, ..Settings::default() })
}

fn reader(domain: &Domain) -> String {
    domain.token(&domain.admin(), &[scopes::REPORTS_READONLY])
}

/// Something that somebody did to a file.
fn trashed(domain: &Domain, user: &str, time: Moment, file: &str) {
    domain.running.with_tenant(|tenant| {
        let profile = Arc::clone(&tenant.user(user).unwrap().id);
        tenant.add_activity(Activity {
            time,
            qualifier: 0,
            application: "drive",
            actor: Arc::from(user),
            profile,
            client_id: Some(Arc::from("700000000001-agent.apps.googleusercontent.com")),
            client_name: Some(Arc::from("Tidy Agent")),
            impersonation: false,
            address: Ipv4Addr::new(203, 0, 113, 24).into(),
            kind: "access",
            name: "trash",
            parameters: vec![
                Parameter::flag("primary_event", true),
                Parameter::text("doc_id", file.to_owned()),
                Parameter::text("doc_title", "plan"),
                Parameter::text("doc_type", "document"),
                Parameter::number("size", 7),
            ],
        });
    });
}

fn parameter<'a>(activity: &'a Value, name: &str) -> &'a Value {
    let parameters = activity["events"][0]["parameters"].as_array().unwrap();
    parameters.iter().find(|parameter| parameter["name"] == name).unwrap()
}

#[test]
fn activities_appear_after_their_lag_newest_first_in_pages() {
    let domain = start(AuditSettings::default());
    let user = domain.user(0);
    for number in 0..5 {
        trashed(&domain, &user, START.plus_micros(number * SECOND), &format!("f{number}"));
    }
    let token = reader(&domain);
    let all = path("all", "drive");
    assert!(items(&domain.get(&all, &token).ok()).is_empty());
    domain.clock.advance_micros(180 * SECOND + 3 * SECOND);
    let files = |page: &Value| -> Vec<String> {
        items(page)
            .iter()
            .map(|item| parameter(item, "doc_id")["value"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = domain.get(&format!("{all}?maxResults=2"), &token).ok();
    assert_eq!(
        (first["kind"].as_str().unwrap(), files(&first)),
        ("admin#reports#activities", vec!["f3".to_owned(), "f2".to_owned()])
    );
    // What appears meanwhile does not move the pages.
    domain.clock.advance_micros(SECOND);
    let next = first["nextPageToken"].as_str().unwrap();
    let second = domain.get(&format!("{all}?maxResults=2&pageToken={next}"), &token).ok();
    assert_eq!(
        (files(&second), second["nextPageToken"].is_null()),
        (vec!["f1".to_owned(), "f0".to_owned()], true)
    );
    assert_eq!(files(&domain.get(&all, &token).ok()), ["f4", "f3", "f2", "f1", "f0"]);
    assert_eq!(domain.get(&format!("{all}?eventName=x&pageToken={next}"), &token).code, 400);
}

#[test]
fn activities_may_come_twice_and_out_of_order() {
    let audit = AuditSettings {
        jitter: Duration::from_mins(5),
        duplicate_one_in: Some(3),
        ..AuditSettings::immediate()
    };
    let domain = start(audit);
    let user = domain.user(0);
    for number in 0..60 {
        trashed(&domain, &user, START.plus_micros(number * SECOND), &format!("f{number}"));
    }
    domain.clock.advance_micros(600 * SECOND);
    let list = items(&domain.get(&path("all", "drive"), &reader(&domain)).ok());
    let times: Vec<&str> = list.iter().map(|item| item["id"]["time"].as_str().unwrap()).collect();
    assert!(list.len() > 60 && !times.is_sorted_by(|a, b| a >= b));
    let keys: std::collections::BTreeSet<String> = list.iter().map(|item| item["id"].to_string()).collect();
    assert_eq!(keys.len(), 60);
}

#[test]
fn an_activity_says_who_did_it_with_what_and_whether_it_was_an_agent() {
    let domain = start(AuditSettings::immediate());
    let user = domain.user(0);
    trashed(&domain, &user, START, "f1");
    let token = reader(&domain);
    let read = |filter: &str| items(&domain.get(&format!("{}?{filter}", path("all", "drive")), &token).ok());
    let plain = &read("")[0];
    assert_eq!(
        (&plain["isAgenticAction"], &plain["actor"]["agentAttributionInfo"]),
        (&Value::Null, &Value::Null)
    );
    let agent = Agent {
        id: "agent-7".to_owned(),
        name: "Tidy".to_owned(),
        kind: "WORKSPACE_STUDIO".to_owned(),
        owner: user.clone(),
    };
    domain.running.with_tenant(|tenant| {
        tenant.register_agent("700000000001-agent.apps.googleusercontent.com", agent);
        tenant.settings_mut().reports.networks.insert(Ipv4Addr::new(203, 0, 113, 24).into(), 64_500);
    });
    let activity = &read("")[0];
    assert_eq!(activity["isAgenticAction"], true);
    let id = domain.running.with_tenant(|tenant| tenant.user(&user).unwrap().id.to_string());
    assert_eq!(
        activity["actor"],
        json!({
            "callerType": "USER", "email": user, "profileId": id,
            "applicationInfo": { "oauthClientId": "700000000001-agent.apps.googleusercontent.com", "applicationName": "Tidy Agent" },
            "agentAttributionInfo": {
                "agentId": "agent-7", "agentName": "Tidy", "agentType": "WORKSPACE_STUDIO", "agentOwner": { "email": user },
            },
        })
    );
    assert_eq!(
        (&activity["ipAddress"], &activity["networkInfo"]["ipAsn"]),
        (&json!("203.0.113.24"), &json!([64500]))
    );
    assert_eq!(activity["resourceDetails"], json!([{ "id": "f1", "title": "plan", "type": "document" }]));
    assert_eq!(parameter(activity, "size"), &json!({ "name": "size", "intValue": "7" }));
    assert_eq!(parameter(activity, "primary_event")["boolValue"], true);
    assert!(activity["id"]["uniqueQualifier"].is_string());
    let client = "applicationInfoFilter=oAuthClientId%3D%22700000000001-agent.apps.googleusercontent.com%22";
    let agent = "agentInfoFilter=agentId%3D%22agent-7%22%20AND%20agentName%3D%22Tidy%22";
    for (filter, count) in [
        ("eventName=trash", 1),
        ("eventName=delete", 0),
        ("eventName=trash&filters=doc_id%3D%3Df1,size%3E%3D7", 1),
        ("eventName=trash&filters=doc_id%3C%3Ef1", 0),
        ("eventName=trash&filters=size%3C7", 0),
        ("eventName=trash&filters=color%3D%3Dred", 0),
        ("actorIpAddress=203.0.113.24", 1),
        ("actorIpAddress=203.0.113.25", 0),
        (client, 1),
        (&client.replace("001-agent", "002-agent"), 0),
        (agent, 1),
        ("agentInfoFilter=agentName%3D%22Other%22", 0),
        ("resourceDetailsFilter=resourceDetails.id%20%3D%20%22f1%22", 1),
        ("networkInfoFilter=regionCode%3D%22IN%22", 0),
        ("statusFilter=statusCode%3D%22200%22", 1),
        ("customerId=my_customer&nonsense=1", 1),
    ] {
        assert_eq!(read(filter).len(), count, "{filter}");
    }
    assert_eq!(domain.get(&format!("{}?filters=doc_id", path("all", "drive")), &token).code, 400);
}

#[test]
fn times_have_limits_and_the_mail_log_wants_both() {
    let domain = start(AuditSettings::immediate());
    let user = domain.user(0);
    trashed(&domain, &user, START, "old");
    domain.clock.advance_micros(180 * DAY);
    trashed(&domain, &user, START.plus_micros(180 * DAY), "new");
    let token = reader(&domain);
    let count =
        |query: &str| items(&domain.get(&format!("{}?{query}", path("all", "drive")), &token).ok()).len();
    assert_eq!(count(""), 2);
    assert_eq!(count("startTime=2026-03-02T00:00:01Z"), 1);
    assert_eq!(count("endTime=2026-08-29T00:00:00Z"), 2);
    assert_eq!(count("endTime=2026-08-28T23:59:59Z"), 1);
    domain.clock.advance_micros(1);
    assert_eq!(count("startTime=2020-01-01T00:00:00Z"), 1, "only half a year is shown");
    let code = |application: &str, query: &str| {
        domain.get(&format!("{}?{query}", path("all", application)), &token).code
    };
    for (application, query) in [
        ("drive", "startTime=yesterday"),
        ("drive", "startTime=2027-01-01T00:00:00Z"),
        ("drive", "startTime=2026-08-02T00:00:00Z&endTime=2026-08-01T00:00:00Z"),
        ("gmail", ""),
        ("gmail", "startTime=2026-08-01T00:00:00Z"),
        ("gmail", "startTime=2026-07-01T00:00:00Z&endTime=2026-07-31T00:00:01Z"),
        ("postcards", ""),
    ] {
        assert_eq!(code(application, query), 400, "{application} {query}");
    }
    assert_eq!(code("gmail", "startTime=2026-07-01T00:00:00Z&endTime=2026-07-31T00:00:00Z"), 200);
    assert_eq!(code("user_accounts", ""), 200);
}

#[test]
fn a_user_is_asked_for_by_address_or_id_and_after_deletion_by_id() {
    let domain = start(AuditSettings::immediate());
    let (user, other) = (domain.user(0), domain.user(1));
    trashed(&domain, &user, START, "f1");
    trashed(&domain, &other, START, "f2");
    let token = reader(&domain);
    let id = domain.running.with_tenant(|tenant| tenant.user(&user).unwrap().id.to_string());
    for key in [&user, &id] {
        assert_eq!(items(&domain.get(&path(key, "drive"), &token).ok()).len(), 1, "{key}");
    }
    assert_eq!(domain.delete(&format!("admin/directory/v1/users/{user}"), &domain.admin_token()).code, 204);
    assert_eq!(domain.get(&path(&user, "drive"), &token).code, 400);
    assert_eq!(items(&domain.get(&path(&id, "drive"), &token).ok()).len(), 1);
    let ordinary = domain.token(&other, &[scopes::REPORTS_READONLY]);
    assert_eq!(domain.get(&path("all", "drive"), &ordinary).code, 403);
}

#[test]
fn units_and_groups_narrow_the_log_down() {
    let domain = start(AuditSettings::immediate());
    let (user, other) = (domain.user(0), domain.user(1));
    trashed(&domain, &user, START, "f1");
    trashed(&domain, &other, START, "f2");
    let admin = domain.token(&domain.admin(), &[scopes::USER, scopes::GROUP, scopes::ORGUNIT]);
    let unit = json!({ "name": "Lab", "parentOrgUnitPath": "/" });
    let unit = domain.post("admin/directory/v1/customer/my_customer/orgunits", &admin, &unit).ok();
    domain.patch(&format!("admin/directory/v1/users/{user}"), &admin, &json!({ "orgUnitPath": "/Lab" })).ok();
    let group = json!({ "email": "lab@acme.test", "name": "Lab" });
    let group = domain.post("admin/directory/v1/groups", &admin, &group).ok();
    let member = json!({ "email": other, "role": "MEMBER" });
    domain.post("admin/directory/v1/groups/lab@acme.test/members", &admin, &member).ok();
    let token = reader(&domain);
    let actors = |query: String| -> Vec<String> {
        let page = domain.get(&format!("{}?{query}", path("all", "drive")), &token).ok();
        items(&page).iter().map(|row| row["actor"]["email"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(actors(format!("orgUnitID={}", unit["orgUnitId"].as_str().unwrap())), [user]);
    assert_eq!(actors(format!("groupIdFilter=id:{}", group["id"].as_str().unwrap())), [other]);
    assert_eq!(domain.get(&format!("{}?orgUnitID=id:nothing", path("all", "drive")), &token).code, 400);
}

#[test]
fn consents_calls_and_delegations_are_in_the_log() {
    let domain = start(AuditSettings::immediate());
    let user = domain.user(0);
    let app = App {
        client_id: "700000000009-x.apps.googleusercontent.com".to_owned(),
        client_secret: "s".to_owned(),
        display_text: "Cursor Agent".to_owned(),
        native: false,
    };
    let access = domain.running.with_tenant(|tenant| {
        let grant = tenant.authorize(&user, &app, &[scopes::CALENDAR]).unwrap();
        tenant.access_token(&grant).unwrap()
    });
    let answer = domain.get("calendar/v3/calendars/primary/events?maxResults=5", &access);
    assert_eq!(answer.code, 200);
    domain.send("POST", &format!("revoke?token={access}"), "", &[], b"").ok();
    let token = reader(&domain);
    let rows = items(&domain.get(&path(&user, "token"), &token).ok());
    let names: Vec<&str> = rows.iter().map(|row| row["events"][0]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["revoke", "activity", "authorize"]);
    let authorized = &rows[2];
    assert_eq!(parameter(authorized, "app_name")["value"], "Cursor Agent");
    assert_eq!(parameter(authorized, "scope")["multiValue"], json!([scopes::CALENDAR]));
    let data = &parameter(authorized, "scope_data")["multiMessageValue"][0]["parameter"];
    assert_eq!(data[1], json!({ "name": "product_bucket", "multiValue": ["CALENDAR"] }));
    let activity = &rows[1];
    assert_eq!(activity["actor"]["applicationInfo"]["oauthClientId"], json!(app.client_id));
    assert_eq!(parameter(activity, "method_name")["value"], "calendar.events.list");
    assert_eq!(parameter(activity, "num_response_bytes")["intValue"], json!(answer.text.len().to_string()));
    assert_eq!(parameter(activity, "product_bucket")["value"], "CALENDAR");
    // Delegation is an administrator's doing and stands in another log.
    domain.running.with_tenant(|tenant| {
        tenant.delegate("117", [scopes::DRIVE]);
        tenant.undelegate("117");
    });
    let rows = items(&domain.get(&path("all", "admin"), &token).ok());
    let names: Vec<&str> =
        rows.iter().take(2).map(|row| row["events"][0]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["REMOVE_API_CLIENT_ACCESS", "AUTHORIZE_API_CLIENT_ACCESS"]);
    assert_eq!(parameter(&rows[1], "API_CLIENT_NAME")["value"], "117");
    assert_eq!(parameter(&rows[1], "API_SCOPES")["value"], scopes::DRIVE);
    assert_eq!(items(&domain.get(&path("all", "login"), &token).ok()).len(), 8);
}

#[test]
fn whoever_acts_for_a_user_is_marked_and_the_log_can_be_watched() {
    let domain = start(AuditSettings::immediate());
    let key = domain.key();
    let user = domain.user(0);
    let assertion = key.sign(&key.claims(&user, &[scopes::CALENDAR_READONLY], START));
    let access = domain.ask_token(&assertion).ok()["access_token"].as_str().unwrap().to_owned();
    domain.get("calendar/v3/calendars/primary", &access).ok();
    let token = reader(&domain);
    let rows = items(&domain.get(&format!("{}?eventName=activity", path(&user, "token")), &token).ok());
    let info = &rows[0]["actor"]["applicationInfo"];
    assert_eq!((&info["impersonation"], &info["oauthClientId"]), (&json!(true), &key.file["client_id"]));
    let watch = format!("{}/watch", path("all", "drive"));
    let wish = json!({ "id": "w-1", "type": "web_hook", "address": "https://x.example" });
    let channel = domain.post(&watch, &token, &wish).ok();
    let stop = json!({ "id": "w-1", "resourceId": channel["resourceId"] });
    assert_eq!(domain.post("admin/reports_v1/channels/stop", &token, &stop).code, 204);
}
