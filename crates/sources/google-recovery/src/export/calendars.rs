//! Calendars as iCalendar (RFC 5545): a file for each, which any program reads.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use connect::{Progress, StoredHistory};
use jiff::{Timestamp, civil::Date};
use model::StreamName;
use ports::files::{self, FileError};
use serde::Serialize;
use serde_json::{Value, json};
use source_google::calendar::{CALENDAR_PREFIX, EVENT_PREFIX};

use super::{
    ExportError, create, file_name,
    lines::{Lines, quoted},
    zone,
};
use crate::planner::live_below;

const PRODUCT: &str = "-//unwipe//unwipe//EN";

/// Whose calendars are written, and as of when.
#[derive(Debug, Clone)]
pub struct CalendarSelection {
    /// Whose they are.
    pub account: String,
    /// The stream that holds them.
    pub stream: StreamName,
    /// The commit.
    pub at: u64,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExportedCalendars {
    /// How many calendars.
    pub calendars: u64,
    /// How many events, what differs in series among them.
    pub events: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

/// One calendar with its events by their ids.
#[derive(Default)]
struct Calendar {
    document: Value,
    events: BTreeMap<String, Value>,
}

/// Writes each of a user's calendars into a file of a folder, which must be new or empty. `events.jsonl` beside them has
/// every event as the API has it.
pub fn export_calendars(
    past: &dyn StoredHistory,
    selection: &CalendarSelection,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<ExportedCalendars, ExportError> {
    files::create_folder(folder)?;
    progress.phase("writing calendars", None);
    let list_path = folder.join("events.jsonl");
    let mut list = BufWriter::new(create(&list_path)?);
    let (mut done, mut names) = (ExportedCalendars::default(), BTreeSet::new());
    for (id, calendar) in read(past, selection)? {
        let name = free_name(&calendar_name(&calendar, &id), &mut names);
        let path = folder.join(&name);
        let failed = |path: &Path, error| ExportError::File(FileError::new("write", path, error));
        let mut lines = Lines::new(BufWriter::new(create(&path)?));
        write(&mut lines, &id, &calendar, &selection.account).map_err(|error| failed(&path, error))?;
        let (out, bytes) = lines.finish();
        sync(out).map_err(|error| failed(&path, error))?;
        for event in calendar.events.values() {
            let row = json!({ "calendar": id, "file": name, "event": event });
            writeln!(list, "{row}").map_err(|error| failed(&list_path, error))?;
        }
        done.calendars += 1;
        done.events += calendar.events.len() as u64;
        done.bytes += bytes;
        progress.advance(calendar.events.len() as u64);
    }
    sync(list).map_err(|error| FileError::new("write", &list_path, error))?;
    Ok(done)
}

pub(super) fn sync(out: BufWriter<File>) -> io::Result<()> {
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

fn read(
    past: &dyn StoredHistory,
    selection: &CalendarSelection,
) -> Result<BTreeMap<String, Calendar>, ExportError> {
    let (stream, at) = (&selection.stream, selection.at);
    let mut calendars: BTreeMap<String, Calendar> = BTreeMap::new();
    let read = |key: &str| -> Result<Option<Value>, connect::StoredError> {
        match past.version(stream, key, at)?.filter(|version| version.has_content) {
            Some(_) => Ok(serde_json::from_slice(&past.content(stream, key, at)?).ok()),
            None => Ok(None),
        }
    };
    live_below(past, stream, EVENT_PREFIX, at, &mut |key| {
        if let Some((calendar, id)) = key.strip_prefix(EVENT_PREFIX).and_then(|rest| rest.split_once('/'))
            && let Some(event) = read(key)?
        {
            calendars.entry(calendar.to_owned()).or_default().events.insert(id.to_owned(), event);
        }
        Ok(true)
    })?;
    for (id, calendar) in &mut calendars {
        calendar.document = read(&format!("{CALENDAR_PREFIX}{id}"))?.unwrap_or_default();
    }
    Ok(calendars)
}

fn calendar_name(calendar: &Calendar, id: &str) -> String {
    let document = &calendar.document;
    let name = document["calendar"]["summary"].as_str().or_else(|| document["entry"]["summary"].as_str());
    name.filter(|name| !name.is_empty()).unwrap_or(id).to_owned()
}

/// Returns a name that no other file of the folder has, on systems that do not tell large letters from small ones too.
fn free_name(wanted: &str, taken: &mut BTreeSet<String>) -> String {
    let base = file_name(wanted);
    let numbered = |number: u32| match number {
        1 => format!("{base}.ics"),
        number => format!("{base}-{number}.ics"),
    };
    let mut number = 1;
    while !taken.insert(numbered(number).to_lowercase()) {
        number += 1;
    }
    numbered(number)
}

fn write<W: Write>(lines: &mut Lines<W>, id: &str, calendar: &Calendar, account: &str) -> io::Result<()> {
    lines.raw("BEGIN", "VCALENDAR")?;
    lines.raw("VERSION", "2.0")?;
    lines.raw("PRODID", PRODUCT)?;
    lines.raw("CALSCALE", "GREGORIAN")?;
    lines.text("X-WR-CALNAME", &calendar_name(calendar, id))?;
    lines.some_text("X-WR-CALDESC", calendar.document["calendar"]["description"].as_str())?;
    lines.some_text("X-WR-TIMEZONE", calendar.document["calendar"]["timeZone"].as_str())?;
    for (name, year) in zones(calendar) {
        zone::write(lines, &name, year)?;
    }
    // Occurrences that do not take place are left out of their series.
    let mut left_out: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for event in calendar.events.values().filter(|event| event["status"] == "cancelled") {
        if let Some(series) = event["recurringEventId"].as_str() {
            left_out.entry(series).or_default().push(&event["originalStartTime"]);
        }
    }
    let none = Vec::new();
    for (event_id, event) in &calendar.events {
        if event["status"] != "cancelled" {
            let left_out = left_out.get(event_id.as_str()).unwrap_or(&none);
            let series = event["recurringEventId"].as_str().and_then(|series| calendar.events.get(series));
            write_event(lines, event_id, event, series, left_out, account)?;
        }
    }
    lines.raw("END", "VCALENDAR")
}

/// Returns the zones that a calendar's events name, each with the first year in which it is needed.
fn zones(calendar: &Calendar) -> BTreeMap<String, i16> {
    let mut zones: BTreeMap<String, i16> = BTreeMap::new();
    for event in calendar.events.values() {
        let year =
            event["start"]["dateTime"].as_str().and_then(|text| text.get(..4)?.parse().ok()).unwrap_or(1970);
        let of_times = ["start", "end"].into_iter().filter_map(|side| event[side]["timeZone"].as_str());
        let of_rules = event["recurrence"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|line| line.as_str()?.split_once("TZID=")?.1.split([':', ';']).next());
        for name in of_times.chain(of_rules).filter(|name| zone::named(name).is_some()) {
            let first = zones.entry(name.to_owned()).or_insert(year);
            *first = (*first).min(year);
        }
    }
    zones
}

/// Writes a time as it is in its zone, or else in UTC; a day is a day everywhere.
fn time(at: &Value, usual: &Value) -> Option<(String, String)> {
    if let Some(day) = at["date"].as_str() {
        let day: Date = day.parse().ok()?;
        return Some((";VALUE=DATE".to_owned(), day.strftime("%Y%m%d").to_string()));
    }
    let moment: Timestamp = at["dateTime"].as_str()?.parse().ok()?;
    let name = at["timeZone"].as_str().or_else(|| usual["timeZone"].as_str());
    Some(match name.and_then(|name| Some((name, zone::named(name)?))) {
        Some((name, zone)) => {
            let local = moment.to_zoned(zone).datetime().strftime("%Y%m%dT%H%M%S").to_string();
            (format!(";TZID={name}"), local)
        }
        None => (String::new(), utc(moment)),
    })
}

fn utc(moment: Timestamp) -> String {
    moment.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn stamp(text: &Value) -> Option<String> {
    text.as_str()?.parse().ok().map(utc)
}

fn write_event<W: Write>(
    lines: &mut Lines<W>,
    id: &str,
    event: &Value,
    series: Option<&Value>,
    left_out: &[&Value],
    account: &str,
) -> io::Result<()> {
    let text = |name: &str| event[name].as_str();
    lines.raw("BEGIN", "VEVENT")?;
    lines.raw("UID", text("iCalUID").unwrap_or(id))?;
    lines.raw("DTSTAMP", &stamp(&event["updated"]).unwrap_or_else(|| utc(Timestamp::UNIX_EPOCH)))?;
    for (name, member) in [("CREATED", "created"), ("LAST-MODIFIED", "updated")] {
        if let Some(stamp) = stamp(&event[member]) {
            lines.raw(name, &stamp)?;
        }
    }
    for (name, member) in [("DTSTART", "start"), ("DTEND", "end")] {
        if let Some((parameters, value)) = time(&event[member], &Value::Null) {
            lines.raw(&format!("{name}{parameters}"), &value)?;
        }
    }
    if series.is_some() || event["recurringEventId"].is_string() {
        let usual = series.map_or(&event["start"], |series| &series["start"]);
        if let Some((parameters, value)) = time(&event["originalStartTime"], usual) {
            lines.raw(&format!("RECURRENCE-ID{parameters}"), &value)?;
        }
    }
    for line in event["recurrence"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if let Some((name, value)) = line.split_once(':')
            && ["RRULE", "RDATE", "EXDATE", "EXRULE"].iter().any(|rule| name.starts_with(rule))
        {
            lines.raw(name, value)?;
        }
    }
    for original in left_out {
        if let Some((parameters, value)) = time(original, &event["start"]) {
            lines.raw(&format!("EXDATE{parameters}"), &value)?;
        }
    }
    lines.some_text("SUMMARY", text("summary"))?;
    lines.some_text("DESCRIPTION", text("description"))?;
    lines.some_text("LOCATION", text("location"))?;
    lines.raw("STATUS", if text("status") == Some("tentative") { "TENTATIVE" } else { "CONFIRMED" })?;
    lines
        .raw("TRANSP", if text("transparency") == Some("transparent") { "TRANSPARENT" } else { "OPAQUE" })?;
    if let Some(class) = match text("visibility") {
        Some("private") => Some("PRIVATE"),
        Some("confidential") => Some("CONFIDENTIAL"),
        Some("public") => Some("PUBLIC"),
        _ => None,
    } {
        lines.raw("CLASS", class)?;
    }
    lines.raw("SEQUENCE", &event["sequence"].as_i64().unwrap_or(0).to_string())?;
    write_people(lines, event)?;
    for attachment in event["attachments"].as_array().into_iter().flatten() {
        if let Some(link) = attachment["fileUrl"].as_str() {
            let kind = attachment["mimeType"].as_str().map(|kind| format!(";FMTTYPE={}", quoted(kind)));
            lines.raw(&format!("ATTACH{}", kind.unwrap_or_default()), link)?;
        }
    }
    if let Some(link) = text("hangoutLink") {
        lines.raw("X-GOOGLE-CONFERENCE", link)?;
    }
    if let Some(link) = event["source"]["url"].as_str() {
        lines.raw("URL", link)?;
    }
    write_alarms(lines, event, account)?;
    lines.raw("END", "VEVENT")
}

fn write_people<W: Write>(lines: &mut Lines<W>, event: &Value) -> io::Result<()> {
    let called = |person: &Value| {
        person["displayName"].as_str().map(|name| format!(";CN={}", quoted(name))).unwrap_or_default()
    };
    let guests = event["attendees"].as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(email) = event["organizer"]["email"].as_str().filter(|_| !guests.is_empty()) {
        lines.raw(&format!("ORGANIZER{}", called(&event["organizer"])), &format!("mailto:{email}"))?;
    }
    for guest in guests {
        let Some(email) = guest["email"].as_str() else { continue };
        let answer = match guest["responseStatus"].as_str() {
            Some("accepted") => "ACCEPTED",
            Some("declined") => "DECLINED",
            Some("tentative") => "TENTATIVE",
            _ => "NEEDS-ACTION",
        };
        let role = if guest["optional"] == true { "OPT-PARTICIPANT" } else { "REQ-PARTICIPANT" };
        let kind = if guest["resource"] == true { "RESOURCE" } else { "INDIVIDUAL" };
        let parameters = format!(";CUTYPE={kind};ROLE={role};PARTSTAT={answer}{}", called(guest));
        lines.raw(&format!("ATTENDEE{parameters}"), &format!("mailto:{email}"))?;
    }
    Ok(())
}

fn write_alarms<W: Write>(lines: &mut Lines<W>, event: &Value, account: &str) -> io::Result<()> {
    for reminder in event["reminders"]["overrides"].as_array().into_iter().flatten() {
        let Some(minutes) = reminder["minutes"].as_i64() else { continue };
        let title = event["summary"].as_str().filter(|title| !title.is_empty()).unwrap_or("Event");
        lines.raw("BEGIN", "VALARM")?;
        lines.raw("TRIGGER", &format!("-PT{minutes}M"))?;
        if reminder["method"] == "email" {
            lines.raw("ACTION", "EMAIL")?;
            lines.text("SUMMARY", title)?;
            lines.raw("ATTENDEE", &format!("mailto:{account}"))?;
        } else {
            lines.raw("ACTION", "DISPLAY")?;
        }
        lines.text("DESCRIPTION", title)?;
        lines.raw("END", "VALARM")?;
    }
    Ok(())
}
