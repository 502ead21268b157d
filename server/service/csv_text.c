/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/csv_text.h"

/* 80 to 9F; 0: not defined. */
static const uint16_t WINDOWS_1252[32] = {
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};

static size_t put_utf8(uint32_t code, uint8_t *out)
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xC0 | (code >> 6));
        out[1] = (uint8_t)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xE0 | (code >> 12));
        out[1] = (uint8_t)(0x80 | ((code >> 6) & 0x3F));
        out[2] = (uint8_t)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | (code >> 18));
    out[1] = (uint8_t)(0x80 | ((code >> 12) & 0x3F));
    out[2] = (uint8_t)(0x80 | ((code >> 6) & 0x3F));
    out[3] = (uint8_t)(0x80 | (code & 0x3F));
    return 4;
}

enum result csv_text_from_1252(struct bytes text, struct buffer *out, struct problem *problem)
{
    size_t size_before = out->size;

    for (size_t i = 0; i < text.size; i++) {
        uint32_t code = text.data[i];
        uint8_t utf8[4];
        enum result result;

        if (code >= 0x80 && code < 0xA0)
            code = WINDOWS_1252[code - 0x80];
        if (code == 0 && text.data[i] != 0) {
            out->size = size_before;
            return problem_set(problem, RESULT_REFUSED, "byte %02X isn't Windows-1252",
                               (unsigned)text.data[i]);
        }
        result = buffer_append(out, utf8, put_utf8(code, utf8), problem);
        if (result != RESULT_OK) {
            out->size = size_before;
            return result;
        }
    }
    return RESULT_OK;
}

size_t csv_utf16_convert(struct csv_utf16 *state, struct bytes input, uint8_t *ret_text)
{
    size_t size = 0;

    for (size_t i = 0; i < input.size; i++) {
        unsigned high;
        unsigned low;
        uint16_t unit;

        if (!state->has_odd) {
            state->odd = input.data[i];
            state->has_odd = true;
            continue;
        }
        state->has_odd = false;
        high = state->is_big_endian ? state->odd : input.data[i];
        low = state->is_big_endian ? input.data[i] : state->odd;
        unit = (uint16_t)(high * 256u + low);
        if (state->high != 0 && unit >= 0xDC00 && unit <= 0xDFFF) {
            size += put_utf8(0x10000 + (((uint32_t)state->high - 0xD800) << 10) +
                                 ((uint32_t)unit - 0xDC00),
                             ret_text + size);
            state->high = 0;
            continue;
        }
        if (state->high != 0)
            ret_text[size++] = 0xFF;
        state->high = 0;
        if (unit >= 0xD800 && unit <= 0xDBFF)
            state->high = unit;
        else if (unit >= 0xDC00 && unit <= 0xDFFF)
            ret_text[size++] = 0xFF;
        else
            size += put_utf8(unit, ret_text + size);
    }
    return size;
}

bool csv_looks_like_utf16(struct bytes head, bool *ret_big_endian)
{
    size_t zeros[2] = {0, 0};
    size_t half = head.size / 2;

    for (size_t i = 0; i < half * 2; i++)
        zeros[i % 2] += head.data[i] == 0;
    if (half < 2 || (zeros[0] > 0 && zeros[1] > 0))
        return false;
    if (zeros[0] * 2 < half && zeros[1] * 2 < half)
        return false;
    *ret_big_endian = zeros[0] > 0;
    return true;
}
