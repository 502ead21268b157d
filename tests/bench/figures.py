# SPDX-License-Identifier: Apache-2.0
"""All that was measured, as bench.json has it."""
import statistics


HEAD = """| id               | metric             |     median |        min |        max |   n | yardstick |
|------------------|--------------------|-----------:|-----------:|-----------:|----:|-----------|"""
WHOLE = ("bytes_up", "bytes_down", "bytes_total")  # printed to the last digit


class Figures:
    """Rows of bench.json; each is printed as it comes."""

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

    def ours(self, name, metric):
        """The median of what was measured before in this run; None if it wasn't."""
        found = [row["median"] for row in self.rows if (row["id"], row["metric"]) == (name, metric)]
        return found[0] if found else None

    def beside(self, name, peer, metric, samples, yardstick):
        """Another program's figure, by ours of the same name."""
        ours = self.ours(name, metric)
        self.add("%s/%s" % (name, peer), metric, samples, yardstick if ours else "", ours)

    def percentiles_beside(self, name, peer, samples_ms, yardstick):
        ordered = sorted(samples_ms)
        self.beside(name, peer, "p50_ms", ordered, yardstick)
        self.beside(name, peer, "p99_ms", [percentile(ordered, 0.99)], yardstick)
        self.rows[-1]["n"] = len(ordered)

    @staticmethod
    def note(name, words):
        """What has no figure, and why: printed only."""
        print("| %-16s | %s |" % (name, words), flush=True)

    def percentiles(self, name, samples_ms, yardstick, yardstick_ms):
        """Median and 99th percentile, each by the same of the yardstick's samples."""
        ordered, others = sorted(samples_ms), sorted(yardstick_ms)
        self.add(name, "p50_ms", ordered, yardstick, statistics.median(others))
        self.add(name, "p99_ms", [percentile(ordered, 0.99)], yardstick, percentile(others, 0.99))
        self.rows[-1]["n"] = len(ordered)


def percentile(ordered, part):
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def format_row(row):
    def number(value):
        return "%d" % value if row["metric"] in WHOLE else "%.4g" % value
    ratio = "%.2f x %s" % (row["ratio"], row["yardstick"]) if row["ratio"] else row["yardstick"]
    return "| %-16s | %-18s | %10s | %10s | %10s | %3d | %s |" % (
        row["id"], row["metric"], number(row["median"]), number(row["min"]), number(row["max"]),
        row["n"], ratio)
