/* SPDX-License-Identifier: Apache-2.0 */
/* import_value.h: templates and the values read from their texts (import_profile.h). Pure. */
#pragma once

#include "base/arena.h"
#include "schema/row.h"
#include "server/service/import_profile.h"

/* A template with its fields found. */
struct import_piece {
    struct bytes literal;
    size_t field; /* index, or IMPORT_NO_FIELD: the literal */
    int group;    /* 0: outside brackets; else the number of the bracket */
};
#define IMPORT_NO_FIELD SIZE_MAX

struct import_template {
    size_t piece_count;
    const struct import_piece *pieces;
    size_t field_count; /* fields among them */
};

/* What follows the fields of a record: {file} and {record}. */
enum { IMPORT_EXTRA_FIELDS = 2 };

/* heading: names of the fields, or NULL when they have only positions; `field_count` of them.
 * RESULT_REFUSED: a field that isn't there, a brace or bracket that doesn't close. */
MUST_CHECK enum result import_template_parse(const char *text, const struct bytes *heading,
                                             size_t field_count, struct arena *arena,
                                             struct import_template *ret_template,
                                             struct problem *problem);

/* The text for one record. ret_is_whole (may be NULL): no field outside brackets was empty.
 * ret_is_empty: no value at all (all fields empty, none of them a quoted ""). */
MUST_CHECK enum result import_template_text(const struct import_template *template,
                                            const struct csv_field *fields, struct arena *arena,
                                            struct bytes *ret_text, bool *ret_is_whole,
                                            bool *ret_is_empty, struct problem *problem);

/* Reads `text` as the column's kind. ret_fault: why it can't be read, in words for a list of
 * reasons, or NULL. References, memos and "now" are the caller's. RESULT_EXHAUSTED: the arena. */
MUST_CHECK enum result import_value_read(const struct import_column *column, struct bytes text,
                                         struct arena *arena, struct value *ret_value,
                                         const char **ret_fault, struct problem *problem);

/* Without white space and no-break spaces at both ends. */
struct bytes import_trim(struct bytes text);
