use std::io::{Read, Write};

use serde_json::json;

use super::*;

pub(super) fn plan() -> Plan {
    Plan {
        format: PLAN_FORMAT,
        id: "p1".to_owned(),
        source: "shop".to_owned(),
        subject: Subject { title: "transaction 7".to_owned(), position: None, at: None },
        destination: "shop".to_owned(),
        base: "scratch".to_owned(),
        made_at: Moment::from_micros(1),
        steps: vec![Step {
            number: 1,
            title: "put 2 rows back".to_owned(),
            target: "public.t".to_owned(),
            action: Action::Insert,
            rows: 2,
            attachment: Some("rows/1.copy".to_owned()),
            details: json!({"b": 1, "a": {"d": null, "c": [1, "x"]}}),
        }],
        conflicts: Vec::new(),
        losses: Vec::new(),
        notes: Vec::new(),
        counts: Counts::default(),
        attachments: Vec::new(),
        fidelity: Vec::new(),
        duration_s: None,
    }
}

#[test]
fn the_order_of_keys_does_not_change_the_hash() {
    let text = canonical_json(&json!({"b": 1, "a": {"d": null, "c": [1, "x\n"]}}));
    assert_eq!(text, r#"{"a":{"c":[1,"x\n"],"d":null},"b":1}"#);
    let read = Plan::from_bytes(&plan().canonical_bytes().unwrap()).unwrap();
    assert_eq!(read, plan());
    assert_eq!(read.hash().unwrap(), plan().hash().unwrap());
}

#[test]
fn every_field_is_covered_by_the_hash() {
    let mut other = plan();
    other.steps[0].details = json!({"b": 2});
    assert_ne!(other.hash().unwrap(), plan().hash().unwrap());
    let mut other = plan();
    other.made_at = Moment::from_micros(2);
    assert_ne!(other.hash().unwrap(), plan().hash().unwrap());
}

#[test]
fn a_hash_is_read_as_it_is_shown() {
    let hash = plan().hash().unwrap();
    assert_eq!(hash.to_string().parse::<PlanHash>().unwrap(), hash);
    assert!("12".parse::<PlanHash>().is_err());
}

#[test]
fn other_formats_unknown_fields_and_foreign_paths_are_refused() {
    let mut value = serde_json::to_value(plan()).unwrap();
    value["format"] = json!(2);
    assert!(matches!(Plan::from_bytes(value.to_string().as_bytes()), Err(PlanError::Format { found: 2 })));
    let mut value = serde_json::to_value(plan()).unwrap();
    value["surprise"] = json!(true);
    assert!(matches!(Plan::from_bytes(value.to_string().as_bytes()), Err(PlanError::Decode(_))));
    for name in ["../x", "/etc/passwd", "rows//1", "", "a/../b", "rows/.hidden"] {
        let mut bad = plan();
        bad.attachments.push(Attachment { name: name.to_owned(), blake3: String::new(), bytes: 0 });
        let bytes = bad.canonical_bytes().unwrap();
        assert!(matches!(Plan::from_bytes(&bytes), Err(PlanError::AttachmentName { .. })), "{name}");
    }
}

#[test]
fn a_folder_gives_back_what_was_written_and_notices_changes() {
    let root = tempfile::tempdir().unwrap();
    let folder = PlanFolder::new(root.path().join("p1"));
    let mut writer = folder.create("rows/1.copy").unwrap();
    writer.write_all(b"1\tone\n").unwrap();
    let mut plan = plan();
    plan.attachments.push(writer.finish().unwrap());
    let hash = folder.write(&plan).unwrap();
    assert_eq!(hash, plan.hash().unwrap());
    assert_eq!(folder.read(Some(hash)).unwrap(), plan);

    let mut text = String::new();
    folder.open(&plan.attachments[0]).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "1\tone\n");

    ports::files::replace(&folder.path().join("rows/1.copy"), b"1\ttwo\n").unwrap();
    assert!(matches!(folder.open(&plan.attachments[0]), Err(PlanFolderError::Changed { .. })));
    ports::files::replace(&folder.path().join("plan.json"), b"{}").unwrap();
    assert!(matches!(folder.read(Some(hash)), Err(PlanFolderError::Changed { .. })));
}
