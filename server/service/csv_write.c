/* SPDX-License-Identifier: Apache-2.0 */
/* The writing half of csv.h. */
#include "server/service/csv.h"

#include <string.h>

static bool is_one_of(uint8_t byte, const char *set)
{
    return byte != 0 && strchr(set, byte) != NULL;
}

static bool needs_quotes(struct bytes text)
{
    if (text.size == 0 || text.data[0] == ' ' || text.data[text.size - 1] == ' ')
        return true;
    for (size_t i = 0; i < text.size; i++)
        if (is_one_of(text.data[i], ",\"\r\n"))
            return true;
    return false;
}

static enum result append_quoted(struct buffer *out, struct bytes text, struct problem *problem)
{
    enum result result = buffer_append(out, "\"", 1, problem);
    size_t begin = 0;

    for (size_t i = 0; i < text.size && result == RESULT_OK; i++) {
        if (text.data[i] != '"')
            continue;
        result = buffer_append(out, text.data + begin, i + 1 - begin, problem);
        begin = i; /* the quote once more */
    }
    if (result == RESULT_OK && begin < text.size)
        result = buffer_append(out, text.data + begin, text.size - begin, problem);
    if (result == RESULT_OK)
        result = buffer_append(out, "\"", 1, problem);
    return result;
}

static enum result append_cell(struct buffer *out, const struct csv_cell *cell,
                               bool for_spreadsheet, struct problem *problem)
{
    struct buffer guarded;
    struct bytes text = cell->text;
    enum result result = RESULT_OK;

    if (cell->is_null)
        return RESULT_OK;
    if (!cell->is_text)
        return buffer_append(out, text.data, text.size, problem);
    buffer_init(&guarded, out->size_max);
    if (for_spreadsheet && text.size > 0 && is_one_of(text.data[0], "=+-@\t\r")) {
        result = buffer_append(&guarded, "'", 1, problem);
        if (result == RESULT_OK)
            result = buffer_append(&guarded, text.data, text.size, problem);
        text = buffer_bytes(&guarded);
    }
    if (result == RESULT_OK)
        result = needs_quotes(text) ? append_quoted(out, text, problem)
                                    : buffer_append(out, text.data, text.size, problem);
    buffer_done(&guarded);
    return result;
}

enum result csv_append(struct buffer *out, const struct csv_cell *cells, size_t count,
                       bool for_spreadsheet, struct problem *problem)
{
    size_t size_before = out->size;
    enum result result = RESULT_OK;

    for (size_t i = 0; i < count && result == RESULT_OK; i++) {
        if (i > 0)
            result = buffer_append(out, ",", 1, problem);
        if (result == RESULT_OK)
            result = append_cell(out, &cells[i], for_spreadsheet, problem);
    }
    if (result == RESULT_OK)
        result = buffer_append(out, "\r\n", 2, problem);
    if (result != RESULT_OK)
        out->size = size_before;
    return result;
}
