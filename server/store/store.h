/* SPDX-License-Identifier: Apache-2.0 */
/* store.h: the master dataset on one database connection: SQLite now, PostgreSQL behind the same
 * dozen operations later. Every implementation passes tests/unit/server/store/store.c.
 *
 * Batch-shaped: rows go in and out as arrays, so that a database over a socket needs one round trip
 * a batch. SQL handed in is the dialect that SQLite 3.40 and PostgreSQL 15 share, with ?1, ?2, ...
 * for parameters; never text with data in it. One connection belongs to one thread at a time.
 *
 * Failures, the same everywhere: RESULT_WAIT the database is locked by another process: roll back
 * and try again later; RESULT_REFUSED a constraint says no (its text names it); RESULT_EXHAUSTED
 * disk or memory is full: roll back, the store stays usable; RESULT_STORAGE what is on disk is
 * unknown: roll back, close, reopen, look. */
#pragma once

#include "schema/catalog.h"

enum { ROW_HASH_SIZE = 16 };

/* A row of the master with what the sync keeps beside it. */
struct stored_row {
    int64_t id;
    struct value *values;        /* indexed by column number; values[0] is the id */
    int64_t seq;                 /* of its newest change */
    int64_t bucket;              /* home bucket */
    struct bytes versions;       /* versions.h; empty: nothing but its insert */
    uint8_t hash[ROW_HASH_SIZE]; /* of its canonical form under the company's digest key */
};

/* Answer of a query: rows of values, row after row; copied into the caller's arena. */
struct store_result {
    size_t row_count;
    size_t column_count;
    struct value *values;
};
/* Value at (row, column), both from 0. */
const struct value *store_at(const struct store_result *result, size_t row, size_t column);
/* The integer there; `otherwise` for NULL or another type or no such row. */
int64_t store_integer_at(const struct store_result *result, size_t row, size_t column,
                         int64_t otherwise);
/* The text or blob there; empty for NULL or another type or no such row. */
struct bytes store_bytes_at(const struct store_result *result, size_t row, size_t column);

enum store_mode {
    STORE_READ,  /* one consistent state until the end; never blocks the writer */
    STORE_WRITE, /* takes the write lock at once */
};

struct store;

struct store_operations {
    enum result (*begin)(struct store *, enum store_mode, struct problem *);
    enum result (*commit)(struct store *, struct problem *);
    void (*rollback)(struct store *);
    enum result (*query)(struct store *, const char *sql, const struct value *parameters,
                         size_t parameter_count, struct arena *, struct store_result *,
                         struct problem *);
    enum result (*execute)(struct store *, const char *sql, const struct value *parameters,
                           size_t parameter_count, size_t run_count, int64_t *, struct problem *);
    enum result (*read_rows)(struct store *, const struct catalog_table *, const int64_t *ids,
                             size_t count, struct arena *, struct stored_row **, struct problem *);
    enum result (*read_heads)(struct store *, const struct catalog_table *, const int64_t *ids,
                              size_t count, struct arena *, struct stored_row **, struct problem *);
    enum result (*insert_rows)(struct store *, const struct catalog_table *,
                               const struct stored_row *const *rows, size_t count,
                               struct problem *);
    enum result (*update_rows)(struct store *, const struct catalog_table *, uint64_t mask,
                               const struct stored_row *const *rows, size_t count,
                               struct problem *);
    enum result (*delete_rows)(struct store *, const struct catalog_table *, const int64_t *ids,
                               size_t count, struct problem *);
    enum result (*check)(struct store *, struct problem *);
    enum result (*page)(struct store *, const struct catalog_table *, int64_t bucket,
                        int64_t seq_after, int64_t seq_to, size_t row_count_max, struct arena *,
                        struct stored_row **, size_t *, struct problem *);
    enum result (*ids)(struct store *, const struct catalog_table *, int64_t bucket,
                       int64_t id_after, size_t id_count_max, struct arena *, int64_t **, size_t *,
                       struct problem *);
    enum result (*tidy)(struct store *, struct problem *);
    enum result (*backup)(struct store *, const char *path, struct problem *);
    void (*close)(struct store *);
};

/* What every implementation begins with. */
struct store {
    const struct store_operations *operations;
    const struct catalog *catalog; /* borrowed */
};

MUST_CHECK enum result store_begin(struct store *store, enum store_mode mode,
                                   struct problem *problem);
/* Durable when it returns RESULT_OK (I2). After RESULT_STORAGE the outcome is unknown: close the
 * store, open it again and look. */
MUST_CHECK enum result store_commit(struct store *store, struct problem *problem);
void store_rollback(struct store *store); /* harmless outside a transaction */

/* Runs one SELECT, or an INSERT/UPDATE/DELETE ... RETURNING. Parameters that the statement doesn't
 * mention are left out: the catalog's SQL takes what it needs of those it may use. */
MUST_CHECK enum result store_query(struct store *store, const char *sql,
                                   const struct value *parameters, size_t parameter_count,
                                   struct arena *arena, struct store_result *ret_result,
                                   struct problem *problem);
/* Runs the same statement `run_count` times with consecutive runs of `parameter_count` parameters;
 * ret_changed (may be NULL): rows changed in all. */
MUST_CHECK enum result store_execute(struct store *store, const char *sql,
                                     const struct value *parameters, size_t parameter_count,
                                     size_t run_count, int64_t *ret_changed,
                                     struct problem *problem);
/* ret_rows: `count` entries in the order of ids; one with a NULL `values` doesn't exist. */
MUST_CHECK enum result store_read_rows(struct store *store, const struct catalog_table *table,
                                       const int64_t *ids, size_t count, struct arena *arena,
                                       struct stored_row **ret_rows, struct problem *problem);
/* The same without what the rows hold: `values` of one that is there has the id alone, no hash. */
MUST_CHECK enum result store_read_heads(struct store *store, const struct catalog_table *table,
                                        const int64_t *ids, size_t count, struct arena *arena,
                                        struct stored_row **ret_rows, struct problem *problem);
MUST_CHECK enum result store_insert_rows(struct store *store, const struct catalog_table *table,
                                         const struct stored_row *const *rows, size_t count,
                                         struct problem *problem);
/* Writes the columns of `mask` and what the sync keeps beside the row. */
MUST_CHECK enum result store_update_rows(struct store *store, const struct catalog_table *table,
                                         uint64_t mask, const struct stored_row *const *rows,
                                         size_t count, struct problem *problem);
MUST_CHECK enum result store_delete_rows(struct store *store, const struct catalog_table *table,
                                         const int64_t *ids, size_t count, struct problem *problem);
/* RESULT_REFUSED: a reference between rows is broken now and would make the commit fail. */
MUST_CHECK enum result store_check(struct store *store, struct problem *problem);
/* Rows of a bucket with seq in (seq_after, seq_to], ascending by seq, at most row_count_max. */
MUST_CHECK enum result store_page(struct store *store, const struct catalog_table *table,
                                  int64_t bucket, int64_t seq_after, int64_t seq_to,
                                  size_t row_count_max, struct arena *arena,
                                  struct stored_row **ret_rows, size_t *ret_count,
                                  struct problem *problem);
/* Ids above id_after of the rows in a bucket, ascending, at most id_count_max. */
MUST_CHECK enum result store_ids(struct store *store, const struct catalog_table *table,
                                 int64_t bucket, int64_t id_after, size_t id_count_max,
                                 struct arena *arena, int64_t **ret_ids, size_t *ret_count,
                                 struct problem *problem);
/* Housekeeping between transactions: keeps the write-ahead log bounded (64 MiB). */
MUST_CHECK enum result store_tidy(struct store *store, struct problem *problem);
/* Writes a complete, checked copy to a new file while others go on working. */
MUST_CHECK enum result store_backup(struct store *store, const char *path, struct problem *problem);
void store_close(struct store *store); /* takes NULL */
