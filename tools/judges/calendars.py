"""Calendars, as Google's client reads, changes, empties and fills them."""

import json

PRIMARY = {"calendarId": "primary"}


def judge(j):
    service = j.service("calendar", j.users[0])
    events, synced = reading(j, service)
    writing(j, service, events)
    series(j, service)
    # Before anything is shared: that ends what can be followed.
    following(j, service, synced)
    lists(j, service)
    rules(j, service)
    since = service.events().list(**PRIMARY, showDeleted=True, singleEvents=False, maxResults=10, syncToken=synced)
    j.refuse(since, 410, "fullSyncRequired")
    secondary(j, service)
    j.do(service.settings().get(setting="timezone"))
    watching(j, service)
    clearing(j, service)
    refusals(j, service)


def at(day, hour, zone="Europe/Berlin"):
    return {"dateTime": f"2026-04-{day:02}T{hour:02}:00:00+02:00", "timeZone": zone}


def reading(j, service):
    j.do(service.colors().get())
    j.do(service.settings().list())
    lists = service.calendarList()
    all_lists = j.do(lists.list(showHidden=True, showDeleted=True, maxResults=250))
    j.that("nextSyncToken" in all_lists, "the list of calendars cannot be followed")
    for entry in all_lists["items"]:
        j.do(lists.get(calendarId=entry["id"]))
        j.do(service.calendars().get(calendarId=entry["id"]))
    events = service.events()
    request = events.list(**PRIMARY, maxResults=10, showDeleted=True, singleEvents=False)
    pages, items, synced = 0, [], None
    while request is not None:
        answer = j.do(request)
        items.extend(answer["items"])
        pages += 1
        synced = answer.get("nextSyncToken")
        request = events.list_next(request, answer)
    j.that(pages > 1 and synced, "a list of events has one page, or none that ends it")
    for event in items:
        j.do(events.get(**PRIMARY, eventId=event["id"]))
    answers = j.batch(service, [events.get(**PRIMARY, eventId=event["id"]) for event in items[:20]])
    j.that(all(isinstance(answer, dict) for answer in answers), "a part of a batch was refused")
    j.do(events.list(**PRIMARY, singleEvents=True, orderBy="startTime", timeMin="2026-01-01T00:00:00Z", timeMax="2026-03-01T00:00:00Z"))
    j.do(events.list(**PRIMARY, q="a", maxResults=5))
    return items, synced


def writing(j, service, listed):
    events = service.events()
    body = {"id": "judge0001", "summary": "one", "start": at(1, 9), "end": at(1, 10), "attendees": [{"email": j.users[1]}]}
    body.update(reminders={"useDefault": False, "overrides": [{"method": "popup", "minutes": 5}]}, colorId="3")
    body.update(extendedProperties={"private": {"a": "b"}, "shared": {"c": "d"}}, location="here", visibility="private")
    made = j.do(events.insert(**PRIMARY, body=body, sendUpdates="none"))
    j.that(made["id"] == "judge0001" and made["organizer"]["self"], "an inserted event is not one's own")
    j.refuse(events.insert(**PRIMARY, body=body), 409)
    guest = j.service("calendar", j.users[1])
    copy = j.do(guest.events().get(**PRIMARY, eventId="judge0001"))
    j.that(copy["iCalUID"] == made["iCalUID"], "a guest has another event")
    j.do(events.patch(**PRIMARY, eventId="judge0001", body={"summary": "two"}, sendUpdates="none"))
    whole = j.do(events.get(**PRIMARY, eventId="judge0001"))
    j.do(events.update(**PRIMARY, eventId="judge0001", body={**whole, "description": "d"}, sendUpdates="none"))
    j.do(events.delete(**PRIMARY, eventId="judge0001", sendUpdates="none"))
    gone = j.do(events.get(**PRIMARY, eventId="judge0001"))
    j.that(gone["status"] == "cancelled", "a deleted event is not cancelled")
    j.do(events.patch(**PRIMARY, eventId="judge0001", body={"status": "confirmed"}, sendUpdates="none"))
    days = {"summary": "days", "start": {"date": "2026-04-05"}, "end": {"date": "2026-04-07"}}
    j.do(events.insert(**PRIMARY, body=days))
    brought = {"iCalUID": "judge@elsewhere.test", "summary": "brought", "start": at(2, 9), "end": at(2, 10)}
    brought["organizer"] = {"email": "somebody@elsewhere.test"}
    j.do(events.import_(**PRIMARY, body=brought, supportsAttachments=True, conferenceDataVersion=1))
    found = j.do(events.list(**PRIMARY, iCalUID="judge@elsewhere.test"))
    j.that(len(found["items"]) == 1, "an imported event is not found by its uid")
    j.that(len(listed) > 0, "there was nothing")


def series(j, service):
    events = service.events()
    body = {"summary": "weekly", "start": at(7, 9), "end": at(7, 10), "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=5"]}
    made = j.do(events.insert(**PRIMARY, body=body))
    instances = j.pages(events, events.instances(**PRIMARY, eventId=made["id"], maxResults=2), "items", events.instances_next)
    j.that(len(instances) == 5, f"{len(instances)} instances of five")
    one, two = instances[1]["id"], instances[2]["id"]
    j.do(events.patch(**PRIMARY, eventId=one, body={"summary": "another"}))
    j.do(events.delete(**PRIMARY, eventId=two))
    told = j.do(events.list(**PRIMARY, showDeleted=True, iCalUID=made["iCalUID"]))["items"]
    j.that({event["id"] for event in told} == {made["id"], one, two}, "exceptions of a series are not listed")
    shown = j.do(events.instances(**PRIMARY, eventId=made["id"], showDeleted=False))["items"]
    j.that(len(shown) == 4, "a cancelled instance is shown")


def lists(j, service):
    lists = service.calendarList()
    made = j.do(service.calendars().insert(body={"summary": "listed", "timeZone": "Europe/Paris"}))
    where = {"calendarId": made["id"]}
    entry = j.do(lists.get(**where))
    j.do(lists.patch(**where, body={"colorId": "5", "hidden": False}))
    j.do(lists.update(**where, body={**entry, "summaryOverride": "mine"}))
    j.do(service.acl().insert(**where, body={"role": "reader", "scope": {"type": "user", "value": j.users[1]}}, sendNotifications=False))
    other = j.service("calendar", j.users[1])
    j.do(other.calendarList().insert(body={"id": made["id"]}))
    j.do(other.calendarList().delete(**where))
    j.refuse(other.calendarList().get(**where), 404)
    j.do(service.calendars().delete(**where))


def rules(j, service):
    rules = service.acl()
    start = j.do(rules.list(**PRIMARY, maxResults=250))
    made = j.do(rules.insert(**PRIMARY, body={"role": "reader", "scope": {"type": "user", "value": j.users[1]}}, sendNotifications=False))
    where = {**PRIMARY, "ruleId": made["id"]}
    j.do(rules.get(**where))
    j.do(rules.patch(**where, body={"role": "writer"}))
    j.do(rules.update(**where, body={"role": "freeBusyReader", "scope": made["scope"]}))
    j.do(rules.delete(**where))
    later = j.do(rules.list(**PRIMARY, syncToken=start["nextSyncToken"]))
    j.that([rule["role"] for rule in later["items"] if rule["id"] == made["id"]] == ["none"], "a deleted rule is not told of")
    j.do(rules.insert(**PRIMARY, body={"role": "freeBusyReader", "scope": {"type": "domain", "value": "acme.test"}}))


def secondary(j, service):
    calendars = service.calendars()
    made = j.do(calendars.insert(body={"summary": "second", "description": "d", "location": "l"}))
    where = {"calendarId": made["id"]}
    j.do(calendars.patch(**where, body={"summary": "third"}))
    j.do(calendars.update(**where, body={"summary": "fourth", "timeZone": "Asia/Tokyo"}))
    events = service.events()
    moved = j.do(events.insert(**PRIMARY, body={"summary": "moved", "start": at(3, 9), "end": at(3, 10)}))
    j.do(events.move(**PRIMARY, eventId=moved["id"], destination=made["id"]))
    j.do(events.get(**where, eventId=moved["id"]))
    admin = j.service("calendar", j.admin)
    j.do(admin.calendars().transferOwnership(**where, newDataOwner=j.users[1], useAdminAccess=True))
    j.do(j.service("calendar", j.users[1]).calendars().delete(**where))
    j.refuse(calendars.get(**where), 404, "notFound")


def watching(j, service):
    resources = {
        "events": service.events().watch,
        "acl": service.acl().watch,
        "calendarList": service.calendarList().watch,
        "settings": service.settings().watch,
    }
    for name, watch in resources.items():
        where = PRIMARY if name in ("events", "acl") else {}
        channel = {"id": f"judge-{name}", "type": "web_hook", "address": "https://judge.test/hook"}
        watched = j.do(watch(**where, body=channel))
        j.do(service.channels().stop(body={"id": watched["id"], "resourceId": watched["resourceId"]}))


def following(j, service, synced):
    events = service.events()
    changed = j.do(events.list(**PRIMARY, showDeleted=True, singleEvents=False, maxResults=10, syncToken=synced))
    j.that("nextSyncToken" in changed or "nextPageToken" in changed, "what changed cannot be followed")
    j.that(changed["items"], "nothing changed")
    j.refuse(events.list(**PRIMARY, syncToken=synced, timeMin="2026-01-01T00:00:00Z"), 400)
    j.refuse(events.list(**PRIMARY, syncToken="nothing"), 410)


def clearing(j, service):
    events = service.events()
    j.do(service.calendars().clear(**PRIMARY))
    left = j.do(events.list(**PRIMARY))
    own = [event for event in left["items"] if event.get("organizer", {}).get("self")]
    j.that(own == [], f"a cleared calendar has events: {json.dumps(own)[:300]}")


def refusals(j, service):
    j.refuse(service.events().get(**PRIMARY, eventId="none"), 404, "notFound")
    j.refuse(service.calendars().get(calendarId="none"), 404, "notFound")
    j.refuse(service.events().insert(**PRIMARY, body={"summary": "without times"}), 400)
    j.refuse(service.calendars().delete(**PRIMARY), 403)
    readonly = j.service("calendar", j.users[0], ["https://www.googleapis.com/auth/calendar.readonly"])
    j.refuse(readonly.calendars().clear(**PRIMARY), 403, "insufficientPermissions")
