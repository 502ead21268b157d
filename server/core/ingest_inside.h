/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_inside.h: what the files of ingest.h share; nobody else includes it. */
#pragma once

#include "base/trace.h"
#include "domain/reason.h"
#include "server/core/ingest.h"
#include "server/core/merge.h"
#include "server/core/scope.h"

enum item_state { ITEM_WAITING, ITEM_DONE };

enum { INGEST_FAMILY_MAX = 32 }; /* a disk that was copied more often sends some rows twice */

/* One change of the seal on its way. */
struct ingest_item {
    const struct change *change;
    const struct catalog_table *table;
    /* Of a seal in an older schema: the change as it came, with columns that were dropped since. */
    const struct change *original;    /* NULL: `change` is */
    const struct catalog_table *wire; /* its table then */
    enum item_state state;
    bool is_visited; /* while the order is made */
    struct ingest_verdict verdict;
    struct ingest_item *pulled; /* a delete that had to run before this insert */
    uint64_t sent_mask; /* columns whose value at the author is compared with the stored one */
};

/* The last question to catalog_may and its answer; table NULL: none yet. */
struct ingest_may {
    const struct catalog_table *table;
    enum change_op op;
    uint64_t mask;
    bool may;
    uint8_t own_column_no;
};

struct ingest {
    struct work *work;
    struct store *store;
    const struct catalog *catalog;
    struct wire_views *views;
    const struct catalog *wire; /* in which the seal was made */
    struct arena *arena;
    const struct trace *trace;
    enum ingest_way way;
    struct ingest_replica replica;
    unsigned roles;
    struct ingest_may may;
    struct scope_rights rights;
    struct wall_time not_after; /* us 0: any; changes dated later are refused */
    int64_t head;               /* before this work */
    int64_t
        commit_seq; /* lowest seq of the commit that holds the seal: this one, or an older one */
    size_t count;
    struct ingest_item *items;
    struct ingest_item **order;
    struct lookup by_row;              /* (table number, id) -> struct ingest_item */
    int64_t family[INGEST_FAMILY_MAX]; /* replicas whose disks began as this one's, others only */
    size_t family_count;
};

/* ---- ingest_order.c ---- */

/* Fills `order`: what is referred to comes before what refers to it, deletes last and the other way
 * round; reads all rows concerned ahead in batches. */
MUST_CHECK enum result ingest_order(struct ingest *ingest, struct problem *problem);

/* ---- ingest_change.c ---- */

/* Checks and applies one change, and sets its verdict. RESULT_REFUSED: a constraint or a rule of
 * the database spoke; the caller undoes to its savepoint and gives the verdict. */
MUST_CHECK enum result ingest_apply(struct ingest *ingest, struct ingest_item *item,
                                    struct problem *problem);
/* Sets VERDICT_REFUSED and keeps the change. */
MUST_CHECK enum result ingest_refuse(struct ingest *ingest, struct ingest_item *item,
                                     enum reason reason, const char *text, struct problem *problem);
/* After all: changes that ended up different from what their author holds are merged (R4). */
MUST_CHECK enum result ingest_compare(struct ingest *ingest, struct problem *problem);

/* ---- ingest_schema.c ---- */

/* Finds the catalog in which the push was made. Sets the job's result if there is none: the device
 * is ahead of this server. */
MUST_CHECK enum result ingest_find_wire(struct ingest *ingest, struct bytes body, struct job *job,
                                        struct problem *problem);
/* Takes columns that were dropped since out of the item's change. */
MUST_CHECK enum result ingest_translate(struct ingest *ingest, struct ingest_item *item,
                                        struct problem *problem);
/* Keeps what those columns say in review_item (I8). *ret_is_all: the change says nothing else, and
 * has its verdict. */
MUST_CHECK enum result ingest_keep_dropped(struct ingest *ingest, struct ingest_item *item,
                                           bool *ret_is_all, struct problem *problem);

/* ---- ingest_rights.c ---- */

/* May the author do this? ret_reason REASON_NONE: yes. */
MUST_CHECK enum result ingest_may_see(struct ingest *ingest, const struct change *change,
                                      int64_t bucket, int64_t moved_row_id, bool *ret_may,
                                      struct problem *problem);
/* Home bucket of a row with these values; *ret_bucket 0: none. */
MUST_CHECK enum result ingest_bucket(struct ingest *ingest, const struct catalog_table *table,
                                     int64_t row_id, const struct value *values,
                                     int64_t *ret_bucket, struct problem *problem);
/* Rewrites references to rows that were merged into others, and finds one that leads nowhere:
 * *ret_column_no, 0 if all is well. */
MUST_CHECK enum result ingest_references(struct ingest *ingest, const struct catalog_table *table,
                                         struct value *values, uint64_t mask,
                                         uint8_t *ret_column_no, struct problem *problem);
/* The row that this id was merged into by natural key, 0 if it wasn't. */
MUST_CHECK enum result ingest_merged_into(struct ingest *ingest, const struct catalog_table *table,
                                          int64_t row_id, int64_t *ret_id, struct problem *problem);
/* Does any row refer to this one? Rows deleted in this work already don't count. */
MUST_CHECK enum result ingest_has_children(struct ingest *ingest, const struct catalog_table *table,
                                           int64_t row_id, bool *ret_has, struct problem *problem);

/* ---- ingest_twin.c ---- */

/* Fills `family`. */
MUST_CHECK enum result ingest_read_family(struct ingest *ingest, struct problem *problem);
/* A device that goes on under another number (copies.h) brings rows along that had no verdict when
 * its disk was copied: another copy may have delivered the very same ones, under the old number
 * or under one of its own; the counter in the id is the same.
 * `values` as they would be inserted, references rewritten; *ret_row NULL: there is no such row. */
MUST_CHECK enum result ingest_find_twin(struct ingest *ingest, const struct ingest_item *item,
                                        const struct value *values, uint64_t mask,
                                        const struct stored_row **ret_row, struct problem *problem);

/* ---- ingest_keep.c ---- */

struct author ingest_author(const struct ingest *ingest, const struct change *change);
/* review_item of kind "refused", "parked" or "gone" with the change whole. */
MUST_CHECK enum result ingest_keep_change(struct ingest *ingest, const struct ingest_item *item,
                                          const char *kind, enum reason reason, const char *text,
                                          struct problem *problem);
/* merge_loss of one value. `item` is the change by which it was decided. */
MUST_CHECK enum result ingest_keep_loss(struct ingest *ingest, const struct ingest_item *item,
                                        const struct stored_row *row, const struct merge_loss *loss,
                                        const char *rule, struct problem *problem);
/* A line in fs_audit. */
MUST_CHECK enum result ingest_audit(struct ingest *ingest, const char *event, const char *detail,
                                    struct problem *problem);
