# SPDX-License-Identifier: Apache-2.0
"""Disks that fail under the real programs: system calls that strace lets fail with EIO or ENOSPC, at
the Nth call or for some time. A program that can't know what is on its disk ends and says so; the
next start needs no help; nothing acknowledged is lost."""

import os
import subprocess
import sys
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "..", "e2e"))

import lib # noqa: E402
import points # noqa: E402
import small_company # noqa: E402
import stories # noqa: E402
from lib import expect, expect_equal # noqa: E402

CALL = "C2026-000001"
EXIT_DATABASE = 4
SANITIZER = {"ASAN_OPTIONS": "detect_leaks=0"}
# where a write may fail: while the program starts, in a commit, in a checkpoint
SERVER_FAILURES = (("fdatasync", "EIO", (1, 2, 3, 5)), ("pwrite64", "EIO", (1, 4, 9, 30)),
                   ("pread64", "EIO", (30, 60)))
AGENT_FAILURES = (("fdatasync", "EIO", (1, 2)), ("pwrite64", "EIO", (1, 5, 20)))
REOPEN_S = 10 # an agent that ran so long opens its replica anew instead of ending


class Failing:
    """For some time calls of a running program fail; strace comes and goes, the program stays."""

    def __init__(self, program, call, action):
        self.strace = subprocess.Popen(
            ["strace", "-f", "-o", os.devnull, "-p", str(program.pid), "-e", "trace=" + call, "-e",
             "inject=%s:%s" % (call, action)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        line = self.strace.stderr.readline()
        expect("attached" in line, "strace: " + line)
        return self

    def __exit__(self, *error):
        self.strace.terminate()
        self.strace.communicate(timeout=lib.WAIT_S)


def two_devices(company):
    reason = points.why_not()
    if reason:
        print("SKIPPED: " + reason)
        raise SystemExit(0)
    company.notes = 0
    for login in ("anna", "bruno"):
        company.device_add(login, "--van", small_company.van_of(login)).run()
    company.settle(*company.devices)


def work(company):
    """One acknowledged change on each side."""
    company.notes += 1
    for device in company.devices:
        lib.change(device.replica, (
            "INSERT INTO call_note(id, call_id, occurred_at, by_id, body) VALUES"
            " ((SELECT id FROM new_id), 1, 1, ?, ?)",
            small_company.user_id_of(company, device.login), "number %d" % company.notes))
    company.sql(("UPDATE site SET access_note = ? WHERE id = 1", "number %d" % company.notes))


def expect_all_is_there(company):
    for device in company.devices:
        device.nudge()
    company.settle(*company.devices, seconds=stories.limit_s(company, 30))
    expect_equal(company.value("SELECT count(*) FROM call_note WHERE body LIKE 'number %'"),
                 len(company.devices) * company.notes, "notes")
    expect_equal(company.value("SELECT access_note FROM site WHERE id = 1"),
                 "number %d" % company.notes, "what the office wrote last")


def work_until_it_ends(company, program):
    """Its exit code; None: it went on."""
    begin = time.monotonic()
    while program.is_running() and time.monotonic() - begin < 2:
        work(company)
        for device in company.devices:
            device.nudge()
        time.sleep(0.1)
    return program.process.poll()


def serve_failing(company, call, action):
    company.server = points.Traced(
        [company.server_program, "serve", "--data", company.data, "--listen-port",
         str(company.port), "--admin-port", str(company.admin_port),
         "--limit-connects-per-address", "0"], os.path.join(company.folder, "server.log"),
        SANITIZER, call, action)
    company.programs.append(company.server)


def a_server_whose_disk_fails_ends_and_starts_again(company):
    for call, error, numbers in SERVER_FAILURES:
        for number in numbers:
            company.server.kill()
            log_size = len(company.server.log())
            serve_failing(company, call, "error=%s:when=%d" % (error, number))
            code = work_until_it_ends(company, company.server)
            what = "%s %d fails with %s" % (call, number, error)
            said = company.server.log()[log_size:]
            expect(code in (None, EXIT_DATABASE), "%s: exit code %s: %s" % (what, code, said))
            expect(code is None or "SQLite" in said or "sync" in said, what + ": " + said)
            print("  server, %s: %s" % (what, "goes on" if code is None else "ended"), flush=True)
            company.server.kill()
            company.serve()
            expect_all_is_there(company)
    company.cli("check")


def a_full_disk_lets_the_server_wait_and_it_goes_on_by_itself(company):
    with Failing(company.server, "pwrite64", "error=ENOSPC"):
        for _ in range(5):
            work(company)
            company.devices[0].nudge()
            time.sleep(0.3)
        expect(company.server.is_running(), "it ended: " + company.server.log()[-1000:])
        expect(company.is_healthy(), "it doesn't answer")
        expect(sum(device.waiting_count() for device in company.devices) > 0,
               "a full disk took everything")
    expect_all_is_there(company)


def an_agent_whose_disk_fails_says_so_and_starts_again(company):
    anna = company.devices[0]
    for call, error, numbers in AGENT_FAILURES:
        for number in numbers:
            anna.kill()
            log_size = len(anna.agent.log())
            anna.agent = points.Traced([company.agent_program, "run", "--data", anna.folder],
                                       anna.agent.log_path, SANITIZER, call,
                                       "error=%s:when=%d" % (error, number))
            company.programs.append(anna.agent)
            code = work_until_it_ends(company, anna.agent)
            what = "%s %d fails with %s" % (call, number, error)
            said = anna.agent.log()[log_size:]
            expect(code in (None, EXIT_DATABASE), "%s: exit code %s: %s" % (what, code, said))
            expect(code is None or "SQLite" in said, what + ": " + said)
            print("  agent, %s: %s" % (what, "goes on" if code is None else "ended"), flush=True)
            anna.agent.kill()
            anna.run()
            expect_all_is_there(company)
    anna.cli("verify")


def an_agent_that_has_run_for_a_while_opens_its_replica_anew(company):
    anna = company.devices[0] # it runs since the story before
    time.sleep(REOPEN_S + 1)
    log_size = len(anna.agent.log())
    with Failing(anna.agent, "fdatasync", "error=EIO:when=1"):
        work(company)
        lib.wait_for("the failure", lambda: len(anna.agent.log()) > log_size)
    expect_all_is_there(company)
    expect(anna.agent.is_running(), "it ended: " + anna.agent.log()[-1000:])
    expect("SQLite" in anna.agent.log()[log_size:], anna.agent.log()[log_size:])


def a_command_that_could_not_save_says_so_and_saves_whole_or_not(company):
    anna = company.devices[0]
    saved = 0
    for call, error in (("fdatasync", "EIO"), ("pwrite64", "EIO"), ("pwrite64", "ENOSPC")):
        for number in range(1, 8):
            body = "said %s %s %d" % (call, error, number)
            log_path = os.path.join(company.folder, "command.log")
            command = points.Traced([company.agent_program, "note", "add", CALL, body, "--data",
                                     anna.folder], log_path, SANITIZER, call,
                                    "error=%s:when=%d" % (error, number))
            code = command.process.wait(lib.WAIT_S)
            count = anna.value("SELECT count(*) FROM call_note WHERE body = ?", body)
            saved += count
            expect(code == 0 or "error: " in command.log(), body + ": " + command.log())
            expect(count == 1 if code == 0 else count in (0, 1), "%s: exit code %d, %d notes"
                   % (body, code, count))
            os.remove(log_path)
    expect_all_is_there(company)
    expect_equal(company.value("SELECT count(*) FROM call_note WHERE body LIKE 'said %'"), saved,
                 "notes that are in the replica")


def all_end_well(company):
    for device in company.devices:
        expect_equal(company.differences(device), [], device.login)
        expect_equal(device.stop(), 0, device.login)
        expect_equal(device.value("PRAGMA integrity_check"), "ok", device.login)
    company.cli("check")
    expect_equal(company.server.stop(), 0, "the server")


if __name__ == "__main__":
    stories.tell((
        two_devices,
        a_server_whose_disk_fails_ends_and_starts_again,
        a_full_disk_lets_the_server_wait_and_it_goes_on_by_itself,
        an_agent_whose_disk_fails_says_so_and_starts_again,
        an_agent_that_has_run_for_a_while_opens_its_replica_anew,
        a_command_that_could_not_save_says_so_and_saves_whole_or_not,
        all_end_well,
    ), ("anna", "bruno"))
