# SPDX-License-Identifier: Apache-2.0
"""Who is confirmed, who is put out, and what becomes of his work: with the real programs."""

import os
import re
import time

import lib
import stories
from lib import expect, expect_equal

AUTHENTICATION = 6 # exit codes
TEMPORARY = 75


def replica_no(device):
    return str(device.value("SELECT number FROM fs_state WHERE name = 'replica_no'"))


def fingerprint_in(text):
    found = re.search(r"\b[0-9a-f]{4}(-[0-9a-f]{4}){3}\b", text)
    expect(found, "no fingerprint: " + text)
    return found[0]


def a_new_device_waits_until_the_office_has_compared_its_fingerprint(company):
    device = company.device_new("anna")
    code = company.code("anna", is_confirmed=False)
    output = device.cli("enrol", code, "--server", device.line.url())
    expect("waiting for confirmation" in output.out, output.out)
    shown = fingerprint_in(output.out)
    number = replica_no(device)
    expect_equal(device.value("SELECT count(*) FROM site"), 0, "sites before the confirmation")
    output = device.cli("sync", code=TEMPORARY)
    expect(shown in output.err, "sync doesn't show the fingerprint: " + output.err)
    listed = [line for line in company.cli("device", "list").out.splitlines() if shown in line]
    expect(len(listed) == 1 and "pending" in listed[0], "device list: %r" % listed)
    device.start()
    lib.wait_for("the state", lambda: device.state().get("is_pending") == "1")
    expect("waiting for confirmation, fingerprint " + shown in device.cli("status").out,
           device.cli("status").out)
    device.sql("INSERT INTO call_note (id, call_id, occurred_at, by_id, body)"
               " SELECT (SELECT id FROM new_id), 1, 1, 1, 'written while waiting'"
               " WHERE EXISTS (SELECT 1 FROM fs_state)")
    wrong = ("0" if shown[0] != "0" else "1") + shown[1:]
    expect("error" in company.cli("device", "confirm", number, wrong, code=None).err, "confirmed")
    expect_equal(company.value("SELECT is_confirmed FROM fs_replica WHERE replica_no = ?", number),
                 0, "confirmed by another fingerprint")
    expect_equal(company.value("SELECT lcn_high FROM fs_replica WHERE replica_no = ?", number), 0,
                 "what it brought while waiting")
    company.cli("device", "confirm", number, shown.upper().replace("-", " "))
    device.wait_idle()
    expect_equal(company.differences(device), [], "anna")
    expect_equal(device.stop(), 0, "its agent")


NOTE = ("INSERT INTO call_note (id, call_id, occurred_at, by_id, body) VALUES"
        " ((SELECT id FROM new_id), (SELECT min(id) FROM call), 1,"
        " (SELECT number FROM fs_state WHERE name = 'user_id'), ?)")


def noted(company, words):
    return company.value("SELECT count(*) FROM call_note WHERE body = ?", words)


def a_revoked_device_leaves_its_work_behind_and_then_wipes_itself(company):
    device = company.device_add("carla")
    number = replica_no(device)
    device.run()
    device.line.cut()
    device.sql((NOTE, "before the revocation"))
    time.sleep(0.01)
    company.cli("device", "revoke", number, "--wipe")
    time.sleep(0.01)
    device.sql((NOTE, "after the revocation"))
    key = os.path.join(device.folder, "device.key")
    expect(os.path.exists(key) and os.path.exists(device.replica), "nothing to wipe")
    device.line.mend()
    device.nudge()
    lib.wait_for("the end of the agent", lambda: not device.agent.is_running())
    expect_equal(device.agent.process.returncode, AUTHENTICATION, "its exit code")
    left = [name for name in os.listdir(device.folder)
            if name not in ("agent.log", "agent.lock", "blobs")]
    expect_equal(left, [], "what is left in the folder")
    expect_equal(noted(company, "before the revocation"), 0, "applied without anybody's word")
    expect("before the revocation" in company.cli("quarantine", "show", number).out, "not shown")
    expect("waits" in company.cli("quarantine", "list").out, "not listed")
    out = company.cli("quarantine", "release", number).out
    expect_equal(noted(company, "before the revocation"), 1, "released: " + out)
    expect_equal(noted(company, "after the revocation"), 0, "dated after the revocation: " + out)
    expect_equal(company.value("SELECT count(*) FROM review_item WHERE kind = 'refused'"
                               " AND reason_code = 'revoked'"), 1, "kept for people to see")
    expect(device.cli("run", code=None, seconds=20).code != 0, "it runs again")


def a_revoked_device_that_need_not_wipe_keeps_everything(company):
    device = company.device_add("bruno")
    number = replica_no(device)
    device.sql((NOTE, "still to be sent"))
    company.cli("device", "revoke", number)
    expect_equal(device.cli("sync", code=None).code, AUTHENTICATION, "sync")
    expect_equal(device.waiting_count(), 1, "what waits on the device")
    expect("still to be sent" in company.cli("quarantine", "show", number).out, "not deposited")
    company.cli("quarantine", "drop", number, "--yes")
    expect(company.cli("quarantine", "release", number, code=None).code != 0, "released though dropped")
    expect_equal(noted(company, "still to be sent"), 0, "applied")


if __name__ == "__main__":
    stories.tell((
        a_new_device_waits_until_the_office_has_compared_its_fingerprint,
        a_revoked_device_leaves_its_work_behind_and_then_wipes_itself,
        a_revoked_device_that_need_not_wipe_keeps_everything,
    ), ("anna", "bruno", "carla"))
