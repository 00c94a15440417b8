use connect::{ChangeSink, Cursor, ReadEnd, ReadError, SourceReader, Stop};
use model::{Item, Layout};
use source_files::{Attributes, Kind};

use crate::world::{World, seen, stream};

/// A source that lies: it stores what it was told to.
struct Liar(Vec<(&'static str, Kind, &'static str)>);

impl SourceReader for Liar {
    fn changes(
        &mut self,
        _: Option<&Cursor>,
        sink: &mut dyn ChangeSink,
        _: &Stop,
    ) -> Result<ReadEnd, ReadError> {
        for (key, kind, target) in &self.0 {
            let attributes = Attributes {
                kind: *kind,
                mode: 0o6777,
                modified_ns: 5,
                owner: 0,
                group: 0,
                target: (*kind == Kind::Link).then(|| (*target).to_owned()),
                names: None,
                changed_while_read: false,
            };
            let item = Item { stream: stream(), key: (*key).to_owned(), attributes: attributes.to_text() };
            sink.upsert_bytes(item, Layout::Small, b"evil")?;
        }
        sink.checkpoint(&Cursor("x".to_owned()))?;
        Ok(ReadEnd::UpToDate)
    }
}

#[test]
fn no_stored_name_leads_out_of_the_folder() {
    let world = World::new();
    let outside = world.folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let names = vec![
        ("../outside/1", Kind::File, ""),
        ("/tmp/unwipe-hostile", Kind::File, ""),
        ("a/../../outside/2", Kind::File, ""),
        ("..", Kind::Folder, ""),
        ("", Kind::File, ""),
        ("x%00y", Kind::File, ""),
        ("%2E%2E/outside/3", Kind::File, ""),
        ("%2", Kind::File, ""),
        (".", Kind::Link, "../outside"),
        (".", Kind::File, ""),
        ("good", Kind::File, ""),
    ];
    let refused = names.len() as u64 - 1;
    world.run(&mut Liar(names)).unwrap();
    let (restored, to) = world.restore_at(1).unwrap();
    // Two of them have one key: the later one counts.
    assert_eq!((restored.files, restored.refused_count), (1, refused - 1));
    assert_eq!(seen(&to).keys().map(Vec::len).collect::<Vec<_>>(), [0, 4]);
    assert!(seen(&outside).len() == 1 && !std::path::Path::new("/tmp/unwipe-hostile").exists());
}

#[test]
fn nothing_is_written_through_a_stored_link() {
    let world = World::new();
    let outside = world.folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let names = vec![
        ("a", Kind::Link, "../outside"),
        ("a/1", Kind::File, ""),
        ("a/b", Kind::Folder, ""),
        ("c", Kind::File, ""),
        ("c/1", Kind::File, ""),
    ];
    world.run(&mut Liar(names)).unwrap();
    let (restored, to) = world.restore_at(1).unwrap();
    assert!(restored.refused_count > 0);
    assert_eq!(seen(&outside).len(), 1);
    let modes: Vec<u32> = seen(&to)
        .values()
        .filter(|(mode, ..)| mode & 0o170_000 == 0o100_000)
        .map(|(mode, ..)| *mode)
        .collect();
    assert!(modes.iter().all(|mode| mode & 0o6000 == 0), "set-id bits came back: {modes:?}");
}

#[test]
fn a_folder_that_is_not_empty_is_left_alone() {
    let world = World::new();
    world.put("a", b"a");
    world.capture();
    let to = world.folder.path().join("restored-0");
    std::fs::create_dir(&to).unwrap();
    ports::files::create_new(&to.join("precious"), b"p", 0o600).unwrap();
    let error = world.restore_at(1).unwrap_err();
    assert!(matches!(error, files_recovery::RestoreError::NotEmpty { .. }), "{error}");
    assert_eq!(seen(&to).len(), 2);
}
