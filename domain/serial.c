/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/serial.h"

#include "base/invariant.h"

#include <string.h>

/* Bytes of the separator that starts here, 0 if there is none. */
static size_t separator_size(struct bytes rest)
{
    static const char *const SEPARATORS[] = {
        " ",
        "\t",
        "-",
        "\xc2\xa0",
        "\xe2\x80\xaf",
        "\xe2\x80\x90",
        "\xe2\x80\x91",
        "\xe2\x80\x92",
        "\xe2\x80\x93",
        "\xe2\x80\x94",
        "\xe2\x80\x95",
        "\xe2\x88\x92",
    };

    for (size_t i = 0; i < sizeof SEPARATORS / sizeof SEPARATORS[0]; i++) {
        size_t size = strlen(SEPARATORS[i]);

        if (size <= rest.size && memcmp(rest.data, SEPARATORS[i], size) == 0)
            return size;
    }
    return 0;
}

enum result serial_normalise(struct bytes text, struct serial *ret_serial, struct problem *problem)
{
    struct serial serial = {0};
    size_t size = 0;
    size_t at = 0;

    if (text.size > SERIAL_TEXT_SIZE_MAX)
        return problem_set(problem, RESULT_REFUSED, "a serial number of %zu bytes, limit %d",
                           text.size, SERIAL_TEXT_SIZE_MAX);
    if (!bytes_are_text(text))
        return problem_set(problem, RESULT_REFUSED, "a serial number that is no text");
    while (at < text.size) {
        size_t skip = separator_size(bytes_of(text.data + at, text.size - at));
        uint8_t byte = text.data[at];

        if (skip > 0) {
            at += skip;
            continue;
        }
        if (byte < 0x20 || byte == 0x7f)
            return problem_set(problem, RESULT_REFUSED, "a control character in a serial number");
        if (size == SERIAL_SIZE_MAX)
            return problem_set(problem, RESULT_REFUSED, "a serial number longer than %d bytes",
                               SERIAL_SIZE_MAX);
        serial.text[size++] = (char)(byte >= 'a' && byte <= 'z' ? byte - 'a' + 'A' : byte);
        at++;
    }
    if (size == 0)
        return problem_set(problem, RESULT_REFUSED, "an empty serial number");
    invariant(serial.text[size] == '\0');
    *ret_serial = serial;
    return RESULT_OK;
}
