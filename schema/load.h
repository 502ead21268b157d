/* SPDX-License-Identifier: Apache-2.0 */
/* load.h: reads the catalog out of an open database and checks it against the tables there. */
#pragma once

#include "schema/catalog.h"
#include "schema/sql.h"

/* The whole catalog in memory of `arena`, checked (catalog_check), and each table compared with
 * what the database has: every column in the catalog and the other way round (generated columns
 * `_fs_...` apart), same type, same NOT NULL, `id INTEGER PRIMARY KEY`.
 *
 * RESULT_REFUSED    something contradicts itself; the problem names table, row and what is expected
 * RESULT_EXHAUSTED  `arena` is full; a megabyte is enough for a few hundred tables
 * others            as in sql.h */
MUST_CHECK enum result catalog_load(struct sql_database *database, struct arena *arena,
                                    struct catalog *ret_catalog, struct problem *problem);
