/* SPDX-License-Identifier: Apache-2.0 */
/* A device comes back: its resume token, its WELCOME, its receipts. */
#include "server/core/devices.h"

#include "base/invariant.h"
#include "protocol/identity.h"
#include "schema/catalog_version.h"
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
    struct bytes epoch;
    struct bytes digest_key;
    struct bytes user_login;
    struct value schema_version;
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
                             " r.backup_lcn, r.is_wipe,"
                             " (SELECT data FROM fs_state WHERE name='epoch'),"
                             " (SELECT data FROM fs_state WHERE name='digest_key'),"
                             " (SELECT login FROM app_user WHERE id=r.user_id),"
                             " r.schema_version"
                             " FROM fs_replica r WHERE r.replica_no=?1",
                             &parameter, 1, &job->arena, &found, problem);
    if (result != RESULT_OK)
        return result;
    ret_standing->token_current = store_bytes_at(&found, 0, 0);
    ret_standing->token_previous = store_bytes_at(&found, 0, 1);
    ret_standing->is_current_used = store_integer_at(&found, 0, 2, 0) != 0;
    ret_standing->backup_lcn = store_integer_at(&found, 0, 3, 0);
    ret_standing->is_wipe = store_integer_at(&found, 0, 4, 0) != 0;
    ret_standing->epoch = store_bytes_at(&found, 0, 5);
    ret_standing->digest_key = store_bytes_at(&found, 0, 6);
    ret_standing->user_login = store_bytes_at(&found, 0, 7);
    ret_standing->schema_version = *store_at(&found, 0, 8);
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

static enum result turn_token(struct work *work, struct job *job,
                              const struct message_resume *resume, int64_t schema_version,
                              struct problem *problem)
{
    const struct value parameters[] = {
        value_integer(job->replica_no),
        value_blob(bytes_of(job->seed.data + PSK_SIZE, TOKEN_SIZE)),
        resume->resume_token.size == 0 ? value_null() : value_blob(resume->resume_token),
        value_integer(job->now.us),
        value_integer(resume->device_time.us == 0 ? 0 : job->now.us - resume->device_time.us),
        value_text(resume->app_version),
        value_integer(resume->published_seq),
        value_integer(schema_version)};

    return work_execute(work,
                        "UPDATE fs_replica SET token_previous=?3, token_current=?2,"
                        " is_current_used=0, last_seen_at=?4, clock_offset_us=?5,"
                        " app_version=?6, published_seq=?7, schema_version=?8 WHERE replica_no=?1",
                        parameters, 8, problem);
}

static enum result hold(struct work *work, struct job *job, const char *why,
                        struct problem *problem)
{
    const struct value replica_no = value_integer(job->replica_no);
    const struct value line[] = {value_integer(job->now.us), value_integer(job->user_id),
                                 value_integer(job->replica_no), value_text_of(why)};
    enum result result = work_execute(
        work, "UPDATE fs_replica SET state='held' WHERE replica_no=?1", &replica_no, 1, problem);

    if (result == RESULT_OK)
        result = work_execute(work,
                              "INSERT INTO fs_audit(occurred_at, event, user_id, replica_no,"
                              " detail) VALUES(?1,'fork',?2,?3,?4)",
                              line, 4, problem);
    job->state = REPLICA_HELD;
    job->result = problem_set(&job->problem, RESULT_REFUSED, "%s", why);
    return result;
}

enum result devices_resume(struct work *work, struct store *store, struct job *job,
                           const struct trace *trace, struct problem *problem)
{
    struct message_resume resume = {0};
    struct standing standing = {0};
    struct schema_standing schema = {0};
    const char *fault = NULL;
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
    if (result != RESULT_OK)
        return result;
    job->state = standing.replica.state;
    job->wipe = standing.is_wipe;
    job->user_id = standing.replica.user_id;
    if (job->state != REPLICA_ACTIVE) {
        job->result = problem_set(&job->problem, RESULT_REFUSED, "replica %" PRId64 " is %s",
                                  job->replica_no, job->state == REPLICA_HELD ? "held" : "revoked");
        return RESULT_OK;
    }
    job->schema_version = resume.schema_version;
    job->result = catalog_check_version(store->catalog, resume.schema_version, &job->problem);
    if (job->result != RESULT_OK)
        return RESULT_OK;
    schema =
        devices_schema_standing(store->catalog, &standing.schema_version, resume.schema_version);
    job->schema_before = schema.before;
    fault = token_fault(&standing, &resume);
    if (fault == NULL)
        return turn_token(work, job, &resume, schema.to_store, problem);
    trace_line(trace, "server: replica %" PRId64 " held: %s", job->replica_no, fault);
    return hold(work, job, fault, problem);
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
    const struct value parameters[] = {
        value_integer(job->replica_no), value_integer(job->seq), value_integer(job->now.us),
        job->is_caught_up ? value_integer(schema_version_common(job->schema_version,
                                                                work_catalog(work)->schema_version))
                          : value_null()};

    return work_execute(work,
                        "UPDATE fs_replica SET schema_version=coalesce(?4,schema_version),"
                        " last_seen_at=?3, is_current_used=1,"
                        " published_seq=CASE WHEN ?2>published_seq THEN ?2 ELSE published_seq END"
                        " WHERE replica_no=?1 AND state='active'",
                        parameters, 4, problem);
}
