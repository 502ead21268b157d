/* SPDX-License-Identifier: Apache-2.0 */
/* What was received and is not yet visible.
 *
 * A small delta waits in memory and is forgotten when the connection goes: the server sends it
 * again. A larger one moves to the fs_stage_ tables, where a paging of a bucket from nothing can be
 * resumed. Before the first publication rows go straight into their tables: nobody takes them for a
 * published state yet, and each is written once. */
#include "agent/replica/replica_inside.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <string.h>

enum { STAGE_ARENA_SIZE_MAX = 128 << 20, MEMORY_ROWS_MAX = 8000, PACKED_SIZE_MAX = 16 << 20 };

void stage_init(struct stage *stage)
{
    *stage = (struct stage){0};
    arena_init(&stage->arena, STAGE_ARENA_SIZE_MAX);
    lookup_init(&stage->row_of, &stage->arena);
}

void stage_done(struct stage *stage)
{
    arena_done(&stage->arena);
}

void stage_reset(struct stage *stage)
{
    struct arena arena = stage->arena;
    bool is_spilled = stage->is_spilled;

    arena_reset(&arena);
    *stage = (struct stage){.arena = arena, .is_spilled = is_spilled};
    lookup_init(&stage->row_of, &stage->arena);
}

void replica_disconnected(struct replica *replica)
{
    struct problem ignored = {0};

    if (replica_settle(replica, &ignored) != RESULT_OK)
        trace_line(replica->trace, "replica: rows are undone: %s", ignored.text);
    replica->bulk.is_lost = false;
    stage_reset(&replica->stage);
}

/* ---- the subscription ------------------------------------------------------------------------ */

/* The set after this message: sorted lists are merged. */
static enum result merge_subscription(struct arena *arena, const int64_t *before,
                                      size_t before_count, const struct message_subscribed *change,
                                      int64_t **ret_set, size_t *ret_count, struct problem *problem)
{
    int64_t *set = arena_array(arena, before_count + change->added_count + 1, sizeof *set);
    size_t count = 0;
    size_t a = 0;
    size_t b = 0;

    if (set == NULL)
        return arena_full(arena, problem);
    while (a < before_count || b < change->added_count) {
        bool takes_before =
            b == change->added_count || (a < before_count && before[a] < change->added[b]);
        int64_t bucket = takes_before ? before[a++] : change->added[b++];

        if (takes_before && bucket_is_in(change->removed, change->removed_count, bucket))
            continue;
        if (!takes_before && a < before_count && before[a] == bucket)
            a++;
        set[count++] = bucket;
    }
    *ret_set = set;
    *ret_count = count;
    return RESULT_OK;
}

enum result replica_subscribed(struct replica *replica, const struct message_subscribed *subscribed,
                               struct problem *problem)
{
    struct stage *stage = &replica->stage;
    int64_t *before = stage->subscribed;
    size_t before_count = stage->has_subscription ? stage->subscribed_count : 0;
    int64_t *set = NULL;
    size_t count = 0;
    enum result result = RESULT_OK;

    if (subscribed->is_whole)
        before_count = 0;
    else if (!stage->has_subscription)
        result =
            bucket_list(replica, BUCKET_SUBSCRIBED, &stage->arena, &before, &before_count, problem);
    if (result == RESULT_OK)
        result = merge_subscription(&stage->arena, before, before_count, subscribed, &set, &count,
                                    problem);
    if (result != RESULT_OK) {
        problem_add(problem, "staging the subscription");
        return result;
    }
    stage->has_subscription = true;
    stage->subscribed = set;
    stage->subscribed_count = count;
    return RESULT_OK;
}

/* ---- in memory ------------------------------------------------------------------------------- */

static enum result grow(struct arena *arena, void **items, size_t count, size_t *room,
                        size_t item_size, struct problem *problem)
{
    size_t new_room = *room == 0 ? 64 : *room * 2;
    void *grown = NULL;

    if (count < *room)
        return RESULT_OK;
    grown = arena_array(arena, new_room, item_size);
    if (grown == NULL)
        return arena_full(arena, problem);
    if (count > 0)
        memcpy(grown, *items, count * item_size);
    *items = grown;
    *room = new_room;
    return RESULT_OK;
}

static enum result copy_columns(struct stage *stage, const struct catalog_table *table,
                                const struct row_image *image, struct value *values,
                                struct problem *problem)
{
    enum result result = RESULT_OK;

    for (uint8_t n = 1; n < table->column_count && result == RESULT_OK; n++)
        if ((image->mask >> n & 1) != 0)
            result = value_copy(&stage->arena, &image->values[n], &values[n], problem);
    return result;
}

/* `with_values` false: only that the row came, and at which seq. */
static enum result stage_row(struct replica *replica, const struct message_rows *message,
                             const struct row_image *image, bool with_values,
                             struct problem *problem)
{
    struct stage *stage = &replica->stage;
    const struct catalog_table *table = replica_table(replica, image->table_no);
    struct staged_row *row = lookup_find(&stage->row_of, image->table_no, image->row_id);
    enum result result = RESULT_OK;

    if (table == NULL)
        return problem_set(problem, RESULT_REFUSED, "table %u is not known here", image->table_no);
    if (row != NULL && image->seq < row->image.seq)
        return RESULT_OK; /* R2 */
    if (row == NULL) {
        void *rows = stage->rows;

        result = grow(&stage->arena, &rows, stage->row_count, &stage->row_room, sizeof *stage->rows,
                      problem);
        stage->rows = rows;
        if (result == RESULT_OK && (row = arena_alloc(&stage->arena, sizeof *row)) == NULL)
            result = arena_full(&stage->arena, problem);
        if (result == RESULT_OK)
            result = lookup_put(&stage->row_of, table->number, image->row_id, row, problem);
        if (result != RESULT_OK)
            return result;
        row->image = (struct row_image){.table_no = table->number, .row_id = image->row_id};
        stage->rows[stage->row_count++] = row;
    }
    if (with_values && row->image.values == NULL)
        row->image.values =
            arena_array(&stage->arena, table->column_count, sizeof *row->image.values);
    if (with_values && row->image.values == NULL)
        return arena_full(&stage->arena, problem);
    if (with_values)
        result = copy_columns(stage, table, image, row->image.values, problem);
    if (result != RESULT_OK)
        return result;
    row->image.seq = image->seq;
    row->image.mask |= image->mask & table->columns_mask;
    row->bucket = message->bucket;
    row->as_of = message->is_repair ? message->seq_to : 0;
    return RESULT_OK;
}

static struct bucket_cursor cursor_after(const struct message_rows *message)
{
    struct bucket_cursor cursor = {.bucket = message->bucket};

    if (message->is_complete) {
        cursor.seq = message->seq_to;
    } else {
        cursor.page_table_no = message->page_table_no;
        cursor.page_seq = message->page_seq;
        cursor.page_to = message->seq_to;
    }
    return cursor;
}

static bool is_from_nothing(const struct message_rows *message)
{
    return message->seq_after == 0 && !message->is_repair;
}

static enum result stage_whole(struct replica *replica, const struct message_rows *message,
                               struct problem *problem)
{
    struct stage *stage = &replica->stage;
    struct staged_bucket *bucket = stage->wholes;

    while (bucket != NULL && bucket->cursor.bucket != message->bucket)
        bucket = bucket->next;
    if (bucket == NULL) {
        bucket = arena_alloc(&stage->arena, sizeof *bucket);
        if (bucket == NULL)
            return arena_full(&stage->arena, problem);
        bucket->next = stage->wholes;
        stage->wholes = bucket;
    }
    bucket->cursor = cursor_after(message);
    return RESULT_OK;
}

static enum result stage_repair(struct replica *replica, const struct message_rows *message,
                                struct problem *problem)
{
    struct stage *stage = &replica->stage;
    struct staged_repair *repair = arena_alloc(&stage->arena, sizeof *repair);

    if (repair == NULL)
        return arena_full(&stage->arena, problem);
    *repair = (struct staged_repair){
        .bucket = message->bucket, .as_of = message->seq_to, .next = stage->repairs};
    for (size_t i = 0; i < message->part_count; i++)
        repair->parts[message->parts[i]] = true;
    stage->repairs = repair;
    return RESULT_OK;
}

static enum result rows_to_memory(struct replica *replica, const struct message_rows *message,
                                  bool with_values, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < message->row_count && result == RESULT_OK; i++)
        result = stage_row(replica, message, &message->rows[i], with_values, problem);
    if (result == RESULT_OK && with_values && is_from_nothing(message))
        result = stage_whole(replica, message, problem);
    return result;
}

/* ---- in tables ------------------------------------------------------------------------------- */

struct spilling {
    struct replica *replica;
    struct sql_statement *select;
    struct sql_statement *insert;
    struct buffer packed;
    struct problem *problem;
};

static enum result spilling_begin(struct spilling *spilling)
{
    struct sql_database *database = spilling->replica->database;
    enum result result = sql_prepare(database,
                                     "SELECT seq, mask, data FROM fs_stage_row"
                                     " WHERE table_no = ?1 AND row_id = ?2",
                                     &spilling->select, spilling->problem);

    buffer_init(&spilling->packed, PACKED_SIZE_MAX);
    if (result == RESULT_OK)
        result = sql_prepare(database,
                             "INSERT OR REPLACE INTO fs_stage_row(table_no, row_id, bucket, seq,"
                             " as_of, mask, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                             &spilling->insert, spilling->problem);
    return result;
}

static void spilling_end(struct spilling *spilling)
{
    sql_release(spilling->select);
    sql_release(spilling->insert);
    buffer_done(&spilling->packed);
}

/* Adds columns of an older image that the new one doesn't have. ret_is_old: it isn't newer. */
static enum result merge_with_stored(struct spilling *spilling, const struct catalog_table *table,
                                     struct staged_row *row, bool *ret_is_old)
{
    struct arena *arena = &spilling->replica->step_arena;
    struct value *stored = NULL;
    struct value data = {0};
    uint64_t mask = 0;
    bool has_row = false;
    enum result result = RESULT_OK;

    sql_reset(spilling->select);
    *ret_is_old = false;
    result = sql_bind_integer(spilling->select, 1, table->number, spilling->problem);
    if (result == RESULT_OK)
        result = sql_bind_integer(spilling->select, 2, row->image.row_id, spilling->problem);
    if (result == RESULT_OK)
        result = sql_step(spilling->select, &has_row, spilling->problem);
    if (result != RESULT_OK || !has_row)
        return result;
    *ret_is_old = sql_column_integer(spilling->select, 0) > row->image.seq;
    mask = (uint64_t)sql_column_integer(spilling->select, 1);
    if (!*ret_is_old && (mask & ~row->image.mask) != 0) {
        result = sql_column_copy(spilling->select, 2, arena, &data, spilling->problem);
        if (result == RESULT_OK)
            result = unpack_values(table, mask, data.bytes, arena, &stored, spilling->problem);
        for (uint8_t n = 1; n < table->column_count && result == RESULT_OK; n++)
            if ((row->image.mask >> n & 1) != 0)
                stored[n] = row->image.values[n];
        row->image.values = stored;
        row->image.mask |= mask;
    }
    sql_reset(spilling->select);
    return result;
}

static enum result spill_row(struct spilling *spilling, const struct staged_row *staged)
{
    const struct catalog_table *table = replica_table(spilling->replica, staged->image.table_no);
    struct staged_row row = *staged;
    bool is_old = false;
    bool has_row = false;
    enum result result = RESULT_OK;

    if (table == NULL)
        return problem_set(spilling->problem, RESULT_REFUSED, "table %u is not known here",
                           staged->image.table_no);
    row.image.mask &= table->columns_mask;
    result = merge_with_stored(spilling, table, &row, &is_old);
    if (result != RESULT_OK || is_old)
        return result;
    result =
        pack_values(table, row.image.mask, row.image.values, &spilling->packed, spilling->problem);
    if (result == RESULT_OK) {
        const struct value values[] = {
            value_integer(table->number),
            value_integer(row.image.row_id),
            value_integer(row.bucket),
            value_integer(row.image.seq),
            value_integer(row.as_of),
            value_integer((int64_t)row.image.mask),
            value_blob(buffer_bytes(&spilling->packed)),
        };

        sql_reset(spilling->insert);
        result = sql_bind_all(spilling->insert, values, 7, spilling->problem);
    }
    if (result == RESULT_OK)
        result = sql_step(spilling->insert, &has_row, spilling->problem);
    return result;
}

static enum result spill_gone(struct replica *replica, const struct staged_gone *gone,
                              struct problem *problem)
{
    const struct value values[] = {
        value_integer(gone->gone.table_no), value_integer(gone->gone.row_id),
        value_integer(gone->bucket),        value_integer((int64_t)gone->gone.kind),
        value_integer(gone->gone.seq),
    };

    return sql_run(replica->database,
                   "INSERT INTO fs_stage_gone(table_no, row_id, bucket, kind, seq)"
                   " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET"
                   " seq = max(seq, excluded.seq)",
                   values, 5, problem);
}

/* Where the reading of a bucket from nothing stands, beside its rows in one transaction. */
static enum result store_cursor(struct replica *replica, const struct bucket_cursor *cursor,
                                struct problem *problem)
{
    const struct value values[] = {
        value_integer(cursor->bucket),   value_integer(BUCKET_ARRIVING),
        value_integer(cursor->seq),      value_integer(cursor->page_table_no),
        value_integer(cursor->page_seq), value_integer(cursor->page_to),
    };

    return sql_run(replica->database,
                   "INSERT INTO fs_bucket(bucket, state, seq, page_table_no, page_seq, page_to,"
                   " is_whole) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1) ON CONFLICT(bucket) DO UPDATE"
                   " SET seq = ?3, page_table_no = ?4, page_seq = ?5, page_to = ?6, is_whole = 1",
                   values, 6, problem);
}

/* Has the bucket been read from nothing before, as of another head? What came then is void. */
static enum result is_read_anew(struct replica *replica, const struct message_rows *message,
                                bool *ret_is_anew, struct problem *problem)
{
    const struct value values[] = {value_integer(message->bucket), value_integer(message->seq_to)};
    int64_t count = 0;
    enum result result =
        sql_query_integer(replica->database,
                          "SELECT count(*) FROM fs_bucket WHERE bucket = ?1 AND is_whole = 1"
                          " AND NOT (seq = 0 AND page_to = ?2)",
                          values, 2, 0, &count, problem);

    if (result == RESULT_OK)
        *ret_is_anew = count > 0;
    return result;
}

static enum result rows_to_tables(struct replica *replica, const struct message_rows *message,
                                  struct problem *problem)
{
    struct spilling spilling = {.replica = replica, .problem = problem};
    struct bucket_cursor cursor = cursor_after(message);
    const struct value bucket = value_integer(message->bucket);
    bool is_anew = false;
    enum result result = RESULT_OK;

    if (is_from_nothing(message))
        result = is_read_anew(replica, message, &is_anew, problem);
    if (result == RESULT_OK && is_anew)
        result = sql_run(replica->database, "DELETE FROM fs_stage_row WHERE bucket = ?1", &bucket,
                         1, problem);
    if (result == RESULT_OK && is_anew)
        result = sql_run(replica->database, "DELETE FROM fs_stage_gone WHERE bucket = ?1", &bucket,
                         1, problem);
    if (result == RESULT_OK)
        result = spilling_begin(&spilling);
    for (size_t i = 0; i < message->row_count && result == RESULT_OK; i++) {
        const struct staged_row row = {.image = message->rows[i],
                                       .bucket = message->bucket,
                                       .as_of = message->is_repair ? message->seq_to : 0};

        result = spill_row(&spilling, &row);
    }
    spilling_end(&spilling);
    if (result == RESULT_OK && is_from_nothing(message))
        result = store_cursor(replica, &cursor, problem);
    return result;
}

/* Everything in memory that isn't in the tables yet. */
static enum result memory_to_tables(struct replica *replica, struct problem *problem)
{
    struct stage *stage = &replica->stage;
    struct spilling spilling = {.replica = replica, .problem = problem};
    enum result result = spilling_begin(&spilling);

    for (size_t i = 0; i < stage->row_count && result == RESULT_OK; i++)
        result = spill_row(&spilling, stage->rows[i]);
    spilling_end(&spilling);
    for (size_t i = 0; i < stage->gone_count && result == RESULT_OK; i++)
        result = spill_gone(replica, &stage->gone[i], problem);
    for (const struct staged_bucket *bucket = stage->wholes; bucket != NULL && result == RESULT_OK;
         bucket = bucket->next)
        result = store_cursor(replica, &bucket->cursor, problem);
    return result;
}

static void forget_rows(struct stage *stage)
{
    stage->row_count = 0;
    stage->gone_count = 0;
    stage->wholes = NULL;
    lookup_init(&stage->row_of, &stage->arena);
}

/* ---- straight into the tables ---------------------------------------------------------------- */

static enum result clear_bucket(struct applier *applier, int64_t bucket, struct problem *problem)
{
    const struct catalog *catalog = &applier->replica->catalog;
    enum result result = RESULT_OK;

    for (size_t i = 1; i < catalog->table_count && result == RESULT_OK; i++) {
        const struct catalog_table *table = &catalog->tables[i];
        struct bucket_row *rows = NULL;
        size_t count = 0;

        if (!table_is_synced(table))
            continue;
        result = bucket_rows(applier->replica, table, bucket, bucket, applier->arena, &rows, &count,
                             problem);
        for (size_t r = 0; r < count && result == RESULT_OK; r++) {
            const struct pending_row *pending =
                pending_find(&applier->pending, table->number, rows[r].row_id);

            if (pending == NULL || !pending->is_edited)
                result = replica_remove_row(applier->replica, table, rows[r].row_id, problem);
        }
    }
    return result;
}

static enum result rows_direct(struct replica *replica, const struct message_rows *message,
                               struct problem *problem)
{
    struct applier applier = {0};
    struct bucket_cursor cursor = cursor_after(message);
    bool is_anew = false;
    enum result result = applier_begin(&applier, replica, &replica->step_arena, problem);

    /* What came before our commits is set right by the end of this snapshot. */
    for (struct pending_row *row = applier.pending.first; row != NULL; row = row->next)
        row->hold_seq = 0;
    if (result == RESULT_OK && is_from_nothing(message))
        result = is_read_anew(replica, message, &is_anew, problem);
    if (result == RESULT_OK && is_anew)
        result = clear_bucket(&applier, message->bucket, problem);
    for (size_t i = 0; i < message->row_count && result == RESULT_OK; i++)
        result = apply_row(&applier, &message->rows[i], message->seq_to, problem);
    if (result == RESULT_OK && is_from_nothing(message))
        result = store_cursor(replica, &cursor, problem);
    if (result == RESULT_OK)
        result = applier_finish(&applier, (struct wall_time){0}, problem);
    applier_end(&applier);
    return result;
}

/* ---- messages -------------------------------------------------------------------------------- */

static bool fits_memory(const struct stage *stage, size_t more_count)
{
    return stage->arena.size < REPLICA_STAGE_MEMORY_SIZE &&
           stage->row_count + stage->gone_count + more_count <= MEMORY_ROWS_MAX;
}

static enum result rows_in_bulk(struct replica *replica, const struct message_rows *message,
                                struct problem *problem)
{
    enum result result = bulk_begin(replica, problem);

    if (result == RESULT_OK)
        result = rows_direct(replica, message, problem);
    if (result != RESULT_OK) {
        bulk_undo(replica);
        return result;
    }
    return bulk_written(replica, message->row_count, problem);
}

static enum result rows_to_disk(struct replica *replica, const struct message_rows *message,
                                struct problem *problem)
{
    struct sql_transaction transaction = {0};
    enum result result = replica_write_begin(replica, &transaction, problem);

    if (result == RESULT_OK && !replica->stage.is_spilled)
        result = memory_to_tables(replica, problem);
    if (result == RESULT_OK)
        result = rows_to_tables(replica, message, problem);
    if (result == RESULT_OK)
        result = sql_commit(&transaction, problem);
    sql_end(&transaction);
    if (result != RESULT_OK)
        return result;
    replica->stage.is_spilled = true;
    forget_rows(&replica->stage);
    replica_written(replica, message->row_count);
    return RESULT_OK;
}

/* A page of a bucket that comes in many: kept across connections, or one that never lives as long
 * as the whole takes would bring nothing. */
static bool is_worth_keeping(const struct message_rows *rows)
{
    return is_from_nothing(rows) && !rows->is_complete;
}

enum result replica_rows(struct replica *replica, const struct message_rows *rows,
                         struct problem *problem)
{
    int64_t published_seq = 0;
    bool is_direct = false;
    enum result result = state_number(replica, "published_seq", 0, &published_seq, problem);

    is_direct = published_seq == 0;
    if (result == RESULT_OK && is_direct)
        result = rows_in_bulk(replica, rows, problem);
    else if (result == RESULT_OK && (replica->stage.is_spilled || is_worth_keeping(rows) ||
                                     !fits_memory(&replica->stage, rows->row_count)))
        result = rows_to_disk(replica, rows, problem);
    else if (result == RESULT_OK)
        result = rows_to_memory(replica, rows, true, problem);
    if (result == RESULT_OK && is_direct && !is_from_nothing(rows))
        result = rows_to_memory(replica, rows, false, problem); /* which rows are newer than GONE */
    if (result == RESULT_OK && rows->is_repair)
        result = stage_repair(replica, rows, problem);
    if (result != RESULT_OK)
        problem_add(problem, "rows of bucket %" PRId64, rows->bucket);
    return result;
}

static enum result gone_to_tables(struct replica *replica, const struct message_gone *message,
                                  struct problem *problem)
{
    struct sql_transaction transaction = {0};
    enum result result = replica_write_begin(replica, &transaction, problem);

    for (size_t i = 0; i < message->count && result == RESULT_OK; i++) {
        const struct staged_gone gone = {.gone = message->rows[i], .bucket = message->bucket};

        result = spill_gone(replica, &gone, problem);
    }
    if (result == RESULT_OK)
        result = sql_commit(&transaction, problem);
    sql_end(&transaction);
    return result;
}

enum result replica_gone(struct replica *replica, const struct message_gone *gone,
                         struct problem *problem)
{
    struct stage *stage = &replica->stage;
    enum result result = RESULT_OK;

    if (stage->is_spilled)
        result = gone_to_tables(replica, gone, problem);
    for (size_t i = 0; i < gone->count && result == RESULT_OK && !stage->is_spilled; i++) {
        void *items = stage->gone;

        result = grow(&stage->arena, &items, stage->gone_count, &stage->gone_room,
                      sizeof *stage->gone, problem);
        stage->gone = items;
        if (result == RESULT_OK)
            stage->gone[stage->gone_count++] =
                (struct staged_gone){.gone = gone->rows[i], .bucket = gone->bucket};
    }
    if (result != RESULT_OK)
        problem_add(problem, "departures of bucket %" PRId64, gone->bucket);
    return result;
}

enum result stage_seq_of(struct replica *replica, uint16_t table_no, int64_t row_id,
                         int64_t *ret_seq, struct problem *problem)
{
    const struct staged_row *row = lookup_find(&replica->stage.row_of, table_no, row_id);
    const struct value key[] = {value_integer(table_no), value_integer(row_id)};

    *ret_seq = row == NULL ? 0 : row->image.seq;
    if (!replica->stage.is_spilled)
        return RESULT_OK;
    return sql_query_integer(replica->database,
                             "SELECT seq FROM fs_stage_row WHERE table_no = ?1 AND row_id = ?2",
                             key, 2, *ret_seq, ret_seq, problem);
}
