/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/hub.h"

#include "base/invariant.h"
#include "server/core/session.h"

#include <stdlib.h>
#include <string.h>

enum { REPLICAS_MAX = 1 << 20 }; /* of the newest connections that are remembered: 8 MiB */

static enum result index_init(struct hub_index *index, size_t count, struct problem *problem)
{
    index->heads = calloc(count, sizeof *index->heads);
    if (index->heads == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for %zu sessions", count);
    index->head_count = count;
    return RESULT_OK;
}

enum result hub_init(struct hub *hub, size_t count_max, struct problem *problem)
{
    size_t count = 64;
    enum result result;

    *hub = (struct hub){0};
    while (count < count_max && count < (size_t)1 << 20)
        count *= 2;
    result = index_init(&hub->by_connection, count, problem);
    if (result == RESULT_OK)
        result = index_init(&hub->by_replica, count, problem);
    if (result != RESULT_OK)
        hub_done(hub);
    return result;
}

void hub_done(struct hub *hub)
{
    free(hub->by_connection.heads);
    free(hub->by_replica.heads);
    free(hub->newest);
    *hub = (struct hub){0};
}

static struct hub_link **head_of(const struct hub_index *index, uint64_t key)
{
    uint64_t mixed = key * UINT64_C(0x9E3779B97F4A7C15); /* Fibonacci hashing: ids are regular */

    return &index->heads[(mixed >> 40) & (index->head_count - 1)];
}

static void index_add(struct hub_index *index, struct hub_link *link, uint64_t key,
                      struct session *session)
{
    struct hub_link **head = head_of(index, key);

    invariant(!link->is_linked);
    *link = (struct hub_link){.key = key, .session = session, .next = *head, .is_linked = true};
    *head = link;
}

static void index_remove(struct hub_index *index, struct hub_link *link)
{
    struct hub_link **at;

    if (!link->is_linked)
        return;
    at = head_of(index, link->key);
    while (*at != link) {
        invariant(*at != NULL);
        at = &(*at)->next;
    }
    *at = link->next;
    link->is_linked = false;
}

static struct session *index_find(const struct hub_index *index, uint64_t key)
{
    for (const struct hub_link *link = *head_of(index, key); link != NULL; link = link->next)
        if (link->key == key)
            return link->session;
    return NULL;
}

void hub_add(struct hub *hub, struct session *session)
{
    index_add(&hub->by_connection, &session->by_connection, session->connection, session);
    session->previous = hub->last;
    session->next = NULL;
    if (hub->last == NULL)
        hub->first = session;
    else
        hub->last->next = session;
    hub->last = session;
    hub->count++;
}

void hub_remove(struct hub *hub, struct session *session)
{
    invariant(hub->count > 0);
    index_remove(&hub->by_connection, &session->by_connection);
    hub_drop_replica(hub, session);
    if (session->previous == NULL)
        hub->first = session->next;
    else
        session->previous->next = session->next;
    if (session->next == NULL)
        hub->last = session->previous;
    else
        session->next->previous = session->previous;
    hub->count--;
}

struct session *hub_find(const struct hub *hub, uint64_t connection)
{
    return index_find(&hub->by_connection, connection);
}

static void note_newest(struct hub *hub, int64_t replica_no, uint64_t connection)
{
    size_t needed = (size_t)replica_no + 1;

    if (replica_no >= REPLICAS_MAX)
        return;
    if (needed > hub->newest_count) {
        size_t count = needed + needed / 2;
        uint64_t *newest = realloc(hub->newest, count * sizeof *newest);

        if (newest == NULL)
            return;
        memset(newest + hub->newest_count, 0, (count - hub->newest_count) * sizeof *newest);
        hub->newest = newest;
        hub->newest_count = count;
    }
    if (connection > hub->newest[replica_no])
        hub->newest[replica_no] = connection;
}

struct session *hub_claim_replica(struct hub *hub, struct session *session, int64_t replica_no)
{
    struct session *older = hub_find_replica(hub, replica_no);

    invariant(replica_no > 0);
    note_newest(hub, replica_no, session->connection);
    if (older != NULL)
        hub_drop_replica(hub, older);
    index_add(&hub->by_replica, &session->by_replica, (uint64_t)replica_no, session);
    return older;
}

void hub_drop_replica(struct hub *hub, struct session *session)
{
    index_remove(&hub->by_replica, &session->by_replica);
}

struct session *hub_find_replica(const struct hub *hub, int64_t replica_no)
{
    return index_find(&hub->by_replica, (uint64_t)replica_no);
}

uint64_t hub_newest_of(const struct hub *hub, int64_t replica_no)
{
    invariant(replica_no > 0);
    return (size_t)replica_no < hub->newest_count ? hub->newest[replica_no] : 0;
}
