# SPDX-License-Identifier: Apache-2.0
"""`fieldsync-server demo` as somebody tries it: its words, its code, its end."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import lib
from lib import expect, expect_equal

START_S = 60
PEOPLE = ("mario", "luca", "sara", "anna", "walter")


class Demo:
    """The running command; `folder`: given as --data, or None."""

    def __init__(self, build, place, folder=None):
        self.words_path = os.path.join(place, "words")
        options = ["--data", folder] if folder else []
        with open(self.words_path, "wb") as words:
            self.process = subprocess.Popen(
                [os.path.join(build, "fieldsync-server"), "demo", *options], stdout=words,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=place,
                env={**os.environ, "TMPDIR": place})
        try:
            lib.wait_for("the demo", self.is_ready, START_S)
            self.folder = re.search(r"  data: (\S+)$", self.words(), re.M)[1]
        except BaseException:
            self.kill()
            raise

    def words(self):
        with open(self.words_path, encoding="utf-8") as words:
            return words.read()

    def is_ready(self):
        expect(self.process.poll() is None, "the demo ended: " + self.words())
        return "press Ctrl-C to stop" in self.words()

    def command_of(self, login):
        """The command that the demo prints for this person, as words."""
        return re.search(r"^  %s: .*\n    (.*)$" % login, self.words(), re.M)[1].split()

    def stop(self):
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(START_S)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def a_printed_command_enrols_a_device_that_has_its_calls(build, place):
    demo = Demo(build, place)
    try:
        expect_equal(os.path.dirname(demo.folder), place, "where the folder is")
        codes = {demo.command_of(login)[2] for login in PEOPLE}
        expect_equal(len(codes), len(PEOPLE), "different codes")
        lib.run_program(*demo.command_of("mario"))
        replica = os.path.join(demo.folder, "device-mario")
        calls = lib.run_program(os.path.join(build, "fieldsync-agent"), "call", "list", "--data",
                                replica).out
        for subject in ("Cold room alarm E4", "Cell 4 ices up"):
            expect(subject in calls, "mario misses '%s': %s" % (subject, calls))
        expect("Boiler" not in calls, "mario has luca's call: " + calls)
        output = lib.run_program(*demo.command_of("mario")[:3], "--data", demo.folder + "/other",
                                 code=None)
        expect(output.code != 0, "a code works twice")
    finally:
        try:
            code = demo.stop()
        finally:
            demo.kill()
    expect_equal(code, 0, "exit code after Ctrl-C: " + demo.words())
    expect(not os.path.exists(demo.folder), "%s is still there" % demo.folder)
    expect_equal(os.listdir(place), ["words"], "what is left")


def a_folder_that_was_named_stays_and_can_be_served_again(build, place):
    folder = os.path.join(place, "company")
    demo = Demo(build, place, folder)
    try:
        expect_equal(demo.folder, folder, "where the data is")
        lib.run_program(*demo.command_of("luca"))
        expect("serve --data %s --listen-port " % folder in demo.words(), "how to go on isn't said")
        expect_equal(demo.stop(), 0, "exit code after Ctrl-C")
    finally:
        demo.kill()
    server = os.path.join(build, "fieldsync-server")
    lib.run_program(server, "check", "--data", folder)
    calls = lib.run_program(server, "call", "list", "--data", folder, "--json").json()
    expect_equal(len(calls), 4, "calls")
    again = subprocess.Popen(
        demo.words().split("to go on with it later:\n", 1)[1].split("\n", 1)[0].split()
        + ["--admin-port", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL)
    try:
        agent = (os.path.join(build, "fieldsync-agent"), "sync", "--data",
                 os.path.join(folder, "device-luca"))
        lib.wait_for("the device to find it again",
                     lambda: lib.run_program(*agent, code=None).code == 0, START_S, pause=0.2)
    finally:
        again.kill()
        again.wait()


def a_folder_that_is_there_is_refused_and_not_touched(build, place):
    folder = os.path.join(place, "mine")
    os.mkdir(folder)
    for path in (folder, os.path.join(folder, "letter")):
        if path != folder:
            with open(path, "w", encoding="utf-8") as letter:
                letter.write("dear")
        output = lib.run_program(os.path.join(build, "fieldsync-server"), "demo", "--data", path,
                                 code=1)
        expect(output.err.startswith("error: %s: File exists" % path), output.err)
    expect_equal(os.listdir(folder), ["letter"], "what is in the folder")


def a_start_that_fails_leaves_no_folder(build, place):
    folder = os.path.join(place, "company")
    for options in ([], ["--data", folder]):
        output = lib.run_program(os.path.join(build, "fieldsync-server"), "demo", *options,
                                 "--listen-address", "192.0.2.1", code=1,
                                 env={"TMPDIR": place})
        expect("listen.address" in output.err, output.err)
        expect_equal(os.listdir(place), [], "what is left")


def main():
    build = os.path.abspath(sys.argv[1])
    for story in (a_printed_command_enrols_a_device_that_has_its_calls,
                  a_folder_that_was_named_stays_and_can_be_served_again,
                  a_folder_that_is_there_is_refused_and_not_touched,
                  a_start_that_fails_leaves_no_folder):
        place = tempfile.mkdtemp(prefix="fieldsync-")
        begin = time.monotonic()
        try:
            story(build, place)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        print("%s: ok (%.1f s)" % (story.__name__.replace("_", " "), time.monotonic() - begin),
              flush=True)


if __name__ == "__main__":
    main()
