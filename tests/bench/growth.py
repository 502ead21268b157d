#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What grows with the number of rows, and with the number of devices: nothing more than in
proportion, and the work of one commit not at all.

    growth.py BUILD [--quick] [--times 1,2,5,10] [--devices 0,10,100,1000] [--json FILE] [--svg FILE]

For each size of W (workload.py), a server of its own: rows adopted, a new device with all of it and
one with a twentieth, then commits of one changed row each. Then, with W once, commits while so many
devices are connected that have nothing of what changes, or all of it. Prints a table with the exponent
of each figure's growth (1: in proportion; 0: not at all), writes growth.json and growth.svg.
"""
import argparse
import collections
import json
import math
import os
import re
import resource
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "..", "e2e"))

import growth_chart  # pylint: disable=wrong-import-position
from crowd import Crowd  # pylint: disable=wrong-import-position
from lib import Company, Failed, expect, free_port, wait_for  # pylint: disable=wrong-import-position

TICKS = os.sysconf("SC_CLK_TCK")
PROPORTIONAL_MAX = 1.15  # an exponent that still counts as growth in proportion, by what times scatter

# Role technician gets a twentieth of W once, whatever is in the master beside it; role dispatcher one
# of all that there is.
PART_SQL = """INSERT INTO fs_subscription (role, ordinal, sql) VALUES ('dispatcher', 901,
'SELECT ''customer'' AS kind, id FROM customers WHERE territory <= %d
UNION ALL SELECT ''site'', s.id FROM sites s JOIN customers c ON c.id = s.customer_id
          WHERE c.territory <= %d');
"""

Done = collections.namedtuple("Done", "wall_s cpu_s memory_mib")


def run_timed(*command):
    """Runs a program to its end. (The kernel's own figure for its memory would count ours.)"""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    memory, pid = 0.0, 0
    while pid == 0:
        try:
            memory = max(memory, memory_mib(process.pid, "VmHWM"))
        except (FileNotFoundError, TypeError): # it is ending
            pass
        time.sleep(0.005)
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    process.returncode = os.waitstatus_to_exitcode(status)
    expect(process.returncode == 0, "%s ended with %d" % (" ".join(command), process.returncode))
    return Done(time.monotonic() - begin, usage.ru_utime + usage.ru_stime, memory)


def cpu_s(pid):
    """Of all threads, also of those that have ended."""
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(pid, field="VmRSS"):
    with open("/proc/%d/status" % pid, encoding="ascii") as status:
        return int(re.search(field + r":\s+(\d+)", status.read())[1]) / 1024


def mib(*paths):
    return sum(os.path.getsize(path) for path in paths if os.path.exists(path)) / 2**20


class Figures:
    """name -> {x: value}; the names begin with what they grow with."""

    def __init__(self):
        self.series = collections.OrderedDict()

    def add(self, name, unit, x, value):
        self.series.setdefault((name, unit), {})[x] = value
        print("%-58s %8d  %12.4g %s" % (name, x, value, unit), flush=True)

    @staticmethod
    def exponent(points):
        """Of the growth between the first and the last x that is above 0."""
        xs = sorted(x for x in points if x > 0)
        if len(xs) < 2 or points[xs[0]] <= 0 or points[xs[-1]] <= 0:
            return 0.0
        return math.log(points[xs[-1]] / points[xs[0]]) / math.log(xs[-1] / xs[0])

    def table(self):
        lines = []
        for (name, unit), points in self.series.items():
            lines.append("| %s | %s | %s | %.2f |" % (
                name, unit, " | ".join("%.4g" % points[x] for x in sorted(points)),
                self.exponent(points)))
        return lines

    def too_steep(self):
        return ["%s grows with the power %.2f" % (name, self.exponent(points))
                for (name, _), points in self.series.items()
                if self.exponent(points) > PROPORTIONAL_MAX]


class Growth:
    def __init__(self, options):
        self.options = options
        self.figures = Figures()
        self.commits = 20 if options.quick else 200
        self.rounds = 2 if options.quick else 5
        self.company = None
        self.crowd_program = os.path.join(options.build, "tests", "bench", "crowd")

    # ---- a company of W ----

    def generate(self, folder, times):
        scale = ["--scale", "50"] if self.options.quick else []
        subprocess.run([sys.executable, "-B", os.path.join(FOLDER, "workload.py"), folder, "--times",
                        str(times), *scale], check=True, stdout=subprocess.DEVNULL)

    def found(self, times):
        """The rows of W so many times in the master, adopted."""
        company = Company(self.options.build)
        self.company = company
        os.makedirs(os.path.join(company.data, "schema"))
        shutil.copy(os.path.join(FOLDER, "workload.sql"),
                    os.path.join(company.data, "schema", "5000_common_workload.sql"))
        with open(os.path.join(company.data, "schema", "5001_common_growth.sql"), "w",
                  encoding="ascii") as file:
            file.write(PART_SQL % (times, times))
        company.__enter__()
        for login, role in (("boss", "manager"), ("tech", "technician"), ("part", "dispatcher"),
                            ("idle", "warehouse")):
            company.user_add(login, role)
        folder = os.path.join(company.folder, "w")
        self.generate(folder, times)
        rows = self.copy_rows(os.path.join(folder, "w.db"))
        shutil.rmtree(folder)
        return rows

    def copy_rows(self, path):
        master = sqlite3.connect(self.company.master, isolation_level=None, timeout=20)
        master.execute("PRAGMA wal_autocheckpoint=0") # the server does that
        master.execute("ATTACH ? AS w", (path,))
        master.execute("BEGIN IMMEDIATE")
        count = 0
        for (table,) in master.execute("SELECT name FROM w.sqlite_schema WHERE type='table'").fetchall():
            names = ",".join(row[1] for row in master.execute("PRAGMA w.table_info(%s)" % table))
            count += master.execute("INSERT INTO main.%s(%s) SELECT %s FROM w.%s"
                                    % (table, names, names, table)).rowcount
        master.execute("COMMIT")
        master.close()
        return count

    def serve(self):
        """Starts the server: seconds until everything is adopted."""
        company = self.company
        begin = time.monotonic()
        company.server = None
        company.programs.append(self.start_server())
        wait_for("adoption", lambda: company.is_healthy() and company.value(
            "SELECT count(*) FROM fs_outbox WHERE op <> '-'") == 0, 1200, pause=0.05)
        return time.monotonic() - begin

    def start_server(self):
        from lib import Program # pylint: disable=import-outside-toplevel
        company = self.company
        company.server = Program(
            [company.server_program, "serve", "--data", company.data, "--listen-port",
             str(company.port), "--admin-port", str(company.admin_port),
             "--limit-connects-per-address", "0", "--limit-handshakes-per-address", "1000",
             "--limit-device-changes", "0", "--limit-device-messages", "0"],
            os.path.join(company.folder, "server.log"))
        return company.server

    # ---- devices ----

    def new_device(self, login):
        device = self.company.device_new(login)
        shutil.copytree(os.path.join(self.company.data, "schema"),
                        os.path.join(device.folder, "schema"))
        return device

    def first_sync(self, login):
        """A device's first sync: the device, what the agent took, the server's CPU, bytes down."""
        company, device = self.company, self.new_device(login)
        code = company.code(login)
        pid = company.server.pid
        before, down = cpu_s(pid), company.metric("sent_bytes_total")
        done = run_timed(company.agent_program, "enrol", code, "--data", device.folder, "--server",
                         "ws://127.0.0.1:%d/sync" % company.port)
        return device, done, cpu_s(pid) - before, company.metric("sent_bytes_total") - down

    def start_crowd(self, login, count):
        """`count` devices that keep nothing, in one process, all live and up to date. Their codes
        are written into the master in one go, as `device enrol` writes one."""
        company = self.company
        template = self.template()
        seeds = [os.urandom(48) for _ in range(count)]
        now = int(time.time() * 1e6)
        user = company.value("SELECT id FROM app_user WHERE login = ?", login)
        company.sql(*(("INSERT INTO fs_enrolment(token_id, secret, user_id, created_at, expires_at)"
                       " VALUES(?,?,?,?,?)", seed[:16], seed[16:], user, now, now + 3600 * 10**6)
                      for seed in seeds))
        with open(os.path.join(company.data, "keys", "server.key"), encoding="ascii") as file:
            root = re.search(r"^root ([0-9a-f]{64})$", file.read(), re.M)[1]
        crowd = Crowd([self.crowd_program, str(company.port), root, template, company.data,
                       str(count)], seeds, 1000)
        try:
            crowd.ask("enrol 64")
            crowd.fetch(64)
            crowd.settle()
        except BaseException:
            crowd.end()
            raise
        return crowd

    def template(self):
        """A replica that was never enrolled: an enrolment at a server that isn't there."""
        folder = os.path.join(self.company.folder, "template")
        path = os.path.join(folder, "replica.db")
        if not os.path.exists(path):
            shutil.copytree(os.path.join(self.company.data, "schema"), os.path.join(folder, "schema"))
            subprocess.run([self.company.agent_program, "enrol", self.company.code("idle"), "--data",
                            folder, "--server", "ws://127.0.0.1:%d/sync" % free_port()],
                           capture_output=True, timeout=60, check=False)
        return path

    # ---- one commit ----

    def commit_ms(self):
        """The server's CPU for a commit of one changed row that some program made, in ms: the least
        of some rounds, since whatever else runs here only adds to it."""
        company = self.company
        call = company.value("SELECT a.id FROM calls a JOIN sites s ON s.id=a.site_id JOIN customers c"
                             " ON c.id=s.customer_id WHERE c.territory=1 LIMIT 1")
        master = sqlite3.connect(company.master, isolation_level=None, timeout=20)
        master.execute("PRAGMA wal_autocheckpoint=0")
        samples = []
        for round_no in range(self.rounds):
            before = cpu_s(company.server.pid)
            for number in range(self.commits):
                master.execute("UPDATE calls SET note = ? WHERE id = ?",
                               ("%d %d" % (round_no, number), call))
                while master.execute("SELECT 1 FROM fs_outbox WHERE op <> '-' LIMIT 1").fetchone():
                    time.sleep(0.001)
            time.sleep(0.5) # what readers still do
            samples.append((cpu_s(company.server.pid) - before) * 1000 / self.commits)
        master.close()
        return min(samples)

    def push_ms(self, device):
        """The server's CPU for a device's push of one changed row."""
        company = self.company
        call = device.value("SELECT min(id) FROM calls")
        replica = sqlite3.connect(device.replica, isolation_level=None, timeout=20)
        replica.execute("PRAGMA wal_autocheckpoint=0")
        samples = []
        for round_no in range(self.rounds):
            before = cpu_s(company.server.pid)
            for number in range(self.commits):
                replica.execute("UPDATE calls SET note = ? WHERE id = ?",
                                ("p%d %d" % (round_no, number), call))
                while sum(replica.execute("SELECT unsealed, unacknowledged FROM fs_sync").fetchone()):
                    time.sleep(0.001)
            samples.append((cpu_s(company.server.pid) - before) * 1000 / self.commits)
        replica.close()
        return min(samples)

    # ---- with rows ----

    def with_rows(self, times):
        add = lambda name, unit, value: self.figures.add("rows: " + name, unit, times, value)
        rows = self.found(times)
        company = self.company
        try:
            add("rows of W", "rows", rows)
            add("adopted by the server", "s", self.serve())
            for login, what in (("boss", "all of it"), ("part", "a twentieth of it"),
                                ("tech", "a twentieth of W once")):
                done = [self.first_sync(login) for _ in range(1 if times > 2 else 3)]
                device = done[0][0]
                add("first sync, %s: wall" % what, "s", statistics.median(one[1].wall_s for one in done))
                add("first sync, %s: agent's CPU" % what, "s", min(one[1].cpu_s for one in done))
                add("first sync, %s: server's CPU" % what, "s", min(one[2] for one in done))
                add("first sync, %s: bytes down" % what, "MB", done[0][3] / 1e6)
                add("first sync, %s: agent's memory, most" % what, "MiB",
                    max(one[1].memory_mib for one in done))
                add("replica, %s" % what, "MiB", mib(device.replica))
            add("server's memory after that", "MiB", memory_mib(company.server.pid))
            company.server.stop()
            add("master", "MiB", mib(company.master))
            self.serve()
            device.start()
            device.wait_idle(120)
            add("one commit by plain SQL: server's CPU", "ms", self.commit_ms())
            add("one push of one row: server's CPU", "ms", self.push_ms(device))
            time.sleep(4)
            add("server's memory at rest", "MiB", memory_mib(company.server.pid))
            add("agent's memory at rest, a twentieth of W once", "MiB", memory_mib(device.agent.pid))
        finally:
            company.close()

    # ---- with devices ----

    def with_devices(self, login, what, counts):
        for count in counts:
            crowd = self.start_crowd(login, count) if count else None
            try:
                time.sleep(1)
                self.figures.add("devices %s: one commit, server's CPU" % what, "ms", count,
                                 self.commit_ms())
                self.figures.add("devices %s: server's memory" % what, "MiB", count,
                                 memory_mib(self.company.server.pid))
            finally:
                if crowd:
                    crowd.end()

    def measure(self):
        for times in self.options.times:
            self.with_rows(times)
        self.found(1)
        try:
            self.serve()
            self.with_devices("idle", "that have nothing of it", self.options.devices)
            self.with_devices("tech", "that get the change",
                              [count for count in self.options.devices if count <= 100])
        finally:
            self.company.close()


def allow_descriptors(count):
    """In the server and in the crowd, which inherit it: one a device."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        count = min(count, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))


def numbers(text):
    return [int(word) for word in text.split(",")]


def main():
    parser = argparse.ArgumentParser(prog="growth")
    parser.add_argument("build", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="a fiftieth of everything: does it run?")
    parser.add_argument("--times", type=numbers, default=[1, 2, 5, 10])
    parser.add_argument("--devices", type=numbers, default=[0, 10, 100, 1000])
    parser.add_argument("--json", default="growth.json")
    parser.add_argument("--svg", default="growth.svg")
    options = parser.parse_args()
    if options.quick:
        options.times, options.devices = [1, 2], [0, 3]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1)) # whatever was started is ended
    allow_descriptors(max(options.devices) + 2000)
    growth = Growth(options)
    try:
        growth.measure()
    except Failed as failure:
        print("FAILED: %s" % failure)
        return 1
    print("\n".join(growth.figures.table()))
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump([{"what": name, "unit": unit, "points": points}
                   for (name, unit), points in growth.figures.series.items()], file, indent=1)
        file.write("\n")
    with open(options.svg, "w", encoding="utf-8") as file:
        file.write(growth_chart.draw(growth.figures.series))
    for line in growth.figures.too_steep():
        print("steeper than in proportion: " + line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
