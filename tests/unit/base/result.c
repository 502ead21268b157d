/* SPDX-License-Identifier: Apache-2.0 */
#include "base/result.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void fill(char *text, size_t size, char letter)
{
    memset(text, letter, size - 1);
    text[size - 1] = '\0';
}

static void failing_line_returns_its_result_and_says_why(void **state)
{
    struct problem problem = {0};

    (void)state;
    assert_int_equal(problem_set(&problem, RESULT_REFUSED, "row %d: %s", 7, "too long"),
                     RESULT_REFUSED);
    assert_string_equal(problem.text, "row 7: too long");
    assert_int_equal(problem_set(&problem, RESULT_STORAGE, "later"), RESULT_STORAGE);
    assert_string_equal(problem.text, "later"); /* replaces, doesn't join */
}

static void context_goes_in_front_on_the_way_up(void **state)
{
    struct problem problem = {0};

    (void)state;
    assert_int_equal(problem_set(&problem, RESULT_REFUSED, "limit 64"), RESULT_REFUSED);
    problem_add(&problem, "row %d of %d", 7, 90);
    problem_add(&problem, "publishing at 812");
    assert_string_equal(problem.text, "publishing at 812: row 7 of 90: limit 64");
}

static void context_alone_is_the_problem(void **state)
{
    struct problem problem = {0};

    (void)state;
    problem_add(&problem, "publishing at %d", 812);
    assert_string_equal(problem.text, "publishing at 812");
}

static void text_that_is_too_long_is_cut_at_the_end(void **state)
{
    struct problem problem = {0};
    char text[PROBLEM_TEXT_SIZE + 100];

    (void)state;
    fill(text, sizeof text, 'x');
    assert_int_equal(problem_set(&problem, RESULT_REFUSED, "%s", text), RESULT_REFUSED);
    assert_int_equal(strlen(problem.text), PROBLEM_TEXT_SIZE - 1);
    text[PROBLEM_TEXT_SIZE - 1] = '\0';
    assert_string_equal(problem.text, text);
}

static void long_cause_loses_its_end_not_its_context(void **state)
{
    struct problem problem = {0};
    char cause[PROBLEM_TEXT_SIZE];

    (void)state;
    fill(cause, sizeof cause, 'c');
    assert_int_equal(problem_set(&problem, RESULT_REFUSED, "%s", cause), RESULT_REFUSED);
    problem_add(&problem, "applying");
    assert_int_equal(strlen(problem.text), PROBLEM_TEXT_SIZE - 1);
    assert_memory_equal(problem.text, "applying: ccc", 13);
}

static void long_context_leaves_half_for_the_cause(void **state)
{
    struct problem problem = {0};
    char context[PROBLEM_TEXT_SIZE + 100];

    (void)state;
    fill(context, sizeof context, 'k');
    assert_int_equal(problem_set(&problem, RESULT_REFUSED, "the cause"), RESULT_REFUSED);
    problem_add(&problem, "%s", context);
    assert_int_equal(strlen(problem.text), PROBLEM_TEXT_SIZE / 2 + strlen(": the cause"));
    assert_string_equal(problem.text + PROBLEM_TEXT_SIZE / 2, ": the cause");
}

static void many_levels_never_leave_the_text(void **state)
{
    struct {
        struct problem problem;
        char guard[16];
    } held = {.guard = "untouched"};

    (void)state;
    for (int i = 0; i < 1000; i++) {
        problem_add(&held.problem, "level %d", i);
        assert_true(memchr(held.problem.text, '\0', PROBLEM_TEXT_SIZE) != NULL);
    }
    assert_memory_equal(held.problem.text, "level 999: level 998: ", 22);
    assert_string_equal(held.guard, "untouched");
}

static void every_result_has_its_name(void **state)
{
    (void)state;
    assert_string_equal(result_name(RESULT_OK), "ok");
    assert_string_equal(result_name(RESULT_WAIT), "wait");
    assert_string_equal(result_name(RESULT_REFUSED), "refused");
    assert_string_equal(result_name(RESULT_MALFORMED), "malformed");
    assert_string_equal(result_name(RESULT_EXHAUSTED), "exhausted");
    assert_string_equal(result_name(RESULT_STORAGE), "storage");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failing_line_returns_its_result_and_says_why),
        cmocka_unit_test(context_goes_in_front_on_the_way_up),
        cmocka_unit_test(context_alone_is_the_problem),
        cmocka_unit_test(text_that_is_too_long_is_cut_at_the_end),
        cmocka_unit_test(long_cause_loses_its_end_not_its_context),
        cmocka_unit_test(long_context_leaves_half_for_the_cause),
        cmocka_unit_test(many_levels_never_leave_the_text),
        cmocka_unit_test(every_result_has_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
