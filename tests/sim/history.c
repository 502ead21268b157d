/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/history.h"

#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- the tables, from the catalog's rows ---- */

static void add_columns(struct history *history, struct history_table *table, const char *key)
{
    struct world *world = history->world;
    sqlite3_stmt *statement =
        sim_prepare(world, history->database,
                    "SELECT c.name, coalesce(c.merge, t.merge), r.number"
                    " FROM fs_column c JOIN fs_table t ON t.number = c.table_number"
                    " LEFT JOIN fs_table r ON r.name = c.refers_to"
                    " WHERE c.table_number = ?1 ORDER BY c.number");
    char padded[400];
    struct sim_text names = {0};

    (void)snprintf(padded, sizeof padded, ",%s,", key == NULL ? "" : key);
    sim_text_add(&names, "id");
    sqlite3_bind_int64(statement, 1, table->number);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        struct history_column *column = NULL;
        char wanted[140];

        table->columns = sim_grow(table->columns, table->column_count + 1, sizeof *column);
        column = &table->columns[table->column_count++];
        *column = (struct history_column){
            .name = sim_copy((const char *)sqlite3_column_text(statement, 0)),
            .merge = sim_copy((const char *)sqlite3_column_text(statement, 1)),
            .refers_to = (size_t)sqlite3_column_int64(statement, 2), /* a number, for now */
        };
        (void)snprintf(wanted, sizeof wanted, ",%s,", column->name);
        column->is_key = strstr(padded, wanted) != NULL;
        sim_text_add(&names, ", \"%s\"", column->name);
    }
    sqlite3_finalize(statement);
    table->columns_text = names.text;
}

static size_t index_of_number(const struct history *history, size_t number)
{
    for (size_t i = 0; i < history->table_count; i++)
        if ((size_t)history->tables[i].number == number)
            return i;
    return HISTORY_NOTHING;
}

static void load_tables(struct history *history)
{
    sqlite3_stmt *statement = sim_prepare(history->world, history->database,
                                          "SELECT number, name, bucket_rule, natural_key"
                                          " FROM fs_table WHERE is_local = 0 ORDER BY number");

    while (sqlite3_step(statement) == SQLITE_ROW) {
        struct history_table *table = NULL;
        const char *key = (const char *)sqlite3_column_text(statement, 3);

        history->tables =
            sim_grow(history->tables, history->table_count + 1, sizeof *history->tables);
        table = &history->tables[history->table_count++];
        *table = (struct history_table){
            .number = sqlite3_column_int64(statement, 0),
            .name = sim_copy((const char *)sqlite3_column_text(statement, 1)),
            .rule = sim_copy((const char *)sqlite3_column_text(statement, 2)),
            .has_key = key != NULL && key[0] != '\0',
        };
        add_columns(history, table, key);
    }
    sqlite3_finalize(statement);
    for (size_t i = 0; i < history->table_count; i++)
        for (size_t k = 0; k < history->tables[i].column_count; k++)
            history->tables[i].columns[k].refers_to =
                index_of_number(history, history->tables[i].columns[k].refers_to);
}

size_t history_table_no(const struct history *history, const char *name)
{
    for (size_t i = 0; i < history->table_count; i++)
        if (strcmp(history->tables[i].name, name) == 0)
            return i;
    return HISTORY_NOTHING;
}

size_t history_column_no(const struct history_table *table, const char *name)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (strcmp(table->columns[i].name, name) == 0)
            return i;
    return HISTORY_NOTHING;
}

/* ---- rows ---- */

/* Where the row is, or where it would be. */
static size_t place_of(const struct history_table *table, int64_t id)
{
    size_t low = 0;
    size_t high = table->row_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (table->rows[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct history_row *history_row(const struct history_table *table, int64_t id)
{
    size_t place = place_of(table, id);

    return place < table->row_count && table->rows[place]->id == id ? table->rows[place] : NULL;
}

static struct history_row *row_for(struct history_table *table, int64_t id)
{
    size_t place = place_of(table, id);
    struct history_row *row = NULL;

    if (place < table->row_count && table->rows[place]->id == id)
        return table->rows[place];
    row = sim_zero(sizeof *row);
    row->id = id;
    if (table->row_count == table->row_room) {
        table->row_room = table->row_room * 2 + 16;
        table->rows = sim_grow(table->rows, table->row_room, sizeof(struct history_row *));
    }
    memmove(&table->rows[place + 1], &table->rows[place],
            (table->row_count - place) * sizeof(struct history_row *));
    table->rows[place] = row;
    table->row_count++;
    return row;
}

const struct history_version *history_at(const struct history_row *row, int64_t head)
{
    const struct history_version *found = NULL;

    for (size_t i = 0; row != NULL && i < row->count && row->versions[i].seq <= head; i++)
        found = &row->versions[i];
    return found == NULL || found->values == NULL ? NULL : found;
}

bool history_same(sqlite3_value *a, sqlite3_value *b)
{
    int type = sqlite3_value_type(a);

    if (type != sqlite3_value_type(b))
        return false;
    switch (type) {
    case SQLITE_NULL:
        return true;
    case SQLITE_INTEGER:
        return sqlite3_value_int64(a) == sqlite3_value_int64(b);
    case SQLITE_FLOAT:
        return sqlite3_value_double(a) == sqlite3_value_double(b);
    default:
        return sqlite3_value_bytes(a) == sqlite3_value_bytes(b) &&
               (sqlite3_value_bytes(a) == 0 || memcmp(sqlite3_value_blob(a), sqlite3_value_blob(b),
                                                      (size_t)sqlite3_value_bytes(a)) == 0);
    }
}

/* ---- buckets, by the rules of the catalog ---- */

static const char *const KINDS[] = {"",           "shared",   "user",   "site",  "customer",
                                    "commercial", "location", "office", "server"};
enum { KIND_COUNT = sizeof KINDS / sizeof KINDS[0], KIND_SHIFT = 53, PARENTS_MAX = 12 };

static int64_t bucket_number(const char *kind, size_t kind_size, int64_t id)
{
    for (int64_t i = 1; i < KIND_COUNT; i++)
        if (strlen(KINDS[i]) == kind_size && strncmp(KINDS[i], kind, kind_size) == 0)
            return (i << KIND_SHIFT) | id;
    return 0;
}

/* The value of a column named in a rule. */
static sqlite3_value *rule_value(const struct history_table *table, sqlite3_value **values,
                                 const char *name, size_t size, size_t *ret_column)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (strlen(table->columns[i].name) == size &&
            strncmp(table->columns[i].name, name, size) == 0) {
            *ret_column = i;
            return values[i];
        }
    *ret_column = HISTORY_NOTHING;
    return NULL;
}

/* One term "kind:column", "home:column", "shared"...; 0: it doesn't apply. ret_parent: go on with
 * this row of that table. */
static int64_t term_bucket(const struct history *history, const struct history_table *table,
                           int64_t id, sqlite3_value **values, const char *term, size_t size,
                           const struct history_table **ret_table, struct history_row **ret_parent)
{
    const char *colon = memchr(term, ':', size);
    size_t kind_size = colon == NULL ? size : (size_t)(colon - term);
    const char *name = colon == NULL ? "home" : colon + 1;
    size_t name_size = colon == NULL ? 4 : size - kind_size - 1;
    size_t column = 0;
    sqlite3_value *value = NULL;

    if (colon == NULL && strncmp(term, "given", size) != 0)
        return bucket_number(term, size, 0);
    if (name_size == 2 && strncmp(name, "id", 2) == 0)
        return bucket_number(term, kind_size, id);
    value = rule_value(table, values, name, name_size, &column);
    if (value == NULL || sqlite3_value_type(value) == SQLITE_NULL)
        return 0;
    if (colon == NULL)
        return sqlite3_value_int64(value);
    if (strncmp(term, "home", kind_size) != 0)
        return bucket_number(term, kind_size, sqlite3_value_int64(value));
    *ret_table = &history->tables[table->columns[column].refers_to];
    *ret_parent = history_row(*ret_table, sqlite3_value_int64(value));
    return 0;
}

static int64_t bucket_of_values(const struct history *history, const struct history_table *table,
                                int64_t id, sqlite3_value **values)
{
    for (int step = 0; step < PARENTS_MAX; step++) {
        const char *term = table->rule;
        struct history_row *parent = NULL;
        const struct history_table *parent_table = NULL;

        while (*term != '\0' && parent == NULL) {
            size_t size = strcspn(term, ",");
            int64_t bucket =
                term_bucket(history, table, id, values, term, size, &parent_table, &parent);

            if (bucket != 0)
                return bucket;
            if (parent_table != NULL && parent == NULL)
                return 0; /* refers to nothing */
            term += size;
            term += strspn(term, ", ");
        }
        if (parent == NULL || parent->count == 0 ||
            parent->versions[parent->count - 1].values == NULL)
            return 0;
        table = parent_table;
        id = parent->id;
        values = parent->versions[parent->count - 1].values;
    }
    return 0;
}

/* ---- what a commit changed ---- */

static void add_touch(struct history *history, size_t number, int64_t id)
{
    if (history->touch_count == history->touch_room) {
        history->touch_room = history->touch_room * 2 + 64;
        history->touches =
            sim_grow(history->touches, history->touch_room, sizeof *history->touches);
    }
    history->touches[history->touch_count++] = (struct history_touch){number, id};
}

static void touched(void *context, int operation, const char *database, const char *table,
                    sqlite3_int64 id)
{
    struct history *history = context;
    size_t number = 0;

    (void)operation;
    (void)database;
    if (strncmp(table, "fs_", 3) == 0)
        return;
    number = history_table_no(history, table);
    if (number != HISTORY_NOTHING)
        add_touch(history, number, id);
}

void history_watch(struct history *history, sqlite3 *database)
{
    (void)sqlite3_update_hook(database, touched, history);
}

static int touch_order(const void *a, const void *b)
{
    const struct history_touch *x = a;
    const struct history_touch *y = b;

    if (x->table != y->table)
        return x->table < y->table ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id ? 1 : 0;
}

static bool same_values(const struct history_table *table, sqlite3_value **a, sqlite3_value **b)
{
    if (a == NULL || b == NULL)
        return a == b;
    for (size_t i = 0; i < table->column_count; i++)
        if (!history_same(a[i], b[i]))
            return false;
    return true;
}

static void free_values(const struct history_table *table, sqlite3_value **values)
{
    for (size_t i = 0; values != NULL && i < table->column_count; i++)
        sqlite3_value_free(values[i]);
    free(values);
}

static sqlite3_value **read_values(const struct history_table *table, sqlite3_stmt *statement)
{
    sqlite3_value **values = sim_zero((table->column_count + 1) * sizeof(sqlite3_value *));

    for (size_t i = 0; i < table->column_count; i++)
        values[i] = sqlite3_value_dup(sqlite3_column_value(statement, (int)i + 3));
    return values;
}

/* I1: the seqs of a commit are above the last head, not above the new one, and each is used once.
 */
static void check_seq(struct history *history, const struct history_table *table, int64_t id,
                      int64_t seq, int64_t head)
{
    if ((seq <= history->head && !history->is_restored) || seq > head)
        world_fail(history->world,
                   "I1: %s %" PRId64 " changed in the commit of %" PRId64 " (head before %" PRId64
                   ") but has seq %" PRId64,
                   table->name, id, head, history->head, seq);
}

static void read_row(struct history *history, size_t number, int64_t id, int64_t head)
{
    struct history_table *table = &history->tables[number];
    struct history_row *row = row_for(table, id);
    struct history_version *last = row->count == 0 ? NULL : &row->versions[row->count - 1];
    sqlite3_value **values = NULL;
    int64_t seq = 0;
    int64_t bucket = 0;

    if (table->read == NULL) {
        struct sim_text sql = {0};

        sim_text_add(&sql, "SELECT _fs_seq, _fs_bucket, %s FROM \"%s\" WHERE id = ?1",
                     table->columns_text, table->name);
        table->read = sim_prepare(history->world, history->database, sql.text);
        free(sql.text);
    }
    sqlite3_bind_int64(table->read, 1, id);
    if (sqlite3_step(table->read) == SQLITE_ROW) {
        seq = sqlite3_column_int64(table->read, 0);
        bucket = sqlite3_column_int64(table->read, 1);
        values = read_values(table, table->read);
    }
    sqlite3_reset(table->read);
    if ((last == NULL && values == NULL) ||
        (last != NULL && last->bucket == bucket && same_values(table, last->values, values))) {
        free_values(table, values);
        return;
    }
    if (values != NULL)
        check_seq(history, table, id, seq, head);
    if (row->count == row->room) {
        row->room = row->room * 2 + 2;
        row->versions = sim_grow(row->versions, row->room, sizeof *row->versions);
    }
    row->versions[row->count++] =
        (struct history_version){.seq = head, .bucket = bucket, .values = values};
}

static void check_bucket(struct history *history, size_t number, int64_t id)
{
    struct history_table *table = &history->tables[number];
    struct history_row *row = row_for(table, id);
    struct history_version *version = NULL;
    int64_t bucket = 0;

    if (row->count == 0)
        return;
    version = &row->versions[row->count - 1];
    if (version->values == NULL)
        return;
    bucket = bucket_of_values(history, table, id, version->values);
    if (bucket != version->bucket)
        world_fail(history->world,
                   "R3: %s %" PRId64 " is in bucket %s/%" PRId64 ", its columns say %s/%" PRId64,
                   table->name, id, KINDS[(version->bucket >> KIND_SHIFT) % KIND_COUNT],
                   version->bucket & ((INT64_C(1) << KIND_SHIFT) - 1),
                   KINDS[(bucket >> KIND_SHIFT) % KIND_COUNT],
                   bucket & ((INT64_C(1) << KIND_SHIFT) - 1));
}

/* ---- who receives what ---- */

static int bucket_order(const void *a, const void *b)
{
    const int64_t *x = a;
    const int64_t *y = b;

    return *x < *y ? -1 : *x > *y ? 1 : 0;
}

static void add_bucket(struct history_scope *scope, int64_t bucket)
{
    scope->buckets = sim_grow(scope->buckets, scope->count + 1, sizeof(int64_t));
    scope->buckets[scope->count++] = bucket;
}

static void sort_unique(struct history_scope *scope)
{
    size_t kept = 0;

    if (scope->count > 1)
        qsort(scope->buckets, scope->count, sizeof(int64_t), bucket_order);
    for (size_t i = 0; i < scope->count; i++)
        if (kept == 0 || scope->buckets[kept - 1] != scope->buckets[i])
            scope->buckets[kept++] = scope->buckets[i];
    scope->count = kept;
}

static void run_subscription(struct history *history, int64_t user_id, const char *sql,
                             struct history_scope *scope)
{
    sqlite3_stmt *statement = sim_prepare(history->world, history->database, sql);

    (void)sqlite3_bind_int64(statement, 1, user_id);
    (void)sqlite3_bind_int64(statement, 2, world_wall(history->world, WORLD_OFFICE).us);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const char *kind = (const char *)sqlite3_column_text(statement, 0);

        add_bucket(scope, bucket_number(kind, strlen(kind), sqlite3_column_int64(statement, 1)));
    }
    sqlite3_finalize(statement);
}

static struct history_user *user_for(struct history *history, int64_t user_id)
{
    for (size_t i = 0; i < history->user_count; i++)
        if (history->users[i].id == user_id)
            return &history->users[i];
    history->users = sim_grow(history->users, history->user_count + 1, sizeof *history->users);
    history->users[history->user_count] = (struct history_user){.id = user_id};
    return &history->users[history->user_count++];
}

/* fs_entitlement must say the same. */
static void check_entitlement(struct history *history, int64_t user_id,
                              const struct history_scope *scope)
{
    sqlite3_stmt *statement = sim_prepare(history->world, history->database,
                                          "SELECT bucket FROM fs_entitlement WHERE user_id = ?1"
                                          " AND to_seq IS NULL ORDER BY bucket");
    struct history_scope found = {0};

    sqlite3_bind_int64(statement, 1, user_id);
    while (sqlite3_step(statement) == SQLITE_ROW)
        add_bucket(&found, sqlite3_column_int64(statement, 0));
    sqlite3_finalize(statement);
    if (found.count != scope->count ||
        (found.count != 0 &&
         memcmp(found.buckets, scope->buckets, found.count * sizeof(int64_t)) != 0))
        world_fail(history->world,
                   "I10: user %" PRId64 " is entitled to %zu buckets, the subscription says %zu",
                   user_id, found.count, scope->count);
    free(found.buckets);
}

static void note_scope(struct history *history, int64_t user_id, int64_t head)
{
    struct history_user *user = user_for(history, user_id);
    struct history_scope scope = {.seq = head};
    struct history_scope *last = user->count == 0 ? NULL : &user->scopes[user->count - 1];
    sqlite3_stmt *statement =
        sim_prepare(history->world, history->database,
                    "SELECT s.sql FROM fs_subscription s JOIN role_grant g ON g.role = s.role"
                    " JOIN app_user u ON u.id = g.user_id AND u.is_active = 1"
                    " WHERE g.user_id = ?1");

    sqlite3_bind_int64(statement, 1, user_id);
    while (sqlite3_step(statement) == SQLITE_ROW)
        run_subscription(history, user_id, (const char *)sqlite3_column_text(statement, 0), &scope);
    sqlite3_finalize(statement);
    sort_unique(&scope);
    check_entitlement(history, user_id, &scope);
    if (last != NULL && last->count == scope.count &&
        memcmp(last->buckets, scope.buckets, scope.count * sizeof(int64_t)) == 0) {
        free(scope.buckets);
        return;
    }
    user->scopes = sim_grow(user->scopes, user->count + 1, sizeof *user->scopes);
    user->scopes[user->count++] = scope;
}

static void note_scopes(struct history *history, int64_t head)
{
    sqlite3_stmt *statement = sim_prepare(history->world, history->database,
                                          "SELECT DISTINCT user_id FROM fs_replica ORDER BY 1");

    while (sqlite3_step(statement) == SQLITE_ROW)
        note_scope(history, sqlite3_column_int64(statement, 0), head);
    sqlite3_finalize(statement);
}

const struct history_scope *history_scope(const struct history *history, int64_t user_id,
                                          int64_t head)
{
    const struct history_scope *found = NULL;

    for (size_t i = 0; i < history->user_count; i++) {
        const struct history_user *user = &history->users[i];

        for (size_t k = 0; user->id == user_id && k < user->count && user->scopes[k].seq <= head;
             k++)
            found = &user->scopes[k];
    }
    return found;
}

bool history_has_bucket(const struct history_scope *scope, int64_t bucket)
{
    return scope != NULL && scope->count != 0 &&
           bsearch(&bucket, scope->buckets, scope->count, sizeof bucket, bucket_order) != NULL;
}

/* ---- commits ---- */

void history_commit(struct history *history)
{
    struct world *world = history->world;
    int64_t head = 0;
    size_t kept = 0;

    sim_exec(world, history->database, "BEGIN");
    head = sim_integer(world, history->database, "SELECT number FROM fs_state WHERE name = 'seq'");
    if (head < history->head)
        world_fail(world, "I1: the head went from %" PRId64 " back to %" PRId64, history->head,
                   head);
    if (history->touch_count > 1)
        qsort(history->touches, history->touch_count, sizeof *history->touches, touch_order);
    for (size_t i = 0; i < history->touch_count; i++)
        if (kept == 0 || touch_order(&history->touches[kept - 1], &history->touches[i]) != 0)
            history->touches[kept++] = history->touches[i];
    for (size_t i = 0; i < kept; i++)
        read_row(history, history->touches[i].table, history->touches[i].id, head);
    for (size_t i = 0; i < kept; i++)
        check_bucket(history, history->touches[i].table, history->touches[i].id);
    note_scopes(history, head);
    sim_exec(world, history->database, "COMMIT");
    history->touch_count = 0;
    history->head = head;
    history->commit_count++;
}

void history_restored(struct history *history)
{
    for (size_t i = 0; i < history->table_count; i++) {
        struct history_table *table = &history->tables[i];
        struct sim_text sql = {0};
        sqlite3_stmt *statement = NULL;

        for (size_t k = 0; k < table->row_count; k++)
            add_touch(history, i, table->rows[k]->id);
        sim_text_add(&sql, "SELECT id FROM \"%s\"", table->name);
        statement = sim_prepare(history->world, history->database, sql.text);
        free(sql.text);
        while (sqlite3_step(statement) == SQLITE_ROW)
            add_touch(history, i, sqlite3_column_int64(statement, 0));
        sqlite3_finalize(statement);
    }
    history->is_restored = true;
    history_commit(history);
    history->is_restored = false;
}

static void verify_table(struct history *history, size_t number)
{
    struct history_table *table = &history->tables[number];
    struct sim_text sql = {0};
    sqlite3_stmt *statement = NULL;
    size_t there = 0;
    size_t known = 0;

    sim_text_add(&sql, "SELECT _fs_seq, _fs_bucket, %s FROM \"%s\"", table->columns_text,
                 table->name);
    statement = sim_prepare(history->world, history->database, sql.text);
    free(sql.text);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(statement, 2);
        const struct history_version *version = history_at(history_row(table, id), history->head);
        sqlite3_value **values = read_values(table, statement);

        if (version == NULL || !same_values(table, version->values, values))
            world_fail(history->world, "%s %" PRId64 " on the master isn't what its commits made",
                       table->name, id);
        free_values(table, values);
        check_bucket(history, number, id);
        there++;
    }
    sqlite3_finalize(statement);
    for (size_t i = 0; i < table->row_count; i++)
        if (history_at(table->rows[i], history->head) != NULL)
            known++;
    if (there != known)
        world_fail(history->world, "the master has %zu rows of %s, its commits made %zu", there,
                   table->name, known);
}

void history_verify(struct history *history)
{
    sim_exec(history->world, history->database, "BEGIN");
    for (size_t i = 0; i < history->table_count; i++)
        verify_table(history, i);
    sim_exec(history->world, history->database, "COMMIT");
}

/* ---- open and close ---- */

void history_open(struct history *history, struct world *world, const char *path)
{
    bool is_first = history->tables == NULL;

    history->world = world;
    history->database = sim_open(world, path);
    if (is_first)
        load_tables(history);
}

/* Also before the server's files are taken away from under it; what it knows stays. */
void history_close(struct history *history)
{
    for (size_t i = 0; i < history->table_count; i++) {
        sqlite3_finalize(history->tables[i].read);
        history->tables[i].read = NULL;
    }
    (void)sqlite3_close(history->database);
    history->database = NULL;
}

void history_free(struct history *history)
{
    for (size_t i = 0; i < history->table_count; i++) {
        struct history_table *table = &history->tables[i];

        for (size_t k = 0; k < table->row_count; k++) {
            for (size_t n = 0; n < table->rows[k]->count; n++)
                free_values(table, table->rows[k]->versions[n].values);
            free(table->rows[k]->versions);
            free(table->rows[k]);
        }
        for (size_t k = 0; k < table->column_count; k++) {
            free(table->columns[k].name);
            free(table->columns[k].merge);
        }
        free(table->columns);
        free(table->rows);
        free(table->name);
        free(table->rule);
        free(table->columns_text);
    }
    for (size_t i = 0; i < history->user_count; i++) {
        for (size_t k = 0; k < history->users[i].count; k++)
            free(history->users[i].scopes[k].buckets);
        free(history->users[i].scopes);
    }
    free(history->tables);
    free(history->users);
    free(history->touches);
}
