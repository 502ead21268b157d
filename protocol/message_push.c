/* SPDX-License-Identifier: Apache-2.0 */
/* PUSH, and the digest that chains seals together. */
#include "protocol/fields.h"
#include "protocol/messages.h"
#include "protocol/rows.h"

#include "base/invariant.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

#define IN(member) offsetof(struct message_push, member)
static const struct field PUSH_FIELDS[] = {
    {"incarnation", FIELD_INTEGER, IN(incarnation), 0, INT64_MAX},
    {"seal_no", FIELD_INTEGER, IN(seal_no), 1, INT64_MAX},
    {"part_no", FIELD_INTEGER, IN(part_no), 0, INT64_MAX},
    {"is_last_part", FIELD_BOOL, IN(is_last_part), 0, 1},
    {"lcn_first", FIELD_INTEGER, IN(lcn_first), 1, INT64_MAX},
    {"lcn_last", FIELD_INTEGER, IN(lcn_last), 1, INT64_MAX},
    {"schema_version", FIELD_INTEGER, IN(schema_version), 0, INT64_MAX},
    {"sealed_at", FIELD_INTEGER, IN(sealed_at.us), INT64_MIN, INT64_MAX},
    {"previous_digest", FIELD_BLOB, IN(previous_digest), SEAL_DIGEST_SIZE, SEAL_DIGEST_SIZE},
    {"digest", FIELD_BLOB, IN(digest), SEAL_DIGEST_SIZE, SEAL_DIGEST_SIZE},
};
static const struct field_table PUSH = {"PUSH", COUNT_OF(PUSH_FIELDS), PUSH_FIELDS};
#undef IN

/* NULL: fine. That the digest fits is checked with all parts at hand, by the caller. */
static const char *push_fault(const struct message_push *message)
{
    if (message->lcn_last < message->lcn_first)
        return "the seal's lcn range is empty";
    for (size_t i = 0; i < message->change_count; i++) {
        const struct change *change = &message->changes[i];
        const struct change *before = i == 0 ? NULL : &message->changes[i - 1];

        if (change->lcn < message->lcn_first || change->lcn > message->lcn_last)
            return "a change outside the seal's lcn range";
        if (before != NULL && before->table_no == change->table_no && change->lcn <= before->lcn)
            return "changes of a table are not in ascending lcn";
    }
    return NULL;
}

enum result message_push_encode(const struct catalog *catalog, const struct message_push *message,
                                struct buffer *body, struct problem *problem)
{
    struct writer writer;
    enum result result = fields_check(&PUSH, message, problem);

    if (result == RESULT_OK && push_fault(message) != NULL)
        result = problem_set(problem, RESULT_REFUSED, "PUSH: %s", push_fault(message));
    if (result != RESULT_OK)
        return result;
    writer_init(&writer, body);
    writer_array(&writer, PUSH.count + 1);
    fields_write(&PUSH, message, &writer);
    result = changes_write(catalog, message->changes, message->change_count, &writer, problem);
    if (result == RESULT_OK)
        result = writer_finish(&writer, problem);
    if (result != RESULT_OK)
        problem_add(problem, "PUSH");
    return result;
}

bool message_push_is_first_part(struct bytes body)
{
    struct reader reader = reader_over(body);
    int64_t part_no;

    (void)reader_record(&reader, PUSH.count + 1, PUSH.count + 1);
    (void)reader_int64(&reader, INT64_MIN, INT64_MAX); /* incarnation */
    (void)reader_int64(&reader, INT64_MIN, INT64_MAX); /* seal_no */
    part_no = reader_int64(&reader, INT64_MIN, INT64_MAX);
    return part_no == 0 && !reader_failed(&reader);
}

enum result message_push_decode(const struct catalog *catalog, struct bytes body,
                                struct arena *arena, struct message_push *ret_message,
                                struct problem *problem)
{
    struct reader reader = reader_over(body);
    struct message_push message = {0};
    enum result result = RESULT_OK;

    (void)reader_record(&reader, PUSH.count + 1, PUSH.count + 1);
    fields_read(&PUSH, &reader, &message);
    result =
        changes_read(catalog, &reader, arena, &message.changes, &message.change_count, problem);
    if (result == RESULT_OK && push_fault(&message) != NULL)
        reader_fail(&reader, push_fault(&message));
    if (result == RESULT_OK)
        result = reader_finish(&reader, problem);
    if (result != RESULT_OK) {
        problem_add(problem, "PUSH");
        return result;
    }
    *ret_message = message;
    return RESULT_OK;
}

enum result message_push_version(struct bytes body, int64_t *ret_version, struct problem *problem)
{
    struct reader reader = reader_over(body);
    struct message_push message = {0};

    (void)reader_record(&reader, PUSH.count + 1, PUSH.count + 1);
    fields_read(&PUSH, &reader, &message);
    if (reader_failed(&reader)) { /* what follows, whoever decodes it looks at */
        enum result result = reader_finish(&reader, problem);

        problem_add(problem, "PUSH");
        return result;
    }
    *ret_version = message.schema_version;
    return RESULT_OK;
}

/* --- digest of a seal ------------------------------------------------------------------------- */

static_assert(sizeof(crypto_generichash_state) <= sizeof((struct seal_digest_state){0}.opaque),
              "libsodium's state fits the opaque one");
static_assert(crypto_generichash_BYTES == SEAL_DIGEST_SIZE, "BLAKE2b-256");

static crypto_generichash_state *state_of(struct seal_digest_state *state)
{
    return (crypto_generichash_state *)(void *)state->opaque;
}

static void feed_waiting(struct seal_digest_state *state)
{
    (void)crypto_generichash_update(state_of(state), state->waiting, state->waiting_size);
    state->waiting_size = 0;
}

/* Numbers are small and many: they are collected, a call of the hash costs more than a few bytes.
 */
static void feed(struct seal_digest_state *state, struct bytes bytes)
{
    if (bytes.size > sizeof state->waiting - state->waiting_size)
        feed_waiting(state);
    if (bytes.size > sizeof state->waiting) {
        (void)crypto_generichash_update(state_of(state), bytes.data, bytes.size);
    } else if (bytes.size > 0) {
        memcpy(state->waiting + state->waiting_size, bytes.data, bytes.size);
        state->waiting_size += bytes.size;
    }
}

/* The lowest `size` bytes, highest first. */
static void feed_number(struct seal_digest_state *state, uint64_t number, size_t size)
{
    uint8_t bytes[8];

    invariant(size >= 1 && size <= sizeof bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(number >> (8 * (size - 1 - i)));
    feed(state, bytes_of(bytes, size));
}

/* As in the canonical form of a row: a real that is a whole number in the range of int64 counts as
 * that integer. An integer in a real column is taken as the real that it becomes on the wire. */
static void feed_value(struct seal_digest_state *state, enum value_type column_type,
                       const struct value *value)
{
    struct value canonical = *value;

    if (column_type == VALUE_REAL && canonical.type == VALUE_INTEGER)
        canonical = value_real((double)canonical.integer);
    if (canonical.type == VALUE_REAL && canonical.real >= -9223372036854775808.0 &&
        canonical.real < 9223372036854775808.0 && (double)(int64_t)canonical.real == canonical.real)
        canonical = value_integer((int64_t)canonical.real);
    feed_number(state, canonical.type, 1);
    switch (canonical.type) {
    case VALUE_NULL:
        break;
    case VALUE_INTEGER:
        feed_number(state, (uint64_t)canonical.integer, 8);
        break;
    case VALUE_REAL: {
        uint64_t bits = 0;

        memcpy(&bits, &canonical.real, sizeof bits);
        feed_number(state, bits, 8);
        break;
    }
    case VALUE_TEXT:
    case VALUE_BLOB:
        feed_number(state, canonical.bytes.size, 4);
        feed(state, canonical.bytes);
        break;
    }
}

void seal_digest_begin(struct seal_digest_state *state, const struct message_push *first_part)
{
    invariant(first_part->previous_digest.size == SEAL_DIGEST_SIZE);
    (void)crypto_generichash_init(state_of(state), NULL, 0, SEAL_DIGEST_SIZE);
    state->waiting_size = 0;
    feed(state, bytes_of_text("fieldsync seal v1"));
    feed(state, first_part->previous_digest);
    feed_number(state, (uint64_t)first_part->incarnation, 8);
    feed_number(state, (uint64_t)first_part->seal_no, 8);
    feed_number(state, (uint64_t)first_part->lcn_first, 8);
    feed_number(state, (uint64_t)first_part->lcn_last, 8);
    feed_number(state, (uint64_t)first_part->schema_version, 8);
    feed_number(state, (uint64_t)first_part->sealed_at.us, 8);
}

enum result seal_digest_add(struct seal_digest_state *state, const struct catalog *catalog,
                            const struct message_push *part, struct problem *problem)
{
    for (size_t i = 0; i < part->change_count; i++) {
        const struct change *change = &part->changes[i];
        const struct catalog_table *table = catalog_table_by_no(catalog, change->table_no);

        if (table == NULL || (change->mask & ~table->columns_mask) != 0)
            return problem_set(problem, RESULT_REFUSED,
                               "seal %" PRId64 ": change %" PRId64 " of table %u, mask %" PRIx64
                               " is not in this side's catalog",
                               part->seal_no, change->lcn, change->table_no, change->mask);
        feed_number(state, change->table_no, 2);
        feed_number(state, (uint64_t)change->row_id, 8);
        feed_number(state, (uint64_t)change->lcn, 8);
        feed_number(state, (uint64_t)change->base_seq, 8);
        feed_number(state, (uint64_t)change->edited_at.us, 8);
        feed_number(state, (uint64_t)change->op, 1);
        feed_number(state, change->mask, 8);
        for (size_t column = 1; column < table->column_count; column++)
            if ((change->mask >> column & 1) != 0)
                feed_value(state, table->columns[column].type, &change->values[column]);
    }
    return RESULT_OK;
}

void seal_digest_end(struct seal_digest_state *state, uint8_t ret_digest[SEAL_DIGEST_SIZE])
{
    feed_waiting(state);
    (void)crypto_generichash_final(state_of(state), ret_digest, SEAL_DIGEST_SIZE);
}
