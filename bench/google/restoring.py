"""What a restore of deleted mail costs, beside the method of gyb: one insert for each message, one after the other."""

import http.client
import json
import random
import threading
import time
from urllib.parse import urlsplit

from comparison.process import Failed

from .product import SOURCE, Unwipe, measured
from .reading import say
from .tenant import Tenant

_USER_UNITS = 6_000  # A minute of one user, in projects made since May 2026.
_INSERT = "/gmail/v1/users/me/messages?internalDateSource=dateHeader"


class Gmail:
    """A client on one connection, as simple programs have it."""

    def __init__(self, tenant, user):
        place = urlsplit(tenant.url)
        self._connection = http.client.HTTPConnection(place.hostname, place.port)
        self._token = tenant.ask("token", user=user)["token"]

    def call(self, method, path, body=None):
        headers = {"authorization": f"Bearer {self._token}", "content-type": "application/json"}
        self._connection.request(method, path, body=json.dumps(body) if body is not None else None, headers=headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def must(self, method, path, body=None):
        status, text = self.call(method, path, body)
        if status >= 300:
            raise Failed(f"{path} was answered with {status}: {text[:300]!r}")
        return json.loads(text) if text else None


def gyb_method(tenant, user, letters, seed):
    """Puts letters in, one insert each, one after the other; what is over the quota is tried again after 2, 4, 8, … s."""
    gmail, draw, refused = Gmail(tenant, user), random.Random(seed), 0
    began = time.monotonic()
    for raw, labels in letters:
        body, attempt = {"raw": raw, "labelIds": labels}, 0
        while True:
            status, text = gmail.call("POST", _INSERT, body)
            if status < 300:
                break
            if status not in (403, 429) and status < 500:
                raise Failed(f"an insert was answered with {status}: {text[:300]!r}")
            refused, attempt = refused + 1, attempt + 1
            time.sleep(min(2 ** attempt, 60) + draw.random())
    return {"wall_s": round(time.monotonic() - began, 3), "refused": refused}


def read_letters(tenant, user, ids):
    """Reads messages for the peer: gyb has them in files."""
    gmail, letters = Gmail(tenant, user), []
    for identity in ids:
        message = gmail.must("GET", f"/gmail/v1/users/me/messages/{identity}?format=raw")
        letters.append((message["raw"], [label for label in message.get("labelIds", []) if label != "DRAFT"]))
    return letters


def leave_a_sixth(tenant, user, ids, units):
    """Spends the pool down to what unwipe grants itself at once, so that nobody begins with a whole minute for nothing."""
    gmail = Gmail(tenant, user)
    for number in range(units * 5 // 6 // 20):
        gmail.must("GET", f"/gmail/v1/users/me/messages/{ids[number % len(ids)]}?format=minimal")


class Inserted(threading.Thread):
    """Notes when the last of so many messages was put in: what comes after is verification."""

    def __init__(self, tenant, count):
        super().__init__(daemon=True)
        self._tenant, self._count, self.wall_s = tenant, count, None
        self._began, self._ended = time.monotonic(), threading.Event()
        self.start()

    def run(self):
        while not self._ended.wait(0.1):
            calls = self._tenant.ask("traffic")["calls"]
            if sum(calls.get(f"gmail.users.{kind}", 0) for kind in ("messages.insert", "drafts.create")) >= self._count:
                self.wall_s = round(time.monotonic() - self._began, 3)
                return

    def end(self):
        self._ended.set()
        self.join()


def restore(work, sizes):
    """Messages of one mailbox are deleted for good, or moved into the trash, and brought back under the vendor's quota."""
    result = {"latency_ms": sizes.restore_latency_ms, "messages": sizes.restored, "quota": {"user": _USER_UNITS}}
    for title in ("deleted", "trashed"):
        with Tenant(work / title, users=2, messages=sizes.restored + 40) as tenant:
            result[title] = _one(work / title, tenant, title, sizes)
    return result


def _one(work, tenant, title, sizes):
    unwipe = Unwipe(work / "unwipe", tenant, parts=["gmail"])
    user, count = tenant.users[-1], sizes.restored
    unwipe.capture()
    ids = tenant.ask("messages", user=user)["ids"]
    lost, kept = ids[:count], ids[count:]
    letters = read_letters(tenant, user, lost)
    commit = unwipe.newest_moment()
    body = {"ids": lost} if title == "deleted" else {"ids": lost, "addLabelIds": ["TRASH"], "removeLabelIds": ["INBOX"]}
    Gmail(tenant, user).must("POST", f"/gmail/v1/users/me/messages/{'batchDelete' if title == 'deleted' else 'batchModify'}", body)
    unwipe.capture()

    quota = {"gmail": (1_200_000, _USER_UNITS)}
    unwipe.set_quota(quota, {})
    plan = work / "plan"
    say(f"restore of {count} {title} messages: plan")
    planned, made = measured(tenant, lambda: unwipe.verb("rewind", f"{SOURCE}/gmail/{user}@{commit}", "--plan", plan))
    unwipe.verb("approve", plan, "--yes")
    tenant.ask("quota", quota=quota)
    leave_a_sixth(tenant, user, kept, _USER_UNITS)
    tenant.ask("latency", ms=sizes.restore_latency_ms)
    tenant.ask("clear")
    before = tenant.ask("traffic")["refusals"]
    say(f"restore of {count} {title} messages: apply, {made['plan']['duration_s']} s planned")
    inserted = Inserted(tenant, count)
    applied, outcome = measured(tenant, lambda: unwipe.verb("apply", plan, "--credential", tenant.keys[1]))
    inserted.end()
    counts = outcome["applied"]["counts"]
    if counts["inserted"] + counts["reverted"] < count * 0.9 or any(check["differences"] for check in outcome["verification"]["checks"]):
        raise Failed(f"not all was brought back: {counts}")
    seen = tenant.ask("traffic")
    result = {
        "plan": planned | {"duration_s": made["plan"]["duration_s"]},
        "apply": applied | {"refused": seen["refusals"] - before, "put_in_after_s": inserted.wall_s},
        "apply_to_plan": round(applied["wall_s"] / max(made["plan"]["duration_s"], 1), 3),
    }
    # The peer puts the same letters into the other mailbox, which nobody has spent anything of.
    other = tenant.users[0]
    tenant.ask("latency", ms=0)
    leave_a_sixth(tenant, other, tenant.ask("messages", user=other)["ids"], _USER_UNITS)
    tenant.ask("latency", ms=sizes.restore_latency_ms)
    say(f"restore of {count} {title} messages: one insert for each, in series")
    result["gyb_method"] = gyb_method(tenant, other, letters, sizes.seed)
    result["gyb_method_to_apply"] = round(result["gyb_method"]["wall_s"] / applied["wall_s"], 2)
    if inserted.wall_s:
        result["gyb_method_to_put_in"] = round(result["gyb_method"]["wall_s"] / inserted.wall_s, 2)
    return result
