/* SPDX-License-Identifier: Apache-2.0 */
/* number.h: a whole number that somebody has typed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Is `text` a whole number, with a sign or without, and nothing behind it? If not, or if it doesn't
 * fit, *ret_number is untouched. */
bool number_read(const char *text, int64_t *ret_number);
/* For names that may as well be an id: 0 is none. */
int64_t number_or_zero(const char *text);
