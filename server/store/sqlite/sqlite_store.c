/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/sqlite/sqlite_store.h"

#include "base/invariant.h"
#include "schema/triggers.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HIDDEN_COUNT = 4 };    /* _fs_seq, _fs_bucket, _fs_cv, _fs_hash */
enum { INSERT_ROWS_MAX = 8 }; /* of one statement */
enum { STATEMENT_SIZE_MAX = 16 * 1024, RESULT_ROWS_MAX = 4 * 1024 * 1024, PAGE_SIZE_BYTES = 4096 };

struct sqlite_store {
    struct store store; /* first: a struct store * is one of these */
    struct sql_database *database;
    struct sql_database *checkpointer; /* NULL for readers */
    struct sql_transaction transaction;
    struct triggers_pause pause; /* of the writer: what it writes is never captured */
    enum store_mode mode;
    int wal_page_count; /* as of the last commit */
    int64_t wal_size_soft;
    struct buffer text; /* of the statement being built */
};

static struct sqlite_store *sqlite_of(struct store *store)
{
    return (struct sqlite_store *)store;
}

struct sql_database *sqlite_store_database(struct store *store)
{
    return sqlite_of(store)->database;
}

static int note_wal_size(void *context, sqlite3 *database, const char *name, int page_count)
{
    struct sqlite_store *self = context;

    (void)database;
    (void)name;
    self->wal_page_count = page_count;
    return SQLITE_OK;
}

/* ---- transactions ---- */

static enum result sqlite_begin(struct store *store, enum store_mode mode, struct problem *problem)
{
    struct sqlite_store *self = sqlite_of(store);
    enum result result;

    invariant(self->transaction.database == NULL);
    if (mode == STORE_WRITE && self->checkpointer == NULL)
        return problem_set(problem, RESULT_REFUSED, "this connection only reads");
    result = sql_begin(&self->transaction, self->database,
                       mode == STORE_WRITE ? SQL_IMMEDIATE : SQL_DEFERRED, problem);
    if (result != RESULT_OK)
        return result;
    self->mode = mode;
    if (mode == STORE_WRITE)
        result = triggers_pause_begin(&self->pause, self->database, problem);
    if (result != RESULT_OK)
        sql_end(&self->transaction);
    return result;
}

static enum result sqlite_commit(struct store *store, struct problem *problem)
{
    struct sqlite_store *self = sqlite_of(store);
    enum result result = RESULT_OK;

    if (self->mode == STORE_WRITE)
        result = triggers_pause_end(&self->pause, self->database, problem);
    if (result == RESULT_OK)
        result = sql_commit(&self->transaction, problem);
    return result;
}

static void sqlite_rollback(struct store *store)
{
    sql_end(&sqlite_of(store)->transaction);
}

/* ---- statements given as text ---- */

/* An array in an arena that doubles as rows come in. */
struct row_list {
    struct arena *arena;
    size_t item_size;
    size_t count;
    size_t capacity;
    uint8_t *items;
};

static enum result list_add(struct row_list *list, void **ret_item, struct problem *problem)
{
    if (list->count == RESULT_ROWS_MAX)
        return problem_set(problem, RESULT_EXHAUSTED, "more than %d rows", RESULT_ROWS_MAX);
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        uint8_t *items = arena_array(list->arena, capacity, list->item_size);

        if (items == NULL)
            return arena_full(list->arena, problem);
        if (list->count > 0)
            memcpy(items, list->items, list->count * list->item_size);
        list->items = items;
        list->capacity = capacity;
    }
    *ret_item = list->items + list->count * list->item_size;
    list->count++;
    return RESULT_OK;
}

static enum result copy_columns(struct sql_statement *statement, int first, size_t count,
                                struct arena *arena, struct value *values, struct problem *problem)
{
    for (size_t i = 0; i < count; i++) {
        enum result result = sql_column_copy(statement, first + (int)i, arena, &values[i], problem);

        if (result != RESULT_OK)
            return result;
    }
    return RESULT_OK;
}

static enum result sqlite_query(struct store *store, const char *sql,
                                const struct value *parameters, size_t parameter_count,
                                struct arena *arena, struct store_result *ret_result,
                                struct problem *problem)
{
    struct sqlite_store *self = sqlite_of(store);
    struct sql_statement *statement = NULL;
    struct row_list list = {.arena = arena};
    size_t column_count = 0;
    bool has_row = false;
    enum result result = sql_prepare(self->database, sql, &statement, problem);

    if (result != RESULT_OK)
        return result;
    column_count = (size_t)sql_column_count(statement);
    list.item_size = column_count * sizeof(struct value);
    if (parameter_count > sql_parameter_count(statement))
        parameter_count = sql_parameter_count(statement);
    result = sql_bind_all(statement, parameters, parameter_count, problem);
    while (result == RESULT_OK) {
        void *values = NULL;

        result = sql_step(statement, &has_row, problem);
        if (result != RESULT_OK || !has_row)
            break;
        result = list_add(&list, &values, problem);
        if (result == RESULT_OK)
            result = copy_columns(statement, 0, column_count, arena, values, problem);
    }
    sql_release(statement);
    if (result == RESULT_OK)
        *ret_result = (struct store_result){.row_count = list.count,
                                            .column_count = column_count,
                                            .values = (struct value *)(void *)list.items};
    return result;
}

static enum result sqlite_execute(struct store *store, const char *sql,
                                  const struct value *parameters, size_t parameter_count,
                                  size_t run_count, int64_t *ret_changed, struct problem *problem)
{
    struct sqlite_store *self = sqlite_of(store);
    struct sql_statement *statement = NULL;
    int64_t changed = 0;
    enum result result = sql_prepare(self->database, sql, &statement, problem);

    for (size_t run = 0; run < run_count && result == RESULT_OK; run++) {
        bool has_row = true;

        if (parameter_count > 0)
            result = sql_bind_all(statement, parameters + run * parameter_count, parameter_count,
                                  problem);
        while (result == RESULT_OK && has_row)
            result = sql_step(statement, &has_row, problem);
        sql_reset(statement);
        changed += sql_changes(self->database);
    }
    sql_release(statement);
    if (result == RESULT_OK && ret_changed != NULL)
        *ret_changed = changed;
    return result;
}

/* ---- rows by catalog ---- */

static enum result text_add(struct sqlite_store *self, const char *text, struct problem *problem)
{
    return buffer_append(&self->text, text, strlen(text), problem);
}

/* Adds `before`, the quoted name and `after`. */
static enum result text_name(struct sqlite_store *self, const char *before, const char *name,
                             const char *after, struct problem *problem)
{
    enum result result = text_add(self, before, problem);

    if (result == RESULT_OK)
        result = sql_append_identifier(&self->text, name, problem);
    if (result == RESULT_OK)
        result = text_add(self, after, problem);
    return result;
}

/* Closes the text with a NUL and takes the statement from the cache. */
static enum result text_prepare(struct sqlite_store *self, struct sql_statement **ret_statement,
                                struct problem *problem)
{
    enum result result = buffer_append(&self->text, "", 1, problem);

    if (result != RESULT_OK)
        return result;
    return sql_prepare(self->database, (const char *)self->text.data, ret_statement, problem);
}

static enum result select_prepare(struct sqlite_store *self, const struct catalog_table *table,
                                  const char *where, struct sql_statement **ret_statement,
                                  struct problem *problem)
{
    enum result result = RESULT_OK;

    buffer_reset(&self->text);
    for (uint8_t i = 0; i < table->column_count && result == RESULT_OK; i++)
        result = catalog_has_column(table, i) ? text_name(self, i == 0 ? "SELECT " : "",
                                                          table->columns[i].name, ",", problem)
                                              : text_add(self, "NULL,", problem);
    if (result == RESULT_OK)
        result = text_name(self, "_fs_seq,_fs_bucket,_fs_cv,_fs_hash FROM ", table->name, where,
                           problem);
    if (result != RESULT_OK)
        return result;
    return text_prepare(self, ret_statement, problem);
}

/* The same without the columns; `id` comes first all the same. */
static enum result head_prepare(struct sqlite_store *self, const struct catalog_table *table,
                                const char *where, struct sql_statement **ret_statement,
                                struct problem *problem)
{
    enum result result = RESULT_OK;

    buffer_reset(&self->text);
    result =
        text_name(self, "SELECT id,_fs_seq,_fs_bucket,_fs_cv FROM ", table->name, where, problem);
    return result == RESULT_OK ? text_prepare(self, ret_statement, problem) : result;
}

static enum result head_copy(struct sql_statement *statement, const struct catalog_table *table,
                             struct arena *arena, struct stored_row *row, struct problem *problem)
{
    struct value versions;
    enum result result = sql_column_copy(statement, 3, arena, &versions, problem);

    (void)table;
    row->values = arena_alloc(arena, sizeof *row->values);
    if (row->values == NULL)
        return arena_full(arena, problem);
    row->values[0] = value_integer(row->id);
    row->seq = sql_column_integer(statement, 1);
    row->bucket = sql_column_integer(statement, 2);
    if (result == RESULT_OK)
        row->versions = versions.type == VALUE_BLOB ? versions.bytes : (struct bytes){0};
    return result;
}

/* The row under the statement of select_prepare. */
static enum result row_copy(struct sql_statement *statement, const struct catalog_table *table,
                            struct arena *arena, struct stored_row *row, struct problem *problem)
{
    int hidden = table->column_count;
    struct value hash;
    struct value versions;
    enum result result;

    row->values = arena_array(arena, table->column_count, sizeof *row->values);
    if (row->values == NULL)
        return arena_full(arena, problem);
    result = copy_columns(statement, 0, table->column_count, arena, row->values, problem);
    if (result != RESULT_OK)
        return result;
    row->id = row->values[0].integer;
    row->seq = sql_column_integer(statement, hidden);
    row->bucket = sql_column_integer(statement, hidden + 1);
    result = sql_column_copy(statement, hidden + 2, arena, &versions, problem);
    if (result != RESULT_OK)
        return result;
    row->versions = versions.type == VALUE_BLOB ? versions.bytes : (struct bytes){0};
    hash = sql_column(statement, hidden + 3);
    if (hash.type == VALUE_BLOB && hash.bytes.size == ROW_HASH_SIZE)
        memcpy(row->hash, hash.bytes.data, ROW_HASH_SIZE);
    return RESULT_OK;
}

/* Rows by ascending ids with one statement that walks along the table: where the next id is near it
 * steps, where it isn't it seeks; what lies between two rows it passes isn't there. New ids of a
 * device are all past the newest row of its range, so that a whole seal of them costs one seek. */
struct walk {
    struct sql_statement *statement;
    uint64_t steps_max; /* so many rows passed cost about as much as a seek */
    bool is_open;       /* has been sought and wasn't reset */
    bool has_row;       /* `id` is that of the row under it; false: past the last one */
    int64_t sought;     /* everything from here to the row is absent */
    int64_t id;
};

static enum result walk_step(struct walk *walk, struct problem *problem)
{
    enum result result = sql_step(walk->statement, &walk->has_row, problem);

    if (result == RESULT_OK && walk->has_row)
        walk->id = sql_column_integer(walk->statement, 0);
    return result;
}

/* Afterwards the row under it is the first with this id or a higher one. */
static enum result walk_to(struct walk *walk, int64_t id, struct problem *problem)
{
    enum result result = RESULT_OK;

    if (walk->is_open && id >= walk->sought && (!walk->has_row || walk->id >= id))
        return RESULT_OK;
    if (!walk->is_open || id < walk->sought ||
        (uint64_t)id - (uint64_t)walk->id > walk->steps_max) {
        sql_reset(walk->statement);
        walk->is_open = true;
        walk->sought = id;
        result = sql_bind_integer(walk->statement, 1, id, problem);
        return result == RESULT_OK ? walk_step(walk, problem) : result;
    }
    while (result == RESULT_OK && walk->has_row && walk->id < id)
        result = walk_step(walk, problem);
    return result;
}

/* What is read of each row, and how. */
struct reading {
    enum result (*prepare)(struct sqlite_store *self, const struct catalog_table *table,
                           const char *where, struct sql_statement **ret_statement,
                           struct problem *problem);
    enum result (*copy)(struct sql_statement *statement, const struct catalog_table *table,
                        struct arena *arena, struct stored_row *row, struct problem *problem);
    uint64_t steps_max;
};

static enum result read_some(struct store *store, const struct reading *reading,
                             const struct catalog_table *table, const int64_t *ids, size_t count,
                             struct arena *arena, struct stored_row **ret_rows,
                             struct problem *problem)
{
    struct stored_row *rows = arena_array(arena, count, sizeof *rows);
    struct walk walk = {.steps_max = reading->steps_max};
    enum result result;

    if (rows == NULL)
        return arena_full(arena, problem);
    result = reading->prepare(sqlite_of(store), table,
                              count > 1 ? " WHERE id>=?1 ORDER BY id" : " WHERE id=?1",
                              &walk.statement, problem);
    for (size_t i = 0; i < count && result == RESULT_OK; i++) {
        rows[i].id = ids[i];
        result = walk_to(&walk, ids[i], problem);
        if (result == RESULT_OK && walk.has_row && walk.id == ids[i])
            result = reading->copy(walk.statement, table, arena, &rows[i], problem);
    }
    sql_release(walk.statement);
    if (result == RESULT_OK)
        *ret_rows = rows;
    return result;
}

static enum result sqlite_read_rows(struct store *store, const struct catalog_table *table,
                                    const int64_t *ids, size_t count, struct arena *arena,
                                    struct stored_row **ret_rows, struct problem *problem)
{
    static const struct reading ROWS = {select_prepare, row_copy, 3};

    return read_some(store, &ROWS, table, ids, count, arena, ret_rows, problem);
}

static enum result sqlite_read_heads(struct store *store, const struct catalog_table *table,
                                     const int64_t *ids, size_t count, struct arena *arena,
                                     struct stored_row **ret_rows, struct problem *problem)
{
    static const struct reading HEADS = {head_prepare, head_copy, 6};

    return read_some(store, &HEADS, table, ids, count, arena, ret_rows, problem);
}

static enum result sqlite_page(struct store *store, const struct catalog_table *table,
                               int64_t bucket, int64_t seq_after, int64_t seq_to,
                               size_t row_count_max, struct arena *arena,
                               struct stored_row **ret_rows, size_t *ret_count,
                               struct problem *problem)
{
    struct row_list list = {.arena = arena, .item_size = sizeof(struct stored_row)};
    const struct value bounds[] = {value_integer(bucket), value_integer(seq_after),
                                   value_integer(seq_to), value_integer((int64_t)row_count_max)};
    struct sql_statement *statement = NULL;
    bool has_row = false;
    enum result result = select_prepare(
        sqlite_of(store), table,
        " WHERE _fs_bucket=?1 AND _fs_seq>?2 AND _fs_seq<=?3 ORDER BY _fs_seq LIMIT ?4", &statement,
        problem);

    if (result != RESULT_OK)
        return result;
    result = sql_bind_all(statement, bounds, sizeof bounds / sizeof *bounds, problem);
    while (result == RESULT_OK) {
        void *row = NULL;

        result = sql_step(statement, &has_row, problem);
        if (result != RESULT_OK || !has_row)
            break;
        result = list_add(&list, &row, problem);
        if (result == RESULT_OK)
            result = row_copy(statement, table, arena, row, problem);
    }
    sql_release(statement);
    if (result == RESULT_OK) {
        *ret_rows = (struct stored_row *)(void *)list.items;
        *ret_count = list.count;
    }
    return result;
}

static enum result sqlite_ids(struct store *store, const struct catalog_table *table,
                              int64_t bucket, int64_t id_after, size_t id_count_max,
                              struct arena *arena, int64_t **ret_ids, size_t *ret_count,
                              struct problem *problem)
{
    struct sqlite_store *self = sqlite_of(store);
    struct row_list list = {.arena = arena, .item_size = sizeof(int64_t)};
    const struct value bounds[] = {value_integer(bucket), value_integer(id_after),
                                   value_integer((int64_t)id_count_max)};
    struct sql_statement *statement = NULL;
    bool has_row = false;
    enum result result;

    buffer_reset(&self->text);
    result = text_name(self, "SELECT id FROM ", table->name,
                       " WHERE _fs_bucket=?1 AND id>?2 ORDER BY id LIMIT ?3", problem);
    if (result == RESULT_OK)
        result = text_prepare(self, &statement, problem);
    if (result != RESULT_OK)
        return result;
    result = sql_bind_all(statement, bounds, sizeof bounds / sizeof *bounds, problem);
    while (result == RESULT_OK) {
        void *id = NULL;

        result = sql_step(statement, &has_row, problem);
        if (result != RESULT_OK || !has_row)
            break;
        result = list_add(&list, &id, problem);
        if (result == RESULT_OK)
            *(int64_t *)id = sql_column_integer(statement, 0);
    }
    sql_release(statement);
    if (result == RESULT_OK) {
        *ret_ids = (int64_t *)(void *)list.items;
        *ret_count = list.count;
    }
    return result;
}

/* Binds what the sync keeps beside the row, from parameter `index` on. */
static enum result hidden_bind(struct sql_statement *statement, int index,
                               const struct stored_row *row, struct problem *problem)
{
    const struct value hidden[] = {
        value_integer(row->seq), value_integer(row->bucket),
        row->versions.size == 0 ? value_null() : value_blob(row->versions),
        value_blob((struct bytes){.data = row->hash, .size = ROW_HASH_SIZE})};
    enum result result = RESULT_OK;

    for (int i = 0; i < HIDDEN_COUNT && result == RESULT_OK; i++)
        result = sql_bind(statement, index + i, &hidden[i], problem);
    return result;
}

static enum result statement_finish(struct sql_statement *statement, struct problem *problem)
{
    bool has_row = false;
    enum result result = sql_step(statement, &has_row, problem);

    sql_reset(statement);
    return result;
}

/* "?7,": the parameter of a column is its number + 1, whichever there are. */
static enum result text_place(struct sqlite_store *self, int index, const char *after,
                              struct problem *problem)
{
    char place[16];

    (void)snprintf(place, sizeof place, "?%d%s", index, after);
    return text_add(self, place, problem);
}

static int insert_width(const struct catalog_table *table)
{
    return table->column_count + HIDDEN_COUNT;
}

static enum result insert_places(struct sqlite_store *self, const struct catalog_table *table,
                                 int first, struct problem *problem)
{
    enum result result = text_add(self, first == 1 ? "(" : ",(", problem);

    for (uint8_t i = 0; i < table->column_count && result == RESULT_OK; i++)
        if (catalog_has_column(table, i))
            result = text_place(self, first + i, ",", problem);
    for (int i = 0; i < HIDDEN_COUNT && result == RESULT_OK; i++)
        result = text_place(self, first + table->column_count + i, i < HIDDEN_COUNT - 1 ? "," : ")",
                            problem);
    return result;
}

/* One statement for several rows saves half of what SQLite does besides. OR FAIL, since without it
 * SQLite would keep each page as it was, to take all rows back if one can't be: whoever hands them
 * over undoes more than that (work.h). */
static enum result insert_prepare(struct sqlite_store *self, const struct catalog_table *table,
                                  size_t row_count, struct sql_statement **ret_statement,
                                  struct problem *problem)
{
    enum result result;

    buffer_reset(&self->text);
    result = text_name(self, row_count == 1 ? "INSERT INTO " : "INSERT OR FAIL INTO ", table->name,
                       "(", problem);
    for (uint8_t i = 0; i < table->column_count && result == RESULT_OK; i++)
        if (catalog_has_column(table, i))
            result = text_name(self, "", table->columns[i].name, ",", problem);
    if (result == RESULT_OK)
        result = text_add(self, "_fs_seq,_fs_bucket,_fs_cv,_fs_hash) VALUES", problem);
    for (size_t i = 0; i < row_count && result == RESULT_OK; i++)
        result = insert_places(self, table, (int)i * insert_width(table) + 1, problem);
    if (result != RESULT_OK)
        return result;
    return text_prepare(self, ret_statement, problem);
}

static enum result insert_bind(struct sql_statement *statement, const struct catalog_table *table,
                               int first, const struct stored_row *row, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (uint8_t c = 0; c < table->column_count && result == RESULT_OK; c++)
        if (catalog_has_column(table, c))
            result = sql_bind(statement, first + c, &row->values[c], problem);
    if (result == RESULT_OK)
        result = hidden_bind(statement, first + table->column_count, row, problem);
    return result;
}

/* `step` rows with each statement. */
static enum result insert_runs(struct sqlite_store *self, const struct catalog_table *table,
                               const struct stored_row *const *rows, size_t step, size_t count,
                               struct problem *problem)
{
    struct sql_statement *statement = NULL;
    enum result result =
        count == 0 ? RESULT_OK : insert_prepare(self, table, step, &statement, problem);

    for (size_t at = 0; at < count && result == RESULT_OK; at += step) {
        for (size_t i = 0; i < step && result == RESULT_OK; i++)
            result = insert_bind(statement, table, (int)i * insert_width(table) + 1, rows[at + i],
                                 problem);
        if (result == RESULT_OK)
            result = statement_finish(statement, problem);
        if (result != RESULT_OK && step > 1)
            problem_add(problem, "%s %" PRId64 " to %" PRId64, table->name, rows[at]->id,
                        rows[at + step - 1]->id);
        else if (result != RESULT_OK)
            problem_add(problem, "%s %" PRId64, table->name, rows[at]->id);
    }
    sql_release(statement);
    return result;
}

static enum result sqlite_insert_rows(struct store *store, const struct catalog_table *table,
                                      const struct stored_row *const *rows, size_t count,
                                      struct problem *problem)
{
    struct sqlite_store *self = sqlite_of(store);
    size_t many = count / INSERT_ROWS_MAX * INSERT_ROWS_MAX;
    enum result result = insert_runs(self, table, rows, INSERT_ROWS_MAX, many, problem);

    if (result == RESULT_OK)
        result = insert_runs(self, table, rows + many, 1, count - many, problem);
    return result;
}

static enum result update_prepare(struct sqlite_store *self, const struct catalog_table *table,
                                  uint64_t mask, struct sql_statement **ret_statement,
                                  struct problem *problem)
{
    enum result result;

    buffer_reset(&self->text);
    result = text_name(self, "UPDATE ", table->name, " SET ", problem);
    for (uint8_t i = 1; i < table->column_count && result == RESULT_OK; i++)
        if ((mask >> i & 1) != 0)
            result = text_name(self, "", table->columns[i].name, "=?,", problem);
    if (result == RESULT_OK)
        result = text_add(self, "_fs_seq=?,_fs_bucket=?,_fs_cv=?,_fs_hash=? WHERE id=?", problem);
    if (result != RESULT_OK)
        return result;
    return text_prepare(self, ret_statement, problem);
}

static enum result sqlite_update_rows(struct store *store, const struct catalog_table *table,
                                      uint64_t mask, const struct stored_row *const *rows,
                                      size_t count, struct problem *problem)
{
    struct sqlite_store *self = sqlite_of(store);
    struct sql_statement *statement = NULL;
    enum result result = update_prepare(self, table, mask, &statement, problem);

    for (size_t i = 0; i < count && result == RESULT_OK; i++) {
        int index = 1;

        for (uint8_t c = 1; c < table->column_count && result == RESULT_OK; c++)
            if ((mask >> c & 1) != 0)
                result = sql_bind(statement, index++, &rows[i]->values[c], problem);
        if (result == RESULT_OK)
            result = hidden_bind(statement, index, rows[i], problem);
        if (result == RESULT_OK)
            result = sql_bind_integer(statement, index + 4, rows[i]->id, problem);
        if (result == RESULT_OK)
            result = statement_finish(statement, problem);
        if (result != RESULT_OK)
            problem_add(problem, "%s %" PRId64, table->name, rows[i]->id);
    }
    sql_release(statement);
    return result;
}

static enum result sqlite_delete_rows(struct store *store, const struct catalog_table *table,
                                      const int64_t *ids, size_t count, struct problem *problem)
{
    struct sqlite_store *self = sqlite_of(store);
    struct sql_statement *statement = NULL;
    enum result result;

    buffer_reset(&self->text);
    result = text_name(self, "DELETE FROM ", table->name, " WHERE id=?1", problem);
    if (result == RESULT_OK)
        result = text_prepare(self, &statement, problem);
    for (size_t i = 0; i < count && result == RESULT_OK; i++) {
        result = sql_bind_integer(statement, 1, ids[i], problem);
        if (result == RESULT_OK)
            result = statement_finish(statement, problem);
        if (result != RESULT_OK)
            problem_add(problem, "deleting %s %" PRId64, table->name, ids[i]);
    }
    sql_release(statement);
    return result;
}

static enum result sqlite_check(struct store *store, struct problem *problem)
{
    int broken = 0;
    int unused = 0;

    if (sqlite3_db_status(sql_handle(sqlite_of(store)->database), SQLITE_DBSTATUS_DEFERRED_FKS,
                          &broken, &unused, 0) != SQLITE_OK)
        return problem_set(problem, RESULT_STORAGE, "asking for broken references failed");
    if (broken != 0)
        return problem_set(problem, RESULT_REFUSED, "a row refers to one that does not exist");
    return RESULT_OK;
}

/* ---- care of the file ---- */

static enum result sqlite_tidy(struct store *store, struct problem *problem)
{
    struct sqlite_store *self = sqlite_of(store);
    struct sql_transaction lock = {0};
    int64_t frame_count = 0;
    int64_t copied_count = 0;
    enum result result;

    if (self->checkpointer == NULL ||
        (int64_t)self->wal_page_count * PAGE_SIZE_BYTES < self->wal_size_soft)
        return RESULT_OK;
    result = sql_begin(&lock, self->database, SQL_IMMEDIATE, problem);
    if (result == RESULT_OK)
        result = sql_checkpoint(self->checkpointer, &frame_count, &copied_count, problem);
    sql_end(&lock);
    if (result == RESULT_OK && copied_count >= frame_count)
        self->wal_page_count = 0; /* the next commit starts the log anew and says its size */
    return result == RESULT_WAIT ? RESULT_OK : result;
}

static enum result sqlite_backup(struct store *store, const char *path, struct problem *problem)
{
    struct sql_options target_options = {.path = path, .create = true};
    struct sql_database *target = NULL;
    sqlite3_backup *copying = NULL;
    int code = SQLITE_OK;
    enum result result = sql_open(&target_options, &target, problem);

    if (result != RESULT_OK)
        goto done;
    copying = sqlite3_backup_init(sql_handle(target), "main",
                                  sql_handle(sqlite_of(store)->database), "main");
    if (copying == NULL) {
        result = problem_set(problem, RESULT_STORAGE, "%s", sqlite3_errmsg(sql_handle(target)));
        goto done;
    }
    (void)sqlite3_backup_step(copying, -1);
    code = sqlite3_backup_finish(copying);
    if (code == SQLITE_FULL)
        result = problem_set(problem, RESULT_EXHAUSTED, "the disk is full");
    else if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        result = problem_set(problem, RESULT_WAIT, "the database is locked");
    else if (code != SQLITE_OK)
        result = problem_set(problem, RESULT_STORAGE, "%s", sqlite3_errstr(code));
    if (result == RESULT_OK) /* one file, which can be read without writing anything beside it */
        result = sql_exec(target, "PRAGMA journal_mode = DELETE", problem);
    if (result == RESULT_OK)
        result = sql_integrity_check(target, problem);
done:
    sql_close(target);
    if (result != RESULT_OK)
        problem_add(problem, "copying the database to %s", path);
    return result;
}

static void sqlite_close(struct store *store)
{
    struct sqlite_store *self = sqlite_of(store);

    sql_end(&self->transaction);
    sql_close(self->checkpointer);
    sql_close(self->database);
    buffer_done(&self->text);
    free(self);
}

static const struct store_operations SQLITE_OPERATIONS = {
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .query = sqlite_query,
    .execute = sqlite_execute,
    .read_rows = sqlite_read_rows,
    .read_heads = sqlite_read_heads,
    .insert_rows = sqlite_insert_rows,
    .update_rows = sqlite_update_rows,
    .delete_rows = sqlite_delete_rows,
    .check = sqlite_check,
    .page = sqlite_page,
    .ids = sqlite_ids,
    .tidy = sqlite_tidy,
    .backup = sqlite_backup,
    .close = sqlite_close,
};

/* What a process before this one wrote and couldn't sync is in the log all the same, and would be
 * read, answered and published from there; a power cut could then take it back. Somebody else who
 * copies the log at this moment does the same work. */
static enum result make_durable(struct sqlite_store *self, struct problem *problem)
{
    int64_t ignored = 0;
    enum result result = sql_query_integer(self->checkpointer, "PRAGMA user_version", NULL, 0, 0,
                                           &ignored, problem); /* opens the log */

    if (result == RESULT_OK)
        result = sql_checkpoint(self->checkpointer, &ignored, &ignored, problem);
    if (result == RESULT_WAIT) {
        *problem = (struct problem){0};
        return RESULT_OK;
    }
    if (result != RESULT_OK)
        problem_add(problem, "making what is in the log durable");
    return result;
}

enum result sqlite_store_open(const struct sqlite_store_options *options,
                              const struct catalog *catalog, struct store **ret_store,
                              struct problem *problem)
{
    const struct sql_options database_options = {
        .path = options->path,
        .profile = SQL_PROFILE_SERVER,
        .read_only = options->is_reader,
        .vfs = options->vfs,
    };
    const struct sql_options checkpointer_options = {
        .path = options->path,
        .profile = SQL_PROFILE_CHECKPOINT,
        .vfs = options->vfs,
    };
    struct sqlite_store *self = calloc(1, sizeof *self);
    enum result result;

    if (self == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a store");
    self->store = (struct store){.operations = &SQLITE_OPERATIONS, .catalog = catalog};
    self->wal_size_soft =
        options->wal_size_soft != 0 ? options->wal_size_soft : SQLITE_STORE_WAL_SIZE_SOFT;
    buffer_init(&self->text, STATEMENT_SIZE_MAX);
    result = sql_open(&database_options, &self->database, problem);
    if (result == RESULT_OK && !options->is_reader) {
        (void)sqlite3_wal_hook(sql_handle(self->database), note_wal_size, self);
        result = sql_open(&checkpointer_options, &self->checkpointer, problem);
        if (result == RESULT_OK)
            result = make_durable(self, problem);
    }
    if (result != RESULT_OK) {
        sqlite_close(&self->store);
        return result;
    }
    *ret_store = &self->store;
    return RESULT_OK;
}
