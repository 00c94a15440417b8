//! Whatever bytes come from the peer, every command ends: with a result or an error, never a panic or a hang.

use std::{io::Write, net::Shutdown, os::unix::net::UnixStream, time::Duration};

use ports::SystemClock;
use proptest::prelude::*;

use super::*;
use crate::{
    base_backup::BaseBackupOptions,
    channel::Transport,
    settings::{Host, TlsMode},
    socket::Socket,
};

/// A session whose server has said all this and then hung up.
fn session(major: u32, bytes: &[u8]) -> (Connection, UnixStream) {
    let (near, mut far) = UnixStream::pair().unwrap();
    far.write_all(bytes).unwrap();
    far.shutdown(Shutdown::Write).unwrap();
    let session = Session {
        user: "a".into(),
        mode: Mode::PhysicalReplication,
        database: "a".into(),
        encrypted: false,
        local: true,
    };
    let mut settings = ConnectionSettings::new(Host::new("/"), "a");
    settings.tls = TlsMode::Disable;
    let transport = Transport::Plain(Socket::Unix(near));
    let connection = Connection {
        channel: Channel::new(transport, Arc::new(SystemClock::new()), 100_000),
        session,
        limits: Limits { read_timeout: Some(Duration::from_secs(10)), ..Limits::default() },
        usable: true,
        settings,
        parameters: BTreeMap::new(),
        notices: VecDeque::new(),
        backend_key: None,
        major,
    };
    (connection, far)
}

/// Runs every kind of exchange against the same answer.
fn fuzz_one(bytes: &[u8]) {
    let with = |major: u32, exchange: &dyn Fn(&mut Connection)| {
        let (mut connection, _far) = session(major, bytes);
        exchange(&mut connection);
    };
    with(15, &|connection| drop(connection.simple_query("select 1")));
    with(15, &|connection| drop(connection.query_params("select $1", &[Some("x")])));
    with(15, &|connection| drop(connection.copy_out("copy t to stdout", &mut |_| Ok(()))));
    with(15, &|connection| {
        if let Ok(mut copy) = connection.copy_in("copy t from stdin") {
            copy.write(b"1\n").ok();
            copy.finish().ok();
        }
    });
    with(15, &|connection| drop(connection.identify_system()));
    with(15, &|connection| drop(connection.read_slot("a")));
    with(15, &|connection| drop(connection.timeline_history(2)));
    with(15, &|connection| drop(connection.create_logical_slot("a", "b", true, true)));
    for major in [13, 17] {
        with(major, &|connection| {
            if let Ok(mut backup) = connection.base_backup(&BaseBackupOptions::default()) {
                while let Ok(Some(_)) = backup.next_event() {}
            }
        });
    }
    with(15, &|connection| {
        if let Ok(mut stream) = connection.start_physical(None, 0, 1) {
            while let Ok(Some(_)) = stream.next(Duration::from_secs(10)) {
                stream.is_ready().ok();
            }
            stream.stop().ok();
        }
    });
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 4).to_be_bytes();
    [&[tag][..], &length, body].concat()
}

fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let tags = b"RSKZTDCIENAGHWdcvst123n".to_vec();
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        // The beginnings that lead deeper: stream data, backup messages, texts, counted fields.
        (prop::sample::select(b"wkdnmp".to_vec()), prop::collection::vec(any::<u8>(), 0..60))
            .prop_map(|(kind, rest)| [vec![kind], rest].concat()),
        Just(b"base.tar\0\0".to_vec()),
        Just(b"nbase.tar\0\0".to_vec()),
        Just(b"SELECT 1\0".to_vec()),
        Just(b"\0\x02\0\0\0\x030/1\0\0\0\x011".to_vec()),
        Just(b"\0\x01a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0".to_vec()),
        Just(b"SERROR\0C42704\0Mgone\0\0".to_vec()),
        Just(b"\0\0\0".to_vec()),
        Just(Vec::new()),
    ];
    (prop::sample::select(tags), body).prop_map(|(tag, body)| message(tag, &body))
}

proptest! {
    #[test]
    fn foreign_bytes_end_every_exchange(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        fuzz_one(&bytes);
    }

    #[test]
    fn well_framed_nonsense_ends_every_exchange(messages in prop::collection::vec(any_message(), 0..40)) {
        fuzz_one(&messages.concat());
    }
}

#[test]
fn an_error_before_readiness_leaves_the_session_usable() {
    let error = message(b'E', b"SERROR\0VERROR\0C42601\0Mno\0\0");
    let (mut connection, _far) = session(15, &[error.clone(), message(b'Z', b"I")].concat());
    assert!(matches!(connection.simple_query("x"), Err(WireError::Server { .. })));
    assert!(connection.is_usable());
    let (mut connection, _far) = session(15, &error);
    assert!(matches!(connection.simple_query("x"), Err(WireError::Server { .. })));
    assert!(!connection.is_usable());
    assert!(matches!(connection.simple_query("x"), Err(WireError::Unusable)));
}

#[test]
fn a_large_message_arrives_whole_and_the_buffer_serves_the_next() {
    let large = vec![7_u8; 90_000];
    let bytes =
        [message(b'H', b"\0\0\0"), message(b'd', &large), message(b'd', b"x"), message(b'c', b"")].concat();
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut channel =
        Channel::new(Transport::Plain(Socket::Unix(near)), Arc::new(SystemClock::new()), 100_000);
    let writer = std::thread::spawn(move || {
        for _ in 0..50 {
            far.write_all(&bytes).unwrap();
        }
    });
    let (mut count, mut sum) = (0, 0);
    loop {
        match channel.receive(Wait::Silence(Some(Duration::from_secs(10)))) {
            Ok(Some(Incoming::CopyData(range))) => {
                let data = channel.bytes(range);
                assert!(data == large || data == b"x");
                count += 1;
                sum += data.len();
            }
            Ok(Some(_)) => {}
            Ok(None) => panic!("nothing came"),
            Err(WireError::Closed { source: None }) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((count, sum), (100, 50 * 90_001));
    writer.join().unwrap();
}
