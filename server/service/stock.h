/* SPDX-License-Identifier: Apache-2.0 */
/* stock.h: what the warehouse does with goods, and what it sees of them.
 *
 * Actions run inside the caller's work and are complete when they return. They are asked for at the
 * office, so what does not fit the books is refused (RESULT_REFUSED, in words); only a van may go
 * below zero. Quantities are thousandths of the item's unit. */
#pragma once

#include "domain/stock.h"
#include "server/store/work.h"

struct stock_order {
    int64_t item_id;
    int64_t serial_id; /* 0: without serial number */
    int64_t quantity_m;
    int64_t from_id; /* 0: stock_load chooses: the supplier, or a warehouse for a van */
    int64_t to_id;
    int64_t occurred_at; /* us; 0: now */
    int64_t by_id;       /* 0: the server */
};

/* Goods come in from the supplier, or go from a warehouse onto a van. */
MUST_CHECK enum result stock_load(struct work *work, const struct stock_order *order,
                                  int64_t *ret_move_id, struct problem *problem);
/* Any other way between two places; its kind follows from theirs. From van to van goes through
 * goods in transit as two moves; ret_move_id is the last. */
MUST_CHECK enum result stock_transfer(struct work *work, const struct stock_order *order,
                                      int64_t *ret_move_id, struct problem *problem);

struct stock_counted {
    int64_t item_id;
    int64_t serial_id; /* 0: without serial number */
    int64_t quantity_m;
};
/* What was counted in a place at a moment; differences go against loss. */
MUST_CHECK enum result stock_count_take(struct work *work, int64_t place_id, int64_t occurred_at,
                                        const struct stock_counted *lines, size_t line_count,
                                        int64_t by_id, int64_t *ret_count_id,
                                        struct problem *problem);

/* ---- reading, inside the caller's read transaction; results in `arena` ---- */

/* The item with this code, and the place with this name (or whose driver has this login). An id is
 * taken too. RESULT_REFUSED: none, or more than one place of that name. */
MUST_CHECK enum result stock_find_item(struct store *store, const char *text, struct arena *arena,
                                       int64_t *ret_item_id, struct problem *problem);
MUST_CHECK enum result stock_find_place(struct store *store, const char *text, struct arena *arena,
                                        int64_t *ret_place_id, struct problem *problem);

enum { STOCK_SHOW_COLUMNS = 7 };
/* Balances that are not zero in real places: place, item code, item name, unit, serial, quantity,
 * free (not held for a call). 0: any. */
MUST_CHECK enum result stock_show(struct store *store, int64_t place_id, int64_t item_id,
                                  struct arena *arena, struct store_result *ret_rows,
                                  struct problem *problem);
