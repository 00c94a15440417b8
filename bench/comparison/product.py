"""unwipe, driven by its verbs as its owner would drive it."""

import json
import os
import signal
import time
from pathlib import Path

from .libpq import lsn_number
from .process import Background, Failed, folder_bytes, run

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("UNWIPE_BINARY", ROOT / "target/release/unwipe"))
SOURCE = "shop"
SLOT = "unwipe_shop"
_PATIENCE_S = 600


class Unwipe:
    """One installation: a home folder with vault, keys and configuration."""

    def __init__(self, home):
        self.home = Path(home)

    def verb(self, *arguments, accept=(0,)):
        """Runs a verb; returns its cost and its result."""
        cost = run([BINARY, "--home", self.home, "--json", *arguments], accept=accept)
        return cost, json.loads(cost.output) if cost.output.strip() else None

    def set_up(self, server, *options):
        self.verb("init", "--kit", self.home.parent / f"{self.home.name}-kit.txt")
        self.verb("protect", SOURCE, "postgres", "--url", server.url("unwipe"), *options)
        return self

    def capture_once(self):
        return self.verb("capture", SOURCE, "--once")

    def follow(self, server):
        """Starts following, and returns once the server streams to it."""
        capture = Background([BINARY, "--home", self.home, "--quiet", "capture", SOURCE], f"{self.home}-capture.log")
        await_receiver(server, SLOT, capture)
        return capture

    def stored_bytes(self):
        return folder_bytes(self.home / "vault")

    def parts(self):
        """Returns the bytes of each folder of the vault."""
        vault = self.home / "vault"
        return {entry.name: folder_bytes(entry) for entry in sorted(vault.iterdir()) if entry.is_dir()}

    def log(self, limit=100_000):
        return self.verb("log", SOURCE, "--limit", limit)[1]


def await_receiver(server, name, process, flushed=None):
    """Waits until a receiver streams, and has made everything up to an address durable."""
    sql = f"SELECT flush_lsn FROM pg_stat_replication WHERE state = 'streaming' AND application_name = '{name}'"
    until = time.monotonic() + _PATIENCE_S
    with server.connect() as connection:
        while time.monotonic() < until:
            process.check()
            durable = connection.value(sql)
            if durable and (flushed is None or lsn_number(durable) >= flushed):
                return
            time.sleep(0.02)
    raise Failed(f"{name} did not come so far within {_PATIENCE_S} s")


def stop_capture(capture):
    """Ends a capture as Ctrl-C does: what it has is committed."""
    capture.stop(signal.SIGINT)
