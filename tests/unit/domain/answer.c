/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_role_is_read_back_from_its_name(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROLE_COUNT; i++)
        assert_int_equal(role_parse(role_name((enum role)(1u << i))), 1u << i);
    assert_int_equal(role_parse("T"), ROLE_TECHNICIAN);
    assert_int_equal(role_parse("adm"), ROLE_ADMINISTRATOR);
}

static void names_that_are_no_role_give_no_right(void **state)
{
    (void)state;
    assert_int_equal(role_parse(""), 0);
    assert_int_equal(role_parse("t"), 0);
    assert_int_equal(role_parse("TD"), 0);
}

static void answers_have_the_names_that_verdicts_store(void **state)
{
    (void)state;
    assert_string_equal(answer_name(ANSWER_ACCEPT), "accept");
    assert_string_equal(answer_name(ANSWER_ABSORB), "absorb");
    assert_string_equal(answer_name(ANSWER_BRANCH), "branch");
    assert_string_equal(answer_name(ANSWER_PARK), "park");
    assert_string_equal(answer_name(ANSWER_REFUSE), "refuse");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_role_is_read_back_from_its_name),
        cmocka_unit_test(names_that_are_no_role_give_no_right),
        cmocka_unit_test(answers_have_the_names_that_verdicts_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
