# SPDX-License-Identifier: Apache-2.0
"""A damaged replica, with the real programs: `rescue` saves the unsent work, and it arrives."""

import json
import os

import lib
import stories
from damage import PAGE, into_one_file, leaves, overwrite
from lib import expect, expect_equal
from sealed import NOTE, Sealed, noted

DATABASE, FAILURE, TEMPORARY = 4, 1, 75
SEALED_PAGE = 4136


def kept(device):
    return [name for name in os.listdir(device.folder)
            if name.startswith("replica.db.") and not name.startswith("replica.db.damaged-")]


def report_of(device):
    names = [name for name in os.listdir(device.folder) if name.startswith("rescue-")]
    expect_equal(len(names), 1, "reports")
    path = os.path.join(device.folder, names[0])
    expect_equal(os.stat(path).st_mode & 0o777, 0o600, "rights of the report")
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def settle(company, device):
    for _ in range(2):
        device.cli("sync")
    expect_equal(list(company.differences(device)), [], device.login)


def offline_work(device, words, count=3):
    device.line.cut()
    for i in range(count):
        device.sql(NOTE % ("%s %d" % (words, i)))
    device.sql("UPDATE site SET access_note = '%s' WHERE id = 1" % words)


def unsent_work_arrives_from_a_replica_with_a_damaged_page(company):
    device = company.device_add("anna")
    device.sync()
    output = device.cli("rescue", "--json").json()
    expect(not output["damaged"] and not output["rescued"], "a sound one was rescued")
    offline_work(device, "before the damage")
    into_one_file(device.replica)
    overwrite(device.replica, leaves(device.replica, "fs_bucket")[0])
    with open(device.replica, "rb") as file:
        damaged = file.read()
    device.line.mend()
    for command in (("sync",), ("run",), ("status",)):
        output = device.cli(*command, code=DATABASE)
        expect("fieldsync-agent rescue" in output.err, "%s: %s" % (command, output.err))
    output = device.cli("rescue")
    expect("lost        nothing" in output.out, output.out)
    expect("4 changes of 4 rows that were never sent" in output.out, output.out)
    expect_equal(kept(device), [], "left over")
    names = [name for name in os.listdir(device.folder) if name.startswith("replica.db.damaged-")]
    expect_equal(len(names), 1, "kept files")
    with open(os.path.join(device.folder, names[0]), "rb") as file:
        expect(file.read() == damaged, "the damaged file was touched")
    settle(company, device)
    for i in range(3):
        expect_equal(noted(company, "before the damage %d" % i), 1, "note %d" % i)
    expect_equal(company.value("SELECT access_note FROM site WHERE id = 1"), "before the damage",
                 "the edit")
    device.sql(NOTE % "afterwards")
    settle(company, device)
    expect_equal(noted(company, "afterwards"), 1, "a later note")
    device.cli("verify")


def new_rows_are_found_though_their_lines_are_lost(company):
    device = company.device_add("bruno")
    device.sync()
    offline_work(device, "without lines")
    into_one_file(device.replica)
    for page in leaves(device.replica, "fs_outbox"):
        overwrite(device.replica, page, bytes(PAGE))
    device.line.mend()
    output = device.cli("rescue", code=FAILURE)
    expect("see rescue-" in output.out, output.out)
    expect_equal([loss["kind"] for loss in report_of(device)], ["outbox"], "losses")
    settle(company, device)
    for i in range(3):
        expect_equal(noted(company, "without lines %d" % i), 1, "note %d" % i)


def a_row_that_cant_be_read_is_named_and_the_others_arrive(company):
    device = company.device_add("carla")
    device.sync()
    device.line.cut()
    for i in range(60):
        device.sql(NOTE % ("%d of many, %s" % (i, "a long text " * 20)))
    into_one_file(device.replica)
    overwrite(device.replica, leaves(device.replica, "call_note")[-1])
    device.line.mend()
    device.cli("rescue", code=FAILURE)
    losses = report_of(device)
    expect(len(losses) > 0, "nothing is named")
    for loss in losses:
        expect_equal((loss["kind"], loss["table"], loss["op"]), ("change", "call_note", "insert"),
                     "a loss")
    settle(company, device)
    arrived = company.value("SELECT count(*) FROM call_note WHERE body LIKE '% of many,%'")
    expect_equal(arrived + len(losses), 60, "arrived and named")
    for loss in losses:
        expect_equal(company.value("SELECT count(*) FROM call_note WHERE id = ?", loss["row"]), 0,
                     "named and arrived")


def seals_that_arent_whole_wait_for_an_admin(company):
    device = company.device_add("anna")
    device.sync()
    device.sql(NOTE % "sealed and answered")
    device.sync()
    number = device.value("SELECT number FROM fs_state WHERE name = 'replica_no'")
    device.sql(NOTE % "unsent when the books broke")
    into_one_file(device.replica)
    for page in leaves(device.replica, "fs_seal"):
        overwrite(device.replica, page)
    output = device.cli("rescue")
    expect("device copies" in output.out, output.out)
    output = device.cli("sync", code=None)
    expect(output.code != 0 and "Two copies" in output.err, output.err)
    copies = company.cli("device", "copies", str(number), "--json").json()
    company.cli("device", "release", str(number), "--copy", str(copies[-1]["copy"]))
    settle(company, device)
    for words in ("sealed and answered", "unsent when the books broke"):
        expect_equal(noted(company, words), 1, words)
    expect(device.value("SELECT number FROM fs_state WHERE name = 'replica_no'") != number,
           "it has its old number")


def without_its_identity_a_device_names_everything_and_changes_nothing(company):
    device = company.device_add("bruno")
    device.sync()
    offline_work(device, "of nobody")
    into_one_file(device.replica)
    overwrite(device.replica, leaves(device.replica, "fs_state")[0])
    device.line.mend()
    with open(device.replica, "rb") as file:
        damaged = file.read()
    output = device.cli("rescue", code=DATABASE)
    expect("Nothing was changed" in output.out, output.out)
    named = [loss.get("values", {}).get("body") for loss in report_of(device)]
    for i in range(3):
        expect("of nobody %d" % i in named, "note %d isn't named: %r" % (i, named))
    with open(device.replica, "rb") as file:
        expect(file.read() == damaged, "the damaged file was touched")
    expect_equal(kept(device), [], "left over")


def where_no_replica_is_nothing_is_rescued(company):
    folder = os.path.join(company.folder, "empty")
    os.makedirs(folder)
    said = lib.run_program(company.agent_program, "rescue", "--data", folder, code=3)
    expect("no replica here" in said.err, said.err)


def a_rescue_that_was_cut_is_finished_by_the_next(company):
    device = company.device_add("carla")
    device.sync()
    offline_work(device, "cut rescue")
    into_one_file(device.replica)
    overwrite(device.replica, leaves(device.replica, "fs_bucket")[0])
    device.line.mend()
    device.cli("rescue")
    os.rename(device.replica, device.replica + ".rescued") # as before its last step
    for command in (("sync",), ("status",)):
        output = device.cli(*command, code=DATABASE)
        expect("`fieldsync-agent rescue` again" in output.err, output.err)
    device.cli("rescue")
    settle(company, device)
    expect_equal(noted(company, "cut rescue 2"), 1, "a note")


def an_encrypted_replica_is_rescued_encrypted(company):
    device = Sealed(company.device_new("anna"))
    device.enrol("--encrypt")
    device.cli("sync")
    device.device.line.cut()
    device.note("under lock and key")
    page = device.value("SELECT max(pageno) AS p FROM dbstat WHERE name = 'fs_bucket'")
    with open(device.replica, "r+b") as file:
        file.seek(PAGE + (page - 1) * SEALED_PAGE + 2000)
        file.write(bytes(64))
    device.device.line.mend()
    output = device.cli("sync", code=DATABASE)
    expect("fieldsync-agent rescue" in output.err, output.err)
    output = device.cli("rescue")
    expect("lost        nothing" in output.out, output.out)
    expect_equal(device.files_with("under lock and key", "CREATE TABLE"), [], "readable files")
    device.cli("sync")
    expect_equal(noted(company, "under lock and key"), 1, "the note")
    number = str(device.value("SELECT number FROM fs_state WHERE name = 'replica_no'"))
    company.cli("device", "revoke", number, "--wipe")
    device.cli("sync", code=6)
    left = [name for name in os.listdir(device.folder) if name not in ("agent.lock", "blobs")]
    expect_equal(left, [], "what is left in the folder")


if __name__ == "__main__":
    stories.tell((
        unsent_work_arrives_from_a_replica_with_a_damaged_page,
        new_rows_are_found_though_their_lines_are_lost,
        a_row_that_cant_be_read_is_named_and_the_others_arrive,
        seals_that_arent_whole_wait_for_an_admin,
        without_its_identity_a_device_names_everything_and_changes_nothing,
        where_no_replica_is_nothing_is_rescued,
        a_rescue_that_was_cut_is_finished_by_the_next,
        an_encrypted_replica_is_rescued_encrypted,
    ), ("anna", "bruno", "carla"))
