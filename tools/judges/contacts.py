"""Contacts, as Google's client reads, changes, destroys and brings them back."""

import base64

FIELDS = (
    "addresses,biographies,birthdays,calendarUrls,clientData,emailAddresses,events,externalIds,genders,imClients,interests,"
    "locales,locations,memberships,metadata,miscKeywords,names,nicknames,occupations,organizations,phoneNumbers,photos,"
    "relations,sipAddresses,skills,urls,userDefined"
)
ME = {"resourceName": "people/me", "personFields": FIELDS}
# The smallest picture there is.
PICTURE = base64.b64encode(
    base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
).decode()


def judge(j):
    service = j.service("people", j.users[0])
    synced = reading(j, service)
    writing(j, service)
    many(j, service)
    groups(j, service)
    people = service.people()
    changed = j.do(people.connections().list(**ME, syncToken=synced, requestSyncToken=True))
    j.that(any(person.get("metadata", {}).get("deleted") for person in changed["connections"]), "a deleted person is not told of")
    refusals(j, service)


def reading(j, service):
    people = service.people()
    connections = people.connections()
    request = connections.list(**ME, pageSize=10, requestSyncToken=True)
    listed, synced = [], None
    while request is not None:
        answer = j.do(request)
        listed.extend(answer["connections"])
        synced = answer.get("nextSyncToken")
        request = connections.list_next(request, answer)
    j.that(len(listed) == answer["totalItems"] and synced, "another number of people, or no token")
    names = [person["resourceName"] for person in listed]
    j.do(people.getBatchGet(resourceNames=names[:5], personFields=FIELDS))
    answers = j.batch(service, [people.get(resourceName=name, personFields=FIELDS) for name in names[:10]])
    j.that(all(isinstance(answer, dict) for answer in answers), "a part of a batch was refused")
    others = service.otherContacts()
    j.do(others.list(readMask="emailAddresses,metadata,names,phoneNumbers,photos", pageSize=100, requestSyncToken=True))
    j.do(people.listDirectoryPeople(readMask="names,emailAddresses", sources=["DIRECTORY_SOURCE_TYPE_DOMAIN_PROFILE"], pageSize=5))
    return synced


def person(name):
    return {"names": [{"givenName": name, "familyName": "Judge"}], "emailAddresses": [{"value": f"{name}@x.test", "type": "work"}]}


def writing(j, service):
    people = service.people()
    body = person("one") | {"birthdays": [{"date": {"year": 1990, "month": 2, "day": 3}}], "biographies": [{"value": "b"}]}
    made = j.do(people.createContact(body=body, personFields=FIELDS))
    name = made["resourceName"]
    body = {"etag": made["etag"], "metadata": made["metadata"], "nicknames": [{"value": "n"}]}
    changed = j.do(people.updateContact(resourceName=name, updatePersonFields="nicknames", personFields=FIELDS, body=body))
    j.refuse(people.updateContact(resourceName=name, updatePersonFields="nicknames", body=body), 400, "failedPrecondition")
    pictured = j.do(people.updateContactPhoto(resourceName=name, body={"photoBytes": PICTURE, "personFields": FIELDS}))
    j.that(pictured["person"]["photos"], "there is no picture")
    j.do(people.deleteContactPhoto(resourceName=name, personFields=FIELDS))
    j.that(changed["resourceName"] == name, "another name")
    j.do(people.deleteContact(resourceName=name))
    j.refuse(people.get(resourceName=name, personFields=FIELDS), 404)
    old = j.do(service.people().connections().list(**ME, pageSize=1))["connections"][0]
    j.do(people.deleteContact(resourceName=old["resourceName"]))


def many(j, service):
    people = service.people()
    contacts = [{"contactPerson": person(f"many{n}")} for n in range(3)]
    made = j.do(people.batchCreateContacts(body={"contacts": contacts, "readMask": FIELDS}))["createdPeople"]
    persons = {one["person"]["resourceName"]: one["person"] for one in made}
    updates = {name: {"etag": one["etag"], "metadata": one["metadata"], "urls": [{"value": "https://x.test"}]} for name, one in persons.items()}
    j.do(people.batchUpdateContacts(body={"contacts": updates, "updateMask": "urls", "readMask": FIELDS}))
    j.do(people.batchDeleteContacts(body={"resourceNames": list(persons)}))
    j.refuse(people.batchCreateContacts(body={"contacts": contacts * 67, "readMask": "names"}), 400)
    two = {"contactPerson": {"names": [{"givenName": "a"}, {"givenName": "b"}]}}
    j.refuse(people.batchCreateContacts(body={"contacts": [two], "readMask": "names"}), 400)


def groups(j, service):
    groups = service.contactGroups()
    listed = j.pages(groups, groups.list(pageSize=5, groupFields="clientData,groupType,memberCount,metadata,name"), "contactGroups")
    names = [group["resourceName"] for group in listed]
    j.do(groups.batchGet(resourceNames=names[:3], maxMembers=10))
    made = j.do(groups.create(body={"contactGroup": {"name": "judged"}}))
    j.refuse(groups.create(body={"contactGroup": {"name": "judged"}}), 409)
    name = made["resourceName"]
    someone = j.do(service.people().connections().list(**ME, pageSize=1))["connections"][0]["resourceName"]
    j.do(groups.members().modify(resourceName=name, body={"resourceNamesToAdd": [someone]}))
    got = j.do(groups.get(resourceName=name, maxMembers=10))
    j.that(got["memberResourceNames"] == [someone], "another member")
    j.do(groups.update(resourceName=name, body={"contactGroup": {"name": "judged too", "etag": got["etag"]}}))
    j.do(groups.delete(resourceName=name))
    j.refuse(groups.get(resourceName=name), 404)


def refusals(j, service):
    people = service.people()
    j.refuse(people.get(resourceName="people/c0", personFields="names"), 404)
    j.refuse(people.get(resourceName="people/me", personFields="nothing"), 400)
    j.refuse(people.connections().list(**ME, syncToken="nothing"), 400)
    readonly = j.service("people", j.users[0], ["https://www.googleapis.com/auth/contacts.readonly"])
    j.refuse(readonly.people().deleteContact(resourceName="people/c0"), 403)
