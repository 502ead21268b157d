/* SPDX-License-Identifier: Apache-2.0 */
/* model.h: the catalog of the real model, loaded once from the master file that the build made. */
#pragma once

#include "tests/fuzz/fuzz.h"

#include "schema/load.h"

static inline const struct catalog *model_catalog(void)
{
    static struct arena arena;
    static struct catalog catalog;
    struct sql_options options = {.path = MASTER_TEMPLATE, .profile = SQL_PROFILE_SERVER};
    struct sql_database *database = NULL;
    struct problem problem = {0};

    if (catalog.table_count > 0)
        return &catalog;
    arena_init(&arena, 8 << 20);
    options.read_only = true;
    FUZZ_OK(&problem, sql_open(&options, &database, &problem));
    FUZZ_OK(&problem, catalog_load(database, &arena, &catalog, &problem));
    sql_close(database);
    return &catalog;
}

/* A table of the model by any number. */
static inline const struct catalog_table *model_table(uint64_t number)
{
    const struct catalog *catalog = model_catalog();
    const struct catalog_table *table = NULL;

    for (size_t i = 0; i < catalog->table_count; i++) {
        table = catalog_table_by_no(catalog, (uint16_t)((number + i) % catalog->table_count));
        if (table != NULL && table->column_count > 1)
            return table;
    }
    invariant(false);
    return NULL;
}
