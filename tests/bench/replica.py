# SPDX-License-Identifier: Apache-2.0
"""T10: a snapshot served and applied; T11: bytes of a change; T12: what recording costs."""
import collections
import json
import os
import random
import shutil
import sqlite3
import statistics
import time
import zlib

import workload
from harness import run

CHAIN = "read, encode, zlib 1, encrypt, without a session"


# ---- T10 ----

def snapshot_costs(company):
    """Microseconds of the chain, of the replica and of plain SQLite, several times."""
    costs = collections.defaultdict(list)
    rows = 0
    folder = company.path("snapshot")
    for _ in range(company.runs):
        os.makedirs(folder)
        replica = os.path.join(folder, "replica.db")
        shutil.copy(company.template(), replica)
        plain = os.path.join(folder, "plain.db")
        with company.sql(plain) as database, company.sql(company.path("w", "w.db")) as w:
            for (statement,) in w.execute("SELECT sql FROM sqlite_schema").fetchall():
                database.execute(statement)
        for line in run(company.tool("snapshot_cost"), company.master, replica, company.data,
                        plain).splitlines():
            name, rows, us = line.split()
            costs[name].append(int(us))
        shutil.rmtree(folder)
    return int(rows), costs


def t10(company):
    rows, costs = snapshot_costs(company)
    crowd = company.start_crowd(["boss"])
    cold, warm = [], []
    for _ in range(company.runs):
        crowd.ask("drop")
        company.restart_server()  # which forgets the pages that it has made
        time.sleep(0.5)
        cold.append(rows / crowd.fetch()["p50_us"] * 1e6)
        crowd.ask("drop")
        time.sleep(0.5)
        warm.append(rows / crowd.fetch()["p50_us"] * 1e6)
    crowd.end()
    rates = {name: [rows / us * 1e6 for us in values] for name, values in costs.items()}
    chain = statistics.median(rates["chain"])
    company.figures.add("T10/chain", "rows_per_s", rates["chain"], CHAIN)
    company.figures.add("T10/served", "rows_per_s", cold, CHAIN, chain)
    company.figures.add("T10/served_again", "rows_per_s", warm, CHAIN, chain)
    company.figures.add("T10/insert", "rows_per_s", rates["insert"], "plain INSERT")
    company.figures.add("T10/apply", "rows_per_s", rates["apply"], "plain INSERT",
                        statistics.median(rates["insert"]))


# ---- T11 ----

STATES = "open assigned travelling on_site waiting_parts done closed".split()
# Counts at some parts of one depot, states of some calls of one site, notes at them: one frame each.
DELTAS = {
    "many": (60, "parts", "stock", "depot = 1", lambda draw: draw.randint(0, 400)),
    "few": (6, "calls", "status", "site_id = 1", lambda draw: draw.choice(STATES)),
    "notes": (6, "calls", "note", "site_id = 1",
              lambda draw: " ".join(draw.choices(workload.WORDS, k=draw.randint(8, 25)))),
}
JSON = "ids and values as JSON, zlib 6"


def commit_delta(company, kind, draw):
    """One commit of small edits on the master: those that changed something."""
    count, table, column, where, value = DELTAS[kind]
    with company.sql(company.master) as master:
        rows = master.execute("SELECT id, %s FROM %s WHERE %s" % (column, table, where)).fetchall()
        edits = [(value(draw), row_id, old) for row_id, old in
                 draw.sample(rows, min(count, len(rows)))]
        edits = [(new, row_id) for new, row_id, old in edits if new != old]
        master.execute("BEGIN IMMEDIATE")
        master.executemany("UPDATE %s SET %s = ? WHERE id = ?" % (table, column), edits)
        master.execute("COMMIT")
    return edits


def t11(company):
    crowd = company.start_crowd(["tech"])
    crowd.fetch()
    crowd.settle()
    crowd.watch()
    draw = random.Random(11)
    for kind in DELTAS:
        samples, plain = [], []
        for _ in range(company.runs):
            before = company.traffic()[1]
            edits = commit_delta(company, kind, draw)
            crowd.hear_published()
            crowd.settle()  # whatever else comes
            samples.append((company.traffic()[1] - before) / len(edits))
            plain.append(len(zlib.compress(json.dumps(edits).encode(), 6)) / len(edits))
        company.figures.add("T11/%s" % kind, "bytes_per_change", samples, JSON,
                            statistics.median(plain))
    crowd.end()


# ---- T12 ----

def without_triggers(path):
    """Nothing is recorded in this copy any more."""
    database = sqlite3.connect(path, isolation_level=None)
    names = database.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'"
                             " AND name LIKE '\\_fs\\_%' ESCAPE '\\'").fetchall()
    database.execute("BEGIN")
    for (name,) in names:
        database.execute('DROP TRIGGER "%s"' % name)
    database.execute("COMMIT")
    database.close()


def t12(company):
    folder = company.some_replica()
    paths = [company.path(name) for name in ("captured.db", "bare.db")]
    for path in paths:
        with company.sql(os.path.join(folder, "replica.db")) as replica:
            replica.execute("VACUUM INTO ?", (path,))
    without_triggers(paths[1])
    with company.sql(company.path("w", "w.db")) as w:
        calls = w.execute("SELECT count(*) FROM calls").fetchone()[0]
    samples = collections.defaultdict(list)
    for round_no in range(company.runs):
        for line in run(company.tool("capture_cost"), *paths, str(calls),
                        str(round_no), "50" if company.quick else "1").splitlines():
            name, kind, us = line.split()
            samples[name, kind].append(int(us) / 1000)
    for name in dict.fromkeys(name for name, _ in samples):
        pairs = zip(samples[name, "captured"], samples[name, "bare"])  # each of one moment
        company.figures.add("T12/" + name, "overhead_ratio",
                            [captured / bare for captured, bare in pairs],
                            "the same without triggers", 1.0)
    for path in paths:
        os.remove(path)
