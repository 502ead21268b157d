/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/money.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <stdbool.h>

static money_wide magnitude(money_wide a)
{
    return a < 0 ? -a : a;
}

enum result money_rdiv(money_wide a, money_wide b, int64_t *ret_quotient, struct problem *problem)
{
    money_wide quotient = 0;
    money_wide rest = 0;

    invariant(b != 0);
    quotient = a / b;
    rest = magnitude(a % b);
    if (rest != 0 && rest >= magnitude(b) - rest)
        quotient += (a < 0) == (b < 0) ? 1 : -1;
    if (quotient > INT64_MAX || quotient < INT64_MIN)
        return problem_set(problem, RESULT_REFUSED, "the amount is too large");
    *ret_quotient = (int64_t)quotient;
    return RESULT_OK;
}

enum result money_line_net(int64_t qty_m, int64_t price_e4, int64_t disc_bp, int64_t *ret_net_cents,
                           struct problem *problem)
{
    /* More than this times a discount factor of 10^4 may leave 128 bits; the net would be far out
     * of int64_t anyway. */
    const money_wide gross_max = (money_wide)INT64_MAX * 1000000000;
    money_wide gross = (money_wide)qty_m * price_e4;

    if (disc_bp < 0 || disc_bp > MONEY_BP_ONE)
        return problem_set(problem, RESULT_REFUSED, "a discount of %" PRId64 " is not 0..10000",
                           disc_bp);
    if (magnitude(gross) > gross_max)
        return problem_set(problem, RESULT_REFUSED, "the amount is too large");
    return money_rdiv(gross * (MONEY_BP_ONE - disc_bp), 1000000000, ret_net_cents, problem);
}

enum result money_share(int64_t amount_cents, int64_t bp, int64_t *ret_cents,
                        struct problem *problem)
{
    return money_rdiv((money_wide)amount_cents * bp, MONEY_BP_ONE, ret_cents, problem);
}

enum result money_prorate(int64_t fee_cents, int64_t days_in, int64_t days_full, int64_t *ret_cents,
                          struct problem *problem)
{
    if (days_full <= 0 || days_in < 0 || days_in > days_full)
        return problem_set(problem, RESULT_REFUSED,
                           "%" PRId64 " of %" PRId64 " days is no part of a period", days_in,
                           days_full);
    return money_rdiv((money_wide)fee_cents * days_in, days_full, ret_cents, problem);
}

enum result money_instalment(int64_t total_cents, int64_t index, int64_t count, int64_t *ret_cents,
                             struct problem *problem)
{
    int64_t until = 0;
    int64_t before = 0;
    enum result result;

    if (index < 0 || index >= count)
        return problem_set(problem, RESULT_REFUSED, "instalment %" PRId64 " of %" PRId64, index,
                           count);
    result = money_rdiv((money_wide)total_cents * (index + 1), count, &until, problem);
    if (result != RESULT_OK)
        return result;
    result = money_rdiv((money_wide)total_cents * index, count, &before, problem);
    if (result != RESULT_OK)
        return result;
    *ret_cents = until - before; /* between 0 and the total, so it fits */
    return RESULT_OK;
}

/* Gives one cent to the largest remainder that has none yet. */
static void split_one_cent(money_wide total, money_wide sum, const int64_t *weights, size_t count,
                           int64_t *parts)
{
    size_t chosen = count;
    money_wide largest = -1;

    for (size_t i = 0; i < count; i++) {
        money_wide share = total * weights[i];

        if (parts[i] == (int64_t)(share / sum) && share % sum > largest) {
            largest = share % sum;
            chosen = i;
        }
    }
    invariant(chosen < count); /* fewer cents are left than parts have a remainder */
    parts[chosen] += 1;
}

enum result money_split(int64_t total_cents, const int64_t *weights, size_t count,
                        int64_t *ret_parts, struct problem *problem)
{
    money_wide total = magnitude(total_cents);
    money_wide sum = 0;
    money_wide left = total;

    for (size_t i = 0; i < count; i++) {
        if (weights[i] < 0)
            return problem_set(problem, RESULT_REFUSED, "weight %zu is negative", i);
        sum += weights[i];
    }
    if (sum == 0 && total != 0)
        return problem_set(problem, RESULT_REFUSED, "nothing to split the amount over");
    if (total_cents == INT64_MIN)
        return problem_set(problem, RESULT_REFUSED, "the amount is too large");
    for (size_t i = 0; i < count; i++) {
        ret_parts[i] = sum == 0 ? 0 : (int64_t)(total * weights[i] / sum);
        left -= ret_parts[i];
    }
    while (left > 0) {
        split_one_cent(total, sum, weights, count, ret_parts);
        left--;
    }
    for (size_t i = 0; i < count && total_cents < 0; i++)
        ret_parts[i] = -ret_parts[i];
    return RESULT_OK;
}

/* The sum of one code, and its VAT. */
static enum result vat_of_code(const struct money_vat_line *lines, size_t line_count, size_t code,
                               int64_t rate_bp, struct money_vat_sum *ret_sum,
                               struct problem *problem)
{
    money_wide taxable = 0;

    if (rate_bp < 0)
        return problem_set(problem, RESULT_REFUSED, "VAT code %zu has a negative rate", code);
    for (size_t i = 0; i < line_count; i++)
        if (lines[i].code == code)
            taxable += lines[i].net_cents;
    if (taxable > INT64_MAX || taxable < INT64_MIN)
        return problem_set(problem, RESULT_REFUSED, "the taxable sum is too large");
    ret_sum->taxable_cents = (int64_t)taxable;
    return money_share(ret_sum->taxable_cents, rate_bp, &ret_sum->tax_cents, problem);
}

enum result money_vat(const struct money_vat_line *lines, size_t line_count,
                      const int64_t *rates_bp, size_t code_count, struct money_vat_sum *ret_sums,
                      struct problem *problem)
{
    struct money_vat_sum sum = {0};
    enum result result;

    for (size_t i = 0; i < line_count; i++)
        if (lines[i].code >= code_count)
            return problem_set(problem, RESULT_REFUSED, "line %zu has no VAT code", i);
    for (size_t code = 0; code < code_count; code++) { /* check all, then write all */
        result = vat_of_code(lines, line_count, code, rates_bp[code], &sum, problem);
        if (result != RESULT_OK)
            return result;
    }
    for (size_t code = 0; code < code_count; code++) {
        result = vat_of_code(lines, line_count, code, rates_bp[code], &ret_sums[code], problem);
        invariant(result == RESULT_OK);
    }
    return RESULT_OK;
}
