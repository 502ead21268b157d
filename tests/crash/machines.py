# SPDX-License-Identifier: Apache-2.0
"""The computers of the crash test: the server's, and one for each device. Each has a disk whose
unsynced contents are lost with its power, the product's program, and a program that writes the
database by plain SQL."""

import os
import random
import sys
import time

import lib
import points
import powercut
from lib import expect_equal

FOLDER = os.path.dirname(os.path.abspath(__file__))


class Machine:
    def __init__(self, world, name, folder, database):
        self.world = world
        self.name = name
        self.database = database
        self.disk = powercut.Disk(folder, world.library, name in world.liars)
        self.program = None
        self.writer = None
        self.writer_arguments = None
        self.journal_path = None
        self.user_id = None

    # ---- its programs ----

    def command(self):
        raise NotImplementedError

    def log_path(self):
        return self.world.path(self.name + ".log")

    def start(self, point=None):
        """Doesn't wait: the next kill may come while it is starting. `point`: (call, number), where
        it is to be killed."""
        environment = self.disk.environment()
        if point is None:
            self.program = lib.Program(self.command(), self.log_path(), environment)
        else:
            self.program = points.Traced(self.command(), self.log_path(), environment, point[0],
                                         "signal=KILL:when=%d" % point[1])
        self.world.company.programs.append(self.program)

    def start_writer(self):
        self.writer = lib.Program(
            [sys.executable, "-B", os.path.join(FOLDER, "writer.py"), *self.writer_arguments,
             str(random.random())], self.world.path("writer-%s.log" % self.name),
            self.disk.environment())
        self.world.company.programs.append(self.writer)

    def write_as(self, user_id, visit_id):
        self.journal_path = self.world.path("journal-" + self.name)
        self.user_id = user_id
        self.writer_arguments = [self.database, self.journal_path, self.name, str(user_id),
                                 str(visit_id)]
        self.start_writer()

    def cut_power(self):
        self.program.kill()
        self.writer.kill()
        damage = self.disk.cut(random)
        self.start()
        self.start_writer()
        return damage

    # ---- what must hold ----

    def check_file(self):
        """Beside the running programs."""
        expect_equal(lib.query(self.database, "PRAGMA quick_check"), [("ok",)],
                     "database of " + self.name)

    def journal(self):
        """(begun, done): number to kind."""
        begun, done = {}, {}
        if not os.path.exists(self.journal_path):
            return begun, done # the writer is still starting
        with open(self.journal_path, encoding="ascii") as journal:
            for line in journal:
                words = line.split()
                if len(words) == 3 and line.endswith("\n"):
                    (begun if words[0] == "begin" else done)[int(words[1])] = words[2]
        return begun, done


class ServerMachine(Machine):
    def __init__(self, world, name):
        super().__init__(world, name, world.company.data, world.company.master)

    def command(self):
        company = self.world.company
        return [company.server_program, "serve", "--data", company.data, "--listen-port",
                str(company.port), "--admin-port", str(company.admin_port),
                "--limit-connects-per-address", "0"]

    def start(self, point=None):
        super().start(point)
        self.world.company.server = self.program


class DeviceMachine(Machine):
    def __init__(self, world, device):
        super().__init__(world, device.login, device.folder, device.replica)
        self.device = device

    def command(self):
        return [self.world.company.agent_program, "run", "--data", self.device.folder]

    def start(self, point=None):
        state = os.path.join(self.device.folder, "agent.state")
        if os.path.exists(state):
            os.remove(state) # of the agent before
        super().start(point)
        self.device.agent = self.program

    def run_command(self, *arguments, point=None, kill_after=None):
        """A technician's command; -9: it was killed."""
        command = [self.world.company.agent_program, *arguments, "--data", self.device.folder]
        log_path = self.world.path("command.log")
        if point is None:
            program = lib.Program(command, log_path, self.disk.environment())
        else:
            program = points.Traced(command, log_path, self.disk.environment(), point[0],
                                    "signal=KILL:when=%d" % point[1])
        self.world.company.programs.append(program)
        if kill_after is not None:
            time.sleep(kill_after)
            program.kill()
        code = program.process.wait(lib.WAIT_S)
        lib.expect(code in (0, -9), " ".join(arguments) + ": " + program.log()[-1000:])
        return code
