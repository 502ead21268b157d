/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/series.h"

#include "server/service/rows.h"

#include <stdio.h>

/* The server's row of the series for this year; made with the first number. */
static enum result series_row(struct work *work, const char *kind, const char *prefix, int64_t year,
                              int64_t *ret_id, int64_t *ret_next, struct problem *problem)
{
    const struct author server = rows_server(work);
    const struct value key[] = {value_text_of(kind), value_text_of(prefix), value_integer(year)};
    const struct work_field fields[] = {
        {"kind", key[0]}, {"prefix", key[1]}, {"year_n", key[2]}, {.name = NULL}};
    struct store_result row = {0};
    enum result result = work_query(work,
                                    "SELECT id, next_n FROM number_series"
                                    " WHERE kind = ?1 AND prefix = ?2 AND year_n = ?3",
                                    key, 3, &row, problem);

    if (result != RESULT_OK)
        return result;
    *ret_id = store_integer_at(&row, 0, 0, 0);
    *ret_next = store_integer_at(&row, 0, 1, 1);
    if (*ret_id == 0)
        result = work_insert_fields(work, "number_series", fields, &server, ret_id, problem);
    return result;
}

enum result series_take(struct work *work, const char *kind, const char *prefix,
                        char ret_text[NUMBER_TEXT_SIZE], struct problem *problem)
{
    const struct author server = rows_server(work);
    struct work_field fields[] = {{"next_n", value_null()}, {.name = NULL}};
    char now[WALL_TEXT_SIZE];
    char dated_prefix[NUMBER_PREFIX_SIZE_MAX + 8];
    int64_t year = 0;
    int64_t id = 0;
    int64_t next = 1;
    enum result result;

    wall_time_format(work_now(work), now); /* begins with four digits of the year */
    for (int i = 0; i < 4; i++)
        year = year * 10 + (now[i] - '0');
    (void)snprintf(dated_prefix, sizeof dated_prefix, "%.8s%.4s", prefix, now);
    result = series_row(work, kind, prefix, year, &id, &next, problem);
    if (result == RESULT_OK)
        result = number_take(dated_prefix, &next, ret_text, problem);
    if (result != RESULT_OK)
        return result;
    fields[0].value = value_integer(next);
    return work_update_fields(work, "number_series", id, fields, &server, problem);
}
