use std::fmt;

use model::Redacted;
use ring::signature::RsaKeyPair;
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde::Deserialize;

/// Why a service account's key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is no key file.
    #[error("the key file is not the JSON that Google hands out for a service account")]
    Format(#[source] serde_json::Error),
    /// It is a credential of another kind: a person's, or a client's.
    #[error("the key file holds a credential of the kind {kind:?}, and a service account's is needed")]
    Kind {
        /// What the file says it is.
        kind: String,
    },
    /// The private key in it cannot be read.
    #[error("the private key in the key file cannot be read")]
    PrivateKey(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl KeyError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> String {
        "in the Google Cloud console: IAM & Admin, Service accounts, Keys, Add key, JSON".to_owned()
    }
}

/// The key of a service account, as Google's console hands it out.
pub struct ServiceAccountKey {
    /// The account's mail address, which issues the tokens.
    pub client_email: String,
    /// The number under which an administrator grants the account scopes over the domain.
    pub client_id: String,
    /// The id of this key among the account's keys.
    pub key_id: String,
    /// Where tokens are had: an HTTPS address.
    pub token_uri: String,
    pub(crate) pair: RsaKeyPair,
}

#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    client_email: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    private_key_id: String,
    #[serde(default)]
    private_key: String,
    #[serde(default = "default_token_uri")]
    token_uri: String,
}

fn default_token_uri() -> String {
    "https://oauth2.googleapis.com/token".to_owned()
}

impl ServiceAccountKey {
    /// Reads the text of a key file.
    pub fn of_json(text: &Redacted<String>) -> Result<Self, KeyError> {
        let file: KeyFile = serde_json::from_str(text.expose()).map_err(KeyError::Format)?;
        if file.kind != "service_account" {
            return Err(KeyError::Kind { kind: file.kind });
        }
        let document = PrivatePkcs8KeyDer::from_pem_slice(file.private_key.as_bytes())
            .map_err(|error| KeyError::PrivateKey(Box::new(error)))?;
        let pair = RsaKeyPair::from_pkcs8(document.secret_pkcs8_der())
            .map_err(|error| KeyError::PrivateKey(error.to_string().into()))?;
        Ok(Self {
            client_email: file.client_email,
            client_id: file.client_id,
            key_id: file.private_key_id,
            token_uri: file.token_uri,
            pair,
        })
    }
}

impl fmt::Debug for ServiceAccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccountKey")
            .field("client_email", &self.client_email)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}
