/* SPDX-License-Identifier: Apache-2.0 */
/* model_fixture.h: an empty database with the whole model, made once for a program of tests. What a
 * test writes is undone before the next one. */
#pragma once

#include "schema/load.h"
#include "schema/migrate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct model {
    struct sql_database *database;
    struct arena arena;
    struct catalog catalog;
};

static inline void expect_ok(enum result result, const struct problem *problem)
{
    if (result != RESULT_OK)
        fail_msg("%s: %s", result_name(result), problem->text);
}

static inline void run(struct model *model, const char *script)
{
    struct problem problem = {0};

    expect_ok(sql_exec(model->database, script, &problem), &problem);
}

/* First column of the first row; -1 if there is none. */
static inline int64_t number(struct model *model, const char *query)
{
    struct problem problem = {0};
    int64_t found = 0;

    expect_ok(sql_query_integer(model->database, query, NULL, 0, -1, &found, &problem), &problem);
    return found;
}

static inline const struct catalog_table *table_of(const struct model *model, const char *name)
{
    const struct catalog_table *table = catalog_table_by_name(&model->catalog, name);

    if (table == NULL)
        fail_msg("no table %s in the catalog", name);
    return table;
}

/* ---- each test starts from the empty model ---- */

static inline int set_up(void **state)
{
    static struct model model; /* one at a time */
    struct sql_options options = {.in_memory = true, .create = true};
    struct wall_time now = {0};
    struct problem problem = {0};

    model = (struct model){0};
    arena_init(&model.arena, 8 << 20);
    if (sql_open(&options, &model.database, &problem) != RESULT_OK ||
        migrate_run(model.database, SCHEMA_SIDE_SERVER, NULL, 0, now, NULL, &problem) !=
            RESULT_OK ||
        catalog_load(model.database, &model.arena, &model.catalog, &problem) != RESULT_OK) {
        print_error("%s\n", problem.text);
        return -1;
    }
    *state = &model;
    return 0;
}

/* Rows of one test don't reach the next. */
static inline int begin(void **state)
{
    struct model *model = *state;

    run(model, "PRAGMA foreign_keys = OFF; BEGIN");
    return 0;
}

static inline int undo(void **state)
{
    struct model *model = *state;
    struct problem problem = {0};

    return sql_exec(model->database, "ROLLBACK", &problem) == RESULT_OK ? 0 : -1;
}

static inline int tear_down(void **state)
{
    struct model *model = *state;

    sql_close(model->database);
    arena_done(&model->arena);
    return 0;
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, begin, undo)
