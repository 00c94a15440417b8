//! Whose certificates are trusted, and what becomes of a connection that is cut below TLS.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use connect_http::{HttpSettings, HttpTransport, Request, Transport, TransportError};
use rcgen::CertifiedKey;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::PrivateKeyDer;
use tempfile::NamedTempFile;

struct TlsServer {
    url: String,
    certificate: NamedTempFile,
    requests: Arc<AtomicUsize>,
}

/// Answers every request with these bytes and closes the connection without a word.
fn serve(answer: &'static [u8]) -> TlsServer {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let mut certificate = NamedTempFile::new().unwrap();
    certificate.write_all(cert.pem().as_bytes()).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            let mut head = [0; 4096];
            // A client without trust ends here.
            if stream.read(&mut head).is_ok_and(|length| length > 0) {
                count.fetch_add(1, Ordering::SeqCst);
                stream.write_all(answer).ok();
                stream.flush().ok();
            }
        }
    });
    TlsServer { url, certificate, requests }
}

fn get(server: &TlsServer, settings: HttpSettings) -> Result<Vec<u8>, TransportError> {
    let transport = HttpTransport::new(settings).unwrap();
    transport.send(&Request::get(&server.url))?.body.bytes(1000)
}

fn trusting(server: &TlsServer) -> HttpSettings {
    HttpSettings { certificates: Some(server.certificate.path().to_owned()), ..HttpSettings::default() }
}

#[test]
fn only_the_given_certificates_are_trusted() {
    let server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(get(&server, trusting(&server)).unwrap(), b"ok");
    let stranger = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    for settings in [HttpSettings::default(), trusting(&server)] {
        let error = get(&stranger, settings).unwrap_err();
        assert!(matches!(error, TransportError::Unreachable { .. }), "{error:?}");
    }
    assert_eq!(stranger.requests.load(Ordering::SeqCst), 0);
}

#[test]
fn a_cut_below_tls_never_gives_short_data() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nok",
    ] {
        let server = serve(answer);
        let error = get(&server, trusting(&server)).unwrap_err();
        let cut = matches!(error, TransportError::Broken { .. } | TransportError::Invalid { .. });
        assert!(cut, "{error:?}");
    }
}
