/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/money.h"

#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int64_t rdiv(money_wide a, money_wide b)
{
    struct problem problem = {0};
    int64_t quotient = 0;

    assert_int_equal(money_rdiv(a, b, &quotient, &problem), RESULT_OK);
    return quotient;
}

static int64_t line_net(int64_t qty_m, int64_t price_e4, int64_t disc_bp)
{
    struct problem problem = {0};
    int64_t net = 0;

    assert_int_equal(money_line_net(qty_m, price_e4, disc_bp, &net, &problem), RESULT_OK);
    return net;
}

static int64_t share(int64_t amount, int64_t bp)
{
    struct problem problem = {0};
    int64_t cents = 0;

    assert_int_equal(money_share(amount, bp, &cents, &problem), RESULT_OK);
    return cents;
}

static void division_rounds_half_away_from_zero(void **state)
{
    (void)state;
    assert_int_equal(rdiv(5, 2), 3);
    assert_int_equal(rdiv(-5, 2), -3);
    assert_int_equal(rdiv(5, -2), -3);
    assert_int_equal(rdiv(-5, -2), 3);
    assert_int_equal(rdiv(4, 3), 1);
    assert_int_equal(rdiv(-4, 3), -1);
    assert_int_equal(rdiv(1, 3), 0);
    assert_int_equal(rdiv(-1, 2), -1);
    assert_int_equal(rdiv(0, 7), 0);
    assert_int_equal(rdiv((money_wide)INT64_MAX * 10 + 4, 10), INT64_MAX);
    assert_int_equal(rdiv((money_wide)INT64_MIN * 3, 3), INT64_MIN);
}

static void a_quotient_out_of_range_is_refused_and_leaves_the_output(void **state)
{
    struct problem problem = {0};
    int64_t quotient = 42;

    (void)state;
    assert_int_equal(money_rdiv((money_wide)INT64_MAX * 10 + 5, 10, &quotient, &problem),
                     RESULT_REFUSED);
    assert_int_equal(money_rdiv((money_wide)INT64_MIN * 10 - 5, 10, &quotient, &problem),
                     RESULT_REFUSED);
    assert_int_equal(quotient, 42);
    assert_true(problem.text[0] != '\0');
}

static void line_nets_are_those_of_the_worked_invoice(void **state)
{
    (void)state;
    assert_int_equal(line_net(6000, 10830, 0), 650);
    assert_int_equal(line_net(3750, 480000, 0), 18000);
    assert_int_equal(line_net(1000, 755500, 0), 7555);
    assert_int_equal(line_net(2000, 125000, 1000), 2250);
    assert_int_equal(line_net(2000, 899000, 0), 17980);
    assert_int_equal(line_net(64000, 5500, 0), 3520);
    assert_int_equal(line_net(-1000, 755500, 0), -7555);
    assert_int_equal(line_net(1000, 755500, MONEY_BP_ONE), 0);
}

static void a_line_out_of_range_is_refused(void **state)
{
    struct problem problem = {0};
    int64_t net = 42;

    (void)state;
    assert_int_equal(money_line_net(INT64_MAX, INT64_MAX, 0, &net, &problem), RESULT_REFUSED);
    assert_int_equal(money_line_net(INT64_MIN, INT64_MIN, 0, &net, &problem), RESULT_REFUSED);
    assert_int_equal(money_line_net(INT64_MAX, 100001, 0, &net, &problem), RESULT_REFUSED);
    assert_int_equal(money_line_net(1000, 10000, -1, &net, &problem), RESULT_REFUSED);
    assert_int_equal(money_line_net(1000, 10000, 10001, &net, &problem), RESULT_REFUSED);
    assert_int_equal(net, 42);
    assert_int_equal(line_net(INT64_MAX, 100000, 0), INT64_MAX); /* the largest that fits */
}

static void the_worked_invoice_comes_to_its_total(void **state)
{
    static const int64_t NETS[4] = {650, 18000, 7555, 2250};
    static const size_t CODES[4] = {0, 1, 1, 0};
    static const int64_t RATES[2] = {2200, 1000};
    struct problem problem = {0};
    struct money_vat_line lines[4];
    struct money_vat_sum sums[2];
    int64_t parts[4];
    int64_t discount = share(28455, 500);

    (void)state;
    assert_int_equal(discount, 1423);
    assert_int_equal(money_split(discount, NETS, 4, parts, &problem), RESULT_OK);
    assert_int_equal(parts[0], 32);
    assert_int_equal(parts[1], 900);
    assert_int_equal(parts[2], 378);
    assert_int_equal(parts[3], 113);
    for (size_t i = 0; i < 4; i++)
        lines[i] = (struct money_vat_line){.net_cents = NETS[i] - parts[i], .code = CODES[i]};
    assert_int_equal(money_vat(lines, 4, RATES, 2, sums, &problem), RESULT_OK);
    assert_int_equal(sums[0].taxable_cents, 2755);
    assert_int_equal(sums[1].taxable_cents, 24277);
    assert_int_equal(sums[0].tax_cents, 606);
    assert_int_equal(sums[1].tax_cents, 2428);
    assert_int_equal(2755 + 24277 + 606 + 2428, 30066);
    assert_int_equal(share(2755 + 24277, 400), 1081); /* withholding */
}

static void vat_is_rounded_once_per_code_and_not_per_line(void **state)
{
    static const int64_t RATE[1] = {2200};
    struct problem problem = {0};
    struct money_vat_line lines[3] = {{33, 0}, {33, 0}, {33, 0}};
    struct money_vat_sum sum = {0};

    (void)state;
    assert_int_equal(money_vat(lines, 3, RATE, 1, &sum, &problem), RESULT_OK);
    assert_int_equal(sum.tax_cents, 22);
    assert_int_equal(3 * share(33, 2200), 21);
}

static void vat_refuses_unknown_codes_negative_rates_and_overflow(void **state)
{
    static const int64_t RATES[2] = {2200, 400};
    static const int64_t NEGATIVE[1] = {-1};
    struct problem problem = {0};
    struct money_vat_line unknown[1] = {{100, 2}};
    struct money_vat_line huge[3] = {{1, 0}, {INT64_MAX, 1}, {1, 1}};
    struct money_vat_sum sums[2] = {{7, 7}, {7, 7}};

    (void)state;
    assert_int_equal(money_vat(unknown, 1, RATES, 2, sums, &problem), RESULT_REFUSED);
    assert_int_equal(money_vat(huge, 3, RATES, 2, sums, &problem), RESULT_REFUSED);
    assert_int_equal(money_vat(unknown, 0, NEGATIVE, 1, sums, &problem), RESULT_REFUSED);
    assert_int_equal(sums[0].taxable_cents, 7);
    assert_int_equal(sums[1].tax_cents, 7);
}

static void a_trip_is_split_by_the_stand_alone_distances(void **state)
{
    static const int64_t KM[3] = {80000, 120000, 50000};
    struct problem problem = {0};
    int64_t parts[3];

    (void)state;
    assert_int_equal(line_net(126000, 5500, 0), 6930);
    assert_int_equal(money_split(6930, KM, 3, parts, &problem), RESULT_OK);
    assert_int_equal(parts[0], 2218);
    assert_int_equal(parts[1], 3326);
    assert_int_equal(parts[2], 1386);
}

static void ties_of_a_split_go_to_the_lower_index(void **state)
{
    static const int64_t EQUAL[3] = {1, 1, 1};
    struct problem problem = {0};
    int64_t parts[3];

    (void)state;
    assert_int_equal(money_split(100, EQUAL, 3, parts, &problem), RESULT_OK);
    assert_int_equal(parts[0], 34);
    assert_int_equal(parts[1], 33);
    assert_int_equal(parts[2], 33);
    assert_int_equal(money_split(-101, EQUAL, 3, parts, &problem), RESULT_OK);
    assert_int_equal(parts[0], -34);
    assert_int_equal(parts[1], -34);
    assert_int_equal(parts[2], -33);
}

static void a_split_without_weights_is_refused(void **state)
{
    static const int64_t ZERO[2] = {0, 0};
    static const int64_t NEGATIVE[2] = {5, -1};
    struct problem problem = {0};
    int64_t parts[2] = {7, 7};

    (void)state;
    assert_int_equal(money_split(1, ZERO, 2, parts, &problem), RESULT_REFUSED);
    assert_int_equal(money_split(1, NEGATIVE, 2, parts, &problem), RESULT_REFUSED);
    assert_int_equal(money_split(1, ZERO, 0, parts, &problem), RESULT_REFUSED);
    assert_int_equal(money_split(INT64_MIN, NEGATIVE, 1, parts, &problem), RESULT_REFUSED);
    assert_int_equal(parts[0], 7);
    assert_int_equal(money_split(0, ZERO, 2, parts, &problem), RESULT_OK);
    assert_int_equal(parts[0], 0);
}

/* Whatever the weights: parts add up, and none is a cent or more away from its exact share. */
static void parts_always_add_up_and_stay_within_a_cent(void **state)
{
    struct prng prng;
    struct problem problem = {0};

    (void)state;
    prng_init(&prng, 9);
    for (int round = 0; round < 2000; round++) {
        int64_t weights[12];
        int64_t parts[12];
        size_t count = 1 + (size_t)prng_below(&prng, 12);
        int64_t total = (int64_t)prng_below(&prng, 2000001) - 1000000;
        int64_t sum = 0;
        int64_t weight_sum = 0;

        for (size_t i = 0; i < count; i++) {
            weights[i] = (int64_t)prng_below(&prng, 1000) + (i == 0);
            weight_sum += weights[i];
        }
        assert_int_equal(money_split(total, weights, count, parts, &problem), RESULT_OK);
        for (size_t i = 0; i < count; i++) {
            int64_t off = parts[i] * weight_sum - total * weights[i];

            sum += parts[i];
            assert_true(off < weight_sum && off > -weight_sum);
        }
        assert_int_equal(sum, total);
    }
}

static void part_of_a_period_is_paid_by_days(void **state)
{
    struct problem problem = {0};
    int64_t cents = 0;

    (void)state;
    assert_int_equal(money_prorate(12000, 50, 90, &cents, &problem), RESULT_OK);
    assert_int_equal(cents, 6667);
    assert_int_equal(money_prorate(25000, 51, 92, &cents, &problem), RESULT_OK);
    assert_int_equal(cents, 13859); /* so the credit is 111.41 */
    assert_int_equal(money_prorate(25000, 93, 92, &cents, &problem), RESULT_REFUSED);
    assert_int_equal(money_prorate(25000, -1, 92, &cents, &problem), RESULT_REFUSED);
    assert_int_equal(money_prorate(25000, 0, 0, &cents, &problem), RESULT_REFUSED);
}

static void twelve_instalments_of_a_thousand_add_up(void **state)
{
    struct problem problem = {0};
    int64_t sum = 0;

    (void)state;
    for (int64_t i = 0; i < 12; i++) {
        int64_t cents = 0;

        assert_int_equal(money_instalment(100000, i, 12, &cents, &problem), RESULT_OK);
        assert_int_equal(cents, i % 3 == 1 ? 8334 : 8333); /* months 2, 5, 8 and 11 */
        sum += cents;
    }
    assert_int_equal(sum, 100000);
    assert_int_equal(money_instalment(100000, 12, 12, &sum, &problem), RESULT_REFUSED);
    assert_int_equal(money_instalment(100000, 0, 0, &sum, &problem), RESULT_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(division_rounds_half_away_from_zero),
        cmocka_unit_test(a_quotient_out_of_range_is_refused_and_leaves_the_output),
        cmocka_unit_test(line_nets_are_those_of_the_worked_invoice),
        cmocka_unit_test(a_line_out_of_range_is_refused),
        cmocka_unit_test(the_worked_invoice_comes_to_its_total),
        cmocka_unit_test(vat_is_rounded_once_per_code_and_not_per_line),
        cmocka_unit_test(vat_refuses_unknown_codes_negative_rates_and_overflow),
        cmocka_unit_test(a_trip_is_split_by_the_stand_alone_distances),
        cmocka_unit_test(ties_of_a_split_go_to_the_lower_index),
        cmocka_unit_test(a_split_without_weights_is_refused),
        cmocka_unit_test(parts_always_add_up_and_stay_within_a_cent),
        cmocka_unit_test(part_of_a_period_is_paid_by_days),
        cmocka_unit_test(twelve_instalments_of_a_thousand_add_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
