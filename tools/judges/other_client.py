#!/usr/bin/env python3
"""Drives the simulated Workspace domain with aiogoogle, whose HTTP, paging, uploads and downloads are not Google's.

  other_client.py URL READING_KEY WRITING_KEY ADMIN     the key files are those of the program `google-tenant`

It trusts the authority in the file that SSL_CERT_FILE names. Ends with the exit code 1 and says why when something is
different from what Google would do.
"""

import asyncio
import base64
import hashlib
import json
import pathlib
import sys
import tempfile

from aiogoogle import Aiogoogle, GoogleAPI, HTTPError

import schemas

AUTH = "https://www.googleapis.com/auth/"
READING = ["gmail.readonly", "drive.readonly", "calendar.readonly", "contacts.readonly", "admin.directory.user.readonly"]
WRITING = ["gmail.modify", "gmail.insert", "drive", "calendar", "contacts"]


class Judge:
    def __init__(self, url, reading, writing, admin):
        self.url, self.admin = url, admin
        self.keys = {True: json.loads(pathlib.Path(writing).read_text()), False: json.loads(pathlib.Path(reading).read_text())}
        self.apis = {name: schemas.Api(name) for name in schemas.APIS}
        self.problems, self.answers = [], 0

    def client(self, user, writes=False):
        scopes = [AUTH + scope for scope in (WRITING if writes else READING)]
        return Aiogoogle(service_account_creds={"scopes": scopes, "subject": user, **self.keys[writes]})

    def api(self, name):
        document = dict(self.apis[name].document)
        document["rootUrl"] = self.url + "/"
        document["baseUrl"] = self.url + "/" + document["servicePath"]
        return GoogleAPI(document)

    def check(self, name, method, answer, whole=True):
        self.answers += 1
        if answer is None and "response" in self.apis[name].methods[method]:
            # To this client an empty document is nothing.
            answer = {}
        self.problems.extend(self.apis[name].problems(method, answer, whole))

    async def call(self, client, name, method, request, whole=True):
        answer = await client.as_service_account(request)
        self.check(name, method, answer, whole)
        return answer

    async def pages(self, client, name, method, request, member):
        entries, count = [], 0
        async for page in await client.as_service_account(request, full_res=True):
            self.check(name, method, page)
            entries.extend(page.get(member, []))
            count += 1
        self.that(count > 1, f"{method}: one page")
        return entries

    async def refuse(self, client, request, status):
        try:
            await client.as_service_account(request)
        except HTTPError as error:
            self.that(error.res.status_code == status, f"{error.res.status_code} in place of {status}")
            return
        self.that(False, f"{request.url} is not refused")

    def that(self, is_true, what):
        if not is_true:
            self.problems.append(what)


async def users(j):
    async with j.client(j.admin) as client:
        list_users = j.api("directory").users.list(customer="my_customer", maxResults=3)
        listed = await j.pages(client, "directory", "directory.users.list", list_users, "users")
    return [user["primaryEmail"] for user in listed if user["isMailboxSetup"] and not user["suspended"]]


async def mail(j, user):
    messages = j.api("gmail").users.messages
    async with j.client(user) as client:
        listing = messages.list(userId="me", maxResults=20, includeSpamTrash=True)
        listed = await j.pages(client, "gmail", "gmail.users.messages.list", listing, "messages")
        requests = [messages.get(userId="me", id=message["id"], format="raw") for message in listed[:20]]
        for answer in await client.as_service_account(*requests):
            j.check("gmail", "gmail.users.messages.get", answer)
        await j.refuse(client, messages.get(userId="me", id="0"), 404)
        await j.refuse(client, messages.trash(userId="me", id=listed[0]["id"]), 403)
    async with j.client(user, writes=True) as client:
        text = b"From: a@b.test\r\nSubject: brought\r\nDate: Mon, 02 Mar 2026 10:00:00 +0000\r\n\r\nwords\r\n"
        body = {"raw": base64.urlsafe_b64encode(text).decode(), "labelIds": ["INBOX"]}
        made = await j.call(client, "gmail", "gmail.users.messages.insert", messages.insert(userId="me", json=body, internalDateSource="dateHeader"))
        got = await j.call(client, "gmail", "gmail.users.messages.get", messages.get(userId="me", id=made["id"], format="raw"))
        j.that(base64.urlsafe_b64decode(got["raw"] + "==") == text, "a message is not byte for byte the same")
        labels = {"addLabelIds": ["STARRED"], "removeLabelIds": ["INBOX"]}
        await j.call(client, "gmail", "gmail.users.messages.batchModify", messages.batchModify(userId="me", json={"ids": [made["id"]], **labels}))
        trashed = await j.call(client, "gmail", "gmail.users.messages.trash", messages.trash(userId="me", id=made["id"]))
        j.that(set(trashed["labelIds"]) == {"STARRED", "TRASH"}, f"other labels: {trashed['labelIds']}")
        await j.refuse(client, messages.delete(userId="me", id=made["id"]), 403)


async def files(j, user):
    files = j.api("drive").files
    async with j.client(user) as client:
        await j.pages(client, "drive", "drive.files.list", files.list(pageSize=10, fields="*"), "files")
    with tempfile.TemporaryDirectory() as folder:
        there, back = pathlib.Path(folder, "there.bin"), pathlib.Path(folder, "back.bin")
        there.write_bytes(bytes(range(256)) * 1024)
        async with j.client(user, writes=True) as client:
            made = await j.call(client, "drive", "drive.files.create", files.create(upload_file=str(there), json={"name": "uploaded"}, fields="*"))
            j.that(made["md5Checksum"] == hashlib.md5(there.read_bytes()).hexdigest(), "an upload has another checksum")
            j.that(made["name"] == "uploaded", f"an upload is called {made['name']!r}")
            await client.as_service_account(files.get(fileId=made["id"], alt="media", download_file=str(back)))
            j.that(back.read_bytes() == there.read_bytes(), "a download is not the upload")
            trash = files.update(fileId=made["id"], json={"trashed": True}, fields="*")
            j.that((await j.call(client, "drive", "drive.files.update", trash))["trashed"], "it is not in the trash")
            await j.call(client, "drive", "drive.files.delete", files.delete(fileId=made["id"]))
            await j.refuse(client, files.get(fileId=made["id"]), 404)


async def calendar(j, user):
    events = j.api("calendar").events
    when = {"start": {"date": "2026-04-01"}, "end": {"date": "2026-04-02"}}
    async with j.client(user) as client:
        await j.pages(client, "calendar", "calendar.events.list", events.list(calendarId="primary", maxResults=10), "items")
        await j.refuse(client, events.insert(calendarId="primary", json=when), 403)
    async with j.client(user, writes=True) as client:
        made = await j.call(client, "calendar", "calendar.events.insert", events.insert(calendarId="primary", json={"summary": "s", **when}))
        await j.call(client, "calendar", "calendar.events.delete", events.delete(calendarId="primary", eventId=made["id"]))
        gone = await j.call(client, "calendar", "calendar.events.get", events.get(calendarId="primary", eventId=made["id"]))
        j.that(gone["status"] == "cancelled", "a deleted event is not cancelled")


async def contacts(j, user):
    people = j.api("people").people
    fields = {"personFields": "names,emailAddresses,metadata"}
    async with j.client(user) as client:
        listing = people.connections.list(resourceName="people/me", pageSize=10, **fields)
        await j.pages(client, "people", "people.people.connections.list", listing, "connections")
    async with j.client(user, writes=True) as client:
        made = await j.call(client, "people", "people.people.createContact", people.createContact(json={"names": [{"givenName": "J"}]}, **fields))
        await j.call(client, "people", "people.people.deleteContact", people.deleteContact(resourceName=made["resourceName"]))


async def judge(arguments):
    j = Judge(*arguments)
    everybody = await users(j)
    for part in (mail, files, calendar, contacts):
        await part(j, everybody[0])
    print(f"{j.answers} answers, {len(j.problems)} problems", *dict.fromkeys(j.problems), sep="\n")
    return not j.problems


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    sys.exit(0 if asyncio.run(judge(sys.argv[1:])) else 1)
