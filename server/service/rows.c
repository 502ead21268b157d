/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/rows.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct author rows_server(const struct work *work)
{
    return (struct author){.replica_no = 0, .user_id = 0, .edited_at = work_now(work)};
}

static const struct value *cell_of(const struct catalog_table *table, const struct value *values,
                                   const char *column)
{
    const struct catalog_column *found = catalog_column_by_name(table, column);

    invariant(found != NULL);
    return &values[found->number];
}

int64_t change_integer(const struct work_change *change, const char *column, int64_t otherwise)
{
    const struct value *value = cell_of(change->table, change->after, column);

    return value->type == VALUE_INTEGER ? value->integer : otherwise;
}

struct bytes change_text(const struct work_change *change, const char *column)
{
    const struct value *value = cell_of(change->table, change->after, column);

    return value->type == VALUE_TEXT ? value->bytes : (struct bytes){0};
}

bool change_is_insert(const struct work_change *change)
{
    return change->before == NULL && change->after != NULL;
}

bool change_sets(const struct work_change *change, const char *column)
{
    const struct catalog_column *found = catalog_column_by_name(change->table, column);

    invariant(found != NULL);
    return change->after != NULL &&
           (change->before == NULL || (change->mask >> found->number & 1) != 0);
}

/* The row's cell, NULL if there is no row. */
static enum result find_cell(struct work *work, const char *table_name, int64_t id,
                             const char *column, const struct value **ret_cell,
                             struct problem *problem)
{
    const struct catalog_table *table = catalog_table_by_name(work_catalog(work), table_name);
    const struct stored_row *row = NULL;
    enum result result;

    invariant(table != NULL);
    result = work_row(work, table, id, &row, problem);
    if (result == RESULT_OK)
        *ret_cell = row == NULL ? NULL : cell_of(table, row->values, column);
    return result;
}

enum result row_integer(struct work *work, const char *table_name, int64_t id, const char *column,
                        int64_t otherwise, int64_t *ret_value, struct problem *problem)
{
    const struct value *cell = NULL;
    enum result result = find_cell(work, table_name, id, column, &cell, problem);

    if (result == RESULT_OK)
        *ret_value = cell != NULL && cell->type == VALUE_INTEGER ? cell->integer : otherwise;
    return result;
}

static enum result text_copy(struct work *work, struct bytes text, const char **ret_text,
                             struct problem *problem)
{
    struct bytes copy = {0};
    enum result result = arena_copy(work_arena(work), text, &copy, problem);

    if (result == RESULT_OK)
        *ret_text = (const char *)copy.data;
    return result;
}

enum result row_text(struct work *work, const char *table_name, int64_t id, const char *column,
                     const char **ret_text, struct problem *problem)
{
    const struct value *cell = NULL;
    enum result result = find_cell(work, table_name, id, column, &cell, problem);

    if (result != RESULT_OK)
        return result;
    if (cell == NULL || cell->type != VALUE_TEXT) {
        *ret_text = NULL;
        return RESULT_OK;
    }
    return text_copy(work, cell->bytes, ret_text, problem);
}

enum result row_bucket(struct work *work, const char *table_name, int64_t id, int64_t *ret_bucket,
                       struct problem *problem)
{
    const struct catalog_table *table = catalog_table_by_name(work_catalog(work), table_name);
    const struct stored_row *row = NULL;
    enum result result;

    invariant(table != NULL);
    result = work_row(work, table, id, &row, problem);
    if (result == RESULT_OK && row == NULL)
        result =
            problem_set(problem, RESULT_REFUSED, "%s %" PRId64 " does not exist", table_name, id);
    if (result == RESULT_OK)
        *ret_bucket = row->bucket;
    return result;
}

enum result cell_text(struct work *work, const struct store_result *result, size_t row,
                      size_t column, const char **ret_text, struct problem *problem)
{
    const struct value *cell = store_at(result, row, column);

    if (cell->type != VALUE_TEXT) {
        *ret_text = NULL;
        return RESULT_OK;
    }
    return text_copy(work, cell->bytes, ret_text, problem);
}

enum result query_integer(struct work *work, const char *sql, const struct value *parameters,
                          size_t parameter_count, int64_t otherwise, int64_t *ret_value,
                          struct problem *problem)
{
    struct store_result found = {0};
    enum result result = work_query(work, sql, parameters, parameter_count, &found, problem);

    if (result == RESULT_OK)
        *ret_value = store_integer_at(&found, 0, 0, otherwise);
    return result;
}

struct value value_id(int64_t id)
{
    return id == 0 ? value_null() : value_integer(id);
}

/* ---- with what right ---- */

enum result roles_of(struct work *work, int64_t user_id, unsigned *ret_roles,
                     struct problem *problem)
{
    const struct value user = value_integer(user_id);
    struct store_result found = {0};
    unsigned roles = user_id == 0 ? ROLE_SERVER : 0;
    enum result result = RESULT_OK;

    if (user_id != 0)
        result = work_query(work, "SELECT role FROM role_grant WHERE user_id = ?1", &user, 1,
                            &found, problem);
    for (size_t i = 0; i < found.row_count && result == RESULT_OK; i++)
        roles |= roles_parse(store_bytes_at(&found, i, 0));
    if (result == RESULT_OK)
        *ret_roles = roles;
    return result;
}

void roles_format(unsigned roles, char ret_text[ROLES_TEXT_SIZE])
{
    size_t size = 0;

    ret_text[0] = '\0';
    for (int i = 0; i < ROLE_COUNT; i++) {
        const char *name = role_name((enum role)(1u << i));
        int written;

        if ((roles & 1u << i) == 0)
            continue;
        written =
            snprintf(ret_text + size, ROLES_TEXT_SIZE - size, "%s%s", size > 0 ? "," : "", name);
        invariant(written > 0 && (size_t)written < ROLES_TEXT_SIZE - size);
        size += (size_t)written;
    }
}

unsigned roles_parse(struct bytes text)
{
    unsigned roles = 0;
    size_t start = 0;

    for (size_t i = 0; i <= text.size; i++) {
        if (i < text.size && text.data[i] != ',')
            continue;
        for (int r = 0; r < ROLE_COUNT; r++) {
            const char *name = role_name((enum role)(1u << r));

            if (bytes_equal(bytes_of(text.data + start, i - start), bytes_of_text(name)))
                roles |= 1u << r;
        }
        start = i + 1;
    }
    return roles;
}

enum result event_accept(struct work *work, const struct work_change *change, const char *sql_next,
                         int64_t parent_id, struct problem *problem)
{
    const struct value parent = value_integer(parent_id);
    const struct author server = rows_server(work);
    char roles_text[ROLES_TEXT_SIZE];
    struct work_field fields[3] = {{.name = NULL}};
    int64_t accepted_n = 0;
    int64_t next = 0;
    unsigned roles = 0;
    enum result result = row_integer(work, change->table->name, change->row_id, "accepted_n", 0,
                                     &accepted_n, problem);

    if (result != RESULT_OK || accepted_n != 0)
        return result;
    if (change_text(change, "by_roles").size > 0)
        roles = roles_parse(change_text(change, "by_roles"));
    else
        result = roles_of(work, change_integer(change, "by_id", 0), &roles, problem);
    if (result == RESULT_OK)
        result = query_integer(work, sql_next, &parent, 1, 1, &next, problem);
    if (result != RESULT_OK)
        return result;
    roles_format(roles, roles_text);
    fields[0] = (struct work_field){"by_roles", value_text_of(roles_text)};
    fields[1] = (struct work_field){"accepted_n", value_integer(next)};
    return work_update_fields(work, change->table->name, change->row_id, fields, &server, problem);
}
