/* SPDX-License-Identifier: Apache-2.0 */
/* catalog_version.h: what two sides of different schema versions both know.
 *
 * A schema grows in two ways that know nothing of each other: by the product's scripts (numbers 1
 * to 4999) and by the company's (5000 to 9999). So a version has two numbers, the highest of each
 * that has run, and a check of the company's scripts, because two companies may both have a 5000.
 * As one integer (in RESUME, WELCOME, PUSH, fs_seal):
 *
 *     check << 32 | company << 16 | product        check: 20 bits, 0 while company is 0
 *
 * The numbers of tables and columns never change their meaning, so a row means the same in every
 * version: what differs is only which columns there are. A view is the catalog as it was at a
 * version: the same numbers, other masks. Both sides speak in the view of what they have in common;
 * the newer one makes it, because only it knows both. Pure. */
#pragma once

#include "schema/catalog.h"

enum { SCHEMA_COMPANY_FROM = 5000, SCHEMA_CHECK_BITS = 20 };

struct schema_version {
    int64_t product;
    int64_t company;
    int64_t check;
};

struct schema_version schema_version_of(int64_t number);
int64_t schema_version_number(struct schema_version version);
/* "30", or "30 with 5002 of the company". */
enum { SCHEMA_VERSION_TEXT_SIZE = 80 };
void schema_version_format(int64_t number, char ret_text[SCHEMA_VERSION_TEXT_SIZE]);
/* Had this script run in that version? Script 0 always has. */
bool schema_version_has(int64_t version, int64_t script);
/* What is in both: of each kind the lower number. Commutes; is one of the two if one is older in
 * both kinds. */
int64_t schema_version_common(int64_t a, int64_t b);
/* Does `other` know a script that `version` doesn't? */
bool schema_version_lacks(int64_t version, int64_t other);

/* Are the company's scripts that both have the same ones? RESULT_REFUSED says what differs. If
 * `version` has more of them than the catalog, the other side is the one that can tell. */
MUST_CHECK enum result catalog_check_version(const struct catalog *catalog, int64_t version,
                                             struct problem *problem);

/* The catalog as one of `version` has it, of what this catalog knows: in `arena`, which must live
 * no longer than the catalog. Rights and subscriptions are those of now. RESULT_EXHAUSTED: `arena`
 * is full. */
MUST_CHECK enum result catalog_view(const struct catalog *catalog, int64_t version,
                                    struct arena *arena, struct catalog *ret_view,
                                    struct problem *problem);

/* A row as a reader of `wire` (the table in his view) is to have it. A whole row stays whole: a
 * column that only he has still is what catalog_stand_in says. False: nothing of it is for him. */
bool catalog_restrict_row(const struct catalog_table *table, const struct catalog_table *wire,
                          struct row_image *row);
/* What stands in a column that the sender doesn't have any more: NULL, or 0, "" where NULL isn't
 * allowed. */
struct value catalog_stand_in(const struct catalog_column *column);
