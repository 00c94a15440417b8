//! The server's side of TLS, where it answers to more than this machine.

use std::{fmt, path::Path, sync::Arc};

use ports::{Clock, files};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    time_provider::TimeProvider,
    version::TLS13,
};
use service::config::TlsConfig;

use crate::ServerError;

/// Makes it from the files of the configuration; relative paths start at the home folder.
pub(crate) fn configuration(
    home: &Path,
    tls: &TlsConfig,
    clock: Arc<dyn Clock>,
) -> Result<ServerConfig, ServerError> {
    let read = |path: &Path| {
        let path = home.join(path);
        files::read(&path).map_err(|error| ServerError::Certificate { path, reason: error.to_string() })
    };
    let failed = |path: &Path, reason: &dyn fmt::Display| ServerError::Certificate {
        path: home.join(path),
        reason: reason.to_string(),
    };
    let chain = certificates(&read(&tls.certificate)?).map_err(|reason| failed(&tls.certificate, &reason))?;
    let key = PrivateKeyDer::from_pem_slice(&read(&tls.key)?).map_err(|error| failed(&tls.key, &error))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_details(Arc::clone(&provider), Arc::new(Time(clock)))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| failed(&tls.certificate, &error))?;
    let builder = match &tls.clients {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(&read(path)?).map_err(|reason| failed(path, &reason))? {
                roots.add(root).map_err(|error| failed(path, &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| failed(path, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config =
        builder.with_single_cert(chain, key).map_err(|error| failed(&tls.certificate, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A session that is resumed is not asked for its certificate again: one that has expired meanwhile would live on.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| error.to_string())?;
    if found.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(found) }
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

#[cfg(test)]
mod tests {
    use ports::SystemClock;

    use super::*;

    #[test]
    fn every_connection_shows_its_certificate_anew() {
        let home = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["unwipe.example.org".to_owned()]).unwrap();
        let write = |name: &str, pem: String| {
            ports::files::replace(&home.path().join(name), pem.as_bytes()).unwrap();
        };
        write("server.pem", made.cert.pem());
        write("server.key", made.signing_key.serialize_pem());
        let tls = TlsConfig {
            certificate: "server.pem".into(),
            key: "server.key".into(),
            clients: Some("server.pem".into()),
        };
        let config = configuration(home.path(), &tls, Arc::new(SystemClock::new())).unwrap();
        assert_eq!(config.send_tls13_tickets, 0);
        assert!(!config.session_storage.can_cache());
    }
}
