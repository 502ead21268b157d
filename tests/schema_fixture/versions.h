/* SPDX-License-Identifier: Apache-2.0 */
/* versions.h: a company's scripts that add a table, then a column, rename one, drop one and add
 * another table: what schemas go through in years, for tests of versions that meet. */
#pragma once

enum { VERSIONS_COUNT = 5 };

struct version_script {
    const char *name;
    const char *text;
};

/* lift: 1 code, 2 colour (paint from 5003 on), 3 weight (dropped by 5004), 4 floors and 5 note
 * (from 5002 on). lift_check from 5004 on. 5005 changes no table. Everybody sees them, technicians
 * write. */
static const struct version_script VERSIONS[VERSIONS_COUNT] = {
    {"5001_common_lifts",
     "CREATE TABLE lift(id INTEGER PRIMARY KEY, code TEXT NOT NULL, colour TEXT,"
     " weight BIGINT NOT NULL DEFAULT 0);"
     "INSERT INTO fs_table(number, name, bucket_rule, merge, delete_rule, natural_key)"
     " VALUES (900, 'lift', 'shared', 'last_writer', 'delete_wins', NULL);"
     "INSERT INTO fs_column(table_number, number, name, type, is_nullable) VALUES"
     " (900, 1, 'code', 'text', 0), (900, 2, 'colour', 'text', 1),"
     " (900, 3, 'weight', 'integer', 0);"
     "INSERT INTO fs_grant(role, table_name, op, columns) VALUES"
     " ('technician', 'lift', 'insert', '*'), ('technician', 'lift', 'update', '*'),"
     " ('technician', 'lift', 'delete', '*');"},
    {"5002_common_lift_floors",
     "ALTER TABLE lift ADD COLUMN floors BIGINT;"
     "ALTER TABLE lift ADD COLUMN note TEXT NOT NULL DEFAULT 'none';"
     "INSERT INTO fs_column(table_number, number, name, type, is_nullable) VALUES"
     " (900, 4, 'floors', 'integer', 1), (900, 5, 'note', 'text', 0);"},
    {"5003_common_lift_paint",
     "ALTER TABLE lift RENAME COLUMN colour TO paint;"
     "UPDATE fs_column SET name = 'paint' WHERE table_number = 900 AND name = 'colour';"},
    {"5004_common_lift_checks",
     "ALTER TABLE lift DROP COLUMN weight;"
     "UPDATE fs_column SET until = 5004 WHERE table_number = 900 AND name = 'weight';"
     "CREATE TABLE lift_check(id INTEGER PRIMARY KEY, lift_id BIGINT NOT NULL, result TEXT);"
     "CREATE INDEX lift_check_lift ON lift_check(lift_id);"
     "INSERT INTO fs_table(number, name, bucket_rule, merge, delete_rule, natural_key)"
     " VALUES (901, 'lift_check', 'shared', 'last_writer', 'never', NULL);"
     "INSERT INTO fs_column(table_number, number, name, type, is_nullable, refers_to) VALUES"
     " (901, 1, 'lift_id', 'integer', 0, 'lift'), (901, 2, 'result', 'text', 1, NULL);"
     "INSERT INTO fs_grant(role, table_name, op, columns) VALUES"
     " ('technician', 'lift_check', 'insert', '*'), ('technician', 'lift_check', 'update', '*');"},
    {"5005_common_site_lifts",
     "ALTER TABLE site ADD COLUMN lift_count BIGINT;"
     "INSERT INTO fs_column(table_number, number, name, type, is_nullable) VALUES"
     " (13, 48, 'lift_count', 'integer', 1);"
     "CREATE VIEW lift_list AS SELECT id, code, paint FROM lift;"},
};
