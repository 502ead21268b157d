# SPDX-License-Identifier: Apache-2.0
"""Encrypted replicas and what kills and power cuts leave of them: at each point of turning the
encryption on and off, and while the agent and another program write."""

import os
import random
import sys
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "..", "e2e"))

import lib # noqa: E402
import points # noqa: E402
import powercut # noqa: E402
import small_company # noqa: E402
from lib import expect, expect_equal # noqa: E402
from sealed import NOTE, Sealed, left_over, noted # noqa: E402

BUILD = sys.argv[1]
LIBRARY = os.path.join(BUILD, "tests", "crash", "powercut.so")
CUTS = 8
# Hundreds of writes of pages are one like the other: some of each kind of call.
NUMBERS = (1, 2, 3, 5, 8, 40, 500)
CALLS = ("pwrite64", "fdatasync", "fsync", "ftruncate", "link,linkat",
         "?rename,?renameat,?renameat2", "?unlink,?unlinkat", "write")


def traced(device, call, number, *arguments):
    """False: the program came to its end before that point."""
    program = points.Traced(device.command(*arguments), os.path.join(device.folder, "agent.log"),
                            {"ASAN_OPTIONS": "detect_leaks=0"}, call, "signal=KILL:when=%d" % number)
    code = program.process.wait(lib.WAIT_S)
    expect(code in (0, -9), "%s: %s" % (arguments, program.log()[-1000:]))
    return code == -9


def sealed_now(device):
    with open(device.replica, "rb") as file:
        return file.read(16) == b"fieldsync sealed"


def each_point_of_turning_it_on_and_off_leaves_a_replica_that_works(company):
    """In turn: what finishes one of them begins the other."""
    plain = company.device_add("anna")
    device = Sealed(plain)
    device.protect()
    waiting = {command: [(call, number) for call in CALLS for number in NUMBERS]
               for command in ("encrypt", "decrypt")}
    kills = 0
    while waiting["encrypt"] or waiting["decrypt"]:
        command = "decrypt" if sealed_now(device) else "encrypt"
        if not waiting[command]:
            device.cli(command)
            continue
        call, number = waiting[command].pop(0)
        words = "%s, %s %d" % (command, call, number)
        device.note(words)
        if not traced(device, call, number, command): # it makes fewer such calls
            waiting[command] = [point for point in waiting[command] if point[0] != call]
            continue
        kills += 1
        seen = "SELECT count(*) FROM call_note WHERE body = '%s'" % words
        expect_equal(device.value(seen), 1, words)
        device.cli(command)
        expect_equal(sealed_now(device), command == "encrypt", words)
        expect_equal(left_over(device.folder), [], words)
        expect_equal(device.rows("SELECT (%s) AS seen, quick_check FROM pragma_quick_check" % seen),
                     [{"seen": 1, "quick_check": "ok"}], words + ", finished")
    if sealed_now(device):
        device.cli("decrypt")
    device.cli("sync")
    expect_equal(company.differences(plain), [], "anna")
    print("killed at %d points" % kills, flush=True)


def what_was_committed_before_a_power_cut_is_there_after_it(company):
    device = Sealed(company.device_new("bruno"))
    device.enrol("--encrypt")
    disk = powercut.Disk(device.folder, LIBRARY)
    environment = disk.environment()
    lost = done = 0
    try:
        for cut in range(CUTS):
            device.start(environment)
            until = time.monotonic() + random.uniform(0.5, 2)
            while time.monotonic() < until:
                device.cli("sql", NOTE % ("bruno %d" % done), env=environment)
                done += 1
                company.sql("UPDATE site SET access_note = 'office %d' WHERE id = 1" % done)
            device.device.kill()
            damage = disk.cut(random)
            lost += damage.lost
            expect_equal(device.value("SELECT count(*) FROM call_note WHERE body LIKE 'bruno %'"),
                         done, "notes after cut %d, %r" % (cut, damage))
            expect_equal(device.value("PRAGMA integrity_check"), "ok", "after cut %d" % cut)
            expect(os.path.exists(device.replica), "the replica")
    finally:
        disk.close()
    device.cli("sync")
    for number in range(done):
        expect_equal(noted(company, "bruno %d" % number), 1, "at the office: %d" % number)
    device.cli("decrypt")
    expect_equal(company.differences(device.device), [], "bruno")
    expect(lost > 0, "no cut took anything")
    print("%d power cuts, %d commits, %d sectors lost" % (CUTS, done, lost))


def main():
    why = points.why_not()
    with lib.Company(BUILD) as company:
        company.build = BUILD
        small_company.found(company, ("anna", "bruno"))
        company.serve()
        if why:
            print("kills at points: skipped, " + why)
        else:
            each_point_of_turning_it_on_and_off_leaves_a_replica_that_works(company)
        what_was_committed_before_a_power_cut_is_there_after_it(company)


if __name__ == "__main__":
    main()
