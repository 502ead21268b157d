/* SPDX-License-Identifier: Apache-2.0 */
/* serial.h: serial numbers as people type them, brought to one form for comparing.
 *
 * The normal form drops spaces and dashes and has ASCII letters in upper case: `ab-12 34` is
 * `AB1234`. Everything else stays as it is: leading zeros, other scripts, and texts that look like
 * numbers (`1E217` is a serial number, not a power of ten). Dropped are: space, tab, no-break space
 * (U+00A0, U+202F), hyphen-minus, U+2010 to U+2015 and minus (U+2212). */
#pragma once

#include "base/bytes.h"

enum {
    SERIAL_TEXT_SIZE_MAX = 128, /* bytes as typed: room for separators around every character */
    SERIAL_SIZE_MAX = 64,       /* bytes of the normal form, without NUL: longest label we print */
};

struct serial {
    char text[SERIAL_SIZE_MAX + 1]; /* NUL-terminated */
};

/* RESULT_REFUSED  no UTF-8 text, longer than the limits, a control character, or nothing left: the
 *                 caller keeps the text as typed and leaves the normal form empty */
MUST_CHECK enum result serial_normalise(struct bytes text, struct serial *ret_serial,
                                        struct problem *problem);
