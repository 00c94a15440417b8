"""What a capture costs: of a quiet domain, of changes that go on, of everything for the first time."""

import random
import sys
import threading
import time

from comparison.process import Failed
from comparison.product import stop_capture
from comparison.results import quantiles

from .product import Unwipe, measured
from .tenant import SERVICES, Tenant

DEFAULT_THREADS = 8
_PATIENCE_S = 120


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def quiet(work, sizes):
    """A domain in which nothing happens is captured again, by a process that has just been started."""
    with Tenant(work, users=sizes.users, messages=20, files=10, events=10, contacts=10) as tenant:
        unwipe = Unwipe(work / "unwipe", tenant)
        say(f"quiet: first capture of {sizes.users} users")
        first, _ = measured(tenant, unwipe.capture)
        result = {"users": sizes.users, "first": first}
        for title, latency_ms in (("again", 0), (f"again_{sizes.latency_ms}_ms", sizes.latency_ms)):
            tenant.ask("latency", ms=latency_ms)
            tenant.ask("clear")
            say(f"quiet: {title}")
            result[title], _ = measured(tenant, unwipe.capture)
            seen = tenant.ask("traffic")
            nothing = {"all": 0, "of_one_user": 0}
            result[title]["requests"] = {service: seen["requests"].get(service, nothing) for service in (*SERVICES, "oauth2")}
            result[title]["calls"] = sum(seen["calls"].values())
        return result


def freshness(work, sizes, *, latency_ms=0, threads=None, parts=()):
    """Changes are made at random moments while `unwipe capture` goes on; each is awaited in the catalog.

    A commit enters the catalog after the vault has it for good, and the catalog is looked at every 20 ms: what is told is
    rather too long than too short. Messages and files alternate; Google has feeds of both. It begins with the second look at
    the domain: the first one of a process gets tokens and looks at what no feed tells of.
    """
    draw = random.Random(sizes.seed)
    with Tenant(work, users=sizes.users, messages=20, files=10, events=10, contacts=10) as tenant:
        unwipe = Unwipe(work / "unwipe", tenant, threads=threads, parts=parts)
        unwipe.capture()
        tenant.ask("clear")
        tenant.ask("latency", ms=latency_ms)
        say(f"freshness: following {sizes.users} users, {latency_ms} ms for each request")
        capture = unwipe.follow()
        try:
            _await_second_look(tenant, capture)
            watch = Watch(unwipe)
            cpu_before, tenant_before, began = capture.cpu_s(), tenant.cpu_s(), time.monotonic()
            for number in range(sizes.changes):
                time.sleep(draw.expovariate(sizes.changes / sizes.freshness_s))
                capture.check()
                kind = ("deliver", "file")[number % 2]
                change = tenant.ask(kind, user=draw.choice(tenant.users), number=number)
                watch.expect(change["key"], change["at_us"] / 1e6)
            waited = watch.end()
            wall = time.monotonic() - began
            return {
                "users": sizes.users, "changes": sizes.changes, "latency_ms": latency_ms, "threads": threads or DEFAULT_THREADS,
                "parts": ", ".join(parts) or "all",
                "seconds": quantiles(waited) | {"p95": round(sorted(waited)[int(0.95 * len(waited))], 3)},
                "over_5_s": sum(value > 5 for value in waited),
                "cpu_share": round((capture.cpu_s() - cpu_before) / wall, 3),
                "tenant_cpu_share": round((tenant.cpu_s() - tenant_before) / wall, 3),
                "peak_mib": round(capture.peak_mib(), 1),
            }
        finally:
            stop_capture(capture)


def _await_second_look(tenant, capture):
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        capture.check()
        if tenant.ask("traffic")["requests"].get("gmail", {}).get("of_one_user", 0) >= 2:
            return
        time.sleep(0.2)
    raise Failed(f"there was no second look within {_PATIENCE_S} s")


class Watch:
    """Looks for keys in the catalog until all have come."""

    def __init__(self, unwipe):
        self._unwipe = unwipe
        self._lock = threading.Lock()
        self._missing, self._waited = {}, []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def expect(self, key, since):
        with self._lock:
            self._missing[key] = since

    def _look(self):
        catalog = self._unwipe.catalog()
        newest = 0
        while not self._ended.is_set():
            time.sleep(0.02)
            rows = catalog.execute("SELECT id, key FROM versions WHERE id > ? AND content IS NOT NULL ORDER BY id", (newest,)).fetchall()
            now = time.time()
            with self._lock:
                for identity, key in rows:
                    newest = identity
                    since = self._missing.pop(key, None)
                    if since is not None:
                        self._waited.append(now - since)

    def end(self):
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until and self._missing:
            time.sleep(0.05)
        self._ended.set()
        self._thread.join()
        if self._missing:
            raise Failed(f"{len(self._missing)} changes were not in the vault after {_PATIENCE_S} s")
        return self._waited


def first(work, sizes):
    """A first capture of mail at unlimited quota, all the way into a vault on disk."""
    with Tenant(work, users=sizes.first_users, messages=sizes.first_messages) as tenant:
        unwipe = Unwipe(work / "unwipe", tenant, parts=["gmail"])
        say(f"first capture of {sizes.first_users} mailboxes with {sizes.first_messages} messages each")
        result, captured = measured(tenant, unwipe.capture)
        messages = tenant.ask("traffic")["calls"]["gmail.users.messages.get"]
        raw = sum(tenant.ask("messages", user=user)["bytes"] for user in tenant.users)
        return result | {
            "messages": messages, "raw_mb": round(raw / 1e6, 1), "vault_mb": round(unwipe.stored_bytes() / 1e6, 1),
            "messages_per_s": round(messages / result["wall_s"]),
            # With both cores for us alone, were all of it parallel: no promise, only what the CPU time comes to.
            "messages_per_own_core_s": round(messages / result["cpu_s"]),
        }


def paced(work, sizes):
    """A first capture of mail under quota: once where each user's is what binds, once where the project's is.

    Of the possible rate is used what was spent, divided by what could have been: the burst that unwipe grants itself (a
    sixth of a minute) and what came back until the end.
    """
    result = {}
    users, minutes = sizes.paced_users, sizes.paced_s / 60
    for title, project, user in (("of_each_user", 1_200_000, 6_000), ("of_the_project", users * 3_000, 6_000)):
        binding = min(project, users * user)
        # 20 units for each message; a sixth of a minute is there at once.
        messages = int(binding * (minutes + 1 / 6) / 20 / users)
        with Tenant(work / title, users=users, messages=messages, quota={"gmail": (project, user)},
                    latency_ms=sizes.latency_ms) as tenant:
            unwipe = Unwipe(work / title / "unwipe", tenant, parts=["gmail"], threads=users)
            tenant.ask("clear")
            before = tenant.ask("spent", service="gmail")["units"]
            say(f"first capture under the quota {title}: {users} mailboxes with {messages} messages each")
            costs, _ = measured(tenant, unwipe.capture)
            spent = tenant.ask("spent", service="gmail")
            seen = tenant.ask("traffic")
            readers = len(tenant.users)
            possible = min(project, readers * user) * (costs["wall_s"] / 60 + 1 / 6)
            result[title] = costs | {
                "quota": {"project": project, "user": user}, "users": readers, "messages": messages,
                "latency_ms": sizes.latency_ms, "units": spent["units"] - before,
                "share": round((spent["units"] - before) / possible, 4), "refused": seen["refusals"],
            }
    return result
