//! Capture is killed again and again while the server works: nothing is lost, nothing is doubled.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use postgres_server::testing;

use crate::{
    comeback::Comeback,
    production::{Production, content},
    unwipe::{Unwipe, exit, wait_until},
};

const SEGMENT_BYTES: u64 = 16 << 20;
const KILLS_DURING_BASE: u64 = 8;
const KILLS_DURING_STREAM: u64 = 42;
const TABLES: [&str; 4] = ["pgbench_accounts", "pgbench_branches", "pgbench_tellers", "pgbench_history"];

/// The load of `pgbench`; dropping it ends it.
struct Load(Child);

impl Load {
    fn start(url: &str) -> Self {
        let mut command = pgbench();
        command.args(["-n", "-c", "4", "-R", "300", "-T", "600", url]);
        Self(command.spawn().expect("pgbench runs"))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn pgbench() -> Command {
    let program =
        testing::installations().newest_tool("pgbench", 13).unwrap_or_else(|error| panic!("{error}"));
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn fifty_kills_under_load_lose_nothing() {
    let archive = testing::reachable_folder();
    fs::set_permissions(archive.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let production = Production::start_with(17, |options| {
        options.settings.set("archive_mode", "on");
        options.settings.set("archive_command", &format!("cp %p {}/%f", archive.path().display()));
    });
    let filled = pgbench().args(["-i", "-q", "-s", "3", &production.owner_url()]).status().unwrap();
    assert!(filled.success(), "pgbench -i failed");
    let unwipe = Unwipe::protecting(&production.capture_url());
    let load = Load::start(&production.owner_url());

    // Any sequence of moments would do; this one is the same in every run.
    let mut chance = 1_u64;
    let mut kill_after = |milliseconds: std::ops::Range<u64>| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let span = milliseconds.end - milliseconds.start;
        let capture = unwipe.capture();
        std::thread::sleep(Duration::from_millis(milliseconds.start + (chance >> 33) % span));
        capture.kill();
    };
    (0..KILLS_DURING_BASE).for_each(|_| kill_after(50..700));
    unwipe.capture_once();
    (0..KILLS_DURING_STREAM).for_each(|_| kill_after(50..1000));
    drop(load);
    wait_until("the load to end", || {
        production.sql("select count(*) from pg_stat_activity where application_name = 'pgbench'") == "0"
    });
    let last = production.sql("select pg_walfile_name(pg_switch_wal())");
    wait_until("the archive", || {
        archive.path().join(&last).metadata().is_ok_and(|file| file.len() == SEGMENT_BYTES)
    });
    unwipe.capture_once();

    assert_eq!(unwipe.json(&["verify", "--read-data"])["sound"], true);
    let exported = unwipe.path("wal");
    unwipe.json(&["export", "shop@latest", "--format", "wal", "--to", exported.to_str().unwrap()]);
    let compared = compare(&exported, archive.path());
    assert!(compared >= 2, "only {compared} segments were compared");

    let comeback = Comeback::to(&unwipe, "latest", "back");
    assert_eq!(content(comeback.url(), &TABLES), production.content(&TABLES));
    let timeline = unwipe.run(&["timeline", "shop", "--all"]).expect(exit::DONE).stdout;
    assert!(!timeline.contains("a hole"), "a kill made a hole:\n{timeline}");
}

/// Compares exported segments with the server's own archive; the last one ends where the moment is. Returns how many.
fn compare(exported: &Path, archive: &Path) -> usize {
    let mut names: Vec<String> = fs::read_dir(exported)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.len() == 24)
        .collect();
    names.sort();
    names.pop();
    for name in &names {
        let (ours, theirs) = (fs::read(exported.join(name)).unwrap(), fs::read(archive.join(name)).unwrap());
        assert!(ours == theirs, "segment {name} differs from the server's own archive");
    }
    names.len()
}
