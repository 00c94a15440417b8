"""Number 7: how fast one core parses and indexes real segments."""

import os
import re
from pathlib import Path

from .process import run
from .product import ROOT

_PROGRAM = Path(os.environ.get("INDEX_RATE_BINARY", ROOT / "target/release/examples/index_rate"))


def measure(segments, rounds):
    files = sorted(path for path in Path(segments).iterdir() if re.fullmatch(r"[0-9A-F]{24}", path.name))
    for _ in range(rounds):
        output = run([_PROGRAM, *files]).output
        rates = dict(re.findall(r"^(\w+):\s+[0-9.]+ CPU s, ([0-9.]+) MB/s", output, re.M))
        yield {"segments": len(files), **{f"{name}_mb_per_cpu_s": float(rate) for name, rate in rates.items()}}
