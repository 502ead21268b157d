/* SPDX-License-Identifier: Apache-2.0 */
/* migrate.h: brings a database to the shape this program was built for, script by script.
 *
 * Scripts are named NNNN_<common|server|agent>_<subject>; a side runs the common ones and its own,
 * in order of their names, and writes name and digest (BLAKE2b-256) to fs_migration. Companies add
 * their own scripts (tables and catalog rows) in the same way, in general NNNN_common_<subject>
 * with a number from 5000; devices get those from the server (replica.h). docs/SCHEMA.md is the
 * guide for whoever writes one.
 *
 * All that is missing runs in one transaction, whole or not at all: scripts, triggers, row hashes.
 * A script never begins or ends a transaction. On a server what it writes to replicated tables is
 * captured and sent, by the triggers as they were before the common scripts of this run; a script
 * of the server alone finds them made anew. One that drops a column runs without them. On an agent
 * nothing that a script writes is captured.
 * References are checked after each script of a server instead of at each statement. */
#pragma once

#include "schema/catalog_version.h"
#include "schema/sql.h"

enum schema_side {
    SCHEMA_SIDE_SERVER = 1,
    SCHEMA_SIDE_AGENT = 2,
};

struct migration_script {
    const char *name; /* without ".sql", at most 60 characters of [0-9a-z_] */
    const char *text;
};

struct migrate_options {
    enum schema_side side;
    const struct migration_script *extras; /* the company's scripts, in any order */
    size_t extra_count;
    struct wall_time now;
    /* Called in the transaction before the first script, if there is one and the database isn't
     * new: what was recorded under the old schema is put away by it. NULL: nothing to do. */
    enum result (*before)(void *context, struct problem *problem);
    void *context;
};

/* Runs what is missing; ret_applied_count, if not NULL, is how many scripts that were.
 *
 * RESULT_REFUSED   a script that has run was changed since, a name isn't well formed or there
 *                  twice, a script failed, or the database has a script unknown to this program
 *                  (it is newer, or of the other side): nothing was changed
 * others           as in sql.h */
MUST_CHECK enum result migrate_up(struct sql_database *database,
                                  const struct migrate_options *options, size_t *ret_applied_count,
                                  struct problem *problem);
/* The same in short. */
MUST_CHECK enum result migrate_run(struct sql_database *database, enum schema_side side,
                                   const struct migration_script *extra, size_t extra_count,
                                   struct wall_time now, size_t *ret_applied_count,
                                   struct problem *problem);

/* On an agent: runs the scripts that came from the server and wait in fs_script, those of the
 * product and those of the company each in one transaction, under restrict.h. A batch that fails is
 * undone; why is kept in fs_script.problem, and the device goes on in the older schema:
 * *ret_refused then says so (it stays empty otherwise). */
enum { MIGRATE_REFUSED_SIZE = 200 };
MUST_CHECK enum result migrate_received(struct sql_database *database,
                                        const struct migrate_options *options,
                                        size_t *ret_applied_count,
                                        char ret_refused[MIGRATE_REFUSED_SIZE],
                                        struct problem *problem);

/* Version of what is replicated (catalog_version.h), by the common scripts that have run; 0 in an
 * empty database. */
MUST_CHECK enum result migrate_version(struct sql_database *database, int64_t *ret_version,
                                       struct problem *problem);
/* The company's common scripts that have run, ascending, in `arena`. */
MUST_CHECK enum result migrate_steps(struct sql_database *database, struct arena *arena,
                                     const struct catalog_step **ret_steps, size_t *ret_count,
                                     struct problem *problem);
/* Is the database as new as 0032_common_history? */
MUST_CHECK enum result migrate_has_history(struct sql_database *database, bool *ret_has,
                                           struct problem *problem);
