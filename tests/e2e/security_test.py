# SPDX-License-Identifier: Apache-2.0
"""Who is confirmed, who is put out, and what becomes of his work: with the real programs."""

import re

import lib
import stories
from lib import expect, expect_equal

TEMPORARY = 75 # exit code: try again later


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


if __name__ == "__main__":
    stories.tell((
        a_new_device_waits_until_the_office_has_compared_its_fingerprint,
    ), ("anna", "bruno", "carla"))
