# SPDX-License-Identifier: Apache-2.0
"""T9: what the master takes in; T13: how the others fare meanwhile."""
import os
import random
import shutil
import statistics
import threading
import time

import fleet
from figures import percentile


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
    for round_no in range(company.runs):
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


# ---- T13 ----

class Load:
    """Devices that push without a pause, in two groups by turns: the server always has work. Each
    has a customer of its own."""

    def __init__(self, company, count):
        self.is_over = False
        self.crowds = []
        self.threads = []
        for group in range(2):
            crowd = company.start_crowd(company.crews()[group * count:][:count])
            crowd.fetch(64)
            crowd.settle()
            paths = [self.write(company, count, group, round_no) for round_no in range(4)]
            self.crowds.append(crowd)
            self.threads.append(threading.Thread(target=self.push, args=(crowd, paths)))
        self.changes = 0
        self.begin = time.monotonic()
        for thread in self.threads:
            thread.start()

    @staticmethod
    def write(company, count, group, round_no):
        path = company.path("work%d-%d" % (group, round_no))
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(fleet.as_line(*one)
                            for one in fleet.work_of(company, count, round_no, group * count))
        return path

    def push(self, crowd, paths):
        number = 0
        while not self.is_over:
            self.changes += crowd.push(paths[number % len(paths)])["changes"]
            number += 1

    def end(self):
        """Changes a second while it went on."""
        self.is_over = True
        for thread in self.threads:
            thread.join()
        rate = self.changes / (time.monotonic() - self.begin)
        for crowd in self.crowds:
            crowd.end()
        return rate


def read_points(company, seconds):
    """Another program's reads by id: milliseconds, sorted; and the largest log meanwhile."""
    samples, wal = [], 0
    draw = random.Random(13)
    end = time.monotonic() + seconds
    with company.sql(company.master) as master:
        last = master.execute("SELECT max(id) FROM calls WHERE id < 1000000").fetchone()[0]
        while time.monotonic() < end:
            begin = time.monotonic()
            master.execute("SELECT note FROM calls WHERE id = ?",
                           (draw.randint(1, last),)).fetchone()
            samples.append((time.monotonic() - begin) * 1000)
            wal = max(wal, os.path.getsize(company.master + "-wal"))
            time.sleep(0.001)
    return sorted(samples), wal / 2**20


READ_S, PAGES = 3, 1000
WRITING = 50  # devices of each half of the load


def observe(company, readers):
    """(p99 of point reads, p99 of a page of the feed, MiB of the log)."""
    points, wal = read_points(company, 0.2 if company.quick else READ_S)
    paged = readers.pages(100 if company.quick else PAGES)
    return percentile(points, 0.99), paged["p99_us"] / 1000, wal


def t13(company):
    crews = company.crews()
    writing = min(WRITING, len(crews) // 4)
    readers = company.start_crowd(crews[2 * writing:])
    readers.fetch(64)
    readers.settle()
    idle = [observe(company, readers) for _ in range(company.runs)]
    load = Load(company, writing)
    busy = [observe(company, readers) for _ in range(company.runs)]
    rate = load.end()
    readers.end()
    for place, name in enumerate(("point_read", "feed_page")):
        company.figures.add("T13/%s/idle" % name, "p99_ms", [sample[place] for sample in idle])
        company.figures.add("T13/" + name, "p99_ms", [sample[place] for sample in busy],
                            "the same at rest", statistics.median(sample[place] for sample in idle))
    company.figures.add("T13", "wal_mib", [max(sample[2] for sample in busy)])
    company.figures.add("T13", "changes_per_s", [rate], "meanwhile")
