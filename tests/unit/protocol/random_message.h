/* SPDX-License-Identifier: Apache-2.0 */
/* random_message.h: makes up values for every message there is, for tests. The same seed gives the
 * same messages; what they hold lives until the dice's arena is reset. Include it behind cmocka.h.
 */
#pragma once

#include "tests/unit/protocol/message_kit.h"

#include "base/prng.h"
#include "protocol/limits.h"

enum { DICE_ARENA_SIZE_MAX = 64 * 1024 * 1024 };

struct dice {
    struct prng prng;
    struct arena arena;
};

static inline size_t below(struct dice *dice, size_t bound)
{
    return (size_t)prng_below(&dice->prng, bound);
}

static inline bool flip(struct dice *dice)
{
    return below(dice, 2) == 1;
}

/* Mostly numbers next to where encodings change their size. */
static inline int64_t number(struct dice *dice, int64_t min, int64_t max)
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

static inline void *memory(struct dice *dice, size_t count, size_t size)
{
    void *result = arena_array(&dice->arena, count == 0 ? 1 : count, size);

    assert_non_null(result);
    return result;
}

static inline struct bytes blob(struct dice *dice, size_t size)
{
    uint8_t *data = memory(dice, size, 1);

    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)below(dice, 256);
    return bytes_of(data, size);
}

static inline struct bytes text(struct dice *dice, size_t size_max)
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

static inline struct value *values(struct dice *dice, uint16_t table_no, uint64_t mask)
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

static inline uint64_t mask(struct dice *dice)
{
    return flip(dice) ? 0xe : 2 * below(dice, 8);
}

static inline struct row_image row(struct dice *dice, uint16_t table_no, uint64_t columns)
{
    return (struct row_image){.table_no = table_no,
                              .row_id = number(dice, 1, ID_MAX),
                              .seq = number(dice, 0, INT64_MAX),
                              .mask = columns,
                              .values = values(dice, table_no, columns)};
}

/* Some lists are long and uniform, so that they go columnar. */
static inline void random_rows(struct dice *dice, struct message_rows *m)
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

static inline void random_snapshot(struct dice *dice, struct message_snapshot *m)
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

static inline void random_push(struct dice *dice, struct message_push *m)
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

static inline void random_verdict(struct dice *dice, struct message_verdict *m)
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

static inline int64_t *buckets(struct dice *dice, size_t count)
{
    int64_t *result = memory(dice, count, sizeof *result);
    int64_t before = 0;

    for (size_t i = 0; i < count; i++)
        result[i] = before += number(dice, 1, INT64_C(1) << 56);
    return result;
}

static inline void random_bucket_message(struct dice *dice, enum message_kind kind,
                                         union any_message *any)
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

static inline void random_resume(struct dice *dice, struct message_resume *m)
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

static inline void random_greeting(struct dice *dice, enum message_kind kind,
                                   union any_message *any)
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

static inline void random_gone(struct dice *dice, struct message_gone *m)
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

static inline void random_schema(struct dice *dice, struct message_schema *m)
{
    *m = (struct message_schema){.schema_version = number(dice, 0, INT64_MAX),
                                 .is_last = flip(dice),
                                 .script_count = below(dice, 5)};
    m->scripts = memory(dice, m->script_count + 1, sizeof *m->scripts);
    for (size_t i = 0; i < m->script_count; i++)
        m->scripts[i] = (struct schema_script){text(dice, 60), text(dice, 300)};
}

static inline void random_ids(struct dice *dice, struct message_ids *m)
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

static inline void random_small(struct dice *dice, enum message_kind kind, union any_message *any)
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

static inline void random_security(struct dice *dice, enum message_kind kind,
                                   union any_message *any)
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

static inline void random_message(struct dice *dice, enum message_kind kind, union any_message *any)
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

static inline void dice_begin(struct dice *dice, uint64_t seed)
{
    prng_init(&dice->prng, seed);
    arena_init(&dice->arena, DICE_ARENA_SIZE_MAX);
}
