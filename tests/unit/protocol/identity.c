/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/identity.h"

#include "protocol/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <sodium.h>
#include <string.h>

static struct identity_code code_example(void)
{
    struct identity_code code = {.address = "sync.example.com:8443"};

    for (uint8_t i = 0; i < 32; i++) {
        code.root_public_key[i] = i;
        code.secret[i] = (uint8_t)(255 - i);
    }
    memset(code.token_id, 0xa5, sizeof code.token_id);
    return code;
}

static enum result decode(const char *text, struct identity_code *ret_code, struct problem *problem)
{
    return identity_code_decode(bytes_of_text(text), ret_code, problem);
}

/* RFC 8032, section 7.1, test 2: a public answer for seed, key and signature. */
static void signatures_are_those_of_rfc_8032(void **state)
{
    struct identity_signer signer;
    uint8_t seed[32];
    uint8_t signature[64];
    char text[129];

    (void)state;
    assert_true(bytes_from_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                               seed, 32));
    identity_signer_from(seed, &signer);
    bytes_to_hex(bytes_of(signer.public_key, 32), text);
    assert_string_equal(text, "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    identity_sign(&signer, bytes_of_text("\x72"), signature);
    bytes_to_hex(bytes_of(signature, 64), text);
    assert_string_equal(text, "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                              "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
    assert_true(identity_verify(signer.public_key, bytes_of_text("\x72"), signature));
    assert_false(identity_verify(signer.public_key, bytes_of_text("\x73"), signature));
}

static void the_root_vouches_for_one_key_and_one_serial(void **state)
{
    struct identity_signer root;
    uint8_t seed[32] = {1};
    uint8_t server_key[32] = {2};
    uint8_t signature[64];
    uint8_t message[23 + 8 + 32] = "fieldsync server key v1\0\0\0\0\0\0\0\5\2";

    (void)state;
    identity_signer_from(seed, &root);
    identity_certify(&root, 5, server_key, signature);
    assert_true(identity_is_certified(root.public_key, 5, server_key, signature));
    assert_true(identity_verify(root.public_key, bytes_of(message, sizeof message), signature));
    assert_false(identity_is_certified(root.public_key, 6, server_key, signature));
    server_key[31] = 1;
    assert_false(identity_is_certified(root.public_key, 5, server_key, signature));
    server_key[31] = 0;
    signature[63] ^= 0x10;
    assert_false(identity_is_certified(root.public_key, 5, server_key, signature));
    signature[63] ^= 0x10;
    root.public_key[0] ^= 1;
    assert_false(identity_is_certified(root.public_key, 5, server_key, signature));
}

static void fingerprints_are_short_and_differ(void **state)
{
    char first[IDENTITY_FINGERPRINT_SIZE];
    char second[IDENTITY_FINGERPRINT_SIZE];
    uint8_t key[32] = {0};

    (void)state;
    identity_fingerprint(key, first);
    key[31] = 1;
    identity_fingerprint(key, second);
    /* head -c32 /dev/zero | b2sum -l 256 */
    assert_string_equal(first, "89eb-0d6a-8a69-1dae");
    assert_string_not_equal(first, second);
}

static void secrets_are_compared_and_wiped(void **state)
{
    uint8_t a[32] = {1, 2, 3};
    uint8_t b[32] = {1, 2, 3};

    (void)state;
    assert_true(identity_equal(a, b, sizeof a));
    b[31] = 1;
    assert_false(identity_equal(a, b, sizeof a));
    identity_wipe(a, sizeof a);
    assert_true(sodium_is_zero(a, sizeof a));
}

static void an_enrolment_code_comes_back_whatever_case_and_spacing(void **state)
{
    struct identity_code code = code_example();
    struct identity_code read;
    struct problem problem = {0};
    char text[IDENTITY_CODE_SIZE];
    char spaced[2 * IDENTITY_CODE_SIZE] = "  ";
    size_t at = 2;

    (void)state;
    assert_int_equal(identity_code_encode(&code, text, &problem), RESULT_OK);
    assert_memory_equal(text, "fs1:aaaqeayeaudaocajbifqydiob4", 30);
    assert_int_equal(decode(text, &read, &problem), RESULT_OK);
    assert_memory_equal(&read, &code, sizeof code);
    for (size_t i = 0; text[i] != '\0'; i++) {
        spaced[at++] = (char)toupper((unsigned char)text[i]);
        if (i % 8 == 7)
            spaced[at++] = i % 16 == 7 ? '-' : '\n';
    }
    assert_int_equal(identity_code_decode(bytes_of(spaced, at), &read, &problem), RESULT_OK);
    assert_memory_equal(&read, &code, sizeof code);
}

static void every_mistyped_character_of_a_code_is_noticed(void **state)
{
    struct identity_code code = code_example();
    struct identity_code read;
    struct identity_code zero = {0};
    struct problem problem = {0};
    char text[IDENTITY_CODE_SIZE];

    (void)state;
    assert_int_equal(identity_code_encode(&code, text, &problem), RESULT_OK);
    for (size_t i = 0; text[i] != '\0'; i++) {
        char before = text[i];

        text[i] = before == 'b' ? 'c' : 'b';
        assert_int_equal(decode(text, &read, &problem), RESULT_REFUSED);
        assert_memory_equal(&read, &zero, sizeof read);
        text[i] = '1'; /* not in the alphabet */
        if (before != '1')
            assert_int_equal(decode(text, &read, &problem), RESULT_REFUSED);
        text[i] = before;
        assert_int_equal(identity_code_decode(bytes_of(text, i), &read, &problem), RESULT_REFUSED);
    }
}

static void two_swapped_characters_are_told_as_mistyped(void **state)
{
    struct identity_code code = code_example();
    struct problem problem = {0};
    char text[IDENTITY_CODE_SIZE];
    char kept;

    (void)state;
    assert_int_equal(identity_code_encode(&code, text, &problem), RESULT_OK);
    kept = text[10];
    assert_true(kept != text[11]);
    text[10] = text[11];
    text[11] = kept;
    assert_int_equal(decode(text, &code, &problem), RESULT_REFUSED);
    assert_string_equal(problem.text, "the enrolment code is mistyped: its check doesn't match");
    assert_int_equal(decode("https://x", &code, &problem), RESULT_REFUSED);
    assert_string_equal(problem.text, "an enrolment code begins with fs1: and goes on behind it");
}

static void addresses_must_be_host_and_port(void **state)
{
    static const char *const GOOD[] = {"a:1", "[::1]:65535", "sync.example.com:443"};
    static const char *const BAD[] = {
        "",       "host",       ":80",         "host:",   "host:0", "host:08",     "host:8a",
        "h o:80", "host:65536", "host:123456", "h\x7f:1", "h\n:80", "h\xc3\xa4:80"};
    struct identity_code code = code_example();
    struct identity_code read;
    struct problem problem = {0};
    char text[IDENTITY_CODE_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        memset(code.address, 0, sizeof code.address);
        memcpy(code.address, GOOD[i], strlen(GOOD[i]));
        assert_int_equal(identity_code_encode(&code, text, &problem), RESULT_OK);
        assert_int_equal(decode(text, &read, &problem), RESULT_OK);
        assert_string_equal(read.address, GOOD[i]);
    }
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        memset(code.address, 0, sizeof code.address);
        memcpy(code.address, BAD[i], strlen(BAD[i]));
        assert_int_equal(identity_code_encode(&code, text, &problem), RESULT_REFUSED);
    }
}

static void the_longest_address_fits_and_a_longer_code_is_refused(void **state)
{
    struct identity_code code = code_example();
    struct identity_code read;
    struct problem problem = {0};
    char text[IDENTITY_CODE_SIZE + 100];

    (void)state;
    memset(code.address, 'h', IDENTITY_ADDRESS_SIZE_MAX);
    memcpy(code.address + IDENTITY_ADDRESS_SIZE_MAX - 4, ":443", 4);
    assert_int_equal(identity_code_encode(&code, text, &problem), RESULT_OK);
    assert_true(strlen(text) < IDENTITY_CODE_SIZE);
    assert_int_equal(decode(text, &read, &problem), RESULT_OK);
    assert_string_equal(read.address, code.address);
    memset(text + strlen(text), 'a', 50);
    text[IDENTITY_CODE_SIZE + 20] = '\0';
    assert_int_equal(decode(text, &read, &problem), RESULT_REFUSED);
}

static struct identity_file file_example(enum identity_kind kind)
{
    struct identity_file file = {.kind = kind};

    if (kind == IDENTITY_SERVER) {
        file.serial = LIMIT_SERIAL_MAX;
        memset(file.signature, 5, sizeof file.signature);
    }
    if (kind != IDENTITY_SERVER)
        memset(file.sign_seed, 2, sizeof file.sign_seed);
    if (kind != IDENTITY_ROOT && kind != IDENTITY_REPORT) {
        memset(file.noise_private, 1, sizeof file.noise_private);
        memset(file.root_public_key, 3, sizeof file.root_public_key);
    }
    if (kind == IDENTITY_DEVICE)
        memset(file.psk, 4, sizeof file.psk);
    return file;
}

static void key_files_of_every_kind_come_back(void **state)
{
    (void)state;
    for (int kind = 0; kind < IDENTITY_KIND_COUNT; kind++) {
        struct identity_file file = file_example((enum identity_kind)kind);
        struct identity_file read;
        struct problem problem = {0};
        char text[IDENTITY_FILE_SIZE_MAX];
        size_t size = identity_file_encode(&file, text);

        assert_int_equal(size, strlen(text));
        assert_int_equal(identity_file_decode(bytes_of(text, size), file.kind, &read, &problem),
                         RESULT_OK);
        assert_int_equal(read.serial, file.serial);
        assert_memory_equal(read.noise_private, file.noise_private, 32);
        assert_memory_equal(read.sign_seed, file.sign_seed, 32);
        assert_memory_equal(read.root_public_key, file.root_public_key, 32);
        assert_memory_equal(read.psk, file.psk, 32);
        assert_memory_equal(read.signature, file.signature, 64);
    }
}

static void a_key_file_is_lines_of_text(void **state)
{
    struct identity_file file = file_example(IDENTITY_ROOT);
    char text[IDENTITY_FILE_SIZE_MAX];

    (void)state;
    (void)identity_file_encode(&file, text);
    assert_memory_equal(text,
                        "fieldsync root key 1\n"
                        "sign 0202020202020202020202020202020202020202020202020202020202020202\n"
                        "check ",
                        21 + 70 + 6);
}

static void damaged_key_files_are_refused_and_nothing_of_them_kept(void **state)
{
    struct identity_file file = file_example(IDENTITY_SERVER);
    struct identity_file read;
    struct problem problem = {0};
    char text[IDENTITY_FILE_SIZE_MAX];
    size_t size = identity_file_encode(&file, text);

    (void)state;
    for (size_t i = 0; i < size; i++) {
        char before = text[i];

        text[i] = before == '1' ? '2' : '1';
        assert_int_equal(
            identity_file_decode(bytes_of(text, size), IDENTITY_SERVER, &read, &problem),
            RESULT_MALFORMED);
        assert_true(sodium_is_zero((const uint8_t *)&read, sizeof read));
        text[i] = before;
        assert_int_equal(identity_file_decode(bytes_of(text, i), IDENTITY_SERVER, &read, &problem),
                         RESULT_MALFORMED);
    }
    text[size] = '\n';
    assert_int_equal(
        identity_file_decode(bytes_of(text, size + 1), IDENTITY_SERVER, &read, &problem),
        RESULT_MALFORMED);
    assert_int_equal(identity_file_decode(bytes_of(text, size), IDENTITY_DEVICE, &read, &problem),
                     RESULT_MALFORMED);
    assert_string_equal(problem.text,
                        "line 1 is not what a 'fieldsync device key 1' file has there");
}

static void a_new_root_counts_only_with_the_old_ones_word(void **state)
{
    static const uint8_t SEED[3][IDENTITY_KEY_SIZE] = {{1}, {2}, {3}};
    struct identity_signer roots[3];
    struct identity_root_change change;

    (void)state;
    for (int i = 0; i < 3; i++)
        identity_signer_from(SEED[i], &roots[i]);
    identity_change_root(&roots[0], roots[1].public_key, &change);
    assert_true(identity_is_root_change(roots[0].public_key, &change));
    assert_false(identity_is_root_change(roots[2].public_key, &change));
    assert_false(identity_is_root_change(roots[1].public_key, &change));
    memcpy(change.public_key, roots[2].public_key, IDENTITY_KEY_SIZE);
    assert_false(identity_is_root_change(roots[0].public_key, &change));
    identity_certify(&roots[0], 7, roots[1].public_key, change.signature); /* another purpose */
    memcpy(change.public_key, roots[1].public_key, IDENTITY_KEY_SIZE);
    assert_false(identity_is_root_change(roots[0].public_key, &change));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_are_those_of_rfc_8032),
        cmocka_unit_test(the_root_vouches_for_one_key_and_one_serial),
        cmocka_unit_test(fingerprints_are_short_and_differ),
        cmocka_unit_test(a_new_root_counts_only_with_the_old_ones_word),
        cmocka_unit_test(secrets_are_compared_and_wiped),
        cmocka_unit_test(an_enrolment_code_comes_back_whatever_case_and_spacing),
        cmocka_unit_test(every_mistyped_character_of_a_code_is_noticed),
        cmocka_unit_test(two_swapped_characters_are_told_as_mistyped),
        cmocka_unit_test(addresses_must_be_host_and_port),
        cmocka_unit_test(the_longest_address_fits_and_a_longer_code_is_refused),
        cmocka_unit_test(key_files_of_every_kind_come_back),
        cmocka_unit_test(a_key_file_is_lines_of_text),
        cmocka_unit_test(damaged_key_files_are_refused_and_nothing_of_them_kept),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
