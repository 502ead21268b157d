# SPDX-License-Identifier: Apache-2.0
"""A bad radio link for real programs, with the kernel's own TCP at both ends.

The test and the server live in a network namespace of the test's own, the device in a second one.
Between them are two pairs of virtual interfaces; the ends in the middle have no address, and a
thread here carries every packet from one to the other: one after the other at the line's rate,
each later by the latency, some of them never. So nothing of TCP is modelled: lost packets are
noticed, waited for and sent again by the kernel, as on a radio link. (The kernel's own netem would
do the same, where there is one.)

    enter_namespace()                     # once, first; NotPermitted: not on this machine
    network = Network()
    network.weather = Weather(bits=9600, latency_s=0.6, loss=0.1)
    network.command(...)                  # a program's command line, to run on the device's side
    network.tally.bytes_of(UP)            # what went over the line so far
"""
import array
import collections
import fcntl
import heapq
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

UP, DOWN = 0, 1                        # from the device, to it
SERVER_ADDRESS, DEVICE_ADDRESS = "10.9.0.1", "10.9.0.2"
ETHERNET_SIZE = 14                     # not sent over the radio
RADIO_TAIL_S = 5                       # so long a modem stays awake after a packet
MARK = "FIELDSYNC_WEAK_NET"
NOT_PERMITTED = 77                     # exit status: skipped

# What a line does: `bits` a second each way (0: as fast as it goes), the share of lost packets, and
# how many packets wait in front of it before more are dropped.
Weather = collections.namedtuple("Weather", "bits latency_s loss is_up queue",
                                 defaults=(0, 0.0, 0.0, True, 20))
FINE = Weather()
GONE = Weather(is_up=False)


class NotPermitted(Exception):
    pass


def enter_namespace():
    """Starts this script anew inside a network namespace. Returns when we are there."""
    if os.environ.get(MARK):
        return
    for command in (["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"]):
        try:
            if subprocess.run(command + ["true"], capture_output=True, check=False).returncode == 0:
                sys.stdout.flush()
                os.execvpe(command[0], command + [sys.executable, "-B"] + sys.argv,
                           {**os.environ, MARK: "1"})
        except FileNotFoundError:
            break
    raise NotPermitted("no network namespace can be made here: run as root, or allow user namespaces")


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotPermitted("ip %s: %s" % (" ".join(words), done.stderr.strip()))


def switch_off_offloads(name):
    """Packets are to be no larger than the line's, with checksums that a receiver can check."""
    with socket.socket() as any_socket:
        for feature in (0x17, 0x1f, 0x24, 0x2c):  # tx checksums, TSO, GSO, GRO
            value = array.array("B", struct.pack("II", feature, 0))
            request = struct.pack("16sP", name.encode(), value.buffer_info()[0])
            try:
                fcntl.ioctl(any_socket, 0x8946, request)
            except OSError:
                pass  # one that there isn't


class Tally:
    """What went over the line, lost packets included: they cost the sender's air time, too."""

    def __init__(self):
        self.bytes = [0, 0]
        self.packets = [0, 0]
        self.lost = [0, 0]
        self.payload = [0, 0]   # of TCP
        self.resent = [0, 0]    # part of payload that had been sent before
        self.connects = set()   # ports of connections from the device
        self.times = []         # of all packets
        self.newest = {}        # per flow: the end of what was sent

    def note(self, direction, packet, now):
        self.bytes[direction] += len(packet)
        self.packets[direction] += 1
        self.times.append(now)
        header = 4 * (packet[0] & 15)
        if packet[9] != socket.IPPROTO_TCP or len(packet) < header + 20:
            return
        source, target, sequence, _, offset, flags = struct.unpack_from("!HHIIBB", packet, header)
        size = len(packet) - header - 4 * (offset >> 4)
        if flags & 2:  # SYN
            if direction == UP:
                self.connects.add(source)
            self.newest[source, target] = (sequence + 1) & 0xffffffff
        if size <= 0:
            return
        self.payload[direction] += size
        end = (sequence + size) & 0xffffffff
        newest = self.newest.get((source, target), sequence)
        ahead = (end - newest + 2**31 & 0xffffffff) - 2**31  # bytes that are new
        self.resent[direction] += size - min(size, max(0, ahead))
        if ahead > 0:
            self.newest[source, target] = end

    def wakes(self):
        """How often a packet found the modem asleep."""
        times = sorted(self.times)
        return sum(1 for index, moment in enumerate(times)
                   if index == 0 or moment - times[index - 1] > RADIO_TAIL_S)


class Line:
    """One direction."""

    def __init__(self):
        self.free_at = 0.0                 # when the packets before are through
        self.waiting = collections.deque() # when each of those in front is through


class Network:
    def __init__(self, seed=1):
        self.weather = FINE
        self.tally = Tally()
        self.random = random.Random(seed)
        self.holder = None
        self.is_ending = False
        ip("link", "set", "lo", "up")
        ip("link", "add", "server0", "type", "veth", "peer", "name", "middle0")
        ip("link", "add", "device0", "type", "veth", "peer", "name", "middle1")
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self._move_device_end()
        self._configure("server0", SERVER_ADDRESS, DEVICE_ADDRESS, 1, 2, ())
        self._configure("device0", DEVICE_ADDRESS, SERVER_ADDRESS, 2, 1, self.command())
        for name in ("middle0", "middle1"):
            self._quiet(name, ())
            ip("link", "set", name, "arp", "off", "up")
        self.ends = [self._tap("middle1"), self._tap("middle0")]  # UP comes from the device
        self.thread = threading.Thread(target=self._carry, daemon=True)
        self.thread.start()

    def command(self, *words):
        """`words` as a command that runs on the device's side."""
        return ("nsenter", "--net=/proc/%d/ns/net" % self.holder.pid, *words)

    def new_tally(self):
        """What went over the line so far; counting begins anew."""
        old, self.tally = self.tally, Tally()
        self.tally.newest = old.newest
        return old

    def break_connections(self):
        """Both ends learn at once that it is over, as when a modem is given another address."""
        for words in (("ss", "-K", "dst", DEVICE_ADDRESS),
                      self.command("ss", "-K", "dst", SERVER_ADDRESS)):
            subprocess.run(words, capture_output=True, check=False)

    def close(self):
        self.is_ending = True
        if self.holder is not None:
            self.holder.send_signal(signal.SIGKILL)
            self.holder.wait()

    # ---- setting up ----

    def _move_device_end(self):
        own = os.readlink("/proc/self/ns/net")
        end = time.monotonic() + 5
        while os.readlink("/proc/%d/ns/net" % self.holder.pid) == own:
            if time.monotonic() > end:
                raise NotPermitted("no second network namespace")
            time.sleep(0.01)
        ip("link", "set", "device0", "netns", str(self.holder.pid))

    @staticmethod
    def _quiet(name, where):
        """No packets but the programs' own."""
        subprocess.run([*where, "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/%s/disable_ipv6" % name],
                       capture_output=True, check=False)

    def _configure(self, name, address, peer, number, peer_number, where):
        def run(*words):
            done = subprocess.run([*where, "ip", *words], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise NotPermitted("ip %s: %s" % (" ".join(words), done.stderr.strip()))
        self._quiet(name, where)
        run("link", "set", name, "address", "02:00:00:00:00:%02x" % number)
        run("address", "add", address + "/24", "dev", name)
        run("link", "set", name, "up")
        run("neighbour", "add", peer, "lladdr", "02:00:00:00:00:%02x" % peer_number, "dev", name,
            "nud", "permanent")
        subprocess.run([*where, sys.executable, "-B", "-c",
                        "import weak_net; weak_net.switch_off_offloads(%r)" % name],
                       cwd=os.path.dirname(os.path.abspath(__file__)), check=True)

    @staticmethod
    def _tap(name):
        switch_off_offloads(name)
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        tap.bind((name, 0x0800))
        return tap

    # ---- carrying ----

    def _carry(self):
        try:
            self._carry_on()
        except OSError:
            if not self.is_ending: # then the interfaces go away
                raise

    def _carry_on(self):
        lines = [Line(), Line()]
        under_way = []  # heap of (when it arrives, number, direction, frame)
        number = 0
        while not self.is_ending:
            wait = min(0.2, max(0.0, under_way[0][0] - time.monotonic())) if under_way else 0.2
            ready, _, _ = select.select(self.ends, [], [], wait)
            for direction, end in enumerate(self.ends):
                if end not in ready:
                    continue
                frame, address = end.recvfrom(65536)
                if address[2] == socket.PACKET_OUTGOING:
                    continue
                due = self._admit(lines[direction], direction, frame)
                if due is not None:
                    number += 1
                    heapq.heappush(under_way, (due, number, direction, frame))
            while under_way and under_way[0][0] <= time.monotonic():
                _, _, direction, frame = heapq.heappop(under_way)
                if self.weather.is_up:
                    self.ends[1 - direction].send(frame)

    def _admit(self, line, direction, frame):
        """When the frame comes out at the other end; None: never."""
        weather, now = self.weather, time.monotonic()
        packet = frame[ETHERNET_SIZE:]
        while line.waiting and line.waiting[0] <= now:
            line.waiting.popleft()
        if weather.bits and len(line.waiting) >= weather.queue:
            return None  # never sent
        self.tally.note(direction, packet, now)
        line.free_at = max(now, line.free_at)
        if weather.bits:
            line.free_at += 8 * len(packet) / weather.bits
            line.waiting.append(line.free_at)
        if not weather.is_up or self.random.random() < weather.loss:
            self.tally.lost[direction] += 1
            return None
        return line.free_at + weather.latency_s
