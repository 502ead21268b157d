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
Everything is still running; what the server says of itself: {metrics}
Play on from another terminal, as the office and as the people with their laptops:

    cd {folder}
    ./office call open "Door seal torn" --customer "Hotel Miralago" --by anna
    ./office call assign C2026-000003 --to luca --by anna
    ./luca activity list
    ./anna inbox list
    ./office device list

with any other program, on the master or on a laptop:

    sqlite3 server/fieldsync.db "UPDATE site SET access_note = 'ring twice' WHERE id = 1208"
    sqlite3 device-luca/replica.db "SELECT name, access_note FROM site"

with one more laptop:

    ./office device enrol --user sara
    ./sara enrol CODE && ./sara run

Here, type `cut mario` or `mend luca` for somebody's network, `compare` to compare all rows, `quit`
(or Ctrl-C) to end everything and remove the folder.
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


def write_tool(company, name, program, data, options=""):
    path = os.path.join(company.folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write('#!/bin/sh\nexec "%s" "$@" --data "%s"%s\n' % (program, data, options))
    os.chmod(path, 0o755)


def play_on(company):
    write_tool(company, "office", company.server_program, company.data,
               " --listen-port %d" % company.port)
    for login in ("mario", "luca", "anna", "sara"):
        write_tool(company, login, company.agent_program,
                   os.path.join(company.folder, "device-%s" % login))
    print(PLAY_ON.format(folder=company.folder, metrics="http://127.0.0.1:%d/metrics"
                         % company.admin_port), flush=True)
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
        with Company(os.path.abspath(options.build)) as company:
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
