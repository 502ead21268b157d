/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/replica/replica_inside.h"

/* A commit a message writes the same index pages again and again: ten times the bytes; one each
 * 20,000 rows still three times. The caller commits each second in any case. */
enum { BULK_ROWS_MAX = 200000 };

enum result bulk_begin(struct replica *replica, struct problem *problem)
{
    struct bulk *bulk = &replica->bulk;
    enum result result = RESULT_OK;

    if (bulk->transaction.database != NULL) {
        arena_reset(&replica->step_arena);
        return RESULT_OK;
    }
    result = replica_write_begin(replica, &bulk->transaction, problem);
    if (result == RESULT_OK)
        result = triggers_pause_begin(&bulk->pause, replica->database, problem);
    if (result != RESULT_OK)
        bulk_undo(replica);
    return result;
}

bool bulk_is_open(const struct replica *replica)
{
    return replica->bulk.transaction.database != NULL;
}

enum result bulk_written(struct replica *replica, size_t row_count, struct problem *problem)
{
    replica->bulk.row_count += row_count;
    return replica->bulk.row_count < BULK_ROWS_MAX ? RESULT_OK : replica_settle(replica, problem);
}

void bulk_undo(struct replica *replica)
{
    struct bulk *bulk = &replica->bulk;

    sql_end(&bulk->transaction);
    triggers_pause_done(&bulk->pause, replica->database);
    *bulk = (struct bulk){.is_lost = bulk->is_lost || bulk->row_count > 0};
}

enum result replica_settle(struct replica *replica, struct problem *problem)
{
    size_t row_count = replica->bulk.row_count;
    enum result result = RESULT_OK;

    if (!bulk_is_open(replica))
        return RESULT_OK;
    result = triggers_pause_end(&replica->bulk.pause, replica->database, problem);
    if (result == RESULT_OK)
        result = sql_commit(&replica->bulk.transaction, problem);
    if (result == RESULT_OK)
        replica->bulk.row_count = 0; /* nothing is lost */
    bulk_undo(replica);
    if (result == RESULT_OK)
        replica_written(replica, row_count);
    return result;
}

bool replica_has_lost_rows(const struct replica *replica)
{
    return replica->bulk.is_lost;
}

bool replica_is_unsettled(const struct replica *replica)
{
    return bulk_is_open(replica);
}
