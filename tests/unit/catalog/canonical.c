/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/canonical.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct catalog_table TABLE = {
    .number = 258, .name = "t", .column_count = 3, .columns_mask = 6};

static void expect_form(const struct value *values, const char *expected)
{
    struct problem problem = {0};
    struct buffer form;
    char hex[256];

    buffer_init(&form, 100);
    assert_int_equal(canonical_append(&TABLE, 1, values, &form, &problem), RESULT_OK);
    bytes_to_hex(buffer_bytes(&form), hex);
    assert_string_equal(hex, expected);
    buffer_done(&form);
}

static void form_is_table_id_and_typed_columns(void **state)
{
    const struct value values[] = {value_null(), value_null(), value_text_of("ab")};
    const struct value others[] = {value_null(), value_integer(-2), value_blob(bytes_of("ab", 2))};
    const struct value reals[] = {value_null(), value_real(1.5), value_text_of("")};

    (void)state;
    expect_form(values, "0102"
                        "0000000000000001"
                        "00"
                        "03"
                        "00000002"
                        "6162");
    expect_form(others, "0102"
                        "0000000000000001"
                        "01"
                        "fffffffffffffffe"
                        "04"
                        "00000002"
                        "6162");
    expect_form(reals, "0102"
                       "0000000000000001"
                       "02"
                       "3ff8000000000000"
                       "03"
                       "00000000");
}

static void integral_reals_are_integers(void **state)
{
    const struct value values[] = {value_null(), value_real(2.0), value_real(-0.0)};
    const struct value bounds[] = {value_null(), value_real(-9223372036854775808.0),
                                   value_real(9223372036854775808.0)};

    (void)state;
    expect_form(values, "0102"
                        "0000000000000001"
                        "01"
                        "0000000000000002"
                        "01"
                        "0000000000000000");
    expect_form(bounds, "0102"
                        "0000000000000001"
                        "01"
                        "8000000000000000"
                        "02"
                        "43e0000000000000");
}

static void row_that_does_not_fit_leaves_nothing(void **state)
{
    const struct value values[] = {value_null(), value_integer(1), value_text_of("abcdef")};
    struct problem problem = {0};
    struct buffer form;

    (void)state;
    buffer_init(&form, 28);
    assert_int_equal(buffer_append(&form, "xx", 2, &problem), RESULT_OK);
    assert_int_equal(canonical_append(&TABLE, 1, values, &form, &problem), RESULT_EXHAUSTED);
    assert_int_equal(form.size, 2);
    buffer_done(&form);
}

static void digest_forgets_order_and_carries(void **state)
{
    uint8_t sum[DIGEST_SIZE] = {0};
    uint8_t a[DIGEST_SIZE] = {0xff, 0xff};
    uint8_t b[DIGEST_SIZE] = {0x02};
    uint8_t full[DIGEST_SIZE];
    uint8_t zero[DIGEST_SIZE] = {0};
    const uint8_t expected[DIGEST_SIZE] = {0x01, 0x00, 0x01};

    (void)state;
    digest_add(sum, a);
    digest_add(sum, b);
    assert_memory_equal(sum, expected, DIGEST_SIZE);
    digest_subtract(sum, a);
    assert_memory_equal(sum, b, DIGEST_SIZE);
    digest_subtract(sum, b);
    assert_memory_equal(sum, zero, DIGEST_SIZE);
    memset(full, 0xff, sizeof full); /* modulo 2^128: 0 - 1 is all ones, and back */
    b[0] = 1;
    digest_subtract(sum, b);
    assert_memory_equal(sum, full, DIGEST_SIZE);
    digest_add(sum, b);
    assert_memory_equal(sum, zero, DIGEST_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(form_is_table_id_and_typed_columns),
        cmocka_unit_test(integral_reals_are_integers),
        cmocka_unit_test(row_that_does_not_fit_leaves_nothing),
        cmocka_unit_test(digest_forgets_order_and_carries),
    };

    return cmocka_run_group_tests_name("canonical", tests, NULL, NULL);
}
