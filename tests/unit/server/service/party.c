/* SPDX-License-Identifier: Apache-2.0 */
/* The same customer entered twice, where nobody could know of the other. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "server/service/party.h"
#include "tests/unit/server/service/bench.h"

static int64_t end_user(struct bench *bench, int64_t by_id, const char *name, const char *tax_code)
{
    return insert(bench, "party", by_id,
                  FIELDS({"kind", T("end_user")}, {"name", T(name)},
                         {"tax_code", tax_code == NULL ? value_null() : T(tax_code)}));
}

static int64_t contact(struct bench *bench, int64_t by_id, int64_t party_id, const char *phone)
{
    return insert(bench, "contact", by_id,
                  FIELDS({"party_id", N(party_id)}, {"name", T("Maria")}, {"phone", T(phone)}));
}

static void two_devices_enter_one_end_user_and_both_rows_stay(void **state)
{
    struct bench *bench = *state;
    int64_t first = end_user(bench, bench->mario, "Rossi Maria", "RSSMRA80A01L483X");
    int64_t second = 0;

    assert_int_equal(reviews(bench, "party_known_already", "help_desk"), 0);
    second = end_user(bench, bench->luigi, "M. Rossi", "RSSMRA80A01L483X");
    assert_true(first != second);
    assert_int_equal(number(bench,
                            "SELECT count(*) FROM party WHERE merged_into_id IS NULL"
                            " AND tax_code IS NOT NULL",
                            0, 0),
                     2);
    assert_int_equal(reviews(bench, "party_known_already", "help_desk"), 1);
    assert_int_equal(reviews(bench, "party_known_already", "billing"), 1);
    assert_int_equal(number(bench, "SELECT row_id FROM review_item WHERE role = 'help_desk'", 0, 0),
                     second);
}

static void the_same_phone_at_another_party_is_asked_about_once(void **state)
{
    struct bench *bench = *state;
    int64_t first = end_user(bench, bench->mario, "Bar Sport", NULL);
    int64_t second = end_user(bench, bench->luigi, "Bar dello Sport", NULL);

    (void)contact(bench, bench->mario, first, "0432 12345");
    (void)contact(bench, bench->mario, first, "0432 12345"); /* of the same party: no question */
    assert_int_equal(reviews(bench, "party_known_already", "help_desk"), 0);
    (void)contact(bench, bench->luigi, second, "0432 12345");
    (void)contact(bench, bench->luigi, second, "0432 12345");
    assert_int_equal(reviews(bench, "party_known_already", "help_desk"), 1);
}

static void what_was_merged_already_and_what_the_office_enters_is_not_asked_about(void **state)
{
    struct bench *bench = *state;
    int64_t first = end_user(bench, bench->mario, "Rossi", "RSSMRA80A01L483X");

    (void)end_user(bench, 0, "Rossi, as imported", "RSSMRA80A01L483X");
    assert_int_equal(reviews(bench, "party_known_already", "help_desk"), 0);
    (void)insert(bench, "party", 0,
                 FIELDS({"kind", T("end_user")}, {"name", T("Merged")}, {"tax_code", T("X1")},
                        {"merged_into_id", N(first)}));
    (void)end_user(bench, bench->luigi, "Alone now", "X1");
    (void)end_user(bench, bench->luigi, "Without a code", NULL);
    assert_int_equal(reviews(bench, "party_known_already", "help_desk"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(two_devices_enter_one_end_user_and_both_rows_stay),
        STORY(the_same_phone_at_another_party_is_asked_about_once),
        STORY(what_was_merged_already_and_what_the_office_enters_is_not_asked_about),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
