/* SPDX-License-Identifier: Apache-2.0 */
/* What commands and the writer do to codes and replicas; sessions are in devices_session.c. */
#include "server/core/devices.h"

#include "base/invariant.h"
#include "protocol/identity.h"
#include "server/core/audit.h"
#include "server/core/devices_confirm.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    RESTORE_GAP = 1 << 24,       /* seqs and ids that may have been given after the backup */
    RESTORE_REPLICAS_GAP = 1024, /* replica numbers: of 2^20 */
    SERIES_SIZE = 16,
};

static enum result set_state(struct store *store, const char *name, struct value number,
                             struct value data, struct problem *problem)
{
    const struct value parameters[] = {value_text_of(name), number, data};

    return store_execute(store,
                         "INSERT INTO fs_state(name, number, data) VALUES(?1,?2,?3)"
                         " ON CONFLICT(name) DO NOTHING",
                         parameters, 3, 1, NULL, problem);
}

enum result devices_init(struct store *store, const uint8_t *seed, struct problem *problem)
{
    static const char *const NUMBERS[] = {"seq", "published_seq", "replica_no", "replica_no_last",
                                          "backup_seq"};
    enum result result =
        set_state(store, "epoch", value_null(), value_blob(bytes_of(seed, EPOCH_SIZE)), problem);

    static_assert(EPOCH_SIZE + DIGEST_KEY_SIZE == DEVICES_INIT_SEED_SIZE, "the seed is used up");
    if (result == RESULT_OK)
        result = set_state(store, "digest_key", value_null(),
                           value_blob(bytes_of(seed + EPOCH_SIZE, DIGEST_KEY_SIZE)), problem);
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS && result == RESULT_OK; i++)
        result = set_state(store, NUMBERS[i], value_integer(0), value_null(), problem);
    return result;
}

enum result devices_read_given(struct store *store, struct arena *arena,
                               struct devices_given *ret_given, struct problem *problem)
{
    struct store_result found = {0};
    enum result result = store_query(store,
                                     "SELECT (SELECT number FROM fs_state WHERE name='seq'),"
                                     " (SELECT max(lcn) FROM fs_outbox),"
                                     " (SELECT number FROM fs_state WHERE name='replica_no_last')",
                                     NULL, 0, arena, &found, problem);

    if (result == RESULT_OK)
        *ret_given = (struct devices_given){.seq = store_integer_at(&found, 0, 0, 0),
                                            .lcn = store_integer_at(&found, 0, 1, 0),
                                            .replica_no = store_integer_at(&found, 0, 2, 0)};
    return result;
}

/* Past what is known to be given, and by chance a little or much further: what a server gave whose
 * disk is lost is known to nobody. */
static struct value beyond(int64_t gap, uint8_t chance, unsigned choices)
{
    return value_integer(gap * (1 + chance % choices));
}

enum result devices_restored(struct store *store, const uint8_t *seed,
                             const struct devices_given *given, struct problem *problem)
{
    enum { SEQ_CHOICES = 256, ID_CHOICES = 8, REPLICA_CHOICES = 4 };
    const uint8_t *chance = seed + EPOCH_SIZE;
    const struct value epoch = value_blob(bytes_of(seed, EPOCH_SIZE));
    const struct value seq[] = {value_integer(given->seq),
                                beyond(RESTORE_GAP, chance[0], SEQ_CHOICES)};
    const struct value lcn[] = {value_integer(given->lcn),
                                beyond(RESTORE_GAP, chance[1], ID_CHOICES)};
    const struct value replica_no[] = {value_integer(given->replica_no),
                                       beyond(RESTORE_REPLICAS_GAP, chance[2], REPLICA_CHOICES)};
    enum result result = store_execute(store, "UPDATE fs_state SET data=?1 WHERE name='epoch'",
                                       &epoch, 1, 1, NULL, problem);

    if (result == RESULT_OK)
        result = store_execute(store,
                               "UPDATE fs_state SET number=max(number,?1)+?2"
                               " WHERE name IN ('seq','published_seq')",
                               seq, 2, 1, NULL, problem);
    if (result == RESULT_OK)
        result = store_execute(store,
                               "UPDATE fs_state SET number=max(number,?1)+?2"
                               " WHERE name='replica_no_last'",
                               replica_no, 2, 1, NULL, problem);
    if (result == RESULT_OK)
        result = store_execute(store,
                               "INSERT INTO fs_outbox(lcn, tbl, row_id, op, mask, edited_at,"
                               " base_seq) SELECT max(coalesce(max(lcn),0),?1)+?2,0,0,'-',0,0,0"
                               " FROM fs_outbox",
                               lcn, 2, 1, NULL, problem);
    if (result == RESULT_OK)
        result = store_execute(store,
                               "UPDATE fs_replica SET token_current=NULL, token_previous=NULL,"
                               " is_current_used=0",
                               NULL, 0, 1, NULL, problem);
    if (result == RESULT_OK)
        result = store_execute(store, "DELETE FROM fs_push_part", NULL, 0, 1, NULL, problem);
    return result;
}

/* ---- codes ---- */

enum result devices_create_code(struct work *work, int64_t user_id, int64_t van_id,
                                const uint8_t *seed, struct wall_time expires_at,
                                struct problem *problem)
{
    const struct value parameters[] = {value_blob(bytes_of(seed, DEVICES_TOKEN_ID_SIZE)),
                                       value_blob(bytes_of(seed + DEVICES_TOKEN_ID_SIZE, PSK_SIZE)),
                                       value_integer(user_id),
                                       van_id == 0 ? value_null() : value_integer(van_id),
                                       value_integer(work_now(work).us),
                                       value_integer(expires_at.us)};
    const struct value people[] = {value_integer(user_id), value_integer(van_id)};
    struct store_result found = {0};
    enum result result =
        work_query(work,
                   "SELECT (SELECT count(*) FROM app_user WHERE id=?1 AND is_active<>0),"
                   " (SELECT count(*) FROM location WHERE id=?2)",
                   people, 2, &found, problem);

    static_assert(DEVICES_TOKEN_ID_SIZE + PSK_SIZE == DEVICES_CODE_SEED_SIZE, "the seed is used");
    if (result != RESULT_OK)
        return result;
    if (store_integer_at(&found, 0, 0, 0) == 0)
        return problem_set(problem, RESULT_REFUSED,
                           "user %" PRId64 " does not exist or may not "
                           "sign in",
                           user_id);
    if (van_id != 0 && store_integer_at(&found, 0, 1, 0) == 0)
        return problem_set(problem, RESULT_REFUSED, "location %" PRId64 " does not exist", van_id);
    result = work_execute(work,
                          "INSERT INTO fs_enrolment(token_id, secret, user_id, van_id, created_at,"
                          " expires_at) VALUES(?1,?2,?3,?4,?5,?6)",
                          parameters, 6, problem);
    if (result == RESULT_OK)
        result = audit_note(work, "code_created", user_id, 0, NULL, problem);
    return result;
}

enum result devices_expire_codes(struct store *store, struct wall_time now, struct problem *problem)
{
    const struct value parameter = value_integer(now.us);

    return store_execute(store,
                         "UPDATE fs_enrolment SET secret=NULL"
                         " WHERE secret IS NOT NULL AND expires_at<?1",
                         &parameter, 1, 1, NULL, problem);
}

/* ---- states ---- */

static enum result change_state(struct work *work, const char *sql, int64_t replica_no,
                                bool is_wipe, const char *event, struct problem *problem)
{
    const struct value parameters[] = {value_integer(replica_no), value_integer(is_wipe ? 1 : 0),
                                       value_integer(work_now(work).us)};
    struct store_result changed = {0};
    enum result result = work_query(work, sql, parameters, 3, &changed, problem);

    if (result == RESULT_OK && changed.row_count == 0)
        result =
            problem_set(problem, RESULT_REFUSED,
                        "replica %" PRId64 " does not exist or is in another state", replica_no);
    if (result == RESULT_OK)
        result =
            audit_note(work, event, store_integer_at(&changed, 0, 0, 0), replica_no, NULL, problem);
    return result;
}

/* The device's own row, which office screens show, says the same. */
static enum result mark_device(struct work *work, int64_t replica_no, struct problem *problem)
{
    const struct author author = {.edited_at = work_now(work)};
    const struct work_field fields[] = {{"revoked_at", value_integer(work_now(work).us)},
                                        {NULL, value_null()}};
    const struct value parameter = value_integer(replica_no);
    struct store_result found = {0};
    enum result result = work_query(work,
                                    "SELECT d.id FROM fs_replica r JOIN device d"
                                    " ON d.id=r.device_id"
                                    " WHERE r.replica_no=?1 AND d.revoked_at IS NULL",
                                    &parameter, 1, &found, problem);

    if (result == RESULT_OK && found.row_count > 0)
        result = work_update_fields(work, "device", store_integer_at(&found, 0, 0, 0), fields,
                                    &author, problem);
    return result;
}

enum result devices_revoke(struct work *work, int64_t replica_no, bool is_wipe,
                           struct problem *problem)
{
    enum result result =
        change_state(work,
                     "UPDATE fs_replica SET state='revoked', is_wipe=?2, revoked_at=?3"
                     " WHERE replica_no=?1 RETURNING user_id",
                     replica_no, is_wipe, is_wipe ? "revoked_and_wiped" : "revoked", problem);

    return result == RESULT_OK ? mark_device(work, replica_no, problem) : result;
}

enum result devices_hold(struct work *work, int64_t replica_no, int64_t user_id, const char *why,
                         struct problem *problem)
{
    const struct value parameter = value_integer(replica_no);
    enum result result = work_execute(
        work, "UPDATE fs_replica SET state='held' WHERE replica_no=?1", &parameter, 1, problem);

    return result == RESULT_OK ? audit_note(work, "fork", user_id, replica_no, why, problem)
                               : result;
}

enum result devices_watch(struct store *store, struct arena *arena, struct wall_time now,
                          int64_t **ret_revoked, size_t *ret_count, struct problem *problem)
{
    const struct value parameter = value_integer(now.us);
    struct store_result found = {0};
    int64_t *revoked = NULL;
    enum result result =
        store_query(store,
                    "UPDATE fs_replica SET state='revoked', revoked_at=?1"
                    " WHERE state<>'revoked' AND (device_id IN"
                    " (SELECT id FROM device WHERE revoked_at IS NOT NULL) OR user_id IN"
                    " (SELECT id FROM app_user WHERE is_active=0)) RETURNING replica_no",
                    &parameter, 1, arena, &found, problem);

    if (result != RESULT_OK)
        return result;
    revoked = arena_array(arena, found.row_count, sizeof *revoked);
    if (revoked == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < found.row_count; i++)
        revoked[i] = store_integer_at(&found, i, 0, 0);
    *ret_revoked = revoked;
    *ret_count = found.row_count;
    return RESULT_OK;
}

/* ---- enrolment ---- */

/* The code as it stands in fs_enrolment. */
struct code {
    struct bytes secret;
    struct bytes used_by;
    int64_t user_id;
    int64_t van_id;
    int64_t expires_at;
    int64_t replica_no;
    int64_t former_no; /* a copy of this replica, which brings its work along; 0: a new device */
    bool takes_over;   /* it is the same device under another number */
    bool is_confirmed;
};

static enum result read_code(struct store *store, struct job *job, struct bytes token_id,
                             struct code *ret_code, bool *ret_found, struct problem *problem)
{
    const struct value parameter = value_blob(token_id);
    struct store_result found = {0};
    enum result result = store_query(
        store,
        "SELECT secret, used_by, user_id, van_id, expires_at, replica_no, former_no,"
        " takes_over, is_confirmed FROM fs_enrolment WHERE token_id=?1 AND tries_left>0",
        &parameter, 1, &job->arena, &found, problem);

    if (result != RESULT_OK)
        return result;
    *ret_code = (struct code){.secret = store_bytes_at(&found, 0, 0),
                              .used_by = store_bytes_at(&found, 0, 1),
                              .user_id = store_integer_at(&found, 0, 2, 0),
                              .van_id = store_integer_at(&found, 0, 3, 0),
                              .expires_at = store_integer_at(&found, 0, 4, 0),
                              .replica_no = store_integer_at(&found, 0, 5, 0),
                              .former_no = store_integer_at(&found, 0, 6, 0),
                              .takes_over = store_integer_at(&found, 0, 7, 0) != 0,
                              .is_confirmed = store_integer_at(&found, 0, 8, 0) != 0};
    *ret_found = found.row_count > 0 && ret_code->secret.size == PSK_SIZE &&
                 ret_code->expires_at > job->now.us;
    return RESULT_OK;
}

static bool is_other_device(const struct code *code, struct bytes static_key)
{
    return code->used_by.size > 0 && static_key.size == PUBLIC_KEY_SIZE &&
           !bytes_equal(code->used_by, static_key);
}

static enum result authenticate_code(struct store *store, struct job *job, struct problem *problem)
{
    struct code code = {0};
    bool is_found = false;
    enum result result = read_code(store, job, job->key, &code, &is_found, problem);

    if (result != RESULT_OK || !is_found || is_other_device(&code, job->static_key))
        return result;
    job->is_known = true;
    job->state = REPLICA_ACTIVE;
    job->user_id = code.user_id;
    memcpy(job->psk, code.secret.data, PSK_SIZE);
    return RESULT_OK;
}

enum result devices_authenticate(struct store *store, struct job *job, struct problem *problem)
{
    const struct value parameter = value_blob(job->key);
    struct store_result found = {0};
    struct bytes psk;
    struct bytes state;
    enum result result;

    if (job->is_enrolment)
        return authenticate_code(store, job, problem);
    result = store_query(store,
                         "SELECT replica_no, user_id,"
                         " CASE WHEN static_public_key=?1 THEN psk ELSE next_psk END,"
                         " state, is_wipe, is_confirmed FROM fs_replica"
                         " WHERE static_public_key=?1 OR next_public_key=?1",
                         &parameter, 1, &job->arena, &found, problem);
    psk = store_bytes_at(&found, 0, 2);
    if (result != RESULT_OK || found.row_count == 0 || psk.size != PSK_SIZE)
        return result;
    state = store_bytes_at(&found, 0, 3);
    job->is_known = true;
    job->replica_no = store_integer_at(&found, 0, 0, 0);
    job->user_id = store_integer_at(&found, 0, 1, 0);
    memcpy(job->psk, psk.data, PSK_SIZE);
    job->state = replica_state_of(state, store_integer_at(&found, 0, 5, 0) != 0);
    job->wipe = store_integer_at(&found, 0, 4, 0) != 0;
    return RESULT_OK;
}

/* The rows that people see: the device and its runs of human numbers. */
static enum result insert_device(struct work *work, const struct code *code, int64_t replica_no,
                                 struct bytes static_key, int64_t *ret_device_id,
                                 struct problem *problem)
{
    static const char *const KINDS[] = {"call", "quote", "rma", "report", "goods_document"};
    const struct author author = {.edited_at = work_now(work)};
    char series[SERIES_SIZE];
    char fingerprint[IDENTITY_FINGERPRINT_SIZE];
    enum result result = RESULT_OK;

    (void)snprintf(series, sizeof series, "T%02" PRId64, replica_no);
    identity_fingerprint(static_key.data, fingerprint);
    const struct work_field device[] = {
        {"user_id", value_integer(code->user_id)},
        {"van_id", code->van_id == 0 ? value_null() : value_integer(code->van_id)},
        {"series", value_text_of(series)},
        {"key_fingerprint", value_text_of(fingerprint)},
        {"enrolled_at", value_integer(work_now(work).us)},
        {NULL, value_null()}};
    result = work_insert_fields(work, "device", device, &author, ret_device_id, problem);
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS && result == RESULT_OK; i++) {
        const struct work_field run[] = {{"kind", value_text_of(KINDS[i])},
                                         {"prefix", value_text_of(series)},
                                         {"user_id", value_integer(code->user_id)},
                                         {"device_id", value_integer(*ret_device_id)},
                                         {NULL, value_null()}};

        result = work_insert_fields(work, "number_series", run, &author, NULL, problem);
    }
    return result;
}

/* The device that the former replica was, with the keys it has now. */
static enum result take_over_device(struct work *work, const struct code *code,
                                    struct bytes static_key, int64_t *ret_device_id,
                                    struct problem *problem)
{
    const struct author author = {.edited_at = work_now(work)};
    const struct value parameter = value_integer(code->former_no);
    char fingerprint[IDENTITY_FINGERPRINT_SIZE];
    struct store_result found = {0};
    enum result result = work_query(work, "SELECT device_id FROM fs_replica WHERE replica_no=?1",
                                    &parameter, 1, &found, problem);

    if (result != RESULT_OK)
        return result;
    identity_fingerprint(static_key.data, fingerprint);
    const struct work_field fields[] = {{"key_fingerprint", value_text_of(fingerprint)},
                                        {NULL, value_null()}};

    *ret_device_id = store_integer_at(&found, 0, 0, 0);
    return work_update_fields(work, "device", *ret_device_id, fields, &author, problem);
}

static enum result next_replica_no(struct work *work, int64_t *ret_replica_no,
                                   struct problem *problem)
{
    struct store_result found = {0};
    enum result result = work_query(work,
                                    "UPDATE fs_state SET number=number+1"
                                    " WHERE name='replica_no_last' RETURNING number",
                                    NULL, 0, &found, problem);

    if (result != RESULT_OK)
        return result;
    *ret_replica_no = store_integer_at(&found, 0, 0, 0);
    if (*ret_replica_no < 1 || *ret_replica_no > ID_REPLICA_MAX)
        return problem_set(problem, RESULT_REFUSED, "no more replica numbers");
    return RESULT_OK;
}

static enum result insert_replica(struct work *work, struct job *job, const struct code *code,
                                  const struct message_enrol *enrol, struct problem *problem)
{
    const struct bytes psk = bytes_of(job->seed.data, PSK_SIZE);
    const struct bytes token = bytes_of(job->seed.data + PSK_SIZE, TOKEN_SIZE);
    struct bytes copy = {0};
    int64_t replica_no = 0;
    int64_t device_id = 0;
    enum result result = next_replica_no(work, &replica_no, problem);

    if (result == RESULT_OK)
        result = code->takes_over
                     ? take_over_device(work, code, job->static_key, &device_id, problem)
                     : insert_device(work, code, replica_no, job->static_key, &device_id, problem);
    if (result == RESULT_OK)
        result = arena_copy(&job->arena, enrol->device_name, &copy, problem);
    if (result != RESULT_OK)
        return result;
    const struct value replica[] = {
        value_integer(replica_no),
        value_integer(device_id),
        value_integer(code->user_id),
        value_blob(job->static_key),
        value_blob(enrol->sign_public_key),
        value_blob(psk),
        value_blob(token),
        value_integer(job->now.us),
        value_text(enrol->app_version),
        value_text(copy),
        code->former_no == 0 ? value_null() : value_integer(code->former_no),
        enrol->first_no == 0 ? value_null() : value_integer(enrol->first_no),
        value_integer(code->is_confirmed ? 1 : 0),
        value_integer(enrol->schema_version)};
    const struct value burnt[] = {value_blob(job->key), value_blob(job->static_key),
                                  value_integer(replica_no)};

    result = work_execute(work,
                          "INSERT INTO fs_replica(replica_no, device_id, user_id,"
                          " static_public_key, sign_public_key, psk, token_current, enrolled_at,"
                          " last_seen_at, app_version, device_name, former_no, first_no,"
                          " is_confirmed, schema_version, lease_told)"
                          " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?8,?9,?10,?11,"
                          " coalesce((SELECT coalesce(first_no,replica_no) FROM fs_replica"
                          " WHERE replica_no=?11),?12),?13,?14,"
                          " CASE WHEN coalesce(?11,?12) IS NULL THEN 0 END)", /* new: it has none */
                          replica, 14, problem);
    if (result == RESULT_OK)
        result = work_execute(work,
                              "UPDATE fs_enrolment SET used_by=?2, replica_no=?3 WHERE token_id=?1",
                              burnt, 3, problem);
    if (result == RESULT_OK)
        result = audit_note(work, "enrolled", code->user_id, replica_no, job->peer, problem);
    job->replica_no = replica_no;
    return result;
}

static enum result encode_enrolled(struct work *work, struct job *job, struct problem *problem)
{
    const struct value parameter = value_integer(job->replica_no);
    struct message_enrolled message = {.replica_no = job->replica_no};
    struct store_result found = {0};
    struct buffer body;
    enum result result =
        work_query(work,
                   "SELECT r.device_id, r.incarnation, r.user_id, u.login, u.name, d.series,"
                   " d.van_id, r.psk, r.token_current,"
                   " (SELECT data FROM fs_state WHERE name='epoch'),"
                   " (SELECT data FROM fs_state WHERE name='digest_key')"
                   " FROM fs_replica r JOIN app_user u ON u.id=r.user_id"
                   " JOIN device d ON d.id=r.device_id WHERE r.replica_no=?1",
                   &parameter, 1, &found, problem);

    if (result != RESULT_OK)
        return result;
    message.device_id = store_integer_at(&found, 0, 0, 0);
    message.incarnation = store_integer_at(&found, 0, 1, 0);
    message.user_id = store_integer_at(&found, 0, 2, 0);
    message.user_login = store_bytes_at(&found, 0, 3);
    message.user_name = store_bytes_at(&found, 0, 4);
    message.series = store_bytes_at(&found, 0, 5);
    message.van_id = store_integer_at(&found, 0, 6, 0);
    message.psk = store_bytes_at(&found, 0, 7);
    message.resume_token = store_bytes_at(&found, 0, 8);
    message.epoch = store_bytes_at(&found, 0, 9);
    message.digest_key = store_bytes_at(&found, 0, 10);
    message.schema_version = work_catalog(work)->schema_version;
    job->user_id = message.user_id;
    buffer_init(&body, LIMIT_GREETING_SIZE_MAX);
    result = message_enrolled_encode(&message, &body, problem);
    if (result == RESULT_OK)
        result = job_add_body(job, MESSAGE_ENROLLED, buffer_bytes(&body), 0, NULL, problem);
    if (body.data != NULL)
        identity_wipe(body.data, body.size);
    buffer_done(&body);
    return result;
}

enum result devices_enrol(struct work *work, struct store *store, struct job *job,
                          const struct trace *trace, struct problem *problem)
{
    struct message_enrol enrol = {0};
    struct code code = {0};
    bool is_found = false;
    enum result result = message_enrol_decode(job->body, &job->arena, &enrol, problem);

    invariant(job->seed.size >= PSK_SIZE + TOKEN_SIZE);
    if (result == RESULT_OK && job->static_key.size != PUBLIC_KEY_SIZE)
        result = problem_set(problem, RESULT_MALFORMED, "no static key");
    if (result == RESULT_OK)
        result = read_code(store, job, job->key, &code, &is_found, problem);
    if (result != RESULT_OK)
        return result;
    if (!is_found || is_other_device(&code, job->static_key))
        return problem_set(problem, RESULT_REFUSED, "the code is unknown, used or has expired");
    if (code.used_by.size == 0) {
        result = insert_replica(work, job, &code, &enrol, problem);
        trace_line(trace, "server: replica %" PRId64 " enrolled for user %" PRId64, job->replica_no,
                   code.user_id);
    } else {
        job->replica_no = code.replica_no; /* its answer was lost: the same one again */
    }
    if (result == RESULT_OK)
        result = encode_enrolled(work, job, problem);
    job->state = REPLICA_ACTIVE;
    return result;
}
