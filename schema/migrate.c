/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/migrate.h"

#include "base/invariant.h"
#include "embedded_files.h"
#include "schema/load.h"
#include "schema/rehash.h"
#include "schema/restrict.h"
#include "schema/triggers.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_SIZE = 61,
    DIGEST_TEXT_SIZE = 2 * crypto_generichash_BYTES + 1,
    NUMBER_DIGITS = 4,
    HISTORY_SCRIPT = 32, /* 0032_common_history: what came before is the same everywhere */
    PLAN_ARENA_SIZE_MAX = 64 << 20,
    CATALOG_SIZE_MAX = 16 << 20,
};

struct script {
    char name[NAME_SIZE];
    const char *text;
    char digest[DIGEST_TEXT_SIZE];
};

struct plan {
    struct script *scripts; /* of this side, by name */
    size_t count;
    struct arena arena; /* of all of it */
};

static bool name_is_well_formed(const char *name)
{
    size_t size = strlen(name);

    return size > NUMBER_DIGITS + 1 && size < NAME_SIZE &&
           strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz_") == size &&
           strspn(name, "0123456789") == NUMBER_DIGITS && name[NUMBER_DIGITS] == '_';
}

static bool name_is_of(const char *name, const char *side)
{
    return strncmp(name + NUMBER_DIGITS, side, strlen(side)) == 0;
}

static bool side_runs(enum schema_side side, const char *name)
{
    return name_is_of(name, "_common_") ||
           name_is_of(name, side == SCHEMA_SIDE_SERVER ? "_server_" : "_agent_");
}

static int64_t number_of(const char *name)
{
    return strtoll(name, NULL, 10); /* well formed: ends at the underscore */
}

static bool is_common(const struct script *script)
{
    return name_is_of(script->name, "_common_");
}

static void digest_text(const char *text, char ret_digest[DIGEST_TEXT_SIZE])
{
    uint8_t digest[crypto_generichash_BYTES];

    invariant(crypto_generichash(digest, sizeof digest, (const uint8_t *)text, strlen(text), NULL,
                                 0) == 0);
    bytes_to_hex(bytes_of(digest, sizeof digest), ret_digest);
}

static enum result plan_add(struct plan *plan, enum schema_side side, const char *name,
                            size_t name_size, const char *text, struct problem *problem)
{
    struct script *script = &plan->scripts[plan->count];

    (void)snprintf(script->name, sizeof script->name, "%.*s", (int)name_size, name);
    if (name_size >= NAME_SIZE || !name_is_well_formed(script->name))
        return problem_set(problem, RESULT_REFUSED,
                           "migration '%.80s': a name is four digits, common, server or agent, and "
                           "a subject: 5000_common_lifts",
                           name);
    if (!name_is_of(script->name, "_common_") && !name_is_of(script->name, "_server_") &&
        !name_is_of(script->name, "_agent_"))
        return problem_set(problem, RESULT_REFUSED,
                           "migration %s is neither common nor of the server nor of the agent",
                           script->name);
    if (!side_runs(side, script->name))
        return RESULT_OK;
    script->text = text;
    digest_text(text, script->digest);
    plan->count++;
    return RESULT_OK;
}

static int compare_scripts(const void *a, const void *b)
{
    return strcmp(((const struct script *)a)->name, ((const struct script *)b)->name);
}

static const struct script *plan_find(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->count; i++)
        if (strcmp(plan->scripts[i].name, name) == 0)
            return &plan->scripts[i];
    return NULL;
}

/* Scripts of fs_script: those that have run, or those that wait. One that the program or the
 * company's folder has, too, is taken from there. */
static enum result plan_add_received(struct plan *plan, struct sql_database *database,
                                     bool is_pending, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    bool row = true;
    enum result result = sql_prepare(database,
                                     "SELECT name, text FROM fs_script WHERE is_pending = ?1"
                                     " AND problem IS NULL ORDER BY name",
                                     &statement, problem);

    if (result == RESULT_OK)
        result = sql_bind_integer(statement, 1, is_pending, problem);
    while (result == RESULT_OK) {
        const char *name = NULL;
        const char *text = NULL;

        result = sql_step(statement, &row, problem);
        if (result != RESULT_OK || !row)
            break;
        result = sql_column_text(statement, 0, &plan->arena, &name, problem);
        if (result == RESULT_OK)
            result = sql_column_text(statement, 1, &plan->arena, &text, problem);
        if (result == RESULT_OK && plan_find(plan, name) == NULL)
            result = plan_add(plan, SCHEMA_SIDE_AGENT, name, strlen(name), text, problem);
    }
    sql_release(statement);
    return result;
}

static void plan_done(struct plan *plan)
{
    arena_done(&plan->arena);
}

/* Room for everything that may be added. */
static enum result plan_begin(struct plan *plan, struct sql_database *database, size_t extra_count,
                              bool with_received, struct problem *problem)
{
    int64_t received_count = 0;
    enum result result = RESULT_OK;

    *plan = (struct plan){0};
    arena_init(&plan->arena, PLAN_ARENA_SIZE_MAX);
    if (with_received)
        result = sql_query_integer(database, "SELECT count(*) FROM fs_script", NULL, 0, 0,
                                   &received_count, problem);
    if (result != RESULT_OK)
        return result;
    plan->scripts = arena_array(&plan->arena,
                                EMBEDDED_MIGRATION_COUNT + extra_count + (size_t)received_count + 1,
                                sizeof *plan->scripts);
    return plan->scripts == NULL ? arena_full(&plan->arena, problem) : RESULT_OK;
}

static enum result plan_make(struct plan *plan, struct sql_database *database,
                             const struct migrate_options *options, bool with_received,
                             struct problem *problem)
{
    enum result result = plan_begin(plan, database, options->extra_count, with_received, problem);

    for (size_t i = 0; i < EMBEDDED_MIGRATION_COUNT && result == RESULT_OK; i++) {
        const struct embedded_file *file = &EMBEDDED_MIGRATIONS[i];

        result = plan_add(plan, options->side, file->name, strcspn(file->name, "."),
                          (const char *)file->data, problem);
    }
    for (size_t i = 0; i < options->extra_count && result == RESULT_OK; i++)
        result = plan_add(plan, options->side, options->extras[i].name,
                          strlen(options->extras[i].name), options->extras[i].text, problem);
    if (result == RESULT_OK && with_received)
        result = plan_add_received(plan, database, false, problem);
    if (result != RESULT_OK)
        return result;
    qsort(plan->scripts, plan->count, sizeof *plan->scripts, compare_scripts);
    for (size_t i = 1; i < plan->count; i++)
        if (strcmp(plan->scripts[i - 1].name, plan->scripts[i].name) == 0)
            return problem_set(problem, RESULT_REFUSED, "two migrations are named %s",
                               plan->scripts[i].name);
    return RESULT_OK;
}

static enum result table_exists(struct sql_database *database, const char *name, bool *ret_exists,
                                struct problem *problem)
{
    struct value value = value_text_of(name);
    int64_t count = 0;
    enum result result = sql_query_integer(database, /* a search in sqlite_schema reads all of it */
                                           "SELECT count(*) FROM pragma_table_info(?1)", &value, 1,
                                           0, &count, problem);

    *ret_exists = count > 0;
    return result;
}

static enum result check_applied_one(const struct plan *plan, enum schema_side side,
                                     const char *name, const char *digest, struct problem *problem)
{
    const struct script *script = plan_find(plan, name);

    if (script != NULL && strcmp(script->digest, digest) == 0)
        return RESULT_OK;
    if (script != NULL)
        return problem_set(problem, RESULT_REFUSED,
                           "migration %s has changed since it ran here; nothing was changed; give "
                           "the new statements a migration of their own",
                           name);
    if (name_is_well_formed(name) && !side_runs(side, name))
        return problem_set(problem, RESULT_REFUSED,
                           "this is a database of %s (has %s), not of %s; nothing was changed",
                           side == SCHEMA_SIDE_SERVER ? "an agent" : "a server", name,
                           side == SCHEMA_SIDE_SERVER ? "a server" : "an agent");
    return problem_set(problem, RESULT_REFUSED,
                       "the database is newer (has %s) than this program%s%s; nothing was changed; "
                       "install the version that wrote it, or give the company's scripts",
                       name, plan->count > 0 ? ", whose last is " : "",
                       plan->count > 0 ? plan->scripts[plan->count - 1].name : "");
}

/* Everything that has run must be known, unchanged. */
static enum result check_applied(struct sql_database *database, const struct plan *plan,
                                 enum schema_side side, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    struct arena name_arena;
    bool row = true;
    bool exists = false;
    enum result result = table_exists(database, "fs_migration", &exists, problem);

    if (result != RESULT_OK || !exists)
        return result;
    arena_init(&name_arena, (size_t)1024 * 1024);
    result = sql_prepare(database, "SELECT name, digest FROM fs_migration ORDER BY name DESC",
                         &statement, problem);
    while (result == RESULT_OK) {
        const char *name = NULL;
        const char *digest = NULL;

        result = sql_step(statement, &row, problem);
        if (result != RESULT_OK || !row)
            break;
        result = sql_column_text(statement, 0, &name_arena, &name, problem);
        if (result == RESULT_OK)
            result = sql_column_text(statement, 1, &name_arena, &digest, problem);
        if (result == RESULT_OK)
            result = check_applied_one(plan, side, name == NULL ? "" : name,
                                       digest == NULL ? "" : digest, problem);
    }
    sql_release(statement);
    arena_done(&name_arena);
    return result;
}

static enum result is_applied(struct sql_database *database, const char *name, bool *ret_applied,
                              struct problem *problem)
{
    struct value value = value_text_of(name);
    int64_t count = 0;
    enum result result = table_exists(database, "fs_migration", ret_applied, problem);

    if (result != RESULT_OK || !*ret_applied)
        return result;
    result = sql_query_integer(database, "SELECT count(*) FROM fs_migration WHERE name = ?1",
                               &value, 1, 0, &count, problem);
    *ret_applied = count > 0;
    return result;
}

static enum result has_missing(struct sql_database *database, const struct plan *plan,
                               bool *ret_has, struct problem *problem)
{
    enum result result = RESULT_OK;

    *ret_has = false;
    for (size_t i = 0; i < plan->count && !*ret_has && result == RESULT_OK; i++) {
        bool applied = false;

        result = is_applied(database, plan->scripts[i].name, &applied, problem);
        *ret_has = !applied;
    }
    return result;
}

enum result migrate_has_history(struct sql_database *database, bool *ret_has,
                                struct problem *problem)
{
    return is_applied(database, "0032_common_history", ret_has, problem);
}

/* ---- one script ---- */

/* Scripts on their way into one database, in one transaction. */
struct run {
    struct sql_database *database;
    const struct migrate_options *options;
    enum restrict_mode mode; /* 0: our own, no restriction */
    bool is_established;     /* the tables are in use: they have triggers, rows have hashes */
    bool is_bare;            /* the triggers are away */
    bool is_stale;           /* common scripts ran since they were made */
    int64_t dropped_count;   /* columns that others dropped, before the script that runs */
    size_t applied_count;
    struct problem *problem;
};

static enum result run_text(struct run *run, const char *text)
{
    struct restriction restriction;
    enum result result = RESULT_OK;

    if (run->mode == 0)
        return sql_exec(run->database, text, run->problem);
    restrict_begin(&restriction, run->mode, run->database);
    result = sql_exec(run->database, text, run->problem);
    restrict_end(run->database);
    if (result != RESULT_OK && restriction.refused[0] != '\0')
        result = problem_set(run->problem, RESULT_REFUSED, "%s", restriction.refused);
    return result;
}

/* The statements of one script, with capture off on an agent. */
static enum result run_script(struct run *run, const struct script *script)
{
    bool has_flag = false;
    enum result result = RESULT_OK;

    if (run->options->side == SCHEMA_SIDE_AGENT)
        result = table_exists(run->database, "fs_flag", &has_flag, run->problem);
    if (result == RESULT_OK && has_flag)
        result = sql_exec(run->database, "INSERT INTO fs_flag(k) VALUES (1)", run->problem);
    if (result == RESULT_OK)
        result = run_text(run, script->text);
    if (result == RESULT_OK && !sql_in_transaction(run->database))
        return problem_set(run->problem, RESULT_REFUSED,
                           "the script ends its transaction: it mustn't");
    if (result == RESULT_OK && has_flag)
        result = sql_exec(run->database, "DELETE FROM fs_flag", run->problem);
    return result;
}

static enum result check_references(struct sql_database *database, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    bool row = false;
    enum result result = sql_prepare(
        database, "SELECT \"table\", parent FROM pragma_foreign_key_check", &statement, problem);

    if (result == RESULT_OK)
        result = sql_step(statement, &row, problem);
    if (result == RESULT_OK && row) {
        struct value table = sql_column(statement, 0);

        result =
            problem_set(problem, RESULT_REFUSED, "a row of %.*s refers to a row that isn't there",
                        table.type == VALUE_TEXT ? (int)table.bytes.size : 0,
                        table.type == VALUE_TEXT ? (const char *)table.bytes.data : "");
    }
    sql_release(statement);
    return result;
}

/* Columns that another script than this one dropped. */
static enum result count_dropped(struct run *run, const struct script *script, int64_t *ret_count)
{
    const struct value number = value_integer(number_of(script->name));
    bool has_history = false;
    enum result result = migrate_has_history(run->database, &has_history, run->problem);

    *ret_count = 0;
    if (result == RESULT_OK && has_history)
        result =
            sql_query_integer(run->database, "SELECT count(*) FROM fs_column WHERE until <> ?1",
                              &number, 1, 0, ret_count, run->problem);
    return result;
}

/* What a script brought came with it. A dropped column keeps its row, and `until` is the script
 * that dropped it: another number there is a slip of the author's. */
static enum result stamp_catalog(struct run *run, const struct script *script)
{
    const struct value number = value_integer(number_of(script->name));
    int64_t dropped_count = 0;
    enum result result =
        sql_run(run->database, "UPDATE fs_table SET since = ?1 WHERE since IS NULL", &number, 1,
                run->problem);

    if (result == RESULT_OK)
        result = sql_run(run->database, "UPDATE fs_column SET since = ?1 WHERE since IS NULL",
                         &number, 1, run->problem);
    if (result == RESULT_OK)
        result = count_dropped(run, script, &dropped_count);
    if (result == RESULT_OK && dropped_count != run->dropped_count)
        return problem_set(run->problem, RESULT_REFUSED,
                           "fs_column.until of a dropped column isn't the number of the script "
                           "that drops it");
    return result;
}

/* The server keeps the text for its devices, and when it ran. */
static enum result note_for_devices(struct run *run, const struct script *script)
{
    const struct value values[] = {value_text_of(script->name), value_text_of(script->text)};
    enum result result =
        sql_run(run->database,
                "UPDATE fs_migration SET seq = coalesce((SELECT number FROM fs_state WHERE"
                " name = 'seq'), 0) WHERE name = ?1",
                values, 1, run->problem);

    if (result == RESULT_OK && is_common(script) && number_of(script->name) > HISTORY_SCRIPT)
        result =
            sql_run(run->database, "INSERT OR REPLACE INTO fs_script(name, text) VALUES (?1, ?2)",
                    values, 2, run->problem);
    return result;
}

static enum result note_script(struct run *run, const struct script *script)
{
    const struct value record[] = {value_text_of(script->name), value_integer(run->options->now.us),
                                   value_text_of(script->digest)};
    bool has_history = false;
    enum result result = sql_run(
        run->database, "INSERT INTO fs_migration(name, applied_at, digest) VALUES (?1, ?2, ?3)",
        record, 3, run->problem);

    if (result == RESULT_OK)
        result = migrate_has_history(run->database, &has_history, run->problem);
    if (result != RESULT_OK || !has_history)
        return result;
    if (is_common(script))
        result = stamp_catalog(run, script);
    if (result == RESULT_OK && run->options->side == SCHEMA_SIDE_SERVER)
        result = note_for_devices(run, script);
    return result;
}

/* ---- triggers and hashes around them ---- */

static enum result read_catalog(struct run *run, struct arena *arena, struct catalog *ret_catalog)
{
    arena_init(arena, CATALOG_SIZE_MAX);
    return catalog_load(run->database, arena, ret_catalog, run->problem);
}

static enum result dress(struct run *run)
{
    struct arena arena;
    struct catalog catalog = {0};
    enum result result = RESULT_OK;

    if (!run->is_bare && !(run->is_established && run->is_stale))
        return RESULT_OK;
    result = read_catalog(run, &arena, &catalog);
    if (result == RESULT_OK)
        result = triggers_install(run->database, &catalog, run->options->side, NULL, run->problem);
    arena_done(&arena);
    run->is_bare = result != RESULT_OK;
    run->is_stale = false;
    return result;
}

static enum result undress(struct run *run)
{
    size_t removed_count = 0;
    enum result result = RESULT_OK;

    if (!run->is_established || run->is_bare)
        return RESULT_OK;
    result = triggers_remove(run->database, &removed_count, run->problem);
    run->is_bare = true;
    return result;
}

/* On a server what a script writes to the tables is captured, so the triggers stay; unless they
 * stand in its way: no column is dropped while a trigger speaks of it. */
static enum result run_common(struct run *run, const struct script *script)
{
    enum result result = RESULT_OK;

    run->is_stale = true;
    if (run->options->side == SCHEMA_SIDE_AGENT) {
        result = undress(run);
        return result == RESULT_OK ? run_script(run, script) : result;
    }
    if (!run->is_established || run->is_bare)
        return run_script(run, script);
    result = sql_exec(run->database, "SAVEPOINT script", run->problem);
    if (result != RESULT_OK)
        return result;
    result = run_script(run, script);
    if (result == RESULT_REFUSED && sql_in_transaction(run->database)) {
        *run->problem = (struct problem){0};
        result = sql_exec(run->database, "ROLLBACK TO script", run->problem);
        if (result == RESULT_OK)
            result = undress(run);
        if (result == RESULT_OK)
            result = run_script(run, script);
    }
    return result == RESULT_OK ? sql_exec(run->database, "RELEASE script", run->problem) : result;
}

static enum result apply(struct run *run, const struct script *script)
{
    bool applied = false;
    enum result result = is_applied(run->database, script->name, &applied, run->problem);

    if (result != RESULT_OK || applied)
        return result;
    if (!is_common(script))
        result = dress(run);
    if (result == RESULT_OK)
        result = count_dropped(run, script, &run->dropped_count);
    if (result == RESULT_OK)
        result = is_common(script) ? run_common(run, script) : run_script(run, script);
    if (result == RESULT_OK && run->options->side == SCHEMA_SIDE_SERVER)
        result = check_references(run->database, run->problem);
    if (result == RESULT_OK)
        result = note_script(run, script);
    if (result == RESULT_OK)
        run->applied_count++;
    else
        problem_add(run->problem, "migration %s (undone)", script->name);
    return result;
}

static enum result rehash(struct run *run, const struct catalog *before)
{
    struct arena arena;
    struct catalog after = {0};
    size_t row_count = 0;
    enum result result = read_catalog(run, &arena, &after);

    if (result == RESULT_OK)
        result = rehash_tables(run->database, before, &after, &row_count, run->problem);
    arena_done(&arena);
    return result;
}

/* Are the generated triggers in place? */
static enum result look_established(struct run *run)
{
    int64_t count = 0;
    enum result result = sql_query_integer(run->database,
                                           "SELECT count(*) FROM sqlite_schema WHERE type ="
                                           " 'trigger' AND lower(substr(name, 1, 4)) = '_fs_'",
                                           NULL, 0, 0, &count, run->problem);

    run->is_established = count > 0;
    return result;
}

static enum result run_all(struct run *run, const struct plan *plan)
{
    struct arena arena;
    struct catalog before = {0};
    enum result result = look_established(run);

    arena_init(&arena, CATALOG_SIZE_MAX);
    if (result == RESULT_OK && run->is_established) {
        arena_done(&arena);
        result = read_catalog(run, &arena, &before);
        if (result == RESULT_OK && run->options->before != NULL)
            result = run->options->before(run->options->context, run->problem);
    }
    for (size_t i = 0; i < plan->count && result == RESULT_OK; i++)
        result = apply(run, &plan->scripts[i]);
    if (result == RESULT_OK)
        result = dress(run);
    if (result == RESULT_OK && run->is_established && run->options->side == SCHEMA_SIDE_SERVER)
        result = rehash(run, &before);
    arena_done(&arena);
    return result;
}

/* ---- the transaction ---- */

/* A table that is rebuilt is dropped on the way, so references are off; SQLite turns them on and
 * off outside of transactions only. */
static enum result run_in_transaction(struct run *run, const struct plan *plan)
{
    struct sql_transaction transaction = {0};
    struct problem ignored = {0};
    int64_t foreign_keys = 0;
    enum result result = sql_query_integer(run->database, "PRAGMA foreign_keys", NULL, 0, 0,
                                           &foreign_keys, run->problem);

    if (result == RESULT_OK && foreign_keys != 0)
        result = sql_exec(run->database, "PRAGMA foreign_keys = OFF", run->problem);
    if (result == RESULT_OK)
        result = sql_begin(&transaction, run->database, SQL_IMMEDIATE, run->problem);
    if (result == RESULT_OK)
        result = run_all(run, plan);
    if (result == RESULT_OK)
        result = sql_commit(&transaction, run->problem);
    sql_end(&transaction);
    if (foreign_keys != 0) {
        enum result back = sql_exec(run->database, "PRAGMA foreign_keys = ON",
                                    result == RESULT_OK ? run->problem : &ignored);

        if (result == RESULT_OK)
            result = back;
    }
    return result;
}

enum result migrate_up(struct sql_database *database, const struct migrate_options *options,
                       size_t *ret_applied_count, struct problem *problem)
{
    struct plan plan = {0};
    struct run run = {.database = database, .options = options, .problem = problem};
    bool with_received = false;
    bool has = false;
    enum result result = RESULT_OK;

    if (options->side == SCHEMA_SIDE_AGENT)
        result = table_exists(database, "fs_script", &with_received, problem);
    if (result == RESULT_OK)
        result = plan_make(&plan, database, options, with_received, problem);
    if (result == RESULT_OK)
        result = check_applied(database, &plan, options->side, problem);
    if (result == RESULT_OK)
        result = has_missing(database, &plan, &has, problem);
    if (result == RESULT_OK && has)
        result = run_in_transaction(&run, &plan);
    plan_done(&plan);
    if (result == RESULT_OK && ret_applied_count != NULL)
        *ret_applied_count = run.applied_count;
    return result;
}

enum result migrate_run(struct sql_database *database, enum schema_side side,
                        const struct migration_script *extra, size_t extra_count,
                        struct wall_time now, size_t *ret_applied_count, struct problem *problem)
{
    const struct migrate_options options = {
        .side = side, .extras = extra, .extra_count = extra_count, .now = now};

    return migrate_up(database, &options, ret_applied_count, problem);
}

/* ---- scripts from the server ---- */

/* What waits of one kind, in `ret_plan`. */
static enum result plan_received(struct plan *ret_plan, struct sql_database *database,
                                 enum restrict_mode mode, struct problem *problem)
{
    size_t kept = 0;
    enum result result = plan_begin(ret_plan, database, 0, true, problem);

    if (result == RESULT_OK)
        result = plan_add_received(ret_plan, database, true, problem);
    for (size_t i = 0; i < ret_plan->count; i++) {
        bool is_company = number_of(ret_plan->scripts[i].name) >= SCHEMA_COMPANY_FROM;

        if (is_company == (mode == RESTRICT_COMPANY))
            ret_plan->scripts[kept++] = ret_plan->scripts[i];
    }
    ret_plan->count = kept;
    return result;
}

/* Whether they ran or not, they don't wait any more. */
static enum result settle_received(struct sql_database *database, const struct plan *plan,
                                   const char *fault, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < plan->count && result == RESULT_OK; i++) {
        const struct value values[] = {value_text_of(plan->scripts[i].name), value_text_of(fault)};

        result = sql_run(database,
                         "UPDATE fs_script SET is_pending = ?2 IS NOT NULL, problem = ?2"
                         " WHERE name = ?1",
                         values, 2, problem);
    }
    return result;
}

static enum result run_received(struct sql_database *database,
                                const struct migrate_options *options, enum restrict_mode mode,
                                size_t *applied_count, char *ret_refused, struct problem *problem)
{
    struct problem fault = {0};
    struct plan plan = {0};
    struct run run = {.database = database, .options = options, .mode = mode, .problem = &fault};
    enum result result = plan_received(&plan, database, mode, problem);

    if (result != RESULT_OK || plan.count == 0)
        goto done;
    result = run_in_transaction(&run, &plan);
    if (result == RESULT_REFUSED) {
        (void)snprintf(ret_refused, MIGRATE_REFUSED_SIZE, "%.199s", fault.text);
        result = settle_received(database, &plan, ret_refused, problem);
    } else if (result == RESULT_OK) {
        *applied_count += run.applied_count;
        result = settle_received(database, &plan, NULL, problem);
    } else {
        result = problem_set(problem, result, "%s", fault.text);
    }
done:
    plan_done(&plan);
    return result;
}

enum result migrate_received(struct sql_database *database, const struct migrate_options *options,
                             size_t *ret_applied_count, char ret_refused[MIGRATE_REFUSED_SIZE],
                             struct problem *problem)
{
    size_t applied_count = 0;
    enum result result = RESULT_OK;

    invariant(options->side == SCHEMA_SIDE_AGENT);
    ret_refused[0] = '\0';
    result =
        run_received(database, options, RESTRICT_PRODUCT, &applied_count, ret_refused, problem);
    if (result == RESULT_OK)
        result =
            run_received(database, options, RESTRICT_COMPANY, &applied_count, ret_refused, problem);
    if (result == RESULT_OK && ret_applied_count != NULL)
        *ret_applied_count = applied_count;
    return result;
}

/* ---- versions ---- */

/* The check of a company's version is that of the one before it, and this script. */
static uint32_t check_after(uint32_t check, const char *name, const char *digest)
{
    crypto_generichash_state state;
    uint8_t hash[crypto_generichash_BYTES];
    const uint8_t before[] = {(uint8_t)(check >> 16), (uint8_t)(check >> 8), (uint8_t)check};

    invariant(crypto_generichash_init(&state, NULL, 0, sizeof hash) == 0);
    (void)crypto_generichash_update(&state, before, sizeof before);
    (void)crypto_generichash_update(&state, (const uint8_t *)name, strlen(name));
    (void)crypto_generichash_update(&state, (const uint8_t *)digest, strlen(digest));
    (void)crypto_generichash_final(&state, hash, sizeof hash);
    return ((uint32_t)hash[0] << 16 | (uint32_t)hash[1] << 8 | hash[2]) &
           ((1u << SCHEMA_CHECK_BITS) - 1);
}

static enum result read_steps(struct sql_database *database, struct arena *arena,
                              struct catalog_step *steps, size_t room, size_t *ret_count,
                              struct problem *problem)
{
    struct sql_statement *statement = NULL;
    uint32_t check = 0;
    size_t count = 0;
    bool row = true;
    enum result result =
        sql_prepare(database,
                    "SELECT name, digest FROM fs_migration WHERE substr(name, 5, 8) = '_common_'"
                    " AND CAST(substr(name, 1, 4) AS INTEGER) >= 5000 ORDER BY name",
                    &statement, problem);

    while (result == RESULT_OK && count < room) {
        const char *name = NULL;
        const char *digest = NULL;

        result = sql_step(statement, &row, problem);
        if (result != RESULT_OK || !row)
            break;
        result = sql_column_text(statement, 0, arena, &name, problem);
        if (result == RESULT_OK)
            result = sql_column_text(statement, 1, arena, &digest, problem);
        if (result != RESULT_OK)
            break;
        check = check_after(check, name, digest);
        /* two scripts of one number are one step */
        if (count > 0 && steps[count - 1].number == number_of(name))
            count--;
        steps[count++] = (struct catalog_step){.number = (uint16_t)number_of(name), .check = check};
    }
    sql_release(statement);
    *ret_count = count;
    return result;
}

enum result migrate_steps(struct sql_database *database, struct arena *arena,
                          const struct catalog_step **ret_steps, size_t *ret_count,
                          struct problem *problem)
{
    struct catalog_step *steps = NULL;
    bool exists = false;
    int64_t room = 0;
    enum result result = table_exists(database, "fs_migration", &exists, problem);

    *ret_steps = NULL;
    *ret_count = 0;
    if (result != RESULT_OK || !exists)
        return result;
    result = sql_query_integer(database, "SELECT count(*) FROM fs_migration", NULL, 0, 0, &room,
                               problem);
    if (result != RESULT_OK)
        return result;
    steps = arena_array(arena, (size_t)room + 1, sizeof *steps);
    if (steps == NULL)
        return arena_full(arena, problem);
    result = read_steps(database, arena, steps, (size_t)room, ret_count, problem);
    *ret_steps = steps;
    return result;
}

enum result migrate_version(struct sql_database *database, int64_t *ret_version,
                            struct problem *problem)
{
    struct schema_version version = {0};
    const struct catalog_step *steps = NULL;
    struct arena arena;
    size_t count = 0;
    bool exists = false;
    enum result result = table_exists(database, "fs_migration", &exists, problem);

    arena_init(&arena, PLAN_ARENA_SIZE_MAX);
    if (result == RESULT_OK && exists)
        result = sql_query_integer(database,
                                   "SELECT max(CAST(substr(name, 1, 4) AS INTEGER)) FROM"
                                   " fs_migration WHERE substr(name, 5, 8) = '_common_'"
                                   " AND CAST(substr(name, 1, 4) AS INTEGER) < 5000",
                                   NULL, 0, 0, &version.product, problem);
    if (result == RESULT_OK && exists)
        result = migrate_steps(database, &arena, &steps, &count, problem);
    if (count > 0) {
        version.company = steps[count - 1].number;
        version.check = steps[count - 1].check;
    }
    arena_done(&arena);
    if (result == RESULT_OK)
        *ret_version = schema_version_number(version);
    return result;
}
