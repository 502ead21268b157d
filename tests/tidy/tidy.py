# SPDX-License-Identifier: Apache-2.0
"""./dev tidy: the house rules as a test.

First every rule proves on small made-up trees that it fires; then the project itself is read. One
line a violation, `file:line: rule: what to do`; exit status 1 if there is any.

    python3 tests/tidy/tidy.py [FOLDER]
"""

import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import rules  # noqa: E402 (the folder of this file comes first)
import selftest  # noqa: E402
from tree import Tree  # noqa: E402


def main(arguments):
    here = os.path.dirname(os.path.abspath(__file__))
    root = arguments[0] if arguments else os.path.dirname(os.path.dirname(here))
    if shutil.which("clang-format") is None:
        print("tidy: clang-format is missing, how the code looks isn't checked", file=sys.stderr)
    failures = selftest.run()
    for failure in failures:
        print(f"tidy self-test: {failure}")
    found = rules.violations(Tree(root))
    for path, line, rule, advice in found:
        print(f"{path}:{line}: {rule}: {advice}")
    print(f"tidy: {len(rules.RULES)} rules, {len(failures)} of the self-test failed, "
          f"{len(found)} violations", file=sys.stderr)
    return 1 if found or failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
