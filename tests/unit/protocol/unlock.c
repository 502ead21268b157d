/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/unlock.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void an_answer_fits_one_challenge_of_one_device(void **state)
{
    static const uint8_t PSK[32] = {1};
    static const uint8_t OTHER[32] = {2};
    char challenge[UNLOCK_TEXT_SIZE];
    char later[UNLOCK_TEXT_SIZE];
    char answer[UNLOCK_TEXT_SIZE];
    char wrong[UNLOCK_TEXT_SIZE];

    (void)state;
    unlock_challenge(7, (struct wall_time){1790000000000000}, challenge);
    unlock_challenge(7, (struct wall_time){1790000000000001}, later);
    assert_string_not_equal(challenge, later);
    assert_true(unlock_answer(PSK, 7, challenge, answer));
    assert_true(unlock_answer(PSK, 7, later, wrong));
    assert_false(unlock_is_same(answer, wrong));
    assert_true(unlock_answer(PSK, 8, challenge, wrong));
    assert_false(unlock_is_same(answer, wrong));
    assert_true(unlock_answer(OTHER, 7, challenge, wrong));
    assert_false(unlock_is_same(answer, wrong));
}

static void blanks_and_hyphens_in_a_number_do_not_matter(void **state)
{
    static const uint8_t PSK[32] = {1};
    char one[UNLOCK_TEXT_SIZE];
    char two[UNLOCK_TEXT_SIZE];

    (void)state;
    assert_true(unlock_answer(PSK, 7, "12345678", one));
    assert_true(unlock_answer(PSK, 7, " 1234-56 78 ", two));
    assert_string_equal(one, two);
    assert_false(unlock_answer(PSK, 7, "1234567", one));
    assert_false(unlock_answer(PSK, 7, "123456789", one));
    assert_false(unlock_answer(PSK, 7, "1234567x", one));
    assert_false(unlock_is_same("", ""));
    assert_true(unlock_is_same("0000 0001", "00000001"));
}

static int begin(void **state)
{
    (void)state;
    return sodium_init() < 0 ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_fits_one_challenge_of_one_device),
        cmocka_unit_test(blanks_and_hyphens_in_a_number_do_not_matter),
    };

    return cmocka_run_group_tests(tests, begin, NULL);
}
