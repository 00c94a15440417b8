"""The command lines `bench/run vault`, `bench/run limit` and `bench/run items`."""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from comparison.process import Failed, run
from comparison.results import collect

from .compare import one_round
from .corpus import Corpus
from .table import markdown
from .tools import ROOT, TOOLS

_PROGRAMS = ROOT / "target/release"


def arguments():
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    vault = verbs.add_parser("vault", help="beside the peers")
    limit = verbs.add_parser("limit", help="the bare pipeline: read, hash, compress, seal, write")
    for verb in (vault, limit):
        verb.add_argument("--corpus", default="mailbox", choices=["mailbox", "records", "files", "volume"])
        verb.add_argument("--scale", type=float, default=1.0, help="1 is the full corpus")
        verb.add_argument("--rounds", type=int, default=3)
        verb.add_argument("--work", type=Path, help="a folder for scratch data, kept afterwards (default: a new one)")
    vault.add_argument("--tool", action="append", choices=list(TOOLS), help="only this tool; may be repeated")
    vault.add_argument("--restores", type=int, default=1, help="in how many of the rounds everything is restored")
    vault.add_argument("--cold", action="store_true", help="also one file with nothing cached; slows down the whole machine")
    items = verbs.add_parser("items", help="the memory of a capture of very many items")
    items.add_argument("--count", type=int, default=10_000_000)
    return parser.parse_args()


def limit(options, corpus):
    rounds = []
    for _ in range(options.rounds):
        output = corpus.folder.parent / "limit"
        output.unlink(missing_ok=True)
        corpus.cache()
        cost = run([_PROGRAMS / "limit", corpus.folder, output])
        rounds.append({"wall_s": round(cost.wall_s, 3), "cpu_s": round(cost.cpu_s, 3), "output_bytes": output.stat().st_size})
        print(json.dumps(rounds[-1]), flush=True)
        output.unlink()
    return rounds


def compare(options, work, corpus, out):
    names, rounds = options.tool or list(TOOLS), []
    facts = corpus.facts()
    for number in range(options.rounds):
        print(f"{time.strftime('%H:%M:%S')} round {number + 1}", flush=True)
        rounds.append(one_round(work, corpus, names, number, with_restore=number < options.restores,
                                with_cold=options.cold))
        results = {name: collect([result[name] for result in rounds]) for name in names}
        restored = [result for result in rounds if all("restore" in result[name] for name in names)]
        for name in names if restored else []:
            results[name]["restore"] = collect([result[name]["restore"] for result in restored])
        # Written after each round, so that an interrupted run keeps what it has.
        report = {"corpus": facts, "scale": options.scale, "results": results, "rounds": rounds}
        (out / f"vault-{options.corpus}.json").write_text(json.dumps(report, indent=1) + "\n")
        (out / f"vault-{options.corpus}.md").write_text(markdown(facts, results))
    print(markdown(facts, results))


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.verb == "items":
        sys.exit(subprocess.run([_PROGRAMS / "items", str(options.count)]).returncode)
    work = options.work or Path(tempfile.mkdtemp(prefix="unwipe-bench-"))
    work.mkdir(parents=True, exist_ok=True)
    out = ROOT / "bench/out"
    out.mkdir(exist_ok=True)
    try:
        corpus = Corpus(options.corpus, work / f"corpus-{options.corpus}" / "data", options.scale).make()
        if options.verb == "limit":
            rounds = limit(options, corpus)
            (out / f"limit-{options.corpus}.json").write_text(json.dumps({"rounds": rounds, "results": collect(rounds)}, indent=1) + "\n")
        else:
            compare(options, work, corpus, out)
    except Failed as error:
        sys.exit(f"error: {error}")
    finally:
        if not options.work:
            shutil.rmtree(work, ignore_errors=True)


main()
