# SPDX-License-Identifier: Apache-2.0
"""T2, T2v: work done offline."""
import json
import os
import shutil
import statistics
import subprocess
import time

from harness import cpu_s, end, wait_for


def apply_batch(company, folder, operations, round_no):
    """As any program would: plain SQL, ids from the view new_id."""
    with company.sql(os.path.join(folder, "replica.db")) as replica:
        replica.execute("BEGIN IMMEDIATE")
        for operation in operations:
            if operation[0] == "u":
                values = dict(operation[3], note="%d %s" % (round_no, operation[3]["note"]))
                replica.execute("UPDATE %s SET %s WHERE id = ?" % (
                    operation[1], ",".join(name + "=?" for name in values)),
                    (*values.values(), operation[2]))
            else:
                values = {name: value for name, value in operation[2].items() if name != "id"}
                replica.execute("INSERT INTO %s(id,%s) VALUES((SELECT id FROM new_id),%s)" % (
                    operation[1], ",".join(values), ",".join("?" * len(values))),
                    tuple(values.values()))
        replica.execute("COMMIT")


def batch(company):
    with open(company.path("w", "t2.json"), encoding="utf-8") as file:
        return json.load(file)


def plain_batch_seconds(company, operations):
    path = company.path("plain.db")
    shutil.copy(company.path("w", "w.db"), path)
    with company.sql(path) as plain:
        plain.execute("PRAGMA journal_mode=WAL")
        plain.execute("PRAGMA synchronous=FULL")
        begin = time.monotonic()
        plain.execute("BEGIN")
        for operation in operations:
            if operation[0] == "u":
                values = operation[3]
                plain.execute("UPDATE %s SET %s WHERE id = ?" % (
                    operation[1], ",".join(name + "=?" for name in values)),
                    (*values.values(), operation[2]))
            else:
                values = operation[2]
                plain.execute("INSERT INTO %s(%s) VALUES(%s)" % (
                    operation[1], ",".join(values), ",".join("?" * len(values))),
                    tuple(values.values()))
        plain.execute("COMMIT")
        seconds = time.monotonic() - begin
    os.remove(path)
    return seconds


def t2(company):
    folder = company.some_replica()
    operations = batch(company)
    walls, agents, servers, ups, downs = [], [], [], [], []
    for round_no in range(company.runs):
        apply_batch(company, folder, operations, round_no)
        up, down = company.traffic()
        before = cpu_s(company.server.pid)
        wall, cpu = company.sync(folder)
        walls.append(wall)
        agents.append(cpu)
        servers.append(cpu_s(company.server.pid) - before)
        ups.append(company.traffic()[0] - up)
        downs.append(company.traffic()[1] - down)
    plain = statistics.median(
        plain_batch_seconds(company, operations) for _ in range(company.runs))
    company.figures.add("T2", "wall_s", walls, "the batch in plain SQLite", plain)
    company.figures.add("T2", "bytes_up", ups)
    company.figures.add("T2", "bytes_down", downs)
    company.figures.add("T2", "cpu_server_s", servers)
    company.figures.add("T2", "cpu_agent_s", agents)
    visible(company, folder, operations, plain)


def visible(company, folder, operations, plain):
    other, code = company.new_device("boss")
    company.enrol(other, code)
    agent = company.start_agent(other)
    walls = []
    mark = "SELECT 1 FROM calls WHERE id = ? AND note LIKE ?"
    first = operations[0]
    try:
        for round_no in range(100, 100 + company.runs):
            apply_batch(company, folder, operations, round_no)
            with company.sql(os.path.join(other, "replica.db")) as replica:
                begin = time.monotonic()
                sync = subprocess.Popen([company.agent_program, "sync", "--data", folder],
                                        stdout=subprocess.DEVNULL)
                wait_for("the batch at another device", lambda: replica.execute(
                    mark, (first[2], "%d %%" % round_no)).fetchone())
                walls.append(time.monotonic() - begin)
                sync.wait()
    finally:
        end(agent)
    company.figures.add("T2v", "wall_s", walls, "the batch in plain SQLite", plain)
