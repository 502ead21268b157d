/* SPDX-License-Identifier: Apache-2.0 */
/* work.h: the rows of one transaction on the master.
 *
 * Everything that writes the master goes through here: pushes, services, importers, and the
 * adoption of what other programs wrote with plain SQL. A work gives each change the next seq (I1),
 * the row its home bucket, column versions and hash, keeps heads, digests and tombstones, moves
 * inherited buckets of children along with their parents, runs the reactions registered for a
 * table, and says at the end which buckets and users the commit touches.
 *
 *   store_begin(WRITE); work_begin; ... work_finish(&outcome); store_commit; wake whom it touches
 *
 * A failure inside leaves the work unusable: work_abandon and store_rollback. */
#pragma once

#include "server/store/store.h"

/* Whose change it is. replica_no 0: the server itself or another program on the master. */
struct author {
    int64_t replica_no;
    int64_t user_id;            /* 0: none */
    struct wall_time edited_at; /* already clamped to the server's now */
};

enum { WORK_VALUE_SIZE_MAX = 64 * 1024 }; /* of a text or blob that is adopted: what can travel */

struct work;

/* What a reaction sees: a row before (NULL values: inserted) and after (NULL: deleted). */
struct work_change {
    const struct catalog_table *table;
    int64_t row_id;
    const struct value *before; /* NULL: inserted */
    const struct value *after;  /* NULL: deleted */
    uint64_t mask;              /* columns that changed */
    struct author author;
};

/* A business rule that follows a change, in the same transaction; its own changes may cause more,
 * up to WORK_REACTIONS_MAX in one work and WORK_REACTIONS_EACH_MAX for each change from outside. A
 * refusal undoes what the caller of work_settle undoes. */
struct reaction {
    const char *table_name;
    enum result (*run)(struct work *work, const struct work_change *change,
                       struct problem *problem);
};

enum {
    WORK_REACTIONS_MAX = 100000,
    WORK_REACTIONS_EACH_MAX = 16,
    WORK_ARENA_SIZE_MAX =
        1024 * 1024 * 1024, /* a seal of LIMIT_UNIT_CHANGES_MAX takes half of it */
};

/* A bucket that the commit changed. */
struct touched_bucket {
    int64_t bucket;
    int64_t seq_before;      /* its newest seq before this work, 0: was empty */
    int64_t seq;             /* its newest seq now */
    int64_t only_replica_no; /* all its changes come from this replica, or WORK_MIXED */
};
enum { WORK_MIXED = -1 };

struct work_outcome {
    int64_t seq; /* newest of the commit; the head from now on */
    size_t touched_count;
    const struct touched_bucket *touched;
    size_t user_count; /* users whose subscription may have changed (watch SQL, before and after) */
    const int64_t *users;
};

/* `reactions` ends with an entry whose table_name is NULL; may be NULL. Owns its arena. */
MUST_CHECK enum result work_create(struct store *store, const struct reaction *reactions,
                                   const uint8_t digest_key[16], struct work **ret_work,
                                   struct problem *problem);
void work_destroy(struct work *work); /* takes NULL */

MUST_CHECK enum result work_begin(struct work *work, struct wall_time now, struct problem *problem);
/* Undo to a savepoint: what one push of a group did goes, the rest of the group stays. */
MUST_CHECK enum result work_savepoint(struct work *work, struct problem *problem);
MUST_CHECK enum result work_release(struct work *work, struct problem *problem);
MUST_CHECK enum result work_undo(struct work *work, struct problem *problem);

const struct catalog *work_catalog(const struct work *work);
struct wall_time work_now(const struct work *work);
struct arena *work_arena(struct work *work); /* lives until the next work_begin */

/* Reads rows ahead in one batch; later work_row calls find them in memory. */
MUST_CHECK enum result work_prefetch(struct work *work, const struct catalog_table *table,
                                     const int64_t *ids, size_t count, struct problem *problem);
/* Ahead only what stands beside them (seq, bucket, versions), for work_head. */
MUST_CHECK enum result work_prefetch_heads(struct work *work, const struct catalog_table *table,
                                           const int64_t *ids, size_t count,
                                           struct problem *problem);
/* The row as this work has it; ret_row NULL if there is none. Valid until work_finish. */
MUST_CHECK enum result work_row(struct work *work, const struct catalog_table *table, int64_t id,
                                const struct stored_row **ret_row, struct problem *problem);
/* The same for who only asks whether it is there, and for its seq, bucket and versions: its values
 * may be missing. */
MUST_CHECK enum result work_head(struct work *work, const struct catalog_table *table, int64_t id,
                                 const struct stored_row **ret_row, struct problem *problem);
/* The row with these natural key values (catalog key_columns), ret_row NULL if none. */
MUST_CHECK enum result work_row_by_key(struct work *work, const struct catalog_table *table,
                                       const struct value *values,
                                       const struct stored_row **ret_row, struct problem *problem);

/* values: as many as the table has columns; values[0] is the id, or NULL for a new id of the
 * server. Columns outside `mask` get their SQL default. home is computed unless in the mask.
 * RESULT_REFUSED: no bucket, unknown parent, id taken, CHECK or reference broken (at work_flush).
 */
MUST_CHECK enum result work_insert(struct work *work, const struct catalog_table *table,
                                   const struct value *values, uint64_t mask,
                                   const struct author *author, int64_t *ret_id,
                                   struct problem *problem);
/* The same with all columns given, of which nothing is copied: `values` and what they point to stay
 * as they are until the next work_begin, but for home, which is filled in. */
MUST_CHECK enum result work_insert_kept(struct work *work, const struct catalog_table *table,
                                        struct value *values, const struct author *author,
                                        struct problem *problem);
/* Sets the columns of `mask`; those that hold the same value already are left out silently. */
MUST_CHECK enum result work_update(struct work *work, const struct catalog_table *table, int64_t id,
                                   const struct value *values, uint64_t mask,
                                   const struct author *author, struct problem *problem);
MUST_CHECK enum result work_delete(struct work *work, const struct catalog_table *table, int64_t id,
                                   const struct author *author, struct problem *problem);

/* The same by names, for services: pairs end with a NULL name. */
struct work_field {
    const char *name;
    struct value value;
};
MUST_CHECK enum result work_insert_fields(struct work *work, const char *table_name,
                                          const struct work_field *fields,
                                          const struct author *author, int64_t *ret_id,
                                          struct problem *problem);
MUST_CHECK enum result work_update_fields(struct work *work, const char *table_name, int64_t id,
                                          const struct work_field *fields,
                                          const struct author *author, struct problem *problem);

/* A SELECT that sees this work's own changes (they are flushed first). */
MUST_CHECK enum result work_query(struct work *work, const char *sql,
                                  const struct value *parameters, size_t parameter_count,
                                  struct store_result *ret_result, struct problem *problem);
/* Writes to fs_ tables (never to replicated ones). */
MUST_CHECK enum result work_execute(struct work *work, const char *sql,
                                    const struct value *parameters, size_t parameter_count,
                                    struct problem *problem);

/* Runs the reactions of all changes since the last call, and theirs. */
MUST_CHECK enum result work_settle(struct work *work, struct problem *problem);
/* Sends what is only in memory to the database, so that constraints speak now. */
MUST_CHECK enum result work_flush(struct work *work, struct problem *problem);
/* The same if anything of these tables waits (names end with NULL): before a query of the store
 * that reads them and isn't work_query. */
MUST_CHECK enum result work_flush_of(struct work *work, const char *const *table_names,
                                     struct problem *problem);
/* Adopts what other programs wrote into the master's tables since (fs_outbox): gives it seqs,
 * buckets, versions and hashes as if written here by replica 0. ret_count: rows adopted.
 * TOGETHER is fast; RESULT_REFUSED: a rule or a constraint refuses what follows from one of the
 * rows: undo all and adopt CAREFULLY, a savepoint a row, which sets that row aside: it stays in
 * bucket `server`, with an audit line, until somebody changes it again. */
enum work_adoption { WORK_ADOPT_TOGETHER, WORK_ADOPT_CAREFULLY };
MUST_CHECK enum result work_adopt(struct work *work, enum work_adoption how, size_t *ret_count,
                                  struct problem *problem);
/* Settles, flushes, writes heads, digests and the new seq. The outcome lives until work_begin. */
MUST_CHECK enum result work_finish(struct work *work, struct work_outcome *ret_outcome,
                                   struct problem *problem);
void work_abandon(struct work *work); /* forget everything; the caller rolls the store back */
