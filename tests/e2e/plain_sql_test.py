# SPDX-License-Identifier: Apache-2.0
"""Master and replicas are ordinary SQLite files: any program may write them, with any of the usual
tools, also at the same time, also while nobody is connected."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time

import lib
import small_company
import stories
from lib import expect, expect_equal

COMMAND_LIMIT_S = 1
NOTES = 40
WRITER = """
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
for number in range(int(sys.argv[4])):
    database.execute("BEGIN IMMEDIATE")
    database.execute("INSERT INTO call_note(id, call_id, occurred_at, by_id, body)"
                     " VALUES((SELECT id FROM new_id), 1, ?, ?, ?)",
                     (time.time_ns() // 1000, int(sys.argv[3]), "%s %d" % (sys.argv[2], number)))
    database.execute("COMMIT")
"""


def shell(path, statements):
    """What somebody types into the sqlite3 shell."""
    if shutil.which("sqlite3") is None:
        raise stories.Skipped("there is no sqlite3 shell here")
    return lib.run_program("sqlite3", "-cmd", ".timeout 10000", path, statements).out.strip()


def two_devices_are_in_sync(company):
    for login in ("anna", "bruno"):
        company.device_add(login, "--van", small_company.van_of(login)).run()
    company.settle(*company.devices)


def sql_in_a_shell_on_the_master_reaches_the_devices(company):
    shell(company.master, "UPDATE site SET name = 'Forno nuovo', zone = 'B' WHERE id = 1;"
          " INSERT INTO call(id, number_text, channel, party_id, site_id, subject, opened_at)"
          " VALUES((SELECT id FROM new_id), 'C2026-000003', 'web', 1, 1, 'Door', 1795000000000000);")
    begin = time.monotonic()
    for device in company.devices:
        lib.wait_for("a new call", lambda: device.query(
            "SELECT s.name, s.zone FROM call c JOIN site s ON s.id = c.site_id"
            " WHERE c.subject = 'Door'") == [("Forno nuovo", "B")])
    stories.expect_within(company, time.monotonic() - begin, 1, "from the shell to all devices")
    company.settle(*company.devices)


def what_is_undone_in_a_shell_goes_nowhere(company):
    head = company.value("SELECT number FROM fs_state WHERE name = 'seq'")
    shell(company.master, "BEGIN; DELETE FROM contact; UPDATE site SET name = 'x'; ROLLBACK;")
    shell(company.devices[0].replica, "BEGIN; UPDATE site SET access_note = 'x'; ROLLBACK;")
    company.devices[0].sync()
    expect_equal(company.value("SELECT number FROM fs_state WHERE name = 'seq'"), head, "head")


def a_deletion_in_a_shell_deletes_everywhere(company):
    shell(company.master, "DELETE FROM contact WHERE id = %d" % small_company.SHARED_CONTACT)
    for device in company.devices:
        lib.wait_for("the deletion", lambda: device.value(
            "SELECT count(*) FROM contact WHERE id = ?", small_company.SHARED_CONTACT) == 0)


def several_programs_write_one_replica_at_once(company):
    anna = company.devices[0]
    user_id = small_company.user_id_of(company, "anna")
    programs = [subprocess.Popen([sys.executable, "-c", WRITER, anna.replica, name, str(user_id),
                                  str(NOTES)]) for name in ("first", "second")]
    try:
        for number in range(NOTES // 4):
            shell(anna.replica, "INSERT INTO call_note(id, call_id, occurred_at, by_id, body) VALUES("
                  "(SELECT id FROM new_id), 1, 1795000000000000, %d, 'shell %d')"
                  % (user_id, number))
            anna.cli("note", "add", "C2026-000001", "command %d" % number)
            company.sql(("UPDATE site SET access_note = ? WHERE id = 1", "office %d" % number))
        for program in programs:
            expect_equal(program.wait(60), 0, "a writing program")
    finally:
        for program in programs:
            program.kill()
            program.wait()
    company.settle(*company.devices)
    expected = {"first": NOTES, "second": NOTES, "shell": NOTES // 4, "command": NOTES // 4}
    for name, count in expected.items():
        for path in [company.master] + [device.replica for device in company.devices]:
            expect_equal(lib.query(path, "SELECT count(DISTINCT body), count(*) FROM call_note"
                                   " WHERE body LIKE ?", name + " %"), [(count, count)],
                         "%s in %s" % (name, path))


def what_a_technician_may_not_write_is_refused_at_once_and_says_why(company):
    anna = company.devices[0]
    for statement in ("UPDATE activity SET state = 'done'", "UPDATE item SET name = 'x'",
                      "UPDATE site SET name = 'mine'", "DELETE FROM call_note"):
        try:
            anna.sql(statement)
        except sqlite3.Error as error:
            expect(len(str(error)) > 10, "no words: " + str(error))
        else:
            anna.sync()
            company.settle(*company.devices)
            expect(anna.query("SELECT * FROM fs_fate WHERE fate = 'refused'"),
                   "nobody objects to: " + statement)
    expect_equal(company.value("SELECT count(*) FROM site WHERE name = 'mine'"), 0, "names")


def without_a_server_every_command_works_and_returns_at_once(company):
    anna = company.devices[0]
    expect_equal(company.server.stop(), 0, "the server")
    visit = str(small_company.visit_of(company, "anna"))
    photo = os.path.join(company.folder, "photo.jpg")
    with open(photo, "wb") as file:
        file.write(os.urandom(100_000))
    for words in (
            ("status",), ("call", "list", "--open"), ("call", "show", "C2026-000001"),
            ("activity", "list"), ("activity", "accept", visit), ("activity", "depart", visit),
            ("activity", "arrive", visit), ("activity", "start", visit),
            ("note", "add", "C2026-000001", "no network here"), ("part", "use", visit, "P", "2"),
            ("part", "need", "C2026-000001", "Q"), ("van", "show"), ("van", "count", "P=900"),
            ("work", "add", visit, "--minutes", "30"), ("expense", "add", visit, "toll", "2.50"),
            ("photo", "add", visit, photo), ("photo", "list", visit),
            ("activity", "report", visit, "--outcome", "solved", "--text", "seal replaced"),
            ("sign", visit, "--name", "Maria Bianchi"), ("activity", "finish", visit),
            ("call", "open", "Light is broken", "--site", "1", "--mine"), ("search", "Bianchi"),
            ("inbox", "list"), ("fate",), ("verify",), ("new-id",),
            ("explain", "call", "1")):
        output = anna.cli(*words, code=None)
        expect_equal(output.code, 0, " ".join(words) + ": " + output.err)
        stories.expect_within(company, output.seconds, COMMAND_LIMIT_S, " ".join(words))
    begin = time.monotonic()
    output = anna.sync(code=None)
    expect(output.code != 0 and "Everything recorded stays here" in output.err, output.err)
    stories.expect_within(company, time.monotonic() - begin, 5, "a sync without a server")
    expect(anna.waiting_count() > 10, "nothing waits to be sent")


def and_all_of_it_arrives_when_the_server_is_back(company):
    anna = company.devices[0]
    company.serve()
    for device in company.devices:
        device.sync()
    company.settle(*company.devices)
    expect_equal(company.value("SELECT state FROM activity WHERE id = ?",
                               small_company.visit_of(company, "anna")), "done", "the visit")
    expect_equal(company.value("SELECT count(*) FROM signature"), 1, "signatures")
    expect_equal(company.value("SELECT count(*) FROM call WHERE subject = 'Light is broken'"), 1,
                 "calls opened on the device")
    lib.wait_for("the photo", lambda: company.value(
        "SELECT lower(content_hash) FROM attachment") in blob_names(company))
    expect_equal(anna.query("SELECT * FROM fs_status WHERE state <> 'refused'"), [], "what waits")
    company.cli("check")
    for device in company.devices:
        device.cli("verify")
        expect_equal(device.stop(), 0, device.login)


def blob_names(company):
    root = os.path.join(company.data, "blobs")
    return {os.path.relpath(os.path.join(folder, name), root).replace("/", "")
            for folder, _, names in os.walk(root) for name in names}


if __name__ == "__main__":
    stories.tell((
        two_devices_are_in_sync,
        sql_in_a_shell_on_the_master_reaches_the_devices,
        what_is_undone_in_a_shell_goes_nowhere,
        a_deletion_in_a_shell_deletes_everywhere,
        several_programs_write_one_replica_at_once,
        what_a_technician_may_not_write_is_refused_at_once_and_says_why,
        without_a_server_every_command_works_and_returns_at_once,
        and_all_of_it_arrives_when_the_server_is_back,
    ), ("anna", "bruno"))
