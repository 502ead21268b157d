# SPDX-License-Identifier: Apache-2.0
"""Builds each mutant and lets the simulator look for it: `./dev mutants [NAME...]`.

The tree is copied to build/mutants, so that this one stays as it is; one mutant after the other is put
in, built and simulated until a seed fails, or the story or unit test that it names. Exit status 0:
every one was caught, by random seeds within as many as it says."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from mutants import MUTANTS, stories # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
FOLDER = os.path.join(ROOT, "build", "mutants")
SOURCE = os.path.join(FOLDER, "source")
BUILD = os.path.join(FOLDER, "build")
STEP = 10 # seeds between two looks
BUILD_S, STEP_S = 900, 600
TIMED_OUT = 124


def run(*command, seconds, **environment):
    """(exit status, what it said); a program that hangs counts as failed, and its children end, too."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", env={**os.environ, **environment},
                          start_new_session=True) as program:
        try:
            said = program.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            os.killpg(program.pid, signal.SIGKILL)
            return TIMED_OUT, "no end within %d s" % seconds
        return program.returncode, said


def copy_tree():
    """Only what differs, so that the build stays warm from one run to the next; what isn't here any
    more goes there, too."""
    names = subprocess.run(("git", "-C", ROOT, "ls-files", "-z"), capture_output=True, check=True,
                           text=True).stdout.split("\0")
    for folder, _, files in os.walk(SOURCE):
        for name in files:
            copy = os.path.join(folder, name)
            if not os.path.exists(os.path.join(ROOT, os.path.relpath(copy, SOURCE))):
                os.remove(copy)
    for name in filter(None, names):
        origin, copy = os.path.join(ROOT, name), os.path.join(SOURCE, name)
        if not os.path.exists(origin):
            continue
        with open(origin, "rb") as file:
            content = file.read()
        if os.path.exists(copy):
            with open(copy, "rb") as file:
                if file.read() == content:
                    continue
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        with open(copy, "wb") as file:
            file.write(content)
        shutil.copymode(origin, copy)


def program_of(mutant):
    """Which program has to notice: its target, and where it is in the build."""
    if mutant.unit:
        return mutant.unit.replace("/", "_"), os.path.join("tests", mutant.unit)
    name = stories()[mutant.story] if mutant.story else "sim"
    return name, os.path.join("tests", "sim", name)


def build(target):
    status, said = run("cmake", "--build", BUILD, "--target", target, seconds=BUILD_S)
    if status != 0:
        print(said[-3000:])
    return status == 0


def reason(said):
    """The sentence of a failed seed or story, without the time and the seed."""
    for form in (r"^FAILED(?: at [\d.]+ s)?: (.*)$", r"^ERROR: (.*)$",
                 r"^\[  ERROR   \] --- (.+)$", r"error: (.*)$"):
        found = re.search(form, said, re.M)
        if found:
            return found[1][:150]
    return said.strip().rsplit("\n", 1)[-1][:150]


def ask_story(mutant, program):
    status, said = run(program, seconds=STEP_S, STORY=mutant.story)
    has_failed = "[  FAILED  ] " + mutant.story in said or status == TIMED_OUT
    return reason(said) if status != 0 and has_failed else None


def ask_unit(program):
    status, said = run(program, seconds=STEP_S)
    return reason(said) if status != 0 else None


def ask_seeds(mutant, program):
    """(seeds run, why one failed)"""
    for first in range(1, mutant.seeds + 1, STEP):
        status, said = run(program, "--seeds", str(STEP), "--first", str(first), "--seconds", "120",
                           "--jobs", "2", seconds=STEP_S)
        if status != 0:
            return first + STEP - 1, reason(said)
    return mutant.seeds, None


def look_for(mutant):
    """(what was asked, why it failed); why None: it wasn't noticed."""
    program = os.path.join(BUILD, program_of(mutant)[1])
    if mutant.story:
        return "story", ask_story(mutant, program)
    if mutant.unit:
        return "unit", ask_unit(program)
    seeds, why = ask_seeds(mutant, program)
    return "%d seeds" % seeds, why


def try_one(mutant):
    path = os.path.join(SOURCE, mutant.path)
    with open(path, encoding="utf-8") as file:
        original = file.read()
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(original.replace(mutant.old, mutant.new))
        if not build(program_of(mutant)[0]):
            return "build", None
        return look_for(mutant)
    finally:
        with open(path, "w", encoding="utf-8") as file:
            file.write(original)


def main(names):
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    if names and len(chosen) != len(set(names)):
        print("no such mutant: " + ", ".join(set(names) - {mutant.name for mutant in chosen}))
        return 2
    copy_tree()
    status, said = run("cmake", "-S", SOURCE, "-B", BUILD, "-G", "Ninja", "-DCMAKE_C_COMPILER=gcc",
                       "-DCMAKE_C_FLAGS=-O2", seconds=BUILD_S)
    if status != 0 or not build("sim"):
        print(said)
        return 2
    missed = []
    for mutant in chosen:
        begin = time.monotonic()
        asked, why = try_one(mutant)
        print("%-52s %-8s %9s %4d s  %s" % (mutant.name, "caught" if why else "MISSED", asked,
                                            time.monotonic() - begin, why or mutant.breaks),
              flush=True)
        if why is None:
            missed.append(mutant.name)
    print("%d mutants, %d caught, %d missed" % (len(chosen), len(chosen) - len(missed), len(missed)))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
