/* SPDX-License-Identifier: Apache-2.0 */
/* triggers.h: puts the generated triggers on the replicated tables, and looks whether they are
 * there.
 *
 * What they do, on both sides: every insert, update and delete by ordinary SQL leaves a line in
 * fs_outbox (see there for the meaning of its ops), whatever program wrote it and however: UPSERT,
 * REPLACE, key change, cascade, rolled back or not. They fill the column `home` of tables that have
 * one, where the row's own columns decide it. While a row is in fs_flag they do nothing; with
 * struct triggers_pause they don't even run.
 *
 * On an agent they also refuse, with a sentence that says what to do instead: ids that are missing
 * or not of this replica, values of server_only columns, rows of tables that have no other columns,
 * updates and deletes of append_only rows, deletes where the rule is never. On a server they refuse
 * missing ids only.
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
 * If nothing has changed since the last time, which a digest tells (triggers_made.h), it only
 * reads.
 *
 * RESULT_REFUSED   a table can't be watched, or a statement failed: nothing was changed (in the
 *                  caller's transaction: the caller undoes it)
 * others           as in sql.h */
MUST_CHECK enum result triggers_install(struct sql_database *database,
                                        const struct catalog *catalog, enum schema_side side,
                                        size_t *ret_changed_count, struct problem *problem);

/* Takes the generated triggers and views away, until triggers_install: a column can't be dropped
 * while one speaks of it. Inside the caller's transaction, so no edit of anybody goes uncaptured.
 */
MUST_CHECK enum result triggers_remove(struct sql_database *database, size_t *ret_removed_count,
                                       struct problem *problem);

/* Looks without changing anything. ret_wrong_count: objects that are missing, altered or too many;
 * ret_report: "missing _fs_call_insert; altered _fs_call_update", empty if all is right. */
MUST_CHECK enum result triggers_verify(struct sql_database *database, const struct catalog *catalog,
                                       enum schema_side side, struct arena *arena,
                                       size_t *ret_wrong_count, const char **ret_report,
                                       struct problem *problem);

/* For appliers, whose writes are not to be captured: a pause of the triggers in one connection.
 *
 *     sql_begin(IMMEDIATE), triggers_pause_begin, write, triggers_pause_end, sql_commit
 *
 * A row in fs_flag has the same meaning, but triggers that do nothing still make SQLite copy each
 * page that a statement changes: filling a table with indexes takes four times as long. So, if all
 * triggers in the database are our own, this turns them off in the connection. If somebody else has
 * a trigger it has to run, and the row in fs_flag is put as ever.
 *
 * The connection's triggers stay off between transactions: turning them on or off makes it prepare
 * its statements again. So use a connection of its own, or triggers_pause_done. While they are off,
 * the connection can't write to fs_flag ("it is a view") and what it writes to fs_state reaches the
 * captured lines of others with triggers_pause_end. */
struct triggers_pause {
    bool is_off;            /* in the connection, since some transaction */
    int64_t schema_version; /* of the database when it was looked at; 0: never. Start with {0} */
};

/* In an open write transaction. Failures as in sql.h; also RESULT_REFUSED: fs_flag has its row
 * already. The caller undoes the transaction. */
MUST_CHECK enum result triggers_pause_begin(struct triggers_pause *pause,
                                            struct sql_database *database, struct problem *problem);
/* Before the commit; what comes after it in the transaction must not be written to the tables. */
MUST_CHECK enum result triggers_pause_end(struct triggers_pause *pause,
                                          struct sql_database *database, struct problem *problem);
/* Outside of a transaction: this connection's writes are captured again. Never fails. */
void triggers_pause_done(struct triggers_pause *pause, struct sql_database *database);
