/* SPDX-License-Identifier: Apache-2.0 */
/* long because it makes up values for every message there is */
#include "protocol/messages.h"

#include "base/prng.h"
#include "protocol/limits.h"
#include "protocol/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/protocol/example_catalog.h"
#include "tests/unit/protocol/message_kit.h"

static const struct catalog CATALOG = {
    .schema_version = 3, .table_count = 3, .tables = EXAMPLE_TABLES};

enum { ARENA_SIZE_MAX = 64 * 1024 * 1024, RANDOM_ROUNDS = 300 };

/* --- random messages -------------------------------------------------------------------------- */

struct dice {
    struct prng prng;
    struct arena arena;
};

static size_t below(struct dice *dice, size_t bound)
{
    return (size_t)prng_below(&dice->prng, bound);
}

static bool flip(struct dice *dice)
{
    return below(dice, 2) == 1;
}

/* Mostly numbers next to where encodings change their size. */
static int64_t number(struct dice *dice, int64_t min, int64_t max)
{
    static const int64_t EDGES[] = {
        0,         1,     2,          127,        128,        255,    256,
        65535,     65536, 4294967295, 4294967296, ID_MAX - 1, ID_MAX, INT64_MAX - 1,
        INT64_MAX, -1,    -32,        -33,        -128,       -129,   INT64_MIN};
    int64_t value = EDGES[below(dice, sizeof EDGES / sizeof EDGES[0])];

    if (below(dice, 3) == 0)
        value = (int64_t)(prng_next(&dice->prng) >> below(dice, 63));
    return value < min ? min : value > max ? max : value;
}

static void *memory(struct dice *dice, size_t count, size_t size)
{
    void *result = arena_array(&dice->arena, count == 0 ? 1 : count, size);

    assert_non_null(result);
    return result;
}

static struct bytes blob(struct dice *dice, size_t size)
{
    uint8_t *data = memory(dice, size, 1);

    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)below(dice, 256);
    return bytes_of(data, size);
}

static struct bytes text(struct dice *dice, size_t size_max)
{
    static const char *const PIECES[] = {
        "a", "Z", " ", "\"", "\n", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x94\xa7"};
    size_t wanted = below(dice, size_max + 1);
    uint8_t *data = memory(dice, size_max, 1);
    size_t size = 0;

    for (;;) {
        const char *piece = PIECES[below(dice, 8)];

        if (size + strlen(piece) > wanted)
            return bytes_of(data, size);
        memcpy(data + size, piece, strlen(piece));
        size += strlen(piece);
    }
}

static struct value *values(struct dice *dice, uint16_t table_no, uint64_t mask)
{
    static const double REALS[] = {0.0,   -0.0,     1.0, -7.0, 0.5, 48.2081743, 9007199254740993.0,
                                   1e300, -2.5e-300};
    const struct catalog_table *table = &EXAMPLE_TABLES[table_no];
    struct value *result = memory(dice, table->column_count, sizeof *result);

    for (size_t i = 1; i < table->column_count; i++) {
        const struct catalog_column *column = &table->columns[i];

        if ((mask >> i & 1) == 0 || (column->nullable && below(dice, 4) == 0))
            continue;
        if (column->type == VALUE_INTEGER)
            result[i] = value_integer(number(dice, INT64_MIN, INT64_MAX));
        else if (column->type == VALUE_REAL)
            result[i] = value_real(REALS[below(dice, sizeof REALS / sizeof REALS[0])]);
        else if (column->type == VALUE_TEXT)
            result[i] = value_text(text(dice, 300));
        else
            result[i] = value_blob(blob(dice, below(dice, 300)));
    }
    return result;
}

static uint64_t mask(struct dice *dice)
{
    return flip(dice) ? 0xe : 2 * below(dice, 8);
}

static struct row_image row(struct dice *dice, uint16_t table_no, uint64_t columns)
{
    return (struct row_image){.table_no = table_no,
                              .row_id = number(dice, 1, ID_MAX),
                              .seq = number(dice, 0, INT64_MAX),
                              .mask = columns,
                              .values = values(dice, table_no, columns)};
}

/* Some lists are long and uniform, so that they go columnar. */
static void random_rows(struct dice *dice, struct message_rows *m)
{
    bool is_uniform = flip(dice);
    uint64_t columns = mask(dice);

    *m = (struct message_rows){
        .bucket = number(dice, 1, INT64_MAX),
        .seq_after = number(dice, 0, 1000),
        .seq_to = number(dice, 1000, INT64_MAX),
        .is_complete = flip(dice),
        .is_repair = below(dice, 4) == 0,
        .page_table_no = number(dice, 0, UINT16_MAX),
        .page_seq = number(dice, 0, INT64_MAX),
        .row_count = below(dice, is_uniform ? 200 : 20),
    };
    m->rows = memory(dice, m->row_count, sizeof *m->rows);
    for (size_t i = 0; i < m->row_count; i++)
        m->rows[i] = row(dice, i * 2 < m->row_count ? 1 : 2, is_uniform ? columns : mask(dice));
    if (m->is_repair) {
        uint8_t *parts = memory(dice, REPAIR_PARTS, 1);

        for (size_t i = 0; i < REPAIR_PARTS; i++)
            parts[i] = (uint8_t)i;
        m->part_count = REPAIR_PARTS;
        m->parts = parts;
    }
}

static void random_snapshot(struct dice *dice, struct message_snapshot *m)
{
    int64_t bucket = 0;

    m->part_count = 1 + below(dice, 6);
    m->parts = memory(dice, m->part_count, sizeof *m->parts);
    for (size_t i = 0; i < m->part_count; i++) {
        struct message_rows *part = &m->parts[i];

        random_rows(dice, part);
        bucket += number(dice, 1, INT64_MAX / 8);
        part->bucket = bucket;
        part->seq_after = 0;
        part->is_repair = false;
        part->part_count = 0;
    }
}

static void random_push(struct dice *dice, struct message_push *m)
{
    bool is_uniform = flip(dice);
    uint64_t columns = mask(dice);

    *m = (struct message_push){
        .incarnation = number(dice, 0, INT64_MAX),
        .seal_no = number(dice, 1, INT64_MAX),
        .part_no = number(dice, 0, INT64_MAX),
        .is_last_part = flip(dice),
        .lcn_first = number(dice, 1, 1000),
        .lcn_last = number(dice, 1000000, INT64_MAX),
        .schema_version = number(dice, 0, INT64_MAX),
        .sealed_at = {number(dice, INT64_MIN, INT64_MAX)},
        .previous_digest = blob(dice, SEAL_DIGEST_SIZE),
        .digest = blob(dice, SEAL_DIGEST_SIZE),
        .change_count = below(dice, is_uniform ? 200 : 20),
    };
    m->changes = memory(dice, m->change_count, sizeof *m->changes);
    for (size_t i = 0; i < m->change_count; i++) {
        struct change *change = &m->changes[i];

        change->lcn = m->lcn_first + (int64_t)i * 3;
        change->table_no = i * 2 < m->change_count ? 1 : 2;
        change->op = is_uniform ? CHANGE_UPDATE : (enum change_op)(1 + below(dice, 3));
        change->row_id = number(dice, 1, ID_MAX);
        change->mask = change->op == CHANGE_DELETE ? 0 : is_uniform ? columns : mask(dice);
        change->base_seq = number(dice, 0, INT64_MAX);
        change->edited_at.us = number(dice, INT64_MIN, INT64_MAX);
        change->values = values(dice, change->table_no, change->mask);
    }
}

static void random_verdict(struct dice *dice, struct message_verdict *m)
{
    *m = (struct message_verdict){.seal_no = number(dice, 0, INT64_MAX),
                                  .lcn_high = number(dice, 10, INT64_MAX),
                                  .commit_seq = number(dice, 0, INT64_MAX),
                                  .exception_count = below(dice, 8),
                                  .part_no = (int64_t)below(dice, 3),
                                  .has_more = flip(dice)};
    m->exceptions = memory(dice, m->exception_count, sizeof *m->exceptions);
    for (size_t i = 0; i < m->exception_count; i++) {
        struct verdict *verdict = &m->exceptions[i];

        verdict->lcn = number(dice, 1, m->lcn_high);
        verdict->kind = (enum verdict_kind)below(dice, 6);
        verdict->reason = text(dice, 20);
        verdict->table_no = (uint16_t)(1 + below(dice, 2));
        verdict->row_id = number(dice, 1, ID_MAX);
        verdict->merged_into_id = number(dice, 0, ID_MAX);
        verdict->has_row = flip(dice);
        verdict->is_row_gone = !verdict->has_row && flip(dice);
        if (verdict->has_row)
            verdict->row = row(dice, verdict->table_no, mask(dice));
    }
}

static int64_t *buckets(struct dice *dice, size_t count)
{
    int64_t *result = memory(dice, count, sizeof *result);
    int64_t before = 0;

    for (size_t i = 0; i < count; i++)
        result[i] = before += number(dice, 1, INT64_C(1) << 56);
    return result;
}

static void random_bucket_message(struct dice *dice, enum message_kind kind, union any_message *any)
{
    size_t count = below(dice, 5);
    int64_t *numbers = buckets(dice, count);

    if (kind == KIND_SUBSCRIBED) {
        any->subscribed = (struct message_subscribed){.stamp_seq = number(dice, 0, INT64_MAX),
                                                      .is_whole = flip(dice),
                                                      .added_count = count,
                                                      .added = numbers};
        any->subscribed.removed_count = any->subscribed.is_whole ? 0 : below(dice, 5);
        any->subscribed.removed = buckets(dice, any->subscribed.removed_count);
    } else if (kind == KIND_DIGEST) {
        any->digest = (struct message_digest){.head = number(dice, 0, INT64_MAX), .count = count};
        any->digest.digests = memory(dice, count, sizeof *any->digest.digests);
        for (size_t i = 0; i < count; i++) {
            any->digest.digests[i].bucket = numbers[i];
            memcpy(any->digest.digests[i].digest, blob(dice, ROW_DIGEST_SIZE).data,
                   ROW_DIGEST_SIZE);
        }
    } else {
        any->differs =
            (struct message_digest_differs){.head = number(dice, 0, INT64_MAX), .count = count};
        any->differs.buckets = memory(dice, count, sizeof *any->differs.buckets);
        for (size_t i = 0; i < count; i++) {
            any->differs.buckets[i].bucket = numbers[i];
            any->differs.buckets[i].parts = blob(dice, (size_t)REPAIR_PARTS * ROW_DIGEST_SIZE).data;
        }
    }
}

static void random_resume(struct dice *dice, struct message_resume *m)
{
    int64_t *numbers = NULL;

    *m = (struct message_resume){
        .resume_token = blob(dice, flip(dice) ? TOKEN_SIZE : 0),
        .epoch = blob(dice, flip(dice) ? EPOCH_SIZE : 0),
        .incarnation = number(dice, 0, INT64_MAX),
        .published_seq = number(dice, 0, INT64_MAX),
        .lcn_last = number(dice, 0, INT64_MAX),
        .schema_version = number(dice, 0, INT64_MAX),
        .device_time = {number(dice, INT64_MIN, INT64_MAX)},
        .app_version = text(dice, LIMIT_NAME_SIZE_MAX),
        .seal_no = number(dice, 0, INT64_MAX),
        .seal_digest = blob(dice, flip(dice) ? SEAL_DIGEST_SIZE : 0),
        .cursor_count = below(dice, 5),
        .subscribed_digest_size = flip(dice) ? 8 : 0,
    };
    numbers = buckets(dice, m->cursor_count);
    m->cursors = memory(dice, m->cursor_count, sizeof *m->cursors);
    for (size_t i = 0; i < m->cursor_count; i++)
        m->cursors[i] = (struct bucket_cursor){
            numbers[i], number(dice, 0, INT64_MAX), number(dice, 0, UINT16_MAX),
            number(dice, 0, INT64_MAX), number(dice, 0, INT64_MAX)};
    if (m->subscribed_digest_size > 0)
        memcpy(m->subscribed_digest, blob(dice, 8).data, 8);
}

static void random_greeting(struct dice *dice, enum message_kind kind, union any_message *any)
{
    if (kind == KIND_ENROL)
        any->enrol = (struct message_enrol){
            .sign_public_key = blob(dice, PUBLIC_KEY_SIZE),
            .device_name = text(dice, LIMIT_NAME_SIZE_MAX),
            .app_version = text(dice, LIMIT_NAME_SIZE_MAX),
            .schema_version = number(dice, 0, INT64_MAX),
            .device_time = {number(dice, INT64_MIN, INT64_MAX)},
            .first_no = number(dice, 0, ID_REPLICA_MAX),
        };
    else if (kind == KIND_WELCOME)
        any->welcome = (struct message_welcome){
            .session_id = blob(dice, SESSION_ID_SIZE),
            .epoch = blob(dice, EPOCH_SIZE),
            .replica_no = number(dice, 1, ID_REPLICA_MAX),
            .incarnation = number(dice, 0, INT64_MAX),
            .lcn_high = number(dice, 0, INT64_MAX),
            .seal_high = number(dice, 0, INT64_MAX),
            .backup_lcn = number(dice, 0, INT64_MAX),
            .head = number(dice, 0, INT64_MAX),
            .schema_version = number(dice, 0, INT64_MAX),
            .user_id = number(dice, 1, ID_MAX),
            .user_login = text(dice, LIMIT_NAME_SIZE_MAX),
            .resume_token = blob(dice, TOKEN_SIZE),
            .digest_key = blob(dice, DIGEST_KEY_SIZE),
            .server_time = {number(dice, INT64_MIN, INT64_MAX)},
        };
    else if (kind == KIND_RENEW)
        any->renew = (struct message_renew){.token_id = blob(dice, RENEW_TOKEN_ID_SIZE),
                                            .token_secret = blob(dice, PSK_SIZE),
                                            .reason = text(dice, LIMIT_REASON_SIZE_MAX)};
    else
        any->enrolled = (struct message_enrolled){
            .replica_no = number(dice, 1, ID_REPLICA_MAX),
            .device_id = number(dice, 1, ID_MAX),
            .incarnation = number(dice, 0, INT64_MAX),
            .user_id = number(dice, 1, ID_MAX),
            .user_login = text(dice, LIMIT_NAME_SIZE_MAX),
            .user_name = text(dice, LIMIT_NAME_SIZE_MAX),
            .series = text(dice, 8),
            .van_id = number(dice, 0, ID_MAX),
            .psk = blob(dice, PSK_SIZE),
            .resume_token = blob(dice, TOKEN_SIZE),
            .epoch = blob(dice, EPOCH_SIZE),
            .digest_key = blob(dice, DIGEST_KEY_SIZE),
            .schema_version = number(dice, 0, INT64_MAX),
        };
}

static void random_gone(struct dice *dice, struct message_gone *m)
{
    *m = (struct message_gone){.bucket = number(dice, 1, INT64_MAX),
                               .seq_after = number(dice, 0, 100),
                               .seq_to = number(dice, 100, INT64_MAX),
                               .count = below(dice, 100)};
    m->rows = memory(dice, m->count, sizeof *m->rows);
    for (size_t i = 0; i < m->count; i++)
        m->rows[i] =
            (struct gone){.kind = m->count > 50 ? GONE_LEFT : (enum gone_kind)(1 + below(dice, 2)),
                          .table_no = (uint16_t)(m->count > 50 ? 2 : 1 + below(dice, 2)),
                          .row_id = number(dice, 1, ID_MAX),
                          .seq = number(dice, 0, INT64_MAX)};
}

static void random_schema(struct dice *dice, struct message_schema *m)
{
    *m = (struct message_schema){.schema_version = number(dice, 0, INT64_MAX),
                                 .is_last = flip(dice),
                                 .script_count = below(dice, 5)};
    m->scripts = memory(dice, m->script_count + 1, sizeof *m->scripts);
    for (size_t i = 0; i < m->script_count; i++)
        m->scripts[i] = (struct schema_script){text(dice, 60), text(dice, 300)};
}

static void random_ids(struct dice *dice, struct message_ids *m)
{
    *m = (struct message_ids){.bucket = number(dice, 1, INT64_MAX),
                              .seq_to = number(dice, 0, INT64_MAX),
                              .table_no = number(dice, 1, 2),
                              .id_after = number(dice, 0, ID_MAX / 2),
                              .count = below(dice, 100)};
    m->ids = memory(dice, m->count, sizeof *m->ids);
    m->id_to = m->id_after;
    for (size_t i = 0; i < m->count; i++)
        m->ids[i] = m->id_to += number(dice, 1, INT64_C(1) << 40);
    m->id_to += number(dice, 0, 1000);
}

static void random_small(struct dice *dice, enum message_kind kind, union any_message *any)
{
    uint8_t *parts = memory(dice, 3, 1);

    if (kind == KIND_PUBLISH) {
        any->publish.head = number(dice, 0, INT64_MAX);
    } else if (kind == KIND_PUBLISHED) {
        any->published.seq = number(dice, 0, INT64_MAX);
    } else if (kind == KIND_PING) {
        any->ping.nonce = number(dice, INT64_MIN, INT64_MAX);
    } else if (kind == KIND_TEXT) {
        any->text =
            (struct message_text){.wipe = flip(dice),
                                  .retry_after_ms = number(dice, 0, LIMIT_RETRY_AFTER_MS_MAX),
                                  .code = text(dice, LIMIT_NAME_SIZE_MAX),
                                  .text = text(dice, LIMIT_REASON_SIZE_MAX)};
    } else if (kind == KIND_REPAIR) {
        parts[0] = (uint8_t)below(dice, 10);
        parts[1] = (uint8_t)(11 + below(dice, 10));
        parts[2] = 255;
        any->repair =
            (struct message_repair){number(dice, 1, INT64_MAX), 1 + below(dice, 3), parts};
    } else {
        any->blob = (struct message_blob){.hash = blob(dice, BLOB_HASH_SIZE),
                                          .offset = number(dice, 0, INT64_C(1) << 40),
                                          .size = INT64_MAX,
                                          .data = blob(dice, below(dice, 2000))};
    }
}

static void random_security(struct dice *dice, enum message_kind kind, union any_message *any)
{
    if (kind == KIND_POLICY)
        any->policy = (struct message_policy){.lease_s = number(dice, 0, 100 * 86400),
                                              .is_rotation_asked = flip(dice)};
    else if (kind == KIND_NEW_KEY)
        any->new_key.public_key = blob(dice, PUBLIC_KEY_SIZE);
    else if (kind == KIND_NEW_PSK)
        any->new_psk = (struct message_new_psk){.public_key = blob(dice, PUBLIC_KEY_SIZE),
                                                .psk = blob(dice, PSK_SIZE)};
    else
        any->deposited = (struct message_deposited){.seal_no = number(dice, 1, INT64_MAX),
                                                    .digest = blob(dice, SEAL_DIGEST_SIZE)};
}

static void random_message(struct dice *dice, enum message_kind kind, union any_message *any)
{
    memset(any, 0, sizeof *any);
    switch (kind) {
    case KIND_RESUME:
        random_resume(dice, &any->resume);
        break;
    case KIND_ENROL:
    case KIND_WELCOME:
    case KIND_ENROLLED:
    case KIND_RENEW:
        random_greeting(dice, kind, any);
        break;
    case KIND_SUBSCRIBED:
    case KIND_DIGEST:
    case KIND_DIFFERS:
        random_bucket_message(dice, kind, any);
        break;
    case KIND_ROWS:
        random_rows(dice, &any->rows);
        break;
    case KIND_SNAPSHOT:
        random_snapshot(dice, &any->snapshot);
        break;
    case KIND_GONE:
        random_gone(dice, &any->gone);
        break;
    case KIND_IDS:
        random_ids(dice, &any->ids);
        break;
    case KIND_PUSH:
        random_push(dice, &any->push);
        break;
    case KIND_VERDICT:
        random_verdict(dice, &any->verdict);
        break;
    case KIND_SCHEMA:
        random_schema(dice, &any->schema);
        break;
    case KIND_PUBLISH:
    case KIND_PUBLISHED:
    case KIND_REPAIR:
    case KIND_BLOB:
    case KIND_PING:
    case KIND_TEXT:
    case KIND_COUNT:
        random_small(dice, kind, any);
        break;
    case KIND_POLICY:
    case KIND_NEW_KEY:
    case KIND_NEW_PSK:
    case KIND_DEPOSITED:
        random_security(dice, kind, any);
        break;
    }
}

static void dice_begin(struct dice *dice, uint64_t seed)
{
    prng_init(&dice->prng, seed);
    arena_init(&dice->arena, ARENA_SIZE_MAX);
}

/* A copy in memory of exactly its size, so that a read past the end is seen. */
static uint8_t *exact_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);

    assert_non_null(copy);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

/* --- tests ------------------------------------------------------------------------------------ */

static void every_message_decodes_to_what_was_encoded(void **state)
{
    struct dice dice;
    struct arena arena;
    struct buffer body;
    struct buffer said[2];
    struct problem problem = {0};

    (void)state;
    dice_begin(&dice, 1);
    arena_init(&arena, ARENA_SIZE_MAX);
    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    buffer_init(&said[0], 64 << 20);
    buffer_init(&said[1], 64 << 20);
    for (int round = 0; round < RANDOM_ROUNDS * KIND_COUNT; round++) {
        enum message_kind kind = (enum message_kind)(round % KIND_COUNT);
        union any_message sent;
        union any_message received;

        random_message(&dice, kind, &sent);
        if (kit_encode(kind, &CATALOG, &sent, &body, &problem) != RESULT_OK)
            fail_msg("round %d: %s", round, problem.text);
        if (kit_decode(kind, &CATALOG, buffer_bytes(&body), &arena, &received, &problem) !=
            RESULT_OK)
            fail_msg("round %d: %s", round, problem.text);
        kit_say(kind, &CATALOG, &sent, &said[0]);
        kit_say(kind, &CATALOG, &received, &said[1]);
        assert_true(bytes_equal(buffer_bytes(&said[0]), buffer_bytes(&said[1])));
        buffer_reset(&body);
        buffer_reset(&said[0]);
        buffer_reset(&said[1]);
        arena_reset(&arena);
        arena_reset(&dice.arena);
    }
    buffer_done(&body);
    buffer_done(&said[0]);
    buffer_done(&said[1]);
    arena_done(&arena);
    arena_done(&dice.arena);
}

static void every_message_cut_at_any_byte_is_malformed(void **state)
{
    struct dice dice;
    struct arena arena;
    struct buffer body;
    struct problem problem = {0};

    (void)state;
    dice_begin(&dice, 2);
    arena_init(&arena, ARENA_SIZE_MAX);
    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    for (int round = 0; round < 4 * KIND_COUNT; round++) {
        enum message_kind kind = (enum message_kind)(round % KIND_COUNT);
        union any_message any;

        random_message(&dice, kind, &any);
        assert_int_equal(kit_encode(kind, &CATALOG, &any, &body, &problem), RESULT_OK);
        for (size_t size = 0; size < body.size; size += 1 + size / 500) {
            uint8_t *cut = exact_copy(body.data, size);

            assert_int_equal(
                kit_decode(kind, &CATALOG, bytes_of(cut, size), &arena, &any, &problem),
                RESULT_MALFORMED);
            free(cut);
            arena_reset(&arena);
        }
        buffer_reset(&body);
        arena_reset(&dice.arena);
    }
    buffer_done(&body);
    arena_done(&arena);
    arena_done(&dice.arena);
}

/* Any outcome is right that comes back with a result; what is accepted must encode again. */
static void every_message_with_a_changed_byte_is_refused_or_still_a_message(void **state)
{
    struct dice dice;
    struct arena arena;
    struct buffer body;
    struct buffer again;
    struct problem problem = {0};
    int accepted = 0;
    int refused = 0;

    (void)state;
    dice_begin(&dice, 3);
    arena_init(&arena, ARENA_SIZE_MAX);
    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    buffer_init(&again, 2 * LIMIT_BODY_SIZE_MAX);
    for (int round = 0; round < 100 * KIND_COUNT; round++) {
        enum message_kind kind = (enum message_kind)(round % KIND_COUNT);
        union any_message any;
        uint8_t *bad = NULL;

        random_message(&dice, kind, &any);
        assert_int_equal(kit_encode(kind, &CATALOG, &any, &body, &problem), RESULT_OK);
        bad = exact_copy(body.data, body.size);
        bad[below(&dice, below(&dice, 2) == 0 ? body.size : 1 + body.size / 20)] ^=
            (uint8_t)(1 + below(&dice, 255));
        if (kit_decode(kind, &CATALOG, bytes_of(bad, body.size), &arena, &any, &problem) ==
            RESULT_OK) {
            accepted++;
            if (kit_encode(kind, &CATALOG, &any, &again, &problem) != RESULT_OK)
                fail_msg("round %d: decoded but not encoded: %s", round, problem.text);
        } else {
            refused++;
        }
        free(bad);
        buffer_reset(&again);
        buffer_reset(&body);
        arena_reset(&arena);
        arena_reset(&dice.arena);
    }
    assert_true(accepted > 100 && refused > 100);
    buffer_done(&again);
    buffer_done(&body);
    arena_done(&arena);
    arena_done(&dice.arena);
}

static void bytes_behind_a_message_are_malformed(void **state)
{
    struct dice dice;
    struct arena arena;
    struct buffer body;
    struct problem problem = {0};

    (void)state;
    dice_begin(&dice, 4);
    arena_init(&arena, ARENA_SIZE_MAX);
    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        union any_message any;

        random_message(&dice, (enum message_kind)kind, &any);
        assert_int_equal(kit_encode((enum message_kind)kind, &CATALOG, &any, &body, &problem),
                         RESULT_OK);
        assert_int_equal(buffer_append(&body, "", 1, &problem), RESULT_OK);
        assert_int_equal(kit_decode((enum message_kind)kind, &CATALOG, buffer_bytes(&body), &arena,
                                    &any, &problem),
                         RESULT_MALFORMED);
        buffer_reset(&body);
        arena_reset(&arena);
    }
    buffer_done(&body);
    arena_done(&arena);
    arena_done(&dice.arena);
}

static void a_full_body_or_arena_is_exhausted_and_nothing_else(void **state)
{
    struct dice dice;
    struct problem problem = {0};

    (void)state;
    dice_begin(&dice, 5);
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        union any_message any;
        struct buffer body;

        random_message(&dice, (enum message_kind)kind, &any);
        buffer_init(&body, LIMIT_BODY_SIZE_MAX);
        assert_int_equal(kit_encode((enum message_kind)kind, &CATALOG, &any, &body, &problem),
                         RESULT_OK);
        for (size_t size = 0; size < body.size; size += 1 + body.size / 40) {
            struct buffer small;

            buffer_init(&small, size);
            assert_int_equal(kit_encode((enum message_kind)kind, &CATALOG, &any, &small, &problem),
                             RESULT_EXHAUSTED);
            buffer_done(&small);
        }
        for (size_t size = 0; size < 4096; size += 64) {
            struct arena small;
            enum result result = RESULT_OK;

            arena_init(&small, size);
            result = kit_decode((enum message_kind)kind, &CATALOG, buffer_bytes(&body), &small,
                                &any, &problem);
            assert_true(result == RESULT_OK || result == RESULT_EXHAUSTED);
            arena_done(&small);
        }
        buffer_done(&body);
    }
    arena_done(&dice.arena);
}

static void values_out_of_range_are_not_encoded(void **state)
{
    struct buffer body;
    struct problem problem = {0};
    uint8_t parts[2] = {7, 7};
    int64_t falling[2] = {9, 8};

    (void)state;
    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    assert_int_equal(message_publish_encode(&(struct message_publish){-1}, &body, &problem),
                     RESULT_REFUSED);
    assert_string_equal(problem.text, "PUBLISH: head is -1, allowed 0 to 9223372036854775807");
    assert_int_equal(message_repair_encode(&(struct message_repair){1, 2, parts}, &body, &problem),
                     RESULT_REFUSED);
    assert_int_equal(message_repair_encode(&(struct message_repair){1, 0, parts}, &body, &problem),
                     RESULT_REFUSED);
    assert_int_equal(
        message_subscribed_encode(&(struct message_subscribed){.added_count = 2, .added = falling},
                                  &body, &problem),
        RESULT_REFUSED);
    assert_int_equal(
        message_welcome_encode(&(struct message_welcome){.replica_no = 1}, &body, &problem),
        RESULT_REFUSED);
    assert_int_equal(body.size, 0);
    buffer_done(&body);
}

static void expect_malformed(enum message_kind kind, const char *hex)
{
    uint8_t bytes[256];
    struct arena arena;
    union any_message any;
    struct problem problem = {0};
    size_t size = strlen(hex) / 2;

    arena_init(&arena, 1 << 20);
    assert_true(bytes_from_hex(hex, bytes, size));
    assert_int_equal(kit_decode(kind, &CATALOG, bytes_of(bytes, size), &arena, &any, &problem),
                     RESULT_MALFORMED);
    assert_true(arena.size < 4096); /* a lie about counts takes no memory */
    arena_done(&arena);
}

static void lies_about_counts_types_and_order_are_malformed(void **state)
{
    uint8_t good[13];
    struct arena arena;
    struct message_gone gone = {0};
    struct problem problem = {0};

    (void)state;
    arena_init(&arena, 1 << 20);
    assert_true(bytes_from_hex("94010000920196010001010101", good, sizeof good));
    assert_int_equal(
        message_gone_decode(&CATALOG, bytes_of(good, sizeof good), &arena, &gone, &problem),
        RESULT_OK); /* the true twin of the lies below */
    arena_done(&arena);
    expect_malformed(KIND_PUBLISH, "91ff");                  /* head -1 */
    expect_malformed(KIND_PUBLISH, "91cfffffffffffffffff");  /* past int64 */
    expect_malformed(KIND_PUBLISH, "91cb3ff0000000000000");  /* a float */
    expect_malformed(KIND_PUBLISH, "920101");                /* a field too many */
    expect_malformed(KIND_PUBLISH, "810101");                /* a map */
    expect_malformed(KIND_SUBSCRIBED, "9401c3ddffffffff90"); /* 2^32-1 buckets */
    expect_malformed(KIND_SUBSCRIBED, "9401c3920100"
                                      "90");           /* the same bucket twice */
    expect_malformed(KIND_SUBSCRIBED, "9401c3900101"); /* no array */
    expect_malformed(KIND_SUBSCRIBED, "9401c3909101"); /* removed from a whole set */
    expect_malformed(KIND_SUBSCRIBED, "9401c292cf7fffffffffffffff0190"); /* past the last bucket */
    expect_malformed(KIND_REPAIR, "9201c4020707");                       /* a part twice */
    expect_malformed(KIND_REPAIR, "9201c400");                           /* no part */
    expect_malformed(KIND_GONE, "9401000091cdffff");           /* 65,535 gone rows, none there */
    expect_malformed(KIND_GONE, "94010000920296010002010101"); /* fewer values than it says */
    expect_malformed(KIND_GONE, "9401000092019601000101"
                                "0103");                              /* kind 3 */
    expect_malformed(KIND_GONE, "94010000920196010001000001");        /* id 0 */
    expect_malformed(KIND_GONE, "94010500920096");                    /* a block in an empty list */
    expect_malformed(KIND_IDS, "9601000105046101");                   /* id_to before id_after */
    expect_malformed(KIND_IDS, "960100010009920900");                 /* the same id twice */
    expect_malformed(KIND_IDS, "96010001000992090a");                 /* past id_to */
    expect_malformed(KIND_IDS, "9601000100cf001fffffffffffffdcffff"); /* 65,535 ids, none there */
    expect_malformed(KIND_SCHEMA, "931ec391a161");                    /* a name without a text */
    expect_malformed(KIND_SCHEMA, "931ec3929261a162");                /* a name that is a list */
    expect_malformed(KIND_GONE, "940105009100");                      /* seq_to before seq_after */
}

static void a_seal_digest_changes_with_each_of_its_parts(void **state)
{
    struct dice dice;
    struct message_push push;
    struct problem problem = {0};
    uint8_t digests[9][SEAL_DIGEST_SIZE];

    (void)state;
    dice_begin(&dice, 6);
    do
        random_push(&dice, &push);
    while (push.change_count < 3 || push.changes[0].op == CHANGE_DELETE ||
           push.changes[0].mask != 0xe || push.lcn_last == INT64_MAX || push.seal_no == INT64_MAX);
    for (size_t i = 0; i < 9; i++) {
        struct message_push other = push;
        struct seal_digest_state seal;

        push.changes[0].values[1] = value_text_of(i == 7 ? "b" : "a");
        push.changes[1].edited_at.us = i == 6 ? 1 : 2;
        other.seal_no += i == 1;
        other.lcn_last += i == 2;
        other.sealed_at.us = i == 3 ? 1 : 2;
        other.change_count -= i == 4;
        other.schema_version = i == 5 ? 1 : 2;
        other.incarnation = i == 8 ? 1 : 2;
        seal_digest_begin(&seal, &other);
        assert_int_equal(seal_digest_add(&seal, &CATALOG, &other, &problem), RESULT_OK);
        seal_digest_end(&seal, digests[i]);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(digests[i], digests[j], SEAL_DIGEST_SIZE);
    }
    arena_done(&dice.arena);
}

static void a_seal_digest_is_the_same_in_one_part_or_two_and_after_the_wire(void **state)
{
    struct dice dice;
    struct message_push push;
    struct message_push part;
    struct message_push received;
    struct seal_digest_state seal;
    struct buffer body;
    struct problem problem = {0};
    uint8_t digests[3][SEAL_DIGEST_SIZE];

    (void)state;
    dice_begin(&dice, 7);
    do
        random_push(&dice, &push);
    while (push.change_count < 40 || push.changes[0].mask != 0xe);
    push.changes[0].values[3] = value_integer((INT64_C(1) << 53) + 1); /* real on the other side */
    seal_digest_begin(&seal, &push);
    assert_int_equal(seal_digest_add(&seal, &CATALOG, &push, &problem), RESULT_OK);
    seal_digest_end(&seal, digests[0]);

    part = push;
    seal_digest_begin(&seal, &push);
    part.change_count = 20;
    assert_int_equal(seal_digest_add(&seal, &CATALOG, &part, &problem), RESULT_OK);
    part.changes += 20;
    part.change_count = push.change_count - 20;
    assert_int_equal(seal_digest_add(&seal, &CATALOG, &part, &problem), RESULT_OK);
    seal_digest_end(&seal, digests[1]);

    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    assert_int_equal(message_push_encode(&CATALOG, &push, &body, &problem), RESULT_OK);
    assert_int_equal(
        message_push_decode(&CATALOG, buffer_bytes(&body), &dice.arena, &received, &problem),
        RESULT_OK);
    seal_digest_begin(&seal, &received);
    assert_int_equal(seal_digest_add(&seal, &CATALOG, &received, &problem), RESULT_OK);
    seal_digest_end(&seal, digests[2]);
    assert_memory_equal(digests[0], digests[1], SEAL_DIGEST_SIZE);
    assert_memory_equal(digests[0], digests[2], SEAL_DIGEST_SIZE);
    buffer_done(&body);
    arena_done(&dice.arena);
}

static void a_subscribed_digest_tells_two_sets_apart(void **state)
{
    int64_t numbers[3] = {5, 9, INT64_C(3) << 53};
    uint8_t all[8];
    uint8_t two[8];
    uint8_t again[8];

    (void)state;
    subscribed_digest(numbers, 3, all);
    subscribed_digest(numbers, 2, two);
    subscribed_digest(numbers, 3, again);
    assert_memory_equal(all, again, 8);
    assert_memory_not_equal(all, two, 8);
}

static void names_are_known_for_each_type_and_for_no_other(void **state)
{
    (void)state;
    assert_string_equal(message_name(MESSAGE_PUSH), "PUSH");
    assert_string_equal(message_name(MESSAGE_DIGEST_DIFFERS), "DIGEST_DIFFERS");
    assert_string_equal(message_name(MESSAGE_BYE), "BYE");
    assert_string_equal(message_name(0), "?");
    assert_string_equal(message_name(-1), "?");
    assert_string_equal(message_name(MESSAGE_PUSH | MESSAGE_OPTIONAL_BIT), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_decodes_to_what_was_encoded),
        cmocka_unit_test(every_message_cut_at_any_byte_is_malformed),
        cmocka_unit_test(every_message_with_a_changed_byte_is_refused_or_still_a_message),
        cmocka_unit_test(bytes_behind_a_message_are_malformed),
        cmocka_unit_test(a_full_body_or_arena_is_exhausted_and_nothing_else),
        cmocka_unit_test(values_out_of_range_are_not_encoded),
        cmocka_unit_test(lies_about_counts_types_and_order_are_malformed),
        cmocka_unit_test(a_seal_digest_changes_with_each_of_its_parts),
        cmocka_unit_test(a_seal_digest_is_the_same_in_one_part_or_two_and_after_the_wire),
        cmocka_unit_test(a_subscribed_digest_tells_two_sets_apart),
        cmocka_unit_test(names_are_known_for_each_type_and_for_no_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
