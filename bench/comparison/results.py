"""Numbers from repetitions."""

import statistics


def quantiles(values):
    """Summarises many values of one run."""
    ordered = sorted(values)
    at = lambda share: ordered[min(len(ordered) - 1, int(share * len(ordered)))]
    return {"p50": round(at(0.5), 3), "p99": round(at(0.99), 3), "max": round(ordered[-1], 3)}


def spread(values):
    """Summarises one value per round: median and range."""
    return {
        "median": round(statistics.median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3),
    }


def collect(rounds):
    """Turns a list of equal nested results into one nested result of medians and ranges."""
    first = rounds[0]
    if isinstance(first, dict):
        keys = [key for key in first if all(key in other for other in rounds)]
        return {key: collect([other[key] for other in rounds]) for key in keys}
    if isinstance(first, (int, float)) and not isinstance(first, bool):
        return spread(rounds)
    return first if all(other == first for other in rounds) else rounds
