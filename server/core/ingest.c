/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/ingest_inside.h"

#include "server/core/copies.h"
#include "server/core/devices.h"

#include "base/invariant.h"
#include "protocol/identity.h"
#include "server/core/devices_confirm.h"

#include <inttypes.h>
#include <string.h>

/* What a push turns out to be before any of its changes is looked at. */
enum seal_fate {
    SEAL_APPLY,     /* the next one */
    SEAL_REPEATED,  /* applied before: the stored verdicts again */
    SEAL_STORED,    /* a part, the last one is still to come */
    SEAL_IMPOSSIBLE /* the job was refused */
};

/* ---- the replica ---- */

enum result ingest_read_replica(struct store *store, struct arena *arena, int64_t replica_no,
                                struct ingest_replica *ret_replica, struct problem *problem)
{
    const struct value parameter = value_integer(replica_no);
    struct store_result found = {0};
    struct bytes state;
    enum result result =
        store_query(store,
                    "SELECT device_id, user_id, incarnation, lcn_high, seal_high, seal_digest,"
                    " state, first_no, token_current, published_seq,"
                    " is_confirmed FROM fs_replica WHERE replica_no=?1",
                    &parameter, 1, arena, &found, problem);

    if (result != RESULT_OK)
        return result;
    if (found.row_count == 0)
        return problem_set(problem, RESULT_REFUSED, "replica %" PRId64 " is unknown", replica_no);
    state = store_bytes_at(&found, 0, 6);
    *ret_replica = (struct ingest_replica){
        .replica_no = replica_no,
        .device_id = store_integer_at(&found, 0, 0, 0),
        .user_id = store_integer_at(&found, 0, 1, 0),
        .incarnation = store_integer_at(&found, 0, 2, 0),
        .lcn_high = store_integer_at(&found, 0, 3, 0),
        .seal_high = store_integer_at(&found, 0, 4, 0),
        .seal_digest = store_bytes_at(&found, 0, 5),
        .first_no = store_integer_at(&found, 0, 7, 0),
        .token_current = store_bytes_at(&found, 0, 8),
        .published_seq = store_integer_at(&found, 0, 9, 0),
        .state = replica_state_of(state, store_integer_at(&found, 0, 10, 0) != 0)};
    return RESULT_OK;
}

/* A copied disk, or one that was put back: nothing more of this replica until an admin has decided.
 * Its token is right, so this copy can't be one that goes on as it is. */
static enum result hold_replica(struct ingest *ingest, const struct message_push *push,
                                struct job *job, const char *why, struct problem *problem)
{
    const struct ingest_replica *replica = &ingest->replica;
    const struct copy_sight sight = {.replica_no = replica->replica_no,
                                     .token = replica->token_current,
                                     .why = why,
                                     .seen_at = work_now(ingest->work),
                                     .lcn_last = push->lcn_last,
                                     .published_seq = replica->published_seq};
    enum result result =
        devices_hold(ingest->work, replica->replica_no, replica->user_id, why, problem);

    if (result == RESULT_OK)
        result = copies_note(ingest->work, &sight, problem);
    trace_line(ingest->trace, "server: replica %" PRId64 " held: %s", replica->replica_no, why);
    job->state = REPLICA_HELD;
    job->result = problem_set(&job->problem, RESULT_REFUSED, "%s", why);
    return result;
}

/* ---- which seal is it? ---- */

/* Its digest, and where it was committed. */
static enum result stored_seal(struct ingest *ingest, int64_t seal_no, struct bytes *ret_digest,
                               struct problem *problem)
{
    const struct value parameters[] = {value_integer(ingest->replica.replica_no),
                                       value_integer(ingest->replica.incarnation),
                                       value_integer(seal_no)};
    struct store_result found = {0};
    enum result result = store_query(ingest->store,
                                     "SELECT digest, commit_seq FROM fs_seal WHERE replica_no=?1"
                                     " AND incarnation=?2 AND seal_no=?3",
                                     parameters, 3, ingest->arena, &found, problem);

    if (result == RESULT_OK) {
        *ret_digest = store_bytes_at(&found, 0, 0);
        ingest->commit_seq = store_integer_at(&found, 0, 1, ingest->commit_seq);
    }
    return result;
}

static enum result judge_seal(struct ingest *ingest, const struct message_push *push,
                              struct job *job, enum seal_fate *ret_fate, struct problem *problem)
{
    static const uint8_t ZEROS[SEAL_DIGEST_SIZE] = {0};
    const struct ingest_replica *replica = &ingest->replica;
    struct bytes expected = replica->seal_digest;
    struct bytes digest = {0};
    enum result result = RESULT_OK;

    *ret_fate = SEAL_IMPOSSIBLE;
    if (push->incarnation != replica->incarnation) {
        job->result = problem_set(&job->problem, RESULT_REFUSED,
                                  "a seal of incarnation %" PRId64 ", this is %" PRId64,
                                  push->incarnation, replica->incarnation);
        return RESULT_OK;
    }
    if (push->seal_no <= replica->seal_high) {
        result = stored_seal(ingest, push->seal_no, &digest, problem);
        if (result != RESULT_OK)
            return result;
        if (!bytes_equal(digest, push->digest))
            return hold_replica(ingest, push, job,
                                "an applied seal came again with another content", problem);
        *ret_fate = SEAL_REPEATED;
        return RESULT_OK;
    }
    if (push->seal_no > replica->seal_high + 1) {
        job->result =
            problem_set(&job->problem, RESULT_REFUSED, "seal %" PRId64 " came after seal %" PRId64,
                        push->seal_no, replica->seal_high);
        return RESULT_OK;
    }
    if (expected.size == 0)
        expected = bytes_of(ZEROS, sizeof ZEROS);
    if (!bytes_equal(push->previous_digest, expected) || push->lcn_first <= replica->lcn_high)
        return hold_replica(ingest, push, job, "a seal does not follow the one before it", problem);
    *ret_fate = SEAL_APPLY;
    return RESULT_OK;
}

/* ---- parts ---- */

static enum result drop_parts(struct ingest *ingest, struct problem *problem)
{
    const struct value parameter = value_integer(ingest->replica.replica_no);

    return work_execute(ingest->work, "DELETE FROM fs_push_part WHERE replica_no=?1", &parameter, 1,
                        problem);
}

static enum result store_part(struct ingest *ingest, const struct message_push *push,
                              struct job *job, struct problem *problem)
{
    const struct value parameters[] = {value_integer(ingest->replica.replica_no),
                                       value_integer(push->seal_no), value_integer(push->part_no),
                                       value_blob(job->body)};
    struct store_result sum = {0};
    enum result result = RESULT_OK;

    if (push->part_no == 0)
        result = drop_parts(ingest, problem);
    if (result == RESULT_OK)
        result = store_query(ingest->store,
                             "SELECT coalesce(sum(length(body)),0), count(*) FROM fs_push_part"
                             " WHERE replica_no=?1",
                             parameters, 1, ingest->arena, &sum, problem);
    if (result != RESULT_OK)
        return result;
    if (store_integer_at(&sum, 0, 0, 0) + (int64_t)job->body.size > LIMIT_UNIT_SIZE_MAX ||
        store_integer_at(&sum, 0, 1, 0) >= LIMIT_UNIT_PARTS_MAX) {
        job->result = problem_set(&job->problem, RESULT_REFUSED,
                                  "seal %" PRId64 " is larger than %d bytes or %d parts",
                                  push->seal_no, LIMIT_UNIT_SIZE_MAX, LIMIT_UNIT_PARTS_MAX);
        result = drop_parts(ingest, problem);
        return result == RESULT_OK ? ingest_audit(ingest, "seal_too_large", NULL, problem) : result;
    }
    return work_execute(ingest->work,
                        "INSERT INTO fs_push_part(replica_no, seal_no, part_no, body)"
                        " VALUES(?1,?2,?3,?4)"
                        " ON CONFLICT(replica_no, seal_no, part_no) DO UPDATE SET"
                        " body=excluded.body",
                        parameters, 4, problem);
}

/* All parts of a seal in order; the last is the message at hand. */
struct parts {
    size_t count;
    struct message_push *items;
    size_t change_count;
};

static enum result read_parts(struct ingest *ingest, const struct message_push *last,
                              struct job *job, struct parts *ret_parts, struct problem *problem)
{
    const struct value parameters[] = {value_integer(ingest->replica.replica_no),
                                       value_integer(last->seal_no), value_integer(last->part_no)};
    struct store_result found = {0};
    struct parts parts = {0};
    enum result result = RESULT_OK;

    if (last->part_no > 0)
        result = store_query(ingest->store,
                             "SELECT body FROM fs_push_part WHERE replica_no=?1 AND seal_no=?2"
                             " AND part_no<?3 ORDER BY part_no",
                             parameters, 3, ingest->arena, &found, problem);
    if (result != RESULT_OK)
        return result;
    if ((int64_t)found.row_count != last->part_no) {
        job->result = problem_set(&job->problem, RESULT_REFUSED,
                                  "parts of seal %" PRId64 " are missing", last->seal_no);
        return RESULT_OK;
    }
    parts.items = arena_array(ingest->arena, found.row_count + 1, sizeof *parts.items);
    if (parts.items == NULL)
        return arena_full(ingest->arena, problem);
    for (size_t i = 0; i < found.row_count && job->result == RESULT_OK; i++) {
        job->result = message_push_decode(ingest->wire, store_bytes_at(&found, i, 0), ingest->arena,
                                          &parts.items[i], &job->problem);
        parts.change_count += parts.items[i].change_count;
    }
    parts.items[found.row_count] = *last;
    parts.change_count += last->change_count;
    parts.count = found.row_count + 1;
    *ret_parts = parts;
    return RESULT_OK;
}

/* Is the whole what its digest says? A part of another seal or a damaged one fails here. */
static enum result check_digest(struct ingest *ingest, const struct parts *parts, struct job *job)
{
    const struct message_push *last = &parts->items[parts->count - 1];
    uint8_t digest[SEAL_DIGEST_SIZE];
    struct seal_digest_state state;
    enum result result = RESULT_OK;

    if (parts->change_count > LIMIT_UNIT_CHANGES_MAX)
        return problem_set(&job->problem, RESULT_REFUSED, "seal %" PRId64 " has %zu changes",
                           last->seal_no, parts->change_count);
    seal_digest_begin(&state, last);
    for (size_t i = 0; i < parts->count && result == RESULT_OK; i++)
        result = seal_digest_add(&state, ingest->wire, &parts->items[i], &job->problem);
    seal_digest_end(&state, digest);
    if (result == RESULT_OK && !bytes_equal(last->digest, bytes_of(digest, sizeof digest)))
        result = problem_set(&job->problem, RESULT_REFUSED,
                             "seal %" PRId64 " isn't what its digest says", last->seal_no);
    return result;
}

/* ---- applying ---- */

static enum result take_items(struct ingest *ingest, const struct parts *parts,
                              struct problem *problem)
{
    enum result result = RESULT_OK;

    lookup_init(&ingest->by_row, ingest->arena);
    ingest->items = arena_array(ingest->arena, parts->change_count, sizeof *ingest->items);
    if (ingest->items == NULL)
        return arena_full(ingest->arena, problem);
    result = lookup_reserve(&ingest->by_row, parts->change_count, problem);
    for (size_t p = 0; p < parts->count; p++)
        for (size_t i = 0; i < parts->items[p].change_count && result == RESULT_OK; i++) {
            struct ingest_item *item = &ingest->items[ingest->count++];

            item->change = &parts->items[p].changes[i];
            item->table = catalog_table_by_no(ingest->catalog, item->change->table_no);
            invariant(item->table != NULL); /* message_push_decode */
            result = ingest_translate(ingest, item, problem);
            if (result == RESULT_OK)
                result = lookup_put(&ingest->by_row, item->change->table_no, item->change->row_id,
                                    item, problem);
        }
    return result;
}

/* The common case: everything in one go. RESULT_REFUSED: a rule spoke. */
static enum result apply_all(struct ingest *ingest, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < ingest->count && result == RESULT_OK; i++)
        if (ingest->order[i]->state == ITEM_WAITING)
            result = ingest_apply(ingest, ingest->order[i], problem);
    return result == RESULT_OK ? work_settle(ingest->work, problem) : result;
}

/* RESULT_REFUSED: some constraint spoke, too, the savepoint is undone. */
static enum result apply_whole(struct ingest *ingest, struct problem *problem)
{
    struct problem undoing = {0};
    enum result result = work_savepoint(ingest->work, problem);

    if (result != RESULT_OK)
        return result;
    result = apply_all(ingest, problem);
    if (result == RESULT_OK)
        result = work_flush(ingest->work, problem);
    if (result == RESULT_OK)
        return work_release(ingest->work, problem);
    if (result == RESULT_REFUSED && work_undo(ingest->work, &undoing) != RESULT_OK)
        return problem_set(problem, RESULT_STORAGE, "%s", undoing.text);
    return result;
}

static enum result apply_alone(struct ingest *ingest, struct ingest_item *item,
                               struct problem *problem)
{
    struct problem why = {0};
    enum result result = work_savepoint(ingest->work, problem);

    if (result != RESULT_OK)
        return result;
    result = ingest_apply(ingest, item, &why);
    if (result == RESULT_OK)
        result = work_settle(ingest->work, &why);
    if (result == RESULT_OK)
        result = work_flush(ingest->work, &why);
    if (result == RESULT_OK)
        return work_release(ingest->work, problem);
    if (result != RESULT_REFUSED)
        return problem_set(problem, result, "%s", why.text);
    result = work_undo(ingest->work, problem);
    if (result != RESULT_OK)
        return result;
    if (item->pulled != NULL)
        item->pulled->state = ITEM_WAITING;
    item->verdict.merged_into_id = 0;
    return ingest_refuse(ingest, item, REASON_CHECK_FAILED,
                         arena_format(ingest->arena, "%s", why.text), problem);
}

static enum result apply_one_by_one(struct ingest *ingest, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < ingest->count; i++)
        ingest->items[i].state = ITEM_WAITING;
    for (size_t i = 0; i < ingest->count && result == RESULT_OK; i++)
        if (ingest->order[i]->state == ITEM_WAITING)
            result = apply_alone(ingest, ingest->order[i], problem);
    return result;
}

static enum result apply_seal(struct ingest *ingest, const struct parts *parts,
                              struct problem *problem)
{
    struct problem refusal = {0};
    enum result result = take_items(ingest, parts, problem);

    if (result == RESULT_OK)
        result = ingest_order(ingest, problem);
    if (result == RESULT_OK && ingest->way == INGEST_TOGETHER) {
        result = apply_all(ingest, problem);
    } else if (result == RESULT_OK) {
        result = apply_whole(ingest, &refusal);
        if (result == RESULT_REFUSED) {
            trace_line(ingest->trace, "server: replica %" PRId64 ": change by change: %s",
                       ingest->replica.replica_no, refusal.text);
            result = apply_one_by_one(ingest, problem);
        } else if (result != RESULT_OK) {
            result = problem_set(problem, result, "%s", refusal.text);
        }
    }
    if (result == RESULT_OK)
        result = ingest_compare(ingest, problem);
    return result;
}

/* ---- verdicts ---- */

static enum result store_verdicts(struct ingest *ingest, struct ingest_answer *answer,
                                  struct problem *problem)
{
    enum { COLUMNS = 8 };
    struct value *values = arena_array(ingest->arena, ingest->count * COLUMNS, sizeof *values);

    answer->verdicts = arena_array(ingest->arena, ingest->count, sizeof *answer->verdicts);
    if (values == NULL || answer->verdicts == NULL)
        return arena_full(ingest->arena, problem);
    for (size_t i = 0; i < ingest->count; i++) {
        const struct ingest_verdict *verdict = &ingest->items[i].verdict;
        struct value *line = values + answer->count * COLUMNS;

        if (verdict->kind == VERDICT_APPLIED)
            continue;
        line[0] = value_integer(ingest->replica.replica_no);
        line[1] = value_integer(ingest->replica.incarnation);
        line[2] = value_integer(verdict->lcn);
        line[3] = value_integer(verdict->kind);
        line[4] = value_text_of(verdict->reason);
        line[5] = value_integer(verdict->table_no);
        line[6] = value_integer(verdict->row_id);
        line[7] =
            verdict->merged_into_id == 0 ? value_null() : value_integer(verdict->merged_into_id);
        answer->verdicts[answer->count++] = *verdict;
    }
    return store_execute(ingest->store,
                         "INSERT INTO fs_verdict(replica_no, incarnation, lcn, kind, reason,"
                         " table_no, row_id, merged_into_id) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)",
                         values, COLUMNS, answer->count, NULL, problem);
}

static enum result store_progress(struct ingest *ingest, const struct message_push *push,
                                  int64_t contact_no, struct problem *problem)
{
    const struct value replica[] = {value_integer(ingest->replica.replica_no),
                                    value_integer(push->lcn_last),
                                    value_integer(push->seal_no),
                                    value_blob(push->digest),
                                    value_integer(work_now(ingest->work).us),
                                    value_integer(contact_no)};
    const struct value seal[] = {value_integer(ingest->replica.replica_no),
                                 value_integer(push->incarnation), value_integer(push->seal_no),
                                 value_blob(push->digest), value_integer(ingest->commit_seq)};
    enum result result =
        work_execute(ingest->work,
                     "UPDATE fs_replica SET lcn_high=?2, seal_high=?3, seal_digest=?4,"
                     " last_seen_at=?5, is_current_used=is_current_used OR contact_no=?6"
                     " WHERE replica_no=?1",
                     replica, 6, problem);

    if (result == RESULT_OK)
        result = work_execute(ingest->work,
                              "INSERT INTO fs_seal(replica_no, incarnation, seal_no, digest,"
                              " commit_seq) VALUES(?1,?2,?3,?4,?5)",
                              seal, 5, problem);
    if (result == RESULT_OK && push->part_no > 0)
        result = drop_parts(ingest, problem);
    return result;
}

/* The code as reason.h has it, so that it outlives the query's arena; NULL for an unknown one. */
static const char *known_reason(struct bytes code)
{
    char text[REASON_CODE_SIZE_MAX + 1] = {0};
    enum reason reason = REASON_NONE;

    if (code.size == 0 || code.size > REASON_CODE_SIZE_MAX)
        return NULL;
    memcpy(text, code.data, code.size);
    return reason_find(text, &reason) ? reason_code(reason) : NULL;
}

static enum result read_verdicts(struct ingest *ingest, const struct message_push *push,
                                 struct ingest_answer *answer, struct problem *problem)
{
    const struct value parameters[] = {
        value_integer(ingest->replica.replica_no), value_integer(push->incarnation),
        value_integer(push->lcn_first), value_integer(push->lcn_last)};
    struct store_result found = {0};
    enum result result = store_query(ingest->store,
                                     "SELECT lcn, kind, reason, table_no, row_id, merged_into_id"
                                     " FROM fs_verdict WHERE replica_no=?1 AND incarnation=?2"
                                     " AND lcn BETWEEN ?3 AND ?4 ORDER BY lcn",
                                     parameters, 4, ingest->arena, &found, problem);

    if (result != RESULT_OK)
        return result;
    answer->is_repetition = true;
    answer->verdicts = arena_array(ingest->arena, found.row_count, sizeof *answer->verdicts);
    if (answer->verdicts == NULL)
        return arena_full(ingest->arena, problem);
    answer->count = found.row_count;
    for (size_t i = 0; i < found.row_count; i++)
        answer->verdicts[i] = (struct ingest_verdict){
            .lcn = store_integer_at(&found, i, 0, 0),
            .kind = (enum verdict_kind)store_integer_at(&found, i, 1, VERDICT_APPLIED),
            .reason = known_reason(store_bytes_at(&found, i, 2)),
            .table_no = (uint16_t)store_integer_at(&found, i, 3, 0),
            .row_id = store_integer_at(&found, i, 4, 0),
            .merged_into_id = store_integer_at(&found, i, 5, 0)};
    return RESULT_OK;
}

/* ---- the push ---- */

static enum result take_whole_seal(struct ingest *ingest, const struct message_push *push,
                                   struct job *job, struct ingest_answer *answer,
                                   struct problem *problem)
{
    struct parts parts = {0};
    enum result result = read_parts(ingest, push, job, &parts, problem);

    if (result == RESULT_OK && job->result == RESULT_OK)
        job->result = check_digest(ingest, &parts, job);
    if (result == RESULT_OK && job->result != RESULT_OK)
        return push->part_no > 0 ? drop_parts(ingest, problem) : RESULT_OK;
    if (result == RESULT_OK)
        result = apply_seal(ingest, &parts, problem);
    if (result == RESULT_OK)
        result = store_verdicts(ingest, answer, problem);
    if (result == RESULT_OK)
        result = store_progress(ingest, push, job->contact_no, problem);
    if (result != RESULT_OK)
        return result;
    answer->seal_no = push->seal_no;
    answer->lcn_high = push->lcn_last;
    answer->change_count = (int64_t)parts.change_count;
    job->change_count = answer->change_count;
    trace_line(ingest->trace,
               "server: seal %" PRId64 " of replica %" PRId64 ": %zu changes, %zu exceptions",
               push->seal_no, ingest->replica.replica_no, parts.change_count, answer->count);
    return RESULT_OK;
}

static enum result take_push(struct ingest *ingest, struct job *job, struct ingest_answer *answer,
                             struct problem *problem)
{
    struct message_push push = {0};
    enum seal_fate fate = SEAL_IMPOSSIBLE;
    enum result result = RESULT_OK;

    result = ingest_find_wire(ingest, job->body, job, problem);
    if (result != RESULT_OK || job->result != RESULT_OK)
        return result;
    job->result = message_push_decode(ingest->wire, job->body, ingest->arena, &push, &job->problem);
    if (job->result != RESULT_OK)
        return RESULT_OK;
    result = judge_seal(ingest, &push, job, &fate, problem);
    if (result != RESULT_OK || fate == SEAL_IMPOSSIBLE)
        return result;
    if (!push.is_last_part)
        return fate == SEAL_APPLY ? store_part(ingest, &push, job, problem) : RESULT_OK;
    if (fate == SEAL_APPLY)
        return take_whole_seal(ingest, &push, job, answer, problem);
    answer->seal_no = push.seal_no;
    answer->lcn_high =
        push.lcn_last > ingest->replica.lcn_high ? push.lcn_last : ingest->replica.lcn_high;
    return read_verdicts(ingest, &push, answer, problem);
}

enum result ingest_push(struct work *work, struct store *store, struct wire_views *views,
                        struct job *job, enum ingest_way way, const struct trace *trace,
                        struct ingest_answer *ret_answer, struct problem *problem)
{
    static const char *const ROLES[] = {"role_grant", "app_user", NULL};
    struct ingest ingest = {.work = work,
                            .store = store,
                            .catalog = work_catalog(work),
                            .views = views,
                            .arena = work_arena(work),
                            .trace = trace,
                            .way = way};
    struct store_result head = {0};
    enum result result;

    *ret_answer = (struct ingest_answer){0};
    result =
        ingest_read_replica(store, ingest.arena, job->replica_no, &ingest.replica, &job->problem);
    if (result == RESULT_REFUSED) {
        job->state = REPLICA_REVOKED;
        job->result = RESULT_REFUSED;
        return RESULT_OK;
    }
    if (result != RESULT_OK)
        return problem_set(problem, result, "%s", job->problem.text);
    job->state = ingest.replica.state;
    ingest.not_after = job->released_until;
    if (ingest.replica.state != (job->released_until.us == 0 ? REPLICA_ACTIVE : REPLICA_REVOKED)) {
        job->result = problem_set(&job->problem, RESULT_REFUSED, "replica %" PRId64 " is %s",
                                  job->replica_no, replica_state_name(ingest.replica.state));
        return RESULT_OK;
    }
    scope_rights_init(&ingest.rights, store, ingest.arena, ingest.replica.user_id);
    result = work_flush_of(work, ROLES, problem);
    if (result == RESULT_OK)
        result = scope_roles(store, ingest.arena, ingest.replica.user_id, &ingest.roles, problem);
    if (result == RESULT_OK)
        result = store_query(store, "SELECT number FROM fs_state WHERE name='seq'", NULL, 0,
                             ingest.arena, &head, problem);
    if (result != RESULT_OK)
        return result;
    result = ingest_read_family(&ingest, problem);
    if (result != RESULT_OK)
        return result;
    ingest.head = store_integer_at(&head, 0, 0, 0);
    ingest.commit_seq = ingest.head + 1;
    result = take_push(&ingest, job, ret_answer, problem);
    ret_answer->commit_seq = ingest.commit_seq;
    return result;
}
