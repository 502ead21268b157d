/* SPDX-License-Identifier: Apache-2.0 */
/* trigger_text.h: the SQL of the capture triggers of one table. Text only, no database. */
#pragma once

#include "schema/catalog.h"
#include "schema/migrate.h"

enum { UNIQUE_COLUMNS_MAX = 16, UNIQUES_MAX = 16 };

/* A UNIQUE index besides the primary key: a REPLACE may remove a row through it without firing its
 * delete triggers. */
struct unique_index {
    uint8_t column_count;
    const char *columns[UNIQUE_COLUMNS_MAX];
    const char *collations[UNIQUE_COLUMNS_MAX];
    const char
        *defaults[UNIQUE_COLUMNS_MAX]; /* SQL put for NULL before the row is stored, or NULL */
    const char *predicate; /* of a partial index, as in its CREATE INDEX; NULL: all rows */
    bool is_partial;       /* a change of a column it mentions may bring a row into the index */
    bool has_expression;   /* besides the columns: a change of any column may change it */
};

struct trigger_table {
    const struct catalog *catalog;
    const struct catalog_table *table;
    enum schema_side side;
    const char *defaults[ROW_COLUMNS_MAX + 1]; /* SQL by column number; NULL: no default */
    bool has_collations;                       /* of columns: comparisons have to name BINARY */
    size_t unique_count;
    struct unique_index uniques[UNIQUES_MAX];
};

/* One thing to create; texts live in the arena. */
struct trigger_object {
    const char *type; /* "view", "trigger" or "index" */
    const char *name;
    const char *on;   /* of a trigger: its table or view; else NULL */
    const char *text; /* without closing semicolon, exactly as SQLite keeps it */
};

enum { TRIGGER_OBJECTS_MAX = 16 }; /* of one table */

/* All objects of a table. A local table has none. RESULT_EXHAUSTED: `arena` is full. */
MUST_CHECK enum result trigger_text_make(const struct trigger_table *table, struct arena *arena,
                                         struct trigger_object ret_objects[TRIGGER_OBJECTS_MAX],
                                         size_t *ret_count, struct problem *problem);
