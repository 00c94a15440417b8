"""The compared tools, each driven by its verbs as its owner would drive it; all of them encrypt."""

import os
import shutil
from pathlib import Path

from comparison.process import folder_bytes, run

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("UNWIPE_BINARY", ROOT / "target/release/unwipe"))
RUSTIC = ROOT / ".tools/rustic/bin/rustic"
_SECRET = "correct horse battery staple"


class Tool:
    """One repository of one tool, in a folder of its own, with its caches beside it."""

    name = ""

    def __init__(self, folder):
        self.folder = Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.repository = self.folder / "repository"

    def run(self, *command, cwd="/"):
        return run(command, environment=self.environment(), cwd=cwd)

    def environment(self):
        return {"HOME": str(self.folder), "XDG_CACHE_HOME": str(self.folder / "cache")}

    def size(self):
        return folder_bytes(self.repository)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Unwipe(Tool):
    name = "unwipe"

    def set_up(self, corpus):
        home = self.folder / "home"
        self.command = [BINARY, "--home", home, "--quiet"]
        self.run(*self.command, "init", "--vault", self.repository, "--kit", self.folder / "kit")
        self.run(*self.command, "protect", "docs", "files", "--path", corpus)

    def capture(self, corpus):
        return self.run(*self.command, "capture", "docs", "--once")

    def list(self):
        return self.run(*self.command, "find", "docs@latest")

    def one(self, corpus, path):
        return self.run(*self.command, "show", "docs@latest", "--item", path, "--out", "-")

    def restore(self, corpus, target):
        return self.run(*self.command, "rewind", "docs@latest", "--to", target)


class Restic(Tool):
    name = "restic"

    def environment(self):
        return {**super().environment(), "RESTIC_PASSWORD": _SECRET, "RESTIC_REPOSITORY": str(self.repository)}

    def set_up(self, corpus):
        self.run("restic", "init", "--quiet")

    def capture(self, corpus):
        return self.run("restic", "backup", "--quiet", corpus)

    def list(self):
        return self.run("restic", "ls", "--quiet", "latest")

    def one(self, corpus, path):
        return self.run("restic", "dump", "--quiet", "latest", f"{corpus}/{path}")

    def restore(self, corpus, target):
        return self.run("restic", "restore", "--quiet", "latest", "--target", target)


class Rustic(Tool):
    name = "rustic"

    def environment(self):
        return {
            **super().environment(), "RUSTIC_PASSWORD": _SECRET, "RUSTIC_REPOSITORY": str(self.repository),
            "RUSTIC_NO_PROGRESS": "true", "RUSTIC_LOG_LEVEL": "warn", "XDG_CONFIG_HOME": str(self.folder / "config"),
        }

    def set_up(self, corpus):
        self.run(RUSTIC, "init")

    def capture(self, corpus):
        return self.run(RUSTIC, "backup", corpus)

    def list(self):
        return self.run(RUSTIC, "ls", "latest")

    def one(self, corpus, path):
        return self.run(RUSTIC, "dump", f"latest:{corpus}/{path}")

    def restore(self, corpus, target):
        return self.run(RUSTIC, "restore", f"latest:{corpus}", target)


class Borg(Tool):
    name = "borg"
    _archives = 0

    def environment(self):
        return {
            **super().environment(), "BORG_PASSPHRASE": _SECRET, "BORG_BASE_DIR": str(self.folder / "base"),
            "BORG_REPO": str(self.repository), "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        }

    def set_up(self, corpus):
        self.run("borg", "init", "--encryption", "repokey-blake2")

    def capture(self, corpus):
        self._archives += 1
        return self.run("borg", "create", "--compression", "zstd,3", f"::a{self._archives}", corpus)

    def list(self):
        return self.run("borg", "list", f"::a{self._archives}")

    def one(self, corpus, path):
        return self.run("borg", "extract", "--stdout", f"::a{self._archives}", f"{corpus}/{path}".lstrip("/"))

    def restore(self, corpus, target):
        Path(target).mkdir(parents=True)
        return self.run("borg", "extract", f"::a{self._archives}", cwd=target)


TOOLS = {tool.name: tool for tool in (Unwipe, Rustic, Restic, Borg)}
