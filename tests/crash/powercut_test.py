# SPDX-License-Identifier: Apache-2.0
"""Does the power cut cut? What was written and never synced is gone, what was synced stays."""

import os
import random
import sqlite3
import subprocess
import sys
import tempfile

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "..", "e2e"))

from lib import expect, expect_equal # noqa: E402
import powercut # noqa: E402

LIBRARY = sys.argv[1]


class Bench:
    """A disk of its own, and Python programs that write on it."""

    def __init__(self, lies=False):
        self.parent = tempfile.TemporaryDirectory(prefix="fieldsync-")
        self.folder = os.path.join(self.parent.name, "data")
        os.makedirs(self.folder)
        self.disk = powercut.Disk(self.folder, LIBRARY, lies)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.disk.close()
        self.parent.cleanup()

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, text):
        """As a program of this computer that is killed at its end."""
        code = ("import os, sqlite3\nos.chdir(%r)\n%s\nos.kill(os.getpid(), 9)"
                % (self.folder, text)).replace("HERE", self.disk.folder)
        done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True,
                              text=True, env={**os.environ, **self.disk.environment()})
        expect_equal((done.returncode, done.stderr), (-9, ""), text)

    def cut(self, keep=0.0):
        return self.disk.cut(random.Random(1), keep)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()


CREATE = ("d = os.open('HERE', os.O_RDONLY)\n"
          "f = os.open('HERE/file', os.O_RDWR | os.O_CREAT)\n")


def a_write_without_sync_is_lost():
    with Bench() as bench:
        bench.run(CREATE + "os.pwrite(f, b'old ' * 1000, 0); os.fdatasync(f); os.fsync(d)\n"
                           "os.pwrite(f, b'new!' * 100, 40); os.write(f, b'at the beginning')")
        damage = bench.cut()
        expect_equal(bench.read("file"), b"old " * 1000, "contents")
        expect(damage.writes == 2 and damage.lost == damage.sectors > 0, str(damage))


def a_write_with_sync_stays():
    for sync in ("fsync", "fdatasync"):
        with Bench() as bench:
            bench.run(CREATE + "os.pwrite(f, b'old ' * 1000, 0); os.fsync(d)\n"
                               "os.pwrite(f, b'new!' * 1000, 0); os.%s(f)" % sync)
            expect_equal(bench.cut(), powercut.Damage(0, 0, 0, 0), "damage")
            expect_equal(bench.read("file"), b"new!" * 1000, "contents")


def what_was_not_there_before_the_cut_is_torn_by_sectors():
    with Bench() as bench:
        bench.run(CREATE + "os.pwrite(f, b'o' * 65536, 0); os.fdatasync(f); os.fsync(d)\n"
                           "os.pwrite(f, b'n' * 65536, 0)")
        damage = bench.cut(keep=0.5)
        content = bench.read("file")
        size = 65536 // damage.sectors
        parts = [content[place:place + size] for place in range(0, 65536, size)]
        expect(set(parts) == {b"o" * size, b"n" * size}, "not torn: %r" % (damage,))
        expect_equal(parts.count(b"o" * size), damage.lost, "lost sectors")


def sizes_come_back():
    with Bench() as bench:
        bench.run(CREATE + "os.pwrite(f, b'abcdef', 0); os.fdatasync(f); os.fsync(d)\n"
                           "os.ftruncate(f, 2); os.pwrite(f, b'zz', 9000); os.ftruncate(f, 1)")
        bench.cut()
        expect_equal(bench.read("file"), b"abcdef", "contents")


def names_without_a_sync_of_their_folder_are_lost():
    with Bench() as bench:
        bench.run(CREATE + "os.pwrite(f, b'first', 0); os.fsync(f); os.fsync(d)\n"
                           "g = os.open('HERE/new', os.O_RDWR | os.O_CREAT)\n"
                           "os.pwrite(g, b'second', 0); os.fsync(g)\n"
                           "os.rename('HERE/new', 'HERE/file')")
        expect_equal(bench.read("file"), b"second", "contents before")
        bench.cut()
        expect_equal((bench.read("file"), os.listdir(bench.folder)), (b"first", ["file"]), "names")
        bench.run("os.unlink('HERE/file')")
        expect_equal(os.listdir(bench.folder), [], "names before")
        bench.cut()
        expect_equal(bench.read("file"), b"first", "contents of what was removed")
        bench.run("os.unlink('HERE/file'); os.fsync(os.open('HERE', os.O_RDONLY))")
        bench.cut()
        expect_equal(os.listdir(bench.folder), [], "names after a sync")


MAKE = ("c = sqlite3.connect('HERE/base.db', isolation_level=None)\n"
        "c.execute('PRAGMA journal_mode = WAL'); c.execute('CREATE TABLE t(v)')\n"
        "c.execute('INSERT INTO t VALUES(1)')\n")


def numbers_of(bench):
    database = sqlite3.connect(bench.path("base.db"))
    expect_equal(database.execute("PRAGMA integrity_check").fetchall(), [("ok",)], "check")
    numbers = [row[0] for row in database.execute("SELECT v FROM t ORDER BY v")]
    database.close()
    return numbers


def a_full_commit_of_sqlite_stays_and_a_lazy_one_is_lost():
    with Bench() as bench:
        bench.run(MAKE)
        bench.cut()
        expect_equal(numbers_of(bench), [1], "synchronous = FULL")
        bench.run("c = sqlite3.connect('HERE/base.db', isolation_level=None)\n"
                  "c.execute('PRAGMA synchronous = NORMAL')\n"
                  "c.execute('INSERT INTO t VALUES(2)')\n")
        bench.cut()
        expect_equal(numbers_of(bench), [1], "synchronous = NORMAL")


def on_a_disk_that_lies_a_full_commit_is_lost():
    with Bench() as bench:
        bench.run(MAKE)
        bench.cut()
        bench.disk.lies = True
        bench.run("c = sqlite3.connect('HERE/base.db', isolation_level=None)\n"
                  "c.execute('INSERT INTO t VALUES(2)')\n")
        bench.cut()
        expect_equal(numbers_of(bench), [1], "after a lie")


if __name__ == "__main__":
    for test in (a_write_without_sync_is_lost, a_write_with_sync_stays,
                 what_was_not_there_before_the_cut_is_torn_by_sectors, sizes_come_back,
                 names_without_a_sync_of_their_folder_are_lost,
                 a_full_commit_of_sqlite_stays_and_a_lazy_one_is_lost,
                 on_a_disk_that_lies_a_full_commit_is_lost):
        test()
        print(test.__name__.replace("_", " ") + ": ok", flush=True)
