/* SPDX-License-Identifier: Apache-2.0 */
/* csv_text.h: the encodings that text files come in, turned into UTF-8. */
#pragma once

#include "base/bytes.h"

/* Appends bytes of Windows-1252 as UTF-8 (table of unicode.org, VENDORS/MICSFT/WINDOWS/CP1252.TXT).
 * RESULT_REFUSED  one of the five bytes that it doesn't define; `out` is as it was
 * RESULT_EXHAUSTED  `out` is full */
MUST_CHECK enum result csv_text_from_1252(struct bytes text, struct buffer *out,
                                          struct problem *problem);

/* Turns UTF-16 code units into UTF-8; a surrogate pair may be split between two calls. A lone
 * surrogate becomes the byte FF, which no UTF-8 has, so that its record is found to be at fault. */
struct csv_utf16 {
    bool is_big_endian;
    uint16_t high; /* first half of a pair, 0: none */
    uint8_t odd;   /* first byte of a unit, valid if has_odd */
    bool has_odd;
};

enum { CSV_UTF16_GROWTH = 3 }; /* bytes of output per two of input, at most; plus 6 */

/* ret_text has room for size / 2 * CSV_UTF16_GROWTH + 6 bytes; returns how many it wrote. */
size_t csv_utf16_convert(struct csv_utf16 *state, struct bytes input, uint8_t *ret_text);

/* Are these first bytes of a file UTF-16 without a mark? Most texts have zero bytes in every second
 * place then. ret_big_endian is set only if so. */
bool csv_looks_like_utf16(struct bytes head, bool *ret_big_endian);
