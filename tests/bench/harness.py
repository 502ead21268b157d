# SPDX-License-Identifier: Apache-2.0
"""Running programs, and looking at what they use."""
import os
import re
import socket
import sqlite3
import subprocess
import time

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


def wait_for(what, condition, seconds=WAIT_S, pause_s=0.005):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("bench: waited too long for " + what)
        time.sleep(pause_s)


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
