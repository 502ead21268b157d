/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/cookie.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void what_was_written_is_read_again(void **state)
{
    uint8_t token[COOKIE_TOKEN_SIZE] = {1, 2, 250};
    uint8_t read[COOKIE_TOKEN_SIZE] = {0};
    char text[COOKIE_TEXT_SIZE];

    (void)state;
    for (int secure = 0; secure < 2; secure++) {
        cookie_write(token, secure != 0, text);
        assert_int_equal(strncmp(text, "__Host-", 7) == 0, secure);
        assert_int_equal(strstr(text, "; Secure") != NULL, secure);
        assert_non_null(strstr(text, "; HttpOnly"));
        assert_non_null(strstr(text, "; SameSite=Strict"));
        assert_non_null(strstr(text, "; Path=/"));
        assert_null(strstr(text, "Domain"));
        *strchr(text, ';') = '\0';
        assert_true(cookie_read(text, secure != 0, read));
        assert_memory_equal(read, token, sizeof token);
        assert_false(cookie_read(text, secure == 0, read)); /* of the other kind */
    }
    cookie_write(NULL, true, text);
    assert_non_null(strstr(text, "Max-Age=0"));
}

static void others_do_not_disturb_and_two_are_none(void **state)
{
    uint8_t read[COOKIE_TOKEN_SIZE] = {0};

    (void)state;
    assert_true(cookie_read("a=b; fieldsync=" HEX "; c=\"d\"", false, read));
    assert_true(cookie_read("notfieldsync=1;fieldsync=" HEX, false, read));
    assert_false(cookie_read("", false, read));
    assert_false(cookie_read("; ;;", false, read));
    assert_false(cookie_read("fieldsync", false, read));
    assert_false(cookie_read("fieldsync=", false, read));
    assert_false(cookie_read("fieldsync=" HEX "0", false, read));
    assert_false(cookie_read("fieldsync=x" HEX, false, read));
    assert_false(cookie_read("xfieldsync=" HEX, false, read));
    assert_false(cookie_read("fieldsync=" HEX "; fieldsync=" HEX, false, read));
    assert_false(cookie_read("fieldsync=" HEX "; fieldsync=1", false, read));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_again),
        cmocka_unit_test(others_do_not_disturb_and_two_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
