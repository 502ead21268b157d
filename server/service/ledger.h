/* SPDX-License-Identifier: Apache-2.0 */
/* ledger.h: posting moves of stock.
 *
 * A move that a device, a part use, a count or another program brings is a fact: it is posted
 * whatever the books say, gets its place in the order of posting, is set right against counts that
 * were taken after it happened, and people are asked about what does not fit. A move asked for at
 * the office is judged first (ledger_check) and may be refused. */
#pragma once

#include "domain/stock.h"
#include "server/store/work.h"

/* Reaction for stock_move (work.h); running it again changes nothing. */
MUST_CHECK enum result stock_move_react(struct work *work, const struct work_change *change,
                                        struct problem *problem);

/* A move and where it comes from. */
struct ledger_entry {
    struct stock_move move;  /* id and seq are not used */
    const char *source_kind; /* table of the row it follows from; NULL: none */
    int64_t source_id;
    int64_t reverses_id; /* 0: none */
    int64_t by_id;       /* 0: the server */
    int64_t device_id;   /* 0: none */
    int64_t call_id;     /* whose holds it uses up; 0: none */
};

/* Inserts the move and posts it at once. RESULT_REFUSED: no fact at all (nothing moved, one place,
 * a serial with another quantity than one piece); the text says which. */
MUST_CHECK enum result ledger_post(struct work *work, const struct ledger_entry *entry,
                                   int64_t *ret_id, struct problem *problem);

/* May this be done at the office now? RESULT_REFUSED with the reason in words. */
MUST_CHECK enum result ledger_check(struct work *work, const struct ledger_entry *entry,
                                    struct problem *problem);

/* Balance of posted moves of our own goods without owner, until `until_at` (included). */
MUST_CHECK enum result ledger_balance(struct work *work, const struct stock_key *key,
                                      int64_t until_at, int64_t *ret_qty_m,
                                      struct problem *problem);
