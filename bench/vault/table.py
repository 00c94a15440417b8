"""The results as a table for docs/benchmarks.md."""

STEPS = [("first", "first capture"), ("unchanged", "nothing changed"), ("changed", "1 % changed"), ("list", "list"),
         ("one", "one file"), ("one_cold", "one file, nothing cached"), ("restore", "full restore")]


def _cell(costs):
    if not costs:
        return "–"
    value = lambda key: costs[key]["median"]
    return f"{value('wall_s'):.2f} / {value('cpu_s'):.2f} / {value('peak_mib'):.0f}"


def markdown(facts, results):
    """Wall s / CPU s / peak MiB for each tool and step, and how unwipe compares with the best of the others."""
    names = list(results)
    others = [name for name in names if name != "unwipe"]
    rows = [f"**{facts['kind']}**: {facts['files']:,} files, {facts['bytes'] / 1e9:.2f} GB; wall s / CPU s / peak MiB, medians", "",
            "| | " + " | ".join(names) + " | wall of the fastest peer ÷ ours |", "|---" * (len(names) + 2) + "|"]
    for step, title in STEPS:
        if not all(step in results[name] for name in names):
            continue
        ratio = "–"
        if others and "unwipe" in names:
            fastest = min(results[name][step]["wall_s"]["median"] for name in others)
            ratio = f"{fastest / max(results['unwipe'][step]['wall_s']['median'], 1e-3):.1f}"
        rows.append(f"| {title} | " + " | ".join(_cell(results[name].get(step)) for name in names) + f" | {ratio} |")
    for key, title in (("repository_bytes", "repository, MB"), ("repository_after_bytes", "repository after the change, MB")):
        sizes = {name: results[name][key]["median"] / 1e6 for name in names}
        ratio = f"ours ÷ smallest: {sizes['unwipe'] / min(sizes[n] for n in others):.2f}" if others and "unwipe" in names else "–"
        rows.append(f"| {title} | " + " | ".join(f"{sizes[name]:.0f}" for name in names) + f" | {ratio} |")
    if others and "unwipe" in names:
        peak = lambda name: results[name]["first"]["peak_mib"]["median"]
        rows.append(f"\nPeak memory of the first capture: ours ÷ leanest peer's = {peak('unwipe') / min(map(peak, others)):.2f}.")
    return "\n".join(rows) + "\n"
