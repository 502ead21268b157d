/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that two copies of one disk have delivered both: they are the same row (G2). */
#include "server/core/ingest_inside.h"

#include "base/invariant.h"

enum result ingest_read_family(struct ingest *ingest, struct problem *problem)
{
    const struct value parameters[] = {value_integer(ingest->replica.first_no),
                                       value_integer(ingest->replica.replica_no),
                                       value_integer(INGEST_FAMILY_MAX - 1)};
    struct store_result found = {0};
    enum result result = RESULT_OK;

    ingest->family_count = 0;
    if (ingest->replica.first_no == 0)
        return RESULT_OK;
    result = store_query(ingest->store,
                         "SELECT replica_no FROM fs_replica WHERE first_no=?1 AND replica_no<>?2"
                         " ORDER BY replica_no DESC LIMIT ?3",
                         parameters, 3, ingest->arena, &found, problem);
    ingest->family[ingest->family_count++] = ingest->replica.first_no;
    for (size_t i = 0; i < found.row_count; i++)
        ingest->family[ingest->family_count++] = store_integer_at(&found, i, 0, 0);
    return result;
}

/* Never changed since its insert: a row that was moved has its inserted columns written down. */
static bool is_as_inserted(const struct stored_row *row, const struct versions *versions,
                           uint8_t column_no)
{
    struct column_version version = versions->columns[column_no];

    return version.seq == 0 || (version.edited_at_us == versions->insert.edited_at_us &&
                                version.replica_no == id_replica_no(row->id));
}

/* Equal in all that its author has said, as far as it can still be seen: a column that was changed
 * since the row came tells nothing. Defaults alone make no two rows the same. */
static bool is_same(const struct ingest_item *item, const struct stored_row *row,
                    const struct versions *versions, const struct value *values, uint64_t mask)
{
    const struct catalog_table *table = item->table;
    size_t equal_count = 0;

    for (uint8_t i = 1; i < table->column_count; i++) {
        if ((mask >> i & 1) == 0 || i == table->home_column_no || !is_as_inserted(row, versions, i))
            continue;
        if (!value_equal(&values[i], &row->values[i]))
            return false;
        if (!value_equal(&values[i], &table->columns[i].default_value))
            equal_count++;
    }
    return equal_count > 0;
}

static enum result look_at(struct ingest *ingest, const struct ingest_item *item,
                           int64_t replica_no, const struct value *values, uint64_t mask,
                           const struct stored_row **ret_row, struct problem *problem)
{
    int64_t id = id_of(replica_no, id_counter(item->change->row_id));
    const struct stored_row *row = NULL;
    struct versions versions;
    bool may_see = false;
    enum result result = work_row(ingest->work, item->table, id, &row, problem);

    if (result != RESULT_OK || row == NULL)
        return result;
    result = versions_of_row(row, &versions, problem);
    if (result == RESULT_OK && is_same(item, row, &versions, values, mask))
        result = ingest_may_see(ingest, item->change, row->bucket, row->id, &may_see, problem);
    if (result == RESULT_OK && may_see)
        *ret_row = row;
    return result;
}

enum result ingest_find_twin(struct ingest *ingest, const struct ingest_item *item,
                             const struct value *values, uint64_t mask,
                             const struct stored_row **ret_row, struct problem *problem)
{
    enum result result = RESULT_OK;

    *ret_row = NULL;
    for (size_t i = 0; i < ingest->family_count && *ret_row == NULL && result == RESULT_OK; i++)
        result = look_at(ingest, item, ingest->family[i], values, mask, ret_row, problem);
    return result;
}
