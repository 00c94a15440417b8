//! The shadow, scratch servers made from it, and bases rolled from it.

use std::{io::Read, path::Path, sync::Arc};

use connect::{Silent, SinkError, StoredItem};
use model::{Item, Layout, Moment};
use ports::SystemClock;
use postgres_recovery::{
    ClusterHistory, Origin, PageStore, RolledBase, ScratchOptions, ShadowFeed, resolve, scratch_at,
};
use postgres_server::{
    shadow::Shadow,
    testing::{PATIENCE, account, installation, psql, reachable_folder},
};
use source_postgres::layout::BaseKind;

use crate::{
    restore::{ask, production, restore},
    store::MemoryStore,
};

pub(crate) fn scratch_options(major: u32, folder: &Path) -> ScratchOptions {
    ScratchOptions {
        installation: installation(major),
        account: account(),
        folder: folder.to_owned(),
        timeout: PATIENCE,
        clock: Arc::new(SystemClock::new()),
    }
}

struct Collect<'a> {
    store: &'a mut MemoryStore,
    with_earlier: usize,
}

impl PageStore for Collect<'_> {
    fn store(
        &mut self,
        item: Item,
        _layout: Layout,
        body: &mut dyn Read,
        earlier: Option<&StoredItem>,
    ) -> Result<(), SinkError> {
        let mut content = Vec::new();
        let key = item.key.clone();
        body.read_to_end(&mut content).map_err(|source| SinkError::Body { key, source })?;
        self.with_earlier += usize::from(earlier.is_some());
        self.store.put(&item.stream, &item.key, item.attributes, content);
        Ok(())
    }
}

#[test]
fn the_shadow_follows_and_serves_scratch_servers_and_bases() {
    let server = production(15);
    server.sql("alter system set work_mem = '7MB'");
    server.sql("create table t as select generate_series(1, 1000) as id");
    let mut store = MemoryStore::default();
    store.take_base(&server);
    server.sql("insert into t values (1001)");
    store.take_wal(&server);
    let folder = reachable_folder();
    let clock = Arc::new(SystemClock::new());
    let mut shadow = Shadow::open(&folder.path().join("shadow"), installation(15), account(), clock).unwrap();
    let wal_folder = folder.path().join("wal");
    let follow = |store: &MemoryStore, shadow: &mut Shadow| {
        let history = ClusterHistory::read(store).unwrap();
        let account = account();
        let feed = ShadowFeed {
            stored: store,
            history: &history,
            account: &account,
            wal_folder: &wal_folder,
            timeout: PATIENCE,
        };
        feed.follow(shadow, &Silent).unwrap()
    };
    let first = follow(&store, &mut shadow);
    server.sql("insert into t values (1002)");
    let transaction = server.sql("begin; truncate t; select txid_current(); commit");
    server.sql("checkpoint");
    server.sql("create table later (id int)");
    store.take_wal(&server);

    // Before the truncation: the first generation lies before it.
    let history = ClusterHistory::read(&store).unwrap();
    let target = format!("before-transaction:{transaction}").parse().unwrap();
    let resolution = resolve(&store, &history, target, None).unwrap();
    let options = scratch_options(15, &folder.path().join("scratch"));
    let count = |scratch: &postgres_recovery::Scratch| {
        psql(&scratch.url("postgres", "postgres"), "select count(*) from t").unwrap()
    };
    let scratch = scratch_at(&store, &history, Some(&shadow), &resolution.route, &options, &Silent).unwrap();
    assert!(matches!(scratch.origin, Origin::Shadow { .. }));
    assert_eq!(count(&scratch), "1002");
    drop(scratch);
    assert!(!options.folder.exists());

    // The newest generation lies after it: the one before must serve.
    let second = follow(&store, &mut shadow);
    assert!(second.generation.lsn > first.generation.lsn);
    assert_eq!(shadow.generations().len(), 2);
    let scratch = scratch_at(&store, &history, Some(&shadow), &resolution.route, &options, &Silent).unwrap();
    assert!(matches!(scratch.origin, Origin::Shadow { .. }));
    assert_eq!(count(&scratch), "1002");
    drop(scratch);
    let scratch = scratch_at(&store, &history, None, &resolution.route, &options, &Silent).unwrap();
    assert_eq!((scratch.origin, count(&scratch)), (Origin::Base, "1002".to_owned()));
    drop(scratch);

    // A base rolled from the newest generation restores without anything from before.
    let data = folder.path().join(format!("shadow/generation-{}/data", second.generation.number));
    let rolled = RolledBase::of(&data, &history.bases[0], Moment::from_micros(0)).unwrap();
    let reading = store.clone();
    let mut sink = Collect { store: &mut store, with_earlier: 0 };
    let base = rolled.store(&reading, &mut sink).unwrap();
    assert!(sink.with_earlier > 100, "{}", sink.with_earlier);
    assert_eq!(base.kind, BaseKind::Rolled);
    server.sql("insert into later values (7)");
    store.take_wal(&server);
    store.forget_wal(1, 0, base.start_lsn / 8192 * 8192);
    // Replay needs the header of the segment's first page too, which capture streams from a segment's start.
    store.take_wal(&server);
    let history = ClusterHistory::read(&store).unwrap();
    let route = history.choose_latest(None).unwrap();
    assert_eq!(route.wal_start_lsn(), base.start_lsn);
    let restored = restore(&store, 15, "latest", &folder.path().join("restored")).unwrap();
    assert_eq!(ask(&restored, "select count(*) from t"), "0");
    assert_eq!(ask(&restored, "select id from later"), "7");
    let auto = String::from_utf8(
        store
            .content_mut(
                &source_postgres::layout::base_files_stream(base.start_lsn).unwrap(),
                "postgresql.auto.conf",
            )
            .clone(),
    )
    .unwrap();
    assert!(auto.contains("work_mem = '7MB'"), "{auto}");
}

/// A small XFS on a loop device, unmounted when dropped. Needs root and the tools of XFS.
struct Xfs {
    mount: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Xfs {
    fn mount() -> Option<Self> {
        let run = |program: &str, arguments: &[&str]| {
            let output = std::process::Command::new(program).args(arguments).output();
            output.is_ok_and(|output| output.status.success())
        };
        let folder = reachable_folder();
        let (image, mount) = (folder.path().join("image"), folder.path().join("mount"));
        std::fs::create_dir(&mount).unwrap();
        let (image, place) = (image.to_str().unwrap().to_owned(), mount.to_str().unwrap().to_owned());
        let mounted = run("truncate", &["-s", "1G", &image])
            && run("mkfs.xfs", &["-q", "-m", "reflink=1", &image])
            && run("mount", &["-o", "loop", &image, &place]);
        mounted.then(|| {
            assert!(run("chmod", &["755", &place]));
            Self { mount, _folder: folder }
        })
    }
}

impl Drop for Xfs {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg(&self.mount).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} stays mounted", self.mount.display());
    }
}

#[test]
fn on_a_file_system_that_shares_blocks_a_scratch_server_shares_them() {
    // Where nothing can be mounted, the test of copying says all there is to say.
    let Some(xfs) = Xfs::mount() else { return };
    let server = production(15);
    server
        .sql("create table t as select i as id, repeat('x', 200) as text from generate_series(1, 200000) i");
    let mut store = MemoryStore::default();
    store.take_base(&server);
    server.sql("insert into t values (0, 'last')");
    store.take_wal(&server);
    let history = ClusterHistory::read(&store).unwrap();
    let clock = Arc::new(SystemClock::new());
    let mut shadow = Shadow::open(&xfs.mount.join("shadow"), installation(15), account(), clock).unwrap();
    let account = account();
    let wal_folder = xfs.mount.join("wal");
    let feed = ShadowFeed {
        stored: &store,
        history: &history,
        account: &account,
        wal_folder: &wal_folder,
        timeout: PATIENCE,
    };
    feed.follow(&mut shadow, &Silent).unwrap();
    let route = history.choose_latest(None).unwrap();
    let options = scratch_options(15, &xfs.mount.join("scratch"));
    let scratch = scratch_at(&store, &history, Some(&shadow), &route, &options, &Silent).unwrap();
    assert_eq!(scratch.origin, Origin::Shadow { reflinked: true });
    let count = psql(&scratch.url("postgres", "postgres"), "select count(*) from t").unwrap();
    assert_eq!(count, "200001");
    println!("scratch from reflink: {} ms", scratch.elapsed.as_millis());
}
