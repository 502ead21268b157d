/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_reader_gets_the_sentence_in_the_own_language(void **state)
{
    (void)state;
    assert_int_equal(reason_language_of("it_IT.UTF-8"), REASON_IN_ITALIAN);
    assert_int_equal(reason_language_of("it"), REASON_IN_ITALIAN);
    assert_int_equal(reason_language_of("italics"), REASON_IN_ENGLISH);
    assert_int_equal(reason_language_of("C"), REASON_IN_ENGLISH);
    assert_int_equal(reason_language_of(""), REASON_IN_ENGLISH);
    assert_string_equal(reason_sentence(REASON_NONE, REASON_IN_ITALIAN),
                        reason_italian(REASON_NONE));
    assert_string_equal(reason_sentence(REASON_NONE, REASON_IN_ENGLISH),
                        reason_english(REASON_NONE));
}

static void every_reason_has_a_code_of_its_own_and_two_sentences(void **state)
{
    (void)state;
    for (int i = 0; i < REASON_COUNT; i++) {
        enum reason reason = (enum reason)i;
        enum reason found = REASON_COUNT;

        assert_non_null(reason_code(reason));
        assert_in_range(strlen(reason_code(reason)), 4, REASON_CODE_SIZE_MAX);
        assert_int_equal(strspn(reason_code(reason), "abcdefghijklmnopqrstuvwxyz_"),
                         strlen(reason_code(reason)));
        assert_true(strlen(reason_english(reason)) > 10);
        assert_true(strlen(reason_italian(reason)) > 10);
        assert_string_not_equal(reason_english(reason), reason_italian(reason));
        assert_true(reason_find(reason_code(reason), &found));
        assert_int_equal(found, reason); /* the first with this code, so no second one has it */
    }
}

static void unknown_codes_are_not_found(void **state)
{
    enum reason found = REASON_REVOKED;

    (void)state;
    assert_false(reason_find("", &found));
    assert_false(reason_find("work_beats_pla", &found));
    assert_false(reason_find("WORK_BEATS_PLAN", &found));
    assert_int_equal(found, REASON_REVOKED);
}

static void codes_that_databases_hold_stay_as_they_are(void **state)
{
    static const char *const STORED[] = {
        "not_entitled",       "append_only",     "server_only",   "unknown_row",
        "bad_reference",      "check_failed",    "older_edit",    "natural_key_merged",
        "written_once",       "revoked",         "type_mismatch", "id_out_of_range",
        "unknown_table",      "unknown_column",  "too_large",     "work_beats_plan",
        "double_visit",       "plan_changed",    "call_merged",   "done_after_cancel",
        "closed_on_behalf",   "negative_stock",  "already_there", "held_for_other_call",
        "work_after_billing", "serial_conflict", "same_event",    "visit_after_close",
    };
    enum reason found = REASON_NONE;

    (void)state;
    for (size_t i = 0; i < sizeof STORED / sizeof STORED[0]; i++)
        assert_true(reason_find(STORED[i], &found));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_has_a_code_of_its_own_and_two_sentences),
        cmocka_unit_test(a_reader_gets_the_sentence_in_the_own_language),
        cmocka_unit_test(unknown_codes_are_not_found),
        cmocka_unit_test(codes_that_databases_hold_stay_as_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
