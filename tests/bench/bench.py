#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures Fieldsync with its real programs over the loopback: encryption on, every commit of the
server durable. docs/PERFORMANCE.md says what each line means.

    bench [--quick] [--only T1,T4] [--json FILE] [--keep]

Prints one table and writes bench.json. --quick is a smoke test with a fiftieth of the data: it
shows that everything runs, its figures mean nothing. Every process started here is ended here.
"""
import argparse
import collections
import json
import os
import random
import re
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

FOLDER = os.path.dirname(os.path.abspath(__file__))
WAIT_S = 60


def run(*command):
    """Runs a program to its end; what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    if done.returncode != 0:
        raise SystemExit("bench: %s: %s%s" % (" ".join(command), done.stdout, done.stderr))
    return done.stdout


def timed(*command):
    """Runs a program to its end: wall seconds and its CPU seconds."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - begin
    if process.returncode != 0:
        raise SystemExit("bench: %s: %s" % (" ".join(command), output.decode()))
    return wall, usage.ru_utime + usage.ru_stime


def wait_for(what, condition, seconds=WAIT_S):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("bench: waited too long for " + what)
        time.sleep(0.005)


def memory_mib(pid, field="VmRSS"):
    with open("/proc/%d/status" % pid, encoding="ascii") as status:
        return int(re.search(field + r":\s+(\d+)", status.read())[1]) / 1024


def cpu_s(pid):
    """CPU of all threads that live, in seconds."""
    total = 0
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/schedstat" % (pid, task), encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def end(process):
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Counter:
    """Passes one connection at a time on to the server and counts every byte of TCP payload."""

    def __init__(self, port):
        self.server_port = port
        self.bytes = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.server_port))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self.copy, args=(one, other), daemon=True).start()

    def copy(self, one, other):
        try:
            while data := one.recv(65536):
                self.bytes += len(data)
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Figures:
    """All that was measured, as bench.json has it."""

    def __init__(self):
        self.rows = []

    def add(self, name, metric, samples, yardstick="", ratio_to=None):
        samples = list(samples)
        median = statistics.median(samples)
        row = {"id": name, "metric": metric, "median": round(median, 6),
               "min": round(min(samples), 6), "max": round(max(samples), 6), "n": len(samples),
               "yardstick": yardstick, "ratio": round(median / ratio_to, 3) if ratio_to else None}
        self.rows.append(row)
        print(format_row(row), flush=True)

    def percentiles(self, name, samples_ms, yardstick, ratio_to):
        ordered = sorted(samples_ms)
        self.add(name, "p50_ms", ordered, yardstick, ratio_to)
        p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        self.add(name, "p99_ms", [p99])
        self.rows[-1]["n"] = len(ordered)


def format_row(row):
    def number(value):
        return "%d" % value if row["metric"].startswith("bytes") else "%.4g" % value
    ratio = "%.2f x %s" % (row["ratio"], row["yardstick"]) if row["ratio"] else row["yardstick"]
    return "| %-7s | %-18s | %10s | %10s | %10s | %3d | %s |" % (
        row["id"], row["metric"], number(row["median"]), number(row["min"]), number(row["max"]),
        row["n"], ratio)


class Bench:
    def __init__(self, options, folder):
        self.options = options
        self.quick = options.quick
        self.folder = folder
        self.server_program = os.path.join(options.build, "fieldsync-server")
        self.agent_program = os.path.join(options.build, "fieldsync-agent")
        self.swarm_program = os.path.join(options.build, "tests", "bench", "swarm")
        self.vault_program = os.path.join(options.build, "tests", "bench", "vault_cost")
        self.data = os.path.join(folder, "server")
        self.master = os.path.join(self.data, "fieldsync.db")
        self.port = free_port()
        self.admin_port = free_port()
        self.server = None
        self.devices = 0
        self.children = []
        self.figures = Figures()
        self.runs = 1 if self.quick else 5

    # ---- the server ----

    def server_command(self, *arguments):
        return run(self.server_program, *arguments, "--data", self.data,
                   "--listen-port", str(self.port))

    def make_master(self):
        run(sys.executable, "-B", os.path.join(FOLDER, "workload.py"), self.path("w"),
            *(["--scale", "50"] if self.quick else []))
        os.makedirs(os.path.join(self.data, "schema"))
        shutil.copy(os.path.join(FOLDER, "workload.sql"),
                    os.path.join(self.data, "schema", "5000_common_workload.sql"))
        self.server_command("init")
        for login, role in (("boss", "manager"), ("tech", "technician"), ("idle", "warehouse")):
            self.server_command("user", "add", login, "--name", login, "--role", role)
        with self.sql(self.master) as master:
            self.copy_rows(master)

    def copy_rows(self, master):
        """W by plain SQL; the server adopts it when it starts."""
        master.execute("ATTACH ? AS w", (self.path("w", "w.db"),))
        master.execute("BEGIN IMMEDIATE")
        for table, columns in self.tables(master, "w"):
            names = ",".join(columns)
            master.execute("INSERT INTO main.%s(%s) SELECT %s FROM w.%s"
                           % (table, names, names, table))
        master.execute("COMMIT")
        master.execute("DETACH w")

    def start_server(self):
        log = open(self.path("server.log"), "ab")
        self.server = subprocess.Popen(
            [self.server_program, "serve", "--data", self.data, "--listen-port", str(self.port),
             "--admin-port", str(self.admin_port), "--limit-connects-per-address", "0",
             "--limit-handshakes-per-address", "1000"],
            stdout=subprocess.PIPE, stderr=log)
        log.close()
        for line in self.server.stdout:
            if line.startswith(b"ready"):
                break
        with self.sql(self.master) as master:
            wait_for("adoption", lambda: master.execute(
                "SELECT count(*) FROM fs_outbox WHERE op <> '-'").fetchone()[0] == 0)

    def end_all(self):
        """Whatever went wrong, nothing stays."""
        for child in self.children:
            if child.poll() is None:
                end(child)
            if hasattr(child, "folder"):
                shutil.rmtree(child.folder, ignore_errors=True)
        self.stop_server()

    def stop_server(self):
        if self.server is not None:
            end(self.server)
        self.server = None

    def metric(self, name):
        url = "http://127.0.0.1:%d/metrics" % self.admin_port
        with urllib.request.urlopen(url, timeout=10) as answer:
            return float(re.search("^fieldsync_%s (.*)$" % name, answer.read().decode(), re.M)[1])

    def traffic(self):
        return self.metric("received_bytes_total"), self.metric("sent_bytes_total")

    # ---- devices ----

    def new_device(self, login):
        """A data folder and a fresh code for it."""
        self.devices += 1
        folder = self.path("device%d" % self.devices)
        shutil.copytree(os.path.join(self.data, "schema"), os.path.join(folder, "schema"))
        code = re.search(r"fs1:[a-z0-9]+",
                         self.server_command("device", "enrol", "--confirmed",
                                             "--user", login))[0]
        return folder, code

    def enrol(self, folder, code):
        return timed(self.agent_program, "enrol", code, "--data", folder, "--server", self.url())

    def sync(self, folder):
        return timed(self.agent_program, "sync", "--data", folder)

    def start_agent(self, folder):
        log = open(os.path.join(folder, "log"), "ab")
        agent = subprocess.Popen([self.agent_program, "run", "--data", folder], stdout=log,
                                 stderr=log)
        self.children.append(agent)
        log.close()
        state = os.path.join(folder, "agent.state")
        if os.path.exists(state):
            os.remove(state)
        wait_for("an agent", lambda: self.is_idle(state))
        return agent

    @staticmethod
    def is_idle(state):
        if not os.path.exists(state):
            return False
        with open(state, encoding="utf-8") as file:
            return "\nis_idle 1\n" in file.read()

    def start_swarm(self, login, count, port=None):
        """`count` devices in one process, all live."""
        template = self.template()
        folder = tempfile.mkdtemp(prefix="fieldsync-swarm-", dir="/dev/shm")
        seeds = self.insert_codes(login, count)
        swarm = subprocess.Popen(
            [self.swarm_program, self.url(port), self.root_key(), template, folder, self.data],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        swarm.folder = folder
        self.children.append(swarm)
        swarm.stdin.write("".join(seed.hex() + "\n" for seed in seeds))
        swarm.stdin.close()
        self.swarm_line(swarm, "live")
        return swarm

    @staticmethod
    def swarm_line(swarm, first):
        for line in swarm.stdout:
            words = line.split()
            if words[0] == first:
                return words
        raise SystemExit("bench: the swarm ended")

    @staticmethod
    def end_swarm(swarm):
        end(swarm)
        shutil.rmtree(swarm.folder)

    def template(self):
        """A replica that was never enrolled: an enrolment at a server that isn't there."""
        folder = self.path("template")
        path = os.path.join(folder, "replica.db")
        if not os.path.exists(path):
            shutil.copytree(os.path.join(self.data, "schema"), os.path.join(folder, "schema"))
            code = re.search(r"fs1:[a-z0-9]+",
                             self.server_command("device", "enrol", "--confirmed",
                                                 "--user", "idle"))[0]
            subprocess.run([self.agent_program, "enrol", code, "--data", folder, "--server",
                            "ws://127.0.0.1:%d/sync" % free_port()], capture_output=True,
                           timeout=WAIT_S, check=False)
        return path

    def root_key(self):
        with open(os.path.join(self.data, "keys", "server.key"), encoding="ascii") as file:
            return re.search(r"^root ([0-9a-f]{64})$", file.read(), re.M)[1]

    def insert_codes(self, login, count):
        """What `device enrol` does, many times."""
        seeds = [os.urandom(48) for _ in range(count)]
        now = int(time.time() * 1e6)
        with self.sql(self.master) as master:
            user = master.execute("SELECT id FROM app_user WHERE login = ?", (login,)).fetchone()
            master.execute("BEGIN IMMEDIATE")
            master.executemany(
                "INSERT INTO fs_enrolment(token_id, secret, user_id, created_at, expires_at)"
                " VALUES(?,?,?,?,?)",
                [(seed[:16], seed[16:], user[0], now, now + 3600 * 10**6) for seed in seeds])
            master.execute("COMMIT")
        return seeds

    # ---- small things ----

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def url(self, port=None):
        return "ws://127.0.0.1:%d/sync" % (port or self.port)

    def sql(self, path):
        return Connection(path)

    @staticmethod
    def tables(database, schema):
        names = database.execute("SELECT name FROM %s.sqlite_schema WHERE type='table'" % schema)
        return [(name, [row[1] for row in database.execute("PRAGMA %s.table_info(%s)"
                                                           % (schema, name))])
                for (name,) in names.fetchall()]

    def plain_copy_seconds(self, where=""):
        """The yardstick of T1: the same rows and indexes into an empty file, row by row."""
        seconds = []
        for _ in range(self.runs):
            path = self.path("plain.db")
            source = sqlite3.connect(self.path("w", "w.db"))
            rows = [(table, source.execute("SELECT * FROM %s" % table).fetchall())
                    for table, _ in self.tables(source, "main")]
            schema = [row[0] for row in source.execute("SELECT sql FROM sqlite_schema")]
            begin = time.monotonic()
            plain = sqlite3.connect(path, isolation_level=None)
            plain.execute("PRAGMA journal_mode=WAL")
            plain.execute("BEGIN")
            for statement in schema:
                plain.execute(statement)
            for table, values in rows:
                plain.executemany("INSERT INTO %s VALUES(%s)"
                                  % (table, ",".join("?" * len(values[0]))), values)
            plain.execute("COMMIT")
            plain.close()
            seconds.append(time.monotonic() - begin)
            source.close()
            os.remove(path)
        return statistics.median(seconds)

    # ---- T1, T1b, T5 (agent), T7: a new device ----

    def first_sync(self, name, login):
        walls, agents, servers, ups, downs = [], [], [], [], []
        folder = ""
        for _ in range(self.runs):
            folder, code = self.new_device(login)
            up, down = self.traffic()
            before = cpu_s(self.server.pid)
            wall, cpu = self.enrol(folder, code)
            walls.append(wall)
            agents.append(cpu)
            servers.append(cpu_s(self.server.pid) - before)
            ups.append(self.traffic()[0] - up)
            downs.append(self.traffic()[1] - down)
        plain = self.plain_s if name == "T1" else None
        self.figures.add(name, "wall_s", walls, "plain insert of W" if plain else "", plain)
        self.figures.add(name, "bytes_down", downs)
        self.figures.add(name, "bytes_up", ups)
        self.figures.add(name, "cpu_server_s", servers)
        self.figures.add(name, "cpu_agent_s", agents)
        return folder

    def t1(self):
        self.plain_s = self.plain_copy_seconds()
        self.replica = self.first_sync("T1", "boss")
        self.first_sync("T1b", "tech")
        ratio = os.path.getsize(os.path.join(self.replica, "replica.db")) \
            / os.path.getsize(self.path("w", "w.db"))
        self.figures.add("T7", "file_ratio", [ratio], "plain SQLite file", 1.0)

    def some_replica(self):
        if self.replica is None:
            self.replica, code = self.new_device("boss")
            self.enrol(self.replica, code)
        return self.replica

    # ---- T2: work done offline ----

    def apply_batch(self, folder, operations, round_no):
        """As any program would: plain SQL, ids from the view new_id."""
        with self.sql(os.path.join(folder, "replica.db")) as replica:
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

    def batch(self):
        with open(self.path("w", "t2.json"), encoding="utf-8") as file:
            return json.load(file)

    def plain_batch_seconds(self, operations):
        path = self.path("plain.db")
        shutil.copy(self.path("w", "w.db"), path)
        with self.sql(path) as plain:
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

    def t2(self):
        folder = self.some_replica()
        operations = self.batch()
        walls, agents, servers, ups, downs = [], [], [], [], []
        for round_no in range(self.runs):
            self.apply_batch(folder, operations, round_no)
            up, down = self.traffic()
            before = cpu_s(self.server.pid)
            wall, cpu = self.sync(folder)
            walls.append(wall)
            agents.append(cpu)
            servers.append(cpu_s(self.server.pid) - before)
            ups.append(self.traffic()[0] - up)
            downs.append(self.traffic()[1] - down)
        plain = statistics.median(self.plain_batch_seconds(operations) for _ in range(self.runs))
        self.figures.add("T2", "wall_s", walls, "the batch in plain SQLite", plain)
        self.figures.add("T2", "bytes_up", ups)
        self.figures.add("T2", "bytes_down", downs)
        self.figures.add("T2", "cpu_server_s", servers)
        self.figures.add("T2", "cpu_agent_s", agents)
        self.visible(folder, operations, plain)

    def visible(self, folder, operations, plain):
        other, code = self.new_device("boss")
        self.enrol(other, code)
        agent = self.start_agent(other)
        walls = []
        mark = "SELECT 1 FROM calls WHERE id = ? AND note LIKE ?"
        first = operations[0]
        try:
            for round_no in range(100, 100 + self.runs):
                self.apply_batch(folder, operations, round_no)
                with self.sql(os.path.join(other, "replica.db")) as replica:
                    begin = time.monotonic()
                    sync = subprocess.Popen([self.agent_program, "sync", "--data", folder],
                                            stdout=subprocess.DEVNULL)
                    wait_for("the batch at another device", lambda: replica.execute(
                        mark, (first[2], "%d %%" % round_no)).fetchone())
                    walls.append(time.monotonic() - begin)
                    sync.wait()
        finally:
            end(agent)
        self.figures.add("T2v", "wall_s", walls, "the batch in plain SQLite", plain)

    # ---- T4: one change ----

    def commit_ms(self):
        """The yardstick of T4: one durable commit in a plain file."""
        path = self.path("plain.db")
        samples = []
        with self.sql(path) as plain:
            plain.execute("PRAGMA journal_mode=WAL")
            plain.execute("PRAGMA synchronous=FULL")
            plain.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, note)")
            for i in range(200):
                begin = time.monotonic()
                plain.execute("INSERT INTO t(note) VALUES(?)", (i,))
                samples.append((time.monotonic() - begin) * 1000)
        os.remove(path)
        return statistics.median(samples)

    def call_of_territory(self, master):
        return master.execute("SELECT a.id FROM calls a JOIN sites s ON s.id=a.site_id JOIN"
                              " customers c ON c.id=s.customer_id WHERE c.territory=1"
                              " LIMIT 1").fetchone()[0]

    def t4(self):
        commit = self.commit_ms()
        self.t4_one(commit)
        self.t4_many(3 if self.quick else 100, commit)

    def t4_one(self, commit):
        folder = self.some_replica()
        agent = self.start_agent(folder)
        samples = []
        try:
            with self.sql(self.master) as master, \
                    self.sql(os.path.join(folder, "replica.db")) as replica:
                call = self.call_of_territory(master)
                for i in range(5 if self.quick else 300):
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
        self.figures.percentiles("T4/1", samples, "one durable commit", commit)

    def t4_many(self, count, commit):
        swarm = self.start_swarm("tech", count)
        samples = []
        try:
            with self.sql(self.master) as master:
                call = self.call_of_territory(master)
                for i in range(3 if self.quick else 50):
                    time.sleep(random.uniform(0.1, 0.15))
                    master.execute("UPDATE calls SET note = ? WHERE id = ?", ("T4m %d" % i, call))
                    begin = time.monotonic_ns()
                    seen = set()
                    while len(seen) < count:
                        words = self.swarm_line(swarm, "published")
                        if int(words[1]) >= begin:
                            seen.add(words[2])
                            samples.append((int(words[1]) - begin) / 1e6)
        finally:
            self.end_swarm(swarm)
        self.figures.percentiles("T4/%d" % count, samples, "one durable commit", commit)

    # ---- T5: memory at rest; T6: nothing to do ----

    def t5(self):
        count = 20 if self.quick else 1000
        folder = self.some_replica()
        self.stop_server()
        self.start_server()
        time.sleep(4)
        base = memory_mib(self.server.pid)
        self.figures.add("T5", "rss_server_mib", [base])
        swarm = self.start_swarm("idle", count)
        time.sleep(4)
        self.figures.add("T5/%d" % count, "rss_per_client_kib",
                         [(memory_mib(self.server.pid) - base) * 1024 / count])
        self.end_swarm(swarm)
        self.stop_server()
        self.start_server()
        agent = self.start_agent(folder)
        time.sleep(5)
        self.figures.add("T5", "rss_agent_mib", [memory_mib(agent.pid)])
        end(agent)

    def reconnects(self, port, rounds):
        swarm = self.start_swarm("tech", 1, port)
        lines = []
        time.sleep(0.3)
        for _ in range(rounds):
            swarm.send_signal(10)  # SIGUSR1
            lines.append([int(word) for word in self.swarm_line(swarm, "reconnected")[1:]])
            time.sleep(0.05)
        self.end_swarm(swarm)
        return lines

    def t6(self):
        rounds = 3 if self.quick else 50
        lines = self.reconnects(None, rounds)
        self.figures.add("T6", "wall_s", [line[0] / 1e6 for line in lines])
        counter = Counter(self.port)
        swarm = self.start_swarm("tech", 1, counter.port)
        samples = []
        time.sleep(0.3)
        for _ in range(min(rounds, 10)):
            before = counter.bytes
            swarm.send_signal(10)
            self.swarm_line(swarm, "reconnected")
            time.sleep(0.1)
            samples.append(counter.bytes - before)
        self.end_swarm(swarm)
        counter.listener.close()
        self.figures.add("T6", "bytes_total", samples, "TCP payload, upgrade included")

    # ---- T9: what the master takes in ----

    def t9(self):
        folder = self.some_replica()
        count = 200 if self.quick else 20000
        calls = 400 if self.quick else 20000
        rates = {"insert": [], "update": []}
        for round_no in range(1 if self.quick else 3):
            for kind, statement, rows in self.ingests(count, calls, round_no):
                with self.sql(os.path.join(folder, "replica.db")) as replica:
                    replica.execute("BEGIN IMMEDIATE")
                    replica.executemany(statement, rows)
                    replica.execute("COMMIT")
                before = self.metric("commit_seconds_sum")
                self.sync(folder)
                seconds = self.metric("commit_seconds_sum") - before
                rates[kind].append(self.plain_seconds(statement, rows) / seconds)
        for kind, ratios in rates.items():
            self.figures.add("T9/" + kind, "ratio", ratios, "plain SQLite, same rows, one tx", 1.0)

    @staticmethod
    def ingests(count, calls, round_no):
        source = random.Random(round_no)
        words = "pump valve motor filter leak noise replaced cleaned ordered tested".split()

        def text():
            return " ".join(source.choices(words, k=source.randint(6, 20)))
        yield ("insert", "INSERT INTO worklogs(id,call_id,technician,started_at,minutes,note)"
               " VALUES((SELECT id FROM new_id),?,?,?,?,?)",
               [(source.randint(1, calls), 1, 1735689600 + i, 30, text()) for i in range(count)])
        yield ("update", "UPDATE calls SET status = ?, note = ? WHERE id = ?",
               [("done %d" % round_no, text(), i % calls + 1) for i in range(min(count, calls))])

    def plain_seconds(self, statement, rows):
        path = self.path("plain.db")
        shutil.copy(self.path("w", "w.db"), path)
        with self.sql(path) as plain:
            plain.execute("PRAGMA journal_mode=WAL")
            plain.execute("PRAGMA synchronous=FULL")
            statement = statement.replace("(SELECT id FROM new_id)", "NULL")
            begin = time.monotonic()
            plain.execute("BEGIN")
            plain.executemany(statement, rows)
            plain.execute("COMMIT")
            seconds = time.monotonic() - begin
        os.remove(path)
        return seconds

    # ---- T17: encryption at rest ----

    def t17(self):
        """The same work on an ordinary file and an encrypted one; and a first sync into one."""
        samples = collections.defaultdict(list)
        part = "50" if self.options.quick else "1"
        for _ in range(self.runs):
            for line in run(self.vault_program, self.path(), part).splitlines():
                name, kind, *milliseconds = line.split()
                for metric, value in zip(("ms", "cpu_ms"), milliseconds):
                    samples[name, metric, kind].append(float(value))
        for name, metric in dict.fromkeys(key[:2] for key in samples):
            plain = samples[name, metric, "plain"]
            self.figures.add("T17/" + name, "plain_" + metric, plain)
            self.figures.add("T17/" + name, metric, samples[name, metric, "sealed"],
                             "the same, not encrypted", statistics.median(plain))
        self.sealed_syncs()

    def sealed_syncs(self):
        """Both derive a key of the passphrase: what differs is the replica."""
        secret = self.path("passphrase")
        with open(secret, "w", encoding="ascii") as file:
            file.write("a passphrase of the bench\n")
        walls, cpus = {"plain": [], "sealed": []}, {"plain": [], "sealed": []}
        for _ in range(self.runs):
            for kind, options in (("plain", ()), ("sealed", ("--encrypt",))):
                folder, code = self.new_device("boss")
                wall, cpu = timed("sh", "-c", 'exec 9<"$1"; shift; exec "$@"', "sh", secret,
                                  self.agent_program, "enrol", code, "--data", folder, "--server",
                                  self.url(), "--protect", "--new-passphrase-fd", "9", *options)
                walls[kind].append(wall)
                cpus[kind].append(cpu)
                shutil.rmtree(folder)
        for metric, values in (("wall_s", walls), ("cpu_agent_s", cpus)):
            self.figures.add("T17/first_sync", "plain_" + metric, values["plain"])
            self.figures.add("T17/first_sync", metric, values["sealed"], "the same, not encrypted",
                             statistics.median(values["plain"]))

    # ---- all ----

    def measure(self):
        self.replica = None
        self.make_master()
        self.start_server()
        wanted = self.options.only.split(",") if self.options.only else None
        for name in ("t1", "t2", "t4", "t6", "t5", "t9", "t17"):
            if wanted is None or name.upper() in wanted:
                getattr(self, name)()


class Connection:
    """An ordinary SQLite connection in autocommit, closed at the end of `with`."""

    def __init__(self, path):
        self.database = sqlite3.connect(path, isolation_level=None, timeout=20)
        self.database.execute("PRAGMA synchronous=FULL")
        self.database.execute("PRAGMA wal_autocheckpoint=0")  # the server and the agent do that

    def __enter__(self):
        return self.database

    def __exit__(self, *_):
        self.database.close()


def main():
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="a smoke test, a fiftieth of the data")
    parser.add_argument("--only", help="some of T1,T2,T4,T5,T6,T9,T17 (T1 brings T1b and T7)")
    parser.add_argument("--json", default="bench.json", help="where to write the figures")
    parser.add_argument("--keep", action="store_true", help="leave the working folder")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="fieldsync-bench-")
    bench = Bench(options, folder)
    print("| id      | metric             |     median |        min |        max |   n | yardstick |")
    print("|---------|--------------------|-----------:|-----------:|-----------:|----:|-----------|")
    try:
        bench.measure()
    finally:
        bench.end_all()
        if not options.keep:
            shutil.rmtree(folder)
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump(bench.figures.rows, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
