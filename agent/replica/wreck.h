/* SPDX-License-Identifier: Apache-2.0 */
/* wreck.h: reads what can still be read of a damaged SQLite file, row by row.
 *
 * A page that can't be read costs the rows on it and no others: behind a failure the next row is
 * looked for by its rowid. No index is used, since one may be damaged, too. The list of tables is
 * read as far as it goes. SQLite may write to the file (its log is recovered): give it a copy. */
#pragma once

#include "agent/replica/vault.h"
#include "schema/row.h"

struct wreck;
struct sqlite3_stmt;

/* RESULT_STORAGE: nothing at all can be read of it. */
MUST_CHECK enum result wreck_open(const char *path, const struct vault_options *vault,
                                  struct wreck **ret_wreck, struct problem *problem);
void wreck_close(struct wreck *wreck); /* takes NULL */
/* Does SQLite find nothing wrong with it? */
bool wreck_is_sound(struct wreck *wreck);

/* A table in order of its rowids: rows, and gaps where there may have been some.
 *
 *   wreck_scan_begin; while wreck_next gives WRECK_ROW or WRECK_GAP; wreck_scan_end in any case */
enum wreck_found { WRECK_END, WRECK_ROW, WRECK_GAP };
struct wreck_scan {
    struct wreck *wreck;
    const char *table;
    struct sqlite3_stmt *statement; /* NULL: to be begun behind rowid `at` */
    int64_t at, last;
    bool is_over, has_no_rowid;
    int64_t gap_first, gap_last; /* of a WRECK_GAP: rowids; gap_last INT64_MAX: to the end */
};
/* Rowids first to last; both stay as they are. */
void wreck_scan_begin(struct wreck_scan *scan, struct wreck *wreck, const char *table,
                      int64_t first, int64_t last);
/* A table WITHOUT ROWID: a failure is a gap up to its end. */
void wreck_scan_begin_keyed(struct wreck_scan *scan, struct wreck *wreck, const char *table);
/* RESULT_EXHAUSTED: no memory. */
MUST_CHECK enum result wreck_next(struct wreck_scan *scan, enum wreck_found *ret_found,
                                  struct problem *problem);
void wreck_scan_end(struct wreck_scan *scan);

/* Of the row at hand: the value of a column, copied; NULL if the table has no such column. */
MUST_CHECK enum result wreck_value(struct wreck_scan *scan, const char *column, struct arena *arena,
                                   struct value *ret_value, struct problem *problem);
/* The same as a number: 0 if it is none. */
int64_t wreck_integer(struct wreck_scan *scan, const char *column);
int64_t wreck_rowid(const struct wreck_scan *scan);
bool wreck_has_column(const struct wreck_scan *scan, const char *column);
