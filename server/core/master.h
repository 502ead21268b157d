/* SPDX-License-Identifier: Apache-2.0 */
/* master.h: runs jobs on a store, group by group, without threads of its own.
 *
 * The writer calls master_write with all write jobs that are waiting: one transaction, one fsync
 * for all of them. Pushes run together, and each in a savepoint when one of them is refused
 * something, so one bad push can't take others with it; if the commit fails nothing is
 * acknowledged. Readers call master_read: all jobs of a batch see one state, so that receivers with
 * the same cursor share encoded bodies. */
#pragma once

#include "server/core/job.h"

struct master;

/* Number of the preset dictionary in frames; a session tells its channel the same. */
enum { MASTER_DICTIONARY_NO = 1 };

/* What every group does last, in its transaction, after all rules have run: what needs a key that
 * rules must not hold. Its failures are the group's. */
struct master_closing {
    enum result (*run)(struct work *work, const void *context, struct problem *problem);
    const void *context;
};

struct master_options {
    struct store *store; /* taken over; one connection, for one thread at a time */
    const struct catalog *catalog;
    const struct reaction *reactions; /* NULL for readers */
    struct master_closing closing;    /* run NULL: nothing */
    struct blob_store *blobs;         /* NULL: attachments are refused */
    int64_t departure_keep_us; /* how long deletions are remembered; 0: for ever (departures.h) */
    struct bytes dictionary;   /* zlib preset dictionary of the schema version; may be empty */
    int64_t lease_s;           /* so long devices work without contact; 0: for ever */
    const struct trace *trace;
};

/* Reads the digest key from fs_state (server/core/devices.h made it at init). When it fails the
 * caller still owns the store. */
MUST_CHECK enum result master_create(const struct master_options *options,
                                     struct master **ret_master, struct problem *problem);
void master_destroy(struct master *master); /* takes NULL; closes the store */

/* What a committed group changed, for the hub. Valid until the next master_write. */
struct master_outcome {
    struct work_outcome work; /* seq 0: nothing was committed */
    size_t revoked_count;     /* replicas found revoked or held by this group's adoption */
    const int64_t *revoked;   /* replica numbers whose sessions must end */
    size_t rescoped_count;    /* users whose subscription did change */
    const int64_t *rescoped;
    bool has_more_to_adopt; /* other programs wrote more than one group takes: run another one */
};

/* Fills result and output of every job; a job never fails the others. The return value is about the
 * store: RESULT_OK, or RESULT_STORAGE/RESULT_EXHAUSTED/RESULT_WAIT, then each job of the group has
 * that result too and nothing was committed. When memory does not suffice for the group, its first
 * job runs alone and the others have RESULT_WAIT: hand them over again. */
MUST_CHECK enum result master_write(struct master *master, struct job **jobs, size_t count,
                                    struct wall_time now, struct master_outcome *ret_outcome,
                                    struct problem *problem);
MUST_CHECK enum result master_read(struct master *master, struct job **jobs, size_t count,
                                   struct wall_time now, struct problem *problem);

struct store *master_store(struct master *master);
/* Opens a work on the writer's store for commands and services: begin, fn, finish, commit. */
MUST_CHECK enum result
master_run(struct master *master, struct wall_time now,
           enum result (*action)(struct work *work, void *context, struct problem *problem),
           void *context, struct master_outcome *ret_outcome, struct problem *problem);
