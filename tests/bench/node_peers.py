# SPDX-License-Identifier: Apache-2.0
"""Peers that run on Node, beside ours with the same rows: PouchDB, TinyBase, Turso.

Their packages are installed into the build folder from peers/package-lock.json, never into the
source; peers/*.mjs are the programs, of which common.mjs says how they are run. A device's process
is given LIMIT_S, then it is ended and the figure is reported as not finished.
"""
import glob
import json
import os
import queue
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time

from harness import cpu_s, end, free_port, memory_mib, wait_for
from lib import Line

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers")
NODE_MIN = 20
LIMIT_S = 180
FILL_LIMIT_S = 600  # isn't measured
LIVE_LIMIT_S = 400  # so many devices of one process are made one after the other
INSTALL_LIMIT_S = 600
YARDSTICK = "Fieldsync, same run"
CUSTOMER = "JOIN customers c ON c.id = s.customer_id"
SITE = "JOIN sites s ON s.id = t.site_id " + CUSTOMER
CALL = "JOIN calls k ON k.id = t.call_id JOIN sites s ON s.id = k.site_id " + CUSTOMER
OWNERS = {"customers": "JOIN customers c ON c.id = t.id",
          "sites": "JOIN sites s ON s.id = t.id " + CUSTOMER,
          "assets": SITE, "calls": SITE, "worklogs": CALL, "partuse": CALL}


def say(words):
    print("bench: " + words, file=sys.stderr, flush=True)


class NotFinished(Exception):
    pass


# ---- what they need ----

def missing_tool():
    """Why nothing here can be measured; None if it can."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return "no Node with npm here"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20,
                             check=False).stdout.strip()
    if not is_new_enough(version):
        return "Node %s is older than %d" % (version or "without a version", NODE_MIN)
    return None


def is_new_enough(version):
    major = version.removeprefix("v").split(".")[0]
    return major.isdigit() and int(major) >= NODE_MIN


def install(build):
    """The folder with the programs and their packages; npm runs only if the lock has changed."""
    folder = os.path.join(build, "peers")
    os.makedirs(folder, exist_ok=True)
    for path in glob.glob(os.path.join(FOLDER, "*.*")):
        shutil.copy(path, folder)
    shutil.copy(os.path.join(FOLDER, ".npmrc"), folder)
    lock, installed = os.path.join(FOLDER, "package-lock.json"), os.path.join(folder, "installed")
    if os.path.exists(installed) and same(lock, installed):
        return folder
    say("npm ci in the build folder")
    done = subprocess.run(["npm", "ci"], cwd=folder, capture_output=True, text=True,
                          timeout=INSTALL_LIMIT_S, check=False)
    if done.returncode != 0:
        raise NotFinished("npm ci failed: " + done.stderr.strip()[-500:])
    shutil.copy(lock, installed)
    return folder


def same(one, other):
    with open(one, "rb") as first, open(other, "rb") as second:
        return first.read() == second.read()


# ---- the rows ----

def rows_of(database):
    """Each row of W as [table, id, territory, customer, values]; what is NULL is left out. A part's
    territory is its depot, as for our technicians."""
    rows = []
    for table in ("customers", "sites", "assets", "calls", "worklogs", "parts", "partuse"):
        owner = OWNERS.get(table)
        found = database.execute(
            "SELECT %s, t.* FROM %s t %s ORDER BY t.id"
            % ("c.territory, c.id" if owner else "t.depot, 0", table, owner or ""))
        names = [column[0] for column in found.description][3:]
        for territory, customer, number, *values in found:
            rows.append([table, number, territory, customer,
                         {name: value for name, value in zip(names, values) if value is not None}])
    return rows


class Work:
    """W and the batch of T2 as files for the peers."""

    def __init__(self, company):
        database = sqlite3.connect(company.path("w", "w.db"))
        rows = rows_of(database)
        database.close()
        self.plain = company.path("w", "w.db")
        self.w = company.path("w", "w.json")
        self.batch = company.path("w", "t2.json")
        self.row_count = len(rows)
        self.part_count = sum(row[2] == 1 for row in rows)
        with open(self.w, "w", encoding="utf-8") as file:
            json.dump(rows, file, separators=(",", ":"))
        with open(self.batch, encoding="utf-8") as file:
            self.inserted = sum(operation[0] == "i" for operation in json.load(file))


# ---- running them ----

class Child:
    """A process of a peer: its lines of JSON, its time, its end."""

    def __init__(self, company, command, name):
        with open(company.path(name + ".log"), "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=log)
        company.children.append(self.process)
        self.answers = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            answer = answer_of(line)
            if answer is not None:
                self.answers.put(answer)
        self.answers.put(None)

    def answer(self, limit_s):
        """Its next answer."""
        try:
            answer = self.answers.get(timeout=limit_s)
        except queue.Empty:
            raise NotFinished("not finished in %d s" % limit_s) from None
        if answer is None:
            raise NotFinished("ended without an answer")
        return answer

    def tell(self, words):
        self.process.stdin.write((json.dumps(words) + "\n").encode())
        self.process.stdin.flush()

    def ended(self, limit_s):
        """CPU seconds of the whole process, once it has ended."""
        self.process.stdin.close()
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            number, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if number:
                self.process.returncode = os.waitstatus_to_exitcode(status)
                if self.process.returncode != 0:
                    raise NotFinished("ended with status %d" % self.process.returncode)
                return usage.ru_utime + usage.ru_stime
            time.sleep(0.001)
        raise NotFinished("not finished in %d s" % limit_s)


def answer_of(line):
    """What a program says in one line of JSON; None: a library's own words."""
    try:
        answer = json.loads(line)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def checked(answer, name, wanted):
    if answer.get(name) != wanted:
        raise NotFinished("%s is %s instead of %s" % (name, answer.get(name), wanted))


class Peer:
    """PouchDB; the others differ in a few steps."""

    name = "pouchdb"
    can_filter = True

    def __init__(self, company, programs, work):
        self.company = company
        self.programs = programs
        self.work = work
        self.server = None
        self.port = None
        self.line = None
        self.rounds = 0

    def path(self, name):
        return self.company.path(self.name, name)

    def node(self, *arguments):
        command = ["node", os.path.join(self.programs, self.name + ".mjs"), *map(str, arguments)]
        return Child(self.company, command, self.name)

    def work_of(self, *arguments, limit_s=LIMIT_S):
        """A whole process that answers once: wall and CPU seconds, and the answer."""
        begin = time.monotonic()
        child = self.node(*arguments)
        try:
            answer = child.answer(limit_s)
            cpu = child.ended(LIMIT_S)
        finally:
            end(child.process)
        return time.monotonic() - begin, cpu, answer

    # ---- the server ----

    def fill(self):
        self.work_of("fill", self.path("server"), self.work.w, limit_s=FILL_LIMIT_S)

    def serve(self):
        self.port = free_port()
        self.server = self.node("serve", self.port, self.path("server"))
        self.server.answer(LIMIT_S)
        self.line = Line(self.port)

    def live_port(self):
        """Where customer 1's rows are."""
        return self.port

    def stop(self):
        if self.line is not None:
            self.line.close()
        if self.server is not None:
            end(self.server.process)

    # ---- a device ----

    def url(self, port=None):
        return "http://127.0.0.1:%d" % (port or self.line.port)

    def settle(self, folder):
        """What a first session leaves to be looked at once, such as checkpoints of the way up."""
        self.work_of("again", self.url(), folder)

    def deliver(self, folder):
        return self.work_of("deliver", self.url(), folder)

    def size(self, folder):
        """Bytes of a replica's files."""
        return sum(os.path.getsize(path) for path in glob.glob(folder + "/**", recursive=True)
                   if os.path.isfile(path))


class TinyBase(Peer):
    name = "tinybase"

    def deliver(self, folder):
        """Until the server's program has seen all of it."""
        self.server.tell({"path": self.work.batch, "round": self.rounds})
        checked(self.server.answer(LIMIT_S), "watching", self.rounds)
        begin = time.monotonic()
        child = self.node("deliver", self.url(), folder)
        try:
            checked(self.server.answer(LIMIT_S), "has", self.rounds)
            wall = time.monotonic() - begin
            cpu = child.ended(LIMIT_S)
        finally:
            end(child.process)
        return wall, cpu, {}


class Turso(Peer):
    name = "turso"
    can_filter = False

    def __init__(self, company, programs, work):
        super().__init__(company, programs, work)
        self.second = None
        self.second_port = None

    def fill(self):
        """The server serves what it finds in the write-ahead log, so nothing is checkpointed."""
        os.makedirs(self.path("server"))
        copy_into_log(self.work.plain, self.path("server/w.db"), "1")
        copy_into_log(self.work.plain, self.path("server/customer1.db"), "id IN (%s)" % (
            "SELECT c.id FROM w.calls c JOIN w.sites s ON s.id = c.site_id"
            " WHERE s.customer_id = 1"), ("calls",))

    def start(self, name):
        program = glob.glob(os.path.join(self.programs, "node_modules", "@tursodatabase", "cli-*",
                                         "tursodb"))
        if not program:
            raise NotFinished("no server for this machine in the package turso")
        port = free_port()
        child = Child(self.company, [program[0], self.path(name), "--sync-server",
                                     "127.0.0.1:%d" % port], self.name)
        wait_for("tursodb", lambda: is_listening(port))
        return child, port

    def serve(self):
        self.server, self.port = self.start("server/w.db")
        self.second, self.second_port = self.start("server/customer1.db")
        self.line = Line(self.port)

    def live_port(self):
        return self.second_port

    def stop(self):
        super().stop()
        if self.second is not None:
            end(self.second.process)


def copy_into_log(source, path, condition, tables=()):
    """Tables of a plain file (all if none is named) into a new one in WAL mode, all in its log."""
    made = path + ".made"
    database = sqlite3.connect(made, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA wal_autocheckpoint=0")
    database.execute("ATTACH ? AS w", (source,))
    database.execute("BEGIN")
    for kind in ("table", "index"):
        for name, table, sql in database.execute(
                "SELECT name, tbl_name, sql FROM w.sqlite_schema WHERE type = ?",
                (kind,)).fetchall():
            database.execute(sql)
            if kind == "table" and (not tables or table in tables):
                database.execute("INSERT INTO main.%s SELECT * FROM w.%s WHERE %s"
                                 % (name, name, condition))
    database.execute("COMMIT")
    shutil.copy(made, path)
    shutil.copy(made + "-wal", path + "-wal")
    database.close()
    os.remove(made)


def is_listening(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


# ---- the figures ----

class Measures:
    """All figures of one peer. A figure that isn't reached is said, and the next one taken."""

    def __init__(self, peer):
        self.peer = peer
        self.company = peer.company
        self.figures = peer.company.figures
        self.runs = 1 if peer.company.quick else 3
        self.replica = None

    def add(self, name, metric, samples):
        self.figures.beside(name, self.peer.name, metric, samples, YARDSTICK)

    def all(self):
        for step in (self.first, self.part, self.offline, self.again, self.rest, self.live):
            try:
                step()
            except NotFinished as problem:
                self.figures.note("%s %s" % (self.peer.name, step.__name__), str(problem))

    def sessions(self, name, session, checks):
        """Each a process: wall, bytes, CPU of both sides."""
        line = self.peer.line
        columns = {metric: [] for metric in ("wall_s", "bytes_down", "bytes_up", "cpu_server_s",
                                             "cpu_agent_s")}
        for number in range(self.runs):
            up, down = line.bytes_up, line.bytes_down
            before = cpu_s(self.peer.server.process.pid)
            wall, cpu, answer = session(number)
            columns["cpu_server_s"].append(cpu_s(self.peer.server.process.pid) - before)
            columns["bytes_up"].append(line.bytes_up - up)
            columns["bytes_down"].append(line.bytes_down - down)
            columns["wall_s"].append(wall)
            columns["cpu_agent_s"].append(cpu)
            checks(answer)
        for metric, samples in columns.items():
            self.add(name, metric, samples)

    def first(self):
        peer, work = self.peer, self.peer.work

        def session(number):
            self.replica = peer.path("device%d" % number)
            return peer.work_of("first", peer.url(), self.replica, work.row_count)

        self.sessions("T1", session, lambda answer: checked(answer, "rows", work.row_count))
        self.add("T7", "file_ratio", [peer.size(self.replica) / os.path.getsize(work.plain)])

    def part(self):
        peer, work = self.peer, self.peer.work
        if peer.can_filter:
            self.sessions("T1b", lambda number: peer.work_of(
                "part", peer.url(), peer.path("part%d" % number), work.part_count),
                lambda answer: checked(answer, "rows", work.part_count))

    def offline(self):
        peer, work = self.peer, self.peer.work
        self.needs_replica()
        peer.settle(self.replica)

        def session(_):
            peer.rounds += 1
            peer.work_of("record", self.replica, work.batch, peer.rounds, work.w)
            return peer.deliver(self.replica)

        self.sessions("T2", session, lambda answer: None)
        expected = work.row_count + work.inserted * self.runs
        _, _, answer = peer.work_of("first", peer.url(), peer.path("witness"), expected)
        checked(answer, "rows", expected)  # all of it is on the server

    def again(self):
        self.needs_replica()
        line = self.peer.line
        seconds, sizes = [], []
        self.peer.settle(self.replica)
        for _ in range(self.runs * 3):
            before = line.bytes_up + line.bytes_down
            seconds.append(self.peer.work_of("again", self.peer.url(), self.replica)[2]["ms"] / 1000)
            sizes.append(line.bytes_up + line.bytes_down - before)
        self.add("T6", "wall_s", seconds)
        self.add("T6", "bytes_total", sizes)

    def rest(self):
        """A server that was just started, with one device."""
        self.needs_replica()
        self.peer.stop()
        self.peer.serve()
        device = self.peer.node("rest", self.peer.url(), self.replica)
        try:
            device.answer(LIMIT_S)
            time.sleep(0.3 if self.company.quick else 5)
            self.add("T5", "rss_server_mib", [memory_mib(self.peer.server.process.pid)])
            self.add("T5", "rss_agent_mib", [memory_mib(device.process.pid)])
            device.ended(20)
        finally:
            end(device.process)

    def live(self):
        """Straight to the server: nothing between that costs time."""
        for count in (3,) if self.company.quick else (1, 100):
            answer = self.peer.work_of(
                "live", self.peer.url(self.peer.live_port()), self.peer.path("live%d" % count), count,
                3 if self.company.quick else 50, limit_s=LIVE_LIMIT_S)[2]
            self.figures.percentiles_beside("T4/%d" % count, self.peer.name, answer["samples"],
                                            YARDSTICK)

    def needs_replica(self):
        if self.replica is None:
            raise NotFinished("no replica")


def measure(company, names):
    """PouchDB, TinyBase and Turso, as far as they are named and can run here."""
    why = missing_tool()
    if why is not None:
        say("%s: left out %s" % (why, ", ".join(names)))
        return
    try:
        programs = install(company.options.build)
    except (NotFinished, subprocess.TimeoutExpired) as problem:
        say("left out %s: %s" % (", ".join(names), problem))
        return
    work = Work(company)
    for kind in (Peer, TinyBase, Turso):
        if kind.name in names:
            say(kind.name)
            one(kind(company, programs, work))


def one(peer):
    os.makedirs(peer.company.path(peer.name))
    try:
        peer.fill()
        peer.serve()
        Measures(peer).all()
    except NotFinished as problem:
        peer.company.figures.note(peer.name, str(problem))
    finally:
        peer.stop()
        shutil.rmtree(peer.company.path(peer.name), ignore_errors=True)
