"""The simulated domain, in a process of its own."""

import json
import os
import subprocess
from pathlib import Path

from comparison.process import Failed, tree_cpu_s

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("WORKSPACE_BINARY", ROOT / "target/release/workspace"))
SERVICES = ("gmail", "drive", "calendar", "people", "admin")


class Tenant:
    """A domain from a seed. `quota` is by service: units a minute of the project and of each user; without one, no limit."""

    def __init__(self, folder, *, users, messages=0, files=0, events=0, contacts=0, quota=None, prices=None, latency_ms=0, seed=1):
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.quota = quota or {}
        self.prices = prices or {}
        self.keys = [folder / "capture.json", folder / "restore.json"]
        settings = {
            "seed": seed, "users": users, "messages": messages, "files": files, "events": events, "contacts": contacts,
            "quota": self.quota, "prices": self.prices, "latency_ms": latency_ms, "keys": [str(key) for key in self.keys],
        }
        self._log = open(folder / "workspace.log", "ab")
        self._child = subprocess.Popen(
            [PROGRAM, json.dumps(settings)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True)
        started = self._answer()
        self.url, self.administrator, self.users = started["url"], started["administrator"], started["users"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._child.stdin.close()
        self._child.wait(60)
        self._log.close()

    def ask(self, what, **parameters):
        self._child.stdin.write(json.dumps({"do": what, **parameters}) + "\n")
        self._child.stdin.flush()
        return self._answer()

    def cpu_s(self):
        return tree_cpu_s(self._child.pid)

    def _answer(self):
        line = self._child.stdout.readline()
        if not line:
            raise Failed(f"the simulated domain ended: see {self._log.name}")
        return json.loads(line)
