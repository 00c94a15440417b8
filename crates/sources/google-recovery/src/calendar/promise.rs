use connect::fidelity::{Fidelity, Way};

/// An event, a series, or what differs in one.
pub(super) const EVENT: &str = "event";
/// A calendar.
pub(super) const CALENDAR: &str = "calendar";
/// Somebody's right to a calendar.
pub(super) const RIGHT: &str = "right to a calendar";
/// An event that goes to somebody else.
pub(super) const COPY: &str = "copied event";

/// An event that a drill puts into a sandbox.
pub(super) const SANDBOX: &str = "event in a sandbox";

/// Returns what becomes of calendars in each way of bringing them back.
pub(crate) fn promises() -> Vec<Fidelity> {
    vec![
        Fidelity::new(EVENT, Way::InPlace)
            .exact(&[
                "id",
                "title, text and place",
                "time and recurrence",
                "differing and cancelled occurrences",
                "guests and their answers",
                "reminders",
                "conference",
                "attachments",
                "colour and visibility",
                "extended properties",
            ])
            .equivalent("sequence number", "it grows, so that guests' calendars take the change")
            .equivalent("time of the last change", "it is that of the restore"),
        Fidelity::new(EVENT, Way::MadeAnew)
            .exact(&[
                "title, text and place",
                "time and recurrence",
                "differing and cancelled occurrences",
                "reminders",
                "attachments",
                "colour and visibility",
                "extended properties",
            ])
            .equivalent("id", "the old one where the calendar takes it; otherwise its iCalendar id is the old one")
            .equivalent("guests and their answers", "as they were; nobody is told, and guests outside of the domain may keep a copy of their own")
            .equivalent("conference", "the same one, as long as it exists")
            .equivalent("organizer and creator", "who owns the calendar, and the account that restores; somebody else's event comes as a private copy")
            .equivalent("sequence number", "one more than it was")
            .lost("time of creation and of the last change", "they are those of the restore"),
        Fidelity::new(EVENT, Way::Export)
            .exact(&["title, text and place", "time", "recurrence", "guests and their answers"])
            .equivalent("reminders", "as alarms; those of the calendar's usual ones are not written")
            .equivalent("conference, attachments, colour, extended properties", "links in the file, all of it in events.jsonl beside it"),
        Fidelity::new(CALENDAR, Way::InPlace).exact(&["title, text and place", "time zone", "how it looks in the list"]),
        Fidelity::new(CALENDAR, Way::MadeAnew)
            .exact(&["title, text and place", "time zone", "how it looks in its owner's list"])
            .lost("id", "a new one is given; links and subscriptions to the old one do not lead to it"),
        Fidelity::new(RIGHT, Way::InPlace).exact(&["who has it", "how far it goes"]),
        Fidelity::new(COPY, Way::MadeAnew)
            .exact(&["title and place", "time and recurrence", "differing and cancelled occurrences", "attachments"])
            .equivalent("guests", "they stand in the text and are not invited")
            .equivalent("conference", "its link stands in the text")
            .equivalent("kind", "absences, working places and birthdays become ordinary events")
            .lost("id", "it is another event, in a calendar of its own"),
        Fidelity::new(SANDBOX, Way::MadeAnew)
            .exact(&[
                "title, text and place",
                "time and recurrence",
                "differing and cancelled occurrences",
                "guests' answers",
                "reminders",
                "attachments",
                "colour and visibility",
                "extended properties",
            ])
            .equivalent("guests", "addresses of a domain that does not exist stand for theirs: nobody is invited")
            .lost("conference", "it belongs to the protected domain")
            .lost("kind", "a calendar of its own has no absences, working places and birthdays: they become ordinary events")
            .lost("id", "it is another event, in a calendar of its own"),
    ]
}
