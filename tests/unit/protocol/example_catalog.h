/* SPDX-License-Identifier: Apache-2.0 */
/* example_catalog.h: the two tables that docs/PROTOCOL.md uses in its hex examples, for tests. */
#pragma once

#include "schema/catalog.h"

static const struct catalog_column EXAMPLE_SITE_COLUMNS[] = {
    {.number = 0, .name = "id", .type = VALUE_INTEGER, .merge = MERGE_SERVER_ONLY},
    {.number = 1, .name = "name", .type = VALUE_TEXT, .merge = MERGE_LAST_WRITER},
    {.number = 2, .name = "note", .type = VALUE_TEXT, .nullable = true, .merge = MERGE_LAST_WRITER},
    {.number = 3,
     .name = "latitude",
     .type = VALUE_REAL,
     .nullable = true,
     .merge = MERGE_LAST_WRITER},
};
static const struct catalog_column EXAMPLE_WORK_COLUMNS[] = {
    {.number = 0, .name = "id", .type = VALUE_INTEGER, .merge = MERGE_SERVER_ONLY},
    {.number = 1,
     .name = "site_id",
     .type = VALUE_INTEGER,
     .refers_to = 1,
     .merge = MERGE_APPEND_ONLY},
    {.number = 2,
     .name = "minutes",
     .type = VALUE_INTEGER,
     .nullable = true,
     .merge = MERGE_APPEND_ONLY},
    {.number = 3,
     .name = "sketch",
     .type = VALUE_BLOB,
     .nullable = true,
     .merge = MERGE_APPEND_ONLY},
};
static const struct catalog_table EXAMPLE_TABLES[] = {
    {.number = 0},
    {.number = 1,
     .name = "site",
     .column_count = 4,
     .columns = EXAMPLE_SITE_COLUMNS,
     .columns_mask = 0xe},
    {.number = 2,
     .name = "work",
     .column_count = 4,
     .columns = EXAMPLE_WORK_COLUMNS,
     .columns_mask = 0xe},
};
