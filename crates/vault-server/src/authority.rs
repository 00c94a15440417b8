//! A private authority: the only one whose certificates count between a vault server and its clients.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use model::{Moment, Redacted};
use ports::files::{self, FileError};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber,
};
use ring::rand::SecureRandom;

use crate::{Capability, capability::SCHEME};

/// The folder with the authority's certificate and key.
#[derive(Debug, Clone)]
pub struct Authority {
    folder: PathBuf,
}

/// A certificate with its key, both as PEM.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: Redacted<String>,
    /// The serial number, in hexadecimal; [`Authority::revoke`] takes it.
    pub serial: String,
    /// Until when it is good.
    pub expires: Moment,
}

/// Why a certificate was not made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// There is an authority already.
    #[error("there is an authority in {} already", folder.display())]
    Exists {
        /// Where.
        folder: PathBuf,
    },
    /// There is none.
    #[error("there is no authority in {}", folder.display())]
    None {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("the authority's folder cannot be used")]
    File(#[from] FileError),
    /// The host's name cannot stand in a certificate.
    #[error("{name:?} is no name or address of a host")]
    Host {
        /// The name.
        name: String,
    },
    /// The text is no serial number.
    #[error("{text:?} is no serial number")]
    Serial {
        /// The text.
        text: String,
    },
    /// The certificate cannot be made.
    #[error("the certificate cannot be made: {reason}")]
    Make {
        /// Why.
        reason: String,
    },
}

impl AuthorityError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::None { .. } => Some("unwipe vault authority init".to_owned()),
            _ => None,
        }
    }
}

const CERTIFICATE: &str = "authority.crt";
const KEY: &str = "authority.key";
/// The serial numbers of certificates that no longer count, one a line.
const REVOKED: &str = "revoked";
const PRIVATE_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;
const AUTHORITY_DAYS: u32 = 3_650;
/// Hosts whose clocks are a little behind may use a new certificate at once.
const BACKDATE_MICROS: i64 = 3_600 * 1_000_000;

impl Authority {
    /// Makes a new authority in a folder.
    pub fn init(folder: &Path, now: Moment) -> Result<Self, AuthorityError> {
        let authority = Self { folder: folder.to_owned() };
        if authority.path(CERTIFICATE).exists() || authority.path(KEY).exists() {
            return Err(AuthorityError::Exists { folder: folder.to_owned() });
        }
        files::create_folder(folder)?;
        let mut params = params("unwipe vault authority", now, AUTHORITY_DAYS)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().map_err(make)?;
        let certificate = params.self_signed(&key).map_err(make)?;
        files::create_new(&authority.path(KEY), key.serialize_pem().as_bytes(), PRIVATE_MODE)?;
        files::create_new(&authority.path(CERTIFICATE), certificate.pem().as_bytes(), PUBLIC_MODE)?;
        Ok(authority)
    }

    /// Opens the authority in a folder.
    pub fn open(folder: &Path) -> Result<Self, AuthorityError> {
        let authority = Self { folder: folder.to_owned() };
        if authority.path(CERTIFICATE).exists() {
            Ok(authority)
        } else {
            Err(AuthorityError::None { folder: folder.to_owned() })
        }
    }

    /// Returns the authority's own certificate, as PEM: clients and servers check the other side with it.
    pub fn certificate(&self) -> Result<String, AuthorityError> {
        Ok(files::read_text(&self.path(CERTIFICATE))?)
    }

    /// Makes a certificate for a client that may do this and nothing else.
    pub fn issue_client(
        &self,
        capability: &Capability,
        days: u32,
        now: Moment,
    ) -> Result<Issued, AuthorityError> {
        let mut params = params(&capability.to_string(), now, days)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let uri = format!("{SCHEME}{capability}").try_into().map_err(make)?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        self.issue(&params, now, days)
    }

    /// Makes a certificate for a server that clients reach under this name or address.
    pub fn issue_server(&self, host: &str, days: u32, now: Moment) -> Result<Issued, AuthorityError> {
        let unusable = || AuthorityError::Host { name: host.to_owned() };
        let mut params = params(host, now, days)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let name = match host.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => {
                let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
                if host.is_empty() || !host.chars().all(plain) {
                    return Err(unusable());
                }
                SanType::DnsName(host.to_owned().try_into().map_err(|_| unusable())?)
            }
        };
        params.subject_alt_names = vec![name];
        self.issue(&params, now, days)
    }

    /// Makes a certificate that was given out count no more. Servers notice it with the next request.
    pub fn revoke(&self, serial: &str) -> Result<(), AuthorityError> {
        let serial = serial.trim().to_ascii_lowercase();
        if serial.is_empty() || !serial.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(AuthorityError::Serial { text: serial });
        }
        let mut revoked = revoked(&self.revoked_path())?;
        if !revoked.contains(&serial) {
            revoked.push(serial);
            files::replace(&self.revoked_path(), (revoked.join("\n") + "\n").as_bytes())?;
        }
        Ok(())
    }

    /// Returns the file with the serial numbers that no longer count.
    pub fn revoked_path(&self) -> PathBuf {
        self.path(REVOKED)
    }

    fn issue(&self, params: &CertificateParams, now: Moment, days: u32) -> Result<Issued, AuthorityError> {
        let authority_key = KeyPair::from_pem(&files::read_text(&self.path(KEY))?).map_err(make)?;
        let issuer = Issuer::from_ca_cert_pem(&self.certificate()?, authority_key).map_err(make)?;
        let serial = params.serial_number.as_ref().map(hexadecimal).unwrap_or_default();
        let key = KeyPair::generate().map_err(make)?;
        let certificate = params.signed_by(&key, &issuer).map_err(make)?;
        Ok(Issued {
            certificate: certificate.pem(),
            key: Redacted::new(key.serialize_pem()),
            serial,
            expires: vault::retention::retained_until(now, days),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Reads the serial numbers that no longer count; without a file there are none.
pub(crate) fn revoked(path: &Path) -> Result<Vec<String>, FileError> {
    match files::read_text(path) {
        Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        other => Ok(other?.lines().map(|line| line.trim().to_owned()).collect()),
    }
}

fn params(name: &str, now: Moment, days: u32) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    let date = |moment: Moment| {
        let seconds = u64::try_from(moment.as_micros() / 1_000_000).unwrap_or(0);
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    };
    params.not_before = date(now.plus_micros(-BACKDATE_MICROS));
    params.not_after = date(vault::retention::retained_until(now, days));
    // The same source of chance that the keys of the certificates come from.
    let mut serial = [0; 16];
    #[expect(clippy::disallowed_methods, reason = "certificates are made with the system's chance alone")]
    let random = ring::rand::SystemRandom::new();
    random.fill(&mut serial).map_err(|_| make("the system gives no random bytes"))?;
    serial[0] &= 0x7F;
    serial[0] |= 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

fn hexadecimal(serial: &SerialNumber) -> String {
    vault::hex(&serial.to_bytes())
}

#[expect(clippy::needless_pass_by_value, reason = "made to be given to `map_err`")]
fn make(reason: impl ToString) -> AuthorityError {
    AuthorityError::Make { reason: reason.to_string() }
}
