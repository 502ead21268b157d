# SPDX-License-Identifier: Apache-2.0
"""Killed while a company is made or a device enrolled, at each named point, with and without a power
cut: the same command again finishes it, and nothing has to be cleaned up by hand."""

import os
import random
import shutil
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "..", "e2e"))

import lib # noqa: E402
import points # noqa: E402
import powercut # noqa: E402
import stories # noqa: E402
from lib import expect, expect_equal # noqa: E402

IS_THOROUGH = "FIELDSYNC_ALL_POINTS" in os.environ
seed = random.randrange(1 << 32)
chance = random.Random(seed)


def numbers():
    """1, 2, 3, ... with growing steps: a command writes a few hundred times."""
    number = 1
    while True:
        yield number
        number += 1 + number // 3 if IS_THOROUGH else 1 + 8 * number


def kill_everywhere(company, folder_of, command_of, again):
    """Runs the command in a new folder and kills it at each point; `again` must then finish it. The
    number of points that were reached."""
    library = os.path.join(company.build, "tests", "crash", "powercut.so")
    count = 0
    for call in points.CALLS:
        for number in numbers():
            folder = folder_of("%s-%d" % (call.split(",", maxsplit=1)[0].lstrip("?"), number))
            os.makedirs(folder)
            disk = powercut.Disk(folder, library)
            program = points.Traced(command_of(folder), os.path.join(company.folder, "first.log"),
                                    disk.environment(), call, "signal=KILL:when=%d" % number)
            code = program.process.wait(lib.WAIT_S)
            expect(code in (0, -9), "exit code %d: %s" % (code, program.log()[-1000:]))
            if code == -9:
                count += 1
                if chance.random() < 0.5:
                    disk.cut(chance)
            disk.close()
            again(folder, code, "killed before %s %d" % (call, number))
            shutil.rmtree(folder)
            if code == 0:
                break
    return count


def a_company_is_made_at_the_second_try(company):
    reason = points.why_not()
    if reason:
        raise stories.Skipped(reason)

    def init(folder):
        return [company.server_program, "init", "--data", os.path.join(folder, "data")]

    def again(folder, code, what):
        if code != 0:
            output = lib.run_program(*init(folder), code=None)
            expect(output.code == 0 or "already" in output.err, what + ": " + output.err)
        data = ("--data", os.path.join(folder, "data"))
        output = lib.run_program(company.server_program, "user", "add", "anna", "--name", "Anna",
                                 "--role", "technician", *data, code=None)
        expect_equal(output.code, 0, what + ": " + output.err)
        lib.run_program(company.server_program, "device", "enrol", "--user", "anna", *data)
        lib.run_program(company.server_program, "check", *data)

    count = kill_everywhere(company, lambda name: os.path.join(company.folder, "init-" + name),
                            init, again)
    print("init: killed at %d points" % count, flush=True)


def a_device_is_enrolled_at_the_second_try_with_the_same_code(company):
    reason = points.why_not()
    if reason:
        raise stories.Skipped(reason)
    url = "ws://127.0.0.1:%d/sync" % company.port
    codes = {}

    def enrol(folder):
        codes.setdefault(folder, company.code("anna"))
        return [company.agent_program, "enrol", codes[folder], "--server", url, "--data", folder]

    def again(folder, code, what):
        if code != 0:
            output = lib.run_program(*enrol(folder), code=None)
            expect(output.code == 0 or "already" in output.err, what + ": " + output.err)
        output = lib.run_program(company.agent_program, "sync", "--data", folder, code=None)
        expect_equal(output.code, 0, what + ": " + output.err)

    count = kill_everywhere(company, lambda name: os.path.join(company.folder, "enrol-" + name),
                            enrol, again)
    held = company.value("SELECT count(*) FROM fs_replica WHERE state <> 'active'")
    expect_equal(held, 0, "devices taken for copies")
    print("enrol: killed at %d points" % count, flush=True)


if __name__ == "__main__":
    print("seed %d" % seed)
    stories.tell((
        a_company_is_made_at_the_second_try,
        a_device_is_enrolled_at_the_second_try_with_the_same_code,
    ), ("anna",))
