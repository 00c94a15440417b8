//! Settings and sharing, which no token tells of: they are read again in each round.

use std::collections::BTreeSet;

use connect::units::{UnitError, UnitSink};
use google_api::{Get, method};
use model::UnreadableReason;
use serde_json::{Value, json};

use super::{ACL_PREFIX, Calendars, state::Answer};
use crate::{
    failure::{as_unreadable, as_unsupported},
    feed::FeedEnd,
    records::{self, Record},
};

const SETTINGS: &str = "settings";
const PAGE: &str = "250";

/// The call of a user's settings.
pub(super) fn get() -> Get {
    Get::new(&method::CALENDAR_SETTINGS_LIST, "calendar/v3/users/me/settings").query("maxResults", PAGE)
}

fn sharing(calendar: &str) -> Get {
    Calendars::of_calendar(&method::CALENDAR_ACL_LIST, calendar, "/acl").query("maxResults", PAGE)
}

impl Calendars {
    pub(super) fn take_settings(&self, answer: Answer, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        if let Err(error) = &answer {
            let reason = as_unsupported(error, "settings of calendars").ok_or(UnitError::Stopped)?;
            return records::unreadable_once(&self.stream, SETTINGS.to_owned(), reason, sink);
        }
        let mut all = serde_json::Map::new();
        let read = self.feed(get(), false).read(Some(answer), |items| {
            for item in items {
                if let Some(id) = item["id"].as_str() {
                    all.insert(id.to_owned(), item["value"].clone());
                }
            }
            Ok(())
        });
        match read {
            Ok(_) => {
                let record = Record::new(SETTINGS, None, Value::Object(all));
                records::store(&self.stream, &[record], sink)
            }
            Err(FeedEnd::Failed(error)) => Err(error),
            Err(FeedEnd::Lost | FeedEnd::Gone) => Ok(()),
        }
    }

    /// Reads who may see some calendars. It takes a scope of its own: what cannot be read for want of it is told once.
    pub(super) fn read_sharing(
        &self,
        calendars: &[&String],
        sink: &mut UnitSink<'_>,
    ) -> Result<(), UnitError> {
        let gets: Vec<Get> = calendars.iter().map(|id| sharing(id)).collect();
        let answers = match self.api.get_all(&self.user.email, &gets) {
            Ok(answers) => answers,
            Err(error) => {
                let reason = as_unreadable(&error).ok_or(UnitError::Stopped)?;
                for calendar in calendars {
                    self.unreadable_sharing(calendar, reason.clone(), sink)?;
                }
                return Ok(());
            }
        };
        for (calendar, answer) in calendars.iter().zip(answers) {
            match answer {
                Ok(body) => self.take_sharing(calendar, body, sink)?,
                Err(error) => {
                    let reason = as_unreadable(&error).ok_or(UnitError::Stopped)?;
                    self.unreadable_sharing(calendar, reason, sink)?;
                }
            }
        }
        Ok(())
    }

    fn unreadable_sharing(
        &self,
        calendar: &str,
        reason: UnreadableReason,
        sink: &mut UnitSink<'_>,
    ) -> Result<(), UnitError> {
        records::unreadable_once(&self.stream, format!("{ACL_PREFIX}{calendar}"), reason, sink)
    }

    fn take_sharing(&self, calendar: &str, body: Vec<u8>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let prefix = format!("{ACL_PREFIX}{calendar}/");
        let rules = match self.feed(sharing(calendar), false).read_all(Some(Ok(body))) {
            Ok((rules, _)) => rules,
            Err(FeedEnd::Failed(error)) => return Err(error),
            Err(FeedEnd::Lost | FeedEnd::Gone) => return Ok(()),
        };
        let (mut listed, mut all) = (BTreeSet::new(), Vec::new());
        for rule in rules {
            let Some(id) = rule["id"].as_str() else { continue };
            let key = format!("{prefix}{id}");
            let name = rule["scope"]["value"].as_str().map(str::to_owned);
            if rule["role"] != json!("none") && listed.insert(key.clone()) {
                all.push(Record::new(key, name.as_deref(), rule));
            }
        }
        if all.is_empty() {
            let detail = format!("the list of who may see {calendar} is empty: its owner is missing");
            return Err(UnitError::Failed { detail });
        }
        records::store(&self.stream, &all, sink)?;
        records::remove_others(&self.stream, &prefix, &listed, sink)?;
        records::readable_again(&self.stream, &format!("{ACL_PREFIX}{calendar}"), sink)
    }
}
