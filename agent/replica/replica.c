/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* O_CLOEXEC */
#endif

#include "agent/replica/replica_inside.h"

#include "schema/load.h"
#include "schema/migrate.h"
#include "schema/triggers.h"

#include "base/invariant.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPEN_BUSY_MS = 3000, SQL_TEXT_SIZE_MAX = 64 * 1024, OPEN_ARENA_SIZE_MAX = 64 << 20 };

/* ---- facts by name --------------------------------------------------------------------------- */

enum result state_number(struct replica *replica, const char *name, int64_t otherwise,
                         int64_t *ret_number, struct problem *problem)
{
    struct value value = value_text_of(name);

    return sql_query_integer(replica->database, "SELECT number FROM fs_state WHERE name = ?1",
                             &value, 1, otherwise, ret_number, problem);
}

enum result state_set_number(struct replica *replica, const char *name, int64_t number,
                             struct problem *problem)
{
    const struct value values[] = {value_text_of(name), value_integer(number)};

    return sql_run(replica->database,
                   "INSERT INTO fs_state(name, number) VALUES (?1, ?2)"
                   " ON CONFLICT(name) DO UPDATE SET number = excluded.number",
                   values, 2, problem);
}

enum result state_data(struct replica *replica, const char *name, struct arena *arena,
                       struct bytes *ret_data, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    struct bytes data = {0};
    bool row = false;
    enum result result = sql_prepare(replica->database, "SELECT data FROM fs_state WHERE name = ?1",
                                     &statement, problem);

    if (result == RESULT_OK)
        result = sql_bind_text(statement, 1, name, problem);
    if (result == RESULT_OK)
        result = sql_step(statement, &row, problem);
    if (result == RESULT_OK && row) {
        struct value value = sql_column(statement, 0);

        if (value.type == VALUE_BLOB || value.type == VALUE_TEXT)
            result = arena_copy(arena, value.bytes, &data, problem);
    }
    sql_release(statement);
    if (result == RESULT_OK)
        *ret_data = data;
    return result;
}

enum result state_set_data(struct replica *replica, const char *name, struct bytes data,
                           struct problem *problem)
{
    const struct value values[] = {value_text_of(name), value_blob(data)};

    return sql_run(replica->database,
                   "INSERT INTO fs_state(name, data) VALUES (?1, ?2)"
                   " ON CONFLICT(name) DO UPDATE SET data = excluded.data",
                   values, 2, problem);
}

/* ---- the SQL of a table ---------------------------------------------------------------------- */

bool table_is_synced(const struct catalog_table *table)
{
    return table->name != NULL && !table->is_local;
}

const struct catalog_table *replica_table(const struct replica *replica, int64_t table_no)
{
    const struct catalog_table *table = catalog_table_by_no(&replica->catalog, table_no);

    return table != NULL && table_is_synced(table) ? table : NULL;
}

/* Grows a text; after the first failure it stays as it is. */
struct text {
    struct buffer buffer;
    enum result result;
    struct problem *problem;
};

static void put(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *text, const char *format, ...)
{
    char piece[160];
    va_list arguments;
    int size = 0;

    va_start(arguments, format);
    size = vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    invariant(size >= 0 && (size_t)size < sizeof piece);
    if (text->result == RESULT_OK)
        text->result = buffer_append(&text->buffer, piece, (size_t)size, text->problem);
}

static void put_name(struct text *text, const char *name)
{
    if (text->result == RESULT_OK)
        text->result = sql_append_identifier(&text->buffer, name, text->problem);
}

/* The bucket of a row by its own columns: NULL if it is in none. */
static void put_bucket(struct text *text, const struct catalog_table *table)
{
    if (table->home_column_no != 0) {
        put_name(text, table->columns[table->home_column_no].name);
        return;
    }
    put(text, "coalesce(");
    for (uint8_t i = 0; i < table->bucket_term_count; i++) {
        const struct bucket_term *term = &table->bucket_terms[i];

        put(text, "%" PRId64, bucket_of(term->kind, 0));
        if (term->source != BUCKET_CONSTANT) {
            put(text, " + ");
            put_name(text, table->columns[term->column_no].name);
        }
        put(text, ", ");
    }
    put(text, "NULL, NULL)");
}

/* By number: a number that isn't in use is NULL. */
static void put_columns(struct text *text, const struct catalog_table *table)
{
    for (uint8_t n = 1; n < table->column_count; n++) {
        put(text, "%s", n == 1 ? "" : ", ");
        if (catalog_has_column(table, n))
            put_name(text, table->columns[n].name);
        else
            put(text, "NULL");
    }
}

static void put_put(struct text *text, const struct catalog_table *table)
{
    const char *between = "UPDATE SET ";

    put(text, "INSERT INTO ");
    put_name(text, table->name);
    put(text, "(id");
    for (uint8_t n = 1; n < table->column_count; n++) {
        if (!catalog_has_column(table, n))
            continue;
        put(text, ", ");
        put_name(text, table->columns[n].name);
    }
    put(text, ") VALUES (?1");
    for (uint8_t n = 1; n < table->column_count; n++)
        if (catalog_has_column(table, n))
            put(text, ", ?%d", n + 1);
    put(text, ") ON CONFLICT(id) DO %s", table->columns_mask == 0 ? "NOTHING" : "");
    for (uint8_t n = 1; n < table->column_count; n++) {
        if (!catalog_has_column(table, n))
            continue;
        put(text, "%s", between);
        put_name(text, table->columns[n].name);
        put(text, " = ?%d", n + 1);
        between = ", ";
    }
}

static void put_select(struct text *text, const struct catalog_table *table)
{
    put(text, "SELECT ");
    put_columns(text, table);
    put(text, "%s", table->column_count > 1 ? ", " : "");
    put_bucket(text, table);
    put(text, " FROM ");
    put_name(text, table->name);
    put(text, " WHERE id = ?1");
}

static void put_remove(struct text *text, const struct catalog_table *table)
{
    put(text, "DELETE FROM ");
    put_name(text, table->name);
    put(text, " WHERE id = ?1");
}

static void put_range(struct text *text, const struct catalog_table *table, bool with_columns)
{
    put(text, "SELECT id, ");
    put_bucket(text, table);
    if (with_columns && table->column_count > 1) {
        put(text, ", ");
        put_columns(text, table);
    }
    put(text, " FROM ");
    put_name(text, table->name);
    put(text, " WHERE ");
    put_bucket(text, table);
    put(text, " BETWEEN ?1 AND ?2");
}

static void put_scan(struct text *text, const struct catalog_table *table)
{
    put_range(text, table, true);
}

static void put_ids(struct text *text, const struct catalog_table *table)
{
    put_range(text, table, false);
}

static const char *make_text(struct text *text, struct arena *arena,
                             const struct catalog_table *table,
                             void (*make)(struct text *, const struct catalog_table *))
{
    struct bytes copy = {0};

    buffer_reset(&text->buffer);
    make(text, table);
    if (text->result == RESULT_OK)
        text->result = arena_copy(arena, buffer_bytes(&text->buffer), &copy, text->problem);
    return (const char *)copy.data;
}

static enum result make_sql(struct replica *replica, struct problem *problem)
{
    struct text text = {.problem = problem};
    struct arena *arena = &replica->open_arena;

    replica->sql = arena_array(arena, replica->catalog.table_count + 1, sizeof *replica->sql);
    if (replica->sql == NULL)
        return arena_full(arena, problem);
    buffer_init(&text.buffer, SQL_TEXT_SIZE_MAX);
    for (size_t i = 1; i < replica->catalog.table_count; i++) {
        const struct catalog_table *table = &replica->catalog.tables[i];
        struct table_sql *sql = &replica->sql[i];

        if (!table_is_synced(table))
            continue;
        sql->put = make_text(&text, arena, table, put_put);
        sql->select = make_text(&text, arena, table, put_select);
        sql->remove = make_text(&text, arena, table, put_remove);
        sql->scan = make_text(&text, arena, table, put_scan);
        sql->ids = make_text(&text, arena, table, put_ids);
        for (uint8_t t = 0; t < table->bucket_term_count; t++)
            if (table->bucket_terms[t].source == BUCKET_COLUMN ||
                table->bucket_terms[t].source == BUCKET_INHERITED)
                sql->bucket_mask |= UINT64_C(1) << table->bucket_terms[t].column_no;
        sql->bucket_mask &= ~UINT64_C(1);
    }
    buffer_done(&text.buffer);
    return text.result;
}

/* ---- open and close -------------------------------------------------------------------------- */

/* The file holds a company's customers: nobody else on the machine reads it. SQLite gives its
 * log the same mode. */
static enum result make_private(const char *path, struct problem *problem)
{
    int file = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

    if (file < 0 && errno == EEXIST)
        return RESULT_OK;
    if (file < 0 || close(file) != 0)
        return problem_set(problem, RESULT_STORAGE, "creating %s: %s", path, strerror(errno));
    return RESULT_OK;
}

static enum result open_keeper(struct replica *replica, struct problem *problem)
{
    struct sql_options options = {.path = replica->path,
                                  .profile = SQL_PROFILE_CHECKPOINT,
                                  .vfs = replica->vfs_name,
                                  .busy_timeout_ms = -1};

    if (replica->keeper != NULL)
        return RESULT_OK;
    return sql_open(&options, &replica->keeper, problem);
}

/* What has been received of an older schema is received again: half a row of it isn't whole now. */
static enum result forget_staged(struct replica *replica, struct problem *problem)
{
    static const char *const FORGET[] = {
        "DELETE FROM fs_stage_row",
        "DELETE FROM fs_stage_gone",
        ("UPDATE fs_bucket SET seq = 0, page_table_no = 0, page_seq = 0, page_to = 0"
         " WHERE is_whole = 1"),
    };
    enum result result = RESULT_OK;

    for (size_t i = 0; i < sizeof FORGET / sizeof FORGET[0] && result == RESULT_OK; i++)
        result = sql_run(replica->database, FORGET[i], NULL, 0, problem);
    return result;
}

struct leaving_schema {
    struct replica *replica;
    struct wall_time now;
};

static enum result seal_recorded(struct leaving_schema *leaving, struct problem *problem)
{
    struct replica *replica = leaving->replica;
    bool has = true;
    enum result result =
        catalog_load(replica->database, &replica->open_arena, &replica->catalog, problem);

    if (result == RESULT_OK)
        result = make_sql(replica, problem);
    if (result == RESULT_OK)
        result = schemas_load(replica, problem);
    while (has && result == RESULT_OK) {
        int64_t seal_no = 0;
        size_t count = 0;

        arena_reset(&replica->step_arena);
        result = replica_has_unsealed(replica, &has, problem);
        if (result == RESULT_OK && has)
            result = seal_all(replica, leaving->now, &seal_no, &count, problem);
        if (result == RESULT_OK && seal_no != 0)
            trace_line(replica->trace,
                       "replica: seal %" PRId64 " in the schema before, %zu changes", seal_no,
                       count);
    }
    return result;
}

/* Before the first script of an upgrade, in its transaction: what was recorded under the old schema
 * is sealed in it (R7), while its columns are still there. */
static enum result leave_schema(void *context, struct problem *problem)
{
    struct leaving_schema *leaving = context;
    struct replica *replica = leaving->replica;
    struct arena kept = replica->open_arena;
    enum result result = RESULT_OK;

    arena_init(&replica->open_arena, OPEN_ARENA_SIZE_MAX); /* of the old catalog only */
    result = seal_recorded(leaving, problem);
    if (result == RESULT_OK)
        result = forget_staged(replica, problem);
    arena_done(&replica->open_arena);
    replica->open_arena = kept;
    replica->catalog = (struct catalog){0};
    replica->sql = NULL;
    if (result != RESULT_OK)
        problem_add(problem, "leaving the old schema");
    return result;
}

static enum result migrate(struct replica *replica, const struct replica_options *options,
                           struct problem *problem)
{
    struct leaving_schema leaving = {.replica = replica};
    struct migrate_options steps = {
        .side = SCHEMA_SIDE_AGENT, .before = leave_schema, .context = &leaving};
    struct arena script_arena;
    struct migration_script *scripts = NULL;
    char refused[MIGRATE_REFUSED_SIZE] = "";
    int64_t now_us = 0;
    enum result result = RESULT_OK;

    arena_init(&script_arena, OPEN_ARENA_SIZE_MAX);
    scripts = arena_array(&script_arena, options->extra_count + 1, sizeof *scripts);
    if (scripts == NULL)
        return arena_full(&script_arena, problem);
    for (size_t i = 0; i < options->extra_count; i++)
        scripts[i] = (struct migration_script){options->extras[i].name, options->extras[i].sql};
    result = sql_query_integer(replica->database,
                               "SELECT CAST(round((julianday('now') - 2440587.5) * 86400000.0)"
                               " AS INTEGER) * 1000",
                               NULL, 0, 0, &now_us, problem);
    steps.extras = scripts;
    steps.extra_count = options->extra_count;
    steps.now = leaving.now = (struct wall_time){now_us};
    if (result == RESULT_OK) /* what is sealed on the way is sent soon */
        result = sql_set_durable(replica->database, true, problem);
    if (result == RESULT_OK)
        result = migrate_up(replica->database, &steps, NULL, problem);
    if (result == RESULT_OK)
        result = migrate_received(replica->database, &steps, NULL, refused, problem);
    if (result == RESULT_OK)
        result = sql_set_durable(replica->database, false, problem);
    if (refused[0] != '\0')
        trace_line(replica->trace, "replica: the server's schema can't be taken: %s", refused);
    arena_done(&script_arena);
    return result;
}

static enum result look_at_stage(struct replica *replica, struct problem *problem)
{
    int64_t has_rows = 0;
    enum result result =
        sql_query_integer(replica->database,
                          "SELECT EXISTS (SELECT 1 FROM fs_stage_row)"
                          " OR EXISTS (SELECT 1 FROM fs_stage_gone)"
                          " OR (EXISTS (SELECT 1 FROM fs_bucket WHERE is_whole = 1) AND EXISTS"
                          " (SELECT 1 FROM fs_state WHERE name = 'published_seq' AND number > 0))",
                          NULL, 0, 0, &has_rows, problem);

    if (result == RESULT_OK)
        replica->stage.is_spilled = has_rows != 0;
    return result;
}

static enum result set_up(struct replica *replica, const struct replica_options *options,
                          struct problem *problem)
{
    enum result result = RESULT_OK;

    if (!options->is_read_only)
        result = migrate(replica, options, problem);
    if (result == RESULT_OK)
        result = catalog_load(replica->database, &replica->open_arena, &replica->catalog, problem);
    if (result == RESULT_OK && !options->is_read_only)
        result = triggers_install(replica->database, &replica->catalog, SCHEMA_SIDE_AGENT, NULL,
                                  problem);
    if (result == RESULT_OK)
        result = make_sql(replica, problem);
    if (result == RESULT_OK)
        result = schemas_load(replica, problem);
    if (result == RESULT_OK)
        result = look_at_stage(replica, problem);
    if (result == RESULT_OK) {
        char text[48];
        int size = snprintf(text, sizeof text, "PRAGMA busy_timeout = %d", (int)REPLICA_BUSY_MS);

        invariant(size > 0 && (size_t)size < sizeof text);
        result = sql_exec(replica->database, text, problem);
    }
    return result;
}

static const char *copy_text(struct arena *arena, const char *text)
{
    return text == NULL ? NULL : arena_format(arena, "%s", text);
}

/* `encrypt` and `decrypt` put another file in its place. They don't while somebody reads it, as
 * this connection does from now on; but they may have, since it was opened. */
static enum result check_place(struct replica *replica, struct problem *problem)
{
    int has_moved = 0;

    if (sqlite3_file_control(sql_handle(replica->database), "main", SQLITE_FCNTL_HAS_MOVED,
                             &has_moved) == SQLITE_OK &&
        has_moved != 0)
        return problem_set(problem, RESULT_WAIT, "another file has just taken its place");
    return RESULT_OK;
}

static enum result open_database(struct replica *replica, const struct replica_options *options,
                                 struct problem *problem)
{
    struct sql_options sql = {.path = options->path,
                              .profile = SQL_PROFILE_AGENT,
                              .read_only = options->is_read_only,
                              .create = !options->is_read_only,
                              .busy_timeout_ms = OPEN_BUSY_MS};
    enum result result = RESULT_OK;

    if (options->vault != NULL)
        result = vault_create(options->vault, &replica->vault, problem);
    if (result != RESULT_OK)
        return result;
    replica->vfs_name =
        copy_text(&replica->open_arena,
                  replica->vault != NULL ? vault_vfs_name(replica->vault) : options->vfs_name);
    sql.vfs = replica->vfs_name;
    result = sql_open(&sql, &replica->database, problem);
    if (result != RESULT_OK && replica->vault != NULL && vault_trouble(replica->vault)[0] != '\0')
        problem_add(problem, "%s", vault_trouble(replica->vault));
    return result == RESULT_OK ? check_place(replica, problem) : result;
}

enum result replica_open(const struct replica_options *options, struct replica **ret_replica,
                         struct problem *problem)
{
    struct replica *replica = calloc(1, sizeof *replica);
    enum result result = RESULT_OK;

    if (replica == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "opening %s: no memory", options->path);
    arena_init(&replica->open_arena, OPEN_ARENA_SIZE_MAX);
    arena_init(&replica->step_arena, REPLICA_ARENA_SIZE_MAX);
    stage_init(&replica->stage);
    schemas_init(replica);
    replica->trace = options->trace;
    replica->is_read_only = options->is_read_only;
    replica->checkpoint_rows =
        options->checkpoint_rows != 0 ? options->checkpoint_rows : REPLICA_CHECKPOINT_EVERY;
    replica->path = copy_text(&replica->open_arena, options->path);
    if (!options->is_read_only && options->vfs_name == NULL)
        result = make_private(options->path, problem);
    if (result == RESULT_OK)
        result = open_database(replica, options, problem);
    if (result == RESULT_OK)
        result = set_up(replica, options, problem);
    if (result != RESULT_OK) {
        problem_add(problem, "replica %s", options->path);
        replica_close(replica);
        return result;
    }
    *ret_replica = replica;
    return RESULT_OK;
}

void replica_close(struct replica *replica)
{
    if (replica == NULL)
        return;
    sql_end(&replica->transaction);
    sql_end(&replica->bulk.transaction);
    sql_close(replica->keeper);
    sql_close(replica->database);
    vault_destroy(replica->vault);
    stage_done(&replica->stage);
    schemas_done(replica);
    arena_done(&replica->step_arena);
    arena_done(&replica->open_arena);
    free(replica);
}

bool replica_is_encrypted(const struct replica *replica)
{
    return replica->vault != NULL;
}

void replica_rest(struct replica *replica)
{
    sql_release_memory(replica->database);
    sql_close(replica->keeper);
    replica->keeper = NULL;
    arena_reset(&replica->step_arena);
}

const struct catalog *replica_catalog(const struct replica *replica)
{
    return &replica->catalog;
}

/* ---- writing --------------------------------------------------------------------------------- */

enum result replica_write_begin(struct replica *replica, struct sql_transaction *transaction,
                                struct problem *problem)
{
    enum result result = RESULT_OK;

    if (replica->is_read_only)
        return problem_set(problem, RESULT_REFUSED, "this replica was opened for reading only");
    result = replica_settle(replica, problem);
    if (result != RESULT_OK)
        return result;
    arena_reset(&replica->step_arena);
    return sql_begin(transaction, replica->database, SQL_IMMEDIATE, problem);
}

enum result replica_durable_begin(struct replica *replica, struct sql_transaction *transaction,
                                  struct problem *problem)
{
    enum result result = replica_settle(replica, problem); /* no change inside a transaction */

    replica->is_disk_known = false; /* until the commit has succeeded */
    if (result == RESULT_OK)
        result = sql_set_durable(replica->database, true, problem);
    if (result == RESULT_OK)
        result = replica_write_begin(replica, transaction, problem);
    return result;
}

void replica_durable_end(struct replica *replica, struct sql_transaction *transaction)
{
    struct problem ignored = {0};

    sql_end(transaction);
    if (!sql_in_transaction(replica->database) &&
        sql_set_durable(replica->database, false, &ignored) != RESULT_OK)
        trace_line(replica->trace, "replica: commits stay durable: %s", ignored.text);
}

/* A commit beside a checkpoint may reset the log under it (a flaw of SQLite before 3.51.3), so the
 * write lock is held meanwhile. A checkpoint that can't be made now is made later: no failure. */
void replica_written(struct replica *replica, size_t row_count)
{
    struct sql_transaction lock = {0};
    struct problem ignored = {0};
    int64_t frame_count = 0;
    int64_t copied_count = 0;

    replica->written_count += (int64_t)row_count + 10; /* a transaction costs pages, too */
    if (replica->written_count < replica->checkpoint_rows)
        return;
    if (open_keeper(replica, &ignored) != RESULT_OK)
        return;
    if (sql_begin(&lock, replica->database, SQL_IMMEDIATE, &ignored) == RESULT_OK &&
        sql_checkpoint(replica->keeper, &frame_count, &copied_count, &ignored) == RESULT_OK)
        replica->written_count = 0;
    sql_end(&lock);
}

/* ---- who this device is ---------------------------------------------------------------------- */

static enum result write_facts(struct replica *replica, const struct message_enrolled *enrolled,
                               struct problem *problem)
{
    const struct {
        const char *name;
        int64_t number;
    } numbers[] = {
        {"replica_no", enrolled->replica_no},   {"device_id", enrolled->device_id},
        {"incarnation", enrolled->incarnation}, {"user_id", enrolled->user_id},
        {"van_id", enrolled->van_id},           {"published_seq", 0},
    };
    const struct {
        const char *name;
        struct bytes data;
    } datas[] = {
        {"user_login", enrolled->user_login}, {"user_name", enrolled->user_name},
        {"series", enrolled->series},         {"resume_token", enrolled->resume_token},
        {"epoch", enrolled->epoch},           {"digest_key", enrolled->digest_key},
    };
    enum result result = RESULT_OK;

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && result == RESULT_OK; i++)
        result = state_set_number(replica, numbers[i].name, numbers[i].number, problem);
    for (size_t i = 0; i < sizeof datas / sizeof datas[0] && result == RESULT_OK; i++)
        result = state_set_data(replica, datas[i].name, datas[i].data, problem);
    return result;
}

enum result replica_enrol(struct replica *replica, const struct message_enrolled *enrolled,
                          struct problem *problem)
{
    struct sql_transaction transaction = {0};
    int64_t replica_no = 0;
    enum result result = replica_durable_begin(replica, &transaction, problem);

    if (result == RESULT_OK)
        result = state_number(replica, "replica_no", -1, &replica_no, problem);
    if (result == RESULT_OK && replica_no >= 0 && replica_no != enrolled->replica_no)
        result = problem_set(problem, RESULT_REFUSED,
                             "this file belongs to replica %" PRId64
                             " already: a new enrolment needs a new file",
                             replica_no);
    if (result == RESULT_OK && replica_no < 0) /* the same answer again changes nothing */
        result = write_facts(replica, enrolled, problem);
    if (result == RESULT_OK)
        result = sql_commit(&transaction, problem);
    replica_durable_end(replica, &transaction);
    if (result != RESULT_OK)
        problem_add(problem, "storing the enrolment");
    return result;
}

static enum result text_fact(struct replica *replica, const char *name, char *room,
                             size_t room_size, struct problem *problem)
{
    struct bytes data = {0};
    enum result result = state_data(replica, name, &replica->step_arena, &data, problem);

    if (result == RESULT_OK)
        (void)snprintf(room, room_size, "%.*s", (int)data.size,
                       data.data == NULL ? "" : (const char *)data.data);
    return result;
}

enum result replica_identity(struct replica *replica, struct replica_identity *ret_identity,
                             struct problem *problem)
{
    struct replica_identity identity = {0};
    const struct {
        const char *name;
        int64_t *room;
    } numbers[] = {
        {"replica_no", &identity.replica_no},   {"device_id", &identity.device_id},
        {"incarnation", &identity.incarnation}, {"user_id", &identity.user_id},
        {"van_id", &identity.van_id},           {"published_seq", &identity.published_seq},
        {"first_no", &identity.first_no},
    };
    int64_t replica_no = 0;
    enum result result = state_number(replica, "replica_no", -1, &replica_no, problem);

    identity.is_enrolled = replica_no >= 0;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && result == RESULT_OK; i++)
        result = state_number(replica, numbers[i].name, 0, numbers[i].room, problem);
    if (result == RESULT_OK)
        result = text_fact(replica, "user_login", identity.user_login, sizeof identity.user_login,
                           problem);
    if (result == RESULT_OK)
        result =
            text_fact(replica, "user_name", identity.user_name, sizeof identity.user_name, problem);
    if (result == RESULT_OK)
        result = text_fact(replica, "series", identity.series, sizeof identity.series, problem);
    if (result == RESULT_OK)
        *ret_identity = identity;
    return result;
}

/* ---- triggers and other writers -------------------------------------------------------------- */

enum result replica_check_triggers(struct replica *replica, size_t *ret_repaired,
                                   struct problem *problem)
{
    const char *report = NULL;
    size_t wrong_count = 0;
    enum result result = RESULT_OK;

    result = replica_settle(replica, problem);
    if (result != RESULT_OK)
        return result;
    arena_reset(&replica->step_arena);
    result = triggers_verify(replica->database, &replica->catalog, SCHEMA_SIDE_AGENT,
                             &replica->step_arena, &wrong_count, &report, problem);
    if (result == RESULT_OK && wrong_count > 0) {
        trace_line(replica->trace, "replica: triggers repaired: %s", report);
        result = triggers_install(replica->database, &replica->catalog, SCHEMA_SIDE_AGENT, NULL,
                                  problem);
    }
    if (result == RESULT_OK)
        *ret_repaired = wrong_count;
    return result;
}

enum result replica_change_counter(struct replica *replica, int64_t *ret_counter,
                                   struct problem *problem)
{
    return sql_data_version(replica->database, ret_counter, problem);
}
