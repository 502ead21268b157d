/* SPDX-License-Identifier: Apache-2.0 */
/* What the master has no longer, where it can't name departures any more: whatever this replica
 * holds of a bucket beyond the ids that there are becomes a departure like any other. */
#include "agent/replica/replica_inside.h"

#include "base/invariant.h"

#include <inttypes.h>

struct absence {
    struct replica *replica;
    const struct message_ids *ids;
    const struct catalog_table *table;
    struct arena arena;
    struct pending pending;
    struct message_gone gone; /* what comes out */
    size_t room;
    struct problem *problem;
};

static bool is_named(const struct message_ids *ids, int64_t row_id)
{
    size_t low = 0;
    size_t high = ids->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (ids->ids[middle] == row_id)
            return true;
        if (ids->ids[middle] < row_id)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* What was answered after the master was read stays. A row with unanswered work becomes a
 * departure, too, which waits for the verdict: that may have been given long ago, and only its
 * answer lost. */
static bool is_absent(const struct absence *absence, int64_t row_id)
{
    const struct message_ids *ids = absence->ids;
    const struct pending_row *pending =
        pending_find(&absence->pending, absence->table->number, row_id);

    if (pending != NULL && pending->hold_seq > ids->seq_to)
        return false;
    return row_id > ids->id_after && row_id <= ids->id_to && !is_named(ids, row_id);
}

/* Left rather than deleted: a row that only moved to another bucket of this device stays. */
static enum result note_absent(struct absence *absence, int64_t row_id)
{
    struct message_gone *gone = &absence->gone;

    if (!is_absent(absence, row_id))
        return RESULT_OK;
    if (gone->count == absence->room) {
        size_t room = absence->room == 0 ? 64 : absence->room * 2;
        struct gone *rows = arena_array(&absence->arena, room, sizeof *rows);

        if (rows == NULL)
            return arena_full(&absence->arena, absence->problem);
        for (size_t i = 0; i < gone->count; i++)
            rows[i] = gone->rows[i];
        gone->rows = rows;
        absence->room = room;
    }
    gone->rows[gone->count++] = (struct gone){.kind = GONE_LEFT,
                                              .table_no = absence->table->number,
                                              .row_id = row_id,
                                              .seq = absence->ids->seq_to};
    return RESULT_OK;
}

static enum result absent_from_tables(struct absence *absence)
{
    struct bucket_row *rows = NULL;
    size_t count = 0;
    enum result result =
        bucket_rows(absence->replica, absence->table, absence->ids->bucket, absence->ids->bucket,
                    &absence->arena, &rows, &count, absence->problem);

    for (size_t i = 0; i < count && result == RESULT_OK; i++)
        result = note_absent(absence, rows[i].row_id);
    return result;
}

/* Rows that came in earlier pages, perhaps months ago. */
static enum result absent_from_stage(struct absence *absence)
{
    const struct stage *stage = &absence->replica->stage;
    const struct value key[] = {value_integer(absence->table->number),
                                value_integer(absence->ids->bucket)};
    struct sql_statement *statement = NULL;
    bool has_row = true;
    enum result result = RESULT_OK;

    for (size_t i = 0; i < stage->row_count && result == RESULT_OK; i++)
        if (stage->rows[i]->image.table_no == absence->table->number &&
            stage->rows[i]->bucket == absence->ids->bucket)
            result = note_absent(absence, stage->rows[i]->image.row_id);
    if (result == RESULT_OK)
        result = sql_prepare(absence->replica->database,
                             "SELECT row_id FROM fs_stage_row WHERE table_no = ?1 AND bucket = ?2",
                             &statement, absence->problem);
    if (result == RESULT_OK)
        result = sql_bind_all(statement, key, 2, absence->problem);
    while (result == RESULT_OK) {
        result = sql_step(statement, &has_row, absence->problem);
        if (result != RESULT_OK || !has_row)
            break;
        result = note_absent(absence, sql_column_integer(statement, 0));
    }
    sql_release(statement);
    return result;
}

/* One state of the file: a row that somebody inserts meanwhile is pending, or not there yet. */
static enum result find_absent(struct absence *absence)
{
    struct sql_transaction transaction = {0};
    enum result result =
        sql_begin(&transaction, absence->replica->database, SQL_DEFERRED, absence->problem);

    if (result == RESULT_OK)
        result =
            pending_load(absence->replica, &absence->arena, &absence->pending, absence->problem);
    if (result == RESULT_OK)
        result = absent_from_tables(absence);
    if (result == RESULT_OK)
        result = absent_from_stage(absence);
    sql_end(&transaction);
    return result;
}

enum result replica_ids(struct replica *replica, const struct message_ids *ids,
                        struct problem *problem)
{
    struct absence absence = {.replica = replica,
                              .ids = ids,
                              .table = replica_table(replica, ids->table_no),
                              .gone = {.bucket = ids->bucket, .seq_to = ids->seq_to},
                              .problem = problem};
    enum result result = RESULT_OK;

    if (absence.table == NULL || !table_is_synced(absence.table))
        return RESULT_OK; /* nothing of it can be here */
    arena_init(&absence.arena, REPLICA_ARENA_SIZE_MAX);
    result = replica_settle(replica, problem);
    if (result == RESULT_OK)
        result = find_absent(&absence);
    if (result == RESULT_OK && absence.gone.count > 0)
        result = replica_gone(replica, &absence.gone, problem);
    arena_done(&absence.arena);
    if (result != RESULT_OK)
        problem_add(problem, "ids of %s in bucket %" PRId64, absence.table->name, ids->bucket);
    return result;
}
