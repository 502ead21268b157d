/* SPDX-License-Identifier: Apache-2.0 */
/* migrate.h: brings a database to the shape this program was built for, script by script.
 *
 * Scripts are named NNNN_<common|server|agent>_<subject>; a side runs the common ones and its own,
 * in order of their names, each in a transaction of its own, and writes name and digest
 * (BLAKE2b-256) to fs_migration. Companies add their own scripts (tables and catalog rows) in the
 * same way, in general NNNN_common_<subject> with a number from 5000.
 *
 * A script never begins or ends a transaction. On an agent it runs with capture off: data that it
 * writes comes from the server too. A script that drops or renames a captured column drops that
 * table's _fs_ triggers itself; triggers_install follows every migration anyway. References are
 * checked at the end of each script instead of at each statement. */
#pragma once

#include "schema/sql.h"

enum schema_side {
    SCHEMA_SIDE_SERVER = 1,
    SCHEMA_SIDE_AGENT = 2,
};

struct migration_script {
    const char *name; /* without ".sql", at most 60 characters of [0-9a-z_] */
    const char *text;
};

/* Runs what is missing. `extra` are the company's scripts, in any order; ret_applied_count, if not
 * NULL, is how many ran.
 *
 * RESULT_REFUSED    a script that has run was changed since, a name isn't well formed or there
 *                   twice, a script failed (it is undone), or the database has a script unknown to
 *                   this program (it is newer, or of the other side): nothing was changed
 *                   by that script; earlier ones stay
 * others            as in sql.h */
MUST_CHECK enum result migrate_run(struct sql_database *database, enum schema_side side,
                                   const struct migration_script *extra, size_t extra_count,
                                   struct wall_time now, size_t *ret_applied_count,
                                   struct problem *problem);

/* Version of what is replicated: the highest number of a common script that has run; 0 in an empty
 * database. */
MUST_CHECK enum result migrate_version(struct sql_database *database, int64_t *ret_version,
                                       struct problem *problem);
