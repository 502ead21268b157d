/* SPDX-License-Identifier: Apache-2.0 */
/* numbers.h: numbers that people read and print: `T07-000123`, `2026-000123`.
 *
 * A number is the prefix of a series, a dash and a counter of at least six digits, zero-padded. A
 * series belongs to one device (calls, quotes, reports, delivery notes of a technician) or to the
 * server (orders, invoices), so two writers never share a counter and no number is given twice.
 * A number has exactly one spelling: what number_format writes. */
#pragma once

#include "base/result.h"

#include <stdint.h>

enum {
    NUMBER_PREFIX_SIZE_MAX = 8, /* A-Z and 0-9 */
    NUMBER_DIGITS_MIN = 6,
    NUMBER_TEXT_SIZE = 24, /* the longest number and NUL */
};

#define NUMBER_COUNTER_MAX INT64_C(999999999999) /* twelve digits; counters start at 1 */

struct number {
    char prefix[NUMBER_PREFIX_SIZE_MAX + 1]; /* NUL-terminated */
    int64_t counter;
};

/* RESULT_REFUSED  the prefix is empty, too long or has other characters; the counter is not
 *                 1..NUMBER_COUNTER_MAX */
MUST_CHECK enum result number_format(const char *prefix, int64_t counter,
                                     char ret_text[NUMBER_TEXT_SIZE], struct problem *problem);

/* RESULT_REFUSED  not a number in its one spelling */
MUST_CHECK enum result number_parse(const char *text, struct number *ret_number,
                                    struct problem *problem);

/* Takes the next number of a series: `*next` is the counter to use and is advanced by one. The
 * caller stores `*next` in the same transaction as the row that carries the number.
 * RESULT_EXHAUSTED  the series is used up: the series needs a new prefix
 * RESULT_REFUSED    as number_format; `*next` is untouched */
MUST_CHECK enum result number_take(const char *prefix, int64_t *next,
                                   char ret_text[NUMBER_TEXT_SIZE], struct problem *problem);

/* Where a series goes on after a reinstall or a restored backup: one past the highest counter that
 * the server or the device itself knows (0: none). Numbers between may be missing, none is given
 * twice. RESULT_EXHAUSTED  the series is used up */
MUST_CHECK enum result number_resume(int64_t server_last, int64_t own_last, int64_t *ret_next,
                                     struct problem *problem);
