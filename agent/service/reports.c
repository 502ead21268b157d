/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/service/reports.h"

enum { ROWS_SIZE_MAX = 16 << 20 };

enum result report_append(struct service *service, int64_t activity_id, struct bytes language,
                          struct bytes salt, struct buffer *text, struct problem *problem)
{
    struct arena arena;
    enum result result = report_append_header(text, language, salt, problem);

    arena_init(&arena, ROWS_SIZE_MAX);
    for (size_t i = 0; result == RESULT_OK && i < report_section_count(); i++) {
        const struct report_section *section = report_section_at(i);
        struct replica_result rows = {0};

        result = replica_query(service->replica, section->sql,
                               SERVICE_VALUES(value_integer(activity_id)), &arena, &rows, problem);
        if (result == RESULT_OK && i == 0 && rows.row_count == 0)
            result = problem_set(problem, RESULT_REFUSED, "no such activity is on this device");
        if (result == RESULT_OK)
            result = report_append_rows(text, section, rows.values, rows.row_count,
                                        rows.column_count, problem);
    }
    arena_done(&arena);
    return result;
}
