/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/permit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void loopback_is_loopback(void **state)
{
    (void)state;
    assert_true(permit_is_loopback("127.0.0.1"));
    assert_true(permit_is_loopback("::1"));
    assert_true(permit_is_loopback("localhost"));
    assert_false(permit_is_loopback("0.0.0.0"));
    assert_false(permit_is_loopback("::"));
    assert_false(permit_is_loopback("192.0.2.1"));
    assert_false(permit_is_loopback(""));
}

static void a_name_of_somebody_else_is_not_ours(void **state)
{
    (void)state;
    assert_true(permit_is_own_host("127.0.0.1:7745"));
    assert_true(permit_is_own_host("[::1]:7745"));
    assert_true(permit_is_own_host("localhost:7745"));
    assert_false(permit_is_own_host(""));
    assert_false(permit_is_own_host("evil.example:7745"));
    assert_false(permit_is_own_host("127.0.0.1.evil.example"));
    assert_false(permit_is_own_host("localhost.evil.example"));
}

static void only_the_whole_token_is_the_token(void **state)
{
    (void)state;
    assert_true(permit_is_bearer("Bearer abcdef", "abcdef"));
    assert_false(permit_is_bearer("Bearer abcde", "abcdef"));
    assert_false(permit_is_bearer("Bearer abcdefg", "abcdef"));
    assert_false(permit_is_bearer("Bearer abcdeg", "abcdef"));
    assert_false(permit_is_bearer("abcdef", "abcdef"));
    assert_false(permit_is_bearer("", "abcdef"));
    assert_false(permit_is_bearer("Bearer ", "abcdef"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_is_loopback),
        cmocka_unit_test(a_name_of_somebody_else_is_not_ours),
        cmocka_unit_test(only_the_whole_token_is_the_token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
