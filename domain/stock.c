/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/stock.h"

#include "base/invariant.h"
#include "domain/money.h"

#include <inttypes.h>
#include <string.h>

#define AT(kind) (1u << STOCK_##kind)

enum {
    REAL = AT(WAREHOUSE) | AT(VAN) | AT(STAGING) | AT(QUARANTINE) | AT(REPAIR) | AT(CUSTOMER_SITE),
    OWN_SHELVES = AT(VAN) | AT(WAREHOUSE),
    REPAIR_PLACES = AT(REPAIR) | AT(QUARANTINE) | AT(VAN),
    ANYWHERE = (1 << STOCK_PLACE_KIND_COUNT) - 1,
    PIECE_M = 1000,
};

enum ownership { OURS, THEIRS, ANYBODYS };

static const char *const PLACE_NAMES[STOCK_PLACE_KIND_COUNT] = {
    [STOCK_WAREHOUSE] = "warehouse",
    [STOCK_VAN] = "van",
    [STOCK_STAGING] = "staging",
    [STOCK_QUARANTINE] = "quarantine",
    [STOCK_REPAIR] = "repair_shop",
    [STOCK_CUSTOMER_SITE] = "site",
    [STOCK_SUPPLIER] = "supplier",
    [STOCK_CUSTOMER] = "customer",
    [STOCK_LOSS] = "loss",
    [STOCK_CONSUMED] = "consumed",
    [STOCK_IN_TRANSIT] = "in_transit",
};

/* Which ways goods move, and whose they are. A count and its true-up go either
 * way, so they are checked apart. */
/* clang-format off */
static const struct way {
    const char *name;
    unsigned from; /* sets of place kinds */
    unsigned to;
    enum ownership owner;
} WAYS[STOCK_KIND_COUNT] = {
    [STOCK_RECEIVE]         = {"receive",         AT(SUPPLIER), REAL & ~AT(CUSTOMER_SITE),
                               OURS},
    [STOCK_SUPPLIER_RETURN] = {"supplier_return", REAL,              AT(SUPPLIER),      OURS},
    [STOCK_SALE]            = {"sale",            REAL,              AT(CUSTOMER),      OURS},
    [STOCK_TRANSFER]        = {"transfer",        REAL,              REAL,              ANYBODYS},
    [STOCK_LOAD]            = {"load", AT(WAREHOUSE) | AT(STAGING),  AT(VAN),           ANYBODYS},
    [STOCK_UNLOAD]          = {"unload",          AT(VAN),
                               REAL & ~AT(VAN) & ~AT(CUSTOMER_SITE), ANYBODYS},
    [STOCK_PICK]            = {"pick", AT(WAREHOUSE) | AT(STAGING),  AT(VAN) | AT(STAGING), OURS},
    [STOCK_USE]             = {"use",             OWN_SHELVES,       AT(CONSUMED),      OURS},
    [STOCK_TRANSIT_OUT]     = {"transit_out",     OWN_SHELVES,       AT(IN_TRANSIT),    ANYBODYS},
    [STOCK_TRANSIT_IN]      = {"transit_in",      AT(IN_TRANSIT),    OWN_SHELVES,       ANYBODYS},
    [STOCK_COUNT]           = {"count",           REAL | AT(LOSS),   REAL | AT(LOSS),   ANYBODYS},
    [STOCK_TRUE_UP]         = {"true_up",         REAL | AT(LOSS),   REAL | AT(LOSS),   ANYBODYS},
    [STOCK_SCRAP]           = {"scrap",           REAL,              AT(LOSS),          OURS},
    [STOCK_RMA_IN]          = {"rma_in",          AT(CUSTOMER),      REPAIR_PLACES,     THEIRS},
    [STOCK_RMA_OUT]         = {"rma_out",         REPAIR_PLACES,     AT(CUSTOMER),      THEIRS},
    [STOCK_LOAN_OUT]        = {"loan_out",        OWN_SHELVES,       AT(CUSTOMER_SITE), OURS},
    [STOCK_LOAN_BACK]       = {"loan_back",       AT(CUSTOMER_SITE), OWN_SHELVES,       OURS},
    [STOCK_REVERSE]         = {"reverse",         ANYWHERE,          ANYWHERE,          ANYBODYS},
};
/* clang-format on */

const char *stock_place_kind_name(enum stock_place_kind kind)
{
    invariant(kind >= 0 && kind < STOCK_PLACE_KIND_COUNT);
    return PLACE_NAMES[kind];
}

bool stock_place_kind_parse(const char *name, enum stock_place_kind *ret_kind)
{
    for (size_t i = 0; i < STOCK_PLACE_KIND_COUNT; i++) {
        if (strcmp(PLACE_NAMES[i], name) == 0) {
            *ret_kind = (enum stock_place_kind)i;
            return true;
        }
    }
    return false;
}

bool stock_place_is_virtual(enum stock_place_kind kind)
{
    invariant(kind >= 0 && kind < STOCK_PLACE_KIND_COUNT);
    return (REAL & (1u << kind)) == 0;
}

const char *stock_kind_name(enum stock_kind kind)
{
    invariant(kind >= 0 && kind < STOCK_KIND_COUNT);
    return WAYS[kind].name;
}

bool stock_kind_parse(const char *name, enum stock_kind *ret_kind)
{
    for (size_t i = 0; i < STOCK_KIND_COUNT; i++) {
        if (strcmp(WAYS[i].name, name) == 0) {
            *ret_kind = (enum stock_kind)i;
            return true;
        }
    }
    return false;
}

enum result stock_balance(const struct stock_move *moves, size_t count, const struct stock_key *key,
                          int64_t until_at, int64_t *ret_qty_m, struct problem *problem)
{
    money_wide sum = 0; /* wide: the order of the moves must not decide whether it fits */

    for (size_t i = 0; i < count; i++) {
        const struct stock_move *move = &moves[i];

        if (move->item_id != key->item_id || move->serial_id != key->serial_id ||
            move->owner_id != key->owner_id || move->occurred_at > until_at)
            continue;
        if (move->to_id == key->place_id)
            sum += move->qty_m;
        if (move->from_id == key->place_id)
            sum -= move->qty_m;
    }
    if (sum > INT64_MAX || sum < INT64_MIN)
        return problem_set(problem, RESULT_REFUSED, "a balance of item %" PRId64 " is too large",
                           key->item_id);
    *ret_qty_m = (int64_t)sum;
    return RESULT_OK;
}

static struct stock_answer refused(enum reason reason)
{
    return (struct stock_answer){.answer = ANSWER_REFUSE, .reason = reason};
}

static bool is_way_open(const struct stock_move *move, const struct stock_view *view)
{
    const struct way *way = &WAYS[move->kind];

    if ((move->kind == STOCK_COUNT || move->kind == STOCK_TRUE_UP) &&
        (view->from_kind == STOCK_LOSS) == (view->to_kind == STOCK_LOSS))
        return false;
    return (way->from & (1u << view->from_kind)) != 0 && (way->to & (1u << view->to_kind)) != 0;
}

static bool is_owner_right(const struct stock_move *move)
{
    enum ownership owner = WAYS[move->kind].owner;

    return owner == ANYBODYS || (owner == OURS) == (move->owner_id == 0);
}

/* Issued at use: nothing is picked. Issued at picking: nothing is used out of the warehouse. */
static bool is_issue_right(const struct stock_move *move, const struct stock_view *view)
{
    if (view->issue_mode == STOCK_ON_USE)
        return move->kind != STOCK_PICK;
    return move->kind != STOCK_USE || view->from_kind == STOCK_VAN;
}

static bool is_serial_right(const struct stock_move *move, const struct stock_view *view)
{
    if (move->serial_id == 0)
        return true;
    if (stock_place_is_virtual(view->from_kind))
        return view->serial_at_id == 0;
    return view->serial_at_id == move->from_id;
}

static bool is_from_short(const struct stock_move *move, const struct stock_view *view)
{
    return !stock_place_is_virtual(view->from_kind) && move->qty_m > view->from_balance_m;
}

/* Of what was held for others, how much this move takes. */
static int64_t robbed_by(const struct stock_move *move, const struct stock_view *view)
{
    int64_t on_hand = view->from_balance_m > 0 ? view->from_balance_m : 0;
    int64_t left = move->qty_m >= on_hand ? 0 : on_hand - move->qty_m;
    int64_t held = view->held_other_m < on_hand ? view->held_other_m : on_hand;

    if (stock_place_is_virtual(view->from_kind) || move->owner_id != 0 || held <= left)
        return 0;
    return held - left;
}

/* Refuses the move online, asks people about a late fact. False: it is refused. */
static bool object(struct stock_answer *answer, bool is_refusable, enum reason reason,
                   unsigned roles)
{
    if (is_refusable) {
        *answer = refused(reason);
        return false;
    }
    invariant(answer->review_count < STOCK_REVIEWS_MAX);
    if (answer->review_count == 0)
        answer->reason = reason;
    answer->reviews[answer->review_count++] = (struct review){.reason = reason, .roles = roles};
    return true;
}

struct stock_answer stock_judge(const struct stock_move *move, const struct stock_view *view)
{
    bool is_online = !view->is_late_fact;
    bool is_van = view->from_kind == STOCK_VAN;
    struct stock_answer answer = {.answer = ANSWER_ACCEPT};

    if (move->qty_m <= 0)
        return refused(REASON_QUANTITY_NOT_POSITIVE);
    if (move->from_id == move->to_id)
        return refused(REASON_SAME_PLACE);
    if (move->serial_id != 0 && move->qty_m != PIECE_M)
        return refused(REASON_SERIAL_QUANTITY);
    if (!is_way_open(move, view) && !object(&answer, is_online, REASON_WRONG_PLACE, ROLE_WAREHOUSE))
        return answer;
    if (!is_owner_right(move) &&
        !object(&answer, is_online, REASON_WRONG_OWNER, ROLE_WAREHOUSE | ROLE_MANAGER))
        return answer;
    if (!is_issue_right(move, view) &&
        !object(&answer, is_online, REASON_WRONG_ISSUE_MODE, ROLE_WAREHOUSE))
        return answer;
    if (view->is_serial_item && move->serial_id == 0 &&
        !object(&answer, is_online, REASON_SERIAL_MISSING, ROLE_WAREHOUSE))
        return answer;
    if (is_from_short(move, view) &&
        !object(&answer, is_online && !is_van, REASON_NEGATIVE_STOCK, ROLE_WAREHOUSE))
        return answer;
    if (!is_serial_right(move, view) &&
        !object(&answer, false, REASON_SERIAL_CONFLICT, ROLE_WAREHOUSE | ROLE_MANAGER))
        return answer;
    answer.robbed_m = robbed_by(move, view);
    if (answer.robbed_m > 0 && answer.review_count < STOCK_REVIEWS_MAX)
        (void)object(&answer, false, REASON_HELD_FOR_OTHER_CALL,
                     ROLE_WAREHOUSE | ROLE_DISPATCHER | ROLE_PURCHASING);
    return answer;
}

struct stock_move stock_reverse_of(const struct stock_move *move, int64_t occurred_at)
{
    struct stock_move reverse = *move;

    invariant(move->kind != STOCK_REVERSE);
    reverse.id = 0;
    reverse.kind = STOCK_REVERSE;
    reverse.from_id = move->to_id;
    reverse.to_id = move->from_id;
    reverse.occurred_at = occurred_at;
    return reverse;
}

static bool place_is_real(const struct stock_place *places, size_t count, int64_t id)
{
    for (size_t i = 0; i < count; i++)
        if (places[i].id == id)
            return !stock_place_is_virtual(places[i].kind);
    return false;
}

int64_t stock_serial_follow(const struct stock_move *moves, size_t count,
                            const struct stock_place *places, size_t place_count,
                            bool *ret_conflicts)
{
    int64_t at_id = 0; /* real place, 0: in none */

    for (size_t i = 0; i < count; i++) {
        bool is_from_real = place_is_real(places, place_count, moves[i].from_id);
        bool is_to_real = place_is_real(places, place_count, moves[i].to_id);

        if (!is_from_real && !is_to_real)
            ret_conflicts[i] = at_id != 0; /* a story in which it never was where it is */
        else
            ret_conflicts[i] = at_id != (is_from_real ? moves[i].from_id : 0);
        at_id = is_to_real ? moves[i].to_id : 0;
    }
    return at_id;
}

enum result stock_count_adjust(int64_t known_m, int64_t counted_m, int64_t *ret_adjust_m,
                               struct problem *problem)
{
    money_wide adjust = (money_wide)counted_m - known_m;

    if (counted_m < 0)
        return problem_set(problem, RESULT_REFUSED, "a count is never below zero");
    if (adjust > INT64_MAX || adjust < -INT64_MAX)
        return problem_set(problem, RESULT_REFUSED, "the difference is too large");
    *ret_adjust_m = (int64_t)adjust;
    return RESULT_OK;
}

struct stock_move stock_count_move(const struct stock_key *key, int64_t loss_id, int64_t adjust_m,
                                   int64_t occurred_at)
{
    invariant(adjust_m != 0 && adjust_m != INT64_MIN);
    return (struct stock_move){
        .item_id = key->item_id,
        .serial_id = key->serial_id,
        .owner_id = key->owner_id,
        .qty_m = adjust_m < 0 ? -adjust_m : adjust_m,
        .from_id = adjust_m < 0 ? key->place_id : loss_id,
        .to_id = adjust_m < 0 ? loss_id : key->place_id,
        .occurred_at = occurred_at,
        .kind = STOCK_COUNT,
    };
}

bool stock_true_up(const struct stock_move *late, int64_t place_id, int64_t loss_id,
                   const struct stock_pin *pins, size_t pin_count, struct stock_move *ret_true_up)
{
    struct stock_key key = {.place_id = place_id,
                            .item_id = late->item_id,
                            .serial_id = late->serial_id,
                            .owner_id = late->owner_id};
    int64_t pinned_at = INT64_MAX;
    bool is_pinned = false;

    invariant(late->from_id == place_id || late->to_id == place_id);
    if (late->kind == STOCK_TRUE_UP)
        return false;
    for (size_t i = 0; i < pin_count; i++) {
        if (pins[i].counted_at >= late->occurred_at && pins[i].counted_at <= pinned_at) {
            pinned_at = pins[i].counted_at;
            is_pinned = true;
        }
    }
    if (!is_pinned)
        return false;
    *ret_true_up = stock_count_move(
        &key, loss_id, late->from_id == place_id ? late->qty_m : -late->qty_m, pinned_at);
    ret_true_up->kind = STOCK_TRUE_UP;
    return true;
}

struct stock_grant stock_grant_of(int64_t on_hand_m, int64_t held_m, int64_t asked_m)
{
    int64_t free_m = on_hand_m > held_m ? on_hand_m - held_m : 0;
    struct stock_grant grant = {.held_m = asked_m < free_m ? asked_m : free_m};

    invariant(held_m >= 0 && asked_m >= 0);
    grant.short_m = asked_m - grant.held_m;
    return grant;
}

void stock_rob(int64_t on_hand_m, int64_t *held, size_t count, int64_t *ret_lost)
{
    int64_t left = on_hand_m > 0 ? on_hand_m : 0;

    for (size_t i = 0; i < count; i++) {
        int64_t kept = held[i] < left ? held[i] : left;

        invariant(held[i] >= 0);
        ret_lost[i] = held[i] - kept;
        held[i] = kept;
        left -= kept;
    }
}

/* The new quantity and value, if both fit. */
static enum result value_set(struct stock_value *value, money_wide qty_m, money_wide value_cents,
                             struct problem *problem)
{
    if (qty_m > INT64_MAX || qty_m < INT64_MIN || value_cents > INT64_MAX ||
        value_cents < INT64_MIN)
        return problem_set(problem, RESULT_REFUSED, "the stock or its value is too large");
    *value = (struct stock_value){.qty_m = (int64_t)qty_m, .value_cents = (int64_t)value_cents};
    return RESULT_OK;
}

enum result stock_value_in(struct stock_value *value, int64_t qty_m, int64_t total_cents,
                           int64_t *ret_variance_cents, struct problem *problem)
{
    int64_t missing_m = value->qty_m < 0 && value->qty_m != INT64_MIN ? -value->qty_m : 0;
    int64_t filling_m = qty_m < missing_m ? qty_m : missing_m;
    int64_t paid = 0;    /* of total_cents, for what fills up */
    int64_t assumed = 0; /* what had been assumed for it when it was issued */
    money_wide variance = 0;
    enum result result;

    if (qty_m <= 0 || value->qty_m == INT64_MIN)
        return problem_set(problem, RESULT_REFUSED, "a quantity in is more than zero");
    result = money_rdiv((money_wide)total_cents * filling_m, qty_m, &paid, problem);
    if (result != RESULT_OK)
        return result;
    if (missing_m > 0) {
        result =
            money_rdiv(-(money_wide)value->value_cents * filling_m, missing_m, &assumed, problem);
        if (result != RESULT_OK)
            return result;
    }
    variance = (money_wide)paid - assumed;
    if (variance > INT64_MAX || variance < INT64_MIN)
        return problem_set(problem, RESULT_REFUSED, "the difference in cost is too large");
    result = value_set(value, (money_wide)value->qty_m + qty_m,
                       (money_wide)value->value_cents + total_cents - variance, problem);
    if (result == RESULT_OK)
        *ret_variance_cents = (int64_t)variance;
    return result;
}

enum result stock_value_out(struct stock_value *value, int64_t qty_m, int64_t fallback_e4,
                            int64_t *ret_total_cents, struct problem *problem)
{
    int64_t here_m = value->qty_m > 0 ? value->qty_m : 0;
    int64_t taken_m = qty_m < here_m ? qty_m : here_m;
    int64_t taken = 0;
    int64_t missing = 0;
    money_wide total = 0;
    enum result result;

    if (qty_m <= 0)
        return problem_set(problem, RESULT_REFUSED, "a quantity out is more than zero");
    if (taken_m > 0) { /* all of it takes all of the value: rdiv(v * q, q) is v */
        result = money_rdiv((money_wide)value->value_cents * taken_m, here_m, &taken, problem);
        if (result != RESULT_OK)
            return result;
    }
    result = money_line_net(qty_m - taken_m, fallback_e4, 0, &missing, problem);
    if (result != RESULT_OK)
        return result;
    total = (money_wide)taken + missing;
    if (total > INT64_MAX || total < INT64_MIN)
        return problem_set(problem, RESULT_REFUSED, "the cost is too large");
    result = value_set(value, (money_wide)value->qty_m - qty_m,
                       (money_wide)value->value_cents - total, problem);
    if (result == RESULT_OK)
        *ret_total_cents = (int64_t)total;
    return result;
}
