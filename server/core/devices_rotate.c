/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/devices_rotate.h"

#include "base/invariant.h"
#include "protocol/identity.h"
#include "server/core/audit.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

/* ---- a new key is offered ---- */

/* The seed was drawn for the session; the key makes it this exchange's. */
static void make_psk(struct bytes seed, struct bytes public_key, uint8_t ret_psk[PSK_SIZE])
{
    static const char PURPOSE[] = "fieldsync new psk v1";
    crypto_generichash_state state;

    (void)crypto_generichash_init(&state, seed.data, seed.size, PSK_SIZE);
    (void)crypto_generichash_update(&state, (const unsigned char *)PURPOSE, sizeof PURPOSE);
    (void)crypto_generichash_update(&state, public_key.data, public_key.size);
    (void)crypto_generichash_final(&state, ret_psk, PSK_SIZE);
    sodium_memzero(&state, sizeof state);
}

static enum result answer(struct job *job, struct bytes public_key, struct bytes psk,
                          struct problem *problem)
{
    const struct message_new_psk message = {.public_key = public_key, .psk = psk};
    struct buffer body;
    enum result result;

    buffer_init(&body, 256);
    result = message_new_psk_encode(&message, &body, problem);
    if (result == RESULT_OK)
        result = job_add_body(job, MESSAGE_NEW_PSK, buffer_bytes(&body), 0, NULL, problem);
    if (body.data != NULL)
        identity_wipe(body.data, body.size);
    buffer_done(&body);
    return result;
}

static enum result store_next(struct work *work, struct job *job, struct bytes public_key,
                              struct problem *problem)
{
    uint8_t psk[PSK_SIZE];
    const struct value parameters[] = {value_integer(job->replica_no), value_blob(public_key),
                                       value_blob(bytes_of(psk, sizeof psk))};
    enum result result;

    invariant(job->seed.size >= PSK_SIZE);
    make_psk(bytes_of(job->seed.data, PSK_SIZE), public_key, psk);
    result = work_execute(work,
                          "UPDATE fs_replica SET next_public_key=?2, next_psk=?3"
                          " WHERE replica_no=?1",
                          parameters, 3, problem);
    if (result == RESULT_OK)
        result = audit_note(work, "key_offered", job->user_id, job->replica_no, NULL, problem);
    if (result == RESULT_OK)
        result = answer(job, public_key, bytes_of(psk, sizeof psk), problem);
    identity_wipe(psk, sizeof psk);
    return result;
}

enum result devices_new_key(struct work *work, struct job *job, const struct trace *trace,
                            struct problem *problem)
{
    struct message_new_key offer = {0};
    struct store_result found = {0};
    struct value parameters[2];
    enum result result;

    job->result = message_new_key_decode(job->body, &job->arena, &offer, &job->problem);
    if (job->result != RESULT_OK)
        return RESULT_OK;
    parameters[0] = value_integer(job->replica_no);
    parameters[1] = value_blob(offer.public_key);
    result = work_query(work,
                        "SELECT r.state='active' AND r.is_confirmed<>0, r.next_public_key,"
                        " r.next_psk, (SELECT count(*) FROM fs_replica o"
                        "  WHERE o.static_public_key=?2"
                        "  OR (o.next_public_key=?2 AND o.replica_no<>?1))"
                        " FROM fs_replica r WHERE r.replica_no=?1",
                        parameters, 2, &found, problem);
    if (result != RESULT_OK)
        return result;
    if (store_integer_at(&found, 0, 0, 0) == 0 || store_integer_at(&found, 0, 3, 0) != 0) {
        job->result = problem_set(&job->problem, RESULT_REFUSED,
                                  "replica %" PRId64 " can't take this key", job->replica_no);
        return RESULT_OK;
    }
    trace_line(trace, "server: replica %" PRId64 " offers a new key", job->replica_no);
    if (bytes_equal(store_bytes_at(&found, 0, 1), offer.public_key))
        return answer(job, offer.public_key, store_bytes_at(&found, 0, 2), problem);
    return store_next(work, job, offer.public_key, problem);
}

/* ---- and used ---- */

/* What office screens show. */
static enum result show_fingerprint(struct work *work, int64_t device_id, struct bytes public_key,
                                    struct problem *problem)
{
    const struct author author = {.edited_at = work_now(work)};
    char fingerprint[IDENTITY_FINGERPRINT_SIZE];
    const struct work_field fields[] = {{"key_fingerprint", value_text_of(fingerprint)},
                                        {NULL, value_null()}};

    identity_fingerprint(public_key.data, fingerprint);
    return work_update_fields(work, "device", device_id, fields, &author, problem);
}

static enum result promote(struct work *work, struct job *job, int64_t device_id,
                           const struct trace *trace, struct problem *problem)
{
    const struct value parameters[] = {value_integer(job->replica_no),
                                       value_integer(work_now(work).us)};
    enum result result =
        work_execute(work,
                     "UPDATE fs_replica SET static_public_key=next_public_key, psk=next_psk,"
                     " next_public_key=NULL, next_psk=NULL, keys_changed_at=?2,"
                     " is_rotation_asked=0 WHERE replica_no=?1",
                     parameters, 2, problem);

    trace_line(trace, "server: replica %" PRId64 " has new keys, the old ones are void",
               job->replica_no);
    if (result == RESULT_OK)
        result = show_fingerprint(work, device_id, job->static_key, problem);
    if (result == RESULT_OK)
        result = audit_note(work, "key_rotated", job->user_id, job->replica_no, NULL, problem);
    return result;
}

enum result devices_use_key(struct work *work, struct job *job, const struct trace *trace,
                            struct problem *problem)
{
    const struct value parameter = value_integer(job->replica_no);
    struct store_result found = {0};
    enum result result = RESULT_OK;

    if (job->static_key.size == 0)
        return RESULT_OK;
    result = work_query(work,
                        "SELECT static_public_key, next_public_key, device_id FROM fs_replica"
                        " WHERE replica_no=?1",
                        &parameter, 1, &found, problem);
    if (result != RESULT_OK || bytes_equal(store_bytes_at(&found, 0, 0), job->static_key))
        return result;
    if (bytes_equal(store_bytes_at(&found, 0, 1), job->static_key))
        return promote(work, job, store_integer_at(&found, 0, 2, 0), trace, problem);
    job->result = problem_set(&job->problem, RESULT_REFUSED, "this key was replaced");
    return RESULT_OK;
}

/* ---- asking for it ---- */

enum result devices_policy(struct store *store, struct job *job, int64_t lease_s,
                           struct problem *problem)
{
    const struct value parameter = value_integer(job->replica_no);
    struct message_policy message = {.lease_s = lease_s};
    struct store_result found = {0};
    struct buffer body;
    enum result result =
        store_query(store, "SELECT is_rotation_asked FROM fs_replica WHERE replica_no=?1",
                    &parameter, 1, &job->arena, &found, problem);

    message.is_rotation_asked = store_integer_at(&found, 0, 0, 0) != 0;
    if (result != RESULT_OK || (job->has_lease && !message.is_rotation_asked))
        return result;
    buffer_init(&body, 64);
    result = message_policy_encode(&message, &body, problem);
    if (result == RESULT_OK)
        result = job_add_body(job, MESSAGE_POLICY, buffer_bytes(&body), 0, NULL, problem);
    buffer_done(&body);
    return result;
}

enum result devices_ask_rotation(struct work *work, int64_t replica_no, struct problem *problem)
{
    const struct value parameter = value_integer(replica_no);
    struct store_result found = {0};
    enum result result = work_query(work,
                                    "UPDATE fs_replica SET is_rotation_asked=1"
                                    " WHERE replica_no=?1 AND state='active' RETURNING user_id",
                                    &parameter, 1, &found, problem);

    if (result == RESULT_OK && found.row_count == 0)
        return problem_set(problem, RESULT_REFUSED,
                           "replica %" PRId64 " does not exist or isn't active", replica_no);
    if (result == RESULT_OK)
        result = audit_note(work, "rotation_asked", store_integer_at(&found, 0, 0, 0), replica_no,
                            NULL, problem);
    return result;
}
