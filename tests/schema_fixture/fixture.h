/* SPDX-License-Identifier: Apache-2.0 */
/* fixture.h: a small model with one table of each kind, in a real file, for the tests of schema/.
 *
 * Ids of the replica under test begin at 5 << 33. */
#pragma once

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* mkdtemp, fork */
#endif

#include "schema/load.h"
#include "schema/migrate.h"
#include "schema/triggers.h"

#include "embedded_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FIXTURE_BASE (INT64_C(5) << 33)

static const char FIXTURE_TABLES[] =
    "CREATE TABLE site(id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, note TEXT);"
    "CREATE TABLE call(id INTEGER PRIMARY KEY, site_id BIGINT, party_id BIGINT, title TEXT,"
    " state TEXT NOT NULL DEFAULT 'new');"
    "CREATE TABLE activity(id INTEGER PRIMARY KEY, call_id BIGINT, home BIGINT, minutes INTEGER);"
    "CREATE TABLE event(id INTEGER PRIMARY KEY, activity_id BIGINT, home BIGINT, kind TEXT UNIQUE);"
    "CREATE TABLE part(id INTEGER PRIMARY KEY, code TEXT UNIQUE, a TEXT, b TEXT COLLATE NOCASE,"
    " n REAL, data BLOB, UNIQUE(a, b));"
    "CREATE UNIQUE INDEX part_n ON part(n) WHERE /* WHERE ( */ a = 'it''s ) WHERE';"
    "CREATE TABLE scratch(id INTEGER PRIMARY KEY, t TEXT);"
    "CREATE TABLE folder(id INTEGER PRIMARY KEY, t TEXT);"
    "CREATE TABLE leaf(id INTEGER PRIMARY KEY, folder_id BIGINT REFERENCES folder(id)"
    " ON DELETE CASCADE ON UPDATE CASCADE, t TEXT);"
    "CREATE TABLE \"odd \"\"name's\"(id INTEGER PRIMARY KEY, \"select\" TEXT, \"q\"\"q\" TEXT "
    "UNIQUE);";

static const char FIXTURE_CATALOG[] =
    "INSERT INTO fs_table(number, name, bucket_rule, merge, delete_rule, natural_key, is_local)"
    " VALUES (1, 'site', 'site:id', 'last_writer', 'refuse_if_children', NULL, 0),"
    " (2, 'call', 'site:site_id, customer:party_id', 'last_writer', 'delete_wins', NULL, 0),"
    " (3, 'activity', 'home:call_id', 'last_writer', 'delete_wins', NULL, 0),"
    " (4, 'event', 'home:activity_id', 'append_only', 'never', NULL, 0),"
    " (5, 'part', 'shared', 'last_writer', 'edit_revives', 'code', 0),"
    " (7, 'scratch', NULL, 'last_writer', 'delete_wins', NULL, 1),"
    " (8, 'folder', 'shared', 'last_writer', 'delete_wins', NULL, 0),"
    " (9, 'leaf', 'shared', 'last_writer', 'delete_wins', NULL, 0),"
    " (10, 'odd \"name''s', 'office', 'last_writer', 'delete_wins', NULL, 0);"
    "INSERT INTO fs_column(table_number, number, name, type, is_nullable, merge, group_no,"
    " refers_to) VALUES (1, 1, 'name', 'text', 1, NULL, NULL, NULL),"
    " (1, 2, 'note', 'text', 1, NULL, NULL, NULL),"
    " (2, 1, 'site_id', 'integer', 1, NULL, NULL, 'site'),"
    " (2, 2, 'party_id', 'integer', 1, NULL, NULL, NULL),"
    " (2, 3, 'title', 'text', 1, NULL, NULL, NULL),"
    " (2, 4, 'state', 'text', 0, 'server_only', NULL, NULL),"
    " (3, 1, 'call_id', 'integer', 1, NULL, NULL, 'call'),"
    " (3, 2, 'home', 'integer', 1, NULL, NULL, NULL),"
    " (3, 3, 'minutes', 'integer', 1, NULL, NULL, NULL),"
    " (4, 1, 'activity_id', 'integer', 1, NULL, NULL, 'activity'),"
    " (4, 2, 'home', 'integer', 1, NULL, NULL, NULL),"
    " (4, 3, 'kind', 'text', 1, NULL, NULL, NULL),"
    " (5, 1, 'code', 'text', 1, NULL, NULL, NULL), (5, 2, 'a', 'text', 1, NULL, 1, NULL),"
    " (5, 3, 'b', 'text', 1, NULL, 1, NULL), (5, 4, 'n', 'real', 1, NULL, NULL, NULL),"
    " (5, 5, 'data', 'blob', 1, NULL, NULL, NULL),"
    " (7, 1, 't', 'text', 1, NULL, NULL, NULL), (8, 1, 't', 'text', 1, NULL, NULL, NULL),"
    " (9, 1, 'folder_id', 'integer', 1, NULL, NULL, 'folder'),"
    " (9, 2, 't', 'text', 1, NULL, NULL, NULL),"
    " (10, 1, 'select', 'text', 1, NULL, NULL, NULL), (10, 2, 'q\"q', 'text', 1, NULL, NULL, NULL);"
    "INSERT INTO fs_grant(role, table_name, op, columns, own_column) VALUES"
    " ('technician', 'call', 'insert', '*', NULL),"
    " ('technician', 'call', 'update', 'title', 'party_id'),"
    " ('dispatcher', 'call', 'update', 'title, site_id', NULL),"
    " ('technician', 'event', 'insert', 'activity_id, kind', NULL);"
    "INSERT INTO fs_subscription(role, ordinal, sql) VALUES ('technician', 1, 'SELECT 1'),"
    " ('admin', 1, 'SELECT 2');"
    "INSERT INTO fs_watch(table_name, ordinal, sql) VALUES ('call', 1, 'SELECT 3');";

struct fixture {
    char folder[64];
    char path[96];
    struct sql_database *database;
    struct arena arena; /* of the catalog */
    struct catalog catalog;
    struct problem problem;
};

/* A failure of ours is a failure of the test, with its words. */
static inline void fixture_ok(struct fixture *fixture, enum result result)
{
    if (result != RESULT_OK)
        fail_msg("%s: %s", result_name(result), fixture->problem.text);
}

static inline void fixture_exec(struct fixture *fixture, const char *script)
{
    fixture_ok(fixture, sql_exec(fixture->database, script, &fixture->problem));
}

/* The script is refused, and says why. */
static inline void fixture_refuses(struct fixture *fixture, const char *script, const char *why)
{
    struct problem problem = {0};

    assert_int_equal(sql_exec(fixture->database, script, &problem), RESULT_REFUSED);
    if (strstr(problem.text, why) == NULL)
        fail_msg("'%s' doesn't say '%s'", problem.text, why);
}

static inline int64_t fixture_integer(struct fixture *fixture, const char *query)
{
    int64_t integer = 0;

    fixture_ok(fixture, sql_query_integer(fixture->database, query, NULL, 0, -1, &integer,
                                          &fixture->problem));
    return integer;
}

/* First column of the first row as text. */
static inline void fixture_expect(struct fixture *fixture, const char *query, const char *expected)
{
    struct sql_statement *statement = NULL;
    struct arena text_arena;
    const char *text = NULL;
    bool row = false;

    arena_init(&text_arena, 1024 * 1024);
    fixture_ok(fixture, sql_prepare(fixture->database, query, &statement, &fixture->problem));
    fixture_ok(fixture, sql_step(statement, &row, &fixture->problem));
    if (row)
        fixture_ok(fixture, sql_column_text(statement, 0, &text_arena, &text, &fixture->problem));
    assert_string_equal(text == NULL ? "" : text, expected);
    sql_release(statement);
    arena_done(&text_arena);
}

/* What was captured since the last call: "I1:6 U1:2 ..." with ids counted from FIXTURE_BASE. */
static inline void fixture_expect_outbox(struct fixture *fixture, const char *expected)
{
    fixture_expect(fixture,
                   "SELECT coalesce(group_concat(op || (row_id & 8589934591) || ':' || mask, ' '),"
                   " '') FROM (SELECT * FROM fs_outbox WHERE lcn > coalesce((SELECT number FROM"
                   " fs_state WHERE name = 'seen'), 0) AND op <> '-' ORDER BY lcn)",
                   expected);
    fixture_exec(fixture, "INSERT OR REPLACE INTO fs_state(name, number) SELECT 'seen', max(lcn)"
                          " FROM fs_outbox");
}

/* The script of the house with this number. */
static inline const char *fixture_script(const char *number)
{
    for (size_t i = 0; i < EMBEDDED_MIGRATION_COUNT; i++)
        if (strncmp(EMBEDDED_MIGRATIONS[i].name, number, strlen(number)) == 0)
            return (const char *)EMBEDDED_MIGRATIONS[i].data;
    fail_msg("no migration %s", number);
    return NULL;
}

static inline void fixture_reopen(struct fixture *fixture, enum sql_profile profile)
{
    struct sql_options options = {.path = fixture->path, .profile = profile, .create = true};

    sql_close(fixture->database);
    fixture->database = NULL;
    fixture_ok(fixture, sql_open(&options, &fixture->database, &fixture->problem));
}

static inline void fixture_load(struct fixture *fixture)
{
    arena_reset(&fixture->arena);
    fixture_ok(fixture, catalog_load(fixture->database, &fixture->arena, &fixture->catalog,
                                     &fixture->problem));
}

/* An empty file in a folder of its own. */
static inline struct fixture *fixture_create(enum sql_profile profile)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    (void)snprintf(fixture->folder, sizeof fixture->folder, "/tmp/fieldsync-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/test.db", fixture->folder);
    arena_init(&fixture->arena, 16 * 1024 * 1024);
    fixture_reopen(fixture, profile);
    return fixture;
}

/* The same with the model and its triggers. */
static inline struct fixture *fixture_create_model(enum schema_side side)
{
    struct fixture *fixture =
        fixture_create(side == SCHEMA_SIDE_SERVER ? SQL_PROFILE_SERVER : SQL_PROFILE_AGENT);

    fixture_exec(fixture, fixture_script("0001_"));
    fixture_exec(fixture, fixture_script("0002_"));
    fixture_exec(fixture, fixture_script(side == SCHEMA_SIDE_SERVER ? "0007_" : "0008_"));
    fixture_exec(fixture, FIXTURE_TABLES);
    fixture_exec(fixture, FIXTURE_CATALOG);
    fixture_load(fixture);
    if (side == SCHEMA_SIDE_AGENT)
        fixture_exec(fixture, "INSERT INTO fs_state(name, number) VALUES ('replica_no', 5),"
                              " ('published_seq', 812)");
    fixture_ok(fixture, triggers_install(fixture->database, &fixture->catalog, side, NULL,
                                         &fixture->problem));
    return fixture;
}

static inline void fixture_destroy(struct fixture *fixture)
{
    static const char *const ENDS[] = {"", "-wal", "-shm", "-journal", ".copy"};

    sql_close(fixture->database);
    for (size_t i = 0; i < sizeof ENDS / sizeof ENDS[0]; i++) {
        char path[128];

        (void)snprintf(path, sizeof path, "%s%s", fixture->path, ENDS[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(fixture->folder), 0);
    arena_done(&fixture->arena);
    free(fixture);
}
