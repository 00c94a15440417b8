#!/usr/bin/env python3
"""Judges the simulated Workspace domain with Google's own client and the discovery documents that it brings along.

  google_client.py methods          the methods that are judged, one a line
  google_client.py judge WORLD      calls all of them; WORLD is a JSON file:
      {"url": .., "key": {a service account's key file}, "admin": .., "users": [..], "routes": [{"id", "verb", "path", "scopes"}]}

Every answer is compared with its method's schema, member by member. What differs is printed; then the exit code is 1.
"""

import json
import pathlib
import sys
import traceback

import calendars
import contacts
import domain
import drive
import gmail
import schemas
import session

PARTS = [gmail, drive, calendars, contacts, domain]

# What is judged, by what comes after the name of the service. A method that is missing here is a failure, and so is one
# that stands here and is not called.
METHODS = {
    "gmail.users": """
        getProfile watch stop
        messages.attachments.get messages.batchDelete messages.batchModify messages.delete messages.get messages.import
        messages.insert messages.list messages.modify messages.send messages.trash messages.untrash
        history.list labels.create labels.delete labels.get labels.list labels.patch labels.update
        drafts.create drafts.delete drafts.get drafts.list drafts.send drafts.update
        threads.delete threads.get threads.list threads.modify threads.trash threads.untrash
        settings.getAutoForwarding settings.getImap settings.getLanguage settings.getPop settings.getVacation
        settings.updateAutoForwarding settings.updateImap settings.updateLanguage settings.updatePop settings.updateVacation
        settings.cse.identities.list settings.cse.keypairs.list
        settings.delegates.create settings.delegates.delete settings.delegates.get settings.delegates.list
        settings.filters.create settings.filters.delete settings.filters.get settings.filters.list
        settings.forwardingAddresses.create settings.forwardingAddresses.delete settings.forwardingAddresses.get
        settings.forwardingAddresses.list
        settings.sendAs.create settings.sendAs.delete settings.sendAs.get settings.sendAs.list settings.sendAs.patch
        settings.sendAs.update settings.sendAs.smimeInfo.list
    """,
    "drive": """
        about.get changes.getStartPageToken changes.list changes.watch channels.stop
        comments.create comments.delete comments.get comments.list comments.update
        drives.create drives.delete drives.get drives.hide drives.list drives.unhide drives.update
        files.copy files.create files.delete files.download files.emptyTrash files.export files.generateIds files.get
        files.list files.update files.watch operations.get
        permissions.create permissions.delete permissions.get permissions.list permissions.update
        replies.create replies.delete replies.get replies.list replies.update
        revisions.delete revisions.get revisions.list revisions.update
    """,
    "calendar": """
        acl.delete acl.get acl.insert acl.list acl.patch acl.update acl.watch
        calendarList.delete calendarList.get calendarList.insert calendarList.list calendarList.patch calendarList.update
        calendarList.watch
        calendars.clear calendars.delete calendars.get calendars.insert calendars.patch calendars.transferOwnership
        calendars.update
        channels.stop colors.get
        events.delete events.get events.import events.insert events.instances events.list events.move events.patch
        events.update events.watch
        settings.get settings.list settings.watch
    """,
    "people": """
        contactGroups.batchGet contactGroups.create contactGroups.delete contactGroups.get contactGroups.list
        contactGroups.members.modify contactGroups.update otherContacts.list
        people.batchCreateContacts people.batchDeleteContacts people.batchUpdateContacts people.connections.list
        people.createContact people.deleteContact people.deleteContactPhoto people.get people.getBatchGet
        people.listDirectoryPeople people.updateContact people.updateContactPhoto
    """,
    "directory": """
        asps.delete asps.get asps.list
        groups.delete groups.get groups.insert groups.list groups.patch groups.update
        members.delete members.get members.hasMember members.insert members.list members.patch members.update
        orgunits.delete orgunits.get orgunits.insert orgunits.list orgunits.patch orgunits.update
        roleAssignments.delete roleAssignments.get roleAssignments.insert roleAssignments.list roles.get roles.list
        tokens.delete tokens.get tokens.list
        users.aliases.delete users.aliases.insert users.aliases.list
        users.delete users.get users.insert users.list users.patch users.undelete users.update
    """,
    "reports": "activities.list activities.watch",
    "admin": "channels.stop",
}


def methods():
    return {f"{service}.{name}" for service, names in METHODS.items() for name in names.split()}


def judge(world):
    judge = session.Judge(world)
    problems = schemas.route_problems(judge.apis, world["routes"])
    for part in PARTS:
        try:
            part.judge(judge)
        except Exception as failure:  # Whatever the client stumbles over is the simulator's fault.
            place = traceback.extract_tb(failure.__traceback__)
            line = next(frame for frame in reversed(place) if frame.filename == part.__file__)
            problems.append(f"{part.__name__}.py:{line.lineno}: {failure!r}")
    problems.extend(judge.problems)
    problems.extend(f"{name}: not called" for name in sorted(methods() - judge.called))
    problems.extend(f"{name}: called, and not in the table" for name in sorted(judge.called - methods()))
    # One mistake may be in thousands of answers.
    for problem in list(dict.fromkeys(problems))[:200]:
        print(problem)
    print(f"{judge.answers} answers of {len(judge.called)} methods, {len(problems)} problems")
    return not problems


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["methods"]:
            print("\n".join(sorted(methods())))
        case ["judge", world]:
            sys.exit(0 if judge(json.loads(pathlib.Path(world).read_text())) else 1)
        case _:
            sys.exit(__doc__)
