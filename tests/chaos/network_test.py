# SPDX-License-Identifier: Apache-2.0
"""Bad networks by name: half-open connections, proxies that split, cut, refuse and alter, links that
flap, programs that stand still, a first snapshot that is cut again and again."""

import os
import random
import signal
import sys
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "..", "e2e"))

import lib # noqa: E402
import small_company # noqa: E402
import stories # noqa: E402
import weather # noqa: E402
from lib import expect, expect_equal # noqa: E402

CALL = "C2026-000001"
SILENCE_S = 60
PAUSE_S = float(os.environ.get("FIELDSYNC_PAUSE_S", "3")) # a suspended laptop: try 300
ALTERED_CASES = int(os.environ.get("FIELDSYNC_ALTERED_CASES", "15"))
FLAP_S = 60
STOP_S = 2
SNAPSHOT_ROWS = int(os.environ.get("FIELDSYNC_SNAPSHOT_ROWS", "20000"))
SNAPSHOT_CUTS = int(os.environ.get("FIELDSYNC_SNAPSHOT_CUTS", "12"))
seed = random.randrange(1 << 32)


def note_on_both_sides(company, text):
    company.devices[0].cli("note", "add", CALL, text + " of a technician")
    company.sql(("UPDATE site SET access_note = ? WHERE id = 1", text + " of the office"))


def noise(size):
    """Text that compresses to no less than half."""
    return os.urandom(size // 2).hex()


def expect_settled(company, limit, what):
    begin = time.monotonic()
    company.settle(*company.devices, seconds=stories.limit_s(company, limit))
    stories.expect_within(company, time.monotonic() - begin, limit, what)


def two_devices_on_a_good_network(company):
    company.make_line = weather.line_maker(company.build)
    for login in ("anna", "bruno"):
        company.device_add(login, "--van", small_company.van_of(login)).run()
    company.settle(*company.devices)


def a_proxy_that_refuses_the_upgrade_is_named_and_waited_for(company):
    anna = company.devices[0]
    anna.line.say("upgrade off", "cut")
    anna.cli("note", "add", CALL, "behind a proxy")
    anna.nudge()
    lib.wait_for("the reason", lambda: "no connection" in anna.state().get("last_failure", ""))
    output = anna.cli("sync", "--now", code=None)
    expect(output.code != 0 and "403" in output.err, "the reason isn't named: " + output.err)
    expect("403" in anna.cli("status").out, "status: " + anna.cli("status").out)
    expect(anna.agent.is_running(), "the agent ended")
    anna.line.say("clear")
    expect_settled(company, 30, "the way back")


def pieces_of_one_byte_only_take_time(company):
    anna = company.devices[0]
    anna.line.say("cut", "up split 1", "down split 1")
    note_on_both_sides(company, "byte by byte")
    expect_settled(company, 30, "single bytes")
    anna.line.say("clear")


def an_idle_connection_that_was_cut_comes_back_by_itself(company):
    for device in company.devices:
        device.line.say("cut")
    company.sql("UPDATE site SET access_note = 'after the cut' WHERE id = 1")
    expect_settled(company, 30, "the way back")


def a_connection_that_nobody_ends_is_noticed_within_a_minute(company):
    """Half-open: the other end is gone, and no packet says so."""
    anna = company.devices[0]
    begin = time.monotonic()
    anna.line.say("forget")
    note_on_both_sides(company, "into the void")
    company.settle(*company.devices, seconds=SILENCE_S + 15)
    expect(time.monotonic() - begin < SILENCE_S + 10, "noticed after %.0f s"
           % (time.monotonic() - begin))


def altered_bytes_end_a_connection_and_nothing_else(company):
    """At every kind of place: in the upgrade, in the handshake, in the frames."""
    anna = company.devices[0]
    cases = random.Random(seed)
    begun = anna.line.count().connections
    for number in range(ALTERED_CASES):
        direction = cases.choice(("up", "down"))
        place = cases.randrange(int(cases.choice((300, 1000, 4000))))
        fault = "%s %s %d" % (direction, cases.choice(("flip", "twice", "lose", "stop")), place)
        before = anna.line.count()
        anna.line.say("cut", fault)
        note_on_both_sides(company, "altered %d" % number)
        anna.nudge()
        try:
            lib.wait_for(fault, lambda before=before: anna.line.count().connections >
                         before.connections + 1, 0.6)
        except lib.Failed:
            pass # it wasn't reached, or it did no harm
        expect(anna.agent.is_running() and company.server.is_running(), "ended after " + fault)
        anna.line.say("clear")
    anna.nudge()
    expect_settled(company, 30, "the way back")
    expect_equal(company.value("SELECT count(*) FROM call_note WHERE body LIKE 'altered %'"),
                 ALTERED_CASES, "notes")
    expect_equal(anna.state().get("repairs"), "0", "rows that had to be repaired")
    expect(anna.line.count().connections - begun >= ALTERED_CASES, "nothing was altered")
    company.cli("check")
    anna.cli("verify")


def a_link_that_flaps_each_second_still_delivers(company):
    anna, bruno = company.devices
    lines = (anna.line, bruno.line)
    for line in lines:
        line.say("up rate 400000", "down rate 400000")
    for number in range(20):
        anna.cli("note", "add", CALL, "flap %d " % number + noise(50000))
    begin = time.monotonic()
    flaps = 0
    is_done = False
    while not is_done and time.monotonic() - begin < stories.limit_s(company, FLAP_S):
        for line in lines:
            line.say("cut")
        flaps += 1
        try:
            lib.wait_for("all of it", lambda: not company.differences(bruno)
                         and anna.waiting_count() == 0, 1)
            is_done = True
        except lib.Failed:
            pass
    expect(is_done, "%d flaps, and %d changes still wait" % (flaps, anna.waiting_count()))
    for line in lines:
        line.say("clear")
    expect_settled(company, 30, "after the last flap")


def programs_that_stood_still_go_on(company):
    anna = company.devices[0]
    for stopped in ((anna.agent,), (company.server,), (anna.agent, company.server)):
        for program in stopped:
            program.signal(signal.SIGSTOP)
        lib.change(anna.replica, "UPDATE contact SET phone = phone || '1' WHERE id = 1")
        company.sql("UPDATE site SET access_note = access_note || '.' WHERE id = 1")
        time.sleep(PAUSE_S)
        for program in stopped:
            program.signal(signal.SIGCONT)
        expect_settled(company, 30, "after a pause")


def stop_within(company, program, what):
    begin = time.monotonic()
    expect_equal(program.stop(), 0, "exit code " + what)
    stories.expect_within(company, time.monotonic() - begin, STOP_S, "the end " + what)


def asked_to_stop_in_the_middle_of_a_push_both_end_at_once(company):
    anna = company.devices[0]
    anna.line.say("up rate 50000")
    for number in range(10):
        anna.cli("note", "add", CALL, "stopped %d " % number + noise(60000))
    for is_agent in (False, True):
        time.sleep(0.5)
        expect(anna.waiting_count() > 0, "it was too quick")
        if is_agent:
            stop_within(company, anna.agent, "of the agent")
            anna.start()
        else:
            stop_within(company, company.server, "of the server")
            company.serve()
            lib.wait_for("the way back", anna.is_live)
    anna.line.say("clear")
    expect_settled(company, 30, "the rest of the push")


def make_many_rows(company):
    company.script("""
        WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < %d)
        INSERT INTO item(id, code, name, unit_of_measure) SELECT 1000 + i, 'I' || i,
            'Item ' || hex(randomblob(60)), 'pcs' FROM n;""" % SNAPSHOT_ROWS)
    lib.wait_for("adoption", lambda: company.value(
        "SELECT count(*) FROM fs_outbox WHERE op <> '-'") == 0, stories.limit_s(company, SNAPSHOT_ROWS / 500))
    expect_settled(company, 60, "many rows")


def asked_to_stop_in_the_middle_of_a_first_snapshot_both_end_at_once(company):
    make_many_rows(company)
    carla = company.device_new("carla")
    carla.line.say("down stop 300000")
    carla.cli("enrol", company.code("carla"), "--server", carla.line.url(), code=None)
    carla.line.say("clear", "down rate 100000")
    for is_agent in (False, True):
        carla.start()
        lib.wait_for("a connection", carla.is_live)
        time.sleep(0.5)
        expect_equal(carla.value("SELECT number FROM fs_state WHERE name = 'published_seq'"), 0,
                     "published")
        if is_agent:
            stop_within(company, carla.agent, "of the agent")
        else:
            stop_within(company, company.server, "of the server")
            company.serve()
            stop_within(company, carla.agent, "of an agent without its server")
    carla.line.say("clear")
    carla.start()
    expect_settled(company, 30, "the rest of the snapshot")
    expect_equal(carla.stop(), 0, "carla's agent")
    company.devices.remove(carla)
    carla.line.close()


def a_first_snapshot_that_is_cut_again_and_again_comes_once(company):
    """At 99 % first, then many times at any place: what has come isn't sent again."""
    whole = company.device_add("elena", "--van", small_company.van_of("elena"))
    size = whole.line.count().down
    dario = company.device_new("dario")
    dario.line.say("down stop %d" % (size * 99 // 100))
    dario.cli("enrol", company.code("dario"), "--server", dario.line.url(), code=None)
    dario.start()
    for _ in range(SNAPSHOT_CUTS):
        before = dario.line.count()
        dario.line.say("clear", "cut", "down stop %d" % random.randrange(2 * size // SNAPSHOT_CUTS))
        dario.nudge()
        lib.wait_for("the next connection", lambda before=before: dario.line.count().connections >
                     before.connections)
        time.sleep(random.uniform(0, 0.15))
    dario.line.say("clear")
    dario.nudge()
    dario.wait_idle(stories.limit_s(company, 30))
    expect_equal(company.differences(dario), [], "dario")
    sent = dario.line.count()
    print("first snapshot: %d bytes uncut, %d over %d connections"
          % (size, sent.down, sent.connections), flush=True)
    expect(sent.down <= 1.1 * size, "%.2f times the bytes" % (sent.down / size))
    expect_equal(dario.stop(), 0, "dario's agent")
    company.devices.remove(dario)
    company.devices.remove(whole)
    dario.line.close()
    whole.line.close()


def all_end_well(company):
    for device in company.devices:
        expect_equal(company.differences(device), [], device.login)
        expect_equal(device.stop(), 0, device.login)
    company.cli("check")
    expect_equal(company.server.stop(), 0, "the server")


if __name__ == "__main__":
    print("seed %d" % seed)
    stories.tell((
        two_devices_on_a_good_network,
        a_proxy_that_refuses_the_upgrade_is_named_and_waited_for,
        pieces_of_one_byte_only_take_time,
        an_idle_connection_that_was_cut_comes_back_by_itself,
        altered_bytes_end_a_connection_and_nothing_else,
        a_link_that_flaps_each_second_still_delivers,
        programs_that_stood_still_go_on,
        asked_to_stop_in_the_middle_of_a_push_both_end_at_once,
        asked_to_stop_in_the_middle_of_a_first_snapshot_both_end_at_once,
        a_first_snapshot_that_is_cut_again_and_again_comes_once,
        a_connection_that_nobody_ends_is_noticed_within_a_minute,
        all_end_well,
    ), ("anna", "bruno", "carla", "dario", "elena"))
