"""Number 5: from asking to a served answer out of a scratch server, from the shadow, on two file systems.

The time is that of `unwipe export` of a table of 100 rows at a moment after the shadow's newest generation: it opens
the vault, clones the shadow, replays the rest of the log, starts the server, reads, stops it, and removes the clone.
"""

import re
import shutil
import subprocess

from .cluster import copy_of, folder
from .libpq import lsn_number
from .process import Failed
from .product import SLOT, SOURCE, Unwipe, await_receiver, stop_capture

_BEFORE_ROLL, _AFTER_ROLL = 5_000, 500
_IMAGE_BYTES = 16 << 30


class Xfs:
    """A file system in a file, mounted for the time of the measurement."""

    def __init__(self, work):
        self.image, self.place = work / "xfs.image", work / "xfs"

    def __enter__(self):
        with open(self.image, "wb") as image:
            image.truncate(_IMAGE_BYTES)
        subprocess.run(["mkfs.xfs", "-q", "-f", "-m", "reflink=1", self.image], check=True)
        folder(self.place)
        subprocess.run(["mount", "-o", "loop", self.image, self.place], check=True)
        return self.place

    def __exit__(self, *_):
        subprocess.run(["umount", self.place], check=False)
        self.image.unlink()


def _transactions(server, capture, count):
    server.pgbench("-c", 4, "-j", 2, "-t", count // 4)
    with server.connect() as connection:
        end = lsn_number(connection.value("SELECT pg_current_wal_flush_lsn()"))
    await_receiver(server, SLOT, capture, end)


def _scratch_in(unwipe, place):
    """Says in the configuration where shadows and scratch copies live."""
    file = unwipe.home / "unwipe.toml"
    text = re.sub(r"^scratch = .*\n", "", file.read_text(), flags=re.M)
    file.write_text(text.replace("[restore]\n", f'[restore]\nscratch = "{place}"\n'))
    if "scratch = " not in file.read_text():
        raise Failed(f"{file} has no [restore]")


def _serve(unwipe, target):
    cost, _ = unwipe.verb("export", SOURCE, "--to", target, "--table", "bench.public.pgbench_branches")
    shutil.rmtree(target)
    return cost


def measure(work, template, rounds):
    place = work / "shadow"
    shutil.rmtree(place, ignore_errors=True)
    server = copy_of(template, folder(place) / "data")
    capture = None
    try:
        unwipe = Unwipe(place / "unwipe").set_up(server)
        capture = unwipe.follow(server)
        _transactions(server, capture, _BEFORE_ROLL)
        stop_capture(capture)
        with Xfs(place) as xfs:
            places = {"ext4": folder(place / "scratch"), "xfs": folder(xfs / "scratch")}
            rolls = {}
            for name, scratch in places.items():
                _scratch_in(unwipe, scratch)
                rolls[name] = unwipe.verb("shadow", "roll", SOURCE)[0]
            capture = unwipe.follow(server)
            _transactions(server, capture, _AFTER_ROLL)
            stop_capture(capture)
            for _ in range(rounds):
                result = {}
                for name, scratch in places.items():
                    _scratch_in(unwipe, scratch)
                    cost = _serve(unwipe, place / "exported")
                    result[name] = {
                        "wall_s": cost.wall_s, "cpu_s": cost.cpu_s, "first_roll_wall_s": rolls[name].wall_s,
                    }
                yield result
    finally:
        if capture:
            stop_capture(capture)
        server.stop("immediate")
    shutil.rmtree(place)
