# SPDX-License-Identifier: Apache-2.0
"""The server's threads at work together: readers, the writer, and programs beside it. In the build
with ThreadSanitizer (`./dev test`) a race ends the server, and with it this test."""

import os

import lib
import small_company
import stories
from lib import expect, expect_equal

LOGINS = ("anna", "bruno", "carla", "dario")
ITEM_BASE, ITEM_COUNT = 1000, 4000


def opened(company):
    """How often the server has the master open: each reader does, the first always."""
    folder = "/proc/%d/fd" % company.server.pid
    targets = []
    for name in os.listdir(folder):
        try:
            targets.append(os.readlink(os.path.join(folder, name)))
        except OSError:
            pass # closed meanwhile
    return targets.count(company.master)


def a_fleet_that_comes_at_once_is_served_by_several_readers(company):
    devices = [company.device_add(login) for login in LOGINS]
    for device in devices:
        device.run()
        device.stop()
    company.script("\n".join(
        "INSERT INTO item(id, code, name, unit_of_measure) VALUES(%d, 'I%d', '%s', 'pcs');"
        % (ITEM_BASE + i, i, os.urandom(60).hex()) for i in range(ITEM_COUNT)))
    lib.wait_for("adoption", lambda: company.value(
        "SELECT count(*) FROM fs_outbox WHERE op <> '-'") == 0, stories.limit_s(company, 30))
    at_rest = opened(company)
    for number, device in enumerate(devices): # each has work to send, too
        device.sql(("UPDATE contact SET phone = ? WHERE id = ?", str(number),
                    10 + small_company.user_id_of(company, device.login)))
        device.start()
    at_work = 0

    def has_seen_another_reader():
        nonlocal at_work
        at_work = max(at_work, opened(company))
        return at_work > at_rest or all(device.is_settled() for device in devices)

    lib.wait_for("the fleet", has_seen_another_reader, stories.limit_s(company, 30), pause=0.001)
    for i in range(20): # meanwhile the office goes on working
        company.sql(("UPDATE item SET name = ? WHERE id = ?", "renamed %d" % i, ITEM_BASE + i))
    company.settle(*devices, seconds=stories.limit_s(company, 30))
    expect(at_work > at_rest, "one reader did all of it: %d connections" % at_work)


def all_of_them_end_well(company):
    for device in company.devices:
        expect_equal(device.stop(), 0, device.login)
    expect_equal(company.server.stop(), 0, "the server")


if __name__ == "__main__":
    stories.tell((a_fleet_that_comes_at_once_is_served_by_several_readers, all_of_them_end_well),
                 LOGINS, "--serve-readers", "4")
