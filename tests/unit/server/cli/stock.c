/* SPDX-License-Identifier: Apache-2.0 */
/* The command `stock`, from words to moves and back to words. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "server/cli/office.h"
#include "tests/unit/server/cli/kit.h"

#define STOCK(...) run(shell, &CLI_STOCK, WORDS("stock", __VA_ARGS__))

static void goods_are_loaded_moved_counted_and_shown(void **state)
{
    struct shell *shell = *state;

    assert_said(shell, STOCK("load", "P", "12", "--to", "Main"), "12 of P moved to Main");
    assert_said(shell, STOCK("load", "P", "5", "--to", "mario", "--by", "walter"), "moved");
    assert_said(shell, STOCK("move", "P", "0.5", "--from", "mario", "--to", "luigi"),
                "0.5 of P moved to luigi");
    assert_said(shell, STOCK("count", "mario", "P=4", "--by", "walter"),
                "P: counted 4, the books said 4.5");
    assert_said(shell, STOCK("show", "mario"), "Van 1");
    assert_null(strstr(shell->said, "Main"));
    assert_said(shell, STOCK("show", "--item", "P", "--json"), "\"quantity_m\":7000");
    assert_non_null(strstr(shell->said, "\"quantity_m\":500"));
}

static void what_does_not_fit_the_books_is_refused_in_words(void **state)
{
    struct shell *shell = *state;

    assert_refused(shell, STOCK("load", "P", "1", "--to", "mario"), "less");
    assert_refused(shell, STOCK("load", "P", "many", "--to", "Main"), "no quantity");
    assert_refused(shell, STOCK("load", "P", "0", "--to", "Main"), "");
    assert_refused(shell, STOCK("load", "X", "1", "--to", "Main"), "no item 'X'");
    assert_refused(shell, STOCK("load", "P", "1", "--to", "Mars"), "no place 'Mars'");
    assert_refused(shell, STOCK("load", "P", "1"), "--to PLACE");
    assert_refused(shell, STOCK("move", "P", "1", "--to", "Main"), "--from PLACE");
    assert_refused(shell, STOCK("count", "Main", "P=1"), "--by LOGIN");
    assert_refused(shell, STOCK("count", "Main", "P", "--by", "walter"), "ITEM=QUANTITY");
    assert_int_equal(number(shell->bench, "SELECT count(*) FROM stock_move", 0, 0), 0);
}

static void quantities_have_three_decimals_at_most(void **state)
{
    static const struct {
        const char *text;
        int64_t quantity_m;
    } GOOD[] = {{"0", 0}, {"2", 2000}, {"0.5", 500}, {"1.25", 1250}, {"3.007", 3007}};
    static const char *const BAD[] = {"",   ".",   "1.",  ".5",    "1.2345",
                                      "-1", "1,5", "1e3", "1.2.3", "99999999999999999999"};
    struct problem problem = {0};
    int64_t quantity_m = 0;

    (void)state;
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        assert_int_equal(office_quantity(GOOD[i].text, &quantity_m, &problem), RESULT_OK);
        assert_int_equal(quantity_m, GOOD[i].quantity_m);
    }
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        if (office_quantity(BAD[i], &quantity_m, &problem) != RESULT_REFUSED)
            fail_msg("'%s' was taken as a quantity", BAD[i]);
}

static void quantities_are_written_as_short_as_they_are(void **state)
{
    static const struct {
        int64_t quantity_m;
        const char *text;
    } ALL[] = {{0, "0"},       {2000, "2"},      {2500, "2.5"},
               {-500, "-0.5"}, {-2250, "-2.25"}, {1007, "1.007"}};
    struct cli cli = {0};

    (void)state;
    arena_init(&cli.arena, 64 * 1024);
    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++)
        assert_string_equal(office_quantity_text(&cli, ALL[i].quantity_m), ALL[i].text);
    arena_done(&cli.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        COMMAND(goods_are_loaded_moved_counted_and_shown),
        COMMAND(what_does_not_fit_the_books_is_refused_in_words),
        cmocka_unit_test(quantities_have_three_decimals_at_most),
        cmocka_unit_test(quantities_are_written_as_short_as_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
