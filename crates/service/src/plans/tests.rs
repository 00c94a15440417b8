use std::io::Write;

use connect::plan::{Action, Counts, PLAN_FORMAT, Step, Subject};
use model::Moment;
use serde_json::json;

use super::*;

fn step(action: Action, attachment: &str, rows: u64, details: serde_json::Value) -> Step {
    Step {
        number: 1,
        title: "put rows back".to_owned(),
        target: "shop.public.a".to_owned(),
        action,
        rows,
        attachment: Some(attachment.to_owned()),
        details,
    }
}

fn plan(folder: &PlanFolder, files: &[(&str, &str)], steps: Vec<Step>) -> Plan {
    let attach = |(name, content): &(&str, &str)| {
        let mut out = folder.create(name).unwrap();
        out.write_all(content.as_bytes()).unwrap();
        out.finish().unwrap()
    };
    Plan {
        format: PLAN_FORMAT,
        id: "p1".to_owned(),
        source: "shop".to_owned(),
        subject: Subject { title: "transaction 7".to_owned(), position: None, at: None },
        destination: "shop".to_owned(),
        base: "base 1".to_owned(),
        made_at: Moment::from_micros(1),
        steps,
        conflicts: Vec::new(),
        losses: Vec::new(),
        notes: Vec::new(),
        counts: Counts::default(),
        attachments: files.iter().map(attach).collect(),
        fidelity: Vec::new(),
        duration_s: None,
    }
}

#[test]
fn a_plan_is_found_by_its_hash_as_long_as_it_is_the_same() {
    let home = tempfile::tempdir().unwrap();
    let folder = PlanFolder::new(home.path().join("plans/plan-1"));
    let plans = Plans::of(home.path());
    assert!(matches!(plans.find(PlanHash([1; 32])), Err(PlansError::NoPlan { .. })));
    let plan = plan(&folder, &[], Vec::new());
    let hash = folder.write(&plan).unwrap();
    let found = plans.find(hash).unwrap();
    assert_eq!(found.parts[0].1, plan);
    assert!(matches!(plans.find(PlanHash([1; 32])), Err(PlansError::NoPlan { .. })));
    let mut other = plan;
    other.subject.title = "another one".to_owned();
    files::replace(&folder.path().join(DOCUMENT), &other.canonical_bytes().unwrap()).unwrap();
    assert!(matches!(plans.find(hash), Err(PlansError::Folder(PlanFolderError::Changed { .. }))));
}

#[test]
fn rows_are_shown_before_and_after_with_what_changes() {
    let root = tempfile::tempdir().unwrap();
    let folder = PlanFolder::new(root.path());
    let details = json!({"columns": [{"name": "id"}, {"name": "note"}], "replaced": "rows/2.copy"});
    let files = [
        ("rows/1.copy", "(0,1)\t5\t0\t1\told\\tnote\n(0,2)\t5\t0\t2\t\\N\n"),
        ("rows/2.copy", "(0,2)\t5\t0\t2\tsame\n(0,1)\t5\t0\t1\tnew\n"),
    ];
    let plan = plan(&folder, &files, vec![step(Action::Revert, "rows/1.copy", 7, details)]);
    let shown = sample(&folder, &plan, &plan.steps[0]).unwrap().unwrap();
    assert_eq!((shown.columns.join(","), shown.more), ("id,note".to_owned(), 5));
    let note = &shown.rows[0].cells[1];
    assert_eq!(
        (note.before.as_deref(), note.after.as_deref(), note.changed),
        (Some("new"), Some("old\tnote"), true)
    );
    assert!(!shown.rows[0].cells[0].changed);
    assert_eq!(shown.rows[1].cells[1].after.as_deref(), Some("NULL"));
}

#[test]
fn items_are_shown_and_a_changed_attachment_is_not() {
    let root = tempfile::tempdir().unwrap();
    let folder = PlanFolder::new(root.path());
    let lines = "{\"key\":\"a\",\"none\":null}\n{\"key\":\"b\",\"labels\":[1,2]}\n";
    let files = [("1-files.jsonl", lines)];
    let plan = plan(&folder, &files, vec![step(Action::Insert, "1-files.jsonl", 2, json!({}))]);
    let shown = sample(&folder, &plan, &plan.steps[0]).unwrap().unwrap();
    assert_eq!((shown.columns.join(","), shown.more), ("key,labels".to_owned(), 0));
    assert_eq!(shown.rows[1].cells[1].after.as_deref(), Some("[1,2]"));
    files::replace(&root.path().join("1-files.jsonl"), b"{}\n").unwrap();
    assert!(sample(&folder, &plan, &plan.steps[0]).is_err());
}

#[test]
fn a_plan_says_what_it_puts_back_where() {
    let root = tempfile::tempdir().unwrap();
    let folder = PlanFolder::new(root.path());
    let insert = step(Action::Insert, "rows/1.copy", 1, json!({}));
    let mut one = plan(&folder, &[("rows/1.copy", "")], vec![insert]);
    one.counts = Counts { inserted: 1, ..Counts::default() };
    let document = |plan: &Plan| Document::Plan(Box::new(plan.clone()));
    let parts = [one.clone()];
    assert_eq!(title(&document(&one), &parts), "Undo transaction 7: put back 1 row of public.a");
    one.subject.title = "shop.public.a as of 14:00".to_owned();
    one.counts = Counts { inserted: 1_500, conflicts: 1, ..Counts::default() };
    assert_eq!(title(&document(&one), &parts), "Put back 1,500 rows: shop.public.a as of 14:00");
    assert_eq!(
        sums(&one.counts, noun(&parts)),
        "1,500 rows put back; 1 row left alone, changed by somebody else since"
    );
    one.subject.title = "what happened to the mailbox public.a from 2026-04-25T14:00:08Z to now".to_owned();
    assert_eq!(
        title(&document(&one), &parts),
        "Undo what happened to the mailbox public.a: put back 1,500 rows",
        "nothing is said twice"
    );
    let at = Moment::from_micros(1);
    let mut bundle = connect::plan::Bundle::new(
        "b".to_owned(),
        "incident 1: psql as agent emptied it".to_owned(),
        at,
        vec![],
        vec![],
    );
    bundle.counts = one.counts;
    let mut mail = one.clone();
    mail.attachments.clear();
    mail.fidelity.push(connect::fidelity::Fidelity::new("message", connect::fidelity::Way::MadeAnew));
    assert_eq!(
        title(&Document::Bundle(bundle.clone()), std::slice::from_ref(&mail)),
        "Undo incident 1: put back 1,500 messages of public.a"
    );
    let both = [parts[0].clone(), Plan { destination: "other".to_owned(), ..mail }];
    assert_eq!(title(&Document::Bundle(bundle), &both), "Undo incident 1: put back 1,500 items");
    assert_eq!(sums(&Counts::default(), "row"), "nothing to do");
    assert_eq!(as_planned(1, 1, "row"), "1 of 1 row as planned");
}

#[test]
fn a_plan_of_this_home_is_known_by_its_name() {
    let home = tempfile::tempdir().unwrap();
    let kept = home.path().join("plans/incident-1");
    let folder = PlanFolder::new(&kept);
    folder.write(&plan(&folder, &[], Vec::new())).unwrap();
    assert_eq!(name_of(home.path(), &kept), "incident-1");
    assert_eq!(folder_named(home.path(), Path::new("incident-1")), kept);
    assert_eq!(folder_named(home.path(), &kept), kept);
    // Whatever else is named is taken as it stands.
    for other in ["plans/incident-1", "incident-2", "../incident-1", "."] {
        assert_eq!(folder_named(home.path(), Path::new(other)), Path::new(other));
    }
    assert_eq!(name_of(home.path(), Path::new("/elsewhere/plan")), "/elsewhere/plan");
}
