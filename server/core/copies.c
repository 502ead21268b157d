/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/copies.h"

#include "base/invariant.h"
#include "protocol/identity.h"
#include "server/core/devices.h"

#include <inttypes.h>

/* A device may lie in a drawer for long; its code is good for nothing but this one replica's work.
 */
#define CODE_LIFE_US (HOURS(24) * 366)

/* Whoever has a device's keys may claim to be one more copy of it: not for ever. */
enum { COPIES_MAX = 32 };

static struct value value_of_token(struct bytes token)
{
    return value_blob(token.size == 0 ? bytes_of("", 0) : token);
}

/* ---- what is known ---- */

static enum copy_decision decision_of(struct bytes text)
{
    if (bytes_equal(text, bytes_of_text("renew")))
        return COPY_RENEWS;
    return bytes_equal(text, bytes_of_text("take_over")) ? COPY_TAKES_OVER : COPY_UNDECIDED;
}

enum result copies_find(struct work *work, int64_t replica_no, struct bytes token,
                        struct copy *ret_copy, struct problem *problem)
{
    const struct value parameter = value_integer(replica_no);
    struct store_result found = {0};
    enum result result = work_query(work,
                                    "SELECT copy_no, is_newest, decision, code_id, token"
                                    " FROM fs_copy WHERE replica_no=?1 ORDER BY copy_no",
                                    &parameter, 1, &found, problem);

    *ret_copy = (struct copy){0};
    for (size_t i = 0; i < found.row_count && result == RESULT_OK; i++) {
        struct bytes known = store_bytes_at(&found, i, 4);

        if (known.size != token.size ||
            (token.size > 0 && !identity_equal(known.data, token.data, token.size)))
            continue; /* not by SQL: a secret is compared in constant time */
        *ret_copy = (struct copy){.copy_no = store_integer_at(&found, i, 0, 0),
                                  .is_newest = store_integer_at(&found, i, 1, 0) != 0,
                                  .decision = decision_of(store_bytes_at(&found, i, 2)),
                                  .code_id = store_bytes_at(&found, i, 3)};
    }
    return result;
}

static enum result add_copy(struct work *work, const struct copy_sight *sight,
                            struct problem *problem)
{
    const struct value parameters[] = {
        value_integer(sight->replica_no),    value_of_token(sight->token),
        value_integer(sight->is_newest),     value_text_of(sight->why),
        value_integer(sight->seen_at.us),    value_text_of(sight->peer),
        value_text(sight->app_version),      value_integer(sight->lcn_last),
        value_integer(sight->published_seq), value_integer(COPIES_MAX)};

    return work_execute(work,
                        "INSERT INTO fs_copy(replica_no, copy_no, token, is_newest, why,"
                        " first_seen_at, last_seen_at, peer, app_version, lcn_last, published_seq)"
                        " SELECT ?1, coalesce(max(copy_no),0)+1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8, ?9"
                        " FROM fs_copy WHERE replica_no=?1 HAVING count(*) < ?10",
                        parameters, sizeof parameters / sizeof *parameters, problem);
}

static enum result update_copy(struct work *work, const struct copy_sight *sight, int64_t copy_no,
                               struct problem *problem)
{
    const struct value parameters[] = {
        value_integer(sight->replica_no), value_integer(copy_no),
        value_integer(sight->is_newest),  value_integer(sight->seen_at.us),
        value_text_of(sight->peer),       value_text(sight->app_version),
        value_integer(sight->lcn_last),   value_integer(sight->published_seq)};

    return work_execute(work,
                        "UPDATE fs_copy SET is_newest=min(is_newest,?3),"
                        " last_seen_at=max(last_seen_at,?4), peer=coalesce(?5,peer),"
                        " app_version=?6, lcn_last=?7, published_seq=?8"
                        " WHERE replica_no=?1 AND copy_no=?2",
                        parameters, sizeof parameters / sizeof *parameters, problem);
}

enum result copies_note(struct work *work, const struct copy_sight *sight, struct problem *problem)
{
    struct copy known = {0};
    enum result result = copies_find(work, sight->replica_no, sight->token, &known, problem);

    if (result != RESULT_OK)
        return result;
    return known.copy_no == 0 ? add_copy(work, sight, problem)
                              : update_copy(work, sight, known.copy_no, problem);
}

/* ---- a new identity ---- */

struct renewal {
    struct bytes token_id;
    struct bytes secret; /* empty: a new code is needed */
    bool is_used;
    int64_t user_id;
    int64_t van_id;
};

static enum result read_renewal(struct work *work, const struct job *job, const struct copy *copy,
                                struct renewal *ret_renewal, struct problem *problem)
{
    const struct value parameters[] = {value_integer(job->replica_no),
                                       copy->code_id.size == 0 ? value_null()
                                                               : value_blob(copy->code_id),
                                       value_integer(job->now.us)};
    struct store_result found = {0};
    enum result result =
        work_query(work,
                   "SELECT r.user_id, d.van_id, e.token_id, e.secret, e.used_by IS NOT NULL"
                   " FROM fs_replica r LEFT JOIN device d ON d.id=r.device_id"
                   " LEFT JOIN fs_enrolment e ON e.token_id=?2 AND e.expires_at>?3"
                   " WHERE r.replica_no=?1",
                   parameters, 3, &found, problem);

    if (result != RESULT_OK)
        return result;
    ret_renewal->user_id = store_integer_at(&found, 0, 0, 0);
    ret_renewal->van_id = store_integer_at(&found, 0, 1, 0);
    ret_renewal->token_id = store_bytes_at(&found, 0, 2);
    ret_renewal->is_used = store_integer_at(&found, 0, 4, 0) != 0;
    ret_renewal->secret = ret_renewal->is_used ? (struct bytes){0} : store_bytes_at(&found, 0, 3);
    return RESULT_OK;
}

/* A used code and the same token again: one more copy of the copy. It can't be the same device. */
static enum result make_code(struct work *work, struct job *job, const struct copy *copy,
                             struct renewal *renewal, struct problem *problem)
{
    bool takes_over = copy->decision == COPY_TAKES_OVER && !renewal->is_used;
    const struct bytes token_id = bytes_of(job->seed.data, DEVICES_TOKEN_ID_SIZE);
    const struct value code[] = {value_blob(token_id), value_integer(job->replica_no),
                                 value_integer(takes_over)};
    const struct value given[] = {value_integer(job->replica_no), value_integer(copy->copy_no),
                                  value_blob(token_id)};
    struct store_result earlier = {0};
    enum result result = work_query(work, "SELECT count(*) FROM fs_enrolment WHERE former_no=?1",
                                    given, 1, &earlier, problem);

    if (result == RESULT_OK && store_integer_at(&earlier, 0, 0, 0) >= COPIES_MAX)
        result = problem_set(problem, RESULT_REFUSED,
                             "replica %" PRId64 " had %d copies: no more of them get a number",
                             job->replica_no, COPIES_MAX);
    if (result == RESULT_OK)
        result = devices_create_code(work, renewal->user_id, renewal->van_id, job->seed.data,
                                     (struct wall_time){job->now.us + CODE_LIFE_US}, problem);
    if (result == RESULT_OK)
        result = work_execute(work,
                              "UPDATE fs_enrolment SET former_no=?2, takes_over=?3"
                              " WHERE token_id=?1",
                              code, 3, problem);
    if (result == RESULT_OK)
        result =
            work_execute(work, "UPDATE fs_copy SET code_id=?3 WHERE replica_no=?1 AND copy_no=?2",
                         given, 3, problem);
    renewal->token_id = token_id;
    renewal->secret = bytes_of(job->seed.data + DEVICES_TOKEN_ID_SIZE, PSK_SIZE);
    return result;
}

enum result copies_renew(struct work *work, struct job *job, const struct copy *copy,
                         struct problem *problem)
{
    struct renewal renewal = {0};
    struct message_renew message = {0};
    struct buffer body;
    enum result result = read_renewal(work, job, copy, &renewal, problem);

    invariant(job->seed.size >= DEVICES_CODE_SEED_SIZE);
    if (result == RESULT_OK && renewal.secret.size != PSK_SIZE)
        result = make_code(work, job, copy, &renewal, problem);
    if (result != RESULT_OK)
        return result;
    message.token_id = renewal.token_id;
    message.token_secret = renewal.secret;
    message.reason = bytes_of_text(
        copy->decision == COPY_TAKES_OVER
            ? "This device was put back to an older state. It goes on under a new number."
            : "Another copy of this device goes on as it. This one becomes a device of its own.");
    buffer_init(&body, LIMIT_GREETING_SIZE_MAX);
    result = message_renew_encode(&message, &body, problem);
    if (result == RESULT_OK)
        result = job_add_body(job, MESSAGE_RENEW, buffer_bytes(&body), 0, NULL, problem);
    if (body.data != NULL)
        identity_wipe(body.data, body.size);
    buffer_done(&body);
    return result;
}

/* ---- an admin decides ---- */

struct choice {
    int64_t user_id;
    int64_t copy_no; /* 0: nothing is known of any copy */
    bool is_newest;
};

static enum result find_choice(struct work *work, int64_t replica_no, int64_t copy_no,
                               struct choice *ret_choice, struct problem *problem)
{
    const struct value parameters[] = {value_integer(replica_no), value_integer(copy_no)};
    struct store_result replica = {0};
    struct store_result copies = {0};
    enum result result = work_query(work,
                                    "SELECT user_id FROM fs_replica"
                                    " WHERE replica_no=?1 AND state='held'",
                                    parameters, 1, &replica, problem);

    if (result == RESULT_OK && replica.row_count == 0)
        result = problem_set(problem, RESULT_REFUSED, "replica %" PRId64 " isn't held", replica_no);
    if (result == RESULT_OK)
        result = work_query(work,
                            "SELECT copy_no, is_newest FROM fs_copy WHERE replica_no=?1"
                            " AND decision IS NULL AND (?2=0 OR copy_no=?2)",
                            parameters, 2, &copies, problem);
    if (result != RESULT_OK)
        return result;
    if (copies.row_count > 1)
        return problem_set(problem, RESULT_REFUSED,
                           "replica %" PRId64 " has %zu copies: say which one lives, --copy N"
                           " (device copies %" PRId64 " shows them)",
                           replica_no, copies.row_count, replica_no);
    if (copies.row_count == 0 && copy_no != 0)
        return problem_set(problem, RESULT_REFUSED,
                           "replica %" PRId64 " has no copy %" PRId64 " that waits for a decision",
                           replica_no, copy_no);
    *ret_choice = (struct choice){.user_id = store_integer_at(&replica, 0, 0, 0),
                                  .copy_no = store_integer_at(&copies, 0, 0, 0),
                                  .is_newest = store_integer_at(&copies, 0, 1, 0) != 0};
    return RESULT_OK;
}

/* Nobody has called since it is held: whoever calls next is the one. */
static enum result release_any(struct work *work, int64_t replica_no, struct problem *problem)
{
    const struct value parameter = value_integer(replica_no);

    return work_execute(work,
                        "UPDATE fs_replica SET state='active', token_current=NULL,"
                        " token_previous=NULL, is_current_used=0 WHERE replica_no=?1",
                        &parameter, 1, problem);
}

static enum result decide(struct work *work, int64_t replica_no, const struct choice *choice,
                          struct problem *problem)
{
    const struct value parameters[] = {value_integer(replica_no), value_integer(choice->copy_no)};
    enum result result = work_execute(work,
                                      "UPDATE fs_copy SET decision=CASE WHEN copy_no=?2 AND NOT"
                                      " EXISTS(SELECT 1 FROM fs_copy o WHERE o.replica_no=?1"
                                      " AND o.decision='take_over') THEN 'take_over'"
                                      " ELSE 'renew' END"
                                      " WHERE replica_no=?1 AND decision IS NULL",
                                      parameters, 2, problem);

    if (result != RESULT_OK || !choice->is_newest)
        return result; /* the number stays held: no copy may use it again */
    result = work_execute(work, "UPDATE fs_replica SET state='active' WHERE replica_no=?1",
                          parameters, 1, problem);
    if (result == RESULT_OK)
        result = work_execute(work, "DELETE FROM fs_copy WHERE replica_no=?1 AND copy_no=?2",
                              parameters, 2, problem);
    return result;
}

enum result copies_choose(struct work *work, int64_t replica_no, int64_t copy_no, bool *ret_goes_on,
                          struct problem *problem)
{
    struct choice choice = {0};
    enum result result = find_choice(work, replica_no, copy_no, &choice, problem);

    if (result != RESULT_OK)
        return result;
    result = choice.copy_no == 0 ? release_any(work, replica_no, problem)
                                 : decide(work, replica_no, &choice, problem);
    if (result == RESULT_OK) {
        const struct value line[] = {
            value_integer(work_now(work).us), value_integer(choice.user_id),
            value_integer(replica_no), value_integer(choice.copy_no),
            value_text_of(choice.copy_no == 0 || choice.is_newest ? "goes on" : "takes over")};

        result = work_execute(work,
                              "INSERT INTO fs_audit(occurred_at, event, user_id, replica_no,"
                              " detail) VALUES(?1,'released',?2,?3,'copy ' || ?4 || ' ' || ?5)",
                              line, 5, problem);
    }
    *ret_goes_on = choice.copy_no == 0 || choice.is_newest;
    return result;
}
