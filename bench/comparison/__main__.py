"""The command line of the comparison."""

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import backup, loss_window, shadow, undo, wal_index
from .cluster import BIN, own, template
from .process import Failed
from .product import BINARY, ROOT
from .results import collect

EXPERIMENTS = ["loss", "synchronous", "backup", "index", "shadow", "undo"]
_UNDO_ROWS = [249_500, 1_000_000]


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    version = lambda *command: subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return {
        "processor": model, "cores": os.cpu_count(), "system": platform.platform(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)),
        "load_average": os.getloadavg(),
        "postgres": version(BIN / "postgres", "--version"), "pgbackrest": version("pgbackrest", "version"),
        "commit": version("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"),
        "binary_mib": round(BINARY.stat().st_size / (1 << 20), 1),
    }


def arguments():
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("source", choices=["postgres"])
    parser.add_argument("--scale", type=int, default=100, help="pgbench's scale: 100 is 1.5 GB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=EXPERIMENTS, help="only this experiment; may be repeated")
    parser.add_argument("--work", type=Path, help="a folder for scratch data, kept afterwards (default: a new one)")
    parser.add_argument("--name", default="postgres", help="the name of the result in bench/out")
    return parser.parse_args()


def experiments(options, work):
    """Yields the name of each experiment with its rounds, one by one."""
    wanted = options.only or EXPERIMENTS
    if {"loss", "synchronous", "backup", "shadow"} & set(wanted):
        data = template(work, options.scale)
    if "loss" in wanted:
        yield "loss", loss_window.measure(work, data, options.rounds)
    if "synchronous" in wanted:
        yield "synchronous", iter([loss_window.measure_synchronous(work, data)])
    if "backup" in wanted:
        yield "backup", backup.measure(work, data, options.scale, options.rounds)
    if "index" in wanted:
        yield "index", wal_index.measure(work, options.rounds)
    if "shadow" in wanted:
        yield "shadow", shadow.measure(work, data, options.rounds)
    if "undo" in wanted:
        for rows in _UNDO_ROWS:
            yield f"undo {rows}", undo.measure(work, rows, options.rounds)


def main():
    options = arguments()
    # Servers are stopped on the way out, so a request to end must take that way.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if os.geteuid() != 0:
        sys.exit("error: servers run as another account and a file system is mounted, so this needs root\nhint: sudo bench/run postgres")
    work = options.work or Path(tempfile.mkdtemp(prefix="unwipe-bench-"))
    work.mkdir(parents=True, exist_ok=True)
    own(work).chmod(0o755)
    out = ROOT / "bench/out"
    out.mkdir(exist_ok=True)
    report = {"machine": machine(), "scale": options.scale, "results": {}, "rounds": {}}
    try:
        for name, rounds in experiments(options, work):
            done = []
            for result in rounds:
                done.append(result)
                print(f"{time.strftime('%H:%M:%S')} {name} {len(done)}: {json.dumps(result)}", flush=True)
                # Written after each round, so that an interrupted run keeps what it has.
                report["rounds"][name], report["results"][name] = done, collect(done)
                (out / f"{options.name}.json").write_text(json.dumps(report, indent=1) + "\n")
    except Failed as error:
        sys.exit(f"error: {error}")
    finally:
        if not options.work:
            shutil.rmtree(work, ignore_errors=True)
    print(json.dumps(report["results"], indent=1))


main()
