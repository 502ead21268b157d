/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/versions.h"

#include "base/invariant.h"

#include <string.h>

enum { VARINT_SIZE_MAX = 10, ENTRY_FIELDS = 4 };

/* A cursor over the packed form; `is_broken` sticks. */
struct unpacking {
    struct bytes left;
    bool is_broken;
};

static int64_t varint_take(struct unpacking *at)
{
    uint64_t number = 0;

    for (unsigned shift = 0; shift < 63 && at->left.size > 0; shift += 7) {
        uint8_t byte = at->left.data[0];

        at->left.data++;
        at->left.size--;
        number |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return (int64_t)(number & INT64_MAX);
    }
    at->is_broken = true;
    return 0;
}

static size_t varint_put(uint8_t *memory, int64_t number)
{
    uint64_t left = (uint64_t)number;
    size_t size = 0;

    invariant(number >= 0);
    while (left >= 0x80) {
        memory[size++] = (uint8_t)(left | 0x80);
        left >>= 7;
    }
    memory[size++] = (uint8_t)left;
    return size;
}

/* Who inserted it, by its id; 0 for a number that another program made up. */
static int64_t origin_of(const struct stored_row *row)
{
    return row->id < 0 || row->id > ID_MAX ? 0 : id_replica_no(row->id);
}

static enum result damaged(const struct stored_row *row, struct problem *problem)
{
    return problem_set(problem, RESULT_STORAGE, "column versions of row %lld are damaged",
                       (long long)row->id);
}

enum result versions_full(const struct stored_row *row, int64_t *ret_full_seq,
                          int64_t *ret_replica_no, struct problem *problem)
{
    struct unpacking at = {.left = row->versions};

    *ret_full_seq = row->seq;
    *ret_replica_no = origin_of(row);
    if (row->versions.size == 0)
        return RESULT_OK;
    *ret_full_seq = varint_take(&at);
    (void)varint_take(&at);
    *ret_replica_no = varint_take(&at);
    return at.is_broken ? damaged(row, problem) : RESULT_OK;
}

enum result versions_of_row(const struct stored_row *row, struct versions *ret_versions,
                            struct problem *problem)
{
    struct unpacking at = {.left = row->versions};

    *ret_versions = (struct versions){
        .full_seq = row->seq,
        .insert = {.seq = row->seq, .replica_no = origin_of(row)},
    };
    if (row->versions.size == 0)
        return RESULT_OK;
    ret_versions->full_seq = varint_take(&at);
    ret_versions->insert.seq = ret_versions->full_seq;
    ret_versions->insert.edited_at_us = varint_take(&at);
    ret_versions->insert.replica_no = varint_take(&at);
    while (at.left.size > 0 && !at.is_broken) {
        int64_t column_no = varint_take(&at);
        struct column_version version = {.seq = varint_take(&at)};

        version.edited_at_us = varint_take(&at);
        version.replica_no = varint_take(&at);
        if (column_no < 1 || column_no > ROW_COLUMNS_MAX)
            at.is_broken = true;
        else
            ret_versions->columns[column_no] = version;
    }
    return at.is_broken ? damaged(row, problem) : RESULT_OK;
}

enum result versions_pack_insert(const struct stored_row *row, int64_t edited_at_us,
                                 int64_t replica_no, struct arena *arena, struct bytes *ret_bytes,
                                 struct problem *problem)
{
    uint8_t packed[3 * VARINT_SIZE_MAX];
    size_t size = 0;

    if (edited_at_us == 0 && replica_no == origin_of(row)) {
        *ret_bytes = (struct bytes){0};
        return RESULT_OK;
    }
    size += varint_put(packed + size, row->seq);
    size += varint_put(packed + size, edited_at_us);
    size += varint_put(packed + size, replica_no);
    return arena_copy(arena, bytes_of(packed, size), ret_bytes, problem);
}

enum result versions_pack(const struct versions *versions, const struct stored_row *row,
                          struct arena *arena, struct bytes *ret_bytes, struct problem *problem)
{
    uint8_t packed[(ROW_COLUMNS_MAX + 1) * ENTRY_FIELDS * VARINT_SIZE_MAX];
    size_t size = 0;
    bool is_plain = versions->full_seq == row->seq && versions->insert.edited_at_us == 0 &&
                    versions->insert.replica_no == origin_of(row);

    size += varint_put(packed + size, versions->full_seq);
    size += varint_put(packed + size, versions->insert.edited_at_us);
    size += varint_put(packed + size, versions->insert.replica_no);
    for (int i = 1; i <= ROW_COLUMNS_MAX; i++) {
        const struct column_version *version = &versions->columns[i];

        if (version->seq == 0)
            continue;
        is_plain = false;
        size += varint_put(packed + size, i);
        size += varint_put(packed + size, version->seq);
        size += varint_put(packed + size, version->edited_at_us);
        size += varint_put(packed + size, version->replica_no);
    }
    if (is_plain) {
        *ret_bytes = (struct bytes){0};
        return RESULT_OK;
    }
    return arena_copy(arena, bytes_of(packed, size), ret_bytes, problem);
}

struct column_version versions_of_column(const struct versions *versions, uint8_t column_no)
{
    invariant(column_no <= ROW_COLUMNS_MAX);
    return versions->columns[column_no].seq != 0 ? versions->columns[column_no] : versions->insert;
}

uint64_t versions_newer_mask(const struct catalog_table *table, const struct versions *versions,
                             int64_t seq_after)
{
    uint64_t mask = 0;

    if (seq_after < versions->full_seq)
        return table->columns_mask;
    for (uint8_t i = 1; i < table->column_count; i++)
        if (versions->columns[i].seq > seq_after)
            mask |= UINT64_C(1) << i;
    return mask & table->columns_mask; /* versions of dropped columns stay written down */
}

bool versions_newer_only_from(const struct catalog_table *table, const struct versions *versions,
                              int64_t seq_after, int64_t replica_no)
{
    if (seq_after < versions->full_seq && versions->insert.replica_no != replica_no)
        return false;
    for (uint8_t i = 1; i < table->column_count; i++)
        if (versions->columns[i].seq > seq_after && versions->columns[i].replica_no != replica_no)
            return false;
    return true;
}
