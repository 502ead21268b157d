/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/hello.h"

#include "protocol/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static struct hello example(void)
{
    struct hello hello = {.version_min = 1,
                          .version_max = 3,
                          .server_ms = LIMIT_TIME_MS_MAX,
                          .key_serial = LIMIT_SERIAL_MAX,
                          .retry_after_ms = LIMIT_RETRY_AFTER_MS_MAX,
                          .message_size_max = LIMIT_MESSAGE_SIZE_MAX};

    memset(hello.public_key, 1, sizeof hello.public_key);
    memset(hello.signature, 2, sizeof hello.signature);
    return hello;
}

static enum result through(const struct hello *hello, struct hello *ret_hello,
                           struct problem *problem)
{
    struct buffer buffer;
    enum result result;

    buffer_init(&buffer, LIMIT_HELLO_SIZE_MAX);
    assert_int_equal(hello_encode(hello, &buffer, problem), RESULT_OK);
    result = hello_decode(buffer_bytes(&buffer), ret_hello, problem);
    buffer_done(&buffer);
    return result;
}

static void the_largest_hello_fits_and_comes_back(void **state)
{
    struct hello hello = example();
    struct hello read = {0};
    struct problem problem = {0};

    (void)state;
    assert_int_equal(through(&hello, &read, &problem), RESULT_OK);
    assert_memory_equal(&read, &hello, sizeof hello);
}

static void each_field_out_of_its_range_is_refused(void **state)
{
    struct hello bad[8];
    struct hello read = {0};
    struct problem problem = {0};

    (void)state;
    for (size_t i = 0; i < 8; i++)
        bad[i] = example();
    bad[0].version_min = 0;
    bad[1].version_max = 256;
    bad[2].version_min = 4; /* above version_max */
    bad[3].server_ms = -1;
    bad[4].key_serial = LIMIT_SERIAL_MAX + 1;
    bad[5].retry_after_ms = LIMIT_RETRY_AFTER_MS_MAX + 1;
    bad[6].message_size_max = LIMIT_MESSAGE_OFFER_MIN - 1;
    bad[7].message_size_max = LIMIT_MESSAGE_SIZE_MAX + 1;
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(through(&bad[i], &read, &problem), RESULT_MALFORMED);
        assert_memory_equal(problem.text, "HELLO: ", 7);
        assert_int_equal(read.version_max, 0);
    }
}

static void what_is_no_hello_is_refused(void **state)
{
    static const uint8_t LARGE[LIMIT_HELLO_SIZE_MAX + 1];
    struct hello read = {0};
    struct problem problem = {0};

    (void)state;
    assert_int_equal(hello_decode(bytes_of(LARGE, sizeof LARGE), &read, &problem),
                     RESULT_MALFORMED);
    assert_int_equal(hello_decode(bytes_of_text("HTTP/1.1 200"), &read, &problem),
                     RESULT_MALFORMED);
    assert_int_equal(hello_decode((struct bytes){0}, &read, &problem), RESULT_MALFORMED);
    assert_int_equal(hello_decode(bytes_of("\x99\xa3YSF\1\1\1\1\1\1\1\1", 13), &read, &problem),
                     RESULT_MALFORMED);
    assert_string_equal(problem.text, "HELLO: byte 5: doesn't begin with FSY");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_hello_fits_and_comes_back),
        cmocka_unit_test(each_field_out_of_its_range_is_refused),
        cmocka_unit_test(what_is_no_hello_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
