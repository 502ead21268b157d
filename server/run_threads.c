/* SPDX-License-Identifier: Apache-2.0 */
#include "base/invariant.h"
#include "edge/clock.h"
#include "edge/reserve.h"
#include "schema/sql.h"
#include "server/run_inside.h"
#include "server/store/sqlite/sqlite_store.h"

#include <stdlib.h>
#include <string.h>

enum {
    NOTE_SIZE_MAX = 64 * 1024 * 1024,
    LOOK_SIZE_MAX = 64 * 1024 * 1024,
    READER_IDLE_MS = 20000,
};

#define WRITER_REST_US SECONDS(2) /* without work: then its pages go back */

/* ---- commits, copied from thread to thread ---- */

static void note_destroy(struct commit_note *note)
{
    if (note == NULL)
        return;
    arena_done(&note->arena);
    free(note);
}

static bool copy_items(struct arena *arena, const void *items, size_t count, size_t item_size,
                       const void **ret_copy)
{
    void *copy = NULL;

    *ret_copy = NULL;
    if (count == 0)
        return true;
    copy = arena_array(arena, count, item_size);
    if (copy == NULL)
        return false;
    memcpy(copy, items, count * item_size);
    *ret_copy = copy;
    return true;
}

/* NULL: no memory; the next look tells everybody. */
static struct commit_note *note_create(const struct master_outcome *outcome)
{
    struct commit_note *note = calloc(1, sizeof *note);
    const void *touched, *users, *revoked, *rescoped;

    if (note == NULL)
        return NULL;
    arena_init(&note->arena, NOTE_SIZE_MAX);
    note->outcome = *outcome;
    if (!copy_items(&note->arena, outcome->work.touched, outcome->work.touched_count,
                    sizeof *outcome->work.touched, &touched) ||
        !copy_items(&note->arena, outcome->work.users, outcome->work.user_count,
                    sizeof *outcome->work.users, &users) ||
        !copy_items(&note->arena, outcome->revoked, outcome->revoked_count,
                    sizeof *outcome->revoked, &revoked) ||
        !copy_items(&note->arena, outcome->rescoped, outcome->rescoped_count,
                    sizeof *outcome->rescoped, &rescoped)) {
        note_destroy(note);
        return NULL;
    }
    note->outcome.work.touched = touched;
    note->outcome.work.users = users;
    note->outcome.revoked = revoked;
    note->outcome.rescoped = rescoped;
    return note;
}

/* ---- what other programs have committed (on the writer's thread) ---- */

/* First column of all rows. */
static enum result numbers_of(struct writer *writer, const char *sql, int64_t after,
                              int64_t **ret_numbers, size_t *ret_count, struct problem *problem)
{
    const struct value parameter = value_integer(after);
    struct store_result rows = {0};
    int64_t *numbers = NULL;
    enum result result = store_query(master_store(writer->master), sql, &parameter, 1,
                                     &writer->arena, &rows, problem);

    if (result != RESULT_OK)
        return result;
    numbers = arena_array(&writer->arena, rows.row_count, sizeof *numbers);
    if (numbers == NULL)
        return arena_full(&writer->arena, problem);
    for (size_t i = 0; i < rows.row_count; i++)
        numbers[i] = store_integer_at(&rows, i, 0, 0);
    *ret_numbers = numbers;
    *ret_count = rows.row_count;
    return RESULT_OK;
}

static enum result touched_since(struct writer *writer, struct master_outcome *outcome,
                                 struct problem *problem)
{
    const struct value parameter = value_integer(writer->head);
    struct store_result rows = {0};
    struct touched_bucket *touched = NULL;
    enum result result = store_query(
        master_store(writer->master),
        "SELECT bucket, max(seq) FROM fs_head WHERE seq > ?1 GROUP BY bucket ORDER BY bucket",
        &parameter, 1, &writer->arena, &rows, problem);

    if (result != RESULT_OK)
        return result;
    touched = arena_array(&writer->arena, rows.row_count, sizeof *touched);
    if (touched == NULL)
        return arena_full(&writer->arena, problem);
    for (size_t i = 0; i < rows.row_count; i++)
        touched[i] = (struct touched_bucket){
            .bucket = store_integer_at(&rows, i, 0, 0),
            .seq_before = writer->head, /* or less: whoever is there needs the same */
            .seq = store_integer_at(&rows, i, 1, 0),
            .only_replica_no = WORK_MIXED,
        };
    outcome->work.touched = touched;
    outcome->work.touched_count = rows.row_count;
    return RESULT_OK;
}

static enum result outcome_since(struct writer *writer, struct master_outcome *outcome,
                                 struct problem *problem)
{
    int64_t *numbers = NULL;
    size_t count = 0;
    enum result result = numbers_of(writer,
                                    "SELECT number FROM fs_state WHERE name='seq' AND"
                                    " number > ?1",
                                    writer->head, &numbers, &count, problem);

    if (result == RESULT_OK && count > 0) {
        outcome->work.seq = numbers[0];
        result = touched_since(writer, outcome, problem);
    }
    if (result == RESULT_OK && count > 0) {
        result = numbers_of(writer,
                            "SELECT DISTINCT user_id FROM fs_entitlement WHERE"
                            " from_seq > ?1 OR to_seq > ?1",
                            writer->head, &numbers, &count, problem);
        outcome->rescoped = numbers;
        outcome->rescoped_count = count;
    }
    if (result == RESULT_OK) {
        result = numbers_of(writer,
                            "SELECT replica_no FROM fs_replica WHERE state <> 'active' AND ?1 >= 0",
                            writer->head, &numbers, &count, problem);
        outcome->revoked = numbers;
        outcome->revoked_count = count;
    }
    return result;
}

/* Did anybody else commit since the last look? Then what it touched. Commits of our own since then
 * are told a second time, which costs a look into memory. */
static void look(struct writer *writer, struct errand *errand)
{
    struct store *store = master_store(writer->master);
    struct master_outcome outcome = {0};
    struct problem problem = {0};
    int64_t version = 0;

    if (sql_data_version(sqlite_store_database(store), &version, &problem) != RESULT_OK ||
        version == writer->data_version)
        return;
    arena_reset(&writer->arena);
    if (store_begin(store, STORE_READ, &problem) != RESULT_OK)
        return;
    if (outcome_since(writer, &outcome, &problem) == RESULT_OK) {
        errand->foreign = note_create(&outcome);
        if (errand->foreign != NULL) {
            errand->others_wrote = true;
            writer->data_version = version;
            if (outcome.work.seq != 0)
                writer->head = outcome.work.seq;
        }
    }
    store_rollback(store);
}

/* ---- groups ---- */

static size_t jobs_of(struct worker_job *const *waiting, size_t count, struct job **ret_jobs)
{
    size_t job_count = 0;

    for (size_t i = 0; i < count; i++) {
        const struct errand *errand = waiting[i]->context;

        if (errand->job != NULL)
            ret_jobs[job_count++] = errand->job;
    }
    return job_count;
}

/* Nobody else has committed up to now, so the next look need not begin before our own commit. */
static void pass_own(struct writer *writer, int64_t seq)
{
    struct problem problem = {0};
    int64_t version = 0;

    if (sql_data_version(sqlite_store_database(master_store(writer->master)), &version, &problem) ==
            RESULT_OK &&
        version == writer->data_version)
        writer->head = seq;
}

static void note_group(struct writer *writer, struct errand *first,
                       const struct master_outcome *outcome)
{
    if (outcome->work.seq == 0 && outcome->revoked_count == 0 && outcome->rescoped_count == 0)
        return;
    first->commit = note_create(outcome);
    if (first->commit == NULL)
        writer->data_version = -1; /* the next look tells it, from the head before */
    else if (outcome->work.seq != 0)
        pass_own(writer, outcome->work.seq);
}

/* A full disk does not stop the devices: the copy is behind then, and catches up. */
static void copy_audit(struct run *run, struct errand *first)
{
    struct writer *writer = &run->writer;
    struct problem problem = {0};
    enum result result = audit_copy_run(&writer->audit, master_store(writer->master), &problem);

    if (result == RESULT_OK)
        result = audit_newest_root(master_store(writer->master), &writer->root, &problem);
    if (result != RESULT_OK)
        log_problem(run->log, LOG_LEVEL_WARNING, "audit_copy_failed", result, &problem);
    first->root = writer->root;
}

/* Pages only make the next group faster, and there is none for now. */
static void rest(struct writer *writer)
{
    struct mono_time due = mono_after(writer->worked_at, WRITER_REST_US);

    if (writer->is_rested || !mono_is_due(due, clock_mono_now()))
        return;
    sql_release_memory(sqlite_store_database(master_store(writer->master)));
    writer->is_rested = true;
}

static void write_group(void *context, size_t thread_index, struct worker_job *const *waiting,
                        size_t count)
{
    (void)thread_index; /* there is one */
    struct run *run = context;
    struct writer *writer = &run->writer;
    struct errand *first = waiting[0]->context;
    struct job *jobs[RUN_GROUP_MAX];
    size_t job_count = jobs_of(waiting, count, jobs);
    struct master_outcome outcome = {0};
    struct mono_time begin;
    enum result result;

    if (writer->is_dead) { /* what is on disk is unknown: nothing more is written (or read) */
        for (size_t i = 0; i < job_count; i++)
            jobs[i]->result = RESULT_STORAGE;
        return;
    }
    look(writer, first);
    if (job_count == 0) {
        if (first->others_wrote)
            copy_audit(run, first);
        rest(writer);
        return;
    }
    begin = clock_mono_now();
    writer->worked_at = begin;
    writer->is_rested = false;
    result =
        master_write(writer->master, jobs, job_count, clock_wall_now(), &outcome, &first->problem);
    first->commit_us = clock_mono_now().us - begin.us;
    first->group_size = job_count;
    first->result = result;
    writer->is_dead = result == RESULT_STORAGE;
    if (result == RESULT_OK) {
        note_group(writer, first, &outcome);
        copy_audit(run, first);
    }
}

/* The first reader is always there; the others are opened for what it leaves waiting, and closed
 * when they have had nothing to do for a while: each costs some megabytes. */
static enum result open_reader(struct run *run, size_t index, struct problem *problem)
{
    struct master **reader = &run->readers[index];
    enum result result = setup_open_master(run->setup, true, &run->trace, reader, problem);

    if (result == RESULT_OK) /* pages that only the opening has read */
        sql_release_memory(sqlite_store_database(master_store(*reader)));
    return result;
}

static void read_batch(void *context, size_t thread_index, struct worker_job *const *waiting,
                       size_t count)
{
    struct run *run = context;
    struct errand *first = count == 0 ? NULL : waiting[0]->context;
    struct job *jobs[RUN_BATCH_MAX];
    size_t job_count = jobs_of(waiting, count, jobs);

    if (count == 0) {
        master_destroy(run->readers[thread_index]);
        run->readers[thread_index] = NULL;
        return;
    }
    first->result = run->readers[thread_index] != NULL
                        ? RESULT_OK
                        : open_reader(run, thread_index, &first->problem);
    for (size_t i = 0; i < job_count && first->result != RESULT_OK; i++)
        jobs[i]->result = RESULT_WAIT; /* each is handed over again a little later */
    if (first->result == RESULT_OK && job_count > 0)
        first->result = master_read(run->readers[thread_index], jobs, job_count, clock_wall_now(),
                                    &first->problem);
}

/* ---- back on the loop's thread ---- */

static void tell_commit(struct run *run, struct commit_note *note)
{
    if (note == NULL)
        return;
    run_step(run, (struct server_event){.kind = SERVER_EVENT_COMMITTED, .outcome = &note->outcome});
    note_destroy(note);
}

/* A full disk fails many groups a second, and a log may lie on it: once a minute is enough. */
static void tell_failure(struct run *run, const struct errand *errand, bool was_failing)
{
    struct mono_time now = clock_mono_now();

    if (errand->group_size > 0 && was_failing &&
        !mono_is_due(mono_after(run->failing_told, MINUTES(1)), now))
        return;
    run->failing_told = now;
    log_problem(run->log, LOG_LEVEL_WARNING, "group_failed", errand->result, &errand->problem);
}

/* Work that is under way can still be stored then; devices are told to wait when it is used up. */
static void give_reserve(struct run *run)
{
    uint64_t size = (uint64_t)config_number(run->config, "disk.reserve");
    uint64_t free_size = 0;
    struct problem problem = {0};
    bool is_given = false;
    enum result result;

    if (reserve_room(run->setup->folder, size, &free_size) == RESERVE_ROOM_AMPLE)
        return; /* something else is exhausted */
    result = reserve_give(run->setup->folder, &is_given, &problem);
    if (result != RESULT_OK)
        log_problem(run->log, LOG_LEVEL_WARNING, "reserve", result, &problem);
    else if (is_given)
        log_event(run->log, LOG_LEVEL_WARNING, "disk_full_reserve_given", LOG_NO_FIELDS);
}

static void tell_group(struct run *run, const struct errand *errand)
{
    bool was_failing = run->is_failing;

    if (errand->group_size > 0) {
        run->counts.group_count++;
        run->counts.group_jobs += (int64_t)errand->group_size;
        run->counts.commit_us += errand->commit_us;
        run->is_failing = errand->result != RESULT_OK;
    }
    if (errand->root.number > run->root.number)
        run->root = errand->root;
    if (errand->result == RESULT_STORAGE)
        run_fail(run, "store_failed", RESULT_STORAGE, &errand->problem, EXIT_CODE_DATABASE);
    else if (errand->result != RESULT_OK)
        tell_failure(run, errand, was_failing);
    else if (was_failing && !run->is_failing)
        log_event(run->log, LOG_LEVEL_NOTICE, "writes_go_on", LOG_NO_FIELDS);
    if (errand->result == RESULT_EXHAUSTED)
        give_reserve(run);
    tell_commit(run, errand->foreign);
    tell_commit(run, errand->commit);
    if (errand->others_wrote)
        run_step(run, (struct server_event){.kind = SERVER_EVENT_LOCAL_CHANGE});
}

static void errand_done(void *context)
{
    struct errand *errand = context;
    struct run *run = errand->run;

    tell_group(run, errand);
    if (errand->asked != NULL)
        errand->asked(errand->asked_context, errand->job);
    else
        run_step(run, (struct server_event){.kind = SERVER_EVENT_JOB_DONE, .job = errand->job});
    free(errand);
}

static void look_done(void *context)
{
    struct errand errand = *(const struct errand *)context; /* its place is free again */
    struct run *run = errand.run;

    run->is_looking = false;
    tell_group(run, &errand);
}

void run_look(struct run *run)
{
    struct problem problem = {0};

    if (run->is_looking || run->writer_worker == NULL)
        return;
    run->look = (struct errand){.run = run};
    run->look.worker_job = (struct worker_job){.done = look_done, .context = &run->look};
    run->is_looking =
        worker_submit(run->writer_worker, &run->look.worker_job, &problem) == RESULT_OK;
}

static void bounce(struct run *run, struct errand *errand)
{
    struct errand **at = &run->bounced;

    while (*at != NULL)
        at = &(*at)->next;
    errand->next = NULL;
    *at = errand;
}

static struct errand *errand_create(struct run *run, struct job *job)
{
    struct errand *errand = calloc(1, sizeof *errand);

    invariant(errand != NULL); /* a few hundred bytes, or nothing works any more */
    errand->run = run;
    errand->job = job;
    errand->worker_job = (struct worker_job){.done = errand_done, .context = errand};
    return errand;
}

static bool hand_over(struct run *run, struct errand *errand)
{
    struct worker *worker =
        job_is_write(errand->job->kind) ? run->writer_worker : run->reader_worker;
    struct problem problem = {0};

    return worker != NULL && worker_submit(worker, &errand->worker_job, &problem) == RESULT_OK;
}

void run_submit(struct run *run, struct job *job)
{
    struct errand *errand = errand_create(run, job);

    if (hand_over(run, errand))
        return;
    job->result = RESULT_WAIT;
    bounce(run, errand);
}

bool run_ask(struct run *run, struct job *job, void (*done)(void *context, struct job *job),
             void *done_context)
{
    struct errand *errand = errand_create(run, job);

    errand->asked = done;
    errand->asked_context = done_context;
    if (hand_over(run, errand))
        return true;
    free(errand);
    return false;
}

/* ---- life ---- */

static enum result start_writer(struct run *run, struct problem *problem)
{
    struct writer *writer = &run->writer;
    int64_t *numbers = NULL;
    size_t count = 0;
    enum result result =
        setup_open_master(run->setup, false, &run->trace, &writer->master, problem);

    arena_init(&writer->arena, LOOK_SIZE_MAX);
    if (result == RESULT_OK)
        result = sql_data_version(sqlite_store_database(master_store(writer->master)),
                                  &writer->data_version, problem);
    if (result == RESULT_OK)
        result = numbers_of(writer, "SELECT number FROM fs_state WHERE name='seq' AND ?1 = 0", 0,
                            &numbers, &count, problem);
    if (result == RESULT_OK && count > 0)
        writer->head = numbers[0];
    if (result == RESULT_OK)
        result = files_join(run->setup->folder, "audit.log", writer->audit.path, problem);
    return result;
}

enum result run_threads_start(struct run *run, struct problem *problem)
{
    struct worker_options writes = {
        .loop = run->loop,
        .name = "writer",
        .thread_count = 1,
        .queue_count_max = RUN_QUEUE_MAX,
        .gather = write_group,
        .gather_context = run,
        .group_count_max = RUN_GROUP_MAX,
    };
    struct worker_options reads = writes;
    enum result result = start_writer(run, problem);

    reads.name = "reader";
    reads.gather = read_batch;
    reads.group_count_max = RUN_BATCH_MAX;
    reads.thread_count = (size_t)config_number(run->config, "serve.readers");
    reads.idle_ms = READER_IDLE_MS;
    if (result == RESULT_OK) /* pages that only the start has read */
        sql_release_memory(sqlite_store_database(master_store(run->writer.master)));
    if (result == RESULT_OK)
        result = worker_create(&writes, &run->writer_worker, problem);
    if (result == RESULT_OK)
        result = worker_create(&reads, &run->reader_worker, problem);
    /* The first reader opens on its own thread: reading the schema takes as long as the rest of the
     * start, and nobody asks before he has a socket. */
    run->warm_up = (struct errand){.run = run};
    run->warm_up.worker_job = (struct worker_job){.context = &run->warm_up};
    if (result == RESULT_OK)
        result = worker_submit(run->reader_worker, &run->warm_up.worker_job, problem);
    return result;
}

void run_threads_stop(struct run *run)
{
    if (run->reader_worker != NULL)
        worker_stop(run->reader_worker);
    if (run->writer_worker != NULL)
        worker_stop(run->writer_worker);
    worker_destroy(run->reader_worker);
    worker_destroy(run->writer_worker);
    run->reader_worker = run->writer_worker = NULL;
}
