//! Renewal, release and reaping on whole vaults: what must stay stays, and what has lapsed goes.

mod histories;
mod scene;

use std::{collections::BTreeMap, sync::Arc};

use blobs::MemoryStore;
use model::SourceName;
use ports::{BlobName, BlobStore, Clock};
use ring::signature::{Ed25519KeyPair, KeyPair};
use vault::{
    Layout,
    mirror::{MirrorOptions, MirrorWatch, Pair, pull},
    quorum::{Answer, PURPOSE, Question, Quorum},
    reap::{ReapError, ReaperMemory, ReaperMemoryError},
    retention::{
        DAY_MICROS, FloorStanding, MARGIN_DAYS, RetentionLogError, Statement, Stays, Suspicion,
        confirm_question, lift_question,
    },
    verify::{Depth, verify},
};

use self::scene::{Scene, WINDOW_DAYS};
use crate::support::{cursor, put, shop};

fn person(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn two_of_three() -> Quorum {
    let people = (1..=3).map(|n| (format!("person {n}"), hex(person(n).public_key().as_ref()))).collect();
    Quorum { threshold: 2, people }
}

fn answers(scene: &Scene, question: &Question, people: &[u8]) -> Vec<Answer> {
    let message = [PURPOSE.as_bytes(), &[0], &question.message(&scene.vault().manifest().vault)].concat();
    people
        .iter()
        .map(|n| Answer {
            public: hex(person(*n).public_key().as_ref()),
            signature: hex(person(*n).sign(&message).as_ref()),
        })
        .collect()
}

#[test]
fn locks_follow_what_is_live_and_the_floor_shows_when_nobody_renews() {
    let scene = Scene::new(51);
    scene.commit(&[("a", Some(1)), ("b", Some(1))]);
    for _ in 0..60 {
        scene.pass_days(1);
        let report = scene.renew();
        assert!(report.failures.is_empty(), "{:?}", report.failures);
        let floor = &report.floors[&shop()];
        assert_eq!(floor.standing(scene.now(), WINDOW_DAYS), FloorStanding::Good, "{floor:?}");
    }
    // Nobody renews: an alarm comes while the policy still holds, and only much later it does not.
    let mut seen = BTreeMap::new();
    for day in 0..MARGIN_DAYS + 3 {
        let report = scene.look();
        seen.entry(report.floors[&shop()].standing(scene.now(), WINDOW_DAYS)).or_insert(day);
        scene.pass_days(1);
    }
    assert!(seen[&FloorStanding::Late] + 3 <= seen[&FloorStanding::Broken], "{seen:?}");
}

#[test]
fn what_was_replaced_is_reaped_after_its_window_and_not_before() {
    let scene = Scene::new(52);
    scene.commit(&[("a", Some(1)), ("b", Some(2))]);
    let mut memory = ReaperMemory::in_memory();
    scene.release().unwrap();
    scene.pass_days(1);
    scene.commit(&[("a", Some(3))]);
    scene.commit(&[("b", None)]);
    let mut reaped_on = None;
    for day in (0..WINDOW_DAYS * 3).step_by(3) {
        scene.renew();
        scene.release().unwrap();
        let report = scene.reap(&mut memory).unwrap();
        if !report.reaped.is_empty() {
            assert!(report.refused.is_empty());
            reaped_on.get_or_insert(day);
        }
        scene.pass_days(3);
    }
    let day = reaped_on.expect("what nobody needs goes in the end");
    assert!(day >= WINDOW_DAYS, "reaped on day {day}");
    assert_eq!(scene.restore("a"), Some(3));
    assert_eq!(scene.restore("b"), None);
    assert_eq!(scene.findings(), []);
}

#[test]
fn what_was_reaped_is_no_loss_to_an_old_mirror_and_no_hole_in_a_new_one() {
    let scene = Scene::new(64);
    scene.commit(&[("a", Some(1)), ("b", Some(2))]);
    let pair = || Pair {
        origin: scene.world.store.clone(),
        mirror: Arc::new(MemoryStore::new()),
        clock: scene.world.clock.clone(),
    };
    let run = |pair: &Pair| pull(pair, &MirrorOptions::default(), MirrorWatch::IDLE).unwrap();
    let old = pair();
    run(&old);
    scene.pass_days(1);
    scene.commit(&[("a", Some(3)), ("b", None)]);
    let mut memory = ReaperMemory::in_memory();
    let mut reaped = 0;
    for _ in 0..WINDOW_DAYS {
        scene.renew();
        scene.release().unwrap();
        reaped += scene.reap(&mut memory).unwrap().reaped.len();
        let report = run(&old);
        assert!(report.complete && report.differences.is_empty(), "{report:?}");
        assert!(report.floors.values().all(|f| f.standing(scene.now(), WINDOW_DAYS) == FloorStanding::Good));
        scene.pass_days(3);
    }
    assert!(reaped > 0);
    assert!(run(&old).lapsed_objects > 0);
    let new = pair();
    let report = run(&new);
    assert!(report.complete && report.differences.is_empty(), "{report:?}");
    for mirror in [old.mirror, new.mirror] {
        let reader = vault::VaultReader::open(mirror, &scene.world.keys.restore_key).unwrap();
        let report = verify(reader.vault(), Some(&reader), Depth::ReadData, &mut |_| {}).unwrap();
        assert!(report.is_sound(), "{:?}", report.findings);
    }
}

#[test]
fn nothing_lapses_when_captures_stop() {
    let scene = Scene::new(53);
    scene.commit(&[("a", Some(1))]);
    let mut memory = ReaperMemory::in_memory();
    for _ in 0..100 {
        scene.pass_days(4);
        scene.renew();
        scene.release().unwrap();
        assert!(scene.reap(&mut memory).unwrap().reaped.is_empty());
    }
    assert_eq!(scene.restore("a"), Some(1));
}

#[test]
fn a_source_that_was_emptied_releases_nothing_until_people_confirm_it() {
    let scene = Scene::new(54);
    let keys: Vec<String> = (0..20).map(|n| format!("key-{n}")).collect();
    for key in &keys {
        scene.commit(&[(key, Some(1))]);
    }
    assert_eq!(scene.release().unwrap().survey.sources()[&shop()].suspicion, Some(Suspicion::First));
    assert_eq!(scene.release().unwrap().survey.sources()[&shop()].suspicion, None);
    for key in &keys[..15] {
        scene.commit(&[(key, None)]);
    }
    let report = scene.release().unwrap();
    let suspicion = Suspicion::Replaced { replaced: 15, live: 20 };
    assert_eq!(report.survey.sources()[&shop()].suspicion, Some(suspicion.clone()));
    assert!(report.released.is_empty());
    // It does not get used to it: looking again changes nothing.
    assert_eq!(scene.release().unwrap().survey.sources()[&shop()].suspicion, Some(suspicion));
    scene.append(Statement::People { quorum: two_of_three(), answers: Vec::new() });
    let sequence = scene.vault().last_sequence(&shop()).unwrap();
    let question = confirm_question(&shop(), sequence);
    let confirm = |people: &[u8]| Statement::Confirm {
        source: shop(),
        sequence,
        answers: answers(&scene, &question, people),
    };
    scene.append(confirm(&[1]));
    assert!(scene.release().unwrap().released.is_empty(), "one person is not enough");
    scene.append(confirm(&[1, 3]));
    assert_eq!(scene.release().unwrap().released.len(), 15);
}

#[test]
fn a_source_of_one_item_that_was_emptied_is_suspicious_too() {
    let scene = Scene::new(63);
    scene.commit(&[("only", Some(1))]);
    scene.release().unwrap();
    scene.commit(&[("only", None)]);
    let report = scene.release().unwrap();
    assert_eq!(
        report.survey.sources()[&shop()].suspicion,
        Some(Suspicion::Replaced { replaced: 1, live: 1 })
    );
    assert!(report.released.is_empty());
}

#[test]
fn a_hold_stops_releases_until_enough_people_lift_it() {
    let scene = Scene::new(55);
    scene.commit(&[("a", Some(1))]);
    scene.release().unwrap();
    scene.commit(&[("a", Some(2))]);
    let hold = scene.append(Statement::Hold { source: Some(shop()), reason: "incident 7".to_owned() });
    assert!(scene.release().unwrap().released.is_empty());
    scene.append(Statement::People { quorum: two_of_three(), answers: Vec::new() });
    for (people, lifted) in [(&[2_u8][..], false), (&[2, 2], false), (&[2, 9], false), (&[1, 2], true)] {
        let answers = answers(&scene, &lift_question(hold), people);
        scene.append(Statement::Lift { hold, answers });
        assert_eq!(scene.log().holds().is_empty(), lifted, "{people:?}");
    }
    assert_eq!(scene.release().unwrap().released.len(), 1);
}

#[test]
fn the_people_decide_who_takes_their_place() {
    let scene = Scene::new(56);
    scene.append(Statement::People { quorum: two_of_three(), answers: Vec::new() });
    let eve =
        Quorum { threshold: 1, people: [("eve".to_owned(), hex(person(9).public_key().as_ref()))].into() };
    scene.append(Statement::People { quorum: eve.clone(), answers: Vec::new() });
    assert_eq!(
        scene.log().people(),
        Some(&two_of_three()),
        "whoever holds the restore key is not the people"
    );
    let question = vault::retention::people_question(&eve);
    let agreed = answers(&scene, &question, &[1, 2]);
    scene.append(Statement::People { quorum: eve.clone(), answers: agreed });
    assert_eq!(scene.log().people(), Some(&eve));
}

#[test]
fn entries_that_the_owner_did_not_sign_are_passed_over_and_one_that_is_missing_stops_everything() {
    let scene = Scene::new(57);
    scene.commit(&[("a", Some(1))]);
    scene.release().unwrap();
    scene.commit(&[("a", Some(2))]);
    let packs = scene.vault().commit(&shop(), 1).unwrap().envelope.packs.iter().map(|pack| pack.id).collect();
    // Somebody who can create objects, with a key of their own, in the next place.
    scene.append_as(&person(66), Statement::Release { packs, surveyed: Vec::new() });
    let log = scene.log();
    assert!(log.released().is_empty());
    assert_eq!(log.foreign().len(), 1);
    assert_eq!(scene.release().unwrap().released.len(), 1, "it goes on behind the foreign object");
    assert!(!scene.log().is_broken());
    // The first genuine entry is taken away: what came after it hangs in the air.
    scene.memory.damage(&BlobName::new("retention/0000000001").unwrap(), |_| None);
    assert!(scene.log().is_broken());
    let refused = scene.release();
    assert!(matches!(refused, Err(ReapError::Log(RetentionLogError::Broken))), "{refused:?}");
}

#[test]
fn a_forged_date_hastens_nothing() {
    let scene = Scene::new(58);
    scene.commit(&[("a", Some(1))]);
    scene.release().unwrap();
    scene.commit(&[("a", Some(2))]);
    let mut memory = ReaperMemory::in_memory();
    // The restore key is stolen: the thief signs a release that claims to be a year old, with all sources surveyed.
    let packs = scene.vault().commit(&shop(), 1).unwrap().envelope.packs.iter().map(|pack| pack.id).collect();
    let surveyed = vec![vault::retention::Surveyed { source: shop(), sequence: 1000, live_items: 1 }];
    let long_ago = scene.now().plus_micros(-366 * DAY_MICROS);
    scene.append_at(long_ago, Statement::Release { packs, surveyed });
    for _ in 0..WINDOW_DAYS - 1 {
        let report = scene.reap(&mut memory).unwrap();
        assert!(report.reaped.is_empty());
        assert!(report.staying.keys().all(|stays| matches!(stays, Stays::InWindow { .. })));
        scene.pass_days(1);
    }
}

#[test]
fn a_log_that_became_shorter_is_noticed_by_the_reaper() {
    let scene = Scene::new(59);
    scene.commit(&[("a", Some(1))]);
    scene.commit(&[("a", Some(2))]);
    let mut memory = ReaperMemory::in_memory();
    scene.reap(&mut memory).unwrap();
    scene.memory.damage(&BlobName::new("log/shop/0000000002").unwrap(), |_| None);
    let error = scene.reap(&mut memory).unwrap_err();
    let rolled_back =
        matches!(error, ReapError::Memory(ReaperMemoryError::RolledBack { found: 1, seen: 2, .. }));
    assert!(rolled_back, "{error:?}");
}

#[test]
fn a_pack_that_is_referred_to_again_is_recalled_and_renewed() {
    let scene = Scene::new(60);
    let known = vault::MemoryChunks::new(1000);
    let commit = |key: &str, byte: u8| {
        let writer = scene.world.writer();
        let mut commit = writer.begin_with(&shop(), Box::new(known.clone()));
        put(&mut commit, key, Layout::Small, &[byte; 3000]);
        commit.finish(&cursor("")).unwrap();
    };
    commit("a", 1);
    scene.release().unwrap();
    commit("a", 2);
    assert_eq!(scene.release().unwrap().released.len(), 1);
    scene.pass_days(i64::from(WINDOW_DAYS) / 2);
    // The same bytes under another name: the released pack is live again, and its lock was extended first.
    commit("b", 1);
    let report = scene.renew();
    assert_eq!(report.released, 0, "a commit that the release did not see makes it void, without any key");
    assert_eq!(scene.release().unwrap().recalled.len(), 1);
    assert!(scene.log().released().is_empty());
}

#[test]
fn retention_is_frozen_with_vault_time() {
    let scene = Scene::new(61);
    scene.commit(&[("a", Some(1))]);
    scene.release().unwrap();
    scene.world.clock.jump_micros(400 * DAY_MICROS);
    assert!(matches!(scene.release(), Err(ReapError::Frozen { .. })));
    let reaped = scene.reap(&mut ReaperMemory::in_memory());
    assert!(matches!(reaped, Err(ReapError::Frozen { .. })));
    // Writing goes on.
    scene.commit(&[("a", Some(2))]);
    assert_eq!(scene.restore("a"), Some(2));
}

#[test]
fn a_damaged_commit_stops_reaping_because_nobody_knows_what_it_needs() {
    let scene = Scene::new(62);
    scene.commit(&[("a", Some(1))]);
    scene.release().unwrap();
    scene.commit(&[("a", Some(2))]);
    let name = BlobName::new("log/shop/0000000002").unwrap();
    scene.memory.damage(&name, |bytes| {
        bytes[60] ^= 1;
        Some(())
    });
    assert!(matches!(scene.release(), Err(ReapError::Unsound { count: 1, .. })));
    let sources: Vec<SourceName> = scene.vault().sources().unwrap();
    assert_eq!(sources, [shop()]);
    assert!(scene.memory.head(&name).unwrap().locked_until.unwrap() > scene.world.clock.now());
}
