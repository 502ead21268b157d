/* SPDX-License-Identifier: Apache-2.0 */
/* history.h: what the master was after each of its commits, row by row, kept outside of it.
 *
 * The independent half of the simulator's first oracle. It learns which rows a commit may have
 * touched from SQLite's update hook, reads them with plain SQL, works out their buckets from the
 * catalog's rules by itself, and runs the subscription SQL of each person. It trusts none of the
 * hidden columns: it compares them with what it finds (I1, R3), and so it does with
 * fs_entitlement. */
#pragma once

#include <sqlite3.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct world;

struct history_version {
    int64_t seq;            /* head of the commit that made it */
    int64_t bucket;         /* 0: in none */
    sqlite3_value **values; /* as many as the table has columns; NULL: there is no such row */
};

struct history_row {
    int64_t id;
    size_t count, room;
    struct history_version *versions; /* oldest first */
};

struct history_column {
    char *name;
    char *merge;      /* its rule */
    size_t refers_to; /* index of a table, or HISTORY_NOTHING */
    bool is_key;      /* part of the natural key */
};

struct history_table {
    int64_t number;
    char *name;
    char *rule; /* of its bucket */
    bool has_key;
    size_t column_count;
    struct history_column *columns;
    size_t row_count, row_room;
    struct history_row **rows; /* by id */
    char *columns_text;        /* "id, name, ..." */
    sqlite3_stmt *read;
};

struct history_scope {
    int64_t seq; /* from this head on */
    size_t count;
    int64_t *buckets; /* ascending */
};

struct history_user {
    int64_t id;
    size_t count, room;
    struct history_scope *scopes;
};

struct history_touch {
    size_t table;
    int64_t id;
};

enum { HISTORY_NOTHING = 1000000 };

struct history {
    struct world *world;
    sqlite3 *database;
    int64_t head;
    size_t table_count;
    struct history_table *tables;
    size_t user_count, user_room;
    struct history_user *users;
    size_t touch_count, touch_room;
    struct history_touch *touches;
    size_t commit_count;
    bool is_restored; /* rows have gone back to older versions in this commit */
};

void history_open(struct history *history, struct world *world, const char *path);
void history_close(struct history *history);
void history_free(struct history *history);
/* Writes of this connection will be noted. */
void history_watch(struct history *history, sqlite3 *database);
/* Something was committed: note what is there now. */
void history_commit(struct history *history);
/* The master was put back to an older state, under a head above all that there was: what it is now
 * is one more commit. */
void history_restored(struct history *history);
/* Reads the whole master and compares: has anything changed that no commit told of? */
void history_verify(struct history *history);

size_t history_table_no(const struct history *history, const char *name); /* index */
size_t history_column_no(const struct history_table *table, const char *name);
struct history_row *history_row(const struct history_table *table, int64_t id); /* or NULL */
/* NULL: at that head there was no such row. */
const struct history_version *history_at(const struct history_row *row, int64_t head);
const struct history_scope *history_scope(const struct history *history, int64_t user_id,
                                          int64_t head);
bool history_has_bucket(const struct history_scope *scope, int64_t bucket);
bool history_same(sqlite3_value *a, sqlite3_value *b);
