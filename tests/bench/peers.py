# SPDX-License-Identifier: Apache-2.0
"""Other programs with the same work, in the same run: bench --peers."""
import shutil
import socket
import subprocess

import node_peers
from harness import end, free_port, run, wait_for
from live import YARDSTICK, broadcast_ms

# It keeps nothing on disk and encrypts nothing: the least that a broker with QoS 1 does.
MOSQUITTO = """listener %d 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
max_connections -1
log_dest none
"""


def is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def mosquitto(company):
    """T4 of a broker: one message with QoS 1 at many receivers, each of which acknowledges it."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        node_peers.say("no mosquitto here: apt-get install mosquitto")
        return
    port = free_port()
    path = company.path("mosquitto.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write(MOSQUITTO % port)
    broker = subprocess.Popen([program, "-c", path], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    company.children.append(broker)
    wait_for("mosquitto", lambda: is_listening(port))
    for count in (3,) if company.quick else (1, 100, 1000):
        lines = run(company.tool("mqtt_broadcast"), str(port), str(count),
                    "3" if company.quick else "50")
        samples = [int(line) / 1000 for line in lines.split()]
        company.figures.percentiles("T4/%d/mosquitto" % count, samples, YARDSTICK,
                                    broadcast_ms(company, count))
    end(broker)


NAMES = ("mosquitto", "pouchdb", "tinybase", "turso")


def measure(company, names):
    if "mosquitto" in names:
        mosquitto(company)
    on_node = [name for name in names if name != "mosquitto"]
    if on_node:
        node_peers.measure(company, on_node)
