//! Time zones as iCalendar describes them.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use jiff::{
    Timestamp,
    civil::Date,
    tz::{Dst, Offset, TimeZone},
};

use super::lines::Lines;

/// Rules are written out up to this year at least.
const LAST_YEAR: i16 = 2037;

/// Returns the zone that a name means; those that mean UTC have none.
pub(super) fn named(name: &str) -> Option<TimeZone> {
    if matches!(name, "UTC" | "GMT" | "Etc/UTC" | "Etc/GMT") {
        return None;
    }
    TimeZone::get(name).ok()
}

/// One way of counting: whether it is summer time, from which offset to which, and what it is called.
type Observance = (bool, i32, i32, String);

/// Writes a zone from a year on, each change of clocks by itself.
pub(super) fn write<W: Write>(lines: &mut Lines<W>, name: &str, from_year: i16) -> io::Result<()> {
    let Some(zone) = named(name) else { return Ok(()) };
    let begin = moment(from_year.saturating_sub(1));
    let end = moment(LAST_YEAR.max(from_year.saturating_add(2)));
    let info = zone.to_offset_info(begin);
    let mut offset = info.offset();
    let mut observances: BTreeMap<Observance, Vec<String>> = BTreeMap::new();
    let first = (info.dst() == Dst::Yes, offset.seconds(), offset.seconds(), info.abbreviation().to_owned());
    observances.insert(first, vec![local(begin, offset)]);
    for change in zone.following(begin).take_while(|change| change.timestamp() < end) {
        let to = change.offset();
        let observance =
            (change.dst() == Dst::Yes, offset.seconds(), to.seconds(), change.abbreviation().to_owned());
        observances.entry(observance).or_default().push(local(change.timestamp(), offset));
        offset = to;
    }
    lines.raw("BEGIN", "VTIMEZONE")?;
    lines.raw("TZID", name)?;
    for ((is_summer, from, to, called), starts) in observances {
        let kind = if is_summer { "DAYLIGHT" } else { "STANDARD" };
        lines.raw("BEGIN", kind)?;
        lines.raw("DTSTART", starts.first().map_or("", String::as_str))?;
        if starts.len() > 1 {
            lines.raw("RDATE", &starts[1..].join(","))?;
        }
        lines.raw("TZOFFSETFROM", &written(from))?;
        lines.raw("TZOFFSETTO", &written(to))?;
        lines.text("TZNAME", &called)?;
        lines.raw("END", kind)?;
    }
    lines.raw("END", "VTIMEZONE")
}

fn moment(year: i16) -> Timestamp {
    let day = Date::new(year.clamp(1, 9000), 1, 1).unwrap_or_default();
    day.to_zoned(TimeZone::UTC).map_or(Timestamp::UNIX_EPOCH, |zoned| zoned.timestamp())
}

fn local(moment: Timestamp, offset: Offset) -> String {
    offset.to_datetime(moment).strftime("%Y%m%dT%H%M%S").to_string()
}

fn written(seconds: i32) -> String {
    let (sign, seconds) = if seconds < 0 { ('-', -seconds) } else { ('+', seconds) };
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if rest == 0 {
        format!("{sign}{hours:02}{minutes:02}")
    } else {
        format!("{sign}{hours:02}{minutes:02}{rest:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_tells_when_clocks_change() {
        let mut lines = Lines::new(Vec::new());
        write(&mut lines, "Europe/Berlin", 2026).unwrap();
        let text = String::from_utf8(lines.finish().0).unwrap().replace("\r\n ", "");
        assert!(text.contains("TZID:Europe/Berlin\r\n") && text.contains("20260329T020000"), "{text}");
        assert!(text.contains("TZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\nTZNAME:CEST"), "{text}");
        let mut none = Lines::new(Vec::new());
        write(&mut none, "UTC", 2026).unwrap();
        assert!(none.finish().0.is_empty());
    }
}
