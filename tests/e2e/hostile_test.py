# SPDX-License-Identifier: Apache-2.0
"""Enrolled devices that turned bad, and strangers: how long does an honest edit take meanwhile?

    hostile_test.py BUILD [SECONDS]       20 s a kind of attack: ./dev hostile

The bad ones have real keys and speak the real protocol as fast as they may (tests/bench/hostile.c).
An edit of anna's is timed until bruno can read it. Reported are p50, p95 and p99 without an attack,
under each kind of it, and under all of them at once with strangers at the port besides."""

import os
import statistics
import sys
import time

import lib
import small_company
import stories
from flood_test import Flood, latencies
from lib import expect, expect_equal

KINDS = ("refused", "bulky", "large", "tiny", "reconnect")
STRANGERS_A_SECOND = 100
SLOWER_S, SLOWER_FACTOR = 2, 5 # a median may be two seconds more than five times the quiet one


class Attack:
    """Bad devices: kind -> (device, number of the call that it writes to)."""

    def __init__(self, company, bad):
        program = os.path.join(company.build, "tests", "bench", "hostile")
        self.programs = {}
        for kind, (device, call) in bad.items():
            log = os.path.join(company.folder, "hostile-%s.log" % kind)
            self.programs[kind] = lib.Program([program, "ws://127.0.0.1:%d/sync" % company.port,
                                               device.folder, kind, str(call)], log)
            company.programs.append(self.programs[kind])

    def end(self):
        said = []
        for kind, program in self.programs.items():
            expect(program.is_running(), "%s ended: %s" % (kind, program.log()))
            expect_equal(program.stop(), 0, kind)
            said.append(program.log().splitlines()[-1])
        return said


def percentile(found, part):
    return found[min(len(found) - 1, int(len(found) * part))] * 1000


def measure(company, name, seconds):
    end = time.monotonic() + seconds
    found = latencies(company, lambda: time.monotonic() < end, 10)
    print("%-28s %4d changes   p50 %5.0f ms   p95 %5.0f ms   p99 %5.0f ms   most %5.0f ms"
          % (name, len(found), percentile(found, 0.5), percentile(found, 0.95),
             percentile(found, 0.99), found[-1] * 1000), flush=True)
    return found


def under(company, bad, name, seconds):
    """Quiet for a while, then the attack: on a busy machine only the two together say something."""
    quiet = measure(company, "quiet", seconds / 4)
    attack = Attack(company, bad)
    time.sleep(1)
    found = measure(company, name, seconds)
    for line in attack.end():
        print("    " + line, flush=True)
    slower = statistics.median(found) - SLOWER_FACTOR * statistics.median(quiet)
    stories.expect_within(company, slower, SLOWER_S, name)


def customer_of(company, login, number):
    """A customer's site, a call and a visit that nobody but this technician has; the call's id."""
    user_id = small_company.user_id_of(company, login)
    company.sql(("INSERT INTO site(id, party_id, name, access_note) VALUES(?,2,?,'')", number, login),
                ("INSERT INTO call(id, number_text, channel, party_id, site_id, subject, opened_at,"
                 " opened_by_id, state) VALUES(?,?,'phone',2,?,'x',1,1,'planned')", number, login,
                 number),
                (small_company.VISIT, number, number, user_id))
    return number


def main(build, seconds):
    honest = ("anna", "bruno")
    where = [(kind, round_) for round_ in ("alone", "together") for kind in KINDS]
    where.append(("large", "shared"))
    logins = {place: "bad-" + "-".join(place) for place in where}
    with lib.Company(build) as company:
        company.build = build
        small_company.found(company, honest + tuple(logins.values()))
        calls = {place: customer_of(company, logins[place], 100 + number)
                 for number, place in enumerate(where)}
        calls["large", "shared"] = small_company.SHARED_CALL
        company.serve()
        for login in honest:
            company.device_add(login).run()
        bad = {place: (company.device_add(logins[place]), calls[place]) for place in where}
        for kind in KINDS:
            under(company, {kind: bad[kind, "alone"]}, kind, seconds)
        flood = Flood(company.port, int(STRANGERS_A_SECOND * seconds))
        flood.start()
        under(company, {kind: bad[kind, "together"] for kind in KINDS}, "all, and strangers", seconds)
        flood.join(60)
        print("    %d strangers" % flood.opened)
        under(company, {"large": bad["large", "shared"]}, "large, of a shared customer", seconds)
        company.settle(*company.devices[:2], seconds=120)
        for device in company.devices[:2]:
            expect_equal(device.stop(), 0, device.login)
        refused = company.value("SELECT count(*) FROM review_item WHERE kind = 'refused'")
        print("%d refused changes are kept for people to see" % refused)
        expect(refused > 0, "nothing was refused")
        expect_equal(company.server.stop(), 0, "the server")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 2)
