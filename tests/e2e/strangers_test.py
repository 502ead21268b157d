# SPDX-License-Identifier: Apache-2.0
"""What anybody can send to the port of the devices: it must cost the others nothing."""

import base64
import os
import random
import socket
import struct
import time

import lib
import stories
from lib import expect, expect_equal

PATIENCE_S = 0.3
SILENT_COUNT = 40
HANDSHAKES_ADDRESS_MAX = 64 # as protocol/limits.h has it
HANDSHAKE_S, CROWDED_S = 30, 10


def connect(company):
    one = socket.create_connection(("127.0.0.1", company.port), 5)
    one.settimeout(PATIENCE_S)
    return one


def answer(one):
    """What comes back until the server ends it or is silent."""
    found = b""
    try:
        while data := one.recv(65536):
            found += data
    except OSError:
        pass
    return found


def send(company, *pieces):
    """Sends to a new connection; the answer."""
    with connect(company) as one:
        try:
            for piece in pieces:
                one.sendall(piece)
        except OSError:
            pass # it has ended us: its right
        return answer(one)


def talk(company, *frames):
    """Opens a WebSocket as a device does, then sends."""
    with connect(company) as one:
        one.sendall(upgrade())
        found = one.recv(1024)
        expect(found.startswith(b"HTTP/1.1 101 "), "it answered %r" % found)
        try:
            for each in frames:
                one.sendall(each)
        except OSError:
            pass
        answer(one)


def upgrade(protocol="fieldsync.1"):
    lines = {"Host": "x", "Upgrade": "websocket", "Connection": "Upgrade",
             "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": protocol,
             "Sec-WebSocket-Key": base64.b64encode(b"A" * 16).decode()}
    return ("GET /sync HTTP/1.1\r\n" + "".join("%s: %s\r\n" % line for line in lines.items())
            + "\r\n").encode()


def frame(payload, opcode=2, is_masked=True, size=None, first_bits=0x80):
    """A WebSocket frame (RFC 6455, 5.2); `size`: what it says instead of the truth."""
    size = len(payload) if size is None else size
    mask_bit = 0x80 if is_masked else 0
    if size < 126:
        head = bytes([first_bits | opcode, mask_bit | size])
    elif size < 65536:
        head = bytes([first_bits | opcode, mask_bit | 126]) + struct.pack(">H", size)
    else:
        head = bytes([first_bits | opcode, mask_bit | 127]) + struct.pack(">Q", size)
    return head + (bytes(4) if is_masked else b"") + payload


def check_others(company):
    """A colleague's change arrives at the office and comes back to another device in a second."""
    anna, bruno = company.devices[:2]
    words = "after %d" % random.randrange(1 << 40)
    begin = time.monotonic()
    anna.sql(("UPDATE site SET access_note = ? WHERE id = 1", words))
    lib.wait_for("bruno", lambda: bruno.value("SELECT access_note FROM site WHERE id = 1") == words)
    stories.expect_within(company, time.monotonic() - begin, 1, "a change to a colleague")
    expect(company.server.is_running(), "the server ended: " + company.server.log()[-2000:])


def two_technicians_are_at_work(company):
    for login in ("anna", "bruno"):
        company.device_add(login).run()
    check_others(company)


def http_garbage_is_answered_and_forgotten(company):
    for garbage in (
            b"\0" * 100, os.urandom(5000), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", b"BREW /sync HTTP/1.1\r\n\r\n",
            b"GET /sync HTTP/9.9\r\n\r\n", b"GET " + b"/x" * 40000 + b" HTTP/1.1\r\n\r\n",
            b"GET /sync HTTP/1.1\r\n" + b"A: b\r\n" * 20000 + b"\r\n",
            upgrade("chat"), upgrade().replace(b": 13", b": 99"), upgrade()[:-1] + b"X",
            b"POST /sync HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n" + b"x" * 1000,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(512)):
        found = send(company, garbage)
        expect(b"root:" not in found and b" 101 " not in found, "it answered %r" % found[:200])
    check_others(company)


def half_a_request_keeps_nobody_waiting(company):
    waiting = [connect(company) for _ in range(SILENT_COUNT)]
    for number, one in enumerate(waiting):
        one.sendall(upgrade()[:number * 4])
    check_others(company)
    for one in waiting:
        one.close()


def garbage_inside_a_websocket_ends_that_connection_only(company):
    taken = company.metric("accepted_connections_total")
    for frames in (
            (frame(os.urandom(48)),), (frame(os.urandom(64 * 1024)),), (frame(b""),),
            (frame(b"text instead of bytes", opcode=1),), (frame(b"x", opcode=15),),
            (frame(b"not masked", is_masked=False),), (frame(b"x" * 200, opcode=9),),
            (frame(b"reserved bits", first_bits=0xf0),), (frame(b"", opcode=0),),
            (frame(b"half", size=1000),), (frame(b"lie", size=1 << 62),), (frame(b"", size=1 << 63),),
            (b"\x82\xf2\0\0\0\0" + os.urandom(114),),
            (frame(b"a" * 100, first_bits=0),) * 2000, (frame(b"x", opcode=8),) * 2):
        talk(company, *frames)
    check_others(company)
    expect(company.metric("accepted_connections_total") >= taken + 14, "no WebSocket was opened")
    lib.wait_for("the end of all strangers", lambda: company.metric("connections") == 2)


def close_code(company, *frames):
    """Opens a WebSocket, sends, and returns the code of the server's close frame; None: none came."""
    with connect(company) as one:
        one.settimeout(2)
        one.sendall(upgrade())
        found = one.recv(1024)
        try:
            for each in frames:
                one.sendall(each)
        except OSError:
            pass # it has said its word already
        found += answer(one)
    at = found.index(b"\r\n\r\n") + 4
    while at + 4 <= len(found): # what a server sends here is short and not masked
        if found[at] == 0x88:
            return struct.unpack(">H", found[at + 2:at + 4])[0]
        at += 2 + found[at + 1]
    return None


def fragments_without_number_or_content_end_the_connection(company):
    first, empty, more, last = (frame(b"a" * 100, first_bits=0), frame(b"", opcode=0, first_bits=0),
                                frame(b"b" * 100, opcode=0, first_bits=0),
                                frame(b"c" * 100, opcode=0))
    for frames, code in (((first, empty), 1002), ((first,) + (more,) * 64, 1002),
                         ((first,) + (more,) * 62 + (last,), 4401), # 64: a message, but no handshake
                         ((frame(b"x", size=65536),), 1009), ((frame(b"text", opcode=1),), 1003)):
        expect_equal(close_code(company, *frames), code, "the close code")
    check_others(company)


def what_follows_an_http_request_stops_nobody(company):
    for second in (b"POST /sync HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
                   b"POST /sync HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nhello"):
        for first in (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"):
            send(company, first + second)
    check_others(company)


def strangers_who_say_nothing_are_few_and_soon_gone(company):
    """Of one address 64 handshakes may be unfinished, each for 30 s, or 10 s if half of them were
    there before; others are sent away at once."""
    waiting = []
    begin = time.monotonic()
    for _ in range(HANDSHAKES_ADDRESS_MAX + 16):
        one = connect(company)
        one.settimeout(HANDSHAKE_S + 5)
        one.sendall(upgrade())
        waiting.append(one)
    for one in waiting:
        expect(one.recv(12).startswith(b"HTTP/1.1 101"), "no upgrade")
    time.sleep(1)
    early = sum(is_over(one) for one in waiting)
    expect(early >= 16, "only %d of %d were sent away" % (early, len(waiting)))
    check_others(company)
    half = 2 + HANDSHAKES_ADDRESS_MAX // 2
    lib.wait_for("the end of half of them", lambda: company.metric("connections") <= half, 20)
    spent = time.monotonic() - begin
    expect(spent > CROWDED_S - 1, "they were cut after %.1f s" % spent)
    lib.wait_for("the end of all strangers", lambda: company.metric("connections") == 2, 40)
    spent = time.monotonic() - begin
    expect(spent > HANDSHAKE_S - 1, "the first were cut after %.1f s" % spent)
    for one in waiting:
        one.close()
    check_others(company)


def is_over(one):
    """Has the server ended it? Reads what it has said before."""
    one.setblocking(False)
    try:
        while data := one.recv(65536):
            if b"\x88" in data[-130:]:
                return True
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def more_than_a_message_may_have_isn_t_kept_in_memory(company):
    before = memory_kib(company.server.pid)
    piece = b"x" * 65536
    for _ in range(3):
        talk(company, frame(b"", size=200 << 20), *([piece] * 800))
    grown = memory_kib(company.server.pid) - before
    expect(grown < 64 * 1024 * (3 if lib.is_sanitized(company.build) else 1),
           "memory grew by %d KiB" % grown)
    check_others(company)


def memory_kib(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1])


def a_recorded_session_can_t_be_played_again(company):
    """All that anna's device sends in a session, twice: the second time it means nothing."""
    anna = company.devices[0]
    sent = record(company, anna)
    expect(len(sent) > 500, "nothing was recorded")
    before = company.query("SELECT * FROM fs_replica ORDER BY replica_no")
    head = company.value("SELECT number FROM fs_state WHERE name = 'seq'")
    send(company, sent)
    expect_equal(company.value("SELECT number FROM fs_state WHERE name = 'seq'"), head, "head")
    expect_equal(company.query("SELECT * FROM fs_replica ORDER BY replica_no"), before, "devices")
    expect(b"code 4711" not in sent, "it travels readable")
    anna.run()
    check_others(company)


def record(company, device):
    """Bytes that the device sends while it brings a change to the server."""
    expect_equal(device.stop(), 0, "its agent")
    device.sql("UPDATE site SET access_note = 'code 4711' WHERE id = 1")
    sent = []
    passed_on = device.line._count

    def listen(data, is_up):
        if is_up:
            sent.append(data)
        return passed_on(data, is_up)
    device.line._count = listen
    expect_equal(device.sync().code, 0, "its sync")
    device.line._count = passed_on
    expect_equal(company.value("SELECT access_note FROM site WHERE id = 1"), "code 4711", "note")
    return b"".join(sent)


def altered_bytes_on_the_way_are_noticed_and_the_change_still_arrives(company):
    anna = company.devices[0]
    passed_on = anna.line._count
    seen = [0]

    def alter(data, is_up):
        data = passed_on(data, is_up)
        if is_up and len(data) > 300:
            seen[0] += 1
            if seen[0] % 2 == 1:
                middle = len(data) // 2
                data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]
        return data
    anna.line._count = alter
    for _ in range(3):
        words = os.urandom(400).hex()
        anna.sql(("UPDATE site SET access_note = ? WHERE id = 1", words))
        lib.wait_for("the change", lambda: company.value(
            "SELECT access_note FROM site WHERE id = 1") == words)
    anna.line._count = passed_on
    expect(seen[0] >= 3, "nothing was altered")
    company.settle(*company.devices[:2])


def all_of_them_end_well_after_all_this(company):
    for device in company.devices[:2]:
        expect_equal(company.differences(device), [], device.login)
        expect_equal(device.stop(), 0, device.login)
    expect_equal(company.server.stop(), 0, "the server")


if __name__ == "__main__":
    stories.tell((
        two_technicians_are_at_work,
        http_garbage_is_answered_and_forgotten,
        half_a_request_keeps_nobody_waiting,
        garbage_inside_a_websocket_ends_that_connection_only,
        fragments_without_number_or_content_end_the_connection,
        what_follows_an_http_request_stops_nobody,
        strangers_who_say_nothing_are_few_and_soon_gone,
        more_than_a_message_may_have_isn_t_kept_in_memory,
        a_recorded_session_can_t_be_played_again,
        altered_bytes_on_the_way_are_noticed_and_the_change_still_arrives,
        all_of_them_end_well_after_all_this,
    ), ("anna", "bruno"))
