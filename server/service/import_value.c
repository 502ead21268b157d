/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/import_value.h"

#include "domain/dates.h"
#include "domain/serial.h"

#include <string.h>

enum { TEMPLATE_PIECES_MAX = 64 };

/* ---- white space ---- */

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static bool ends_with_nbsp(struct bytes text)
{
    return text.size >= 2 && text.data[text.size - 2] == 0xC2 && text.data[text.size - 1] == 0xA0;
}

static bool starts_with_nbsp(struct bytes text)
{
    return text.size >= 2 && text.data[0] == 0xC2 && text.data[1] == 0xA0;
}

struct bytes import_trim(struct bytes text)
{
    while (text.size > 0 && (is_blank(text.data[0]) || starts_with_nbsp(text))) {
        size_t step = is_blank(text.data[0]) ? 1 : 2;

        text.data += step;
        text.size -= step;
    }
    while (text.size > 0 && (is_blank(text.data[text.size - 1]) || ends_with_nbsp(text)))
        text.size -= is_blank(text.data[text.size - 1]) ? 1 : 2;
    return text;
}

/* ---- templates ---- */

static enum result find_field(struct bytes name, const struct bytes *heading, size_t field_count,
                              size_t *ret_field, struct problem *problem)
{
    size_t number = 0;

    for (size_t i = 0; heading != NULL && i < field_count; i++) {
        if (bytes_equal(name, heading[i])) {
            *ret_field = i;
            return RESULT_OK;
        }
    }
    if (bytes_equal(name, bytes_of_text("file")) || bytes_equal(name, bytes_of_text("record"))) {
        *ret_field = field_count + (name.size == strlen("record"));
        return RESULT_OK;
    }
    for (size_t i = 0; i < name.size && i < 4; i++) {
        if (name.data[i] < '0' || name.data[i] > '9')
            number = CSV_FIELD_COUNT_MAX + 1;
        else
            number = number * 10 + (size_t)(name.data[i] - '0');
    }
    if (number < 1 || number > field_count || name.size > 4)
        return problem_set(problem, RESULT_REFUSED, "there is no column \"%.*s\"",
                           (int)(name.size < 200 ? name.size : 200), (const char *)name.data);
    *ret_field = number - 1;
    return RESULT_OK;
}

struct template_parser {
    const char *at;
    struct import_piece pieces[TEMPLATE_PIECES_MAX];
    size_t count;
    size_t field_count;
    int group;
    bool is_inside;
};

static enum result parse_piece(struct template_parser *parser, const struct bytes *heading,
                               size_t field_count, struct problem *problem)
{
    struct import_piece *piece = &parser->pieces[parser->count];
    const char *end;

    piece->group = parser->is_inside ? parser->group : 0;
    piece->field = IMPORT_NO_FIELD;
    if (*parser->at == '{' && parser->at[1] != '{') {
        end = strchr(parser->at, '}');
        if (end == NULL)
            return problem_set(problem, RESULT_REFUSED, "a { without }");
        piece->literal = bytes_of(parser->at + 1, (size_t)(end - parser->at) - 1);
        parser->at = end + 1;
        parser->field_count++;
        parser->count++;
        return find_field(piece->literal, heading, field_count, &piece->field, problem);
    }
    if ((*parser->at == '{' || *parser->at == '[') && parser->at[1] == *parser->at) {
        piece->literal = bytes_of(parser->at, 1);
        parser->at += 2;
    } else {
        size_t size = strcspn(parser->at, "{[]");

        piece->literal = bytes_of(parser->at, size == 0 ? 1 : size);
        parser->at += piece->literal.size;
    }
    parser->count++;
    return RESULT_OK;
}

enum result import_template_parse(const char *text, const struct bytes *heading, size_t field_count,
                                  struct arena *arena, struct import_template *ret_template,
                                  struct problem *problem)
{
    struct template_parser parser = {.at = text};
    struct import_piece *pieces;

    while (*parser.at != 0) {
        enum result result;

        if (*parser.at == '[' && parser.at[1] != '[' && !parser.is_inside) {
            parser.is_inside = true;
            parser.group++;
            parser.at++;
            continue;
        }
        if (*parser.at == ']' && parser.is_inside) {
            parser.is_inside = false;
            parser.at++;
            continue;
        }
        if (parser.count == TEMPLATE_PIECES_MAX)
            return problem_set(problem, RESULT_REFUSED, "too long a template: %s", text);
        result = parse_piece(&parser, heading, field_count, problem);
        if (result != RESULT_OK)
            return result;
    }
    if (parser.is_inside)
        return problem_set(problem, RESULT_REFUSED, "a [ without ] in %s", text);
    pieces = arena_array(arena, parser.count + 1, sizeof *pieces);
    if (pieces == NULL)
        return arena_full(arena, problem);
    memcpy(pieces, parser.pieces, parser.count * sizeof *pieces);
    ret_template->pieces = pieces;
    ret_template->piece_count = parser.count;
    ret_template->field_count = parser.field_count;
    return RESULT_OK;
}

static bool group_is_whole(const struct import_template *template, int group,
                           const struct csv_field *fields)
{
    for (size_t i = 0; i < template->piece_count; i++) {
        const struct import_piece *piece = &template->pieces[i];

        if (piece->group == group && piece->field != IMPORT_NO_FIELD &&
            import_trim(fields[piece->field].text).size == 0)
            return false;
    }
    return true;
}

enum result import_template_text(const struct import_template *template,
                                 const struct csv_field *fields, struct arena *arena,
                                 struct bytes *ret_text, bool *ret_is_whole, bool *ret_is_empty,
                                 struct problem *problem)
{
    bool has_value = template->field_count == 0;
    bool is_whole = true;
    size_t size = 0;
    uint8_t *text;

    for (size_t i = 0; i < template->piece_count; i++) {
        const struct import_piece *piece = &template->pieces[i];
        const struct csv_field *field =
            piece->field == IMPORT_NO_FIELD ? NULL : &fields[piece->field];
        struct bytes part = field == NULL ? piece->literal : import_trim(field->text);

        size += part.size;
        if (field != NULL && part.size == 0 && piece->group == 0)
            is_whole = false;
        if (field != NULL && (part.size > 0 || field->is_quoted))
            has_value = true;
    }
    text = arena_alloc(arena, size + 1);
    if (text == NULL)
        return arena_full(arena, problem);
    size = 0;
    for (size_t i = 0; i < template->piece_count; i++) {
        const struct import_piece *piece = &template->pieces[i];
        struct bytes part = piece->field == IMPORT_NO_FIELD
                                ? piece->literal
                                : import_trim(fields[piece->field].text);

        if (part.size == 0 ||
            (piece->group != 0 && !group_is_whole(template, piece->group, fields)))
            continue;
        memcpy(text + size, part.data, part.size);
        size += part.size;
    }
    *ret_text = import_trim(bytes_of(text, size));
    if (ret_is_whole != NULL)
        *ret_is_whole = is_whole;
    *ret_is_empty = !has_value;
    return RESULT_OK;
}

/* ---- numbers ---- */

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* Decimal text times 10^scale. Thousands marks are refused: 2.644 may be either. */
static const char *read_decimal(struct bytes text, int scale, uint8_t mark, bool may_round,
                                int64_t *ret_number)
{
    bool is_negative = text.size > 0 && text.data[0] == '-';
    size_t i = is_negative || (text.size > 0 && text.data[0] == '+') ? 1 : 0;
    int64_t number = 0;
    int decimals = -1; /* -1: before the mark */
    size_t digit_count = 0;
    bool rounds_up = false;

    for (; i < text.size; i++) {
        uint8_t byte = text.data[i];

        if (byte == mark && decimals < 0) {
            decimals = 0;
            continue;
        }
        if (!is_digit(byte))
            return "not a number";
        digit_count++;
        if (decimals >= scale) {
            if (byte != '0' && !may_round)
                return "a number with too many decimals";
            if (decimals == scale)
                rounds_up = byte >= '5';
            decimals++;
            continue;
        }
        if (number > (INT64_MAX / 10) - 10)
            return "a number that is too large";
        number = number * 10 + (byte - '0');
        decimals += decimals >= 0;
    }
    if (digit_count == 0)
        return "not a number";
    for (int d = decimals < 0 ? 0 : decimals; d < scale; d++) {
        if (number > INT64_MAX / 10)
            return "a number that is too large";
        number *= 10;
    }
    number += rounds_up;
    *ret_number = is_negative ? -number : number;
    return NULL;
}

static const char *read_scaled(const char *argument, struct bytes text, struct value *ret_value)
{
    int scale = argument != NULL && is_digit((uint8_t)argument[0]) ? argument[0] - '0' : 0;
    uint8_t mark = argument != NULL && strchr(argument, ',') != NULL ? ',' : '.';
    bool may_round = argument != NULL && strchr(argument, '~') != NULL;
    int64_t number = 0;
    const char *fault = read_decimal(text, scale, mark, may_round, &number);

    if (fault == NULL && number == 0 && argument != NULL && strchr(argument, '+') != NULL)
        return "0 is no value";
    if (fault == NULL)
        *ret_value = value_integer(number);
    return fault;
}

/* ---- dates ---- */

/* Digits at `*at`, at most `count_max` of them; -1 if there are none. */
static int64_t take_number(struct bytes text, size_t *at, size_t count_max)
{
    int64_t number = -1;

    for (size_t n = 0; n < count_max && *at < text.size && is_digit(text.data[*at]); n++, (*at)++)
        number = (number < 0 ? 0 : number * 10) + (text.data[*at] - '0');
    return number;
}

static bool take_mark(struct bytes text, size_t *at, const char *marks)
{
    if (*at >= text.size || text.data[*at] == 0 || strchr(marks, text.data[*at]) == NULL)
        return false;
    (*at)++;
    return true;
}

/* The date at the start of the text; *at is behind it. */
static const char *read_day(const char *order, struct bytes text, size_t *at, int64_t *ret_day)
{
    struct problem ignored = {0};
    int64_t parts[3] = {0};
    bool is_year_first = text.size >= 4;
    int64_t day = 0;
    enum result result;

    for (size_t i = 0; i < 4 && i < text.size; i++)
        is_year_first = is_year_first && is_digit(text.data[i]);
    if (!is_year_first && order == NULL)
        return "not a date";
    for (int i = 0; i < 3; i++) {
        size_t width = (i == 0) == is_year_first && (is_year_first || i == 2) ? 4 : 2;
        size_t begin = *at;

        if (i > 0 && !(is_year_first && is_digit(*at < text.size ? text.data[*at] : 0)) &&
            !take_mark(text, at, is_year_first ? "-" : "/.-"))
            return "not a date";
        begin = *at;
        parts[i] = take_number(text, at, width);
        if (parts[i] < 0 || (is_year_first && *at - begin != width))
            return "not a date";
    }
    if (*at < text.size && is_digit(text.data[*at]))
        return "not a date";
    if (is_year_first)
        result = date_from_civil(parts[0], parts[1], parts[2], &day, &ignored);
    else if (order[0] == 'd')
        result = date_from_civil(parts[2], parts[1], parts[0], &day, &ignored);
    else
        result = date_from_civil(parts[2], parts[0], parts[1], &day, &ignored);
    if (result != RESULT_OK)
        return "a day that doesn't exist";
    if (day < -43829 || day > 84005) /* 1850-01-01, 2199-12-31 */
        return "a date before 1850 or after 2199";
    *ret_day = day;
    return NULL;
}

static const char *read_time(struct bytes text, size_t at, int64_t *ret_us)
{
    static const int64_t TENS[7] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    int64_t hour;
    int64_t minute;
    int64_t second = 0;
    int64_t fraction = 0;

    *ret_us = 0;
    if (at == text.size)
        return NULL;
    if (!take_mark(text, &at, " T"))
        return "not a time";
    hour = take_number(text, &at, 2);
    if (!take_mark(text, &at, ":"))
        return "not a time";
    minute = take_number(text, &at, 2);
    if (take_mark(text, &at, ":"))
        second = take_number(text, &at, 2);
    if (take_mark(text, &at, ".")) {
        size_t begin = at;

        fraction = take_number(text, &at, 6);
        fraction *= TENS[at - begin];
        while (at < text.size && is_digit(text.data[at]))
            at++;
    }
    (void)take_mark(text, &at, "Z");
    if (at != text.size || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
        second > 59 || fraction < 0)
        return "not a time";
    *ret_us = ((hour * 60 + minute) * 60 + second) * 1000000 + fraction;
    return NULL;
}

static enum result read_date(const struct import_column *column, struct bytes text,
                             struct arena *arena, struct value *ret_value, const char **ret_fault,
                             struct problem *problem)
{
    char date[DATE_TEXT_SIZE];
    struct value value;
    size_t at = 0;
    int64_t day = 0;
    int64_t us = 0;

    *ret_fault = read_day(column->argument, text, &at, &day);
    if (*ret_fault == NULL)
        *ret_fault = read_time(text, at, &us);
    if (*ret_fault != NULL)
        return RESULT_OK;
    if (column->kind == IMPORT_INSTANT) {
        *ret_value = value_integer(day * INT64_C(86400000000) + us);
        return RESULT_OK;
    }
    date_format(day, date);
    value = value_text_of(date);
    return value_copy(arena, &value, ret_value, problem);
}

/* ---- texts ---- */

static enum result read_tidy(struct bytes text, struct arena *arena, struct value *ret_value,
                             struct problem *problem)
{
    uint8_t *tidy = arena_alloc(arena, text.size + 1);
    size_t size = 0;

    if (tidy == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = is_blank(text.data[i]) ? ' ' : text.data[i];

        if (byte != ' ' || (size > 0 && tidy[size - 1] != ' '))
            tidy[size++] = byte;
    }
    *ret_value = value_text(bytes_of(tidy, size));
    return RESULT_OK;
}

static const char *read_post_code(struct bytes text, struct value *ret_value)
{
    bool is_number = true;

    for (size_t i = 0; i < text.size; i++)
        is_number = is_number && is_digit(text.data[i]);
    if (text.size == 1 && text.data[0] == '0')
        return "no post code but 0";
    if (is_number && text.size == 9)
        text.size = 5;
    *ret_value = value_text(text);
    return NULL;
}

static const char *read_boolean(struct bytes text, struct value *ret_value)
{
    static const char *const YES[] = {"1", "yes", "true", "si", "s\xC3\xAC", "y", "x", "t"};
    static const char *const NO[] = {"0", "no", "false", "n", "f", ""};
    uint8_t lower[8];

    if (text.size > sizeof lower)
        return "neither yes nor no";
    for (size_t i = 0; i < text.size; i++)
        lower[i] = text.data[i] >= 'A' && text.data[i] <= 'Z' ? (uint8_t)(text.data[i] + 32)
                                                              : text.data[i];
    for (size_t i = 0; i < sizeof YES / sizeof YES[0]; i++) {
        if (bytes_equal(bytes_of(lower, text.size), bytes_of_text(YES[i]))) {
            *ret_value = value_integer(1);
            return NULL;
        }
    }
    for (size_t i = 0; i < sizeof NO / sizeof NO[0]; i++) {
        if (bytes_equal(bytes_of(lower, text.size), bytes_of_text(NO[i]))) {
            *ret_value = value_integer(0);
            return NULL;
        }
    }
    return "neither yes nor no";
}

/* "A=active;*=?": the value of the first name that fits. */
static const char *read_choice(const char *choices, struct bytes text, struct value *ret_value)
{
    const char *at = choices;

    while (*at != 0) {
        size_t name = strcspn(at, "=");
        size_t size = strcspn(at + name + 1, ";");
        const char *value = at + name + 1;

        if (bytes_equal(text, bytes_of(at, name)) || (name == 1 && at[0] == '*')) {
            if (size == 1 && value[0] == '?')
                break;
            *ret_value = size == 0 ? value_null() : value_text(bytes_of(value, size));
            return NULL;
        }
        at = value + size;
        at += *at == ';';
    }
    return "a value that isn't in the list";
}

static enum result read_serial(struct bytes text, struct arena *arena, struct value *ret_value,
                               const char **ret_fault, struct problem *problem)
{
    struct problem ignored = {0};
    struct serial serial;
    struct value value;

    if (serial_normalise(text, &serial, &ignored) != RESULT_OK) {
        *ret_fault = "no serial number that can be compared";
        return RESULT_OK;
    }
    value = value_text_of(serial.text);
    return value_copy(arena, &value, ret_value, problem);
}

enum result import_value_read(const struct import_column *column, struct bytes text,
                              struct arena *arena, struct value *ret_value, const char **ret_fault,
                              struct problem *problem)
{
    *ret_fault = NULL;
    *ret_value = value_null();
    switch (column->kind) {
    case IMPORT_TIDY:
        return read_tidy(text, arena, ret_value, problem);
    case IMPORT_SERIAL:
        return read_serial(text, arena, ret_value, ret_fault, problem);
    case IMPORT_DATE:
    case IMPORT_INSTANT:
        return read_date(column, text, arena, ret_value, ret_fault, problem);
    case IMPORT_POST_CODE:
        *ret_fault = read_post_code(text, ret_value);
        break;
    case IMPORT_BOOLEAN:
        *ret_fault = read_boolean(text, ret_value);
        break;
    case IMPORT_CHOICE:
        *ret_fault = read_choice(column->argument, text, ret_value);
        break;
    case IMPORT_NUMBER_CHOICE:
        *ret_fault = read_choice(column->argument, text, ret_value);
        if (*ret_fault == NULL && ret_value->type == VALUE_TEXT)
            *ret_fault = read_scaled(NULL, ret_value->bytes, ret_value);
        break;
    case IMPORT_INTEGER:
    case IMPORT_DECIMAL:
        *ret_fault = read_scaled(column->argument, text, ret_value);
        break;
    case IMPORT_VERBATIM:
    case IMPORT_TEXT:
    case IMPORT_REFERENCE:
    case IMPORT_MEMO:
    case IMPORT_NOW:
        *ret_value = value_text(text);
        break;
    }
    return RESULT_OK;
}
