//! New versions of files are compared with what is remembered of the ones before.

use connect::{FileItem, FileOf};
use model::{Actor, Attribution, Severity, Verb};

use super::*;

/// A script whose items of the stream `files` are files.
struct Files<R>(R);

impl<R: SourceReader> SourceReader for Files<R> {
    fn changes(
        &mut self,
        cursor: Option<&connect::Cursor>,
        sink: &mut dyn ChangeSink,
        stop: &Stop,
    ) -> Result<ReadEnd, ReadError> {
        self.0.changes(cursor, sink, stop)
    }

    fn files(&self) -> Option<FileOf> {
        Some(|item| {
            (item.stream.as_str() == "files").then(|| FileItem {
                scope: "files".to_owned(),
                name: item.key.clone(),
                target: item.key.clone(),
                changed_at: None,
                changed_by: Some(Actor { identity: "anna".to_owned(), ..Actor::default() }),
            })
        })
    }
}

fn text(lines: usize, seed: usize) -> Vec<u8> {
    (0..lines)
        .flat_map(|line| format!("line {} of letter {seed}: all is well\n", line * seed).into_bytes())
        .collect()
}

fn ciphertext(bytes: usize, seed: u64) -> Vec<u8> {
    let mut all = vec![0; bytes];
    ports::Random::fill(&ports::SeededRandom::new(seed), &mut all);
    all
}

/// Captures contents of files, as one commit.
fn capture(world: &World, contents: &[(&str, Vec<u8>)], gone: &[&str]) {
    let mut reader = Files(script(|_, sink| {
        for (key, content) in contents {
            let (item, number) = (item("files", key), content.len());
            // Both ways in: whole, and as it is read.
            if number % 2 == 0 {
                sink.upsert_bytes(item, Layout::Small, content)?;
            } else {
                sink.upsert(item, Layout::Blocks, &mut content.as_slice())?;
            }
        }
        for key in gone {
            sink.removed(item("files", key).stream, (*key).to_owned())?;
        }
        sink.checkpoint(&cursor("1"))?;
        Ok(ReadEnd::UpToDate)
    }));
    world.session().run(&mut reader, &Stop::default()).unwrap();
}

#[test]
fn an_encrypted_file_is_told_as_an_event_and_an_edited_one_is_not() {
    let world = World::new();
    capture(&world, &[("a.txt", text(400, 1)), ("b.txt", text(500, 2)), ("c.txt", text(300, 3))], &[]);
    assert_eq!(world.events(), []);
    let edited = [text(400, 1), b"one more line\n".to_vec()].concat();
    capture(
        &world,
        &[("a.txt", edited), ("b.txt", ciphertext(20_001, 5)), ("d.txt", ciphertext(9_000, 6))],
        &[],
    );
    let events = world.events();
    assert_eq!(events.len(), 1, "{events:?}");
    let event = &events[0];
    assert_eq!((event.effects[0].verb, event.effects[0].target.as_str()), (Verb::Encrypt, "b.txt"));
    assert_eq!((event.severity, event.attribution), (Severity::Notable, Attribution::Inferred));
    assert_eq!((event.scope.as_str(), event.actor.as_ref().unwrap().identity.as_str()), ("files", "anna"));
    assert!(event.statement.as_ref().unwrap().contains("no known form"), "{event:?}");
    // It is compared with what it is now: nothing new is told.
    capture(&world, &[("b.txt", ciphertext(20_001, 5))], &[]);
    assert_eq!(world.events().len(), 1);
}

#[test]
fn many_make_an_attack_and_those_under_a_new_name_count_as_well() {
    let world = World::new();
    let names: Vec<String> = (0..8).map(|number| format!("folder/{number}.txt")).collect();
    let plain: Vec<_> =
        names.iter().enumerate().map(|(n, name)| (name.as_str(), text(200 + n, n + 1))).collect();
    capture(&world, &plain, &[]);
    let locked: Vec<String> = names.iter().map(|name| format!("{name}.locked")).collect();
    let secret: Vec<_> =
        locked.iter().enumerate().map(|(n, name)| (name.as_str(), ciphertext(8000 + n, n as u64))).collect();
    let gone: Vec<&str> = names.iter().map(String::as_str).collect();
    capture(&world, &secret, &gone);
    let events = world.events();
    assert_eq!(events.len(), 8);
    let destructive = events.iter().filter(|event| event.severity == Severity::Destructive).count();
    assert_eq!(destructive, 4, "from the fifth on");
    assert!(events.iter().any(|event| event.statement.as_ref().unwrap().contains("8 files look encrypted")));
}

#[test]
fn without_its_memory_nothing_is_told_and_everything_is_stored() {
    let world = World::new();
    capture(&world, &[("a.txt", text(400, 1))], &[]);
    ports::files::replace(&world.folder.path().join("sketches.sqlite"), b"no database at all").unwrap();
    capture(&world, &[("a.txt", ciphertext(20_000, 5))], &[]);
    assert_eq!(world.events(), []);
    let versions = world.catalog().live(&item("files", "a.txt").stream).unwrap();
    assert_eq!(world.read(&versions[0]), ciphertext(20_000, 5));
    // From then on it is remembered again.
    capture(&world, &[("a.txt", text(400, 1))], &[]);
    capture(&world, &[("a.txt", ciphertext(20_000, 7))], &[]);
    assert_eq!(world.events().len(), 1);
}

#[test]
fn what_is_no_file_is_not_looked_at() {
    let world = World::new();
    for content in [text(400, 1), ciphertext(20_000, 5)] {
        let mut reader = Files(script(|_, sink| {
            sink.upsert_bytes(item("mail", "1"), Layout::Small, &content)?;
            sink.checkpoint(&cursor("1"))?;
            Ok(ReadEnd::UpToDate)
        }));
        world.session().run(&mut reader, &Stop::default()).unwrap();
    }
    assert_eq!(world.events(), []);
}

#[test]
fn what_could_not_be_read_to_its_end_is_no_part_of_the_next_file() {
    struct Breaks(usize);
    impl std::io::Read for Breaks {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or_else(|| std::io::Error::other("gone"))?;
            buffer.copy_from_slice(&ciphertext(buffer.len(), 8));
            Ok(buffer.len())
        }
    }
    let world = World::new();
    capture(&world, &[("b.txt", text(400, 1))], &[]);
    let edited = [text(400, 1), b"one more line\n".to_vec()].concat();
    let mut reader = Files(script(|_, sink| {
        let failed = sink.upsert(item("files", "a.txt"), Layout::Blocks, &mut Breaks(3));
        assert!(matches!(failed, Err(SinkError::Body { .. })), "{failed:?}");
        sink.upsert_bytes(item("files", "b.txt"), Layout::Small, &edited)?;
        sink.checkpoint(&cursor("1"))?;
        Ok(ReadEnd::UpToDate)
    }));
    world.session().run(&mut reader, &Stop::default()).unwrap();
    assert_eq!(world.events(), []);
}

#[test]
fn files_larger_and_many_more_than_are_handed_over_at_once_are_all_compared() {
    let world = World::new();
    let names: Vec<String> = (0..1500).map(|number| format!("{number}.txt")).collect();
    let large = text(20_000, 3);
    assert!(large.len() > 600_000);
    let mut plain: Vec<_> =
        names.iter().enumerate().map(|(n, name)| (name.as_str(), text(8, n + 1))).collect();
    plain.push(("large.txt", large.clone()));
    capture(&world, &plain, &[]);
    let mut locked = plain.clone();
    for place in [0, 700, 1499, 1500] {
        locked[place].1 = ciphertext(locked[place].1.len() + place % 2, place as u64 + 1);
    }
    capture(&world, &locked, &[]);
    let mut targets: Vec<String> =
        world.events().iter().map(|event| event.effects[0].target.clone()).collect();
    targets.sort_unstable();
    assert_eq!(targets, ["0.txt", "1499.txt", "700.txt", "large.txt"]);
}
