"""Files that this machine has, and pairs of versions of the same file among them."""

import hashlib
import os
import re
from collections import defaultdict
from pathlib import Path

ROOTS = [Path("/usr/share"), Path("/usr/lib"), Path.home() / ".cargo/registry/src", Path(".tools")]
CORPORA = {
    "documents": {"pdf", "docx", "xlsx", "doc", "odt", "pptx"},
    "pictures": {"png", "jpg", "jpeg", "gif", "webp", "ico"},
    "archives": {"gz", "zip", "jar", "xz", "whl", "crate", "tgz", "bz2"},
    "fonts": {"ttf", "otf", "woff", "woff2", "pfb"},
    "programs": {"so", "pyc", "a", "o", "class", "node", "wasm", "exe", "dll"},
    "databases": {"sqlite", "db"},
    "text": {"txt", "md", "rs", "py", "js", "json", "html", "xml", "c", "h", "svg", "css", "ts", "toml", "sql", "csv"},
}
BYTES_MIN, BYTES_MAX = 4 << 10, 8 << 20
_VERSIONED = re.compile(r"^(.+?)-(\d[^/]*)$")


def _chance(path):
    return hashlib.blake2b(str(path).encode(), digest_size=8).digest()


def corpus_of(path):
    suffix = path.suffix.lstrip(".").lower()
    return next((name for name, suffixes in CORPORA.items() if suffix in suffixes), "other")


def files(roots, each):
    """Returns up to so many files of each corpus, the same ones in each run."""
    found, seen = defaultdict(list), set()
    for root in roots:
        for folder, _, names in os.walk(root):
            for name in names:
                path = Path(folder, name)
                # A field of paths is separated by tabs and lines.
                if path.is_symlink() or "\t" in str(path) or "\n" in str(path):
                    continue
                try:
                    stat = path.stat()
                except OSError:
                    continue
                if BYTES_MIN <= stat.st_size <= BYTES_MAX and path.is_file() and (stat.st_dev, stat.st_ino) not in seen:
                    seen.add((stat.st_dev, stat.st_ino))
                    found[corpus_of(path)].append(path)
    return {name: sorted(paths, key=_chance)[:each] for name, paths in sorted(found.items())}


def _pairs_below(old, new, limit):
    pairs = []
    for folder, _, names in os.walk(new):
        for name in names:
            after = Path(folder, name)
            before = old / after.relative_to(new)
            if not before.is_file() or before.is_symlink() or after.is_symlink():
                continue
            sizes = before.stat().st_size, after.stat().st_size
            if min(sizes) < 512 or max(sizes) > BYTES_MAX or "\t" in str(after):
                continue
            if before.read_bytes() != after.read_bytes():
                pairs.append((before, after))
    return sorted(pairs, key=lambda pair: _chance(pair[1]))[:limit]


def crates():
    """Pairs of versions of the same package, as source and as archive."""
    for what in ("src", "cache"):
        for registry in (Path.home() / ".cargo/registry" / what).glob("*"):
            versions = defaultdict(list)
            for entry in registry.iterdir():
                match = _VERSIONED.match(entry.name.removesuffix(".crate"))
                if match:
                    versions[match[1]].append(entry)
            for entries in versions.values():
                entries.sort(key=lambda entry: entry.stat().st_mtime)
                for old, new in zip(entries, entries[1:]):
                    if what == "src":
                        yield from (("source text", *pair) for pair in _pairs_below(old, new, 400))
                    else:
                        yield "packages, another version", old, new


def servers():
    """Pairs of files of neighbouring major versions of PostgreSQL: programs, translations, text."""
    majors = sorted(path for path in Path(".tools/postgres").glob("*") if path.is_dir())
    for old, new in zip(majors, majors[1:]):
        for before, after in _pairs_below(old, new, 1500):
            corpus = corpus_of(after)
            yield ("programs, another version" if corpus in ("programs", "other") else f"{corpus}, another version"), before, after
