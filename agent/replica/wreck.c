/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/replica/wreck.h"

#include "base/invariant.h"

#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum {
    VALUE_SIZE_MAX = 16 * 1024 * 1024, /* as schema/sql.c has it */
    PROBES_CLOSE = 4096,               /* rowids behind a failure that are tried one by one */
};

struct wreck {
    sqlite3 *handle;
    struct vault *vault;
};

/* ---- open ------------------------------------------------------------------------------------ */

/* writable_schema: the part of the list of tables that comes before a damaged page counts. Nothing
 * of the file is run, so a trigger or a view that damage has made up does nothing. */
static enum result set_up(struct wreck *wreck, struct problem *problem)
{
    static const int OFF[] = {SQLITE_DBCONFIG_ENABLE_TRIGGER, SQLITE_DBCONFIG_ENABLE_VIEW,
                              SQLITE_DBCONFIG_TRUSTED_SCHEMA, SQLITE_DBCONFIG_DEFENSIVE};
    sqlite3 *handle = wreck->handle;
    int code = SQLITE_OK;

    for (size_t i = 0; i < sizeof OFF / sizeof OFF[0] && code == SQLITE_OK; i++)
        code = sqlite3_db_config(handle, OFF[i], 0, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void)sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, VALUE_SIZE_MAX);
    if (code == SQLITE_OK)
        code = sqlite3_exec(handle, "PRAGMA writable_schema = ON; PRAGMA cell_size_check = ON",
                            NULL, NULL, NULL);
    if (code == SQLITE_OK) /* the first statement meets the damage, the next one the rest */
        (void)sqlite3_exec(handle, "SELECT 1 FROM sqlite_schema LIMIT 1", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(handle, "SELECT 1 FROM sqlite_schema LIMIT 1", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        return RESULT_OK;
    return problem_set(problem, (code & 0xff) == SQLITE_NOMEM ? RESULT_EXHAUSTED : RESULT_STORAGE,
                       "nothing can be read: %s", sqlite3_errmsg(handle));
}

enum result wreck_open(const char *path, const struct vault_options *vault,
                       struct wreck **ret_wreck, struct problem *problem)
{
    const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_READWRITE;
    struct wreck *wreck = calloc(1, sizeof *wreck);
    enum result result = RESULT_OK;

    if (wreck == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory");
    if (vault != NULL)
        result = vault_create(vault, &wreck->vault, problem);
    if (result == RESULT_OK &&
        sqlite3_open_v2(path, &wreck->handle, flags,
                        wreck->vault != NULL ? vault_vfs_name(wreck->vault) : NULL) != SQLITE_OK)
        result = problem_set(problem, RESULT_STORAGE, "%s", sqlite3_errmsg(wreck->handle));
    if (result == RESULT_OK)
        result = set_up(wreck, problem);
    if (result != RESULT_OK) {
        wreck_close(wreck);
        return result;
    }
    *ret_wreck = wreck;
    return RESULT_OK;
}

void wreck_close(struct wreck *wreck)
{
    if (wreck == NULL)
        return;
    (void)sqlite3_close_v2(wreck->handle);
    vault_destroy(wreck->vault);
    free(wreck);
}

bool wreck_is_sound(struct wreck *wreck)
{
    sqlite3_stmt *statement = NULL;
    bool is_sound = sqlite3_prepare_v2(wreck->handle, "PRAGMA integrity_check(1)", -1, &statement,
                                       NULL) == SQLITE_OK &&
                    sqlite3_step(statement) == SQLITE_ROW &&
                    sqlite3_stricmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0;

    (void)sqlite3_finalize(statement);
    return is_sound;
}

/* ---- a table --------------------------------------------------------------------------------- */

void wreck_scan_begin(struct wreck_scan *scan, struct wreck *wreck, const char *table,
                      int64_t first, int64_t last)
{
    *scan = (struct wreck_scan){
        .wreck = wreck, .table = table, .at = first, .last = last, .is_over = first > last};
}

void wreck_scan_begin_keyed(struct wreck_scan *scan, struct wreck *wreck, const char *table)
{
    wreck_scan_begin(scan, wreck, table, 1, INT64_MAX);
    scan->has_no_rowid = true;
}

/* Steps to the first row at or behind `first`. SQLITE_ROW leaves the statement there. */
static int seek(struct wreck_scan *scan, int64_t first)
{
    const char *form = scan->has_no_rowid ? "SELECT ?1, * FROM \"%w\" WHERE ?2"
                                          : "SELECT rowid, * FROM \"%w\" NOT INDEXED"
                                            " WHERE rowid BETWEEN ?1 AND ?2 ORDER BY rowid";
    char *text = sqlite3_mprintf(form, scan->table);
    int code = text == NULL ? SQLITE_NOMEM : SQLITE_OK;

    (void)sqlite3_finalize(scan->statement);
    scan->statement = NULL;
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(scan->wreck->handle, text, -1, &scan->statement, NULL);
    sqlite3_free(text);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(scan->statement, 1, first);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(scan->statement, 2, scan->last);
    return code == SQLITE_OK ? sqlite3_step(scan->statement) : code;
}

static bool is_read(int code)
{
    return code == SQLITE_ROW || code == SQLITE_DONE;
}

/* Behind a failure at rowid `from`: one by one, then further and further away; of what lies between
 * the last failure and the first success, by halves, the place where it begins. SQLITE_DONE: up to
 * scan->last nothing can be read. */
static int look_behind(struct wreck_scan *scan, int64_t from, int64_t *ret_first)
{
    int64_t failed = from;
    int64_t good = from;
    int64_t step = 1;
    int code = SQLITE_CORRUPT;

    for (int64_t probes = 0; !is_read(code) && code != SQLITE_NOMEM; probes++) {
        failed = good;
        if (failed == scan->last)
            return SQLITE_DONE;
        if (probes > PROBES_CLOSE && step < INT64_MAX / 2)
            step *= 2;
        good = step > scan->last - failed ? scan->last : failed + step;
        code = seek(scan, good);
    }
    while (is_read(code) && good - failed > 1) {
        int64_t middle = failed + (good - failed) / 2;

        if (is_read(seek(scan, middle)))
            good = middle;
        else
            failed = middle;
    }
    *ret_first = good;
    return code == SQLITE_NOMEM ? code : SQLITE_ROW;
}

static bool has_table(struct wreck_scan *scan)
{
    return sqlite3_table_column_metadata(scan->wreck->handle, "main", scan->table, NULL, NULL, NULL,
                                         NULL, NULL, NULL) == SQLITE_OK;
}

static enum result no_memory(struct problem *problem)
{
    return problem_set(problem, RESULT_EXHAUSTED, "no memory for reading a damaged file");
}

/* The row at hand couldn't be read, nor whatever came up to the next one that can. */
static enum result pass_gap(struct wreck_scan *scan, enum wreck_found *ret_found,
                            struct problem *problem)
{
    int64_t first = 0;
    int code =
        has_table(scan) && !scan->has_no_rowid ? look_behind(scan, scan->at, &first) : SQLITE_DONE;

    if (code == SQLITE_NOMEM)
        return no_memory(problem);
    (void)sqlite3_finalize(scan->statement);
    scan->statement = NULL;
    scan->gap_first = scan->at;
    scan->gap_last = code == SQLITE_DONE ? scan->last : first - 1;
    scan->is_over = code == SQLITE_DONE;
    scan->at = first;
    *ret_found = WRECK_GAP;
    return RESULT_OK;
}

enum result wreck_next(struct wreck_scan *scan, enum wreck_found *ret_found,
                       struct problem *problem)
{
    int code = SQLITE_DONE;

    *ret_found = WRECK_END;
    if (scan->is_over)
        return RESULT_OK;
    code = scan->statement == NULL ? seek(scan, scan->at) : sqlite3_step(scan->statement);
    if (code == SQLITE_NOMEM)
        return no_memory(problem);
    if (code == SQLITE_ROW && !scan->has_no_rowid && wreck_rowid(scan) < scan->at)
        code = SQLITE_CORRUPT; /* out of order: round in a circle */
    if (!is_read(code))
        return pass_gap(scan, ret_found, problem);
    scan->is_over = code == SQLITE_DONE;
    if (code == SQLITE_DONE)
        return RESULT_OK;
    if (!scan->has_no_rowid) {
        scan->is_over = wreck_rowid(scan) >= scan->last;
        scan->at = scan->is_over ? scan->last : wreck_rowid(scan) + 1;
    }
    *ret_found = WRECK_ROW;
    return RESULT_OK;
}

void wreck_scan_end(struct wreck_scan *scan)
{
    (void)sqlite3_finalize(scan->statement);
    *scan = (struct wreck_scan){0};
}

/* ---- the row at hand ------------------------------------------------------------------------- */

/* -1: there is none. The first one is the rowid. */
static int column_of(const struct wreck_scan *scan, const char *name)
{
    for (int i = 1; i < sqlite3_column_count(scan->statement); i++)
        if (strcmp(sqlite3_column_name(scan->statement, i), name) == 0)
            return i;
    return -1;
}

bool wreck_has_column(const struct wreck_scan *scan, const char *column)
{
    return column_of(scan, column) >= 0;
}

int64_t wreck_rowid(const struct wreck_scan *scan)
{
    return sqlite3_column_int64(scan->statement, 0);
}

int64_t wreck_integer(struct wreck_scan *scan, const char *column)
{
    int index = column_of(scan, column);

    return index < 0 ? 0 : sqlite3_column_int64(scan->statement, index);
}

static struct bytes bytes_at(sqlite3_stmt *statement, int index)
{
    const void *data = sqlite3_column_blob(statement, index);

    return bytes_of(data, (size_t)sqlite3_column_bytes(statement, index));
}

enum result wreck_value(struct wreck_scan *scan, const char *column, struct arena *arena,
                        struct value *ret_value, struct problem *problem)
{
    sqlite3_stmt *statement = scan->statement;
    int index = column_of(scan, column);
    struct value value = value_null();

    switch (index < 0 ? SQLITE_NULL : sqlite3_column_type(statement, index)) {
    case SQLITE_INTEGER:
        value = value_integer(sqlite3_column_int64(statement, index));
        break;
    case SQLITE_FLOAT:
        if (isfinite(sqlite3_column_double(statement, index)))
            value = value_real(sqlite3_column_double(statement, index));
        break;
    case SQLITE_TEXT:
        value = value_text(bytes_at(statement, index));
        break;
    case SQLITE_BLOB:
        value = value_blob(bytes_at(statement, index));
        break;
    default:
        break;
    }
    return value_copy(arena, &value, ret_value, problem);
}
