"""One round: every tool does the same, one after the other, each with a new repository."""

import filecmp
import os
import shutil
from pathlib import Path

from comparison.process import Failed

from .tools import TOOLS


def _costs(cost):
    return {"wall_s": round(cost.wall_s, 3), "cpu_s": round(cost.cpu_s, 3), "peak_mib": round(cost.peak_mib, 1)}


def one_round(work, corpus, names, number, with_restore=True, with_cold=False):
    """Runs all steps; the order of the tools is another one in each round."""
    names = names[number % len(names):] + names[: number % len(names)]
    tools = {name: TOOLS[name](work / name) for name in names}
    result = {name: {} for name in names}
    path = str(corpus.folder.resolve())
    try:
        for name, tool in tools.items():
            tool.set_up(path)

        def step(title, act, cached=False):
            for name, tool in tools.items():
                if cached:
                    corpus.cache()
                # A tool that syncs must not wait for what another one left unwritten.
                os.sync()
                result[name][title] = _costs(act(tool))
                print(f"  {title:10} {name:8} {result[name][title]}", flush=True)

        # Everything is read once before each tool, or the first one would pay for the disk, or whoever comes after the
        # kernel has dropped what it had.
        step("first", lambda tool: tool.capture(path), cached=True)
        for name, tool in tools.items():
            result[name]["repository_bytes"] = tool.size()
        step("unchanged", lambda tool: tool.capture(path))
        corpus.change()
        step("changed", lambda tool: tool.capture(path))
        for name, tool in tools.items():
            result[name]["repository_after_bytes"] = tool.size()
        step("list", lambda tool: tool.list())
        wanted = corpus.some_file(number)
        content = (corpus.folder / wanted).read_bytes()

        def one(tool):
            cost = tool.one(path, wanted)
            if cost.output != content.decode(errors="replace"):
                raise Failed(f"{tool.name} gave another content for {wanted}")
            return cost

        step("one", one)
        if with_restore:
            def restore(tool):
                # Removed only at the end of the round: ext4 looks long for inodes where many were freed lately.
                target = work / f"restored-{tool.name}"
                cost = tool.restore(path, target)
                inner = target / path.lstrip("/")
                _compare(corpus.folder, inner if inner.is_dir() else target, tool.name)
                return cost

            step("restore", restore)
        if with_cold and forget_cache():
            def cold(tool):
                forget_cache()
                return one(tool)

            step("one_cold", cold)
    finally:
        for tool in tools.values():
            tool.close()
            shutil.rmtree(work / f"restored-{tool.name}", ignore_errors=True)
    return result


def forget_cache():
    """Makes the system forget what it holds of the disk; returns whether it may be told so."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3\n")
    except OSError:
        return False
    return True


def _compare(expected, found, name):
    """Byte by byte for one file in twenty, by size for all."""
    wrong, number = [], 0
    for path in sorted(Path(expected).rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        number += 1
        other = Path(found) / path.relative_to(expected)
        same = other.is_file() and other.stat().st_size == path.stat().st_size
        if not same or number % 20 == 0 and not filecmp.cmp(path, other, shallow=False):
            wrong.append(str(other))
    if wrong:
        raise Failed(f"{name} restored {len(wrong)} files that differ, {wrong[0]} among them")
