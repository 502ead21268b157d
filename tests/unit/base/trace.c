/* SPDX-License-Identifier: Apache-2.0 */
#include "base/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct heard {
    char lines[4][600];
    size_t line_count;
};

static void hear(void *context, const char *line)
{
    struct heard *heard = context;

    assert_true(heard->line_count < 4);
    assert_true(strlen(line) < sizeof heard->lines[0]);
    memcpy(heard->lines[heard->line_count++], line, strlen(line) + 1);
}

static void each_fact_is_one_line_for_the_writer(void **state)
{
    struct heard heard = {0};
    struct trace trace = {.write = hear, .context = &heard};

    (void)state;
    trace_line(&trace, "%s > server: PUSH %d changes", "anna", 3);
    trace_line(&trace, "100 %%");
    assert_int_equal(heard.line_count, 2);
    assert_string_equal(heard.lines[0], "anna > server: PUSH 3 changes");
    assert_string_equal(heard.lines[1], "100 %");
}

static void nobody_listening_is_fine(void **state)
{
    const struct trace silent = {0};

    (void)state;
    trace_line(NULL, "%d", 1);
    trace_line(&silent, "%d", 1);
}

static void long_line_is_cut_not_lost(void **state)
{
    struct heard heard = {0};
    struct trace trace = {.write = hear, .context = &heard};
    char text[1000];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    trace_line(&trace, "start %s", text);
    assert_int_equal(heard.line_count, 1);
    assert_in_range(strlen(heard.lines[0]), 300, 599);
    assert_memory_equal(heard.lines[0], "start xxx", 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fact_is_one_line_for_the_writer),
        cmocka_unit_test(nobody_listening_is_fine),
        cmocka_unit_test(long_line_is_cut_not_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
