# SPDX-License-Identifier: Apache-2.0
"""The real programs as tests see them: a company (server) and its devices (agents) in one temporary
folder, over the loopback, on ports that the kernel chooses.

    with Company(build) as company:
        company.user_add("mario", "technician")
        company.serve()
        mario = company.device_add("mario")     # enrolled through a line of its own, not running
        mario.run()
        mario.line.cut()                        # no network; line.mend() gives it back
        mario.cli("activity", "finish", "42")   # as a technician would
        mario.sql("UPDATE site SET ...")        # as any other program would
        mario.line.mend()
        mario.wait_idle()
        assert company.differences(mario) == [] # row by row, on the two files

Every process that was started here is ended here by its id, also after a failure; every wait has
an end. Failed is a failed expectation with words for a person.
"""

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
import urllib.request

WAIT_S = 30


class Failed(Exception):
    """Something isn't as it must be."""


def expect(condition, words):
    if not condition:
        raise Failed(words)


def expect_equal(found, wanted, what):
    if found != wanted:
        raise Failed("%s: expected %r, found %r" % (what, wanted, found))


def wait_for(what, condition, seconds=WAIT_S, pause=0.01):
    """Seconds until `condition()` was true."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            raise Failed("waited %g s in vain for %s" % (seconds, what))
        time.sleep(pause)
    return time.monotonic() - begin


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_sanitized(build):
    """Programs built with sanitizers take several times longer."""
    with open(os.path.join(build, "CMakeCache.txt"), encoding="utf-8") as cache:
        return re.search("^FIELDSYNC_SANITIZE:[A-Z]+=(address|thread)$", cache.read(), re.M) is not None


class Output:
    """What a program that ended has said."""

    def __init__(self, command, done, seconds):
        self.command = command
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr
        self.seconds = seconds

    def json(self):
        return json.loads(self.out)


def run_program(*command, code=0, text_in=None, seconds=60, env=None, pass_fds=()):
    """Runs a program to its end. `code` None: any exit code will do."""
    begin = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False,
                          input=text_in, env={**os.environ, **env} if env else None,
                          pass_fds=pass_fds)
    output = Output(command, done, time.monotonic() - begin)
    if code is not None and output.code != code:
        raise Failed("`%s` ended with %d instead of %d: %s%s"
                     % (" ".join(command), output.code, code, output.out, output.err))
    return output


def query(path, statement, *values):
    """All rows of a SELECT on a database file, in a connection of its own."""
    database = sqlite3.connect("file:%s?mode=ro" % path, uri=True, timeout=10)
    try:
        return database.execute(statement, values).fetchall()
    finally:
        database.close()


def change(path, *statements):
    """Plain SQL in one transaction, as any program may write. A statement is a text, or a tuple of
    a text and its values. The id of the last inserted row."""
    database = sqlite3.connect(path, timeout=10, isolation_level=None)
    try:
        database.execute("BEGIN IMMEDIATE")
        cursor = None
        for statement in statements:
            text, *values = (statement,) if isinstance(statement, str) else statement
            cursor = database.execute(text, values)
        last = cursor.lastrowid
        database.execute("COMMIT")
        return last
    finally:
        database.close()


class Watch:
    """Looks at a database file again and again: one connection, so that looking costs little."""

    def __init__(self, path, statement, *values):
        self.database = sqlite3.connect("file:%s?mode=ro" % path, uri=True, timeout=10,
                                        check_same_thread=False)
        self.statement = statement
        self.values = values

    def value(self):
        row = self.database.execute(self.statement, self.values).fetchone()
        return row[0] if row else None

    def wait(self, what, wanted, seconds=WAIT_S):
        """The moment, of time.monotonic(), when the first value of the first row is `wanted`."""
        try:
            wait_for(what, lambda: self.value() == wanted, seconds, pause=0.002)
            return time.monotonic()
        finally:
            self.database.close()


def end_connection(one):
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass # it has ended already


def telling(lines, count=15):
    """The lines of a log that are worth showing: from what a sanitizer found, otherwise the last."""
    found = [number for number, line in enumerate(lines) if "ERROR: " in line and "Sanitizer" in line]
    return lines[found[0]:found[0] + 3 * count] if found else lines[-count:]


class Program:
    """A running server or agent."""

    def __init__(self, command, log_path, env=None):
        self.log_path = log_path
        with open(log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL,
                                            env={**os.environ, **env} if env else None)
        self.pid = self.process.pid

    def is_running(self):
        return self.process.poll() is None

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def signal(self, number):
        if self.is_running():
            self.process.send_signal(number)

    def stop(self, seconds=20):
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed("%s did not end within %g s" % (self.log_path, seconds)) from None

    def kill(self):
        """SIGKILL, as a power cut does it to a program."""
        self.signal(signal.SIGKILL)
        return self.process.wait()


class Line:
    """A device's network: passes TCP connections on to the server, and can be cut.

    Bytes are counted in both directions; cut_after(n) cuts by itself after n more bytes from the
    device, in the middle of whatever is being sent; rate_up bounds the bytes a second from the
    device; delay_down_s makes the server's answers late. mend() ends all of these."""

    def __init__(self, server_port):
        self.server_port = server_port
        self.bytes_up = 0
        self.bytes_down = 0
        self.cuts = 0
        self.budget = None
        self.delay_down_s = 0.0
        self.rate_up = None
        self.is_cut = False
        self.lock = threading.Lock()
        self.sockets = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self):
        return "ws://127.0.0.1:%d/sync" % self.port

    def cut(self):
        """No network from now on: connections break, new ones end at once."""
        with self.lock:
            self.is_cut = True
            self._break()

    def mend(self):
        with self.lock:
            self.is_cut = False
            self.budget = None
            self.delay_down_s = 0.0
            self.rate_up = None

    def cut_after(self, size):
        with self.lock:
            self.budget = size

    def drop(self):
        """Breaks what is connected now; the next connection is good again."""
        with self.lock:
            self._break()

    def close(self):
        self.cut()
        self.listener.close()

    def _break(self):
        for one in self.sockets:
            end_connection(one)
        self.sockets.clear()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            if self.is_cut:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.server_port))
            except OSError:
                near.close()
                continue
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.sockets.update((near, far))
            for one, other, is_up in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._copy, args=(one, other, is_up), daemon=True).start()

    def _count(self, data, is_up):
        """What of the data still gets through."""
        with self.lock:
            if not is_up:
                self.bytes_down += len(data)
                return data
            if self.budget is not None and len(data) >= self.budget:
                data = data[:self.budget]
                self.budget = None
                self.is_cut = True
                self.cuts += 1
            elif self.budget is not None:
                self.budget -= len(data)
            self.bytes_up += len(data)
            return data

    def _copy(self, one, other, is_up):
        try:
            while data := one.recv(65536):
                if not is_up and self.delay_down_s > 0:
                    time.sleep(self.delay_down_s)
                    if self.is_cut:
                        break
                if is_up and self.rate_up:
                    time.sleep(len(data) / self.rate_up)
                other.sendall(self._count(data, is_up))
                if self.is_cut:
                    self.cut()
                    break
            other.shutdown(socket.SHUT_WR)
        except OSError: # a reset of one end, as after kill -9: the other end must see it, too
            end_connection(one)
            end_connection(other)
        finally:
            with self.lock:
                self.sockets.discard(one)
            if not is_up:
                one.close()


class Device:
    """One enrolled laptop: a data folder, its line and perhaps a running agent."""

    def __init__(self, company, login, folder, line):
        self.company = company
        self.login = login
        self.folder = folder
        self.line = line
        self.replica = os.path.join(folder, "replica.db")
        self.agent = None

    def cli(self, *arguments, code=0, **options):
        """A command of a technician on this device."""
        return run_program(self.company.agent_program, *arguments, "--data", self.folder,
                           code=code, **options)

    def made(self, *arguments):
        """A command that makes a row: the row's id."""
        return self.cli(*arguments, "--json").json()["id"]

    def query(self, statement, *values):
        return query(self.replica, statement, *values)

    def value(self, statement, *values):
        rows = self.query(statement, *values)
        return rows[0][0] if rows else None

    def sql(self, *statements):
        return change(self.replica, *statements)

    def run(self, *options):
        """Starts the agent, and waits until it is connected and has nothing to do."""
        self.start(*options)
        self.wait_idle()

    def start(self, *options):
        state = os.path.join(self.folder, "agent.state")
        if os.path.exists(state):
            os.remove(state) # of the agent before
        self.agent = Program([self.company.agent_program, "run", "--data", self.folder, *options],
                             os.path.join(self.folder, "agent.log"))
        self.company.programs.append(self.agent)

    def stop(self):
        return self.agent.stop()

    def kill(self):
        self.agent.kill()

    def state(self):
        """The running agent's own words; {} before its first."""
        try:
            with open(os.path.join(self.folder, "agent.state"), encoding="utf-8") as file:
                return dict(line.rstrip("\n").split(" ", 1) for line in file if " " in line)
        except FileNotFoundError:
            return {}

    def is_live(self):
        return self.state().get("state") == "live"

    def waiting_count(self):
        """Changes recorded here that have no verdict yet."""
        return sum(self.query("SELECT unsealed, unacknowledged FROM fs_sync")[0])

    def is_settled(self):
        state = self.state()
        return state.get("state") == "live" and state.get("is_idle") == "1" \
            and self.waiting_count() == 0

    def wait_idle(self, seconds=WAIT_S):
        return wait_for("%s to be in sync" % self.login, self.is_settled, seconds)

    def sync(self, code=0):
        """Has the running agent try now, and waits until it is in sync or has failed."""
        return self.cli("sync", "--now", code=code)

    def nudge(self):
        """Has the running agent try now, without waiting for how it goes."""
        with open(os.path.join(self.folder, "sync-now"), "w", encoding="ascii") as file:
            file.write("%d\n" % time.monotonic_ns())


class Company:
    """A server and everything around it, in a folder that is removed at the end."""

    def __init__(self, build, folder=None, is_kept=False):
        self.server_program = os.path.join(build, "fieldsync-server")
        self.agent_program = os.path.join(build, "fieldsync-agent")
        for program in (self.server_program, self.agent_program):
            expect(os.path.exists(program), "%s isn't built" % program)
        self.folder = folder or tempfile.mkdtemp(prefix="fieldsync-")
        self.is_kept = is_kept
        self.data = os.path.join(self.folder, "server")
        self.master = os.path.join(self.data, "fieldsync.db")
        self.port = free_port()
        self.admin_port = free_port()
        self.make_line = Line # or another network for devices to come
        self.programs = []
        self.devices = []
        self.server = None

    def __enter__(self):
        try:
            self.cli("init")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is not None and issubclass(kind, Exception):
                self.show_logs()
        finally:
            self.close()

    def close(self):
        for program in reversed(self.programs):
            if program.is_running():
                program.kill()
        for device in self.devices:
            device.line.close()
        if not self.is_kept:
            shutil.rmtree(self.folder, ignore_errors=True)

    def show_logs(self):
        for path, program in {program.log_path: program for program in self.programs}.items():
            print("---- %s" % path)
            print("".join(telling(program.log().splitlines(True))), end="")

    # ---- the server ----

    def cli(self, *arguments, code=0, **options):
        """A command of the office."""
        return run_program(self.server_program, *arguments, "--data", self.data,
                           "--listen-port", str(self.port), code=code, **options)

    def user_add(self, login, *roles, name=None):
        self.cli("user", "add", login, "--name", name or login.capitalize(),
                 *(word for role in roles for word in ("--role", role)))

    def serve(self, *options):
        """Starts the server, and waits until it is ready and has adopted plain SQL."""
        self.server = Program(
            [self.server_program, "serve", "--data", self.data, "--listen-port", str(self.port),
             "--admin-port", str(self.admin_port), "--limit-connects-per-address", "0", *options],
            os.path.join(self.folder, "server.log"))
        self.programs.append(self.server)
        wait_for("the server", lambda: not self.server.is_running() or self.is_healthy())
        expect(self.server.is_running(), "the server ended: " + self.server.log())
        wait_for("adoption", lambda: self.value(
            "SELECT count(*) FROM fs_outbox WHERE op <> '-'") == 0)

    def is_healthy(self):
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/healthz" % self.admin_port,
                                        timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def metric(self, name):
        with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % self.admin_port,
                                    timeout=10) as answer:
            return float(re.search("^fieldsync_%s (.*)$" % name, answer.read().decode(), re.M)[1])

    def query(self, statement, *values):
        return query(self.master, statement, *values)

    def value(self, statement, *values):
        rows = self.query(statement, *values)
        return rows[0][0] if rows else None

    def sql(self, *statements):
        """Plain SQL on the master, as any program with rights on the file may write."""
        return change(self.master, *statements)

    def script(self, text):
        """Many statements of plain SQL in one transaction."""
        database = sqlite3.connect(self.master, timeout=10, isolation_level=None)
        try:
            database.executescript("BEGIN IMMEDIATE;\n%s\nCOMMIT;" % text)
        finally:
            database.close()

    # ---- devices ----

    def code(self, login, *options, is_confirmed=True):
        """A fresh enrolment code; its device begins at once, or waits for the office."""
        options += ("--confirmed",) if is_confirmed else ()
        return re.search(r"fs1:[a-z0-9]+",
                         self.cli("device", "enrol", "--user", login, *options).out)[0]

    def device_new(self, login):
        """A device that was never enrolled, with its line."""
        folder = os.path.join(self.folder, "device-%s" % login)
        while os.path.exists(folder):
            folder += "-2"
        os.makedirs(folder)
        device = Device(self, login, folder, self.make_line(self.port))
        self.devices.append(device)
        return device

    def device_add(self, login, *options):
        """An enrolled device with its first sync."""
        device = self.device_new(login)
        device.cli("enrol", self.code(login, *options), "--server", device.line.url())
        return device

    # ---- comparing ----

    def compare(self, device):
        """Rows that were compared, and lines that say what differs: every row of every replicated
        table in the buckets of the device, all columns, on the two files. The buckets are those
        that the person is entitled to now by the server's books."""
        with Snapshot(self.master) as master, Snapshot(device.replica) as replica:
            buckets = master.column("SELECT bucket FROM fs_entitlement WHERE to_seq IS NULL"
                                    " AND user_id = (SELECT id FROM app_user WHERE login = ?)",
                                    device.login)
            subscribed = replica.column("SELECT bucket FROM fs_bucket WHERE state = 1")
            lines = []
            if subscribed != buckets:
                lines.append("subscription: only on the server %r, only on the device %r"
                             % (sorted(buckets - subscribed), sorted(subscribed - buckets)))
            count = 0
            for table, columns in master.tables():
                names = ", ".join('"%s"' % name for name in columns)
                wanted = {row[1]: row[1:] for row in
                          master.rows('SELECT _fs_bucket, %s FROM "%s"' % (names, table))
                          if row[0] in buckets}
                found = {row[0]: row
                         for row in replica.rows('SELECT %s FROM "%s"' % (names, table))}
                count += len(wanted)
                lines += rows_that_differ(table, columns, wanted, found)
        return count, lines

    def differences(self, device):
        return self.compare(device)[1]

    def settle(self, *devices, seconds=WAIT_S):
        """Waits until everything recorded anywhere is everywhere."""
        for device in devices:
            device.wait_idle(seconds)
        wait_for("all to agree", lambda: not any(self.differences(device) for device in devices),
                 seconds, pause=0.1)


class Snapshot:
    """A database file as it is at one moment."""

    def __init__(self, path):
        self.database = sqlite3.connect("file:%s?mode=ro" % path, uri=True, timeout=10)

    def __enter__(self):
        self.database.execute("BEGIN")
        return self

    def __exit__(self, *error):
        self.database.close()

    def rows(self, statement, *values):
        return self.database.execute(statement, values).fetchall()

    def column(self, statement, *values):
        return {row[0] for row in self.rows(statement, *values)}

    def tables(self):
        """Replicated tables and their columns, as the catalog says."""
        names = {}
        for table, column in self.rows(
                "SELECT t.name, c.name FROM fs_table t JOIN fs_column c ON c.table_number = t.number"
                " WHERE t.is_local = 0 ORDER BY t.number, c.number"):
            names.setdefault(table, ["id"]).append(column)
        return names.items()


def rows_that_differ(table, columns, wanted, found):
    for row_id in sorted(wanted.keys() | found.keys()):
        if row_id not in found:
            yield "%s %d: only on the server" % (table, row_id)
        elif row_id not in wanted:
            yield "%s %d: only on the device" % (table, row_id)
        elif wanted[row_id] != found[row_id]:
            yield "%s %d: %s" % (table, row_id, ", ".join(
                "%s %r on the server, %r on the device" % (name, server, device)
                for name, server, device in zip(columns, wanted[row_id], found[row_id])
                if server != device))
