//! A tree whose files are encrypted between two captures.

use catalog::EventFilter;
use model::{Event, Severity, Verb};
use ports::{Random, SeededRandom};

use crate::world::World;

fn events(world: &World) -> Vec<Event> {
    let filter = EventFilter { from: None, until: None, severity: Severity::Routine, limit: 100 };
    world.catalog().events(filter).unwrap()
}

fn ciphertext(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SeededRandom::new(seed).fill(&mut bytes);
    bytes
}

#[test]
fn encrypted_files_are_told_whether_they_keep_their_names_or_not() {
    let world = World::new();
    let letter =
        |number: usize| format!("Dear customer {number}, all is well.\n").repeat(100 + number).into_bytes();
    for number in 0..12 {
        world.put(&format!("letters/{number}.txt"), &letter(number));
    }
    world.put("film.bin", &letter(1).repeat(900));
    world.capture();
    // Somebody works: letters are written anew, others are added to.
    world.put("letters/0.txt", &letter(77));
    world.put("letters/1.txt", &[letter(1), letter(5)].concat());
    world.capture();
    assert_eq!(events(&world), []);

    for number in 2..6 {
        world.put(&format!("letters/{number}.txt"), &ciphertext(5000, number as u64));
    }
    for number in 6..12 {
        let path = format!("letters/{number}.txt");
        std::fs::remove_file(world.tree().join(&path)).unwrap();
        world.put(&format!("{path}.locked"), &ciphertext(6000, number as u64));
    }
    // Too large to be held: it is seen while it is stored.
    world.put("film.bin", &ciphertext(3 << 20, 99));
    world.put("letters/HOW_TO_DECRYPT.txt", b"Pay.\n");
    world.capture();
    let events = events(&world);
    let mut targets: Vec<&str> = events.iter().map(|event| event.effects[0].target.as_str()).collect();
    targets.sort_unstable();
    assert_eq!(targets.len(), 11, "{targets:?}");
    assert!(targets.contains(&"film.bin") && targets.contains(&"letters/11.txt.locked"));
    assert!(events.iter().all(|event| event.effects[0].verb == Verb::Encrypt && event.scope == "files"));
    assert!(events.iter().any(|event| event.severity == Severity::Destructive));
    world.check();
}
