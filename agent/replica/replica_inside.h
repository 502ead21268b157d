/* SPDX-License-Identifier: Apache-2.0 */
/* replica_inside.h: what the files of agent/replica share; nobody else includes it.
 *
 * One connection does everything; statements come from its cache. Each public operation is one
 * transaction of its own: verify, begin, work, commit, and only then change what is in memory. */
#pragma once

#include "agent/replica/replica.h"
#include "agent/replica/vault.h"
#include "base/lookup.h"
#include "schema/catalog_version.h"
#include "schema/sql.h"
#include "schema/triggers.h"

enum {
    REPLICA_ARENA_SIZE_MAX = 256 << 20,  /* one operation: a batch of rows and its lookups */
    REPLICA_STAGE_MEMORY_SIZE = 1 << 20, /* a larger delta goes to the fs_stage_ tables */
    REPLICA_TEXT_SIZE_MAX = 64 * 1024,   /* of one value that travels, as the protocol has it */
    REPLICA_BUSY_MS = 50,                /* the event loop must not hang */
    REPLICA_CHECKPOINT_EVERY = 4000,     /* rows written between two checkpoints, roughly */
};

enum bucket_state { BUCKET_SUBSCRIBED = 1, BUCKET_LEAVING = 2, BUCKET_ARRIVING = 3 };

/* SQL of one table, made at open from the catalog. */
struct table_sql {
    const char *put;      /* insert or overwrite: ?1 id, ?n+1 column n */
    const char *select;   /* columns 1.. of the row ?1, then its bucket */
    const char *remove;   /* the row ?1 */
    const char *scan;     /* id, bucket, columns 1.. of rows in buckets ?1 to ?2 */
    const char *ids;      /* id, bucket of rows in buckets ?1 to ?2 */
    uint64_t bucket_mask; /* columns that decide the bucket, without home */
};

/* What has been received and isn't published, as far as it is in memory. */
struct staged_row {
    struct row_image image;
    int64_t bucket;
    int64_t as_of; /* of a repair: true at this seq of the master; 0: at the publication's head */
};
struct staged_gone {
    struct gone gone;
    int64_t bucket;
};
struct staged_repair {
    int64_t bucket;
    int64_t as_of;
    bool parts[REPAIR_PARTS];
    struct staged_repair *next;
};
struct staged_bucket { /* a bucket read from nothing, and where its reading stands */
    struct bucket_cursor cursor;
    struct staged_bucket *next;
};
struct stage {
    struct arena arena;
    struct staged_row **rows; /* in order of arrival */
    size_t row_count;
    size_t row_room;
    struct lookup row_of; /* (table, id) -> staged_row */
    struct staged_gone *gone;
    size_t gone_count;
    size_t gone_room;
    struct staged_repair *repairs;
    struct staged_bucket *wholes;
    bool has_subscription;
    int64_t *subscribed; /* the whole set, ascending */
    size_t subscribed_count;
    bool is_spilled; /* rows and departures are in the fs_stage_ tables, memory has none */
};

/* Rows of the first snapshot, in a transaction that stays open from message to message. */
struct bulk {
    struct sql_transaction transaction;
    struct triggers_pause pause;
    size_t row_count;
    bool is_lost; /* rows that the caller believes stored were undone */
};

struct replica {
    struct sql_database *database;
    bool is_disk_known; /* what can be read here is on the disk, too: a power cut takes nothing */
    int64_t checkpoint_rows;
    struct sql_database *keeper; /* for checkpoints only; NULL: not opened yet */
    const char *path;
    const char *vfs_name;
    struct vault *vault; /* NULL: the file isn't encrypted */
    const struct trace *trace;
    struct arena open_arena; /* catalog and SQL texts */
    struct arena step_arena; /* one operation */
    struct catalog catalog;
    int64_t server_version; /* schema of the server, as last heard */
    struct catalog wire;    /* what both know: the catalog, or a view of it in wire_arena */
    int64_t seal_version;   /* of seal_catalog, a view in seal_arena; -1: there is none */
    struct catalog seal_catalog;
    struct arena wire_arena, seal_arena;
    struct table_sql *sql;              /* by table number */
    struct sql_transaction transaction; /* of replica_begin */
    bool is_read_only;
    int64_t written_count; /* rows since the last checkpoint */
    int64_t check_cursor;
    struct stage stage;
    struct bulk bulk;
    /* where the part after the last one read begins, so that parts are read in one pass */
    int64_t part_seal_no, part_no, part_table_no, part_lcn;
    size_t part_size_max;
    bool is_seal_cut; /* the last seal doesn't hold all that was recorded then */
};

/* --- replica.c ------------------------------------------------------------------------------- */

/* A number of fs_state; `otherwise` if it isn't there. */
MUST_CHECK enum result state_number(struct replica *replica, const char *name, int64_t otherwise,
                                    int64_t *ret_number, struct problem *problem);
MUST_CHECK enum result state_set_number(struct replica *replica, const char *name, int64_t number,
                                        struct problem *problem);
/* Empty bytes if it isn't there. */
MUST_CHECK enum result state_data(struct replica *replica, const char *name, struct arena *arena,
                                  struct bytes *ret_data, struct problem *problem);
MUST_CHECK enum result state_set_data(struct replica *replica, const char *name, struct bytes data,
                                      struct problem *problem);
/* Begins an operation that writes: empties the step arena, takes the write lock. */
MUST_CHECK enum result replica_write_begin(struct replica *replica,
                                           struct sql_transaction *transaction,
                                           struct problem *problem);
/* The same, for what must outlive a power cut before anybody hears of it: the commit syncs, and
 * with itself all earlier ones. replica_durable_end ends it in any case: undoes what wasn't
 * committed. */
MUST_CHECK enum result replica_durable_begin(struct replica *replica,
                                             struct sql_transaction *transaction,
                                             struct problem *problem);
void replica_durable_end(struct replica *replica, struct sql_transaction *transaction);
/* After a commit: `row_count` rows were written; now and then the log is copied into the file. */
void replica_written(struct replica *replica, size_t row_count);
bool table_is_synced(const struct catalog_table *table);
const struct catalog_table *replica_table(const struct replica *replica, int64_t table_no);

/* --- schema.c: other schemas than the file's own ---------------------------------------------- */

void schemas_init(struct replica *replica);
void schemas_done(struct replica *replica);
/* From here on the server is one of this version: sets `wire`. */
MUST_CHECK enum result schemas_speak(struct replica *replica, int64_t server_version,
                                     struct problem *problem);
/* The same with what the file says of the server. */
MUST_CHECK enum result schemas_load(struct replica *replica, struct problem *problem);
/* In the transaction of a WELCOME; schemas_speak follows the commit. RESULT_REFUSED: the server has
 * other scripts of a company. */
MUST_CHECK enum result schemas_welcome(struct replica *replica, int64_t server_version,
                                       struct problem *problem);
MUST_CHECK enum result schemas_forget_parts(struct replica *replica, struct problem *problem);
/* Columns of the table that both know; 0: the server has no such table. */
uint64_t wire_mask(const struct replica *replica, const struct catalog_table *table);
/* The version in which seals are made now. */
int64_t schemas_spoken(const struct replica *replica);
/* Can the server read a seal of this version? */
bool schemas_may_send(const struct replica *replica, int64_t seal_version);
struct outbox_row;
/* What of a change can go now, and what has to wait for a newer server (is_change false: nothing).
 * Returns the reason for what waits. `values` are the row's. */
const char *schemas_split(const struct replica *replica, const struct outbox_row *row,
                          struct value *values, struct outbox_row *ret_now,
                          struct outbox_row *ret_later);

/* --- session.c ------------------------------------------------------------------------------- */

/* Inside a write transaction: all buckets are asked for from 0; what is published stays until it is
 * replaced. stage_reset follows the commit. */
MUST_CHECK enum result replica_read_anew(struct replica *replica, struct problem *problem);

/* --- bulk.c: many messages in one transaction ------------------------------------------------- */

/* Begins, or goes on with, the transaction; empties the step arena. Capture is off in it, without
 * fs_flag. Whoever begins another one (replica_write_begin) commits this one first. */
MUST_CHECK enum result bulk_begin(struct replica *replica, struct problem *problem);
/* After each message: commits when there is enough. */
MUST_CHECK enum result bulk_written(struct replica *replica, size_t row_count,
                                    struct problem *problem);
/* After a failure: all of it is undone, cursors too, and will be sent again. */
void bulk_undo(struct replica *replica);
bool bulk_is_open(const struct replica *replica);

/* --- pack.c: values of a mask as bytes -------------------------------------------------------- */

MUST_CHECK enum result pack_values(const struct catalog_table *table, uint64_t mask,
                                   const struct value *values, struct buffer *buffer,
                                   struct problem *problem);
/* Values indexed by column number; texts point into `data`. RESULT_STORAGE: it isn't such a
 * packing. */
MUST_CHECK enum result unpack_values(const struct catalog_table *table, uint64_t mask,
                                     struct bytes data, struct arena *arena,
                                     struct value **ret_values, struct problem *problem);

/* --- outbox.c: what the lines of the outbox come to, row by row ------------------------------- */

struct outbox_row {
    uint16_t table_no;
    int64_t row_id;
    enum change_op op; /* valid if is_change */
    uint64_t mask;
    int64_t lcn; /* of the row's last line; 0: nothing but a change that waits in fs_unsendable */
    int64_t base_seq;
    int64_t recorded_at;
    bool is_change; /* false: nothing came of it */
    /* while lines are read */
    bool is_born, is_gone, is_touched, may_be_gone;
    char last_op;
    uint64_t met_mask;
};
/* What is recorded and not sealed, lines to `lcn_last`, row by row in order of table and id, joined
 * with fs_unsendable where the row has new lines (with_waiting: all of fs_unsendable).
 *
 *   outbox_begin; while (*ret_has) outbox_next; outbox_end (also after a failure) */
struct outbox {
    struct replica *replica;
    struct sql_statement *statement;
    bool with_waiting;
    bool has_line; /* the statement stands on the first line of the next row */
};
MUST_CHECK enum result outbox_begin(struct outbox *outbox, struct replica *replica,
                                    int64_t lcn_last, bool with_waiting, struct problem *problem);
MUST_CHECK enum result outbox_next(struct outbox *outbox, struct outbox_row *ret_row, bool *ret_has,
                                   struct problem *problem);
void outbox_end(struct outbox *outbox);

/* --- pending.c: rows with edits that have no verdict ------------------------------------------ */

struct pending_row {
    uint16_t table_no;
    int64_t row_id;
    uint64_t mask;    /* columns with an unanswered edit */
    bool is_deleted;  /* the newest unanswered edit deletes it */
    bool is_edited;   /* any unanswered edit at all */
    int64_t hold_seq; /* newest answered change above the published head, 0: none */
    uint64_t hold_mask;
    bool is_hold_gone;
    struct pending_row *next;
};
struct pending {
    struct lookup rows;
    struct pending_row *first; /* newest first */
    size_t edited_count;
};
MUST_CHECK enum result pending_load(struct replica *replica, struct arena *arena,
                                    struct pending *ret_pending, struct problem *problem);
/* NULL: nothing pending. */
const struct pending_row *pending_find(const struct pending *pending, uint16_t table_no,
                                       int64_t row_id);

/* --- apply.c: writes rows of the server into the tables --------------------------------------- */

struct refused_row {
    const struct catalog_table *table;
    int64_t row_id;
    uint64_t mask;
    struct value *values;
    int64_t since; /* in quarantine since then; 0: new */
    const char *reason;
};
struct applier {
    struct replica *replica;
    struct arena *arena;
    struct pending pending;
    bool has_quarantine;
    struct sql_statement **puts; /* by table number, taken when first needed */
    struct refused_row *refused;
    size_t refused_count, refused_room;
    size_t row_count, gone_count, quarantined_count, missing_count;
};
/* Inside a write transaction: capture off, pending edits loaded. */
MUST_CHECK enum result applier_begin(struct applier *applier, struct replica *replica,
                                     struct arena *arena, struct problem *problem);
/* Rows that were refused get another try, then quarantine; capture on. */
MUST_CHECK enum result applier_finish(struct applier *applier, struct wall_time now,
                                      struct problem *problem);
void applier_end(struct applier *applier); /* gives statements back, in any case */
/* Loads the pending edits anew: they have changed since applier_begin. */
MUST_CHECK enum result applier_reload(struct applier *applier, struct problem *problem);
/* A row as the master has it at `as_of`; columns with pending edits keep the local value (I6). */
MUST_CHECK enum result apply_row(struct applier *applier, const struct row_image *image,
                                 int64_t as_of, struct problem *problem);
/* *bucket, in which a row is by its values here, becomes the one in which the server had it last:
 * another one if it was moved there and an unanswered edit holds what decides it. */
MUST_CHECK enum result applier_server_bucket(struct applier *applier,
                                             const struct catalog_table *table, int64_t row_id,
                                             int64_t *bucket, struct problem *problem);
/* The row goes, or waits for the verdict of its edits (I7). */
MUST_CHECK enum result apply_gone(struct applier *applier, const struct catalog_table *table,
                                  int64_t row_id, enum gone_kind kind, int64_t as_of,
                                  struct problem *problem);
/* Puts back what fs_shadow kept of this row and no pending edit covers any more, as far as it is as
 * new as `seq_min`. */
MUST_CHECK enum result apply_shadow(struct applier *applier, const struct catalog_table *table,
                                    int64_t row_id, int64_t seq_min, struct problem *problem);
/* A row that came with the verdict, then its shadow. What was gone from the bucket in which only
 * this device saw the row isn't gone from the subscribed one where the server put it: it never
 * sends it there again, for who wrote a row has it. */
MUST_CHECK enum result apply_echo(struct applier *applier, const struct row_image *row,
                                  int64_t commit_seq, struct problem *problem);
/* Overwrites the columns of `mask`, pending edits or not; is_whole: `values` has all columns. What
 * the table refuses joins the refused rows. */
MUST_CHECK enum result applier_put(struct applier *applier, const struct catalog_table *table,
                                   int64_t row_id, uint64_t mask, bool is_whole,
                                   struct value *values, struct problem *problem);
/* ret_values NULL: there is no such row. ret_bucket 0: it is in none. */
MUST_CHECK enum result replica_read_row(struct replica *replica, const struct catalog_table *table,
                                        int64_t row_id, struct arena *arena,
                                        struct value **ret_values, int64_t *ret_bucket,
                                        struct problem *problem);
MUST_CHECK enum result replica_remove_row(struct replica *replica,
                                          const struct catalog_table *table, int64_t row_id,
                                          struct problem *problem);
/* Sets the columns of mask where the row exists. */
MUST_CHECK enum result replica_update_row(struct replica *replica,
                                          const struct catalog_table *table, int64_t row_id,
                                          uint64_t mask, const struct value *values,
                                          bool *ret_exists, struct problem *problem);

/* --- quarantine.c ----------------------------------------------------------------------------- */

/* Adds what is new to a row in quarantine; ret_image has the whole row then. */
MUST_CHECK enum result quarantine_take(struct applier *applier, const struct catalog_table *table,
                                       int64_t row_id, uint64_t mask, struct value *values,
                                       uint64_t *ret_mask, struct value **ret_values,
                                       struct problem *problem);
MUST_CHECK enum result quarantine_settle(struct applier *applier, struct wall_time now,
                                         struct problem *problem);
/* Queues everything in quarantine for another try. */
MUST_CHECK enum result quarantine_retry(struct applier *applier, struct problem *problem);
MUST_CHECK enum result applier_refuse(struct applier *applier, const struct catalog_table *table,
                                      int64_t row_id, uint64_t mask, const struct value *values,
                                      const char *reason, struct problem *problem);

/* --- leave.c: buckets that go ----------------------------------------------------------------- */

/* Removes the rows of all leaving buckets that neither hold pending work nor are referred to by
 * such rows, directly or on the way; forgets buckets that are empty then (I7). */
MUST_CHECK enum result leave_sweep(struct applier *applier, size_t *ret_dropped_count,
                                   struct problem *problem);

/* --- stage.c ---------------------------------------------------------------------------------- */

void stage_init(struct stage *stage);
void stage_done(struct stage *stage);
void stage_reset(struct stage *stage); /* forgets what is in memory */
/* Does what is staged hold this row, and at which seq? 0: it doesn't. */
MUST_CHECK enum result stage_seq_of(struct replica *replica, uint16_t table_no, int64_t row_id,
                                    int64_t *ret_seq, struct problem *problem);

/* Ids of a table's rows in buckets bucket_first to bucket_last, with the bucket of each. */
struct bucket_row {
    int64_t row_id;
    int64_t bucket;
};
MUST_CHECK enum result bucket_rows(struct replica *replica, const struct catalog_table *table,
                                   int64_t bucket_first, int64_t bucket_last, struct arena *arena,
                                   struct bucket_row **ret_rows, size_t *ret_count,
                                   struct problem *problem);
/* Buckets of this state, ascending. */
MUST_CHECK enum result bucket_list(struct replica *replica, enum bucket_state state,
                                   struct arena *arena, int64_t **ret_buckets, size_t *ret_count,
                                   struct problem *problem);
bool bucket_is_in(const int64_t *buckets, size_t count, int64_t bucket);

/* --- seal.c ----------------------------------------------------------------------------------- */

/* Inside a write transaction: seals all that is recorded (R7), or, if that is more than any server
 * takes in one piece, what fits.
 * ret_seal_no 0: nothing came of them. */
MUST_CHECK enum result seal_all(struct replica *replica, struct wall_time now, int64_t *ret_seal_no,
                                size_t *ret_count, struct problem *problem);
/* The head of a stored seal. RESULT_REFUSED: there is no such seal. */
MUST_CHECK enum result seal_read(struct replica *replica, int64_t seal_no, struct arena *arena,
                                 struct message_push *ret_head, struct problem *problem);
/* Stores the head of the newest seal, whose changes are stored already, with its digest. */
MUST_CHECK enum result seal_write(struct replica *replica, const struct message_push *head,
                                  struct problem *problem);
/* Over the changes that are stored under head->seal_no. */
MUST_CHECK enum result seal_compute_digest(struct replica *replica, const struct message_push *head,
                                           uint8_t ret_digest[SEAL_DIGEST_SIZE],
                                           struct problem *problem);

/* --- verdict.c -------------------------------------------------------------------------------- */

/* Forgets answered seals that no restored server will ask for. */
MUST_CHECK enum result seals_prune(struct replica *replica, struct wall_time now,
                                   struct problem *problem);
