//! Entry for fuzzing: any bytes, as the words of a server.

use std::{
    collections::{BTreeMap, VecDeque},
    io::Write,
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::Arc,
    time::Duration,
};

use ports::SystemClock;

use crate::{
    BaseBackupOptions, Connection, ConnectionSettings, Limits, Mode, WalMessage,
    channel::{Channel, Transport},
    connection::startup,
    error::Session,
    socket::Socket,
};

/// What fits into a socket's buffer without anybody reading.
const BYTES_MAX: usize = 32 << 10;
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Lets a server say these bytes and hang up; the first byte chooses what was asked. Must never panic.
pub fn fuzz_one(data: &[u8]) {
    let Some((choice, words)) = data.split_first() else { return };
    let words = &words[..words.len().min(BYTES_MAX)];
    // The peer's end lives as long as the session: closed early, it would turn every word of ours into an error.
    let Some((mut connection, _peer)) = session(words, *choice % 5 == 0) else { return };
    match *choice % 5 {
        0 => drop(startup::admit(&mut connection, Arc::new(SystemClock::new()))),
        1 => drop(connection.simple_query("SELECT 1")),
        2 => drop(connection.query_params("SELECT $1", &[Some("x"), None])),
        3 => follow(&mut connection, usize::from(*choice)),
        _ => back_up(&mut connection),
    }
    drop(connection.take_notices());
}

fn follow(connection: &mut Connection, choice: usize) {
    let stream = if choice.is_multiple_of(2) {
        connection.start_physical(Some("slot"), 0x10_0000, 1)
    } else {
        connection.start_logical("slot", 0x10_0000, &[])
    };
    let Ok(mut stream) = stream else { return };
    while let Ok(Some(message)) = stream.next(Duration::from_millis(50)) {
        if matches!(message, WalMessage::EndOfTimeline { .. }) {
            return;
        }
    }
}

fn back_up(connection: &mut Connection) {
    let Ok(mut stream) = connection.base_backup(&BaseBackupOptions::default()) else { return };
    while let Ok(Some(_)) = stream.next_event() {}
}

fn session(words: &[u8], fresh: bool) -> Option<(Connection, UnixStream)> {
    let (ours, mut theirs) = UnixStream::pair().ok()?;
    theirs.write_all(words).ok()?;
    theirs.shutdown(Shutdown::Write).ok()?;
    ours.set_write_timeout(Some(Duration::from_millis(50))).ok()?;
    let settings = ConnectionSettings::from_url("postgresql://a:secret@localhost/db?sslmode=disable").ok()?;
    let channel =
        Channel::new(Transport::Plain(Socket::Unix(ours)), Arc::new(SystemClock::new()), MESSAGE_BYTES_MAX);
    let session = Session {
        user: "a".to_owned(),
        mode: Mode::Sql,
        database: "db".to_owned(),
        encrypted: false,
        local: true,
    };
    let limits = Limits {
        connect_timeout: Duration::from_millis(200),
        read_timeout: Some(Duration::from_millis(50)),
        write_timeout: Some(Duration::from_millis(50)),
        message_bytes_max: MESSAGE_BYTES_MAX,
        result_bytes_max: MESSAGE_BYTES_MAX,
    };
    let connection = Connection {
        channel,
        session,
        limits,
        usable: !fresh,
        settings,
        parameters: BTreeMap::new(),
        notices: VecDeque::new(),
        backend_key: None,
        major: 17,
    };
    Some((connection, theirs))
}
