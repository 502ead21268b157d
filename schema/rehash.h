/* SPDX-License-Identifier: Apache-2.0 */
/* rehash.h: row hashes and digests of buckets of a master whose tables got other columns.
 *
 * The canonical form of a row covers all of its columns (canonical.h), so a column more or less
 * changes the hash of every row, although no row changed: no seq moves, nothing is sent. Done in
 * the transaction of the scripts. */
#pragma once

#include "schema/catalog.h"
#include "schema/sql.h"

/* Hashes the rows of every table whose columns are others in `after` than in `before` anew, and
 * sets the digests of their buckets right. A master without a digest key has no hashes yet. */
MUST_CHECK enum result rehash_tables(struct sql_database *database, const struct catalog *before,
                                     const struct catalog *after, size_t *ret_row_count,
                                     struct problem *problem);
