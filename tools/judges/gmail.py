"""Mail, as Google's client reads, changes, destroys and brings it back."""

import base64
import io

from googleapiclient.errors import HttpError
from googleapiclient.http import MediaIoBaseUpload

ME = {"userId": "me"}
CHUNK = 256 * 1024


def letter(subject, body="a few words", message_id=None):
    lines = ["From: Judge <judge@elsewhere.test>", "To: me@acme.test", f"Subject: {subject}"]
    lines.append("Date: Mon, 02 Mar 2026 10:00:00 +0000")
    if message_id:
        lines.append(f"Message-ID: <{message_id}>")
    return ("\r\n".join(lines) + "\r\n\r\n" + body + "\r\n").encode()


def raw(text):
    return base64.urlsafe_b64encode(text).decode()


def text_of(message):
    encoded = message["raw"]
    return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))


def judge(j):
    service = j.service("gmail", j.users[0])
    users = service.users()
    reading(j, service, users)
    started = j.do(users.getProfile(**ME))["historyId"]
    ids = writing(j, users)
    trash(j, users, ids)
    history(j, users, started)
    labels(j, users)
    drafts(j, users)
    threads(j, users)
    settings(j, users)
    refusals(j, users)
    large(j, users)


def reading(j, service, users):
    profile = j.do(users.getProfile(**ME))
    messages = users.messages()
    listed = j.pages(messages, messages.list(**ME, maxResults=20, includeSpamTrash=True), "messages")
    j.that(len(listed) == profile["messagesTotal"], "the list and the profile count differently")
    j.that(len({message["id"] for message in listed}) == len(listed), "a message is listed twice")
    ids = [message["id"] for message in listed]
    answers = j.batch(service, [messages.get(**ME, id=id, format="raw") for id in ids[:20]] + [messages.get(**ME, id="0")])
    j.that(not any(isinstance(answer, HttpError) for answer in answers[:-1]), "a part of a batch was refused")
    j.that(isinstance(answers[-1], HttpError), "a part of a batch was not refused")
    j.refusal("gmail.users.messages.get in a batch", answers[-1], 404, "notFound")
    for form in ("minimal", "full", "metadata", "raw"):
        for id in ids[:40]:
            message = j.do(messages.get(**ME, id=id, format=form))
            j.that(("raw" in message) == (form == "raw"), f"the form {form} has or lacks the raw text")
            attachments(j, messages, id, message.get("payload", {}))
    by_parts = j.do(messages.get(**ME, id=ids[0], format="metadata", metadataHeaders=["Subject", "From"]))
    names = {header["name"].lower() for header in by_parts["payload"]["headers"]}
    j.that(names <= {"subject", "from"}, f"headers that were not asked for: {names}")
    j.do(messages.list(**ME, q="in:inbox", labelIds=["INBOX"], maxResults=1))
    j.do(messages.list(**ME, q="rfc822msgid:nobody@nowhere.test"))
    j.do(messages.get(**ME, id=ids[0], format="full", fields="id,payload(mimeType,headers)"))


def attachments(j, messages, message, part):
    attachment = part.get("body", {}).get("attachmentId")
    if attachment:
        body = j.do(messages.attachments().get(**ME, messageId=message, id=attachment))
        j.that(body["size"] == part["body"]["size"], "an attachment has another size")
    for below in part.get("parts", []):
        attachments(j, messages, message, below)


def writing(j, users):
    messages = users.messages()
    one = letter("one", message_id="one@judge.test")
    inserted = j.do(messages.insert(**ME, body={"raw": raw(one), "labelIds": ["INBOX", "UNREAD"]}, internalDateSource="dateHeader"))
    got = j.do(messages.get(**ME, id=inserted["id"], format="raw"))
    j.that(text_of(got) == one, "an inserted message is not byte for byte the same")
    j.that(got["internalDate"] == "1772445600000", f"the date header does not count: {got['internalDate']}")
    found = j.do(messages.list(**ME, q="rfc822msgid:one@judge.test"))
    j.that([message["id"] for message in found["messages"]] == [inserted["id"]], "a message is not found by its id")
    media = MediaIoBaseUpload(io.BytesIO(letter("two")), mimetype="message/rfc822")
    two = j.do(messages.insert(**ME, body={"labelIds": ["INBOX"], "threadId": inserted["threadId"]}, media_body=media))
    three = j.do(messages.import_(**ME, body={"raw": raw(letter("three"))}, neverMarkSpam=True))
    sent = j.do(messages.send(**ME, body={"raw": raw(letter("four"))}))
    j.that("SENT" in sent["labelIds"], "what was sent is not among what was sent")
    media = MediaIoBaseUpload(io.BytesIO(letter("five")), mimetype="message/rfc822")
    five = j.do(messages.import_(**ME, body={}, media_body=media))
    return [message["id"] for message in (inserted, two, three, sent, five)]


def trash(j, users, ids):
    messages = users.messages()
    trashed = j.do(messages.trash(**ME, id=ids[0]))
    j.that("TRASH" in trashed["labelIds"], "what was trashed is not in the trash")
    j.that("TRASH" not in j.do(messages.untrash(**ME, id=ids[0])).get("labelIds", []), "it is still in the trash")
    j.do(messages.modify(**ME, id=ids[0], body={"addLabelIds": ["STARRED"], "removeLabelIds": ["UNREAD"]}))
    j.do(messages.batchModify(**ME, body={"ids": ids[1:3], "addLabelIds": ["STARRED"], "removeLabelIds": ["INBOX"]}))
    j.do(messages.batchDelete(**ME, body={"ids": ids[1:3]}))
    j.do(messages.delete(**ME, id=ids[3]))
    for id in ids[1:4]:
        j.refuse(messages.get(**ME, id=id), 404, "notFound")


def history(j, users, started):
    records = j.pages(
        users.history(),
        users.history().list(**ME, startHistoryId=started, maxResults=2),
        "history",
    )
    kinds = {kind for record in records for kind in record if kind not in ("id", "messages")}
    j.that(kinds == {"messagesAdded", "messagesDeleted", "labelsAdded", "labelsRemoved"}, f"the history has {kinds}")
    ordered = [int(record["id"]) for record in records]
    j.that(ordered == sorted(ordered), "the history is not in order")
    only = j.do(users.history().list(**ME, startHistoryId=started, historyTypes=["messageDeleted"]))
    j.that(all("messagesDeleted" in record for record in only["history"]), "other kinds than asked for")
    j.refuse(users.history().list(**ME, startHistoryId="1"), 404, "notFound")
    watched = j.do(users.watch(**ME, body={"topicName": "projects/p/topics/t", "labelIds": ["INBOX"]}))
    j.that(int(watched["expiration"]) > 1_700_000_000_000, "a watch ends in the past")
    j.do(users.stop(**ME))


def labels(j, users):
    labels = users.labels()
    listed = j.do(labels.list(**ME))["labels"]
    j.that({"INBOX", "TRASH", "SPAM"} <= {label["id"] for label in listed}, "a label of the system is not listed")
    for label in listed:
        j.do(labels.get(**ME, id=label["id"]))
    made = j.do(labels.create(**ME, body={"name": "Judge/Höhe", "labelListVisibility": "labelShow", "messageListVisibility": "show"}))
    j.refuse(labels.create(**ME, body={"name": "Judge/Höhe"}), 409)
    j.do(labels.patch(**ME, id=made["id"], body={"color": {"backgroundColor": "#16a766", "textColor": "#ffffff"}}))
    j.do(labels.update(**ME, id=made["id"], body={"id": made["id"], "name": "Judge"}))
    j.do(labels.delete(**ME, id=made["id"]))
    j.refuse(labels.get(**ME, id=made["id"]), 404)


def drafts(j, users):
    drafts = users.drafts()
    made = [j.do(drafts.create(**ME, body={"message": {"raw": raw(letter(f"draft {n}"))}})) for n in range(3)]
    j.pages(drafts, drafts.list(**ME, maxResults=2), "drafts")
    for form in ("raw", "full", "minimal", "metadata"):
        j.do(drafts.get(**ME, id=made[0]["id"], format=form))
    media = MediaIoBaseUpload(io.BytesIO(letter("draft by upload")), mimetype="message/rfc822")
    j.do(drafts.create(**ME, body={}, media_body=media))
    j.do(drafts.update(**ME, id=made[0]["id"], body={"message": {"raw": raw(letter("another draft"))}}))
    j.do(drafts.send(**ME, body={"id": made[1]["id"]}))
    j.do(drafts.delete(**ME, id=made[2]["id"]))
    j.refuse(drafts.get(**ME, id=made[2]["id"]), 404)


def threads(j, users):
    threads = users.threads()
    listed = j.pages(threads, threads.list(**ME, maxResults=10), "threads")
    j.do(threads.get(**ME, id=listed[0]["id"], format="full"))
    one = listed[-1]["id"]
    j.do(threads.modify(**ME, id=one, body={"addLabelIds": ["STARRED"]}))
    j.do(threads.trash(**ME, id=one))
    j.do(threads.untrash(**ME, id=one))
    j.do(threads.delete(**ME, id=one))
    j.refuse(threads.get(**ME, id=one), 404)


def settings(j, users):
    settings = users.settings()
    for get in ("getAutoForwarding", "getImap", "getLanguage", "getPop", "getVacation"):
        before = j.do(getattr(settings, get)(**ME))
        update = get.replace("get", "update")
        j.do(getattr(settings, update)(**ME, body=before))
    vacation = {"enableAutoReply": True, "responseSubject": "away", "responseBodyPlainText": "gone", "startTime": "1772445600000"}
    j.do(settings.updateVacation(**ME, body=vacation))
    j.that(j.do(settings.getVacation(**ME))["startTime"] == "1772445600000", "the vacation begins at another time")
    addresses(j, settings)
    made = j.do(settings.filters().create(**ME, body={"criteria": {"from": "x@y.test", "size": 10}, "action": {"addLabelIds": ["STARRED"]}}))
    j.do(settings.filters().list(**ME))
    j.do(settings.filters().get(**ME, id=made["id"]))
    j.do(settings.filters().delete(**ME, id=made["id"]))
    j.refuse(settings.filters().get(**ME, id=made["id"]), 404)
    j.do(settings.cse().identities().list(**ME))
    j.do(settings.cse().keypairs().list(**ME))


def addresses(j, settings):
    forwarding = settings.forwardingAddresses()
    j.do(forwarding.create(**ME, body={"forwardingEmail": "elsewhere@other.test"}))
    j.do(forwarding.get(**ME, forwardingEmail="elsewhere@other.test"))
    j.do(forwarding.list(**ME))
    j.do(forwarding.delete(**ME, forwardingEmail="elsewhere@other.test"))
    delegates = settings.delegates()
    j.do(delegates.create(**ME, body={"delegateEmail": j.users[1]}))
    j.do(delegates.get(**ME, delegateEmail=j.users[1]))
    j.do(delegates.list(**ME))
    j.do(delegates.delete(**ME, delegateEmail=j.users[1]))
    aliases = settings.sendAs()
    for alias in j.do(aliases.list(**ME))["sendAs"]:
        j.do(aliases.smimeInfo().list(**ME, sendAsEmail=alias["sendAsEmail"]))
    other = "judge@acme.test"
    j.do(aliases.create(**ME, body={"sendAsEmail": other, "displayName": "Judge", "treatAsAlias": True}))
    j.do(aliases.get(**ME, sendAsEmail=other))
    j.do(aliases.patch(**ME, sendAsEmail=other, body={"signature": "<b>J</b>"}))
    j.do(aliases.update(**ME, sendAsEmail=other, body={"sendAsEmail": other, "displayName": "J"}))
    j.do(aliases.delete(**ME, sendAsEmail=other))


def refusals(j, users):
    messages = users.messages()
    j.refuse(messages.get(**ME, id="0123456789abcdef"), 404, "notFound")
    j.refuse(messages.list(**ME, pageToken="nothing"), 400)
    some = j.do(messages.list(**ME, maxResults=1))["messages"][0]["id"]
    j.refuse(messages.modify(**ME, id=some, body={"addLabelIds": ["Label_none"]}), 400)
    readonly = j.service("gmail", j.users[0], ["https://www.googleapis.com/auth/gmail.readonly"]).users()
    j.refuse(readonly.messages().trash(**ME, id="0"), 403, "insufficientPermissions")
    metadata = j.service("gmail", j.users[0], ["https://www.googleapis.com/auth/gmail.metadata"]).users()
    j.refuse(metadata.messages().list(**ME, q="x"), 403)
    # The client tries again by itself what it takes for passing: these faults were laid for one user.
    other = j.service("gmail", j.users[1]).users()
    j.do(other.getProfile(**ME), retries=3)
    j.do(other.labels().list(**ME), retries=3)
    j.do(other.drafts().list(**ME), retries=3)
    j.refuse(other.threads().list(**ME), 403, "userRateLimitExceeded")


def large(j, users):
    text = letter("large", "x" * 76 + "\r\n" + ("0123456789" * 7 + "\r\n") * 14_000)
    media = MediaIoBaseUpload(io.BytesIO(text), mimetype="message/rfc822", chunksize=CHUNK, resumable=True)
    request = users.messages().insert(**ME, body={"labelIds": ["INBOX"]}, media_body=media, internalDateSource="dateHeader")
    answer, steps = None, 0
    while answer is None:
        progress, answer = request.next_chunk(num_retries=0)
        steps += 1
        j.that(progress is None or progress.resumable_progress == steps * CHUNK, "an upload stands elsewhere")
    j.that(steps == -(-len(text) // CHUNK), f"an upload in {steps} steps")
    got = j.do(users.messages().get(**ME, id=answer["id"], format="raw"))
    j.that(text_of(got) == text, "an uploaded message is not byte for byte the same")
