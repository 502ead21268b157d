/* SPDX-License-Identifier: Apache-2.0 */
/* throttle.h: how much one enrolled device may ask of the server in a minute.
 *
 * Per replica, whatever number of connections it comes with: each limit is a bucket that holds a
 * minute's worth and fills steadily. What is in it may be spent at once, and the last spending may
 * go below nothing, by ten minutes' worth at most: a device that comes back after months brings its
 * one large seal, and then waits. Nothing is lost: whoever is told to wait keeps what he has.
 * Replica numbers are given in order from 1, so a plain array finds them. */
#pragma once

#include "base/instant.h"

#include <stddef.h>
#include <stdint.h>

enum throttle_kind {
    THROTTLE_CHANGES,  /* in seals that were applied */
    THROTTLE_BYTES,    /* of messages it sends */
    THROTTLE_BLOBS,    /* attachments it begins to send */
    THROTTLE_MESSAGES, /* of any kind */
    THROTTLE_SESSIONS, /* begun */
    THROTTLE_KIND_COUNT,
};

enum { THROTTLE_PER_MINUTE_MAX = 1 << 30 };

struct throttle_options {
    int64_t per_minute[THROTTLE_KIND_COUNT]; /* 0: no limit; to THROTTLE_PER_MINUTE_MAX */
};

struct throttle {
    struct throttle_options options;
    struct throttle_meter *meters; /* by replica number */
    size_t meter_count;
};

void throttle_init(struct throttle *throttle, const struct throttle_options *options);
void throttle_done(struct throttle *throttle);

/* Milliseconds until this replica may do it again, 0: now. Without memory: a minute. */
int64_t throttle_wait_ms(struct throttle *throttle, enum throttle_kind kind, int64_t replica_no,
                         struct mono_time now);
void throttle_spend(struct throttle *throttle, enum throttle_kind kind, int64_t replica_no,
                    int64_t amount, struct mono_time now);
