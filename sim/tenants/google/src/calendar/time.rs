//! When an event begins and ends: on a day, or at a moment.

use jiff::{Timestamp, civil, tz::TimeZone};
use serde_json::{Value, json};

use crate::refusal::Refusal;

/// A day or a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// A day, wherever one is.
    Day(civil::Date),
    /// A moment.
    At(Timestamp),
}

/// Finds a time zone by its name.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

impl When {
    /// Reads `start`, `end` or `originalStartTime`. `usual` is the zone of what does not say its own.
    pub(crate) fn parse(value: &Value, usual: &TimeZone) -> Result<Self, Refusal> {
        let text = |name: &str| value[name].as_str().filter(|text| !text.is_empty());
        if let Some(date) = text("date") {
            return date.parse().map(Self::Day).map_err(|_| bad("Invalid value for: Invalid format"));
        }
        let time = text("dateTime").ok_or_else(|| bad("Bad Request"))?;
        if let Ok(moment) = time.parse::<Timestamp>() {
            return Ok(Self::At(moment));
        }
        let own = match text("timeZone") {
            Some(name) => zone(name).ok_or_else(|| bad("Invalid time zone definition for start time."))?,
            None => usual.clone(),
        };
        let civil: civil::DateTime = time.parse().map_err(|_| bad("Invalid value for: Invalid format"))?;
        Ok(Self::At(at(civil, &own)))
    }

    /// Returns the moment at which it is there; a day begins with its midnight in the zone.
    pub(crate) fn moment(self, zone: &TimeZone) -> Timestamp {
        match self {
            Self::Day(day) => at(day.into(), zone),
            Self::At(moment) => moment,
        }
    }

    /// Returns what a clock on the wall shows; of a day its midnight.
    pub(crate) fn civil(self, zone: &TimeZone) -> civil::DateTime {
        match self {
            Self::Day(day) => day.into(),
            Self::At(moment) => zone.to_datetime(moment),
        }
    }

    /// Tells whether it is a day.
    pub(crate) const fn is_day(self) -> bool {
        matches!(self, Self::Day(_))
    }

    /// Returns it as the end of an instance's id: `20260302T090000Z`, `20260302`.
    pub(crate) fn suffix(self) -> String {
        match self {
            Self::Day(day) => day.strftime("%Y%m%d").to_string(),
            Self::At(moment) => moment.strftime("%Y%m%dT%H%M%SZ").to_string(),
        }
    }

    /// Returns it as a resource; `own` is the name of the zone that the event has for it.
    pub(crate) fn resource(self, own: Option<&str>, looked_at: &TimeZone) -> Value {
        let mut value = match self {
            Self::Day(day) => json!({ "date": day.to_string() }),
            Self::At(moment) => json!({ "dateTime": written(moment, looked_at) }),
        };
        if let (Self::At(_), Some(own)) = (self, own) {
            value["timeZone"] = own.into();
        }
        value
    }

    /// Returns how long it is until another, in a way that [`When::plus`] understands.
    pub(crate) fn until(self, end: Self, zone: &TimeZone) -> jiff::SignedDuration {
        match (self, end) {
            (Self::Day(start), Self::Day(end)) => start.duration_until(end),
            _ => end.moment(zone).duration_since(self.moment(zone)),
        }
    }

    /// Returns what is so much later.
    pub(crate) fn plus(self, length: jiff::SignedDuration) -> Self {
        match self {
            Self::Day(day) => Self::Day(day.saturating_add(length)),
            Self::At(moment) => Self::At(moment.checked_add(length).unwrap_or(Timestamp::MAX)),
        }
    }
}

/// Returns the moment at which clocks in a zone show this; what they show twice or never is taken as calendars do.
pub(crate) fn at(civil: civil::DateTime, zone: &TimeZone) -> Timestamp {
    zone.to_ambiguous_timestamp(civil).compatible().unwrap_or(Timestamp::MAX)
}

/// Writes a moment as a zone's clocks show it, with the offset: `2026-03-02T10:00:00+01:00`.
fn written(moment: Timestamp, zone: &TimeZone) -> String {
    let offset = zone.to_offset(moment);
    if offset == jiff::tz::Offset::UTC {
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    }
    moment.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

fn bad(message: &str) -> Refusal {
    Refusal::invalid_value(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_an_offset_and_written_in_the_zone_of_whoever_looks() {
        let berlin = zone("Europe/Berlin").unwrap();
        let read = |value: Value| When::parse(&value, &berlin).unwrap();
        let moment = read(json!({ "dateTime": "2026-03-30T10:00:00", "timeZone": "Europe/Berlin" }));
        assert_eq!(moment, read(json!({ "dateTime": "2026-03-30T08:00:00Z" })));
        assert_eq!(moment.suffix(), "20260330T080000Z");
        let tokyo = zone("Asia/Tokyo").unwrap();
        assert_eq!(
            moment.resource(Some("Europe/Berlin"), &tokyo),
            json!({ "dateTime": "2026-03-30T17:00:00+09:00", "timeZone": "Europe/Berlin" })
        );
        assert_eq!(moment.resource(None, &TimeZone::UTC), json!({ "dateTime": "2026-03-30T08:00:00Z" }));
        let day = read(json!({ "date": "2026-03-30" }));
        assert_eq!(
            (day.suffix().as_str(), day.resource(None, &tokyo)),
            ("20260330", json!({ "date": "2026-03-30" }))
        );
        for broken in [json!({}), json!({ "date": "30.3.2026" }), json!({ "dateTime": "x" })] {
            assert!(When::parse(&broken, &berlin).is_err(), "{broken}");
        }
        let nowhere = json!({ "dateTime": "2026-03-30T10:00:00", "timeZone": "Europe/Atlantis" });
        assert!(When::parse(&nowhere, &berlin).is_err());
    }

    #[test]
    fn a_length_is_kept_in_days_for_days_and_in_hours_for_moments() {
        let berlin = zone("Europe/Berlin").unwrap();
        let day = |text: &str| When::Day(text.parse().unwrap());
        let length = day("2026-03-28").until(day("2026-03-30"), &berlin);
        assert_eq!(day("2026-10-24").plus(length), day("2026-10-26"));
        let at = |text: &str| When::At(text.parse().unwrap());
        let length = at("2026-03-02T10:00:00Z").until(at("2026-03-02T11:30:00Z"), &berlin);
        assert_eq!(at("2026-03-28T23:30:00Z").plus(length), at("2026-03-29T01:00:00Z"));
    }
}
