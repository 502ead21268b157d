#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small device on a bad radio link: what a day's work costs, and what waiting costs.

    weak_link.py BUILD [--quick] [--only day,idle,first] [--json FILE] [--memory-kib N]

The real agent runs on one core, at the lowest priority, in a bounded address space, behind the link
of weak_net.py: 9,600 bits a second each way, 600 ms each way, every tenth packet lost. A technician
has recorded 20 changes, two photos of 200 KB and a signature; then the link comes, and breaks in
the middle of the photos again and again. --quick is the same story over a better link with smaller
photos, in half a minute: it shows that it works, its figures mean little.
"""
import argparse
import collections
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

import small_company  # pylint: disable=wrong-import-position
from day import digest_of  # pylint: disable=wrong-import-position
from lib import (Company, Failed, change, expect, is_sanitized,  # pylint: disable=wrong-import-position
                 query, wait_for)
from weak_net import (DOWN, FINE, GONE, NOT_PERMITTED, SERVER_ADDRESS, UP, Network,  # pylint: disable=wrong-import-position
                      NotPermitted, Weather, enter_namespace)

HOUR_S = 3600
CHANGES = 20
PHOTOS = 2
FIRST_NOTES = 1000

# What is played: the link, photos of so many bytes, how often the link breaks, and how long it is
# gone then; seconds of each kind of waiting; seconds until we give up.
Scale = collections.namedtuple("Scale", "weather photo_size cuts gone_s idle_s limit_s")
FULL = Scale(Weather(bits=9600, latency_s=0.6, loss=0.1), 200_000, 3, 20, 600, 3600)
QUICK = Scale(Weather(bits=64_000, latency_s=0.1, loss=0.03), 30_000, 2, 1, 0, 60)


class Radio:
    """What tests know as a device's line."""

    def __init__(self, network, server_port):
        self.network = network
        self.server_port = server_port

    def url(self):
        return "ws://%s:%d/sync" % (SERVER_ADDRESS, self.server_port)

    def close(self):
        pass


def status_of(pid, field):
    with open("/proc/%d/status" % pid, encoding="ascii") as status:
        return int(re.search(field + r":\s+(\d+)", status.read())[1])


def cpu_s(pid):
    with open("/proc/%d/schedstat" % pid, encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e9


class Play:
    def __init__(self, options, company, network):
        self.scale = QUICK if options.quick else FULL
        self.company = company
        self.network = network
        self.memory_kib = 0 if is_sanitized(options.build) else options.memory_kib
        self.figures = []
        self.device = None
        self.photos = []

    def add(self, what, value, unit):
        self.figures.append({"what": what, "value": round(value, 3), "unit": unit})
        print("| %-62s | %12s | %s |" % (what, "%.4g" % value if unit == "s" else "%d" % round(value),
                                         unit), flush=True)

    # ---- a small device ----

    def small_agent(self):
        """The agent as a program of the device's side, with as little of everything as it gets."""
        path = os.path.join(self.company.folder, "small-agent")
        limit = "ulimit -v %d || exit 1\n" % self.memory_kib if self.memory_kib else ""
        core = () if self.scale is QUICK else ("taskset", "--cpu-list", "0", "nice", "-n", "19")
        with open(path, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\n%sexec %s \"$@\"\n" % (limit, " ".join(
                self.network.command(*core, self.company.agent_program))))
        os.chmod(path, 0o755)
        return path

    def found(self):
        company = self.company
        small_company.found(company, ["mario", "luca"])
        company.serve("--listen-address", "0.0.0.0")
        company.make_line = lambda port: Radio(self.network, port)
        company.agent_program = self.small_agent()
        self.device = company.device_add("mario")
        self.device.run("--verbose")

    # ---- what is recorded ----

    def work(self):
        """20 changes, a signature, photos: offline, by the commands that a technician has."""
        device, visit = self.device, str(small_company.visit_of(self.company, "mario"))
        for step in ("accept", "depart", "arrive", "start"):
            device.cli("activity", step, visit)
        for number in range(CHANGES - 8):
            device.cli("expense", "add", visit, "parking", "%d.50" % (number + 1))
        device.cli("part", "use", visit, "P", "2")
        device.cli("work", "add", visit, "--minutes", "55")
        device.cli("activity", "report", visit, "--outcome", "solved", "--text",
                   "Igniter changed, burner cleaned, door seal replaced, tested for half an hour.")
        device.cli("activity", "finish", visit)
        strokes = os.path.join(self.company.folder, "pen")
        with open(strokes, "w", encoding="ascii") as file:
            for point in range(180):
                file.write("%d %d %d %d\n" % (10 + 3 * point, 40 + (point * 37) % 90, 500, 12 * point))
        device.cli("sign", visit, "--name", "Maria Bianchi", "--role", "titolare", "--strokes", strokes)
        for number in range(PHOTOS):
            photo = b"\xff\xd8\xff\xe0" + os.urandom(self.scale.photo_size - 4)
            path = os.path.join(self.company.folder, "photo%d.jpg" % number)
            with open(path, "wb") as file:
                file.write(photo)
            device.cli("photo", "add", visit, path, "--customer")
            self.photos.append(digest_of(photo))

    def has_data(self):
        return self.company.query("SELECT (SELECT count(*) FROM expense), (SELECT count(*) FROM"
                                  " signature), (SELECT count(*) FROM attachment), (SELECT count(*)"
                                  " FROM part_use)")[0] == (CHANGES - 8, 1, PHOTOS + 1, 1) # the pen's strokes are a file, too

    def size_there(self, digest):
        """Bytes of a photo that the server holds."""
        folder = os.path.join(self.company.data, "blobs")
        for path in (os.path.join(folder, digest[:2], digest[2:4], digest[4:]),
                     os.path.join(folder, "partial", digest)):
            try:
                return os.path.getsize(path)
            except FileNotFoundError:
                pass
        return 0

    def is_whole(self, digest):
        return os.path.exists(os.path.join(self.company.data, "blobs", digest[:2], digest[2:4],
                                           digest[4:]))

    def photo_bytes(self):
        return sum(self.size_there(digest) for digest in self.photos)

    # ---- the day ----

    def wait(self, what, condition):
        return wait_for(what, condition, self.scale.limit_s, pause=0.05)

    def go_away(self, seconds):
        """The link breaks and is gone for so long."""
        self.network.weather = GONE
        self.network.break_connections()
        self.wait("mario to be offline", lambda: not self.device.is_live())
        time.sleep(seconds)

    def come_back(self):
        self.network.weather = self.scale.weather
        self.device.nudge()

    def day(self):
        self.go_away(0)
        self.work()
        self.network.new_tally()
        begin = time.monotonic()
        self.come_back()
        self.wait("the data", self.has_data)
        self.add("data of the day on the master", time.monotonic() - begin, "s")
        expect(self.photo_bytes() == 0, "photos came before the data")
        before = self.network.tally.payload[UP]
        self.add("payload up until then", before, "bytes")
        changes, resumed = [], []
        for cut in range(self.scale.cuts):
            self.wait_photos((cut + 1) / (self.scale.cuts + 2))
            changes.append(self.change_behind_photo(cut))
            held = self.photo_bytes()
            self.go_away(self.scale.gone_s)
            self.come_back()
            back = time.monotonic()
            self.wait("photos to go on", lambda held=held: self.photo_bytes() > held)
            resumed.append(time.monotonic() - back)
            expect(self.photo_bytes() >= held, "a photo began again")
        self.wait("the photos", lambda: all(map(self.is_whole, self.photos)))
        self.add("photos whole on the server, links that broke included", time.monotonic() - begin, "s")
        self.device.wait_idle(self.scale.limit_s)
        self.report_day(changes, resumed)

    def wait_photos(self, share):
        wanted = share * PHOTOS * self.scale.photo_size
        self.wait("photos under way", lambda: self.photo_bytes() >= wanted)

    def change_behind_photo(self, number):
        """Seconds until a change that is made while a photo is being sent is on the master."""
        note = "seen %d" % number
        self.device.sql(("UPDATE contact SET phone = ? WHERE id = ?", note,
                         small_company.SHARED_CONTACT))
        begin = time.monotonic()
        self.wait("a change behind a photo", lambda: self.company.value(
            "SELECT phone FROM contact WHERE id = ?", small_company.SHARED_CONTACT) == note)
        return time.monotonic() - begin

    def report_day(self, changes, resumed):
        tally = self.network.new_tally()
        parts = self.parts_sent()
        wanted = PHOTOS * self.scale.photo_size
        self.add("a change recorded while a photo is sent, until it is on the master: longest",
                 max(changes), "s")
        self.add("the same: median", statistics.median(changes), "s")
        self.add("from the link's return until a photo goes on: longest", max(resumed), "s")
        self.add("bytes up on the line, TCP/IP headers and resends included", tally.bytes[UP], "bytes")
        self.add("bytes down on the line, the same", tally.bytes[DOWN], "bytes")
        self.add("payload up that TCP sent again", tally.resent[UP], "bytes")
        self.add("photo bytes that were given to the network", parts, "bytes")
        self.add("of these beyond the photos' size", parts - wanted, "bytes")
        self.add("packets lost", sum(tally.lost), "packets")
        self.add("connections", len(tally.connects), "connections")
        self.add("agent's address space, most", status_of(self.device.agent.pid, "VmPeak"), "KiB")
        self.add("agent's memory, most", status_of(self.device.agent.pid, "VmHWM"), "KiB")
        self.add("agent's CPU since its start", cpu_s(self.device.agent.pid), "s")
        expect(self.company.differences(self.device) == [], "replica and master differ")

    def parts_sent(self):
        """Bytes of photos in parts, by the agent's own log: sent again, they count again."""
        return sum(int(size) for size, whole in re.findall(
            r"BLOB_PART at \d+, (\d+) bytes of (\d+)", self.device.agent.log())
                   if int(whole) == self.scale.photo_size)

    # ---- waiting ----

    def idle(self):
        self.network.weather = self.scale.weather
        self.device.wait_idle(self.scale.limit_s)
        self.measure("idle, connected")

    def offline(self):
        self.network.weather = GONE
        self.network.break_connections()
        self.measure("no link")
        self.network.weather = self.scale.weather
        self.device.nudge()
        self.device.wait_idle(self.scale.limit_s)

    def measure(self, name):
        """An hour of waiting, from a part of it."""
        pid, seconds = self.device.agent.pid, self.scale.idle_s
        waits = os.path.join(self.company.folder, "waits")
        self.network.new_tally()
        cpu = cpu_s(pid)
        subprocess.run(["timeout", str(seconds), "strace", "-f", "-e", "trace=epoll_wait", "-o",
                        waits, "-p", str(pid)], capture_output=True, check=False)
        tally = self.network.new_tally()
        hour = HOUR_S / seconds
        with open(waits, encoding="utf-8") as file:
            wakes = sum("epoll_wait(" in line for line in file)
        self.add(name + ", an hour: bytes up, headers included", tally.bytes[UP] * hour, "bytes")
        self.add(name + ", an hour: bytes down", tally.bytes[DOWN] * hour, "bytes")
        self.add(name + ", an hour: packets", sum(tally.packets) * hour, "packets")
        self.add(name + ", an hour: the radio wakes", tally.wakes() * hour, "times")
        self.add(name + ", an hour: connections tried", len(tally.connects) * hour, "times")
        self.add(name + ", an hour: the agent wakes", wakes * hour, "times")
        self.add(name + ", an hour: CPU", (cpu_s(pid) - cpu) * hour, "s")

    # ---- a device's first sync ----

    def first(self):
        """Some 120 KB: minutes of rows, in which the device has nothing to say."""
        self.network.weather = FINE
        self.company.sql(("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
                          " INSERT INTO call_note (id, call_id, occurred_at, by_id, body)"
                          " SELECT (SELECT id FROM new_id) + i, 1, i, 1, hex(randomblob(100)) FROM n",
                          FIRST_NOTES))
        other = self.company.device_new("luca")
        code = self.company.code("luca")
        self.network.new_tally()
        self.network.weather = self.scale.weather
        begin = time.monotonic()
        other.cli("enrol", code, "--server", other.line.url(), seconds=self.scale.limit_s, code=None)
        other.start()
        other.wait_idle(self.scale.limit_s)
        self.add("a new device: enrolled and with its first sync", time.monotonic() - begin, "s")
        tally = self.network.new_tally()
        self.add("a new device: bytes down on the line", tally.bytes[DOWN], "bytes")
        self.add("a new device: bytes up on the line", tally.bytes[UP], "bytes")
        self.add("a new device: connections", len(tally.connects), "connections")
        other.stop()


def main():
    parser = argparse.ArgumentParser(prog="weak-link")
    parser.add_argument("build", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="half a minute over a better link")
    parser.add_argument("--only", default="day,idle,offline,first")
    parser.add_argument("--memory-kib", type=int, default=22528, help="ulimit -v of the agent")
    parser.add_argument("--json", help="write the figures there, too")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1)) # whatever was started is ended
    try:
        enter_namespace()
        network = Network()
    except NotPermitted as problem:
        print("skipped: %s" % problem)
        return NOT_PERMITTED
    try:
        with Company(options.build) as company:
            play = Play(options, company, network)
            play.found()
            wanted = ["day"] if options.quick else options.only.split(",")
            for part in wanted:
                getattr(play, part)()
    except Failed as failure:
        print("FAILED: %s" % failure)
        return 1
    finally:
        network.close()
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(play.figures, file, indent=1)
            file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
