//! How long things stay, as people decide it with the command line.

use crate::unwipe::{Unwipe, exit};

impl Unwipe {
    fn person(&self, name: &str) -> (String, String) {
        let key = self.argument(&format!("{name}.key"));
        let public = self.json(&["retention", "person", &key])["public"].as_str().unwrap().to_owned();
        (format!("{name}={public}"), format!("file:{key}"))
    }
}

#[test]
fn retention_is_lengthened_by_one_person_and_the_lock_floor_follows() {
    let unwipe = Unwipe::initialised();
    let before = unwipe.json(&["retention", "status"]);
    assert_eq!(before["lock_days"], 30);
    let lengthened = unwipe.json(&["retention", "lengthen", "90"]);
    assert!(lengthened["extended"].as_u64().unwrap() >= 2);
    // There is no way back: a shorter term changes nothing.
    unwipe.json(&["retention", "lengthen", "1"]);
    let status = unwipe.json(&["retention", "status"]);
    assert_eq!(status["lock_days"], 90);
    let floor = &status["floors"]["unwipe"];
    assert_eq!(floor["standing"], "good");
    assert!(floor["days_left"].as_u64().unwrap() >= 90);
    // What is locked for less than the policy promises is found, and mended.
    let renewed = unwipe.json(&["retention", "renew"]);
    assert_eq!(renewed["status"]["floors"]["unwipe"]["standing"], "good");
}

#[test]
fn a_hold_is_set_by_one_and_lifted_by_two() {
    let unwipe = Unwipe::initialised();
    let (anna, annas_key) = unwipe.person("anna");
    let (bert, berts_key) = unwipe.person("bert");
    let (_, eves_key) = unwipe.person("eve");
    let hold = unwipe.json(&["retention", "hold", "--reason", "incident 7"])["hold"].to_string();
    let lift = |key: &str| unwipe.run(&["retention", "lift", &hold, "--sign-with", key]);
    lift(&annas_key).refused(exit::AUTHENTICATION, "no people are named");
    let people = ["retention", "people", "--threshold", "2", "--person", &anna, "--person", &bert];
    unwipe.json(&people);
    lift(&annas_key).refused(exit::AUTHENTICATION, "1 of 2 signatures: anna");
    lift(&eves_key).refused(exit::AUTHENTICATION, "1 of 2 signatures: anna");
    assert!(unwipe.json(&["retention", "status"])["holds"][&hold].is_object());
    let lifted = lift(&berts_key).expect(exit::DONE);
    assert!(lifted.stdout.contains("anna, bert"), "{}", lifted.stdout);
    assert_eq!(unwipe.json(&["retention", "status"])["holds"], serde_json::json!({}));
    // One of them alone cannot choose other people, though he holds every key of this installation.
    let coup = ["retention", "people", "--threshold", "1", "--person", &bert, "--sign-with", &berts_key];
    unwipe.run(&coup).refused(exit::AUTHENTICATION, "1 of 2 signatures: bert");
}

#[test]
fn nothing_is_released_or_reaped_once_vault_time_lost_its_memory() {
    let unwipe = Unwipe::initialised();
    unwipe.json(&["retention", "lengthen", "31"]);
    unwipe.json(&["retention", "release"]);
    std::fs::remove_file(unwipe.home().join("state/vault-time.json")).unwrap();
    unwipe
        .run(&["retention", "release"])
        .refused(exit::RETENTION, "what was remembered of vault time is gone");
    unwipe.run(&["retention", "reap"]).refused(exit::RETENTION, "frozen");
    let (anna, key) = unwipe.person("anna");
    unwipe.json(&["retention", "people", "--threshold", "1", "--person", &anna]);
    unwipe.json(&["retention", "thaw", "--sign-with", &key]);
    unwipe.json(&["retention", "release"]);
    assert_eq!(unwipe.json(&["retention", "reap"])["reaped"], 0);
    // A memory that makes no sense is no new beginning.
    std::fs::write(unwipe.home().join("state/vault-time.json"), "{}").unwrap();
    unwipe.run(&["retention", "release"]).refused(exit::RETENTION, "is no record of vault time");
}
