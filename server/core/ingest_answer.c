/* SPDX-License-Identifier: Apache-2.0 */
/* VERDICT: the exceptions of a seal with the rows as the server has them (R4), in several bodies if
 * they are many. */
#include "server/core/ingest.h"
#include "server/core/scope.h"
#include "server/core/sending.h"

#include "base/invariant.h"
#include "schema/catalog_version.h"

enum {
    PART_SIZE_MAX = LIMIT_BODY_SIZE_MAX / 4 * 3, /* of rows and exceptions, by estimate */
    PART_EXCEPTIONS_MAX = 4096,
    EXCEPTION_SIZE = 64, /* without its row: at most about that */
    PART_ARENA_SIZE_MAX = 64 * 1024 * 1024,
    ROWS_SIZE_MAX = 4 * 1024 * 1024, /* of all parts; a digest finds what rows beyond it differ */
};

/* An answer on its way into bodies. */
struct answering {
    struct store *store;
    const struct catalog *wire;
    struct scope_rights rights;
    struct job *job;
    struct arena arena; /* of one part */
    size_t rows_size;   /* of all parts so far */
    struct problem *problem;
};

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

/* *ret_size: what the row takes, 0 if there is none to send. */
static enum result echo(struct answering *answering, const struct ingest_verdict *exception,
                        struct verdict *verdict, size_t *ret_size)
{
    struct store *store = answering->store;
    const struct catalog_table *table = catalog_table_by_no(store->catalog, exception->table_no);
    struct stored_row *rows = NULL;
    int64_t row_id = exception->merged_into_id != 0 ? exception->merged_into_id : exception->row_id;
    bool is_shown = false;
    enum result result = RESULT_OK;

    invariant(table != NULL); /* stored by ingest_push */
    *ret_size = 0;
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
    result =
        store_read_rows(store, table, &row_id, 1, &answering->arena, &rows, answering->problem);
    if (result == RESULT_OK && rows[0].values != NULL)
        result = is_visible(&answering->rights, answering->job->replica_no, rows[0].bucket,
                            &is_shown, answering->problem);
    if (result != RESULT_OK || !is_shown)
        return result;
    verdict->is_row_gone = false;
    if (!sending_fits(table, table->columns_mask, rows[0].values))
        return RESULT_OK;
    *ret_size = sending_size(table, table->columns_mask, rows[0].values);
    if (answering->rows_size + *ret_size > ROWS_SIZE_MAX) {
        *ret_size = 0;
        return RESULT_OK;
    }
    verdict->has_row = true;
    verdict->row = (struct row_image){.table_no = table->number,
                                      .row_id = row_id,
                                      .seq = rows[0].seq,
                                      .mask = table->columns_mask,
                                      .values = rows[0].values};
    if (answering->wire != store->catalog)
        verdict->has_row = catalog_restrict_row(
            table, catalog_table_by_no(answering->wire, table->number), &verdict->row);
    return RESULT_OK;
}

/* As many of them as one body takes, at least one if there is one. */
static enum result fill_part(struct answering *answering, const struct ingest_verdict *exceptions,
                             size_t count, struct message_verdict *part)
{
    size_t room = count < PART_EXCEPTIONS_MAX ? count : PART_EXCEPTIONS_MAX;
    size_t size = 0;
    enum result result = RESULT_OK;

    part->exception_count = 0;
    part->exceptions = arena_array(&answering->arena, room, sizeof *part->exceptions);
    if (part->exceptions == NULL)
        return arena_full(&answering->arena, answering->problem);
    while (part->exception_count < room && result == RESULT_OK) {
        size_t row_size = 0;

        result = echo(answering, &exceptions[part->exception_count],
                      &part->exceptions[part->exception_count], &row_size);
        if (part->exception_count > 0 && size + row_size + EXCEPTION_SIZE > PART_SIZE_MAX)
            break; /* it is the next part's first */
        size += row_size + EXCEPTION_SIZE;
        answering->rows_size += row_size;
        part->exception_count++;
    }
    part->has_more = part->exception_count < count;
    return result;
}

static enum result send_part(struct answering *answering, const struct message_verdict *part,
                             const struct frame_dictionary *dictionary)
{
    struct buffer body;
    enum result result = RESULT_OK;

    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    result = message_verdict_encode(answering->wire, part, &body, answering->problem);
    if (result == RESULT_OK)
        result = job_add_body(answering->job, MESSAGE_VERDICT, buffer_bytes(&body), 6, dictionary,
                              answering->problem);
    buffer_done(&body);
    return result;
}

enum result ingest_answer_encode(struct store *store, const struct catalog *wire,
                                 const struct ingest_answer *answer, int64_t head,
                                 const struct frame_dictionary *dictionary, struct job *job,
                                 struct problem *problem)
{
    struct answering answering = {.store = store, .wire = wire, .job = job, .problem = problem};
    struct message_verdict part = {.seal_no = answer->seal_no,
                                   .lcn_high = answer->lcn_high,
                                   .commit_seq =
                                       answer->commit_seq < head ? answer->commit_seq : head,
                                   .has_more = true};
    size_t done = 0;
    enum result result = RESULT_OK;

    arena_init(&answering.arena, PART_ARENA_SIZE_MAX);
    scope_rights_init(&answering.rights, store, &job->arena, job->user_id);
    for (part.part_no = 0; part.has_more && result == RESULT_OK; part.part_no++) {
        arena_reset(&answering.arena);
        result = fill_part(&answering, answer->verdicts + done, answer->count - done, &part);
        done += part.exception_count;
        if (result == RESULT_OK)
            result = send_part(&answering, &part, dictionary);
    }
    arena_done(&answering.arena);
    if (result != RESULT_OK)
        problem_add(problem, "answering a push");
    return result;
}
