/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/sql.h"

#include "base/invariant.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sql_statement {
    struct sql_database *database;
    struct sql_statement *next; /* in the list of idle or of taken ones, newest first */
    sqlite3_stmt *handle;
};

struct sql_database {
    sqlite3 *handle;
    struct sql_statement *idle;
    struct sql_statement *taken;
    size_t idle_count;
    enum sql_profile profile;
};

enum {
    VALUE_SIZE_MAX = 16 * 1024 * 1024,
    STATEMENT_SIZE_MAX = 100 * 1000,
    TABLE_COLUMNS_MAX = 200,
    BUSY_TIMEOUT_MS = 5000,
    CACHE_KIB = 16 * 1024,
    STATEMENT_JOURNAL_SIZE = 120 * 1024, /* allocated whole: below what malloc would map */
};

/* What the caller does after this code of SQLite. */
static enum result result_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return RESULT_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_SCHEMA:
    case SQLITE_PROTOCOL:
        return RESULT_WAIT;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
    case SQLITE_INTERRUPT:
        return RESULT_EXHAUSTED;
    case SQLITE_CONSTRAINT:
    case SQLITE_ERROR:
    case SQLITE_MISMATCH:
    case SQLITE_AUTH:
    case SQLITE_RANGE:
        return RESULT_REFUSED;
    default: /* IOERR CORRUPT NOTADB READONLY CANTOPEN PERM INTERNAL MISUSE ... */
        return RESULT_STORAGE;
    }
}

/* There is no room for the log's index: with SQLite that is an error of the disk like any other. */
static bool has_no_room(const struct sql_database *database, int code)
{
    return code == SQLITE_IOERR_SHMSIZE && sqlite3_system_errno(database->handle) == ENOSPC;
}

static const char *why(const struct sql_database *database, int code)
{
    const char *text = NULL;

    if (has_no_room(database, code))
        return sqlite3_errstr(SQLITE_FULL);
    if (code != SQLITE_IOERR_DATA ||
        sqlite3_file_control(database->handle, "main", SQL_CONTROL_WHY, &text) != SQLITE_OK)
        return NULL;
    return text;
}

/* Problem: what was done, then SQLite's words. `what` is cut, statements may be long. */
static enum result failed(const struct sql_database *database, int code, const char *what,
                          struct problem *problem)
{
    enum { WHAT_SHOWN_MAX = 160 };
    enum result result = has_no_room(database, code) ? RESULT_EXHAUSTED : result_of(code);
    const char *reason = why(database, code);

    invariant(result != RESULT_OK);
    return problem_set(problem, result, "%.*s: %s (SQLite %d)", (int)WHAT_SHOWN_MAX, what,
                       reason != NULL ? reason : sqlite3_errmsg(database->handle), code);
}

/* ---- open and close ---- */

void sql_set_up_process(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* a lock and sums at each malloc */
    /* What a statement would undo, in memory: with SQLite's 64 KiB one that changes 16 pages moves
     * it to a file, and the rest of the transaction keeps it there, page by page. */
    (void)sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, STATEMENT_JOURNAL_SIZE);
}

static const char *pragmas_of(enum sql_profile profile)
{
    switch (profile) {
    case SQL_PROFILE_SERVER:
        return "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";
    case SQL_PROFILE_AGENT:
        return "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = OFF;";
    case SQL_PROFILE_PLAIN:
    case SQL_PROFILE_CHECKPOINT:
        break;
    }
    return "";
}

static enum result harden(struct sql_database *database, struct problem *problem)
{
    sqlite3 *handle = database->handle;
    int code = sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (code == SQLITE_OK) /* "name" is never a string: a misspelt column is an error */
        code = sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_extended_result_codes(handle, 1);
    if (code != SQLITE_OK)
        return failed(database, code, "hardening the connection", problem);
    (void)sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, VALUE_SIZE_MAX);
    (void)sqlite3_limit(handle, SQLITE_LIMIT_SQL_LENGTH, STATEMENT_SIZE_MAX);
    (void)sqlite3_limit(handle, SQLITE_LIMIT_COLUMN, TABLE_COLUMNS_MAX);
    (void)sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
    return RESULT_OK;
}

static enum result set_up(struct sql_database *database, const struct sql_options *options,
                          struct problem *problem)
{
    char text[256];
    int busy_ms = options->busy_timeout_ms == 0  ? BUSY_TIMEOUT_MS
                  : options->busy_timeout_ms < 0 ? 0
                                                 : options->busy_timeout_ms;
    int64_t cache_kib = options->cache_kib == 0 ? CACHE_KIB : options->cache_kib;
    int size = 0;
    enum result result = harden(database, problem);

    if (result != RESULT_OK)
        return result;
    (void)sqlite3_busy_timeout(database->handle, busy_ms);
    if (options->profile == SQL_PROFILE_CHECKPOINT) { /* user_version stands in the file's header */
        (void)sqlite3_wal_autocheckpoint(database->handle, 0);
        return sql_exec(database, "PRAGMA user_version", problem);
    }
    /* The schema is read through a memory map: pages on the heap, between what is parsed and
     * stays, would leave holes of a megabyte. */
    size = snprintf(
        text, sizeof text,
        "PRAGMA wal_autocheckpoint = 0; PRAGMA cell_size_check = ON; PRAGMA secure_delete = ON;"
        "PRAGMA mmap_size = 67108864; SELECT count(*) FROM sqlite_schema;"
        "PRAGMA mmap_size = 0; PRAGMA cache_size = -%" PRId64 ";",
        cache_kib);
    invariant(size > 0 && (size_t)size < sizeof text);
    result = sql_exec(database, text, problem);
    if (result == RESULT_OK && !options->read_only)
        result = sql_exec(database, pragmas_of(options->profile), problem);
    sql_release_memory(database); /* the pages of the schema: it is parsed now */
    return result;
}

void sql_release_memory(struct sql_database *database)
{
    (void)sqlite3_db_release_memory(database->handle);
}

enum result sql_open(const struct sql_options *options, struct sql_database **ret_database,
                     struct problem *problem)
{
    struct sql_database *database = calloc(1, sizeof *database);
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const char *path = options->in_memory ? ":memory:" : options->path;
    enum result result = RESULT_OK;
    int code = SQLITE_OK;

    invariant(path != NULL);
    if (database == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "opening %s: no memory", path);
    database->profile = options->profile;
    flags |= options->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    if (options->in_memory)
        flags |= SQLITE_OPEN_MEMORY | SQLITE_OPEN_CREATE;
    else if (options->create && !options->read_only)
        flags |= SQLITE_OPEN_CREATE;
    code = sqlite3_open_v2(path, &database->handle, flags, options->vfs);
    if (code != SQLITE_OK)
        result = problem_set(problem, result_of(code), "%s (SQLite %d)",
                             database->handle == NULL ? sqlite3_errstr(code)
                                                      : sqlite3_errmsg(database->handle),
                             code);
    else
        result = set_up(database, options, problem);
    if (result != RESULT_OK) {
        problem_add(problem, "opening %s", path);
        sql_close(database);
        return result;
    }
    *ret_database = database;
    return RESULT_OK;
}

static void end_all(struct sql_statement *statement)
{
    while (statement != NULL) {
        struct sql_statement *next = statement->next;

        (void)sqlite3_finalize(statement->handle);
        free(statement);
        statement = next;
    }
}

void sql_close(struct sql_database *database)
{
    if (database == NULL)
        return;
    invariant(database->taken == NULL); /* somebody still holds a statement of it */
    end_all(database->idle);
    (void)sqlite3_close_v2(database->handle);
    free(database);
}

struct sqlite3 *sql_handle(struct sql_database *database)
{
    return database->handle;
}

/* ---- transactions ---- */

enum result sql_begin(struct sql_transaction *transaction, struct sql_database *database,
                      enum sql_begin mode, struct problem *problem)
{
    enum result result = RESULT_OK;

    invariant(transaction->database == NULL);
    invariant(!sql_in_transaction(database)); /* no nesting: the outer scope would lose its end */
    result =
        sql_run(database, mode == SQL_IMMEDIATE ? "BEGIN IMMEDIATE" : "BEGIN", NULL, 0, problem);
    if (result == RESULT_OK)
        *transaction = (struct sql_transaction){.database = database};
    return result;
}

enum result sql_commit(struct sql_transaction *transaction, struct problem *problem)
{
    enum result result = RESULT_OK;

    invariant(transaction->database != NULL);
    if (!sql_in_transaction(transaction->database)) {
        transaction->database = NULL;
        return problem_set(problem, RESULT_EXHAUSTED,
                           "nothing to commit: an earlier failure has undone the transaction");
    }
    result = sql_run(transaction->database, "COMMIT", NULL, 0, problem);
    if (result == RESULT_STORAGE || result == RESULT_EXHAUSTED) {
        transaction->outcome_unknown = true;
        problem_add(problem, "the outcome of this commit is unknown, read again before going on");
    }
    if (result == RESULT_OK)
        transaction->database = NULL;
    return result;
}

void sql_end(struct sql_transaction *transaction)
{
    struct problem ignored = {0};

    if (transaction->database == NULL)
        return;
    /* A rollback that fails has nothing left to undo, or the file is broken: the next use says. */
    if (sql_in_transaction(transaction->database) &&
        sql_run(transaction->database, "ROLLBACK", NULL, 0, &ignored) != RESULT_OK)
        (void)sqlite3_exec(transaction->database->handle, "ROLLBACK", NULL, NULL, NULL);
    transaction->database = NULL;
}

bool sql_in_transaction(const struct sql_database *database)
{
    return sqlite3_get_autocommit(database->handle) == 0;
}

/* ---- statements ---- */

static struct sql_statement *take_idle(struct sql_database *database, const char *text)
{
    struct sql_statement **link = &database->idle;

    while (*link != NULL) {
        struct sql_statement *statement = *link;

        if (strcmp(sqlite3_sql(statement->handle), text) == 0) {
            *link = statement->next;
            database->idle_count--;
            return statement;
        }
        link = &statement->next;
    }
    return NULL;
}

static enum result compile(struct sql_database *database, const char *text,
                           struct sql_statement **ret_statement, struct problem *problem)
{
    sqlite3_stmt *handle = NULL;
    const char *tail = NULL;
    struct sql_statement *statement = NULL;
    int code =
        sqlite3_prepare_v3(database->handle, text, -1, SQLITE_PREPARE_PERSISTENT, &handle, &tail);

    if (code != SQLITE_OK)
        return failed(database, code, text, problem);
    if (handle == NULL || tail[strspn(tail, " \t\r\n;")] != '\0') {
        (void)sqlite3_finalize(handle);
        return problem_set(problem, RESULT_REFUSED, "%.160s: exactly one statement is expected",
                           text);
    }
    statement = calloc(1, sizeof *statement);
    if (statement == NULL) {
        (void)sqlite3_finalize(handle);
        return problem_set(problem, RESULT_EXHAUSTED, "%.160s: no memory", text);
    }
    statement->database = database;
    statement->handle = handle;
    *ret_statement = statement;
    return RESULT_OK;
}

const char *sql_statement_end(const char *script)
{
    char *begun = malloc(STATEMENT_SIZE_MAX + 1);
    size_t size = 0;
    bool is_over = begun == NULL;

    while (!is_over && script[size] != '\0' && size < STATEMENT_SIZE_MAX) {
        begun[size] = script[size];
        begun[++size] = '\0';
        is_over = begun[size - 1] == ';' && sqlite3_complete(begun) != 0;
    }
    free(begun);
    return is_over ? script + size : script + strlen(script);
}

bool sql_is_read_only(const struct sql_statement *statement)
{
    return sqlite3_stmt_readonly(statement->handle) != 0;
}

const char *sql_column_name(struct sql_statement *statement, int index)
{
    const char *name = sqlite3_column_name(statement->handle, index);

    return name == NULL ? "" : name;
}

enum result sql_prepare(struct sql_database *database, const char *text,
                        struct sql_statement **ret_statement, struct problem *problem)
{
    struct sql_statement *statement = take_idle(database, text);

    if (statement == NULL) {
        enum result result = compile(database, text, &statement, problem);

        if (result != RESULT_OK)
            return result;
    }
    statement->next = database->taken;
    database->taken = statement;
    *ret_statement = statement;
    return RESULT_OK;
}

/* Ends the idle statement that was unused for longest: the last of the list. */
static void forget_oldest(struct sql_database *database)
{
    struct sql_statement **link = &database->idle;

    while ((*link)->next != NULL)
        link = &(*link)->next;
    end_all(*link);
    *link = NULL;
    database->idle_count--;
}

void sql_release(struct sql_statement *statement)
{
    struct sql_database *database = NULL;
    struct sql_statement **link = NULL;

    if (statement == NULL)
        return;
    database = statement->database;
    link = &database->taken;
    while (*link != statement) {
        invariant(*link != NULL); /* released twice */
        link = &(*link)->next;
    }
    *link = statement->next;
    (void)sqlite3_reset(statement->handle);
    (void)sqlite3_clear_bindings(statement->handle);
    statement->next = database->idle;
    database->idle = statement;
    database->idle_count++;
    if (database->idle_count > SQL_STATEMENTS_KEPT_MAX)
        forget_oldest(database);
}

void sql_reset(struct sql_statement *statement)
{
    (void)sqlite3_reset(statement->handle); /* repeats the failure that the step reported */
}

static int bind_bytes(struct sql_statement *statement, int index, const struct value *value)
{
    static const char NOTHING[1] = ""; /* a NULL pointer would bind NULL */
    const void *data = value->bytes.size == 0 ? (const void *)NOTHING : value->bytes.data;

    if (value->type == VALUE_TEXT)
        return sqlite3_bind_text64(statement->handle, index, data, value->bytes.size, SQLITE_STATIC,
                                   SQLITE_UTF8);
    return sqlite3_bind_blob64(statement->handle, index, data, value->bytes.size, SQLITE_STATIC);
}

enum result sql_bind(struct sql_statement *statement, int index, const struct value *value,
                     struct problem *problem)
{
    int code = SQLITE_OK;

    switch (value->type) {
    case VALUE_NULL:
        code = sqlite3_bind_null(statement->handle, index);
        break;
    case VALUE_INTEGER:
        code = sqlite3_bind_int64(statement->handle, index, value->integer);
        break;
    case VALUE_REAL:
        if (!isfinite(value->real))
            return problem_set(problem, RESULT_REFUSED, "parameter %d isn't a finite number",
                               index);
        code = sqlite3_bind_double(statement->handle, index, value->real);
        break;
    case VALUE_TEXT:
        if (value->bytes.size > 0 && memchr(value->bytes.data, 0, value->bytes.size) != NULL)
            return problem_set(problem, RESULT_REFUSED, "the text of parameter %d holds a NUL",
                               index);
        code = bind_bytes(statement, index, value);
        break;
    case VALUE_BLOB:
        code = bind_bytes(statement, index, value);
        break;
    }
    if (code != SQLITE_OK)
        return failed(statement->database, code, sqlite3_sql(statement->handle), problem);
    return RESULT_OK;
}

enum result sql_bind_integer(struct sql_statement *statement, int index, int64_t integer,
                             struct problem *problem)
{
    struct value value = value_integer(integer);

    return sql_bind(statement, index, &value, problem);
}

enum result sql_bind_text(struct sql_statement *statement, int index, const char *text,
                          struct problem *problem)
{
    struct value value = value_text_of(text);

    return sql_bind(statement, index, &value, problem);
}

enum result sql_bind_all(struct sql_statement *statement, const struct value *values,
                         size_t value_count, struct problem *problem)
{
    invariant(value_count < INT_MAX);
    for (size_t i = 0; i < value_count; i++) {
        enum result result = sql_bind(statement, (int)i + 1, &values[i], problem);

        if (result != RESULT_OK)
            return result;
    }
    return RESULT_OK;
}

enum result sql_step(struct sql_statement *statement, bool *ret_row, struct problem *problem)
{
    int code = sqlite3_step(statement->handle);
    enum result result;

    if (code == SQLITE_ROW || code == SQLITE_DONE) {
        if (code == SQLITE_DONE)
            (void)sqlite3_reset(statement->handle); /* ends its read of the database now */
        *ret_row = code == SQLITE_ROW;
        return RESULT_OK;
    }
    if (result_of(code) == RESULT_OK) /* MISUSE and the like never map to it */
        code = SQLITE_INTERNAL;
    result = failed(statement->database, code, sqlite3_sql(statement->handle), problem);
    (void)sqlite3_reset(statement->handle);
    return result;
}

size_t sql_parameter_count(const struct sql_statement *statement)
{
    return (size_t)sqlite3_bind_parameter_count(statement->handle);
}

int sql_column_count(const struct sql_statement *statement)
{
    return sqlite3_column_count(statement->handle);
}

struct value sql_column(struct sql_statement *statement, int index)
{
    /* Unprotected, as SQLite calls it, is fine: a connection belongs to one thread at a time. */
    sqlite3_value *found = sqlite3_column_value(statement->handle, index);

    switch (sqlite3_value_type(found)) {
    case SQLITE_INTEGER:
        return value_integer(sqlite3_value_int64(found));
    case SQLITE_FLOAT:
        return value_real(sqlite3_value_double(found));
    case SQLITE_TEXT: {
        const void *data = sqlite3_value_text(found);

        return value_text(bytes_of(data, (size_t)sqlite3_value_bytes(found)));
    }
    case SQLITE_BLOB: {
        const void *data = sqlite3_value_blob(found);

        return value_blob(bytes_of(data, (size_t)sqlite3_value_bytes(found)));
    }
    default:
        return value_null();
    }
}

int64_t sql_column_integer(struct sql_statement *statement, int index)
{
    return sqlite3_column_int64(statement->handle, index);
}

bool sql_column_is_null(struct sql_statement *statement, int index)
{
    return sqlite3_column_type(statement->handle, index) == SQLITE_NULL;
}

enum result sql_column_text(struct sql_statement *statement, int index, struct arena *arena,
                            const char **ret_text, struct problem *problem)
{
    struct bytes copy = {0};
    const void *data = sqlite3_column_text(statement->handle, index);
    enum result result = RESULT_OK;

    if (data == NULL) {
        *ret_text = NULL;
        return RESULT_OK;
    }
    result =
        arena_copy(arena, bytes_of(data, (size_t)sqlite3_column_bytes(statement->handle, index)),
                   &copy, problem);
    if (result == RESULT_OK)
        *ret_text = (const char *)copy.data;
    return result;
}

enum result sql_column_copy(struct sql_statement *statement, int index, struct arena *arena,
                            struct value *ret_value, struct problem *problem)
{
    struct value value = sql_column(statement, index);

    return value_copy(arena, &value, ret_value, problem);
}

/* ---- whole runs ---- */

enum result sql_exec(struct sql_database *database, const char *script, struct problem *problem)
{
    int code = sqlite3_exec(database->handle, script, NULL, NULL, NULL);

    if (code != SQLITE_OK)
        return failed(database, code, "running a script", problem);
    return RESULT_OK;
}

enum result sql_run(struct sql_database *database, const char *text, const struct value *values,
                    size_t value_count, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    bool row = true;
    enum result result = sql_prepare(database, text, &statement, problem);

    if (result == RESULT_OK)
        result = sql_bind_all(statement, values, value_count, problem);
    while (result == RESULT_OK && row)
        result = sql_step(statement, &row, problem);
    sql_release(statement);
    return result;
}

enum result sql_query_integer(struct sql_database *database, const char *text,
                              const struct value *values, size_t value_count, int64_t otherwise,
                              int64_t *ret_integer, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    bool row = false;
    enum result result = sql_prepare(database, text, &statement, problem);

    if (result == RESULT_OK)
        result = sql_bind_all(statement, values, value_count, problem);
    if (result == RESULT_OK)
        result = sql_step(statement, &row, problem);
    if (result == RESULT_OK)
        *ret_integer =
            row && !sql_column_is_null(statement, 0) ? sql_column_integer(statement, 0) : otherwise;
    sql_release(statement);
    return result;
}

int64_t sql_changes(const struct sql_database *database)
{
    return sqlite3_changes64(database->handle);
}

/* ---- care of the file ---- */

enum result sql_data_version(struct sql_database *database, int64_t *ret_version,
                             struct problem *problem)
{
    return sql_query_integer(database, "PRAGMA data_version", NULL, 0, 0, ret_version, problem);
}

enum result sql_set_durable(struct sql_database *database, bool durable, struct problem *problem)
{
    invariant(!sql_in_transaction(database)); /* SQLite would ignore it silently */
    if (durable || database->profile != SQL_PROFILE_AGENT)
        return sql_exec(database, "PRAGMA synchronous = FULL", problem);
    return sql_exec(database, "PRAGMA synchronous = NORMAL", problem);
}

static enum result check_file(struct sql_database *database, const char *pragma,
                              struct problem *problem)
{
    struct sql_statement *statement = NULL;
    bool row = false;
    enum result result = sql_prepare(database, pragma, &statement, problem);

    if (result == RESULT_OK)
        result = sql_step(statement, &row, problem);
    if (result == RESULT_OK) {
        struct value found = row ? sql_column(statement, 0) : value_null();

        if (found.type != VALUE_TEXT || !bytes_equal(found.bytes, bytes_of_text("ok")))
            result = problem_set(problem, RESULT_STORAGE, "the file is damaged: %.*s",
                                 found.type == VALUE_TEXT ? (int)found.bytes.size : 0,
                                 found.type == VALUE_TEXT ? (const char *)found.bytes.data : "");
    }
    sql_release(statement);
    return result;
}

enum result sql_quick_check(struct sql_database *database, struct problem *problem)
{
    return check_file(database, "PRAGMA quick_check(1)", problem);
}

enum result sql_integrity_check(struct sql_database *database, struct problem *problem)
{
    return check_file(database, "PRAGMA integrity_check(1)", problem);
}

enum result sql_checkpoint(struct sql_database *database, int64_t *ret_frame_count,
                           int64_t *ret_copied_count, struct problem *problem)
{
    int frame_count = -1;
    int copied_count = -1;
    int code = sqlite3_wal_checkpoint_v2(database->handle, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                         &frame_count, &copied_count);

    if (code != SQLITE_OK)
        return failed(database, code, "checkpoint", problem);
    *ret_frame_count = frame_count < 0 ? 0 : frame_count; /* -1: not in WAL mode */
    *ret_copied_count = copied_count < 0 ? 0 : copied_count;
    return RESULT_OK;
}

enum result sql_vacuum(struct sql_database *database, const char *path, struct problem *problem)
{
    struct value file = value_text_of(path);
    enum result result = RESULT_OK;

    /* VACUUM attaches its target and runs statements as long as the longest CREATE. */
    (void)sqlite3_limit(database->handle, SQLITE_LIMIT_ATTACHED, 1);
    if (path == NULL)
        result = sql_run(database, "VACUUM", NULL, 0, problem);
    else
        result = sql_run(database, "VACUUM INTO ?1", &file, 1, problem);
    (void)sqlite3_limit(database->handle, SQLITE_LIMIT_ATTACHED, 0);
    return result;
}

enum result sql_append_identifier(struct buffer *buffer, const char *name, struct problem *problem)
{
    enum result result = buffer_append(buffer, "\"", 1, problem);

    for (const char *at = name; *at != '\0' && result == RESULT_OK; at++) {
        if (*at == '"')
            result = buffer_append(buffer, "\"", 1, problem);
        if (result == RESULT_OK)
            result = buffer_append(buffer, at, 1, problem);
    }
    if (result == RESULT_OK)
        result = buffer_append(buffer, "\"", 1, problem);
    return result;
}
