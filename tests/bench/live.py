# SPDX-License-Identifier: Apache-2.0
"""T4: one change at connected devices; T6: a session with nothing to do."""
import os
import random
import statistics
import time

from harness import Counter, end


def commit_ms(company):
    """The yardstick of T4: one durable commit in a plain file."""
    path = company.path("plain.db")
    samples = []
    with company.sql(path) as plain:
        plain.execute("PRAGMA journal_mode=WAL")
        plain.execute("PRAGMA synchronous=FULL")
        plain.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, note)")
        for i in range(200):
            begin = time.monotonic()
            plain.execute("INSERT INTO t(note) VALUES(?)", (i,))
            samples.append((time.monotonic() - begin) * 1000)
    os.remove(path)
    return statistics.median(samples)


def call_of_territory(master):
    return master.execute("SELECT a.id FROM calls a JOIN sites s ON s.id=a.site_id JOIN"
                          " customers c ON c.id=s.customer_id WHERE c.territory=1"
                          " LIMIT 1").fetchone()[0]


def t4(company):
    commit = commit_ms(company)
    t4_one(company, commit)
    t4_many(company, 3 if company.quick else 100, commit)


def t4_one(company, commit):
    folder = company.some_replica()
    agent = company.start_agent(folder)
    samples = []
    try:
        with company.sql(company.master) as master, \
                company.sql(os.path.join(folder, "replica.db")) as replica:
            call = call_of_territory(master)
            for i in range(5 if company.quick else 300):
                note = "T4 %d" % i
                time.sleep(random.uniform(0.03, 0.06))
                master.execute("UPDATE calls SET note = ? WHERE id = ?", (note, call))
                begin = time.monotonic()
                while replica.execute("SELECT note FROM calls WHERE id = ?",
                                      (call,)).fetchone()[0] != note:
                    if time.monotonic() > begin + 10:
                        raise SystemExit("bench: a change didn't arrive")
                    time.sleep(0.0003)
                samples.append((time.monotonic() - begin) * 1000)
    finally:
        end(agent)
    company.figures.percentiles("T4/1", samples, "one durable commit", commit)


def t4_many(company, count, commit):
    swarm = company.start_swarm("tech", count)
    samples = []
    try:
        with company.sql(company.master) as master:
            call = call_of_territory(master)
            for i in range(3 if company.quick else 50):
                time.sleep(random.uniform(0.1, 0.15))
                master.execute("UPDATE calls SET note = ? WHERE id = ?", ("T4m %d" % i, call))
                begin = time.monotonic_ns()
                seen = set()
                while len(seen) < count:
                    words = company.swarm_line(swarm, "published")
                    if int(words[1]) >= begin:
                        seen.add(words[2])
                        samples.append((int(words[1]) - begin) / 1e6)
    finally:
        company.end_swarm(swarm)
    company.figures.percentiles("T4/%d" % count, samples, "one durable commit", commit)


def reconnects(company, port, rounds):
    swarm = company.start_swarm("tech", 1, port)
    lines = []
    time.sleep(0.3)
    for _ in range(rounds):
        swarm.send_signal(10)  # SIGUSR1
        lines.append([int(word) for word in company.swarm_line(swarm, "reconnected")[1:]])
        time.sleep(0.05)
    company.end_swarm(swarm)
    return lines


def t6(company):
    rounds = 3 if company.quick else 50
    lines = reconnects(company, None, rounds)
    company.figures.add("T6", "wall_s", [line[0] / 1e6 for line in lines])
    counter = Counter(company.port)
    swarm = company.start_swarm("tech", 1, counter.port)
    samples = []
    time.sleep(0.3)
    for _ in range(min(rounds, 10)):
        before = counter.bytes
        swarm.send_signal(10)
        company.swarm_line(swarm, "reconnected")
        time.sleep(0.1)
        samples.append(counter.bytes - before)
    company.end_swarm(swarm)
    counter.listener.close()
    company.figures.add("T6", "bytes_total", samples, "TCP payload, upgrade included")
