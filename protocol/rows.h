/* SPDX-License-Identifier: Apache-2.0 */
/* rows.h: rows, changes and departures as positional msgpack, by catalog, in both directions.
 *
 * A list is one array [total, block, ...]. A block holds the items of one table:
 *
 *   row by row  [table number, 0, count, item, item, ...]        items written one after the other,
 *               item of rows:    id, seq, mask, values...        flat: no array around an item
 *               item of changes: id, lcn, base_seq, edited_at, op, mask, values...
 *               item of gone:    id, seq, kind
 *   columnar    [table number, 1, count, (op or kind), (mask), all ids, all seqs, ..., all values
 * of the first column of the mask, all of the second, ...] for items that share op and mask;
 * compresses better
 *
 * id, seq, lcn, base_seq and edited_at are differences to the item before in the same block (0
 * before the first), modulo 2^64. mask is nil for all columns of the table, else an integer; only
 * its columns follow, in order. Tables ascend, except in a list of gone rows.
 *
 * Values: nil, integer, float, text and blob of msgpack, checked against the column's type. A real
 * with an integral value up to 2^53 in size travels as an integer and becomes real again; an
 * INTEGER in a real column becomes real. Nothing else is converted. */
#pragma once

#include "protocol/reader.h"
#include "protocol/writer.h"
#include "schema/catalog.h"

enum {
    ROWS_BY_ROW = 0,
    ROWS_COLUMNAR = 1,
    ROWS_COLUMNAR_COUNT_MIN = 32, /* so many items in a row with one op and mask go columnar; a
                                     decoder takes any count */
};

/* May this value stand in this column on the wire? RESULT_REFUSED names the column: the caller
 * answers for that row alone (a device parks the change, the server counts it). */
MUST_CHECK enum result rows_check_value(const struct catalog_table *table, size_t column_no,
                                        const struct value *value, struct problem *problem);

/* Writers append one list to what `writer` has.
 *
 * RESULT_REFUSED  a table, column, value or order that the other side wouldn't take; nothing more
 *                 was written, the body is to be dropped
 * What the writer itself meets (buffer full, text that isn't UTF-8) is said by writer_finish. */
MUST_CHECK enum result rows_write(const struct catalog *catalog, const struct row_image *rows,
                                  size_t count, struct writer *writer, struct problem *problem);
MUST_CHECK enum result changes_write(const struct catalog *catalog, const struct change *changes,
                                     size_t count, struct writer *writer, struct problem *problem);
MUST_CHECK enum result gone_write(const struct gone *rows, size_t count, struct writer *writer,
                                  struct problem *problem);

/* Readers take one list. Items and values are in `arena` (an item with an empty mask has no
 * values: NULL), texts and blobs point into the reader's bytes.
 *
 * RESULT_MALFORMED  the reader failed, or had before: the problem says where
 * RESULT_REFUSED    a table or column that the catalog doesn't know
 * RESULT_EXHAUSTED  the arena is full */
MUST_CHECK enum result rows_read(const struct catalog *catalog, struct reader *reader,
                                 struct arena *arena, struct row_image **ret_rows,
                                 size_t *ret_count, struct problem *problem);
MUST_CHECK enum result changes_read(const struct catalog *catalog, struct reader *reader,
                                    struct arena *arena, struct change **ret_changes,
                                    size_t *ret_count, struct problem *problem);
MUST_CHECK enum result gone_read(const struct catalog *catalog, struct reader *reader,
                                 struct arena *arena, struct gone **ret_rows, size_t *ret_count,
                                 struct problem *problem);

/* One row by itself, its table known from elsewhere: [id, seq, mask, values...]. */
MUST_CHECK enum result row_write(const struct catalog *catalog, const struct row_image *row,
                                 struct writer *writer, struct problem *problem);
MUST_CHECK enum result row_read(const struct catalog *catalog, uint16_t table_no,
                                struct reader *reader, struct arena *arena,
                                struct row_image *ret_row, struct problem *problem);

/* Most bytes that this item can take in a list, for callers that fill a body up to a budget. A
 * list itself takes at most 16 bytes and each block 32. */
size_t row_size_max(const struct row_image *row);
size_t change_size_max(const struct change *change);
enum { GONE_SIZE_MAX = 19, LIST_SIZE_MAX = 16, BLOCK_SIZE_MAX = 32 };
