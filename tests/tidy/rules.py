# SPDX-License-Identifier: Apache-2.0
"""The house rules. Each check yields (path, line, rule, what to do)."""

import os
import re
import shutil
import subprocess

import rooms

LINE_COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 90
FILE_LINES_MAX = 900
BLOB_SIZE_MAX = 100 * 1024
LONG_BECAUSE = "long because"
SPDX = "SPDX-License-Identifier: Apache-2.0"
SCRIPTS = (".py", ".sh", ".cmake", "CMakeLists.txt")
SOURCES = (".c", ".h", ".sql") + SCRIPTS

_INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
_CALL = re.compile(r"(?<![\w.>])([a-z_0-9]+)\s*\(")
_UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")


def includes_of(tree, path):
    """(line, "own" or "system", name) of each #include that is code, not comment."""
    codes = dict(tree.code_lines(path))
    for number, line in tree.lines(path):
        match = _INCLUDE.match(line)
        if match and "#" in codes[number]:
            yield (number, "own" if match.group(1) else "system", match.group(1) or match.group(2))


def _resolved(tree, path, name):
    """The project's file that `#include "name"` in `path` means, or None."""
    known = set(tree.paths)
    beside = os.path.normpath(os.path.join(os.path.dirname(path), name))
    return name if name in known else beside if beside in known else None


def check_includes(tree):
    """Who may know whom, section by section of the table in rooms.py."""
    for path in tree.c_files():
        room = rooms.room_of(path)
        for number, kind, name in includes_of(tree, path):
            if kind == "system":
                yield from _check_system_header(path, number, room, name)
            elif name in rooms.GENERATED:
                if room is not None and room not in rooms.GENERATED[name]:
                    yield (path, number, "include", f"{name} is only for "
                           + ", ".join(rooms.GENERATED[name]))
            elif _resolved(tree, path, name) is None:
                yield (path, number, "include-missing",
                       f'no file {name}: write "room/file.h" from the root of the project')
            elif room is not None:
                yield from _check_own_header(path, number, room, _resolved(tree, path, name))


def _check_system_header(path, number, room, name):
    if "/" in name and name.split("/")[0] + ".h" in rooms.SYSTEM_HEADERS:
        name = name.split("/")[0] + ".h"  # msgpack/pack.h is a part of msgpack.h
    allowed = rooms.SYSTEM_HEADERS.get(name)
    if room is None or allowed is None:
        return
    if room == "catalog" and name in rooms.SYSTEM_HEADERS:
        allowed = ()  # the pure part of schema/
    place = room + ".c" if room.endswith("/main") else path  # server/run.c is like main.c
    if not place.startswith(allowed):
        yield (path, number, "system-header",
               f"<{name}> belongs to {', '.join(rooms.SYSTEM_HEADERS[name])}; ask there for what"
               " you need")


def _check_own_header(path, number, room, name):
    other = rooms.room_of(name)
    if other is None:
        yield (path, number, "include", f"{name} is not part of any room: programs know no tests")
    elif name in rooms.MAY_KNOW_TOO.get(room, ()):
        return
    elif other != room and other not in rooms.MAY_KNOW.get(room, ()):
        yield (path, number, "include", f"{room} may not know {other}; it may know "
               + (", ".join(rooms.MAY_KNOW.get(room, ())) or "no other room"))
    elif other != room and name.startswith(rooms.PRIVATE_FOLDERS) and not room.endswith("/main"):
        yield (path, number, "include", f"{name} is the inside of {other}: include its interface")


def check_calls(tree):
    """Calls that have a better one, clocks outside the edge, I/O in pure rooms."""
    for path in tree.c_files():
        room = rooms.room_of(path)
        for number, line in tree.code_lines(path):
            for match in _CALL.finditer(line):
                advice = _advice(path, room, match.group(1))
                if advice:
                    yield (path, number, "banned-call", f"{match.group(1)}(): use {advice}")


def _advice(path, room, call):
    if call in rooms.BANNED_CALLS:
        return rooms.BANNED_CALLS[call]
    if room is not None and call in rooms.SHELL_CALLS:
        return rooms.SHELL_CALLS[call]
    if room not in (None, "edge") and call in rooms.CLOCK_CALLS:
        return rooms.CLOCK_CALLS[call]
    if room in rooms.PURE and path not in rooms.IO_EXCEPTIONS:
        return rooms.IO_CALLS.get(call)
    return None


def check_c_lines(tree):
    """Dialect and shape of single lines."""
    for path in tree.c_files():
        room = rooms.room_of(path)
        for number, line in tree.lines(path):
            if len(line) > LINE_COLUMNS_MAX and "://" not in line:
                yield (path, number, "long-line", f"{len(line)} columns: break it before 100")
        for number, line in tree.code_lines(path):
            if "//" in line:
                yield (path, number, "line-comment", "write /* */; // is a note to yourself")
            if re.search(r"\btypedef\s+(struct|union)\b", line):
                yield (path, number, "typedef", "no typedef of a struct: say struct name")
            if room == "domain" and re.search(r"\b(double|float)\b", line):
                yield (path, number, "floating", "integers in the smallest unit: no double here")
        if path.endswith(".h") and "#pragma once" not in tree.text(path):
            yield (path, 1, "pragma-once", "add #pragma once below the manual")


def check_text(tree):
    """What holds for every source file, in any language."""
    for path in tree.ending(*SOURCES):
        head = tree.text(path).split("\n")[: 1 if path.endswith((".c", ".h")) else 2]
        if not path.endswith(".sql") and not any(SPDX in line for line in head):
            yield (path, 1, "spdx", f"the first line is a comment with {SPDX}")
        for number, line in tree.lines(path):
            if "\t" in line:
                yield (path, number, "tab", "four spaces instead of a tab")
            if line != line.rstrip():
                yield (path, number, "trailing-space", "delete the white space at the end")
            if _UNFINISHED.search(line):
                yield (path, number, "unfinished", "finish it, or say in docs/ what is left out")


def check_sizes(tree):
    """Functions and files that outgrew one reading; a comment may say why."""
    for path in tree.c_files():
        lines = tree.text(path).split("\n")
        if len(lines) > FILE_LINES_MAX and LONG_BECAUSE not in "\n".join(lines[:40]):
            yield (path, len(lines), "long-file", f"{len(lines)} lines: split it by subject, or say"
                   f' "{LONG_BECAUSE} ..." at the top')
        start = None
        for number, line in tree.code_lines(path):
            if line.startswith("{"):
                start = number
            elif line.startswith("}") and start is not None:
                size = number - start + 1
                before = "\n".join(lines[max(0, start - 16):start])
                if size > FUNCTION_LINES_MAX and LONG_BECAUSE not in before:
                    yield (path, start, "long-function", f"{size} lines: split it, or say"
                           f' "{LONG_BECAUSE} ..." in the comment above')
                start = None


def check_dead_files(tree):
    """A .c file that no target compiles, a .h file that nobody includes."""
    root = _words(tree, "CMakeLists.txt")
    units = _words(tree, "tests/CMakeLists.txt")
    included = set()
    for path in tree.c_files():
        for _, kind, name in includes_of(tree, path):
            if kind == "own":
                included.add(_resolved(tree, path, name))
    for path in tree.ending(".c"):
        if not _is_compiled(tree, path, root, units):
            yield (path, 1, "dead-file", "no target compiles it: name its folder in CMakeLists.txt")
    for path in tree.ending(".h"):
        if path not in included and not path.startswith("cmake/"):
            yield (path, 1, "dead-file", "nobody includes it: delete it")


def _words(tree, path):
    if path not in tree.paths:
        return set()
    code = re.sub(r"#[^\n]*", "", tree.text(path))
    return set(re.findall(r"[\w/.-]+", code))


def _is_compiled(tree, path, root, units):
    folder, name = os.path.split(path)
    if folder in root or path in root:
        return True
    if folder.startswith("tests/unit/") and folder[len("tests/unit/"):] in units:
        return True
    if folder.startswith("tests/") and folder.count("/") == 1 and folder[6:] in units \
            and folder + "/CMakeLists.txt" not in tree.paths:
        return True
    while folder not in ("", "tests"):  # a folder that decides for itself
        words = _words(tree, folder + "/CMakeLists.txt")
        if name in words or os.path.relpath(path, folder) in words or "GLOB" in words \
                or "GLOB_RECURSE" in words:
            return True
        folder = os.path.dirname(folder)
    return False


def check_blobs(tree):
    """Big binary files make every clone slow for ever."""
    for path in tree.paths:
        if path.startswith("tests/fuzz/corpus/"):
            continue
        if os.path.getsize(os.path.join(tree.root, path)) <= BLOB_SIZE_MAX:
            continue
        data = tree.raw(path)
        if b"\0" in data[:8192] or not _is_utf8(data):
            yield (path, 1, "blob", f"{len(data)} bytes of binary data: make it in the build or the"
                   " test")


def _is_utf8(data):
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def check_format(tree):
    """clang-format decides how the code looks."""
    program = shutil.which("clang-format")
    paths = tree.c_files()
    if program is None or not paths:
        return
    run = subprocess.run([program, "--dry-run", "--Werror", *paths], cwd=tree.root,
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    seen = set()
    for path, line in re.findall(r"^(.+?):(\d+):\d+: error: code should be clang-formatted",
                                 run.stderr, re.MULTILINE):
        if path not in seen:  # one line a file is enough to know
            seen.add(path)
            yield (path, int(line), "format", "run ./dev format")


CHECKS = (check_includes, check_calls, check_c_lines, check_text, check_sizes, check_dead_files,
          check_blobs, check_format)
RULES = ("include", "include-missing", "system-header", "banned-call", "long-line", "line-comment",
         "typedef", "floating", "pragma-once", "spdx", "tab", "trailing-space", "unfinished",
         "long-file", "long-function", "dead-file", "blob", "format")


def violations(tree):
    """All of them, sorted by place."""
    return sorted(found for check in CHECKS for found in check(tree))
