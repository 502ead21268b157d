/* SPDX-License-Identifier: Apache-2.0 */
/* What comes down with rows in it: ROWS, GONE, IDS, VERDICT. */
#include "protocol/fields.h"
#include "protocol/message_lists.h"
#include "protocol/messages.h"
#include "protocol/rows.h"

#include <inttypes.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static enum result finish(struct writer *writer, enum result result, const char *message,
                          struct problem *problem)
{
    if (result == RESULT_OK)
        result = writer_finish(writer, problem);
    if (result != RESULT_OK)
        problem_add(problem, "%s", message);
    return result;
}

/* The list's own result comes first: its problem is already set. */
static enum result finish_reading(struct reader *reader, enum result result, const char *message,
                                  struct problem *problem)
{
    if (result == RESULT_OK)
        result = reader_finish(reader, problem);
    if (result != RESULT_OK)
        problem_add(problem, "%s", message);
    return result;
}

/* --- ROWS ------------------------------------------------------------------------------------- */

#define IN(member) offsetof(struct message_rows, member)
static const struct field ROWS_FIELDS[] = {
    {"bucket", FIELD_INTEGER, IN(bucket), 1, INT64_MAX},
    {"seq_after", FIELD_INTEGER, IN(seq_after), 0, INT64_MAX},
    {"seq_to", FIELD_INTEGER, IN(seq_to), 0, INT64_MAX},
    {"is_complete", FIELD_BOOL, IN(is_complete), 0, 1},
    {"is_repair", FIELD_BOOL, IN(is_repair), 0, 1},
    {"page_table_no", FIELD_INTEGER, IN(page_table_no), 0, UINT16_MAX},
    {"page_seq", FIELD_INTEGER, IN(page_seq), 0, INT64_MAX},
};
static const struct field_table ROWS = {"ROWS", COUNT_OF(ROWS_FIELDS), ROWS_FIELDS};
#undef IN

/* NULL: fine. A repair names parts and replaces them, so all its rows are in these; anything else
 * names none. */
static const char *rows_fault(const struct message_rows *message)
{
    bool named[REPAIR_PARTS] = {false};

    if (message->seq_to < message->seq_after)
        return "seq_to lies before seq_after";
    if (message->is_repair != (message->part_count > 0))
        return "parts go with a repair and a repair with parts";
    for (size_t i = 0; i < message->part_count; i++)
        named[message->parts[i]] = true;
    for (size_t i = 0; message->is_repair && i < message->row_count; i++)
        if (!named[message->rows[i].row_id % REPAIR_PARTS])
            return "a row of a part that isn't named";
    return NULL;
}

enum result message_rows_encode(const struct catalog *catalog, const struct message_rows *message,
                                struct buffer *body, struct problem *problem)
{
    struct writer writer;
    enum result result = fields_check(&ROWS, message, problem);

    if (result == RESULT_OK)
        result = parts_check(message->parts, message->part_count, problem);
    if (result != RESULT_OK)
        return result;
    writer_init(&writer, body);
    writer_array(&writer, ROWS.count + 2);
    fields_write(&ROWS, message, &writer);
    parts_write(message->parts, message->part_count, &writer);
    result = rows_write(catalog, message->rows, message->row_count, &writer, problem);
    if (result == RESULT_OK && rows_fault(message) != NULL)
        result = problem_set(problem, RESULT_REFUSED, "%s", rows_fault(message));
    return finish(&writer, result, "ROWS", problem);
}

enum result message_rows_decode(const struct catalog *catalog, struct bytes body,
                                struct arena *arena, struct message_rows *ret_message,
                                struct problem *problem)
{
    struct reader reader = reader_over(body);
    struct message_rows message = {0};
    enum result result = RESULT_OK;

    (void)reader_record(&reader, ROWS.count + 2, ROWS.count + 2);
    fields_read(&ROWS, &reader, &message);
    message.parts = parts_read(&reader, &message.part_count);
    result = rows_read(catalog, &reader, arena, &message.rows, &message.row_count, problem);
    if (result == RESULT_OK && rows_fault(&message) != NULL)
        reader_fail(&reader, rows_fault(&message));
    result = finish_reading(&reader, result, "ROWS", problem);
    if (result == RESULT_OK)
        *ret_message = message;
    return result;
}

/* --- GONE ------------------------------------------------------------------------------------- */

#define IN(member) offsetof(struct message_gone, member)
static const struct field GONE_FIELDS[] = {
    {"bucket", FIELD_INTEGER, IN(bucket), 1, INT64_MAX},
    {"seq_after", FIELD_INTEGER, IN(seq_after), 0, INT64_MAX},
    {"seq_to", FIELD_INTEGER, IN(seq_to), 0, INT64_MAX},
};
static const struct field_table GONE = {"GONE", COUNT_OF(GONE_FIELDS), GONE_FIELDS};
#undef IN

enum result message_gone_encode(const struct message_gone *message, struct buffer *body,
                                struct problem *problem)
{
    struct writer writer;
    enum result result = fields_check(&GONE, message, problem);

    if (result == RESULT_OK && message->seq_to < message->seq_after)
        result = problem_set(problem, RESULT_REFUSED, "GONE: seq_to lies before seq_after");
    if (result != RESULT_OK)
        return result;
    writer_init(&writer, body);
    writer_array(&writer, GONE.count + 1);
    fields_write(&GONE, message, &writer);
    result = gone_write(message->rows, message->count, &writer, problem);
    return finish(&writer, result, "GONE", problem);
}

enum result message_gone_decode(const struct catalog *catalog, struct bytes body,
                                struct arena *arena, struct message_gone *ret_message,
                                struct problem *problem)
{
    struct reader reader = reader_over(body);
    struct message_gone message = {0};
    enum result result = RESULT_OK;

    (void)reader_record(&reader, GONE.count + 1, GONE.count + 1);
    fields_read(&GONE, &reader, &message);
    result = gone_read(catalog, &reader, arena, &message.rows, &message.count, problem);
    if (message.seq_to < message.seq_after)
        reader_fail(&reader, "seq_to lies before seq_after");
    result = finish_reading(&reader, result, "GONE", problem);
    if (result == RESULT_OK)
        *ret_message = message;
    return result;
}

/* --- IDS -------------------------------------------------------------------------------------- */

#define IN(member) offsetof(struct message_ids, member)
static const struct field IDS_FIELDS[] = {
    {"bucket", FIELD_INTEGER, IN(bucket), 1, INT64_MAX},
    {"seq_to", FIELD_INTEGER, IN(seq_to), 0, INT64_MAX},
    {"table_no", FIELD_INTEGER, IN(table_no), 1, UINT16_MAX},
    {"id_after", FIELD_INTEGER, IN(id_after), 0, ID_MAX},
    {"id_to", FIELD_INTEGER, IN(id_to), 0, ID_MAX},
};
static const struct field_table IDS = {"IDS", COUNT_OF(IDS_FIELDS), IDS_FIELDS};
#undef IN

enum result message_ids_encode(const struct message_ids *message, struct buffer *body,
                               struct problem *problem)
{
    struct writer writer;
    int64_t before = message->id_after;
    enum result result = fields_check(&IDS, message, problem);

    if (result == RESULT_OK && (message->count > LIMIT_ROWS_MAX || message->id_to < before))
        result = problem_set(problem, RESULT_REFUSED,
                             "IDS: %zu ids, at most %d, of a range that ascends", message->count,
                             LIMIT_ROWS_MAX);
    if (result != RESULT_OK)
        return result;
    writer_init(&writer, body);
    writer_array(&writer, IDS.count + 1);
    fields_write(&IDS, message, &writer);
    writer_array(&writer, message->count);
    for (size_t i = 0; i < message->count && result == RESULT_OK; i++) {
        if (message->ids[i] <= before || message->ids[i] > message->id_to)
            result = problem_set(problem, RESULT_REFUSED,
                                 "id %" PRId64 " after %" PRId64 ", they ascend to %" PRId64,
                                 message->ids[i], before, message->id_to);
        writer_int64(&writer, message->ids[i] - before);
        before = message->ids[i];
    }
    return finish(&writer, result, "IDS", problem);
}

static enum result read_ids(struct reader *reader, struct arena *arena, struct message_ids *message,
                            struct problem *problem)
{
    int64_t before = message->id_after;

    message->count = reader_array(reader, LIMIT_ROWS_MAX);
    if (message->count == 0 || reader_failed(reader))
        return RESULT_OK;
    message->ids = arena_array(arena, message->count, sizeof *message->ids);
    if (message->ids == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < message->count && !reader_failed(reader); i++) {
        if (before >= message->id_to)
            reader_fail(reader, "an id past the end of its range");
        else
            before += reader_int64(reader, 1, message->id_to - before);
        message->ids[i] = before;
    }
    return RESULT_OK;
}

enum result message_ids_decode(const struct catalog *catalog, struct bytes body,
                               struct arena *arena, struct message_ids *ret_message,
                               struct problem *problem)
{
    struct reader reader = reader_over(body);
    struct message_ids message = {0};
    enum result result = RESULT_OK;

    (void)reader_record(&reader, IDS.count + 1, IDS.count + 1);
    fields_read(&IDS, &reader, &message);
    if (message.id_to < message.id_after)
        reader_fail(&reader, "id_to lies before id_after");
    if (!reader_failed(&reader) && catalog_table_by_no(catalog, message.table_no) == NULL)
        return problem_set(problem, RESULT_REFUSED,
                           "IDS: table %" PRId64 " is not in this side's catalog",
                           message.table_no);
    result = read_ids(&reader, arena, &message, problem);
    result = finish_reading(&reader, result, "IDS", problem);
    if (result == RESULT_OK)
        *ret_message = message;
    return result;
}

/* --- VERDICT ---------------------------------------------------------------------------------- */

#define IN(member) offsetof(struct message_verdict, member)
static const struct field VERDICT_FIELDS[] = {
    {"seal_no", FIELD_INTEGER, IN(seal_no), 0, INT64_MAX},
    {"lcn_high", FIELD_INTEGER, IN(lcn_high), 0, INT64_MAX},
    {"commit_seq", FIELD_INTEGER, IN(commit_seq), 0, INT64_MAX},
};
static const struct field_table VERDICT = {"VERDICT", COUNT_OF(VERDICT_FIELDS), VERDICT_FIELDS};
#undef IN

/* What follows an exception's plain numbers. */
enum echo {
    ECHO_NONE = 0, /* the device holds what the server has */
    ECHO_ROW = 1,  /* the row itself */
    ECHO_GONE = 2, /* there is no such row, or it isn't the device's to see */
};
enum { EXCEPTION_VALUES = 7 }; /* one more with a row */
enum { PART_VALUES = 2 };      /* where the exceptions of one body aren't all */

static enum result write_exception(const struct catalog *catalog, const struct verdict *verdict,
                                   int64_t lcn_high, struct writer *writer, struct problem *problem)
{
    enum echo echo = verdict->has_row ? ECHO_ROW : verdict->is_row_gone ? ECHO_GONE : ECHO_NONE;

    if (verdict->lcn < 1 || verdict->lcn > lcn_high || verdict->table_no == 0 ||
        verdict->row_id < 1 || verdict->row_id > ID_MAX || verdict->merged_into_id < 0 ||
        verdict->merged_into_id > ID_MAX || verdict->reason.size > LIMIT_NAME_SIZE_MAX ||
        verdict->kind > VERDICT_GONE)
        return problem_set(problem, RESULT_REFUSED, "verdict of lcn %" PRId64 " is out of range",
                           verdict->lcn);
    if (verdict->has_row && (verdict->is_row_gone || verdict->row.table_no != verdict->table_no))
        return problem_set(problem, RESULT_REFUSED,
                           "verdict of lcn %" PRId64 ": row of another table, or of a gone one",
                           verdict->lcn);
    writer_array(writer, EXCEPTION_VALUES + (echo == ECHO_ROW ? 1 : 0));
    writer_int64(writer, verdict->lcn);
    writer_int64(writer, verdict->kind);
    writer_text(writer, verdict->reason);
    writer_int64(writer, verdict->table_no);
    writer_int64(writer, verdict->row_id);
    writer_int64(writer, verdict->merged_into_id);
    writer_int64(writer, echo);
    return echo == ECHO_ROW ? row_write(catalog, &verdict->row, writer, problem) : RESULT_OK;
}

enum result message_verdict_encode(const struct catalog *catalog,
                                   const struct message_verdict *message, struct buffer *body,
                                   struct problem *problem)
{
    struct writer writer;
    bool is_part = false;
    enum result result = fields_check(&VERDICT, message, problem);

    if (result == RESULT_OK && message->exception_count > LIMIT_ROWS_MAX)
        result = problem_set(problem, RESULT_REFUSED, "VERDICT: %zu exceptions, at most %d",
                             message->exception_count, LIMIT_ROWS_MAX);
    if (result != RESULT_OK)
        return result;
    if (message->part_no < 0 || message->part_no > LIMIT_UNIT_PARTS_MAX)
        return problem_set(problem, RESULT_REFUSED, "VERDICT: part %" PRId64, message->part_no);
    is_part = message->part_no > 0 || message->has_more;
    writer_init(&writer, body);
    writer_array(&writer, VERDICT.count + 1 + (is_part ? PART_VALUES : 0));
    fields_write(&VERDICT, message, &writer);
    writer_array(&writer, message->exception_count);
    for (size_t i = 0; i < message->exception_count && result == RESULT_OK; i++)
        result =
            write_exception(catalog, &message->exceptions[i], message->lcn_high, &writer, problem);
    if (is_part) {
        writer_int64(&writer, message->part_no);
        writer_bool(&writer, message->has_more);
    }
    return finish(&writer, result, "VERDICT", problem);
}

static enum result read_exception(const struct catalog *catalog, struct reader *reader,
                                  struct arena *arena, int64_t lcn_high, struct verdict *verdict,
                                  struct problem *problem)
{
    size_t count = reader_record(reader, EXCEPTION_VALUES, EXCEPTION_VALUES + 1);
    int64_t echo = 0;

    verdict->lcn = reader_int64(reader, 1, INT64_MAX);
    verdict->kind = (enum verdict_kind)reader_int64(reader, VERDICT_APPLIED, VERDICT_GONE);
    verdict->reason = reader_text(reader, LIMIT_NAME_SIZE_MAX);
    verdict->table_no = (uint16_t)reader_int64(reader, 1, UINT16_MAX);
    verdict->row_id = reader_int64(reader, 1, ID_MAX);
    verdict->merged_into_id = reader_int64(reader, 0, ID_MAX);
    echo = reader_int64(reader, ECHO_NONE, ECHO_GONE);
    if (verdict->lcn > lcn_high)
        reader_fail(reader, "verdict of a change past lcn_high");
    if (count != EXCEPTION_VALUES + (echo == ECHO_ROW ? 1u : 0u))
        reader_fail(reader, "verdict with a row too many or too few");
    if (reader_failed(reader))
        return RESULT_OK;
    if (catalog_table_by_no(catalog, verdict->table_no) == NULL)
        return problem_set(problem, RESULT_REFUSED, "table %u is not in this side's catalog",
                           verdict->table_no);
    verdict->has_row = echo == ECHO_ROW;
    verdict->is_row_gone = echo == ECHO_GONE;
    if (!verdict->has_row)
        return RESULT_OK;
    return row_read(catalog, verdict->table_no, reader, arena, &verdict->row, problem);
}

enum result message_verdict_decode(const struct catalog *catalog, struct bytes body,
                                   struct arena *arena, struct message_verdict *ret_message,
                                   struct problem *problem)
{
    struct reader reader = reader_over(body);
    struct message_verdict message = {0};
    size_t count = reader_record(&reader, VERDICT.count + 1, VERDICT.count + 1 + PART_VALUES);
    enum result result = RESULT_OK;

    fields_read(&VERDICT, &reader, &message);
    message.exception_count = reader_array(&reader, LIMIT_ROWS_MAX);
    if (message.exception_count > reader_left(&reader) / (EXCEPTION_VALUES + 1))
        reader_fail(&reader, "more verdicts than bytes left can hold");
    if (message.exception_count > 0 && !reader_failed(&reader)) {
        message.exceptions =
            arena_array(arena, message.exception_count, sizeof *message.exceptions);
        if (message.exceptions == NULL)
            return arena_full(arena, problem);
    }
    for (size_t i = 0;
         i < message.exception_count && !reader_failed(&reader) && result == RESULT_OK; i++)
        result = read_exception(catalog, &reader, arena, message.lcn_high, &message.exceptions[i],
                                problem);
    if (count > VERDICT.count + 1 && result == RESULT_OK) {
        message.part_no = reader_int64(&reader, 0, LIMIT_UNIT_PARTS_MAX);
        message.has_more = reader_bool(&reader);
        if (count != VERDICT.count + 1 + PART_VALUES || (message.part_no == 0 && !message.has_more))
            reader_fail(&reader, "a part that is all");
    }
    result = finish_reading(&reader, result, "VERDICT", problem);
    if (result == RESULT_OK)
        *ret_message = message;
    return result;
}
