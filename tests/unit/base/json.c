/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char login[9];
static char password[16];
static const struct json_text TEXTS[] = {{"login", login, sizeof login},
                                         {"password", password, sizeof password}};

static enum result reads(const char *body, struct problem *problem)
{
    size_t size = strlen(body);
    uint8_t *exact = malloc(size == 0 ? 1 : size); /* so that a sanitizer sees a byte too far */
    enum result result;

    assert_non_null(exact);
    memcpy(exact, body, size);
    *problem = (struct problem){0};
    result = json_read_texts(bytes_of(exact, size), TEXTS, 2, problem);
    free(exact);
    return result;
}

static void names_come_in_any_order_with_blanks_between(void **state)
{
    struct problem problem = {0};

    (void)state;
    assert_int_equal(reads("{\"login\":\"anna\",\"password\":\"secret\"}", &problem), RESULT_OK);
    assert_string_equal(login, "anna");
    assert_string_equal(password, "secret");
    assert_int_equal(reads(" {\t\"password\" : \"\" ,\r\n\"login\":\"12345678\" } \n", &problem),
                     RESULT_OK);
    assert_string_equal(login, "12345678");
    assert_string_equal(password, "");
}

static void escapes_mean_what_the_standard_says(void **state)
{
    struct problem problem = {0};

    (void)state;
    assert_int_equal(
        reads("{\"login\":\"\\u00e0\\u20AC\",\"password\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}",
              &problem),
        RESULT_OK);
    assert_string_equal(login, "\xc3\xa0\xe2\x82\xac");
    assert_string_equal(password, "\"\\/\b\f\n\r\t");
    assert_int_equal(reads("{\"login\":\"\\ud83d\\ude00\",\"password\":\"x\"}", &problem),
                     RESULT_OK);
    assert_string_equal(login, "\xf0\x9f\x98\x80");
    assert_int_equal(reads("{\"log\\u0069n\":\"a\",\"password\":\"x\"}", &problem), RESULT_OK);
}

static void anything_else_is_refused_and_not_quoted(void **state)
{
    static const char *const BODIES[] = {
        "",
        "{",
        "{}",
        "[]",
        "null",
        "\"login\"",
        "{\"login\":\"a\"}",
        "{\"login\":\"a\",\"password\":\"topsecret\"",
        "{\"login\":\"a\",\"password\":\"topsecret\",}",
        "{\"login\":\"a\",\"password\":\"topsecret\"}x",
        "{\"login\":\"a\",\"password\":\"topsecret\"}{}",
        "{\"login\":\"a\" \"password\":\"topsecret\"}",
        "{\"login\":\"a\",\"login\":\"b\",\"password\":\"topsecret\"}",
        "{\"login\":\"a\",\"password\":\"topsecret\",\"topsecret\":\"\"}",
        "{\"login\":1,\"password\":\"topsecret\"}",
        "{\"login\":null,\"password\":\"topsecret\"}",
        "{\"login\":{},\"password\":\"topsecret\"}",
        "{login:\"a\",\"password\":\"topsecret\"}",
        "{'login':'a',\"password\":\"topsecret\"}",
        "{\"login\":\"123456789\",\"password\":\"topsecret\"}",
        "{\"login\":\"\\u0000\",\"password\":\"topsecret\"}",
        "{\"login\":\"\\ud800\",\"password\":\"topsecret\"}",
        "{\"login\":\"\\ude00\",\"password\":\"topsecret\"}",
        "{\"login\":\"\\ud83d\\u0041\",\"password\":\"topsecret\"}",
        "{\"login\":\"\\u12\",\"password\":\"topsecret\"}",
        "{\"login\":\"\\x41\",\"password\":\"topsecret\"}",
        "{\"login\":\"\xff\",\"password\":\"topsecret\"}",
        "{\"login\":\"\xc0\x80\",\"password\":\"topsecret\"}",
        "{\"login\":\"a\nb\",\"password\":\"topsecret\"}",
        "{\"login\":\"a\\",
        "{\"login\":\"a\\u",
        "/**/{\"login\":\"a\",\"password\":\"topsecret\"}",
    };
    struct problem problem;

    (void)state;
    for (size_t i = 0; i < sizeof BODIES / sizeof *BODIES; i++) {
        if (reads(BODIES[i], &problem) != RESULT_MALFORMED)
            fail_msg("taken: %s", BODIES[i]);
        assert_true(problem.text[0] != '\0');
        assert_null(strstr(problem.text, "topsecret"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_come_in_any_order_with_blanks_between),
        cmocka_unit_test(escapes_mean_what_the_standard_says),
        cmocka_unit_test(anything_else_is_refused_and_not_quoted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
