//! Lists that come in pages and end with a token from which their changes are read.

use connect::units::UnitError;
use google_api::{ApiError, Get, ReadApi};
use serde_json::Value;

use crate::failure::unit_error;

/// One page of a list.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) items: Vec<Value>,
    /// Where the next page begins, if there is one.
    pub(crate) next: Option<String>,
    /// From where changes can be read later; the last page has it.
    pub(crate) sync: Option<String>,
}

/// Why a list was not read to its end.
#[derive(Debug)]
pub(crate) enum FeedEnd {
    /// What changed is no longer known: everything must be listed and compared. This says nothing about any item.
    Lost,
    /// What is listed does not exist, or the user may no longer know of it.
    Gone,
    /// The unit cannot go on.
    Failed(UnitError),
}

impl From<UnitError> for FeedEnd {
    fn from(error: UnitError) -> Self {
        Self::Failed(error)
    }
}

impl FeedEnd {
    /// Reads what a failed call means for a list; `since` tells whether its changes were asked for.
    pub(crate) fn of(error: &ApiError, since: bool) -> Self {
        match error {
            ApiError::Expired(_) if since => Self::Lost,
            // A token that is not taken is of no more use than one that is too old.
            ApiError::Refused(refusal) if since && refusal.status.as_u16() == 400 => Self::Lost,
            ApiError::NotFound(_) => Self::Gone,
            error => Self::Failed(unit_error(error)),
        }
    }
}

impl Page {
    /// Reads a page whose items are called `member`.
    pub(crate) fn of(body: &[u8], member: &str) -> Result<Self, UnitError> {
        let mut page: Value = serde_json::from_slice(body).map_err(|error| UnitError::Failed {
            detail: format!("a list of {member} is not understood: {error}"),
        })?;
        let items = match page[member].take() {
            Value::Array(items) => items,
            Value::Null => Vec::new(),
            _ => return Err(UnitError::Failed { detail: format!("the {member} of a list are none") }),
        };
        let token = |name: &str| page[name].as_str().filter(|token| !token.is_empty()).map(str::to_owned);
        Ok(Self { items, next: token("nextPageToken"), sync: token("nextSyncToken") })
    }
}

/// A list in the name of a user.
pub(crate) struct Feed<'a> {
    pub(crate) api: &'a ReadApi,
    pub(crate) subject: &'a str,
    /// The call of the first page.
    pub(crate) get: Get,
    /// How its items are called.
    pub(crate) member: &'static str,
    /// Whether only what changed since a token is asked for.
    pub(crate) since: bool,
}

impl Feed<'_> {
    /// Reads all pages, each into `take`. The answer of the first one may be there already. Returns the token of the
    /// last page.
    pub(crate) fn read(
        &self,
        first: Option<Result<Vec<u8>, ApiError>>,
        mut take: impl FnMut(Vec<Value>) -> Result<(), UnitError>,
    ) -> Result<Option<String>, FeedEnd> {
        let mut answer = first.unwrap_or_else(|| self.api.get_bytes(self.subject, &self.get));
        loop {
            let body = answer.map_err(|error| FeedEnd::of(&error, self.since))?;
            let page = Page::of(&body, self.member)?;
            take(page.items)?;
            let Some(token) = page.next else { return Ok(page.sync) };
            answer = self.api.get_bytes(self.subject, &self.get.clone().query("pageToken", token));
        }
    }

    /// Reads all pages into one list.
    pub(crate) fn read_all(
        &self,
        first: Option<Result<Vec<u8>, ApiError>>,
    ) -> Result<(Vec<Value>, Option<String>), FeedEnd> {
        let mut all = Vec::new();
        let token = self.read(first, |items| {
            all.extend(items);
            Ok(())
        })?;
        Ok((all, token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_with_its_tokens() {
        let page = Page::of(br#"{"items":[{"id":"a"}],"nextPageToken":"2"}"#, "items").unwrap();
        assert_eq!((page.items.len(), page.next.as_deref(), page.sync), (1, Some("2"), None));
        let last = Page::of(br#"{"nextPageToken":"","nextSyncToken":"s"}"#, "items").unwrap();
        assert_eq!((last.items.len(), last.next, last.sync.as_deref()), (0, None, Some("s")));
    }

    #[test]
    fn what_is_no_page_is_an_error_and_no_empty_list() {
        for body in [&b""[..], b"[", br#"{"items":{}}"#, br#"{"items":"none"}"#] {
            assert!(matches!(Page::of(body, "items"), Err(UnitError::Failed { .. })), "{body:?}");
        }
    }
}
