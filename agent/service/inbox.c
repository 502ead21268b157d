/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/service/inbox.h"

#include "base/number.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { INBOX_ARENA_SIZE_MAX = 4 << 20 };

/* Why a value lost, by the merge rule of its column. */
#define LOSS_REASON                                                                                \
    "CASE l.rule WHEN 'write_once' THEN 'written_once' WHEN 'delete_wins' THEN 'unknown_row'"      \
    " ELSE 'older_edit' END"

static const struct listing_column COLUMNS[] = {
    {"id", "ID", LISTING_ID},
    {"kind", "KIND", LISTING_TEXT},
    {"occurred_at", "WHEN", LISTING_TIME},
    {"table", "TABLE", LISTING_TEXT},
    {"row_id", "ROW", LISTING_ID},
    {"column", "FIELD", LISTING_TEXT},
    {"mine", "MINE", LISTING_TEXT},
    {"kept", "KEPT", LISTING_TEXT},
    {"by", "BY OR WITH", LISTING_TEXT},
    {"device", "DEVICE", LISTING_TEXT},
    {"reason", NULL, LISTING_TEXT},
    {"says", "WHY", LISTING_REASON},
};
static const struct listing_query LIST = LISTING_QUERY(
    "SELECT l.id, 'lost', l.occurred_at, l.table_name, l.row_id, l.column_name, l.lost, l.kept, "
    "u.name, d.series, l.rule, " LOSS_REASON " FROM merge_loss l "
    "LEFT JOIN app_user u ON u.id = l.kept_by_user_id LEFT JOIN device d ON d.id = l.lost_device_id"
    " WHERE l.user_id = ?1 AND l.state = 'open' "
    "UNION ALL SELECT r.id, r.kind, r.created_at, r.table_name, r.row_id, NULL, NULL, NULL, "
    "r.role, d.series, r.reason_code, r.reason_code FROM review_item r"
    " LEFT JOIN device d ON d.id = r.device_id"
    " WHERE r.user_id = ?1 AND r.state = 'open' ORDER BY 3, 1",
    COLUMNS);

enum result inbox_list(struct service *service, struct arena *arena, struct listing *ret_listing,
                       struct problem *problem)
{
    return service_list(service, &LIST, SERVICE_VALUES(value_integer(service->who.user_id)), arena,
                        ret_listing, problem);
}

/* ---- writing a change again ---- */

/* Columns of a row to set; names come from the catalog only. */
struct edit {
    const struct catalog_table *table;
    int64_t row_id;
    size_t count;
    const struct catalog_column *columns[ROW_COLUMNS_MAX];
    struct value values[ROW_COLUMNS_MAX + 1];
};

static enum result append(struct buffer *sql, const char *text, struct problem *problem)
{
    return buffer_append(sql, text, strlen(text), problem);
}

static enum result update_row(struct service *service, struct arena *arena, struct edit *edit,
                              struct problem *problem)
{
    struct value *values = arena_array(arena, edit->count + 1, sizeof *values);
    const char *piece =
        values == NULL ? NULL : arena_format(arena, "UPDATE \"%s\" SET ", edit->table->name);
    struct buffer sql;
    enum result result;

    if (piece == NULL)
        return arena_full(arena, problem);
    buffer_init(&sql, 16 * 1024);
    result = append(&sql, piece, problem);
    values[0] = value_integer(edit->row_id);
    for (size_t i = 0; result == RESULT_OK && i < edit->count; i++) {
        piece = arena_format(arena, "%s\"%s\" = ?%zu", i == 0 ? "" : ", ", edit->columns[i]->name,
                             i + 2);
        result = piece == NULL ? arena_full(arena, problem) : append(&sql, piece, problem);
        values[i + 1] = edit->values[i];
    }
    if (result == RESULT_OK)
        result = buffer_append(&sql, " WHERE id = ?1", sizeof " WHERE id = ?1", problem);
    if (result == RESULT_OK)
        result = replica_execute(service->replica, (const char *)sql.data, values, edit->count + 1,
                                 problem);
    buffer_done(&sql);
    return result;
}

static enum result insert_row(struct service *service, struct arena *arena, struct edit *edit,
                              struct problem *problem)
{
    const char *piece = arena_format(arena, "INSERT INTO \"%s\" (id", edit->table->name);
    struct buffer sql;
    enum result result;

    if (piece == NULL)
        return arena_full(arena, problem);
    buffer_init(&sql, 16 * 1024);
    result = append(&sql, piece, problem);
    for (size_t i = 0; result == RESULT_OK && i < edit->count; i++) {
        piece = arena_format(arena, ", \"%s\"", edit->columns[i]->name);
        result = piece == NULL ? arena_full(arena, problem) : append(&sql, piece, problem);
    }
    if (result == RESULT_OK)
        result = append(&sql, ") VALUES (?1", problem);
    for (size_t i = 0; result == RESULT_OK && i < edit->count; i++) {
        piece = arena_format(arena, ", ?%zu", i + 2);
        result = piece == NULL ? arena_full(arena, problem) : append(&sql, piece, problem);
    }
    if (result == RESULT_OK)
        result = buffer_append(&sql, ")", sizeof ")", problem);
    if (result == RESULT_OK)
        result = service_insert(service, (const char *)sql.data, edit->values, edit->count, NULL,
                                problem);
    buffer_done(&sql);
    return result;
}

static enum result row_exists(struct service *service, struct arena *arena, const struct edit *edit,
                              bool *ret_exists, struct problem *problem)
{
    const char *sql = arena_format(arena, "SELECT 1 FROM \"%s\" WHERE id = ?1", edit->table->name);
    const struct value *row = NULL;

    if (sql == NULL)
        return arena_full(arena, problem);
    return service_row(service, sql, SERVICE_VALUES(value_integer(edit->row_id)), arena, &row,
                       ret_exists, problem);
}

/* ---- values as text ---- */

static enum result text_to_integer(const char *text, struct value *ret_value,
                                   struct problem *problem)
{
    int64_t number = 0;

    if (!number_read(text, &number))
        return problem_set(problem, RESULT_REFUSED, "`%.60s` is no whole number", text);
    *ret_value = value_integer(number);
    return RESULT_OK;
}

static enum result text_to_blob(struct arena *arena, const char *text, struct value *ret_value,
                                struct problem *problem)
{
    size_t size = strlen(text) / 2;
    uint8_t *data = arena_alloc(arena, size + 1);

    if (data == NULL)
        return arena_full(arena, problem);
    if (!bytes_from_hex(text, data, size))
        return problem_set(problem, RESULT_REFUSED, "the lost value isn't hexadecimal");
    *ret_value = value_blob(bytes_of(data, size));
    return RESULT_OK;
}

/* A value as merge_loss keeps it: text for every type. */
static enum result value_from_text(struct arena *arena, const struct catalog_column *column,
                                   const struct value *text, struct value *ret_value,
                                   struct problem *problem)
{
    const char *letters = service_text(arena, text);
    char *end = NULL;

    if (text->type == VALUE_NULL) {
        *ret_value = value_null();
        return RESULT_OK;
    }
    if (column->type == VALUE_INTEGER)
        return text_to_integer(letters, ret_value, problem);
    if (column->type == VALUE_BLOB)
        return text_to_blob(arena, letters, ret_value, problem);
    if (column->type == VALUE_REAL) {
        double real = strtod(letters, &end);

        if (end == letters || *end != '\0' || real - real != 0)
            return problem_set(problem, RESULT_REFUSED, "`%.60s` is no number", letters);
        *ret_value = value_real(real);
        return RESULT_OK;
    }
    *ret_value = *text;
    return RESULT_OK;
}

/* ---- lost values ---- */

static enum result reapply_loss(struct service *service, struct arena *arena,
                                const struct value *loss, struct problem *problem)
{
    const char *table_name = service_text(arena, &loss[0]);
    const char *column_name = service_text(arena, &loss[2]);
    struct edit edit = {
        .table = catalog_table_by_name(replica_catalog(service->replica), table_name),
        .row_id = service_integer(&loss[1]),
        .count = 1,
    };
    bool exists = false;
    enum result result;

    if (edit.table != NULL)
        edit.columns[0] = catalog_column_by_name(edit.table, column_name);
    if (edit.columns[0] == NULL)
        return problem_set(problem, RESULT_REFUSED, "%.60s.%.60s isn't known here", table_name,
                           column_name);
    result = value_from_text(arena, edit.columns[0], &loss[3], &edit.values[0], problem);
    if (result == RESULT_OK)
        result = row_exists(service, arena, &edit, &exists, problem);
    if (result == RESULT_OK && !exists)
        return problem_set(problem, RESULT_REFUSED, "the row isn't on this device any more");
    if (result == RESULT_OK)
        result = update_row(service, arena, &edit, problem);
    return result;
}

/* ---- refused changes ---- */

/* One member of payload.values: key, type, text or number, hex of a blob. */
static enum result take_member(struct arena *arena, const struct value *member, struct edit *edit,
                               struct problem *problem)
{
    const char *name = service_text(arena, &member[0]);
    const struct catalog_column *column = catalog_column_by_name(edit->table, name);
    struct value value = member[2];
    enum result result = RESULT_OK;

    if (column == NULL)
        return problem_set(problem, RESULT_REFUSED, "column %.60s isn't known here", name);
    if (column->number == 0 || column->number == edit->table->home_column_no ||
        (edit->table->server_only_mask >> column->number & 1) != 0)
        return RESULT_OK; /* the server's own */
    if (member[3].type == VALUE_TEXT)
        result = text_to_blob(arena, service_text(arena, &member[3]), &value, problem);
    if (result != RESULT_OK)
        return result;
    if (column->type == VALUE_REAL && value.type == VALUE_INTEGER)
        value = value_real((double)value.integer);
    edit->columns[edit->count] = column;
    edit->values[edit->count] = value;
    edit->count++;
    return RESULT_OK;
}

static enum result read_payload(struct service *service, struct arena *arena,
                                const struct value *payload, struct edit *edit,
                                struct problem *problem)
{
    struct replica_result members = {0};
    enum result result =
        replica_query(service->replica,
                      "SELECT key, type, CASE type WHEN 'object' THEN NULL ELSE atom END, "
                      "CASE type WHEN 'object' THEN json_extract(value, '$.hex') END "
                      "FROM json_each(?1, '$.values')",
                      payload, 1, arena, &members, problem);

    if (result == RESULT_OK && members.row_count > ROW_COLUMNS_MAX)
        return problem_set(problem, RESULT_REFUSED, "the kept change has too many columns");
    for (size_t i = 0; result == RESULT_OK && i < members.row_count; i++)
        result = take_member(arena, members.values + i * members.column_count, edit, problem);
    return result;
}

static enum result write_again(struct service *service, struct arena *arena, const char *op,
                               struct edit *edit, struct problem *problem)
{
    bool exists = false;
    enum result result = row_exists(service, arena, edit, &exists, problem);

    if (result != RESULT_OK)
        return result;
    if (strcmp(op, "delete") == 0) {
        const char *sql =
            arena_format(arena, "DELETE FROM \"%s\" WHERE id = ?1", edit->table->name);

        if (sql == NULL)
            return arena_full(arena, problem);
        return replica_execute(service->replica, sql, SERVICE_VALUES(value_integer(edit->row_id)),
                               problem);
    }
    if (edit->count == 0)
        return problem_set(problem, RESULT_REFUSED, "the kept change sets nothing");
    if (exists && !edit->table->append_only)
        return update_row(service, arena, edit, problem);
    if (strcmp(op, "insert") == 0 && !exists)
        return insert_row(service, arena, edit, problem);
    return problem_set(problem, RESULT_REFUSED,
                       exists ? "the row is still here and can't be changed"
                              : "the row isn't on this device any more");
}

static enum result reapply_review(struct service *service, struct arena *arena,
                                  const struct value *review, struct problem *problem)
{
    const char *table_name = service_text(arena, &review[0]);
    const struct value *head = NULL;
    struct edit edit = {.table =
                            catalog_table_by_name(replica_catalog(service->replica), table_name)};
    bool is_found = false;
    enum result result;

    if (review[1].type != VALUE_TEXT)
        return problem_set(problem, RESULT_REFUSED,
                           "it asks for a decision, there is no change to write again");
    if (edit.table == NULL)
        return problem_set(problem, RESULT_REFUSED, "table %.60s isn't known here", table_name);
    result = service_row(service,
                         "SELECT json_extract(?1, '$.op'), json_extract(?1, '$.id') "
                         "WHERE json_valid(?1)",
                         &review[1], 1, arena, &head, &is_found, problem);
    if (result == RESULT_OK && !is_found)
        return problem_set(problem, RESULT_REFUSED, "the kept change isn't readable");
    if (result != RESULT_OK)
        return result;
    edit.row_id = service_integer(&head[1]);
    result = read_payload(service, arena, &review[1], &edit, problem);
    if (result == RESULT_OK)
        result = write_again(service, arena, service_text(arena, &head[0]), &edit, problem);
    return result;
}

/* ---- settling ---- */

static enum result settle(struct service *service, struct arena *arena, int64_t id,
                          bool is_reapplied, struct problem *problem)
{
    const char *state = is_reapplied ? "reapplied" : "discarded";
    const struct value *row = NULL;
    bool is_found = false;
    enum result result =
        service_row(service,
                    "SELECT table_name, row_id, column_name, lost FROM merge_loss "
                    "WHERE id = ?1 AND user_id = ?2 AND state = 'open'",
                    SERVICE_VALUES(value_integer(id), value_integer(service->who.user_id)), arena,
                    &row, &is_found, problem);

    if (result == RESULT_OK && is_found) {
        if (is_reapplied)
            result = reapply_loss(service, arena, row, problem);
        if (result == RESULT_OK)
            result =
                replica_execute(service->replica, "UPDATE merge_loss SET state = ?2 WHERE id = ?1",
                                SERVICE_VALUES(value_integer(id), value_text_of(state)), problem);
        return result;
    }
    if (result == RESULT_OK)
        result = service_row(service,
                             "SELECT table_name, payload FROM review_item "
                             "WHERE id = ?1 AND user_id = ?2 AND state = 'open'",
                             SERVICE_VALUES(value_integer(id), value_integer(service->who.user_id)),
                             arena, &row, &is_found, problem);
    if (result == RESULT_OK && !is_found)
        return problem_set(problem, RESULT_REFUSED, "nothing open with this id is in your inbox");
    if (result == RESULT_OK && is_reapplied)
        result = reapply_review(service, arena, row, problem);
    if (result == RESULT_OK)
        result =
            replica_execute(service->replica,
                            "UPDATE review_item SET state = ?2, resolved_by_id = ?3 WHERE id = ?1",
                            SERVICE_VALUES(value_integer(id), value_text_of(state),
                                           value_integer(service->who.user_id)),
                            problem);
    return result;
}

static enum result settle_alone(struct service *service, int64_t id, bool is_reapplied,
                                struct problem *problem)
{
    struct arena arena;
    enum result result;

    arena_init(&arena, INBOX_ARENA_SIZE_MAX);
    result = service_change_begin(service, problem);
    if (result == RESULT_OK) {
        result = settle(service, &arena, id, is_reapplied, problem);
        result = service_change_end(service, result, false, problem);
    }
    arena_done(&arena);
    return result;
}

enum result inbox_reapply(struct service *service, int64_t id, struct problem *problem)
{
    return settle_alone(service, id, true, problem);
}

enum result inbox_discard(struct service *service, int64_t id, struct problem *problem)
{
    return settle_alone(service, id, false, problem);
}
