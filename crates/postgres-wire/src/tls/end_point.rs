//! The `tls-server-end-point` channel binding of RFC 5929.
//!
//! It is the hash of the server's certificate by the hash of the certificate's own signature, SHA-256 in place
//! of MD5 and SHA-1. Only the signature's identifier is read from the certificate (RFC 5280, section 4.1):
//! `SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OBJECT IDENTIFIER, ... }, ... }`.

use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// 1.2.840.113549.1.1 (RSA signatures); the last number follows.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
/// 1.2.840.10045.4 (ECDSA signatures); one or two numbers follow.
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];

/// Hashes a certificate; none where RFC 5929 defines no hash for its signature or we have none.
pub(super) fn hash(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = signature_hash(certificate)?;
    Some(digest(algorithm, certificate).as_ref().to_vec())
}

fn signature_hash(certificate: &[u8]) -> Option<&'static Algorithm> {
    let (content, _) = element(certificate, SEQUENCE)?;
    let (_, after_tbs) = element(content, SEQUENCE)?;
    let (algorithm, _) = element(after_tbs, SEQUENCE)?;
    let (identifier, _) = element(algorithm, OBJECT_IDENTIFIER)?;
    if let Some(kind) = identifier.strip_prefix(RSA) {
        return match kind {
            // MD5, SHA-1, SHA-256.
            [4 | 5 | 11] => Some(&SHA256),
            [12] => Some(&SHA384),
            [13] => Some(&SHA512),
            // RSA-PSS carries its hash in parameters, which servers and clients disagree about.
            _ => None,
        };
    }
    match identifier.strip_prefix(ECDSA)? {
        // SHA-1; SHA-256.
        [1] | [3, 2] => Some(&SHA256),
        [3, 3] => Some(&SHA384),
        [3, 4] => Some(&SHA512),
        _ => None,
    }
}

/// Splits one DER element of the given tag off: its content and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = bytes.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    if first < 0x80 {
        return rest.split_at_checked(usize::from(first));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return None;
    }
    let (digits, rest) = rest.split_at_checked(count)?;
    let length = digits.iter().fold(0_usize, |length, &digit| (length << 8) | usize::from(digit));
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(identifier: &[u8]) -> Vec<u8> {
        let mut algorithm = vec![OBJECT_IDENTIFIER, identifier.len() as u8];
        algorithm.extend_from_slice(identifier);
        let mut content = vec![SEQUENCE, 2, 0x05, 0x00, SEQUENCE, algorithm.len() as u8];
        content.extend_from_slice(&algorithm);
        let mut whole = vec![SEQUENCE, 0x81, content.len() as u8];
        whole.extend_from_slice(&content);
        whole
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        let length = |identifier: &[u8]| hash(&certificate(identifier)).map(|hash| hash.len());
        assert_eq!(length(&[RSA, &[11]].concat()), Some(32));
        assert_eq!(length(&[RSA, &[5]].concat()), Some(32));
        assert_eq!(length(&[RSA, &[13]].concat()), Some(64));
        assert_eq!(length(&[RSA, &[10]].concat()), None);
        assert_eq!(length(&[ECDSA, &[3, 3]].concat()), Some(48));
        assert_eq!(length(&[0x2b, 0x65, 0x70]), None, "Ed25519 has no hash of its own");
    }

    #[test]
    fn broken_certificates_have_no_hash() {
        let whole = certificate(&[RSA, &[11]].concat());
        for length in 0..whole.len() {
            assert!(hash(&whole[..length]).is_none());
        }
        assert!(hash(&[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff]).is_none());
    }
}
