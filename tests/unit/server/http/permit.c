/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/permit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool asks(const char *path, const char *host, const char *origin, const char *authorization,
                 const char *token)
{
    const struct permit_question question = {.path = path,
                                             .host = host,
                                             .origin = origin,
                                             .authorization = authorization,
                                             .fetch_site = ""};
    const struct permit_rules rules = {.token = token, .is_private = true};

    return permit_admin(&question, &rules);
}

/* A request below /api/ over TLS to the one name that was set. */
static bool page_asks(const char *host, const char *origin, const char *fetch_site, bool is_change)
{
    const struct permit_question question = {.path = "/api/session",
                                             .host = host,
                                             .origin = origin,
                                             .authorization = "",
                                             .fetch_site = fetch_site,
                                             .is_change = is_change,
                                             .is_tls = true};
    const struct permit_rules rules = {.token = "abcdef", .origin = "https://office.example"};

    return permit_admin(&question, &rules);
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

static void only_our_own_pages_reach_the_api(void **state)
{
    (void)state;
    assert_true(page_asks("office.example", "https://office.example", "same-origin", true));
    assert_true(
        page_asks("office.example", "", "", true)); /* no browser: the rest is asked later */
    assert_true(page_asks("office.example", "", "none", false)); /* typed by a person */
    assert_true(page_asks("192.0.2.1", "https://office.example", "", true));
    assert_false(page_asks("office.example", "", "none", true));
    assert_false(page_asks("office.example", "https://evil.example", "", true));
    assert_false(page_asks("office.example", "https://office.example.evil.com", "", true));
    assert_false(page_asks("office.example", "http://office.example", "", true));
    assert_false(page_asks("office.example", "null", "", false));
    assert_false(page_asks("office.example", "", "cross-site", false));
    assert_false(page_asks("office.example", "", "same-site", false));
    assert_false(page_asks("evil.example", "", "", false)); /* DNS that points here */
    assert_false(page_asks("evil.example", "https://evil.example", "same-origin", true));
    assert_false(page_asks("", "", "", false));
}

static void without_a_set_origin_it_is_where_the_request_went(void **state)
{
    struct permit_question question = {.path = "/api/session",
                                       .host = "127.0.0.1:7743",
                                       .origin = "http://127.0.0.1:7743",
                                       .authorization = "",
                                       .fetch_site = "same-origin",
                                       .is_change = true};
    const struct permit_rules rules = {.is_private = true};
    const struct permit_rules open_rules = {.is_private = false};

    (void)state;
    assert_true(permit_admin(&question, &rules));
    assert_false(permit_admin(&question, &open_rules)); /* passwords in clear on a network */
    question.origin = "http://127.0.0.1:80";
    assert_false(permit_admin(&question, &rules));
    question.origin = "https://127.0.0.1:7743";
    assert_false(permit_admin(&question, &rules));
    question.is_tls = true;
    assert_true(permit_admin(&question, &open_rules));
}

static void an_origin_has_a_form(void **state)
{
    (void)state;
    assert_true(permit_is_origin("https://office.example"));
    assert_true(permit_is_origin("http://[::1]:7743"));
    assert_false(permit_is_origin("office.example"));
    assert_false(permit_is_origin("https://"));
    assert_false(permit_is_origin("https://office.example/"));
    assert_false(permit_is_origin("https://Office.example"));
    assert_false(permit_is_origin("ftp://office.example"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_of_somebody_else_reads_nothing),
        cmocka_unit_test(a_name_that_points_here_is_not_ours),
        cmocka_unit_test(with_a_token_only_its_holder_reads_the_figures),
        cmocka_unit_test(only_our_own_pages_reach_the_api),
        cmocka_unit_test(without_a_set_origin_it_is_where_the_request_went),
        cmocka_unit_test(an_origin_has_a_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
