/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the file that master_file.h copies; the build runs it once. */
#include "schema/load.h"
#include "schema/migrate.h"
#include "schema/triggers.h"

#include <stdio.h>

enum { CATALOG_SIZE_MAX = 8 * 1024 * 1024 };

static enum result make(struct sql_database *database, struct arena *arena, struct problem *problem)
{
    struct catalog catalog = {0};
    enum result result =
        migrate_run(database, SCHEMA_SIDE_SERVER, NULL, 0, (struct wall_time){1}, NULL, problem);

    if (result == RESULT_OK)
        result = catalog_load(database, arena, &catalog, problem);
    if (result == RESULT_OK)
        result = triggers_install(database, &catalog, SCHEMA_SIDE_SERVER, NULL, problem);
    if (result == RESULT_OK)
        result = sql_exec(database,
                          "INSERT OR REPLACE INTO fs_state(name, number) VALUES"
                          "('seq',0),('published_seq',0),('replica_no',0)",
                          problem);
    return result;
}

int main(int argument_count, char **arguments)
{
    struct sql_options options = {.profile = SQL_PROFILE_SERVER, .create = true};
    struct sql_database *database = NULL;
    struct arena arena;
    struct problem problem = {0};
    enum result result;

    if (argument_count != 2) {
        (void)fprintf(stderr, "usage: make_master FILE\n");
        return 2;
    }
    options.path = arguments[1];
    (void)remove(options.path);
    arena_init(&arena, CATALOG_SIZE_MAX);
    result = sql_open(&options, &database, &problem);
    if (result == RESULT_OK)
        result = make(database, &arena, &problem);
    sql_close(database); /* the last connection copies the log into the file and removes it */
    arena_done(&arena);
    if (result != RESULT_OK)
        (void)fprintf(stderr, "%s: %s\n", options.path, problem.text);
    return result == RESULT_OK ? 0 : 1;
}
