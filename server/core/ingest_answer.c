/* SPDX-License-Identifier: Apache-2.0 */
/* VERDICT: the exceptions of a seal with the rows as the server has them (R4). */
#include "server/core/ingest.h"
#include "server/core/scope.h"
#include "server/core/sending.h"

#include "base/invariant.h"
#include "schema/catalog_version.h"

enum { ECHOES_SIZE_MAX = LIMIT_BODY_SIZE_MAX / 4 * 3 };

/* A row is shown to whom it belongs: in a bucket of his, or in one that his own new row made. */
static enum result is_visible(struct scope_rights *rights, int64_t replica_no, int64_t bucket,
                              bool *ret_is, struct problem *problem)
{
    int64_t until = SCOPE_NEVER;
    enum result result = scope_rights_until(rights, bucket, &until, problem);

    if (result == RESULT_OK)
        *ret_is = until == INT64_MAX ||
                  (bucket_id_of(bucket) != 0 && bucket_kind_of(bucket) != BUCKET_USER &&
                   id_replica_no(bucket_id_of(bucket)) == replica_no);
    return result;
}

static enum result echo(struct store *store, const struct catalog *wire,
                        struct scope_rights *rights, struct job *job,
                        const struct ingest_verdict *exception, size_t *size,
                        struct verdict *verdict, struct problem *problem)
{
    const struct catalog_table *table = catalog_table_by_no(store->catalog, exception->table_no);
    struct stored_row *rows = NULL;
    int64_t row_id = exception->merged_into_id != 0 ? exception->merged_into_id : exception->row_id;
    bool is_shown = false;
    enum result result = RESULT_OK;

    invariant(table != NULL); /* stored by ingest_push */
    *verdict = (struct verdict){
        .lcn = exception->lcn,
        .kind = exception->kind,
        .reason = exception->reason == NULL ? (struct bytes){0} : bytes_of_text(exception->reason),
        .table_no = exception->table_no,
        .row_id = exception->row_id,
        .merged_into_id = exception->merged_into_id,
        .is_row_gone = true};
    if (table->is_local)
        return RESULT_OK;
    result = store_read_rows(store, table, &row_id, 1, &job->arena, &rows, problem);
    if (result == RESULT_OK && rows[0].values != NULL)
        result = is_visible(rights, job->replica_no, rows[0].bucket, &is_shown, problem);
    if (result != RESULT_OK || !is_shown)
        return result;
    verdict->is_row_gone = false;
    *size += sending_size(table, table->columns_mask, rows[0].values);
    if (*size > ECHOES_SIZE_MAX || !sending_fits(table, table->columns_mask, rows[0].values))
        return RESULT_OK;
    verdict->has_row = true;
    verdict->row = (struct row_image){.table_no = table->number,
                                      .row_id = row_id,
                                      .seq = rows[0].seq,
                                      .mask = table->columns_mask,
                                      .values = rows[0].values};
    if (wire != store->catalog)
        verdict->has_row =
            catalog_restrict_row(table, catalog_table_by_no(wire, table->number), &verdict->row);
    return RESULT_OK;
}

enum result ingest_answer_encode(struct store *store, const struct catalog *wire,
                                 const struct ingest_answer *answer, int64_t head,
                                 const struct frame_dictionary *dictionary, struct job *job,
                                 struct problem *problem)
{
    struct message_verdict message = {.seal_no = answer->seal_no,
                                      .lcn_high = answer->lcn_high,
                                      .commit_seq =
                                          answer->commit_seq < head ? answer->commit_seq : head,
                                      .exception_count = answer->count};
    struct scope_rights rights;
    struct buffer body;
    size_t size = 0;
    enum result result = RESULT_OK;

    message.exceptions = arena_array(&job->arena, answer->count, sizeof *message.exceptions);
    if (message.exceptions == NULL)
        return arena_full(&job->arena, problem);
    scope_rights_init(&rights, store, &job->arena, job->user_id);
    for (size_t i = 0; i < answer->count && result == RESULT_OK; i++)
        result = echo(store, wire, &rights, job, &answer->verdicts[i], &size,
                      &message.exceptions[i], problem);
    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    if (result == RESULT_OK)
        result = message_verdict_encode(wire, &message, &body, problem);
    if (result == RESULT_OK)
        result = job_add_body(job, MESSAGE_VERDICT, buffer_bytes(&body), 6, dictionary, problem);
    buffer_done(&body);
    if (result != RESULT_OK)
        problem_add(problem, "answering a push");
    return result;
}
