/* SPDX-License-Identifier: Apache-2.0 */
/* canonical.h: the one byte form of a row that both sides hash.
 *
 * table number (u16), id (i64), then each visible column in order: type (u8) and content; integers
 * and reals as 8 bytes big-endian (a real with an integral value in the exact range of int64 as an
 * integer, so that SQLite and PostgreSQL agree; -0.0 as 0), text and blob as length (u32) and
 * bytes. All integers big-endian, signed ones in two's complement. A column `home` counts like any
 * other. */
#pragma once

#include "schema/catalog.h"

/* Appends the form to `buffer`. */
MUST_CHECK enum result canonical_append(const struct catalog_table *table, int64_t row_id,
                                        const struct value *values, struct buffer *buffer,
                                        struct problem *problem);

/* Sum modulo 2^128 of 128-bit little-endian numbers, the digest of a set of rows (order-free). */
enum { DIGEST_SIZE = 16 };
void digest_add(uint8_t sum[DIGEST_SIZE], const uint8_t row_hash[DIGEST_SIZE]);
void digest_subtract(uint8_t sum[DIGEST_SIZE], const uint8_t row_hash[DIGEST_SIZE]);
