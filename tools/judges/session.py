"""Google's own client, led to the simulator: every answer is compared with the schema of its method."""

import json
import urllib.parse

import google_auth_httplib2
import googleapiclient.discovery
import googleapiclient.http
import httplib2
from google.oauth2 import service_account
from googleapiclient.errors import HttpError

import schemas

VERSIONS = {
    "gmail": ("gmail", "v1"),
    "drive": ("drive", "v3"),
    "calendar": ("calendar", "v3"),
    "people": ("people", "v1"),
    "directory": ("admin", "directory_v1"),
    "reports": ("admin", "reports_v1"),
}
# A delay between tries is drawn up to this many seconds.
PATIENCE_S = 0.01


class Failure(Exception):
    """Something that the simulator does differently from Google."""


class Led(httplib2.Http):
    """Sends to the simulator what is meant for Google's hosts; the paths stay."""

    def __init__(self, url):
        super().__init__(timeout=60)
        # As the client's own: 308 is no redirect but the answer to a part of an upload.
        self.redirect_codes = self.redirect_codes - {308}
        self.address = urllib.parse.urlsplit(url)

    def request(self, uri, *arguments, **named):
        parts = urllib.parse.urlsplit(uri)
        if parts.hostname.endswith(("googleapis.com", "google.com", "googleusercontent.com")):
            parts = parts._replace(scheme=self.address.scheme, netloc=self.address.netloc)
        return super().request(urllib.parse.urlunsplit(parts), *arguments, **named)


class Judge:
    """What was called so far, and what was wrong with it."""

    def __init__(self, world):
        self.url = world["url"]
        self.key = world["key"]
        self.admin = world["admin"]
        self.users = world["users"]
        self.scopes = {scope for route in world["routes"] for scope in route["scopes"]}
        self.apis = {name: schemas.Api(name) for name in VERSIONS}
        self.called = set()
        self.answers = 0
        self.problems = []

    def credentials(self, user, scopes):
        key = service_account.Credentials.from_service_account_info(self.key, scopes=scopes)
        return key.with_subject(user)

    def http(self, user, scopes):
        return google_auth_httplib2.AuthorizedHttp(self.credentials(user, scopes), http=Led(self.url))

    def service(self, name, user, scopes=None):
        """Returns Google's client of an API in a user's name; without scopes it has all of the API's that the simulator knows."""
        api = self.apis[name]
        if scopes is None:
            scopes = sorted(self.scopes & set(api.document["auth"]["oauth2"]["scopes"]))
        judge = self

        class Request(googleapiclient.http.HttpRequest):
            """A request whose answers are judged, in batches and at the end of uploads too."""

            def __init__(self, http, postproc, uri, **named):
                super().__init__(http, judge.watch(api, postproc, uri, named.get("methodId")), uri, **named)

        service, version = VERSIONS[name]
        return googleapiclient.discovery.build(
            service,
            version,
            http=self.http(user, scopes),
            static_discovery=True,
            cache_discovery=False,
            requestBuilder=Request,
        )

    def watch(self, api, postproc, uri, method):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(uri).query)
        mask = query.get("fields", [None])[0]
        is_media = query.get("alt") == ["media"]

        def judged(response, content):
            answer = postproc(response, content)
            self.called.add(method)
            self.answers += 1
            if api.methods[method].get("response") is None and not isinstance(answer, bytes) and answer == {}:
                answer = None
            if not is_media and method != "drive.files.export":
                if response.get("x-simulator") not in (None, "google"):
                    raise Failure(f"{method}: the answer is not the simulator's")
                self.problems.extend(api.problems(method, answer, mask in (None, "*")))
            return answer

        return judged

    def do(self, request, retries=0):
        """Makes a call that must succeed."""
        request._sleep = lambda _: None
        request._rand = lambda: PATIENCE_S
        try:
            return request.execute(num_retries=retries)
        except HttpError as error:
            raise Failure(f"{request.methodId} {request.uri}: {error} {error.content!r}") from error

    def refuse(self, request, status, reason=None):
        """Makes a call that must be refused, with a refusal in Google's shape."""
        try:
            answer = request.execute(num_retries=0)
        except HttpError as error:
            self.refusal(request.methodId, error, status, reason)
            return
        raise Failure(f"{request.methodId} {request.uri}: not refused: {answer!r}")

    def refusal(self, method, error, status, reason=None):
        found = schemas.refusal_problems(error.resp.status, error.resp.get("content-type"), error.content)
        self.problems.extend(f"{method}: {problem}" for problem in found)
        if error.resp.status != status:
            raise Failure(f"{method}: {error.resp.status} in place of {status}: {error.content!r}")
        if reason is None:
            return
        document = json.loads(error.content)["error"]
        details = [detail.get("reason") for detail in document.get("details", [])]
        reasons = [entry["reason"] for entry in document["errors"]] + details
        if reason not in reasons:
            raise Failure(f"{method}: the reasons are {reasons} and not {reason!r}")

    def pages(self, resource, request, member, following=None, least=2):
        """Reads a list page by page, with the client's own way of asking for the next; returns all entries."""
        following = following or resource.list_next
        entries, pages = [], 0
        while request is not None:
            answer = self.do(request)
            entries.extend(answer.get(member, []))
            pages += 1
            request, method = following(request, answer), request.methodId
        self.that(pages >= least, f"{method}: only {pages} pages")
        return entries

    def batch(self, service, requests):
        """Makes calls in one batch; returns an answer or an error for each."""
        answers = {}

        def keep(name, answer, error):
            answers[name] = error if error is not None else answer

        batch = service.new_batch_http_request(callback=keep)
        for index, request in enumerate(requests):
            batch.add(request, request_id=str(index))
        batch.execute()
        return [answers[str(index)] for index in range(len(requests))]

    def that(self, is_true, what):
        """Fails with these words when something is not so."""
        if not is_true:
            raise Failure(what)
