/* SPDX-License-Identifier: Apache-2.0 */
/* A device comes back: its resume token, its WELCOME, its receipts. */
#include "server/core/devices.h"

#include "base/invariant.h"
#include "protocol/identity.h"
#include "schema/catalog_version.h"
#include "server/core/copies.h"
#include "server/core/devices_confirm.h"
#include "server/core/devices_rotate.h"
#include "server/core/devices_schema.h"
#include "server/core/ingest.h"

#include <inttypes.h>

/* What RESUME needs of fs_replica and fs_state. */
struct standing {
    struct ingest_replica replica;
    struct bytes token_current;
    struct bytes token_previous;
    bool is_current_used;
    int64_t backup_lcn;
    bool is_wipe;
    struct wall_time last_seen_at;
    int64_t published_seq;
    struct bytes app_version;
    struct bytes epoch;
    int64_t head;
    const char *seal_fault; /* NULL: its newest seal is as it must be */
    struct bytes digest_key;
    struct bytes user_login;
    struct value schema_version;
    int64_t lease_told; /* what it has if it comes with token_current; -1: not known */
};

static enum result read_standing(struct store *store, struct job *job,
                                 struct standing *ret_standing, struct problem *problem)
{
    const struct value parameter = value_integer(job->replica_no);
    struct store_result found = {0};
    enum result result =
        ingest_read_replica(store, &job->arena, job->replica_no, &ret_standing->replica, problem);

    if (result == RESULT_OK)
        result = store_query(store,
                             "SELECT r.token_current, r.token_previous, r.is_current_used,"
                             " r.backup_lcn, r.is_wipe, r.last_seen_at, r.published_seq,"
                             " r.app_version, (SELECT number FROM fs_state WHERE name='seq'),"
                             " (SELECT data FROM fs_state WHERE name='epoch'),"
                             " (SELECT data FROM fs_state WHERE name='digest_key'),"
                             " (SELECT login FROM app_user WHERE id=r.user_id),"
                             " r.schema_version, r.lease_told"
                             " FROM fs_replica r WHERE r.replica_no=?1",
                             &parameter, 1, &job->arena, &found, problem);
    if (result != RESULT_OK)
        return result;
    ret_standing->token_current = store_bytes_at(&found, 0, 0);
    ret_standing->token_previous = store_bytes_at(&found, 0, 1);
    ret_standing->is_current_used = store_integer_at(&found, 0, 2, 0) != 0;
    ret_standing->backup_lcn = store_integer_at(&found, 0, 3, 0);
    ret_standing->is_wipe = store_integer_at(&found, 0, 4, 0) != 0;
    ret_standing->last_seen_at.us = store_integer_at(&found, 0, 5, 0);
    ret_standing->published_seq = store_integer_at(&found, 0, 6, 0);
    ret_standing->app_version = store_bytes_at(&found, 0, 7);
    ret_standing->head = store_integer_at(&found, 0, 8, 0);
    ret_standing->epoch = store_bytes_at(&found, 0, 9);
    ret_standing->digest_key = store_bytes_at(&found, 0, 10);
    ret_standing->user_login = store_bytes_at(&found, 0, 11);
    ret_standing->schema_version = *store_at(&found, 0, 12);
    ret_standing->lease_told = store_integer_at(&found, 0, 13, -1);
    return RESULT_OK;
}

static bool is_same_token(struct bytes a, struct bytes b)
{
    return a.size == TOKEN_SIZE && b.size == TOKEN_SIZE &&
           identity_equal(a.data, b.data, TOKEN_SIZE);
}

/* NULL: it is who it was. Otherwise why this is a copied disk. */
static const char *token_fault(const struct standing *standing, const struct message_resume *resume)
{
    if (resume->incarnation != standing->replica.incarnation)
        return "the device speaks for another incarnation";
    if (standing->token_current.size == 0)
        return NULL; /* forgotten on purpose: a restore, or an admin's word */
    if (is_same_token(resume->resume_token, standing->token_current))
        return NULL;
    if (resume->resume_token.size == 0 && standing->token_previous.size == 0 &&
        !standing->is_current_used)
        return NULL; /* it never stored its first one */
    if (is_same_token(resume->resume_token, standing->token_previous))
        return standing->is_current_used ? "an older resume token came after a newer one" : NULL;
    return "a resume token that was replaced came again";
}

/* A device's seals are on its disk durably before it sends them: it has those that the server has
 * applied, or its disk was put back. */
static enum result read_seal_fault(struct store *store, struct job *job,
                                   const struct standing *standing,
                                   const struct message_resume *resume, const char **ret_fault,
                                   struct problem *problem)
{
    const struct value parameters[] = {value_integer(job->replica_no),
                                       value_integer(standing->replica.incarnation),
                                       value_integer(resume->seal_no)};
    struct store_result found = {0};
    enum result result = RESULT_OK;

    *ret_fault = NULL;
    if (resume->seal_digest.size == 0)
        return RESULT_OK;
    if (resume->seal_no < standing->replica.seal_high) {
        *ret_fault = "the device has lost seals that it had delivered";
        return RESULT_OK;
    }
    result = store_query(store,
                         "SELECT digest FROM fs_seal WHERE replica_no=?1 AND incarnation=?2"
                         " AND seal_no=?3",
                         parameters, 3, &job->arena, &found, problem);
    if (result == RESULT_OK && found.row_count > 0 &&
        !bytes_equal(store_bytes_at(&found, 0, 0), resume->seal_digest))
        *ret_fault = "the device has sealed other contents under a number that was applied";
    return result;
}

/* A device writes its changes to its disk durably before it sends them. One that knows fewer than
 * the server has from it was put back to an older state. */
static const char *fault_of(const struct standing *standing, const struct message_resume *resume)
{
    const char *fault = token_fault(standing, resume);

    if (fault == NULL && resume->lcn_last < standing->replica.lcn_high)
        fault = "the device has lost changes that it had delivered";
    return fault == NULL ? standing->seal_fault : fault;
}

/* The token by which its copy is known: one that never learned of the current token presents the
 * previous one. */
static struct bytes token_of_copy(const struct standing *standing,
                                  const struct message_resume *resume)
{
    bool is_previous = standing->token_current.size > 0 && token_fault(standing, resume) == NULL;

    return is_previous ? standing->token_current : resume->resume_token;
}

static enum result turn_token(struct work *work, struct job *job,
                              const struct message_resume *resume, int64_t schema_version,
                              int64_t lease_s, struct problem *problem)
{
    const struct value parameters[] = {
        value_integer(job->replica_no),
        value_blob(bytes_of(job->seed.data + PSK_SIZE, TOKEN_SIZE)),
        resume->resume_token.size == 0 ? value_null() : value_blob(resume->resume_token),
        value_integer(job->now.us),
        value_integer(resume->device_time.us == 0 ? 0 : job->now.us - resume->device_time.us),
        value_text(resume->app_version),
        value_integer(resume->published_seq),
        value_integer(schema_version),
        value_integer(lease_s)};
    struct store_result turned = {0};
    enum result result = work_query(work,
                                    "UPDATE fs_replica SET token_previous=?3, token_current=?2,"
                                    " is_current_used=0, last_seen_at=?4, clock_offset_us=?5,"
                                    " app_version=?6, published_seq=?7, schema_version=?8,"
                                    " lease_told=?9, contact_no=contact_no+1 WHERE replica_no=?1"
                                    " RETURNING contact_no",
                                    parameters, 9, &turned, problem);

    if (result == RESULT_OK)
        job->contact_no = store_integer_at(&turned, 0, 0, 0);
    return result;
}

/* ---- copies of one disk ---- */

static enum result note_caller(struct work *work, const struct job *job,
                               const struct standing *standing, const struct message_resume *resume,
                               bool is_newest, const char *why, struct problem *problem)
{
    const struct copy_sight sight = {.replica_no = job->replica_no,
                                     .token = token_of_copy(standing, resume),
                                     .is_newest = is_newest,
                                     .why = why,
                                     .seen_at = job->now,
                                     .peer = job->peer,
                                     .app_version = resume->app_version,
                                     .lcn_last = resume->lcn_last,
                                     .published_seq = resume->published_seq};

    return copies_note(work, &sight, problem);
}

/* The one that was let in until now, as far as the server knows it. */
static enum result note_holder(struct work *work, const struct job *job,
                               const struct standing *standing, struct problem *problem)
{
    const struct copy_sight sight = {.replica_no = job->replica_no,
                                     .token = standing->token_current,
                                     .is_newest = true,
                                     .why = "the copy that the server has let in last",
                                     .seen_at = standing->last_seen_at,
                                     .app_version = standing->app_version,
                                     .lcn_last = standing->replica.lcn_high,
                                     .published_seq = standing->published_seq};

    return copies_note(work, &sight, problem);
}

static enum result hold(struct work *work, struct job *job, const struct standing *standing,
                        const struct message_resume *resume, const char *why,
                        struct problem *problem)
{
    bool is_other = token_fault(standing, resume) != NULL;
    enum result result = devices_hold(work, job->replica_no, job->user_id, why, problem);

    if (result == RESULT_OK && is_other && standing->token_current.size > 0)
        result = note_holder(work, job, standing, problem);
    if (result == RESULT_OK)
        result = note_caller(work, job, standing, resume, false, why, problem);
    job->state = REPLICA_HELD;
    job->result = problem_set(&job->problem, RESULT_REFUSED, "%s", why);
    return result;
}

static enum result renew(struct work *work, struct job *job, const struct copy *copy,
                         const struct trace *trace, struct problem *problem)
{
    enum result result = copies_renew(work, job, copy, &job->problem);

    if (result != RESULT_OK && result != RESULT_REFUSED)
        return problem_set(problem, result, "%s", job->problem.text);
    job->state = result == RESULT_OK ? REPLICA_RENEWED : REPLICA_HELD;
    job->result = result == RESULT_REFUSED ? result
                                           : problem_set(&job->problem, RESULT_REFUSED,
                                                         "this copy becomes another replica");
    trace_line(trace, "server: replica %" PRId64 ", copy %" PRId64 ": %s", job->replica_no,
               copy->copy_no, job->problem.text);
    return RESULT_OK;
}

/* It waits for an admin's word; which of the copies it is may be news. */
static enum result keep_held(struct work *work, struct job *job, const struct standing *standing,
                             const struct message_resume *resume, struct problem *problem)
{
    job->result =
        problem_set(&job->problem, RESULT_REFUSED, "replica %" PRId64 " is held", job->replica_no);
    return note_caller(work, job, standing, resume, fault_of(standing, resume) == NULL,
                       "it called while the device was held", problem);
}

/* Of an active replica whose token is as it must be. */
static enum result let_in(struct work *work, struct job *job, const struct standing *standing,
                          const struct message_resume *resume, int64_t lease_s,
                          const struct trace *trace, struct problem *problem)
{
    const struct catalog *catalog = work_catalog(work);
    struct schema_standing schema = {0};
    enum result result = RESULT_OK;

    job->result = catalog_check_version(catalog, resume->schema_version, &job->problem);
    if (job->result != RESULT_OK)
        return RESULT_OK;
    schema = devices_schema_standing(catalog, &standing->schema_version, resume->schema_version);
    job->schema_before = schema.before;
    if (!bytes_equal(resume->epoch, standing->epoch) || resume->published_seq <= standing->head) {
        result = devices_use_key(work, job, trace, problem);
        if (result == RESULT_OK && job->result == RESULT_OK)
            result = turn_token(work, job, resume, schema.to_store, lease_s, problem);
        job->has_lease = standing->lease_told == lease_s &&
                         is_same_token(resume->resume_token, standing->token_current);
        return result;
    }
    trace_line(trace,
               "server: replica %" PRId64 " has seen %" PRId64 ", this database is at %" PRId64
               ": was it put back without `restore`?",
               job->replica_no, resume->published_seq, standing->head);
    job->result = problem_set(&job->problem, RESULT_REFUSED,
                              "this device has seen a later state of the server: its database was"
                              " put back by hand; `fieldsync-server restore` is needed there");
    return RESULT_OK;
}

static enum result judge(struct work *work, struct job *job, const struct standing *standing,
                         const struct message_resume *resume, int64_t lease_s,
                         const struct trace *trace, struct problem *problem)
{
    const char *fault = fault_of(standing, resume);
    struct copy copy = {0};
    enum result result =
        copies_find(work, job->replica_no, token_of_copy(standing, resume), &copy, problem);

    if (result != RESULT_OK)
        return result;
    if (job->state == REPLICA_REVOKED || job->state == REPLICA_PENDING) {
        job->result = problem_set(&job->problem, RESULT_REFUSED, "replica %" PRId64 " is %s",
                                  job->replica_no, replica_state_name(job->state));
        return RESULT_OK;
    }
    if (copy.decision != COPY_UNDECIDED)
        return renew(work, job, &copy, trace, problem);
    if (job->state == REPLICA_HELD)
        return keep_held(work, job, standing, resume, problem);
    if (fault == NULL)
        return let_in(work, job, standing, resume, lease_s, trace, problem);
    trace_line(trace, "server: replica %" PRId64 " held: %s", job->replica_no, fault);
    return hold(work, job, standing, resume, fault, problem);
}

enum result devices_resume(struct work *work, struct store *store, struct job *job, int64_t lease_s,
                           const struct trace *trace, struct problem *problem)
{
    struct message_resume resume = {0};
    struct standing standing = {0};
    enum result result = RESULT_OK;

    invariant(job->seed.size >= PSK_SIZE + TOKEN_SIZE);
    job->result = message_resume_decode(job->body, &job->arena, &resume, &job->problem);
    if (job->result != RESULT_OK)
        return RESULT_OK;
    result = read_standing(store, job, &standing, problem);
    if (result == RESULT_REFUSED) {
        job->state = REPLICA_REVOKED;
        job->result = problem_set(&job->problem, RESULT_REFUSED, "%s", problem->text);
        return RESULT_OK;
    }
    if (result == RESULT_OK)
        result = read_seal_fault(store, job, &standing, &resume, &standing.seal_fault, problem);
    if (result != RESULT_OK)
        return result;
    job->state = standing.replica.state;
    job->wipe = standing.is_wipe;
    job->user_id = standing.replica.user_id;
    job->schema_version = resume.schema_version;
    return judge(work, job, &standing, &resume, lease_s, trace, problem);
}

/* ---- after the commit's subscriptions are known ---- */

static enum result encode_welcome(struct store *store, struct job *job,
                                  const struct standing *standing, int64_t head,
                                  struct problem *problem)
{
    const struct message_welcome message = {.session_id = bytes_of(job->seed.data, SESSION_ID_SIZE),
                                            .epoch = standing->epoch,
                                            .replica_no = job->replica_no,
                                            .incarnation = standing->replica.incarnation,
                                            .lcn_high = standing->replica.lcn_high,
                                            .seal_high = standing->replica.seal_high,
                                            .backup_lcn = standing->backup_lcn,
                                            .head = head,
                                            .schema_version = store->catalog->schema_version,
                                            .user_id = standing->replica.user_id,
                                            .user_login = standing->user_login,
                                            .resume_token =
                                                bytes_of(job->seed.data + PSK_SIZE, TOKEN_SIZE),
                                            .digest_key = standing->digest_key,
                                            .server_time = job->now};
    struct buffer body;
    enum result result;

    buffer_init(&body, LIMIT_GREETING_SIZE_MAX);
    result = message_welcome_encode(&message, &body, problem);
    if (result == RESULT_OK)
        result = job_add_body(job, MESSAGE_WELCOME, buffer_bytes(&body), 0, NULL, problem);
    if (body.data != NULL)
        identity_wipe(body.data, body.size);
    buffer_done(&body);
    return result;
}

enum result devices_welcome(struct store *store, struct job *job, int64_t head,
                            struct problem *problem)
{
    struct message_resume resume = {0};
    struct standing standing = {0};
    struct feed_catch_up catch_up = {0};
    struct scope_bucket *subscribed = NULL;
    size_t subscribed_count = 0;
    bool is_epoch_same = false;
    bool is_behind = false;
    enum result result = message_resume_decode(job->body, &job->arena, &resume, problem);

    if (result == RESULT_OK)
        result = read_standing(store, job, &standing, problem);
    if (result == RESULT_OK)
        result = scope_subscribed(store, &job->arena, job->user_id, &subscribed, &subscribed_count,
                                  problem);
    if (result == RESULT_OK)
        result = devices_schema_catch_up(store, &job->arena, job->schema_before,
                                         job->schema_version, &catch_up, problem);
    if (result != RESULT_OK)
        return result;
    job->catch_up_seq = catch_up.before != 0 ? head : 0;
    is_epoch_same = bytes_equal(resume.epoch, standing.epoch);
    is_behind = resume.lcn_last < standing.replica.lcn_high;
    job->feed = feed_create(job->user_id, job->replica_no);
    if (job->feed == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a feed");
    result = feed_resume(job->feed, &resume, is_epoch_same, is_behind, head, &catch_up, subscribed,
                         subscribed_count, problem);
    if (result == RESULT_OK)
        result = encode_welcome(store, job, &standing, head, problem);
    if (result == RESULT_OK)
        result = devices_schema_offer(store, job, problem);
    if (result != RESULT_OK) {
        feed_destroy(job->feed);
        job->feed = NULL;
    }
    return result;
}

enum result devices_receipt(struct work *work, struct job *job, struct problem *problem)
{
    int64_t caught_up =
        schema_version_common(job->schema_version, work_catalog(work)->schema_version);
    const struct value parameters[] = {value_integer(job->replica_no), value_integer(job->seq),
                                       value_integer(job->now.us), value_integer(job->contact_no),
                                       job->is_caught_up ? value_integer(caught_up) : value_null()};

    /* one of an older session may come late: it says nothing about the token of this one, nor
     * of the schema that this one speaks */
    return work_execute(work,
                        "UPDATE fs_replica SET last_seen_at=?3,"
                        " is_current_used=is_current_used OR contact_no=?4,"
                        " schema_version=CASE WHEN contact_no=?4 THEN coalesce(?5,schema_version)"
                        " ELSE schema_version END,"
                        " published_seq=CASE WHEN ?2>published_seq THEN ?2 ELSE published_seq END"
                        " WHERE replica_no=?1 AND state='active'",
                        parameters, 5, problem);
}
