use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use blobs::MemoryStore;
use model::SourceName;
use ports::{BlobStore, Clock, Random, TimeSource};
use vault::{
    Layout, MemoryChunks,
    verify::{Depth, verify},
};

use crate::support::{World, commit, name};

#[test]
fn a_put_only_certificate_is_enough_to_capture_and_deduplicate() {
    let world = World::new();
    let store = world.client("capture/shop");
    let writer = world.writer(Arc::clone(&store) as _);
    let shop = SourceName::new("shop").unwrap();
    let known = MemoryChunks::new(100_000);
    let mut bytes = vec![0; 300_000];
    world.random.fill(&mut bytes);
    let mut written = Vec::new();
    for round in 0..3 {
        let mut commit = writer.begin_with(&shop, Box::new(known.clone()));
        let content = commit.store_bytes(Layout::Small, &bytes).unwrap();
        let item = model::Item {
            stream: model::StreamName::new("base").unwrap(),
            key: "same".to_owned(),
            attributes: format!("{{\"round\":{round}}}"),
        };
        commit.upsert(item, content).unwrap();
        let receipt = commit.finish(&vault::Cursor(b"c".to_vec())).unwrap();
        written.push(receipt.new_bytes);
        world.clock.advance_micros(40 * 3_600 * 1_000_000);
    }
    assert!(written[0] > 300_000 && written[1] < 20_000, "{written:?}");
    // A fresh process resumes where the last one left off.
    let fresh = world.writer(world.client("capture/shop"));
    assert_eq!(fresh.cursor(&shop).unwrap().unwrap().0, b"c");

    let reader = world.reader(world.client("restore"));
    let (_, body) = reader.commit(&shop, 3).unwrap();
    let vault::Change::Upsert { content, .. } = &body.changes[0] else { panic!("no upsert") };
    assert_eq!(reader.read_all(content).unwrap(), bytes);
    let report = verify(reader.vault(), Some(&reader), Depth::ReadData, &mut |_| {}).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
}

#[test]
fn packs_of_the_usual_size_pass() {
    let world = World::new();
    let random = Arc::clone(&world.random);
    let mut bytes = vec![0; 40_000_000];
    random.fill(&mut bytes);
    let store: Arc<dyn BlobStore> = world.client("capture/shop");
    let options = vault::WriterOptions::default();
    let clock = world.clock.clone();
    let usual = options.pack_bytes_target;
    let writer = vault::VaultWriter::open(store, &world.keys.capture_key, clock, random, options).unwrap();
    let receipt = commit(&writer, "shop", &bytes);
    assert!(receipt.packs.iter().any(|pack| pack.size_bytes >= usual), "{:?}", receipt.packs);
    let reader = world.reader(world.client("mirror"));
    assert!(verify(reader.vault(), Some(&reader), Depth::ReadData, &mut |_| {}).unwrap().is_sound());
}

#[test]
fn retention_is_lengthened_through_the_server() {
    let world = World::new();
    let writer = world.writer(world.client("capture/shop"));
    commit(&writer, "shop", b"one");
    assert!(writer.lengthen(90).unwrap() >= 3);
    let ninety = vault::retention::retained_until(world.clock.now(), 90);
    for blob in world.store.list("").unwrap() {
        assert!(blob.locked_until.unwrap() >= ninety, "{}", blob.name);
    }
}

#[test]
fn the_servers_clock_is_a_source_of_time() {
    let world = World::new();
    let client = world.client("capture/shop");
    assert_eq!(TimeSource::read(&*client).unwrap(), world.clock.now());
}

#[test]
fn what_must_not_work_is_tried_and_seen_to_fail() {
    let world = World::new();
    let client = world.client("capture/shop");
    commit(&world.writer(Arc::clone(&client) as _), "shop", b"one");
    let attempts = client.attempt_forbidden().unwrap();
    assert_eq!(attempts.len(), 3);
    assert!(attempts.iter().all(|attempt| attempt.held), "{attempts:?}");
    assert!(client.attempt_reading().unwrap().unwrap().held);
    assert!(!world.client("restore").attempt_reading().unwrap().unwrap().held);
}

#[test]
fn a_lost_answer_is_resolved_by_looking() {
    let world = World::new();
    let proxy = Proxy::start(&world);
    let authority = world.authority.certificate().unwrap();
    let store = world.client_at(proxy.address, &world.issue("capture/shop"), &authority);
    let writer = world.writer(store);
    // The first upload through the proxy reaches the server, and its answer is lost.
    proxy.trap.set();
    let receipt = commit(&writer, "shop", &vec![7; 50_000]);
    assert_eq!((receipt.sequence, receipt.overtaken_by), (1, 0));
    proxy.trap.set();
    let receipt = commit(&writer, "shop", b"two");
    assert_eq!((receipt.sequence, receipt.overtaken_by), (2, 0));
    assert_eq!(proxy.trap.cuts.load(Ordering::SeqCst), 2);
    assert_eq!(world.store.list("log/shop/").unwrap().len(), 2);
}

#[test]
fn two_writers_of_one_source_do_not_fork_its_log() {
    let world = World::new();
    let (first, second) =
        (world.writer(world.client("capture/shop")), world.writer(world.client("capture/shop")));
    for number in 1..=3 {
        assert_eq!(commit(&first, "shop", b"first").sequence, 2 * number - 1);
        assert_eq!(commit(&second, "shop", b"second").sequence, 2 * number);
    }
    let reader = world.reader(world.client("mirror"));
    assert!(verify(reader.vault(), None, Depth::Structure, &mut |_| {}).unwrap().is_sound());
    assert!(world.store.head(&name("log/shop/0000000006")).is_ok());
}

/// Passes bytes on, and cuts a connection once the server has stored something and wants to say so.
struct Proxy {
    address: SocketAddr,
    trap: Arc<Trap>,
}

struct Trap {
    store: Arc<MemoryStore>,
    /// How many objects there were when the trap was set.
    objects: Mutex<Option<usize>>,
    cuts: AtomicUsize,
}

impl Trap {
    fn count(&self) -> usize {
        self.store.list("").unwrap().len()
    }

    fn set(&self) {
        *self.objects.lock().unwrap() = Some(self.count());
    }

    fn springs(&self) -> bool {
        let mut objects = self.objects.lock().unwrap();
        let springs = objects.is_some_and(|before| before < self.count());
        if springs {
            *objects = None;
            self.cuts.fetch_add(1, Ordering::SeqCst);
        }
        springs
    }
}

impl Proxy {
    fn start(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let trap = Arc::new(Trap {
            store: Arc::clone(&world.store),
            objects: Mutex::new(None),
            cuts: AtomicUsize::new(0),
        });
        let (server, caught) = (world.server.address(), Arc::clone(&trap));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                #[expect(clippy::disallowed_methods, reason = "a test on the loopback")]
                let server = TcpStream::connect(server).unwrap();
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || pass(from, to, &|| false));
                let trap = Arc::clone(&caught);
                std::thread::spawn(move || pass(server, client, &|| trap.springs()));
            }
        });
        Self { address, trap }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, cut: &dyn Fn() -> bool) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if cut() || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    drop(to.shutdown(std::net::Shutdown::Both));
    drop(from.shutdown(std::net::Shutdown::Both));
}
