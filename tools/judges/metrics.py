#!/usr/bin/env python3
"""Prometheus' own client reads what a monitoring system is told: it is strict about OpenMetrics.

  metrics.py URL TOKEN SOURCE

It asks a few times, so that there is something to count, and checks names, kinds, labels and the end of the text.
"""

import sys
import time
import urllib.error
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

PATIENCE_S = 60
problems = []


def that(is_true, what):
    if not is_true:
        problems.append(what)


def ask(url, token=None):
    request = urllib.request.Request(url)
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        that(answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0"), "media type")
        return answer.read().decode()


def families(text):
    that(text.endswith("# EOF\n"), "the text has no end")
    found = {family.name: family for family in text_string_to_metric_families(text)}
    for family in found.values():
        that(family.name.startswith("unwipe_"), f"{family.name} is not ours by its name")
        that(family.documentation, f"{family.name} says nothing of itself")
    return found


def value(family, name=None, **labels):
    for sample in family.samples:
        if sample.name == (name or family.name) and labels.items() <= sample.labels.items():
            return sample.value
    return None


def main(url, token, source):
    for wrong in [None, "unwipe_guess"]:
        try:
            ask(url, wrong)
            problems.append(f"{wrong} was answered")
        except urllib.error.HTTPError as error:
            that(error.code == 401, f"{wrong} was answered with {error.code}")
            that(error.headers["content-type"] == "application/problem+json", "a refusal is a page")
    # The first look at the installation takes a moment.
    end = time.monotonic() + PATIENCE_S
    while True:
        found = families(ask(url, token))
        age = value(found["unwipe_newest_moment_age_seconds"], source=source)
        if age is not None or time.monotonic() > end:
            break
        time.sleep(0.2)
    that(age is not None and age >= 0, f"the newest moment of {source} is {age} s old")
    kinds = {
        "unwipe_requests": "counter",
        "unwipe_request_seconds": "histogram",
        "unwipe_newest_moment_age_seconds": "gauge",
        "unwipe_lock_floor_days": "gauge",
        "unwipe_unreadable_items": "gauge",
        "unwipe_open_incidents": "gauge",
        "unwipe_protection_tier": "gauge",
        "unwipe_overview_failures": "counter",
    }
    for name, kind in kinds.items():
        that(name in found and found[name].type == kind, f"{name} is no {kind}")
    before = value(found["unwipe_requests"], "unwipe_requests_total", method="GET", status="200")
    refused = value(found["unwipe_requests"], "unwipe_requests_total", method="GET", status="401")
    that(refused == 2, f"{refused} refusals were counted")
    after = value(families(ask(url, token))["unwipe_requests"], "unwipe_requests_total", method="GET", status="200")
    that(after == (before or 0) + 1, f"from {before} to {after} requests")
    that(value(found["unwipe_open_incidents"]) == 0, "there are incidents")
    that(value(found["unwipe_protection_tier"]) in (0, 1, 2, 3, 4), "the tier is none")
    that(value(found["unwipe_overview_failures"], "unwipe_overview_failures_total") == 0, "looks failed")


main(*sys.argv[1:])
for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
