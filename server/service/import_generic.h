/* SPDX-License-Identifier: Apache-2.0 */
/* import_generic.h: a profile for any table from "column=field" pairs.
 *
 * How a text is read follows from the name of the field: *_d a date, *_at a time, *_cents, *_e4,
 * *_e7 and *_m decimals, *_bp percent, is_ and has_ yes or no, *_id the key of another row in the
 * same system, other numbers as they are, the rest text. With `is_raw` numbers are taken as they
 * are stored, which is what an export writes. */
#pragma once

#include "base/arena.h"
#include "schema/catalog.h"
#include "server/service/import_profile.h"

struct import_pair {
    struct bytes column; /* heading in the file, or its number */
    struct bytes field;  /* of the table */
};

struct import_generic {
    const char *table;
    const char *system;
    size_t pair_count; /* 0: the headings are names of fields, raw; the key is "id" */
    const struct import_pair *pairs;
    const char *key; /* heading of the column that tells rows apart; NULL: "id", else the first */
    bool is_raw;
    const char *order; /* of dates: NULL year first, "dmy", "mdy" */
    char decimal_mark; /* '.' or ',' */
    char separator;    /* 0: find out */
    enum csv_encoding encoding;
    /* The first record of the file, for pairs that are to be found by heading (pair_count 0). */
    const struct bytes *heading;
    size_t heading_count;
};

/* "a=b,c=d" into pairs; a comma or an equals sign in a column's name is written \, and \=.
 * RESULT_REFUSED  a pair without = or with an empty side */
MUST_CHECK enum result import_generic_pairs(const char *text, struct arena *arena,
                                            struct import_pair *pairs, size_t pair_count_max,
                                            size_t *pair_count, struct problem *problem);

/* The profile lives in the arena.
 * RESULT_REFUSED  no such table or field (the text names what there is), or one given twice */
MUST_CHECK enum result import_generic_profile(const struct catalog *catalog,
                                              const struct import_generic *generic,
                                              struct arena *arena,
                                              const struct import_profile **ret_profile,
                                              struct problem *problem);
