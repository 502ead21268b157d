/* SPDX-License-Identifier: Apache-2.0 */
/* The seal byte by byte, and what a comparison says. */
#include "domain/evidence.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t SALT[REPORT_SALT_SIZE] = {1, 2,  3,  4,  5,  6,  7,  8,
                                               9, 10, 11, 12, 13, 14, 15, 16};
static const char REPORT[] = "fieldsync work report 2\nlanguage it\nsalt 00\nactivity 5\n"
                             "customer Hotel Post\npart 12 F-100 2000 \n";

static struct evidence_claim claim_of(void)
{
    return (struct evidence_claim){.signature_id = 1,
                                   .activity_id = 5,
                                   .version_n = 1,
                                   .chain_n = 1,
                                   .call_id = 9,
                                   .customer_id = 4,
                                   .site_id = 3,
                                   .user_id = 12,
                                   .device_id = 2,
                                   .signed_at = 1000,
                                   .server_time = 900,
                                   .clock_offset_us = -5,
                                   .document_kind = bytes_of_text("report"),
                                   .language = bytes_of_text("it"),
                                   .document_hash = bytes_of_text("ab"),
                                   .signer_name = bytes_of_text("Maria Rossi"),
                                   .has_amount = true,
                                   .amount_cents = 25510,
                                   .salt = bytes_of(SALT, sizeof SALT)};
}

static void seal(const struct evidence_claim *claim, const char *report, struct buffer *ret_sealed)
{
    struct problem problem = {0};

    buffer_init(ret_sealed, 2 * EVIDENCE_SEAL_SIZE_MAX);
    assert_int_equal(evidence_append_seal(claim, bytes_of_text(report), ret_sealed, &problem),
                     RESULT_OK);
}

/* BLAKE2b-256 keyed with the salt over WORD, 0 and the value: computed here in one piece. */
static const char *salted(const char *word, const char *value, char hex[EVIDENCE_HEX_SIZE])
{
    uint8_t text[256];
    uint8_t hash[EVIDENCE_HASH_SIZE];
    size_t size = strlen(word) + 1;

    memcpy(text, word, size);
    memcpy(text + size, value, strlen(value));
    crypto_generichash(hash, sizeof hash, text, size + strlen(value), SALT, sizeof SALT);
    bytes_to_hex(bytes_of(hash, sizeof hash), hex);
    return hex;
}

static void a_seal_has_these_bytes_and_no_name(void **state)
{
    const struct evidence_claim claim = claim_of();
    char hex[4][EVIDENCE_HEX_SIZE];
    char expected[2048];
    struct buffer sealed;

    (void)state;
    seal(&claim, REPORT, &sealed);
    (void)snprintf(expected, sizeof expected,
                   "fieldsync report v1\nsignature 1\nactivity 5\nversion 1\nchain 1\nprevious -\n"
                   "call 9\ncustomer 4\nsite 3\ntechnician 12\ndevice 2\nsigned-at 1000\n"
                   "server-time 900\nclock-offset -5\ndocument report\nlanguage it\ntemplate 2\n"
                   "text ab\nstrokes -\nsigner %s\nrole -\nrefused -\namount 25510\n"
                   "item activity 5 %s\nitem customer %s\nitem part 12 %s\n",
                   salted("signer", "Maria Rossi", hex[0]), salted("item", "activity 5", hex[1]),
                   salted("item", "customer Hotel Post", hex[2]),
                   salted("item", "part 12 F-100 2000 ", hex[3]));
    assert_int_equal(sealed.size, strlen(expected));
    assert_memory_equal(sealed.data, expected, sealed.size);
    assert_int_equal(evidence_number(buffer_bytes(&sealed), "clock-offset"), -5);
    assert_int_equal(evidence_value(buffer_bytes(&sealed), "role").size, 0);
    buffer_done(&sealed);
}

static void a_long_report_keeps_its_seal_bounded(void **state)
{
    const struct evidence_claim claim = claim_of();
    struct problem problem = {0};
    struct buffer report;
    struct buffer sealed;

    (void)state;
    buffer_init(&report, REPORT_SIZE_MAX);
    for (int i = 0; i < 5000; i++) {
        char line[64];

        (void)snprintf(line, sizeof line, "work %d x\n", i);
        assert_int_equal(buffer_append(&report, line, strlen(line), &problem), RESULT_OK);
    }
    buffer_init(&sealed, 2 * EVIDENCE_SEAL_SIZE_MAX);
    assert_int_equal(evidence_append_seal(&claim, buffer_bytes(&report), &sealed, &problem),
                     RESULT_OK);
    assert_in_range(sealed.size, 1000, EVIDENCE_SEAL_SIZE_MAX);
    assert_int_equal(evidence_value(buffer_bytes(&sealed), "items-more").size, 64);
    buffer_done(&report);
    buffer_done(&sealed);
}

/* What a comparison of the seal with other rows, or another report, says. */
static void expect_difference(struct evidence_claim claim, const char *then, const char *now,
                              const char *says)
{
    const struct evidence_claim signed_claim = claim_of();
    struct evidence evidence = {.claim = claim};
    struct problem problem = {0};
    struct buffer sealed;
    struct buffer difference;

    seal(&signed_claim, REPORT, &sealed);
    evidence.sealed = buffer_bytes(&sealed);
    buffer_init(&difference, 4096);
    assert_int_equal(evidence_difference(&evidence, bytes_of_text(then), bytes_of_text(now),
                                         &difference, &problem),
                     RESULT_OK);
    assert_int_equal(buffer_append(&difference, "", 1, &problem), RESULT_OK);
    assert_string_equal((const char *)difference.data, says);
    buffer_done(&difference);
    buffer_done(&sealed);
}

static void a_difference_names_the_item_and_what_it_was(void **state)
{
    static const char NOW[] = "activity 5\ncustomer Hotel Post\npart 12 F-100 3000 \n";
    struct evidence_claim claim = claim_of();

    (void)state;
    expect_difference(claim, REPORT, REPORT, "");
    expect_difference(claim, REPORT, NOW, "- part 12 F-100 2000 \n+ part 12 F-100 3000 \n");
    expect_difference(claim, "", NOW,
                      "- part 12 (the signed text isn't here)\n+ part 12 F-100 3000 \n");
    claim.amount_cents = 1;
    claim.signer_name = bytes_of_text("Mario");
    expect_difference(claim, REPORT, REPORT,
                      "! the signer's name is not what was signed\n"
                      "! the amount is not what was signed: 25510, now 1\n");
}

/* Erased: only what is not salted can be compared, and still is. */
static void without_the_salt_ids_and_times_are_compared(void **state)
{
    struct evidence_claim claim = claim_of();

    (void)state;
    claim.salt = bytes_of(NULL, 0);
    claim.signer_name = bytes_of_text("(erased)");
    expect_difference(claim, "", "activity 5\ncustomer (erased)\n", "");
    claim.signed_at = 7;
    expect_difference(claim, "", "", "! the time of signing is not what was signed: 1000, now 7\n");
}

static void only_the_key_that_signed_fits(void **state)
{
    static const uint8_t SEED[32] = {5};
    static const uint8_t OTHER[32] = {6};
    uint8_t public_key[32], other_key[32], secret_key[64], unused[64];
    uint8_t signature[EVIDENCE_SIGNATURE_SIZE];
    struct bytes text = bytes_of_text("sealed");

    (void)state;
    crypto_sign_seed_keypair(other_key, unused, OTHER);
    crypto_sign_seed_keypair(public_key, secret_key, SEED);
    evidence_sign(text, secret_key, signature);
    assert_true(evidence_is_signed(text, public_key, bytes_of(signature, sizeof signature)));
    assert_false(evidence_is_signed(text, other_key, bytes_of(signature, sizeof signature)));
    assert_false(evidence_is_signed(text, public_key, bytes_of(signature, 63)));
    assert_false(
        evidence_is_signed(bytes_of(NULL, 0), public_key, bytes_of(signature, sizeof signature)));
    for (size_t i = 0; i < sizeof signature; i++) {
        signature[i] ^= 1;
        assert_false(evidence_is_signed(text, public_key, bytes_of(signature, sizeof signature)));
        signature[i] ^= 1;
    }
}

static void labels_tell_lines_of_a_report_apart(void **state)
{
    static const struct {
        const char *line;
        const char *label;
    } LINES[] = {
        {"part 12 F-100 2000 ", "part 12"},
        {"customer Hotel Post", "customer"},
        {"outcome solved", "outcome"},
        {"salt 00", ""},
        {"language it", ""},
        {"", ""},
        {"activity 5", "activity 5"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++)
        assert_true(
            bytes_equal(report_label(bytes_of_text(LINES[i].line)), bytes_of_text(LINES[i].label)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seal_has_these_bytes_and_no_name),
        cmocka_unit_test(a_long_report_keeps_its_seal_bounded),
        cmocka_unit_test(a_difference_names_the_item_and_what_it_was),
        cmocka_unit_test(without_the_salt_ids_and_times_are_compared),
        cmocka_unit_test(only_the_key_that_signed_fits),
        cmocka_unit_test(labels_tell_lines_of_a_report_apart),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
