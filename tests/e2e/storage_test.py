# SPDX-License-Identifier: Apache-2.0
"""Full disks, files that can't be written, files of another version: nothing is half done, people
are told in words, and it goes on by itself when the cause is gone."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request

import damage
import lib
import small_company
import stories
from lib import expect, expect_equal
from sealed import Sealed, left_over, noted

SMALL_DISK = "24m"
SERVER_DISK = "160m" # below 64 MiB of room a server isn't ready
NOTES = 15


@contextlib.contextmanager
def small_disk(folder, size=SMALL_DISK):
    """A disk of its own at `folder`; needs a machine on which we may mount."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + size, "none", folder],
                          capture_output=True, text=True, check=False) if has_mount() else None
    if done is None or done.returncode != 0:
        raise stories.Skipped("no right to mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def has_mount():
    return os.geteuid() == 0 and shutil.which("mount") is not None


def fill(folder):
    """Until not a byte is left; the file to remove again."""
    path = os.path.join(folder, "filler")
    for size in (1 << 20, 4096, 1):
        try:
            with open(path, "ab", buffering=0) as file:
                while file.write(bytes(size)) == size:
                    pass
        except OSError:
            pass
    return path


def forget(company, device):
    """Its disk is gone, and with it its log."""
    company.devices.remove(device)
    device.line.close()
    if device.agent in company.programs:
        company.programs.remove(device.agent)


def two_devices_are_in_sync(company):
    for login in ("anna", "bruno"):
        company.device_add(login, "--van", small_company.van_of(login)).run()
    company.settle(*company.devices)


def on_a_full_disk_a_device_says_so_and_later_goes_on(company):
    anna = company.devices[0]
    carla = company.device_new("carla")
    with small_disk(carla.folder):
        carla.cli("enrol", company.code("carla"), "--server", carla.line.url())
        carla.run()
        carla.cli("note", "add", "C2026-000001", "before")
        filler = fill(carla.folder)
        outputs = [carla.cli("note", "add", "C2026-000001", "full %d " % number + "x" * 20000,
                             code=None) for number in range(12)]
        failed = [output for output in outputs if output.code != 0]
        expect(failed, "a full disk took everything")
        for output in failed:
            expect("error: " in output.err and "disk" in output.err.lower(), output.err)
        anna.cli("note", "add", "C2026-000001", "of a colleague")
        lib.wait_for("the colleague's note", lambda: company.value(
            "SELECT count(*) FROM call_note WHERE body = 'of a colleague'") == 1)
        expect_equal(carla.value("PRAGMA integrity_check"), "ok", "replica")
        expect(carla.agent.is_running(), "the agent ended: " + carla.agent.log()[-1000:])
        os.remove(filler)
        carla.cli("note", "add", "C2026-000001", "after")
        company.settle(*company.devices)
        saved = len(outputs) - len(failed)
        expect_equal(company.value("SELECT count(*) FROM call_note WHERE body LIKE 'full %'"), saved,
                     "notes that were said to be saved")
        expect_equal(carla.stop(), 0, "carla's agent")
    forget(company, carla)


def on_a_full_disk_what_was_recorded_before_is_delivered(company):
    anna = company.devices[0]
    dario = company.device_new("dario")
    with small_disk(dario.folder):
        dario.cli("enrol", company.code("dario"), "--server", dario.line.url())
        dario.run()
        dario.line.cut()
        for number in range(20):
            dario.cli("note", "add", "C2026-000001", "queued %d " % number + "x" * 20000)
        filler = fill(dario.folder)
        lib.wait_for("a full disk", lambda: dario.cli(
            "note", "add", "C2026-000001", "one more " + "x" * 20000, code=None).code != 0)
        dario.line.mend()
        lib.wait_for("what was queued", lambda: company.value(
            "SELECT count(*) FROM call_note WHERE body LIKE 'queued %'") == 20)
        anna.cli("note", "add", "C2026-000001", "for a full disk " + "x" * 60000)
        anna.cli("note", "add", "C2026-000001", "and more " + "x" * 60000)
        lib.wait_for("the words", lambda: "full" in dario.cli("status").out)
        expect(dario.cli("status", "--json").json()["is_disk_low"], "status --json")
        expect(dario.agent.is_running(), "the agent ended: " + dario.agent.log()[-1000:])
        os.remove(filler)
        company.settle(*company.devices)
        lib.wait_for("other words", lambda: "full" not in dario.cli("status").out)
        expect_equal(dario.stop(), 0, "dario's agent")
    forget(company, dario)


def says_full(output):
    return "error: " in output.err and ("disk is full" in output.err or "No space" in output.err)


def on_a_full_disk_a_conversion_changes_nothing(company):
    device = Sealed(company.device_new("carla"))
    with small_disk(device.folder):
        device.enrol()
        device.note("before the conversion")
        notes = device.value("SELECT count(*) FROM call_note")
        for command, is_encrypted in (("encrypt", False), ("decrypt", True)):
            filler = fill(device.folder)
            for room in (0, 1 << 20): # for nothing, then for a part of the copy
                os.truncate(filler, os.path.getsize(filler) - room)
                output = device.cli(command, code=None)
                expect(output.code != 0 and says_full(output), command + ": " + output.err)
                expect_equal(left_over(device.folder), [], "left of " + command)
                output = device.cli("sql", "SELECT count(*) FROM call_note", code=None)
                expect(says_full(output) if room == 0 else output.out == "%d\n" % notes,
                       "reading after " + command + ": " + output.out + output.err)
            expect_equal(device.cli("status", "--json").json()["is_encrypted"], is_encrypted, command)
            os.remove(filler)
            device.cli(command)
            device.cli("verify")
        device.cli("sync")
        expect_equal(company.differences(device.device), [], "carla")
    forget(company, device.device)
    expect_equal(noted(company, "before the conversion"), 1, "the note")


def on_a_full_disk_a_rescue_keeps_what_there_is(company):
    dario = company.device_new("dario")
    with small_disk(dario.folder):
        dario.cli("enrol", company.code("dario"), "--server", dario.line.url())
        dario.line.cut()
        dario.cli("note", "add", "C2026-000001", "before the rescue")
        damage.into_one_file(dario.replica)
        damage.overwrite(dario.replica, damage.leaves(dario.replica, "fs_bucket")[0])
        files = sorted(os.listdir(dario.folder))
        filler = fill(dario.folder)
        output = dario.cli("rescue", code=None)
        expect(output.code != 0 and says_full(output), output.err)
        os.remove(filler)
        expect_equal(sorted(os.listdir(dario.folder)), files, "files")
        dario.cli("rescue")
        dario.line.mend()
        dario.sync()
        dario.sync()
    forget(company, dario)
    expect_equal(noted(company, "before the rescue"), 1, "the note")


def on_a_full_disk_the_server_makes_devices_wait_and_heals_by_itself(company):
    folder = tempfile.mkdtemp(prefix="fieldsync-small-")
    try:
        with small_disk(folder, SERVER_DISK), lib.Company(company.build, folder=folder, is_kept=True) as small:
            small.build = company.build
            small_company.found(small, ("anna",))
            small.serve()
            # the device's own folder lies on a disk with room
            anna = lib.Device(small, "anna", os.path.join(company.folder, "roomy"),
                              lib.Line(small.port))
            os.makedirs(anna.folder)
            small.devices.append(anna)
            anna.cli("enrol", small.code("anna"), "--server", anna.line.url())
            anna.run()
            server_fills_up(small, anna)
            anna.stop()
            expect_equal(small.server.stop(), 0, "the server")
    finally:
        os.rmdir(folder)


def readiness(company):
    """(status, words) of /readyz."""
    try:
        with urllib.request.urlopen("http://127.0.0.1:%d/readyz" % company.admin_port,
                                    timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode()


def server_fills_up(small, anna):
    reserve = os.path.join(small.data, "reserve")
    lib.wait_for("the reserve", lambda: os.path.exists(reserve))
    expect_equal(readiness(small), (200, "ready\n"), "/readyz")
    filler = fill(small.data)
    expect_equal(readiness(small), (503, "the disk is nearly full\n"), "/readyz")
    anna.cli("note", "add", "C2026-000001", "with the reserve " + "x" * 60000)
    lib.wait_for("the note that the reserve is for", lambda: small.value(
        "SELECT count(*) FROM call_note WHERE body LIKE 'with the reserve%'") == 1, seconds=60)
    expect(not os.path.exists(reserve), "it is there and there is room")
    expect("disk_full_reserve_given" in small.server.log(), "it doesn't say so")
    fill(small.data)
    for number in range(NOTES):
        anna.cli("note", "add", "C2026-000001", "number %d " % number + "x" * 20000)
    lib.wait_for("the server to notice", lambda: "disk" in small.server.log().lower()
                 or "full" in small.server.log().lower())
    expect(small.server.is_running(), "it ended: " + small.server.log()[-1000:])
    expect(small.is_healthy(), "it doesn't answer")
    expect(anna.waiting_count() > 0, "a full disk took everything")
    expect_equal(readiness(small), (503, "the last commit failed: the disk is full\n"), "/readyz")
    expect(small.server.log().count("group_failed") < 4, "the log fills the disk, too")
    os.remove(filler)
    anna.cli("sync", "--now", code=None)
    small.settle(anna, seconds=60)
    expect_equal(readiness(small), (200, "ready\n"), "/readyz")
    expect("writes_go_on" in small.server.log(), "it doesn't say that it is over")
    expect_equal(small.value("SELECT count(*) FROM call_note"), NOTES + 1, "notes")
    expect_equal(small.value("PRAGMA integrity_check"), "ok", "master")


def a_disk_that_can_only_be_read_is_named(company):
    elena = company.device_new("elena")
    with small_disk(elena.folder):
        elena.cli("enrol", company.code("elena"), "--server", elena.line.url())
        lib.run_program("mount", "-o", "remount,ro", elena.folder)
        output = elena.cli("note", "add", "C2026-000001", "not to be saved", code=None)
        expect(output.code != 0 and "error: " in output.err, "it claims to have saved")
        output = elena.cli("run", code=None, seconds=10)
        expect(output.code != 0 and "error: " in output.err, "it runs: " + output.err)
        lib.run_program("mount", "-o", "remount,rw", elena.folder)
        elena.cli("note", "add", "C2026-000001", "saved")
        expect_equal(elena.sync().code, 0, "sync")
    forget(company, elena)
    expect_equal(company.value("SELECT count(*) FROM call_note WHERE body LIKE '%saved'"), 1, "notes")


def a_server_whose_disk_can_only_be_read_says_so_and_changes_nothing(company):
    expect_equal(company.server.stop(), 0, "the server")
    folder = tempfile.mkdtemp(prefix="fieldsync-small-")
    try:
        with small_disk(folder):
            data = os.path.join(folder, "server")
            shutil.copytree(company.data, data, ignore=shutil.ignore_patterns("reserve"))
            lib.run_program("mount", "-o", "remount,ro", folder)
            output = lib.run_program(company.server_program, "serve", "--data", data,
                                     "--listen-port", "0", "--admin-port", "0", code=None,
                                     seconds=10)
            expect(output.code not in (0, -9) and "read-only" in output.err.lower(),
                   "it serves: " + output.err)
    finally:
        os.rmdir(folder)
    company.serve()


def files_of_a_newer_version_are_left_alone(company):
    anna = company.devices[0]
    expect_equal(anna.stop(), 0, "anna's agent")
    expect_equal(company.server.stop(), 0, "the server")
    future = ("INSERT INTO fs_migration(name, applied_at, digest)"
              " VALUES('0999_common_future', 1, 'x')")
    for path in (company.master, anna.replica):
        lib.change(path, future)
    for output in (company.cli("serve", "--admin-port", "0", code=None, seconds=10),
                   company.cli("user", "list", code=None), anna.cli("run", code=None, seconds=10),
                   anna.cli("note", "add", "C2026-000001", "from the past", code=None)):
        expect(output.code != 0, "a file of a newer version is used: " + " ".join(output.command))
        expect("newer" in output.err, " ".join(output.command) + ": " + output.err)
    for path in (company.master, anna.replica):
        lib.change(path, "DELETE FROM fs_migration WHERE name = '0999_common_future'")
    company.serve()
    anna.run()
    for device in company.devices:
        device.sync()
    company.settle(*company.devices)


def a_file_that_is_no_database_is_named_and_kept(company):
    for folder, name, command in (
            (os.path.join(company.folder, "odd-server"), "fieldsync.db",
             (company.server_program, "user", "list")),
            (os.path.join(company.folder, "odd-device"), "replica.db",
             (company.agent_program, "call", "list"))):
        os.makedirs(folder)
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(b"this is somebody's letter" * 400)
        output = lib.run_program(*command, "--data", folder, code=None)
        expect(output.code != 0 and "error: " in output.err, "it was taken: " + output.out)
        with open(path, "rb") as file:
            expect(file.read().startswith(b"this is somebody's letter"), "it was overwritten")


def all_end_well(company):
    for device in company.devices:
        expect_equal(company.differences(device), [], device.login)
        expect_equal(device.stop(), 0, device.login)
    company.cli("check")
    expect_equal(company.server.stop(), 0, "the server")


if __name__ == "__main__":
    stories.tell((
        two_devices_are_in_sync,
        on_a_full_disk_a_device_says_so_and_later_goes_on,
        on_a_full_disk_what_was_recorded_before_is_delivered,
        on_a_full_disk_a_conversion_changes_nothing,
        on_a_full_disk_a_rescue_keeps_what_there_is,
        on_a_full_disk_the_server_makes_devices_wait_and_heals_by_itself,
        a_disk_that_can_only_be_read_is_named,
        a_server_whose_disk_can_only_be_read_says_so_and_changes_nothing,
        files_of_a_newer_version_are_left_alone,
        a_file_that_is_no_database_is_named_and_kept,
        all_end_well,
    ), ("anna", "bruno", "carla", "dario", "elena"))
