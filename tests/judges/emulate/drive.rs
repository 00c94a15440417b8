use connect_http::http::Method;
use model::UnreadableReason;
use serde_json::{Value, json};
use source_google::{Part, drive::drive_stream};

use super::{
    Stage,
    server::{Emulate, Help, USER},
};

const HELP: [Help; 4] = [Help::Tokens, Help::Users, Help::Batches, Help::Changes];

fn stage() -> Stage {
    let mut items = vec![json!({ "id": "folder", "name": "a/b \u{202e}c", "mime_type": FOLDER })];
    items.extend((0..30).map(|number| {
        json!({
            "id": format!("f{number:02}"), "name": format!("number {number}"), "mime_type": "text/plain",
            "parent_ids": [if number % 2 == 0 { "folder" } else { "root" }],
            "data": "a line\n".repeat(number),
        })
    }));
    Stage::of(Emulate::with(&json!({ "drive_items": items })), Part::Drive)
}

const FOLDER: &str = "application/vnd.google-apps.folder";

/// Returns the files that it shows, the folder among them.
fn files(stage: &Stage) -> Vec<Value> {
    stage.emulate.get_at("drive/v3/files?pageSize=1000")["files"].as_array().unwrap().clone()
}

#[test]
fn a_drive_without_a_feed_is_blinded_and_no_empty_drive() {
    let mut stage = stage();
    stage.read(&HELP[..3]).unwrap();
    let told = stage.blinded("drive/1");
    assert!(matches!(&told, UnreadableReason::Blinded { detail } if detail.contains("404")), "{told:?}");
    assert!(stage.sink.stream(&format!("drive/{USER}")).is_empty());
}

#[test]
fn every_file_is_held_and_what_it_does_not_say_of_them_is_told() {
    let mut stage = stage();
    stage.capture_with(&HELP);
    let held = stage.sink.stream(&format!("drive/{USER}"));
    let real = files(&stage);
    assert_eq!(real.len(), 31);
    for file in &real {
        let id = file["id"].as_str().unwrap();
        let item = &held[format!("file/{id}").as_str()];
        let attributes: Value = serde_json::from_str(&item.attributes).unwrap();
        assert_eq!((&attributes["name"], &attributes["parents"]), (&file["name"], &file["parents"]), "{id}");
        let number: usize = id.strip_prefix('f').and_then(|number| number.parse().ok()).unwrap_or(0);
        assert_eq!(item.content.as_deref().unwrap(), "a line\n".repeat(number).as_bytes(), "{id}");
    }
    // It has neither comments nor revisions: that is in the commit, and nothing passes for an empty list.
    let unread = held.iter().filter(|(_, item)| item.content.is_err()).count() as u64;
    let told: u64 = stage.sink.commits.iter().map(|commit| commit.ledger.unreadable).sum();
    assert!(unread > 0 && told >= unread, "{unread} of {told}");
    assert!(held.iter().all(|(key, item)| key.starts_with("file/") || item.content.is_err()), "{held:?}");
}

#[test]
fn renamed_and_moved_files_go_back_and_later_names_stay() {
    let mut stage = stage();
    let before = stage.capture_with(&HELP);
    let was = files(&stage);
    let patch = |id: &str, query: &str, body: &Value| {
        stage.emulate.change(Method::PATCH, &format!("drive/v3/files/{id}{query}"), body)
    };
    for number in 0..6 {
        patch(&format!("f{number:02}"), "", &json!({ "name": "taken" }));
    }
    patch("f10", "?addParents=root&removeParents=folder", &json!({}));
    let after = stage.capture_with(&HELP);
    stage.emulate.change(Method::PATCH, "drive/v3/files/f05", &json!({ "name": "named by its owner" }));
    let now = stage.capture_with(&HELP);
    let (plan, folder) =
        stage.plan_with(drive_stream(USER).unwrap(), before, after, |planner, mut request| {
            request.window.now = now;
            planner.drive(&request)
        });
    let (applied, verified) = stage.apply(&plan, &folder);
    assert_eq!(applied.unwrap().counts.reverted, 6);
    // It keeps no times that others set: verification finds that, and only that.
    let differences = &verified.checks[0].differences;
    assert_eq!((verified.checks.len(), differences.len()), (1, 6), "{verified:#?}");
    let of_times = |reason: &str| reason == "its modifiedTime is not what it was";
    assert!(differences.iter().all(|difference| of_times(&difference.reason)), "{verified:#?}");
    let shown = |files: &[Value]| -> Vec<(String, Value, Value)> {
        let of = |file: &Value| (file["id"].to_string(), file["name"].clone(), file["parents"].clone());
        let mut shown: Vec<_> = files.iter().map(of).collect();
        shown.sort_by(|a, b| a.0.cmp(&b.0));
        shown
    };
    let mut expected = was;
    let own = expected.iter_mut().find(|file| file["id"] == "f05").unwrap();
    own["name"] = "named by its owner".into();
    assert_eq!(shown(&files(&stage)), shown(&expected));
}
