# SPDX-License-Identifier: Apache-2.0
"""T4: one change at connected devices; T6: a session with nothing to do."""
import os
import random
import time

from harness import end, run
from lib import Line

YARDSTICK = "libwebsockets alone, as many receivers"


def broadcast_ms(company, count):
    """The yardstick of T4: the carrier alone, sorted times of arrival."""
    lines = run(company.tool("lws_broadcast"), str(count), "3" if company.quick else "50")
    return sorted(int(line) / 1000 for line in lines.splitlines() if line.isdigit())


def watched_call(master):
    """One of customer 1, which everybody sees."""
    return master.execute("SELECT c.id FROM calls c JOIN sites s ON s.id = c.site_id"
                          " WHERE s.customer_id = 1 LIMIT 1").fetchone()[0]


def t4(company):
    t4_one(company)
    for count in (3,) if company.quick else (100, 1000):
        if count > company.options.clients:
            continue
        t4_many(company, count)
        t4_received(company, count)


def t4_one(company):
    folder = company.some_replica()
    agent = company.start_agent(folder)
    samples = []
    try:
        with company.sql(company.master) as master, \
                company.sql(os.path.join(folder, "replica.db")) as replica:
            call = watched_call(master)
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
    company.figures.percentiles("T4/1", samples, YARDSTICK, broadcast_ms(company, 1))


def t4_many(company, count):
    swarm = company.start_swarm(company.desks(count))
    samples = []
    try:
        with company.sql(company.master) as master:
            call = watched_call(master)
            for i in range(3 if company.quick else 50):
                time.sleep(random.uniform(0.1, 0.15) + count / 2000)
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
    company.figures.percentiles("T4/%d" % count, samples, YARDSTICK,
                                broadcast_ms(company, count))


def t4_received(company, count):
    """The same at devices that only decrypt it: without what the receivers do on the same cores."""
    crowd = company.start_crowd(company.desks(count))
    crowd.fetch()
    crowd.settle()
    crowd.watch()
    samples = []
    with company.sql(company.master) as master:
        call = watched_call(master)
        for i in range(3 if company.quick else 50):
            time.sleep(random.uniform(0.1, 0.15))
            master.execute("UPDATE calls SET note = ? WHERE id = ?", ("T4r %d" % i, call))
            begin = time.monotonic_ns()
            samples += [(crowd.hear_published() - begin) / 1e6 for _ in range(count)]
    crowd.end()
    company.figures.percentiles("T4/%d/received" % count, samples, YARDSTICK,
                                broadcast_ms(company, count))


def reconnects(company, port, rounds):
    swarm = company.start_swarm(["tech"], port)
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
    line = Line(company.port)
    swarm = company.start_swarm(["tech"], line.port)
    samples = []
    time.sleep(0.3)
    for _ in range(min(rounds, 10)):
        before = line.bytes_up + line.bytes_down
        swarm.send_signal(10)
        company.swarm_line(swarm, "reconnected")
        time.sleep(0.1)
        samples.append(line.bytes_up + line.bytes_down - before)
    company.end_swarm(swarm)
    line.close()
    company.figures.add("T6", "bytes_total", samples, "TCP payload, upgrade included")
