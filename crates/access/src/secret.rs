//! Random texts that are shown once, and the hashes of them that are kept.

use ports::Random;

use crate::{bytes, client_data::sha256};

/// 256 bits from chance, as text.
pub(crate) fn fresh(random: &dyn Random) -> String {
    let mut secret = [0; 32];
    random.fill(&mut secret);
    bytes::encode(&secret)
}

/// What is kept of a secret: with 256 bits from chance nothing can be guessed, so a plain hash is enough. In hexadecimal,
/// because it is the name of a file.
pub(crate) fn hash(secret: &str) -> String {
    hex(&sha256(&[b"unwipe/v1/access-secret", secret.as_bytes()]))
}

/// Derives a text from a secret for one purpose.
pub(crate) fn derive(secret: &str, purpose: &str) -> String {
    bytes::encode(&sha256(&[b"unwipe/v1/", purpose.as_bytes(), b"\0", secret.as_bytes()]))
}

/// Writes bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
