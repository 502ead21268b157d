# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the real programs at random moments, while people work.

    crash.py --build FOLDER [--kills N] [--devices N] [--seed N] [--keep]

A server, some devices, a program that writes each replica and one that writes the master, all by
plain SQL, and commands that add photos. One of all these is killed, started again, and so on. Then
the faults end, and within 30 s everything must be everywhere: no acknowledged change lost or there
twice, transactions whole, all files sound, server and devices equal row by row."""

import argparse
import hashlib
import json
import os
import random
import sys
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "..", "e2e"))

import lib # noqa: E402
import small_company # noqa: E402
from lib import Failed, expect, expect_equal # noqa: E402

LOGINS = ("anna", "bruno", "carla", "dario", "elena")
OFFICE = "office"
SETTLE_S = 30
PHOTO_SIZE = 200_000
TALLY = {"note": 1, "work": 2, "own": 0, "shared": 0, "travel": 1} # notes that each kind writes


class Side:
    """A program that writes one database, its journal, and how it is started again."""

    def __init__(self, world, name, database, user_id, visit_id):
        self.world = world
        self.name = name
        self.arguments = [database, world.path("journal-" + name), name, str(user_id),
                          str(visit_id)]
        self.journal_path = self.arguments[1]
        self.user_id = user_id
        self.writer = None
        self.start()

    def start(self):
        self.writer = lib.Program(
            [sys.executable, "-B", os.path.join(FOLDER, "writer.py"), *self.arguments,
             str(random.random())], self.world.path("writer-%s.log" % self.name))
        self.world.company.programs.append(self.writer)

    def journal(self):
        """(begun, done): number to kind."""
        begun, done = {}, {}
        with open(self.journal_path, encoding="ascii") as journal:
            for line in journal:
                words = line.split()
                if len(words) == 3 and line.endswith("\n"):
                    (begun if words[0] == "begin" else done)[int(words[1])] = words[2]
        return begun, done


class World:
    def __init__(self, company, logins):
        self.company = company
        self.kills = {"server": 0, "agent": 0, "writer": 0, "command": 0}
        self.photos = []
        small_company.found(company, logins)
        company.serve()
        self.devices = [company.device_add(login, "--van", small_company.van_of(login))
                        for login in logins]
        for device in self.devices:
            device.start()
        self.sides = [Side(self, device.login, device.replica,
                           small_company.user_id_of(company, device.login),
                           small_company.visit_of(company, device.login))
                      for device in self.devices]
        manager_id = small_company.user_id_of(company, small_company.MANAGER)
        self.sides.append(Side(self, OFFICE, company.master, manager_id, 0))

    def path(self, name):
        return os.path.join(self.company.folder, name)

    # ---- faults ----

    def start_server(self):
        """Doesn't wait: the next kill may come while it is starting."""
        company = self.company
        company.server = lib.Program(
            [company.server_program, "serve", "--data", company.data, "--listen-port",
             str(company.port), "--admin-port", str(company.admin_port),
             "--limit-connects-per-address", "0"], self.path("server.log"))
        company.programs.append(company.server)

    def kill_one(self):
        kind = random.choices(("server", "agent", "writer", "command"), (40, 35, 10, 15))[0]
        if kind == "server":
            self.is_alive(self.company.server, "the server")
            self.company.server.kill()
            self.pause(0.2)
            self.start_server()
        elif kind == "agent":
            device = random.choice(self.devices)
            self.is_alive(device.agent, "the agent of " + device.login)
            device.kill()
            self.pause(0.2)
            device.start()
        elif kind == "writer":
            side = random.choice(self.sides)
            self.is_alive(side.writer, "the writer of " + side.name)
            side.writer.kill()
            side.start()
        elif not self.add_photo(is_killed=True):
            return
        self.kills[kind] += 1

    @staticmethod
    def is_alive(program, name):
        """What ends by itself has found something, or is broken."""
        expect(program.is_running(), "%s ended by itself: %s" % (name, program.log()[-1000:]))

    @staticmethod
    def pause(longest):
        time.sleep(random.choice((0, random.uniform(0, longest))))

    def add_photo(self, is_killed=False):
        """A technician's command. What it has said to have added must arrive; was it killed?"""
        device = random.choice(self.devices)
        visit_id = small_company.VISIT_BASE + self.sides[self.devices.index(device)].user_id
        photo = os.urandom(PHOTO_SIZE)
        file_path = self.path("photo-%d.jpg" % len(os.listdir(self.company.folder)))
        with open(file_path, "wb") as file:
            file.write(photo)
        command = lib.Program([self.company.agent_program, "photo", "add", str(visit_id), file_path,
                               "--data", device.folder], self.path("photo.log"))
        self.company.programs.append(command)
        if is_killed:
            time.sleep(random.uniform(0, 0.15))
            command.kill()
        code = command.process.wait(lib.WAIT_S)
        if code == 0:
            self.photos.append(hashlib.blake2b(photo, digest_size=32).hexdigest())
        expect(code in (0, -9), "photo add: " + command.log()[-1000:])
        os.remove(file_path)
        return code == -9

    def ask_for_sync(self):
        """As `sync --now`: a device that met a dead server would wait for seconds."""
        for device in self.devices:
            path = os.path.join(device.folder, "sync-now")
            with open(path + ".new", "w", encoding="ascii") as file:
                file.write("%d\n" % random.randrange(1, 1 << 40))
            os.rename(path + ".new", path)

    def play(self, kill_count):
        while sum(self.kills.values()) < kill_count:
            self.pause(0.6)
            self.kill_one()
            if random.random() < 0.1:
                self.add_photo()
            if random.random() < 0.8:
                self.ask_for_sync()

    # ---- what must hold ----

    def settle(self):
        """Seconds until everything was everywhere, after the last fault."""
        for side in self.sides:
            side.writer.kill()
        begin = time.monotonic()
        lib.wait_for("the server", self.company.is_healthy)
        self.ask_for_sync()
        self.company.settle(*self.devices, seconds=SETTLE_S)
        lib.wait_for("the photos", lambda: not self.missing_photos(), SETTLE_S)
        return time.monotonic() - begin

    def missing_photos(self):
        return [photo for photo in self.photos if not os.path.exists(self.blob_path(photo))]

    def blob_path(self, photo):
        return os.path.join(self.company.data, "blobs", photo[:2], photo[2:4], photo[4:])

    def stop(self):
        for device in self.devices:
            expect_equal(device.stop(), 0, "exit code of the agent of " + device.login)
        expect_equal(self.company.server.stop(), 0, "exit code of the server")

    def check_files(self):
        files = {"server": self.company.master}
        files.update((device.login, device.replica) for device in self.devices)
        for name, path in files.items():
            expect_equal(lib.query(path, "PRAGMA integrity_check"), [("ok",)], name)
        expect_equal(lib.query(self.company.master, "PRAGMA foreign_key_check"), [], "server")
        self.company.cli("check")
        for device in self.devices:
            device.cli("verify")

        for photo in self.photos:
            with open(self.blob_path(photo), "rb") as file:
                expect_equal(hashlib.blake2b(file.read(), digest_size=32).hexdigest(), photo,
                             "content of a photo")

    def check_rows(self):
        """Rows that were compared on all devices."""
        total = 0
        for device in self.devices:
            count, lines = self.company.compare(device)
            expect_equal(lines, [], device.login)
            total += count
        return total

    def check_journals(self):
        """Transactions that were acknowledged, all there."""
        total = 0
        for side in self.sides:
            begun, done = side.journal()
            self.check_notes(side, begun, done)
            self.check_work(side, begun, done)
            self.check_own_field(side, begun, done)
            total += len(done)
        self.check_shared_field()
        return total

    def refused_notes(self, side):
        """A visit was given away, and its call is still here because an earlier note has no answer
        yet: a note for it now is refused, and kept whole for the office and its author."""
        numbers = []
        for table, reason, payload in self.company.query(
                "SELECT table_name, reason_code, payload FROM review_item WHERE user_id = ?"
                " AND kind IN ('refused', 'parked')", side.user_id):
            values = json.loads(payload)["values"]
            expect_equal((table, reason, values["call_id"]),
                         ("call_note", "not_entitled", small_company.TRAVELLING_CALL), payload)
            numbers.append(int(values["body"].split()[1]))
        return numbers

    def check_notes(self, side, begun, done):
        found = {}
        for (body,) in self.company.query("SELECT body FROM call_note WHERE by_id = ?",
                                          side.user_id):
            name, number, _ = body.split()
            expect_equal(name, side.name, "author of " + body)
            found[int(number)] = found.get(int(number), 0) + 1
        for number in self.refused_notes(side):
            found[number] = found.get(number, 0) + 1
        for number, kind in begun.items():
            count = found.pop(number, 0)
            expect(count == TALLY[kind] or (count == 0 and number not in done),
                   "%s: transaction %d (%s) was %s and left %d notes"
                   % (side.name, number, kind, "done" if number in done else "begun", count))
        expect_equal(found, {}, "notes of %s that nobody wrote" % side.name)

    def check_work(self, side, begun, done):
        works = {number for number, kind in begun.items() if kind == "work"}
        expected = {number for number in works if number in done}
        for statement in ("SELECT break_min FROM work_session WHERE technician_id = ?",
                          "SELECT amount_cents FROM expense WHERE technician_id = ?",
                          "SELECT CAST(substr(body, length(?2) + 2) AS INTEGER) FROM call_note"
                          " WHERE by_id = ?1 AND body LIKE '% 2'"):
            values = (side.user_id, side.name) if "?2" in statement else (side.user_id,)
            found = [row[0] for row in self.company.query(statement, *values)]
            expect_equal(len(found), len(set(found)), "%s: nothing twice" % side.name)
            found = set(found)
            expect(expected <= found <= works,
                   "%s: lost %r, too many %r" % (side.name, expected - found, found - works))
            expected = works = found # the other tables have exactly the same

    def check_own_field(self, side, begun, done):
        numbers = [number for number, kind in begun.items() if kind == "own"]
        finished = [number for number in numbers if number in done]
        value = self.company.value("SELECT phone FROM contact WHERE name = ?",
                                   "Contact of " + side.name)
        if value is None:
            return
        expect(int(value) >= max(finished, default=0) and int(value) in numbers + [0],
               "%s: phone is %s, last acknowledged %s" % (side.name, value,
                                                          max(finished, default=0)))

    def check_shared_field(self):
        value = self.company.value("SELECT access_note FROM site WHERE id = 1")
        name, number = value.split()
        side = next(side for side in self.sides if side.name == name)
        expect_equal(side.journal()[0].get(int(number)), "shared", "origin of " + value)


def main():
    parser = argparse.ArgumentParser(prog="crash")
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--kills", type=int, default=60, help="how many; default: 60")
    parser.add_argument("--devices", type=int, default=2, choices=range(1, len(LOGINS) + 1))
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--keep", action="store_true", help="leave the working folder")
    options = parser.parse_args()
    random.seed(options.seed)
    begin = time.monotonic()
    print("crash: seed %d" % options.seed, flush=True)
    with lib.Company(options.build, is_kept=options.keep) as company:
        try:
            world = World(company, LOGINS[:options.devices])
            world.play(options.kills)
            seconds = world.settle()
            world.stop()
            world.check_files()
            rows = world.check_rows()
            transactions = world.check_journals()
        except Failed:
            print("crash: seed %d failed; the files: %s" % (options.seed, company.folder))
            company.is_kept = True
            raise
        kills = ", ".join("%d %s" % (count, kind) for kind, count in world.kills.items())
        print("%d kills (%s): all %d acknowledged transactions and %d photos are there, %d rows"
              " agree on %d devices; settled %.1f s after the last fault; %.0f s in all"
              % (sum(world.kills.values()), kills, transactions, len(world.photos), rows,
                 len(world.devices), seconds, time.monotonic() - begin))


if __name__ == "__main__":
    main()
