/* SPDX-License-Identifier: Apache-2.0 */
/* replica.h: the technician's SQLite file as the agent sees it: what was recorded here and still
 * has to go up, what came down and isn't visible yet, what is published.
 *
 * The file is ordinary SQLite in WAL mode: any program may read it and write it with plain SQL at
 * any time; triggers record what it wrote (docs/SYNC.md 1). Every operation below is one
 * transaction of its own, durable where it says so, and safe to repeat after a crash.
 *
 * RESULT_WAIT: another program holds the write lock: try the same call again later, nothing
 * happened. RESULT_EXHAUSTED: disk full: nothing happened, local work stays. RESULT_STORAGE: what
 * is on disk is unknown: close, open again, go on from what is there. */
#pragma once

#include "base/trace.h"
#include "protocol/messages.h"

struct replica;
struct vault_options; /* vault.h */

struct replica_options {
    const char *path;
    const char *vfs_name; /* NULL: the system's; the simulator's faulty disk otherwise */
    const struct vault_options *vault; /* the file is encrypted; NULL: it is an ordinary one */
    bool is_read_only;
    int64_t checkpoint_rows; /* written from one checkpoint to the next, roughly; 0: 4,000 */
    size_t extra_count;      /* extra schema scripts (companies' own tables) */
    const struct replica_script {
        const char *name;
        const char *sql;
    } * extras;
    const struct trace *trace;
};

/* Opens or creates the file, seals what was recorded in an older schema, runs migrations, the
 * server's scripts, too, and installs or repairs the triggers. */
MUST_CHECK enum result replica_open(const struct replica_options *options,
                                    struct replica **ret_replica, struct problem *problem);
void replica_close(struct replica *replica); /* takes NULL */
bool replica_is_encrypted(const struct replica *replica);
const struct catalog *replica_catalog(const struct replica *replica);

/* --- other schemas (docs/SCHEMA.md) ----------------------------------------------------------- */

/* The catalog of what this device and its server both know; messages are read by it. */
const struct catalog *replica_wire(const struct replica *replica);
/* Has the server exactly this device's schema? Only then digests mean the same. */
bool replica_speaks_own(const struct replica *replica);
/* The catalog in which a seal of `version` was made; valid until the next call. */
MUST_CHECK enum result replica_catalog_of(struct replica *replica, int64_t version,
                                          const struct catalog **ret_catalog,
                                          struct problem *problem);
/* Keeps scripts that the server has sent. *ret_is_complete: all are here; close the replica and
 * open it again, that runs them. */
MUST_CHECK enum result replica_schema(struct replica *replica, const struct message_schema *schema,
                                      bool *ret_is_complete, struct problem *problem);

/* --- who this device is --------------------------------------------------------------------- */

struct replica_identity {
    bool is_enrolled;
    int64_t replica_no;
    int64_t device_id;
    int64_t incarnation;
    int64_t user_id;
    char user_login[64];
    char user_name[128];
    char series[16]; /* prefix of human numbers */
    int64_t van_id;
    int64_t published_seq; /* 0: not ready, the first snapshot isn't complete */
    int64_t first_no;      /* the number that it had first; 0: always this one */
};
/* Once, with the answer to an enrolment. Durable when it returns. */
MUST_CHECK enum result replica_enrol(struct replica *replica,
                                     const struct message_enrolled *enrolled,
                                     struct problem *problem);
/* The answer to the enrolment of a device that goes on under another replica number, for its disk
 * was copied or put back, or the server has forgotten it: what it published stays, everything it
 * recorded that has no answer is kept, rows of its own without an answer get ids of the new number,
 * and so does what refers to them. The same answer again changes nothing. Durable when it returns.
 *
 * RESULT_REFUSED: the code was another person's */
MUST_CHECK enum result replica_renew(struct replica *replica,
                                     const struct message_enrolled *enrolled, struct wall_time now,
                                     struct problem *problem);
MUST_CHECK enum result replica_identity(struct replica *replica,
                                        struct replica_identity *ret_identity,
                                        struct problem *problem);

/* --- session -------------------------------------------------------------------------------- */

/* Where the device stands; device_time and app_version are the caller's to fill in. Texts live in
 * `arena`. The beginning of each session: forgets what a former one staged and can't be resumed. */
MUST_CHECK enum result replica_resume(struct replica *replica, struct arena *arena,
                                      struct message_resume *ret_resume, struct problem *problem);
/* RESULT_REFUSED: the server takes this device for another replica. Otherwise
 * stores the new resume token (durably), the clock offset, lcn_high; on a new epoch resets the
 * cursors and marks acknowledged seals above lcn_high for sending again. */
MUST_CHECK enum result replica_welcome(struct replica *replica,
                                       const struct message_welcome *welcome, struct wall_time now,
                                       struct problem *problem);

/* --- lease ----------------------------------------------------------------------------------- */

/* What a device without contact may still do; see docs/SECURITY.md. */
struct replica_lease {
    int64_t replica_no;
    int64_t lease_s;             /* 0: for ever */
    struct wall_time contact_at; /* the last one, or the last unlocking; us 0: never */
    struct wall_time revoked_at; /* us 0: it isn't */
};
MUST_CHECK enum result replica_lease(struct replica *replica, struct replica_lease *ret_lease,
                                     struct problem *problem);
bool replica_lease_is_over(const struct replica_lease *lease, struct wall_time now);
MUST_CHECK enum result replica_set_lease(struct replica *replica, int64_t lease_s,
                                         struct problem *problem);
MUST_CHECK enum result replica_note_contact(struct replica *replica, struct wall_time now,
                                            struct problem *problem);
MUST_CHECK enum result replica_note_revoked(struct replica *replica, struct wall_time now,
                                            struct problem *problem);

/* --- up ------------------------------------------------------------------------------------- */

/* Has anything been written here that isn't sealed yet? Cheap: one indexed look. */
MUST_CHECK enum result replica_has_unsealed(struct replica *replica, bool *ret_has,
                                            struct problem *problem);
/* Seals everything recorded so far, coalesced per row (R7), durably. ret_seal_no 0: there was
 * nothing. */
MUST_CHECK enum result replica_seal(struct replica *replica, struct wall_time now,
                                    int64_t *ret_seal_no, struct problem *problem);
/* The last seal doesn't hold all that was recorded when it was made: that was more than a server
 * takes in one piece, and a transaction may be in two. */
bool replica_seal_is_cut(const struct replica *replica);
/* The oldest seal without verdict, after `seal_after`; ret_seal_no 0: none. */
MUST_CHECK enum result replica_next_seal(struct replica *replica, int64_t seal_after,
                                         int64_t *ret_seal_no, struct problem *problem);
/* Part `part_no` of a seal, at most about `size_max` bytes when encoded. The same size_max gives
 * the same parts however often. RESULT_REFUSED: there is no such part. */
MUST_CHECK enum result replica_push_part(struct replica *replica, int64_t seal_no, int64_t part_no,
                                         size_t size_max, struct arena *arena,
                                         struct message_push *ret_push, struct problem *problem);
/* Acknowledges, applies echoes, remembers exceptions for fs_status and `fate`. */
MUST_CHECK enum result replica_verdict(struct replica *replica,
                                       const struct message_verdict *verdict, struct wall_time now,
                                       struct problem *problem);

/* --- down ----------------------------------------------------------------------------------- */

/* Each stages (memory for a small delta, fs_stage_ tables once it grows or a bucket comes in pages,
 * resumable across disconnects); before the first publication rows go straight into the tables. */
MUST_CHECK enum result replica_subscribed(struct replica *replica,
                                          const struct message_subscribed *subscribed,
                                          struct problem *problem);
MUST_CHECK enum result replica_rows(struct replica *replica, const struct message_rows *rows,
                                    struct problem *problem);
MUST_CHECK enum result replica_gone(struct replica *replica, const struct message_gone *gone,
                                    struct problem *problem);
/* What the bucket no longer holds goes at the publication, like departures. */
MUST_CHECK enum result replica_ids(struct replica *replica, const struct message_ids *ids,
                                   struct problem *problem);
struct replica_published {
    size_t row_count;
    size_t gone_count;
    size_t quarantined_count;
    size_t dropped_bucket_count;
};
/* Makes everything staged visible in one transaction (R1, R2, I4, I6, I7). */
MUST_CHECK enum result replica_publish(struct replica *replica, int64_t head, struct wall_time now,
                                       struct replica_published *ret_published,
                                       struct problem *problem);
/* Rows of a first snapshot are held in a transaction of up to 200,000 rows, which keeps other
 * programs from writing: commit it within a second. Everything else that writes commits it first;
 * so does replica_disconnected. Failures: as above, the rows will be sent again. */
MUST_CHECK enum result replica_settle(struct replica *replica, struct problem *problem);
bool replica_is_unsettled(const struct replica *replica);
/* Such a transaction failed, and with it messages that replica_rows had taken: this session can't
 * go on, the next one begins where the replica stands. Until replica_disconnected. */
bool replica_has_lost_rows(const struct replica *replica);
/* Nothing happens for a while: gives back the memory that only makes things faster. */
void replica_rest(struct replica *replica);
/* Forgets what is only in memory: the connection is gone, the server will send it again. */
void replica_disconnected(struct replica *replica);

/* --- checks --------------------------------------------------------------------------------- */

/* Digests of up to `bucket_max` buckets after `bucket_after` at the published head, leaving out
 * buckets with pending edits. ret_bucket_next 0: that was the last. */
MUST_CHECK enum result replica_digests(struct replica *replica, int64_t bucket_after,
                                       size_t bucket_max, struct arena *arena,
                                       struct message_digest *ret_digest, int64_t *ret_bucket_next,
                                       struct problem *problem);
/* Which parts of a differing bucket to ask for; part_count 0: it agrees by now. */
MUST_CHECK enum result replica_differing_parts(struct replica *replica, int64_t bucket,
                                               const uint8_t *server_parts, struct arena *arena,
                                               struct message_repair *ret_repair,
                                               struct problem *problem);
/* Is every trigger as it should be? Repairs them and says how many were missing or altered. */
MUST_CHECK enum result replica_check_triggers(struct replica *replica, size_t *ret_repaired,
                                              struct problem *problem);
/* PRAGMA data_version: changes when another connection has committed. */
MUST_CHECK enum result replica_change_counter(struct replica *replica, int64_t *ret_counter,
                                              struct problem *problem);

/* --- attachments ---------------------------------------------------------------------------- */

/* The next blob that the server may lack (its row is acknowledged; is_parting: or left behind), and
 * the next that is wanted here; size 0: none. States live in fs_blob. */
struct replica_blob {
    uint8_t hash[BLOB_HASH_SIZE];
    int64_t size;   /* 0: none */
    bool is_orphan; /* to send: its row has left this device since */
};
MUST_CHECK enum result replica_blob_to_send(struct replica *replica, bool is_parting,
                                            struct replica_blob *ret_blob, struct problem *problem);
MUST_CHECK enum result replica_blob_to_fetch(struct replica *replica, struct replica_blob *ret_blob,
                                             struct problem *problem);
enum replica_blob_state {
    BLOB_SENT = 1,
    BLOB_FETCHED = 2,
    BLOB_WANTED = 3,
    BLOB_UNAVAILABLE = 4,
    BLOB_ERASED = 5, /* destroyed here; not sent any more */
};
/* The next whose content is to be destroyed here: its customer was erased, or it was fetched and no
 * row of this device names it any more. size 0: none. */
MUST_CHECK enum result replica_blob_to_erase(struct replica *replica, struct replica_blob *ret_blob,
                                             struct problem *problem);
MUST_CHECK enum result replica_blob_mark(struct replica *replica,
                                         const uint8_t hash[BLOB_HASH_SIZE],
                                         enum replica_blob_state state, struct problem *problem);

/* --- for people and other programs ---------------------------------------------------------- */

struct replica_counts {
    int64_t unsealed;       /* outbox entries not sealed */
    int64_t unacknowledged; /* changes sealed, without verdict */
    int64_t parked;
    int64_t refused;
    int64_t quarantined;
    int64_t blobs_to_send;
    int64_t blob_bytes_to_send;
    int64_t published_seq;
    struct wall_time published_at; /* us 0: never */
};
MUST_CHECK enum result replica_counts(struct replica *replica, struct replica_counts *ret_counts,
                                      struct problem *problem);
/* Why is this row (not) here? A few lines of text in the arena. */
MUST_CHECK enum result replica_explain(struct replica *replica, const char *table_name, int64_t id,
                                       struct arena *arena, const char **ret_text,
                                       struct problem *problem);

/* For agent/service: a SELECT; and one transaction of plain SQL, captured like anybody's. */
struct replica_result {
    size_t row_count;
    size_t column_count;
    struct value *values;
};
MUST_CHECK enum result replica_query(struct replica *replica, const char *sql,
                                     const struct value *parameters, size_t parameter_count,
                                     struct arena *arena, struct replica_result *ret_result,
                                     struct problem *problem);
/* Statements of a person, as any program may give them: one transaction, whole or not at all; one
 * that only reads takes no lock. Texts and tables live in `arena`.
 *
 * RESULT_REFUSED: SQLite's words about one of them; nothing was written */
struct replica_table {
    const char *const *names; /* of its columns */
    struct replica_result rows;
    const struct replica_table *next;
};
MUST_CHECK enum result replica_run_script(struct replica *replica, const char *script,
                                          struct arena *arena,
                                          const struct replica_table **ret_tables,
                                          struct problem *problem);
MUST_CHECK enum result replica_begin(struct replica *replica, struct problem *problem);
MUST_CHECK enum result replica_execute(struct replica *replica, const char *sql,
                                       const struct value *parameters, size_t parameter_count,
                                       struct problem *problem);
/* Durable in any case (SQLite can't decide it at the commit); is_durable says that it must be. */
MUST_CHECK enum result replica_commit(struct replica *replica, bool is_durable,
                                      struct problem *problem);
void replica_rollback(struct replica *replica);
MUST_CHECK enum result replica_new_id(struct replica *replica, int64_t *ret_id,
                                      struct problem *problem);
