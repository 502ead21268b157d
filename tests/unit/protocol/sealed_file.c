/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/sealed_file.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char PLAIN[] = "fieldsync device key 1\nnoise 00112233\n";

static struct sealed_key key_of(const char *passphrase)
{
    static const uint8_t SALT[SEALED_SALT_SIZE] = {1, 2, 3};
    struct sealed_key key = {0};
    struct problem problem = {0};

    assert_int_equal(sealed_key_derive(bytes_of_text(passphrase), SALT, &key, &problem), RESULT_OK);
    return key;
}

static size_t seal(const struct sealed_key *key, char text[SEALED_TEXT_SIZE_MAX])
{
    static const uint8_t NONCE[SEALED_NONCE_SIZE] = {9};

    return sealed_file_encode(bytes_of_text(PLAIN), key, NONCE, text);
}

static void what_was_sealed_opens_with_the_passphrase_and_no_other(void **state)
{
    struct sealed_key key = key_of("correct horse battery");
    struct sealed_key other = key_of("correct horse batterY");
    char text[SEALED_TEXT_SIZE_MAX];
    uint8_t plain[SEALED_PLAIN_SIZE_MAX];
    uint8_t salt[SEALED_SALT_SIZE];
    struct problem problem = {0};
    size_t size = seal(&key, text);
    size_t plain_size = 0;

    (void)state;
    assert_true(sealed_file_is(bytes_of(text, size)));
    assert_false(sealed_file_is(bytes_of_text(PLAIN)));
    assert_null(strstr(text, "00112233"));
    assert_int_equal(sealed_file_salt(bytes_of(text, size), salt, &problem), RESULT_OK);
    assert_memory_equal(salt, key.salt, sizeof salt);
    assert_int_equal(sealed_file_decode(bytes_of(text, size), &other, plain, &plain_size, &problem),
                     RESULT_REFUSED);
    assert_int_equal(sealed_file_decode(bytes_of(text, size), &key, plain, &plain_size, &problem),
                     RESULT_OK);
    assert_int_equal(plain_size, strlen(PLAIN));
    assert_memory_equal(plain, PLAIN, plain_size);
}

static void every_altered_byte_is_noticed(void **state)
{
    struct sealed_key key = key_of("correct horse battery");
    char text[SEALED_TEXT_SIZE_MAX];
    uint8_t plain[SEALED_PLAIN_SIZE_MAX];
    size_t plain_size = 0;
    size_t size = seal(&key, text);

    (void)state;
    for (size_t i = 0; i < size; i++) {
        struct problem problem = {0};
        char kept = text[i];
        /* the salt isn't the box's: whoever alters it gets another key */
        bool is_salt = i >= 24 + 5 && i < 24 + 5 + 2 * SEALED_SALT_SIZE;

        text[i] = kept == '0' ? '1' : '0';
        if (!is_salt)
            assert_int_not_equal(
                sealed_file_decode(bytes_of(text, size), &key, plain, &plain_size, &problem),
                RESULT_OK);
        text[i] = kept;
        if (i < size - 1)
            assert_int_not_equal(
                sealed_file_decode(bytes_of(text, i), &key, plain, &plain_size, &problem),
                RESULT_OK);
    }
}

static void a_short_passphrase_is_refused(void **state)
{
    static const uint8_t SALT[SEALED_SALT_SIZE] = {0};
    struct sealed_key key = {0};
    struct problem problem = {0};

    (void)state;
    assert_int_equal(sealed_key_derive(bytes_of_text("short"), SALT, &key, &problem),
                     RESULT_REFUSED);
    assert_non_null(strstr(problem.text, "10"));
}

static int begin(void **state)
{
    (void)state;
    return sodium_init() < 0 ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_opens_with_the_passphrase_and_no_other),
        cmocka_unit_test(every_altered_byte_is_noticed),
        cmocka_unit_test(a_short_passphrase_is_refused),
    };

    return cmocka_run_group_tests(tests, begin, NULL);
}
