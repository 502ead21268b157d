# SPDX-License-Identifier: Apache-2.0
"""Who may know whom: the rooms of the house, what each may include, and which calls are banned."""

import re

# The pure modules of schema/ that know no SQL; the rest of schema/ is a room of its own.
_CATALOG_MODULE = re.compile(r"(catalog|row|canonical)(_[a-z_]+)?\.[ch]")

PURE = ("base", "catalog", "domain", "protocol", "server/core", "agent/core")

# Room -> rooms whose headers it may include, besides its own.
MAY_KNOW = {
    "base": (),
    "catalog": ("base",),
    "domain": ("base", "catalog"),
    "protocol": ("base", "catalog"),
    "schema": ("base", "catalog", "domain"),
    "server/core": ("base", "catalog", "domain", "protocol", "server/store"),
    "server/store": ("base", "catalog", "domain", "schema"),
    "server/service": ("base", "catalog", "domain", "server/store"),
    "server/http": ("base", "catalog", "domain", "server/core", "server/store", "server/service",
                    "edge"),
    "server/cli": ("base", "catalog", "domain", "server/core", "server/store", "server/service",
                   "edge"),
    "agent/core": ("base", "catalog", "domain", "protocol", "agent/replica"),
    "agent/replica": ("base", "catalog", "domain", "schema"),
    "agent/service": ("base", "catalog", "domain", "agent/replica"),
    "agent/http": ("base", "catalog", "domain", "agent/core", "agent/service", "agent/replica",
                   "edge"),
    "agent/cli": ("base", "catalog", "domain", "agent/core", "agent/service", "agent/replica",
                  "edge"),
    "edge": ("base",),
    "server/main": ("base", "catalog", "domain", "protocol", "schema", "edge", "server/core",
                    "server/store", "server/service", "server/http", "server/cli"),
    "agent/main": ("base", "catalog", "domain", "protocol", "schema", "edge", "agent/core",
                   "agent/service", "agent/replica", "agent/http", "agent/cli"),
}

# Single headers of another room that a room may know besides: here the types of what is said.
MAY_KNOW_TOO = {
    "agent/replica": ("protocol/messages.h", "protocol/limits.h"),
}

# Folders of an implementation that only its own room may include from.
PRIVATE_FOLDERS = ("server/store/sqlite/", "server/store/postgres/")

# Headers that the build writes -> rooms that may include them.
GENERATED = {
    "embedded_files.h": ("schema", "server/main", "agent/main"),
    "version.h": ("server/http", "server/cli", "agent/http", "agent/cli", "server/main",
                  "agent/main"),
}

_EDGE = ("edge/",)
_FILES = ("edge/", "schema/", "server/store/", "server/cli/", "agent/replica/", "agent/cli/",
          "server/main.c", "agent/main.c")

# System header -> the paths that may include it. Headers that are not listed are free; tests are
# free of this table.
SYSTEM_HEADERS = {
    "sqlite3.h": ("schema/", "server/store/sqlite/", "agent/replica/"),
    "libpq-fe.h": ("server/store/postgres/",),
    "libwebsockets.h": _EDGE,
    "ev.h": _EDGE,
    "ini.h": _EDGE,
    "pthread.h": _EDGE,
    "threads.h": _EDGE,
    "stdatomic.h": _EDGE,
    "signal.h": _EDGE,
    "time.h": _EDGE,
    "sys/time.h": _EDGE,
    "sys/random.h": _EDGE,
    "sys/socket.h": _EDGE,
    "sys/un.h": _EDGE,
    "sys/epoll.h": _EDGE,
    "sys/inotify.h": _EDGE,
    "sys/select.h": _EDGE,
    "poll.h": _EDGE,
    "netdb.h": _EDGE,
    "netinet/in.h": _EDGE,
    "netinet/tcp.h": _EDGE,
    "arpa/inet.h": _EDGE,
    "dirent.h": _FILES,
    "fcntl.h": _FILES,
    "unistd.h": _FILES,
    "sys/file.h": _FILES,
    "sys/mman.h": _FILES,
    "sys/stat.h": _FILES,
    "sys/statvfs.h": _FILES,
    "sodium.h": ("domain/evidence", "protocol/", "schema/", "server/core/", "server/store/", "server/service/",
                 "server/cli/", "server/main.c", "agent/core/", "agent/service/", "agent/replica/",
                 "agent/cli/", "agent/main.c", "edge/"),
    "zlib.h": ("protocol/",),
    "msgpack.h": ("protocol/",),
}

# Call -> what to use; banned everywhere.
BANNED_CALLS = {
    "sprintf": "snprintf, and check the size",
    "vsprintf": "vsnprintf, and check the size",
    "strcpy": "memcpy after a check of the size, or snprintf",
    "stpcpy": "memcpy after a check of the size",
    "strncpy": "memcpy after a check of the size: strncpy may leave out the NUL",
    "strcat": "struct buffer, or snprintf",
    "strncat": "struct buffer, or snprintf",
    "atoi": "strtoll with a check of errno, end and range",
    "atol": "strtoll with a check of errno, end and range",
    "atoll": "strtoll with a check of errno, end and range",
    "atof": "integers in the smallest unit",
    "strtok": "a cursor over struct bytes",
    "strtok_r": "a cursor over struct bytes",
    "gets": "fgets at the edge",
    "alloca": "an arena",
    "rand": "prng_next with a seed of the caller",
    "srand": "prng_init with a seed of the caller",
    "random": "prng_next with a seed of the caller",
    "tmpnam": "mkstemp at the edge",
    "mktemp": "mkstemp at the edge",
    "assert": "invariant (ours, stays on) or a result (input)",
}

# Banned outside the tests.
SHELL_CALLS = {
    "system": "no shell: C at the edge",
    "popen": "no shell: C at the edge",
}

# Banned outside the edge and the tests.
CLOCK_CALLS = {
    "time": "the time that came with the event",
    "clock": "the time that came with the event",
    "clock_gettime": "the time that came with the event",
    "gettimeofday": "the time that came with the event",
    "localtime": "wall_time and base/instant.h; zones are the page's concern",
    "localtime_r": "wall_time and base/instant.h; zones are the page's concern",
    "gmtime": "wall_time_format",
    "mktime": "wall_time_parse",
    "sleep": "a deadline of the step",
    "usleep": "a deadline of the step",
    "nanosleep": "a deadline of the step",
}

# Banned in the pure rooms: they take bytes and give bytes.
_IO_ADVICE = "nothing: pure rooms do no I/O; return an effect, a result or a trace line"
IO_CALLS = dict.fromkeys((
    "printf", "fprintf", "puts", "fputs", "fopen", "fread", "fwrite", "getenv", "open", "getrandom",
    "read", "write"), _IO_ADVICE)
IO_EXCEPTIONS = ("base/invariant.c",)  # its last words before abort


def room_of(path):
    """The room of a file, or None for files outside the house (tests, cmake)."""
    parts = path.split("/")
    if parts[0] in ("base", "domain", "protocol", "edge") and len(parts) > 1:
        return parts[0]
    if parts[0] == "schema" and len(parts) > 1:
        pure = len(parts) == 2 and _CATALOG_MODULE.fullmatch(parts[1])
        return "catalog" if pure else "schema"
    if parts[0] in ("server", "agent") and len(parts) > 1:
        return parts[0] + "/" + (parts[1] if len(parts) > 2 else "main")
    return None
