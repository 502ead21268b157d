/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/departures.h"

enum { EXPIRE_COUNT_MAX = 100000, MOMENTS_A_TERM = 16 };

/* One line in a sixteenth of the time to keep, not one for every start of the server. A clock that
 * was set back makes a line, too: it says the truth about the seqs that follow. */
static enum result note_moment(struct store *store, struct wall_time now, int64_t keep_us,
                               struct problem *problem)
{
    const struct value parameters[] = {value_integer(now.us),
                                       value_integer(now.us - keep_us / MOMENTS_A_TERM)};

    return store_execute(store,
                         "INSERT INTO fs_moment(seq, occurred_at)"
                         " SELECT number, ?1 FROM fs_state WHERE name='seq' AND NOT EXISTS"
                         " (SELECT 1 FROM fs_moment WHERE occurred_at > ?2 AND occurred_at <= ?1)"
                         " ON CONFLICT DO NOTHING",
                         parameters, 2, 1, NULL, problem);
}

/* Departures up to *ret_seq may go; 0: none. */
static enum result horizon(struct store *store, struct arena *arena, struct wall_time now,
                           int64_t keep_us, int64_t *ret_seq, struct problem *problem)
{
    const struct value before = value_integer(now.us - keep_us);
    struct value bounds[] = {value_integer(0), value_integer(EXPIRE_COUNT_MAX)};
    struct store_result found = {0};
    enum result result =
        store_query(store, "SELECT max(seq) FROM fs_moment WHERE occurred_at <= ?1", &before, 1,
                    arena, &found, problem);

    if (result != RESULT_OK)
        return result;
    *ret_seq = store_integer_at(&found, 0, 0, 0);
    bounds[0] = value_integer(*ret_seq);
    result =
        store_query(store, "SELECT seq FROM fs_tomb WHERE seq <= ?1 ORDER BY seq LIMIT 1 OFFSET ?2",
                    bounds, 2, arena, &found, problem);
    if (result == RESULT_OK)
        *ret_seq = store_integer_at(&found, 0, 0, *ret_seq);
    return result;
}

enum result departures_expire(struct store *store, struct arena *arena, struct wall_time now,
                              int64_t keep_us, struct problem *problem)
{
    static const char *const STEPS[] = {
        /* the mark before the lines go: both in one transaction anyway */
        ("UPDATE fs_bucket SET tomb_low = t.seq FROM (SELECT bucket, max(seq) AS seq FROM fs_tomb"
         " WHERE seq <= ?1 GROUP BY bucket) AS t"
         " WHERE t.bucket = fs_bucket.bucket AND t.seq > fs_bucket.tomb_low"),
        ("DELETE FROM fs_tomb WHERE seq <= ?1 AND EXISTS (SELECT 1 FROM fs_bucket AS b"
         " WHERE b.bucket = fs_tomb.bucket AND b.tomb_low >= fs_tomb.seq)"),
        "DELETE FROM fs_moment WHERE seq < ?1",
    };
    struct value seq = value_integer(0);
    enum result result = RESULT_OK;

    if (keep_us == 0)
        return RESULT_OK;
    result = note_moment(store, now, keep_us, problem);
    if (result == RESULT_OK)
        result = horizon(store, arena, now, keep_us, &seq.integer, problem);
    for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS && seq.integer > 0 && result == RESULT_OK;
         i++)
        result = store_execute(store, STEPS[i], &seq, 1, 1, NULL, problem);
    return result;
}
