//! Page tokens: opaque, good for one caller, one list and some hours.

use std::time::Duration;

use model::Moment;

use crate::{call::Call, refusal::Refusal, text};

/// Makes a token that leads on to `place` in the list that `call` asks for.
pub(crate) fn issue(seed: u64, call: &Call, place: &str) -> String {
    let mut bytes = Vec::with_capacity(24 + place.len());
    bytes.extend_from_slice(&call.now.as_micros().to_be_bytes());
    bytes.extend_from_slice(&call.list_identity().to_be_bytes());
    bytes.extend_from_slice(place.as_bytes());
    let mark = checksum(seed, &bytes);
    bytes.extend_from_slice(&mark.to_be_bytes());
    text::base64url(&bytes).trim_end_matches('=').to_owned()
}

/// Returns the place to which the call's `pageToken` leads; `None` without one.
pub(crate) fn open(seed: u64, call: &Call, lifetime: Duration) -> Result<Option<String>, Refusal> {
    let Some(token) = call.query("pageToken").filter(|token| !token.is_empty()) else { return Ok(None) };
    read(seed, call, token, lifetime).map(Some).ok_or_else(Refusal::page_token)
}

fn read(seed: u64, call: &Call, token: &str, lifetime: Duration) -> Option<String> {
    let bytes = text::from_base64url(token)?;
    let (content, mark) = bytes.split_last_chunk::<8>()?;
    let (issued, rest) = content.split_first_chunk::<8>()?;
    let (identity, place) = rest.split_first_chunk::<8>()?;
    let issued = Moment::from_micros(i64::from_be_bytes(*issued));
    let age = call.now.micros_since(issued);
    let good = u64::from_be_bytes(*mark) == checksum(seed, content)
        && u64::from_be_bytes(*identity) == call.list_identity()
        && u128::try_from(age).is_ok_and(|age| age <= lifetime.as_micros());
    good.then(|| String::from_utf8_lossy(place).into_owned())
}

fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    text::mixed(text::drawn(bytes) ^ text::mixed(seed))
}

/// One page of a list whose order does not change: what is on it, and where the next one begins.
pub(crate) fn slice<'a, T>(items: &'a [T], place: Option<&str>, size: usize) -> (&'a [T], Option<String>) {
    let start = place.and_then(|place| place.parse().ok()).unwrap_or(0).min(items.len());
    let end = items.len().min(start + size);
    (&items[start..end], (end < items.len()).then(|| end.to_string()))
}

/// One page of a list that ends with a sync token: like [`slice`], and the count of changes at which the list was begun,
/// so that what changes between its pages is not lost. `revision` is the count now.
pub(crate) fn slice_since<'a, T>(
    items: &'a [T],
    place: Option<&str>,
    size: usize,
    revision: u64,
) -> (&'a [T], Option<String>, u64) {
    let (begun, offset) = match place.and_then(|place| place.split_once(' ')) {
        Some((begun, offset)) => (begun.parse().unwrap_or(revision), Some(offset)),
        None => (revision, None),
    };
    let (shown, next) = slice(items, offset, size);
    (shown, next.map(|next| format!("{begun} {next}")), begun)
}
