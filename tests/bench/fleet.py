# SPDX-License-Identifier: Apache-2.0
"""T3: many devices push at once; T8: many connect at once."""
import json
import os
import shutil
import statistics
import time

from harness import run, wait_for

YARDSTICK_CHANGES = 1000  # of one transaction: ten devices' seals, as a server could group them


# ---- T3 ----

def work_of(company, count, round_no, first=0):
    """100 changes of each device, at the calls of its own customer (of the first device that after
    `first`, and so on, around): [(device, operation)]."""
    with open(company.path("w", "t3.json"), encoding="utf-8") as file:
        batches = json.load(file)
    with company.sql(company.path("w", "w.db")) as w:
        calls = w.execute("SELECT s.customer_id, c.id FROM calls c JOIN sites s ON s.id=c.site_id"
                          " ORDER BY c.id").fetchall()
    customers = len({owner for owner, _ in calls})
    work = []
    for device in range(count):
        customer = (first + device) % customers + 1
        own = [call for owner, call in calls if owner == customer]
        batch = batches[(device + 7 * round_no) % len(batches)]
        for number, operation in enumerate(batch):
            values = dict(operation[-1])
            if operation[0] == "u":
                values["note"] = "%d %s" % (round_no, values["note"])
                work.append((device, ["u", "calls", own[number % len(own)], values]))
            else:
                del values["id"]
                values["call_id"] = own[number % len(own)]
                work.append((device, ["i", operation[1], 0, values]))
    return work


def as_line(device, operation):
    kind, table, row_id, values = operation
    words = [str(device), kind, table, str(row_id)]
    for name, value in values.items():
        words += [name, ("i%d" if isinstance(value, int) else "t%s") % value]
    return "\t".join(words) + "\n"


def plain_rate(company, work):
    """The yardstick: the same changes in durable transactions of plain SQLite, changes/s."""
    path = company.path("plain.db")
    shutil.copy(company.path("w", "w.db"), path)
    statements = []
    for _, (kind, table, row_id, values) in work:
        names = list(values)
        if kind == "u":
            statements.append(("UPDATE %s SET %s WHERE id = ?" % (table, ",".join(
                name + "=?" for name in names)), (*values.values(), row_id)))
        else:
            statements.append(("INSERT INTO %s(%s) VALUES(%s)" % (
                table, ",".join(names), ",".join("?" * len(names))), tuple(values.values())))
    with company.sql(path) as plain:
        plain.execute("PRAGMA journal_mode=WAL")
        plain.execute("PRAGMA synchronous=FULL")
        begin = time.monotonic()
        for first in range(0, len(statements), YARDSTICK_CHANGES):
            plain.execute("BEGIN")
            for statement, values in statements[first:first + YARDSTICK_CHANGES]:
                plain.execute(statement, values)
            plain.execute("COMMIT")
        seconds = time.monotonic() - begin
    os.remove(path)
    return len(statements) / seconds


def push_at_once(company, count):
    name = "T3/%d" % count
    crews = company.crews()
    crowd = company.start_crowd([crews[device % len(crews)] for device in range(count)])
    crowd.fetch(64)
    crowd.settle()
    rates, p50s, p99s, plains = [], [], [], []
    path = company.path("work")
    for round_no in range(company.runs):
        work = work_of(company, count, round_no)
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(as_line(*one) for one in work)
        pushed = crowd.push(path)
        if pushed["changes"] != len(work) or pushed["exceptions"] != 0:
            raise SystemExit("bench: %s: not all changes were applied: %s" % (name, pushed))
        rates.append(pushed["changes"] / pushed["us"] * 1e6)
        p50s.append(pushed["p50_us"] / 1000)
        p99s.append(pushed["p99_us"] / 1000)
        plains.append(plain_rate(company, work))
        crowd.settle()
    crowd.end()
    company.figures.add(name, "changes_per_s", rates, "plain SQLite, durable transactions of 1,000",
                        statistics.median(plains))
    company.figures.add(name, "p50_ms", p50s)
    company.figures.add(name, "p99_ms", p99s)
    company.figures.add(name, "plain_changes_per_s", plains)


def t3(company):
    for count in (4,) if company.quick else (50, 200):
        push_at_once(company, count)


# ---- T8 ----

STEADY = 200  # handshakes at a time, where it isn't a storm
PLAIN_MAX = 4000  # connections of the yardstick


def reconnect(company, crowd, window):
    """All sessions end, and all devices come back: known ones, RESUME to WELCOME."""
    crowd.ask("drop")
    wait_for("the sessions' end", lambda: company.metric("live_sessions") == 0)
    time.sleep(0.5)
    connected = crowd.connect(window)
    if connected["devices"] != company.options.clients:
        raise SystemExit("bench: only %s" % connected)
    return connected


def plain_connects(company, count):
    """The yardstick of T8: upgrades a second of the carrier alone."""
    seconds = []
    for _ in range(company.runs):
        words = run(company.tool("lws_broadcast"), str(count), "0").split()
        seconds.append(int(words[words.index("connected") + 1]) / 1e6)
    return count / statistics.median(seconds)


def t8(company):
    crowd = company.fleet()
    count = company.options.clients
    rates, waits = [], []
    for _ in range(company.runs):
        connected = reconnect(company, crowd, STEADY)
        rates.append(count / connected["us"] * 1e6)
        waits.append(connected["p99_us"] / 1000)
    company.figures.add("T8", "connects_per_s", rates, "libwebsockets alone, without any handshake",
                        plain_connects(company, min(count, PLAIN_MAX)))
    company.figures.add("T8", "p99_ms", waits)
    storms = [reconnect(company, crowd, count) for _ in range(1 if company.quick else 3)]
    name = "T8/%d" % count
    company.figures.add(name, "wall_s", [storm["us"] / 1e6 for storm in storms],
                        "a storm: all at once, until the last is served")
    company.figures.add(name, "p50_ms", [storm["p50_us"] / 1e3 for storm in storms])
    company.figures.add(name, "wait_max_s", [storm["most_us"] / 1e6 for storm in storms])
    company.figures.add(name, "served", [storm["devices"] for storm in storms])
    company.figures.add(name, "retries", [storm["retries"] for storm in storms])
    crowd.ask("drop")
