/* SPDX-License-Identifier: Apache-2.0 */
/* judge.h: who had to win, decided a second time.
 *
 * Written from docs/SYNC.md (3, "Merge"), not from server/core/merge.c: it replays what people and
 * the office did, in the order in which the master took it in, and keeps for each column that
 * somebody has edited the value that has to stand, with its author and time. After each commit the
 * master must hold just that, and merge_loss just what had to lose, with the right names on it. It
 * also looks at what a device puts under its seal: base and times of a change.
 *
 * From the product it takes which changes it refused altogether (why, the other checks look at),
 * the times by which a device corrects its clock (within limits), and nothing else. */
#pragma once

#include "tests/sim/ledger.h"

struct world;

/* The value of a column that somebody has edited, as the rules want it. */
struct judge_value {
    size_t table, column;
    int64_t row_id;
    int agent;   /* its author; WORLD_OFFICE: a program on the master */
    int64_t seq; /* head of the commit that took it in */
    int64_t edited_us;
    bool is_touched; /* in the commit at hand */
    bool is_first;   /* nothing of this column was heard of before that commit */
    char text[LEDGER_VALUE_SIZE];
};

/* An edit by plain SQL on the master that no commit has adopted yet. */
struct judge_edit {
    size_t table, column;
    int64_t row_id;
    int64_t edited_us;
    char text[LEDGER_VALUE_SIZE];
};

struct judge {
    size_t value_count, value_room;
    struct judge_value *values;
    size_t edit_count, edit_room;
    struct judge_edit *edits;
    size_t order_count, order_room;
    int *order;         /* the devices whose seals the group at hand holds */
    int64_t now_us;     /* what the server's clock said when the group began */
    int64_t loss_id;    /* the newest merge_loss that was looked at */
    size_t ledger_next; /* edits before it are judged, all of them */
    size_t loss_count, win_count;
};

/* A program on the master has set the column in its open transaction. */
void judge_office(struct world *world, const char *table, int64_t row_id, const char *column,
                  const char *text);
/* It has deleted the row. */
void judge_office_delete(struct world *world, const char *table, int64_t row_id);
/* The server's writer begins a group: in which order will it take what? */
void judge_group(struct world *world);
/* A device's file has changed: is what it has sealed what was recorded? */
void judge_seals(struct world *world, int agent);
/* The group is committed, and the ledger knows which edits it decided. */
void judge_commit(struct world *world);
/* Everything is delivered: does each value stand that has to? */
void judge_verify(struct world *world);
void judge_free(struct judge *judge);
