/* SPDX-License-Identifier: Apache-2.0 */
/* Everything staged becomes visible in one transaction: rows, departures, subscription, cursors.
 *
 * All of it is the master at the head: the last tails of all buckets come from one read of it, and
 * a row that a page had before comes again there if it changed since. Only rows that nobody but
 * this device changed don't come again: so what is answered above the head, and only that, is newer
 * than the stage. A repair is read by itself and true at its own seq. */
#include "agent/replica/replica_inside.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct publication {
    struct replica *replica;
    struct arena *arena;
    struct applier applier;
    int64_t head;
    struct wall_time now;
    int64_t *subscribed; /* from now on, ascending */
    size_t subscribed_count;
    int64_t *held_wholes; /* read from nothing, and here before */
    size_t held_whole_count;
    struct problem *problem;
};

/* ---- subscription ---------------------------------------------------------------------------- */

/* Buckets read from nothing whose rows were here before: what the snapshot lacks has to go. */
static enum result find_held_wholes(struct publication *publication)
{
    struct replica *replica = publication->replica;
    struct sql_statement *statement = NULL;
    size_t room = 1;
    bool has_row = true;
    enum result result = RESULT_OK;

    for (const struct staged_bucket *whole = replica->stage.wholes; whole != NULL;
         whole = whole->next) { /* the same as a spilled stage has already */
        const struct value value = value_integer(whole->cursor.bucket);

        result = sql_run(replica->database, "UPDATE fs_bucket SET is_whole = 1 WHERE bucket = ?1",
                         &value, 1, publication->problem);
        if (result != RESULT_OK)
            return result;
    }
    result = sql_prepare(replica->database,
                         "SELECT bucket, (SELECT count(*) FROM fs_bucket) FROM fs_bucket"
                         " WHERE is_whole = 1 AND state IN (1, 2) ORDER BY bucket",
                         &statement, publication->problem);
    while (result == RESULT_OK) {
        result = sql_step(statement, &has_row, publication->problem);
        if (result != RESULT_OK || !has_row)
            break;
        if (publication->held_wholes == NULL) {
            room = (size_t)sql_column_integer(statement, 1);
            publication->held_wholes =
                arena_array(publication->arena, room, sizeof *publication->held_wholes);
        }
        if (publication->held_wholes == NULL) {
            result = arena_full(publication->arena, publication->problem);
            break;
        }
        publication->held_wholes[publication->held_whole_count++] =
            sql_column_integer(statement, 0);
    }
    sql_release(statement);
    return result;
}

static enum result change_subscription(struct publication *publication)
{
    struct replica *replica = publication->replica;
    const struct stage *stage = &replica->stage;
    enum result result =
        sql_run(replica->database,
                stage->has_subscription
                    ? "UPDATE fs_bucket SET state = 2, seq = NULL, page_table_no = 0, page_seq = 0,"
                      " page_to = 0 WHERE state IN (1, 3)"
                    : "UPDATE fs_bucket SET state = 2, seq = NULL, page_table_no = 0, page_seq = 0,"
                      " page_to = 0 WHERE state = 3",
                NULL, 0, publication->problem);

    for (size_t i = 0; stage->has_subscription && i < stage->subscribed_count; i++) {
        const struct value value = value_integer(stage->subscribed[i]);

        if (result == RESULT_OK)
            result = sql_run(replica->database,
                             "INSERT INTO fs_bucket(bucket, state) VALUES (?1, 1)"
                             " ON CONFLICT(bucket) DO UPDATE SET state = 1",
                             &value, 1, publication->problem);
    }
    if (result == RESULT_OK)
        result =
            bucket_list(replica, BUCKET_SUBSCRIBED, publication->arena, &publication->subscribed,
                        &publication->subscribed_count, publication->problem);
    return result;
}

static bool is_subscribed(const struct publication *publication, int64_t bucket)
{
    return bucket_is_in(publication->subscribed, publication->subscribed_count, bucket);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static enum result put_from_memory(struct publication *publication)
{
    const struct stage *stage = &publication->replica->stage;
    enum result result = RESULT_OK;

    for (size_t i = 0; i < stage->row_count && result == RESULT_OK; i++) {
        const struct staged_row *row = stage->rows[i];

        if (row->image.values != NULL && is_subscribed(publication, row->bucket))
            result =
                apply_row(&publication->applier, &row->image,
                          row->as_of == 0 ? publication->head : row->as_of, publication->problem);
    }
    return result;
}

static enum result put_from_tables(struct publication *publication)
{
    struct sql_statement *statement = NULL;
    struct arena row_arena;
    bool has_row = true;
    enum result result = sql_prepare(publication->replica->database,
                                     "SELECT table_no, row_id, bucket, seq, as_of, mask, data"
                                     " FROM fs_stage_row ORDER BY table_no, row_id",
                                     &statement, publication->problem);

    arena_init(&row_arena, REPLICA_ARENA_SIZE_MAX);
    while (result == RESULT_OK) {
        const struct catalog_table *table = NULL;
        struct row_image image = {0};
        int64_t as_of = 0;

        arena_reset(&row_arena);
        result = sql_step(statement, &has_row, publication->problem);
        if (result != RESULT_OK || !has_row)
            break;
        table = replica_table(publication->replica, sql_column_integer(statement, 0));
        if (table == NULL || !is_subscribed(publication, sql_column_integer(statement, 2)))
            continue;
        image.table_no = table->number;
        image.row_id = sql_column_integer(statement, 1);
        image.seq = sql_column_integer(statement, 3);
        image.mask = (uint64_t)sql_column_integer(statement, 5);
        as_of = sql_column_integer(statement, 4);
        result = unpack_values(table, image.mask, sql_column(statement, 6).bytes, &row_arena,
                               &image.values, publication->problem);
        if (result == RESULT_OK)
            result = apply_row(&publication->applier, &image,
                               as_of == 0 ? publication->head : as_of, publication->problem);
    }
    sql_release(statement);
    arena_done(&row_arena);
    return result;
}

/* ---- departures ------------------------------------------------------------------------------ */

/* R2: a departure is void if the row came again, or belongs to another subscribed bucket now. */
static enum result take_gone(struct publication *publication, const struct gone *gone,
                             int64_t bucket)
{
    struct replica *replica = publication->replica;
    const struct catalog_table *table = replica_table(replica, gone->table_no);
    struct value *values = NULL;
    int64_t own_bucket = 0;
    int64_t staged_seq = 0;
    enum result result = RESULT_OK;

    if (table == NULL)
        return RESULT_OK; /* nothing of it can be here */
    result = stage_seq_of(replica, gone->table_no, gone->row_id, &staged_seq, publication->problem);
    if (result != RESULT_OK || staged_seq >= gone->seq)
        return result;
    result = replica_read_row(replica, table, gone->row_id, publication->arena, &values,
                              &own_bucket, publication->problem);
    if (result != RESULT_OK)
        return result;
    if (values != NULL && gone->kind == GONE_LEFT && own_bucket == bucket)
        result = applier_server_bucket(&publication->applier, table, gone->row_id, &own_bucket,
                                       publication->problem);
    if (result != RESULT_OK)
        return result;
    if (values != NULL && gone->kind == GONE_LEFT && own_bucket != bucket &&
        is_subscribed(publication, own_bucket))
        return RESULT_OK;
    return apply_gone(&publication->applier, table, gone->row_id, gone->kind, publication->head,
                      publication->problem);
}

static enum result take_gone_from_tables(struct publication *publication)
{
    struct sql_statement *statement = NULL;
    bool has_row = true;
    enum result result =
        sql_prepare(publication->replica->database,
                    "SELECT table_no, row_id, bucket, kind, seq FROM fs_stage_gone", &statement,
                    publication->problem);

    while (result == RESULT_OK) {
        struct gone gone = {0};

        result = sql_step(statement, &has_row, publication->problem);
        if (result != RESULT_OK || !has_row)
            break;
        gone.table_no = (uint16_t)sql_column_integer(statement, 0);
        gone.row_id = sql_column_integer(statement, 1);
        gone.kind = (enum gone_kind)sql_column_integer(statement, 3);
        gone.seq = sql_column_integer(statement, 4);
        result = take_gone(publication, &gone, sql_column_integer(statement, 2));
    }
    sql_release(statement);
    return result;
}

static enum result take_all_gone(struct publication *publication)
{
    const struct stage *stage = &publication->replica->stage;
    enum result result = RESULT_OK;

    for (size_t i = 0; i < stage->gone_count && result == RESULT_OK; i++)
        result = take_gone(publication, &stage->gone[i].gone, stage->gone[i].bucket);
    if (result == RESULT_OK && stage->is_spilled)
        result = take_gone_from_tables(publication);
    return result;
}

/* ---- what a whole bucket, or whole parts of it, don't have --------------------------------- */

/* A row with unanswered work stays until its verdict; if that was given before the bucket was read,
 * it goes then. */
static enum result remove_absent_row(struct publication *publication,
                                     const struct catalog_table *table, int64_t row_id,
                                     int64_t bucket, int64_t as_of)
{
    const struct pending_row *pending =
        pending_find(&publication->applier.pending, table->number, row_id);
    int64_t server_bucket = bucket;
    int64_t staged_seq = 0;
    enum result result = RESULT_OK;

    if (pending != NULL && as_of < pending->hold_seq)
        return RESULT_OK;
    result = stage_seq_of(publication->replica, table->number, row_id, &staged_seq,
                          publication->problem);
    if (result == RESULT_OK)
        result = applier_server_bucket(&publication->applier, table, row_id, &server_bucket,
                                       publication->problem);
    if (result == RESULT_OK && staged_seq == 0 && server_bucket == bucket)
        result = apply_gone(&publication->applier, table, row_id, GONE_DELETED, as_of,
                            publication->problem);
    return result;
}

/* parts NULL: the whole bucket. */
static enum result remove_absent(struct publication *publication, int64_t bucket, int64_t as_of,
                                 const bool *parts)
{
    const struct catalog *catalog = &publication->replica->catalog;
    enum result result = RESULT_OK;

    for (size_t i = 1; i < catalog->table_count && result == RESULT_OK; i++) {
        const struct catalog_table *table = &catalog->tables[i];
        struct bucket_row *rows = NULL;
        size_t count = 0;

        if (!table_is_synced(table))
            continue;
        result = bucket_rows(publication->replica, table, bucket, bucket, publication->arena, &rows,
                             &count, publication->problem);
        for (size_t r = 0; r < count && result == RESULT_OK; r++)
            if (parts == NULL || parts[(uint64_t)rows[r].row_id % REPAIR_PARTS])
                result = remove_absent_row(publication, table, rows[r].row_id, bucket, as_of);
    }
    return result;
}

static enum result remove_all_absent(struct publication *publication)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < publication->held_whole_count && result == RESULT_OK; i++)
        if (is_subscribed(publication, publication->held_wholes[i]))
            result =
                remove_absent(publication, publication->held_wholes[i], publication->head, NULL);
    for (const struct staged_repair *repair = publication->replica->stage.repairs;
         repair != NULL && result == RESULT_OK; repair = repair->next)
        result = remove_absent(publication, repair->bucket, repair->as_of, repair->parts);
    return result;
}

/* Work that was accepted into a bucket which isn't this device's: nothing keeps it up to date here,
 * so it goes, like any row that left. */
static enum result remove_foreign(struct publication *publication)
{
    struct replica *replica = publication->replica;
    enum result result = RESULT_OK;

    for (const struct pending_row *row = publication->applier.pending.first;
         row != NULL && result == RESULT_OK; row = row->next) {
        const struct catalog_table *table = replica_table(replica, row->table_no);
        struct value *values = NULL;
        int64_t bucket = 0;

        if (row->is_edited || row->hold_seq == 0 || row->hold_seq > publication->head)
            continue;
        result = replica_read_row(replica, table, row->row_id, publication->arena, &values, &bucket,
                                  publication->problem);
        if (result == RESULT_OK && values != NULL && bucket != 0 &&
            !is_subscribed(publication, bucket))
            result = apply_gone(&publication->applier, table, row->row_id, GONE_LEFT,
                                publication->head, publication->problem);
    }
    return result;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static enum result move_heads(struct publication *publication)
{
    struct replica *replica = publication->replica;
    const struct value head = value_integer(publication->head);
    static const char *const CLEAR[] = {
        ("UPDATE fs_bucket SET seq = NULL, page_table_no = 0, page_seq = 0, page_to = 0,"
         " is_whole = 0 WHERE seq IS NOT NULL OR is_whole <> 0"),
        "DELETE FROM fs_stage_row",
        "DELETE FROM fs_stage_gone",
    };
    enum result result = sql_run(replica->database, "DELETE FROM fs_hold WHERE commit_seq <= ?1",
                                 &head, 1, publication->problem);

    if (result == RESULT_OK) /* what the first snapshot left aside is as of its end, too */
        result = sql_run(replica->database,
                         "UPDATE fs_shadow SET as_of = ?1 WHERE as_of < ?1 AND NOT EXISTS (SELECT 1"
                         " FROM fs_state WHERE name = 'published_seq' AND number > 0)",
                         &head, 1, publication->problem);
    for (size_t i = 0; i < sizeof CLEAR / sizeof CLEAR[0] && result == RESULT_OK; i++)
        result = sql_run(replica->database, CLEAR[i], NULL, 0, publication->problem);
    if (result == RESULT_OK)
        result =
            state_set_number(replica, "published_seq", publication->head, publication->problem);
    if (result == RESULT_OK)
        result =
            state_set_number(replica, "published_floor", publication->head, publication->problem);
    if (result == RESULT_OK)
        result =
            state_set_number(replica, "published_at", publication->now.us, publication->problem);
    return result;
}

static enum result publish_all(struct publication *publication, size_t *ret_dropped_count)
{
    struct replica *replica = publication->replica;
    struct problem *problem = publication->problem;
    enum result result = applier_begin(&publication->applier, replica, publication->arena, problem);

    if (result == RESULT_OK)
        result = find_held_wholes(publication);
    if (result == RESULT_OK)
        result = change_subscription(publication);
    if (result == RESULT_OK)
        result = put_from_memory(publication);
    if (result == RESULT_OK && replica->stage.is_spilled)
        result = put_from_tables(publication);
    if (result == RESULT_OK)
        result = take_all_gone(publication);
    if (result == RESULT_OK)
        result = remove_all_absent(publication);
    if (result == RESULT_OK)
        result = remove_foreign(publication);
    if (result == RESULT_OK)
        result = leave_sweep(&publication->applier, ret_dropped_count, problem);
    if (result == RESULT_OK)
        result = quarantine_retry(&publication->applier, problem);
    if (result == RESULT_OK)
        result = applier_finish(&publication->applier, publication->now, problem);
    if (result == RESULT_OK)
        result = move_heads(publication);
    if (result == RESULT_OK)
        result = seals_prune(replica, publication->now, problem);
    applier_end(&publication->applier);
    return result;
}

static enum result check_head(struct replica *replica, int64_t head, struct problem *problem)
{
    int64_t floor = 0;
    enum result result = state_number(replica, "published_floor", 0, &floor, problem);

    if (result == RESULT_OK && (head < floor || head < 1))
        result = problem_set(problem, RESULT_MALFORMED,
                             "the server publishes %" PRId64 " after %" PRId64, head, floor);
    return result;
}

enum result replica_publish(struct replica *replica, int64_t head, struct wall_time now,
                            struct replica_published *ret_published, struct problem *problem)
{
    struct publication publication = {.replica = replica,
                                      .arena = &replica->step_arena,
                                      .head = head,
                                      .now = now,
                                      .problem = problem};
    struct replica_published published = {0};
    struct sql_transaction transaction = {0};
    enum result result = replica_write_begin(replica, &transaction, problem);

    if (result == RESULT_OK)
        result = check_head(replica, head, problem);
    if (result == RESULT_OK)
        result = publish_all(&publication, &published.dropped_bucket_count);
    if (result == RESULT_OK)
        result = sql_commit(&transaction, problem);
    sql_end(&transaction);
    if (result != RESULT_OK) {
        problem_add(problem, "publishing at %" PRId64, head);
        return result;
    }
    stage_reset(&replica->stage); /* only now: memory never runs ahead of the disk */
    replica->stage.is_spilled = false;
    published.row_count = publication.applier.row_count;
    published.gone_count = publication.applier.gone_count;
    published.quarantined_count = publication.applier.quarantined_count;
    if (publication.applier.missing_count > 0)
        trace_line(replica->trace, "replica: parts of %zu rows came that aren't here",
                   publication.applier.missing_count);
    trace_line(replica->trace, "replica: published %" PRId64 ", %zu rows, %zu gone", head,
               published.row_count, published.gone_count);
    replica_written(replica, published.row_count + published.gone_count);
    *ret_published = published;
    return RESULT_OK;
}
