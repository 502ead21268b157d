/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/report.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct report_section SECTIONS[] = {
    {"activity", true, false, "SELECT id FROM activity WHERE id = ?1"},
    {"call", true, false,
     "SELECT c.id, c.subject FROM activity a JOIN call c ON c.id = a.call_id WHERE a.id = ?1"},
    {"customer", false, true,
     "SELECT p.name FROM activity a JOIN call c ON c.id = a.call_id "
     "JOIN party p ON p.id = c.party_id WHERE a.id = ?1"},
    {"site", false, true,
     "SELECT s.name FROM activity a JOIN call c ON c.id = a.call_id "
     "JOIN site s ON s.id = coalesce(a.site_id, c.site_id) WHERE a.id = ?1"},
    {"asset", false, true,
     "SELECT t.serial FROM activity a JOIN call c ON c.id = a.call_id "
     "JOIN asset t ON t.id = coalesce(a.asset_id, c.asset_id) WHERE a.id = ?1"},
    {"work", true, false,
     "SELECT w.id, w.kind, w.started_at, w.ended_at, w.break_min, w.technician_id "
     "FROM work_session w WHERE w.activity_id = ?1 AND w.void_of_id IS NULL AND NOT EXISTS "
     "(SELECT 1 FROM work_session v WHERE v.void_of_id = w.id) ORDER BY w.id"},
    {"part", true, false,
     "SELECT u.id, i.code, u.used_m, coalesce(s.serial, '') FROM part_use u "
     "LEFT JOIN item i ON i.id = u.item_id LEFT JOIN serial_unit s ON s.id = u.serial_unit_id "
     "WHERE u.activity_id = ?1 AND u.void_of_id IS NULL AND NOT EXISTS "
     "(SELECT 1 FROM part_use v WHERE v.void_of_id = u.id) ORDER BY u.id"},
    {"expense", true, false,
     "SELECT x.id, x.kind, x.amount_cents, x.currency, x.spent_d FROM expense x "
     "WHERE x.activity_id = ?1 AND x.void_of_id IS NULL AND NOT EXISTS "
     "(SELECT 1 FROM expense v WHERE v.void_of_id = x.id) ORDER BY x.id"},
    {"outcome", false, true, "SELECT outcome FROM activity_result WHERE activity_id = ?1"},
    {"cause", false, true, "SELECT cause FROM activity_result WHERE activity_id = ?1"},
    {"report", false, true, "SELECT report_text FROM activity_result WHERE activity_id = ?1"},
    {"follow-up", false, true,
     "SELECT CASE WHEN is_follow_up THEN coalesce(follow_up_note, '') END FROM activity_result "
     "WHERE activity_id = ?1"},
    {"answer", true, true,
     "SELECT item_id, asset_key, value FROM checklist_answer WHERE activity_id = ?1 "
     "ORDER BY item_id, asset_key"},
    {"note", true, false,
     "SELECT n.id, n.body FROM activity a JOIN call_note n ON n.call_id = a.call_id "
     "WHERE a.id = ?1 AND n.visibility = 'customer' ORDER BY n.id"},
    {"file", true, false,
     "SELECT id, content_hash, name FROM attachment WHERE activity_id = ?1 "
     "AND mime_type <> '" REPORT_MIME_TYPE "' ORDER BY id"},
};

size_t report_section_count(void)
{
    return sizeof SECTIONS / sizeof *SECTIONS;
}

const struct report_section *report_section_at(size_t index)
{
    invariant(index < report_section_count());
    return &SECTIONS[index];
}

/* ---- writing ---- */

/* Texts so that each stays on its line. */
static enum result append_text(struct buffer *text, struct bytes bytes, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; result == RESULT_OK && i < bytes.size; i++) {
        if (bytes.data[i] == '\n')
            result = buffer_append(text, "\\n", 2, problem);
        else if (bytes.data[i] == '\\')
            result = buffer_append(text, "\\\\", 2, problem);
        else
            result = buffer_append(text, bytes.data + i, 1, problem);
    }
    return result;
}

static enum result append_value(struct buffer *text, const struct value *value,
                                struct problem *problem)
{
    char digits[32];
    enum result result = buffer_append(text, " ", 1, problem);

    if (result != RESULT_OK)
        return result;
    if (value->type == VALUE_TEXT)
        return append_text(text, value->bytes, problem);
    if (value->type != VALUE_INTEGER) /* NULL; the model has no other types here */
        return RESULT_OK;
    snprintf(digits, sizeof digits, "%" PRId64, value->integer);
    return buffer_append(text, digits, strlen(digits), problem);
}

enum result report_append_header(struct buffer *text, struct bytes language, struct bytes salt,
                                 struct problem *problem)
{
    char digits[2 * REPORT_SALT_SIZE + 1] = "";
    char header[160];
    int size;

    invariant(salt.size <= REPORT_SALT_SIZE);
    bytes_to_hex(salt, digits);
    size = snprintf(header, sizeof header, "fieldsync work report %d\nlanguage %.*s\nsalt %s\n",
                    REPORT_TEMPLATE, language.size > 16 ? 16 : (int)language.size,
                    (const char *)language.data, digits);
    invariant(size > 0 && (size_t)size < sizeof header);
    return buffer_append(text, header, (size_t)size, problem);
}

enum result report_append_rows(struct buffer *text, const struct report_section *section,
                               const struct value *values, size_t row_count, size_t column_count,
                               struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; result == RESULT_OK && i < row_count; i++) {
        const struct value *row = values + i * column_count;

        if (section->is_optional && row[column_count - 1].type == VALUE_NULL)
            continue;
        result = buffer_append(text, section->word, strlen(section->word), problem);
        for (size_t k = 0; result == RESULT_OK && k < column_count; k++)
            result = append_value(text, &row[k], problem);
        if (result == RESULT_OK)
            result = buffer_append(text, "\n", 1, problem);
    }
    return result;
}

/* ---- reading ---- */

static size_t word_end(struct bytes line, size_t at)
{
    while (at < line.size && line.data[at] != ' ')
        at++;
    return at;
}

struct bytes report_label(struct bytes line)
{
    struct bytes word = bytes_of(line.data, word_end(line, 0));

    for (size_t i = 0; i < report_section_count(); i++) {
        if (!bytes_equal(word, bytes_of_text(SECTIONS[i].word)))
            continue;
        if (SECTIONS[i].has_id && word.size < line.size)
            word.size = word_end(line, word.size + 1);
        return word;
    }
    return bytes_of(NULL, 0);
}

struct bytes report_find(struct bytes text, struct bytes label)
{
    while (text.size > 0) {
        struct bytes line = report_next_line(&text);

        if (bytes_equal(report_label(line), label))
            return line;
    }
    return bytes_of(NULL, 0);
}

/* ---- differences ---- */

struct bytes report_next_line(struct bytes *rest)
{
    const uint8_t *end = rest->size == 0 ? NULL : memchr(rest->data, '\n', rest->size);
    size_t size = end == NULL ? rest->size : (size_t)(end - rest->data);
    struct bytes line = bytes_of(rest->data, size);
    size_t taken = end == NULL ? size : size + 1;

    rest->data += taken;
    rest->size -= taken;
    return line;
}

static bool has_line(struct bytes text, struct bytes wanted)
{
    while (text.size > 0)
        if (bytes_equal(report_next_line(&text), wanted))
            return true;
    return false;
}

static enum result append_lacking(struct bytes text, struct bytes in, const char *mark,
                                  struct buffer *difference, struct problem *problem)
{
    enum result result = RESULT_OK;

    while (result == RESULT_OK && text.size > 0) {
        struct bytes line = report_next_line(&text);

        if (has_line(in, line))
            continue;
        result = buffer_append(difference, mark, strlen(mark), problem);
        if (result == RESULT_OK)
            result = buffer_append(difference, line.data, line.size, problem);
        if (result == RESULT_OK)
            result = buffer_append(difference, "\n", 1, problem);
    }
    return result;
}

enum result report_difference(struct bytes before, struct bytes after, struct buffer *difference,
                              struct problem *problem)
{
    enum result result = append_lacking(before, after, "- ", difference, problem);

    if (result == RESULT_OK)
        result = append_lacking(after, before, "+ ", difference, problem);
    return result;
}
