/* SPDX-License-Identifier: Apache-2.0 */
/* SQL of the agent's own services: read, and written like any other program would. */
#include "agent/replica/replica_inside.h"

#include "base/invariant.h"

#include <sqlite3.h>
#include <string.h>

enum { RESULT_ROWS_FIRST = 32 };

static enum result read_all(struct sql_statement *statement, struct arena *arena,
                            struct replica_result *ret_result, struct problem *problem)
{
    struct replica_result found = {.column_count = (size_t)sql_column_count(statement)};
    size_t room = 0;
    bool has_row = true;
    enum result result = RESULT_OK;

    while (result == RESULT_OK) {
        result = sql_step(statement, &has_row, problem);
        if (result != RESULT_OK || !has_row)
            break;
        if (found.row_count == room) {
            size_t new_room = room == 0 ? RESULT_ROWS_FIRST : room * 2;
            struct value *grown = arena_array(arena, new_room * found.column_count, sizeof *grown);

            if (grown == NULL)
                return arena_full(arena, problem);
            if (room > 0)
                memcpy(grown, found.values, found.row_count * found.column_count * sizeof *grown);
            found.values = grown;
            room = new_room;
        }
        for (size_t i = 0; i < found.column_count && result == RESULT_OK; i++)
            result =
                sql_column_copy(statement, (int)i, arena,
                                &found.values[found.row_count * found.column_count + i], problem);
        found.row_count++;
    }
    if (result == RESULT_OK)
        *ret_result = found;
    return result;
}

enum result replica_query(struct replica *replica, const char *sql, const struct value *parameters,
                          size_t parameter_count, struct arena *arena,
                          struct replica_result *ret_result, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    bool is_inside = sql_in_transaction(replica->database);
    struct problem ignored = {0};
    enum result result = RESULT_OK;

    if (!is_inside) /* a query that writes is a mistake: SQLite refuses it */
        result = sql_run(replica->database, "PRAGMA query_only = ON", NULL, 0, problem);
    if (result == RESULT_OK)
        result = sql_prepare(replica->database, sql, &statement, problem);
    if (result == RESULT_OK)
        result = sql_bind_all(statement, parameters, parameter_count, problem);
    if (result == RESULT_OK)
        result = read_all(statement, arena, ret_result, problem);
    sql_release(statement);
    if (!is_inside &&
        sql_run(replica->database, "PRAGMA query_only = OFF", NULL, 0, &ignored) != RESULT_OK)
        trace_line(replica->trace, "replica: stays read-only: %s", ignored.text);
    return result;
}

/* ---- statements of a person ------------------------------------------------------------------ */

static enum result read_table(struct sql_statement *statement, struct arena *arena,
                              struct replica_table **ret_table, struct problem *problem)
{
    struct replica_table *table = arena_array(arena, 1, sizeof *table);
    size_t count = (size_t)sql_column_count(statement);
    const char **names = arena_array(arena, count + 1, sizeof *names);

    if (table == NULL || names == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < count; i++) {
        names[i] = arena_format(arena, "%s", sql_column_name(statement, (int)i));
        if (names[i] == NULL)
            return arena_full(arena, problem);
    }
    *table = (struct replica_table){.names = names};
    *ret_table = table;
    return read_all(statement, arena, &table->rows, problem);
}

/* Behind a comment, if the text begins with one. */
static const char *skip_comment(const char *text)
{
    const char *end = text;

    if (strncmp(text, "--", 2) == 0)
        return text + strcspn(text, "\n");
    if (strncmp(text, "/*", 2) != 0)
        return text;
    end = strstr(text + 2, "*/");
    return end == NULL ? text + strlen(text) : end + 2;
}

/* Nothing but blanks, semicolons and comments. */
static bool is_blank(const char *text)
{
    const char *before = NULL;

    while (text != before) {
        before = text;
        text = skip_comment(text + strspn(text, " \t\r\n;"));
    }
    return *text == '\0';
}

struct script {
    struct replica *replica;
    struct arena *arena;
    const char *rest;
    const struct replica_table *first;
    struct replica_table *last;
    bool is_reading; /* outside of a transaction: only what reads may come */
    bool is_writing; /* and something else came */
};

/* The transaction is ours: a COMMIT in the midst would keep half a script. */
static int refuse_transactions(void *context, int action, const char *first, const char *second,
                               const char *database, const char *trigger)
{
    (void)context;
    (void)first;
    (void)second;
    (void)database;
    (void)trigger;
    return action == SQLITE_TRANSACTION || action == SQLITE_SAVEPOINT ? SQLITE_DENY : SQLITE_OK;
}

/* With a blank before it, so that it is none of our own statements that wait to be used again. */
static enum result prepare_next(struct script *script, struct sql_statement **ret_statement,
                                struct problem *problem)
{
    sqlite3 *handle = sql_handle(script->replica->database);
    const char *end = sql_statement_end(script->rest);
    const char *text =
        arena_format(script->arena, " %.*s", (int)(end - script->rest), script->rest);
    enum result result;

    if (text == NULL)
        return arena_full(script->arena, problem);
    script->rest = end;
    (void)sqlite3_set_authorizer(handle, refuse_transactions, NULL);
    result = sql_prepare(script->replica->database, text, ret_statement, problem);
    (void)sqlite3_set_authorizer(handle, NULL, NULL);
    return result;
}

static enum result run_next(struct script *script, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    struct replica_table *table = NULL;
    enum result result = prepare_next(script, &statement, problem);

    script->is_writing = result == RESULT_OK && script->is_reading && !sql_is_read_only(statement);
    if (result == RESULT_OK && !script->is_writing)
        result = read_table(statement, script->arena, &table, problem);
    sql_release(statement);
    if (result != RESULT_OK || table == NULL || table->rows.column_count == 0)
        return result;
    if (script->last == NULL)
        script->first = table;
    else
        script->last->next = table;
    script->last = table;
    return RESULT_OK;
}

static enum result run_all(struct script *script, struct problem *problem)
{
    enum result result = RESULT_OK;

    while (result == RESULT_OK && !is_blank(script->rest))
        result = run_next(script, problem);
    return result;
}

/* A single statement that reads, or is_writing: it is something else. */
static enum result read_only(struct script *script, struct problem *problem)
{
    script->is_writing = !is_blank(sql_statement_end(script->rest));
    script->is_reading = true;
    return script->is_writing ? RESULT_OK : run_all(script, problem);
}

enum result replica_run_script(struct replica *replica, const char *text, struct arena *arena,
                               const struct replica_table **ret_tables, struct problem *problem)
{
    const struct script begun = {.replica = replica, .arena = arena, .rest = text};
    struct script script = begun;
    enum result result = read_only(&script, problem);

    if (result == RESULT_OK && script.is_writing) {
        script = begun;
        result = replica_begin(replica, problem);
        if (result != RESULT_OK)
            return result;
        result = run_all(&script, problem);
        if (result == RESULT_OK)
            result = replica_commit(replica, true, problem);
        if (result != RESULT_OK)
            replica_rollback(replica);
    }
    if (result == RESULT_OK)
        *ret_tables = script.first;
    return result;
}

/* ---- transactions of our own ----------------------------------------------------------------- */

/* What a person recorded is worth a flush: these transactions are all durable. */
enum result replica_begin(struct replica *replica, struct problem *problem)
{
    enum result result = RESULT_OK;

    invariant(replica->transaction.database == NULL); /* one at a time */
    result = replica_durable_begin(replica, &replica->transaction, problem);
    if (result != RESULT_OK)
        replica_rollback(replica);
    return result;
}

enum result replica_execute(struct replica *replica, const char *sql,
                            const struct value *parameters, size_t parameter_count,
                            struct problem *problem)
{
    invariant(replica->transaction.database != NULL);
    return sql_run(replica->database, sql, parameters, parameter_count, problem);
}

enum result replica_commit(struct replica *replica, bool is_durable, struct problem *problem)
{
    enum result result = RESULT_OK;

    (void)is_durable; /* it is in any case */
    invariant(replica->transaction.database != NULL);
    result = sql_commit(&replica->transaction, problem);
    if (result != RESULT_OK)
        return result;
    replica_rollback(replica); /* nothing left to undo: back to quick commits */
    replica_written(replica, 1);
    return RESULT_OK;
}

void replica_rollback(struct replica *replica)
{
    replica_durable_end(replica, &replica->transaction);
}

enum result replica_new_id(struct replica *replica, int64_t *ret_id, struct problem *problem)
{
    int64_t id = 0;
    enum result result =
        sql_query_integer(replica->database, "SELECT id FROM new_id", NULL, 0, 0, &id, problem);

    if (result == RESULT_OK && id == 0)
        return problem_set(problem, RESULT_REFUSED, "this device isn't enrolled yet");
    if (result == RESULT_OK)
        *ret_id = id;
    return result;
}
