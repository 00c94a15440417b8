use serde_json::{Value, json};

use super::*;

fn told(application: &str, events: &Value) -> Vec<Meaning> {
    let document = json!({
        "id": { "time": "2026-03-02T01:15:42.118Z", "uniqueQualifier": "1" },
        "actor": { "email": "anna@acme.test" },
        "events": events,
    });
    of(application, &Activity::of(application, &document).unwrap())
}

fn one(application: &str, kind: &str, name: &str, parameters: &[(&str, Value)]) -> Meaning {
    let parameter = |(name, value): &(&str, Value)| match value {
        Value::Bool(_) => json!({ "name": name, "boolValue": value }),
        Value::Number(number) => json!({ "name": name, "intValue": number.to_string() }),
        Value::Array(_) => json!({ "name": name, "multiValue": value }),
        _ => json!({ "name": name, "value": value }),
    };
    let parameters: Vec<Value> = parameters.iter().map(parameter).collect();
    let events = json!([{ "type": kind, "name": name, "parameters": parameters }]);
    told(application, &events).remove(0)
}

fn short(meaning: &Meaning) -> (Option<Verb>, Severity) {
    (meaning.verb, meaning.severity)
}

#[test]
fn a_file_is_named_by_its_key_and_its_title_in_its_owners_stream() {
    let file = [("doc_id", json!("1AbC")), ("doc_title", json!("plan")), ("owner", json!("ben@acme.test"))];
    let trashed = one("drive", "access", "trash", &file);
    assert_eq!(
        (trashed.target.as_str(), trashed.scope.as_str()),
        ("file/1AbC \"plan\"", "drive/ben@acme.test")
    );
    assert_eq!(short(&trashed), (Some(Verb::Trash), Severity::Routine));
    assert_eq!((trashed.destroys(), trashed.statement.as_str()), (1, "drive trash"));
    assert_eq!(short(&one("drive", "access", "delete", &file)), (Some(Verb::Delete), Severity::Notable));
    let read = one("drive", "access", "access_item_content", &[("api_method", json!("drive.files.export"))]);
    assert_eq!(short(&read), (Some(Verb::Read), Severity::Routine));
    assert_eq!((read.destroys(), read.statement.as_str()), (0, "drive.files.export"));
    for name in
        ["view", "download", "print", "preview", "sync_item_content", "prefetch_item_content", "search"]
    {
        assert_eq!(one("drive", "access", name, &[]).verb, Some(Verb::Read), "{name}");
    }
    for name in ["edit", "rename", "move", "something_new"] {
        assert_eq!(one("drive", "access", name, &[]).verb, Some(Verb::Update), "{name}");
    }
}

#[test]
fn wider_sharing_is_told_from_narrower() {
    let change = |name: &str, old: &str, new: &str| {
        one("drive", "acl_change", name, &[("old_value", json!(old)), ("new_value", json!(new))])
    };
    let wider = (Some(Verb::Share), Severity::Notable);
    let narrower = (Some(Verb::Revoke), Severity::Routine);
    assert_eq!(short(&change("change_user_access", "none", "can_view")), wider);
    assert_eq!(short(&change("change_user_access", "can_view", "can_edit")), wider);
    assert_eq!(short(&change("change_user_access", "can_edit", "can_view")), narrower);
    assert_eq!(short(&change("change_user_access", "can_edit", "none")), narrower);
    assert_eq!(short(&change("change_user_access", "content_manager", "can_edit")), narrower);
    assert_eq!(short(&change("change_user_access", "can_view", "something_new")), wider);
    assert_eq!(short(&change("change_document_visibility", "private", "people_with_link")), wider);
    assert_eq!(short(&change("change_document_visibility", "people_with_link", "private")), narrower);
    let member = |change: &str| {
        one(
            "drive",
            "acl_change",
            "shared_drive_membership_change",
            &[("membership_change_type", json!(change))],
        )
    };
    assert_eq!(short(&member("add_to_shared_drive")), wider);
    assert_eq!(short(&member("remove_from_shared_drive")), narrower);
}

#[test]
fn of_one_gesture_only_what_was_done_counts() {
    let event = |name: &str, primary: bool| json!({ "type": "access", "name": name, "parameters": [{ "name": "primary_event", "boolValue": primary }] });
    let both = told("drive", &json!([event("edit", false), event("trash", true)]));
    assert_eq!(both.len(), 1);
    assert_eq!(both[0].verb, Some(Verb::Trash));
    let consequence = told("drive", &json!([event("delete", false)]));
    assert_eq!((consequence.len(), consequence[0].primary), (1, false));
}

#[test]
fn a_calendar_that_is_deleted_takes_everything_with_it() {
    let calendar = ("calendar_id", json!("c_1"));
    let event = [calendar.clone(), ("event_id", json!("e1")), ("event_title", json!("Retro"))];
    let deleted = one("calendar", "event_change", "delete_event", &event);
    assert_eq!(short(&deleted), (Some(Verb::Delete), Severity::Notable));
    assert_eq!((deleted.target.as_str(), deleted.scope.as_str()), ("event/c_1/e1 \"Retro\"", "calendar/c_1"));
    let whole = one("calendar", "calendar_change", "delete_calendar", std::slice::from_ref(&calendar));
    assert_eq!(short(&whole), (Some(Verb::Delete), Severity::Destructive));
    let share = |level: &str| {
        one(
            "calendar",
            "calendar_change",
            "change_calendar_acls",
            &[calendar.clone(), ("access_level", json!(level))],
        )
    };
    assert_eq!(short(&share("read")), (Some(Verb::Share), Severity::Notable));
    assert_eq!(short(&share("none")), (Some(Verb::Revoke), Severity::Routine));
    let off = one("calendar", "subscription_change", "delete_subscription", std::slice::from_ref(&calendar));
    assert_eq!(short(&off), (Some(Verb::Define), Severity::Routine), "the calendar stays where it is");
}

#[test]
fn a_consent_is_notable_when_it_is_broad() {
    let grant =
        |scopes: Value| one("token", "auth", "authorize", &[("client_id", json!("1")), ("scope", scopes)]);
    let narrow = grant(json!(["openid", "email", "https://www.googleapis.com/auth/userinfo.email"]));
    assert_eq!(short(&narrow), (Some(Verb::Grant), Severity::Routine));
    let file = grant(json!(["https://www.googleapis.com/auth/drive.file"]));
    assert_eq!(file.severity, Severity::Routine);
    for broad in
        ["https://mail.google.com/", "https://www.googleapis.com/auth/drive", "https://other.example/x"]
    {
        let told = grant(json!(["openid", broad]));
        assert_eq!(short(&told), (Some(Verb::Grant), Severity::Notable), "{broad}");
        assert!(told.target.contains(broad), "{}", told.target);
    }
}

#[test]
fn a_call_of_a_program_is_told_by_its_method() {
    let call = |method: &str| one("token", "auth", "activity", &[("method_name", json!(method))]);
    assert_eq!(short(&call("gmail.users.messages.get")), (Some(Verb::Read), Severity::Routine));
    assert_eq!(short(&call("gmail.users.messages.delete")), (Some(Verb::Delete), Severity::Notable));
    let many = call("gmail.users.messages.batchDelete");
    assert_eq!(short(&many), (Some(Verb::Delete), Severity::Destructive));
    assert_eq!(many.statement, "gmail.users.messages.batchDelete");
}

#[test]
fn what_administrators_do_is_notable_and_a_deleted_account_more() {
    let done = |name: &str, parameters: &[(&str, Value)]| one("admin", "X", name, parameters);
    let granted = done(
        "AUTHORIZE_API_CLIENT_ACCESS",
        &[("API_CLIENT_NAME", json!("1024")), ("API_SCOPES", json!(["https://mail.google.com/"]))],
    );
    assert_eq!(short(&granted), (Some(Verb::Grant), Severity::Notable));
    assert_eq!(granted.target, "1024: https://mail.google.com/");
    let deleted = done("DELETE_USER", &[("USER_EMAIL", json!("ben@acme.test"))]);
    assert_eq!(short(&deleted), (Some(Verb::Delete), Severity::Destructive));
    assert_eq!(short(&done("UNASSIGN_ROLE", &[])), (Some(Verb::Revoke), Severity::Notable));
    assert_eq!(short(&done("CHANGE_APP_ACCESS", &[])).1, Severity::Notable);
    assert_eq!(short(&done("CHANGE_PASSWORD", &[])), (Some(Verb::Define), Severity::Notable));
    assert_eq!(short(&done("REVOKE_3LO_TOKEN", &[])), (Some(Verb::Revoke), Severity::Routine));
}

#[test]
fn a_login_changes_nothing_and_an_odd_one_is_notable() {
    let login = |odd: bool| one("login", "login", "login_success", &[("is_suspicious", json!(odd))]);
    assert_eq!(short(&login(false)), (None, Severity::Routine));
    assert_eq!(short(&login(true)), (None, Severity::Notable));
    let forward = one(
        "user_accounts",
        "email_forwarding_change",
        "email_forwarding_out_of_domain",
        &[("email_forwarding_destination_address", json!("x@evil.test"))],
    );
    assert_eq!(short(&forward), (Some(Verb::Share), Severity::Notable));
    assert_eq!(forward.target, "mail to x@evil.test");
    assert_eq!(
        short(&one("user_accounts", "2sv_change", "2sv_disable", &[])),
        (Some(Verb::Define), Severity::Notable)
    );
}

#[test]
fn mail_is_counted_by_the_message() {
    let deleted = one("gmail", "delivery", "delete", &[("message_count", json!(400))]);
    assert_eq!((short(&deleted), deleted.destroys()), ((Some(Verb::Delete), Severity::Notable), 400));
    assert_eq!(deleted.scope, "gmail/anna@acme.test");
    assert_eq!(one("gmail", "delivery", "trash", &[]).destroys(), 1);
}

#[test]
fn a_long_name_is_cut() {
    let long = "x".repeat(5000);
    let told = one("drive", "access", "edit", &[("doc_id", json!(long)), ("doc_title", json!(long))]);
    assert!(told.target.chars().count() <= CHARACTERS_MAX);
}
