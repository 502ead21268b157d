# SPDX-License-Identifier: Apache-2.0
"""Writes a replica or the master by plain SQL until it is killed, and keeps a journal of it.

    writer.py DATABASE JOURNAL NAME USER VISIT SEED

The journal gets "begin N KIND" before a transaction and "done N KIND" after its commit: what is
done must never be lost, what is only begun may be there as a whole or not at all."""

import random
import sqlite3
import sys
import time

SHARED_CALL = 1
SHARED_SITE = 1


class Writer:
    def __init__(self, database, name, user_id, visit_id):
        self.database = sqlite3.connect(database, isolation_level=None, timeout=30)
        self.name = name
        self.user_id = user_id
        self.visit_id = visit_id

    def insert(self, table, **values):
        self.database.execute(
            "INSERT INTO %s(id, %s) VALUES((SELECT id FROM new_id), %s)"
            % (table, ", ".join(values), ", ".join("?" * len(values))), list(values.values()))

    def note(self, number, part, call_id):
        self.insert("call_note", call_id=call_id, occurred_at=time.time_ns() // 1000,
                    by_id=self.user_id, body="%s %d %d" % (self.name, number, part))

    def write_note(self, number):
        """On any call that is here: one of them comes and goes."""
        calls = [row[0] for row in self.database.execute("SELECT id FROM call ORDER BY id")]
        self.note(number, 1, random.choice(calls or [SHARED_CALL]))

    def write_work(self, number):
        """Rows of several tables that belong together."""
        now = time.time_ns() // 1000
        self.note(number, 1, SHARED_CALL)
        self.insert("work_session", activity_id=self.visit_id, technician_id=self.user_id,
                    kind="work", started_at=now, ended_at=now + 1, break_min=number)
        self.insert("expense", activity_id=self.visit_id, technician_id=self.user_id,
                    kind="toll", amount_cents=number, spent_d="2026-11-23")
        self.note(number, 2, SHARED_CALL)

    def write_own_field(self, number):
        self.database.execute("UPDATE contact SET phone = ? WHERE name = ?",
                              (str(number), "Contact of " + self.name))

    def write_shared_field(self, number):
        self.database.execute("UPDATE site SET access_note = ? WHERE id = ?",
                              ("%s %d" % (self.name, number), SHARED_SITE))

    def write_travelling_visit(self, number):
        """The office gives a visit to somebody else: a whole site comes and goes."""
        self.note(number, 1, SHARED_CALL)
        self.database.execute(
            "UPDATE activity SET technician_id = (SELECT technician_id FROM activity"
            " WHERE call_id = ? ORDER BY random() LIMIT 1), assign_version_n = assign_version_n + 1"
            " WHERE id = 1", (SHARED_CALL,))


KINDS = {
    "note": Writer.write_note,
    "work": Writer.write_work,
    "own": Writer.write_own_field,
    "shared": Writer.write_shared_field,
    "travel": Writer.write_travelling_visit,
}


def main():
    database, journal_path, name, user_id, visit_id, seed = sys.argv[1:]
    random.seed(seed)
    writer = Writer(database, name, int(user_id), int(visit_id))
    kinds = ["note", "shared", "travel"] if int(visit_id) == 0 \
        else ["note", "note", "work", "work", "own", "shared"]
    with open(journal_path, "a+", encoding="ascii", buffering=1) as journal:
        journal.seek(0)
        number = sum(line.startswith("begin") for line in journal) + 1
        while True:
            kind = random.choice(kinds)
            journal.write("begin %d %s\n" % (number, kind))
            writer.database.execute("BEGIN IMMEDIATE")
            KINDS[kind](writer, number)
            writer.database.execute("COMMIT")
            journal.write("done %d %s\n" % (number, kind))
            number += 1
            time.sleep(random.uniform(0, 0.08))


if __name__ == "__main__":
    main()
