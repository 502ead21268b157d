/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/csv.h"

#include "base/invariant.h"
#include "server/service/csv_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_SIZE = 64 * 1024,
    WINDOW_SIZE = CHUNK_SIZE / 2 * CSV_UTF16_GROWTH + 8,
    END_OF_FILE = -1,
    SEPARATOR_COUNT = 4,
};

static const char SEPARATORS[SEPARATOR_COUNT] = {',', ';', '\t', '|'};

static const char FAULT_NUL[] = "a NUL byte";
static const char FAULT_TEXT[] = "bytes that are no text in the file's encoding";
static const char FAULT_FIELD_SIZE[] = "a field longer than 1 MiB";
static const char FAULT_FIELD_COUNT[] = "more than 512 fields";
static const char FAULT_AFTER_QUOTE[] = "text after a closing quote";
static const char FAULT_OPEN_QUOTE[] = "a quote that is never closed";
static const char FAULT_CUT[] = "the file ends in the middle of it";

struct span {
    size_t offset;
    size_t size;
    bool is_quoted;
};

struct csv_reader {
    struct csv_format format;
    const struct csv_source *source;
    uint8_t chunk[CHUNK_SIZE];   /* as read */
    uint8_t window[WINDOW_SIZE]; /* in an encoding that keeps ASCII as it is */
    size_t window_size;
    size_t position;
    bool is_ended;
    bool has_non_ascii; /* valid UTF-8 beyond ASCII was seen */
    struct csv_utf16 utf16;
    enum result failure; /* of the source; told when the window is used up */
    struct problem problem;
    int64_t line;
    int64_t size;

    struct buffer text;      /* of the record, all fields one after the other */
    struct buffer converted; /* the same from Windows-1252 */
    struct buffer clean;     /* CSV_TOKENS: second and third field */
    struct span spans[CSV_FIELD_COUNT_MAX];
    struct csv_field fields[CSV_FIELD_COUNT_MAX];
    size_t field_count;
    size_t field_begin;
    bool is_quoted;
    const char *fault;
};

/* ---- bytes ---- */

static void fill(struct csv_reader *reader)
{
    size_t size = 0;

    reader->position = 0;
    reader->window_size = 0;
    while (!reader->is_ended && reader->window_size == 0) {
        uint8_t *room = reader->format.encoding >= CSV_UTF_16LE ? reader->chunk : reader->window;

        reader->failure = reader->source->read(reader->source->context, room, CHUNK_SIZE, &size,
                                               &reader->problem);
        if (reader->failure != RESULT_OK || size == 0) {
            reader->is_ended = true;
            return;
        }
        invariant(size <= CHUNK_SIZE);
        reader->size += (int64_t)size;
        reader->window_size = size;
        if (room == reader->chunk)
            reader->window_size =
                csv_utf16_convert(&reader->utf16, bytes_of(room, size), reader->window);
    }
}

static int peek(struct csv_reader *reader)
{
    if (reader->position == reader->window_size)
        fill(reader);
    return reader->position < reader->window_size ? reader->window[reader->position] : END_OF_FILE;
}

static int take(struct csv_reader *reader)
{
    int c = peek(reader);

    if (c == END_OF_FILE)
        return c;
    reader->position++;
    if (c == '\n')
        reader->line++;
    return c;
}

/* ---- fields of the record ---- */

static enum result put(struct csv_reader *reader, int c, struct problem *problem)
{
    uint8_t byte = (uint8_t)c;

    if (reader->text.size == CSV_RECORD_SIZE_MAX)
        return problem_set(problem, RESULT_REFUSED,
                           "a record larger than %d bytes; is a quote never closed?",
                           CSV_RECORD_SIZE_MAX);
    if (byte == 0)
        reader->fault = FAULT_NUL;
    if (reader->text.size < reader->text.capacity) {
        reader->text.data[reader->text.size++] = byte;
        return RESULT_OK;
    }
    return buffer_append(&reader->text, &byte, 1, problem);
}

static void end_field(struct csv_reader *reader)
{
    struct span *span;

    if (reader->field_count == CSV_FIELD_COUNT_MAX) {
        reader->fault = FAULT_FIELD_COUNT;
    } else {
        span = &reader->spans[reader->field_count++];
        span->offset = reader->field_begin;
        span->size = reader->text.size - reader->field_begin;
        span->is_quoted = reader->is_quoted;
        if (span->size > CSV_FIELD_SIZE_MAX)
            reader->fault = FAULT_FIELD_SIZE;
    }
    reader->field_begin = reader->text.size;
    reader->is_quoted = false;
}

static void begin_record(struct csv_reader *reader)
{
    buffer_reset(&reader->text);
    reader->field_count = 0;
    reader->field_begin = 0;
    reader->is_quoted = false;
    reader->fault = NULL;
}

/* ---- CSV_QUOTED ---- */

/* Counts each separator outside quotes in the first line that is there in the window. */
static char find_separator(const struct csv_reader *reader)
{
    size_t counts[SEPARATOR_COUNT] = {0};
    size_t best = 0;
    bool is_inside = false;

    for (size_t i = reader->position; i < reader->window_size; i++) {
        char c = (char)reader->window[i];

        if (c == '"')
            is_inside = !is_inside;
        if (c == '\n' && !is_inside)
            break;
        for (size_t s = 0; s < SEPARATOR_COUNT && !is_inside; s++)
            counts[s] += c == SEPARATORS[s];
    }
    for (size_t s = 1; s < SEPARATOR_COUNT; s++)
        if (counts[s] > counts[best])
            best = s;
    return SEPARATORS[best];
}

/* After the opening quote, to the character behind the closing one. */
static enum result take_quoted(struct csv_reader *reader, struct problem *problem)
{
    reader->is_quoted = true;
    for (;;) {
        int c = take(reader);
        enum result result;

        if (c == END_OF_FILE) {
            reader->fault = FAULT_OPEN_QUOTE;
            return RESULT_OK;
        }
        if (c == '"' && peek(reader) != '"')
            return RESULT_OK;
        if (c == '"')
            c = take(reader);
        result = put(reader, c, problem);
        if (result != RESULT_OK)
            return result;
    }
}

static enum result take_quoted_record(struct csv_reader *reader, struct problem *problem)
{
    bool is_at_start = true; /* of a field */
    enum result result = RESULT_OK;

    while (result == RESULT_OK) {
        int c = take(reader);

        if (c == '\r' && peek(reader) == '\n')
            c = take(reader);
        if (c == END_OF_FILE || c == '\n') {
            end_field(reader);
            return RESULT_OK;
        }
        if (c == (unsigned char)reader->format.separator) {
            end_field(reader);
            is_at_start = true;
        } else if (c == '"' && is_at_start) {
            result = take_quoted(reader, problem);
            is_at_start = false;
        } else {
            if (reader->is_quoted)
                reader->fault = FAULT_AFTER_QUOTE;
            result = put(reader, c, problem);
            is_at_start = false;
        }
    }
    return result;
}

/* ---- the other dialects ---- */

static enum result take_plain_record(struct csv_reader *reader, struct problem *problem)
{
    size_t last = reader->format.column_count;

    for (;;) {
        int c = take(reader);
        enum result result;

        if (c == '\r' && peek(reader) == '\n')
            c = take(reader);
        if (c == END_OF_FILE || (c == '\n' && reader->field_count + 1 >= last)) {
            end_field(reader);
            return RESULT_OK;
        }
        if (c == '\t') {
            end_field(reader);
            continue;
        }
        result = put(reader, c, problem);
        if (result != RESULT_OK)
            return result;
    }
}

static enum result take_marked_record(struct csv_reader *reader, struct problem *problem)
{
    for (;;) {
        int c = take(reader);
        enum result result;

        if (c == END_OF_FILE) {
            end_field(reader);
            reader->fault = FAULT_CUT;
            return RESULT_OK;
        }
        if ((c == '+' || c == '&') && peek(reader) == '|') {
            (void)take(reader);
            end_field(reader);
            if (c == '&')
                return RESULT_OK;
            continue;
        }
        result = put(reader, c, problem);
        if (result != RESULT_OK)
            return result;
    }
}

/* One line of tokens into `text`, its clean form into `clean`, an <id> into `id`. */
static enum result take_token_line(struct csv_reader *reader, struct buffer *id,
                                   struct problem *problem)
{
    size_t token = 0;
    size_t clean = 0;
    bool has_clean = false;
    enum result result = RESULT_OK;

    if (reader->text.size > 0)
        result = put(reader, ' ', problem);
    if (result == RESULT_OK && reader->clean.size > 0)
        result = buffer_append(&reader->clean, " ", 1, problem);
    token = reader->text.size;
    clean = reader->clean.size;
    while (result == RESULT_OK) {
        uint8_t byte;
        int c = take(reader);

        if (c == '\r' && peek(reader) == '\n')
            c = take(reader);
        if (c == END_OF_FILE || c == '\n')
            break;
        byte = (uint8_t)c;
        if (c == '\t' && !has_clean)
            has_clean = true;
        else if (has_clean)
            result = buffer_append(&reader->clean, &byte, 1, problem);
        else
            result = put(reader, c, problem);
    }
    if (result == RESULT_OK && id->size == 0 && reader->text.size > token &&
        reader->clean.size > clean &&
        bytes_equal(bytes_of(reader->clean.data + clean, reader->clean.size - clean),
                    bytes_of_text("<id>")))
        result = buffer_append(id, reader->text.data + token, reader->text.size - token, problem);
    return result;
}

static enum result put_all(struct csv_reader *reader, struct bytes text, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < text.size && result == RESULT_OK; i++)
        result = put(reader, text.data[i], problem);
    end_field(reader);
    return result;
}

static enum result take_token_record(struct csv_reader *reader, struct problem *problem)
{
    struct buffer id;
    enum result result = RESULT_OK;

    buffer_init(&id, CSV_FIELD_SIZE_MAX);
    buffer_reset(&reader->clean);
    while (result == RESULT_OK && peek(reader) != END_OF_FILE && peek(reader) != '\n' &&
           peek(reader) != '\r')
        result = take_token_line(reader, &id, problem);
    end_field(reader);
    if (result == RESULT_OK)
        result = put_all(reader, buffer_bytes(&reader->clean), problem);
    if (result == RESULT_OK)
        result = put_all(reader, buffer_bytes(&id), problem);
    buffer_done(&id);
    return result;
}

/* ---- the record in UTF-8 ---- */

static bool is_ascii(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] >= 0x80)
            return false;
    return true;
}

static enum result convert_fields(struct csv_reader *reader, struct problem *problem)
{
    buffer_reset(&reader->converted);
    for (size_t i = 0; i < reader->field_count; i++) {
        struct span *span = &reader->spans[i];
        size_t offset = reader->converted.size;
        enum result result = csv_text_from_1252(
            bytes_of(reader->text.data + span->offset, span->size), &reader->converted, problem);

        if (result == RESULT_REFUSED)
            reader->fault = FAULT_TEXT;
        else if (result != RESULT_OK)
            return result;
        span->offset = offset;
        span->size = reader->converted.size - offset;
    }
    return RESULT_OK;
}

static enum result finish_record(struct csv_reader *reader, struct problem *problem)
{
    const struct buffer *text = &reader->text;
    enum result result = RESULT_OK;

    if (!is_ascii(buffer_bytes(text)) && reader->fault == NULL) {
        bool is_utf8 = reader->format.encoding != CSV_WINDOWS_1252;

        for (size_t i = 0; i < reader->field_count && is_utf8; i++)
            is_utf8 = bytes_are_text(
                bytes_of(text->data + reader->spans[i].offset, reader->spans[i].size));
        if (is_utf8)
            reader->has_non_ascii = true;
        else if (reader->format.encoding == CSV_ENCODING_AUTO && !reader->has_non_ascii)
            reader->format.encoding = CSV_WINDOWS_1252;
        if (!is_utf8 && reader->format.encoding != CSV_WINDOWS_1252) {
            reader->fault = FAULT_TEXT;
        } else if (!is_utf8) {
            result = convert_fields(reader, problem);
            text = &reader->converted;
        }
    }
    for (size_t i = 0; i < reader->field_count; i++) {
        const struct span *span = &reader->spans[i];
        const uint8_t *data = text->data == NULL ? (const uint8_t *)"" : text->data + span->offset;

        reader->fields[i].text = bytes_of(data, span->size);
        reader->fields[i].is_quoted = span->is_quoted;
    }
    return result;
}

static enum result take_record(struct csv_reader *reader, struct problem *problem)
{
    switch (reader->format.dialect) {
    case CSV_PLAIN:
        return take_plain_record(reader, problem);
    case CSV_MARKED:
        return take_marked_record(reader, problem);
    case CSV_TOKENS:
        return take_token_record(reader, problem);
    case CSV_QUOTED:
        break;
    }
    return take_quoted_record(reader, problem);
}

/* Empty lines before a record are none of it. */
static void skip_empty_lines(struct csv_reader *reader)
{
    while (peek(reader) == '\n' || peek(reader) == '\r')
        (void)take(reader);
}

enum result csv_next(struct csv_reader *reader, struct csv_record *ret_record,
                     struct problem *problem)
{
    enum result result = RESULT_OK;
    int64_t line;

    begin_record(reader);
    skip_empty_lines(reader);
    line = reader->line;
    if (reader->format.dialect == CSV_QUOTED && reader->format.separator == 0)
        reader->format.separator = find_separator(reader);
    if (peek(reader) != END_OF_FILE) {
        result = take_record(reader, problem);
        if (result == RESULT_OK)
            result = finish_record(reader, problem);
    } else {
        line = 0;
    }
    if (result == RESULT_OK && reader->failure != RESULT_OK) {
        *problem = reader->problem;
        result = reader->failure;
    }
    if (result != RESULT_OK) {
        problem_add(problem, "line %" PRId64, reader->line);
        return result;
    }
    ret_record->line = line;
    ret_record->field_count = line == 0 ? 0 : reader->field_count;
    ret_record->fields = reader->fields;
    ret_record->fault = reader->fault;
    return RESULT_OK;
}

/* ---- opening ---- */

static bool starts_with(const struct csv_reader *reader, const char *mark, size_t size)
{
    return reader->window_size >= size && memcmp(reader->window, mark, size) == 0;
}

/* Converts what fill has read as plain bytes, from `offset` on. */
static void begin_utf16(struct csv_reader *reader, bool is_big_endian, size_t offset)
{
    size_t size = reader->window_size - offset;

    reader->format.encoding = is_big_endian ? CSV_UTF_16BE : CSV_UTF_16LE;
    reader->utf16.is_big_endian = is_big_endian;
    memcpy(reader->chunk, reader->window + offset, size);
    reader->window_size =
        csv_utf16_convert(&reader->utf16, bytes_of(reader->chunk, size), reader->window);
}

static enum result find_encoding(struct csv_reader *reader, struct problem *problem)
{
    enum csv_encoding given = reader->format.encoding;
    struct bytes head;
    bool is_big_endian = given == CSV_UTF_16BE;

    reader->format.encoding = CSV_ENCODING_AUTO; /* so that fill doesn't convert */
    fill(reader);
    reader->format.encoding = given;
    head = bytes_of(reader->window, reader->window_size < 4096 ? reader->window_size : 4096);
    if (starts_with(reader, "\xEF\xBB\xBF", 3)) {
        reader->format.encoding = CSV_UTF_8;
        reader->position = 3;
    } else if (starts_with(reader, "\xFF\xFE", 2)) {
        begin_utf16(reader, false, 2);
    } else if (starts_with(reader, "\xFE\xFF", 2)) {
        begin_utf16(reader, true, 2);
    } else if (given >= CSV_UTF_16LE ||
               (given == CSV_ENCODING_AUTO && csv_looks_like_utf16(head, &is_big_endian))) {
        begin_utf16(reader, is_big_endian, 0);
    } else if (head.size > 0 && reader->format.dialect != CSV_MARKED &&
               memchr(head.data, 0, head.size) != NULL &&
               memchr(head.data, '\n', head.size) == NULL) {
        return problem_set(problem, RESULT_REFUSED,
                           "this is no text file: NUL bytes and no line in the first %zu bytes",
                           head.size);
    }
    return RESULT_OK;
}

enum result csv_create(const struct csv_format *format, const struct csv_source *source,
                       struct csv_reader **ret_reader, struct problem *problem)
{
    struct csv_reader *reader = calloc(1, sizeof *reader);
    enum result result;

    if (reader == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a reader");
    reader->format = *format;
    reader->source = source;
    reader->line = 1;
    buffer_init(&reader->text, CSV_RECORD_SIZE_MAX);
    buffer_init(&reader->converted, 3 * (size_t)CSV_RECORD_SIZE_MAX);
    buffer_init(&reader->clean, CSV_RECORD_SIZE_MAX);
    result = find_encoding(reader, problem);
    if (result == RESULT_OK)
        *ret_reader = reader;
    else
        csv_destroy(reader);
    return result;
}

void csv_destroy(struct csv_reader *reader)
{
    if (reader == NULL)
        return;
    buffer_done(&reader->text);
    buffer_done(&reader->converted);
    buffer_done(&reader->clean);
    free(reader);
}

int64_t csv_line(const struct csv_reader *reader)
{
    return reader->line;
}

int64_t csv_size(const struct csv_reader *reader)
{
    return reader->size;
}

/* ---- names ---- */

static const struct {
    const char *option;
    const char *name;
} ENCODINGS[] = {
    [CSV_ENCODING_AUTO] = {"auto", "UTF-8"},
    [CSV_UTF_8] = {"utf-8", "UTF-8"},
    [CSV_WINDOWS_1252] = {"windows-1252", "Windows-1252"},
    [CSV_UTF_16LE] = {"utf-16le", "UTF-16LE"},
    [CSV_UTF_16BE] = {"utf-16be", "UTF-16BE"},
};
enum { ENCODING_COUNT = sizeof ENCODINGS / sizeof ENCODINGS[0] };

const char *csv_encoding_name(const struct csv_reader *r)
{
    return ENCODINGS[r->format.encoding].name;
}

bool csv_encoding_parse(const char *name, enum csv_encoding *ret_encoding)
{
    for (size_t i = 0; i < ENCODING_COUNT; i++) {
        if (strcmp(name, ENCODINGS[i].option) == 0) {
            *ret_encoding = (enum csv_encoding)i;
            return true;
        }
    }
    return false;
}
