/* SPDX-License-Identifier: Apache-2.0 */
/* triggers.h: puts the generated triggers on the replicated tables, and looks whether they are
 * there.
 *
 * What they do, on both sides: every insert, update and delete by ordinary SQL leaves a line in
 * fs_outbox (see there for the meaning of its ops), whatever program wrote it and however: UPSERT,
 * REPLACE, key change, cascade, rolled back or not. They fill the column `home` of tables that have
 * one, where the row's own columns decide it. While a row is in fs_flag they do nothing.
 *
 * On an agent they also refuse, with a sentence that says what to do instead: ids that are missing
 * or not of this replica, values of server_only columns, updates and deletes of append_only rows,
 * deletes where the rule is never. On a server they refuse missing ids only.
 *
 * On a server the replicated tables get four hidden columns and an index:
 *   _fs_seq     BIGINT  seq of the row's newest change
 *   _fs_bucket  BIGINT  home bucket at that seq
 *   _fs_cv      BLOB    versions of its columns
 *   _fs_hash    BLOB    16 bytes, its share of the bucket's digest
 *   _fs_<table>_feed (_fs_bucket, _fs_seq)
 * An insert that names no columns doesn't work on such a table.
 *
 * All names beginning with _fs_ are generated: what else has such a name is removed. Limits: a
 * UNIQUE index on expressions only can't be watched and is refused. A change of a row's bucket
 * doesn't move rows that inherit it: whoever applies changes does. */
#pragma once

#include "schema/catalog.h"
#include "schema/migrate.h"
#include "schema/sql.h"

/* Makes the triggers what the catalog says, in one transaction (its own, or the open one). What is
 * right already is not touched. ret_changed_count, if not NULL: objects dropped or created.
 *
 * RESULT_REFUSED   a table can't be watched, or a statement failed: nothing was changed (in the
 *                  caller's transaction: the caller undoes it)
 * others           as in sql.h */
MUST_CHECK enum result triggers_install(struct sql_database *database,
                                        const struct catalog *catalog, enum schema_side side,
                                        size_t *ret_changed_count, struct problem *problem);

/* Looks without changing anything. ret_wrong_count: objects that are missing, altered or too many;
 * ret_report: "missing _fs_call_insert; altered _fs_call_update", empty if all is right. */
MUST_CHECK enum result triggers_verify(struct sql_database *database, const struct catalog *catalog,
                                       enum schema_side side, struct arena *arena,
                                       size_t *ret_wrong_count, const char **ret_report,
                                       struct problem *problem);
