# SPDX-License-Identifier: Apache-2.0
"""./dev demo: the day of day.py, told in the terminal.

    demo.py BUILD_FOLDER [--keep]

Everything happens in a temporary folder and on the loopback, and is gone afterwards. With --keep
the server, the three laptops and their lines stay until Ctrl-C, to play on with them.
"""

import argparse
import os
import signal
import sys
import time

from day import Day
from lib import Company, Failed

PLAY_ON = """
Everything is still running. Play on from another terminal (copy and paste):

  the server      {server}
  a laptop        {agent}
  what it says of itself      {metrics}

  open a call, give it to Luca, look at his laptop:
    fs-server call open "Door seal torn" --customer "Hotel Miralago" --by anna
    fs-server call assign C2026-000003 --to luca --by anna
    fs-agent {luca} activity list
  write with any program, on the master or on a laptop:
    sqlite3 {master} "UPDATE site SET access_note = 'ring twice' WHERE id = 1208"
    sqlite3 {luca}/replica.db "SELECT name, access_note FROM site"
  another laptop, with a code for Sara:
    fs-server device enrol --user sara
    fs-agent {sara} enrol CODE && fs-agent {sara} run

Here, a laptop's network can be cut: type `cut mario`, `mend mario`, `compare`, or `quit` (Ctrl-C).
"""


class Narrator:
    """The day in plain words, the hour on the left."""

    def __init__(self):
        self.is_bold = sys.stdout.isatty()

    def chapter(self, hour, words):
        print("\n%s  %s" % (hour, "\033[1m%s\033[0m" % words if self.is_bold else words), flush=True)

    def say(self, words):
        print("       %s" % words, flush=True)

    def listing(self, text):
        print("\nWhat people are asked or told about it (fieldsync-server conflicts list):\n\n%s"
              % text, flush=True)


def play_on(company):
    folder = company.folder
    tools = os.path.join(folder, "tools.sh")
    with open(tools, "w", encoding="utf-8") as file:
        file.write('fs_server() { "%s" "$@" --data "%s" --listen-port %d; }\n'
                   'fs_agent() { folder=$1; shift; "%s" "$@" --data "$folder"; }\n'
                   "alias fs-server=fs_server fs-agent=fs_agent\n" % (
                       company.server_program, company.data, company.port, company.agent_program))
    print(PLAY_ON.format(
        server="ws://127.0.0.1:%d/sync, data in %s" % (company.port, company.data),
        agent="one each in %s/device-mario, -luca, -anna" % folder,
        metrics="http://127.0.0.1:%d/healthz and /metrics" % company.admin_port,
        luca=os.path.join(folder, "device-luca"), sara=os.path.join(folder, "device-sara"),
        master=company.master).replace(
            "(copy and paste):", "(copy and paste), first:\n\n    . %s" % tools), flush=True)
    devices = {device.login: device for device in company.devices}
    for line in sys.stdin:
        words = line.split()
        if words == ["quit"]:
            return
        answer(company, devices, words)
    while True: # no terminal: until a signal
        time.sleep(3600)


def answer(company, devices, words):
    if len(words) == 2 and words[0] in ("cut", "mend") and words[1] in devices:
        getattr(devices[words[1]].line, words[0])()
        print("%s's network is %s" % (words[1], "gone" if words[0] == "cut" else "back"), flush=True)
    elif words == ["compare"]:
        for login, device in devices.items():
            count, lines = company.compare(device)
            print("%-6s %d rows, %s" % (login, count,
                                        "all equal" if not lines else "\n  ".join(["differs:"] + lines)),
                  flush=True)
    elif words:
        print("cut NAME, mend NAME, compare, quit; names: " + ", ".join(devices), flush=True)


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description="A working day, played.")
    parser.add_argument("build", help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help="leave everything running, to play on")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, interrupt)
    begin = time.monotonic()
    try:
        with Company(options.build) as company:
            Day(company, Narrator()).play()
            print("The day took %.0f s." % (time.monotonic() - begin), flush=True)
            if options.keep:
                play_on(company)
    except Failed as failure:
        print("\nNOT AS IT MUST BE: %s" % failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nended, everything removed")
        return 0 if options.keep else 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
