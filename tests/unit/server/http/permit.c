/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/permit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool asks(const char *path, const char *host, const char *origin, const char *authorization,
                 const char *token)
{
    const struct permit_question question = {path, host, origin, authorization};

    return permit_admin(&question, token);
}

static void a_page_of_somebody_else_reads_nothing(void **state)
{
    (void)state;
    assert_true(asks("/metrics", "127.0.0.1:7743", "", "", NULL));
    assert_false(asks("/metrics", "127.0.0.1:7743", "https://evil.example", "", NULL));
    assert_false(asks("/healthz", "127.0.0.1:7743", "null", "", NULL));
    assert_false(asks("/metrics", "127.0.0.1:7743", "https://evil.example", "Bearer abc", "abc"));
}

static void a_name_that_points_here_is_not_ours(void **state)
{
    static const char *const OURS[] = {"127.0.0.1", "127.0.0.1:7743", "[::1]:7743",  "[::1]",
                                       "localhost", "localhost:1",    "192.0.2.1:80"};
    static const char *const FOREIGN[] = {"",
                                          "evil.example",
                                          "evil.example:7743",
                                          "localhost.",
                                          "localhost.evil.com",
                                          "127.0.0.1.evil.com",
                                          "[evil]:1",
                                          "[::1",
                                          ":7743"};

    (void)state;
    for (size_t i = 0; i < sizeof OURS / sizeof *OURS; i++)
        assert_true(asks("/metrics", OURS[i], "", "", NULL));
    for (size_t i = 0; i < sizeof FOREIGN / sizeof *FOREIGN; i++)
        assert_false(asks("/metrics", FOREIGN[i], "", "", NULL));
}

static void with_a_token_only_its_holder_reads_the_figures(void **state)
{
    (void)state;
    assert_true(asks("/metrics", "any.name", "", "Bearer abcdef", "abcdef"));
    assert_false(asks("/metrics", "127.0.0.1", "", "", "abcdef"));
    assert_false(asks("/metrics", "127.0.0.1", "", "Bearer abcdeg", "abcdef"));
    assert_false(asks("/metrics", "127.0.0.1", "", "Bearer abc", "abcdef"));
    assert_false(asks("/metrics", "127.0.0.1", "", "abcdef", "abcdef"));
    assert_true(asks("/healthz", "any.name", "", "", "abcdef"));
    assert_true(asks("/readyz", "any.name", "", "", "abcdef"));
}

static void loopback_is_loopback(void **state)
{
    (void)state;
    assert_true(permit_is_loopback("127.0.0.1"));
    assert_true(permit_is_loopback("::1"));
    assert_false(permit_is_loopback("0.0.0.0"));
    assert_false(permit_is_loopback("::"));
    assert_false(permit_is_loopback("192.0.2.1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_of_somebody_else_reads_nothing),
        cmocka_unit_test(a_name_that_points_here_is_not_ours),
        cmocka_unit_test(with_a_token_only_its_holder_reads_the_figures),
        cmocka_unit_test(loopback_is_loopback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
