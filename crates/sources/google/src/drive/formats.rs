//! Which format of a document brings back most of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use google_api::{ApiError, Get, ReadApi, method};
use serde::Deserialize;

use crate::rounds::Rounds;

/// Formats from the one that keeps most to the one that keeps least. What is not among them comes after them.
const PREFERRED: [&str; 13] = [
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.google-apps.script+json",
    "image/svg+xml",
    "application/vnd.oasis.opendocument.text",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/vnd.oasis.opendocument.presentation",
    "application/x-vnd.oasis.opendocument.spreadsheet",
    "video/mp4",
    "application/pdf",
    "image/png",
    "text/html",
];

const ROUND: &str = "drive formats";

/// The formats in which documents of each media type can be had.
pub(super) type Exports = BTreeMap<String, Vec<String>>;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct About {
    export_formats: Exports,
}

/// Remembers which formats there are: they are the same for everybody, and asked for once in a round.
#[derive(Default)]
pub(crate) struct Formats(Mutex<Option<Arc<Exports>>>);

impl Formats {
    /// Returns the formats, asked for in the name of a user if need be.
    pub(super) fn get(
        &self,
        api: &ReadApi,
        subject: &str,
        rounds: &Rounds,
    ) -> Result<Arc<Exports>, ApiError> {
        let known = self.lock().clone();
        if let Some(exports) = known
            && !rounds.is_due(ROUND)
        {
            return Ok(exports);
        }
        let get = Get::new(&method::DRIVE_ABOUT, "drive/v3/about").query("fields", "exportFormats");
        let about: About = api.get(subject, &get)?;
        rounds.is_due(ROUND);
        Ok(Arc::clone(self.lock().insert(Arc::new(about.export_formats))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Exports>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the format that brings back most; `None` when there is none at all.
pub(super) fn best<'a>(exports: &'a Exports, media_type: &str) -> Option<&'a str> {
    let formats = exports.get(media_type)?;
    let rank = |format: &String| PREFERRED.iter().position(|known| known == format);
    let known = formats.iter().filter_map(|format| Some((rank(format)?, format)));
    known.min().map(|(_, format)| format).or_else(|| formats.first()).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_that_keeps_most_is_taken_and_any_rather_than_none() {
        let exports = Exports::from([
            ("a".to_owned(), vec!["application/pdf".to_owned(), PREFERRED[0].to_owned()]),
            ("b".to_owned(), vec!["application/unheard-of".to_owned()]),
            ("c".to_owned(), Vec::new()),
        ]);
        assert_eq!(best(&exports, "a"), Some(PREFERRED[0]));
        assert_eq!(best(&exports, "b"), Some("application/unheard-of"));
        assert_eq!((best(&exports, "c"), best(&exports, "d")), (None, None));
    }
}
