/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

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
        cmocka_unit_test(answers_have_the_names_that_verdicts_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
