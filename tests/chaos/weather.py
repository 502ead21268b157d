# SPDX-License-Identifier: Apache-2.0
"""A device's network with faults: the program chaos (chaos.c) in the place of lib.Line."""

import collections
import os
import subprocess

import lib

Count = collections.namedtuple("Count", "up down connections")


def line_maker(build):
    """For Company.make_line."""
    program = os.path.join(build, "tests", "chaos", "chaos")
    return lambda server_port: BadLine(program, server_port)


class BadLine:
    def __init__(self, program, server_port):
        self.process = subprocess.Popen([program, str(server_port)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        self.port = int(self.process.stdout.readline().split()[1])

    def url(self):
        return "ws://127.0.0.1:%d/sync" % self.port

    def say(self, *commands):
        """Commands of chaos.c, one after the other."""
        for command in commands:
            answer = self._ask(command)
            lib.expect(answer == "ok", "chaos: %s: %s" % (command, answer))

    def count(self):
        return Count(*map(int, self._ask("count").split()))

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(lib.WAIT_S)

    def _ask(self, command):
        self.process.stdin.write(command + "\n")
        return self.process.stdout.readline().strip()
