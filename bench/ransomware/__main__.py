"""The command line `bench/run ransomware`."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from .corpus import ROOTS, crates, files, servers
from .edits import Edits

ROOT = Path(__file__).resolve().parents[2]
# What must be reached: classes of attacks with the least share that is found.
GOALS = {
    "full": (["full"], 0.99),
    "intermittent": (["intermittent, beginning first", "intermittent, beginning left"], 0.90),
    "header kept": (["header kept, 256 B", "header kept, 4 KiB"], 0.90),
}
# At most one edit in so many is taken for encryption.
EDITS_PER_FALSE_ALARM = 2000
MB_PER_SECOND_MIN = 500


def lines(options, scratch):
    found = files(ROOTS, options.files)
    edits = Edits(scratch, found)
    made = list(edits.all(options.edits))
    # Documents are few on a server: those that libraries made are attacked as well.
    for label, _, new in made:
        if label.split(",")[0] in ("docx", "xlsx", "pdf", "sqlite") or (label == "pictures, edited"):
            yield f"attack\tmade by libraries\t{new}"
    for corpus, paths in found.items():
        yield from (f"attack\t{corpus}\t{path}" for path in paths)
    for pairs in (crates(), servers(), made):
        yield from (f"edit\t{label}\t{old}\t{new}" for label, old, new in pairs)
    for paths in found.values():
        yield from (f"speed\t{path}" for path in paths[:300])


def share(rows):
    count, flagged = (sum(row[name] for row in rows) for name in ("count", "flagged"))
    return count, flagged, flagged / max(count, 1)


def table(report):
    rows, failures = ["| what | of | versions | flagged | share |", "|---|---|---|---|---|"], []
    for row in report["classes"]:
        rows.append(f"| {row['class']} | {row['of']} | {row['count']} | {row['flagged']} | {share([row])[2]:.2%} |")
    rows += ["", "| goal | versions | flagged | share | asked |", "|---|---|---|---|---|"]
    for name, (classes, least) in GOALS.items():
        count, flagged, reached = share([row for row in report["classes"] if row["class"] in classes])
        rows.append(f"| {name} | {count} | {flagged} | {reached:.2%} | at least {least:.0%} |")
        if reached < least:
            failures.append(f"{name}: {reached:.2%} instead of {least:.0%}")
    count, flagged, reached = share([row for row in report["classes"] if row["class"] == "edit"])
    rows.append(f"| edits | {count} | {flagged} | {reached:.3%} | at most 1 in {EDITS_PER_FALSE_ALARM} |")
    if flagged * EDITS_PER_FALSE_ALARM > count:
        failures.append(f"edits: {flagged} of {count} are taken for encryption")
    rows += ["", f"A sketch is made of {report['mb_per_second']:.0f} MB in a second ({report['bytes'] / 1e6:.0f} MB read)."]
    if report["mb_per_second"] < MB_PER_SECOND_MIN:
        failures.append(f"{report['mb_per_second']:.0f} MB a second instead of {MB_PER_SECOND_MIN}")
    return "\n".join(rows), failures


def main():
    parser = argparse.ArgumentParser(prog="bench/run ransomware", description=__doc__)
    parser.add_argument("--files", type=int, default=600, help="how many files of each kind are encrypted")
    parser.add_argument("--edits", type=int, default=120, help="how many edits of each kind are made by libraries")
    options = parser.parse_args()
    out = ROOT / "bench/out"
    out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unwipe-bench-") as scratch:
        text = "".join(f"{line}\n" for line in lines(options, Path(scratch)))
        done = subprocess.run([ROOT / "target/release/examples/ransomware"], input=text, stdout=subprocess.PIPE,
                              text=True, check=True)
    report = json.loads(done.stdout)
    text, failures = table(report)
    report["failures"] = failures
    (out / "ransomware.json").write_text(json.dumps(report, indent=1) + "\n")
    (out / "ransomware.md").write_text(text + "\n")
    print(text)
    for failure in failures:
        print(f"missed: {failure}", file=sys.stderr)
    sys.exit(1 if failures else 0)


main()
