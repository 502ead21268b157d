/* SPDX-License-Identifier: Apache-2.0 */
/* merge.h: settles one device's edit of one row against what the master has, column by column.
 *
 * A pure function over values and versions. It decides, it writes nothing: the caller sets the
 * columns of set_mask and keeps every loss (merge_loss) and everything parked (review_item), so
 * that no value vanishes silently (I8).
 *
 * A column is in conflict if its stored version is newer than the author's base_seq, comes from
 * another replica, and holds another value. In a conflict under last_writer the later edit time
 * wins; of equal times the higher replica number. Columns of one group are in conflict together and
 * win or lose together. An edit that has seen the stored value always beats it, and gets an edit
 * time after it, so that a wrong clock can't undo it later (I9). The order of arrival matters only
 * between edits by clocks that ran behind what their authors had seen. */
#pragma once

#include "server/store/versions.h"

struct merge_input {
    const struct catalog_table *table;
    const struct stored_row *row; /* as the master has it */
    const struct versions *versions;
    const struct value *values; /* by column number; those of `mask` are the author's */
    uint64_t mask;              /* server_only columns are left out by the caller */
    int64_t base_seq;           /* published head that the author had seen */
    int64_t replica_no;
    struct wall_time edited_at; /* clamped to the server's now, not negative */
};

/* A value that does not stay, and what stays instead. */
struct merge_loss {
    uint8_t column_no;
    bool is_incoming;   /* the author's value lost; otherwise the stored one */
    int64_t replica_no; /* who wrote the lost value */
    int64_t kept_by;    /* replica that wrote the kept one */
    struct value kept;  /* borrowed from the input */
    struct value lost;
};

struct merge_outcome {
    enum verdict_kind kind;     /* APPLIED, OVERRULED or PARKED */
    uint64_t set_mask;          /* columns to store */
    uint64_t lost_mask;         /* the author's columns that lost */
    uint64_t parked_mask;       /* write_once columns that differ from what is there */
    struct wall_time edited_at; /* with which the columns are to be stored */
    size_t loss_count;
    struct merge_loss losses[ROW_COLUMNS_MAX];
};

void merge_change(const struct merge_input *input, struct merge_outcome *ret_outcome);

/* Columns that somebody else changed after base_seq: what a delete would destroy unseen. */
uint64_t merge_unseen_mask(const struct catalog_table *table, const struct versions *versions,
                           int64_t base_seq, int64_t replica_no);
