/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of changes and values that did not make it (I8): review_item, merge_loss, fs_audit.
 */
#include "server/core/ingest_inside.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    PAYLOAD_SIZE_MAX = 16 * 1024 * 1024,  /* a change of one message, escaped */
    CHUNK_SIZE_MAX = LIMIT_TEXT_SIZE_MAX, /* a value that devices can receive */
    NUMBER_TEXT_SIZE = 32,
};

struct author ingest_author(const struct ingest *ingest, const struct change *change)
{
    struct wall_time now = work_now(ingest->work);
    struct wall_time edited_at = change->edited_at;

    if (edited_at.us > now.us)
        edited_at = now; /* a clock that is ahead can't win for ever (I9) */
    if (edited_at.us < 0)
        edited_at.us = 0;
    return (struct author){.replica_no = ingest->replica.replica_no,
                           .user_id = ingest->replica.user_id,
                           .edited_at = edited_at};
}

/* ---- values and changes as text ---- */

static enum result add(struct buffer *text, const char *piece, struct problem *problem)
{
    return buffer_append(text, piece, strlen(piece), problem);
}

static enum result add_number(struct buffer *text, int64_t number, struct problem *problem)
{
    char digits[NUMBER_TEXT_SIZE];

    (void)snprintf(digits, sizeof digits, "%" PRId64, number);
    return add(text, digits, problem);
}

static enum result add_hex(struct buffer *text, struct bytes bytes, struct problem *problem)
{
    char pair[3];
    enum result result = RESULT_OK;

    for (size_t i = 0; i < bytes.size && result == RESULT_OK; i++) {
        bytes_to_hex(bytes_of(bytes.data + i, 1), pair);
        result = buffer_append(text, pair, 2, problem);
    }
    return result;
}

/* As a person reads it. */
static enum result add_value(struct buffer *text, const struct value *value,
                             struct problem *problem)
{
    char digits[NUMBER_TEXT_SIZE];

    switch (value->type) {
    case VALUE_NULL:
        return RESULT_OK;
    case VALUE_INTEGER:
        return add_number(text, value->integer, problem);
    case VALUE_REAL:
        (void)snprintf(digits, sizeof digits, "%.17g", value->real);
        return add(text, digits, problem);
    case VALUE_TEXT:
        return buffer_append(text, value->bytes.data, value->bytes.size, problem);
    case VALUE_BLOB:
        return add_hex(text, value->bytes, problem);
    }
    return RESULT_OK;
}

/* How many bytes from `at` on stand for themselves in a JSON string. */
static size_t plain_size(struct bytes string, size_t at)
{
    size_t end = at;

    while (end < string.size && string.data[end] >= 0x20 && string.data[end] != '"' &&
           string.data[end] != '\\')
        end++;
    return end - at;
}

/* A JSON string, RFC 8259 section 7. */
static enum result add_string(struct buffer *text, struct bytes string, struct problem *problem)
{
    char escape[8];
    enum result result = add(text, "\"", problem);

    for (size_t i = 0; i < string.size && result == RESULT_OK;) {
        size_t size = plain_size(string, i);
        uint8_t byte = string.data[i];

        if (size > 0) {
            result = buffer_append(text, string.data + i, size, problem);
            i += size;
            continue;
        }
        (void)snprintf(escape, sizeof escape, byte < 0x20 ? "\\u%04x" : "\\%c", byte);
        result = add(text, escape, problem);
        i++;
    }
    if (result == RESULT_OK)
        result = add(text, "\"", problem);
    return result;
}

static enum result add_json_value(struct buffer *text, const struct value *value,
                                  struct problem *problem)
{
    enum result result = RESULT_OK;

    switch (value->type) {
    case VALUE_NULL:
        return add(text, "null", problem);
    case VALUE_INTEGER:
    case VALUE_REAL:
        return add_value(text, value, problem);
    case VALUE_TEXT:
        return add_string(text, value->bytes, problem);
    case VALUE_BLOB:
        result = add(text, "{\"hex\":\"", problem);
        if (result == RESULT_OK)
            result = add_hex(text, value->bytes, problem);
        return result == RESULT_OK ? add(text, "\"}", problem) : result;
    }
    return result;
}

static enum result add_member(struct buffer *text, const char *name, int64_t number,
                              struct problem *problem)
{
    enum result result = add(text, name, problem);

    return result == RESULT_OK ? add_number(text, number, problem) : result;
}

/* {"op":"update","table":"site","id":7,"lcn":3,"base_seq":12,"edited_at":...,"values":{...}} */
static enum result add_change(struct buffer *text, const struct ingest_item *item,
                              struct problem *problem)
{
    static const char *const OPS[] = {
        [CHANGE_INSERT] = "{\"op\":\"insert\",\"table\":",
        [CHANGE_UPDATE] = "{\"op\":\"update\",\"table\":",
        [CHANGE_DELETE] = "{\"op\":\"delete\",\"table\":",
    };
    const struct change *change = item->original != NULL ? item->original : item->change;
    const struct catalog_table *table = item->original != NULL ? item->wire : item->table;
    bool is_first = true;
    enum result result = add(text, OPS[change->op], problem);

    if (result == RESULT_OK)
        result = add_string(text, bytes_of_text(item->table->name), problem);
    if (result == RESULT_OK)
        result = add_member(text, ",\"id\":", change->row_id, problem);
    if (result == RESULT_OK)
        result = add_member(text, ",\"lcn\":", change->lcn, problem);
    if (result == RESULT_OK)
        result = add_member(text, ",\"base_seq\":", change->base_seq, problem);
    if (result == RESULT_OK)
        result = add_member(text, ",\"edited_at\":", change->edited_at.us, problem);
    if (result == RESULT_OK)
        result = add(text, ",\"values\":{", problem);
    for (uint8_t i = 1; i < table->column_count && result == RESULT_OK; i++) {
        if ((change->mask >> i & 1) == 0)
            continue;
        if (!is_first)
            result = add(text, ",", problem);
        is_first = false;
        if (result == RESULT_OK)
            result = add_string(text, bytes_of_text(table->columns[i].name), problem);
        if (result == RESULT_OK)
            result = add(text, ":", problem);
        if (result == RESULT_OK)
            result = add_json_value(text, &change->values[i], problem);
    }
    return result == RESULT_OK ? add(text, "}}", problem) : result;
}

/* ---- rows ---- */

/* Where the author will see it: the row's bucket, or his own if that isn't his to see now. */
static enum result kept_home(struct ingest *ingest, int64_t bucket, int64_t *ret_home,
                             struct problem *problem)
{
    int64_t until = SCOPE_NEVER;
    enum result result = RESULT_OK;

    if (bucket != 0)
        result = scope_rights_until(&ingest->rights, bucket, &until, problem);
    *ret_home = until == INT64_MAX ? bucket : bucket_of(BUCKET_USER, ingest->replica.user_id);
    return result;
}

static struct value id_or_null(int64_t id)
{
    return id == 0 ? value_null() : value_integer(id);
}

static struct author server_author(const struct ingest *ingest)
{
    return (struct author){.edited_at = work_now(ingest->work)};
}

/* What the row's change is about, in whatever bucket it is now; 0 if there is no such row. */
static enum result bucket_of_item(struct ingest *ingest, const struct ingest_item *item,
                                  int64_t *ret_bucket, struct problem *problem)
{
    const struct stored_row *row = NULL;
    enum result result = work_head(ingest->work, item->table, item->change->row_id, &row, problem);

    *ret_bucket = row == NULL ? 0 : row->bucket;
    return result;
}

static enum result insert_review(struct ingest *ingest, const struct ingest_item *item,
                                 const char *kind, enum reason reason, const char *text,
                                 struct bytes payload, int64_t home, struct problem *problem)
{
    const struct author author = server_author(ingest);
    const bool has_row = item->change->op != CHANGE_INSERT;
    const struct work_field fields[] = {
        {"kind", value_text_of(kind)},
        {"table_name", value_text_of(item->table->name)},
        {"row_id", has_row ? value_integer(item->change->row_id) : value_null()},
        {"reason_code", value_text_of(reason_code(reason))},
        {"reason_text", value_text_of(text != NULL ? text : reason_english(reason))},
        {"role", value_text_of("dispatcher")},
        {"payload", value_text(payload)},
        {"user_id", value_integer(ingest->replica.user_id)},
        {"device_id", id_or_null(ingest->replica.device_id)},
        {"created_at", value_integer(work_now(ingest->work).us)},
        {"home", value_integer(home)},
        {NULL, value_null()}};

    return work_insert_fields(ingest->work, "review_item", fields, &author, NULL, problem);
}

/* The end of a chunk that begins at `start`, never inside a character. */
static size_t chunk_end(struct bytes text, size_t start)
{
    size_t end = start + CHUNK_SIZE_MAX;

    if (end >= text.size)
        return text.size;
    while (end > start && (text.data[end] & 0xc0) == 0x80)
        end--;
    return end;
}

enum result ingest_keep_change(struct ingest *ingest, const struct ingest_item *item,
                               const char *kind, enum reason reason, const char *text,
                               struct problem *problem)
{
    struct buffer payload;
    int64_t bucket = 0;
    int64_t home = 0;
    enum result result = RESULT_OK;

    buffer_init(&payload, PAYLOAD_SIZE_MAX);
    result = bucket_of_item(ingest, item, &bucket, problem);
    if (result == RESULT_OK)
        result = kept_home(ingest, bucket, &home, problem);
    if (result == RESULT_OK)
        result = add_change(&payload, item, problem);
    for (size_t start = 0; start < payload.size && result == RESULT_OK;) {
        struct bytes whole = buffer_bytes(&payload);
        size_t end = chunk_end(whole, start);

        result = insert_review(ingest, item, kind, reason, text,
                               bytes_of(whole.data + start, end - start), home, problem);
        start = end;
    }
    buffer_done(&payload);
    if (result != RESULT_OK)
        problem_add(problem, "keeping a change that was not applied");
    return result;
}

/* Who wrote it, as far as the server knows: 0 for the server itself and other programs. */
static enum result user_of_replica(struct ingest *ingest, int64_t replica_no, int64_t *ret_user_id,
                                   int64_t *ret_device_id, struct problem *problem)
{
    const struct value parameter = value_integer(replica_no);
    struct store_result found = {0};
    enum result result = RESULT_OK;

    *ret_user_id = ingest->replica.user_id;
    *ret_device_id = ingest->replica.device_id;
    if (replica_no == ingest->replica.replica_no)
        return RESULT_OK;
    if (replica_no != 0)
        result = store_query(ingest->store,
                             "SELECT user_id, device_id FROM fs_replica WHERE replica_no=?1",
                             &parameter, 1, ingest->arena, &found, problem);
    *ret_user_id = store_integer_at(&found, 0, 0, 0);
    *ret_device_id = store_integer_at(&found, 0, 1, 0);
    return result;
}

static enum result loss_text(struct ingest *ingest, const struct value *value,
                             struct value *ret_text, struct problem *problem)
{
    struct buffer text;
    struct bytes copy = {0};
    enum result result = RESULT_OK;

    *ret_text = value_null();
    if (value->type == VALUE_NULL)
        return RESULT_OK;
    buffer_init(&text, PAYLOAD_SIZE_MAX);
    result = add_value(&text, value, problem);
    if (result == RESULT_OK && text.size > LIMIT_TEXT_SIZE_MAX)
        text.size = chunk_end(buffer_bytes(&text), 0); /* the whole is in a review_item */
    if (result == RESULT_OK)
        result = arena_copy(ingest->arena, buffer_bytes(&text), &copy, problem);
    if (result == RESULT_OK)
        *ret_text = value_text(copy);
    buffer_done(&text);
    return result;
}

/* A lost blob too large for a text column goes whole into review items, as a change of it. */
static enum result keep_large(struct ingest *ingest, const struct ingest_item *item,
                              const struct stored_row *row, const struct merge_loss *loss,
                              struct problem *problem)
{
    struct value *values = arena_array(ingest->arena, item->table->column_count, sizeof *values);
    struct change lost = *item->change;
    struct ingest_item whole = *item;

    if (values == NULL)
        return arena_full(ingest->arena, problem);
    values[loss->column_no] = loss->lost;
    lost.op = CHANGE_UPDATE;
    lost.row_id = row->id;
    lost.mask = UINT64_C(1) << loss->column_no;
    lost.values = values;
    whole.change = &lost;
    whole.original = NULL;
    return ingest_keep_change(ingest, &whole, "lost_value", REASON_OLDER_EDIT, NULL, problem);
}

enum result ingest_keep_loss(struct ingest *ingest, const struct ingest_item *item,
                             const struct stored_row *row, const struct merge_loss *loss,
                             const char *rule, struct problem *problem)
{
    const struct author author = server_author(ingest);
    struct value kept = value_null();
    struct value lost = value_null();
    int64_t kept_user_id = 0;
    int64_t lost_user_id = 0;
    int64_t lost_device_id = 0;
    int64_t unused = 0;
    int64_t home = 0;
    enum result result = user_of_replica(ingest, loss->kept_by, &kept_user_id, &unused, problem);

    if (result == RESULT_OK)
        result = user_of_replica(ingest, loss->replica_no, &lost_user_id, &lost_device_id, problem);
    if (result == RESULT_OK)
        result = loss_text(ingest, &loss->kept, &kept, problem);
    if (result == RESULT_OK)
        result = loss_text(ingest, &loss->lost, &lost, problem);
    if (result == RESULT_OK)
        result = kept_home(ingest, row->bucket, &home, problem);
    if (result == RESULT_OK && loss->lost.type == VALUE_BLOB &&
        loss->lost.bytes.size > LIMIT_TEXT_SIZE_MAX / 2)
        result = keep_large(ingest, item, row, loss, problem);
    if (result != RESULT_OK)
        return result;
    {
        const struct work_field fields[] = {
            {"table_name", value_text_of(item->table->name)},
            {"row_id", value_integer(row->id)},
            {"column_name", value_text_of(item->table->columns[loss->column_no].name)},
            {"kept", kept},
            {"lost", lost},
            {"kept_by_user_id", id_or_null(kept_user_id)},
            {"lost_by_user_id", id_or_null(lost_user_id)},
            {"lost_device_id", id_or_null(lost_device_id)},
            {"user_id", value_integer(lost_user_id != 0 ? lost_user_id : ingest->replica.user_id)},
            {"rule", value_text_of(rule)},
            {"occurred_at", value_integer(work_now(ingest->work).us)},
            {"home", value_integer(home)},
            {NULL, value_null()}};

        trace_line(ingest->trace,
                   "server: %s %" PRId64 " %s: value of replica %" PRId64
                   " overruled by replica %" PRId64 ", kept",
                   item->table->name, row->id, item->table->columns[loss->column_no].name,
                   loss->replica_no, loss->kept_by);
        return work_insert_fields(ingest->work, "merge_loss", fields, &author, NULL, problem);
    }
}

enum result ingest_audit(struct ingest *ingest, const char *event, const char *detail,
                         struct problem *problem)
{
    const struct value parameters[] = {value_integer(work_now(ingest->work).us),
                                       value_text_of(event), value_integer(ingest->replica.user_id),
                                       value_integer(ingest->replica.replica_no),
                                       value_text_of(detail)};

    return work_execute(ingest->work,
                        "INSERT INTO fs_audit(occurred_at, event, user_id, replica_no, detail)"
                        " VALUES(?1,?2,?3,?4,?5)",
                        parameters, 5, problem);
}
