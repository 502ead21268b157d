/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISON_VISIBLE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_VISIBLE 1
#endif
#endif

#ifdef POISON_VISIBLE
#include <sanitizer/asan_interface.h>
#endif

/* The sanitizers ask these: malloc shall fail like it does without them. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void memory_comes_zeroed_aligned_and_apart(void **state)
{
    enum { COUNT = 500 };
    uint8_t *items[COUNT];
    struct arena arena;

    (void)state;
    arena_init(&arena, 1024 * 1024);
    for (size_t i = 0; i < COUNT; i++) {
        items[i] = arena_alloc(&arena, i + 1);
        assert_non_null(items[i]);
        assert_int_equal((uintptr_t)items[i] % 16, 0);
        for (size_t at = 0; at <= i; at++)
            assert_int_equal(items[i][at], 0);
        memset(items[i], (int)(i % 251) + 1, i + 1);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t at = 0; at <= i; at++)
            assert_int_equal(items[i][at], i % 251 + 1);
    arena_done(&arena);
}

static void limit_holds_to_the_byte_and_a_refusal_changes_nothing(void **state)
{
    struct problem problem = {0};
    struct arena arena;

    (void)state;
    arena_init(&arena, 100);
    assert_non_null(arena_alloc(&arena, 60));
    assert_null(arena_alloc(&arena, 41));
    assert_int_equal(arena.size, 60);
    assert_non_null(arena_alloc(&arena, 40));
    assert_null(arena_alloc(&arena, 1));
    assert_non_null(arena_alloc(&arena, 0));
    assert_int_equal(arena_full(&arena, &problem), RESULT_EXHAUSTED);
    assert_string_equal(problem.text, "memory of this batch is used up: 100 of 100 bytes");
    arena_done(&arena);
}

static void reset_gives_everything_back(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 100 * 1024);
    arena_reset(&arena); /* nothing there yet */
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 100; i++) {
            uint8_t *item = arena_alloc(&arena, 1024);

            assert_non_null(item);
            assert_int_equal(item[0] | item[1023], 0); /* zeroed again, not last round's */
            memset(item, 0xff, 1024);
        }
        assert_null(arena_alloc(&arena, 1));
        arena_reset(&arena);
        assert_int_equal(arena.size, 0);
    }
    arena_done(&arena);
}

static void small_batches_reuse_one_chunk(void **state)
{
    struct arena arena;
    void *first = NULL;

    (void)state;
    arena_init(&arena, 1024);
    first = arena_alloc(&arena, 100);
    arena_reset(&arena);
    assert_ptr_equal(arena_alloc(&arena, 100), first);
    arena_done(&arena);
}

static void one_huge_batch_is_not_kept_for_ever(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 64 * 1024 * 1024);
    assert_non_null(arena_alloc(&arena, 32 * 1024 * 1024));
    arena_reset(&arena);
    assert_null(arena.chunks);
    assert_non_null(arena_alloc(&arena, 100));
    arena_done(&arena);
}

static void finished_arena_may_be_finished_again_and_used_again(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 1000);
    arena_done(&arena);
    assert_non_null(arena_alloc(&arena, 1000));
    arena_done(&arena);
    arena_done(&arena);
    assert_int_equal(arena.size, 0);
    assert_non_null(arena_alloc(&arena, 1000));
    arena_done(&arena);
}

static void array_whose_size_overflows_is_refused(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, SIZE_MAX);
    assert_null(arena_array(&arena, SIZE_MAX / 8 + 2, 8)); /* 8 * that is 8 */
    assert_null(arena_array(&arena, 2, SIZE_MAX));
    assert_null(arena_array(&arena, SIZE_MAX, SIZE_MAX));
    assert_non_null(arena_array(&arena, 10, 100));
    assert_int_equal(arena.size, 1000);
    assert_non_null(arena_array(&arena, 10, 0));
    assert_non_null(arena_array(&arena, 0, 100));
    assert_int_equal(arena.size, 1000);
    arena_done(&arena);
}

static void memory_that_the_system_refuses_is_null_and_harmless(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, SIZE_MAX);
    assert_non_null(arena_alloc(&arena, 10));
    assert_null(arena_alloc(&arena, SIZE_MAX / 2 - 64));
    assert_null(arena_alloc(&arena, SIZE_MAX - 20));
    assert_int_equal(arena.size, 10);
    assert_non_null(arena_alloc(&arena, 10));
    arena_done(&arena);
}

static void copy_is_its_own_and_closed_by_a_nul(void **state)
{
    char original[] = "a\0b";
    struct problem problem = {0};
    struct bytes copy = {0};
    struct arena arena;

    (void)state;
    arena_init(&arena, 5);
    assert_int_equal(arena_copy(&arena, bytes_of(original, 3), &copy, &problem), RESULT_OK);
    original[0] = 'x';
    assert_int_equal(copy.size, 3);
    assert_memory_equal(copy.data, "a\0b\0", 4);
    assert_int_equal(arena_copy(&arena, bytes_of(NULL, 0), &copy, &problem), RESULT_OK);
    assert_int_equal(copy.size, 0);
    assert_int_equal(copy.data[0], 0);
    arena_done(&arena);
}

static void copy_that_does_not_fit_leaves_the_output_alone(void **state)
{
    struct problem problem = {0};
    struct bytes copy = bytes_of_text("before");
    struct arena arena;

    (void)state;
    arena_init(&arena, 4);
    assert_int_equal(arena_copy(&arena, bytes_of_text("four"), &copy, &problem),
                     RESULT_EXHAUSTED); /* the NUL needs the fifth byte */
    assert_string_equal(problem.text, "memory of this batch is used up: 0 of 4 bytes");
    assert_true(bytes_equal(copy, bytes_of_text("before")));
    assert_int_equal(arena_copy(&arena, bytes_of_text("for"), &copy, &problem), RESULT_OK);
    arena_done(&arena);
}

static void formatted_text_is_whole_or_not_at_all(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 21);
    assert_string_equal(arena_format(&arena, "row %d of %s", 7, "part"), "row 7 of part");
    assert_null(arena_format(&arena, "%s", "1234567"));
    assert_string_equal(arena_format(&arena, "%s", "123456"), "123456");
    arena_done(&arena);
}

static void unused_memory_is_poisoned_under_address_sanitizer(void **state)
{
#ifdef POISON_VISIBLE
    struct arena arena;
    uint8_t *item = NULL;

    (void)state;
    arena_init(&arena, 1000);
    item = arena_alloc(&arena, 10);
    assert_false(__asan_address_is_poisoned(item + 9));
    assert_true(__asan_address_is_poisoned(item + 10));
    arena_reset(&arena);
    assert_true(__asan_address_is_poisoned(item));
    arena_done(&arena);
#else
    (void)state;
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_comes_zeroed_aligned_and_apart),
        cmocka_unit_test(limit_holds_to_the_byte_and_a_refusal_changes_nothing),
        cmocka_unit_test(reset_gives_everything_back),
        cmocka_unit_test(small_batches_reuse_one_chunk),
        cmocka_unit_test(one_huge_batch_is_not_kept_for_ever),
        cmocka_unit_test(finished_arena_may_be_finished_again_and_used_again),
        cmocka_unit_test(array_whose_size_overflows_is_refused),
        cmocka_unit_test(memory_that_the_system_refuses_is_null_and_harmless),
        cmocka_unit_test(copy_is_its_own_and_closed_by_a_nul),
        cmocka_unit_test(copy_that_does_not_fit_leaves_the_output_alone),
        cmocka_unit_test(formatted_text_is_whole_or_not_at_all),
        cmocka_unit_test(unused_memory_is_poisoned_under_address_sanitizer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
