# SPDX-License-Identifier: Apache-2.0
"""Crashes of the real programs, while people work.

    crash.py --build FOLDER [--kills N] [--only KIND] [--devices N] [--seed N] [--keep] [--prove]

A server, some devices, a program that writes each replica and one that writes the master, all by
plain SQL, and commands that add photos. Again and again one of these ends:

    random  kill -9 of a program at some moment
    point   kill -9 before its Nth pwrite64, fdatasync, rename, ... (points.py), N counting up
    power   kill -9 of all programs of one computer, and what was never synced is lost or torn
            (powercut.py)

and is started again, without any other help. After each, the database is looked at. After some
hundred kills the faults end, and within 30 s everything must be everywhere (checks.py). Then the
next company.

--prove turns to the test itself: on disks that lie about syncs it must find that work was lost."""

import argparse
import collections
import contextlib
import hashlib
import os
import random
import sys
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "..", "e2e"))

import checks # noqa: E402
import lib # noqa: E402
import points # noqa: E402
import small_company # noqa: E402
from lib import Failed, expect, expect_equal # noqa: E402
from machines import DeviceMachine, ServerMachine # noqa: E402

LOGINS = ("anna", "bruno", "carla", "dario", "elena")
OFFICE = "office" # the name under which the server's computer writes
SETTLE_S = 30
PROVE_SETTLE_S = 5 # devices of a server that forgot may wait for an admin for ever
LOSS = "was done and left 0 notes"
POINT_S = 1.5 # a point that isn't reached by then is taken as not there
PHOTO_SIZE = 200_000
COMPANY_KILLS_MAX = 130
KINDS = {"server random": 12, "agent random": 10, "writer random": 6, "command random": 8,
         "server power": 16, "agent power": 18,
         "server point": 10, "agent point": 10, "command point": 10}


class World:
    def __init__(self, company, library, logins, kinds, walks, liars=()):
        self.company = company
        self.library = library
        self.liars = liars
        self.kills = collections.Counter()
        self.damages = []
        self.photos = []
        self.kinds = kinds
        self.walks = walks # by what is killed: the points that come next
        small_company.found(company, logins)
        company.serve()
        devices = [company.device_add(login, "--van", small_company.van_of(login))
                   for login in logins]
        expect_equal(company.server.stop(), 0, "exit code of the server")
        self.server = ServerMachine(self, OFFICE)
        self.devices = [DeviceMachine(self, device) for device in devices]
        self.machines = [self.server, *self.devices]
        for machine in self.machines:
            machine.start()
        for machine in self.devices:
            machine.write_as(small_company.user_id_of(company, machine.name),
                             small_company.visit_of(company, machine.name))
        self.server.write_as(small_company.user_id_of(company, small_company.MANAGER), 0)

    def close(self):
        for machine in self.machines:
            machine.disk.close()

    def path(self, name):
        return os.path.join(self.company.folder, name)

    # ---- faults ----

    def kill_one(self):
        who, how = random.choices(list(self.kinds), list(self.kinds.values()))[0].split()
        machine = self.server if who == "server" else random.choice(
            [machine for machine in self.devices if machine.disk.lies] or self.devices)
        if who == "writer":
            machine = random.choice(self.machines)
        getattr(self, "kill_%s" % how if who in ("server", "agent") else "kill_%s_%s" % (who, how))(
            machine, who)
        machine.check_file()

    def kill_random(self, machine, who):
        self.is_alive(machine.program, machine.name)
        machine.program.kill()
        self.pause(0.2)
        machine.start()
        self.kills[who + " random"] += 1

    def kill_writer_random(self, machine, who):
        self.is_alive(machine.writer, "the writer of " + machine.name)
        machine.writer.kill()
        machine.start_writer()
        self.kills[who + " random"] += 1

    def kill_command_random(self, machine, who):
        if self.add_photo(machine, kill_after=random.uniform(0, 0.15)):
            self.kills[who + " random"] += 1

    def kill_power(self, machine, who):
        self.is_alive(machine.program, machine.name)
        if machine.disk.lies: # there must be something to lose
            done = len(machine.journal()[1])
            lib.wait_for("work", lambda: len(machine.journal()[1]) > done)
        self.damages.append(machine.cut_power())
        self.kills[who + " power"] += 1

    def kill_point(self, machine, who):
        """The program ends, and again while it starts or works, some times in a row."""
        self.is_alive(machine.program, machine.name)
        machine.program.kill()
        self.kills[who + " random"] += 1
        while True:
            point = self.walks[who].take()
            machine.start(point)
            is_reached = self.wait_for_end(machine.program)
            self.walks[who].note(*point, is_reached)
            if not is_reached:
                machine.program.kill()
            else:
                expect_equal(machine.program.process.poll(), -9, "end of %s before %s %d: %s"
                             % (machine.name, *point, machine.program.log()[-1000:]))
            self.kills[who + (" point" if is_reached else " random")] += 1
            if random.random() < 0.4:
                break
        machine.start()

    def kill_command_point(self, machine, who):
        for _ in range(3):
            point = self.walks[who].take()
            is_reached = self.add_photo(machine, point=point)
            self.walks[who].note(*point, is_reached)
            if is_reached:
                self.kills[who + " point"] += 1

    def wait_for_end(self, program):
        """Has the program got to its point? People go on working meanwhile."""
        begin = time.monotonic()
        next_photo = 0.4
        while program.is_running() and time.monotonic() - begin < POINT_S:
            self.ask_for_sync()
            time.sleep(0.03)
            if time.monotonic() - begin > next_photo:
                self.add_photo(random.choice(self.devices))
                next_photo += 0.4
        return not program.is_running()

    @staticmethod
    def is_alive(program, name):
        """What ends by itself has found something, or is broken."""
        expect(program.is_running(), "%s ended by itself: %s" % (name, program.log()[-1000:]))

    @staticmethod
    def pause(longest):
        time.sleep(random.choice((0, random.uniform(0, longest))))

    def add_photo(self, machine, **how):
        """What the command has said to have added must arrive. Was it killed?"""
        visit_id = small_company.VISIT_BASE + machine.user_id
        photo = os.urandom(PHOTO_SIZE)
        file_path = self.path("photo.jpg")
        with open(file_path, "wb") as file:
            file.write(photo)
        code = machine.run_command("photo", "add", str(visit_id), file_path, **how)
        if code == 0:
            self.photos.append(hashlib.blake2b(photo, digest_size=32).hexdigest())
        return code == -9

    def ask_for_sync(self):
        """As `sync --now`: a device that met a dead server would wait for seconds."""
        for machine in self.devices:
            path = os.path.join(machine.device.folder, "sync-now")
            with open(path + ".new", "w", encoding="ascii") as file:
                file.write("%d\n" % random.randrange(1, 1 << 40))
            os.rename(path + ".new", path)

    def play(self, kill_count):
        while sum(self.kills.values()) < kill_count:
            self.pause(0.6)
            self.kill_one()
            if random.random() < 0.1:
                self.add_photo(random.choice(self.devices))
            if random.random() < 0.8:
                self.ask_for_sync()

    # ---- afterwards ----

    def settle(self, limit_s):
        """Seconds until everything was everywhere, after the last fault."""
        begin = time.monotonic()
        lib.wait_for("the server", self.company.is_healthy)
        self.ask_for_sync()
        self.company.settle(*(machine.device for machine in self.devices), seconds=limit_s)
        lib.wait_for("the photos", lambda: all(os.path.exists(checks.blob_path(self, photo))
                                               for photo in self.photos), limit_s)
        return time.monotonic() - begin

    def settle_or_say_what_is_lost(self, limit_s):
        for machine in self.machines:
            machine.writer.kill()
        try:
            return self.settle(limit_s)
        except Failed as waited:
            try:
                checks.check_journals(self)
            except Failed as lost:
                raise Failed("%s; and %s" % (waited, lost)) from waited
            raise

    def stop(self):
        for machine in (*self.devices, self.server):
            expect_equal(machine.program.stop(), 0, "exit code on %s" % machine.name)


Totals = collections.namedtuple("Totals", "kills damages transactions photos rows settled")


def play_company(options, kill_count, kinds, walks=None, liars=()):
    world = None
    logins = LOGINS[:options.devices]
    with contextlib.ExitStack() as disks, \
            lib.Company(options.build, is_kept=options.keep) as company:
        try:
            world = World(company, options.library, logins, kinds, walks, liars)
            disks.callback(world.close)
            world.play(kill_count)
            settled = world.settle_or_say_what_is_lost(PROVE_SETTLE_S if liars else SETTLE_S)
            world.stop()
            checks.check_files(world)
            rows = checks.check_rows(world)
            transactions = checks.check_journals(world)
        except Failed:
            if not liars:
                print("crash: failed after %s; the files: %s"
                      % (dict(world.kills) if world else "nothing", company.folder), flush=True)
                company.is_kept = True
            raise
        return Totals(world.kills, world.damages, transactions, len(world.photos), rows, settled)


def play(options):
    begin = time.monotonic()
    kinds = {kind: weight for kind, weight in KINDS.items()
             if options.only in (None, kind.split()[1])}
    reason = points.why_not()
    if reason:
        print("crash: SKIPPED: kills at named points: " + reason, flush=True)
        kinds = {kind: weight for kind, weight in kinds.items() if not kind.endswith("point")}
    walks = {who: points.Walk() for who in ("server", "agent", "command")}
    all_totals = []
    kills = collections.Counter()
    while sum(kills.values()) < options.kills:
        count = min(COMPANY_KILLS_MAX, options.kills - sum(kills.values()))
        totals = play_company(options, count, kinds, walks)
        all_totals.append(totals)
        kills += totals.kills
        print("crash: %d kills, settled %.1f s after the last" % (sum(kills.values()),
                                                                  totals.settled), flush=True)
    for who, walk in walks.items():
        print("crash: points at which %s was killed: %s" % (who, walk.text()), flush=True)
    damages = [damage for totals in all_totals for damage in totals.damages]
    print("%d kills (%s): all %d acknowledged transactions and %d photos are there, %d rows"
          " agree on %d devices; power cuts lost %d of %d unsynced sectors and %d names; settled at"
          " most %.1f s after the last fault; %.0f s in all"
          % (sum(kills.values()), ", ".join("%d %s" % (count, kind)
                                            for kind, count in sorted(kills.items())),
             sum(totals.transactions for totals in all_totals),
             sum(totals.photos for totals in all_totals),
             sum(totals.rows for totals in all_totals), options.devices,
             sum(damage.lost for damage in damages), sum(damage.sectors for damage in damages),
             sum(damage.names for damage in damages),
             max(totals.settled for totals in all_totals), time.monotonic() - begin))


def prove(options):
    """The test must find what a disk that lies about syncs does to acknowledged work."""
    for liar in (OFFICE, LOGINS[0]):
        try:
            play_company(options, options.kills,
                         {"server power" if liar == OFFICE else "agent power": 1}, liars=(liar,))
        except Failed as found:
            expect(LOSS in str(found), "the disk of %s lies, but no loss was found: %s"
                   % (liar, found))
            print("crash: the disk of %s lies, and it is found: %s"
                  % (liar, str(found).splitlines()[0][:300]), flush=True)
        else:
            raise Failed("the disk of %s lies, and nothing was found" % liar)


def main():
    parser = argparse.ArgumentParser(prog="crash")
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--kills", type=int, default=1000, help="how many; default: 1000")
    parser.add_argument("--only", choices=("random", "point", "power"), help="kills of one kind")
    parser.add_argument("--devices", type=int, default=2, choices=range(1, len(LOGINS) + 1))
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--keep", action="store_true", help="leave the working folder")
    parser.add_argument("--prove", action="store_true", help="show that the test can fail")
    options = parser.parse_args()
    options.library = os.path.join(options.build, "tests", "crash", "powercut.so")
    random.seed(options.seed)
    print("crash: seed %d" % options.seed, flush=True)
    if options.prove:
        prove(options)
    else:
        play(options)


if __name__ == "__main__":
    main()
