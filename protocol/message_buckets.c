/* SPDX-License-Identifier: Apache-2.0 */
/* Messages about buckets: RESUME, SUBSCRIBED, DIGEST, DIGEST_DIFFERS, REPAIR. A list of buckets
 * ascends and is flat: each bucket as the difference to the one before (so at least 1), followed by
 * what belongs to it. */
#include "protocol/fields.h"
#include "protocol/message_lists.h"
#include "protocol/messages.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

enum { CURSOR_NUMBERS = 5, DIGEST_NUMBERS = 2 };

/* --- lists ------------------------------------------------------------------------------------ */

int64_t bucket_read(struct reader *reader, int64_t before)
{
    if (before == INT64_MAX) {
        reader_fail(reader, "a bucket after the last one there is");
        return before;
    }
    return before + reader_int64(reader, 1, INT64_MAX - before);
}

/* How many groups of `width` values the next array has; it must hold whole ones. */
static size_t read_groups(struct reader *reader, size_t width, size_t groups_max)
{
    size_t count = reader_array(reader, width * groups_max);

    if (count % width != 0)
        reader_fail(reader, "list with half an item before here");
    return reader_failed(reader) ? 0 : count / width;
}

static enum result check_ascending(const char *message, int64_t before, int64_t bucket,
                                   struct problem *problem)
{
    if (bucket > before)
        return RESULT_OK;
    return problem_set(problem, RESULT_REFUSED,
                       "%s: bucket %" PRId64 " after %" PRId64 ", they must ascend from 1", message,
                       bucket, before);
}

static enum result check_count(const char *message, size_t count, size_t count_max,
                               struct problem *problem)
{
    if (count <= count_max)
        return RESULT_OK;
    return problem_set(problem, RESULT_REFUSED, "%s: %zu items, at most %zu", message, count,
                       count_max);
}

static enum result finish(struct writer *writer, const char *message, struct problem *problem)
{
    enum result result = writer_finish(writer, problem);

    if (result != RESULT_OK)
        problem_add(problem, "%s", message);
    return result;
}

static enum result finish_reading(struct reader *reader, const char *message,
                                  struct problem *problem)
{
    enum result result = reader_finish(reader, problem);

    if (result != RESULT_OK)
        problem_add(problem, "%s", message);
    return result;
}

/* --- parts of a bucket ------------------------------------------------------------------------ */

enum result parts_check(const uint8_t *parts, size_t count, struct problem *problem)
{
    if (count > REPAIR_PARTS)
        return problem_set(problem, RESULT_REFUSED, "%zu parts, a bucket has %d", count,
                           REPAIR_PARTS);
    for (size_t i = 1; i < count; i++)
        if (parts[i] <= parts[i - 1])
            return problem_set(problem, RESULT_REFUSED, "part %u after %u, they must ascend",
                               parts[i], parts[i - 1]);
    return RESULT_OK;
}

void parts_write(const uint8_t *parts, size_t count, struct writer *writer)
{
    writer_blob(writer, bytes_of(parts, count));
}

const uint8_t *parts_read(struct reader *reader, size_t *ret_count)
{
    struct bytes parts = reader_blob(reader, REPAIR_PARTS);

    for (size_t i = 1; i < parts.size; i++)
        if (parts.data[i] <= parts.data[i - 1])
            reader_fail(reader, "parts before here don't ascend");
    *ret_count = parts.size;
    return parts.size == 0 ? NULL : parts.data;
}

/* --- RESUME ----------------------------------------------------------------------------------- */

#define IN(member) offsetof(struct message_resume, member)
static const struct field RESUME_FIELDS[] = {
    {"resume_token", FIELD_BLOB_OR_EMPTY, IN(resume_token), TOKEN_SIZE, TOKEN_SIZE},
    {"epoch", FIELD_BLOB_OR_EMPTY, IN(epoch), EPOCH_SIZE, EPOCH_SIZE},
    {"incarnation", FIELD_INTEGER, IN(incarnation), 0, INT64_MAX},
    {"published_seq", FIELD_INTEGER, IN(published_seq), 0, INT64_MAX},
    {"lcn_last", FIELD_INTEGER, IN(lcn_last), 0, INT64_MAX},
    {"schema_version", FIELD_INTEGER, IN(schema_version), 0, INT64_MAX},
    {"device_time", FIELD_INTEGER, IN(device_time.us), INT64_MIN, INT64_MAX},
    {"app_version", FIELD_TEXT, IN(app_version), 0, LIMIT_NAME_SIZE_MAX},
    {"seal_no", FIELD_INTEGER, IN(seal_no), 0, INT64_MAX},
    {"seal_digest", FIELD_BLOB_OR_EMPTY, IN(seal_digest), SEAL_DIGEST_SIZE, SEAL_DIGEST_SIZE},
};
static const struct field_table RESUME = {"RESUME", COUNT_OF(RESUME_FIELDS), RESUME_FIELDS};
#undef IN

static enum result check_cursors(const struct message_resume *message, struct problem *problem)
{
    int64_t before = 0;
    enum result result = check_count("RESUME", message->cursor_count, LIMIT_BUCKETS_MAX, problem);

    for (size_t i = 0; i < message->cursor_count && result == RESULT_OK; i++) {
        const struct bucket_cursor *cursor = &message->cursors[i];

        result = check_ascending("RESUME", before, cursor->bucket, problem);
        before = cursor->bucket;
        if (result == RESULT_OK &&
            (cursor->seq < 0 || cursor->page_table_no < 0 || cursor->page_table_no > UINT16_MAX ||
             cursor->page_seq < 0 || cursor->page_to < 0))
            result = problem_set(problem, RESULT_REFUSED,
                                 "RESUME: cursor of bucket %" PRId64 " is out of range", before);
    }
    return result;
}

enum result message_resume_encode(const struct message_resume *message, struct buffer *body,
                                  struct problem *problem)
{
    struct writer writer;
    int64_t before = 0;
    enum result result = fields_check(&RESUME, message, problem);

    invariant(message->subscribed_digest_size == 0 ||
              message->subscribed_digest_size == sizeof message->subscribed_digest);
    if (result == RESULT_OK)
        result = check_cursors(message, problem);
    if (result != RESULT_OK)
        return result;
    writer_init(&writer, body);
    writer_array(&writer, RESUME.count + 2);
    fields_write(&RESUME, message, &writer);
    writer_array(&writer, CURSOR_NUMBERS * message->cursor_count);
    for (size_t i = 0; i < message->cursor_count; i++) {
        const struct bucket_cursor *cursor = &message->cursors[i];

        writer_int64(&writer, cursor->bucket - before);
        writer_int64(&writer, cursor->seq);
        writer_int64(&writer, cursor->page_table_no);
        writer_int64(&writer, cursor->page_seq);
        writer_int64(&writer, cursor->page_to);
        before = cursor->bucket;
    }
    writer_blob(&writer, bytes_of(message->subscribed_digest, message->subscribed_digest_size));
    return finish(&writer, "RESUME", problem);
}

static enum result read_cursors(struct reader *reader, struct arena *arena,
                                struct message_resume *message, struct problem *problem)
{
    size_t count = read_groups(reader, CURSOR_NUMBERS, LIMIT_BUCKETS_MAX);
    int64_t before = 0;

    if (count == 0)
        return RESULT_OK;
    message->cursors = arena_array(arena, count, sizeof *message->cursors);
    if (message->cursors == NULL)
        return arena_full(arena, problem);
    message->cursor_count = count;
    for (size_t i = 0; i < count && !reader_failed(reader); i++) {
        struct bucket_cursor *cursor = &message->cursors[i];

        cursor->bucket = before = bucket_read(reader, before);
        cursor->seq = reader_int64(reader, 0, INT64_MAX);
        cursor->page_table_no = reader_int64(reader, 0, UINT16_MAX);
        cursor->page_seq = reader_int64(reader, 0, INT64_MAX);
        cursor->page_to = reader_int64(reader, 0, INT64_MAX);
    }
    return RESULT_OK;
}

enum result message_resume_decode(struct bytes body, struct arena *arena,
                                  struct message_resume *ret_message, struct problem *problem)
{
    struct reader reader = reader_over(body);
    struct message_resume message = {0};
    struct bytes digest = {0};
    enum result result = RESULT_OK;

    (void)reader_record(&reader, RESUME.count + 2, RESUME.count + 2);
    fields_read(&RESUME, &reader, &message);
    result = read_cursors(&reader, arena, &message, problem);
    if (result != RESULT_OK)
        return result;
    digest = reader_blob(&reader, sizeof message.subscribed_digest);
    if (digest.size != 0 && digest.size != sizeof message.subscribed_digest)
        reader_fail(&reader, "digest before here is neither empty nor whole");
    result = finish_reading(&reader, "RESUME", problem);
    if (result != RESULT_OK)
        return result;
    message.subscribed_digest_size = digest.size;
    if (digest.size > 0)
        memcpy(message.subscribed_digest, digest.data, digest.size);
    *ret_message = message;
    return RESULT_OK;
}

void subscribed_digest(const int64_t *buckets, size_t count, uint8_t ret_digest[8])
{
    static const char CONTEXT[] = "fieldsync buckets v1";
    crypto_generichash_state state;
    uint8_t whole[crypto_generichash_BYTES];

    (void)crypto_generichash_init(&state, NULL, 0, sizeof whole);
    (void)crypto_generichash_update(&state, (const uint8_t *)CONTEXT, sizeof CONTEXT - 1);
    for (size_t i = 0; i < count; i++) {
        uint8_t number[8];

        invariant(i == 0 || buckets[i] > buckets[i - 1]);
        for (size_t byte = 0; byte < sizeof number; byte++)
            number[byte] = (uint8_t)((uint64_t)buckets[i] >> (56 - 8 * byte));
        (void)crypto_generichash_update(&state, number, sizeof number);
    }
    (void)crypto_generichash_final(&state, whole, sizeof whole);
    memcpy(ret_digest, whole, 8);
}

/* --- SUBSCRIBED ------------------------------------------------------------------------------- */

static enum result check_buckets(const int64_t *buckets, size_t count, struct problem *problem)
{
    enum result result = check_count("SUBSCRIBED", count, LIMIT_BUCKETS_MAX, problem);

    for (size_t i = 0; i < count && result == RESULT_OK; i++)
        result = check_ascending("SUBSCRIBED", i == 0 ? 0 : buckets[i - 1], buckets[i], problem);
    return result;
}

static void write_buckets(const int64_t *buckets, size_t count, struct writer *writer)
{
    writer_array(writer, count);
    for (size_t i = 0; i < count; i++)
        writer_int64(writer, buckets[i] - (i == 0 ? 0 : buckets[i - 1]));
}

static enum result read_buckets(struct reader *reader, struct arena *arena, int64_t **ret_buckets,
                                size_t *ret_count, struct problem *problem)
{
    size_t count = read_groups(reader, 1, LIMIT_BUCKETS_MAX);
    int64_t *buckets = NULL;
    int64_t before = 0;

    if (count > 0) {
        buckets = arena_array(arena, count, sizeof *buckets);
        if (buckets == NULL)
            return arena_full(arena, problem);
    }
    for (size_t i = 0; i < count && !reader_failed(reader); i++)
        buckets[i] = before = bucket_read(reader, before);
    *ret_buckets = buckets;
    *ret_count = count;
    return RESULT_OK;
}

static const struct field SUBSCRIBED_FIELDS[] = {
    {"stamp_seq", FIELD_INTEGER, offsetof(struct message_subscribed, stamp_seq), 0, INT64_MAX},
    {"is_whole", FIELD_BOOL, offsetof(struct message_subscribed, is_whole), 0, 1},
};
static const struct field_table SUBSCRIBED = {"SUBSCRIBED", COUNT_OF(SUBSCRIBED_FIELDS),
                                              SUBSCRIBED_FIELDS};

enum result message_subscribed_encode(const struct message_subscribed *message, struct buffer *body,
                                      struct problem *problem)
{
    struct writer writer;
    enum result result = fields_check(&SUBSCRIBED, message, problem);

    if (result == RESULT_OK)
        result = check_buckets(message->added, message->added_count, problem);
    if (result == RESULT_OK)
        result = check_buckets(message->removed, message->removed_count, problem);
    if (result == RESULT_OK && message->is_whole && message->removed_count > 0)
        result =
            problem_set(problem, RESULT_REFUSED, "SUBSCRIBED: a whole set has nothing removed");
    if (result != RESULT_OK)
        return result;
    writer_init(&writer, body);
    writer_array(&writer, SUBSCRIBED.count + 2);
    fields_write(&SUBSCRIBED, message, &writer);
    write_buckets(message->added, message->added_count, &writer);
    write_buckets(message->removed, message->removed_count, &writer);
    return finish(&writer, "SUBSCRIBED", problem);
}

enum result message_subscribed_decode(struct bytes body, struct arena *arena,
                                      struct message_subscribed *ret_message,
                                      struct problem *problem)
{
    struct reader reader = reader_over(body);
    struct message_subscribed message = {0};
    enum result result = RESULT_OK;

    (void)reader_record(&reader, SUBSCRIBED.count + 2, SUBSCRIBED.count + 2);
    fields_read(&SUBSCRIBED, &reader, &message);
    result = read_buckets(&reader, arena, &message.added, &message.added_count, problem);
    if (result == RESULT_OK)
        result = read_buckets(&reader, arena, &message.removed, &message.removed_count, problem);
    if (result != RESULT_OK)
        return result;
    if (message.is_whole && message.removed_count > 0)
        reader_fail(&reader, "a whole set has nothing removed");
    result = finish_reading(&reader, "SUBSCRIBED", problem);
    if (result == RESULT_OK)
        *ret_message = message;
    return result;
}

/* --- DIGEST ----------------------------------------------------------------------------------- */

static const struct field DIGEST_FIELDS[] = {
    {"head", FIELD_INTEGER, offsetof(struct message_digest, head), 0, INT64_MAX},
};
static const struct field_table DIGEST = {"DIGEST", COUNT_OF(DIGEST_FIELDS), DIGEST_FIELDS};

enum result message_digest_encode(const struct message_digest *message, struct buffer *body,
                                  struct problem *problem)
{
    struct writer writer;
    int64_t before = 0;
    enum result result = fields_check(&DIGEST, message, problem);

    if (result == RESULT_OK)
        result = check_count("DIGEST", message->count, LIMIT_BUCKETS_MAX, problem);
    for (size_t i = 0; i < message->count && result == RESULT_OK; i++) {
        result = check_ascending("DIGEST", before, message->digests[i].bucket, problem);
        before = message->digests[i].bucket;
    }
    if (result != RESULT_OK)
        return result;
    writer_init(&writer, body);
    writer_array(&writer, DIGEST.count + 1);
    fields_write(&DIGEST, message, &writer);
    writer_array(&writer, DIGEST_NUMBERS * message->count);
    before = 0;
    for (size_t i = 0; i < message->count; i++) {
        writer_int64(&writer, message->digests[i].bucket - before);
        writer_blob(&writer, bytes_of(message->digests[i].digest, ROW_DIGEST_SIZE));
        before = message->digests[i].bucket;
    }
    return finish(&writer, "DIGEST", problem);
}

enum result message_digest_decode(struct bytes body, struct arena *arena,
                                  struct message_digest *ret_message, struct problem *problem)
{
    struct reader reader = reader_over(body);
    struct message_digest message = {0};
    int64_t before = 0;
    enum result result = RESULT_OK;

    (void)reader_record(&reader, DIGEST.count + 1, DIGEST.count + 1);
    fields_read(&DIGEST, &reader, &message);
    message.count = read_groups(&reader, DIGEST_NUMBERS, LIMIT_BUCKETS_MAX);
    if (message.count > 0) {
        message.digests = arena_array(arena, message.count, sizeof *message.digests);
        if (message.digests == NULL)
            return arena_full(arena, problem);
    }
    for (size_t i = 0; i < message.count && !reader_failed(&reader); i++) {
        message.digests[i].bucket = before = bucket_read(&reader, before);
        reader_fixed_blob(&reader, message.digests[i].digest, ROW_DIGEST_SIZE);
    }
    result = finish_reading(&reader, "DIGEST", problem);
    if (result == RESULT_OK)
        *ret_message = message;
    return result;
}

/* --- DIGEST_DIFFERS --------------------------------------------------------------------------- */

enum { PARTS_SIZE = REPAIR_PARTS * ROW_DIGEST_SIZE };

static const struct field DIFFERS_FIELDS[] = {
    {"head", FIELD_INTEGER, offsetof(struct message_digest_differs, head), 0, INT64_MAX},
};
static const struct field_table DIFFERS = {"DIGEST_DIFFERS", COUNT_OF(DIFFERS_FIELDS),
                                           DIFFERS_FIELDS};

enum result message_digest_differs_encode(const struct message_digest_differs *message,
                                          struct buffer *body, struct problem *problem)
{
    struct writer writer;
    int64_t before = 0;
    enum result result = fields_check(&DIFFERS, message, problem);

    if (result == RESULT_OK)
        result = check_count("DIGEST_DIFFERS", message->count, LIMIT_BUCKETS_MAX, problem);
    for (size_t i = 0; i < message->count && result == RESULT_OK; i++) {
        result = check_ascending("DIGEST_DIFFERS", before, message->buckets[i].bucket, problem);
        before = message->buckets[i].bucket;
    }
    if (result != RESULT_OK)
        return result;
    writer_init(&writer, body);
    writer_array(&writer, DIFFERS.count + 1);
    fields_write(&DIFFERS, message, &writer);
    writer_array(&writer, DIGEST_NUMBERS * message->count);
    before = 0;
    for (size_t i = 0; i < message->count; i++) {
        writer_int64(&writer, message->buckets[i].bucket - before);
        writer_blob(&writer, bytes_of(message->buckets[i].parts, PARTS_SIZE));
        before = message->buckets[i].bucket;
    }
    return finish(&writer, "DIGEST_DIFFERS", problem);
}

enum result message_digest_differs_decode(struct bytes body, struct arena *arena,
                                          struct message_digest_differs *ret_message,
                                          struct problem *problem)
{
    struct reader reader = reader_over(body);
    struct message_digest_differs message = {0};
    int64_t before = 0;
    enum result result = RESULT_OK;

    (void)reader_record(&reader, DIFFERS.count + 1, DIFFERS.count + 1);
    fields_read(&DIFFERS, &reader, &message);
    message.count = read_groups(&reader, DIGEST_NUMBERS, LIMIT_BUCKETS_MAX);
    if (message.count > 0) {
        message.buckets = arena_array(arena, message.count, sizeof *message.buckets);
        if (message.buckets == NULL)
            return arena_full(arena, problem);
    }
    for (size_t i = 0; i < message.count && !reader_failed(&reader); i++) {
        struct bytes parts = {0};

        message.buckets[i].bucket = before = bucket_read(&reader, before);
        parts = reader_blob(&reader, PARTS_SIZE);
        if (parts.size != PARTS_SIZE)
            reader_fail(&reader, "digests before here aren't those of all parts");
        message.buckets[i].parts = parts.data;
    }
    result = finish_reading(&reader, "DIGEST_DIFFERS", problem);
    if (result == RESULT_OK)
        *ret_message = message;
    return result;
}

/* --- REPAIR ----------------------------------------------------------------------------------- */

static const struct field REPAIR_FIELDS[] = {
    {"bucket", FIELD_INTEGER, offsetof(struct message_repair, bucket), 1, INT64_MAX},
};
static const struct field_table REPAIR = {"REPAIR", COUNT_OF(REPAIR_FIELDS), REPAIR_FIELDS};

enum result message_repair_encode(const struct message_repair *message, struct buffer *body,
                                  struct problem *problem)
{
    struct writer writer;
    enum result result = fields_check(&REPAIR, message, problem);

    if (result == RESULT_OK && message->part_count == 0)
        result = problem_set(problem, RESULT_REFUSED, "REPAIR: no part is named");
    if (result == RESULT_OK)
        result = parts_check(message->parts, message->part_count, problem);
    if (result != RESULT_OK)
        return result;
    writer_init(&writer, body);
    writer_array(&writer, REPAIR.count + 1);
    fields_write(&REPAIR, message, &writer);
    parts_write(message->parts, message->part_count, &writer);
    return finish(&writer, "REPAIR", problem);
}

enum result message_repair_decode(struct bytes body, struct arena *arena,
                                  struct message_repair *ret_message, struct problem *problem)
{
    struct reader reader = reader_over(body);
    struct message_repair message = {0};
    enum result result = RESULT_OK;

    (void)arena;
    (void)reader_record(&reader, REPAIR.count + 1, REPAIR.count + 1);
    fields_read(&REPAIR, &reader, &message);
    message.parts = parts_read(&reader, &message.part_count);
    if (message.part_count == 0)
        reader_fail(&reader, "no part is named");
    result = finish_reading(&reader, "REPAIR", problem);
    if (result == RESULT_OK)
        *ret_message = message;
    return result;
}
