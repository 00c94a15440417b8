"""The results as a table for docs/benchmarks.md."""


def _value(cell):
    """A median with its range, or the one value there is."""
    if not isinstance(cell, dict):
        return f"{cell}"
    shown = lambda number: f"{number:,.0f}" if abs(number) >= 100 else f"{number:g}"
    if cell["min"] == cell["max"]:
        return shown(cell["median"])
    return f"{shown(cell['median'])} ({shown(cell['min'])}–{shown(cell['max'])})"


def _costs(cell):
    return f"{_value(cell['wall_s'])} / {_value(cell['cpu_s'])} / {_value(cell['tenant_cpu_s'])} / {_value(cell['peak_mib'])}"


def _quiet(result):
    for title, cell in result.items():
        if title.startswith("again"):
            requests = ", ".join(f"{service} {_value(counts['of_one_user'])}" for service, counts in cell["requests"].items()
                                 if service not in ("admin", "oauth2"))
            yield f"a quiet domain of {_value(result['users'])} users, {title.replace('_', ' ')}", "< 30 s", f"{_value(cell['wall_s'])} s"
            yield "– requests for a user at most, by service", "3", requests
            yield "– requests in all, with those for tokens; for tokens alone; calls in them", "", (
                f"{_value_sum(cell)}; {_value(cell['requests']['oauth2']['all'])}; {_value(cell['calls'])}")
            yield "– wall s / CPU s / simulator's CPU s / peak MiB", "", _costs(cell)


def _value_sum(cell):
    return f"{sum(counts['all']['median'] for counts in cell['requests'].values()):,.0f}"


def _freshness(result):
    seconds = result["seconds"]
    yield (f"from the feed into the vault, {_value(result['users'])} users, parts {result['parts']}, {_value(result['latency_ms'])} ms a request, {_value(result['threads'])} threads: "
           "p50 / p95 / largest, s", "5 s", " / ".join(_value(seconds[key]) for key in ("p50", "p95", "max")))
    yield "– changes; of them over 5 s; share of a core, ours / simulator's", "", (
        f"{_value(result['changes'])}; {_value(result['over_5_s'])}; {_value(result['cpu_share'])} / {_value(result['tenant_cpu_share'])}")


def _first(result):
    yield "first capture, unlimited: messages/s", "2,000", _value(result["messages_per_s"])
    yield "– messages for each second of our own CPU time", "", _value(result["messages_per_own_core_s"])
    yield "– peak memory, MiB", "< 512", _value(result["peak_mib"])
    yield "– messages; MB; MB in the vault", "", f"{_value(result['messages'])}; {_value(result['raw_mb'])}; {_value(result['vault_mb'])}"
    yield "– wall s / CPU s / simulator's CPU s / peak MiB", "", _costs(result)


def _paced(result):
    for title, cell in result.items():
        yield f"first capture under the quota {title.replace('_', ' ')}: share of it that was used", "≥ 0.95", _value(cell["share"])
        yield "– calls that were refused with 429; units; wall s", "none", (
            f"{_value(cell['refused'])}; {_value(cell['units'])}; {_value(cell['wall_s'])}")


def _restore(result):
    for title in ("deleted", "trashed"):
        cell = result[title]
        yield (f"restore of {_value(result['messages'])} {title} messages: planned s; applied and verified s; one for the other",
               "within 15 %", f"{_value(cell['plan']['duration_s'])}; {_value(cell['apply']['wall_s'])}; {_value(cell['apply_to_plan'])}")
        yield "– gyb's method, s; ÷ ours with verification", "", (
            f"{_value(cell['gyb_method']['wall_s'])}; {_value(cell['gyb_method_to_apply'])}")
        if "gyb_method_to_put_in" in cell:
            yield "– gyb's method ÷ ours until the last message is put in", "", (
                f"{_value(cell['gyb_method_to_put_in'])} ({_value(cell['apply']['put_in_after_s'])} s)")
        yield "– refused for want of quota: ours; gyb's method", "none", (
            f"{_value(cell['apply']['refused'])}; {_value(cell['gyb_method']['refused'])}")


def markdown(report):
    results = report["results"]
    tables = {"quiet": _quiet, "freshness": _freshness, "freshness_feeds": _freshness, "freshness_slow": _freshness, "freshness_wide": _freshness, "first": _first, "paced": _paced,
              "restore": _restore}
    rows = ["| number | target | result |", "|---|---|---|"]
    for name, table in tables.items():
        if name in results:
            rows += [f"| {number} | {target} | {value} |" for number, target, value in table(results[name])]
    return "\n".join(rows) + "\n"
