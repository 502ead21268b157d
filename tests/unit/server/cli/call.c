/* SPDX-License-Identifier: Apache-2.0 */
/* The command `call`, from words to rows and back to words. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "tests/unit/server/cli/kit.h"

#define CALL(...) run(shell, &CLI_CALL, WORDS("call", __VA_ARGS__))

static void a_call_is_opened_assigned_listed_and_shown(void **state)
{
    struct shell *shell = *state;

    assert_said(shell, CALL("open", "No heat", "--customer", "Rossi Srl", "--by", "helga"),
                "call C2026-000001 opened");
    assert_said(shell,
                CALL("assign", "C2026-000001", "--to", "mario", "--at", "2026-11-24T09:00Z",
                     "--minutes", "90"),
                "call C2026-000001 goes to mario");
    assert_said(shell, CALL("list"), "No heat");
    assert_said(shell, CALL("list", "--to", "mario"), "planned");
    assert_said(shell, CALL("list", "--to", "luigi"), "NUMBER");
    assert_null(strstr(shell->said, "No heat"));
    assert_said(shell, CALL("show", "C2026-000001"), "dispatched");
    assert_non_null(strstr(shell->said, "2026-11-24T09:00:00"));
    assert_int_equal(number(shell->bench, "SELECT planned_min FROM activity", 0, 0), 90);
}

static void json_is_what_programs_read(void **state)
{
    struct shell *shell = *state;

    assert_said(shell, CALL("open", "No heat", "--customer", "Rossi Srl", "--json"),
                "\"number\":\"C2026-000001\"");
    assert_said(shell, CALL("list", "--json"), "\"state\":\"new\"");
    assert_int_equal(shell->said[0], '[');
    assert_said(shell, CALL("show", "C2026-000001", "--json"), "[]");
}

static void a_call_is_cancelled_and_one_that_is_not_resolved_is_not_closed(void **state)
{
    struct shell *shell = *state;

    assert_said(shell, CALL("open", "No heat", "--customer", "Rossi Srl"), "opened");
    assert_refused(shell, CALL("close", "C2026-000001"), "the call is new");
    assert_said(shell, CALL("cancel", "C2026-000001", "--reason", "twice"), "cancelled");
    assert_refused(shell, CALL("cancel", "C2026-000001"), "the call is cancelled");
    assert_said(shell, CALL("list"), "NUMBER");
    assert_null(strstr(shell->said, "No heat"));
    assert_said(shell, CALL("list", "--all"), "No heat");
    assert_said(shell, CALL("show", "C2026-000001"), "twice");
}

static void mistakes_are_answered_with_what_to_do(void **state)
{
    struct shell *shell = *state;

    assert_refused(shell, CALL("open", "No heat"), "--customer");
    assert_refused(shell, CALL("open", "No heat", "--customer", "Bianchi"), "no customer");
    assert_said(shell, CALL("open", "No heat", "--customer", "Rossi Srl"), "opened");
    assert_refused(shell, CALL("assign", "C2026-000001"), "--to LOGIN");
    assert_refused(shell, CALL("assign", "C2026-000009", "--to", "mario"), "C2026-000009");
    assert_refused(shell, CALL("assign", "C2026-000001", "--to", "nobody"), "user list");
    assert_refused(shell, CALL("assign", "C2026-000001", "--to", "mario", "--at", "tomorrow"),
                   "2026-11-24T09:00Z");
    assert_refused(shell, CALL("assign", "C2026-000001", "--to", "mario", "--by", "mario"),
                   "draft");
    assert_refused(shell, CALL("asign", "C2026-000001"), "did you mean 'assign'");
    assert_int_equal(number(shell->bench, "SELECT count(*) FROM activity", 0, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        COMMAND(a_call_is_opened_assigned_listed_and_shown),
        COMMAND(json_is_what_programs_read),
        COMMAND(a_call_is_cancelled_and_one_that_is_not_resolved_is_not_closed),
        COMMAND(mistakes_are_answered_with_what_to_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
