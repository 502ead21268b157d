/* SPDX-License-Identifier: Apache-2.0 */
/* scopes.h: which columns decide who receives what.
 *
 * A subscription is any SELECT, and evaluating one takes as long as it takes. So it is done again
 * only after a commit that changed a column which some subscription reads, or brought or took a row
 * of a table that one reads: catalog_table.scope_mask. SQLite says what a SELECT reads, through its
 * authorizer, views included. */
#pragma once

#include "schema/catalog.h"
#include "schema/sql.h"

/* Fills scope_mask of all tables, in a copy of them in `arena`. Until then, and after a SELECT that
 * doesn't compile or whose reading can't be told, every column of every table counts.
 *
 * RESULT_EXHAUSTED  `arena` is full: nothing changed */
MUST_CHECK enum result scopes_find(struct sql_database *database, struct arena *arena,
                                   struct catalog *catalog, struct problem *problem);
