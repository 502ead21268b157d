/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/stock.h"

#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { WAREHOUSE = 1, VAN, REPAIR, SUPPLIER, CUSTOMER, LOSS, CONSUMED, TRANSIT, PLACES = TRANSIT };
enum { BOARD = 100, MOVES_MAX = 64 };

static const struct stock_place PLACE_LIST[PLACES] = {
    {WAREHOUSE, STOCK_WAREHOUSE}, {VAN, STOCK_VAN},
    {REPAIR, STOCK_REPAIR},       {SUPPLIER, STOCK_SUPPLIER},
    {CUSTOMER, STOCK_CUSTOMER},   {LOSS, STOCK_LOSS},
    {CONSUMED, STOCK_CONSUMED},   {TRANSIT, STOCK_IN_TRANSIT},
};

static struct stock_move move_of(enum stock_kind kind, int64_t from, int64_t to, int64_t pieces,
                                 int64_t at)
{
    return (struct stock_move){.item_id = BOARD,
                               .qty_m = pieces * 1000,
                               .from_id = from,
                               .to_id = to,
                               .occurred_at = at,
                               .kind = kind};
}

/* A ledger as the server keeps it: moves and counts in posting order. */
struct ledger {
    struct stock_move moves[MOVES_MAX];
    struct stock_pin pins[MOVES_MAX]; /* counts of the van */
    size_t count;
    size_t pin_count;
};

static int64_t balance_until(const struct ledger *ledger, int64_t place, int64_t until)
{
    struct stock_key key = {.place_id = place, .item_id = BOARD};
    struct problem problem = {0};
    int64_t qty = 0;

    assert_int_equal(stock_balance(ledger->moves, ledger->count, &key, until, &qty, &problem),
                     RESULT_OK);
    return qty;
}

static int64_t balance(const struct ledger *ledger, int64_t place)
{
    return balance_until(ledger, place, INT64_MAX);
}

static void append(struct ledger *ledger, struct stock_move move)
{
    assert_true(ledger->count < MOVES_MAX);
    move.id = (int64_t)ledger->count + 1;
    ledger->moves[ledger->count++] = move;
}

/* Posts a fact and, if the van had been counted after it, its true-up. */
static void post(struct ledger *ledger, struct stock_move move)
{
    struct stock_move true_up;

    append(ledger, move);
    if ((move.from_id == VAN || move.to_id == VAN) &&
        stock_true_up(&move, VAN, LOSS, ledger->pins, ledger->pin_count, &true_up))
        append(ledger, true_up);
}

static void count_van(struct ledger *ledger, int64_t pieces, int64_t at)
{
    struct stock_key key = {.place_id = VAN, .item_id = BOARD};
    struct problem problem = {0};
    int64_t adjust = 0;

    assert_int_equal(
        stock_count_adjust(balance_until(ledger, VAN, at), pieces * 1000, &adjust, &problem),
        RESULT_OK);
    if (adjust != 0)
        post(ledger, stock_count_move(&key, LOSS, adjust, at));
    ledger->pins[ledger->pin_count++] = (struct stock_pin){at};
}

/* Books 12, counted 9; a use of 2 from before the count arrives later. */
static void counts_are_pinned(void **state)
{
    struct ledger ledger = {0};

    (void)state;
    post(&ledger, move_of(STOCK_TRANSFER, WAREHOUSE, VAN, 12, 100));
    count_van(&ledger, 9, 1200);
    assert_int_equal(balance(&ledger, VAN), 9000);
    assert_int_equal(balance(&ledger, LOSS), 3000);
    assert_int_equal(ledger.moves[1].kind, STOCK_COUNT);
    assert_int_equal(ledger.moves[1].qty_m, 3000);
    post(&ledger, move_of(STOCK_USE, VAN, CONSUMED, 2, 900));
    assert_int_equal(ledger.count, 4); /* the use and its true-up */
    assert_int_equal(ledger.moves[3].kind, STOCK_TRUE_UP);
    assert_int_equal(ledger.moves[3].from_id, LOSS);
    assert_int_equal(ledger.moves[3].to_id, VAN);
    assert_int_equal(ledger.moves[3].qty_m, 2000);
    assert_int_equal(ledger.moves[3].occurred_at, 1200);
    assert_int_equal(balance(&ledger, VAN), 9000);
    assert_int_equal(balance(&ledger, LOSS), 1000); /* the unexplained rest */
    assert_int_equal(balance(&ledger, CONSUMED), 2000);
}

static void a_use_after_the_count_needs_no_true_up(void **state)
{
    struct ledger ledger = {0};

    (void)state;
    post(&ledger, move_of(STOCK_TRANSFER, WAREHOUSE, VAN, 12, 100));
    count_van(&ledger, 9, 1200);
    post(&ledger, move_of(STOCK_USE, VAN, CONSUMED, 2, 1201));
    assert_int_equal(ledger.count, 3);
    assert_int_equal(balance(&ledger, VAN), 7000);
}

static void a_true_up_is_not_trued_up(void **state)
{
    struct stock_move true_up = move_of(STOCK_TRUE_UP, LOSS, VAN, 2, 1200);
    struct stock_pin pin = {1200};
    struct stock_move more;

    (void)state;
    assert_false(stock_true_up(&true_up, VAN, LOSS, &pin, 1, &more));
    true_up.kind = STOCK_COUNT;
    assert_true(stock_true_up(&true_up, VAN, LOSS, &pin, 1, &more));
}

static void one_true_up_keeps_every_count_as_it_was(void **state)
{
    struct ledger ledger = {0};

    (void)state;
    post(&ledger, move_of(STOCK_TRANSFER, WAREHOUSE, VAN, 12, 100));
    count_van(&ledger, 9, 1200);
    count_van(&ledger, 8, 2400);
    post(&ledger, move_of(STOCK_TRANSFER, WAREHOUSE, VAN, 5, 1300));
    post(&ledger, move_of(STOCK_USE, VAN, CONSUMED, 1, 1200)); /* the very instant: counted too */
    assert_int_equal(balance_until(&ledger, VAN, 1200), 9000);
    assert_int_equal(balance_until(&ledger, VAN, 2400), 8000);
    assert_int_equal(balance(&ledger, VAN), 8000);
}

static void a_count_that_arrives_late_is_against_what_was_known_then(void **state)
{
    struct ledger ledger = {0};

    (void)state;
    post(&ledger, move_of(STOCK_TRANSFER, WAREHOUSE, VAN, 12, 100));
    post(&ledger, move_of(STOCK_USE, VAN, CONSUMED, 4, 1500));
    count_van(&ledger, 11, 1200);
    assert_int_equal(balance_until(&ledger, VAN, 1200), 11000);
    assert_int_equal(balance(&ledger, VAN), 7000);
}

static void a_count_below_zero_is_refused(void **state)
{
    struct problem problem = {0};
    int64_t adjust = 42;

    (void)state;
    assert_int_equal(stock_count_adjust(5, -1, &adjust, &problem), RESULT_REFUSED);
    assert_int_equal(stock_count_adjust(INT64_MIN, 1, &adjust, &problem), RESULT_REFUSED);
    assert_int_equal(adjust, 42);
}

/* The law of the ledger: facts in any order give the same balances, whose sum is 0. */
static void facts_in_any_order_give_the_same_balances(void **state)
{
    enum { FACTS = 8 };
    struct prng prng;

    (void)state;
    prng_init(&prng, 12);
    for (int round = 0; round < 2000; round++) {
        struct stock_move facts[FACTS];
        int64_t counted[FACTS] = {0}; /* >= 0: this fact is a count of so many pieces */
        size_t order[FACTS];
        int64_t expected[PLACES + 1] = {0};

        for (size_t i = 0; i < FACTS; i++) {
            int64_t at = 100 * (int64_t)i + (int64_t)prng_below(&prng, 50);

            order[i] = i;
            counted[i] = prng_below(&prng, 4) == 0 ? (int64_t)prng_below(&prng, 20) : -1;
            facts[i] = move_of(STOCK_TRANSFER, 1 + (int64_t)prng_below(&prng, PLACES), VAN,
                               1 + (int64_t)prng_below(&prng, 9), at);
            if (facts[i].from_id == VAN)
                facts[i].to_id = CONSUMED;
            if (facts[i].from_id == LOSS) /* loss is the counts' own */
                facts[i].from_id = WAREHOUSE;
        }
        for (int permutation = 0; permutation < 6; permutation++) {
            struct ledger ledger = {0};
            int64_t sum = 0;

            for (size_t i = 0; i < FACTS; i++) {
                if (counted[order[i]] >= 0)
                    count_van(&ledger, counted[order[i]], facts[order[i]].occurred_at);
                else
                    post(&ledger, facts[order[i]]);
            }
            for (int64_t place = 1; place <= PLACES; place++) {
                sum += balance(&ledger, place);
                if (permutation == 0)
                    expected[place] = balance(&ledger, place);
                assert_int_equal(balance(&ledger, place), expected[place]);
            }
            assert_int_equal(sum, 0);
            for (size_t i = 0; i < FACTS; i++)
                if (counted[i] >= 0)
                    assert_int_equal(balance_until(&ledger, VAN, facts[i].occurred_at),
                                     counted[i] * 1000);
            for (size_t i = FACTS; i > 1; i--) {
                size_t j = (size_t)prng_below(&prng, i);
                size_t moved = order[j];

                order[j] = order[i - 1];
                order[i - 1] = moved;
            }
        }
    }
}

static void balances_are_kept_per_item_serial_and_owner(void **state)
{
    struct stock_move moves[3] = {move_of(STOCK_RECEIVE, SUPPLIER, WAREHOUSE, 5, 1),
                                  move_of(STOCK_RMA_IN, CUSTOMER, WAREHOUSE, 2, 2),
                                  move_of(STOCK_RECEIVE, SUPPLIER, WAREHOUSE, 1, 3)};
    struct stock_key ours = {.place_id = WAREHOUSE, .item_id = BOARD};
    struct stock_key theirs = ours;
    struct problem problem = {0};
    int64_t qty = 0;

    (void)state;
    moves[1].owner_id = theirs.owner_id = 7;
    moves[2].serial_id = 9;
    assert_int_equal(stock_balance(moves, 3, &ours, INT64_MAX, &qty, &problem), RESULT_OK);
    assert_int_equal(qty, 5000);
    assert_int_equal(stock_balance(moves, 3, &theirs, INT64_MAX, &qty, &problem), RESULT_OK);
    assert_int_equal(qty, 2000);
    ours.serial_id = 9;
    assert_int_equal(stock_balance(moves, 3, &ours, INT64_MAX, &qty, &problem), RESULT_OK);
    assert_int_equal(qty, 1000);
}

static void a_balance_out_of_range_is_refused_and_order_does_not_decide_it(void **state)
{
    struct stock_move moves[3] = {move_of(STOCK_RECEIVE, SUPPLIER, WAREHOUSE, 1, 1),
                                  move_of(STOCK_RECEIVE, SUPPLIER, WAREHOUSE, 1, 2),
                                  move_of(STOCK_SALE, WAREHOUSE, CUSTOMER, 1, 3)};
    struct stock_key key = {.place_id = WAREHOUSE, .item_id = BOARD};
    struct problem problem = {0};
    int64_t qty = 42;

    (void)state;
    moves[0].qty_m = moves[1].qty_m = moves[2].qty_m = INT64_MAX;
    assert_int_equal(stock_balance(moves, 2, &key, INT64_MAX, &qty, &problem), RESULT_REFUSED);
    assert_int_equal(qty, 42);
    assert_int_equal(stock_balance(moves, 3, &key, INT64_MAX, &qty, &problem), RESULT_OK);
    assert_int_equal(qty, INT64_MAX);
}

static struct stock_view view_of(enum stock_place_kind from, enum stock_place_kind to,
                                 int64_t pieces)
{
    return (struct stock_view){.from_kind = from, .to_kind = to, .from_balance_m = pieces * 1000};
}

static void expect_refused(struct stock_answer answer, enum reason reason)
{
    assert_int_equal(answer.answer, ANSWER_REFUSE);
    assert_string_equal(reason_code(answer.reason), reason_code(reason));
    assert_int_equal(answer.review_count, 0);
}

static void expect_review(struct stock_answer answer, enum reason reason, unsigned roles)
{
    assert_int_equal(answer.answer, ANSWER_ACCEPT);
    assert_int_equal(answer.review_count, 1);
    assert_string_equal(reason_code(answer.reviews[0].reason), reason_code(reason));
    assert_int_equal(answer.reviews[0].roles, roles);
    assert_int_equal(answer.reason, reason);
}

static void expect_clean(struct stock_answer answer)
{
    assert_int_equal(answer.answer, ANSWER_ACCEPT);
    assert_int_equal(answer.reason, REASON_NONE);
    assert_int_equal(answer.review_count, 0);
    assert_int_equal(answer.robbed_m, 0);
}

/* The ways, written down a second time: places as letters w v s q r l (loan), S C L U T. */
static void goods_move_only_the_ways_of_their_kind(void **state)
{
    static const char LETTERS[] = "wvsqrlSCLUT";
    static const struct {
        enum stock_kind kind;
        const char *from;
        const char *to;
        bool is_theirs;
    } WAYS[] = {
        {STOCK_RECEIVE, "S", "wvsqr", false},  {STOCK_SUPPLIER_RETURN, "wvsqrl", "S", false},
        {STOCK_SALE, "wvsqrl", "C", false},    {STOCK_TRANSFER, "wvsqrl", "wvsqrl", false},
        {STOCK_PICK, "ws", "vs", false},       {STOCK_LOAD, "ws", "v", false},
        {STOCK_UNLOAD, "v", "wsqr", false},    {STOCK_USE, "wv", "U", false},
        {STOCK_TRANSIT_OUT, "wv", "T", false}, {STOCK_TRANSIT_IN, "T", "wv", false},
        {STOCK_SCRAP, "wvsqrl", "L", false},   {STOCK_RMA_IN, "C", "rqv", true},
        {STOCK_RMA_OUT, "rqv", "C", true},     {STOCK_LOAN_OUT, "wv", "l", false},
        {STOCK_LOAN_BACK, "l", "wv", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof WAYS / sizeof WAYS[0]; i++)
        for (int from = 0; from < STOCK_PLACE_KIND_COUNT; from++)
            for (int to = 0; to < STOCK_PLACE_KIND_COUNT; to++) {
                struct stock_move move = move_of(WAYS[i].kind, 1, 2, 1, 1);
                struct stock_view view =
                    view_of((enum stock_place_kind)from, (enum stock_place_kind)to, 5);
                bool is_open = false;
                struct stock_answer answer;

                for (const char *f = WAYS[i].from; *f != '\0'; f++)
                    for (const char *t = WAYS[i].to; *t != '\0'; t++)
                        is_open = is_open || (*f == LETTERS[from] && *t == LETTERS[to]);
                move.owner_id = WAYS[i].is_theirs ? 7 : 0;
                if (WAYS[i].kind == STOCK_PICK)
                    view.issue_mode = STOCK_ON_PICK;
                answer = stock_judge(&move, &view);
                if (is_open)
                    expect_clean(answer);
                else
                    expect_refused(answer, REASON_WRONG_PLACE);
                view.is_late_fact = true;
                if (!is_open)
                    expect_review(stock_judge(&move, &view), REASON_WRONG_PLACE, ROLE_WAREHOUSE);
            }
}

static void a_count_moves_between_a_real_place_and_loss(void **state)
{
    struct stock_move move = move_of(STOCK_COUNT, VAN, LOSS, 1, 1);
    struct stock_view view = view_of(STOCK_VAN, STOCK_LOSS, 5);

    (void)state;
    expect_clean(stock_judge(&move, &view));
    view = view_of(STOCK_LOSS, STOCK_VAN, 0);
    expect_clean(stock_judge(&move, &view));
    view = view_of(STOCK_VAN, STOCK_WAREHOUSE, 5);
    expect_refused(stock_judge(&move, &view), REASON_WRONG_PLACE);
}

static void what_is_no_move_is_refused_even_late(void **state)
{
    struct stock_move move = move_of(STOCK_USE, VAN, CONSUMED, 0, 1);
    struct stock_view view = view_of(STOCK_VAN, STOCK_CONSUMED, 5);

    (void)state;
    view.is_late_fact = true;
    expect_refused(stock_judge(&move, &view), REASON_QUANTITY_NOT_POSITIVE);
    move.qty_m = -1000;
    expect_refused(stock_judge(&move, &view), REASON_QUANTITY_NOT_POSITIVE);
    move.qty_m = 2000;
    move.serial_id = 9;
    expect_refused(stock_judge(&move, &view), REASON_SERIAL_QUANTITY);
    move.to_id = VAN;
    expect_refused(stock_judge(&move, &view), REASON_SAME_PLACE);
}

static void a_warehouse_goes_negative_only_for_late_facts(void **state)
{
    struct stock_move move = move_of(STOCK_USE, WAREHOUSE, CONSUMED, 2, 1);
    struct stock_view view = view_of(STOCK_WAREHOUSE, STOCK_CONSUMED, 1);

    (void)state;
    expect_refused(stock_judge(&move, &view), REASON_NEGATIVE_STOCK);
    view.is_late_fact = true;
    expect_review(stock_judge(&move, &view), REASON_NEGATIVE_STOCK, ROLE_WAREHOUSE);
}

static void a_van_may_go_negative_with_a_review(void **state)
{
    struct stock_move move = move_of(STOCK_USE, VAN, CONSUMED, 1, 1);
    struct stock_view view = view_of(STOCK_VAN, STOCK_CONSUMED, 0);

    (void)state;
    expect_review(stock_judge(&move, &view), REASON_NEGATIVE_STOCK, ROLE_WAREHOUSE);
    view.from_balance_m = 1000;
    expect_clean(stock_judge(&move, &view));
}

static void row_9_a_part_held_for_another_call_is_used_and_that_call_planned_again(void **state)
{
    struct stock_move move = move_of(STOCK_USE, VAN, CONSUMED, 2, 1);
    struct stock_view view = view_of(STOCK_VAN, STOCK_CONSUMED, 3);
    int64_t held[2] = {1000, 1000};
    int64_t lost[2];
    struct stock_answer answer;

    (void)state;
    view.held_other_m = 2000;
    view.is_late_fact = true;
    answer = stock_judge(&move, &view);
    expect_review(answer, REASON_HELD_FOR_OTHER_CALL,
                  ROLE_WAREHOUSE | ROLE_DISPATCHER | ROLE_PURCHASING);
    assert_int_equal(answer.robbed_m, 1000);
    stock_rob(1000, held, 2, lost);
    assert_int_equal(lost[0], 0); /* the older grant stays */
    assert_int_equal(lost[1], 1000);
    assert_int_equal(held[0], 1000);
    assert_int_equal(held[1], 0);
}

static void row_9_a_part_that_is_not_in_the_books_is_used_and_reviewed(void **state)
{
    struct stock_move move = move_of(STOCK_USE, VAN, CONSUMED, 2, 1);
    struct stock_view view = view_of(STOCK_VAN, STOCK_CONSUMED, 1);
    struct stock_answer answer;

    (void)state;
    view.held_other_m = 1000;
    view.is_late_fact = true;
    answer = stock_judge(&move, &view);
    assert_int_equal(answer.answer, ANSWER_ACCEPT);
    assert_int_equal(answer.review_count, 2);
    assert_int_equal(answer.reviews[0].reason, REASON_NEGATIVE_STOCK);
    assert_int_equal(answer.reviews[1].reason, REASON_HELD_FOR_OTHER_CALL);
    assert_int_equal(answer.robbed_m, 1000); /* no more than was there */
}

static void customer_goods_are_never_ours(void **state)
{
    struct stock_move move = move_of(STOCK_USE, VAN, CONSUMED, 1, 1);
    struct stock_view view = view_of(STOCK_VAN, STOCK_CONSUMED, 5);

    (void)state;
    move.owner_id = 7;
    expect_refused(stock_judge(&move, &view), REASON_WRONG_OWNER);
    view.is_late_fact = true;
    expect_review(stock_judge(&move, &view), REASON_WRONG_OWNER, ROLE_WAREHOUSE | ROLE_MANAGER);
    move = move_of(STOCK_RMA_OUT, REPAIR, CUSTOMER, 1, 1);
    view = view_of(STOCK_REPAIR, STOCK_CUSTOMER, 5);
    expect_refused(stock_judge(&move, &view), REASON_WRONG_OWNER);
}

/* Both modes on one item: the sum over all places is the same at every step, and never both. */
static void parts_are_issued_at_use_or_at_picking_never_both(void **state)
{
    struct stock_move pick = move_of(STOCK_PICK, WAREHOUSE, VAN, 1, 1);
    struct stock_move use_shelf = move_of(STOCK_USE, WAREHOUSE, CONSUMED, 1, 1);
    struct stock_move use_van = move_of(STOCK_USE, VAN, CONSUMED, 1, 1);
    struct stock_view pick_view = view_of(STOCK_WAREHOUSE, STOCK_VAN, 5);
    struct stock_view shelf_view = view_of(STOCK_WAREHOUSE, STOCK_CONSUMED, 5);
    struct stock_view van_view = view_of(STOCK_VAN, STOCK_CONSUMED, 5);

    (void)state;
    expect_refused(stock_judge(&pick, &pick_view), REASON_WRONG_ISSUE_MODE);
    expect_clean(stock_judge(&use_shelf, &shelf_view));
    expect_clean(stock_judge(&use_van, &van_view));
    pick_view.issue_mode = shelf_view.issue_mode = van_view.issue_mode = STOCK_ON_PICK;
    expect_clean(stock_judge(&pick, &pick_view));
    expect_refused(stock_judge(&use_shelf, &shelf_view), REASON_WRONG_ISSUE_MODE);
    expect_clean(stock_judge(&use_van, &van_view));
    shelf_view.is_late_fact = true;
    expect_review(stock_judge(&use_shelf, &shelf_view), REASON_WRONG_ISSUE_MODE, ROLE_WAREHOUSE);
}

static void a_serial_in_two_places_is_posted_and_flagged(void **state)
{
    struct stock_move move = move_of(STOCK_USE, VAN, CONSUMED, 1, 1);
    struct stock_view view = view_of(STOCK_VAN, STOCK_CONSUMED, 1);

    (void)state;
    view.is_serial_item = true;
    expect_refused(stock_judge(&move, &view), REASON_SERIAL_MISSING);
    move.serial_id = 9;
    view.serial_at_id = VAN;
    expect_clean(stock_judge(&move, &view));
    view.serial_at_id = WAREHOUSE;
    expect_review(stock_judge(&move, &view), REASON_SERIAL_CONFLICT, ROLE_WAREHOUSE | ROLE_MANAGER);
    move = move_of(STOCK_RECEIVE, SUPPLIER, WAREHOUSE, 1, 1);
    move.serial_id = 9;
    view.from_kind = STOCK_SUPPLIER;
    view.to_kind = STOCK_WAREHOUSE;
    expect_review(stock_judge(&move, &view), REASON_SERIAL_CONFLICT, ROLE_WAREHOUSE | ROLE_MANAGER);
}

static void a_serial_is_in_one_real_place_and_the_second_story_is_marked(void **state)
{
    struct stock_move moves[5] = {move_of(STOCK_RECEIVE, SUPPLIER, WAREHOUSE, 1, 1),
                                  move_of(STOCK_TRANSFER, WAREHOUSE, VAN, 1, 2),
                                  move_of(STOCK_SALE, WAREHOUSE, CUSTOMER, 1, 3),
                                  move_of(STOCK_USE, VAN, CONSUMED, 1, 4),
                                  move_of(STOCK_RECEIVE, SUPPLIER, WAREHOUSE, 1, 5)};
    bool conflicts[5];

    (void)state;
    assert_int_equal(stock_serial_follow(moves, 2, PLACE_LIST, PLACES, conflicts), VAN);
    assert_int_equal(stock_serial_follow(moves, 5, PLACE_LIST, PLACES, conflicts), WAREHOUSE);
    assert_false(conflicts[0]);
    assert_false(conflicts[1]);
    assert_true(conflicts[2]); /* sold from the warehouse while it was in the van */
    assert_true(conflicts[3]); /* and used from the van after it was sold */
    assert_false(conflicts[4]);
    assert_int_equal(stock_serial_follow(moves, 0, PLACE_LIST, PLACES, conflicts), 0);
}

static void a_reverse_undoes_its_move(void **state)
{
    struct ledger ledger = {0};
    struct stock_move use = move_of(STOCK_USE, VAN, CONSUMED, 2, 5);
    struct stock_move reverse = stock_reverse_of(&use, 9);
    struct stock_view view = view_of(STOCK_CONSUMED, STOCK_VAN, -2);

    (void)state;
    post(&ledger, use);
    post(&ledger, reverse);
    assert_int_equal(reverse.kind, STOCK_REVERSE);
    assert_int_equal(balance(&ledger, VAN), 0);
    assert_int_equal(balance(&ledger, CONSUMED), 0);
    expect_clean(stock_judge(&reverse, &view)); /* a virtual place has no floor */
}

/* On hand 5, two needs of 3: the first is held, the second held 2 and short 1. */
static void a_grant_holds_what_is_free(void **state)
{
    struct stock_grant first = stock_grant_of(5000, 0, 3000);
    struct stock_grant second = stock_grant_of(5000, first.held_m, 3000);
    struct stock_grant third = stock_grant_of(-1000, 0, 3000);

    (void)state;
    assert_int_equal(first.held_m, 3000);
    assert_int_equal(first.short_m, 0);
    assert_int_equal(second.held_m, 2000);
    assert_int_equal(second.short_m, 1000);
    assert_int_equal(third.held_m, 0);
    assert_int_equal(third.short_m, 3000);
    second = stock_grant_of(6000, 5000, 1000); /* one is received: the short one is held, too */
    assert_int_equal(second.held_m, 1000);
}

/* 10 at 2.00 and 5 at 2.30 are 31.50; issue 4, then 11. */
static void the_last_unit_takes_the_rest_of_the_value(void **state)
{
    struct stock_value value = {0};
    struct problem problem = {0};
    int64_t cents = 0;

    (void)state;
    assert_int_equal(stock_value_in(&value, 10000, 2000, &cents, &problem), RESULT_OK);
    assert_int_equal(stock_value_in(&value, 5000, 1150, &cents, &problem), RESULT_OK);
    assert_int_equal(cents, 0);
    assert_int_equal(value.value_cents, 3150);
    assert_int_equal(stock_value_out(&value, 4000, 0, &cents, &problem), RESULT_OK);
    assert_int_equal(cents, 840);
    assert_int_equal(stock_value_out(&value, 11000, 0, &cents, &problem), RESULT_OK);
    assert_int_equal(cents, 2310);
    assert_int_equal(value.qty_m, 0);
    assert_int_equal(value.value_cents, 0);
}

static void goods_issued_before_they_arrive_settle_at_arrival(void **state)
{
    struct stock_value value = {.qty_m = 1000, .value_cents = 200};
    struct problem problem = {0};
    int64_t cents = 0;

    (void)state;
    assert_int_equal(stock_value_out(&value, 3000, 20000, &cents, &problem), RESULT_OK);
    assert_int_equal(cents, 600); /* one at its value, two at the last known 2.00 */
    assert_int_equal(value.qty_m, -2000);
    assert_int_equal(value.value_cents, -400);
    assert_int_equal(stock_value_in(&value, 5000, 1500, &cents, &problem), RESULT_OK);
    assert_int_equal(cents, 200); /* two cost 3.00 and not 2.00 */
    assert_int_equal(value.qty_m, 3000);
    assert_int_equal(value.value_cents, 900);
}

static void value_refuses_no_quantity_and_overflow(void **state)
{
    struct stock_value value = {.qty_m = INT64_MAX, .value_cents = INT64_MAX};
    struct stock_value before = value;
    struct problem problem = {0};
    int64_t cents = 42;

    (void)state;
    assert_int_equal(stock_value_in(&value, 0, 100, &cents, &problem), RESULT_REFUSED);
    assert_int_equal(stock_value_out(&value, -1, 100, &cents, &problem), RESULT_REFUSED);
    assert_int_equal(stock_value_in(&value, 1, 0, &cents, &problem), RESULT_REFUSED);
    value.qty_m = 0;
    value.value_cents = 0;
    assert_int_equal(stock_value_out(&value, INT64_MAX, INT64_MAX, &cents, &problem),
                     RESULT_REFUSED);
    assert_int_equal(cents, 42);
    assert_int_equal(before.qty_m, INT64_MAX);
    assert_int_equal(value.qty_m, 0);
}

/* Whatever comes and goes: no cent appears or vanishes, and no quantity means no value. */
static void value_is_conserved(void **state)
{
    struct prng prng;

    (void)state;
    prng_init(&prng, 8);
    for (int round = 0; round < 500; round++) {
        struct stock_value value = {0};
        struct problem problem = {0};
        int64_t ledger = 0;

        for (int i = 0; i < 40; i++) {
            int64_t qty = 1 + (int64_t)prng_below(&prng, 9000);
            int64_t total = (int64_t)prng_below(&prng, 100000);
            int64_t cents = 0;

            if (prng_below(&prng, 2) == 0) {
                assert_int_equal(stock_value_in(&value, qty, total, &cents, &problem), RESULT_OK);
                ledger += total - cents;
            } else {
                assert_int_equal(stock_value_out(&value, qty, 12345, &cents, &problem), RESULT_OK);
                ledger -= cents;
            }
            assert_int_equal(value.value_cents, ledger);
            if (value.qty_m == 0)
                assert_int_equal(value.value_cents, 0);
            if (value.qty_m > 0)
                assert_true(value.value_cents >= 0);
        }
    }
}

static void names_are_read_back_and_virtual_places_known(void **state)
{
    enum stock_place_kind place = STOCK_VAN;
    enum stock_kind kind = STOCK_USE;

    (void)state;
    for (int i = 0; i < STOCK_PLACE_KIND_COUNT; i++) {
        assert_true(
            stock_place_kind_parse(stock_place_kind_name((enum stock_place_kind)i), &place));
        assert_int_equal(place, i);
        assert_int_equal(stock_place_is_virtual(place), i >= STOCK_SUPPLIER);
    }
    for (int i = 0; i < STOCK_KIND_COUNT; i++) {
        assert_true(stock_kind_parse(stock_kind_name((enum stock_kind)i), &kind));
        assert_int_equal(kind, i);
    }
    assert_false(stock_place_kind_parse("Van", &place));
    assert_false(stock_kind_parse("", &kind));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_pinned),
        cmocka_unit_test(a_use_after_the_count_needs_no_true_up),
        cmocka_unit_test(a_true_up_is_not_trued_up),
        cmocka_unit_test(one_true_up_keeps_every_count_as_it_was),
        cmocka_unit_test(a_count_that_arrives_late_is_against_what_was_known_then),
        cmocka_unit_test(a_count_below_zero_is_refused),
        cmocka_unit_test(facts_in_any_order_give_the_same_balances),
        cmocka_unit_test(balances_are_kept_per_item_serial_and_owner),
        cmocka_unit_test(a_balance_out_of_range_is_refused_and_order_does_not_decide_it),
        cmocka_unit_test(goods_move_only_the_ways_of_their_kind),
        cmocka_unit_test(a_count_moves_between_a_real_place_and_loss),
        cmocka_unit_test(what_is_no_move_is_refused_even_late),
        cmocka_unit_test(a_warehouse_goes_negative_only_for_late_facts),
        cmocka_unit_test(a_van_may_go_negative_with_a_review),
        cmocka_unit_test(row_9_a_part_held_for_another_call_is_used_and_that_call_planned_again),
        cmocka_unit_test(row_9_a_part_that_is_not_in_the_books_is_used_and_reviewed),
        cmocka_unit_test(customer_goods_are_never_ours),
        cmocka_unit_test(parts_are_issued_at_use_or_at_picking_never_both),
        cmocka_unit_test(a_serial_in_two_places_is_posted_and_flagged),
        cmocka_unit_test(a_serial_is_in_one_real_place_and_the_second_story_is_marked),
        cmocka_unit_test(a_reverse_undoes_its_move),
        cmocka_unit_test(a_grant_holds_what_is_free),
        cmocka_unit_test(the_last_unit_takes_the_rest_of_the_value),
        cmocka_unit_test(goods_issued_before_they_arrive_settle_at_arrival),
        cmocka_unit_test(value_refuses_no_quantity_and_overflow),
        cmocka_unit_test(value_is_conserved),
        cmocka_unit_test(names_are_read_back_and_virtual_places_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
