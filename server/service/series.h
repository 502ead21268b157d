/* SPDX-License-Identifier: Apache-2.0 */
/* series.h: numbers that people read, taken from the server's own series (number_series rows that
 * belong to no device). A number is taken in the transaction that uses it, so none is given twice
 * and none is lost. */
#pragma once

#include "domain/numbers.h"
#include "server/store/work.h"

/* Takes the next number of this year's series: ("call", "C") gives `C2026-000123`.
 *
 * RESULT_EXHAUSTED  the series is used up
 * RESULT_REFUSED    the prefix is no prefix (domain/numbers.h) */
MUST_CHECK enum result series_take(struct work *work, const char *kind, const char *prefix,
                                   char ret_text[NUMBER_TEXT_SIZE], struct problem *problem);
