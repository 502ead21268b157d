/* SPDX-License-Identifier: Apache-2.0 */
/* The command `conflicts`, from a lost value to its answer. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "tests/unit/server/cli/kit.h"

#define CONFLICTS(...) run(shell, &CLI_CONFLICTS, WORDS("conflicts", __VA_ARGS__))

static const char *lose(struct shell *shell)
{
    static char id_text[24]; /* one at a time */
    struct bench *bench = shell->bench;
    int64_t id =
        insert(bench, "merge_loss", 0,
               FIELDS({"table_name", T("site")}, {"row_id", N(bench->site)},
                      {"column_name", T("name")}, {"kept", T("Forlì")}, {"lost", T("Cesena")},
                      {"user_id", N(bench->mario)}, {"rule", T("last_writer")},
                      {"occurred_at", N(AT(0))}, {"home", N(bucket_of(BUCKET_SITE, bench->site))}));

    (void)snprintf(id_text, sizeof id_text, "%lld", (long long)id);
    return id_text;
}

static void a_lost_value_is_listed_shown_and_written_again(void **state)
{
    struct shell *shell = *state;
    char *id = (char *)(uintptr_t)lose(shell);

    assert_said(shell, CONFLICTS("list"), "name: Cesena lost to Forlì");
    assert_said(shell, CONFLICTS("show", id), "last_writer");
    assert_said(shell, CONFLICTS("list", "--json"), "\"kind\":\"lost\"");
    assert_said(shell, CONFLICTS("resolve", id, "--reapply", "--by", "marta"), "reapplied");
    assert_string_equal(
        text(shell->bench, "SELECT name FROM site WHERE id = ?1", shell->bench->site, 0), "Cesena");
    assert_said(shell, CONFLICTS("list"), "ID");
    assert_null(strstr(shell->said, "Cesena"));
    assert_said(shell, CONFLICTS("list", "--all"), "reapplied");
}

static void an_answer_that_makes_no_sense_is_refused(void **state)
{
    struct shell *shell = *state;
    char *id = (char *)(uintptr_t)lose(shell);

    assert_refused(shell, CONFLICTS("resolve", id), "reapplied or discarded");
    assert_refused(shell, CONFLICTS("resolve", id, "--reapply", "--discard"), "not both");
    assert_refused(shell, CONFLICTS("resolve", "4711", "--discard"), "no conflict 4711");
    assert_refused(shell, CONFLICTS("show", "x"), "not a number");
    assert_said(shell, CONFLICTS("resolve", id, "--discard"), "discarded");
    assert_refused(shell, CONFLICTS("resolve", id, "--discard"), "already");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        COMMAND(a_lost_value_is_listed_shown_and_written_again),
        COMMAND(an_answer_that_makes_no_sense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
