/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/master.h"

#include "base/invariant.h"
#include "protocol/identity.h"
#include "server/core/blobs.h"
#include "server/core/departures.h"
#include "server/core/devices.h"
#include "server/core/devices_rotate.h"
#include "server/core/digest.h"
#include "server/core/ingest.h"
#include "server/core/quarantine.h"
#include "server/core/wire.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { READ_ARENA_SIZE_MAX = 64 * 1024 * 1024 };
#define ADOPTION_WAIT_US                                                                           \
    SECONDS(10) /* for rows of other programs, before going on without them                        \
                 */

struct master {
    struct store *store;
    const struct catalog *catalog;
    const struct trace *trace;
    struct master_closing closing;
    struct blob_store *blobs;
    int64_t departure_keep_us;
    struct frame_dictionary dictionary;
    int64_t lease_s;
    struct work *work; /* NULL for readers */
    struct feed_cache *cache;
    struct wire_views *views;
    struct arena group_arena; /* of the last group's outcome */
    struct arena read_arena;
    struct arena scratch_arena;
    struct wall_time unadopted_since; /* reader: us 0: nothing waits for adoption */
};

/* What a group does besides its jobs' own outputs; lives in group_arena. */
struct group {
    struct master *master;
    struct job **jobs;
    size_t count;
    struct wall_time now;
    struct ingest_answer *answers; /* by job */
    enum result (*action)(struct work *work, void *context, struct problem *problem);
    void *context;
    bool is_adopting;
    enum work_adoption adoption;
    bool has_more_to_adopt;
    enum ingest_way way; /* of its pushes */
    int64_t head_before;
};

/* ---- making ---- */

static enum result read_digest_key(struct master *master, uint8_t ret_key[DIGEST_KEY_SIZE],
                                   struct problem *problem)
{
    struct store_result found = {0};
    struct bytes key;
    enum result result = store_begin(master->store, STORE_READ, problem);

    if (result != RESULT_OK)
        return result;
    result = store_query(master->store, "SELECT data FROM fs_state WHERE name='digest_key'", NULL,
                         0, &master->read_arena, &found, problem);
    store_rollback(master->store);
    if (result != RESULT_OK)
        return result;
    key = store_bytes_at(&found, 0, 0);
    if (key.size != DIGEST_KEY_SIZE)
        return problem_set(problem, RESULT_REFUSED,
                           "the database has no digest key: it was never initialised");
    memcpy(ret_key, key.data, DIGEST_KEY_SIZE);
    return RESULT_OK;
}

enum result master_create(const struct master_options *options, struct master **ret_master,
                          struct problem *problem)
{
    struct master *master = calloc(1, sizeof *master);
    uint8_t digest_key[DIGEST_KEY_SIZE] = {0};
    enum result result;

    if (master == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a master");
    master->store = options->store;
    master->catalog = options->catalog;
    master->trace = options->trace;
    master->closing = options->closing;
    master->blobs = options->blobs;
    master->departure_keep_us = options->departure_keep_us;
    master->lease_s = options->lease_s;
    if (options->dictionary.size > 0)
        master->dictionary =
            (struct frame_dictionary){.number = MASTER_DICTIONARY_NO, .bytes = options->dictionary};
    arena_init(&master->group_arena, READ_ARENA_SIZE_MAX);
    arena_init(&master->read_arena, READ_ARENA_SIZE_MAX);
    arena_init(&master->scratch_arena, READ_ARENA_SIZE_MAX);
    master->cache = feed_cache_create();
    master->views = wire_views_create(options->catalog);
    result = master->cache == NULL || master->views == NULL
                 ? problem_set(problem, RESULT_EXHAUSTED, "no memory for a cache")
                 : read_digest_key(master, digest_key, problem);
    if (result == RESULT_OK)
        result = work_create(master->store, options->reactions, digest_key, &master->work, problem);
    identity_wipe(digest_key, sizeof digest_key);
    if (result != RESULT_OK) {
        master->store = NULL; /* the caller keeps it */
        master_destroy(master);
        return result;
    }
    *ret_master = master;
    return RESULT_OK;
}

void master_destroy(struct master *master)
{
    if (master == NULL)
        return;
    work_destroy(master->work);
    feed_cache_destroy(master->cache);
    wire_views_destroy(master->views);
    arena_done(&master->group_arena);
    arena_done(&master->read_arena);
    arena_done(&master->scratch_arena);
    store_close(master->store);
    free(master);
}

struct store *master_store(struct master *master)
{
    return master->store;
}

/* ---- a group of writes ---- */

/* ENROL and ACT are undone alone when they are refused. */
static enum result run_alone(struct group *group, struct job *job, struct problem *problem)
{
    struct master *master = group->master;
    enum result result = work_savepoint(master->work, problem);

    if (result != RESULT_OK)
        return result;
    result = job->kind == JOB_ACT
                 ? job->act(master->work, job, &job->problem)
                 : devices_enrol(master->work, master->store, job, master->trace, &job->problem);
    if (result == RESULT_OK)
        result = work_settle(master->work, &job->problem);
    if (result == RESULT_OK)
        result = work_flush(master->work, &job->problem);
    if (result == RESULT_OK)
        return work_release(master->work, problem);
    job_drop_frames(job);
    if (result != RESULT_REFUSED && result != RESULT_MALFORMED)
        return problem_set(problem, result, "%s", job->problem.text);
    job->result = result;
    return work_undo(master->work, problem);
}

static enum result run_job(struct group *group, size_t index, struct problem *problem)
{
    struct master *master = group->master;
    struct job *job = group->jobs[index];
    enum result result = RESULT_OK;

    if (job->kind != JOB_PUSH) /* they ask the store, too */
        result = work_flush(master->work, problem);
    if (result != RESULT_OK)
        return result;
    switch (job->kind) {
    case JOB_ENROL:
    case JOB_ACT:
        result = run_alone(group, job, problem);
        break;
    case JOB_RESUME:
        result = devices_resume(master->work, master->store, job, master->lease_s, master->trace,
                                problem);
        break;
    case JOB_PUSH:
        result = ingest_push(master->work, master->store, master->views, job, group->way,
                             master->trace, &group->answers[index], problem);
        break;
    case JOB_DEPOSIT:
        result = quarantine_deposit(master->work, job, master->trace, problem);
        break;
    case JOB_NEW_KEY:
        result = devices_new_key(master->work, job, master->trace, problem);
        break;
    case JOB_RECEIPT:
        result = devices_receipt(master->work, job, problem);
        break;
    case JOB_RESCOPE:
        result = devices_expire_codes(master->store, group->now, problem);
        if (result == RESULT_OK)
            result = departures_expire(master->store, &master->group_arena, group->now,
                                       master->departure_keep_us, problem);
        break;
    case JOB_ADOPT: /* every group adopts */
        break;
    case JOB_AUTHENTICATE:
    case JOB_FEED:
    case JOB_DIGEST:
    case JOB_REPAIR:
    case JOB_BLOB:
    case JOB_ASK:
        invariant(job_is_write(job->kind)); /* never: whoever hands jobs out asks job_is_write */
        break;
    }
    if (result != RESULT_OK)
        problem_add(problem, "%s of replica %" PRId64, job_name(job->kind), job->replica_no);
    return result;
}

/* ---- subscriptions ---- */

struct user_set {
    struct lookup seen;
    int64_t *items;
    size_t count;
    size_t capacity;
};

static enum result add_user(struct group *group, struct user_set *set, int64_t user_id,
                            struct problem *problem)
{
    struct arena *arena = &group->master->group_arena;
    enum result result;

    if (user_id == 0 || lookup_find(&set->seen, 0, user_id) != NULL)
        return RESULT_OK;
    if (set->count == set->capacity) {
        size_t capacity = set->capacity == 0 ? 16 : set->capacity * 2;
        int64_t *items = arena_array(arena, capacity, sizeof *items);

        if (items == NULL)
            return arena_full(arena, problem);
        if (set->count > 0)
            memcpy(items, set->items, set->count * sizeof *items);
        set->items = items;
        set->capacity = capacity;
    }
    set->items[set->count] = user_id;
    result = lookup_put(&set->seen, 0, user_id, set, problem);
    if (result == RESULT_OK)
        set->count++;
    return result;
}

/* Whom the group may concern: by changed rows, by connecting, by enrolling, or all. */
static enum result concerned_users(struct group *group, const struct work_outcome *outcome,
                                   struct user_set *set, struct problem *problem)
{
    struct master *master = group->master;
    enum result result = RESULT_OK;

    lookup_init(&set->seen, &master->group_arena);
    for (size_t i = 0; i < outcome->user_count && result == RESULT_OK; i++)
        result = add_user(group, set, outcome->users[i], problem);
    for (size_t i = 0; i < group->count && result == RESULT_OK; i++) {
        const struct job *job = group->jobs[i];
        int64_t *users = NULL;
        size_t count = 0;

        if (job->result == RESULT_OK && (job->kind == JOB_RESUME || job->kind == JOB_ENROL))
            result = add_user(group, set, job->user_id, problem);
        if (job->kind != JOB_RESCOPE)
            continue;
        result = scope_users(master->store, &master->group_arena, &users, &count, problem);
        for (size_t u = 0; u < count && result == RESULT_OK; u++)
            result = add_user(group, set, users[u], problem);
    }
    return result;
}

/* Evaluates them and stamps what changed with the commit's seq; a commit that changed nothing else
 * gets a seq of its own for it, so that no published state has two subscriptions. */
static enum result evaluate_scopes(struct group *group, struct master_outcome *outcome,
                                   struct problem *problem)
{
    struct master *master = group->master;
    bool is_bare = outcome->work.seq == group->head_before;
    int64_t stamp_seq = outcome->work.seq + (is_bare ? 1 : 0);
    struct value parameter = value_integer(stamp_seq);
    struct user_set set = {0};
    int64_t *rescoped = NULL;
    enum result result = concerned_users(group, &outcome->work, &set, problem);

    rescoped = arena_array(&master->group_arena, set.count, sizeof *rescoped);
    if (rescoped == NULL)
        return arena_full(&master->group_arena, problem);
    outcome->rescoped = rescoped;
    for (size_t i = 0; i < set.count && result == RESULT_OK; i++) {
        bool is_changed = false;

        arena_reset(&master->scratch_arena);
        result = scope_evaluate(master->store, &master->scratch_arena, set.items[i], group->now,
                                stamp_seq, &is_changed, problem);
        if (is_changed)
            rescoped[outcome->rescoped_count++] = set.items[i];
    }
    if (result != RESULT_OK || outcome->rescoped_count == 0 || !is_bare)
        return result;
    outcome->work.seq = stamp_seq;
    return store_execute(master->store,
                         "UPDATE fs_state SET number=?1 WHERE name IN ('seq','published_seq')",
                         &parameter, 1, 1, NULL, problem);
}

/* ---- answers, once the state of the commit is known ---- */

static enum result answer_job(struct group *group, size_t index,
                              const struct master_outcome *outcome, struct problem *problem)
{
    struct master *master = group->master;
    struct job *job = group->jobs[index];
    const struct catalog *wire = NULL;
    enum result result = RESULT_OK;

    if (job->result != RESULT_OK)
        return RESULT_OK;
    if (job->kind == JOB_RESUME)
        result = devices_policy(master->store, job, master->lease_s, &job->problem);
    if (job->kind == JOB_RESUME && result == RESULT_OK)
        result = devices_welcome(master->store, job, outcome->work.seq, &job->problem);
    if (job->kind == JOB_PUSH && group->answers[index].seal_no != 0)
        result = wire_view(master->views, job->schema_version, &wire, &job->problem);
    if (result == RESULT_OK && wire != NULL)
        result = ingest_answer_encode(master->store, wire, &group->answers[index],
                                      outcome->work.seq, &master->dictionary, job, &job->problem);
    if (result == RESULT_STORAGE)
        return problem_set(problem, result, "%s", job->problem.text);
    if (result != RESULT_OK) { /* what it changed stays; the device asks again */
        job_drop_frames(job);
        job->result = RESULT_EXHAUSTED;
    }
    return RESULT_OK;
}

static enum result finish_group(struct group *group, struct master_outcome *outcome,
                                struct problem *problem)
{
    struct master *master = group->master;
    int64_t *revoked = NULL;
    enum result result = work_finish(master->work, &outcome->work, problem);

    if (result == RESULT_OK && outcome->work.user_count > 0)
        result = devices_watch(master->store, &master->group_arena, group->now, &revoked,
                               &outcome->revoked_count, problem);
    outcome->revoked = revoked;
    if (result == RESULT_OK)
        result = evaluate_scopes(group, outcome, problem);
    for (size_t i = 0; i < group->count && result == RESULT_OK; i++)
        result = answer_job(group, i, outcome, problem);
    return result;
}

static enum result read_head(struct master *master, struct arena *arena, int64_t *ret_head,
                             struct problem *problem)
{
    struct store_result found = {0};
    enum result result = store_query(master->store, "SELECT number FROM fs_state WHERE name='seq'",
                                     NULL, 0, arena, &found, problem);

    if (result == RESULT_OK)
        *ret_head = store_integer_at(&found, 0, 0, 0);
    return result;
}

/* One group adopts so many rows and no more: are there others? */
static enum result look_for_more(struct group *group, struct problem *problem)
{
    struct store_result found = {0};
    enum result result =
        store_query(group->master->store, "SELECT 1 FROM fs_outbox WHERE op<>'-' LIMIT 1", NULL, 0,
                    &group->master->group_arena, &found, problem);

    group->has_more_to_adopt = found.row_count > 0;
    return result;
}

static enum result adopt(struct group *group, struct problem *problem)
{
    struct master *master = group->master;
    size_t count = 0;
    enum result result = RESULT_OK;

    if (!group->is_adopting)
        return RESULT_OK;
    result = work_adopt(master->work, group->adoption, &count, problem);
    if (result == RESULT_OK)
        result = work_settle(master->work, problem);
    if (result == RESULT_OK)
        result = work_flush(master->work, problem);
    if (result == RESULT_OK && count > 0) {
        trace_line(master->trace, "server: %zu rows of other programs adopted", count);
        result = look_for_more(group, problem);
    }
    if (result != RESULT_OK)
        problem_add(problem, "adopting rows of other programs");
    return result;
}

static enum result close_group(struct group *group, struct problem *problem)
{
    const struct master_closing *closing = &group->master->closing;
    enum result result = RESULT_OK;

    if (closing->run == NULL)
        return RESULT_OK;
    result = work_settle(group->master->work, problem);
    if (result == RESULT_OK)
        result = work_flush(group->master->work, problem);
    return result == RESULT_OK ? closing->run(group->master->work, closing->context, problem)
                               : result;
}

/* The body of the transaction. *ret_is_adoption: the failure was about rows of other programs. */
static enum result run_group(struct group *group, struct master_outcome *outcome,
                             bool *ret_is_adoption, struct problem *problem)
{
    struct master *master = group->master;
    enum result result = read_head(master, &master->group_arena, &group->head_before, problem);

    if (result == RESULT_OK)
        result = work_begin(master->work, group->now, problem);
    if (result == RESULT_OK) {
        result = adopt(group, problem);
        *ret_is_adoption = result != RESULT_OK;
    }
    if (result == RESULT_OK && group->action != NULL)
        result = group->action(master->work, group->context, problem);
    for (size_t i = 0; i < group->count && result == RESULT_OK; i++)
        result = run_job(group, i, problem);
    if (result == RESULT_OK)
        result = close_group(group, problem);
    if (result == RESULT_OK)
        result = finish_group(group, outcome, problem);
    outcome->has_more_to_adopt = group->has_more_to_adopt;
    return result;
}

static void reset_jobs(struct group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        struct job *job = group->jobs[i];

        job->now = group->now;
        job->result = RESULT_OK;
        job->problem = (struct problem){0};
        job->change_count = 0;
        job_drop_frames(job);
        if (job->kind == JOB_RESUME) {
            feed_destroy(job->feed);
            job->feed = NULL;
        }
    }
}

static enum result commit_group(struct group *group, struct master_outcome *outcome,
                                bool *ret_is_adoption, struct problem *problem)
{
    struct master *master = group->master;
    enum result result;

    *ret_is_adoption = false;
    arena_reset(&master->group_arena);
    *outcome = (struct master_outcome){0};
    reset_jobs(group);
    group->answers = arena_array(&master->group_arena, group->count, sizeof *group->answers);
    if (group->answers == NULL)
        return arena_full(&master->group_arena, problem);
    result = store_begin(master->store, STORE_WRITE, problem);
    if (result != RESULT_OK)
        return result;
    result = run_group(group, outcome, ret_is_adoption, problem);
    if (result == RESULT_OK)
        result = store_commit(master->store, problem);
    if (result != RESULT_OK) {
        work_abandon(master->work);
        store_rollback(master->store);
        *outcome = (struct master_outcome){0};
    }
    return result;
}

static bool has_push(const struct group *group)
{
    for (size_t i = 0; i < group->count; i++)
        if (group->jobs[i]->kind == JOB_PUSH)
            return true;
    return false;
}

/* Savepoints cost a copy of each page, so pushes go without until one is refused something. */
static enum result commit_pushes(struct group *group, struct master_outcome *outcome,
                                 bool *ret_is_adoption, struct problem *problem)
{
    enum result result;

    group->way = has_push(group) ? INGEST_TOGETHER : INGEST_APART;
    result = commit_group(group, outcome, ret_is_adoption, problem);
    if (result != RESULT_REFUSED || *ret_is_adoption || group->way == INGEST_APART)
        return result;
    trace_line(group->master->trace, "server: pushes one by one: %s", problem->text);
    *problem = (struct problem){0};
    group->way = INGEST_APART;
    return commit_group(group, outcome, ret_is_adoption, problem);
}

/* A row of another program that can't be adopted must stop neither the devices nor the rows beside
 * it: one row at a time then, and if even that is refused without them, until somebody puts them
 * right. */
static enum result commit_even_so(struct group *group, struct master_outcome *outcome,
                                  struct problem *problem)
{
    bool is_adoption = false;
    enum result result;

    group->is_adopting = true;
    group->adoption = WORK_ADOPT_TOGETHER;
    result = commit_pushes(group, outcome, &is_adoption, problem);
    if (!is_adoption || result != RESULT_REFUSED)
        return result;
    trace_line(group->master->trace, "server: %s", problem->text);
    *problem = (struct problem){0};
    group->adoption = WORK_ADOPT_CAREFULLY;
    result = commit_pushes(group, outcome, &is_adoption, problem);
    if (!is_adoption || result != RESULT_REFUSED)
        return result;
    *problem = (struct problem){0};
    group->is_adopting = false;
    return commit_pushes(group, outcome, &is_adoption, problem);
}

static void fail_jobs(struct job **jobs, size_t count, enum result result,
                      const struct problem *problem)
{
    for (size_t i = 0; i < count; i++) {
        job_drop_frames(jobs[i]);
        if (jobs[i]->kind == JOB_RESUME) {
            feed_destroy(jobs[i]->feed);
            jobs[i]->feed = NULL;
        }
        jobs[i]->result = result;
        jobs[i]->problem = *problem;
    }
}

static void tidy(struct master *master)
{
    struct problem problem = {0};

    if (store_tidy(master->store, &problem) != RESULT_OK)
        trace_line(master->trace, "server: tidying: %s", problem.text);
}

enum result master_write(struct master *master, struct job **jobs, size_t count,
                         struct wall_time now, struct master_outcome *ret_outcome,
                         struct problem *problem)
{
    struct group group = {.master = master, .jobs = jobs, .count = count, .now = now};
    enum result result = commit_even_so(&group, ret_outcome, problem);

    if ((result == RESULT_EXHAUSTED || result == RESULT_REFUSED) && count > 1) {
        /* one of them may be too much, or wrong in a way nobody thought of: one at a time */
        fail_jobs(jobs + 1, count - 1, RESULT_WAIT, problem);
        *problem = (struct problem){0};
        group.count = 1;
        result = commit_even_so(&group, ret_outcome, problem);
        count = 1;
    }
    if (result != RESULT_OK) {
        fail_jobs(jobs, count, result, problem);
        return result == RESULT_REFUSED ? RESULT_OK : result; /* that is about the job only */
    }
    tidy(master);
    return RESULT_OK;
}

enum result master_run(struct master *master, struct wall_time now,
                       enum result (*action)(struct work *work, void *context,
                                             struct problem *problem),
                       void *context, struct master_outcome *ret_outcome, struct problem *problem)
{
    struct group group = {.master = master, .now = now, .action = action, .context = context};
    enum result result = commit_even_so(&group, ret_outcome, problem);

    if (result == RESULT_OK)
        tidy(master);
    return result;
}

/* ---- reading ---- */

static enum result read_job(struct master *master, struct feed_reader *reader, struct job *job,
                            struct problem *problem)
{
    enum result result = wire_view(master->views, job->schema_version, &reader->wire, problem);

    if (result != RESULT_OK)
        return result;
    switch (job->kind) {
    case JOB_AUTHENTICATE:
        return devices_authenticate(master->store, job, problem);
    case JOB_FEED:
        return feed_read(reader, job, problem);
    case JOB_DIGEST:
        return digest_answer(reader, job, problem);
    case JOB_REPAIR:
        return digest_repair(reader, job, problem);
    case JOB_BLOB:
        return blobs_answer(master->store, master->blobs, job, problem);
    case JOB_ASK:
        return job->ask(master->store, job, problem);
    case JOB_ENROL:
    case JOB_RESUME:
    case JOB_PUSH:
    case JOB_DEPOSIT:
    case JOB_NEW_KEY:
    case JOB_RECEIPT:
    case JOB_ADOPT:
    case JOB_RESCOPE:
    case JOB_ACT:
        invariant(!job_is_write(job->kind)); /* never: whoever hands jobs out asks job_is_write */
        break;
    }
    return RESULT_OK;
}

/* Has another program written what no commit of ours has adopted yet? This read transaction sees
 * its rows, but those have no seq: what a feed publishes now would be no committed state. It is
 * tried again a little later, but not for ever: rows that can't be adopted don't stop the devices.
 */
static enum result must_wait_for_adoption(struct master *master, struct wall_time now,
                                          bool *ret_must, struct problem *problem)
{
    struct store_result found = {0};
    enum result result = store_query(
        master->store, "SELECT lcn FROM fs_outbox WHERE op<>'-' ORDER BY lcn DESC LIMIT 1", NULL, 0,
        &master->read_arena, &found, problem);

    *ret_must = false;
    if (result != RESULT_OK)
        return result;
    if (found.row_count == 0) {
        master->unadopted_since.us = 0;
        return RESULT_OK;
    }
    if (master->unadopted_since.us == 0 || master->unadopted_since.us > now.us)
        master->unadopted_since = now;
    *ret_must = now.us - master->unadopted_since.us < ADOPTION_WAIT_US;
    return RESULT_OK;
}

enum result master_read(struct master *master, struct job **jobs, size_t count,
                        struct wall_time now, struct problem *problem)
{
    struct feed_reader reader = {.store = master->store,
                                 .cache = master->cache,
                                 .dictionary = &master->dictionary,
                                 .trace = master->trace,
                                 .arena = &master->read_arena,
                                 .scratch = &master->scratch_arena};
    bool must_wait = false;
    enum result result = RESULT_OK;

    for (size_t i = 0; i < count; i++) {
        jobs[i]->now = now;
        jobs[i]->result = RESULT_OK;
        jobs[i]->problem = (struct problem){0};
    }
    arena_reset(&master->read_arena);
    result = store_begin(master->store, STORE_READ, problem);
    if (result == RESULT_OK)
        result = read_head(master, &master->read_arena, &reader.head, problem);
    if (result == RESULT_OK)
        result = must_wait_for_adoption(master, now, &must_wait, problem);
    for (size_t i = 0; i < count && result == RESULT_OK; i++) {
        bool is_content = jobs[i]->kind == JOB_FEED || jobs[i]->kind == JOB_REPAIR;
        struct problem failure = {0};
        enum result job_result =
            is_content && must_wait
                ? problem_set(&failure, RESULT_WAIT, "rows of other programs aren't adopted yet")
                : read_job(master, &reader, jobs[i], &failure);

        if (job_result == RESULT_OK)
            continue;
        jobs[i]->result = job_result;
        jobs[i]->problem = failure;
        job_drop_frames(jobs[i]);
        if (job_result == RESULT_STORAGE)
            result = problem_set(problem, job_result, "%s", failure.text);
    }
    store_rollback(master->store);
    if (result != RESULT_OK)
        fail_jobs(jobs, count, result, problem);
    return result;
}
