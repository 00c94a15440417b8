use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use blobs::{MemoryStore, RemoteSettings, RemoteStore};
use model::{Item, Moment, Redacted, SourceName, StreamName};
use ports::{BlobName, BlobStore, Clock, ManualClock, SeededRandom, SystemClock};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use vault::{CaptureKey, InitOptions, Layout, NewVault, VaultReader, VaultWriter, WriterOptions, init};
use vault_server::{Authority, Issued, Keeper, Policy, Server, ServerSettings};

pub(crate) const LOCK_DAYS: u32 = 30;

/// A vault on "another host", its server, and the authority of both.
pub(crate) struct World {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) random: Arc<SeededRandom>,
    pub(crate) keys: NewVault,
    pub(crate) authority: Authority,
    pub(crate) server: Server,
    pub(crate) folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Policy::default(), None)
    }

    /// A server that soon gives up waiting for whoever is silent.
    pub(crate) fn impatient() -> Self {
        Self::made(Policy::default(), None, Duration::from_secs(2))
    }

    pub(crate) fn with(policy: Policy, free: Option<u64>) -> Self {
        Self::made(policy, free, Duration::from_mins(1))
    }

    fn made(policy: Policy, free: Option<u64>, patience: Duration) -> Self {
        // The real time, because clients check the server's certificate with theirs.
        let clock = Arc::new(ManualClock::new(SystemClock::new().now()));
        let random = Arc::new(SeededRandom::new(7));
        let store = Arc::new(MemoryStore::new());
        let keys = init(&*store, InitOptions { lock_days: LOCK_DAYS }, &*clock, &*random).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::init(&folder.path().join("authority"), clock.now()).unwrap();
        let shared: Arc<dyn BlobStore> = Arc::clone(&store) as _;
        let accounts = folder.path().join("accounts.json");
        let keeper = Keeper::open(shared, &accounts, policy, clock.clone(), Box::new(move || free)).unwrap();
        let certificate = authority.issue_server("localhost", 30, clock.now()).unwrap();
        let settings = ServerSettings {
            certificate: certificate.certificate,
            key: certificate.key,
            authority: authority.certificate().unwrap(),
            revoked: Some(authority.revoked_path()),
            patience,
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server::start(listener, settings, Arc::new(keeper), clock.clone()).unwrap();
        Self { store, clock, random, keys, authority, server, folder }
    }

    pub(crate) fn issue(&self, capability: &str) -> Issued {
        self.authority.issue_client(&capability.parse().unwrap(), 10, self.clock.now()).unwrap()
    }

    pub(crate) fn client(&self, capability: &str) -> Arc<RemoteStore> {
        self.client_with(&self.issue(capability), &self.authority.certificate().unwrap())
    }

    pub(crate) fn client_with(&self, issued: &Issued, authority: &str) -> Arc<RemoteStore> {
        self.client_at(self.server.address(), issued, authority)
    }

    pub(crate) fn client_at(
        &self,
        address: SocketAddr,
        issued: &Issued,
        authority: &str,
    ) -> Arc<RemoteStore> {
        let settings = RemoteSettings {
            url: format!("https://localhost:{}", address.port()),
            certificate: issued.certificate.clone(),
            key: issued.key.clone(),
            authority: authority.to_owned(),
        };
        // Its pauses between attempts cost no time.
        let clock = Arc::new(ManualClock::new(self.clock.now()));
        Arc::new(RemoteStore::open(&settings, clock).unwrap())
    }

    pub(crate) fn writer(&self, store: Arc<dyn BlobStore>) -> VaultWriter {
        writer(store, &self.keys.capture_key, self.clock.clone(), Arc::clone(&self.random))
    }

    pub(crate) fn reader(&self, store: Arc<dyn BlobStore>) -> VaultReader {
        VaultReader::open(store, &self.keys.restore_key).unwrap()
    }

    /// Opens a TLS connection and leaves the rest to the test.
    pub(crate) fn raw(&self, capability: &str) -> Raw {
        let issued = self.issue(capability);
        Raw::connect(self, Some(&issued), &[&rustls::version::TLS13])
    }
}

pub(crate) fn writer(
    store: Arc<dyn BlobStore>,
    key: &CaptureKey,
    clock: Arc<ManualClock>,
    random: Arc<SeededRandom>,
) -> VaultWriter {
    let options = WriterOptions {
        threads: 0,
        pack_bytes_target: 100_000,
        page_frame_bytes: 32 << 10,
        frame_bytes: 48 << 10,
        ..WriterOptions::default()
    };
    VaultWriter::open(store, key, clock, random, options).unwrap()
}

/// Commits one item, and returns the objects that were written for it.
pub(crate) fn commit(writer: &VaultWriter, source: &str, bytes: &[u8]) -> vault::CommitReceipt {
    let mut commit = writer.begin(&SourceName::new(source).unwrap());
    let content = commit.store_bytes(Layout::Small, bytes).unwrap();
    let item =
        Item { stream: StreamName::new("base").unwrap(), key: "a".to_owned(), attributes: "{}".to_owned() };
    commit.upsert(item, content).unwrap();
    commit.finish(&vault::Cursor(b"here".to_vec())).unwrap()
}

pub(crate) fn name(text: &str) -> BlobName {
    BlobName::new(text).unwrap()
}

pub(crate) fn far(world: &World) -> Moment {
    vault::retention::lock_until(world.clock.now(), LOCK_DAYS)
}

/// Copies what a writer made in a store of its own: objects as an honest client would send them.
pub(crate) fn object(store: &dyn BlobStore, prefix: &str) -> (BlobName, Vec<u8>) {
    let blob = store.list(prefix).unwrap().pop().unwrap();
    let bytes = store.read(&blob.name).unwrap();
    (blob.name, bytes)
}

/// A client that sends whatever it likes.
pub(crate) struct Raw {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

impl Raw {
    pub(crate) fn connect(
        world: &World,
        issued: Option<&Issued>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        let authority = world.authority.certificate().unwrap();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let config = match issued {
            None => builder.with_no_client_auth(),
            Some(issued) => {
                let chain = CertificateDer::pem_slice_iter(issued.certificate.as_bytes());
                let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
                let key = PrivateKeyDer::from_pem_slice(key_bytes(&issued.key)).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let session = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test on the loopback")]
        let socket = TcpStream::connect(world.server.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        Self { stream: StreamOwned::new(session, socket) }
    }

    /// Sends bytes; the server may have hung up by then.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Says that nothing more comes.
    pub(crate) fn finish(&mut self) {
        self.stream.conn.send_close_notify();
        drop(self.stream.flush());
        drop(self.stream.sock.shutdown(std::net::Shutdown::Write));
    }

    /// Reads until the server hangs up, or as long as its answer is.
    pub(crate) fn answer(&mut self) -> Option<(u16, String)> {
        let mut text = Vec::new();
        let mut buffer = [0; 4096];
        while !is_whole(&text) {
            match self.stream.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(count) => text.extend_from_slice(&buffer[..count]),
            }
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        let status = text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        Some((status, text))
    }

    pub(crate) fn ask(&mut self, request: &str) -> Option<(u16, String)> {
        self.send(request.as_bytes()).ok()?;
        self.answer()
    }
}

fn key_bytes(key: &Redacted<String>) -> &[u8] {
    key.expose().as_bytes()
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    length.is_some_and(|length| body.len() >= length)
}
