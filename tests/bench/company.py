# SPDX-License-Identifier: Apache-2.0
"""The server with workload W, and its devices."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

from figures import Figures
from crowd import Crowd
from harness import Connection, WAIT_S, end, free_port, run, timed, wait_for

FOLDER = os.path.dirname(os.path.abspath(__file__))


class Company:
    def __init__(self, options, folder):
        self.options = options
        self.quick = options.quick
        self.folder = folder
        self.server_program = os.path.join(options.build, "fieldsync-server")
        self.agent_program = os.path.join(options.build, "fieldsync-agent")
        self.data = os.path.join(folder, "server")
        self.master = os.path.join(self.data, "fieldsync.db")
        self.port = free_port()
        self.admin_port = free_port()
        self.server = None
        self.replica = None
        self.devices = 0
        self.crowd = None
        self.children = []
        self.figures = Figures()
        self.runs = 1 if self.quick else 5

    def tool(self, name):
        """A program of this folder."""
        return os.path.join(self.options.build, "tests", "bench", name)

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

    def persons(self, name, role, count):
        """Logins of so many persons, name1, name2...: what `user add` does, by plain SQL, for those
        who aren't there yet."""
        logins = ["%s%d" % (name, number + 1) for number in range(count)]
        with self.sql(self.master) as master:
            known = {row[0] for row in master.execute("SELECT login FROM app_user")}
            master.execute("BEGIN IMMEDIATE")
            for login in logins:
                if login not in known:
                    master.execute("INSERT INTO app_user(id, login, name)"
                                   " VALUES((SELECT id FROM new_id), ?1, ?1)", (login,))
                    master.execute("INSERT INTO role_grant(id, user_id, role) VALUES("
                                   " (SELECT id FROM new_id),"
                                   " (SELECT id FROM app_user WHERE login = ?), ?)", (login, role))
            master.execute("COMMIT")
        self.wait_for_adoption()
        return logins

    def desks(self, count):
        """Persons who all see customer 1."""
        return self.persons("desk", "help_desk", count)

    def crews(self):
        """A person for each customer of W, who sees that one: crew7 has customer 7."""
        with self.sql(self.path("w", "w.db")) as w:
            count = w.execute("SELECT count(*) FROM customers").fetchone()[0]
        return self.persons("crew", "sales", count)

    def launch_server(self):
        """Until it says that it is ready."""
        log = open(self.path("server.log"), "ab")
        self.server = subprocess.Popen(
            [self.server_program, "serve", "--data", self.data, "--listen-port", str(self.port),
             "--admin-port", str(self.admin_port), "--limit-connects-per-address", "0",
             "--limit-handshakes-per-address", "1000", "--limit-device-changes", "0"],
            stdout=subprocess.PIPE, stderr=log)
        log.close()
        for line in self.server.stdout:
            if line.startswith(b"ready"):
                break

    def start_server(self):
        """And until it has adopted what other programs have written."""
        self.launch_server()
        self.wait_for_adoption()

    def wait_for_adoption(self):
        with self.sql(self.master) as master:
            wait_for("adoption", lambda: master.execute(
                "SELECT count(*) FROM fs_outbox WHERE op <> '-'").fetchone()[0] == 0)

    def restart_server(self):
        self.stop_server()
        self.start_server()

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

    def some_replica(self):
        if self.replica is None:
            self.replica, code = self.new_device("boss")
            self.enrol(self.replica, code)
        return self.replica

    def start_swarm(self, logins, port=None):
        """A device with a replica for each of these, in one process, all live."""
        template = self.template()
        folder = tempfile.mkdtemp(prefix="fieldsync-swarm-", dir="/dev/shm")
        seeds = self.insert_codes(logins)
        swarm = subprocess.Popen(
            [self.tool("swarm"), self.url(port), self.root_key(), template, folder, self.data],
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

    def insert_codes(self, logins):
        """What `device enrol` does, many times."""
        seeds = [os.urandom(48) for _ in logins]
        now = int(time.time() * 1e6)
        with self.sql(self.master) as master:
            users = dict(master.execute("SELECT login, id FROM app_user").fetchall())
            master.execute("BEGIN IMMEDIATE")
            master.executemany(
                "INSERT INTO fs_enrolment(token_id, secret, user_id, created_at, expires_at)"
                " VALUES(?,?,?,?,?)",
                [(seed[:16], seed[16:], users[login], now, now + 3600 * 10**6)
                 for login, seed in zip(logins, seeds)])
            master.execute("COMMIT")
        return seeds

    def start_crowd(self, logins):
        """A device for each of these that keeps nothing, enrolled."""
        crowd = Crowd([self.tool("crowd"), str(self.port), self.root_key(), self.template(),
                       self.data, str(len(logins))], self.insert_codes(logins),
                      200 if self.quick else 1000)
        self.children.append(crowd.process)
        crowd.ask("enrol 64")
        return crowd

    def fleet(self):
        """As many devices as T5 and T8 want, of a person who has only what all have; none of them
        is connected, and none lacks anything."""
        if self.crowd is None:
            self.crowd = self.start_crowd(["idle"] * self.options.clients)
            self.crowd.fetch(64)
            self.crowd.settle()
            self.crowd.ask("drop")
        return self.crowd

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
