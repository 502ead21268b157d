/* SPDX-License-Identifier: Apache-2.0 */
/* money.h: exact money in integers: one way to round, one way to split, VAT once per code.
 *
 * Units: *_cents 1/100 EUR, *_e4 1/10000 EUR (unit prices), *_m thousandths (quantities), *_bp
 * 1/100 of a percent. Products are formed in 128 bits; a result that does not fit int64_t is
 * refused, never wrapped, and then the outputs are untouched. No floating point anywhere, so a
 * figure computed on a device is the server's to the cent. */
#pragma once

#include "base/result.h"

#include <stddef.h>
#include <stdint.h>

/* Room for a product of two int64_t; ISO C has no such type, gcc and clang do. */
__extension__ typedef __int128 money_wide;

enum { MONEY_BP_ONE = 10000 }; /* 100 % in basis points */

/* a / b rounded to the nearest, half away from zero. `b` is not 0.
 * RESULT_REFUSED  the quotient does not fit int64_t */
MUST_CHECK enum result money_rdiv(money_wide a, money_wide b, int64_t *ret_quotient,
                                  struct problem *problem);

/* Net of a line in cents: rdiv(qty_m * price_e4 * (10000 - disc_bp), 10^9), rounded once.
 * RESULT_REFUSED  disc_bp is not within 0..10000, or the amount does not fit */
MUST_CHECK enum result money_line_net(int64_t qty_m, int64_t price_e4, int64_t disc_bp,
                                      int64_t *ret_net_cents, struct problem *problem);

/* rdiv(amount * bp, 10000): VAT of a taxable sum, a discount, a withholding. */
MUST_CHECK enum result money_share(int64_t amount_cents, int64_t bp, int64_t *ret_cents,
                                   struct problem *problem);

/* rdiv(fee * days_in, days_full): part of a period.
 * RESULT_REFUSED  not 0 <= days_in <= days_full, or days_full is 0 */
MUST_CHECK enum result money_prorate(int64_t fee_cents, int64_t days_in, int64_t days_full,
                                     int64_t *ret_cents, struct problem *problem);

/* Instalment `index` (from 0) of `count`: cumulative rounding, so that all of them add up.
 * RESULT_REFUSED  not 0 <= index < count */
MUST_CHECK enum result money_instalment(int64_t total_cents, int64_t index, int64_t count,
                                        int64_t *ret_cents, struct problem *problem);

/* Splits a total by weights: largest remainder, ties to the lower index; the parts add up to the
 * total exactly. A negative total splits like its opposite, with the sign turned.
 *
 *   weights    `count` values >= 0, not all 0 unless the total is 0
 *   ret_parts  `count` values, each between 0 and the total
 *
 * RESULT_REFUSED  a negative weight, no weight at all, or count is 0 with a total */
MUST_CHECK enum result money_split(int64_t total_cents, const int64_t *weights, size_t count,
                                   int64_t *ret_parts, struct problem *problem);

/* One invoice line as VAT sees it. */
struct money_vat_line {
    int64_t net_cents;
    size_t code; /* index into the VAT codes of the document */
};

struct money_vat_sum {
    int64_t taxable_cents;
    int64_t tax_cents;
};

/* VAT of a document: nets are added per code, then one rounding per code.
 *
 *   rates_bp  the rate of each of `code_count` codes; 0 for codes that carry a nature instead
 *   ret_sums  `code_count` sums
 *
 * RESULT_REFUSED  a line with a code that is not there, a negative rate, or a sum that does not
 *                 fit */
MUST_CHECK enum result money_vat(const struct money_vat_line *lines, size_t line_count,
                                 const int64_t *rates_bp, size_t code_count,
                                 struct money_vat_sum *ret_sums, struct problem *problem);
