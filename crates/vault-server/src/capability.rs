//! What a client may do: decided by the certificate that our own authority gave it, and by nothing in a request.

use std::{fmt, str::FromStr};

use model::{Moment, SourceName};
use vault::ObjectName;
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

/// The scheme of the names in our certificates: `unwipe:capture/shop`.
pub const SCHEME: &str = "unwipe:";

/// What a client may do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Add to the log of one source and to the packs; read neither packs nor other sources' logs.
    Capture(SourceName),
    /// Read everything; add proofs.
    Restore,
    /// Read everything.
    Mirror,
}

/// What a client wants to do with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Make it.
    Create,
    /// See its size and lock.
    Head,
    /// Read its bytes.
    Read,
    /// Lengthen its lock.
    Extend,
}

/// Who a client is, as its certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What it may do.
    pub capability: Capability,
    /// Until when the certificate is good.
    pub expires: Moment,
    /// The certificate's serial number, in hexadecimal.
    pub serial: String,
}

/// Why a certificate gives no capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// The text names none.
    #[error("{text:?} is no capability: capture/SOURCE, restore and mirror are")]
    Unknown {
        /// The refused text.
        text: String,
    },
    /// The certificate cannot be read.
    #[error("the certificate cannot be read")]
    Certificate,
    /// The certificate names no capability, or several.
    #[error("the certificate names {found} capabilities, not one")]
    Count {
        /// How many.
        found: usize,
    },
}

impl Capability {
    /// Decides whether a client may do this with such an object.
    pub fn allows(&self, act: Act, object: &ObjectName) -> bool {
        match self {
            Self::Mirror => matches!(act, Act::Head | Act::Read),
            Self::Restore => match act {
                Act::Head | Act::Read => true,
                Act::Create => matches!(object, ObjectName::Proof | ObjectName::Retention(_)),
                Act::Extend => false,
            },
            Self::Capture(own) => match object {
                ObjectName::Manifest | ObjectName::Keys => act != Act::Create,
                // Put-only: what was stored is not read back, neither by this source nor by whoever took its key.
                ObjectName::Pack(_) | ObjectName::Proof => act != Act::Read,
                ObjectName::Commit(source, _) => source == own,
                // What an entry may state is checked when its content is there.
                ObjectName::Head(_) | ObjectName::Retention(_) => true,
            },
        }
    }
}

impl Identity {
    /// Reads the capability out of a certificate whose chain has been checked.
    pub fn of_certificate(der: &[u8]) -> Result<Self, CapabilityError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| CapabilityError::Certificate)?;
        if !rest.is_empty() {
            return Err(CapabilityError::Certificate);
        }
        let names = certificate.subject_alternative_name().map_err(|_| CapabilityError::Certificate)?;
        let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
        let ours: Vec<&str> = names
            .iter()
            .filter_map(|name| match name {
                GeneralName::URI(uri) => uri.strip_prefix(SCHEME),
                _ => None,
            })
            .collect();
        let [capability] = ours.as_slice() else {
            return Err(CapabilityError::Count { found: ours.len() });
        };
        let seconds = certificate.validity().not_after.timestamp();
        Ok(Self {
            capability: capability.parse()?,
            expires: Moment::from_micros(seconds.saturating_mul(1_000_000)),
            serial: vault::hex(certificate.raw_serial()),
        })
    }
}

impl FromStr for Capability {
    type Err = CapabilityError;

    fn from_str(text: &str) -> Result<Self, CapabilityError> {
        let unknown = || CapabilityError::Unknown { text: text.to_owned() };
        match text.split_once('/') {
            None if text == "restore" => Ok(Self::Restore),
            None if text == "mirror" => Ok(Self::Mirror),
            Some(("capture", source)) => SourceName::new(source).map(Self::Capture).map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capture(source) => write!(f, "capture/{source}"),
            Self::Restore => f.write_str("restore"),
            Self::Mirror => f.write_str("mirror"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_may_do_is_a_closed_table() {
        let shop = SourceName::new("shop").unwrap();
        let objects = [
            ObjectName::Manifest,
            ObjectName::Keys,
            ObjectName::Pack(vault::PackId([1; 32])),
            ObjectName::Commit(shop.clone(), 1),
            ObjectName::Commit(SourceName::new("other").unwrap(), 1),
            ObjectName::Head(0),
            ObjectName::Proof,
        ];
        let row = |capability: &Capability, act| -> String {
            objects.iter().map(|object| if capability.allows(act, object) { 'x' } else { '.' }).collect()
        };
        let table = |capability: &Capability| {
            [Act::Create, Act::Head, Act::Read, Act::Extend].map(|act| row(capability, act))
        };
        assert_eq!(table(&Capability::Capture(shop)), ["..xx.xx", "xxxx.xx", "xx.x.x.", "xxxx.xx"]);
        assert_eq!(table(&Capability::Restore), ["......x", "xxxxxxx", "xxxxxxx", "......."]);
        assert_eq!(table(&Capability::Mirror), [".......", "xxxxxxx", "xxxxxxx", "......."]);
    }

    #[test]
    fn text_and_capability_round_trip() {
        for text in ["capture/shop", "restore", "mirror"] {
            assert_eq!(text.parse::<Capability>().unwrap().to_string(), text);
        }
        for bad in
            ["", "capture", "capture/", "capture/a/b", "capture/..", "Restore", "restore/", "capture/A"]
        {
            assert!(bad.parse::<Capability>().is_err(), "{bad}");
        }
    }
}
