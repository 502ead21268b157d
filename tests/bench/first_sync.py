# SPDX-License-Identifier: Apache-2.0
"""T1, T1b, T7: a new device."""
import os
import sqlite3
import statistics
import time

from harness import cpu_s


def plain_copy_seconds(company, where=""):
    """The yardstick of T1: the same rows and indexes into an empty file, row by row."""
    seconds = []
    for _ in range(company.runs):
        path = company.path("plain.db")
        source = sqlite3.connect(company.path("w", "w.db"))
        rows = [(table, source.execute("SELECT * FROM %s" % table).fetchall())
                for table, _ in company.tables(source, "main")]
        schema = [row[0] for row in source.execute("SELECT sql FROM sqlite_schema")]
        begin = time.monotonic()
        plain = sqlite3.connect(path, isolation_level=None)
        plain.execute("PRAGMA journal_mode=WAL")
        plain.execute("BEGIN")
        for statement in schema:
            plain.execute(statement)
        for table, values in rows:
            plain.executemany("INSERT INTO %s VALUES(%s)"
                              % (table, ",".join("?" * len(values[0]))), values)
        plain.execute("COMMIT")
        plain.close()
        seconds.append(time.monotonic() - begin)
        source.close()
        os.remove(path)
    return statistics.median(seconds)


def first_sync(company, name, login):
    walls, agents, servers, ups, downs = [], [], [], [], []
    folder = ""
    for _ in range(company.runs):
        folder, code = company.new_device(login)
        up, down = company.traffic()
        before = cpu_s(company.server.pid)
        wall, cpu = company.enrol(folder, code)
        walls.append(wall)
        agents.append(cpu)
        servers.append(cpu_s(company.server.pid) - before)
        ups.append(company.traffic()[0] - up)
        downs.append(company.traffic()[1] - down)
    plain = company.plain_s if name == "T1" else None
    company.figures.add(name, "wall_s", walls, "plain insert of W" if plain else "", plain)
    company.figures.add(name, "bytes_down", downs)
    company.figures.add(name, "bytes_up", ups)
    company.figures.add(name, "cpu_server_s", servers)
    company.figures.add(name, "cpu_agent_s", agents)
    return folder


def t1(company):
    company.plain_s = plain_copy_seconds(company)
    company.replica = first_sync(company, "T1", "boss")
    first_sync(company, "T1b", "tech")
    ratio = os.path.getsize(os.path.join(company.replica, "replica.db")) \
        / os.path.getsize(company.path("w", "w.db"))
    company.figures.add("T7", "file_ratio", [ratio], "plain SQLite file", 1.0)
