/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/scope.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum result scope_users(struct store *store, struct arena *arena, int64_t **ret_users,
                        size_t *ret_count, struct problem *problem)
{
    struct store_result found = {0};
    int64_t *users = NULL;
    enum result result = store_query(store, "SELECT DISTINCT user_id FROM fs_replica ORDER BY 1",
                                     NULL, 0, arena, &found, problem);

    if (result != RESULT_OK)
        return result;
    users = arena_array(arena, found.row_count, sizeof *users);
    if (users == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < found.row_count; i++)
        users[i] = store_integer_at(&found, i, 0, 0);
    *ret_users = users;
    *ret_count = found.row_count;
    return RESULT_OK;
}

static bool text_at(const struct store_result *result, size_t row, size_t column, char *ret_text,
                    size_t size)
{
    struct bytes bytes = store_bytes_at(result, row, column);

    if (bytes.size >= size)
        return false;
    if (bytes.size > 0)
        memcpy(ret_text, bytes.data, bytes.size);
    ret_text[bytes.size] = '\0';
    return true;
}

enum result scope_roles(struct store *store, struct arena *arena, int64_t user_id,
                        unsigned *ret_roles, struct problem *problem)
{
    const struct value parameter = value_integer(user_id);
    struct store_result found = {0};
    char name[32];
    enum role role = ROLE_TECHNICIAN;
    enum result result =
        store_query(store,
                    "SELECT g.role FROM role_grant g JOIN app_user u ON u.id=g.user_id"
                    " WHERE g.user_id=?1 AND u.is_active<>0",
                    &parameter, 1, arena, &found, problem);

    if (result != RESULT_OK)
        return result;
    *ret_roles = 0;
    for (size_t i = 0; i < found.row_count; i++)
        if (text_at(&found, i, 0, name, sizeof name) && role_from_name(name, &role))
            *ret_roles |= (unsigned)role;
    return RESULT_OK;
}

enum result scope_subscribed(struct store *store, struct arena *arena, int64_t user_id,
                             struct scope_bucket **ret_buckets, size_t *ret_count,
                             struct problem *problem)
{
    const struct value parameter = value_integer(user_id);
    struct store_result found = {0};
    struct scope_bucket *buckets = NULL;
    enum result result = store_query(store,
                                     "SELECT bucket, from_seq FROM fs_entitlement"
                                     " WHERE user_id=?1 AND to_seq IS NULL ORDER BY bucket",
                                     &parameter, 1, arena, &found, problem);

    if (result != RESULT_OK)
        return result;
    buckets = arena_array(arena, found.row_count, sizeof *buckets);
    if (buckets == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < found.row_count; i++)
        buckets[i] = (struct scope_bucket){.bucket = store_integer_at(&found, i, 0, 0),
                                           .from_seq = store_integer_at(&found, i, 1, 0)};
    *ret_buckets = buckets;
    *ret_count = found.row_count;
    return RESULT_OK;
}

/* ---- evaluation ---- */

struct bucket_set {
    struct arena *arena;
    int64_t *items;
    size_t count;
    size_t capacity;
};

static enum result set_add(struct bucket_set *set, int64_t bucket, struct problem *problem)
{
    if (set->count == set->capacity) {
        size_t capacity = set->capacity == 0 ? 64 : set->capacity * 2;
        int64_t *items = arena_array(set->arena, capacity, sizeof *items);

        if (items == NULL)
            return arena_full(set->arena, problem);
        if (set->count > 0)
            memcpy(items, set->items, set->count * sizeof *items);
        set->items = items;
        set->capacity = capacity;
    }
    set->items[set->count++] = bucket;
    return RESULT_OK;
}

static int compare_buckets(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;

    return (a > b) - (a < b);
}

static void set_sort(struct bucket_set *set)
{
    size_t kept = 0;

    if (set->count == 0)
        return;
    qsort(set->items, set->count, sizeof *set->items, compare_buckets);
    for (size_t i = 1; i < set->count; i++)
        if (set->items[i] != set->items[kept])
            set->items[++kept] = set->items[i];
    set->count = kept + 1;
}

/* BUCKET_SERVER never leaves the server, whatever the SQL says. */
static bool kind_from_name(const char *name, enum bucket_kind *ret_kind)
{
    for (int kind = BUCKET_SHARED; kind < BUCKET_KIND_COUNT; kind++)
        if (kind != BUCKET_SERVER && strcmp(bucket_kind_name((enum bucket_kind)kind), name) == 0) {
            *ret_kind = (enum bucket_kind)kind;
            return true;
        }
    return false;
}

static size_t parameter_count_of(const char *sql)
{
    if (strstr(sql, "?2") != NULL)
        return 2;
    return strstr(sql, "?1") != NULL ? 1 : 0;
}

static enum result run_subscription(struct store *store, const char *sql, int64_t user_id,
                                    struct wall_time now, struct bucket_set *set,
                                    struct problem *problem)
{
    const struct value parameters[] = {value_integer(user_id), value_integer(now.us)};
    struct store_result found = {0};
    enum bucket_kind kind = BUCKET_SHARED;
    char name[24];
    enum result result =
        store_query(store, sql, parameters, parameter_count_of(sql), set->arena, &found, problem);

    for (size_t i = 0; i < found.row_count && result == RESULT_OK; i++) {
        int64_t id = store_integer_at(&found, i, 1, -1);

        if (id >= 0 && id <= ID_MAX && text_at(&found, i, 0, name, sizeof name) &&
            kind_from_name(name, &kind))
            result = set_add(set, bucket_of(kind, id), problem);
    }
    return result;
}

static enum result wanted_buckets(struct store *store, struct arena *arena, int64_t user_id,
                                  struct wall_time now, struct bucket_set *ret_set,
                                  struct problem *problem)
{
    const struct catalog *catalog = store->catalog;
    unsigned roles = 0;
    enum result result = scope_roles(store, arena, user_id, &roles, problem);

    *ret_set = (struct bucket_set){.arena = arena};
    for (size_t i = 0; i < catalog->subscription_count && result == RESULT_OK; i++) {
        const struct catalog_subscription *subscription = &catalog->subscriptions[i];

        if ((roles & (unsigned)subscription->role) == 0)
            continue;
        result = run_subscription(store, subscription->sql, user_id, now, ret_set, problem);
        if (result != RESULT_OK)
            problem_add(problem, "subscription of role %s for user %" PRId64,
                        role_name(subscription->role), user_id);
    }
    if (result == RESULT_OK)
        set_sort(ret_set);
    return result;
}

static enum result open_bucket(struct store *store, int64_t user_id, int64_t bucket,
                               int64_t stamp_seq, struct problem *problem)
{
    const struct value parameters[] = {value_integer(user_id), value_integer(bucket),
                                       value_integer(stamp_seq)};

    return store_execute(store,
                         "INSERT INTO fs_entitlement(user_id, bucket, from_seq, to_seq)"
                         " VALUES(?1,?2,?3,NULL)"
                         " ON CONFLICT(user_id, bucket, from_seq) DO UPDATE SET to_seq=NULL",
                         parameters, 3, 1, NULL, problem);
}

static enum result close_bucket(struct store *store, int64_t user_id, int64_t bucket,
                                int64_t stamp_seq, struct problem *problem)
{
    const struct value parameters[] = {value_integer(user_id), value_integer(bucket),
                                       value_integer(stamp_seq)};

    return store_execute(store,
                         "UPDATE fs_entitlement SET to_seq=?3"
                         " WHERE user_id=?1 AND bucket=?2 AND to_seq IS NULL",
                         parameters, 3, 1, NULL, problem);
}

static enum result has_device(struct store *store, struct arena *arena, int64_t user_id,
                              bool *ret_has, struct problem *problem)
{
    const struct value parameter = value_integer(user_id);
    struct store_result found = {0};
    enum result result = store_query(store, "SELECT 1 FROM fs_replica WHERE user_id=?1 LIMIT 1",
                                     &parameter, 1, arena, &found, problem);

    if (result == RESULT_OK)
        *ret_has = found.row_count > 0;
    return result;
}

enum result scope_evaluate(struct store *store, struct arena *arena, int64_t user_id,
                           struct wall_time now, int64_t stamp_seq, bool *ret_changed,
                           struct problem *problem)
{
    struct bucket_set wanted = {0};
    struct scope_bucket *current = NULL;
    size_t current_count = 0;
    size_t w = 0;
    size_t c = 0;
    bool is_known = false;
    bool is_changed = false;
    enum result result = has_device(store, arena, user_id, &is_known, problem);

    if (result == RESULT_OK && is_known)
        result = wanted_buckets(store, arena, user_id, now, &wanted, problem);
    if (result == RESULT_OK && is_known)
        result = scope_subscribed(store, arena, user_id, &current, &current_count, problem);
    while (result == RESULT_OK && (w < wanted.count || c < current_count)) {
        if (c == current_count || (w < wanted.count && wanted.items[w] < current[c].bucket)) {
            is_changed = true;
            result = open_bucket(store, user_id, wanted.items[w++], stamp_seq, problem);
        } else if (w == wanted.count || wanted.items[w] > current[c].bucket) {
            is_changed = true;
            result = close_bucket(store, user_id, current[c++].bucket, stamp_seq, problem);
        } else {
            w++;
            c++;
        }
    }
    if (result == RESULT_OK)
        *ret_changed = is_changed;
    return result;
}

/* ---- entitlement at edit time ---- */

void scope_rights_init(struct scope_rights *rights, struct store *store, struct arena *arena,
                       int64_t user_id)
{
    *rights = (struct scope_rights){.store = store, .arena = arena, .user_id = user_id};
    lookup_init(&rights->answers, arena);
}

enum result scope_rights_until(struct scope_rights *rights, int64_t bucket, int64_t *ret_until,
                               struct problem *problem)
{
    const struct value parameters[] = {value_integer(rights->user_id), value_integer(bucket)};
    int64_t *until = lookup_find(&rights->answers, 0, bucket);
    struct store_result found = {0};
    enum result result;

    if (until != NULL) {
        *ret_until = *until;
        return RESULT_OK;
    }
    result = store_query(rights->store,
                         "SELECT count(*), sum(CASE WHEN to_seq IS NULL THEN 1 ELSE 0 END),"
                         " max(to_seq) FROM fs_entitlement WHERE user_id=?1 AND bucket=?2",
                         parameters, 2, rights->arena, &found, problem);
    if (result != RESULT_OK)
        return result;
    until = arena_alloc(rights->arena, sizeof *until);
    if (until == NULL)
        return arena_full(rights->arena, problem);
    *until = store_integer_at(&found, 0, 1, 0) > 0 ? INT64_MAX
                                                   : store_integer_at(&found, 0, 2, SCOPE_NEVER);
    result = lookup_put(&rights->answers, 0, bucket, until, problem);
    if (result == RESULT_OK)
        *ret_until = *until;
    return result;
}
