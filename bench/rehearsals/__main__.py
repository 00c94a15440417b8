"""Replays incidents again and again, and says how soon the alarm came and somebody was stopped.

python3 -m rehearsals [--runs 100] [NAME ...]    writes bench/out/rehearsals.json
"""

import argparse
import json
import os
import subprocess
import sys

NAMES = ["antigravity", "hard-delete", "bulk-delete", "row-by-row", "truncate-drop"]


def quantile(values, share):
    values = sorted(values)
    return values[min(int(len(values) * share), len(values) - 1)] if values else None


def one(binary, name, seed):
    command = [binary, "--json", "--quiet", "rehearse", name, "--seed", str(seed)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        return {"failed": run.stderr.strip() or f"exit {run.returncode}", "account": run.stdout}
    account = json.loads(run.stdout)
    alarm = account.get("alarm") or (account.get("alarms") or [None])[0] or {}
    wrong = account.get("rows_wrong", account.get("things_wrong"))
    lost = account.get("rows_lost_before_undo", account.get("destroyed"))
    return {
        "alarm_ms": alarm.get("raised_after_ms"),
        "stopped_ms": alarm.get("stopped_after_ms"),
        "lost": lost,
        "wrong": wrong,
    }


def summary(runs):
    good = [run for run in runs if "failed" not in run]
    row = {"runs": len(runs), "failed": len(runs) - len(good)}
    for field in ("alarm_ms", "stopped_ms", "lost"):
        values = [run[field] for run in good if run[field] is not None]
        row[field] = {"p50": quantile(values, 0.5), "p95": quantile(values, 0.95), "largest": max(values, default=None)}
    row["wrong"] = sum(run["wrong"] or 0 for run in good)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--binary", default="target/release/unwipe")
    parser.add_argument("names", nargs="*", default=NAMES)
    options = parser.parse_args()
    rows = {}
    for name in options.names:
        runs = []
        for seed in range(1, options.runs + 1):
            runs.append(one(options.binary, name, seed))
            print(f"{name} {seed}/{options.runs}: {runs[-1]}", file=sys.stderr, flush=True)
        rows[name] = summary(runs)
    os.makedirs("bench/out", exist_ok=True)
    text = json.dumps({"load": os.getloadavg(), "incidents": rows}, indent=2)
    with open("bench/out/rehearsals.json", "w", encoding="utf-8") as file:
        file.write(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
