//! The vault's disk runs full: nothing is acknowledged that is not durable, and production does not notice.

use std::{path::PathBuf, process::Command};

use rustix::process::geteuid;

use crate::{
    comeback::Comeback,
    production::{Production, content, newest_major},
    unwipe::{Unwipe, exit},
};

/// A small file system in memory. Dropping it unmounts it.
pub(crate) struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    pub(crate) fn mount(at: PathBuf, size: &str) -> Self {
        std::fs::create_dir(&at).unwrap();
        let disk = Self { at };
        disk.run(&["mount", "-t", "tmpfs", "-o", &format!("size={size},mode=0755"), "tmpfs"]);
        disk
    }

    pub(crate) fn grow(&self, size: &str) {
        self.run(&["mount", "-o", &format!("remount,size={size}")]);
    }

    fn run(&self, command: &[&str]) {
        let status = Command::new(command[0]).args(&command[1..]).arg(&self.at).status().unwrap();
        assert!(status.success(), "{command:?} failed");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.at).status());
    }
}

#[test]
fn a_full_disk_stops_the_capture_and_nothing_else() {
    if !geteuid().is_root() {
        println!("not run: mounting a small disk takes root");
        return;
    }
    let production = Production::start(newest_major());
    production.open_shop(200);
    production.sql("create table blobs(id bigserial primary key, bytes bytea not null)");
    let unwipe = Unwipe::nowhere();
    // Declared later and so dropped sooner: a folder on which something is mounted cannot be removed.
    let disk = SmallDisk::mount(unwipe.home(), "64m");
    unwipe.initialise();
    unwipe.json(&["protect", "shop", "postgres", "--url", &production.capture_url()]);
    unwipe.capture_once();

    let capture = unwipe.capture();
    production.wait_for_stream();
    let noise = "insert into blobs(bytes) select decode(string_agg(md5(random()::text), ''), 'hex') \
                 from generate_series(1, 4000) g, generate_series(1, 50) h group by g";
    for _ in 0..30 {
        production.sql(noise);
    }
    let ended = capture.wait().refused(exit::FAILED, "No space left on device");
    assert!(ended.line("hint").contains("make room"), "{ended}");

    // Whatever was acknowledged is recycled now; had it not been durable, there would be a hole.
    for _ in 0..4 {
        production.sql("insert into customers(name) values ('while the disk is full'); select pg_switch_wal(); checkpoint");
    }
    unwipe.run(&["capture", "shop", "--once"]).refused(exit::FAILED, "No space left on device");
    disk.grow("1g");
    unwipe.capture_once();
    let timeline = unwipe.run(&["timeline", "shop", "--all"]).expect(exit::DONE).stdout;
    assert!(!timeline.contains("a hole"), "what was acknowledged was not durable:\n{timeline}");
    assert_eq!(unwipe.json(&["verify", "--read-data"])["sound"], true);
    let comeback = Comeback::to(&unwipe, "latest", "back");
    let tables = ["customers", "orders", "blobs"];
    assert_eq!(content(comeback.url(), &tables), production.content(&tables));
}
