/* SPDX-License-Identifier: Apache-2.0 */
/* devices_schema.h: devices of other schema versions (docs/SCHEMA.md); internal to devices*.c. */
#pragma once

#include "server/core/feed.h"
#include "server/core/job.h"

/* What fs_replica.schema_version says, and what is to be done about it. */
struct schema_standing {
    int64_t before;   /* the device has everything up to this version; 0: of its own, too */
    int64_t to_store; /* in fs_replica, now */
};
struct schema_standing devices_schema_standing(const struct catalog *catalog,
                                               const struct value *stored, int64_t spoken);

/* From where on the feed has to go back; before 0: nowhere. */
MUST_CHECK enum result devices_schema_catch_up(struct store *store, struct arena *arena,
                                               int64_t before, int64_t spoken,
                                               struct feed_catch_up *ret_catch_up,
                                               struct problem *problem);
/* Adds SCHEMA to the frames of a RESUME if the device lacks scripts and wasn't sent them within the
 * hour. */
MUST_CHECK enum result devices_schema_offer(struct store *store, struct job *job,
                                            struct problem *problem);
