"""Number 7: how fast one core parses and indexes a real log, by bytes and by records.

The log is dense on purpose: full page images are off, so that nearly all bytes are records to be understood. A log with
images is faster by bytes, because an image is skipped.
"""

import os
import re
import shutil
from pathlib import Path

from .cluster import Server, folder
from .process import run
from .product import ROOT

_PROGRAM = Path(os.environ.get("INDEX_RATE_BINARY", ROOT / "target/release/examples/index_rate"))
_SCALE, _TRANSACTIONS = 10, 100_000


def _segments(place):
    """Makes a log; the server is stopped before its segments are read."""
    server = Server(folder(place) / "data")
    server.initdb()
    server.start()
    try:
        server.set(full_page_writes="off", wal_keep_size="10GB", synchronous_commit="off", archive_command="/bin/true")
        with server.connect() as connection:
            connection.query("CREATE DATABASE bench")
        server.pgbench("-i", "-q", "-s", _SCALE)
        server.pgbench("-c", 4, "-j", 2, "-t", _TRANSACTIONS // 4)
        with server.connect() as connection:
            last = connection.value("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
    finally:
        server.stop()
    names = sorted(path for path in (server.data / "pg_wal").iterdir() if re.fullmatch(r"[0-9A-F]{24}", path.name))
    # Later files are spares that were written in advance.
    return [path for path in names if path.name <= last]


def measure(work, rounds):
    place = work / "index"
    shutil.rmtree(place, ignore_errors=True)
    files = _segments(place)
    for _ in range(rounds):
        output = run([_PROGRAM, *files]).output
        log = re.search(r"([0-9.]+) MB, (\d+) records, (\d+) commits", output)
        rates = re.findall(r"^(\w+):\s+([0-9.]+) CPU s, ([0-9.]+) MB/s", output, re.M)
        result = {"mb": float(log[1]), "records": int(log[2]), "commits": int(log[3])}
        for name, seconds, rate in rates:
            result[name] = {"mb_per_cpu_s": float(rate), "records_per_cpu_s": int(log[2]) / float(seconds)}
        yield result
    shutil.rmtree(place)
