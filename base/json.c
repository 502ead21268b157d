/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include "base/invariant.h"

#include <string.h>

enum { NAME_SIZE = 32, TEXTS_MAX = 32 };

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

/* Where one text goes. */
struct sink {
    char *text;
    size_t size; /* NUL included */
    size_t used;
};

static void skip_blanks(struct cursor *cursor)
{
    while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\t' ||
                                        *cursor->at == '\n' || *cursor->at == '\r'))
        cursor->at++;
}

/* Blanks, then this character? */
static bool take(struct cursor *cursor, char character)
{
    skip_blanks(cursor);
    if (cursor->at == cursor->end || *cursor->at != (uint8_t)character)
        return false;
    cursor->at++;
    return true;
}

static bool put(struct sink *sink, uint32_t byte)
{
    if (sink->used + 1 >= sink->size || byte == 0)
        return false;
    sink->text[sink->used++] = (char)(uint8_t)byte;
    return true;
}

static bool put_code_point(struct sink *sink, uint32_t point)
{
    if (point < 0x80)
        return put(sink, point);
    if (point < 0x800)
        return put(sink, 0xc0 | point >> 6) && put(sink, 0x80 | (point & 0x3f));
    if (point < 0x10000)
        return put(sink, 0xe0 | point >> 12) && put(sink, 0x80 | (point >> 6 & 0x3f)) &&
               put(sink, 0x80 | (point & 0x3f));
    return put(sink, 0xf0 | point >> 18) && put(sink, 0x80 | (point >> 12 & 0x3f)) &&
           put(sink, 0x80 | (point >> 6 & 0x3f)) && put(sink, 0x80 | (point & 0x3f));
}

static bool read_hex4(struct cursor *cursor, uint32_t *ret_unit)
{
    char digits[5] = "";
    uint8_t bytes[2];

    if (cursor->end - cursor->at < 4)
        return false;
    memcpy(digits, cursor->at, 4);
    if (!bytes_from_hex(digits, bytes, sizeof bytes))
        return false;
    cursor->at += 4;
    *ret_unit = (uint32_t)bytes[0] << 8 | bytes[1];
    return true;
}

/* Behind "\u": one unit, or two that make a point beyond the first 65,536. */
static bool read_point(struct cursor *cursor, struct sink *sink)
{
    uint32_t unit = 0;
    uint32_t low = 0;

    if (!read_hex4(cursor, &unit) || (unit >= 0xdc00 && unit < 0xe000))
        return false;
    if (unit < 0xd800 || unit >= 0xe000)
        return put_code_point(sink, unit);
    if (cursor->end - cursor->at < 2 || cursor->at[0] != '\\' || cursor->at[1] != 'u')
        return false;
    cursor->at += 2;
    if (!read_hex4(cursor, &low) || low < 0xdc00 || low >= 0xe000)
        return false;
    return put_code_point(sink, 0x10000 + ((unit - 0xd800) << 10 | (low - 0xdc00)));
}

static bool read_escape(struct cursor *cursor, struct sink *sink)
{
    static const char NAMES[] = "\"\\/bfnrt";
    static const char MEANINGS[] = "\"\\/\b\f\n\r\t";
    const char *name;
    char character;

    if (cursor->at == cursor->end)
        return false;
    character = (char)*cursor->at++;
    if (character == 'u')
        return read_point(cursor, sink);
    name = character == '\0' ? NULL : strchr(NAMES, character);
    return name != NULL && put(sink, (uint8_t)MEANINGS[name - NAMES]);
}

/* A text in quotes. */
static bool read_text(struct cursor *cursor, struct sink *sink)
{
    if (!take(cursor, '"'))
        return false;
    while (cursor->at < cursor->end && *cursor->at != '"') {
        uint8_t byte = *cursor->at++;

        if (byte < 0x20 || !(byte == '\\' ? read_escape(cursor, sink) : put(sink, byte)))
            return false;
    }
    if (cursor->at == cursor->end)
        return false;
    cursor->at++;
    sink->text[sink->used] = '\0';
    return bytes_are_text(bytes_of(sink->text, sink->used));
}

static enum result read_member(struct cursor *cursor, const struct json_text *texts,
                               size_t text_count, bool *seen, struct problem *problem)
{
    char name[NAME_SIZE] = "";
    struct sink name_sink = {.text = name, .size = sizeof name};
    struct sink sink = {0};
    size_t i = 0;

    if (!read_text(cursor, &name_sink) || !take(cursor, ':'))
        return problem_set(problem, RESULT_MALFORMED, "the body is not a JSON object of texts");
    while (i < text_count && strcmp(texts[i].name, name) != 0)
        i++;
    if (i == text_count)
        return problem_set(problem, RESULT_MALFORMED, "there is a name that doesn't belong here");
    if (seen[i])
        return problem_set(problem, RESULT_MALFORMED, "'%s' is there twice", texts[i].name);
    seen[i] = true;
    sink = (struct sink){.text = texts[i].text, .size = texts[i].size};
    if (!read_text(cursor, &sink))
        return problem_set(problem, RESULT_MALFORMED, "'%s' is not a text of at most %zu bytes",
                           texts[i].name, texts[i].size - 1);
    return RESULT_OK;
}

enum result json_read_texts(struct bytes body, const struct json_text *texts, size_t text_count,
                            struct problem *problem)
{
    struct cursor cursor = {0};
    bool seen[TEXTS_MAX] = {false};
    enum result result = RESULT_OK;
    bool is_open;

    invariant(text_count > 0 && text_count <= TEXTS_MAX);
    if (body.size > 0)
        cursor = (struct cursor){body.data, body.data + body.size};
    is_open = take(&cursor, '{');
    while (is_open && result == RESULT_OK) {
        result = read_member(&cursor, texts, text_count, seen, problem);
        if (!take(&cursor, ','))
            break;
    }
    if (result != RESULT_OK)
        return result;
    if (!is_open || !take(&cursor, '}'))
        return problem_set(problem, RESULT_MALFORMED, "the body is not a JSON object of texts");
    skip_blanks(&cursor);
    if (cursor.at != cursor.end)
        return problem_set(problem, RESULT_MALFORMED, "there is more behind the JSON object");
    for (size_t i = 0; i < text_count; i++)
        if (!seen[i])
            return problem_set(problem, RESULT_MALFORMED, "'%s' is missing", texts[i].name);
    return RESULT_OK;
}
