use std::{fs, os::unix::fs::symlink};

use connect::Silent;
use model::Redacted;

use super::*;
use crate::own::{Own, pieces};

fn look(folder: &Path, limits: Limits, own_folders: &[PathBuf]) -> Looked {
    let owned = Owned::new(vec![Own {
        what: "the restore key".to_owned(),
        power: Power::Read,
        values: pieces("AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ"),
    }]);
    let mut scanner = Scanner::new(&owned, own_folders, limits, &Silent);
    scanner.folder(folder);
    scanner.finish()
}

#[expect(clippy::disallowed_methods, reason = "a test makes its files")]
fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::write(path, content).unwrap();
}

fn why<'a>(looked: &'a Looked, name: &str) -> Option<&'a str> {
    looked.skipped.iter().find(|skipped| skipped.path.ends_with(name)).map(|skipped| skipped.why.as_str())
}

#[test]
fn a_hostile_folder_is_looked_through_once_and_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at(".env"), "API_TOKEN=abcdefgh\n");
    symlink(at(".env"), at("again")).unwrap();
    symlink(folder.path(), at("round")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        at("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    write(&at("program"), [b"\x7fELF\0\0".as_slice(), b"PASSWORD=inside-of-a-program\n"].concat());
    let mut deep = folder.path().to_owned();
    for _ in 0..30 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();

    let looked = look(folder.path(), Limits::default(), &[]);
    assert_eq!(looked.credentials.len(), 1, "{looked:?}");
    assert!(why(&looked, "pipe").unwrap().contains("no regular file"));
    assert!(why(&looked, "round").unwrap().contains("no regular file"));
    assert!(why(&looked, "program").unwrap().contains("no text"));
    assert!(why(&looked, "dangling").is_some());
    assert!(looked.skipped.iter().any(|skipped| skipped.why.contains("folders deep")));
}

#[test]
fn a_huge_line_is_bounded_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = File::create(folder.path().join("dump.env")).unwrap();
    // A hundred million bytes without a line end, of which the disk keeps none.
    file.set_len(100_000_000).unwrap();
    let long = "x".repeat(2 << 20);
    write(&folder.path().join("long.env"), format!("DB_PASSWORD=first-secret\nBLOB={long}\n"));
    let limits = Limits { file_bytes: 1 << 20, ..Limits::default() };
    let looked = look(folder.path(), limits, &[]);
    assert!(looked.skipped.iter().any(|skipped| skipped.path.ends_with("dump.env")));
    assert!(why(&looked, "long.env").unwrap().contains("only its first"));
    assert_eq!(looked.credentials.len(), 1);
}

#[test]
fn many_files_end_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..30 {
        write(&folder.path().join(number.to_string()), "A=1\n");
    }
    let looked = look(folder.path(), Limits { files: 10, ..Limits::default() }, &[]);
    assert_eq!(looked.places, 10);
    assert!(looked.skipped.iter().any(|skipped| skipped.why.contains("more than 10 files")));
}

#[test]
fn what_may_not_be_read_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("closed");
    write(&closed, "API_TOKEN=abcdefgh\n");
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    fs::set_permissions(&closed, permissions).unwrap();
    let looked = look(folder.path(), Limits::default(), &[]);
    // Root reads everything.
    if rustix::process::geteuid().is_root() {
        assert_eq!(looked.credentials.len(), 1);
    } else {
        assert!(why(&looked, "closed").unwrap().to_lowercase().contains("permission"));
    }
}

#[test]
fn a_copy_of_an_own_secret_is_found_in_any_file_and_the_own_folder_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("home");
    fs::create_dir(&own).unwrap();
    let key = "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ";
    write(&own.join("restore.key"), key);
    write(&folder.path().join("notes.bin"), format!("\0\0{key}\0"));
    let looked = look(folder.path(), Limits::default(), std::slice::from_ref(&own));
    assert_eq!(looked.held.len(), 1, "{looked:?}");
    assert!(looked.held[0].found.ends_with("notes.bin"));
    assert_eq!(looked.inside, [own]);
}

#[test]
fn an_environment_leads_to_the_files_that_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("passwords");
    write(&file, "PASSWORD=correct-horse\n");
    let owned = Owned::new(vec![Own {
        what: "the writer's key".to_owned(),
        power: Power::Add,
        values: vec![Redacted::new("writer".to_owned())],
    }]);
    let mut scanner = Scanner::new(&owned, &[], Limits::default(), &Silent);
    let file = file.to_str().unwrap();
    let variables = [
        ("PGPASSFILE", file),
        ("AWS_ACCESS_KEY_ID", "writer"),
        ("AWS_SECRET_ACCESS_KEY", "something-else"),
        ("HOME", "/root"),
    ];
    scanner.environment(variables, "the environment", Some(0));
    let looked = scanner.finish();
    assert_eq!(looked.credentials.len(), 2, "{looked:?}");
    assert_eq!(looked.held[0].what, "the writer's key");
    assert!(looked.held[0].found.contains("AWS_ACCESS_KEY_ID"));
}
