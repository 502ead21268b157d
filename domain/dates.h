/* SPDX-License-Identifier: Apache-2.0 */
/* dates.h: civil dates of contracts, fees and warranties; no hours, no time zones.
 *
 * A date is stored as text YYYY-MM-DD and computed with as a day number: days since 1970-01-01 in
 * the proleptic Gregorian calendar (ISO 8601). Years are 1 to 9999; whatever leaves them is refused
 * and the outputs are untouched. Months are always added to the original day, never to a result:
 * 31 January, 28 February, 31 March. */
#pragma once

#include "base/result.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    DATE_TEXT_SIZE = 11,    /* "2026-11-23" and NUL */
    DATE_DAY_MIN = -719162, /* 0001-01-01 */
    DATE_DAY_MAX = 2932896, /* 9999-12-31 */
};

/* Exactly "YYYY-MM-DD", a day that exists.
 * RESULT_REFUSED  anything else: tell the sender */
MUST_CHECK enum result date_parse(const char *text, int64_t *ret_day, struct problem *problem);

/* `day` is within DATE_DAY_MIN..DATE_DAY_MAX. */
void date_format(int64_t day, char ret_text[DATE_TEXT_SIZE]);

/* The day number of a civil date; RESULT_REFUSED if there is no such day. */
MUST_CHECK enum result date_from_civil(int64_t year, int64_t month, int64_t day_of_month,
                                       int64_t *ret_day, struct problem *problem);

/* 1 Monday to 7 Sunday (ISO 8601). */
int date_weekday(int64_t day);

bool date_is_leap_year(int64_t year);

/* The same day of the month `months` later (or earlier, if negative), or the last of that month if
 * it is shorter. RESULT_REFUSED  outside of the years 1 to 9999 */
MUST_CHECK enum result date_add_months(int64_t day, int64_t months, int64_t *ret_day,
                                       struct problem *problem);

/* Last day of a term of `months` (at least 1) that starts on `start`: the day before the same day
 * `months` later. A contract of 36 months renewed twice by 12 ends at date_term_end(start, 60). */
MUST_CHECK enum result date_term_end(int64_t start, int64_t months, int64_t *ret_day,
                                     struct problem *problem);

/* Both days are inside. */
struct date_period {
    int64_t from;
    int64_t to;
};

/* Period `index` (from 0) of `months` each, counted from the anchor day:
 * [anchor + index*months, anchor + (index+1)*months - 1 day].
 * RESULT_REFUSED  months < 1, index < 0, or outside of the years 1 to 9999 */
MUST_CHECK enum result date_period(int64_t anchor, int64_t months, int64_t index,
                                   struct date_period *ret_period, struct problem *problem);

/* Days in a period, both ends counted; 0 if it is empty. */
int64_t date_period_days(struct date_period period);

/* What two periods share; empty (to < from) if nothing. */
struct date_period date_period_overlap(struct date_period a, struct date_period b);
