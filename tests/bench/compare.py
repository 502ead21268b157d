# SPDX-License-Identifier: Apache-2.0
"""Two bench.json side by side."""

MORE_IS_BETTER = ("changes_per_s", "rows_per_s", "connects_per_s", "ratio", "served",
                  "plain_changes_per_s")
ALONE = 0.2  # a figure that was taken once has to differ by so much


def is_over_noise(old, new):
    """All of one run are beyond all of the other."""
    if min(old["n"], new["n"]) < 2 or old["min"] == old["max"] or new["min"] == new["max"]:
        return abs(new["median"] - old["median"]) > ALONE * abs(old["median"])
    return new["min"] > old["max"] or new["max"] < old["min"]


def verdict(old, new):
    if not is_over_noise(old, new):
        return ""
    is_more = new["median"] > old["median"]
    return "better" if is_more == (new["metric"] in MORE_IS_BETTER) else "WORSE"


def compare(old_rows, new_rows):
    """Prints what both have, new by old."""
    old_by_name = {(row["id"], row["metric"]): row for row in old_rows}
    print("| %-16s | %-18s | %10s | %10s | %8s | %s |" % ("id", "metric", "old", "new", "new/old",
                                                        "beyond the noise"))
    print("|---|---|---:|---:|---:|---|")
    for new in new_rows:
        old = old_by_name.get((new["id"], new["metric"]))
        if old is None:
            continue
        ratio = "%.3f" % (new["median"] / old["median"]) if old["median"] else "-"
        print("| %-16s | %-18s | %10.4g | %10.4g | %8s | %s |" % (
            new["id"], new["metric"], old["median"], new["median"], ratio, verdict(old, new)))
