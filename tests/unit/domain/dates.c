/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/dates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int64_t day(const char *text)
{
    struct problem problem = {0};
    int64_t number = 0;

    assert_int_equal(date_parse(text, &number, &problem), RESULT_OK);
    return number;
}

static void expect_day(int64_t number, const char *text)
{
    char shown[DATE_TEXT_SIZE];

    date_format(number, shown);
    assert_string_equal(shown, text);
}

static void known_days_have_their_numbers(void **state)
{
    (void)state;
    assert_int_equal(day("1970-01-01"), 0);
    assert_int_equal(day("1969-12-31"), -1);
    assert_int_equal(day("2000-03-01"), 11017);
    assert_int_equal(day("0001-01-01"), DATE_DAY_MIN);
    assert_int_equal(day("9999-12-31"), DATE_DAY_MAX);
}

/* Counts every day of ten thousand years with its own small calendar. */
static void every_day_is_written_and_read_back_in_order(void **state)
{
    static const int64_t DAYS[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct problem problem = {0};
    int64_t expected = DATE_DAY_MIN;
    char text[DATE_TEXT_SIZE];

    (void)state;
    for (int64_t year = 1; year <= 9999; year++) {
        int64_t leap = (year % 4 == 0) - (year % 100 == 0) + (year % 400 == 0);

        for (int64_t month = 1; month <= 12; month++) {
            for (int64_t of = 1; of <= DAYS[month - 1] + (month == 2 ? leap : 0); of++) {
                int64_t number = 0;

                assert_int_equal(date_from_civil(year, month, of, &number, &problem), RESULT_OK);
                assert_int_equal(number, expected);
                date_format(number, text);
                assert_int_equal(day(text), expected);
                expected++;
            }
        }
    }
    assert_int_equal(expected, (int64_t)DATE_DAY_MAX + 1);
}

static void texts_that_are_no_day_are_refused(void **state)
{
    static const char *const BAD[] = {
        "",           "2026-02-29", "1900-02-29",  "2026-13-01", "2026-00-10", "2026-04-31",
        "2026-4-03",  "2026/04/03", "0000-01-01",  "2026-01-00", "20260403",   "2026-04-03 ",
        "2026-04-0a", "-026-04-03", "2026-04-03T", "+026-04-03", "2026-04- 3", "10000-01-01",
    };
    struct problem problem = {0};
    int64_t number = 42;

    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        assert_int_equal(date_parse(BAD[i], &number, &problem), RESULT_REFUSED);
    assert_int_equal(number, 42);
}

static void weekdays_are_those_of_the_calendar(void **state)
{
    (void)state;
    assert_int_equal(date_weekday(day("1970-01-01")), 4); /* Thursday */
    assert_int_equal(date_weekday(day("2026-11-23")), 1);
    assert_int_equal(date_weekday(day("2024-02-29")), 4);
    assert_int_equal(date_weekday(day("0001-01-01")), 1);
    assert_int_equal(date_weekday(day("9999-12-31")), 5);
}

static void months_are_added_to_the_original_day(void **state)
{
    static const char *const ENDS[] = {"2025-08-31", "2025-09-30", "2025-10-31", "2025-11-30",
                                       "2025-12-31", "2026-01-31", "2026-02-28", "2026-03-31"};
    struct problem problem = {0};

    (void)state;
    for (int64_t i = 0; i < 8; i++) {
        int64_t number = 0;

        assert_int_equal(date_add_months(day("2025-08-31"), i, &number, &problem), RESULT_OK);
        expect_day(number, ENDS[i]);
    }
}

static void months_go_back_and_over_leap_days(void **state)
{
    struct problem problem = {0};
    int64_t number = 0;

    (void)state;
    assert_int_equal(date_add_months(day("2024-02-29"), 12, &number, &problem), RESULT_OK);
    expect_day(number, "2025-02-28");
    assert_int_equal(date_add_months(day("2024-02-29"), 48, &number, &problem), RESULT_OK);
    expect_day(number, "2028-02-29");
    assert_int_equal(date_add_months(day("2024-03-31"), -1, &number, &problem), RESULT_OK);
    expect_day(number, "2024-02-29");
    assert_int_equal(date_add_months(day("2024-01-15"), -13, &number, &problem), RESULT_OK);
    expect_day(number, "2022-12-15");
}

static void months_out_of_the_calendar_are_refused(void **state)
{
    struct problem problem = {0};
    int64_t number = 42;

    (void)state;
    assert_int_equal(date_add_months(day("9999-12-01"), 1, &number, &problem), RESULT_REFUSED);
    assert_int_equal(date_add_months(day("0001-01-31"), -1, &number, &problem), RESULT_REFUSED);
    assert_int_equal(date_add_months(0, INT64_MAX, &number, &problem), RESULT_REFUSED);
    assert_int_equal(date_add_months(0, INT64_MIN, &number, &problem), RESULT_REFUSED);
    assert_int_equal(date_add_months(INT64_MAX, 1, &number, &problem), RESULT_REFUSED);
    assert_int_equal(date_term_end(0, 0, &number, &problem), RESULT_REFUSED);
    assert_int_equal(number, 42);
}

/* 36 months from 2024-03-01, 90 days' notice, renewed by 12. */
static void a_contract_ends_and_renews_on_its_days(void **state)
{
    struct problem problem = {0};
    int64_t end = 0;

    (void)state;
    assert_int_equal(date_term_end(day("2024-03-01"), 36, &end, &problem), RESULT_OK);
    expect_day(end, "2027-02-28");
    expect_day(end - 90, "2026-11-30");
    assert_int_equal(date_term_end(day("2024-03-01"), 36 + 12, &end, &problem), RESULT_OK);
    expect_day(end, "2028-02-29");
    assert_int_equal(date_term_end(day("2024-11-20"), 24, &end, &problem), RESULT_OK);
    expect_day(end, "2026-11-19"); /* last day of a warranty */
}

static void fee_periods_follow_each_other_without_gap_or_overlap(void **state)
{
    struct problem problem = {0};
    struct date_period period = {0};
    int64_t next = day("2024-03-01");

    (void)state;
    for (int64_t i = 0; i < 12; i++) {
        assert_int_equal(date_period(day("2024-03-01"), 3, i, &period, &problem), RESULT_OK);
        assert_int_equal(period.from, next);
        next = period.to + 1;
    }
    expect_day(period.to, "2027-02-28");
    assert_int_equal(date_period(day("2025-08-31"), 1, 5, &period, &problem), RESULT_OK);
    expect_day(period.from, "2026-01-31");
    expect_day(period.to, "2026-02-27");
    assert_int_equal(date_period(0, 0, 1, &period, &problem), RESULT_REFUSED);
    assert_int_equal(date_period(0, 1, -1, &period, &problem), RESULT_REFUSED);
    assert_int_equal(date_period(0, INT64_MAX, INT64_MAX, &period, &problem), RESULT_REFUSED);
}

static void days_of_a_part_of_a_period_are_counted_with_both_ends(void **state)
{
    struct date_period quarter = {day("2026-01-01"), day("2026-03-31")};
    struct date_period asset = {day("2026-02-10"), day("2026-12-31")};
    struct date_period later = {day("2026-04-01"), day("2026-12-31")};

    (void)state;
    assert_int_equal(date_period_days(quarter), 90);
    assert_int_equal(date_period_days(date_period_overlap(quarter, asset)), 50);
    assert_int_equal(date_period_days(date_period_overlap(quarter, later)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_days_have_their_numbers),
        cmocka_unit_test(every_day_is_written_and_read_back_in_order),
        cmocka_unit_test(texts_that_are_no_day_are_refused),
        cmocka_unit_test(weekdays_are_those_of_the_calendar),
        cmocka_unit_test(months_are_added_to_the_original_day),
        cmocka_unit_test(months_go_back_and_over_leap_days),
        cmocka_unit_test(months_out_of_the_calendar_are_refused),
        cmocka_unit_test(a_contract_ends_and_renews_on_its_days),
        cmocka_unit_test(fee_periods_follow_each_other_without_gap_or_overlap),
        cmocka_unit_test(days_of_a_part_of_a_period_are_counted_with_both_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
