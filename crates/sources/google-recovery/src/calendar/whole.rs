//! Planning to bring all of a user's events to somewhere else.

use serde_json::json;
use source_google::calendar::{CALENDAR_PREFIX, EVENT_PREFIX, EventAttributes, event_key};

use super::{
    event::CANCELLED,
    plan::{Planning, parts},
    step::{CalendarRow, ReturnRow},
};
use crate::{PlanningError, planner::live_below, request::ORIGIN};

/// With what an event goes to somewhere else.
enum Goes {
    Alone,
    /// With the series in which it differs.
    With(String),
    Nowhere,
}

impl Planning<'_, '_, '_> {
    /// Takes every event that was there.
    pub(super) fn take_all(&mut self) -> Result<(), PlanningError> {
        let (past, at) = (self.planner.past, self.request.window.before.0);
        let mut keys = Vec::new();
        live_below(past, &self.request.stream, EVENT_PREFIX, at, &mut |key| {
            keys.push(key.to_owned());
            Ok(true)
        })?;
        for key in &keys {
            let Some((calendar, id)) = parts(key, EVENT_PREFIX) else { continue };
            if !self.is_meant(key) && !self.is_in_chosen(key, calendar)? {
                continue;
            }
            let Some(version) = past.version(&self.request.stream, key, at)? else { continue };
            if !version.has_content {
                let reason = "it could not be read when it was captured".to_owned();
                self.planner.loss(format!("{}: {key}", self.request.account), reason);
                continue;
            }
            let attributes = EventAttributes::of_text(&version.item.item.attributes).unwrap_or_default();
            let series = match self.goes(calendar, &attributes)? {
                Goes::Alone => None,
                Goes::With(series) => Some(series),
                Goes::Nowhere => continue,
            };
            self.rows.copied.push(ReturnRow {
                calendar: calendar.to_owned(),
                id: id.to_owned(),
                series,
                with_series: true,
                moved_to: None,
                wanted: None,
                summary: attributes.summary,
            });
        }
        if self.rows.copied.is_empty() {
            return Ok(());
        }
        let primary = self.documents().at(&format!("{CALENDAR_PREFIX}{}", self.request.account), at)?;
        let zone = primary.map(|mut primary| primary["calendar"]["timeZone"].take()).unwrap_or_default();
        let name = self.request.origin_name(&self.request.account);
        let mut calendar = json!({ "summary": name });
        if zone.is_string() {
            calendar["timeZone"] = zone;
        }
        self.rows.made.push(CalendarRow { id: ORIGIN.to_owned(), calendar, entry: json!({}) });
        self.planner.note(format!("the events go into the calendar {name:?}"));
        Ok(())
    }

    /// Tells with what an event goes. Whoever was invited to one occurrence alone has no series: the occurrence is an event
    /// of its own, and nothing where it does not take place.
    fn goes(&self, calendar: &str, attributes: &EventAttributes) -> Result<Goes, PlanningError> {
        let Some(series) = &attributes.series else { return Ok(Goes::Alone) };
        let (past, at) = (self.planner.past, self.request.window.before.0);
        if past.version(self.stream(), &event_key(calendar, series), at)?.is_some() {
            return Ok(Goes::With(series.clone()));
        }
        Ok(if attributes.status == CANCELLED { Goes::Nowhere } else { Goes::Alone })
    }
}
