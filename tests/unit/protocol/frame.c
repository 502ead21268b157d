/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/frame.h"

#include "base/prng.h"
#include "protocol/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

enum { FRAME_SIZE = LIMIT_MESSAGE_SIZE_MAX - 16, ARENA_SIZE = 8 * 1024 * 1024 };

struct fixture {
    struct arena arena;
    struct frame_joiner joiner;
    struct frame_dictionary dictionary;
    struct problem problem;
};

static int fixture_begin(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    arena_init(&fixture->arena, ARENA_SIZE);
    frame_joiner_init(&fixture->joiner, LIMIT_BODY_SIZE_MAX);
    fixture->dictionary.number = 3;
    fixture->dictionary.bytes = bytes_of_text("Customer has no hot water in the bathroom; ");
    *state = fixture;
    return 0;
}

static int fixture_end(void **state)
{
    struct fixture *fixture = *state;

    frame_joiner_done(&fixture->joiner);
    arena_done(&fixture->arena);
    free(fixture);
    return 0;
}

static struct frame_list encoded(struct fixture *fixture, struct bytes body, size_t frame_size,
                                 int level, uint8_t dictionary_number)
{
    struct frame_list list = {0};
    struct frame_options options = {.frame_size_max = frame_size, .level = level};

    if (dictionary_number != 0) {
        options.dictionary = fixture->dictionary;
        options.dictionary.number = dictionary_number;
    }
    assert_int_equal(frame_encode(7, body, &options, &fixture->arena, &list, &fixture->problem),
                     RESULT_OK);
    return list;
}

static enum result join(struct fixture *fixture, struct bytes plaintext, struct frame *ret_frame)
{
    return frame_join(&fixture->joiner, plaintext, &fixture->dictionary, 1, &fixture->arena,
                      ret_frame, &fixture->problem);
}

static void expect_body(struct fixture *fixture, const struct frame_list *list, struct bytes body)
{
    struct frame frame = {0};

    for (size_t i = 0; i < list->count; i++)
        assert_int_equal(join(fixture, list->frames[i], &frame),
                         i + 1 == list->count ? RESULT_OK : RESULT_WAIT);
    assert_int_equal(frame.type, 7);
    assert_true(bytes_equal(frame.body, body));
    assert_false(fixture->joiner.open);
    assert_null(fixture->joiner.buffer.data); /* nothing is held between bodies */
}

static void expect_refused(struct fixture *fixture, const void *data, size_t size, const char *why)
{
    struct frame frame = {0};

    frame_joiner_done(&fixture->joiner);
    assert_int_equal(join(fixture, bytes_of(data, size), &frame), RESULT_MALFORMED);
    assert_non_null(strstr(fixture->problem.text, why));
    assert_null(frame.body.data);
}

static struct bytes random_body(struct fixture *fixture, size_t size)
{
    uint8_t *data = arena_alloc(&fixture->arena, size);
    struct prng prng;

    assert_non_null(data);
    prng_init(&prng, 5);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)prng_next(&prng);
    return bytes_of(data, size);
}

static void every_small_size_is_padded_to_32_and_comes_back(void **state)
{
    struct fixture *fixture = *state;
    struct bytes body = random_body(fixture, 64);

    for (body.size = 0; body.size < 64; body.size++) {
        struct frame_list list = encoded(fixture, body, FRAME_SIZE, 0, 0);

        assert_int_equal(list.count, 1);
        assert_int_equal(list.frames[0].size,
                         body.size + 2 < 32 ? 32 : body.size + FRAME_HEAD_SIZE);
        assert_int_equal(list.frames[0].data[1], body.size + 2 < 32 ? FRAME_PADDED : 0);
        expect_body(fixture, &list, body);
    }
}

static void a_body_that_shrinks_is_compressed_at_every_level_and_size(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *data = arena_alloc(&fixture->arena, 200000);

    assert_non_null(data);
    for (size_t i = 0; i < 200000; i++)
        data[i] = (uint8_t) "Customer has no hot water"[(i + i / 1000) % 25];
    for (size_t size = 60; size < 200000; size = size * 3 + 1)
        for (int level = 1; level <= 9; level += 4)
            for (uint8_t number = 0; number <= 3; number += 3) {
                struct frame_list list =
                    encoded(fixture, bytes_of(data, size), FRAME_SIZE, level, number);

                assert_int_equal(list.count, 1);
                assert_int_equal(list.frames[0].data[1] & ~FRAME_PADDED,
                                 FRAME_COMPRESSED | number << 4);
                assert_true(list.frames[0].size < size);
                expect_body(fixture, &list, bytes_of(data, size));
            }
}

static void the_dictionary_makes_a_short_sentence_shorter(void **state)
{
    struct fixture *fixture = *state;
    struct bytes body =
        bytes_of_text("Customer has no hot water in the bathroom; please ring twice at Meier's");
    struct frame_list with = encoded(fixture, body, FRAME_SIZE, 6, 3);
    struct frame_list without = encoded(fixture, body, FRAME_SIZE, 6, 0);

    assert_true(with.frames[0].size + 25 < without.frames[0].size);
    expect_body(fixture, &with, body);
}

static void a_body_that_does_not_shrink_goes_as_it_is(void **state)
{
    struct fixture *fixture = *state;
    struct bytes body = random_body(fixture, 10000);
    struct frame_list list = encoded(fixture, body, FRAME_SIZE, 9, 3);

    assert_int_equal(list.frames[0].data[1], 0);
    assert_int_equal(list.frames[0].size, 10002);
    expect_body(fixture, &list, body);
}

static void a_large_body_is_split_and_joined(void **state)
{
    struct fixture *fixture = *state;
    struct bytes body = random_body(fixture, LIMIT_BODY_SIZE_MAX);
    struct frame_list large = encoded(fixture, body, FRAME_SIZE, 1, 0);
    struct frame_list small = encoded(fixture, body, LIMIT_MESSAGE_OFFER_MIN - 16, 0, 0);

    assert_int_equal(large.count, 17);
    assert_int_equal(large.frames[0].size, FRAME_SIZE);
    expect_body(fixture, &large, body);
    assert_int_equal(small.count, 1043);
    expect_body(fixture, &small, body);
    body.size = 2 * (FRAME_SIZE - FRAME_HEAD_SIZE) + 1; /* one byte over, in a padded frame */
    large = encoded(fixture, body, FRAME_SIZE, 0, 0);
    assert_int_equal(large.count, 3);
    assert_int_equal(large.frames[2].size, LIMIT_FRAME_PADDED_SIZE);
    expect_body(fixture, &large, body);
}

static void a_body_above_the_limit_is_not_encoded(void **state)
{
    struct fixture *fixture = *state;
    struct frame_list list = {0};

    assert_int_equal(frame_encode(1, random_body(fixture, LIMIT_BODY_SIZE_MAX + 1),
                                  &(struct frame_options){.frame_size_max = FRAME_SIZE},
                                  &fixture->arena, &list, &fixture->problem),
                     RESULT_EXHAUSTED);
    assert_null(list.frames);
}

static void a_bomb_is_refused_by_its_stated_size_before_memory_is_taken(void **state)
{
    struct fixture *fixture = *state;
    uint8_t frame[40] = {7, FRAME_COMPRESSED, 0x00, 0x10, 0x00, 0x01};
    size_t used = fixture->arena.size;

    expect_refused(fixture, frame, sizeof frame, "body of 1048577 raw bytes, limit 1048576");
    memset(frame + 2, 0xff, 4);
    expect_refused(fixture, frame, sizeof frame, "raw bytes, limit");
    memset(frame + 2, 0, 4);
    expect_refused(fixture, frame, sizeof frame, "body of 0 raw bytes");
    assert_int_equal(fixture->arena.size, used);
}

static void deflate_data_must_end_exactly_at_the_stated_size(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t ZEROS[2000];
    struct frame_list list = encoded(fixture, bytes_of(ZEROS, 2000), FRAME_SIZE, 6, 0);
    uint8_t frame[LIMIT_FRAME_PADDED_SIZE + 1];
    size_t size = LIMIT_FRAME_PADDED_SIZE - list.frames[0].data[LIMIT_FRAME_PADDED_SIZE - 1];
    struct frame good = {0};

    assert_int_equal(list.frames[0].data[1], FRAME_COMPRESSED | FRAME_PADDED);
    memcpy(frame, list.frames[0].data, size);
    frame[1] = FRAME_COMPRESSED;
    assert_int_equal(join(fixture, bytes_of(frame, size), &good), RESULT_OK);
    frame[5]--; /* one byte less than comes out: a liar's bomb stops there */
    expect_refused(fixture, frame, size, "doesn't end at 1999 raw bytes");
    frame[5] += 2;
    expect_refused(fixture, frame, size, "doesn't end at 2001 raw bytes");
    frame[5]--;
    frame[size] = 0; /* a byte behind the end */
    expect_refused(fixture, frame, size + 1, "doesn't end at 2000 raw bytes");
    expect_refused(fixture, frame, size - 1, "doesn't end at 2000 raw bytes");
    frame[6] = 0x07; /* block type 3 */
    expect_refused(fixture, frame, size, "doesn't end at");
    expect_refused(fixture, frame, 6, "compressed body of 4 bytes");
}

static void an_unknown_dictionary_is_refused(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t ZEROS[100];
    struct frame_list list = encoded(fixture, bytes_of(ZEROS, 100), FRAME_SIZE, 6, 4);

    expect_refused(fixture, list.frames[0].data, list.frames[0].size, "unknown dictionary 4");
}

static void padding_must_be_zeros_and_say_its_size(void **state)
{
    struct fixture *fixture = *state;
    uint8_t frame[33] = {7, FRAME_PADDED, 'a'};
    struct frame good = {0};

    frame[31] = 29;
    assert_int_equal(join(fixture, bytes_of(frame, 32), &good), RESULT_OK);
    assert_true(bytes_equal(good.body, bytes_of_text("a")));
    expect_refused(fixture, frame, 31, "bad padding");
    expect_refused(fixture, frame, 33, "bad padding");
    frame[30] = 1;
    expect_refused(fixture, frame, 32, "bad padding");
    frame[30] = 0;
    frame[31] = 30; /* would hide the a: it isn't zero */
    expect_refused(fixture, frame, 32, "bad padding");
    frame[31] = 31;
    expect_refused(fixture, frame, 32, "bad padding");
    frame[31] = 0;
    expect_refused(fixture, frame, 32, "bad padding");
}

static void flags_without_a_meaning_are_refused(void **state)
{
    struct fixture *fixture = *state;
    uint8_t frame[40] = {7, 8};

    expect_refused(fixture, frame, sizeof frame, "frame with flags 8");
    frame[1] = 0x10; /* a dictionary, but not compressed */
    expect_refused(fixture, frame, sizeof frame, "frame with flags 16");
    expect_refused(fixture, frame, 1, "frame of 1 bytes");
    expect_refused(fixture, frame, 0, "frame of 0 bytes");
}

static void tiny_chunks_and_chunks_of_another_body_are_refused(void **state)
{
    struct fixture *fixture = *state;
    uint8_t frame[FRAME_HEAD_SIZE + LIMIT_CHUNK_SIZE_MIN] = {7, FRAME_MORE};
    struct frame joined = {0};

    expect_refused(fixture, frame, sizeof frame - 1, "chunk of 511 bytes, at least 512");
    assert_int_equal(join(fixture, bytes_of(frame, sizeof frame), &joined), RESULT_WAIT);
    frame[0] = 8;
    assert_int_equal(join(fixture, bytes_of(frame, sizeof frame), &joined), RESULT_MALFORMED);
    frame[0] = 7;
    frame[1] = FRAME_COMPRESSED;
    assert_int_equal(join(fixture, bytes_of(frame, sizeof frame), &joined), RESULT_MALFORMED);
}

static void chunks_are_not_collected_past_the_limit(void **state)
{
    struct fixture *fixture = *state;
    uint8_t frame[FRAME_HEAD_SIZE + LIMIT_CHUNK_SIZE_MIN] = {7, FRAME_MORE};
    struct frame joined = {0};

    frame_joiner_done(&fixture->joiner);
    frame_joiner_init(&fixture->joiner, 2 * LIMIT_CHUNK_SIZE_MIN);
    for (int i = 0; i < 2; i++)
        assert_int_equal(join(fixture, bytes_of(frame, sizeof frame), &joined), RESULT_WAIT);
    assert_int_equal(join(fixture, bytes_of(frame, sizeof frame), &joined), RESULT_MALFORMED);
    assert_string_equal(fixture->problem.text, "body of more than 1024 bytes");
}

static void a_full_arena_changes_nothing_and_the_same_frame_can_come_again(void **state)
{
    struct fixture *fixture = *state;
    struct bytes body = random_body(fixture, 3000);
    struct frame_list list = encoded(fixture, body, 1100, 0, 0);
    struct arena small;
    struct frame frame = {0};

    arena_init(&small, 2000);
    assert_int_equal(list.count, 3);
    assert_int_equal(join(fixture, list.frames[0], &frame), RESULT_WAIT);
    assert_int_equal(join(fixture, list.frames[1], &frame), RESULT_WAIT);
    for (int i = 0; i < 2; i++)
        assert_int_equal(frame_join(&fixture->joiner, list.frames[2], NULL, 0, &small, &frame,
                                    &fixture->problem),
                         RESULT_EXHAUSTED);
    assert_int_equal(join(fixture, list.frames[2], &frame), RESULT_OK);
    assert_true(bytes_equal(frame.body, body));
    arena_done(&small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_small_size_is_padded_to_32_and_comes_back),
        TEST(a_body_that_shrinks_is_compressed_at_every_level_and_size),
        TEST(the_dictionary_makes_a_short_sentence_shorter),
        TEST(a_body_that_does_not_shrink_goes_as_it_is),
        TEST(a_large_body_is_split_and_joined),
        TEST(a_body_above_the_limit_is_not_encoded),
        TEST(a_bomb_is_refused_by_its_stated_size_before_memory_is_taken),
        TEST(deflate_data_must_end_exactly_at_the_stated_size),
        TEST(an_unknown_dictionary_is_refused),
        TEST(padding_must_be_zeros_and_say_its_size),
        TEST(flags_without_a_meaning_are_refused),
        TEST(tiny_chunks_and_chunks_of_another_body_are_refused),
        TEST(chunks_are_not_collected_past_the_limit),
        TEST(a_full_arena_changes_nothing_and_the_same_frame_can_come_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
