/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/service/reports.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One kind of line: the word, then the columns of the SELECT; a row without its last column (NULL)
 * is left out if `is_optional`. */
struct section {
    const char *word;
    bool is_optional;
    const char *sql; /* ?1: the activity */
};

static const struct section SECTIONS[] = {
    {"activity", false, "SELECT id FROM activity WHERE id = ?1"},
    {"call", false,
     "SELECT c.id, c.subject FROM activity a JOIN call c ON c.id = a.call_id WHERE a.id = ?1"},
    {"customer", true,
     "SELECT p.name FROM activity a JOIN call c ON c.id = a.call_id "
     "JOIN party p ON p.id = c.party_id WHERE a.id = ?1"},
    {"site", true,
     "SELECT s.name FROM activity a JOIN call c ON c.id = a.call_id "
     "JOIN site s ON s.id = coalesce(a.site_id, c.site_id) WHERE a.id = ?1"},
    {"asset", true,
     "SELECT t.serial FROM activity a JOIN call c ON c.id = a.call_id "
     "JOIN asset t ON t.id = coalesce(a.asset_id, c.asset_id) WHERE a.id = ?1"},
    {"work", false,
     "SELECT w.id, w.kind, w.started_at, w.ended_at, w.break_min, w.technician_id "
     "FROM work_session w WHERE w.activity_id = ?1 AND w.void_of_id IS NULL AND NOT EXISTS "
     "(SELECT 1 FROM work_session v WHERE v.void_of_id = w.id) ORDER BY w.id"},
    {"part", false,
     "SELECT u.id, i.code, u.used_m, coalesce(s.serial, '') FROM part_use u "
     "LEFT JOIN item i ON i.id = u.item_id LEFT JOIN serial_unit s ON s.id = u.serial_unit_id "
     "WHERE u.activity_id = ?1 AND u.void_of_id IS NULL AND NOT EXISTS "
     "(SELECT 1 FROM part_use v WHERE v.void_of_id = u.id) ORDER BY u.id"},
    {"expense", false,
     "SELECT x.id, x.kind, x.amount_cents, x.currency, x.spent_d FROM expense x "
     "WHERE x.activity_id = ?1 AND x.void_of_id IS NULL AND NOT EXISTS "
     "(SELECT 1 FROM expense v WHERE v.void_of_id = x.id) ORDER BY x.id"},
    {"outcome", true, "SELECT outcome FROM activity_result WHERE activity_id = ?1"},
    {"cause", true, "SELECT cause FROM activity_result WHERE activity_id = ?1"},
    {"report", true, "SELECT report_text FROM activity_result WHERE activity_id = ?1"},
    {"follow-up", true,
     "SELECT CASE WHEN is_follow_up THEN coalesce(follow_up_note, '') END FROM activity_result "
     "WHERE activity_id = ?1"},
    {"answer", true,
     "SELECT item_id, asset_key, value FROM checklist_answer WHERE activity_id = ?1 "
     "ORDER BY item_id, asset_key"},
    {"note", false,
     "SELECT n.id, n.body FROM activity a JOIN call_note n ON n.call_id = a.call_id "
     "WHERE a.id = ?1 AND n.visibility = 'customer' ORDER BY n.id"},
    {"file", false,
     "SELECT id, content_hash, name FROM attachment WHERE activity_id = ?1 "
     "AND mime_type <> '" REPORT_MIME_TYPE "' ORDER BY id"},
};

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

static enum result append_section(struct service *service, const struct section *section,
                                  int64_t activity_id, struct arena *arena, struct buffer *text,
                                  size_t *ret_rows, struct problem *problem)
{
    struct replica_result rows = {0};
    enum result result =
        replica_query(service->replica, section->sql, SERVICE_VALUES(value_integer(activity_id)),
                      arena, &rows, problem);

    for (size_t i = 0; result == RESULT_OK && i < rows.row_count; i++) {
        const struct value *row = rows.values + i * rows.column_count;

        if (section->is_optional && row[rows.column_count - 1].type == VALUE_NULL)
            continue;
        result = buffer_append(text, section->word, strlen(section->word), problem);
        for (size_t k = 0; result == RESULT_OK && k < rows.column_count; k++)
            result = append_value(text, &row[k], problem);
        if (result == RESULT_OK)
            result = buffer_append(text, "\n", 1, problem);
    }
    *ret_rows = rows.row_count;
    return result;
}

enum result report_append(struct service *service, int64_t activity_id, struct buffer *text,
                          struct problem *problem)
{
    static const char TITLE[] = "fieldsync work report 1\n";
    struct arena arena;
    enum result result = buffer_append(text, TITLE, sizeof TITLE - 1, problem);

    arena_init(&arena, 16 << 20);
    for (size_t i = 0; result == RESULT_OK && i < sizeof SECTIONS / sizeof SECTIONS[0]; i++) {
        size_t rows = 0;

        result = append_section(service, &SECTIONS[i], activity_id, &arena, text, &rows, problem);
        if (result == RESULT_OK && i == 0 && rows == 0)
            result = problem_set(problem, RESULT_REFUSED, "no such activity is on this device");
    }
    arena_done(&arena);
    return result;
}

/* ---- differences ---- */

static struct bytes next_line(struct bytes *rest)
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
        if (bytes_equal(next_line(&text), wanted))
            return true;
    return false;
}

static enum result append_lacking(struct bytes text, struct bytes in, const char *mark,
                                  struct buffer *difference, struct problem *problem)
{
    enum result result = RESULT_OK;

    while (result == RESULT_OK && text.size > 0) {
        struct bytes line = next_line(&text);

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
