"""Corpora from a seed, and a day's changes to them."""

import random
import shutil
from pathlib import Path

from comparison.process import run

from .tools import ROOT

CORPORA = Path(ROOT / "target/release/corpora")
_SEED = 20260425
_VOLUME_SCALE = 260


class Corpus:
    """A folder that one generator fills; each change is another day's."""

    def __init__(self, kind, folder, scale):
        self.kind, self.folder, self.scale, self.day = kind, Path(folder), scale, 0

    def make(self):
        if self.kind == "volume":
            self._make_volume()
        elif not self.folder.exists():
            self.folder.mkdir(parents=True)
            run([CORPORA, "make", self.kind, self.folder, self.scale, _SEED])
        return self

    def change(self):
        self.day += 1
        if self.kind == "volume":
            return self._work_on_volume()
        return run([CORPORA, "change", self.kind, self.folder, self.scale, _SEED, self.day])

    def cache(self):
        """Reads everything, so that the kernel has it in memory."""
        run(["sh", "-c", 'find "$1" -type f -print0 | xargs -0 cat >/dev/null', "sh", self.folder])

    def facts(self):
        files = [path for path in self.folder.rglob("*") if path.is_file() and not path.is_symlink()]
        return {"kind": self.kind, "files": len(files), "bytes": sum(path.stat().st_size for path in files)}

    def some_file(self, number):
        """Picks a file by its number, the same one for every tool."""
        folders = sorted(path for path in self.folder.rglob("*") if path.is_dir()) or [self.folder]
        choice = random.Random(number)
        while True:
            files = sorted(path for path in choice.choice(folders).iterdir() if path.is_file() and not path.is_symlink())
            if files:
                return str(choice.choice(files).relative_to(self.folder))

    def _make_volume(self):
        """A PostgreSQL data directory, its server stopped."""
        from comparison.cluster import own, template

        if self.folder.exists():
            return
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        own(self.folder.parent).chmod(0o755)
        data = template(self.folder.parent, max(1, int(_VOLUME_SCALE * self.scale)))
        (data / "done").unlink()
        shutil.move(data, self.folder)

    def _work_on_volume(self):
        from comparison.cluster import Server

        server = Server(self.folder)
        server.start()
        try:
            server.pgbench("-c", 4, "-t", max(100, int(12_000 * self.scale)))
        finally:
            server.stop()
