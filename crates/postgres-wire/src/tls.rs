//! TLS over an open socket, with libpq's ideas of what is verified.

use std::{
    fmt,
    io::{self, Read, Write},
    sync::Arc,
};

use ports::Clock;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
    time_provider::TimeProvider,
};

use crate::{
    error::TlsError,
    settings::{ConnectionSettings, Host, RootCertificates, TlsMode},
    socket::{Ready, Socket},
};

mod end_point;

/// An encrypted socket.
pub(crate) struct TlsSocket {
    session: Box<ClientConnection>,
    socket: Socket,
}

impl TlsSocket {
    /// Shakes hands; the socket's timeouts apply to each of its reads and writes.
    pub(crate) fn connect(
        mut socket: Socket,
        settings: &ConnectionSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, HandshakeError> {
        let Host::Network(host) = &settings.host else {
            return Err(HandshakeError::Tls(TlsError::NotOffered));
        };
        let name = ServerName::try_from(host.clone())
            .map_err(|_| HandshakeError::Tls(TlsError::ServerName { host: host.clone() }))?;
        let config = configuration(settings, clock).map_err(HandshakeError::Tls)?;
        let mut session = ClientConnection::new(Arc::new(config), name)
            .map_err(|error| HandshakeError::Tls(TlsError::Handshake(error)))?;
        while session.is_handshaking() {
            if let Err(error) = session.complete_io(&mut socket) {
                return Err(match error.downcast::<rustls::Error>() {
                    Ok(error) => HandshakeError::Tls(TlsError::Handshake(error)),
                    Err(error) => HandshakeError::Socket(error),
                });
            }
        }
        Ok(Self { session: Box::new(session), socket })
    }

    pub(crate) const fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Returns the `tls-server-end-point` binding (RFC 5929), if the certificate's signature defines one.
    pub(crate) fn server_end_point(&self) -> Option<Vec<u8>> {
        let certificate = self.session.peer_certificates()?.first()?;
        end_point::hash(certificate)
    }

    /// Reads decrypted bytes; with `wait` false only what has arrived, else `WouldBlock`.
    pub(crate) fn read(&mut self, buffer: &mut [u8], wait: bool) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // A peer that leaves without saying so: the protocol above knows whether that was the end.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                other => return other,
            }
            let count = if wait {
                self.session.read_tls(&mut self.socket)?
            } else {
                self.session.read_tls(&mut Ready(&self.socket))?
            };
            let state = self.session.process_new_packets().map_err(io::Error::other);
            while self.session.wants_write() {
                self.session.write_tls(&mut self.socket)?;
            }
            if state?.plaintext_bytes_to_read() == 0 && count == 0 {
                return Ok(0);
            }
        }
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = self.session.writer().write(rest)?;
            rest = &rest[count..];
            while self.session.wants_write() {
                self.session.write_tls(&mut self.socket)?;
            }
        }
        Ok(())
    }

    /// Tells the peer that nothing more comes.
    pub(crate) fn say_goodbye(&mut self) {
        self.session.send_close_notify();
        drop(self.session.write_tls(&mut self.socket));
    }
}

/// Why a handshake failed: for TLS reasons, or because the socket did.
pub(crate) enum HandshakeError {
    Tls(TlsError),
    Socket(io::Error),
}

fn configuration(settings: &ConnectionSettings, clock: Arc<dyn Clock>) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_details(Arc::clone(&provider), Arc::new(Time(clock)))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Handshake)?;
    let verifier = Verifier { checks: checks(settings, &provider)?, provider };
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

fn checks(settings: &ConnectionSettings, provider: &Arc<CryptoProvider>) -> Result<Option<Checks>, TlsError> {
    let host_name = match (settings.tls, &settings.root_certificates) {
        (TlsMode::VerifyFull, _) => true,
        (TlsMode::VerifyCa, _) | (TlsMode::Require, RootCertificates::File(_)) => false,
        _ => return Ok(None),
    };
    let (path, roots) = load_roots(&settings.root_certificates)?;
    let failed = |reason: String| TlsError::RootCertificates { path: path.clone(), reason };
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(roots.iter().cloned());
    if added == 0 {
        return Err(failed("there is no certificate in it".into()));
    }
    let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let pinned = match settings.root_certificates {
        RootCertificates::File(_) => roots,
        RootCertificates::System => Vec::new(),
    };
    Ok(Some(Checks { authorities, pinned, host_name }))
}

fn load_roots(roots: &RootCertificates) -> Result<(String, Vec<CertificateDer<'static>>), TlsError> {
    match roots {
        RootCertificates::System => {
            // Some of the system's files may be unreadable while the others do; an empty result is refused above.
            Ok(("system".into(), rustls_native_certs::load_native_certs().certs))
        }
        RootCertificates::File(file) => {
            let path = file.display().to_string();
            let failed = |reason: String| TlsError::RootCertificates { path: path.clone(), reason };
            let certificates = CertificateDer::pem_file_iter(file)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| failed(error.to_string()))?;
            Ok((path, certificates))
        }
    }
}

#[derive(Debug)]
struct Checks {
    authorities: Arc<WebPkiServerVerifier>,
    /// A self-signed server certificate that the owner listed is trusted as itself, which libpq does too; the
    /// path checker would refuse it as an authority's certificate in a server's place.
    pinned: Vec<CertificateDer<'static>>,
    host_name: bool,
}

/// Verifies what `sslmode` asks for; the handshake's signature always, so that channel binding means something.
#[derive(Debug)]
struct Verifier {
    checks: Option<Checks>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(checks) = &self.checks else { return Ok(ServerCertVerified::assertion()) };
        if checks.pinned.iter().any(|pinned| pinned == end_entity) {
            if checks.host_name {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        let verdict =
            checks.authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verdict {
            // The name is checked last, so the chain is good when only the name is wrong.
            Err(rustls::Error::InvalidCertificate(
                rustls::CertificateError::NotValidForName
                | rustls::CertificateError::NotValidForNameContext { .. },
            )) if !checks.host_name => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Certificates are judged by the caller's clock.
struct Time(Arc<dyn Clock>);

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let micros = u64::try_from(self.0.now().as_micros()).ok()?;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_micros(micros)))
    }
}
