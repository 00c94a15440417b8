//! Peers that are no PostgreSQL server, or pretend to be one.

use std::{
    io::{Read, Write},
    net::TcpListener,
    time::Duration,
};

use postgres_wire::{Connection, ConnectionSettings, Limits, Mode, WireError};

use crate::support::{chain, clock};

/// How long whoever is not answered waits.
const SHORT: Duration = Duration::from_millis(700);
/// How long whoever is answered may have to wait for it, on a machine that may be very busy.
const LONG: Duration = Duration::from_mins(2);

/// Lets a peer answer the start-up message with these bytes and then, unless it hangs up, stay silent.
fn answer(parameters: &str, bytes: &[u8], hang_up: bool) -> WireError {
    answer_within(LONG, parameters, bytes, hang_up)
}

fn answer_within(connect_timeout: Duration, parameters: &str, bytes: &[u8], hang_up: bool) -> WireError {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("postgresql://a:secret@127.0.0.1:{port}/db?{parameters}");
    let settings = ConnectionSettings::from_url(&url).unwrap();
    let limits = Limits { connect_timeout, ..Limits::default() };
    std::thread::scope(|scope| {
        let peer = scope.spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut startup = [0; 1024];
            assert!(stream.read(&mut startup).unwrap() > 0);
            // The client may hang up in the middle of it.
            stream.write_all(bytes).ok();
            if !hang_up {
                // Ends when the client hangs up.
                while stream.read(&mut startup).is_ok_and(|count| count > 0) {}
            }
        });
        let error = Connection::connect(&settings, Mode::Sql, &limits, clock()).unwrap_err();
        peer.join().unwrap();
        error
    })
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

#[test]
fn absurd_lengths_are_refused_before_anything_is_allocated() {
    for length in [0, 3, 64 * 1024 + 1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        let bytes = [&[b'R'][..], &length.to_be_bytes(), &[0; 64]].concat();
        let error = answer("sslmode=disable", &bytes, false);
        assert!(matches!(error, WireError::Violation { .. }), "{length}: {}", chain(&error));
    }
}

#[test]
fn other_protocols_are_told_from_servers() {
    for bytes in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"SSH-2.0-OpenSSH_9.2\r\n"] {
        let error = answer("sslmode=disable", bytes, true);
        assert!(matches!(error, WireError::Violation { .. }), "{}", chain(&error));
    }
    let error = answer("sslmode=require", b"HTTP/1.1 400 Bad Request\r\n\r\n", true);
    assert!(matches!(error, WireError::Violation { .. } | WireError::Closed { .. }), "{}", chain(&error));
}

#[test]
fn silence_and_hanging_up_end_the_attempt() {
    let error = answer_within(SHORT, "sslmode=disable", b"", false);
    assert!(matches!(error, WireError::TimedOut { .. }), "{}", chain(&error));
    let error = answer_within(SHORT, "sslmode=require", b"", false);
    assert!(matches!(error, WireError::TimedOut { .. }), "{}", chain(&error));
    let error = answer_within(SHORT, "sslmode=require", b"S", false);
    assert!(matches!(error, WireError::TimedOut { .. }), "{}", chain(&error));
    let error = answer("sslmode=disable", &message(b'R', &[0, 0])[..5], true);
    assert!(matches!(error, WireError::Closed { .. }), "{}", chain(&error));
}

#[test]
fn words_in_the_clear_are_never_taken_for_encrypted_ones() {
    let injected = [&b"S"[..], &message(b'R', &[0, 0, 0, 0]), &message(b'Z', b"I")].concat();
    let error = answer("sslmode=require", &injected, false);
    assert!(matches!(error, WireError::Tls { .. }), "{}", chain(&error));
}

#[test]
fn an_impostor_that_skips_the_proof_is_refused() {
    let offer = [&10_u32.to_be_bytes()[..], b"SCRAM-SHA-256\0\0"].concat();
    let bytes = [message(b'R', &offer), message(b'R', &0_u32.to_be_bytes()), message(b'Z', b"I")].concat();
    let error = answer("sslmode=disable", &bytes, false);
    assert!(
        matches!(error, WireError::Violation { .. } | WireError::ServerUnproven { .. }),
        "{}",
        chain(&error)
    );
    let huge = [&11_u32.to_be_bytes()[..], b"r=x,s=AAAA,i=4000000000"].concat();
    let bytes = [message(b'R', &offer), message(b'R', &huge)].concat();
    let error = answer("sslmode=disable", &bytes, false);
    assert!(matches!(error, WireError::ServerUnproven { .. }), "{}", chain(&error));
}

#[test]
fn chatter_does_not_outlast_the_deadline() {
    let notice = message(b'N', b"SNOTICE\0C00000\0Mhello\0\0");
    let error = answer_within(SHORT, "sslmode=disable", &notice.repeat(200_000), false);
    assert!(matches!(error, WireError::TimedOut { .. }), "{}", chain(&error));
}
