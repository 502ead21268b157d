/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/row.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void ids_split_into_replica_and_counter(void **state)
{
    (void)state;
    assert_int_equal(id_of(0, 1), 1);
    assert_int_equal(id_of(5, 7), (INT64_C(5) << 33) + 7);
    assert_int_equal(id_of(ID_REPLICA_MAX, ID_COUNTER_MAX), ID_MAX);
    assert_int_equal(ID_MAX, (INT64_C(1) << 53) - 1);
    assert_int_equal(id_replica_no(id_of(1048575, 3)), 1048575);
    assert_int_equal(id_counter(id_of(1048575, ID_COUNTER_MAX)), ID_COUNTER_MAX);
}

static void values_are_equal_by_type_and_content(void **state)
{
    const struct value values[] = {
        value_null(),
        value_integer(0),
        value_integer(1),
        value_real(0.5),
        value_real(0.0),
        value_text_of("a"),
        value_text_of("b"),
        value_text_of(""),
        value_blob((struct bytes){0}),
        value_blob(bytes_of("a", 1)),
    };
    size_t count = sizeof values / sizeof values[0];
    struct value minus_zero = value_real(-0.0);

    (void)state;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++)
            assert_int_equal(value_equal(&values[i], &values[j]), i == j);
    assert_true(value_equal(&minus_zero, &values[4]));
    assert_int_equal(value_text_of(NULL).type, VALUE_NULL);
}

static void copy_outlives_its_source(void **state)
{
    struct arena row_arena;
    struct problem problem = {0};
    char text[] = "before";
    struct value value = value_text_of(text);
    struct value expected = value_text_of("before");
    struct value copy = {0};

    (void)state;
    arena_init(&row_arena, 7);
    assert_int_equal(value_copy(&row_arena, &value, &copy, &problem), RESULT_OK);
    memcpy(text, "after!", 6);
    assert_true(value_equal(&copy, &expected));
    assert_int_equal(value_copy(&row_arena, &value, &copy, &problem), RESULT_EXHAUSTED);
    assert_true(value_equal(&copy, &expected)); /* written only on success */
    value = value_integer(7);                   /* needs no room */
    assert_int_equal(value_copy(&row_arena, &value, &copy, &problem), RESULT_OK);
    assert_true(value_equal(&copy, &value));
    arena_done(&row_arena);
}

static void verdicts_have_names(void **state)
{
    (void)state;
    assert_string_equal(verdict_name(VERDICT_APPLIED), "applied");
    assert_string_equal(verdict_name(VERDICT_GONE), "gone");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_split_into_replica_and_counter),
        cmocka_unit_test(values_are_equal_by_type_and_content),
        cmocka_unit_test(copy_outlives_its_source),
        cmocka_unit_test(verdicts_have_names),
    };

    return cmocka_run_group_tests_name("row", tests, NULL, NULL);
}
