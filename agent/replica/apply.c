/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the server into the tables, beside unanswered local edits (I6, I7). */
#include "agent/replica/replica_inside.h"

#include "base/invariant.h"

#include <inttypes.h>

enum { UPDATE_TEXT_SIZE_MAX = 64 * 1024, SHADOW_SIZE_MAX = 16 << 20 };

/* ---- one row --------------------------------------------------------------------------------- */

enum result replica_read_row(struct replica *replica, const struct catalog_table *table,
                             int64_t row_id, struct arena *arena, struct value **ret_values,
                             int64_t *ret_bucket, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    struct value *values = NULL;
    int64_t bucket = 0;
    bool has_row = false;
    enum result result =
        sql_prepare(replica->database, replica->sql[table->number].select, &statement, problem);

    if (result == RESULT_OK)
        result = sql_bind_integer(statement, 1, row_id, problem);
    if (result == RESULT_OK)
        result = sql_step(statement, &has_row, problem);
    if (result == RESULT_OK && has_row) {
        values = arena_array(arena, table->column_count, sizeof *values);
        if (values == NULL)
            result = arena_full(arena, problem);
        else
            values[0] = value_integer(row_id);
        for (uint8_t n = 1; n < table->column_count && result == RESULT_OK; n++)
            result = sql_column_copy(statement, n - 1, arena, &values[n], problem);
        if (result == RESULT_OK)
            bucket = sql_column_integer(statement, table->column_count - 1);
    }
    sql_release(statement);
    if (result != RESULT_OK)
        return result;
    *ret_values = values;
    *ret_bucket = bucket;
    return RESULT_OK;
}

enum result replica_remove_row(struct replica *replica, const struct catalog_table *table,
                               int64_t row_id, struct problem *problem)
{
    const struct value id = value_integer(row_id);

    return sql_run(replica->database, replica->sql[table->number].remove, &id, 1, problem);
}

/* "UPDATE t SET a = ?3 WHERE id = ?1": the cache knows the few masks that occur. */
static enum result update_text(const struct catalog_table *table, uint64_t mask,
                               struct buffer *text, struct problem *problem)
{
    const char *between = " SET ";
    enum result result = buffer_append(text, "UPDATE ", 7, problem);

    if (result == RESULT_OK)
        result = sql_append_identifier(text, table->name, problem);
    for (uint8_t n = 1; n < table->column_count && result == RESULT_OK; n++) {
        const char place[] = {
            ' ', '=', ' ', '?', (char)('0' + (n + 1) / 10), (char)('0' + (n + 1) % 10)};

        if ((mask >> n & 1) == 0)
            continue;
        result = buffer_append(text, between, between[1] == 'S' ? 5 : 2, problem);
        if (result == RESULT_OK)
            result = sql_append_identifier(text, table->columns[n].name, problem);
        if (result == RESULT_OK)
            result = buffer_append(text, place, sizeof place, problem);
        between = ", ";
    }
    if (result == RESULT_OK)
        result = buffer_append(text, " WHERE id = ?1", sizeof " WHERE id = ?1", problem);
    return result;
}

enum result replica_update_row(struct replica *replica, const struct catalog_table *table,
                               int64_t row_id, uint64_t mask, const struct value *values,
                               bool *ret_exists, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    struct buffer text;
    bool has_row = false;
    enum result result = RESULT_OK;

    invariant((mask & ~table->columns_mask) == 0 && mask != 0);
    buffer_init(&text, UPDATE_TEXT_SIZE_MAX);
    result = update_text(table, mask, &text, problem);
    if (result == RESULT_OK)
        result = sql_prepare(replica->database, (const char *)text.data, &statement, problem);
    if (result == RESULT_OK)
        result = sql_bind_integer(statement, 1, row_id, problem);
    for (uint8_t n = 1; n < table->column_count && result == RESULT_OK; n++)
        if ((mask >> n & 1) != 0)
            result = sql_bind(statement, n + 1, &values[n], problem);
    if (result == RESULT_OK)
        result = sql_step(statement, &has_row, problem);
    sql_release(statement);
    buffer_done(&text);
    if (result == RESULT_OK)
        *ret_exists = sql_changes(replica->database) > 0;
    return result;
}

/* ---- what waits for a verdict ---------------------------------------------------------------- */

struct shadow {
    bool is_there;
    int64_t as_of;
    uint64_t mask;
    enum gone_kind gone_kind; /* 0: values */
    struct value *values;
};

static enum result shadow_read(struct applier *applier, const struct catalog_table *table,
                               int64_t row_id, struct shadow *ret_shadow, struct problem *problem)
{
    const struct value key[] = {value_integer(table->number), value_integer(row_id)};
    struct sql_statement *statement = NULL;
    struct shadow shadow = {0};
    struct value data = {0};
    enum result result = sql_prepare(applier->replica->database,
                                     "SELECT as_of, mask, data, gone_kind FROM fs_shadow"
                                     " WHERE table_no = ?1 AND row_id = ?2",
                                     &statement, problem);

    if (result == RESULT_OK)
        result = sql_bind_all(statement, key, 2, problem);
    if (result == RESULT_OK)
        result = sql_step(statement, &shadow.is_there, problem);
    if (result == RESULT_OK && shadow.is_there) {
        shadow.as_of = sql_column_integer(statement, 0);
        shadow.mask = (uint64_t)sql_column_integer(statement, 1);
        shadow.gone_kind = (enum gone_kind)sql_column_integer(statement, 3);
        result = sql_column_copy(statement, 2, applier->arena, &data, problem);
    }
    if (result == RESULT_OK && shadow.is_there)
        result =
            unpack_values(table, shadow.mask, data.bytes, applier->arena, &shadow.values, problem);
    sql_release(statement);
    shadow.mask &= table->columns_mask; /* without columns that were dropped since */
    if (result == RESULT_OK)
        *ret_shadow = shadow;
    return result;
}

static enum result shadow_write(struct applier *applier, const struct catalog_table *table,
                                int64_t row_id, const struct shadow *shadow,
                                struct problem *problem)
{
    struct buffer packed;
    enum result result = RESULT_OK;

    buffer_init(&packed, SHADOW_SIZE_MAX);
    result = pack_values(table, shadow->mask, shadow->values, &packed, problem);
    if (result == RESULT_OK) {
        const struct value values[] = {
            value_integer(table->number),      value_integer(row_id),
            value_integer(shadow->as_of),      value_integer((int64_t)shadow->mask),
            value_blob(buffer_bytes(&packed)), value_integer((int64_t)shadow->gone_kind),
        };

        result = sql_run(applier->replica->database,
                         "INSERT OR REPLACE INTO fs_shadow(table_no, row_id, as_of, mask, data,"
                         " gone_kind) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                         values, 6, problem);
    }
    buffer_done(&packed);
    return result;
}

static enum result shadow_remove(struct applier *applier, const struct catalog_table *table,
                                 int64_t row_id, struct problem *problem)
{
    const struct value key[] = {value_integer(table->number), value_integer(row_id)};

    return sql_run(applier->replica->database,
                   "DELETE FROM fs_shadow WHERE table_no = ?1 AND row_id = ?2", key, 2, problem);
}

/* Keeps the columns `mask` of an image that has the columns `said`. Columns of an older image that
 * the newer one doesn't have are still true; those that it has besides are no longer. */
static enum result shadow_keep(struct applier *applier, const struct catalog_table *table,
                               int64_t row_id, int64_t as_of, uint64_t said, uint64_t mask,
                               struct value *values, struct problem *problem)
{
    struct shadow shadow = {0};
    enum result result = shadow_read(applier, table, row_id, &shadow, problem);

    if (result != RESULT_OK || (shadow.is_there && shadow.as_of > as_of))
        return result;
    if (!shadow.is_there || shadow.gone_kind != 0) {
        shadow = (struct shadow){.mask = mask, .values = values};
    } else {
        for (uint8_t n = 1; n < table->column_count; n++)
            if ((mask >> n & 1) != 0)
                shadow.values[n] = values[n];
        shadow.mask = (shadow.mask & ~said) | mask;
    }
    shadow.as_of = as_of;
    return shadow_write(applier, table, row_id, &shadow, problem);
}

/* ---- the applier ----------------------------------------------------------------------------- */

enum result applier_begin(struct applier *applier, struct replica *replica, struct arena *arena,
                          struct problem *problem)
{
    int64_t has_quarantine = 0;
    enum result result = RESULT_OK;

    *applier = (struct applier){.replica = replica, .arena = arena};
    invariant(sql_in_transaction(replica->database));
    applier->puts = arena_array(arena, replica->catalog.table_count + 1, sizeof *applier->puts);
    if (applier->puts == NULL)
        return arena_full(arena, problem);
    if (!bulk_is_open(replica))
        result = sql_run(replica->database, "INSERT INTO fs_flag(k) VALUES (1)", NULL, 0, problem);
    if (result == RESULT_OK)
        result = applier_reload(applier, problem);
    if (result == RESULT_OK)
        result = sql_query_integer(replica->database, "SELECT EXISTS (SELECT 1 FROM fs_quarantine)",
                                   NULL, 0, 0, &has_quarantine, problem);
    applier->has_quarantine = has_quarantine != 0;
    return result;
}

enum result applier_reload(struct applier *applier, struct problem *problem)
{
    return pending_load(applier->replica, applier->arena, &applier->pending, problem);
}

enum result applier_finish(struct applier *applier, struct wall_time now, struct problem *problem)
{
    enum result result = quarantine_settle(applier, now, problem);

    if (result == RESULT_OK && !bulk_is_open(applier->replica))
        result = sql_run(applier->replica->database, "DELETE FROM fs_flag", NULL, 0, problem);
    return result;
}

void applier_end(struct applier *applier)
{
    if (applier->puts == NULL)
        return;
    for (size_t i = 0; i < applier->replica->catalog.table_count; i++) {
        sql_release(applier->puts[i]);
        applier->puts[i] = NULL;
    }
}

static enum result put_whole(struct applier *applier, const struct catalog_table *table,
                             int64_t row_id, const struct value *values, struct problem *problem)
{
    struct sql_statement **statement = &applier->puts[table->number];
    bool has_row = false;
    enum result result = RESULT_OK;

    if (*statement == NULL)
        result = sql_prepare(applier->replica->database, applier->replica->sql[table->number].put,
                             statement, problem);
    if (result != RESULT_OK)
        return result;
    sql_reset(*statement);
    result = sql_bind_integer(*statement, 1, row_id, problem);
    for (uint8_t n = 1; n < table->column_count && result == RESULT_OK; n++)
        if (catalog_has_column(table, n))
            result = sql_bind(*statement, n + 1, &values[n], problem);
    if (result == RESULT_OK)
        result = sql_step(*statement, &has_row, problem);
    return result;
}

enum result applier_put(struct applier *applier, const struct catalog_table *table, int64_t row_id,
                        uint64_t mask, bool is_whole, struct value *values, struct problem *problem)
{
    bool exists = true;
    enum result result = RESULT_OK;

    if (mask == table->columns_mask) {
        result = put_whole(applier, table, row_id, values, problem);
    } else {
        if (mask != 0)
            result =
                replica_update_row(applier->replica, table, row_id, mask, values, &exists, problem);
        if (result == RESULT_OK && !exists && is_whole)
            result = put_whole(applier, table, row_id, values, problem);
        else if (result == RESULT_OK && !exists) /* the digests will find it */
            applier->missing_count++;
    }
    if (result == RESULT_REFUSED && sql_in_transaction(applier->replica->database)) {
        struct problem refusal = *problem;

        *problem = (struct problem){0};
        return applier_refuse(applier, table, row_id, is_whole ? table->columns_mask : mask, values,
                              refusal.text, problem);
    }
    return result;
}

/* A row that has all columns that both sides know is whole; what only this one knows is new then,
 * or stays as it is. */
static bool complete_row(const struct applier *applier, const struct catalog_table *table,
                         const struct row_image *image)
{
    uint64_t mask = image->mask & table->columns_mask;
    uint64_t known = wire_mask(applier->replica, table) & table->columns_mask;

    if (mask == table->columns_mask)
        return true;
    if (known == 0 || known == table->columns_mask || (mask & known) != known)
        return false;
    for (uint8_t n = 1; n < table->column_count; n++)
        if ((mask >> n & 1) == 0)
            image->values[n] = table->columns[n].default_value;
    return true;
}

enum result apply_row(struct applier *applier, const struct row_image *image, int64_t as_of,
                      struct problem *problem)
{
    const struct catalog_table *table = replica_table(applier->replica, image->table_no);
    const struct pending_row *pending = NULL;
    struct value *values = image->values;
    uint64_t mask = 0;
    bool is_whole = false;
    enum result result = RESULT_OK;

    if (table == NULL)
        return problem_set(problem, RESULT_REFUSED, "table %u is not known here", image->table_no);
    applier->row_count++;
    mask = image->mask & table->columns_mask;
    is_whole = complete_row(applier, table, image);
    pending = pending_find(&applier->pending, table->number, image->row_id);
    if (pending != NULL && as_of < pending->hold_seq) {
        if (pending->is_hold_gone)
            return RESULT_OK; /* the server has no such row since */
        mask &= ~pending->hold_mask;
    }
    if (pending != NULL && pending->is_edited) {
        uint64_t covered = pending->is_deleted ? mask : mask & pending->mask;

        if (covered != 0)
            result =
                shadow_keep(applier, table, image->row_id, as_of, mask, covered, values, problem);
        if (result != RESULT_OK || pending->is_deleted)
            return result;
        mask &= ~pending->mask;
    }
    if (applier->has_quarantine) {
        result =
            quarantine_take(applier, table, image->row_id, mask, values, &mask, &values, problem);
        is_whole |= mask == table->columns_mask;
    }
    if (result == RESULT_OK)
        result = applier_put(applier, table, image->row_id, mask, is_whole, values, problem);
    return result;
}

enum result applier_server_bucket(struct applier *applier, const struct catalog_table *table,
                                  int64_t row_id, int64_t *bucket, struct problem *problem)
{
    const struct pending_row *pending = pending_find(&applier->pending, table->number, row_id);
    uint64_t deciding_mask = applier->replica->sql[table->number].bucket_mask;
    struct value *values = NULL;
    struct shadow shadow = {0};
    struct problem ignored = {0};
    int64_t local_bucket = 0;
    enum result result = RESULT_OK;

    if (table->home_column_no != 0)
        deciding_mask |= UINT64_C(1) << table->home_column_no;

    if (pending == NULL || !pending->is_edited)
        return RESULT_OK;
    result = shadow_read(applier, table, row_id, &shadow, problem);
    if (result != RESULT_OK || shadow.gone_kind != 0 || (shadow.mask & deciding_mask) == 0)
        return result;
    result = replica_read_row(applier->replica, table, row_id, applier->arena, &values,
                              &local_bucket, problem);
    if (result != RESULT_OK || values == NULL)
        return result;
    for (uint8_t n = 1; n < table->column_count; n++)
        if ((shadow.mask >> n & 1) != 0)
            values[n] = shadow.values[n];
    if (catalog_bucket(table, row_id, values, &local_bucket, &ignored) == RESULT_OK)
        *bucket = local_bucket;
    return RESULT_OK;
}

/* Was the row put where it is by a change of ours that this departure doesn't know? */
static bool is_held(const struct applier *applier, const struct catalog_table *table,
                    const struct pending_row *pending, enum gone_kind kind, int64_t as_of)
{
    if (pending == NULL || as_of >= pending->hold_seq || pending->is_hold_gone)
        return false;
    return kind == GONE_DELETED ||
           (pending->hold_mask & applier->replica->sql[table->number].bucket_mask) != 0;
}

static enum result remove_now(struct applier *applier, const struct catalog_table *table,
                              int64_t row_id, struct problem *problem)
{
    const struct value key[] = {value_integer(table->number), value_integer(row_id)};
    enum result result = shadow_remove(applier, table, row_id, problem);

    for (size_t i = 0; i < applier->refused_count; i++)
        if (applier->refused[i].table == table && applier->refused[i].row_id == row_id)
            applier->refused[i] = applier->refused[--applier->refused_count];
    if (result == RESULT_OK && applier->has_quarantine)
        result = sql_run(applier->replica->database,
                         "DELETE FROM fs_quarantine WHERE table_no = ?1 AND row_id = ?2", key, 2,
                         problem);
    if (result == RESULT_OK)
        result = replica_remove_row(applier->replica, table, row_id, problem);
    if (result == RESULT_OK)
        applier->gone_count++;
    if (result == RESULT_REFUSED && sql_in_transaction(applier->replica->database)) {
        trace_line(applier->replica->trace, "replica: %s %" PRId64 " can't be removed: %s",
                   table->name, row_id, problem->text); /* somebody's trigger: digests will tell */
        *problem = (struct problem){0};
        result = RESULT_OK;
    }
    return result;
}

enum result apply_gone(struct applier *applier, const struct catalog_table *table, int64_t row_id,
                       enum gone_kind kind, int64_t as_of, struct problem *problem)
{
    const struct pending_row *pending = pending_find(&applier->pending, table->number, row_id);

    if (is_held(applier, table, pending, kind, as_of))
        return RESULT_OK;
    if (pending != NULL && pending->is_edited) {
        const struct shadow shadow = {.as_of = as_of, .gone_kind = kind};

        return shadow_write(applier, table, row_id, &shadow, problem);
    }
    return remove_now(applier, table, row_id, problem);
}

enum result apply_shadow(struct applier *applier, const struct catalog_table *table, int64_t row_id,
                         int64_t seq_min, struct problem *problem)
{
    const struct pending_row *pending = pending_find(&applier->pending, table->number, row_id);
    bool is_edited = pending != NULL && pending->is_edited;
    struct shadow shadow = {0};
    uint64_t free_mask = 0;
    bool is_newer = false;
    enum result result = shadow_read(applier, table, row_id, &shadow, problem);

    if (result != RESULT_OK || !shadow.is_there)
        return result;
    is_newer = shadow.as_of >= seq_min;
    if (shadow.gone_kind != 0 && is_held(applier, table, pending, shadow.gone_kind, shadow.as_of))
        return shadow_remove(applier, table, row_id, problem); /* it has been put there since */
    if (is_edited && (shadow.gone_kind != 0 || pending->is_deleted))
        return RESULT_OK; /* a later edit of the row still waits */
    if (shadow.gone_kind != 0)
        return remove_now(applier, table, row_id, problem);
    free_mask = is_edited ? shadow.mask & ~pending->mask : shadow.mask;
    if (shadow.mask == 0)
        return shadow_remove(applier, table, row_id, problem);
    if (free_mask == 0)
        return RESULT_OK;
    if (is_newer)
        result = applier_put(applier, table, row_id, free_mask, free_mask == table->columns_mask,
                             shadow.values, problem);
    shadow.mask &= ~free_mask;
    if (result == RESULT_OK && shadow.mask == 0)
        return shadow_remove(applier, table, row_id, problem);
    if (result == RESULT_OK)
        result = shadow_write(applier, table, row_id, &shadow, problem);
    return result;
}

static enum result is_in_subscribed(struct applier *applier, const struct catalog_table *table,
                                    int64_t row_id, int64_t *ret_bucket, bool *ret_is,
                                    struct problem *problem)
{
    struct value *values = NULL;
    int64_t count = 0;
    enum result result = replica_read_row(applier->replica, table, row_id, applier->arena, &values,
                                          ret_bucket, problem);
    const struct value parameters[] = {value_integer(*ret_bucket),
                                       value_integer(BUCKET_SUBSCRIBED)};

    *ret_is = false;
    if (result != RESULT_OK || values == NULL)
        return result;
    result = sql_query_integer(applier->replica->database,
                               "SELECT count(*) FROM fs_bucket WHERE bucket = ?1 AND state = ?2",
                               parameters, 2, 0, &count, problem);
    *ret_is = count != 0;
    return result;
}

enum result apply_echo(struct applier *applier, const struct row_image *row, int64_t commit_seq,
                       struct problem *problem)
{
    const struct catalog_table *table = replica_table(applier->replica, row->table_no);
    struct shadow shadow = {0};
    int64_t bucket_before = 0;
    int64_t bucket = 0;
    bool is_ours = false;
    enum result result = RESULT_OK;

    if (table == NULL)
        return problem_set(problem, RESULT_REFUSED, "table %u is not known here", row->table_no);
    result = is_in_subscribed(applier, table, row->row_id, &bucket_before, &is_ours, problem);
    if (result == RESULT_OK)
        result = apply_row(applier, row, commit_seq, problem);
    if (result == RESULT_OK)
        result = is_in_subscribed(applier, table, row->row_id, &bucket, &is_ours, problem);
    if (result == RESULT_OK && is_ours && bucket != bucket_before)
        result = shadow_read(applier, table, row->row_id, &shadow, problem);
    if (result == RESULT_OK && shadow.gone_kind != 0)
        return shadow_remove(applier, table, row->row_id, problem);
    return result == RESULT_OK ? apply_shadow(applier, table, row->row_id, commit_seq, problem)
                               : result;
}
