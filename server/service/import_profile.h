/* SPDX-License-Identifier: Apache-2.0 */
/* import_profile.h: how records of a file become rows, as data.
 *
 * A profile names the files of one outside system and, for each file, the rows that a record of it
 * yields. Texts are built from templates:
 *
 *   {name}     the field under that heading (or {1}, {2}, ... by position), without blanks at its
 *              ends; {file} is the file's name without its last part, {record} the number of the
 *              record in it; double the brace to write one: {{
 *   [ ... ]    left out as a whole if a field inside is empty; [[ writes one
 *   the rest   stands for itself
 *
 * A template whose fields are all empty is no value. The key of a target makes a row the same row
 * in the next run: it is kept in external_ref (table, system, key), and if one of its fields is
 * empty there is no such row. Keys are compared byte by byte. */
#pragma once

#include "server/service/csv.h"

enum import_kind {
    IMPORT_VERBATIM,  /* one field to the last blank; the template is {field} and nothing else */
    IMPORT_TEXT,      /* as it stands */
    IMPORT_TIDY,      /* runs of blanks become one: names, addresses */
    IMPORT_POST_CODE, /* text; "0" is none; nine digits are five and four (US): the first five */
    IMPORT_SERIAL,    /* normal form of a serial number (domain/serial.h) */
    IMPORT_DATE,    /* YYYYMMDD or YYYY-MM-DD, a time behind it is left out; argument "dmy", "mdy":
                       that order with / . or - as well */
    IMPORT_INSTANT, /* the same with HH:MM[:SS[.ffffff]] and an optional Z, taken as UTC */
    IMPORT_INTEGER,
    IMPORT_DECIMAL, /* argument "4": times 10^4, more digits are refused; "4,": the comma is the
                       decimal mark; "7~": more digits are rounded; "4+": zero is no
                      value */
    IMPORT_BOOLEAN, /* 1 0 yes no true false si no x and nothing */
    IMPORT_CHOICE,  /* argument "A=active;D=scrapped;*=?": ? refuses, * alone is the rest */
    IMPORT_NUMBER_CHOICE, /* the same, for a column of numbers */
    IMPORT_REFERENCE,     /* the row of table `argument` with this key in the same system */
    IMPORT_MEMO,          /* the text that a memo (below) named `argument` keeps under this key */
    IMPORT_NOW,           /* microseconds: when the import runs; use with IMPORT_ON_INSERT */
};

enum {
    IMPORT_REQUIRED = 1,  /* without a good value the record is skipped */
    IMPORT_ON_INSERT = 2, /* written with a new row, later runs leave it alone */
    IMPORT_ONCE = 4,      /* of a target: only together with a new main row, never again */
    IMPORT_MAIN = 8,      /* of a target: what the records of the file are about; one per file */
    IMPORT_OPTIONAL = 32, /* of a target: where it can't be written the record goes on without it */
    IMPORT_IS_MEMO = 16,  /* of a target: no row but a text kept for IMPORT_MEMO; columns[0] */
};

struct import_column {
    const char *name; /* of the table; NULL ends a list */
    enum import_kind kind;
    const char *source; /* template */
    const char *argument;
    unsigned flags;
};

struct import_target {
    const char *table; /* of the catalog, or the name of a memo; NULL ends a list */
    const char *key;   /* template; NULL with IMPORT_ONCE */
    unsigned flags;
    const char *match; /* text column whose value makes a row that is already here the same; NULL */
    const struct import_column *columns;
};

/* Records to leave out. */
struct import_filter {
    const char *source; /* template; NULL ends a list */
    const char *equals;
    const char *reason;
};

struct import_file {
    const char *name; /* of the file in its folder; NULL: whatever file is given */
    const char *help;
    struct csv_format format;
    bool has_heading;                    /* the first record names the fields */
    size_t field_count;                  /* without a heading: fields of a good record */
    const struct import_filter *filters; /* may be NULL */
    const struct import_target *targets; /* parents before children; NULL ends the files */
};

struct import_profile {
    const char *name;
    const char *help;   /* one line */
    const char *system; /* external_ref.external_system */
    bool is_folder;     /* its files have names, and lie in one folder */
    bool is_history;    /* work that was done and closed elsewhere: no rule acts on it again */
    const struct import_file *files; /* in the order in which they must be read */
};

/* All built-in profiles; ends with a NULL name. */
extern const struct import_profile IMPORT_PROFILES[];
/* NULL: there is none. */
const struct import_profile *import_profile_by_name(const char *name);
