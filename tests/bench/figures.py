# SPDX-License-Identifier: Apache-2.0
"""All that was measured, as bench.json has it."""
import statistics


class Figures:
    """All that was measured, as bench.json has it."""

    def __init__(self):
        self.rows = []

    def add(self, name, metric, samples, yardstick="", ratio_to=None):
        samples = list(samples)
        median = statistics.median(samples)
        row = {"id": name, "metric": metric, "median": round(median, 6),
               "min": round(min(samples), 6), "max": round(max(samples), 6), "n": len(samples),
               "yardstick": yardstick, "ratio": round(median / ratio_to, 3) if ratio_to else None}
        self.rows.append(row)
        print(format_row(row), flush=True)

    def percentiles(self, name, samples_ms, yardstick, ratio_to):
        ordered = sorted(samples_ms)
        self.add(name, "p50_ms", ordered, yardstick, ratio_to)
        p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        self.add(name, "p99_ms", [p99])
        self.rows[-1]["n"] = len(ordered)


def format_row(row):
    def number(value):
        return "%d" % value if row["metric"].startswith("bytes") else "%.4g" % value
    ratio = "%.2f x %s" % (row["ratio"], row["yardstick"]) if row["ratio"] else row["yardstick"]
    return "| %-7s | %-18s | %10s | %10s | %10s | %3d | %s |" % (
        row["id"], row["metric"], number(row["median"]), number(row["min"]), number(row["max"]),
        row["n"], ratio)
