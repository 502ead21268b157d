/* SPDX-License-Identifier: Apache-2.0 */
/* report.h: the work report of an activity in its one canonical form, which is what people sign.
 *
 * UTF-8 text, one fact a line, lines end with a newline, the same rows always give the same bytes:
 *
 *     fieldsync work report 2
 *     language CODE
 *     salt HEX16                                      (so that nobody can guess it from its hash)
 *     activity ID
 *     call ID SUBJECT
 *     customer NAME | site NAME | asset SERIAL        (those there are)
 *     work ID KIND STARTED_AT ENDED_AT BREAK_MIN TECHNICIAN_ID
 *     part ID CODE USED_M SERIAL
 *     expense ID KIND AMOUNT_CENTS CURRENCY DAY
 *     outcome TEXT | cause TEXT | report TEXT | follow-up TEXT
 *     answer ITEM_ID ASSET_KEY VALUE
 *     note ID TEXT                                    (those for the customer)
 *     file ID HASH NAME
 *
 * Rows in the order of their ids, without those that were taken back. In texts a backslash is
 * written \\ and a line end \n; times are microseconds since 1970. The first line has the version
 * of this template. Which rows make a section is a SELECT, as data: each side runs it on its own
 * database. */
#pragma once

#include "base/bytes.h"
#include "schema/row.h"

#define REPORT_MIME_TYPE "text/x-fieldsync-report" /* of the copy that was signed */
enum { REPORT_TEMPLATE = 2, REPORT_SALT_SIZE = 16, REPORT_SIZE_MAX = 8 << 20 };

/* One kind of line: the word, then the columns of the SELECT; a row without its last column (NULL)
 * is left out if `is_optional`. With `has_id` the first column tells one line from another. */
struct report_section {
    const char *word;
    bool has_id;
    bool is_optional;
    const char *sql; /* ?1: the activity; the first section has a row if it exists at all */
};
size_t report_section_count(void);
const struct report_section *report_section_at(size_t index);

/* Failures of these: RESULT_EXHAUSTED, `text` is full. */
MUST_CHECK enum result report_append_header(struct buffer *text, struct bytes language,
                                            struct bytes salt, struct problem *problem);
MUST_CHECK enum result report_append_rows(struct buffer *text, const struct report_section *section,
                                          const struct value *values, size_t row_count,
                                          size_t column_count, struct problem *problem);

/* ---- reading one ---- */

/* Takes the next line, without its end, from the front of *rest. */
struct bytes report_next_line(struct bytes *rest);
/* What names a line among all: "part 12", "outcome"; empty for the three lines of the header. */
struct bytes report_label(struct bytes line);
/* The first line with this label; empty if there is none. */
struct bytes report_find(struct bytes text, struct bytes label);

/* What `after` lacks ("- line") and has more ("+ line"); empty if the two are equal. */
MUST_CHECK enum result report_difference(struct bytes before, struct bytes after,
                                         struct buffer *difference, struct problem *problem);
