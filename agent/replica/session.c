/* SPDX-License-Identifier: Apache-2.0 */
/* Where the device stands when it calls, and what the server's greeting changes. */
#include "agent/replica/replica_inside.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <string.h>

/* ---- resume ---------------------------------------------------------------------------------- */

static enum result read_cursors(struct replica *replica, struct arena *arena,
                                struct message_resume *resume, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    int64_t room = 0;
    bool has_row = true;
    enum result result =
        sql_query_integer(replica->database, "SELECT count(*) FROM fs_bucket WHERE seq IS NOT NULL",
                          NULL, 0, 0, &room, problem);

    if (result != RESULT_OK)
        return result;
    resume->cursors = arena_array(arena, (size_t)room + 1, sizeof *resume->cursors);
    if (resume->cursors == NULL)
        return arena_full(arena, problem);
    result = sql_prepare(replica->database,
                         "SELECT bucket, seq, page_table_no, page_seq, page_to FROM fs_bucket"
                         " WHERE seq IS NOT NULL ORDER BY bucket",
                         &statement, problem);
    while (result == RESULT_OK && resume->cursor_count < (size_t)room) {
        result = sql_step(statement, &has_row, problem);
        if (result != RESULT_OK || !has_row)
            break;
        resume->cursors[resume->cursor_count++] = (struct bucket_cursor){
            .bucket = sql_column_integer(statement, 0),
            .seq = sql_column_integer(statement, 1),
            .page_table_no = sql_column_integer(statement, 2),
            .page_seq = sql_column_integer(statement, 3),
            .page_to = sql_column_integer(statement, 4),
        };
    }
    sql_release(statement);
    return result;
}

/* By it the server sees that this disk was put back to an older state. */
static enum result read_newest_seal(struct replica *replica, struct arena *arena,
                                    struct message_resume *resume, struct problem *problem)
{
    static const uint8_t ZEROS[SEAL_DIGEST_SIZE] = {0};
    enum result result = state_number(replica, "seal_no", 0, &resume->seal_no, problem);

    if (result == RESULT_OK)
        result = state_data(replica, "seal_digest", arena, &resume->seal_digest, problem);
    if (result == RESULT_OK && resume->seal_digest.size != SEAL_DIGEST_SIZE)
        resume->seal_digest = bytes_of(ZEROS, sizeof ZEROS);
    return result;
}

/* Of a stage in tables only buckets read from nothing are resumed; the rest is sent again, and rows
 * of a former connection must not stay beside it. */
static enum result forget_tails(struct replica *replica, struct problem *problem)
{
    struct sql_transaction transaction = {0};
    int64_t has_parts = 0;
    enum result result = sql_query_integer(
        replica->database, "SELECT EXISTS (SELECT 1 FROM fs_script WHERE is_pending = 2)", NULL, 0,
        0, &has_parts, problem);

    if (result == RESULT_OK && has_parts != 0 && !replica->is_read_only)
        result = schemas_forget_parts(replica, problem);
    if (result != RESULT_OK)
        return result;

    if (!replica->stage.is_spilled || replica->is_read_only)
        return RESULT_OK;
    result = replica_write_begin(replica, &transaction, problem);
    if (result == RESULT_OK)
        result = sql_run(replica->database,
                         "DELETE FROM fs_stage_row WHERE bucket NOT IN"
                         " (SELECT bucket FROM fs_bucket WHERE is_whole = 1)",
                         NULL, 0, problem);
    if (result == RESULT_OK)
        result = sql_run(replica->database, "DELETE FROM fs_stage_gone", NULL, 0, problem);
    if (result == RESULT_OK)
        result = sql_commit(&transaction, problem);
    sql_end(&transaction);
    return result;
}

/* A commit whose sync failed can be read after all, and is still gone after a power cut. Whoever
 * has sent a token or a seal of it looks like a copied disk then. So one commit that is synced
 * comes before the first word of a process, and before the next one after such a failure. */
static enum result make_sure_of_disk(struct replica *replica, struct problem *problem)
{
    struct sql_transaction transaction = {0};
    int64_t count = 0;
    enum result result = RESULT_OK;

    if (replica->is_disk_known || replica->is_read_only)
        return RESULT_OK;
    result = replica_durable_begin(replica, &transaction, problem);
    if (result == RESULT_OK)
        result = state_number(replica, "disk_checks", 0, &count, problem);
    if (result == RESULT_OK)
        result = state_set_number(replica, "disk_checks", count + 1, problem);
    if (result == RESULT_OK)
        result = sql_commit(&transaction, problem);
    replica_durable_end(replica, &transaction);
    replica->is_disk_known = result == RESULT_OK;
    return result;
}

enum result replica_resume(struct replica *replica, struct arena *arena,
                           struct message_resume *ret_resume, struct problem *problem)
{
    struct message_resume resume = {.schema_version = replica->catalog.schema_version};
    int64_t *buckets = NULL;
    size_t bucket_count = 0;
    enum result result = make_sure_of_disk(replica, problem);

    if (result == RESULT_OK)
        result = forget_tails(replica, problem);
    if (result == RESULT_OK)
        result = state_data(replica, "resume_token", arena, &resume.resume_token, problem);
    if (result == RESULT_OK)
        result = state_data(replica, "epoch", arena, &resume.epoch, problem);
    if (result == RESULT_OK)
        result = state_number(replica, "incarnation", 0, &resume.incarnation, problem);
    if (result == RESULT_OK)
        result = state_number(replica, "published_seq", 0, &resume.published_seq, problem);
    if (result == RESULT_OK)
        result = sql_query_integer(replica->database, "SELECT max(lcn) FROM fs_outbox", NULL, 0, 0,
                                   &resume.lcn_last, problem);
    if (result == RESULT_OK)
        result = read_newest_seal(replica, arena, &resume, problem);
    if (result == RESULT_OK)
        result = read_cursors(replica, arena, &resume, problem);
    if (result == RESULT_OK)
        result = bucket_list(replica, BUCKET_SUBSCRIBED, arena, &buckets, &bucket_count, problem);
    if (result != RESULT_OK) {
        problem_add(problem, "reading where this device stands");
        return result;
    }
    if (resume.published_seq > 0) {
        subscribed_digest(buckets, bucket_count, resume.subscribed_digest);
        resume.subscribed_digest_size = sizeof resume.subscribed_digest;
    }
    *ret_resume = resume;
    return RESULT_OK;
}

/* ---- welcome --------------------------------------------------------------------------------- */

enum result replica_read_anew(struct replica *replica, struct problem *problem)
{
    static const char *const FORGET[] = {
        ("UPDATE fs_bucket SET seq = 0, page_table_no = 0, page_seq = 0, page_to = 0, is_whole = 0"
         " WHERE state = 1"),
        /* is_whole stays: what came of an arriving bucket is void when it is read anew */
        ("UPDATE fs_bucket SET seq = 0, page_table_no = 0, page_seq = 0, page_to = 0"
         " WHERE state = 3"),
        "DELETE FROM fs_stage_row",
        "DELETE FROM fs_stage_gone",
        "DELETE FROM fs_hold",
        "DELETE FROM fs_shadow",
    };
    enum result result = RESULT_OK;

    for (size_t i = 0; i < sizeof FORGET / sizeof FORGET[0] && result == RESULT_OK; i++)
        result = sql_run(replica->database, FORGET[i], NULL, 0, problem);
    if (result == RESULT_OK)
        result = state_set_number(replica, "published_floor", 0, problem);
    return result;
}

/* The server was restored from a backup: it knows nothing after lcn_high, so what this device has
 * and the server hasn't becomes pending again, and every bucket is read anew. */
static enum result on_new_epoch(struct replica *replica, const struct message_welcome *welcome,
                                struct problem *problem)
{
    const struct value lcn_high = value_integer(welcome->lcn_high);
    enum result result = replica_read_anew(replica, problem);

    if (result == RESULT_OK)
        result =
            sql_run(replica->database, "DELETE FROM fs_blob WHERE state = 1", NULL, 0, problem);
    if (result == RESULT_OK)
        result = sql_run(replica->database,
                         "UPDATE fs_seal SET verdict_at = NULL, commit_seq = NULL"
                         " WHERE lcn_last > ?1 AND seal_no > 0", /* not of a former number */
                         &lcn_high, 1, problem);
    if (result == RESULT_OK)
        result = sql_run(replica->database,
                         "UPDATE fs_seal_change SET is_pending = 1, verdict = NULL, reason = NULL,"
                         " merged_into_id = NULL, verdict_at = NULL WHERE seal_no IN"
                         " (SELECT seal_no FROM fs_seal WHERE verdict_at IS NULL)",
                         NULL, 0, problem);
    return result;
}

static enum result store_welcome(struct replica *replica, const struct message_welcome *welcome,
                                 struct wall_time now, struct problem *problem)
{
    enum result result = state_set_data(replica, "resume_token", welcome->resume_token, problem);

    if (result == RESULT_OK)
        result = state_set_data(replica, "epoch", welcome->epoch, problem);
    if (result == RESULT_OK)
        result = state_set_data(replica, "digest_key", welcome->digest_key, problem);
    if (result == RESULT_OK)
        result =
            state_set_number(replica, "clock_offset_us", welcome->server_time.us - now.us, problem);
    if (result == RESULT_OK)
        result = state_set_number(replica, "contact_at", now.us, problem);
    if (result == RESULT_OK)
        result = state_set_number(replica, "lcn_high", welcome->lcn_high, problem);
    if (result == RESULT_OK)
        result = state_set_number(replica, "backup_lcn", welcome->backup_lcn, problem);
    return result;
}

static enum result check_welcome(struct replica *replica, const struct message_welcome *welcome,
                                 bool *ret_is_new_epoch, struct problem *problem)
{
    struct bytes epoch = {0};
    int64_t replica_no = 0;
    int64_t incarnation = 0;
    enum result result = state_number(replica, "replica_no", -1, &replica_no, problem);

    if (result == RESULT_OK)
        result = state_number(replica, "incarnation", 0, &incarnation, problem);
    if (result == RESULT_OK)
        result = state_data(replica, "epoch", &replica->step_arena, &epoch, problem);
    if (result != RESULT_OK)
        return result;
    if (welcome->replica_no != replica_no || welcome->incarnation != incarnation)
        return problem_set(problem, RESULT_REFUSED,
                           "the server takes this device for replica %" PRId64 "/%" PRId64
                           ", it is %" PRId64 "/%" PRId64 ": its work stays here, enrol it anew",
                           welcome->replica_no, welcome->incarnation, replica_no, incarnation);
    *ret_is_new_epoch = epoch.size > 0 && !bytes_equal(epoch, welcome->epoch);
    return RESULT_OK;
}

enum result replica_welcome(struct replica *replica, const struct message_welcome *welcome,
                            struct wall_time now, struct problem *problem)
{
    struct sql_transaction transaction = {0};
    bool is_new_epoch = false;
    enum result result = replica_durable_begin(replica, &transaction, problem);

    if (result == RESULT_OK)
        result = check_welcome(replica, welcome, &is_new_epoch, problem);
    if (result == RESULT_OK && is_new_epoch)
        result = on_new_epoch(replica, welcome, problem);
    if (result == RESULT_OK)
        result = store_welcome(replica, welcome, now, problem);
    if (result == RESULT_OK)
        result = schemas_welcome(replica, welcome->schema_version, problem);
    if (result == RESULT_OK)
        result = sql_commit(&transaction, problem);
    replica_durable_end(replica, &transaction);
    replica->is_disk_known = result == RESULT_OK;
    if (result != RESULT_OK) {
        problem_add(problem, "storing the server's greeting");
        return result;
    }
    if (welcome->schema_version != replica->server_version)
        result = schemas_speak(replica, welcome->schema_version, problem);
    if (is_new_epoch) {
        trace_line(replica->trace, "replica: the server was restored: everything is compared");
        stage_reset(&replica->stage);
        replica->stage.is_spilled = false;
    }
    replica_written(replica, 0);
    return result;
}
