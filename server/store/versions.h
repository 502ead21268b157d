/* SPDX-License-Identifier: Apache-2.0 */
/* versions.h: which columns of a stored row are newer than its insert, since when, by whom.
 *
 * Kept in the hidden column _fs_cv. Empty means: never changed since its insert at `seq`. Otherwise
 * varints (LEB128, unsigned):
 *   full_seq      readers whose cursor is below it get the whole row (insert, or last bucket move)
 *   edited_at     of the insert, microseconds; 0 unknown
 *   replica_no    origin of the insert
 *   then per column that changed later, ascending: column number, seq, edited_at, replica_no
 * At most one entry a column, so the size is bounded by the table's width. */
#pragma once

#include "server/store/store.h"

struct column_version {
    int64_t seq; /* 0: as inserted */
    int64_t edited_at_us;
    int64_t replica_no;
};

struct versions {
    int64_t full_seq;
    struct column_version insert;
    struct column_version columns[ROW_COLUMNS_MAX + 1]; /* by column number */
};

/* Of a row as stored; RESULT_STORAGE if its _fs_cv is damaged. */
MUST_CHECK enum result versions_of_row(const struct stored_row *row, struct versions *ret_versions,
                                       struct problem *problem);
/* Back into bytes of the arena; empty when nothing but a plain insert is known. */
MUST_CHECK enum result versions_pack(const struct versions *versions, const struct stored_row *row,
                                     struct arena *arena, struct bytes *ret_bytes,
                                     struct problem *problem);
/* The same for a row that is new as a whole since its seq. */
MUST_CHECK enum result versions_pack_insert(const struct stored_row *row, int64_t edited_at_us,
                                            int64_t replica_no, struct arena *arena,
                                            struct bytes *ret_bytes, struct problem *problem);
/* Only full_seq and the origin of the insert. */
MUST_CHECK enum result versions_full(const struct stored_row *row, int64_t *ret_full_seq,
                                     int64_t *ret_replica_no, struct problem *problem);
/* The newest version of a column: its own entry, or the insert's. */
struct column_version versions_of_column(const struct versions *versions, uint8_t column_no);
/* Columns that a reader at `seq_after` lacks: all of them if it is before full_seq. */
uint64_t versions_newer_mask(const struct catalog_table *table, const struct versions *versions,
                             int64_t seq_after);
/* Do all those columns come from this replica? */
bool versions_newer_only_from(const struct catalog_table *table, const struct versions *versions,
                              int64_t seq_after, int64_t replica_no);
