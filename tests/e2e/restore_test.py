# SPDX-License-Identifier: Apache-2.0
"""Copied folders, folders that are put back, backups and restores, with the real programs."""

import json
import os
import shutil
import subprocess
import threading
import time

import lib
import small_company
import stories
from lib import expect, expect_equal

NEWEST = "goes on"


def note(device, body):
    device.cli("note", "add", "C2026-000001", body)


def stored(company, body):
    return company.value("SELECT count(*) FROM call_note WHERE body = ?", body)


def replica_of(device):
    return device.value("SELECT number FROM fs_state WHERE name = 'replica_no'")


def copy_of(company, device):
    """Somebody copies the whole folder: keys, replica, attachments."""
    folder = device.folder + "-copy"
    while os.path.exists(folder):
        folder += "-2"
    shutil.copytree(device.folder, folder)
    copy = lib.Device(company, device.login, folder, device.line)
    company.devices.append(copy)
    return copy


def copies_of(company, replica_no):
    output = company.cli("device", "copies", str(replica_no), "--json")
    return json.loads(output.out)


def choose(company, replica_no, is_newest):
    for copy in copies_of(company, replica_no):
        if (copy["if_chosen"] == NEWEST) == is_newest:
            company.cli("device", "release", str(replica_no), "--copy", str(copy["copy"]))
            return
    raise lib.Failure("no such copy")


def expect_held(device):
    output = device.cli("sync", code=None)
    expect(output.code != 0, "a held device synchronises")
    expect("Two copies" in output.err, output.err)


def expect_same(company, *devices):
    for device in devices:
        expect_equal(device.sync().code, 0, "sync")
    for device in devices:
        expect_equal(device.sync().code, 0, "sync")
        expect_equal(list(company.differences(device)), [], "differences")


def a_copied_folder_is_held_until_an_admin_decides_and_both_deliver_all(company):
    anna = company.device_add("anna")
    expect_equal(anna.sync().code, 0, "sync")
    number = replica_of(anna)
    note(anna, "before the copy")
    copy = copy_of(company, anna)
    note(anna, "by the original")
    note(copy, "by the copy")
    expect_equal(anna.sync().code, 0, "the first to call")
    expect_held(copy)
    expect_held(anna)
    note(anna, "by the original, held")
    note(copy, "by the copy, held")
    expect_equal(len(copies_of(company, number)), 2, "copies")
    output = company.cli("device", "release", str(number), code=None)
    expect(output.code != 0 and "--copy" in output.err, output.err)
    choose(company, number, is_newest=True)
    expect_same(company, anna, copy)
    expect_equal(replica_of(anna), number, "replica of the original")
    expect(replica_of(copy) != number, "the copy has the same number")
    for body in ("before the copy", "by the original", "by the copy", "by the original, held",
                 "by the copy, held"):
        expect_equal(stored(company, body), 1, body)
    expect(not os.path.exists(os.path.join(copy.folder, "renewal")), "the renewal isn't over")
    note(copy, "as a device of its own")
    expect_same(company, anna, copy)
    expect_equal(stored(company, "as a device of its own"), 1, "notes")


def a_running_copy_goes_on_by_itself_once_the_admin_has_decided(company):
    anna = company.device_add("anna")
    expect_equal(anna.sync().code, 0, "sync")
    copy = copy_of(company, anna)
    anna.run()
    copy.start()
    lib.wait_for("both to be held", lambda: company.value(
        "SELECT count(*) FROM fs_replica WHERE replica_no = ? AND state = 'held'",
        replica_of(anna)) == 1)
    note(anna, "of one that runs")
    note(copy, "of the other that runs")
    number = replica_of(anna)
    for device in (anna, copy):
        device.nudge()
    lib.wait_for("both to be seen", lambda: len(copies_of(company, number)) == 2)
    choose(company, number, is_newest=True)
    for device in (anna, copy):
        device.sync()
    company.settle(anna, copy)
    expect_equal(stored(company, "of one that runs"), 1, "notes")
    expect_equal(stored(company, "of the other that runs"), 1, "notes")
    expect_equal(anna.stop(), 0, "one agent")
    expect_equal(copy.stop(), 0, "the other agent")


def a_folder_that_was_put_back_gets_its_work_back_and_delivers_the_new(company):
    bruno = company.device_add("bruno")
    expect_equal(bruno.sync().code, 0, "sync")
    number = replica_of(bruno)
    device_id = company.value("SELECT device_id FROM fs_replica WHERE replica_no = ?", number)
    image = bruno.folder + "-image"
    shutil.copytree(bruno.folder, image)
    for body in ("after the image", "and one more"):
        note(bruno, body)
        expect_equal(bruno.sync().code, 0, "sync")
    shutil.rmtree(bruno.folder)
    shutil.copytree(image, bruno.folder)
    note(bruno, "after it was put back")
    expect_held(bruno)
    choose(company, number, is_newest=False)
    expect_same(company, bruno)
    for body in ("after the image", "and one more", "after it was put back"):
        expect_equal(stored(company, body), 1, body)
        expect_equal(bruno.value("SELECT count(*) FROM call_note WHERE body = ?", body), 1, body)
    expect_equal(company.value("SELECT device_id FROM fs_replica WHERE replica_no = ?",
                               replica_of(bruno)), device_id, "device")


def backup(company, name, **options):
    folder = os.path.join(company.folder, name)
    return folder, company.cli("backup", folder, **options)


def verify(company, folder, code=0):
    return company.cli("restore", "--verify", folder, code=code)


def files_below(folder):
    return [os.path.join(root, name) for root, _, names in os.walk(folder) for name in names]


def add_photo(company, device):
    """A photo that the server holds; its bytes."""
    expect_equal(device.sync().code, 0, "sync")
    content = b"\xff\xd8\xff\xe0" + os.urandom(100000)
    path = os.path.join(device.folder, "photo.jpg")
    with open(path, "wb") as file:
        file.write(content)
    device.cli("photo", "add", str(small_company.visit_of(company, device.login)), path)
    device.sync()
    lib.wait_for("the photo", lambda: content in stored_files(company))
    return content


def stored_files(company):
    contents = []
    for path in files_below(os.path.join(company.data, "blobs")):
        with open(path, "rb") as file:
            contents.append(file.read())
    return contents


def a_backup_is_made_while_devices_write_and_is_whole(company):
    carla = company.device_add("carla")
    carla.run()
    is_over = threading.Event()

    def write():
        count = 0
        while not is_over.is_set():
            note(carla, "while it is backed up %d" % count)
            count += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        folder, _ = backup(company, "backup-live")
    finally:
        is_over.set()
        writer.join()
    expect("complete and sound" in verify(company, folder).out, "verify")
    files = sorted(os.listdir(folder))
    expect_equal([name for name in files if name not in ("MANIFEST", "blobs", "fieldsync.db")], [],
                 "verify wrote beside it")
    output = company.cli("backup", folder, code=None)
    expect(output.code != 0 and "overwrites nothing" in output.err, output.err)
    carla.wait_idle()
    expect_equal(carla.stop(), 0, "carla's agent")


def a_backup_that_was_cut_off_or_changed_is_refused(company):
    add_photo(company, company.device_add("anna"))
    folder, _ = backup(company, "backup-good")
    manifest = os.path.join(folder, "MANIFEST")
    database = os.path.join(folder, "fieldsync.db")
    photo = os.path.relpath(files_below(os.path.join(folder, "blobs"))[0], folder)

    def refused(change):
        spoilt = folder + "-spoilt"
        shutil.copytree(folder, spoilt)
        change(spoilt)
        for arguments in (("--verify", spoilt), ("--yes", spoilt)):
            if arguments[0] == "--yes":
                company.server.stop()
            output = company.cli("restore", *arguments, code=None)
            expect(output.code != 0 and output.err.startswith("error: "), output.err + output.out)
        company.serve()
        shutil.rmtree(spoilt)

    def flip(path, at):
        with open(path, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1]))

    count = company.value("SELECT count(*) FROM call_note")
    refused(lambda spoilt: os.remove(os.path.join(spoilt, "MANIFEST")))
    refused(lambda spoilt: os.truncate(os.path.join(spoilt, "MANIFEST"),
                                       os.path.getsize(manifest) - 1))
    refused(lambda spoilt: flip(os.path.join(spoilt, "MANIFEST"), 30))
    refused(lambda spoilt: flip(os.path.join(spoilt, "fieldsync.db"),
                                os.path.getsize(database) // 2))
    refused(lambda spoilt: flip(os.path.join(spoilt, photo), 100))
    refused(lambda spoilt: os.truncate(os.path.join(spoilt, photo), 100))
    refused(lambda spoilt: os.remove(os.path.join(spoilt, photo)))
    expect_equal(company.value("SELECT count(*) FROM call_note"), count, "notes after refusals")


def a_backup_that_was_cut_off_moves_no_watermark(company):
    anna = company.device_add("anna")
    note(anna, "not in any backup")
    expect_equal(anna.sync().code, 0, "sync")
    before = company.value("SELECT backup_lcn FROM fs_replica WHERE replica_no = ?",
                           replica_of(anna))
    # a folder that can't be made in the midst of the attachments
    blobs = os.path.join(company.data, "blobs", "00", "00")
    os.makedirs(blobs, exist_ok=True)
    unreadable = os.path.join(blobs, "0" * 60)
    os.makedirs(unreadable)
    folder, output = backup(company, "backup-cut-off", code=None)
    expect(output.code != 0 and "isn't complete" in output.err, output.err)
    expect(not os.path.exists(os.path.join(folder, "MANIFEST")), "it has a manifest")
    expect(verify(company, folder, code=None).code != 0, "it passes")
    os.rmdir(unreadable)
    for moment in (0.002, 0.01, 0.03, 0.1):
        killed = os.path.join(company.folder, "backup-killed-%s" % moment)
        program = subprocess.Popen([company.server_program, "backup", killed, "--data",
                                    company.data], stdout=subprocess.DEVNULL)
        time.sleep(moment)
        program.kill()
        if program.wait() == 0:
            break # it was quicker
        has_moved = company.value("SELECT backup_lcn FROM fs_replica WHERE replica_no = ?",
                                  replica_of(anna)) != before
        is_whole = verify(company, killed, code=None).code == 0
        expect(is_whole or not has_moved, "the watermark has moved, the backup was cut off")
    expect_equal(company.value("SELECT backup_lcn FROM fs_replica WHERE replica_no = ?",
                               replica_of(anna)), before, "watermark")
    backup(company, "backup-after")
    expect(company.value("SELECT backup_lcn FROM fs_replica WHERE replica_no = ?",
                         replica_of(anna)) > before, "the watermark hasn't moved")


def a_restored_server_gets_back_what_devices_still_hold(company):
    anna, bruno = company.device_add("anna"), company.device_add("bruno")
    for device in (anna, bruno):
        device.run()
    note(anna, "in the backup")
    anna.wait_idle()
    anna.stop()
    photo = add_photo(company, anna)
    anna.run()
    folder, _ = backup(company, "backup-monday")
    note(anna, "after the backup, by anna")
    note(bruno, "after the backup, by bruno")
    company.sql("INSERT INTO item(id, code, name, unit_of_measure) SELECT id, 'LOST', 'x', 'pcs'"
                " FROM new_id")
    company.settle(anna, bruno)
    newest = company.value("SELECT max(id) FROM item")
    late = company.device_add("carla") # the backup knows nothing of this device
    note(late, "by a device that was forgotten")
    expect_equal(late.sync().code, 0, "sync")
    number = replica_of(late)
    head = company.value("SELECT number FROM fs_state WHERE name = 'seq'")
    company.server.stop()
    output = company.cli("restore", folder, code=None)
    expect(output.code != 0 and "--yes" in output.err, output.err)
    shutil.rmtree(os.path.join(company.data, "blobs"))
    company.cli("restore", "--yes", folder)
    expect(photo in stored_files(company), "the photo is lost")
    note(anna, "while the server was away")
    company.serve()
    for device in (anna, bruno):
        device.nudge()
    company.settle(anna, bruno)
    for body in ("in the backup", "after the backup, by anna", "after the backup, by bruno",
                 "while the server was away"):
        expect_equal(stored(company, body), 1, body)
    expect_equal(company.value("SELECT count(*) FROM item WHERE code = 'LOST'"), 0, "office rows")
    expect(company.value("SELECT id FROM new_id") > newest, "an id is given again")
    expect(company.value("SELECT number FROM fs_state WHERE name = 'seq'") > head, "seqs go back")
    expect_equal(company.value("SELECT count(*) FROM fs_replica WHERE state = 'held'"
                               " AND replica_no IN (?, ?)", replica_of(anna), replica_of(bruno)),
                 0, "held devices")
    expect(late.cli("sync", code=None).code != 0, "a device that the server has forgotten")
    expect_equal(stored(company, "by a device that was forgotten"), 0, "notes")
    late.cli("enrol", company.code("carla"), "--again")
    expect_equal(stored(company, "by a device that was forgotten"), 1, "notes of it")
    expect(replica_of(late) > number, "a replica number is given again")
    expect_same(company, late)
    for device in (anna, bruno):
        expect_equal(device.stop(), 0, "an agent")
    expect("ok" in company.cli("check").out, "check")


if __name__ == "__main__":
    begin = time.monotonic()
    stories.tell((
        a_copied_folder_is_held_until_an_admin_decides_and_both_deliver_all,
        a_running_copy_goes_on_by_itself_once_the_admin_has_decided,
        a_folder_that_was_put_back_gets_its_work_back_and_delivers_the_new,
        a_backup_is_made_while_devices_write_and_is_whole,
        a_backup_that_was_cut_off_or_changed_is_refused,
        a_backup_that_was_cut_off_moves_no_watermark,
        a_restored_server_gets_back_what_devices_still_hold,
    ), ("anna", "bruno", "carla"))
    print("%.1f s" % (time.monotonic() - begin))
