# SPDX-License-Identifier: Apache-2.0
"""Partitions with the real programs and real sockets.

    partition.py --build FOLDER [--runs N] [--seed N] [--keep]

In each run every device's network goes through some seconds of random faults (chaos.c), programs
are stopped and resumed, and on all sides people go on working. Then the faults end, nobody helps,
and within a bounded time everything must be everywhere: not so is "wedged"; at rest and not equal
is "diverged"."""

import argparse
import collections
import os
import random
import signal
import sqlite3
import sys
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "..", "e2e"))

import lib # noqa: E402
import small_company # noqa: E402
import weather # noqa: E402
from lib import Failed, expect_equal # noqa: E402

LOGINS = ("anna", "bruno", "carla")
RUNS_OF_COMPANY = 25
SETTLE_S = 30
FORGOTTEN_S = 70 # a connection that nobody ends: silence counts as its end after 60 s
WAITED_S = 90 # for the count: what isn't back by then never comes back


def byte_fault(name):
    return lambda: "%s %s %d" % (random.choice(("up", "down")), name, random.randrange(4000))


def both_ways(command):
    return lambda: ["up " + command, "down " + command]


# Name to the words for chaos.c; each run draws from all of them.
FAULTS = {
    "cut": lambda: "cut",
    "cut and refused": lambda: ["refuse on", "cut"],
    "black hole up": lambda: "up hole on",
    "black hole down": lambda: "down hole on",
    "black hole": both_ways("hole on"),
    "forgotten": lambda: "forget",
    "delay": both_ways("delay 300"),
    "late down": lambda: "down delay 900",
    "split": both_ways("split 1"),
    "throttle": both_ways("rate 20000"),
    "slow up": lambda: "up rate 4000",
    "flipped bit": byte_fault("flip"),
    "twice": byte_fault("twice"),
    "lost": byte_fault("lose"),
    "truncated": byte_fault("stop"),
    "upgrade refused": lambda: ["upgrade off", "cut"],
}
PAUSED = "paused"
SELDOM = {"forgotten": 0.1} # each costs a minute


class Run:
    """Some seconds of faults, and how it ends."""

    def __init__(self, company, number):
        self.company = company
        self.number = number
        self.faults = collections.Counter()
        self.notes = 0
        self.stopped = []

    def play(self):
        end = time.monotonic() + random.uniform(2, 5)
        while time.monotonic() < end:
            self.make_fault(random.choice(self.company.devices))
            for _ in range(random.randrange(4)):
                self.work()
                time.sleep(random.uniform(0, 0.2))
        for device in self.company.devices:
            device.line.say("clear")
        self.resume()

    def make_fault(self, device):
        names = [*FAULTS, PAUSED, "clear", "clear"]
        name = random.choices(names, [SELDOM.get(name, 1) for name in names])[0]
        if name == PAUSED:
            program = random.choice((device.agent, self.company.server))
            program.signal(signal.SIGSTOP)
            self.stopped.append(program)
        elif name == "clear":
            device.line.say("clear")
            self.resume()
            return
        else:
            commands = FAULTS[name]()
            device.line.say(*([commands] if isinstance(commands, str) else commands))
        self.faults[name] += 1

    def resume(self):
        for program in self.stopped:
            program.signal(signal.SIGCONT)
        self.stopped = []

    def work(self):
        """Something by plain SQL on one of the sides."""
        self.notes += 1
        author = random.choice([None, *self.company.devices])
        login = small_company.MANAGER if author is None else author.login
        path = self.company.master if author is None else author.replica
        statements = (("INSERT INTO call_note(id, call_id, occurred_at, by_id, body) VALUES"
                       " ((SELECT id FROM new_id), ?, ?, ?, ?)", small_company.SHARED_CALL,
                       time.time_ns() // 1000, self.company.user_ids[login],
                       "run %d note %d" % (self.number, self.notes)),
                      ("UPDATE site SET access_note = ? WHERE id = 1",
                       "run %d by %s" % (self.number, login)),
                      ("UPDATE contact SET phone = ? WHERE name = ?", str(self.number),
                       "Contact of " + login))
        try:
            lib.change(path, *statements)
        except sqlite3.OperationalError: # a program that was stopped holds the write lock
            if not self.stopped:
                raise
            self.resume()
            lib.change(path, *statements)

    def settle(self):
        """Seconds until all were at rest; None: never."""
        try:
            return lib.wait_for("rest", self.is_settled, WAITED_S, pause=0.05)
        except Failed:
            return None

    def is_settled(self):
        return all(device.is_settled() for device in self.company.devices) and self.company.value(
            "SELECT count(*) FROM call_note WHERE body LIKE ?",
            "run %d note %%" % self.number) == self.notes and not self.differences()

    def differences(self):
        return [line for device in self.company.devices for line in
                self.company.differences(device)]


def begin_company(options):
    company = lib.Company(options.build, is_kept=options.keep)
    company.make_line = weather.line_maker(options.build)
    return company


def play_company(options, first, count, results):
    with begin_company(options) as company:
        small_company.found(company, LOGINS)
        company.serve()
        company.user_ids = {login: small_company.user_id_of(company, login)
                            for login in (*LOGINS, small_company.MANAGER)}
        for login in LOGINS:
            company.device_add(login, "--van", small_company.van_of(login)).run()
        for number in range(first, first + count):
            results.add(Run(company, number))
        for device in company.devices:
            device.cli("verify")
            expect_equal(device.stop(), 0, "exit code of the agent of " + device.login)
        company.cli("check")
        expect_equal(company.server.stop(), 0, "exit code of the server")


class Results:
    def __init__(self):
        self.faults = collections.Counter()
        self.wedged = 0
        self.diverged = 0
        self.notes = 0
        self.seconds = []

    def add(self, run):
        run.play()
        seconds = run.settle()
        limit = FORGOTTEN_S if run.faults["forgotten"] else SETTLE_S
        self.faults += run.faults
        self.notes += run.notes
        if seconds is not None and seconds <= limit:
            self.seconds.append(seconds)
            return
        is_at_rest = all(device.is_settled() for device in run.company.devices)
        self.diverged += is_at_rest and seconds is None
        self.wedged += seconds is not None or not is_at_rest
        print("partition: run %d: %s; %s" % (run.number, "%.1f s" % seconds if seconds
                                             else "never at rest", dict(run.faults)), flush=True)
        for device in run.company.devices:
            print("partition: %s: %s" % (device.login, device.state()), flush=True)
        for line in run.differences()[:10]:
            print("partition: " + line, flush=True)
        if seconds is None:
            raise Failed("run %d never came to rest; the files: %s"
                         % (run.number, run.company.folder))

    def text(self, run_count, seconds):
        ordered = sorted(self.seconds)
        return ("%d partition runs: %d wedged, %d diverged; %d faults (%s); %d changes are"
                " everywhere; at rest %.1f s after the last fault in half of the runs, %.1f s at"
                " most; %.0f s in all"
                % (run_count, self.wedged, self.diverged, sum(self.faults.values()),
                   ", ".join("%d %s" % (count, name) for name, count in
                             sorted(self.faults.items())),
                   3 * self.notes, ordered[len(ordered) // 2], ordered[-1], seconds))


def main():
    parser = argparse.ArgumentParser(prog="partition")
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--runs", type=int, default=100, help="how many; default: 100")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--keep", action="store_true", help="leave the working folder")
    options = parser.parse_args()
    random.seed(options.seed)
    begin = time.monotonic()
    print("partition: seed %d" % options.seed, flush=True)
    results = Results()
    for first in range(0, options.runs, RUNS_OF_COMPANY):
        play_company(options, first, min(RUNS_OF_COMPANY, options.runs - first), results)
        print("partition: %d runs" % min(options.runs, first + RUNS_OF_COMPANY), flush=True)
    print(results.text(options.runs, time.monotonic() - begin))
    expect_equal((results.wedged, results.diverged), (0, 0), "runs wedged and diverged")


if __name__ == "__main__":
    main()
