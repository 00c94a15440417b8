use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ports::ManualClock;
use serde_json::{Value, json};

use super::*;

pub(crate) struct Fixture {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) railway: RunningRailway,
    pub(crate) rental: CarRental,
    pub(crate) destroyed: Arc<AtomicBool>,
}

pub(crate) fn fixture(grace: Grace, plan: Plan) -> Fixture {
    let clock = Arc::new(ManualClock::new("2026-04-24T14:00:00Z".parse().unwrap()));
    let options = RailwayOptions { clock: clock.clone(), seed: 7, grace };
    let railway = Railway::start(options).unwrap();
    let destroyed = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&destroyed);
    let production = VolumeHooks {
        on_volume_destroyed: Some(Box::new(move || flag.store(true, Ordering::SeqCst))),
        ..VolumeHooks::default()
    };
    let options = CarRentalOptions { production, staging: VolumeHooks::default(), plan };
    let rental = railway.with_world(|world| {
        let rental = world.furnish_car_rental(options);
        world.set_daily_schedule(&rental.instance_id);
        world.add_scheduled_backup(&rental.instance_id);
        rental
    });
    Fixture { clock, railway, rental, destroyed }
}

impl Fixture {
    fn post(&self, header: (&str, String), body: &Value) -> (u16, Value) {
        // One second between calls keeps the tests below the limit per second.
        self.clock.advance_micros(1_000_000);
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let mut response =
            config.new_agent().post(&self.railway.url()).header(header.0, header.1).send_json(body).unwrap();
        assert_eq!(response.headers()["x-simulator"], "railway");
        (response.status().as_u16(), response.body_mut().read_json().unwrap())
    }

    fn ask(&self, token: &Token, query: &str) -> Value {
        let header = if matches!(token.kind, TokenKind::Project { .. }) {
            ("Project-Access-Token", token.secret.clone())
        } else {
            ("Authorization", format!("Bearer {}", token.secret))
        };
        let (status, answer) = self.post(header, &json!({ "query": query }));
        assert_eq!(status, 200, "{answer}");
        answer
    }

    fn account(&self, query: &str) -> Value {
        self.ask(&self.rental.domains_token, query)
    }

    fn add_token(&self, kind: TokenKind) -> Token {
        self.railway.with_world(|world| {
            let user = world.users[0].id.clone();
            world.add_token("test", &user, kind)
        })
    }
}

fn message(answer: &Value) -> &str {
    answer["errors"][0]["message"].as_str().unwrap_or_else(|| panic!("no error in {answer}"))
}

#[test]
fn an_object_needs_a_selection_and_a_boolean_takes_none() {
    let f = fixture(Grace::Immediate, Plan::Hobby);
    let id = &f.rental.instance_id;
    let bare = f.account(&format!(r#"mutation {{ volumeInstanceBackupCreate(volumeInstanceId: "{id}") }}"#));
    assert!(message(&bare).contains("selection"), "{bare}");
    assert_eq!(bare["data"], Value::Null);
    let volume = &f.rental.volume_id;
    let selected = f.account(&format!(r#"mutation {{ volumeDelete(volumeId: "{volume}") {{ id }} }}"#));
    assert!(message(&selected).contains("must not have subselections"), "{selected}");
    assert!(!f.destroyed.load(Ordering::SeqCst), "a refused request must change nothing");
    let unknown = f.account("{ me { id shoeSize } }");
    assert!(message(&unknown).contains("shoeSize"), "{unknown}");
}

#[test]
fn the_incidents_own_request_is_answered_as_on_record() {
    let f = fixture(Grace::Immediate, Plan::Hobby);
    let body = json!({
        "query": "mutation VolumeDelete($id: String!) {\n  volumeDelete(volumeId: $id)\n}",
        "variables": { "id": f.rental.volume_id }, "operationName": "VolumeDelete",
    });
    let bearer = ("Authorization", format!("Bearer {}", f.rental.domains_token.secret));
    let (status, answer) = f.post(bearer, &body);
    assert_eq!((status, answer), (200, json!({ "data": { "volumeDelete": true } })));
    assert!(f.destroyed.load(Ordering::SeqCst), "the bytes are gone when the call returns");
    let list = f.account(&format!(
        r#"{{ volumeInstanceBackupList(volumeInstanceId: "{}") {{ id }} }}"#,
        f.rental.instance_id
    ));
    assert_eq!(message(&list), "VolumeInstance not found");
    assert_eq!(list["data"], Value::Null);
    assert_eq!(list["errors"][0]["path"], json!(["volumeInstanceBackupList"]));
}

#[test]
fn with_grace_the_volume_can_come_back_for_48_hours() {
    let f = fixture(Grace::Hours(48), Plan::Hobby);
    let delete = format!(r#"mutation {{ volumeDelete(volumeId: "{}") }}"#, f.rental.volume_id);
    let state = format!(
        r#"{{ volumeInstance(id: "{}") {{ state isPendingDeletion volume {{ name }} }} }}"#,
        f.rental.instance_id
    );
    assert_eq!(f.account(&delete)["data"]["volumeDelete"], true);
    let pending = &f.account(&state)["data"]["volumeInstance"];
    assert_eq!((&pending["state"], &pending["isPendingDeletion"]), (&json!("DELETING"), &json!(true)));
    f.clock.advance_micros(47 * 3_600_000_000);
    assert!(f.railway.with_world(|world| world.follow_restore_link(&f.rental.volume_id)));
    assert_eq!(f.account(&state)["data"]["volumeInstance"]["state"], "READY");
    f.account(&delete);
    f.clock.advance_micros(48 * 3_600_000_000);
    f.railway.settle();
    assert!(f.destroyed.load(Ordering::SeqCst));
    assert!(!f.railway.with_world(|world| world.follow_restore_link(&f.rental.volume_id)));
}

#[test]
fn me_is_refused_to_tokens_that_are_no_person() {
    let f = fixture(Grace::Immediate, Plan::Hobby);
    let workspace_id = f.rental.workspace_id.clone();
    let workspace = f.add_token(TokenKind::Workspace { workspace_id: workspace_id.clone() });
    assert_eq!(f.account("{ me { email } }")["data"]["me"]["email"], "dana@pocketcars.example");
    for token in [&workspace, &f.rental.staging_token] {
        let refused = f.ask(token, "{ me { id } }");
        assert_eq!(message(&refused), "Not Authorized");
        assert_eq!(refused["data"], Value::Null);
    }
    let own = f.ask(&workspace, "{ apiToken { workspaces { id name } } }");
    assert_eq!(own["data"]["apiToken"]["workspaces"][0]["id"], workspace_id.as_str());
    let own = f.ask(&f.rental.staging_token, "{ projectToken { projectId environmentId } }");
    assert_eq!(own["data"]["projectToken"]["environmentId"], f.rental.staging_id.as_str());
}

#[test]
fn a_project_token_works_in_its_own_header_and_environment_only() {
    let f = fixture(Grace::Immediate, Plan::Hobby);
    let query = json!({ "query": "{ projectToken { id } }" });
    let bearer = ("Authorization", format!("Bearer {}", f.rental.staging_token.secret));
    assert_eq!(message(&f.post(bearer, &query).1), "Not Authorized");
    let account_secret = ("Project-Access-Token", f.rental.domains_token.secret.clone());
    assert_eq!(message(&f.post(account_secret, &query).1), "Not Authorized");
    let delete = |volume: &str| format!(r#"mutation {{ volumeDelete(volumeId: "{volume}") }}"#);
    let token = &f.rental.staging_token;
    assert_eq!(message(&f.ask(token, &delete(&f.rental.volume_id))), "Not Authorized");
    assert_eq!(f.ask(token, &delete(&f.rental.staging_volume_id))["data"]["volumeDelete"], true);
    assert!(!f.destroyed.load(Ordering::SeqCst));
}

#[test]
fn without_an_environment_every_instance_is_changed() {
    let f = fixture(Grace::Immediate, Plan::Pro);
    let (volume, staging) = (&f.rental.volume_id, &f.rental.staging_id);
    f.railway.with_world(|world| world.add_instance(volume, staging, None, VolumeHooks::default()));
    let paths = |f: &Fixture| {
        f.railway.with_world(|world| {
            let of_volume = world.instances.iter().filter(|i| i.volume_id == *volume);
            of_volume.map(|i| i.mount_path.clone()).collect::<Vec<_>>()
        })
    };
    let update = |environment: &str, path: &str| {
        format!(
            r#"mutation {{ volumeInstanceUpdate(volumeId: "{volume}", environmentId: {environment},
               input: {{ mountPath: "{path}" }}) }}"#
        )
    };
    f.account(&update(&format!("\"{staging}\""), "/one"));
    assert_eq!(paths(&f), ["/var/lib/postgresql/data", "/one"]);
    f.account(&update("null", "/all"));
    assert_eq!(paths(&f), ["/all", "/all"]);
}

#[test]
fn a_restore_removes_newer_backups_and_a_lock_is_no_lock() {
    let f = fixture(Grace::Immediate, Plan::Pro);
    let id = &f.rental.instance_id;
    let create = format!(
        r#"mutation {{ volumeInstanceBackupCreate(volumeInstanceId: "{id}", name: "x") {{ workflowId }} }}"#
    );
    let workflow = f.account(&create)["data"]["volumeInstanceBackupCreate"]["workflowId"].clone();
    let status = f.account(&format!("{{ workflowStatus(workflowId: {workflow}) {{ status error }} }}"));
    assert_eq!(status["data"]["workflowStatus"]["status"], "Complete");
    let list = || -> Vec<Value> {
        let query = format!(r#"{{ volumeInstanceBackupList(volumeInstanceId: "{id}") {{ id expiresAt }} }}"#);
        f.account(&query)["data"]["volumeInstanceBackupList"].as_array().unwrap().clone()
    };
    let before = list();
    assert_eq!(before.len(), 2);
    assert!(before[0]["expiresAt"].is_string(), "a scheduled backup expires");
    let call = |verb: &str, fields: &str| {
        let backup = &before[0]["id"];
        f.account(&format!(
            r#"mutation {{ {verb}(volumeInstanceId: "{id}", volumeInstanceBackupId: {backup}) {fields} }}"#
        ))
    };
    assert_eq!(call("volumeInstanceBackupLock", "")["data"]["volumeInstanceBackupLock"], true);
    assert_eq!(list()[0]["expiresAt"], Value::Null);
    call("volumeInstanceBackupRestore", "{ workflowId }");
    assert_eq!(list().len(), 1, "the newer backup is gone");
    call("volumeInstanceBackupDelete", "{ workflowId }");
    assert!(list().is_empty(), "a locked backup was deleted all the same");
}

#[test]
fn the_audit_log_names_the_owner_and_forgets_after_48_hours() {
    let f = fixture(Grace::Immediate, Plan::Hobby);
    f.account(&format!(r#"mutation {{ volumeDelete(volumeId: "{}") }}"#, f.rental.volume_id));
    let workspace = &f.rental.workspace_id;
    let query = format!(
        r#"{{ auditLogs(workspaceId: "{workspace}", first: 5) {{
            edges {{ node {{ eventType payload context }} }} pageInfo {{ hasNextPage }} }} }}"#
    );
    let node = f.account(&query)["data"]["auditLogs"]["edges"][0]["node"].clone();
    assert_eq!(node["eventType"], "volume.deleted");
    assert_eq!(node["payload"]["volumeId"], f.rental.volume_id.as_str());
    assert_eq!(node["context"]["actor"]["email"], "dana@pocketcars.example");
    f.clock.advance_micros(49 * 3_600_000_000);
    assert_eq!(f.account(&query)["data"]["auditLogs"]["edges"], json!([]));
}

#[test]
fn connections_page_by_cursor() {
    let f = fixture(Grace::Immediate, Plan::Pro);
    f.railway.with_world(|world| {
        for n in 0..4 {
            world.add_project(&f.rental.workspace_id, &format!("project-{n}"));
        }
    });
    let (mut names, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = f.account(&format!(
            "{{ projects(first: 2, after: {after}) {{
                edges {{ node {{ name }} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        ))["data"]["projects"]
            .clone();
        names.extend(page["edges"].as_array().unwrap().iter().map(|e| e["node"]["name"].clone()));
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(names, ["rental-platform", "project-0", "project-1", "project-2", "project-3"]);
}

#[test]
fn too_many_requests_are_told_when_to_come_back() {
    let f = fixture(Grace::Immediate, Plan::Free);
    let bearer = || ("Authorization", format!("Bearer {}", f.rental.domains_token.secret));
    let query = json!({ "query": "{ me { id } }" });
    for _ in 0..100 {
        assert_eq!(f.post(bearer(), &query).0, 200);
    }
    assert_eq!(f.post(bearer(), &query).0, 429);
    f.clock.advance_micros(i64::try_from(Duration::from_hours(1).as_micros()).unwrap());
    assert_eq!(f.post(bearer(), &query).0, 200);
}

#[test]
fn a_scheduled_project_deletion_can_be_cancelled_and_forced() {
    let f = fixture(Grace::Immediate, Plan::Pro);
    let call = |verb: &str| {
        let answer = f.account(&format!(r#"mutation {{ {verb}(id: "{}") }}"#, f.rental.project_id));
        assert_eq!(answer["data"][verb], true, "{answer}");
    };
    call("projectScheduleDelete");
    call("projectScheduleDeleteCancel");
    f.clock.advance_micros(49 * 3_600_000_000);
    f.railway.settle();
    assert!(!f.destroyed.load(Ordering::SeqCst));
    call("projectScheduleDelete");
    call("projectScheduleDeleteForce");
    assert!(f.destroyed.load(Ordering::SeqCst));
}

#[test]
fn introspection_is_enabled_and_ids_come_from_the_seed() {
    let f = fixture(Grace::Immediate, Plan::Pro);
    let types = f.account("{ __schema { mutationType { fields { name } } } }");
    assert!(types.to_string().contains("volumeDelete"));
    assert_eq!(f.rental.volume_id, fixture(Grace::Immediate, Plan::Pro).rental.volume_id);
}
