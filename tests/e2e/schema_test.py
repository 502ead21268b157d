# SPDX-License-Identifier: Apache-2.0
"""A company changes its schema while devices work: the server is given a script and started again,
devices get it by themselves, and what was recorded before and meanwhile is there."""

import os

import lib
import small_company
import stories
from lib import expect_equal

LIFTS = """
CREATE TABLE lift(id INTEGER PRIMARY KEY, code TEXT NOT NULL, colour TEXT,
                  weight BIGINT NOT NULL DEFAULT 0);
INSERT INTO fs_table(number, name, bucket_rule, merge, delete_rule)
VALUES (900, 'lift', 'shared', 'last_writer', 'never');
INSERT INTO fs_column(table_number, number, name, type, is_nullable) VALUES
    (900, 1, 'code', 'text', 0), (900, 2, 'colour', 'text', 1), (900, 3, 'weight', 'integer', 0);
INSERT INTO fs_grant(role, table_name, op, columns) VALUES
    ('technician', 'lift', 'insert', '*'), ('technician', 'lift', 'update', '*');
"""
PAINT = """
ALTER TABLE lift RENAME COLUMN colour TO paint;
UPDATE fs_column SET name = 'paint' WHERE table_number = 900 AND name = 'colour';
ALTER TABLE lift ADD COLUMN floors BIGINT;
INSERT INTO fs_column(table_number, number, name, type, is_nullable)
VALUES (900, 4, 'floors', 'integer', 1);
ALTER TABLE lift DROP COLUMN weight;
UPDATE fs_column SET until = 5002 WHERE table_number = 900 AND name = 'weight';
"""
NAME = "SELECT name FROM fs_migration WHERE name LIKE '5%' ORDER BY name DESC LIMIT 1"


def upgrade(company, name, script):
    """The server ends, gets a script, and is started again."""
    folder = os.path.join(company.data, "schema")
    expect_equal(company.server.stop(), 0, "the server")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name + ".sql"), "w", encoding="utf-8") as file:
        file.write(script)
    company.serve()


def a_new_table_comes_to_running_devices(company):
    for login in ("anna", "bruno"):
        company.device_add(login, "--van", small_company.van_of(login)).run()
    company.settle(*company.devices)
    upgrade(company, "5001_common_lifts", LIFTS)
    for device in company.devices:
        lib.wait_for("the script", lambda: device.value(NAME) == "5001_common_lifts", 60)
    company.sql("INSERT INTO lift(id, code, colour) VALUES (1, 'A1', 'red')")
    for device in company.devices:
        lib.wait_for("the row", lambda: device.query("SELECT code, colour FROM lift")
                     == [("A1", "red")])
    company.settle(*company.devices)


def a_device_that_was_away_delivers_what_it_recorded(company):
    anna, bruno = company.devices
    expect_equal(anna.stop(), 0, "anna")
    anna.sql("UPDATE lift SET colour = 'green', weight = 800 WHERE id = 1")
    upgrade(company, "5002_common_paint", PAINT)
    lib.wait_for("the script", lambda: bruno.value(NAME) == "5002_common_paint", 60)
    bruno.sql("UPDATE lift SET floors = 7 WHERE id = 1")
    bruno.wait_idle()
    anna.run()
    lib.wait_for("the script", lambda: anna.value(NAME) == "5002_common_paint", 60)
    lib.wait_for("all of it", lambda: company.query("SELECT paint, floors FROM lift")
                 == anna.query("SELECT paint, floors FROM lift")
                 == bruno.query("SELECT paint, floors FROM lift") == [("green", 7)], 60)
    expect_equal(company.query("SELECT reason_code, json_extract(payload, '$.values.weight')"
                               " FROM review_item WHERE reason_code = 'column_dropped'"), [("column_dropped", 800)], "what was kept")
    company.settle(anna, bruno)


def a_wrong_script_changes_nothing_and_says_why(company):
    expect_equal(company.server.stop(), 0, "the server")
    path = os.path.join(company.data, "schema", "5003_common_wrong.sql")
    with open(path, "w", encoding="utf-8") as file:
        file.write("CREATE TABLE half(id INTEGER PRIMARY KEY); INSERT INTO nowhere VALUES (1);")
    program = lib.Program([company.server_program, "serve", "--data", company.data,
                           "--listen-port", str(company.port)],
                          os.path.join(company.folder, "refused.log"))
    company.programs.append(program)
    lib.wait_for("its end", lambda: not program.is_running(), 60)
    lib.expect("5003_common_wrong (undone)" in program.log(), program.log())
    expect_equal(company.value("SELECT count(*) FROM sqlite_schema WHERE name = 'half'"), 0, "half")
    os.remove(path)
    company.serve()
    company.settle(*company.devices)
    company.cli("check")
    for device in company.devices:
        device.cli("verify")
        expect_equal(device.stop(), 0, device.login)


if __name__ == "__main__":
    stories.tell((
        a_new_table_comes_to_running_devices,
        a_device_that_was_away_delivers_what_it_recorded,
        a_wrong_script_changes_nothing_and_says_why,
    ), ("anna", "bruno"))
