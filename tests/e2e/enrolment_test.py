# SPDX-License-Identifier: Apache-2.0
"""Who gets in, who stays out, and how somebody is put out."""

import os
import time

import lib
import stories
from lib import expect, expect_equal

AUTHENTICATION = 6 # exit codes of the programs
TEMPORARY = 75


def refused(company, device, code):
    """The device tries; it must be told no, in words, and must not be enrolled."""
    output = device.cli("enrol", code, "--server", device.line.url(), code=None)
    expect(output.code != 0, "enrolled with " + code)
    expect("error: " in output.err, "no words: " + output.err)
    expect(device.cli("sync", code=None).code != 0, "it synchronises without being enrolled")
    return output


def a_technician_enrols_with_a_code_and_sees_the_work(company):
    device = company.device_add("anna")
    expect_equal(company.differences(device), [], "anna")
    expect("C2026-000001" in device.cli("call", "list", "--open").out, "no call is here")


def a_wrong_code_is_refused_and_the_right_one_still_works(company):
    code = company.code("anna")
    device = company.device_new("anna")
    last = "b" if code[20] != "b" else "c"
    refused(company, device, code[:20] + last + code[21:])
    refused(company, device, code[:-4])
    refused(company, device, "fs1:nonsense")
    device.cli("enrol", code, "--server", device.line.url())


def a_code_works_once(company):
    code = company.code("bruno")
    first, second = company.device_new("bruno"), company.device_new("bruno")
    first.cli("enrol", code, "--server", first.line.url())
    refused(company, second, code)
    expect_equal(first.sync().code, 0, "the first one's sync")


def an_expired_code_is_refused(company):
    code = company.code("anna")
    company.sql("UPDATE fs_enrolment SET expires_at = created_at WHERE used_by IS NULL")
    refused(company, company.device_new("anna"), code)


def another_companys_server_is_not_talked_to(company):
    device = company.device_add("bruno")
    device.sql("UPDATE site SET access_note = 'for ours only' WHERE id = 1")
    with lib.Company(company.build) as other:
        other.user_add("bruno", "technician")
        other.serve()
        device.line.server_port = other.port # somebody has taken our server's address
        output = device.cli("sync", code=None)
        expect(output.code != 0, "it synchronised with a foreign server")
        fresh = company.device_new("bruno")
        fresh.line.server_port = other.port
        refused(company, fresh, company.code("bruno"))
        expect_equal(other.value("SELECT count(*) FROM fs_replica"), 0, "devices of the other one")
        expect_equal(device.waiting_count(), 1, "changes that wait")
    device.line.server_port = company.port
    expect_equal(device.sync().code, 0, "sync with ours")
    expect_equal(company.value("SELECT access_note FROM site WHERE id = 1"), "for ours only", "note")


def revoking_a_device_ends_its_session_within_a_second_and_keeps_its_work(company):
    device, colleague = company.device_add("carla"), company.device_add("bruno")
    device.run()
    colleague.run()
    number = str(device.value("SELECT number FROM fs_state WHERE name = 'replica_no'"))
    company.cli("device", "revoke", number)
    begin = time.monotonic()
    lib.wait_for("the end of the session", lambda: company.metric("live_sessions") == 1)
    stories.expect_within(company, time.monotonic() - begin, 1, "revocation")
    device.sql("UPDATE site SET zone = NULL, access_note = 'after the revocation' WHERE id = 1")
    expect(device.cli("sync", code=None).code == AUTHENTICATION, "a revoked device synchronises")
    expect(device.waiting_count() > 0, "its unsent work is gone")
    expect("after" not in company.value("SELECT access_note FROM site WHERE id = 1"), "it was sent")
    colleague.sql("UPDATE site SET access_note = 'bruno is still here' WHERE id = 1")
    lib.wait_for("bruno", lambda: company.value("SELECT access_note FROM site WHERE id = 1")
                 == "bruno is still here")
    expect_equal(colleague.stop(), 0, "bruno's agent")


def a_second_program_on_the_same_data_refuses_to_start(company):
    device = company.device_add("anna")
    device.run()
    output = device.cli("run", code=None, seconds=10)
    expect_equal(output.code, TEMPORARY, "a second agent")
    expect(output.err.startswith("error: "), output.err)
    output = company.cli("serve", "--admin-port", "0", code=None, seconds=10)
    expect(output.code != 0 and "error" in output.err, "a second server: " + output.err)
    device.kill()
    company.server.kill()
    company.serve() # what a lock of a killed program must not prevent
    device.run()
    expect_equal(device.stop(), 0, "the agent after all this")


def nothing_secret_is_readable_by_others(company):
    device = company.device_add("anna")
    paths = [company.master, os.path.join(company.data, "keys", "server.key"),
             os.path.join(company.data, "keys", "root.key"), device.replica,
             os.path.join(device.folder, "device.key")]
    for path in paths:
        expect_equal(os.stat(path).st_mode & 0o077, 0, "rights of others on " + path)


def a_folder_that_is_not_there_is_named_with_what_to_do(company):
    folder = os.path.join(company.folder, "mistyped")
    for command in ("sync", "run", "status", "passphrase", "encrypt", "rescue"):
        output = lib.run_program(company.agent_program, command, "--data", folder, code=3)
        expect(folder in output.err and "enrol CODE" in output.err, output.err)
    output = lib.run_program(company.server_program, "serve", "--data", folder, code=None)
    expect(output.code != 0 and "fieldsync-server init" in output.err, output.err)
    expect(not os.path.exists(folder), "a wrong folder was made")


if __name__ == "__main__":
    stories.tell((
        a_technician_enrols_with_a_code_and_sees_the_work,
        a_wrong_code_is_refused_and_the_right_one_still_works,
        a_code_works_once,
        an_expired_code_is_refused,
        another_companys_server_is_not_talked_to,
        revoking_a_device_ends_its_session_within_a_second_and_keeps_its_work,
        a_second_program_on_the_same_data_refuses_to_start,
        nothing_secret_is_readable_by_others,
        a_folder_that_is_not_there_is_named_with_what_to_do,
    ), ("anna", "bruno", "carla"))
