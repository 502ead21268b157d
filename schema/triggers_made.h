/* SPDX-License-Identifier: Apache-2.0 */
/* triggers_made.h: a note in the database that says from what its triggers were made, so that a
 * start at which nothing has changed needn't make and compare them all.
 *
 * The note, fs_state.triggers_made, is a digest (BLAKE2b-256) of all that decides what they should
 * be and of all that there is: this program's sources that make them, the side, what the catalog
 * says of the tables, and the whole schema as SQLite keeps it, the triggers included. Whoever drops
 * or alters one, by whatever means, alters the digest. */
#pragma once

#include "schema/catalog.h"
#include "schema/migrate.h"
#include "schema/sql.h"

/* Is everything as it was when triggers_made_note was called last? Failures as in sql.h. */
MUST_CHECK enum result triggers_made_look(struct sql_database *database,
                                          const struct catalog *catalog, enum schema_side side,
                                          bool *ret_is_same, struct problem *problem);

/* Notes that all is right now; in the transaction that has put it right. Failures as in sql.h. */
MUST_CHECK enum result triggers_made_note(struct sql_database *database,
                                          const struct catalog *catalog, enum schema_side side,
                                          struct problem *problem);
