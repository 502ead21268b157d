/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/quarantine.h"

#include "server/core/audit.h"
#include "server/core/ingest.h"
#include "server/core/wire.h"

#include <inttypes.h>

static enum result audit_seal(struct work *work, const char *event, int64_t user_id,
                              int64_t replica_no, int64_t seal_no, struct problem *problem)
{
    const char *detail = arena_format(work_arena(work), "seal %" PRId64, seal_no);

    if (detail == NULL)
        return arena_full(work_arena(work), problem);
    return audit_note(work, event, user_id, replica_no, detail, problem);
}

/* ---- deposit ---- */

/* What is known of the replica, and of this seal in the quarantine. */
struct standing {
    int64_t user_id;
    int64_t incarnation;
    int64_t seal_high;
    bool is_revoked;
    int64_t size; /* of all that waits */
    struct bytes digest;
    int64_t part_count; /* of this seal, before the part at hand */
};

static enum result read_standing(struct work *work, int64_t replica_no,
                                 const struct message_push *push, struct standing *ret_standing,
                                 struct problem *problem)
{
    const struct value parameters[] = {value_integer(replica_no), value_integer(push->incarnation),
                                       value_integer(push->seal_no), value_integer(push->part_no)};
    struct store_result found = {0};
    enum result result =
        work_query(work,
                   "SELECT r.user_id, r.incarnation, r.seal_high, r.state='revoked',"
                   " (SELECT coalesce(sum(length(q.body)),0) FROM fs_quarantine q"
                   "   WHERE q.replica_no=?1),"
                   " (SELECT q.digest FROM fs_quarantine q WHERE q.replica_no=?1"
                   "   AND q.incarnation=?2 AND q.seal_no=?3 LIMIT 1),"
                   " (SELECT count(*) FROM fs_quarantine q WHERE q.replica_no=?1"
                   "   AND q.incarnation=?2 AND q.seal_no=?3 AND q.part_no<?4)"
                   " FROM fs_replica r WHERE r.replica_no=?1",
                   parameters, 4, &found, problem);

    if (result == RESULT_OK)
        *ret_standing = (struct standing){.user_id = store_integer_at(&found, 0, 0, 0),
                                          .incarnation = store_integer_at(&found, 0, 1, 0),
                                          .seal_high = store_integer_at(&found, 0, 2, 0),
                                          .is_revoked = store_integer_at(&found, 0, 3, 0) != 0,
                                          .size = store_integer_at(&found, 0, 4, 0),
                                          .digest = store_bytes_at(&found, 0, 5),
                                          .part_count = store_integer_at(&found, 0, 6, 0)};
    return result;
}

static enum result judge(const struct job *job, const struct message_push *push,
                         const struct standing *standing, struct problem *problem)
{
    if (!standing->is_revoked)
        return problem_set(problem, RESULT_REFUSED, "replica %" PRId64 " isn't revoked",
                           job->replica_no);
    if (push->incarnation != standing->incarnation)
        return problem_set(problem, RESULT_REFUSED, "a seal of another incarnation");
    if (standing->digest.size != 0 && !bytes_equal(standing->digest, push->digest))
        return problem_set(problem, RESULT_REFUSED,
                           "seal %" PRId64 " lies here already with another content",
                           push->seal_no);
    if (standing->size + (int64_t)job->body.size > QUARANTINE_SIZE_MAX)
        return problem_set(problem, RESULT_REFUSED, "more than %d bytes of one device",
                           QUARANTINE_SIZE_MAX);
    return RESULT_OK;
}

static enum result keep_part(struct work *work, const struct job *job,
                             const struct message_push *push, struct problem *problem)
{
    const struct value parameters[] = {
        value_integer(job->replica_no),    value_integer(push->incarnation),
        value_integer(push->seal_no),      value_integer(push->part_no),
        value_integer(push->is_last_part), value_blob(job->body),
        value_blob(push->digest),          value_integer((int64_t)push->change_count),
        value_integer(push->sealed_at.us), value_integer(work_now(work).us)};

    return work_execute(work,
                        "INSERT INTO fs_quarantine(replica_no, incarnation, seal_no, part_no,"
                        " is_last, body, digest, change_count, sealed_at, received_at)"
                        " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)"
                        " ON CONFLICT(replica_no, incarnation, seal_no, part_no) DO NOTHING",
                        parameters, 10, problem);
}

/* A content that a deposited row names; those beyond the bound aren't taken. */
static enum result note_content(struct work *work, const struct job *job, int64_t seal_no,
                                struct bytes hash, int64_t size, struct problem *problem)
{
    const struct value parameters[] = {value_integer(job->replica_no), value_text(hash),
                                       value_integer(size), value_integer(seal_no),
                                       value_integer(QUARANTINE_BLOBS_SIZE_MAX)};

    return work_execute(work,
                        "INSERT INTO fs_quarantine_blob(replica_no, hash, size, seal_no)"
                        " SELECT ?1, lower(?2), ?3, ?4 WHERE ?3 <= ?5 - (SELECT"
                        " coalesce(sum(size),0) FROM fs_quarantine_blob WHERE replica_no=?1)"
                        " ON CONFLICT(replica_no, hash) DO NOTHING",
                        parameters, 5, problem);
}

static enum result note_contents(struct work *work, const struct job *job,
                                 const struct message_push *push, struct problem *problem)
{
    const struct catalog_table *table = catalog_table_by_name(work_catalog(work), "attachment");
    const struct catalog_column *hash = NULL;
    const struct catalog_column *size = NULL;
    enum result result = RESULT_OK;

    if (table == NULL)
        return RESULT_OK;
    hash = catalog_column_by_name(table, "content_hash");
    size = catalog_column_by_name(table, "size_n");
    if (hash == NULL || size == NULL)
        return RESULT_OK;
    for (size_t i = 0; i < push->change_count && result == RESULT_OK; i++) {
        const struct change *change = &push->changes[i];

        if (change->table_no != table->number || change->op != CHANGE_INSERT ||
            (change->mask >> hash->number & 1) == 0 || (change->mask >> size->number & 1) == 0 ||
            change->values[hash->number].bytes.size != (size_t)2 * BLOB_HASH_SIZE ||
            change->values[size->number].integer <= 0)
            continue;
        result = note_content(work, job, push->seal_no, change->values[hash->number].bytes,
                              change->values[size->number].integer, problem);
    }
    return result;
}

static enum result answer(struct job *job, const struct message_push *push, struct problem *problem)
{
    const struct message_deposited message = {.seal_no = push->seal_no, .digest = push->digest};
    struct buffer body;
    enum result result;

    buffer_init(&body, 256);
    result = message_deposited_encode(&message, &body, problem);
    if (result == RESULT_OK)
        result = job_add_body(job, MESSAGE_DEPOSITED, buffer_bytes(&body), 0, NULL, problem);
    buffer_done(&body);
    return result;
}

enum result quarantine_deposit(struct work *work, struct job *job, const struct trace *trace,
                               struct problem *problem)
{
    struct message_push push = {0};
    struct standing standing = {0};
    enum result result = RESULT_OK;

    job->result =
        wire_decode_push(work_catalog(work), job->body, &job->arena, &push, &job->problem);
    if (job->result != RESULT_OK)
        return RESULT_OK;
    result = read_standing(work, job->replica_no, &push, &standing, problem);
    if (result != RESULT_OK)
        return result;
    if (push.seal_no <= standing.seal_high) /* it was applied before the revocation */
        return push.is_last_part ? answer(job, &push, problem) : RESULT_OK;
    job->result = judge(job, &push, &standing, &job->problem);
    if (job->result != RESULT_OK)
        return audit_seal(work, "deposit_refused", standing.user_id, job->replica_no, push.seal_no,
                          problem);
    result = keep_part(work, job, &push, problem);
    if (result == RESULT_OK)
        result = note_contents(work, job, &push, problem);
    if (result != RESULT_OK || !push.is_last_part || standing.part_count < push.part_no)
        return result; /* parts that were on their way at the revocation come again */
    trace_line(trace, "server: seal %" PRId64 " of replica %" PRId64 " lies in quarantine",
               push.seal_no, job->replica_no);
    result =
        audit_seal(work, "deposited", standing.user_id, job->replica_no, push.seal_no, problem);
    return result == RESULT_OK ? answer(job, &push, problem) : result;
}

/* ---- release ---- */

static enum result next_seal(struct work *work, int64_t replica_no, struct store_result *ret_found,
                             struct problem *problem)
{
    const struct value parameter = value_integer(replica_no);

    return work_query(work,
                      "SELECT q.seal_no, q.part_no, q.body, q.incarnation, r.user_id, r.revoked_at"
                      " FROM fs_quarantine q JOIN fs_replica r ON r.replica_no=q.replica_no"
                      " WHERE q.replica_no=?1 AND q.decided_at IS NULL AND q.is_last=1"
                      " AND r.state='revoked' ORDER BY q.seal_no LIMIT 1",
                      &parameter, 1, ret_found, problem);
}

/* All parts but the last one go where a seal's first parts wait for it. */
static enum result hand_over_parts(struct work *work, int64_t replica_no, int64_t seal_no,
                                   int64_t part_no, struct problem *problem)
{
    const struct value parameters[] = {value_integer(replica_no), value_integer(seal_no),
                                       value_integer(part_no)};
    enum result result =
        work_execute(work, "DELETE FROM fs_push_part WHERE replica_no=?1", parameters, 1, problem);

    if (result == RESULT_OK)
        result = work_execute(work,
                              "INSERT INTO fs_push_part(replica_no, seal_no, part_no, body)"
                              " SELECT replica_no, seal_no, part_no, body FROM fs_quarantine"
                              " WHERE replica_no=?1 AND seal_no=?2 AND part_no<?3",
                              parameters, 3, problem);
    return result;
}

static enum result decide(struct work *work, int64_t replica_no, int64_t seal_no,
                          const char *decision, struct problem *problem)
{
    const struct value parameters[] = {value_integer(replica_no), value_integer(seal_no),
                                       value_integer(work_now(work).us), value_text_of(decision)};

    return work_execute(work,
                        "UPDATE fs_quarantine SET decided_at=?3, decision=?4"
                        " WHERE replica_no=?1 AND seal_no=?2 AND decided_at IS NULL",
                        parameters, 4, problem);
}

/* As if it were pushed now, by somebody who was allowed to until the revocation. */
static enum result ingest_one(struct work *work, struct store *store, struct job *job,
                              struct quarantine_step *step, struct problem *problem)
{
    struct ingest_answer ingested = {0};
    struct wire_views *views = wire_views_create(store->catalog);
    enum result result;

    if (views == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a schema version");
    result = ingest_push(work, store, views, job, INGEST_APART, NULL, &ingested, problem);
    wire_views_destroy(views);
    if (result == RESULT_OK && job->result != RESULT_OK)
        result =
            problem_set(problem, job->result == RESULT_MALFORMED ? RESULT_REFUSED : job->result,
                        "seal %" PRId64 ": %s", step->seal_no, job->problem.text);
    if (result != RESULT_OK)
        return result;
    step->change_count = ingested.change_count;
    for (size_t i = 0; i < ingested.count; i++)
        step->late_count +=
            ingested.verdicts[i].kind == VERDICT_REFUSED &&
            bytes_equal(bytes_of_text(ingested.verdicts[i].reason), bytes_of_text("revoked"));
    return RESULT_OK;
}

enum result quarantine_release(struct work *work, struct store *store, int64_t replica_no,
                               struct quarantine_step *ret_step, struct problem *problem)
{
    struct quarantine_step step = {0};
    struct store_result found = {0};
    struct job *job = NULL;
    int64_t user_id = 0;
    int64_t part_no = 0;
    enum result result = next_seal(work, replica_no, &found, problem);

    *ret_step = step;
    if (result != RESULT_OK || found.row_count == 0)
        return result;
    step.seal_no = store_integer_at(&found, 0, 0, 0);
    part_no = store_integer_at(&found, 0, 1, 0);
    user_id = store_integer_at(&found, 0, 4, 0);
    job = job_create(JOB_PUSH, LIMIT_UNIT_SIZE_MAX * 4);
    if (job == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a seal");
    job->replica_no = replica_no;
    job->user_id = user_id;
    job->now = work_now(work);
    job->released_until = (struct wall_time){store_integer_at(&found, 0, 5, 1)};
    job->body = store_bytes_at(&found, 0, 2); /* in the work's arena: the job ends before it */
    if (result == RESULT_OK)
        result = hand_over_parts(work, replica_no, step.seal_no, part_no, problem);
    if (result == RESULT_OK)
        result = ingest_one(work, store, job, &step, problem);
    if (result == RESULT_OK)
        result = decide(work, replica_no, step.seal_no, "released", problem);
    if (result == RESULT_OK)
        result =
            audit_seal(work, "quarantine_released", user_id, replica_no, step.seal_no, problem);
    job_destroy(job);
    if (result == RESULT_OK)
        *ret_step = step;
    return result;
}

enum result quarantine_drop(struct work *work, int64_t replica_no, int64_t *ret_count,
                            struct problem *problem)
{
    const struct value parameters[] = {value_integer(replica_no), value_integer(work_now(work).us)};
    struct store_result found = {0};
    enum result result = work_query(work,
                                    "UPDATE fs_quarantine SET decided_at=?2, decision='dropped'"
                                    " WHERE replica_no=?1 AND decided_at IS NULL RETURNING seal_no",
                                    parameters, 2, &found, problem);

    *ret_count = 0;
    for (size_t i = 0; i < found.row_count && result == RESULT_OK; i++)
        *ret_count +=
            i == 0 || store_integer_at(&found, i, 0, 0) != store_integer_at(&found, i - 1, 0, 0);
    if (result == RESULT_OK && *ret_count > 0)
        result = audit_seal(work, "quarantine_dropped", 0, replica_no,
                            store_integer_at(&found, found.row_count - 1, 0, 0), problem);
    return result;
}
