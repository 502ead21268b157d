/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/migrate.h"

#include "base/invariant.h"
#include "embedded_files.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_SIZE = 61,
    DIGEST_TEXT_SIZE = 2 * crypto_generichash_BYTES + 1,
    NUMBER_DIGITS = 4,
};

struct script {
    char name[NAME_SIZE];
    const char *text;
    char digest[DIGEST_TEXT_SIZE];
};

struct plan {
    struct script *scripts; /* of this side, by name; owned */
    size_t count;
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

static enum result plan_make(struct plan *plan, enum schema_side side,
                             const struct migration_script *extra, size_t extra_count,
                             struct problem *problem)
{
    enum result result = RESULT_OK;

    plan->scripts = calloc(EMBEDDED_MIGRATION_COUNT + extra_count + 1, sizeof *plan->scripts);
    if (plan->scripts == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for the list of migrations");
    for (size_t i = 0; i < EMBEDDED_MIGRATION_COUNT && result == RESULT_OK; i++) {
        const struct embedded_file *file = &EMBEDDED_MIGRATIONS[i];

        result = plan_add(plan, side, file->name, strcspn(file->name, "."),
                          (const char *)file->data, problem);
    }
    for (size_t i = 0; i < extra_count && result == RESULT_OK; i++)
        result = plan_add(plan, side, extra[i].name, strlen(extra[i].name), extra[i].text, problem);
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
    enum result result = sql_query_integer(
        database,
        "SELECT count(*) FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ?1", &value,
        1, 0, &count, problem);

    *ret_exists = count > 0;
    return result;
}

static const struct script *plan_find(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->count; i++)
        if (strcmp(plan->scripts[i].name, name) == 0)
            return &plan->scripts[i];
    return NULL;
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

/* The statements of one script, with capture off on an agent. */
static enum result run_script(struct sql_database *database, enum schema_side side,
                              const struct script *script, struct problem *problem)
{
    bool has_flag = false;
    enum result result = RESULT_OK;

    if (side == SCHEMA_SIDE_AGENT)
        result = table_exists(database, "fs_flag", &has_flag, problem);
    if (result == RESULT_OK && has_flag)
        result = sql_exec(database, "INSERT INTO fs_flag(k) VALUES (1)", problem);
    if (result == RESULT_OK)
        result = sql_exec(database, script->text, problem);
    if (result == RESULT_OK && !sql_in_transaction(database))
        return problem_set(problem, RESULT_REFUSED, "the script ends its transaction: it mustn't");
    if (result == RESULT_OK && has_flag)
        result = sql_exec(database, "DELETE FROM fs_flag", problem);
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

static enum result apply(struct sql_database *database, enum schema_side side,
                         const struct script *script, struct wall_time now, size_t *applied_count,
                         struct problem *problem)
{
    struct sql_transaction transaction = {0};
    const struct value record[] = {value_text_of(script->name), value_integer(now.us),
                                   value_text_of(script->digest)};
    bool applied = false;
    enum result result = sql_begin(&transaction, database, SQL_IMMEDIATE, problem);

    if (result == RESULT_OK) /* only now: another process may have been faster */
        result = is_applied(database, script->name, &applied, problem);
    if (result != RESULT_OK || applied)
        goto done;
    result = run_script(database, side, script, problem);
    if (result == RESULT_OK && side == SCHEMA_SIDE_SERVER)
        result = check_references(database, problem);
    if (result == RESULT_OK)
        result = sql_run(database,
                         "INSERT INTO fs_migration(name, applied_at, digest) VALUES (?1, ?2, ?3)",
                         record, 3, problem);
    if (result == RESULT_OK)
        result = sql_commit(&transaction, problem);
    if (result == RESULT_OK)
        (*applied_count)++;
done:
    sql_end(&transaction);
    if (result != RESULT_OK)
        problem_add(problem, "migration %s (undone)", script->name);
    return result;
}

enum result migrate_run(struct sql_database *database, enum schema_side side,
                        const struct migration_script *extra, size_t extra_count,
                        struct wall_time now, size_t *ret_applied_count, struct problem *problem)
{
    struct plan plan = {0};
    struct problem ignored = {0};
    size_t applied_count = 0;
    int64_t foreign_keys = 0;
    enum result result = plan_make(&plan, side, extra, extra_count, problem);

    if (result == RESULT_OK)
        result = check_applied(database, &plan, side, problem);
    if (result == RESULT_OK)
        result =
            sql_query_integer(database, "PRAGMA foreign_keys", NULL, 0, 0, &foreign_keys, problem);
    if (result == RESULT_OK &&
        foreign_keys != 0) /* a table that is rebuilt is dropped on the way */
        result = sql_exec(database, "PRAGMA foreign_keys = OFF", problem);
    for (size_t i = 0; i < plan.count && result == RESULT_OK; i++)
        result = apply(database, side, &plan.scripts[i], now, &applied_count, problem);
    if (foreign_keys != 0) {
        enum result back = sql_exec(database, "PRAGMA foreign_keys = ON",
                                    result == RESULT_OK ? problem : &ignored);

        if (result == RESULT_OK)
            result = back;
    }
    free(plan.scripts);
    if (result == RESULT_OK && ret_applied_count != NULL)
        *ret_applied_count = applied_count;
    return result;
}

enum result migrate_version(struct sql_database *database, int64_t *ret_version,
                            struct problem *problem)
{
    bool exists = false;
    enum result result = table_exists(database, "fs_migration", &exists, problem);

    if (result != RESULT_OK)
        return result;
    *ret_version = 0;
    if (!exists)
        return RESULT_OK;
    return sql_query_integer(database,
                             "SELECT max(CAST(substr(name, 1, 4) AS INTEGER)) FROM fs_migration"
                             " WHERE substr(name, 5, 8) = '_common_'",
                             NULL, 0, 0, ret_version, problem);
}
