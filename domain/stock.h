/* SPDX-License-Identifier: Apache-2.0 */
/* stock.h: the laws of the stock ledger: moves, places, balances, counts, reservations, value.
 *
 * The ledger is append-only. Every change of quantity is one move of a positive quantity between
 * two places, some of them virtual, so the balances of an item over all places always sum to 0. A
 * balance is never stored: it is the sum of the moves of one key (place, item, serial, owner), and
 * so does not depend on the order in which they arrive.
 *
 * Quantities (*_m) are thousandths of the item's unit; times (*_at) microseconds of true time.
 * Owner 0 is ourselves; goods of a customer are never available and carry no value. Serial 0 is
 * goods without serial number.
 *
 * A late fact happened while its device was offline: it is posted whatever the books say (a fact
 * cannot be unhappened) and people are asked. A move asked for online can still be refused. */
#pragma once

#include "domain/answer.h"

#include "base/result.h"

#include <stdbool.h>

enum stock_place_kind {
    STOCK_WAREHOUSE,
    STOCK_VAN,
    STOCK_STAGING,
    STOCK_QUARANTINE,
    STOCK_REPAIR,        /* repair shop */
    STOCK_CUSTOMER_SITE, /* goods of ours on loan there */
    STOCK_SUPPLIER,      /* from here on virtual: they may be negative, nobody counts them */
    STOCK_CUSTOMER,
    STOCK_LOSS,
    STOCK_CONSUMED,
    STOCK_IN_TRANSIT,
    STOCK_PLACE_KIND_COUNT
};

enum stock_kind {
    STOCK_RECEIVE,         /* supplier -> real place */
    STOCK_SUPPLIER_RETURN, /* real place -> supplier */
    STOCK_SALE,            /* real place -> customer */
    STOCK_TRANSFER,        /* real place -> real place */
    STOCK_LOAD,            /* warehouse, staging -> van: replenishment */
    STOCK_UNLOAD,          /* van -> warehouse, staging, quarantine, repair */
    STOCK_PICK,        /* warehouse, staging -> van, staging, for a need: items issued on pick */
    STOCK_USE,         /* van, warehouse -> consumed */
    STOCK_TRANSIT_OUT, /* van, warehouse -> in transit */
    STOCK_TRANSIT_IN,  /* in transit -> van, warehouse */
    STOCK_COUNT,       /* real place <-> loss: what a count found */
    STOCK_TRUE_UP,     /* real place <-> loss: a fact that arrived after the count */
    STOCK_SCRAP,       /* real place -> loss */
    STOCK_RMA_IN,      /* customer -> repair, quarantine, van; customer's goods */
    STOCK_RMA_OUT,     /* repair, quarantine, van -> customer; customer's goods */
    STOCK_LOAN_OUT,    /* van, warehouse -> customer site; our goods */
    STOCK_LOAN_BACK,   /* customer site -> van, warehouse */
    STOCK_REVERSE,     /* the opposite of the move it reverses */
    STOCK_KIND_COUNT
};

/* When an item leaves the warehouse's books; the item chooses, for all of its needs. */
enum stock_issue_mode {
    STOCK_ON_USE,  /* at use, from wherever it lies */
    STOCK_ON_PICK, /* warehouse -> van at picking, then van -> consumed at use */
};

struct stock_key {
    int64_t place_id;
    int64_t item_id;
    int64_t serial_id; /* 0: without serial number */
    int64_t owner_id;  /* 0: ours */
};

struct stock_move {
    int64_t id;
    int64_t item_id;
    int64_t serial_id;
    int64_t owner_id;
    int64_t qty_m; /* > 0 */
    int64_t from_id;
    int64_t to_id;
    int64_t occurred_at;
    enum stock_kind kind;
};

const char *stock_place_kind_name(enum stock_place_kind kind); /* "van": as stored; for ever */
bool stock_place_kind_parse(const char *name, enum stock_place_kind *ret_kind);
bool stock_place_is_virtual(enum stock_place_kind kind);
const char *stock_kind_name(enum stock_kind kind); /* "transit_out": as stored; for ever */
bool stock_kind_parse(const char *name, enum stock_kind *ret_kind);

/* Sum of the moves of one key that happened until `until_at` (included; INT64_MAX: all of them).
 * RESULT_REFUSED  the sum does not fit int64_t */
MUST_CHECK enum result stock_balance(const struct stock_move *moves, size_t count,
                                     const struct stock_key *key, int64_t until_at,
                                     int64_t *ret_qty_m, struct problem *problem);

/* ---- may this move be posted? ---- */

/* What the books say around one move. */
struct stock_view {
    enum stock_place_kind from_kind;
    enum stock_place_kind to_kind;
    int64_t from_balance_m; /* of the move's key at from_id, before it */
    int64_t held_other_m;   /* reserved there for other calls, of the same item */
    int64_t serial_at_id;   /* real place where the books have this serial; 0: none. With serials */
    enum stock_issue_mode issue_mode;
    bool is_serial_item; /* the item is kept by serial number */
    bool is_late_fact;   /* happened offline */
};

enum { STOCK_REVIEWS_MAX = 6 };

struct stock_answer {
    enum answer answer; /* ANSWER_ACCEPT or ANSWER_REFUSE */
    enum reason reason; /* of a refusal, or of the first review */
    int64_t robbed_m;   /* taken from what was held for other calls: re-plan them (stock_rob) */
    size_t review_count;
    struct review reviews[STOCK_REVIEWS_MAX];
};

/* Judges a move. A quantity that is not positive, equal places, and a serial with another quantity
 * than one piece are no facts at all and are refused always. Everything else (way, owner, issue
 * mode, serial, quantity in the books) is refused online, and posted with a review when it is a
 * late fact. Exceptions: a van may go negative and a serial may be in conflict online too, with
 * a review; a part held for another call may always be used. */
struct stock_answer stock_judge(const struct stock_move *move, const struct stock_view *view);

/* The move that undoes `move`, which is no reverse itself: same goods, the other way. The caller
 * sets its id; a unique index lets a move be reversed once. */
struct stock_move stock_reverse_of(const struct stock_move *move, int64_t occurred_at);

/* ---- serials: over all real places the sum per serial is 0 or 1 ---- */

struct stock_place {
    int64_t id;
    enum stock_place_kind kind;
};

/* Follows one serial through its moves in posting order and marks those that contradict the story
 * so far: taken from a real place where it was not, or entering while it was somewhere. They stay
 * posted; people see both stories.
 *
 *   moves          of this serial only, in posting order
 *   places         every place in them; a place that is missing counts as virtual
 *   ret_conflicts  `count` flags
 *
 * Returns the real place where the serial is by the last move, 0 if it is in none. */
int64_t stock_serial_follow(const struct stock_move *moves, size_t count,
                            const struct stock_place *places, size_t place_count,
                            bool *ret_conflicts);

/* ---- counts are pinned ---- */

/* One counted key, as posted. */
struct stock_pin {
    int64_t counted_at;
};

/* What a count posts: counted - known, where known is the balance of the key at the time of the
 * count (stock_balance until counted_at). Negative: goods are missing.
 * RESULT_REFUSED  counted_m is negative, or the difference does not fit */
MUST_CHECK enum result stock_count_adjust(int64_t known_m, int64_t counted_m, int64_t *ret_adjust_m,
                                          struct problem *problem);

/* The move of kind STOCK_COUNT that changes a key by `adjust_m` (not 0) against loss. */
struct stock_move stock_count_move(const struct stock_key *key, int64_t loss_id, int64_t adjust_m,
                                   int64_t occurred_at);

/* A move that arrives after a count of one of its places, but happened before it, is posted
 * together with a true-up of the opposite sign against loss, so that the balance at the count stays
 * what was counted. One true-up for the place is enough for all of its counts. What an
 * older count found is such a move, too, if it arrives late; a true-up is not.
 *
 *   place_id      one of the move's places; ask for each real one
 *   pins          counts of this key already posted when the move arrives, in any order
 *   ret_true_up   to post as well, dated like the first count that knew nothing of the move
 *
 * Returns false if none is needed. */
bool stock_true_up(const struct stock_move *late, int64_t place_id, int64_t loss_id,
                   const struct stock_pin *pins, size_t pin_count, struct stock_move *ret_true_up);

/* ---- reservations ---- */

struct stock_grant {
    int64_t held_m;
    int64_t short_m; /* held_m + short_m is what was asked for */
};

/* Grants what is free: on hand less already held, never below 0. `asked_m` and `held_m` >= 0. */
struct stock_grant stock_grant_of(int64_t on_hand_m, int64_t held_m, int64_t asked_m);

/* Brings the holds of other calls down to what is on hand after a use: the newest loses first.
 *
 *   held    `count` held quantities >= 0, oldest grant first; changed in place
 *   ret_lost  `count` quantities taken away: each such call is told and planned again */
void stock_rob(int64_t on_hand_m, int64_t *held, size_t count, int64_t *ret_lost);

/* ---- value: moving average in posting order, frozen with each move ---- */

struct stock_value {
    int64_t qty_m;
    int64_t value_cents;
};

/* Goods come in at a total cost. What fills up a negative quantity settles at the cost it had been
 * issued at; the difference is `ret_variance_cents` (cost of the period, not of the stock): value
 * before + total = value after + variance.
 * RESULT_REFUSED  qty_m is not positive, or a result does not fit; `value` is untouched */
MUST_CHECK enum result stock_value_in(struct stock_value *value, int64_t qty_m, int64_t total_cents,
                                      int64_t *ret_variance_cents, struct problem *problem);

/* Goods go out at the average; the last unit takes what value is left, so that value is 0 when the
 * quantity is. Past zero the missing units cost `fallback_e4` each (the last known cost).
 * RESULT_REFUSED  as above */
MUST_CHECK enum result stock_value_out(struct stock_value *value, int64_t qty_m,
                                       int64_t fallback_e4, int64_t *ret_total_cents,
                                       struct problem *problem);
