//! Photos of contacts, fetched when their address changes.

use connect::units::{Body, UnitError, UnitSink};
use google_api::method;
use model::{Item, Layout, UnreadableReason};

use super::{Contacts, PERSON_PREFIX, PHOTO_PREFIX, PersonAttributes, PhotoAttributes};
use crate::{failure::as_unreadable, records};

/// The largest photo that is taken, in bytes.
const PHOTO_BYTES_MAX: u64 = 32 << 20;
/// So many photos that failed before are tried again in a round.
const FAILED_MAX: u32 = 1000;

impl Contacts {
    /// Takes the photo of a contact: `url` says where it is, if there is one that is not the default.
    pub(super) fn take_photo(
        &self,
        contact: &str,
        url: Option<&str>,
        sink: &mut UnitSink<'_>,
    ) -> Result<(), UnitError> {
        let key = format!("{PHOTO_PREFIX}{contact}");
        let known = sink.known(&self.stream, vec![key.clone()])?.pop().flatten();
        let Some(url) = url else {
            return if known.is_some() { sink.removed(&self.stream, key) } else { Ok(()) };
        };
        let held = known.as_ref().filter(|known| known.has_content);
        let held = held.and_then(|known| PhotoAttributes::of_text(&known.attributes));
        if held.as_ref().is_some_and(|held| held.url == url) {
            return Ok(());
        }
        self.fetch_photo(key, url, held, sink)
    }

    fn fetch_photo(
        &self,
        key: String,
        url: &str,
        held: Option<PhotoAttributes>,
        sink: &mut UnitSink<'_>,
    ) -> Result<(), UnitError> {
        let bytes = match self.api.get_open(&method::CONTACT_PHOTO, url, PHOTO_BYTES_MAX) {
            Some(Ok(bytes)) => bytes,
            Some(Err(error)) => {
                let reason = as_unreadable(&error).ok_or(UnitError::Stopped)?;
                return records::unreadable_once(&self.stream, key, reason, sink);
            }
            None => {
                let detail = format!("the photo is not with Google: {url}");
                let reason = UnreadableReason::Unsupported { detail };
                return records::unreadable_once(&self.stream, key, reason, sink);
            }
        };
        let attributes = PhotoAttributes { url: url.to_owned(), hash: records::hash(&bytes) };
        let item = Item { stream: self.stream.clone(), key, attributes: attributes.to_text() };
        sink.listed(1)?;
        if held.is_some_and(|held| held.hash == attributes.hash) {
            // Another address, the same picture.
            return sink.upsert_attributes(item);
        }
        sink.upsert(item, Layout::of_size(bytes.len() as u64), Body::Bytes(bytes))
    }

    /// Tries again to fetch photos that failed before.
    pub(super) fn retry_photos(&self, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        for key in sink.failed_keys(&self.stream, FAILED_MAX)? {
            let Some(contact) = key.strip_prefix(PHOTO_PREFIX) else { continue };
            let person = format!("{PERSON_PREFIX}{contact}");
            let known = sink.known(&self.stream, vec![person])?.pop().flatten();
            let url = known.and_then(|known| PersonAttributes::of_text(&known.attributes)?.photo);
            self.take_photo(contact, url.as_deref(), sink)?;
        }
        Ok(())
    }
}
