# SPDX-License-Identifier: Apache-2.0
"""A server that gets no more descriptors: who is connected goes on, newcomers wait or are turned
away, nothing spins, and with descriptors again everybody comes in."""

import os
import resource
import socket
import time

import lib
import small_company
import stories
from lib import expect, expect_equal

SPARE = 8 # descriptors that the server may still open
STRANGERS = 60
WATCH_S = 2
CPU_SHARE_MAX = 0.5


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        words = file.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def one_device_is_connected(company):
    company.device_add("anna", "--van", small_company.van_of("anna")).run()
    company.devices[0].wait_idle()


def without_descriptors_who_is_connected_goes_on(company):
    anna = company.devices[0]
    pid = company.server.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/%d/fd" % pid))
    strangers = []
    try:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + SPARE, before[1]))
        for _ in range(STRANGERS):
            strangers.append(socket.create_connection(("127.0.0.1", company.port), timeout=5))
        begin, used = time.monotonic(), cpu_seconds(pid)
        anna.cli("note", "add", "C2026-000001", "while none are left")
        company.sql("UPDATE site SET access_note = 'none are left' WHERE id = 1")
        company.settle(anna)
        time.sleep(WATCH_S)
        share = (cpu_seconds(pid) - used) / (time.monotonic() - begin)
        expect(share < CPU_SHARE_MAX, "it spins: %.0f %% of a core" % (100 * share))
        expect(company.server.is_running(), "it ended: " + company.server.log()[-1000:])
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        for one in strangers:
            one.close()


def with_descriptors_again_everybody_comes_in(company):
    lib.wait_for("the server", company.is_healthy)
    bruno = company.device_add("bruno", "--van", small_company.van_of("bruno"))
    bruno.run()
    company.settle(*company.devices)
    for device in company.devices:
        expect_equal(device.stop(), 0, device.login)
    expect_equal(company.server.stop(), 0, "the server")


if __name__ == "__main__":
    stories.tell((
        one_device_is_connected,
        without_descriptors_who_is_connected_goes_on,
        with_descriptors_again_everybody_comes_in,
    ), ("anna", "bruno"))
