# SPDX-License-Identifier: Apache-2.0
"""Many devices that keep nothing, in one process: crowd.c says what it obeys."""
import subprocess

from harness import end

CONNECTED = "us devices retries p50_us p99_us most_us".split()
PAGED = "us pages p50_us p99_us most_us".split()
PUSHED = "us changes exceptions p50_us p99_us most_us".split()


class Crowd:
    def __init__(self, command, seeds, quiet_ms):
        self.quiet_ms = quiet_ms  # after which nothing more is expected
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        for seed in seeds:
            self.process.stdin.write(seed.hex() + "\n")

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self):
        words = self.process.stdout.readline().split()
        if not words:
            raise SystemExit("bench: the crowd ended")
        return words

    def hear_published(self):
        """When a device it watches had a publication, in ns."""
        return int(self.hear()[1])

    def ask(self, line):
        """The numbers of its answer."""
        self.say(line)
        words = self.hear()
        while words[0] == "published":
            words = self.hear()
        return [int(word) for word in words[1:]]

    def settle(self):
        self.ask("settle %d" % self.quiet_ms)

    def connect(self, window):
        return dict(zip(CONNECTED, self.ask("connect %d" % window)))

    def fetch(self, window=1000):
        """All of them, as new devices, so many at the same time."""
        return dict(zip(CONNECTED, self.ask("fetch %d" % window)))

    def watch(self):
        self.say("watch")

    def pages(self, count):
        return dict(zip(PAGED, self.ask("pages %d" % count)))

    def push(self, path):
        return dict(zip(PUSHED, self.ask("push " + path)))

    def end(self):
        end(self.process)
