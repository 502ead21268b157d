/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/blobs.h"

#include <assert.h>

static_assert((int)BLOB_HASH_SIZE == (int)BLOB_STORE_HASH_SIZE, "both are BLAKE2b-256");

enum { PART_SIZE = 32 * 1024 };

struct exchange {
    struct store *store;
    struct blob_store *blobs;
    struct job *job;
    struct message_blob asked;
};

static enum result is_allowed(const struct exchange *exchange, bool *ret_is,
                              struct problem *problem)
{
    char hash[2 * BLOB_HASH_SIZE + 1];
    struct store_result found = {0};
    enum result result;

    bytes_to_hex(exchange->asked.hash, hash);
    const struct value parameters[] = {value_text_of(hash), value_integer(exchange->job->user_id),
                                       value_integer(exchange->job->replica_no),
                                       value_integer(exchange->asked.size)};

    result = store_query(exchange->store,
                         "SELECT 1 FROM attachment a WHERE a.content_hash=?1 AND (a.by_id=?2 OR"
                         " EXISTS (SELECT 1 FROM fs_entitlement e WHERE e.user_id=?2"
                         " AND e.bucket=a._fs_bucket AND e.to_seq IS NULL))"
                         " UNION ALL SELECT 1 FROM fs_quarantine_blob q WHERE q.hash=?1"
                         " AND q.replica_no=?3 AND ?4<=q.size LIMIT 1",
                         parameters, 4, &exchange->job->arena, &found, problem);
    if (result == RESULT_OK)
        *ret_is = found.row_count > 0;
    return result;
}

static enum result send(const struct exchange *exchange, enum message_type type, int64_t offset,
                        int64_t size, struct bytes data, struct problem *problem)
{
    const struct message_blob message = {
        .hash = exchange->asked.hash, .offset = offset, .size = size, .data = data};
    struct buffer body;
    enum result result;

    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    result = message_blob_encode(&message, &body, problem);
    if (result == RESULT_OK) /* photos are compressed already */
        result = job_add_body(exchange->job, (uint8_t)type, buffer_bytes(&body), 0, NULL, problem);
    buffer_done(&body);
    return result;
}

static enum result status_of(const struct exchange *exchange, int64_t *ret_size, bool *ret_is_whole,
                             struct problem *problem)
{
    return exchange->blobs->operations->status(exchange->blobs, exchange->asked.hash.data, ret_size,
                                               ret_is_whole, problem);
}

/* Every byte is here, and it isn't whole: the server was killed before it could check the hash.
 * Now it is checked; a wrong content is thrown away, and the next status wants all of it again. */
static enum result finish(const struct exchange *exchange, int64_t size, struct problem *problem)
{
    enum result result = exchange->blobs->operations->append(
        exchange->blobs, exchange->asked.hash.data, size, bytes_of("", 0), true, problem);

    return result == RESULT_REFUSED ? RESULT_OK : result;
}

static enum result answer_status(const struct exchange *exchange, struct problem *problem)
{
    const struct bytes nothing = {0};
    int64_t size = 0;
    bool is_whole = false;
    enum result result = status_of(exchange, &size, &is_whole, problem);

    if (result == RESULT_OK && !is_whole && size > 0 && size == exchange->asked.size) {
        result = finish(exchange, size, problem);
        if (result == RESULT_OK)
            result = status_of(exchange, &size, &is_whole, problem);
    }
    if (result != RESULT_OK)
        return result;
    if (is_whole)
        return send(exchange, MESSAGE_BLOB_HAVE, 0, size, nothing, problem);
    return send(exchange, MESSAGE_BLOB_WANT, size, 0, nothing, problem);
}

static enum result take_part(const struct exchange *exchange, struct problem *problem)
{
    const struct message_blob *part = &exchange->asked;
    struct problem refusal = {0};
    bool is_last = false;
    int64_t size = 0;
    bool is_whole = false;
    enum result result = status_of(exchange, &size, &is_whole, problem);

    if (result != RESULT_OK)
        return result;
    if (is_whole)
        return answer_status(exchange, problem);
    is_last = part->offset >= 0 && part->size >= 0 &&
              part->offset + (int64_t)part->data.size == part->size;
    if (part->offset == size && (part->data.size > 0 || is_last))
        result = exchange->blobs->operations->append(exchange->blobs, part->hash.data, part->offset,
                                                     part->data, is_last, &refusal);
    else
        result = RESULT_REFUSED;
    if (result == RESULT_REFUSED || (result == RESULT_OK && is_last))
        return answer_status(exchange, problem); /* HAVE, or WANT from where it stands */
    if (result != RESULT_OK)
        return problem_set(problem, result, "%s", refusal.text);
    return RESULT_OK;
}

static size_t smaller(int64_t rest)
{
    return rest < PART_SIZE ? (size_t)rest : PART_SIZE;
}

/* No further than asked: the device knows its line. */
static enum result give_parts(const struct exchange *exchange, struct problem *problem)
{
    int64_t offset = exchange->asked.offset;
    int64_t end = 0;
    int64_t size = 0;
    bool is_whole = false;
    size_t sent = 0;
    uint8_t *memory = arena_alloc(&exchange->job->arena, PART_SIZE);
    enum result result;

    if (memory == NULL)
        return arena_full(&exchange->job->arena, problem);
    result = status_of(exchange, &size, &is_whole, problem);
    if (result == RESULT_OK && !is_whole)
        return send(exchange, MESSAGE_BLOB_HAVE, 0, 0, (struct bytes){0}, problem);
    end = exchange->asked.size < size ? exchange->asked.size : size;
    for (int parts = 0; parts < BLOBS_PARTS_MAX && offset < end && result == RESULT_OK; parts++) {
        size_t count = 0;

        if (sent > 0 && sent + PART_SIZE > exchange->job->send_room)
            break;
        result =
            exchange->blobs->operations->read(exchange->blobs, exchange->asked.hash.data, offset,
                                              memory, smaller(end - offset), &count, problem);
        if (result == RESULT_OK && count == 0)
            break;
        if (result == RESULT_OK)
            result =
                send(exchange, MESSAGE_BLOB_PART, offset, size, bytes_of(memory, count), problem);
        offset += (int64_t)count;
        sent += count;
    }
    return result;
}

enum result blobs_answer(struct store *store, struct blob_store *blobs, struct job *job,
                         struct problem *problem)
{
    struct exchange exchange = {.store = store, .blobs = blobs, .job = job};
    bool is_theirs = false;
    enum result result = RESULT_OK;

    job->result = message_blob_decode(job->body, &job->arena, &exchange.asked, &job->problem);
    if (job->result == RESULT_OK && blobs == NULL)
        job->result =
            problem_set(&job->problem, RESULT_REFUSED, "this server keeps no attachments");
    if (job->result != RESULT_OK)
        return RESULT_OK;
    result = is_allowed(&exchange, &is_theirs, problem);
    if (result != RESULT_OK)
        return result;
    if (!is_theirs) { /* its row may still be on the way: the device asks again later */
        if (job->message == MESSAGE_BLOB_WANT)
            return send(&exchange, MESSAGE_BLOB_HAVE, 0, 0, (struct bytes){0}, problem);
        job->result = problem_set(&job->problem, RESULT_REFUSED, "no attachment has this content");
        return RESULT_OK;
    }
    if (job->message == MESSAGE_BLOB_HAVE)
        return answer_status(&exchange, problem);
    if (job->message == MESSAGE_BLOB_PART)
        return take_part(&exchange, problem);
    return give_parts(&exchange, problem);
}
