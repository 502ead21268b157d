/* SPDX-License-Identifier: Apache-2.0 */
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
#include "tests/unit/protocol/random_message.h"

static const struct catalog CATALOG = {
    .schema_version = 3, .table_count = 3, .tables = EXAMPLE_TABLES};

enum { ARENA_SIZE_MAX = 64 * 1024 * 1024, RANDOM_ROUNDS = 300 };

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
