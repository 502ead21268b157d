/* SPDX-License-Identifier: Apache-2.0 */
/* rescue.h: a new replica in the place of a damaged one, with whatever of its unsent work can be
 * read; a list of what can't (docs/SYNC.md 5).
 *
 * Seals that prove whole by their digests stay what they are, under their numbers: the server
 * recognises those that it has. Lines that no seal holds yet go on as lines, with their rows. If
 * the seals don't prove whole, everything in them that can be read becomes seal 1: a server that
 * has heard of others takes the device for a disk that was put back, and an admin gives it another
 * number. Everything else is empty until the next sync. */
#pragma once

#include "agent/replica/replica.h"
#include "agent/replica/vault.h"

struct rescue_options {
    const char *damaged; /* a copy, its log beside it; SQLite may write to it */
    const struct vault_options *damaged_vault;
    const struct replica_options *fresh; /* where the new one is made: nothing is there yet */
    struct wall_time now;
};

enum rescue_loss_kind {
    RESCUE_LOST_CHANGE, /* one row's, by name */
    RESCUE_LOST_LINES,  /* whatever was recorded under these change numbers and isn't found */
    RESCUE_LOST_SEALED, /* the same in seals; the server may have it */
    RESCUE_LOST_ROWS,   /* new rows with these ids, if there were any */
};
struct rescue_field {
    const char *name;
    struct value value;
};
struct rescue_loss {
    enum rescue_loss_kind kind;
    const char *table_name; /* NULL: of any table */
    const char *op;         /* "insert", "update", "delete"; "": unknown */
    int64_t row_id;
    int64_t first, last;          /* change numbers, or ids; last INT64_MAX: and all behind */
    struct wall_time recorded_at; /* us 0: unknown */
    const char *reason;
    const struct rescue_field *fields; /* the values, if they are known */
    size_t field_count;
    struct rescue_loss *next;
};

struct rescue_outcome {
    bool is_sound;         /* the file isn't damaged: nothing was done */
    bool is_identity_lost; /* who this device is can't be read: no new replica is of use */
    bool are_seals_lost;   /* an admin may have to decide */
    int64_t sealed_count, seal_count; /* changes in seals without an answer */
    int64_t line_count, row_count;    /* lines that no seal holds, and their rows */
    size_t loss_count;
    struct rescue_loss *losses; /* in the order in which they were met; in the caller's arena */
};

/* Leaves a new replica, whole, checked and in one file, unless is_sound or is_identity_lost: what
 * is at its place then is the caller's to remove. The loss list of an unreadable identity names
 * everything unsent that can be read, with its values.
 *
 * RESULT_STORAGE: nothing can be read of the damaged file. Others as in replica.h. */
MUST_CHECK enum result replica_rescue(const struct rescue_options *options, struct arena *arena,
                                      struct rescue_outcome *ret_outcome, struct problem *problem);
