//! How a refusal looks to the client.

use std::time::Duration;

use blobs::remote::protocol::Refusal;
use hyper::{
    HeaderMap, StatusCode,
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
};
use ports::{BlobError, files::FileError};

use super::exchange::Answer;
use crate::{KeeperError, request::RequestError};

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// It makes no sense.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// It is not granted.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// The certificate has expired since the handshake.
    #[error("the certificate has expired")]
    Expired,
    /// The certificate counts no more.
    #[error("the certificate was revoked")]
    Revoked,
    /// Nobody can tell whether the certificate still counts.
    #[error("the list of revoked certificates cannot be read")]
    RevokedUnknown(#[source] FileError),
    /// The content stopped coming.
    #[error("no content came for {} seconds", patience.as_secs())]
    Slow {
        /// How long the server waited.
        patience: Duration,
    },
    /// The content broke off.
    #[error("the content broke off after {found} of {announced} bytes")]
    Truncated {
        /// How much was announced.
        announced: u64,
        /// How much came.
        found: u64,
    },
    /// Too many transfers at once.
    #[error("too many transfers at once: come back later")]
    Busy,
    /// A thread of the server died.
    #[error("the server failed")]
    Thread,
}

impl Refused {
    /// Returns the status, and one word for programs.
    fn kind(&self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::Request(error) => match error {
                RequestError::Path => (S::NOT_FOUND, "path"),
                RequestError::Verb { .. } => (S::METHOD_NOT_ALLOWED, "verb"),
                RequestError::Malformed { .. } => (S::BAD_REQUEST, "malformed"),
                RequestError::Length => (S::LENGTH_REQUIRED, "length"),
            },
            Self::Keeper(error) => match error {
                KeeperError::Name { .. } => (S::FORBIDDEN, "name"),
                KeeperError::Capability { .. } => (S::FORBIDDEN, "capability"),
                KeeperError::TooLarge => (S::PAYLOAD_TOO_LARGE, "size"),
                KeeperError::Lock { .. } => (S::UNPROCESSABLE_ENTITY, "lock"),
                KeeperError::Content(_) => (S::UNPROCESSABLE_ENTITY, "content"),
                KeeperError::Quota(_) => (S::INSUFFICIENT_STORAGE, "quota"),
                KeeperError::Reserve { .. } => (S::INSUFFICIENT_STORAGE, "reserve"),
                KeeperError::Store(BlobError::Exists { .. }) => (S::CONFLICT, "exists"),
                KeeperError::Store(BlobError::Missing { .. }) => (S::NOT_FOUND, "missing"),
                KeeperError::Store(BlobError::Full { .. }) => (S::INSUFFICIENT_STORAGE, "full"),
                KeeperError::Accounts(error) if error.is_full() => (S::INSUFFICIENT_STORAGE, "full"),
                KeeperError::Store(_) | KeeperError::Vault(_) | KeeperError::Accounts(_) => {
                    (S::INTERNAL_SERVER_ERROR, "store")
                }
            },
            Self::Expired => (S::UNAUTHORIZED, "expired"),
            Self::Revoked => (S::UNAUTHORIZED, "revoked"),
            Self::RevokedUnknown(_) => (S::INTERNAL_SERVER_ERROR, "revoked"),
            Self::Slow { .. } => (S::REQUEST_TIMEOUT, "slow"),
            Self::Truncated { .. } => (S::BAD_REQUEST, "truncated"),
            Self::Busy => (S::SERVICE_UNAVAILABLE, "busy"),
            Self::Thread => (S::INTERNAL_SERVER_ERROR, "server"),
        }
    }

    /// Says it in HTTP.
    pub(super) fn into_answer(self) -> Answer {
        let (status, error) = self.kind();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Self::Request(RequestError::Verb { allow }) = &self {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        let refusal = Refusal { error: error.to_owned(), message: self.to_string() };
        Answer { status, headers, body: serde_json::to_vec(&refusal).unwrap_or_default() }
    }
}
