//! Groups of users: who was taken out comes back, and who somebody took out later does not.

use std::collections::BTreeMap;

use connect::{
    Silent,
    plan::{ApplyMode, Plan, PlanFolder, SourceWriter as _, WriteError},
    testing::MemoryHistory,
};
use google_recovery::{GoogleWriter, Request, Selection};
use google_tenant::{Effect, Fault, Tenant, When, scopes};
use serde_json::{Value, json};
use source_google::Part;

use crate::stage::Stage;

fn stage() -> Stage {
    Stage::new(&[Part::Directory])
}

fn admin(stage: &Stage) -> String {
    stage.domain.running.with_tenant(|tenant| tenant.administrator().unwrap().to_owned())
}

fn act(stage: &Stage, method: &str, path: &str, body: &Value) -> Value {
    let program = stage.domain.program(&admin(stage), &[scopes::GROUP, scopes::MEMBER, scopes::USER]);
    program.call(method, &format!("admin/directory/v1/{path}"), body)
}

/// Groups by their addresses: name, and members with their roles.
type Groups = BTreeMap<String, (String, BTreeMap<String, String>)>;

fn groups(stage: &Stage) -> Groups {
    let all = act(stage, "GET", "groups?customer=my_customer", &Value::Null);
    let members = |email: &str| {
        let list = act(stage, "GET", &format!("groups/{email}/members"), &Value::Null);
        let text = |member: &Value, name: &str| member[name].as_str().unwrap().to_owned();
        list["members"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|member| (text(member, "email"), text(member, "role")))
            .collect()
    };
    all["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| {
            let email = group["email"].as_str().unwrap().to_owned();
            let members = members(&email);
            (email, (group["name"].as_str().unwrap().to_owned(), members))
        })
        .collect()
}

fn request(stage: &Stage, before: u64, after: u64, now: u64) -> Request {
    let request = stage.request("directory".parse().unwrap(), before, after, now);
    Request { account: "directory".to_owned(), ..request }
}

fn plan(stage: &mut Stage, before: u64, after: u64, now: u64) -> (Plan, PlanFolder) {
    let (settings, request, admin) = (stage.settings(), request(stage, before, after, now), admin(stage));
    stage.plan_with(&settings, |planner| planner.memberships(&request, &admin))
}

/// A group with at least four members, and their addresses.
fn large(stage: &Stage) -> (String, Vec<String>) {
    let mut all = groups(stage).into_iter();
    let (email, (_, members)) = all.find(|(_, (_, members))| members.len() >= 4).unwrap();
    (email, members.into_keys().collect())
}

#[test]
fn who_was_taken_out_comes_back_and_what_was_done_since_stays() {
    let mut stage = stage();
    let (group, members) = large(&stage);
    let path = |member: &str| format!("groups/{group}/members/{member}");
    act(&stage, "PATCH", &path(&members[0]), &json!({ "role": "OWNER" }));
    act(&stage, "PATCH", &path(&members[1]), &json!({ "role": "MEMBER" }));
    act(
        &stage,
        "POST",
        &format!("groups/{group}/members"),
        &json!({ "email": "kim@partner.example", "role": "MANAGER" }),
    );
    let earlier = stage.capture();
    let before = groups(&stage);
    for member in [&members[0], &members[2], &"kim@partner.example".to_owned()] {
        act(&stage, "DELETE", &path(member), &Value::Null);
    }
    act(&stage, "PATCH", &path(&members[1]), &json!({ "role": "OWNER" }));
    act(&stage, "POST", &format!("groups/{group}/members"), &json!({ "email": "evil@x.example" }));
    let after = stage.capture();
    act(&stage, "DELETE", &path(&members[3]), &Value::Null);
    let now = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, now);
    assert_eq!((plan.counts.inserted, plan.counts.reverted), (3, 1), "{:?}", plan.conflicts);
    stage.domain.running.with_tenant(|tenant| {
        tenant.fault(Fault::new("directory.members.insert", When::Nth(1), Effect::Lost));
        tenant.fault(Fault::new("directory.members.patch", When::Nth(1), Effect::Lost));
    });
    let rehearsed = stage.try_apply(&plan, &folder, ApplyMode::Rehearsal).unwrap();
    assert_eq!((rehearsed.counts.inserted, rehearsed.counts.reverted), (3, 1));
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    stage.assert_verified(&plan, &folder);
    let found = groups(&stage)[&group].1.clone();
    let mut wanted = before[&group].1.clone();
    wanted.remove(&members[3]);
    wanted.insert("evil@x.example".to_owned(), "MEMBER".to_owned());
    assert_eq!(found, wanted);
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.inserted, again.counts.reverted), (0, 0));
}

#[test]
fn a_deleted_group_is_made_again_once_with_its_members() {
    let mut stage = stage();
    let (group, _) = large(&stage);
    let before = groups(&stage);
    act(&stage, "DELETE", &format!("groups/{group}"), &Value::Null);
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, after);
    stage.domain.running.with_tenant(|tenant| {
        tenant.fault(Fault::new("directory.groups.insert", When::Nth(1), Effect::Lost));
        tenant.fault(Fault::new("directory.members.insert", When::Nth(3), Effect::Backend(503)));
        tenant.fault(Fault::new("directory.members.insert", When::Nth(2), Effect::Reset));
    });
    stage.try_apply(&plan, &folder, ApplyMode::Lasting).ok();
    stage.domain.running.with_tenant(Tenant::lift_faults);
    std::fs::remove_file(folder.path().join("applied.jsonl")).unwrap();
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    assert_eq!(groups(&stage), before);
    stage.assert_verified(&plan, &folder);
}

#[test]
fn a_described_group_goes_back_and_a_group_made_by_somebody_else_is_left_alone() {
    let mut stage = stage();
    let all: Vec<String> = groups(&stage).into_keys().collect();
    let before = groups(&stage);
    act(&stage, "PATCH", &format!("groups/{}", all[0]), &json!({ "name": "PWNED" }));
    act(&stage, "DELETE", &format!("groups/{}", all[1]), &Value::Null);
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, after);
    act(&stage, "POST", "groups", &json!({ "email": all[1], "name": "Another" }));
    act(&stage, "POST", &format!("groups/{}/members", all[1]), &json!({ "email": "new@x.example" }));
    let report = stage.apply(&plan, &folder);
    assert!(report.counts.conflicts > 0, "{report:#?}");
    let found = groups(&stage);
    assert_eq!(found[&all[0]], before[&all[0]]);
    assert_eq!(found[&all[1]].1.keys().collect::<Vec<_>>(), ["new@x.example"]);
}

#[test]
fn a_deleted_user_is_told_and_not_made() {
    let mut stage = stage();
    let user = stage.user.clone();
    act(&stage, "DELETE", &format!("users/{user}"), &Value::Null);
    let after = stage.capture();
    let (plan, _) = plan(&mut stage, 1, after, after);
    let loss = plan.losses.iter().find(|loss| loss.target.contains(&user)).unwrap();
    assert!(loss.reason.contains("20 days"), "{loss:?}");
}

#[test]
fn a_scope_that_is_missing_is_told_and_only_the_chosen_come_back() {
    let mut stage = stage();
    let (group, members) = large(&stage);
    for member in &members[..2] {
        act(&stage, "DELETE", &format!("groups/{group}/members/{member}"), &Value::Null);
    }
    let after = stage.capture();
    let stream = "directory".parse().unwrap();
    let gone: Vec<String> = stage
        .history_keys(&stream, 1)
        .into_iter()
        .filter(|key| key.starts_with("member/") && !stage.history_keys(&stream, after).contains(key))
        .collect();
    let request = Request {
        selection: Selection { keys: gone[..1].to_vec(), ..Selection::default() },
        ..request(&stage, 1, after, after)
    };
    let (settings, admin) = (stage.settings(), admin(&stage));
    let (plan, folder) = stage.plan_with(&settings, |planner| planner.memberships(&request, &admin));
    assert_eq!(plan.counts.inserted, 1);
    stage.domain.running.with_tenant(|tenant| {
        let id = tenant.service_accounts().nth(1).unwrap().client_id.clone();
        tenant.delegate(&id, [scopes::GROUP]);
    });
    let error = stage.try_apply(&plan, &folder, ApplyMode::Lasting).unwrap_err();
    assert!(matches!(error, WriteError::Privilege { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("admin.directory.group.member"), "{:?}", error.hint());
}

#[test]
fn who_was_taken_out_and_let_in_again_as_little_stays_as_little() {
    let mut stage = stage();
    let (group, members) = large(&stage);
    let path = |member: &str| format!("groups/{group}/members/{member}");
    act(&stage, "PATCH", &path(&members[0]), &json!({ "role": "OWNER" }));
    let before = stage.capture();
    act(&stage, "PATCH", &path(&members[0]), &json!({ "role": "MEMBER" }));
    let after = stage.capture();
    act(&stage, "DELETE", &path(&members[0]), &Value::Null);
    stage.capture();
    act(
        &stage,
        "POST",
        &format!("groups/{group}/members"),
        &json!({ "email": members[0], "role": "MEMBER" }),
    );
    let now = stage.capture();
    let (plan, _) = plan(&mut stage, before, after, now);
    assert_eq!((plan.counts.reverted, plan.conflicts.len()), (0, 1), "{:?}", plan.conflicts);
}

#[test]
fn a_described_group_that_is_gone_by_then_is_told() {
    let mut stage = stage();
    let all: Vec<String> = groups(&stage).into_keys().collect();
    act(&stage, "PATCH", &format!("groups/{}", all[0]), &json!({ "description": "PWNED" }));
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, after);
    stage.domain.running.with_tenant(|tenant| {
        tenant.fault(Fault::new("directory.groups.patch", When::Nth(1), Effect::Lost));
    });
    let report = stage.apply(&plan, &folder);
    assert_eq!((report.counts.objects, report.counts.conflicts), (1, 0), "{report:#?}");
    stage.assert_verified(&plan, &folder);
    act(&stage, "DELETE", &format!("groups/{}", all[0]), &Value::Null);
    let api = stage.api();
    let history = MemoryHistory::default();
    let mut writer = GoogleWriter::new(&api, &history, folder.path().join("applied.jsonl"), 4);
    assert!(!writer.verify(&plan, &folder, &Silent).unwrap().is_good());
}

#[test]
fn who_is_taken_out_after_a_plan_brought_it_back_stays_out() {
    let mut stage = stage();
    let (group, members) = large(&stage);
    let path = format!("groups/{group}/members/{}", members[0]);
    act(&stage, "DELETE", &path, &Value::Null);
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, 1, after, after);
    assert_eq!(stage.apply(&plan, &folder).counts.inserted, 1);
    act(&stage, "DELETE", &path, &Value::Null);
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.inserted, again.counts.conflicts), (0, 1), "{again:#?}");
}
