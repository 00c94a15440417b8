//! HTTP for connectors.
//!
//! What every connector to a service over HTTP needs, and nothing that one vendor alone does: requests and what
//! carries them, quota, retries, tokens, batches, uploads, downloads, recorded traffic and faults. Everything blocks;
//! a connector uses threads.

mod batch;
mod call;
mod client;
mod digest;
mod download;
mod estimate;
mod faulty;
pub mod fuzzing;
mod quota;
mod real;
mod recorded;
mod retry;
pub mod testing;
mod token;
mod transport;
mod upload;

pub use batch::{Batch, BatchError, PartError, decode as decode_batch};
pub use call::{ANSWER_BYTES_MAX, Call, CallError, Refusal, RefusalKind, Taking, Vendor, Verdict};
pub use client::{Batched, Client, ClientParts};
pub use digest::Digest;
pub use download::{Download, DownloadError, Expected};
pub use estimate::{PoolLoad, Workload, estimate};
pub use faulty::{Fault, Faulty, Rule, When};
pub use quota::{Charge, Permit, PoolKey, PoolSettings, Pools, Quota, QuotaError};
pub use real::{HttpSettings, HttpTransport, SettingsError};
pub use recorded::{RecordSettings, Recorder, Replay, ReplayError};
pub use retry::{Next, Retry, RetrySettings, http_date, retry_after};
pub use token::{Access, Token, TokenCache, TokenError, TokenSource};
pub use transport::{Body, Request, Response, Transport, TransportError, escape};
pub use upload::{CHUNK_UNIT, UploadError, UploadSession, UploadSource, Uploaded, Uploader};
/// The vocabulary of HTTP: methods, statuses, headers.
pub use ureq::http;
