# SPDX-License-Identifier: Apache-2.0
"""What must hold when the faults have ended: all files sound, every acknowledged transaction there
exactly once and whole, server and devices equal row by row."""

import hashlib
import json
import os

import lib
import small_company
from lib import expect, expect_equal

TALLY = {"note": 1, "work": 2, "own": 0, "shared": 0, "travel": 1} # notes that each kind writes


def check_files(world):
    files = {machine.name: machine.database for machine in world.machines}
    for name, path in files.items():
        expect_equal(lib.query(path, "PRAGMA integrity_check"), [("ok",)], name)
    expect_equal(lib.query(world.company.master, "PRAGMA foreign_key_check"), [], "server")
    world.company.cli("check")
    for machine in world.devices:
        machine.device.cli("verify")
    for photo in world.photos:
        with open(blob_path(world, photo), "rb") as file:
            expect_equal(hashlib.blake2b(file.read(), digest_size=32).hexdigest(), photo,
                         "content of a photo")


def blob_path(world, photo):
    return os.path.join(world.company.data, "blobs", photo[:2], photo[2:4], photo[4:])


def check_rows(world):
    """Rows that were compared on all devices."""
    total = 0
    for machine in world.devices:
        count, lines = world.company.compare(machine.device)
        expect_equal(lines, [], machine.name)
        total += count
    return total


def check_journals(world):
    """Transactions that were acknowledged, all there."""
    total = 0
    for machine in world.machines:
        begun, done = machine.journal()
        check_notes(world, machine, begun, done)
        check_work(world, machine, begun, done)
        check_own_field(world, machine, begun, done)
        total += len(done)
    check_shared_field(world)
    return total


def refused_notes(world, machine):
    """A visit was given away, and its call is still here because an earlier note has no answer
    yet: a note for it now is refused, and kept whole for the office and its author."""
    numbers = []
    for table, reason, payload in world.company.query(
            "SELECT table_name, reason_code, payload FROM review_item WHERE user_id = ?"
            " AND kind IN ('refused', 'parked')", machine.user_id):
        values = json.loads(payload)["values"]
        expect_equal((table, reason, values["call_id"]),
                     ("call_note", "not_entitled", small_company.TRAVELLING_CALL), payload)
        numbers.append(int(values["body"].split()[1]))
    return numbers


def check_notes(world, machine, begun, done):
    found = {}
    for (body,) in world.company.query("SELECT body FROM call_note WHERE by_id = ?",
                                       machine.user_id):
        name, number, _ = body.split()
        expect_equal(name, machine.name, "author of " + body)
        found[int(number)] = found.get(int(number), 0) + 1
    for number in refused_notes(world, machine):
        found[number] = found.get(number, 0) + 1
    for number, kind in begun.items():
        count = found.pop(number, 0)
        expect(count == TALLY[kind] or (count == 0 and number not in done),
               "%s: transaction %d (%s) was %s and left %d notes"
               % (machine.name, number, kind, "done" if number in done else "begun", count))
    expect_equal(found, {}, "notes of %s that nobody wrote" % machine.name)


def check_work(world, machine, begun, done):
    works = {number for number, kind in begun.items() if kind == "work"}
    expected = {number for number in works if number in done}
    for statement in ("SELECT break_min FROM work_session WHERE technician_id = ?",
                      "SELECT amount_cents FROM expense WHERE technician_id = ?",
                      "SELECT CAST(substr(body, length(?2) + 2) AS INTEGER) FROM call_note"
                      " WHERE by_id = ?1 AND body LIKE '% 2'"):
        values = (machine.user_id, machine.name) if "?2" in statement else (machine.user_id,)
        found = [row[0] for row in world.company.query(statement, *values)]
        expect_equal(len(found), len(set(found)), "%s: nothing twice" % machine.name)
        found = set(found)
        expect(expected <= found <= works,
               "%s: lost %r, too many %r" % (machine.name, expected - found, found - works))
        expected = works = found # the other tables have exactly the same


def check_own_field(world, machine, begun, done):
    numbers = [number for number, kind in begun.items() if kind == "own"]
    finished = [number for number in numbers if number in done]
    value = world.company.value("SELECT phone FROM contact WHERE name = ?",
                                "Contact of " + machine.name)
    if value is None:
        return
    expect(int(value) >= max(finished, default=0) and int(value) in numbers + [0],
           "%s: phone is %s, last acknowledged %s" % (machine.name, value,
                                                      max(finished, default=0)))


def check_shared_field(world):
    value = world.company.value("SELECT access_note FROM site WHERE id = 1")
    name, number = value.rsplit(" ", 1)
    for machine in world.machines:
        if machine.name == name:
            expect_equal(machine.journal()[0].get(int(number)), "shared", "origin of " + value)
            return
    expect(all("shared" not in machine.journal()[1].values() for machine in world.machines),
           "every acknowledged value of the shared field is lost: " + value)
