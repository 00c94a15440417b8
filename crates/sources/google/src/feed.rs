//! Lists that come in pages and end with a token from which their changes are read.

use connect::units::UnitError;
use google_api::{ApiError, Get, Method, ReadApi};
use serde_json::{Map, Value};

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
        let mut page: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
            UnitError::Failed { detail: format!("a list of {member} is not understood: {error}") }
        })?;
        let items = entries(&mut page, member)?;
        Ok(Self { items, next: token(&page, "nextPageToken"), sync: token(&page, "nextSyncToken") })
    }
}

/// A page of a list that holds something else in the place of its entries: it must not pass for an empty one.
#[derive(Debug, thiserror::Error)]
#[error("the {0} of a list are none")]
pub(crate) struct NoList(String);

impl From<NoList> for UnitError {
    fn from(error: NoList) -> Self {
        Self::Failed { detail: error.to_string() }
    }
}

impl NoList {
    /// Makes the error of the call whose answer it was.
    pub(crate) fn of_answer(self, method: &'static Method) -> ApiError {
        ApiError::Answer { method: method.name, source: Box::new(self) }
    }
}

/// Takes the entries out of a page; a page without the member has none.
pub(crate) fn entries(page: &mut Map<String, Value>, member: &str) -> Result<Vec<Value>, NoList> {
    match page.get_mut(member).map(Value::take) {
        Some(Value::Array(entries)) => Ok(entries),
        Some(Value::Null) | None => Ok(Vec::new()),
        Some(_) => Err(NoList(member.to_owned())),
    }
}

/// Returns a token of a page; an empty one is none.
pub(crate) fn token(page: &Map<String, Value>, name: &str) -> Option<String> {
    page.get(name)?.as_str().filter(|token| !token.is_empty()).map(str::to_owned)
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
        for body in [&b""[..], b"[", b"0", b"[]", b"null", br#"{"items":{}}"#, br#"{"items":"none"}"#] {
            assert!(matches!(Page::of(body, "items"), Err(UnitError::Failed { .. })), "{body:?}");
        }
    }
}
