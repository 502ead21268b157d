# SPDX-License-Identifier: Apache-2.0
"""Strangers at the port by the hundreds: those who are enrolled must not notice.

    flood_test.py BUILD [CONNECTIONS]     10,000 of them: ./dev flood

Every kind of stranger: silent ones, half requests, handshakes that break off, garbage. They come
from many loopback addresses, as fast as this machine makes them, and stay as long as they may."""

import base64
import os
import resource
import selectors
import socket
import statistics
import sys
import threading
import time

import lib
import small_company
import stories
from lib import expect

OPEN_AT_ONCE = 3000
ADDRESSES = 250


def upgrade():
    lines = {"Host": "x", "Upgrade": "websocket", "Connection": "Upgrade",
             "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "fieldsync.1",
             "Sec-WebSocket-Key": base64.b64encode(b"A" * 16).decode()}
    return ("GET /sync HTTP/1.1\r\n" + "".join("%s: %s\r\n" % line for line in lines.items())
            + "\r\n").encode()


def frame(payload):
    return bytes([0x82, 0x80 | 126, len(payload) >> 8, len(payload) & 255]) + bytes(4) + payload


KINDS = (
    upgrade(),                                              # a WebSocket that then is silent
    upgrade() + frame(bytes([1, 1]) + os.urandom(130)),     # message 1 of nobody: costs two DH
    upgrade() + frame(os.urandom(200)),
    upgrade()[:40],
    os.urandom(64),
    b"",
)


class Flood(threading.Thread):
    """Opens `count` connections, OPEN_AT_ONCE at most beside each other."""

    def __init__(self, port, count):
        super().__init__(daemon=True)
        self.port = port
        self.count = count
        self.opened = 0
        self.refused = 0
        self.selector = selectors.DefaultSelector()
        self.is_open = 0

    def _open(self, number):
        one = socket.socket()
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.%d.%d" % (1 + number % 5, 1 + number % ADDRESSES), 0))
        try:
            one.connect(("127.0.0.1", self.port))
        except BlockingIOError:
            pass
        self.selector.register(one, selectors.EVENT_WRITE, KINDS[number % len(KINDS)])
        self.is_open += 1

    def _end(self, one):
        self.selector.unregister(one)
        one.close()
        self.is_open -= 1

    def _serve(self, seconds):
        for key, ready in self.selector.select(seconds):
            one = key.fileobj
            try:
                if ready & selectors.EVENT_WRITE:
                    one.send(key.data) if key.data else None
                    self.opened += 1
                    self.selector.modify(one, selectors.EVENT_READ, None)
                elif not one.recv(4096):
                    self._end(one)
            except OSError:
                self.refused += 1
                self._end(one)

    def run(self):
        for number in range(self.count):
            while self.is_open >= OPEN_AT_ONCE:
                self._serve(0.2)
            self._open(number)
            self._serve(0)
        end = time.monotonic() + 15
        while self.is_open > 0 and time.monotonic() < end:
            self._serve(0.2)
        for key in list(self.selector.get_map().values()):
            self._end(key.fileobj)


def latencies(company, while_true, least):
    """Seconds from a commit on anna's device until it is readable on bruno's, again and again."""
    anna, bruno = company.devices[:2]
    found = []
    while while_true() or len(found) < least:
        words = "change %d" % len(found)
        begin = time.monotonic()
        anna.sql(("UPDATE site SET access_note = ? WHERE id = 1", words))
        lib.Watch(bruno.replica, "SELECT access_note FROM site WHERE id = 1").wait("bruno", words)
        found.append(time.monotonic() - begin)
        time.sleep(0.05)
    return sorted(found)


class Return(threading.Thread):
    """A device that loses its line and has to come back: how long does it take?"""

    def __init__(self, device):
        super().__init__(daemon=True)
        self.device = device
        self.seconds = None

    def run(self):
        before = self.device.state().get("connected_at")
        begin = time.monotonic()
        self.device.line.drop()
        while not (self.device.is_live() and self.device.state().get("connected_at") != before):
            time.sleep(0.02)
        self.seconds = time.monotonic() - begin


def say(what, found):
    print("%s: %d changes, p50 %.0f ms, p99 %.0f ms, most %.0f ms"
          % (what, len(found), statistics.median(found) * 1000,
             found[min(len(found) - 1, int(len(found) * 0.99))] * 1000, found[-1] * 1000),
          flush=True)


def main(build, count):
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    with lib.Company(build) as company:
        company.build = build
        small_company.found(company, ("anna", "bruno", "carla"))
        company.serve()
        for login in ("anna", "bruno", "carla"):
            company.device_add(login).run()
        say("without a flood", latencies(company, lambda: False, 40))
        flood = Flood(company.port, count)
        begin = time.monotonic()
        flood.start()
        time.sleep(2)
        carla = Return(company.devices[2]) # somebody who has to come back in the middle of it
        carla.start()
        found = latencies(company, flood.is_alive, 40)
        say("during a flood", found)
        carla.join(60)
        expect(carla.seconds is not None, "carla didn't come back")
        print("%d connections in %.1f s, %d were reset; a device that lost its line was back after"
              " %.1f s" % (flood.opened, time.monotonic() - begin, flood.refused, carla.seconds))
        flood.join(30)
        expect(flood.opened > count * 0.9, "only %d connections were made" % flood.opened)
        stories.expect_within(company, statistics.median(found), 1, "a change in the flood")
        lib.wait_for("the end of all strangers", lambda: company.metric("connections") == 3)
        for device in company.devices:
            expect(device.is_live(), "%s isn't connected any more" % device.login)
            lib.expect_equal(device.stop(), 0, device.login)
        lib.expect_equal(company.server.stop(), 0, "the server")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 500)
