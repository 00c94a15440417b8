"""Files, as Google's client reads, changes, shares, destroys and brings them back."""

import hashlib
import io

from googleapiclient.errors import HttpError
from googleapiclient.http import MediaIoBaseDownload, MediaIoBaseUpload

ALL = {"supportsAllDrives": True}
LISTED = {"supportsAllDrives": True, "includeItemsFromAllDrives": True}
DOCUMENT = "application/vnd.google-apps.document"
FOLDER = "application/vnd.google-apps.folder"
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
CHUNK = 256 * 1024


def judge(j):
    service = j.service("drive", j.users[0])
    other = j.service("drive", j.users[1])
    token = reading(j, service)
    made = writing(j, service)
    contents(j, service)
    sharing(j, service, other, made)
    talk(j, service, made)
    revisions(j, service, made)
    drives(j, j.service("drive", j.admin))
    destroying(j, service)
    changes(j, service, token, made)
    refusals(j, service)


def media(text, kind="text/plain", **named):
    return MediaIoBaseUpload(io.BytesIO(text), mimetype=kind, **named)


def reading(j, service):
    files = service.files()
    about = j.do(service.about().get(fields="*"))
    j.that(WORD in about["exportFormats"][DOCUMENT], "documents cannot be exported for Word")
    start = j.do(service.changes().getStartPageToken(**ALL))["startPageToken"]
    j.that(start.isdigit(), "a start token is no number")
    plain = j.pages(files, files.list(pageSize=10), "files")
    full = j.pages(files, files.list(corpora="user", pageSize=20, q="'me' in owners", fields="*", **LISTED), "files")
    j.that(len({file["id"] for file in full}) == len(full), "a file is listed twice")
    j.that({file["id"] for file in full} <= {file["id"] for file in plain}, "one's own are not among all files")
    j.that(all(set(file) == {"kind", "id", "name", "mimeType"} for file in plain), "other fields without a mask")
    few = j.do(files.list(pageSize=5, fields="nextPageToken,files(id,owners/emailAddress)"))
    j.that(set(few) <= {"nextPageToken", "files"}, "other members than those of the mask")
    answers = j.batch(service, [files.get(fileId=file["id"], fields="*", **ALL) for file in full] + [files.get(fileId="none")])
    j.that(not any(isinstance(answer, HttpError) for answer in answers[:-1]), "a part of a batch was refused")
    j.refusal("drive.files.get in a batch", answers[-1], 404, "notFound")
    for file in full[:10]:
        j.do(files.get(fileId=file["id"], **ALL))
        j.do(service.permissions().list(fileId=file["id"], fields="*", pageSize=100, **ALL))
        j.do(service.comments().list(fileId=file["id"], fields="*", includeDeleted=True))
        if file["capabilities"].get("canReadRevisions") and file["mimeType"] != FOLDER:
            j.do(service.revisions().list(fileId=file["id"], fields="*"))
    return start


def writing(j, service):
    files = service.files()
    ids = j.do(files.generateIds(count=3, type="files"))["ids"]
    folder = j.do(files.create(body={"name": "judged", "mimeType": FOLDER, "folderColorRgb": "#4986e7"}, fields="*"))
    body = {"id": ids[0], "name": "a \u2192 b.txt", "parents": [folder["id"]], "properties": {"p": "1"}, "description": "d"}
    body.update(createdTime="2020-01-02T03:04:05.000Z", modifiedTime="2021-01-02T03:04:05.000Z")
    made = j.do(files.create(body=body, media_body=media(b"first"), fields="*", **ALL))
    j.that(made["md5Checksum"] == hashlib.md5(b"first").hexdigest() and made["size"] == "5", "another checksum or size")
    j.that(made["modifiedTime"] == "2021-01-02T03:04:05.000Z", "another time of change")
    j.refuse(files.create(body=body, media_body=media(b"first"), **ALL), 409)
    got = j.do(files.get_media(fileId=ids[0], **ALL))
    j.that(got == b"first", "another content")
    j.do(files.update(fileId=ids[0], media_body=media(b"second"), keepRevisionForever=True, fields="*", **ALL))
    moved = j.do(files.update(fileId=ids[0], addParents="root", removeParents=folder["id"], body={"name": "b"}, fields="*", **ALL))
    j.that(moved["parents"] != [folder["id"]], "it was not moved")
    trashed = j.do(files.update(fileId=ids[0], body={"trashed": True}, fields="*", **ALL))
    j.that(trashed["explicitlyTrashed"], "it is not in the trash")
    j.do(files.update(fileId=ids[0], body={"trashed": False}, **ALL))
    j.do(files.copy(fileId=ids[0], body={"name": "copy"}, fields="*", **ALL))
    j.do(files.create(body={"name": "link", "mimeType": "application/vnd.google-apps.shortcut", "shortcutDetails": {"targetId": ids[0]}}, fields="*"))
    channel = {"id": "judge-file", "type": "web_hook", "address": "https://judge.test/hook"}
    watched = j.do(files.watch(fileId=ids[0], body=channel, **ALL))
    j.do(service.channels().stop(body={"id": "judge-file", "resourceId": watched["resourceId"]}))
    return ids[0]


def contents(j, service):
    files = service.files()
    text = b"0123456789abcdef" * (60 * 1024) + b"end"
    upload = media(text, "application/octet-stream", chunksize=CHUNK, resumable=True)
    request = files.create(body={"name": "large"}, media_body=upload, fields="*", **ALL)
    answer, steps = None, 0
    while answer is None:
        _, answer = request.next_chunk(num_retries=0)
        steps += 1
    j.that(steps == -(-len(text) // CHUNK), f"an upload in {steps} steps")
    j.that(answer["sha256Checksum"] == hashlib.sha256(text).hexdigest(), "another checksum")
    taken = io.BytesIO()
    download = MediaIoBaseDownload(taken, files.get_media(fileId=answer["id"], **ALL), chunksize=100_000)
    done, steps = False, 0
    while not done:
        _, done = download.next_chunk()
        steps += 1
    j.that(taken.getvalue() == text and steps == -(-len(text) // 100_000), "a download is not the upload")
    # Without a length that is known before.
    upload = Unmeasured(io.BytesIO(text), mimetype="application/octet-stream", chunksize=CHUNK, resumable=True)
    request = files.create(body={"name": "of unknown length"}, media_body=upload, fields="*", **ALL)
    answer = None
    while answer is None:
        _, answer = request.next_chunk()
    j.that(answer["md5Checksum"] == hashlib.md5(text).hexdigest(), "another checksum of an unknown length")
    documents(j, service)


class Unmeasured(MediaIoBaseUpload):
    """A content whose length is not known before its end."""

    def size(self):
        return None

    def has_stream(self):
        return False


def documents(j, service):
    files = service.files()
    made = j.do(files.create(body={"name": "plan", "mimeType": DOCUMENT}, media_body=media(b"Dear all\n"), fields="*", **ALL))
    j.that(made["mimeType"] == DOCUMENT, "an upload was not made a document")
    word = j.do(files.export(fileId=made["id"], mimeType=WORD))
    j.that(word[:2] == b"PK", "an export for Word is none")
    taken = io.BytesIO()
    download = MediaIoBaseDownload(taken, files.export_media(fileId=made["id"], mimeType="text/plain"))
    while not download.next_chunk()[1]:
        pass
    j.that(b"Dear all" in taken.getvalue(), "an export lacks the text")
    back = j.do(files.create(body={"name": "plan again", "mimeType": DOCUMENT}, media_body=media(word, WORD), fields="*", **ALL))
    j.that(back["mimeType"] == DOCUMENT, "what was exported is not taken back")
    operation = j.do(files.download(fileId=made["id"], mimeType="application/pdf"))
    for _ in range(10):
        if operation.get("done"):
            break
        operation = j.do(service.operations().get(name=operation["name"]))
    j.that(operation.get("done") and "response" in operation, "a document never becomes ready")
    j.refuse(files.get_media(fileId=made["id"], **ALL), 403, "fileNotDownloadable")
    j.refuse(files.export(fileId=made["id"], mimeType="image/gif"), 400)


def sharing(j, service, other, file):
    permissions = service.permissions()
    mine = j.do(permissions.list(fileId=file, **ALL))
    shown = j.do(permissions.create(fileId=file, body={"type": "user", "role": "writer", "emailAddress": j.users[1]}, sendNotificationEmail=False, fields="*", **ALL))
    j.that(j.do(other.files().get(fileId=file, fields="*", **ALL))["capabilities"]["canEdit"], "who may write cannot edit")
    j.do(permissions.get(fileId=file, permissionId=shown["id"], fields="*", **ALL))
    j.do(permissions.update(fileId=file, permissionId=shown["id"], body={"role": "reader"}, fields="*", **ALL))
    j.refuse(other.files().update(fileId=file, body={"name": "mine"}, **ALL), 403)
    anyone = j.do(permissions.create(fileId=file, body={"type": "anyone", "role": "reader"}, fields="*", **ALL))
    domain = {"type": "domain", "role": "commenter", "domain": "acme.test", "allowFileDiscovery": True}
    j.do(permissions.create(fileId=file, body=domain, fields="*", **ALL))
    listed = j.pages(permissions, permissions.list(fileId=file, pageSize=2, fields="*", **ALL), "permissions")
    j.that(len(listed) == len(mine["permissions"]) + 3, "other permissions than were given")
    for permission in (shown, anyone):
        j.do(permissions.delete(fileId=file, permissionId=permission["id"], **ALL))
    j.refuse(other.files().delete(fileId=file, **ALL), 403)


def talk(j, service, file):
    comments, replies = service.comments(), service.replies()
    said = j.do(comments.create(fileId=file, body={"content": "why?", "quotedFileContent": {"value": "x", "mimeType": "text/plain"}}, fields="*"))
    j.do(comments.create(fileId=file, body={"content": "and"}, fields="*"))
    answered = j.do(replies.create(fileId=file, commentId=said["id"], body={"content": "so"}, fields="*"))
    j.do(replies.create(fileId=file, commentId=said["id"], body={"content": "done", "action": "resolve"}, fields="*"))
    where = {"fileId": file, "commentId": said["id"]}
    j.do(replies.get(**where, replyId=answered["id"], fields="*"))
    j.do(replies.update(**where, replyId=answered["id"], body={"content": "thus"}, fields="*"))
    j.pages(replies, replies.list(**where, pageSize=1, fields="*"), "replies")
    j.do(replies.delete(**where, replyId=answered["id"]))
    j.do(comments.get(**where, fields="*", includeDeleted=True))
    j.do(comments.update(**where, body={"content": "why not?"}, fields="*"))
    j.pages(comments, comments.list(fileId=file, pageSize=1, fields="*"), "comments")
    j.do(comments.delete(**where))
    j.refuse(comments.list(fileId=file), 400)
    gone = j.do(comments.list(fileId=file, includeDeleted=True, fields="*"))["comments"]
    j.that(any(comment.get("deleted") for comment in gone), "a deleted comment is not told of")


def revisions(j, service, file):
    revisions = service.revisions()
    for text in (b"third", b"fourth"):
        j.do(service.files().update(fileId=file, media_body=media(text), **ALL))
    listed = j.pages(revisions, revisions.list(fileId=file, pageSize=2, fields="*"), "revisions")
    first = {"fileId": file, "revisionId": listed[0]["id"]}
    j.do(revisions.get(**first, fields="*"))
    j.that(j.do(revisions.get_media(**first)) == b"first", "the first revision has another content")
    j.do(revisions.update(**first, body={"keepForever": True}, fields="*"))
    j.do(revisions.delete(**first))
    j.refuse(revisions.get(**first), 404)


def drives(j, service):
    drives = service.drives()
    listed = j.pages(drives, drives.list(pageSize=1, useDomainAdminAccess=True, fields="*"), "drives")
    j.do(drives.get(driveId=listed[0]["id"], useDomainAdminAccess=True, fields="*"))
    j.do(service.permissions().list(fileId=listed[0]["id"], useDomainAdminAccess=True, fields="*", **ALL))
    made = j.do(drives.create(requestId="judge-1", body={"name": "judged"}, fields="*"))
    j.refuse(drives.create(requestId="judge-1", body={"name": "judged"}), 409)
    drive = made["id"]
    j.do(drives.update(driveId=drive, body={"name": "judged too", "restrictions": {"domainUsersOnly": True}}, fields="*"))
    j.do(drives.hide(driveId=drive))
    j.do(drives.unhide(driveId=drive))
    inside = [j.do(service.files().create(body={"name": f"{n}", "parents": [drive]}, media_body=media(b"x"), fields="*", **ALL)) for n in range(3)]
    j.that(inside[0]["driveId"] == drive and "owners" not in inside[0], "what is in a shared drive has an owner")
    where = {"corpora": "drive", "driveId": drive, **LISTED}
    j.pages(service.files(), service.files().list(**where, pageSize=2, fields="*"), "files")
    start = j.do(service.changes().getStartPageToken(driveId=drive, **ALL))["startPageToken"]
    trashed = j.do(service.files().update(fileId=inside[0]["id"], body={"trashed": True}, fields="*", **ALL))
    j.that("trashedTime" in trashed, "nobody knows when it was trashed")
    changed = j.do(service.changes().list(pageToken=start, driveId=drive, fields="*", **LISTED))
    j.that([change["fileId"] for change in changed["changes"]] == [inside[0]["id"]], "another change of the drive")
    j.do(service.files().emptyTrash(driveId=drive))
    j.refuse(service.files().get(fileId=inside[0]["id"], **ALL), 404)
    j.refuse(drives.delete(driveId=drive), 403)
    j.do(drives.delete(driveId=drive, useDomainAdminAccess=True, allowItemDeletion=True))
    j.refuse(drives.get(driveId=drive), 404)


def destroying(j, service):
    files = service.files()
    folder = j.do(files.create(body={"name": "doomed", "mimeType": FOLDER}))
    inside = j.do(files.create(body={"name": "within", "parents": [folder["id"]]}, media_body=media(b"x")))
    j.do(files.delete(fileId=folder["id"], **ALL))
    j.refuse(files.get(fileId=inside["id"], **ALL), 404, "notFound")
    trashed = j.do(files.create(body={"name": "trashed"}, media_body=media(b"x")))
    j.do(files.update(fileId=trashed["id"], body={"trashed": True}))
    j.do(files.emptyTrash())
    j.refuse(files.get(fileId=trashed["id"], **ALL), 404)


def changes(j, service, token, file):
    changes = service.changes()
    listed = j.pages(changes, changes.list(pageToken=token, pageSize=5, includeRemoved=True, includeCorpusRemovals=True, fields="*", **LISTED), "changes")
    j.that(any(change["removed"] for change in listed), "nothing is told of what was deleted")
    j.that(any(change.get("fileId") == file for change in listed), "nothing is told of what was changed")
    last = j.do(changes.getStartPageToken(**ALL))["startPageToken"]
    quiet = j.do(changes.list(pageToken=last, fields="*"))
    j.that(quiet["changes"] == [] and "newStartPageToken" in quiet, "changes after the last")
    channel = {"id": "judge-changes", "type": "web_hook", "address": "https://judge.test/hook", "token": "t"}
    watched = j.do(changes.watch(pageToken=last, body=channel))
    j.do(service.channels().stop(body={"id": "judge-changes", "resourceId": watched["resourceId"]}))


def refusals(j, service):
    files = service.files()
    j.refuse(files.get(fileId="none", **ALL), 404, "notFound")
    j.refuse(files.list(pageToken="nothing"), 400)
    j.refuse(files.list(q="name ~ 'x'"), 400)
    readonly = j.service("drive", j.users[0], ["https://www.googleapis.com/auth/drive.readonly"])
    j.refuse(readonly.files().create(body={"name": "x"}), 403, "insufficientPermissions")
