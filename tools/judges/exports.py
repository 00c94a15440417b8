#!/usr/bin/env python3
"""Reads exported calendars and contacts with parsers that know nothing of us, and compares them with the list beside them.

  exports.py calendars FOLDER
  exports.py contacts FOLDER
"""

import base64
import datetime
import json
import pathlib
import sys
import zoneinfo

import icalendar
import vobject

problems = []


def that(is_true, what):
    if not is_true:
        problems.append(what)


def rows(folder, name):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def moment(at):
    """Returns what a time of the API means."""
    if "date" in at:
        return datetime.date.fromisoformat(at["date"])
    return datetime.datetime.fromisoformat(at["dateTime"]).astimezone(datetime.timezone.utc)


def meant(value):
    """Returns what a parsed time means."""
    time = value.dt
    return time.astimezone(datetime.timezone.utc) if isinstance(time, datetime.datetime) else time


def check_lines(text, name):
    lines = text.split(b"\r\n")
    that(b"\n" not in b"".join(lines), f"{name}: a line does not end with CR LF")
    that(all(len(line) <= 75 for line in lines), f"{name}: a line is longer than 75 bytes")


def check_event(event, parsed, name):
    that(str(parsed.get("SUMMARY", "")) == event.get("summary", ""), f"{name}: the title is {parsed.get('SUMMARY')!r}")
    for member, line in (("description", "DESCRIPTION"), ("location", "LOCATION")):
        that(str(parsed.get(line, "")) == event.get(member, ""), f"{name}: {line} is {parsed.get(line)!r}")
    for member, line in (("start", "DTSTART"), ("end", "DTEND")):
        that(meant(parsed[line]) == moment(event[member]), f"{name}: {line} is {parsed[line].dt} and not {event[member]}")
    guests = parsed.get("ATTENDEE", [])
    guests = guests if isinstance(guests, list) else [guests]
    answers = {str(guest).removeprefix("mailto:"): guest.params["PARTSTAT"] for guest in guests}
    names = {"accepted": "ACCEPTED", "declined": "DECLINED", "tentative": "TENTATIVE", "needsAction": "NEEDS-ACTION"}
    wanted = {guest["email"]: names[guest["responseStatus"]] for guest in event.get("attendees", [])}
    that(answers == wanted, f"{name}: the guests are {answers} and not {wanted}")
    alarms = [part for part in parsed.subcomponents if part.name == "VALARM"]
    reminders = event.get("reminders", {}).get("overrides", [])
    that(len(alarms) == len(reminders), f"{name}: there are {len(alarms)} alarms")
    rule = [line for line in event.get("recurrence", []) if line.startswith("RRULE")]
    that(("RRULE" in parsed) == bool(rule), f"{name}: the rule is {parsed.get('RRULE')}")


def check_left_out(events, series):
    """Compares the occurrences that are left out of series with those that are cancelled."""
    for event in events:
        if event["status"] != "cancelled" or event["recurringEventId"] not in series:
            continue
        left_out = series[event["recurringEventId"]].get("EXDATE", [])
        left_out = left_out if isinstance(left_out, list) else [left_out]
        times = {meant(time) for list_of in left_out for time in list_of.dts}
        that(moment(event["originalStartTime"]) in times, f"{event['id']} takes place")


def check_zones(calendar, name):
    """Compares the zones that a file brings along with those of this system."""
    for zone in calendar.walk("VTIMEZONE"):
        own, known = zone.to_tz(), zoneinfo.ZoneInfo(str(zone["TZID"]))
        for month in range(1, 13):
            for year in (2025, 2026, 2030):
                at = datetime.datetime(year, month, 15, 12)
                offsets = at.replace(tzinfo=own).utcoffset(), at.replace(tzinfo=known).utcoffset()
                that(offsets[0] == offsets[1], f"{name}: {zone['TZID']} has {offsets[0]} and not {offsets[1]} at {at}")


def calendars(folder):
    files = {}
    for row in rows(folder, "events.jsonl"):
        files.setdefault(row["file"], []).append(row["event"])
    that(set(files) == {path.name for path in folder.glob("*.ics")}, "the list names other files")
    count = 0
    for name, events in files.items():
        text = (folder / name).read_bytes()
        check_lines(text, name)
        calendar = icalendar.Calendar.from_ical(text)
        check_zones(calendar, name)
        parsed, series = {}, {}
        for one in calendar.walk("VEVENT"):
            original = meant(one["RECURRENCE-ID"]) if "RECURRENCE-ID" in one else None
            key = (str(one["UID"]), original)
            that(key not in parsed, f"{name}: {key} is there twice")
            parsed[key] = one
        for event in events:
            if event["status"] == "cancelled":
                continue
            original = moment(event["originalStartTime"]) if "recurringEventId" in event else None
            one = parsed.pop((event["iCalUID"], original), None)
            that(one is not None, f"{name}: {event['id']} is missing")
            if one is not None:
                check_event(event, one, f"{name}: {event['id']}")
                if event.get("recurrence"):
                    series[event["id"]] = one
                count += 1
        that(not parsed, f"{name}: nobody knows {list(parsed)}")
        check_left_out(events, series)
    return count


def values(card, name):
    return [line.value for line in card.contents.get(name, [])]


def contacts(folder):
    (path,) = folder.glob("*.vcf")
    text = path.read_bytes()
    check_lines(text, path.name)
    cards = {}
    for card in vobject.readComponents(text.decode()):
        card.validate()
        cards[card.uid.value] = card
    listed = rows(folder, "contacts.jsonl")
    that({row["id"] for row in listed} == set(cards), "the list has other contacts")
    photos = 0
    for row in listed:
        card, person = cards[row["id"]], row["contact"]
        name = person.get("names", [{}])[0]
        if name.get("displayName"):
            that(card.fn.value == name["displayName"], f"{row['id']}: the name is {card.fn.value!r}")
        that(card.n.value.family == name.get("familyName", ""), f"{row['id']}: the family name is {card.n.value.family!r}")
        that(card.n.value.given == name.get("givenName", ""), f"{row['id']}: the given name is {card.n.value.given!r}")
        for member, line in (("emailAddresses", "email"), ("phoneNumbers", "tel"), ("biographies", "note")):
            wanted = [entry["value"] for entry in person.get(member, [])]
            that(values(card, line) == wanted, f"{row['id']}: {line} is {values(card, line)} and not {wanted}")
        streets = [address.street for address in values(card, "adr")]
        wanted = [entry.get("streetAddress", "") for entry in person.get("addresses", [])]
        that(streets == wanted, f"{row['id']}: the streets are {streets} and not {wanted}")
        categories = [category for line in values(card, "categories") for category in line]
        that(sorted(categories) == sorted(row["groups"]), f"{row['id']}: the groups are {categories} and not {row['groups']}")
        for photo in values(card, "photo"):
            photo = photo if isinstance(photo, bytes) else base64.b64decode(photo)
            that(photo.startswith(b"\x89PNG"), f"{row['id']}: the photo is no picture")
            photos += 1
    return len(cards), photos


def main():
    kind, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    found = {"calendars": calendars, "contacts": contacts}[kind](folder)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{found}, {len(problems)} problems")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
