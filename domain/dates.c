/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/dates.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { YEAR_MAX = 9999, MONTHS_MAX = 12 * YEAR_MAX };

struct civil {
    int64_t year;
    int64_t month; /* 1..12 */
    int64_t day;   /* 1..31 */
};

bool date_is_leap_year(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int64_t month_days(int64_t year, int64_t month)
{
    static const int64_t DAYS[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    invariant(month >= 1 && month <= 12);
    return DAYS[month - 1] + (month == 2 && date_is_leap_year(year));
}

/* Years start in March here, so that the leap day is the last of its year; 719468 days lie between
 * 0000-03-01 and 1970-01-01. Years are 1 to 9999, so nothing below is negative. */
static int64_t civil_to_day(struct civil civil)
{
    int64_t year = civil.month <= 2 ? civil.year - 1 : civil.year;
    int64_t month = civil.month <= 2 ? civil.month + 9 : civil.month - 3; /* March is 0 */
    int64_t day_of_year = (153 * month + 2) / 5 + civil.day - 1;

    return year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719468;
}

static struct civil day_to_civil(int64_t day)
{
    int64_t since = day + 719468; /* days since 0000-03-01, >= 306 */
    int64_t era = since / 146097; /* of 400 years */
    int64_t of_era = since % 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * of_year + 2) / 153; /* March is 0 */
    struct civil civil = {0};

    invariant(day >= DATE_DAY_MIN && day <= DATE_DAY_MAX);
    civil.day = of_year - (153 * month + 2) / 5 + 1;
    civil.month = month < 10 ? month + 3 : month - 9;
    civil.year = era * 400 + year_of_era + (civil.month <= 2);
    return civil;
}

enum result date_from_civil(int64_t year, int64_t month, int64_t day_of_month, int64_t *ret_day,
                            struct problem *problem)
{
    if (year < 1 || year > YEAR_MAX || month < 1 || month > 12 || day_of_month < 1 ||
        day_of_month > month_days(year, month))
        return problem_set(problem, RESULT_REFUSED,
                           "there is no day %" PRId64 "-%" PRId64 "-%" PRId64, year, month,
                           day_of_month);
    *ret_day = civil_to_day((struct civil){.year = year, .month = month, .day = day_of_month});
    return RESULT_OK;
}

/* The number in `count` digits, -1 if one of them is none. */
static int64_t digits(const char *text, size_t count)
{
    int64_t number = 0;

    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        number = number * 10 + (text[i] - '0');
    }
    return number;
}

enum result date_parse(const char *text, int64_t *ret_day, struct problem *problem)
{
    if (strlen(text) != DATE_TEXT_SIZE - 1 || text[4] != '-' || text[7] != '-')
        return problem_set(problem, RESULT_REFUSED, "'%.20s' is not a date YYYY-MM-DD", text);
    return date_from_civil(digits(text, 4), digits(text + 5, 2), digits(text + 8, 2), ret_day,
                           problem);
}

void date_format(int64_t day, char ret_text[DATE_TEXT_SIZE])
{
    struct civil civil = day_to_civil(day);
    char text[64];
    int size = snprintf(text, sizeof text, "%04" PRId64 "-%02" PRId64 "-%02" PRId64, civil.year,
                        civil.month, civil.day);

    invariant(size == DATE_TEXT_SIZE - 1);
    memcpy(ret_text, text, DATE_TEXT_SIZE);
}

int date_weekday(int64_t day)
{
    invariant(day >= DATE_DAY_MIN && day <= DATE_DAY_MAX);
    return (int)((day + 719162) % 7) + 1; /* 0001-01-01 was a Monday */
}

enum result date_add_months(int64_t day, int64_t months, int64_t *ret_day, struct problem *problem)
{
    struct civil civil;
    int64_t index = 0; /* months since January of year 1 */

    if (day < DATE_DAY_MIN || day > DATE_DAY_MAX || months > MONTHS_MAX || months < -MONTHS_MAX)
        return problem_set(problem, RESULT_REFUSED, "the date is outside of the years 1 to 9999");
    civil = day_to_civil(day);
    index = (civil.year - 1) * 12 + civil.month - 1 + months;
    if (index < 0 || index >= MONTHS_MAX)
        return problem_set(problem, RESULT_REFUSED, "the date is outside of the years 1 to 9999");
    civil.year = index / 12 + 1;
    civil.month = index % 12 + 1;
    if (civil.day > month_days(civil.year, civil.month))
        civil.day = month_days(civil.year, civil.month);
    *ret_day = civil_to_day(civil);
    return RESULT_OK;
}

enum result date_term_end(int64_t start, int64_t months, int64_t *ret_day, struct problem *problem)
{
    int64_t next = 0;
    enum result result;

    if (months < 1)
        return problem_set(problem, RESULT_REFUSED, "a term has at least one month");
    result = date_add_months(start, months, &next, problem);
    if (result == RESULT_OK)
        *ret_day = next - 1;
    return result;
}

enum result date_period(int64_t anchor, int64_t months, int64_t index,
                        struct date_period *ret_period, struct problem *problem)
{
    struct date_period period = {0};
    enum result result;

    if (months < 1 || months > MONTHS_MAX || index < 0 || index > MONTHS_MAX)
        return problem_set(problem, RESULT_REFUSED,
                           "period %" PRId64 " of %" PRId64 " months does not exist", index,
                           months);
    result = date_add_months(anchor, months * index, &period.from, problem);
    if (result != RESULT_OK)
        return result;
    result = date_term_end(anchor, months * (index + 1), &period.to, problem);
    if (result == RESULT_OK)
        *ret_period = period;
    return result;
}

int64_t date_period_days(struct date_period period)
{
    return period.to < period.from ? 0 : period.to - period.from + 1;
}

struct date_period date_period_overlap(struct date_period a, struct date_period b)
{
    return (struct date_period){.from = a.from > b.from ? a.from : b.from,
                                .to = a.to < b.to ? a.to : b.to};
}
