/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/sending.h"

#include "protocol/limits.h"
#include "protocol/rows.h"
#include "server/store/work.h"

#include <assert.h>

static_assert((int)WORK_VALUE_SIZE_MAX == (int)LIMIT_TEXT_SIZE_MAX,
              "rows that were adopted can be sent");

enum { ROW_OVERHEAD_SIZE = 32, VALUE_OVERHEAD_SIZE = 9 };

static bool is_long(const struct value *value)
{
    return (value->type == VALUE_TEXT || value->type == VALUE_BLOB) &&
           value->bytes.size > LIMIT_TEXT_SIZE_MAX;
}

bool sending_fits(const struct catalog_table *table, uint64_t mask, const struct value *values)
{
    struct problem unused = {0};

    for (uint8_t i = 1; i < table->column_count; i++)
        if ((mask >> i & 1) != 0 &&
            (is_long(&values[i]) || rows_check_value(table, i, &values[i], &unused) != RESULT_OK))
            return false;
    return true;
}

size_t sending_size(const struct catalog_table *table, uint64_t mask, const struct value *values)
{
    size_t size = ROW_OVERHEAD_SIZE;

    for (uint8_t i = 1; i < table->column_count; i++) {
        if ((mask >> i & 1) == 0)
            continue;
        size += VALUE_OVERHEAD_SIZE;
        if (values[i].type == VALUE_TEXT || values[i].type == VALUE_BLOB)
            size += values[i].bytes.size;
    }
    return size;
}
