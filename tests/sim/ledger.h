/* SPDX-License-Identifier: Apache-2.0 */
/* ledger.h: everything people recorded on their devices, and what must become of it.
 *
 * Kept by whoever makes the edits, not by what is tested. An edit is one column of one row in one
 * statement; its value occurs nowhere else, so that it can be looked for. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct world;

enum { LEDGER_VALUE_SIZE = 40 };

struct ledger_edit {
    int agent;
    uint64_t transaction;
    int64_t lcn;
    size_t table;  /* history's index */
    size_t column; /* history's index; HISTORY_NOTHING for a delete */
    int64_t row_id;
    int64_t row_count; /* so many rows from row_id on, all with the same value */
    int64_t joined_id; /* the row that it was merged into by its natural key, 0: none */
    char op;           /* I, U or D */
    char value[LEDGER_VALUE_SIZE];
    int64_t base;        /* published on the device when it was made */
    int64_t recorded_us; /* what the device's clock said */
    int64_t true_us;     /* what the server's said */
    int64_t seal_no;     /* 0: not sealed yet, or in a table that only grows */
    int64_t edited_us;   /* by its seal */
    bool is_judged;
    int64_t commit_seq; /* head of the master's commit that holds its verdict; 0: none yet */
    bool is_superseded; /* the same person wrote the column again, or deleted the row */
    bool is_poison;     /* the server must refuse it */
    bool is_common;     /* the value occurs elsewhere, too: not looked for in the end */
};

struct ledger {
    struct ledger_edit *edits;
    size_t count, room;
    uint64_t transaction_last;
    struct ledger_edit nowhere; /* of transactions that have failed */
};

/* Notes one edit just written in the open transaction of that agent. */
struct ledger_edit *ledger_add(struct world *world, int agent, char op, size_t table,
                               int64_t row_id, size_t column, const char *value);
/* The transaction was undone. */
void ledger_undo(struct world *world, int agent, uint64_t transaction);
/* The master has committed: which edits have their verdict now? Checks I3 and R7 on the way. */
void ledger_commit(struct world *world);
/* A row that the same person made and deleted before any of it was sent: there is nothing to tell,
 * and no verdict. */
bool ledger_came_to_nothing(const struct world *world, const struct ledger_edit *edit);
/* After everything is delivered: nothing was lost (I2, I3, I8, R6, R7). */
void ledger_verify(struct world *world);
