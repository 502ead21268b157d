# SPDX-License-Identifier: Apache-2.0
"""Encrypted replicas, with the real programs."""

import os
import sqlite3
import stat

import lib
import stories
from lib import expect, expect_equal
from sealed import Sealed, left_over, noted

KNOWN = ("Panificio Bianchi", "Il forno non scalda", "SQLite format", "CREATE TABLE")
AUTHENTICATION, DATABASE, TEMPORARY = 6, 4, 75


def expect_unreadable(device):
    expect_equal(device.files_with(*KNOWN), [], "files that can be read")
    try:
        lib.query(device.replica, "SELECT * FROM site")
        raise lib.Failed("plain SQLite reads it")
    except sqlite3.DatabaseError as error:
        expect_equal(str(error), "file is not a database", "SQLite's words")


def an_encrypted_replica_is_made_by_the_enrolment_and_works_like_any_other(company):
    device = Sealed(company.device_new("anna"))
    device.enrol("--encrypt")
    expect_unreadable(device)
    device.start()
    lib.wait_for("the connection", device.device.is_live)
    device.note("through the running agent")
    lib.wait_for("the note", lambda: noted(company, "through the running agent") == 1)
    expect(os.path.exists(device.replica + "-vwal"), "there is no log")
    expect(not os.path.exists(device.replica + "-wal"), "there is a log of plain SQLite")
    expect_unreadable(device)
    company.sql("UPDATE site SET access_note = 'from the office' WHERE id = 1")
    lib.wait_for("the office's edit", lambda: device.value(
        "SELECT access_note FROM site WHERE id = 1") == "from the office")
    expect(device.cli("status", "--json").json()["is_encrypted"], "status doesn't say it")
    expect("encrypted" in device.cli("status").out, "status doesn't say it in words")
    device.cli("verify")
    device.device.kill()
    expect_unreadable(device)
    device.start()
    device.note("after a kill")
    lib.wait_for("the note", lambda: noted(company, "after a kill") == 1)
    expect_equal(device.stop(), 0, "its agent")
    device.cli("decrypt")
    expect_equal(company.differences(device.device), [], "anna")


def statements_are_one_transaction_whole_or_not_at_all(company):
    device = Sealed(company.device_new("anna"))
    device.enrol("--encrypt")
    before = device.value("SELECT count(*) FROM call_note")
    output = device.cli("sql", "UPDATE site SET access_note = 'half'; INSERT INTO nowhere VALUES(1)",
                        code=1)
    expect("no such table: nowhere" in output.err and "Nothing was changed" in output.err, output.err)
    expect_equal(device.value("SELECT count(*) FROM site WHERE access_note = 'half'"), 0, "half")
    output = device.cli("sql", text_in="""
        -- a script; with semicolons in a text
        UPDATE site SET access_note = 'a;b' WHERE id = 1;
        SELECT access_note, NULL, 7 FROM site WHERE id = 1;
        SELECT count(*) AS unsent FROM fs_outbox WHERE lcn > 0""")
    lines = output.out.splitlines()
    expect_equal(lines[0], "a;b||7", "a row")
    expect(int(lines[1]) > 0, "it wasn't captured: %r" % lines)
    device.cli("sync")
    expect_equal(company.value("SELECT access_note FROM site WHERE id = 1"), "a;b", "at the office")
    expect_equal(device.value("SELECT count(*) FROM call_note"), before, "notes")


def a_device_is_encrypted_and_decrypted_with_its_unsent_work(company):
    plain = company.device_add("bruno")
    device = Sealed(plain)
    output = plain.cli("encrypt", code=1)
    expect("under no passphrase" in output.err and "fieldsync-agent passphrase" in output.err,
           output.err)
    device.protect()
    plain.cli("call", "list") # the keys alone aren't needed for that
    plain.sql("UPDATE site SET access_note = 'recorded before' WHERE id = 1")
    foreign = sqlite3.connect(plain.replica)
    foreign.execute("SELECT count(*) FROM site").fetchall()
    output = device.cli("encrypt", code=TEMPORARY)
    expect("another program has the replica open" in output.err, output.err)
    foreign.close()
    device.start()
    lib.wait_for("the connection", plain.is_live)
    output = device.cli("encrypt", code=TEMPORARY)
    expect("Stop the agent first" in output.err, output.err)
    expect_equal(device.stop(), 0, "its agent")
    plain.sql("UPDATE site SET access_note = 'recorded without an agent' WHERE id = 1")
    expect("encrypted now" in device.cli("encrypt").out, "encrypt")
    expect("already" in device.cli("encrypt").out, "encrypt again")
    expect_unreadable(device)
    expect_equal(left_over(device.folder), [], "left")
    for name in ("replica.db", "replica.key"):
        mode = stat.S_IMODE(os.stat(os.path.join(device.folder, name)).st_mode)
        expect_equal(mode, 0o600, "mode of " + name)
    expect(plain.cli("call", "list", code=AUTHENTICATION).err.startswith("error: "), "no passphrase")
    device.cli("sync")
    expect_equal(company.value("SELECT access_note FROM site WHERE id = 1"),
                 "recorded without an agent", "at the office")
    device.note("recorded while encrypted")
    device.cli("decrypt")
    expect("wasn't encrypted" in device.cli("decrypt").out, "decrypt again")
    expect(not os.path.exists(os.path.join(device.folder, "replica.key")), "the key is still there")
    expect_equal(left_over(device.folder), [], "left")
    device.cli("sync")
    expect_equal(noted(company, "recorded while encrypted"), 1, "at the office")
    expect_equal(company.differences(plain), [], "bruno")


def only_its_passphrase_opens_it(company):
    device = Sealed(company.device_new("anna"))
    device.enrol("--encrypt")
    output = device.cli("passphrase", "--remove", code=AUTHENTICATION)
    expect("`fieldsync-agent decrypt` comes first" in output.err, output.err)
    device.change_secret("another passphrase")
    output = device.cli("call", "list", code=AUTHENTICATION)
    expect("passphrase" in output.err and "The replica is encrypted" in output.err, output.err)
    device.change_secret("horse battery staple")
    other = device.secret + ".new"
    with open(other, "w", encoding="utf-8") as file:
        file.write("quite another one\n")
    lib.run_program("sh", "-c", 'exec 8<"$1"; shift; exec "$@"', "sh", other,
                    *device.command("passphrase"), "--new-passphrase-fd", "8")
    expect(device.cli("sync", code=None).code != 0, "the old one opens it")
    device.change_secret("quite another one")
    device.cli("sync")
    device.cli("call", "list")
    os.rename(os.path.join(device.folder, "replica.key"), device.secret + ".key")
    output = device.cli("call", "list", code=DATABASE)
    expect("is encrypted and replica.key isn't there" in output.err, output.err)
    os.rename(device.secret + ".key", os.path.join(device.folder, "replica.key"))
    device.cli("call", "list")


def a_damaged_page_is_named(company):
    device = Sealed(company.device_new("anna"))
    device.enrol("--encrypt")
    device.cli("sql", "SELECT 1")
    page_count = (os.path.getsize(device.replica) - 4096) // 4136
    page = page_count - 1
    with open(device.replica, "r+b") as file:
        file.seek(4096 + (page - 1) * 4136 + 2000)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    output = device.cli("verify", code=None)
    expect(output.code != 0, "verify finds nothing: " + output.out)
    output = device.cli("decrypt", code=DATABASE)
    expect("page %d of replica.db is damaged or was altered" % page in output.err, output.err)
    expect("fieldsync-agent verify" in output.err, "no next step: " + output.err)


def a_revoked_device_wipes_the_key_too(company):
    device = Sealed(company.device_new("carla"))
    device.enrol("--encrypt")
    number = str(device.value("SELECT number FROM fs_state WHERE name = 'replica_no'"))
    company.cli("device", "revoke", number, "--wipe")
    device.cli("sync", code=AUTHENTICATION)
    left = [name for name in os.listdir(device.folder) if name not in ("agent.lock", "blobs")]
    expect_equal(left, [], "what is left in the folder")


if __name__ == "__main__":
    stories.tell((
        an_encrypted_replica_is_made_by_the_enrolment_and_works_like_any_other,
        statements_are_one_transaction_whole_or_not_at_all,
        a_device_is_encrypted_and_decrypted_with_its_unsent_work,
        only_its_passphrase_opens_it,
        a_damaged_page_is_named,
        a_revoked_device_wipes_the_key_too,
    ), ("anna", "bruno", "carla"))
