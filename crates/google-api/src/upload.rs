//! Content of any size that is sent piece by piece, and gone on with after a break.

use std::io;

use connect_http::{
    Digest, Request, UploadError, UploadSource, Uploader,
    http::{HeaderName, HeaderValue},
};
use serde::de::DeserializeOwned;

use crate::{ApiError, Change, WriteApi, write_api::plain};

/// What is sent at a time, and held in memory.
const CHUNK_BYTES: u64 = 8 << 20;
/// How often an upload is begun anew because its session has ended.
const BEGINNINGS_MAX: u32 = 3;
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Why content was not taken.
#[derive(Debug, thiserror::Error)]
pub enum UploadFailed {
    /// A call has no good answer.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// What is to be sent cannot be read.
    #[error("the content to be sent cannot be read")]
    Source(#[source] io::Error),
}

/// The service tells the checksum of what it took; none is made here.
struct Unsummed;

impl Digest for Unsummed {
    fn update(&mut self, _bytes: &[u8]) {}

    fn value(&self) -> Vec<u8> {
        Vec::new()
    }
}

impl WriteApi {
    /// Returns how many calls it takes to send so many bytes.
    pub const fn upload_calls(bytes: u64) -> u64 {
        1 + if bytes == 0 { 1 } else { bytes.div_ceil(CHUNK_BYTES) }
    }

    /// Makes a call in the name of a user whose content has so many bytes; `open` begins to read them, and does so again
    /// when the service has forgotten what came. An answer that was lost is asked for again.
    pub fn upload<'c, T: DeserializeOwned>(
        &self,
        subject: &str,
        change: &Change,
        (media_type, bytes): (&str, u64),
        open: &dyn Fn() -> io::Result<Box<dyn UploadSource + 'c>>,
    ) -> Result<T, UploadFailed> {
        let change = change.clone().query("uploadType", "resumable");
        let mut call = self.call(subject, &change)?;
        let mut like = call.clone();
        like.request = Request::get("");
        let headers = &mut call.request.headers;
        let media_type = plain(media_type.to_owned().into());
        headers.insert(HeaderName::from_static("x-upload-content-type"), value(&media_type));
        headers.insert(HeaderName::from_static("x-upload-content-length"), value(&bytes.to_string()));
        let uploader = Uploader::new(self.client(), like, CHUNK_BYTES);
        let mut beginnings = 1;
        let uploaded = loop {
            let sent = uploader.begin(&call, bytes).and_then(|session| {
                let mut source = open().map_err(UploadError::Source)?;
                uploader.send(&session, &mut *source, &mut Unsummed)
            });
            match sent {
                Ok(uploaded) => break uploaded,
                Err(UploadError::Expired) if beginnings < BEGINNINGS_MAX => beginnings += 1,
                Err(UploadError::Source(error)) => return Err(UploadFailed::Source(error)),
                Err(UploadError::Call(error)) => {
                    return Err(self.reading().error(error, change.method).into());
                }
                Err(error) => return Err(strange(&change, error)),
            }
        };
        uploaded.response.body.json(ANSWER_BYTES_MAX).map_err(|error| strange(&change, error))
    }
}

fn strange(change: &Change, error: impl std::error::Error + Send + Sync + 'static) -> UploadFailed {
    ApiError::Answer { method: change.method.name, source: Box::new(error) }.into()
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"))
}
