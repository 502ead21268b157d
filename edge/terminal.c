/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L

#include "edge/terminal.h"

#include "base/invariant.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char REPLACEMENT[] = "\xef\xbf\xbd"; /* U+FFFD */
enum { CODE_BROKEN = 0x110000 };                  /* past the last code point */

bool terminal_is_interactive(int descriptor)
{
    return isatty(descriptor) == 1;
}

bool terminal_has_color(int descriptor)
{
    const char *no_color = getenv("NO_COLOR");
    const char *kind = getenv("TERM");

    return terminal_is_interactive(descriptor) && (no_color == NULL || no_color[0] == '\0') &&
           kind != NULL && strcmp(kind, "dumb") != 0;
}

const char *terminal_locale(void)
{
    static const char *const NAMES[] = {"LC_ALL", "LC_MESSAGES", "LANG"}; /* POSIX, in this order */

    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        const char *found = getenv(NAMES[i]);

        if (found != NULL && found[0] != '\0')
            return found;
    }
    return "";
}

enum result terminal_write(int descriptor, struct bytes contents, struct problem *problem)
{
    size_t done = 0;

    while (done < contents.size) {
        ssize_t put = write(descriptor, contents.data + done, contents.size - done);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return problem_set(problem, errno == ENOSPC ? RESULT_EXHAUSTED : RESULT_REFUSED,
                               "writing the output: %s", strerror(errno));
        done += (size_t)put;
    }
    return RESULT_OK;
}

/* The code point at the start of `text` (not empty) and its size; a byte that starts none is
 * CODE_BROKEN of size 1. */
static uint32_t code_first(struct bytes text, size_t *ret_size)
{
    static const struct {
        uint8_t mask, pattern, payload;
    } LEADS[] = {{0x80, 0x00, 0x7f}, {0xe0, 0xc0, 0x1f}, {0xf0, 0xe0, 0x0f}, {0xf8, 0xf0, 0x07}};
    uint8_t lead = text.data[0];

    *ret_size = 1;
    for (size_t i = 0; i < sizeof LEADS / sizeof LEADS[0]; i++) {
        uint32_t code = (uint32_t)(lead & LEADS[i].payload);

        if ((lead & LEADS[i].mask) != LEADS[i].pattern)
            continue;
        if (lead == 0)
            return 0; /* base calls NUL no text; here it is one more control character */
        if (text.size < i + 1 || !bytes_are_text(bytes_of(text.data, i + 1)))
            return CODE_BROKEN;
        for (size_t k = 1; k <= i; k++)
            code = (code << 6) | (text.data[k] & 0x3fu);
        *ret_size = i + 1;
        return code;
    }
    return CODE_BROKEN;
}

/* Would move the cursor, colour the screen, break the line or turn the text around. */
static bool code_steers(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
           code == 0x200e || code == 0x200f || (code >= 0x202a && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069);
}

size_t terminal_width(struct bytes text)
{
    size_t width = 0;

    for (size_t done = 0; done < text.size; width++) {
        size_t size = 0;

        (void)code_first(bytes_of(text.data + done, text.size - done), &size);
        done += size;
    }
    return width;
}

bool terminal_is_plain(struct bytes text)
{
    for (size_t done = 0; done < text.size;) {
        size_t size = 0;
        uint32_t code = code_first(bytes_of(text.data + done, text.size - done), &size);

        if (code == CODE_BROKEN || code_steers(code))
            return false;
        done += size;
    }
    return true;
}

enum result terminal_append_plain(struct buffer *out, struct bytes text, struct problem *problem)
{
    size_t size_before = out->size;
    enum result result = RESULT_OK;

    for (size_t done = 0; done < text.size && result == RESULT_OK;) {
        size_t size = 0;
        uint32_t code = code_first(bytes_of(text.data + done, text.size - done), &size);

        result = code == CODE_BROKEN || code_steers(code)
                     ? buffer_append(out, REPLACEMENT, sizeof REPLACEMENT - 1, problem)
                     : buffer_append(out, text.data + done, size, problem);
        done += size;
    }
    if (result != RESULT_OK)
        out->size = size_before;
    return result;
}

/* One code point inside JSON quotes. */
static enum result append_escaped(struct buffer *out, uint32_t code, struct bytes as_read,
                                  struct problem *problem)
{
    static const char SHORTS[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* pairs: character, letter */
    char text[8];

    if (code == CODE_BROKEN)
        return buffer_append(out, REPLACEMENT, sizeof REPLACEMENT - 1, problem);
    for (size_t i = 0; i + 1 < sizeof SHORTS; i += 2) {
        if (code == (uint32_t)SHORTS[i]) {
            text[0] = '\\';
            text[1] = SHORTS[i + 1];
            return buffer_append(out, text, 2, problem);
        }
    }
    if (code_steers(code)) {
        int size = snprintf(text, sizeof text, "\\u%04x", (unsigned)code);

        invariant(size == 6); /* everything that steers is below U+10000 */
        return buffer_append(out, text, 6, problem);
    }
    return buffer_append(out, as_read.data, as_read.size, problem);
}

enum result terminal_append_quoted(struct buffer *out, struct bytes text, struct problem *problem)
{
    size_t size_before = out->size;
    enum result result = buffer_append(out, "\"", 1, problem);

    for (size_t done = 0; done < text.size && result == RESULT_OK;) {
        size_t size = 0;
        uint32_t code = code_first(bytes_of(text.data + done, text.size - done), &size);

        result = append_escaped(out, code, bytes_of(text.data + done, size), problem);
        done += size;
    }
    if (result == RESULT_OK)
        result = buffer_append(out, "\"", 1, problem);
    if (result != RESULT_OK)
        out->size = size_before;
    return result;
}

/* Cells lie one after the other in `cells`, each closed by a NUL (none is left inside). */
struct terminal_table {
    const struct terminal_column *columns;
    size_t column_count;
    size_t row_count;
    size_t widths[TERMINAL_COLUMN_COUNT_MAX];
    struct buffer cells;
};

struct terminal_table *terminal_table_create(const struct terminal_column *columns,
                                             size_t column_count, size_t size_max)
{
    struct terminal_table *table = calloc(1, sizeof *table);

    invariant(column_count > 0 && column_count <= TERMINAL_COLUMN_COUNT_MAX);
    if (table == NULL)
        return NULL;
    table->columns = columns;
    table->column_count = column_count;
    buffer_init(&table->cells, size_max);
    for (size_t i = 0; i < column_count; i++)
        table->widths[i] = terminal_width(bytes_of_text(columns[i].title));
    return table;
}

void terminal_table_destroy(struct terminal_table *table)
{
    if (table == NULL)
        return;
    buffer_done(&table->cells);
    free(table);
}

enum result terminal_table_add(struct terminal_table *table, const char *const *cells,
                               struct problem *problem)
{
    size_t size_before = table->cells.size;
    size_t widths[TERMINAL_COLUMN_COUNT_MAX];

    for (size_t i = 0; i < table->column_count; i++) {
        struct bytes cell = bytes_of_text(cells[i] == NULL ? "" : cells[i]);
        enum result result = terminal_append_plain(&table->cells, cell, problem);

        if (result == RESULT_OK)
            result = buffer_append(&table->cells, "", 1, problem);
        if (result != RESULT_OK) {
            table->cells.size = size_before;
            problem_add(problem, "row %zu of the table", table->row_count + 1);
            return result;
        }
        widths[i] = terminal_width(cell);
    }
    for (size_t i = 0; i < table->column_count; i++) {
        if (widths[i] > table->widths[i])
            table->widths[i] = widths[i];
    }
    table->row_count++;
    return RESULT_OK;
}

static enum result append_blanks(struct buffer *out, size_t count, struct problem *problem)
{
    uint8_t *room = NULL;
    enum result result = buffer_reserve(out, count, &room, problem);

    if (result != RESULT_OK || count == 0)
        return result;
    memset(room, ' ', count);
    out->size += count;
    return RESULT_OK;
}

/* A text in its column: blanks before it if right, after it unless it ends the line. */
static enum result append_cell(const struct terminal_table *table, size_t column, const char *text,
                               struct buffer *out, struct problem *problem)
{
    bool is_last = column + 1 == table->column_count;
    bool is_right = table->columns[column].is_right;
    size_t blanks = table->widths[column] - terminal_width(bytes_of_text(text));
    enum result result = append_blanks(out, is_right ? blanks : 0, problem);

    if (result == RESULT_OK)
        result = buffer_append(out, text, strlen(text), problem);
    if (result == RESULT_OK && !is_last)
        result = append_blanks(out, 2 + (is_right ? 0 : blanks), problem);
    return result;
}

/* Empty cells at the end of a row leave blanks behind; nobody wants them in a diff. */
static enum result end_line(struct buffer *out, size_t line_start, struct problem *problem)
{
    while (out->size > line_start && out->data[out->size - 1] == ' ')
        out->size--;
    return buffer_append(out, "\n", 1, problem);
}

enum result terminal_table_print(const struct terminal_table *table, struct buffer *out,
                                 struct problem *problem)
{
    const char *cell = (const char *)table->cells.data;

    for (size_t row = 0; row <= table->row_count; row++) {
        size_t line_start = out->size;
        enum result result = RESULT_OK;

        for (size_t i = 0; i < table->column_count && result == RESULT_OK; i++) {
            if (row == 0) {
                result = append_cell(table, i, table->columns[i].title, out, problem);
                continue;
            }
            result = append_cell(table, i, cell, out, problem);
            cell += strlen(cell) + 1;
        }
        if (result == RESULT_OK)
            result = end_line(out, line_start, problem);
        if (result != RESULT_OK)
            return result;
    }
    return RESULT_OK;
}

void terminal_json_init(struct terminal_json *json, struct buffer *out)
{
    *json = (struct terminal_json){.out = out, .result = RESULT_OK};
}

static void json_append(struct terminal_json *json, const char *text, size_t size)
{
    if (json->result == RESULT_OK)
        json->result = buffer_append(json->out, text, size, &json->problem);
}

/* What stands before a value: nothing after a key, a comma after an item. */
static void json_before_value(struct terminal_json *json)
{
    bool in_object = json->depth > 0 && json->closings[json->depth - 1] == '}';

    invariant(json->has_key == in_object);
    if (!json->has_key && json->has_items[json->depth]) {
        invariant(json->depth > 0); /* one value a document */
        json_append(json, ",", 1);
    }
    json->has_items[json->depth] = true;
    json->has_key = false;
}

static void json_open(struct terminal_json *json, const char *opening, char closing)
{
    json_before_value(json);
    invariant(json->depth < TERMINAL_JSON_DEPTH_MAX);
    json_append(json, opening, 1);
    json->closings[json->depth] = closing;
    json->depth++;
    json->has_items[json->depth] = false;
}

static void json_close(struct terminal_json *json, char closing)
{
    invariant(json->depth > 0 && !json->has_key);
    invariant(json->closings[json->depth - 1] == closing);
    json->depth--;
    json_append(json, &closing, 1);
}

void terminal_json_object_begin(struct terminal_json *json)
{
    json_open(json, "{", '}');
}

void terminal_json_object_end(struct terminal_json *json)
{
    json_close(json, '}');
}

void terminal_json_array_begin(struct terminal_json *json)
{
    json_open(json, "[", ']');
}

void terminal_json_array_end(struct terminal_json *json)
{
    json_close(json, ']');
}

static void json_quoted(struct terminal_json *json, struct bytes text)
{
    if (json->result == RESULT_OK)
        json->result = terminal_append_quoted(json->out, text, &json->problem);
}

void terminal_json_key(struct terminal_json *json, const char *key)
{
    invariant(json->depth > 0 && json->closings[json->depth - 1] == '}' && !json->has_key);
    if (json->has_items[json->depth])
        json_append(json, ",", 1);
    json_quoted(json, bytes_of_text(key));
    json_append(json, ":", 1);
    json->has_key = true;
}

void terminal_json_bytes(struct terminal_json *json, struct bytes text)
{
    json_before_value(json);
    json_quoted(json, text);
}

void terminal_json_text(struct terminal_json *json, const char *text)
{
    if (text == NULL)
        terminal_json_null(json);
    else
        terminal_json_bytes(json, bytes_of_text(text));
}

void terminal_json_number(struct terminal_json *json, int64_t number)
{
    char text[24];
    int size = snprintf(text, sizeof text, "%" PRId64, number);

    invariant(size > 0 && (size_t)size < sizeof text);
    json_before_value(json);
    json_append(json, text, (size_t)size);
}

void terminal_json_boolean(struct terminal_json *json, bool value)
{
    json_before_value(json);
    json_append(json, value ? "true" : "false", value ? 4 : 5);
}

void terminal_json_null(struct terminal_json *json)
{
    json_before_value(json);
    json_append(json, "null", 4);
}

enum result terminal_json_finish(struct terminal_json *json, struct problem *problem)
{
    invariant(json->depth == 0 && json->has_items[0]);
    json_append(json, "\n", 1);
    if (json->result != RESULT_OK)
        *problem = json->problem;
    return json->result;
}
