# SPDX-License-Identifier: Apache-2.0
"""A device whose replica is encrypted: every command gets the passphrase by a descriptor."""

import json
import os
import re

import lib

PASSPHRASE = "horse battery staple"
NOTE = ("INSERT INTO call_note (id, call_id, occurred_at, by_id, body) VALUES"
        " ((SELECT id FROM new_id), (SELECT min(id) FROM call), 1,"
        " (SELECT number FROM fs_state WHERE name = 'user_id'), '%s')")


def with_file(path, option, *command):
    """A command that reads a secret of a file from descriptor 9."""
    return ["sh", "-c", 'exec 9<"$1"; shift; exec "$@"', "sh", path, *command, option, "9"]


class Sealed:
    def __init__(self, device):
        self.device = device
        self.folder = device.folder
        self.replica = device.replica
        self.secret = os.path.join(device.company.folder, "passphrase-of-%s-%d"
                                   % (device.login, len(device.company.devices)))
        self.change_secret(PASSPHRASE)

    def change_secret(self, words):
        with open(self.secret, "w", encoding="utf-8") as file:
            file.write(words + "\n")

    def command(self, *arguments):
        return with_file(self.secret, "--passphrase-fd", self.device.company.agent_program,
                         *arguments, "--data", self.folder)

    def enrol(self, *options):
        code = self.device.company.code(self.device.login)
        return lib.run_program(*with_file(
            self.secret, "--new-passphrase-fd", self.device.company.agent_program, "enrol", code,
            "--server", self.device.line.url(), "--protect", *options, "--data", self.folder))

    def protect(self):
        """Puts the keys of a device that is enrolled under the passphrase."""
        return lib.run_program(*with_file(
            self.secret, "--new-passphrase-fd", self.device.company.agent_program, "passphrase",
            "--data", self.folder))

    def cli(self, *arguments, code=0, **options):
        return lib.run_program(*self.command(*arguments), code=code, **options)

    def start(self, env=None):
        self.device.agent = lib.Program(self.command("run"),
                                        os.path.join(self.folder, "agent.log"), env)
        self.device.company.programs.append(self.device.agent)

    def stop(self):
        return self.device.stop()

    def rows(self, statement):
        return json.loads(self.cli("sql", statement, "--json").out)

    def value(self, statement):
        rows = self.rows(statement)
        return next(iter(rows[0].values())) if rows else None

    def note(self, words):
        self.cli("sql", NOTE % words)

    def files_with(self, *texts):
        """Files of its folder that hold one of the texts."""
        found = []
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    content = file.read()
                found += [name for text in texts if text.encode() in content]
        return found


def noted(company, words):
    return company.value("SELECT count(*) FROM call_note WHERE body = ?", words)


def left_over(folder):
    """What only a conversion that is under way may leave."""
    return [name for name in os.listdir(folder) if re.search(r"\.(new|old)|journal", name)]
