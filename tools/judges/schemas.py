"""Compares JSON documents with the schemas of Google's discovery documents, which its client brings along."""

import base64
import binascii
import datetime
import json
import pathlib
import re

import googleapiclient.discovery_cache

DOCUMENTS = pathlib.Path(googleapiclient.discovery_cache.__file__).parent / "documents"
APIS = {
    "gmail": "gmail.v1",
    "drive": "drive.v3",
    "calendar": "calendar.v3",
    "people": "people.v1",
    "directory": "admin.directory_v1",
    "reports": "admin.reports_v1",
}
# Methods of both of the administrator's APIs that have the same name.
SHARED = {"admin.channels.stop": ("directory", "reports")}
INTEGERS = {"int64": (-(2**63), 2**63), "uint64": (0, 2**64), "int32": (-(2**31), 2**31), "uint32": (0, 2**32)}
# Addresses that answers give, without a method.
NO_METHODS = {"people.photos.get"}
# The reference of the Reports API says that an activity's kind is `audit#activity` or `admin#reports#activity`.
KINDS = {"admin#reports#activity": {"audit#activity"}, "admin#reports#activities": {"reports#activities"}}


class Api:
    """One discovery document."""

    def __init__(self, name):
        self.name = name
        self.document = json.loads((DOCUMENTS / f"{APIS[name]}.json").read_text())
        self.schemas = self.document["schemas"]
        self.methods = {}
        self._walk(self.document)

    def _walk(self, resource):
        for method in resource.get("methods", {}).values():
            self.methods[method["id"]] = method
        for below in resource.get("resources", {}).values():
            self._walk(below)

    def problems(self, method, answer, whole):
        """Returns what is wrong with an answer of a method.

        `whole` says that nothing was left out by a mask, so that every `kind` must be there.
        """
        found = []
        reference = self.methods[method].get("response", {}).get("$ref")
        if reference is None:
            if answer not in (None, b"", ""):
                found.append(f"{method}: answers something, and the document says nothing")
        else:
            self._check(answer, {"$ref": reference}, method, whole, found)
        return found

    def _check(self, value, schema, place, whole, found):
        if "$ref" in schema:
            schema = self.schemas[schema["$ref"]]
        kind = schema.get("type")
        if kind == "any":
            return
        if kind == "object":
            self._object(value, schema, place, whole, found)
        elif kind == "array":
            if not isinstance(value, list):
                found.append(f"{place}: {value!r} is no array")
                return
            for index, item in enumerate(value):
                self._check(item, schema["items"], f"{place}[{index}]", whole, found)
        else:
            problem = scalar(value, schema)
            if problem:
                found.append(f"{place}: {problem}")

    def _object(self, value, schema, place, whole, found):
        if not isinstance(value, dict):
            found.append(f"{place}: {value!r} is no object")
            return
        properties = schema.get("properties", {})
        for name, member in value.items():
            below = properties.get(name) or schema.get("additionalProperties")
            if below is None:
                found.append(f"{place}: the member {name!r} is unknown")
            else:
                self._check(member, below, f"{place}.{name}", whole, found)
        default = properties.get("kind", {}).get("default")
        if default is None:
            return
        if "kind" not in value:
            if whole:
                found.append(f"{place}: the kind {default!r} is missing")
        elif value["kind"] not in KINDS.get(default, set()) | {default}:
            found.append(f"{place}: the kind is {value['kind']!r} and not {default!r}")


def scalar(value, schema):
    """Returns what is wrong with a value that is neither object nor array."""
    kind, form = schema["type"], schema.get("format")
    if kind == "boolean":
        return None if isinstance(value, bool) else f"{value!r} is no boolean"
    if kind == "integer":
        if not isinstance(value, int) or isinstance(value, bool):
            return f"{value!r} is no integer"
        low, high = INTEGERS[form]
        return None if low <= value < high else f"{value} is no {form}"
    if kind == "number":
        return None if isinstance(value, (int, float)) and not isinstance(value, bool) else f"{value!r} is no number"
    if not isinstance(value, str):
        return f"{value!r} is no string" + (f" with {form}" if form else "")
    if "enum" in schema and value not in schema["enum"]:
        return f"{value!r} is none of {schema['enum']}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return f"{value!r} does not match {schema['pattern']!r}"
    return formatted(value, form)


def formatted(value, form):
    """Returns what is wrong with a text of some format."""
    if form in ("int64", "uint64"):
        low, high = INTEGERS[form]
        good = re.fullmatch(r"-?(0|[1-9][0-9]*)", value) and low <= int(value) < high
    elif form in ("date-time", "google-datetime"):
        good = re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", value) and real_date(value)
    elif form == "date":
        good = re.fullmatch(r"\d{4}-\d\d-\d\d", value) and real_date(value)
    elif form == "byte":
        try:
            # Both alphabets are in use, with and without padding.
            base64.urlsafe_b64decode(value.replace("+", "-").replace("/", "_").rstrip("=") + "=" * (-len(value.rstrip("=")) % 4))
            good = re.fullmatch(r"[A-Za-z0-9_+/-]*={0,2}", value)
        except binascii.Error:
            good = False
    else:
        good = True
    return None if good else f"{value!r} is no {form}"


def real_date(value):
    try:
        datetime.date.fromisoformat(value[:10])
    except ValueError:
        return False
    return True


def refusal_problems(status, content_type, content):
    """Returns what is wrong with the body of a refusal, in the shape that Google's clients read."""
    try:
        error = json.loads(content)["error"]
    except (ValueError, KeyError, TypeError):
        return [f"{status}: the body is no refusal: {content[:200]!r}"]
    found = []
    if "application/json" not in (content_type or ""):
        found.append(f"{status}: its type is {content_type!r}")
    if error.get("code") != status:
        found.append(f"{status}: its code is {error.get('code')!r}")
    if not isinstance(error.get("message"), str) or not error["message"]:
        found.append(f"{status}: it has no message")
    entries = error.get("errors")
    if not isinstance(entries, list) or not entries:
        found.append(f"{status}: it has no entries")
        return found
    for entry in entries:
        if not all(isinstance(entry.get(name), str) and entry[name] for name in ("domain", "reason", "message")):
            found.append(f"{status}: an entry lacks domain, reason or message: {entry!r}")
        unknown = set(entry) - {"domain", "reason", "message", "location", "locationType", "extendedHelp"}
        if unknown:
            found.append(f"{status}: an entry has unknown members: {sorted(unknown)}")
    unknown = set(error) - {"code", "message", "errors", "status", "details"}
    if unknown:
        found.append(f"{status}: unknown members: {sorted(unknown)}")
    return found


def template(path):
    """Returns a path with nameless parameters, to be compared with another's."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def route_problems(apis, routes):
    """Compares the simulator's table of routes with the documents: names, verbs, paths, scopes."""
    found = []
    for route in routes:
        name = route["id"]
        # Uploads have more verbs than their document says, and downloads have addresses that answers give.
        if route["path"].lstrip("/").startswith(("upload/", "resumable/", "download/", "feeds/")):
            continue
        owners = SHARED.get(name, (name.split(".")[0],))
        methods = [apis[owner].methods.get(name) for owner in owners if owner in apis]
        if not methods or name in NO_METHODS:
            # Tokens and pictures are no methods of an API.
            continue
        if None in methods:
            found.append(f"{name}: there is no such method")
            continue
        found.extend(mismatches(apis, owners, methods, route))
    return found


def mismatches(apis, owners, methods, route):
    found, name = [], route["id"]
    if any(method["httpMethod"] != route["verb"] for method in methods):
        found.append(f"{name}: the verb is {route['verb']}")
    paths = set()
    for owner, method in zip(owners, methods):
        base = apis[owner].document["servicePath"]
        paths.add(template("/" + base + method.get("flatPath", method["path"])))
        paths.add(template("/" + base + method["path"]))
    if template("/" + route["path"].lstrip("/")) not in paths:
        found.append(f"{name}: the path is {route['path']}, and not {sorted(paths)}")
    allowed = {scope for method in methods for scope in method.get("scopes", [])}
    foreign = set(route["scopes"]) - allowed
    if foreign:
        found.append(f"{name}: these scopes are not enough for it: {sorted(foreign)}")
    if not route["scopes"]:
        found.append(f"{name}: anybody may call it")
    return found
