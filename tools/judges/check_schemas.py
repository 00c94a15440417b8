#!/usr/bin/env python3
"""Shows that the comparison with schemas finds what is wrong: each of these answers differs from a good one in one thing."""

import sys

import schemas

MESSAGE = {"id": "1", "threadId": "1", "labelIds": ["INBOX"], "historyId": "7", "internalDate": "1717171717000", "sizeEstimate": 5}
PART = {"partId": "0", "headers": [{"name": "Subject", "value": "s"}], "body": {"size": 1, "data": "YQ=="}}
FILE = {"kind": "drive#file", "id": "f", "name": "n", "mimeType": "m", "size": "5", "createdTime": "2026-03-02T01:14:07.512Z"}
FILES = {"kind": "drive#fileList", "incompleteSearch": False, "files": [FILE]}
PEOPLE = {"connections": [{"resourceName": "people/c1", "metadata": {"objectType": "PERSON"}}], "totalItems": 1}

GOOD = [
    ("gmail", "gmail.users.messages.get", MESSAGE | {"payload": PART}),
    ("gmail", "gmail.users.messages.delete", ""),
    ("drive", "drive.files.list", FILES),
    ("people", "people.people.connections.list", PEOPLE),
]
BAD = {
    "a number in place of a text with 64 bits": ("gmail", "gmail.users.messages.get", MESSAGE | {"historyId": 7}),
    "a number of more than 64 bits": ("gmail", "gmail.users.messages.get", MESSAGE | {"historyId": "9" * 21}),
    "a text in place of a number": ("gmail", "gmail.users.messages.get", MESSAGE | {"sizeEstimate": "5"}),
    "an unknown member": ("gmail", "gmail.users.messages.get", MESSAGE | {"size": 5}),
    "an unknown member far inside": ("gmail", "gmail.users.messages.get", MESSAGE | {"payload": PART | {"parts": [{"x": 1}]}}),
    "nothing in place of a text": ("gmail", "gmail.users.messages.get", MESSAGE | {"snippet": None}),
    "no base64": ("gmail", "gmail.users.messages.get", MESSAGE | {"raw": "?"}),
    "an answer where there is none": ("gmail", "gmail.users.messages.delete", {"id": "1"}),
    "no answer where there is one": ("gmail", "gmail.users.messages.get", None),
    "no kind": ("drive", "drive.files.list", {"files": []}),
    "no kind inside": ("drive", "drive.files.list", FILES | {"files": [{"id": "f"}]}),
    "another kind": ("drive", "drive.files.list", FILES | {"kind": "drive#files"}),
    "no list": ("drive", "drive.files.list", FILES | {"files": FILE}),
    "a time that is none": ("drive", "drive.files.list", FILES | {"files": [FILE | {"createdTime": "2026-02-30T01:14:07Z"}]}),
    "a text in place of a truth": ("drive", "drive.files.list", FILES | {"incompleteSearch": "false"}),
    "a value that is none of them": (
        "people",
        "people.people.connections.list",
        {"connections": [{"metadata": {"objectType": "CAT"}}]},
    ),
}
REFUSALS = {
    "no document": b"<html>",
    "another code": b'{"error": {"code": 400, "message": "m", "errors": [{"domain": "d", "reason": "r", "message": "m"}]}}',
    "no entries": b'{"error": {"code": 404, "message": "m"}}',
    "no reason": b'{"error": {"code": 404, "message": "m", "errors": [{"domain": "d", "message": "m"}]}}',
}


def check():
    apis = {name: schemas.Api(name) for name in schemas.APIS}
    wrong = []
    for api, method, answer in GOOD:
        wrong.extend(apis[api].problems(method, answer, True))
    for what, (api, method, answer) in BAD.items():
        if len(apis[api].problems(method, answer, True)) != 1:
            wrong.append(f"not found, or more than it: {what}: {apis[api].problems(method, answer, True)}")
    for what, body in REFUSALS.items():
        if not schemas.refusal_problems(404, "application/json", body):
            wrong.append(f"not found in a refusal: {what}")
    good = {"id": "gmail.users.messages.delete", "verb": "DELETE", "path": "gmail/v1/users/{userId}/messages/{id}"}
    good["scopes"] = ["https://mail.google.com/"]
    wrong.extend(schemas.route_problems(apis, [good]))
    for member, value in {"id": "gmail.users.messages.undo", "verb": "GET", "path": "gmail/v1/x", "scopes": ["x"]}.items():
        if not schemas.route_problems(apis, [good | {member: value}]):
            wrong.append(f"not found in a route: {member}")
    print(*wrong, sep="\n")
    return not wrong


if __name__ == "__main__":
    sys.exit(0 if check() else 1)
