/* SPDX-License-Identifier: Apache-2.0 */
/* csv.h: records of text files as other programs write them, and records as we write them.
 *
 * Reading is pulled, one record at a time, from any stream of bytes; memory is bounded by the
 * limits below whatever comes. Four dialects:
 *
 *   CSV_QUOTED   RFC 4180 and its relatives: separator , ; TAB or | (found out from the first
 *                record), fields in double quotes may hold separators, line breaks and "" for ";
 *                CRLF or LF; empty lines are no records
 *   CSV_PLAIN    one separator (TAB), no quotes at all; with column_count set, a line break before
 *                the last field is part of the text (exports that quote nothing)
 *   CSV_MARKED   fields end with +| and records with &| (bulk copies of a database)
 *   CSV_TOKENS   lines of token TAB clean token, an empty line ends a record; a record has three
 *                fields: the tokens joined by blanks, the clean ones, and the first token whose
 *                clean form is <id>
 *
 * Text comes out as UTF-8. A byte order mark decides; without one UTF-16 is recognised by its zero
 * bytes, and a file is taken for Windows-1252 at its first byte that can't be UTF-8, unless it held
 * non-ASCII UTF-8 before (then that record is at fault).
 *
 * A record at fault (`fault` not NULL) has no usable fields; the reader goes on with the next one.
 * What can't be survived fails the call: RESULT_REFUSED (no text file; a record larger than
 * CSV_RECORD_SIZE_MAX, mostly a quote that is never closed), RESULT_EXHAUSTED (memory), or what the
 * source said. */
#pragma once

#include "base/bytes.h"

enum {
    CSV_FIELD_SIZE_MAX = 1024 * 1024,      /* longer ones put their record at fault */
    CSV_RECORD_SIZE_MAX = 4 * 1024 * 1024, /* longer ones end the reading */
    CSV_FIELD_COUNT_MAX = 512,
};

enum csv_dialect {
    CSV_QUOTED,
    CSV_PLAIN,
    CSV_MARKED,
    CSV_TOKENS,
};

enum csv_encoding {
    CSV_ENCODING_AUTO,
    CSV_UTF_8,
    CSV_WINDOWS_1252,
    CSV_UTF_16LE,
    CSV_UTF_16BE,
};

struct csv_format {
    enum csv_dialect dialect;
    enum csv_encoding encoding;
    char separator;      /* of CSV_QUOTED, 0: find out; of CSV_PLAIN always TAB */
    size_t column_count; /* CSV_PLAIN: fields of a record, 0: each line is one */
};

/* Fills `room` and says how much; 0 only at the end. Failures end the reading. */
struct csv_source {
    enum result (*read)(void *context, uint8_t *room, size_t size, size_t *ret_size,
                        struct problem *problem);
    void *context;
};

struct csv_field {
    struct bytes text;
    bool is_quoted; /* "" is an empty text, nothing between two separators is no value */
};

struct csv_record {
    int64_t line; /* of its first character, from 1; 0: there are no more records */
    size_t field_count;
    const struct csv_field *fields; /* valid until the next call */
    const char *fault;              /* what is wrong with the record, in words; or NULL */
};

struct csv_reader;

/* `source` must outlive the reader. */
MUST_CHECK enum result csv_create(const struct csv_format *format, const struct csv_source *source,
                                  struct csv_reader **ret_reader, struct problem *problem);
void csv_destroy(struct csv_reader *reader); /* takes NULL */
MUST_CHECK enum result csv_next(struct csv_reader *reader, struct csv_record *ret_record,
                                struct problem *problem);
int64_t csv_line(const struct csv_reader *reader);         /* the line being read */
int64_t csv_size(const struct csv_reader *reader);         /* bytes read from the source */
const char *csv_encoding_name(const struct csv_reader *r); /* "UTF-8", ...: as found so far */

/* "utf-8", "windows-1252", "utf-16le", "utf-16be", "auto"; false: none of them. */
bool csv_encoding_parse(const char *name, enum csv_encoding *ret_encoding);

/* ---- Writing: RFC 4180, commas, CRLF, UTF-8 without a byte order mark ----
 * No value is an empty field, an empty text is "". With `for_spreadsheet` a text that begins with
 * = + - @ TAB or CR gets an apostrophe in front, so that a spreadsheet won't run it; such a file is
 * for looking at, it doesn't come back unchanged. */
struct csv_cell {
    struct bytes text;
    bool is_null;
    bool is_text; /* numbers are never guarded */
};

MUST_CHECK enum result csv_append(struct buffer *out, const struct csv_cell *cells, size_t count,
                                  bool for_spreadsheet, struct problem *problem);
