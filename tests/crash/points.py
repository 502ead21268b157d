# SPDX-License-Identifier: Apache-2.0
"""kill -9, or a failing system call, at a named point of a real program: the Nth call of a kind.

strace does it: it stops the program before that call and puts the signal or the failure there. It
needs to be installed and the right to trace (ptrace), see `why_not`."""

import os
import shutil
import signal
import subprocess

import lib

# What moves a file, and what leaves the program: "?" is for names that not every machine has.
CALLS = ("pwrite64", "fdatasync", "fsync", "ftruncate", "?rename,?renameat,?renameat2",
         "?unlink,?unlinkat", "write", "sendto")


def why_not():
    """Empty, or what is missing here."""
    if shutil.which("strace") is None:
        return "strace isn't installed"
    done = subprocess.run(["strace", "-f", "-qqq", "-o", os.devnull, "-e",
                           "trace=write", "true"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else "no right to trace: " + done.stderr.strip()


class Traced(lib.Program):
    """A program under strace. `action`: as strace's -e inject says it, "signal=KILL:when=3"."""

    def __init__(self, command, log_path, env, call, action):
        values = [word for name, value in (env or {}).items() for word in ("-E", name + "=" + value)]
        super().__init__(["strace", "-f", "-qqq", "-o", os.devnull, "-e",
                          "trace=" + call, "-e", "inject=%s:%s" % (call, action), *values,
                          *command], log_path)

    def signal(self, number):
        """To the program itself, not to strace."""
        path = "/proc/%d/task/%d/children" % (self.pid, self.pid)
        try:
            with open(path, encoding="ascii") as file:
                children = [int(word) for word in file.read().split()]
        except FileNotFoundError:
            return
        for child in children:
            try:
                os.kill(child, number)
            except ProcessLookupError:
                pass
        if not children and number == signal.SIGKILL:
            super().signal(number) # it has not begun yet


class Walk:
    """The points of one program in order: of each kind of call the 1st, the 2nd, and so on, until
    one isn't reached any more; then that kind begins anew. A kind that isn't reached at all is
    tried no more."""

    def __init__(self):
        self.next = {call: 1 for call in CALLS}
        self.waiting = list(CALLS)
        self.reached = set()

    def take(self):
        call = self.waiting.pop(0)
        self.waiting.append(call)
        return call, self.next[call]

    def note(self, call, number, is_reached):
        if is_reached:
            self.reached.add((call, number))
            self.next[call] = number + 1
        elif number > 1:
            self.next[call] = 1
        else:
            self.waiting.remove(call)

    def text(self):
        return ", ".join("%s %d" % (call.split(",", maxsplit=1)[0].lstrip("?"),
                                    sum(reached == call for reached, _ in self.reached))
                         for call in CALLS)
