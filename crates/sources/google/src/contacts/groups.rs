//! Groups of contacts.

use std::collections::BTreeSet;

use connect::units::{UnitError, UnitSink};
use google_api::{ApiError, Get, method};
use serde_json::{Value, json};

use super::{Contacts, GROUP_PREFIX, unlisted};
use crate::{
    feed::FeedEnd,
    records::{self, Record},
};

const PAGE: &str = "1000";
const MEMBER: &str = "contactGroups";

/// The call of the list: of all of it, or of what changed since a token. How many members a group has is left out: who
/// they are stands with each contact.
pub(super) fn get(since: Option<&str>) -> Get {
    let get = Get::new(&method::CONTACT_GROUPS_LIST, "v1/contactGroups")
        .query("groupFields", "clientData,groupType,metadata,name")
        .query("pageSize", PAGE);
    since.iter().fold(get, |get, token| get.query("syncToken", *token))
}

impl Contacts {
    /// Reads the groups. Where something changed, all are listed and compared: they are few. Returns the next token.
    pub(super) fn read_groups(
        &self,
        since: bool,
        answer: Option<Result<Vec<u8>, ApiError>>,
        sink: &mut UnitSink<'_>,
    ) -> Result<Option<String>, UnitError> {
        let read = self.feed(get(None), MEMBER, since).read_all(answer);
        let listed = match read {
            Ok((changed, token)) if since && changed.is_empty() && token.is_some() => return Ok(token),
            Err(FeedEnd::Failed(error)) => return Err(error),
            Ok(all) if !since => all,
            Ok(_) | Err(FeedEnd::Lost | FeedEnd::Gone) => {
                match self.feed(get(None), MEMBER, false).read_all(None) {
                    Ok(all) => all,
                    Err(FeedEnd::Failed(error)) => return Err(error),
                    Err(FeedEnd::Lost | FeedEnd::Gone) => return Err(unlisted(MEMBER)),
                }
            }
        };
        self.take_groups(listed.0, sink)?;
        Ok(listed.1)
    }

    fn take_groups(&self, groups: Vec<Value>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        if groups.is_empty() {
            // Everybody has those of the system.
            return Err(UnitError::Failed { detail: "the list of groups of contacts is empty".to_owned() });
        }
        let (mut listed, mut all) = (BTreeSet::new(), Vec::new());
        for group in groups {
            let id = group["resourceName"].as_str().and_then(|name| name.strip_prefix("contactGroups/"));
            let Some(key) = id.map(|id| format!("{GROUP_PREFIX}{id}")) else { continue };
            if group["metadata"]["deleted"] != json!(true) && listed.insert(key.clone()) {
                let name = group["name"].as_str().map(str::to_owned);
                all.push(Record::new(key, name.as_deref(), group));
            }
        }
        records::store(&self.stream, &all, sink)?;
        records::remove_others(&self.stream, GROUP_PREFIX, &listed, sink).map(drop)
    }
}
