/* SPDX-License-Identifier: Apache-2.0 */
/* work_inside.h: what the files of work.h share; nobody else includes it. */
#pragma once

#include "base/lookup.h"
#include "server/store/versions.h"
#include "server/store/work.h"

enum row_state {
    ROW_CLEAN,    /* as in the database */
    ROW_INSERTED, /* new, not in the database yet */
    ROW_UPDATED,  /* `dirty_mask` (may be 0: only hidden columns) differs */
    ROW_DELETED,  /* in the database, to be deleted */
    ROW_ABSENT,   /* in neither */
};

/* A row as this work knows it. `row.values` is replaced, never changed in place, so a change that
 * was noted keeps what it saw. */
struct work_row {
    const struct catalog_table *table;
    struct stored_row row;
    enum row_state state;
    uint64_t dirty_mask;
    int64_t stored_bucket; /* as in the database; 0: it isn't there */
    uint8_t stored_hash[ROW_HASH_SIZE];
    int64_t replica_no; /* whose changes wait for the flush, or WORK_MIXED */
    bool is_head;       /* ROW_CLEAN, but only what stands beside the row has been read */
    bool is_listed;     /* in work->dirty */
    bool is_watched;    /* in work->watched */
};

/* A pointer array that grows in the work's arena and can be cut back. */
struct work_list {
    void **items;
    size_t count;
    size_t capacity;
};

/* One step of a bucket's books, written by the flush, summed up by work_finish. */
struct book_entry {
    int64_t bucket;
    uint16_t table_no; /* 0: a tombstone */
    int64_t seq;
    int64_t replica_no;
    int row_count_change; /* -1, 0, +1 */
    bool has_old_hash;
    bool has_new_hash;
    uint8_t old_hash[ROW_HASH_SIZE];
    uint8_t new_hash[ROW_HASH_SIZE];
};

enum { WORK_TABLE_BITS = 1024 };

struct work {
    struct store *store;
    const struct catalog *catalog;
    const struct reaction *reaction_table;
    bool *has_reactions; /* by table number */
    uint8_t digest_key[16];
    struct arena arena;
    struct wall_time now;
    int64_t seq_begin;
    int64_t seq;
    int64_t id_counter;                          /* newest number given by this replica */
    int64_t id_counter_begin;                    /* as found in fs_outbox */
    struct lookup rows;                          /* (table number, id) -> struct work_row */
    struct work_list dirty;                      /* struct work_row */
    uint64_t dirty_tables[WORK_TABLE_BITS / 64]; /* of those, by number modulo WORK_TABLE_BITS */
    struct work_list changes;                    /* struct work_change, in order */
    size_t change_next;                          /* the first whose reactions have not run */
    size_t reaction_runs;
    size_t outside_count; /* changes that no reaction made */
    bool is_reacting;
    struct work_list moved; /* struct work_row whose bucket changed: children to follow */
    size_t moved_next;
    struct work_list books;    /* struct book_entry */
    struct work_list watched;  /* struct work_row whose table is watched */
    struct lookup users;       /* (0, user id) -> something */
    struct work_list user_ids; /* int64_t */
    bool is_broken;            /* an operation failed half way: only undo or abandon helps */

    /* savepoint */
    bool has_savepoint;
    int64_t savepoint_seq;
    int64_t savepoint_id_counter;
    size_t savepoint_changes;
    size_t savepoint_books;
    size_t savepoint_watched;
};

MUST_CHECK enum result work_list_add(struct work *work, struct work_list *list, void *item,
                                     struct problem *problem);
/* The cached row, read if need be; it may be ROW_ABSENT or ROW_DELETED. */
MUST_CHECK enum result work_find(struct work *work, const struct catalog_table *table, int64_t id,
                                 struct work_row **ret_row, struct problem *problem);
/* A new cache entry that is ROW_ABSENT. */
MUST_CHECK enum result work_cache(struct work *work, const struct catalog_table *table, int64_t id,
                                  struct work_row **ret_row, struct problem *problem);
bool work_row_exists(const struct work_row *row);
/* Puts the row on the list for the next flush and notes whose change it is. */
MUST_CHECK enum result work_mark_dirty(struct work *work, struct work_row *row, int64_t replica_no,
                                       struct problem *problem);
/* Home bucket of these values; fills values[home] where the table has such a column. */
MUST_CHECK enum result work_bucket(struct work *work, const struct catalog_table *table,
                                   int64_t row_id, struct value *values, int64_t *ret_bucket,
                                   struct problem *problem);
/* Can such a change alter anybody's subscription? `mask`: the columns that differ, if the row
 * neither comes nor goes. */
bool work_decides_scope(const struct catalog_table *table, bool comes_or_goes, uint64_t mask);
/* Notes the change for reactions, and users whose subscription it may touch. `is_new`: the watch
 * SQL need not look at the state before. */
MUST_CHECK enum result work_note_change(struct work *work, struct work_row *row,
                                        const struct value *before, const struct value *after,
                                        uint64_t mask, const struct author *author, bool is_new,
                                        struct problem *problem);
/* Gives the row its next seq, versions of the changed columns and the new bucket. */
MUST_CHECK enum result work_stamp(struct work *work, struct work_row *row, uint64_t mask,
                                  int64_t bucket, const struct author *author, bool is_whole,
                                  struct problem *problem);
MUST_CHECK enum result work_add_users(struct work *work, const struct work_row *row,
                                      struct problem *problem);
