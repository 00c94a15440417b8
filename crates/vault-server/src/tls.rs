//! Who may connect at all: whoever our own authority gave a certificate.

use std::{fmt, sync::Arc};

use ports::Clock;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    time_provider::TimeProvider,
    version::TLS13,
};

/// Why the server's own certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not what it should be.
    #[error("the {what} cannot be used: {reason}")]
    Credential {
        /// Which one.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

/// Makes the server's side of TLS: 1.3 alone, a client certificate in every handshake, and no resumption, so that
/// an expired certificate cannot live on in a session.
pub(crate) fn configuration(
    certificate: &str,
    key: &str,
    authority: &str,
    clock: Arc<dyn Clock>,
) -> Result<ServerConfig, TlsError> {
    let failed = |what: &'static str| {
        move |reason: &dyn fmt::Display| TlsError::Credential { what, reason: reason.to_string() }
    };
    let mut roots = RootCertStore::empty();
    for root in certificates("authority", authority)? {
        roots.add(root).map_err(|e| failed("authority")(&e))?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|e| failed("authority")(&e))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|e| failed("key")(&e))?;
    let mut config = ServerConfig::builder_with_details(provider, Arc::new(Time(clock)))
        .with_protocol_versions(&[&TLS13])
        .map_err(|e| failed("certificate")(&e))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates("certificate", certificate)?, key)
        .map_err(|e| failed("certificate")(&e))?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(what: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |reason: String| TlsError::Credential { what, reason };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let found = found.map_err(|e| failed(e.to_string()))?;
    if found.is_empty() { Err(failed("there is no certificate in it".to_owned())) } else { Ok(found) }
}

/// The clock that decides whether a certificate has expired.
struct Time(Arc<dyn Clock>);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let micros = u64::try_from(self.0.now().as_micros()).ok()?;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_micros(micros)))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}
