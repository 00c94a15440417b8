//! Whose certificates count when this program connects to others over TLS, and what it encrypts with.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls_pki_types::{CertificateDer, pem::PemObject};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Why the certificates to trust cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read, or holds something else.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file holds no certificate.
    #[error("{}: there is none in it", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// The certificates under which others are believed to be who they say.
#[derive(Debug, Clone)]
pub struct Roots(Vec<CertificateDer<'static>>);

impl Roots {
    /// Returns those of a PEM file, or those of the system where none is named. A system may have none: every connection
    /// to another host then fails, and says why.
    pub fn of(file: Option<&Path>) -> Result<Self, TrustError> {
        file.map_or_else(|| Ok(Self::of_system()), Self::of_file)
    }

    /// Returns those that the system trusts. Some of its files may be unreadable while others are not.
    pub fn of_system() -> Self {
        Self(rustls_native_certs::load_native_certs().certs)
    }

    fn of_file(path: &Path) -> Result<Self, TrustError> {
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| TrustError::File { path: path.to_owned(), reason: error.to_string() })?;
        if certificates.is_empty() {
            return Err(TrustError::Empty { path: path.to_owned() });
        }
        Ok(Self(certificates))
    }

    /// Returns whether nobody is trusted.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how a client speaks TLS that trusts them and nobody else.
    pub fn client(&self) -> TlsConfig {
        let roots = self.0.iter().map(|der| Certificate::from_der(der.as_ref()).to_owned());
        TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::Specific(Arc::new(roots.collect())))
            .build()
    }
}

#[cfg(test)]
mod tests {
    use ports::files;

    use super::*;

    #[test]
    fn a_file_is_trusted_alone_and_one_without_certificates_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("roots.pem");
        let refused = |text: &str| {
            files::replace(&path, text.as_bytes()).unwrap();
            Roots::of(Some(&path)).unwrap_err().to_string()
        };
        assert!(refused("").ends_with("roots.pem: there is none in it"));
        assert!(refused("-----BEGIN CERTIFICATE-----\n???").contains("roots.pem: "));
        let made = rcgen::generate_simple_self_signed(["store.example.org".to_owned()]).unwrap();
        files::replace(&path, made.cert.pem().as_bytes()).unwrap();
        let roots = Roots::of(Some(&path)).unwrap();
        assert_eq!(roots.0.len(), 1);
        let client = roots.client();
        assert!(matches!(client.root_certs(), RootCerts::Specific(certificates) if certificates.len() == 1));
        let gone = Roots::of(Some(&folder.path().join("gone.pem"))).unwrap_err();
        assert!(matches!(gone, TrustError::File { .. }));
    }
}
