"""The domain itself and its audit log, as Google's client shows them to an administrator, and lets one change them."""

CUSTOMER = "my_customer"
HOOK = {"type": "web_hook", "address": "https://judge.test/hook"}


def judge(j):
    service = j.service("directory", j.admin)
    users(j, service)
    groups(j, service)
    units(j, service)
    roles(j, service)
    access(j, service)
    refusals(j, service)
    audit(j, j.service("reports", j.admin))


def users(j, service):
    users = service.users()
    listed = j.pages(users, users.list(customer=CUSTOMER, maxResults=3, projection="full"), "users")
    j.that(any(user["isAdmin"] for user in listed), "nobody is the administrator")
    for user in listed:
        j.do(users.get(userKey=user["id"], projection="full"))
    body = {"primaryEmail": "judge2@acme.test", "name": {"givenName": "J", "familyName": "Judge"}, "password": "correct horse"}
    made = j.do(users.insert(body=body))
    key = {"userKey": made["id"]}
    j.refuse(users.insert(body=body), 409)
    j.do(users.patch(**key, body={"suspended": True}))
    j.do(users.update(**key, body={"suspended": False, "orgUnitPath": "/"}))
    aliases = users.aliases()
    j.do(aliases.insert(**key, body={"alias": "judge3@acme.test"}))
    j.do(aliases.list(**key))
    j.do(aliases.delete(**key, alias="judge3@acme.test"))
    j.do(users.delete(**key))
    gone = j.do(users.list(customer=CUSTOMER, showDeleted="true"))["users"]
    j.that(made["id"] in [user["id"] for user in gone], "a deleted user is not listed")
    j.do(users.undelete(**key, body={"orgUnitPath": "/"}))
    j.do(users.get(**key))


def groups(j, service):
    groups, members = service.groups(), service.members()
    listed = j.pages(groups, groups.list(customer=CUSTOMER, maxResults=2), "groups")
    requests = [members.list(groupKey=group["id"], maxResults=200) for group in listed]
    answers = j.batch(service, requests)
    j.that(all(isinstance(answer, dict) for answer in answers), "a part of a batch was refused")
    made = j.do(groups.insert(body={"email": "judges@acme.test", "name": "Judges", "description": "d"}))
    key = {"groupKey": made["id"]}
    j.do(groups.get(**key))
    j.do(groups.patch(**key, body={"description": "e"}))
    j.do(groups.update(**key, body={"name": "The judges", "email": "judges@acme.test"}))
    for user in j.users[:3]:
        j.do(members.insert(**key, body={"email": user, "role": "MEMBER"}))
    j.pages(members, members.list(**key, maxResults=2), "members")
    one = {**key, "memberKey": j.users[0]}
    j.do(members.get(**one))
    j.that(j.do(members.hasMember(**one))["isMember"], "a member is none")
    j.do(members.patch(**one, body={"role": "MANAGER"}))
    j.do(members.update(**one, body={"role": "OWNER", "email": j.users[0]}))
    j.do(members.delete(**one))
    j.refuse(members.get(**one), 404, "notFound")
    j.do(groups.delete(**key))
    j.refuse(groups.get(**key), 404, "notFound")


def units(j, service):
    units = service.orgunits()
    j.do(units.list(customerId=CUSTOMER, type="all"))
    made = j.do(units.insert(customerId=CUSTOMER, body={"name": "Bench", "parentOrgUnitPath": "/"}))
    where = {"customerId": CUSTOMER, "orgUnitPath": "Bench"}
    j.do(units.get(customerId=CUSTOMER, orgUnitPath=made["orgUnitId"]))
    j.do(units.get(**where))
    j.do(units.patch(**where, body={"description": "d"}))
    j.do(units.update(**where, body={"name": "Bench", "description": "e"}))
    j.do(units.delete(**where))
    j.refuse(units.get(**where), 404)


def roles(j, service):
    roles, assignments = service.roles(), service.roleAssignments()
    listed = j.pages(roles, roles.list(customer=CUSTOMER, maxResults=2), "items")
    j.do(roles.get(customer=CUSTOMER, roleId=listed[0]["roleId"]))
    given = j.do(assignments.list(customer=CUSTOMER, maxResults=200))["items"]
    j.do(assignments.get(customer=CUSTOMER, roleAssignmentId=given[0]["roleAssignmentId"]))
    user = j.do(service.users().get(userKey=j.users[2]))["id"]
    ordinary = next(role for role in listed if not role.get("isSuperAdminRole"))
    body = {"roleId": ordinary["roleId"], "assignedTo": user, "scopeType": "CUSTOMER"}
    made = j.do(assignments.insert(customer=CUSTOMER, body=body))
    j.do(assignments.delete(customer=CUSTOMER, roleAssignmentId=made["roleAssignmentId"]))


def access(j, service):
    """Programs with consent, and passwords of programs: somebody has each."""
    tokens, passwords, had = service.tokens(), service.asps(), set()
    for user in j.users:
        for token in j.do(tokens.list(userKey=user)).get("items", []):
            where = {"userKey": user, "clientId": token["clientId"]}
            j.do(tokens.get(**where))
            j.do(tokens.delete(**where))
            had.add("token")
        for password in j.do(passwords.list(userKey=user)).get("items", []):
            where = {"userKey": user, "codeId": password["codeId"]}
            j.do(passwords.get(**where))
            j.do(passwords.delete(**where))
            had.add("password")
    j.that(had == {"token", "password"}, f"the domain has only {had}")


def refusals(j, service):
    j.refuse(service.users().get(userKey="nobody@acme.test"), 404, "notFound")
    j.refuse(service.users().list(), 400)
    j.refuse(service.users().list(customer=CUSTOMER, pageToken="nothing"), 400)
    j.refuse(j.service("directory", j.users[0]).users().list(customer=CUSTOMER), 403)


def audit(j, service):
    activities = service.activities()
    every = {"userKey": "all"}
    for application in ("admin", "drive", "calendar", "token", "login", "contacts", "groups", "user_accounts"):
        answer = j.do(activities.list(**every, applicationName=application, maxResults=200))
        for activity in answer.get("items", []):
            one_value(j, activity)
    j.pages(activities, activities.list(**every, applicationName="token", maxResults=20), "items")
    window = {"startTime": "2026-03-01T00:00:00Z", "endTime": "2026-03-02T00:00:00Z"}
    j.do(activities.list(**every, applicationName="gmail", **window))
    j.refuse(activities.list(**every, applicationName="gmail"), 400)
    j.do(activities.list(userKey=j.users[0], applicationName="drive", eventName="delete"))
    j.do(activities.list(**every, applicationName="drive", eventName="trash", filters="doc_type==document"))
    watched = j.do(activities.watch(**every, applicationName="drive", body={"id": "judge-reports", **HOOK}))
    j.do(service.channels().stop(body={"id": watched["id"], "resourceId": watched["resourceId"]}))


def one_value(j, activity):
    kinds = {"value", "intValue", "boolValue", "multiValue", "multiIntValue", "messageValue", "multiMessageValue"}
    for event in activity["events"]:
        for parameter in event.get("parameters", []):
            j.that(len(kinds & set(parameter)) == 1, f"a parameter has not one value: {parameter}")
