# SPDX-License-Identifier: Apache-2.0
"""Pages of a replica, overwritten on purpose."""

import os
import sqlite3

import lib
from lib import expect_equal

PAGE = 4096


def into_one_file(path):
    """What is in the log comes into the file: a page of it is the newest then."""
    database = sqlite3.connect(path, timeout=10)
    expect_equal(database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0], 0, "busy")
    database.close()


def leaves(path, table):
    return [row[0] for row in lib.query(
        path, "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY pageno",
        table)]


def overwrite(path, page, content=None):
    with open(path, "r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(content or os.urandom(PAGE))
