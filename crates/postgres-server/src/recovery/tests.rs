use super::{outcome::Log, *};

#[test]
fn a_path_cannot_break_out_of_the_command() {
    let wal = WalSource::Folder(PathBuf::from("/a b/it's 100%"));
    let command = wal.command(None);
    assert!(command.contains(r"test -e '/a b/it'\''s 100%%'/%f || exit 1"), "{command}");
    let noted = wal.command(Some(Path::new("/notes")));
    assert!(noted.starts_with("echo %f >> '/notes'; "), "{noted}");
}

#[test]
fn each_target_becomes_one_setting() {
    let settings = |target| Recovery::scratch(target, WalSource::Present).settings(None);
    let moment = Moment::from_micros(1_777_126_843_000_001);
    let time = settings(Target::Time { moment, inclusive: false });
    assert_eq!(time.get("recovery_target_time"), Some("2026-04-25 14:20:43.000001+00"));
    assert_eq!(time.get("recovery_target_inclusive"), Some("off"));
    let lsn = settings(Target::Lsn { lsn: 0x1_0000_0028, inclusive: true });
    assert_eq!(lsn.get("recovery_target_lsn"), Some("1/28"));
    assert_eq!(
        settings(Target::Latest).iter().filter(|(name, _)| name.starts_with("recovery_target")).count(),
        2
    );
}

#[test]
fn both_wordings_of_a_small_setting_are_read() {
    let old = "FATAL:  hot standby is not possible because max_connections = 10 is a lower setting than on the \
               master server (its value was 250)";
    let new = "DETAIL:  max_worker_processes = 8 is a lower setting than on the primary server, where its value was 64.";
    for (line, expected) in [(old, ("max_connections", 250)), (new, ("max_worker_processes", 64))] {
        let Some(RecoveryError::Setting { name, needed }) = Log(line.to_owned()).small_setting() else {
            panic!("not read: {line}")
        };
        assert_eq!((name.as_str(), needed), expected);
    }
}
