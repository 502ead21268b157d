# SPDX-License-Identifier: Apache-2.0
"""T9: what the master takes in."""
import os
import random
import shutil
import time


def ingests(count, calls, round_no):
    source = random.Random(round_no)
    words = "pump valve motor filter leak noise replaced cleaned ordered tested".split()

    def text():
        return " ".join(source.choices(words, k=source.randint(6, 20)))
    yield ("insert", "INSERT INTO worklogs(id,call_id,technician,started_at,minutes,note)"
           " VALUES((SELECT id FROM new_id),?,?,?,?,?)",
           [(source.randint(1, calls), 1, 1735689600 + i, 30, text()) for i in range(count)])
    yield ("update", "UPDATE calls SET status = ?, note = ? WHERE id = ?",
           [("done %d" % round_no, text(), i % calls + 1) for i in range(min(count, calls))])


def plain_seconds(company, statement, rows):
    path = company.path("plain.db")
    shutil.copy(company.path("w", "w.db"), path)
    with company.sql(path) as plain:
        plain.execute("PRAGMA journal_mode=WAL")
        plain.execute("PRAGMA synchronous=FULL")
        statement = statement.replace("(SELECT id FROM new_id)", "NULL")
        begin = time.monotonic()
        plain.execute("BEGIN")
        plain.executemany(statement, rows)
        plain.execute("COMMIT")
        seconds = time.monotonic() - begin
    os.remove(path)
    return seconds


def t9(company):
    folder = company.some_replica()
    count = 200 if company.quick else 20000
    calls = 400 if company.quick else 20000
    rates = {"insert": [], "update": []}
    for round_no in range(1 if company.quick else 3):
        for kind, statement, rows in ingests(count, calls, round_no):
            with company.sql(os.path.join(folder, "replica.db")) as replica:
                replica.execute("BEGIN IMMEDIATE")
                replica.executemany(statement, rows)
                replica.execute("COMMIT")
            before = company.metric("commit_seconds_sum")
            company.sync(folder)
            seconds = company.metric("commit_seconds_sum") - before
            rates[kind].append(plain_seconds(company, statement, rows) / seconds)
    for kind, ratios in rates.items():
        company.figures.add("T9/" + kind, "ratio", ratios, "plain SQLite, same rows, one tx", 1.0)
