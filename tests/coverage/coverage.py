# SPDX-License-Identifier: Apache-2.0
"""Which lines the tests have run, from what gcov counted in a build with --coverage.

    python3 tests/coverage/coverage.py BUILD-FOLDER [--missing PREFIX...]

One line a room and a file; --missing lists the lines that no test ran in files that begin so. Exits
with 1 if a part that has to be covered (PARTS) has less than LEAST of its lines run. The simulator
isn't among the tests: its workers end without writing down what they counted.
"""

import collections
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LEAST = 0.90

# The name, whether it has to be covered, and how its files begin.
PARTS = (
    ("protocol", True, ("protocol/",)),
    ("merge, feed, ingest", True, ("server/core/merge", "server/core/feed", "server/core/ingest")),
    ("the rest of server/core", False, ("server/core/",)),
    ("apply on the device", True, ("agent/replica/apply", "agent/replica/publish", "agent/replica/stage",
                             "agent/replica/bulk", "agent/replica/leave", "agent/replica/pending",
                             "agent/replica/quarantine", "agent/replica/verdict")),
    ("the rest of agent/replica", False, ("agent/replica/",)),
    ("agent/core", False, ("agent/core/",)),
)


def counts_of(build):
    """file -> line -> how often it ran, over all programs of the build."""
    counts = collections.defaultdict(lambda: collections.defaultdict(int))
    for folder, _, names in os.walk(os.path.abspath(build)):
        data = [os.path.join(folder, name) for name in names if name.endswith(".gcda")]
        for begin in range(0, len(data), 50):
            run = subprocess.run(["gcov", "--json-format", "--stdout", *data[begin:begin + 50]],
                                 cwd=folder, capture_output=True, check=True)
            for line in run.stdout.splitlines():
                take(json.loads(line), folder, counts)
    return counts


def take(report, folder, counts):
    for file in report["files"]:
        path = os.path.join(report.get("current_working_directory", folder), file["file"])
        path = os.path.relpath(os.path.realpath(path), ROOT)
        if path.startswith(("..", "build", "tests")):
            continue
        for line in file["lines"]:
            counts[path][line["line_number"]] += line["count"]


def share(lines):
    return sum(count > 0 for count in lines) / len(lines)


def report_parts(counts):
    """True if all parts have enough."""
    left = dict(counts)
    is_enough = True
    for name, is_needed, prefixes in PARTS:
        files = sorted(path for path in left if path.startswith(prefixes))
        lines = [count for path in files for count in left.pop(path).values()]
        if not lines:
            print("%-32s not built" % name)
            is_enough = is_enough and not is_needed
            continue
        print("%-32s %5.1f %% of %5d lines" % (name, 100 * share(lines), len(lines)))
        for path in files:
            print("    %-40s %5.1f %%" % (path, 100 * share(counts[path].values())))
        is_enough = is_enough and (not is_needed or share(lines) >= LEAST)
    return is_enough


def report_missing(counts, prefixes):
    for path in sorted(counts):
        if not path.startswith(tuple(prefixes)):
            continue
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            text = file.read().splitlines()
        for number, count in sorted(counts[path].items()):
            if count == 0:
                print("%s:%d: %s" % (path, number, text[number - 1].strip()))


def main(arguments):
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    counts = counts_of(arguments[0])
    if arguments[1:2] == ["--missing"]:
        report_missing(counts, arguments[2:] or [""])
        return 0
    return 0 if report_parts(counts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
