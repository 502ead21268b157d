/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L

#include "base/invariant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Breaks (or keeps) an invariant in a child, returns its wait status and what it said on stderr. */
static int status_of_child(int value, char *ret_said, size_t said_size)
{
    int ends[2];
    int status = 0;
    size_t size = 0;
    ssize_t got = 0;
    pid_t child = 0;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL); /* cmocka catches it otherwise */
        invariant(value > 0);
        _exit(7);
    }
    (void)close(ends[1]);
    while ((got = read(ends[0], ret_said + size, said_size - 1 - size)) > 0)
        size += (size_t)got;
    ret_said[size] = '\0';
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void broken_invariant_stops_the_process_and_names_the_place(void **state)
{
    char said[4096];
    int status = status_of_child(0, said, sizeof said);

    (void)state;
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(said, "tests/unit/base/invariant.c:"));
    assert_non_null(strstr(said, ": invariant broken: value > 0\n"));
}

static void kept_invariant_is_silent(void **state)
{
    char said[4096];
    int status = status_of_child(1, said, sizeof said);

    (void)state;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_string_equal(said, "");
}

static void condition_is_looked_at_once(void **state)
{
    int count = 0;

    (void)state;
    invariant(++count > 0);
    assert_int_equal(count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_invariant_stops_the_process_and_names_the_place),
        cmocka_unit_test(kept_invariant_is_silent),
        cmocka_unit_test(condition_is_looked_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
