# SPDX-License-Identifier: Apache-2.0
"""Writes the first inputs of the targets that read text, and of the protocol's documented examples.

    python3 tests/fuzz/seeds.py FOLDER        FOLDER/<target>/<name>

What a running company says is written by seeds.c.
"""

import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SIZE_MAX = 6000

# The order of enum message_kind in tests/unit/protocol/message_kit.h.
KINDS = ("RESUME", "ENROL", "WELCOME", "ENROLLED", "SUBSCRIBED", "ROWS", "GONE", "PUBLISH",
         "VERDICT", "PUSH", "PUBLISHED", "DIGEST", "DIGEST_DIFFERS", "REPAIR", "BLOB", "PING",
         "TEXT")
ALIASES = {"BLOB_HAVE": "BLOB", "BLOB_WANT": "BLOB", "BLOB_PART": "BLOB", "PONG": "PING",
           "NOTICE": "TEXT", "REVOKED": "TEXT", "ERROR": "TEXT", "BYE": "TEXT"}


def read(*path):
    with open(os.path.join(ROOT, *path), "rb") as file:
        return file.read()


def examples():
    """(name, body) of each example in docs/PROTOCOL.md."""
    text = read("docs", "PROTOCOL.md").decode()
    for block in re.findall(r"```fieldsync\n(.*?)```", text, re.DOTALL):
        lines = block.splitlines()
        data = "".join(line[1:] for line in lines if line.startswith("="))
        yield lines[0].split()[0], bytes.fromhex(data)


def messages():
    for number, (name, body) in enumerate(examples()):
        kind = ALIASES.get(name, name)
        if kind in KINDS:
            yield f"example-{number:02}-{name.lower()}", bytes([KINDS.index(kind)]) + body


def reader():
    for number, (name, body) in enumerate(examples()):
        yield f"example-{number:02}-{name.lower()}", b"\0" + body


def identity():
    for name, body in examples():
        if name == "HELLO":
            yield "hello", b"\2" + body
    yield "code", b"\0fs1:" + b"mfrggzdfmztwq2lk" * 12
    yield "forged-code", b"\3" + bytes(80) + b"sync.example.com:8443"
    for number, kind in enumerate(("root", "server", "device")):
        lines = [f"fieldsync {kind} key 1", "sign " + "01" * 32, "noise " + "02" * 32,
                 "root " + "03" * 32, "serial 00000001", "signature " + "04" * 64,
                 "psk " + "00" * 32, "check 00000000"]
        yield f"file-{kind}", bytes([1 + 4 * number]) + "\n".join(lines).encode() + b"\n"


def csv_files():
    for name in sorted(os.listdir(os.path.join(ROOT, "tests", "data"))):
        if name.endswith(".csv"):
            yield name[:-4], read("tests", "data", name)[:3000]


def csv():
    for name, data in csv_files():
        yield name, b"\0\0\0\0\xff" + data
    yield "plain", b"\1\1\3\3\xff" + b"a\tb\tc\nd\te\nf\tg\n"
    yield "marked", b"\2\1\0\0\xff" + b"a+|b+|c&|d+|e+|f&|"
    yield "tokens", b"\3\1\0\0\xff" + b"Pump\tpump\n4711\t<id>\n\nNoise\tnoise\n\n"
    yield "quotes", b"\0\0\1\0\7" + b'name,note\r\n"a ""b""","x\r\ny"\r\n,""\r\n'


def imports():
    """Profile and file by number; the content fits one of them."""
    for name, data in csv_files():
        for profile in range(8):
            yield f"{name}-{profile}", bytes([profile, 0]) + data[:1500]
    for file in range(8):
        yield f"semicolons-{file}", bytes([file % 4, file]) + b"name;street;city\nA;B 1;C\nA;;\n"


def config():
    text = (b"; a comment\nname = anna\ndata = /srv/x\n[listen]\nport = 8443 ; why\ntls: yes\n"
            b"[log]\nformat = json\nsize = 16M\nwait = 250ms\n")
    variables = (b"FIELDSYNC_LISTEN_PORT=1", b"FIELDSYNC_NAME=x", b"FIELDSYNC_LOG_WAIT=5min")
    parts = b"".join(len(item).to_bytes(2, "big") + item for item in variables)
    yield "file", len(text).to_bytes(2, "big") + text + b"\0"
    yield "both", len(text).to_bytes(2, "big") + text + b"\3" + parts


def options():
    yield "short", b"-v\nbackup\none\n-n"
    yield "long", b"--config=a\nbackup\n--every\n1h\n--\n-x"
    yield "near", b"bakcup\n--evry=1\n--help"
    yield "version", b"-V\nrun"


def http():
    for number, text in enumerate((
            "GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST /a?b=c&d HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nCookie: a=b\r\n\r\nhello",
            "GET /a/../b/%2e%2e/c%00 HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: none\r\n\r\n",
            "PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /sync HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nOrigin: http://evil\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")):
        yield f"request-{number}", b"\0" + text.encode()
    mask = b"\0\0\0\0"
    yield "message", b"\1\x82\x83" + mask + b"abc"
    yield "fragments", b"\1\x02\x81" + mask + b"a" + (b"\0\x81" + mask + b"b") * 3 + b"\x80\x81" + mask + b"c"
    yield "empty-fragments", b"\1\x02\x81" + mask + b"a" + (b"\0\x80" + mask) * 3
    yield "ping-close", b"\1\x89\x81" + mask + b"p\x88\x82" + mask + b"\x03\xe8"
    yield "large", b"\1\x82\xff" + (1 << 40).to_bytes(8, "big") + mask + b"abc"


def channel():
    yield "both-ways", bytes([0, 40, 0, 100, 11, 1, 41, 15, 160, 11, 11, 11])
    for fault in range(1, 6):
        yield f"fault-{fault}", bytes([0, 40, 0, 100, 11, 1, 41, 1, 0, fault, 0, 9, 3, 0, 4, 1, 2])


def handshake():
    for message in range(8):
        yield f"change-{message}", bytes([message, 0, 5, 1])
        yield f"other-{message}", bytes([16 + message]) + b"FSY" * 20


def pack():
    yield "null", bytes([5]) + bytes(7) + b"\2" + b"\0"
    yield "integer", bytes([5]) + bytes(7) + b"\2" + b"\1" + bytes(8)
    yield "text", bytes([5]) + bytes(7) + b"\6" + b"\3\0\0\0\1a" + b"\0"


def frame():
    ping = b"\x28\x04" + b"\x91\x07" + bytes(27) + b"\x1c"
    yield "padded", len(ping).to_bytes(2, "big") + ping
    piece = b"\x28\x02" + bytes(600)
    yield "pieces", len(piece).to_bytes(2, "big") + piece + len(ping).to_bytes(2, "big") + ping


def agent_session():
    bodies = dict(examples())
    numbers = {"VERDICT": 5, "PUBLISH": 4, "DIGEST_DIFFERS": 7, "BLOB_HAVE": 8, "BLOB_WANT": 9,
               "BLOB_PART": 10, "PING": 11, "NOTICE": 12, "ERROR": 13, "BYE": 14, "SUBSCRIBED": 0,
               "GONE": 3}
    for name, number in numbers.items():
        body = bodies[name]
        yield name.lower(), bytes([0, number]) + len(body).to_bytes(2, "big") + body + b"\5"
    for choice in range(6):
        yield f"write-{choice}", bytes([4, choice, 3, 2, 2, choice, 0, 0, 1, 5, 4, choice + 1, 5])


def report_file():
    members = re.findall(r'^    {"(\w+)", VALUE_(INTEGER|TEXT|BLOB)},$',
                         read("server", "cli", "report_file.c").decode(), re.MULTILINE)
    values = {"INTEGER": "7", "TEXT": '"an \\u00e0 text"', "BLOB": '"00ff"'}
    for name, choose in (("plain", lambda n, kind: values[kind]),
                         ("empty", lambda n, kind: "null"),
                         ("hashes", lambda n, kind: '"%s"' % ("ab" * 32) if kind == "TEXT"
                          else values[kind])):
        row = ",".join('"%s":%s' % (n, choose(n, kind)) for n, kind in members)
        yield name, b"\0[{" + row.encode() + b"}]\n"
        yield name + "-twice", b"\1[{" + row.encode() + b"},\n{" + row.encode() + b"}]\n"
    yield "none", b"\0[]"


def web():
    yield "body", b'\0{"login":"anna","password":"correct horse"}'
    yield "body-escapes", b'\0 { "password" : "\\ud83d\\ude00\\"\\\\\\/\\n" , "login" : "\\u00e0" } '
    yield "cookie", b"\1\0" + b"\0\x52a=b; fieldsync=" + b"0a" * 32
    yield "cookie-secure", b"\1\1" + b"\0\x51__Host-fieldsync=" + b"0a" * 32
    for number, parts in enumerate((
            ("/api/session", "office.example", "https://office.example", "", "same-origin"),
            ("/api/session", "127.0.0.1:7743", "http://127.0.0.1:7743", "", ""),
            ("/metrics", "[::1]:7743", "", "Bearer 0123456789abcdef", ""),
            ("/healthz", "localhost", "", "", "none"))):
        for flags in (0x04, 0x1f):
            yield f"permit-{number}-{flags:02x}", bytes([2, flags]) + b"".join(
                len(part).to_bytes(2, "big") + part.encode() for part in parts)


TARGETS = {"agent_session": agent_session, "channel": channel, "config": config, "csv": csv,
           "frame": frame, "handshake": handshake, "http": http, "identity": identity,
           "import": imports, "messages": messages, "options": options, "pack": pack,
           "reader": reader, "report_file": report_file, "web": web}


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    for target, seeds in TARGETS.items():
        folder = os.path.join(arguments[0], target)
        os.makedirs(folder, exist_ok=True)
        for name, data in seeds():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data[:SIZE_MAX])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
