/* SPDX-License-Identifier: Apache-2.0 */
/* hub.h: who is here: all sessions, found by connection or replica, and woken when a commit
 * concerns them.
 *
 * Sessions are kept in the order in which they came, which is the order of everything the hub does;
 * the two indexes only find. The hub owns no session. */
#pragma once

#include "base/result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;
struct master_outcome;

/* A session's place in one index. */
struct hub_link {
    uint64_t key;
    struct session *session;
    struct hub_link *next;
    bool is_linked;
};

struct hub_index {
    struct hub_link **heads;
    size_t head_count; /* a power of two */
};

struct hub {
    struct session *first;
    struct session *last;
    size_t count;
    struct hub_index by_connection;
    struct hub_index by_replica;
    uint64_t *newest; /* by replica number: the newest connection that was it, 0: none */
    size_t newest_count;
};

/* RESULT_EXHAUSTED: memory. `count_max`: about how many sessions there will be. */
MUST_CHECK enum result hub_init(struct hub *hub, size_t count_max, struct problem *problem);
void hub_done(struct hub *hub);

void hub_add(struct hub *hub, struct session *session);
void hub_remove(struct hub *hub, struct session *session);
/* NULL if there is none. */
struct session *hub_find(const struct hub *hub, uint64_t connection);

/* A session has proven to be this replica; the one that was it until now, or NULL. */
struct session *hub_claim_replica(struct hub *hub, struct session *session, int64_t replica_no);
void hub_drop_replica(struct hub *hub, struct session *session);
struct session *hub_find_replica(const struct hub *hub, int64_t replica_no);
/* The newest connection that has proven to be this replica since the server began, whether it is
 * still there or not; 0: none, or there was no memory to note it. */
uint64_t hub_newest_of(const struct hub *hub, int64_t replica_no);
