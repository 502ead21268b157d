#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures Fieldsync with its real programs over the loopback: encryption on, every commit of the
server durable. docs/PERFORMANCE.md says what each line means.

    bench [--quick] [--only T1,T4] [--clients N] [--peers [NAMES]] [--json FILE] [--compare OLD.json]
          [--chart FILE]
    bench --from A.json,B.json [--json FILE] [--compare OLD.json] [--chart FILE]

Prints one table and writes bench.json; with --compare a second table against an older one, with
--chart a picture of the figures by their targets. --from measures nothing: it joins what was
measured in parts. --quick is a smoke test with a fiftieth of the data: it shows that everything
runs, its figures mean nothing. Every process started here is ended here.
"""
import argparse
import json
import resource
import shutil
import signal
import sys
import tempfile
import time

import chart
import figures
import first_sync
import fleet
import ingest
import live
import memory
import offline
import peers
import replica
import vault
from company import Company
from compare import compare

# In this order: what leaves the master as it was comes first.
GROUPS = {"T1": first_sync.t1, "T2": offline.t2, "T4": live.t4, "T6": live.t6, "T5": memory.t5,
          "T3": fleet.t3, "T8": fleet.t8, "T10": replica.t10, "T11": replica.t11,
          "T12": replica.t12, "T16": memory.t16, "T9": ingest.t9, "T13": ingest.t13,
          "T17": vault.t17}


def say(words):
    print("bench: " + words, file=sys.stderr, flush=True)


def measure(company, wanted):
    say("making the master with W")
    company.make_master()
    company.start_server()
    for name in wanted:
        begin = time.monotonic()
        say(name)
        GROUPS[name](company)
        say("%s took %.0f s" % (name, time.monotonic() - begin))
    if company.options.peers:
        say("peers")
        peers.measure(company, company.options.peers)


def parse():
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="a smoke test, a fiftieth of the data")
    parser.add_argument("--only", help="some of %s (T1 brings T1b and T7)" % ",".join(GROUPS))
    parser.add_argument("--clients", type=int, help="devices of T5 and T8 (10000), most of T4")
    parser.add_argument("--peers", nargs="?", const=",".join(peers.NAMES), metavar="NAMES",
                        help="other programs, too: all or some of %(const)s")
    parser.add_argument("--json", default="bench.json", help="where to write the figures")
    parser.add_argument("--from", dest="parts", help="join these files, measure nothing")
    parser.add_argument("--compare", metavar="OLD.json", help="print the change of each figure")
    parser.add_argument("--chart", metavar="FILE.svg", help="draw the figures by their targets")
    parser.add_argument("--keep", action="store_true", help="leave the working folder")
    options = parser.parse_args()
    options.wanted = options.only.upper().split(",") if options.only else list(GROUPS)
    for name in options.wanted:
        if name not in GROUPS:
            parser.error("no figure %s: there are %s" % (name, ", ".join(GROUPS)))
    options.peers = options.peers.lower().split(",") if options.peers else []
    for name in options.peers:
        if name not in peers.NAMES:
            parser.error("no peer %s: there are %s" % (name, ", ".join(peers.NAMES)))
    options.clients = options.clients or (30 if options.quick else 10000)
    return options


def raise_limits(clients):
    """A descriptor for each of them, in the server and in the crowd; beyond the hard limit, if allowed."""
    wanted = clients + 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limits in ((max(wanted, soft), max(wanted, hard)), (hard, hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            break
        except (ValueError, OSError):
            say("no more than %d descriptors" % hard)


def measured(options):
    raise_limits(options.clients)
    company = Company(options, tempfile.mkdtemp(prefix="fieldsync-bench-"))
    print(figures.HEAD)
    try:
        measure(company, options.wanted)
    finally:
        company.end_all()
        if not options.keep:
            shutil.rmtree(company.folder)
    return company.figures.rows


def joined(paths):
    """A later file's figure replaces an earlier one's."""
    rows = {}
    for path in paths:
        for row in load(path):
            rows[row["id"], row["metric"]] = row
    print(figures.HEAD)
    for row in rows.values():
        print(figures.format_row(row))
    return list(rows.values())


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def main():
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # cleans up, too
    options = parse()
    old = load(options.compare) if options.compare else None
    rows = joined(options.parts.split(",")) if options.parts else measured(options)
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=1)
        file.write("\n")
    if old is not None:
        compare(old, rows)
    if options.chart:
        chart.draw(rows, options.chart)


if __name__ == "__main__":
    main()
