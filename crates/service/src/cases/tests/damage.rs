//! Files that are no cases.

use super::*;
use crate::watching::{ChannelConfig, Way};

#[test]
fn a_damaged_case_is_named_and_a_missing_one_says_where_to_look() {
    let home = Home::new(1);
    let id = home.requested(service());
    files::replace(&home.file(&id), b"{").unwrap();
    assert!(home.cases().list().unwrap().is_empty());
    let error = home.cases().get(&id).unwrap_err();
    assert!(error.to_string().contains(id.as_str()), "{error}");
    let error = home.cases().get(&CaseId::new("none").unwrap()).unwrap_err();
    assert_eq!(error.hint().as_deref(), Some("unwipe cases list"));
    assert!(home.folder.path().join(FILE_NAME).exists());
}

#[test]
fn a_damaged_case_hinders_what_it_may_be_about_and_nothing_else() {
    let home = Home::new(1);
    let (plan, about) = (home.requested(service()), home.weakening());
    let hash = PlanFolder::new(home.plan()).read_document(None).unwrap().hash().unwrap();
    home.approve(&plan, "ben").unwrap();
    // A weakening's case is damaged: it is about no plan, and that is known beside it.
    files::replace(&home.file(&about), b"{").unwrap();
    assert_eq!(home.cases().list().unwrap().len(), 1);
    drop(home.cases().begin(&plan).unwrap());
    assert_eq!(home.cases().of_plan(hash).unwrap().unwrap().id, plan);
    // It is not known any more what it was about: it may be a refusal of this very plan.
    let beside = home.folder.path().join(format!("state/cases/about/{about}"));
    std::fs::remove_file(&beside).unwrap();
    let told = |result: Result<Option<Case>, CaseError>| match result {
        Err(CaseError::Damaged { path, .. }) => path.ends_with(format!("{about}.json")),
        other => panic!("{other:?}"),
    };
    assert!(told(home.cases().of_plan(hash)));
    files::replace(&beside, b"nonsense").unwrap();
    assert!(told(home.cases().of_plan(hash)));
    // The plan's own case.
    files::replace(&beside, &[b'a'; 64]).unwrap();
    assert!(home.cases().of_plan(hash).is_ok());
    files::replace(&home.file(&plan), b"").unwrap();
    assert!(matches!(home.cases().of_plan(hash), Err(CaseError::Damaged { .. })));
    // Other cases go on, and their steps are recorded.
    let other = home.weakening();
    home.approve(&other, "ben").unwrap();
    assert_eq!(home.cases().record_pending().unwrap(), 0);
    assert_eq!(home.log.told().last().unwrap(), &format!("{other}/2 approved"));
}

#[test]
fn people_are_told_once_of_a_damaged_case() {
    let home = Home::new(1);
    let to = Way::File { path: "told.jsonl".into() };
    let channel = ChannelConfig { from: notify::Urgency::Alarm, to };
    home.reconfigure(|config| config.watch.notify = vec![channel]);
    let ports =
        Ports { clock: home.clock.clone(), random: home.random.clone(), tracing: ports::Tracing::default() };
    let installation = Installation::open(home.folder.path(), ports).unwrap();
    let look = || look_for_damage(&installation, &|_| None).unwrap();
    let id = home.weakening();
    assert!(look().is_empty());
    files::replace(&home.file(&id), b"{").unwrap();
    assert!(look()[0].contains(id.as_str()) && look()[0].contains("mv "));
    let told = files::read_text(&home.folder.path().join("told.jsonl")).unwrap();
    assert_eq!(told.lines().count(), 1, "{told}");
    std::fs::remove_file(home.file(&id)).unwrap();
    assert!(look().is_empty());
}
