#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What node_peers.py does without Node: rows, answers, limits, a figure beside ours."""
import contextlib
import io
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import unittest

import node_peers
import workload
from figures import Figures
from harness import end

FOLDER = os.path.dirname(os.path.abspath(__file__))


class Folder:
    """Enough of a Company for a child process."""

    def __init__(self, folder):
        self.folder = folder
        self.children = []

    def path(self, *names):
        return os.path.join(self.folder, *names)


class Test(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="fieldsync-peers-")
        self.addCleanup(scratch.cleanup)
        self.company = Folder(scratch.name)

    def child(self, program):
        child = node_peers.Child(self.company, [sys.executable, "-c", program], "child")
        self.addCleanup(child.process.stdout.close)
        self.addCleanup(end, child.process)
        return child

    def test_each_row_of_w_has_its_territory_and_customer(self):
        subprocess.run([sys.executable, "-B", os.path.join(FOLDER, "workload.py"),
                        self.company.folder, "--scale", "10"], check=True, capture_output=True)
        with contextlib.closing(sqlite3.connect(self.company.path("w.db"))) as database:
            rows = node_peers.rows_of(database)
            counts = [database.execute("SELECT count(*) FROM " + table).fetchone()[0]
                      for table in workload.TABLES]
        self.assertEqual(len(rows), sum(counts))
        sites = [row for row in rows if row[0] == "sites" and row[3] == 1]
        self.assertEqual([row[1] for row in sites], [1, 2, 3, 4, 5])
        self.assertEqual({row[2] for row in sites}, {1})
        self.assertTrue(all(None not in row[4].values() and "id" not in row[4] for row in rows))

    def test_a_file_has_all_its_rows_in_its_log(self):
        source, path = self.company.path("w.db"), self.company.path("copy.db")
        with contextlib.closing(sqlite3.connect(source)) as database:
            database.execute("CREATE TABLE calls(id INTEGER PRIMARY KEY, note TEXT)")
            database.execute("CREATE INDEX by_note ON calls(note)")
            database.executemany("INSERT INTO calls VALUES(?,?)", [(1, "a"), (2, "b")])
            database.commit()
        node_peers.copy_into_log(source, path, "id > 1")
        self.assertLessEqual(os.path.getsize(path), 4096)
        with contextlib.closing(sqlite3.connect(path)) as database:
            self.assertEqual(database.execute("SELECT * FROM calls").fetchall(), [(2, "b")])

    def test_a_line_that_is_no_answer_isnt_taken_for_one(self):
        self.assertEqual(node_peers.answer_of(b'{"rows":3}\n'), {"rows": 3})
        self.assertIsNone(node_peers.answer_of(b"7\n"))
        self.assertIsNone(node_peers.answer_of(b"warning\n"))
        with self.assertRaises(node_peers.NotFinished):
            node_peers.checked({"rows": 3}, "rows", 4)

    def test_who_hangs_is_not_awaited(self):
        child = self.child("import time; time.sleep(60)")
        with self.assertRaisesRegex(node_peers.NotFinished, "not finished in 0"):
            child.answer(0.05)

    def test_who_ends_without_an_answer_has_none(self):
        with self.assertRaisesRegex(node_peers.NotFinished, "without an answer"):
            self.child("pass").answer(20)

    def test_who_fails_after_its_answer_has_failed(self):
        child = self.child("import sys; print('{}', flush=True); sys.stdin.read(); sys.exit(3)")
        self.assertEqual(child.answer(20), {})
        with self.assertRaisesRegex(node_peers.NotFinished, "status 3"):
            child.ended(20)

    def test_an_old_node_is_left_out(self):
        self.assertFalse(node_peers.is_new_enough("v18.19.0"))
        self.assertTrue(node_peers.is_new_enough("v20.1.0"))
        self.assertFalse(node_peers.is_new_enough(""))

    def test_a_figure_stands_beside_ours(self):
        figures = Figures()
        with contextlib.redirect_stdout(io.StringIO()):
            figures.add("T1", "wall_s", [2.0])
            figures.beside("T1", "other", "wall_s", [3.0, 5.0, 4.0], "ours")
            figures.beside("T9", "other", "wall_s", [1.0], "ours")
        self.assertEqual((figures.rows[1]["id"], figures.rows[1]["ratio"]), ("T1/other", 2.0))
        self.assertIsNone(figures.rows[2]["ratio"])
        self.assertEqual(figures.rows[2]["yardstick"], "")

    def test_the_lock_names_no_registry(self):
        with open(os.path.join(node_peers.FOLDER, "package-lock.json"), encoding="utf-8") as file:
            packages = json.load(file)["packages"]
        self.assertFalse([name for name, package in packages.items() if "resolved" in package])


if __name__ == "__main__":
    unittest.main()
