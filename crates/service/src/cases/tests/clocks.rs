//! Clocks that lie.

use super::*;

#[test]
fn what_lapsed_stays_lapsed_when_the_clock_goes_back() {
    let home = Home::new(1);
    let id = home.requested(service());
    home.second(1_000);
    assert!(matches!(home.approve(&id, "ben"), Err(CaseError::Refused(Refusal::Expired { .. }))));
    home.second(-900);
    assert!(matches!(home.approve(&id, "ben"), Err(CaseError::Refused(Refusal::Over { .. }))));
    assert_eq!(home.log.told().last().unwrap(), &format!("{id}/2 expired"));
    // A list shows it too, and a new case may be opened.
    assert!(matches!(home.cases().list().unwrap()[0].state, State::Expired { .. }));
    assert_ne!(home.requested(service()), id);
}

#[test]
fn whoever_sets_the_host_s_clock_forward_ends_no_delay() {
    let home = Home::new(1);
    let id = home.weakening();
    home.approve(&id, "ben").unwrap();
    home.clock.jump_micros(101_000_000);
    assert!(matches!(home.cases().begin(&id), Err(CaseError::Refused(Refusal::Delay { .. }))));
    // Looking often adds nothing either, and a machine that was off has not been running.
    home.clock.restart(50_000_000);
    for _ in 0..10 {
        home.remember_time();
        assert!(home.cases().begin(&id).is_err());
    }
    home.second(99);
    assert!(home.cases().begin(&id).is_err());
    home.second(1);
    drop(home.cases().begin(&id).unwrap());
}

#[test]
fn a_delay_starts_again_when_the_memory_of_vault_time_is_gone() {
    let home = Home::new(1);
    let id = home.weakening();
    home.approve(&id, "ben").unwrap();
    home.second(90);
    std::fs::remove_file(home.folder.path().join("state/vault-time.json")).unwrap();
    home.second(20);
    assert!(matches!(home.cases().begin(&id), Err(CaseError::Refused(Refusal::Delay { .. }))));
    home.remember_time();
    assert!(home.cases().begin(&id).is_err());
    let steps = home.log.steps.lock().unwrap().clone();
    let told = &steps.last().unwrap().1.notices;
    assert!(told[0].urgent && told[0].sentence.contains("starts again"), "{told:?}");
    home.second(99);
    assert!(home.cases().begin(&id).is_err());
    home.second(1);
    drop(home.cases().begin(&id).unwrap());
    // A memory that is no memory shortens nothing, and hinders no restore.
    files::replace(&home.folder.path().join("state/vault-time.json"), b"{").unwrap();
    let (id, plan) = (home.weakening(), home.requested(service()));
    home.approve(&id, "ben").unwrap();
    home.approve(&plan, "ben").unwrap();
    home.second(500);
    assert!(matches!(home.cases().begin(&id), Err(CaseError::Refused(Refusal::Delay { .. }))));
    drop(home.cases().begin(&plan).unwrap());
}

#[test]
fn a_clock_that_goes_back_revives_no_case_that_nobody_looked_at() {
    let home = Home::new(1);
    let id = home.requested(service());
    home.second(1_000);
    home.clock.jump_micros(-900_000_000);
    assert!(matches!(home.approve(&id, "ben"), Err(CaseError::Refused(Refusal::Expired { .. }))));
    assert!(matches!(home.cases().get(&id).unwrap().state, State::Expired { .. }));
}
