"""The command line `bench/run google`."""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from comparison.process import Failed
from comparison.results import collect

from . import reading, restoring
from .table import markdown

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Sizes:
    """How much is measured. Everything is drawn from the seed."""

    users: int = 500
    latency_ms: int = 60
    changes: int = 200
    freshness_s: int = 120
    first_users: int = 20
    first_messages: int = 3000
    paced_users: int = 12
    paced_s: int = 90
    restored: int = 300
    restore_latency_ms: int = 120
    seed: int = 1


QUICK = Sizes(users=200, changes=40, freshness_s=15, first_users=8, first_messages=1500, paced_users=6,
              paced_s=15, restored=60)

EXPERIMENTS = {
    "quiet": reading.quiet,
    "freshness": reading.freshness,
    "freshness_feeds": lambda work, sizes: reading.freshness(work, sizes, parts=["gmail", "drive"]),
    "freshness_slow": lambda work, sizes: reading.freshness(work, sizes, latency_ms=sizes.latency_ms),
    "freshness_wide": lambda work, sizes: reading.freshness(work, sizes, latency_ms=sizes.latency_ms, threads=32),
    "first": reading.first,
    "paced": reading.paced,
    "restore": restoring.restore,
}


def main():
    parser = argparse.ArgumentParser(prog="bench/run google", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: about two minutes")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", action="append", choices=list(EXPERIMENTS), help="only this experiment; may be repeated")
    parser.add_argument("--users", type=int, help="how many users the quiet domain has")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", type=Path, help="a folder for scratch data, kept afterwards (default: a new one)")
    options = parser.parse_args()
    sizes = QUICK if options.quick else Sizes()
    sizes.seed = options.seed
    sizes.users = options.users or sizes.users
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work = options.work or Path(tempfile.mkdtemp(prefix="unwipe-bench-"))
    out = ROOT / "bench/out"
    out.mkdir(exist_ok=True)
    rounds = []
    try:
        for number in range(options.rounds):
            rounds.append({"load_average": os.getloadavg()[0]})
            for name, experiment in EXPERIMENTS.items():
                if options.only and name not in options.only:
                    continue
                folder = work / f"{number}-{name}"
                rounds[-1][name] = experiment(folder, sizes)
                print(json.dumps({name: rounds[-1][name]}), flush=True)
                if not options.work:
                    shutil.rmtree(folder, ignore_errors=True)
            # Written after each round, so that an interrupted run keeps what it has.
            report = {"sizes": asdict(sizes), "results": collect(rounds), "rounds": rounds}
            (out / "google.json").write_text(json.dumps(report, indent=1) + "\n")
            (out / "google.md").write_text(markdown(report))
        print(markdown(report))
    except Failed as error:
        sys.exit(f"error: {error}")
    finally:
        if not options.work:
            shutil.rmtree(work, ignore_errors=True)


main()
