"""unwipe, driven by its verbs as its owner would drive it."""

import json
import sqlite3
from pathlib import Path

from comparison.process import Background, Failed, folder_bytes, run
from comparison.product import BINARY

from .tenant import SERVICES

SOURCE = "acme"
INCOMPLETE = 3  # Some account is suspended in every domain: it cannot be read, and the exit code says so.


class Unwipe:
    """One installation that protects one domain."""

    def __init__(self, folder, tenant, *, parts=(), threads=None, every_s=None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.home = self.folder / "home"
        self.tenant = tenant
        self.verb("init", "--vault", self.folder / "vault", "--kit", self.folder / "kit.txt")
        options = [part for name in parts for part in ("--part", name)]
        options += ["--threads", threads] if threads else []
        options += ["--every-s", every_s] if every_s else []
        self.verb("protect", SOURCE, "google", "--key", tenant.keys[0], "--admin", tenant.administrator,
                  "--address", tenant.url, *options)
        self._configuration = (self.home / "unwipe.toml").read_text()
        self.set_quota(tenant.quota, tenant.prices)

    def set_quota(self, quota, prices):
        """Tells unwipe the quota and the prices that the domain has; a service without a quota is not limited."""
        lines = ["", f"[sources.{SOURCE}.settings.quota]"]
        for service in SERVICES:
            project, user = quota.get(service, (0, 0))
            lines += [f'"{service}/project" = {project}', f'"{service}/user" = {user}', f'"{service}/day" = 0']
        lines += [f"[sources.{SOURCE}.settings.units]"]
        lines += [f'"{method}" = {units}' for method, units in prices.items()]
        (self.home / "unwipe.toml").write_text(self._configuration + "\n".join(lines) + "\n")

    def verb(self, *arguments, accept=(0,)):
        """Runs a verb; returns its cost and its result."""
        cost = run([BINARY, "--home", self.home, "--json", *arguments], accept=accept)
        return cost, json.loads(cost.output) if cost.output.strip() else None

    def capture(self):
        return self.verb("capture", SOURCE, "--once", accept=(0, INCOMPLETE))

    def follow(self):
        return Background([BINARY, "--home", self.home, "--quiet", "capture", SOURCE], self.folder / "capture.log")

    def catalog(self):
        """Opens what the capturing process knows to be in the vault: a commit enters it when the vault holds it for good."""
        found = list(self.home.rglob("catalog*.sqlite"))
        if len(found) != 1:
            raise Failed(f"there are {len(found)} catalogs below {self.home}")
        return sqlite3.connect(f"file:{found[0]}?mode=ro", uri=True)

    def newest_moment(self):
        return self.verb("log", SOURCE, "--limit", "1")[1][0]["vault_time"]

    def stored_bytes(self):
        return folder_bytes(self.folder / "vault")


def costs(cost, tenant_cpu_s):
    """What a verb cost, and what the domain's own process used meanwhile."""
    return {"wall_s": round(cost.wall_s, 3), "cpu_s": round(cost.cpu_s, 3), "peak_mib": round(cost.peak_mib, 1),
            "tenant_cpu_s": round(tenant_cpu_s, 3)}


def measured(tenant, act):
    """Runs something and counts the CPU time of the domain's process apart."""
    before = tenant.cpu_s()
    cost, result = act()
    return costs(cost, tenant.cpu_s() - before), result
