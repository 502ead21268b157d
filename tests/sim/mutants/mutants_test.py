# SPDX-License-Identifier: Apache-2.0
"""Every mutant still fits the code: its text occurs exactly once, and its story exists."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from mutants import MUTANTS, ROOT, stories # noqa: E402

LEAST = 15


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def main():
    faults = ["%s: %s has its text %d times" % (mutant.name, mutant.path, count)
              for mutant in MUTANTS
              if (count := read(mutant.path).count(mutant.old)) != 1]
    faults += ["%s: there is no story %s" % (mutant.name, mutant.story) for mutant in MUTANTS
               if mutant.story and mutant.story not in stories()]
    faults += ["%s: there is no test %s" % (mutant.name, mutant.unit) for mutant in MUTANTS
               if mutant.unit and not os.path.exists(os.path.join(ROOT, "tests", mutant.unit + ".c"))]
    if len({mutant.name for mutant in MUTANTS}) < max(LEAST, len(MUTANTS)):
        faults.append("fewer than %d mutants, or a name twice" % LEAST)
    for fault in faults:
        print(fault)
    print("%d mutants, %d faults" % (len(MUTANTS), len(faults)))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
