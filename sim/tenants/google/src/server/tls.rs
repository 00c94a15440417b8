//! A certificate for this run, of an authority made for this run.

use std::{net::IpAddr, sync::Arc, time::Duration};

use ports::Clock;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::StartError;

/// What a server needs for TLS, and what its clients need to trust it.
pub(super) struct Credential {
    pub(super) acceptor: TlsAcceptor,
    /// The authority's certificate, as PEM.
    pub(super) authority: String,
}

/// The hosts of the real services, for clients that are led here by name.
const HOSTS: [&str; 4] = ["localhost", "googleapis.com", "*.googleapis.com", "*.google.com"];
/// A simulated clock may be far from the client's: a certificate is good for a century.
const DAYS: u64 = 36_500;

/// Makes both.
pub(super) fn make(address: IpAddr, clock: &dyn Clock) -> Result<Credential, StartError> {
    let failed = |reason: String| StartError::Certificate(reason);
    let made = certificate(address, clock).map_err(|error| failed(error.to_string()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(made.chain, made.key))
        .map_err(|error| failed(error.to_string()))?;
    Ok(Credential { acceptor: TlsAcceptor::from(Arc::new(config)), authority: made.authority })
}

struct Made {
    authority: String,
    chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

fn certificate(address: IpAddr, clock: &dyn Clock) -> Result<Made, rcgen::Error> {
    let authority_key = KeyPair::generate()?;
    let mut authority = lasting(clock);
    authority.distinguished_name.push(DnType::CommonName, "simulated Google: authority of one run");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let own = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);

    let key = KeyPair::generate()?;
    let mut server = lasting(clock);
    server.distinguished_name.push(DnType::CommonName, "simulated Google");
    server.subject_alt_names.push(SanType::IpAddress(address));
    for host in HOSTS {
        server.subject_alt_names.push(SanType::DnsName(host.try_into()?));
    }
    let signed = server.signed_by(&key, &issuer)?;
    Ok(Made {
        authority: own.pem(),
        chain: vec![signed.der().clone(), own.der().clone()],
        key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
    })
}

/// Begins a day ago, because clocks differ.
fn lasting(clock: &dyn Clock) -> CertificateParams {
    let seconds = u64::try_from(clock.now().as_micros() / 1_000_000).unwrap_or(0);
    let at = |seconds: u64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
    let mut parameters = CertificateParams::default();
    parameters.not_before = at(seconds.saturating_sub(86_400));
    parameters.not_after = at(seconds.saturating_add(DAYS * 86_400));
    parameters
}
