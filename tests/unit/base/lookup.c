/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lookup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void what_was_put_is_found_and_nothing_else(void **state)
{
    enum { TABLES = 20, ROWS = 500 };
    static int items[TABLES][ROWS];
    struct problem problem = {0};
    struct lookup lookup;
    struct arena arena;

    (void)state;
    arena_init(&arena, 16 * 1024 * 1024);
    lookup_init(&lookup, &arena);
    assert_null(lookup_find(&lookup, 0, 0));
    for (int64_t table = 0; table < TABLES; table++)
        for (int64_t row = 0; row < ROWS; row++)
            assert_int_equal(
                lookup_put(&lookup, table, (table << 33) + row, &items[table][row], &problem),
                RESULT_OK);
    assert_int_equal(lookup.count, TABLES * ROWS);
    for (int64_t table = 0; table < TABLES; table++) {
        for (int64_t row = 0; row < ROWS; row++)
            assert_ptr_equal(lookup_find(&lookup, table, (table << 33) + row), &items[table][row]);
        assert_null(lookup_find(&lookup, table, (table << 33) + ROWS));
        assert_null(lookup_find(&lookup, table + TABLES, table << 33));
    }
    arena_done(&arena);
}

static void both_numbers_count_and_may_be_negative(void **state)
{
    static const int64_t NUMBERS[] = {0, 1, -1, INT64_MAX, INT64_MIN};
    int items[5][5];
    struct problem problem = {0};
    struct lookup lookup;
    struct arena arena;

    (void)state;
    arena_init(&arena, 64 * 1024);
    lookup_init(&lookup, &arena);
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 5; j++)
            assert_int_equal(lookup_put(&lookup, NUMBERS[i], NUMBERS[j], &items[i][j], &problem),
                             RESULT_OK);
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 5; j++)
            assert_ptr_equal(lookup_find(&lookup, NUMBERS[i], NUMBERS[j]), &items[i][j]);
    arena_done(&arena);
}

static void second_put_of_a_key_replaces_the_first(void **state)
{
    int first = 0;
    int second = 0;
    struct problem problem = {0};
    struct lookup lookup;
    struct arena arena;

    (void)state;
    arena_init(&arena, 64 * 1024);
    lookup_init(&lookup, &arena);
    assert_int_equal(lookup_put(&lookup, 3, 4, &first, &problem), RESULT_OK);
    assert_int_equal(lookup_put(&lookup, 3, 4, &second, &problem), RESULT_OK);
    assert_int_equal(lookup.count, 1);
    assert_ptr_equal(lookup_find(&lookup, 3, 4), &second);
    arena_done(&arena);
}

static void full_arena_refuses_and_keeps_what_was_there(void **state)
{
    int items[1000];
    int64_t put_count = 0;
    enum result result = RESULT_OK;
    struct problem problem = {0};
    struct lookup lookup;
    struct arena arena;

    (void)state;
    arena_init(&arena, 4096);
    lookup_init(&lookup, &arena);
    while (put_count < 1000) {
        result = lookup_put(&lookup, 1, put_count, &items[put_count], &problem);
        if (result != RESULT_OK)
            break;
        put_count++;
    }
    assert_int_equal(result, RESULT_EXHAUSTED);
    assert_true(put_count > 0);
    assert_int_equal(lookup.count, put_count);
    for (int64_t i = 0; i < put_count; i++)
        assert_ptr_equal(lookup_find(&lookup, 1, i), &items[i]);
    assert_null(lookup_find(&lookup, 1, put_count));
    arena_done(&arena);
}

static void room_that_was_made_holds_what_was_announced(void **state)
{
    static int items[1000];
    struct problem problem = {0};
    struct arena arena;
    struct lookup lookup;
    size_t capacity = 0;

    (void)state;
    arena_init(&arena, 1024 * 1024);
    lookup_init(&lookup, &arena);
    assert_int_equal(lookup_put(&lookup, 1, -1, &items[0], &problem), RESULT_OK);
    assert_int_equal(lookup_reserve(&lookup, 999, &problem), RESULT_OK);
    capacity = lookup.capacity;
    for (int64_t i = 0; i < 999; i++)
        assert_int_equal(lookup_put(&lookup, 1, i, &items[i], &problem), RESULT_OK);
    assert_int_equal(lookup.capacity, capacity);
    assert_ptr_equal(lookup_find(&lookup, 1, -1), &items[0]);
    assert_ptr_equal(lookup_find(&lookup, 1, 998), &items[998]);
    assert_int_equal(lookup_reserve(&lookup, SIZE_MAX, &problem), RESULT_EXHAUSTED);
    assert_int_equal(lookup_reserve(&lookup, 1024 * 1024, &problem), RESULT_EXHAUSTED);
    assert_ptr_equal(lookup_find(&lookup, 1, 998), &items[998]);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_found_and_nothing_else),
        cmocka_unit_test(both_numbers_count_and_may_be_negative),
        cmocka_unit_test(second_put_of_a_key_replaces_the_first),
        cmocka_unit_test(full_arena_refuses_and_keeps_what_was_there),
        cmocka_unit_test(room_that_was_made_holds_what_was_announced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
