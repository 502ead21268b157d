/* SPDX-License-Identifier: Apache-2.0 */
/* restrict.h: what a script that came over the network may do to a database.
 *
 * A device runs scripts of its company's server (SCHEMA). Whoever holds the server's key could send
 * others, so between restrict_begin and restrict_end an SQLite authorizer lets through only:
 *
 *     CREATE TABLE, CREATE INDEX, CREATE VIEW, DROP INDEX     nothing named sqlite_, fs_ or _fs_
 *     ALTER TABLE ADD, RENAME and DROP COLUMN                 of tables that aren't fs_ ones
 *     INSERT, UPDATE, DELETE                                  of the catalog: fs_table, fs_column,
 *                                                             fs_grant, fs_subscription, fs_watch
 *
 * No data of other tables is written, no trigger made, nothing attached, no PRAGMA, no transaction
 * ended, no function called but what these statements need themselves. Of what is read nothing can
 * leave: the device's own books (fs_state, the outbox) can't be read at all. */
#pragma once

#include "schema/sql.h"

/* What of the tables may change. */
enum restrict_mode {
    RESTRICT_COMPANY = 1, /* all of the above */
    RESTRICT_PRODUCT = 2, /* no column renamed or dropped: this program's own SQL speaks of them */
};

/* `restriction` must live until restrict_end. */
struct restriction {
    enum restrict_mode mode;
    char refused[160]; /* the first thing that was not let through; empty: none */
};
void restrict_begin(struct restriction *restriction, enum restrict_mode mode,
                    struct sql_database *database);
void restrict_end(struct sql_database *database);
