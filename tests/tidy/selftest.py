# SPDX-License-Identifier: Apache-2.0
"""Proves that each rule fires where it should and stays quiet where it shouldn't."""

import os
import shutil
import tempfile

import rules
from tree import Tree

C = "/* SPDX-License-Identifier: Apache-2.0 */\n"
H = C + "#pragma once\n"
CMAKE = ("# SPDX-License-Identifier: Apache-2.0\n"
         "room(base domain schema server/core server/store server/store/sqlite server/http protocol"
         " agent/core agent/replica edge)\n")

# A small house that keeps every rule; each case adds files to it or replaces some.
CLEAN = {
    "CMakeLists.txt": CMAKE,
    "tests/CMakeLists.txt": CMAKE,
    "base/a.h": H,
    "base/a.c": C + '#include "base/a.h"\n\n#include <string.h>\n',
    "tests/unit/base/a.c": C + '#include "base/a.h"\n\n#include <time.h>\n',
}


def _function(lines):
    return "void f(void)\n{\n" + "    g();\n" * (lines - 2) + "}\n"


# (what is shown, files, the expected "path:line rule" of each violation)
CASES = [
    ("a clean house", {}, []),
    ("base knows no other room",
     {"edge/e.h": H, "base/a.c": C + '#include "base/a.h"\n#include "edge/e.h"\n'},
     ["base/a.c:3 include"]),
    ("edge knows no domain",
     {"domain/d.h": H, "edge/e.c": C + '#include "domain/d.h"\n'}, ["edge/e.c:2 include"]),
    ("domain knows no part of schema but the catalog",
     {"schema/sql.h": H, "schema/row.h": H, "schema/catalog_check.h": H,
      "domain/d.c": C + '#include "schema/catalog_check.h"\n#include "schema/row.h"\n'
                        '#include "schema/sql.h"\n'},
     ["domain/d.c:4 include"]),
    ("the server's core knows the store but not its inside",
     {"server/store/store.h": H, "server/store/sqlite/file.h": H,
      "server/core/c.c": C + '#include "server/store/sqlite/file.h"\n'
                             '#include "server/store/store.h"\n'},
     ["server/core/c.c:2 include"]),
    ("the agent knows nothing of the server",
     {"server/core/c.h": H, "agent/core/c.c": C + '#include "server/core/c.h"\n'},
     ["agent/core/c.c:2 include"]),
    ("the replica knows the messages and nothing else of the protocol",
     {"protocol/messages.h": H, "protocol/noise.h": H,
      "agent/replica/r.c": C + '#include "protocol/messages.h"\n#include "protocol/noise.h"\n'},
     ["agent/replica/r.c:3 include"]),
    ("programs know no tests",
     {"tests/unit/base/help.h": H, "base/a.c": C + '#include "base/a.h"\n'
                                                   '#include "tests/unit/base/help.h"\n'},
     ["base/a.c:3 include"]),
    ("files made by the build are for the rooms that need them",
     {"protocol/p.c": C + '#include "embedded_files.h"\n',
      "schema/m.c": C + '#include "embedded_files.h"\n'},
     ["protocol/p.c:2 include"]),
    ("an include leads somewhere", {"base/a.c": C + '#include "base/a.h"\n#include "base/b.h"\n'},
     ["base/a.c:3 include-missing"]),
    ("an include in a comment is none",
     {"base/a.c": C + '#include "base/a.h"\n/*\n#include "base/b.h"\n*/\n'}, []),
    ("SQLite stays in its rooms",
     {"server/http/h.c": C + "#include <sqlite3.h>\n", "schema/row.c": C + "#include <sqlite3.h>\n",
      "schema/sql.c": C + "#include <sqlite3.h>\n"},
     ["schema/row.c:2 system-header", "server/http/h.c:2 system-header"]),
    ("clocks, threads and sockets stay at the edge",
     {"domain/d.c": C + "#include <time.h>\n#include <pthread.h>\n#include <sys/socket.h>\n",
      "edge/e.c": C + "#include <time.h>\n#include <pthread.h>\n#include <sys/socket.h>\n"},
     ["domain/d.c:2 system-header", "domain/d.c:3 system-header", "domain/d.c:4 system-header"]),
    ("a part of a library is the library",
     {"domain/d.c": C + "#include <msgpack/pack.h>\n",
      "protocol/p.c": C + "#include <msgpack/pack.h>\n"},
     ["domain/d.c:2 system-header"]),
    ("calls with a better one are named, even in tests",
     {"tests/unit/base/a.c": C + '#include "base/a.h"\nint f(void)\n{\n    return atoi("1");\n}\n'},
     ["tests/unit/base/a.c:5 banned-call"]),
    ("a name that only contains a banned call, a comment and a text are no calls",
     {"base/a.c": C + '#include "base/a.h"\n/* strcpy(a, b) */\nint f(void)\n{\n'
                      '    my_strcpy("sprintf(x)");\n    return s->time(0);\n}\n'}, []),
    ("no shell outside the tests",
     {"edge/e.c": C + "int f(void)\n{\n    return system(0);\n}\n",
      "tests/unit/edge/e.c": C + "int f(void)\n{\n    return system(0);\n}\n"},
     ["edge/e.c:4 banned-call"]),
    ("clocks outside the edge and the tests",
     {"domain/d.c": C + "int f(void)\n{\n    return time(0);\n}\n",
      "edge/e.c": C + "int f(void)\n{\n    return time(0);\n}\n"},
     ["domain/d.c:4 banned-call"]),
    ("pure rooms print nothing",
     {"protocol/p.c": C + 'int f(void)\n{\n    return puts("x");\n}\n'},
     ["protocol/p.c:4 banned-call"]),
    ("101 columns, unless it is an address",
     {"base/a.c": C + '#include "base/a.h"\n/* ' + "x" * 95 + " */\n/* https://"
                  + "x" * 95 + " */\n/* " + "é" * 94 + " */\n"},
     ["base/a.c:3 long-line"]),
    ("line comments", {"base/a.c": C + '#include "base/a.h"\n// note\n/* http://x */\n'},
     ["base/a.c:3 line-comment"]),
    ("structs have no second name",
     {"base/a.h": H + "typedef struct a a;\ntypedef int (*f)(void);\n"}, ["base/a.h:3 typedef"]),
    ("no floating point in domain",
     {"domain/d.c": C + "/* no double */\ndouble x;\n"}, ["domain/d.c:3 floating"]),
    ("headers are included once", {"base/a.h": C}, ["base/a.h:1 pragma-once"]),
    ("licence in the first line",
     {"base/a.h": "#pragma once\n", "cmake/x.cmake": "set(x 1)\n",
      "tests/run.sh": "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n"},
     ["base/a.h:1 spdx", "cmake/x.cmake:1 spdx"]),
    ("tabs and white space at the end",
     {"base/a.h": H + "\tint a;\nint b; \n", "schema/migrations/1.sql": "SELECT 1; \n"},
     ["base/a.h:3 tab", "base/a.h:4 trailing-space", "schema/migrations/1.sql:1 trailing-space"]),
    ("nothing unfinished, but mkstemp's pattern is fine",
     {"base/a.h": H + "/* TO" + "DO later */\n/* FIX" + "ME */\n/* fileXXXXXX */\n"},
     ["base/a.h:3 unfinished", "base/a.h:4 unfinished"]),
    ("files of more than 900 lines say why",
     {"base/a.h": H + "\n" * 900, "base/b.h": H + "/* long because it is a table */\n" + "\n" * 900,
      "base/a.c": C + '#include "base/a.h"\n#include "base/b.h"\n'},
     ["base/a.h:903 long-file"]),
    ("functions of more than 90 lines say why",
     {"base/a.c": C + '#include "base/a.h"\n' + _function(90) + _function(91)
                  + "\n/* One case a line; long because the protocol has so many. */\n"
                  + _function(91)},
     ["base/a.c:95 long-function"]),
    ("a source that no target compiles",
     {"attic/old.c": C, "tests/unit/attic/old.c": C}, ["attic/old.c:1 dead-file",
                                                       "tests/unit/attic/old.c:1 dead-file"]),
    ("a folder that decides for itself is alive",
     {"tests/sim/CMakeLists.txt": "# SPDX-License-Identifier: Apache-2.0\nprogram(sim world.c)\n",
      "tests/sim/world.c": C, "tests/sim/lost.c": C}, ["tests/sim/lost.c:1 dead-file"]),
    ("a header that nobody includes", {"base/b.h": H}, ["base/b.h:1 dead-file"]),
    ("big binary files, but not in the corpus and not text",
     {"docs/image.bin": b"\0" * 102401, "tests/fuzz/corpus/x/1": b"\0" * 102401,
      "docs/small.bin": b"\0" * 102400, "docs/long.txt": b"x" * 102401},
     ["docs/image.bin:1 blob"]),
]

# Only when clang-format is here; alone, because the made-up files above aren't formatted.
FORMAT_CASE = ("how the code looks",
               {".clang-format": "BasedOnStyle: LLVM\n", "base/a.h": H + "int   a;\n"},
               ["base/a.h:3 format"])


def _build(folder, files):
    for path, content in {**CLEAN, **files}.items():
        full = os.path.join(folder, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode("utf-8"))


def _found(files, check_format):
    with tempfile.TemporaryDirectory(prefix="fieldsync-tidy-") as folder:
        _build(folder, files)
        tree = Tree(folder)
        checks = [check for check in rules.CHECKS if check is not rules.check_format or check_format]
        found = [f"{path}:{line} {rule}" for check in checks for path, line, rule, _ in check(tree)]
    return sorted(found)


def run():
    """What went wrong, one text each; empty if every rule does its work."""
    failures = []
    proven = set()
    cases = [(case, False) for case in CASES]
    if shutil.which("clang-format"):
        cases.append((FORMAT_CASE, True))
    else:
        proven.add("format")
    for (shown, files, expected), check_format in cases:
        found = _found(files, check_format)
        proven.update(line.split()[-1] for line in expected)
        if found != sorted(expected):
            failures.append(f"{shown}: expected {sorted(expected)}, found {found}")
    failures += [f"no case proves the rule {rule}" for rule in rules.RULES if rule not in proven]
    failures += [f"the rule {rule} isn't listed" for rule in proven - set(rules.RULES)]
    return failures
