/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
/* crowd: thousands of devices in one process that keep nothing (client.h), for measuring a server
 * with more of them than real replicas fit beside it.
 *
 *     crowd PORT ROOT_KEY_HEX TEMPLATE SCRIPTS COUNT
 *
 * TEMPLATE, a replica that was never enrolled, and SCRIPTS, a data folder with the company's schema
 * scripts, give the catalog. On stdin COUNT lines of 96 hex digits, token id and secret of a fresh
 * enrolment code each; then commands, one line each, that answer with one line on stdout:
 *
 *     enrol WINDOW     each device uses its code
 *                      enrolled US DEVICES
 *     connect WINDOW   all sessions, WINDOW dialling at a time
 *                      connected US DEVICES TRIES P50 P99 MOST: from a device's turn to WELCOME
 *     fetch WINDOW     the same as devices that have nothing yet
 *                      fetched US DEVICES TRIES P50 P99 MOST: from WELCOME until all is visible
 *     settle MS        until nothing came for so long
 *                      settled
 *     drop             all connections end
 *                      dropped
 *     push FILE        one seal a device, all at once
 *                      pushed US CHANGES EXCEPTIONS P50 P99 MOST: from the first send to a verdict
 *     pages COUNT      one device after the other asks for all rows of a bucket
 *                      paged US COUNT P50 P99 MOST: from the question to its rows
 *     watch            from now on a line for each publication of each device
 *                      published NS DEVICE
 *
 * FILE has a line a change, grouped by device and in the order of table numbers, with tabs between:
 * DEVICE, i or u, table, id (0: a new one), and then pairs of a column and "i123" or "ttext".
 *
 * Ends with the end of stdin, or when the server does what it mustn't. */
#include "tests/bench/crowd.h"

#include "edge/clock.h"
#include "edge/entropy.h"
#include "edge/scripts.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MEMBERS_MAX = 20000,
    SEED_SIZE = IDENTITY_TOKEN_ID_SIZE + PSK_SIZE,
    ARENA_SIZE = 64 * 1024 * 1024,
    ROOM_SIZE = 1024 * 1024,
};
#define TICK_US        MILLISECONDS(10)
#define PATIENCE_US    SECONDS(15) /* for WELCOME, then the device hangs up itself */
#define BACKOFF_MIN_US SECONDS(1)
#define BACKOFF_MAX_US MINUTES(5)

void crowd_fail(struct crowd *crowd, const char *what)
{
    fprintf(stderr, "crowd: %s\n", what);
    crowd->has_failed = true;
    if (crowd->loop != NULL)
        loop_stop(crowd->loop);
}

static int64_t us_since(struct mono_time then)
{
    return clock_mono_now().us - then.us;
}

/* ---- ends of tasks ---- */

static int compare_numbers(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a;
    int64_t other = *(const int64_t *)b;

    return (one > other) - (one < other);
}

/* Median, 99th percentile and the largest. */
static void print_times(int64_t *times, size_t count)
{
    if (count > 0) {
        qsort(times, count, sizeof *times, compare_numbers);
        printf(" %" PRId64 " %" PRId64 " %" PRId64, times[count / 2], times[count * 99 / 100],
               times[count - 1]);
    }
    printf("\n");
}

static void print_members(struct crowd *crowd)
{
    int64_t *times = calloc(crowd->count + 1, sizeof *times);
    size_t count = 0;

    for (size_t i = 0; i < crowd->count && times != NULL; i++)
        if (crowd->members[i].is_wanted)
            times[count++] = crowd->members[i].took_us;
    print_times(times, count);
    free(times);
}

static void end_task(struct crowd *crowd)
{
    enum task task = crowd->task;

    crowd->task = NO_TASK;
    if (task == ENROL)
        printf("enrolled %" PRId64 " %zu\n", us_since(crowd->began_at), crowd->done_count);
    if (task == SETTLE)
        printf("settled\n");
    if (task == CONNECT || task == FETCH)
        printf("%s %" PRId64 " %zu %" PRId64, task == FETCH ? "fetched" : "connected",
               us_since(crowd->began_at), crowd->done_count, crowd->retries);
    if (task == PUSH)
        printf("pushed %" PRId64 " %" PRId64 " %" PRId64, us_since(crowd->began_at), crowd->changes,
               crowd->exceptions);
    if (task == CONNECT || task == FETCH || task == PUSH)
        print_members(crowd);
    if (task == PAGES) {
        printf("paged %" PRId64 " %zu", us_since(crowd->began_at), crowd->paged_count);
        print_times(crowd->page_us, crowd->paged_count);
    }
    (void)fflush(stdout);
}

static void reach_goal(struct member *member)
{
    struct crowd *crowd = member->crowd;

    if (member->is_there)
        return;
    member->is_there = true;
    member->took_us = us_since(crowd->task == PUSH ? crowd->began_at : member->begun_at);
    crowd->done_count++;
    crowd->open_count--;
    if (crowd->done_count == (crowd->task == PUSH ? crowd->begun_count : crowd->count))
        end_task(crowd);
}

/* ---- connections ---- */

static int64_t draw_below(int64_t bound)
{
    return (int64_t)(entropy_seed() % (uint64_t)bound);
}

/* When an agent would (agent/core/agent.c). */
static void try_again(struct member *member, int64_t wait_us)
{
    int64_t bound = BACKOFF_MIN_US;
    int64_t delay;

    for (int i = 0; i < member->tries && bound < BACKOFF_MAX_US; i++)
        bound *= 2;
    delay = BACKOFF_MIN_US + draw_below(bound);
    if (wait_us > 0) {
        wait_us += draw_below(wait_us / 4 + 1);
        delay = delay > wait_us ? delay : wait_us;
    }
    wire_close(&member->wire);
    client_disconnected(&member->client);
    member->crowd->retries++;
    member->try_at = mono_after(clock_mono_now(), delay);
}

static void dial(struct member *member)
{
    struct crowd *crowd = member->crowd;
    struct problem problem = {0};
    uint8_t seed[32];

    entropy_fill(seed, sizeof seed);
    member->try_at.us = 0;
    member->tries++;
    member->tried_at = clock_mono_now();
    if (client_dial(&member->client, seed, clock_wall_now(), &problem) != RESULT_OK ||
        wire_open(&member->wire, (size_t)(member - crowd->members), &problem) != RESULT_OK)
        crowd_fail(crowd, problem.text);
}

static bool is_dial(enum task task)
{
    return task == ENROL || task == CONNECT || task == FETCH;
}

static void begin_next(struct crowd *crowd)
{
    bool is_dialling = is_dial(crowd->task);

    while (is_dialling && crowd->begun_count < crowd->count && crowd->open_count < crowd->window &&
           !crowd->has_failed) {
        struct member *member = &crowd->members[crowd->begun_count++];

        member->begun_at = clock_mono_now();
        crowd->open_count++;
        dial(member);
    }
}

static void send_message(void *context, struct bytes message)
{
    struct member *member = context;
    struct problem problem = {0};
    enum result result;

    if (member->crowd->is_sealing) {
        result = buffer_append(&member->sealed, &message.size, sizeof message.size, &problem);
        if (result == RESULT_OK)
            result = buffer_append(&member->sealed, message.data, message.size, &problem);
    } else {
        result = wire_send(&member->wire, message, &problem);
    }
    if (result != RESULT_OK)
        crowd_fail(member->crowd, problem.text);
}

static void ask_page(struct crowd *crowd)
{
    struct problem problem = {0};

    crowd->asked_at = clock_mono_now();
    if (client_ask_rows(&crowd->members[crowd->paged_count % crowd->count].client, &crowd->arena,
                        &problem) != RESULT_OK)
        crowd_fail(crowd, problem.text);
}

static void note_page(struct crowd *crowd, const struct member *member)
{
    if (crowd->task != PAGES || member != &crowd->members[crowd->paged_count % crowd->count])
        return;
    crowd->page_us[crowd->paged_count++] = us_since(crowd->asked_at);
    if (crowd->paged_count == crowd->page_count)
        end_task(crowd);
    else
        ask_page(crowd);
}

static void on_client_event(struct member *member, const struct client_event *event)
{
    struct crowd *crowd = member->crowd;

    switch (event->kind) {
    case CLIENT_NOTHING:
    case CLIENT_PING:
        break;
    case CLIENT_ENROLLED:
        wire_close(&member->wire);
        client_disconnected(&member->client);
        reach_goal(member);
        break;
    case CLIENT_LIVE:
        if (crowd->task == CONNECT)
            reach_goal(member);
        member->begun_at = clock_mono_now(); /* of what comes now */
        break;
    case CLIENT_PUBLISH:
        if (crowd->task == FETCH)
            reach_goal(member);
        if (crowd->is_watching)
            printf("published %" PRId64 " %zu\n", clock_mono_now().us * 1000,
                   (size_t)(member - crowd->members));
        break;
    case CLIENT_ROWS:
        note_page(crowd, member);
        break;
    case CLIENT_VERDICT:
        crowd->exceptions += (int64_t)event->exception_count;
        reach_goal(member);
        break;
    case CLIENT_ERROR:
        crowd_fail(crowd, "the server takes no seal");
        break;
    case CLIENT_LATER:
    case CLIENT_BYE:
        if (member->is_there)
            crowd_fail(crowd, "the server has sent a device away");
        try_again(member, MILLISECONDS(event->retry_after_ms));
        break;
    }
}

static void on_received(void *context, struct bytes message)
{
    struct member *member = context;
    struct client_event event = {0};
    struct problem problem = {0};

    arena_reset(&member->crowd->arena);
    if (client_receive(&member->client, message, &member->crowd->arena, &event, &problem) ==
        RESULT_OK)
        on_client_event(member, &event);
    else
        crowd_fail(member->crowd, problem.text);
    if (event.kind != CLIENT_PING) /* of ten thousand one comes each few milliseconds */
        member->crowd->heard_at = clock_mono_now();
    begin_next(member->crowd);
}

static void on_closed(void *context)
{
    struct member *member = context;

    if (member->is_there)
        crowd_fail(member->crowd, "the server has closed a device's session");
    else
        try_again(member, 0);
}

static void on_timer(void *context)
{
    struct crowd *crowd = context;
    struct mono_time now = clock_mono_now();

    for (size_t i = 0; i < crowd->begun_count; i++) {
        struct member *member = &crowd->members[i];

        if (member->is_there || crowd->task == PUSH)
            continue;
        if (member->try_at.us != 0 && mono_is_due(member->try_at, now))
            dial(member);
        else if (member->try_at.us == 0 && us_since(member->tried_at) > PATIENCE_US)
            try_again(member, 0);
    }
    if (crowd->task == SETTLE && us_since(crowd->heard_at) > crowd->quiet_us)
        end_task(crowd);
    if (crowd->is_watching)
        (void)fflush(stdout);
    loop_timer_set(crowd->timer, mono_after(now, TICK_US));
}

/* ---- commands ---- */

static void begin_task(struct crowd *crowd, enum task task)
{
    crowd->task = task;
    crowd->began_at = crowd->heard_at = clock_mono_now();
    crowd->begun_count = crowd->done_count = crowd->open_count = 0;
    crowd->retries = crowd->changes = crowd->exceptions = 0;
    for (size_t i = 0; i < crowd->count; i++) {
        crowd->members[i].is_wanted = is_dial(task);
        crowd->members[i].is_there = !crowd->members[i].is_wanted;
        crowd->members[i].tries = 0;
        if (task == FETCH)
            client_forget_rows(&crowd->members[i].client);
    }
}

static void drop(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++) {
        wire_close(&crowd->members[i].wire);
        client_disconnected(&crowd->members[i].client);
    }
    printf("dropped\n");
    (void)fflush(stdout);
}

static void obey(struct crowd *crowd, const char *line)
{
    static const struct {
        const char *name;
        enum task task;
    } DIALS[] = {{"enrol ", ENROL}, {"connect ", CONNECT}, {"fetch ", FETCH}};

    for (size_t i = 0; i < sizeof DIALS / sizeof *DIALS; i++)
        if (strncmp(line, DIALS[i].name, strlen(DIALS[i].name)) == 0) {
            begin_task(crowd, DIALS[i].task);
            crowd->window = (size_t)strtoull(line + strlen(DIALS[i].name), NULL, 10);
            begin_next(crowd);
            return;
        }
    if (strncmp(line, "push ", 5) == 0) {
        begin_task(crowd, PUSH);
        crowd_push(crowd, line + 5);
    } else if (strncmp(line, "pages ", 6) == 0) {
        begin_task(crowd, PAGES);
        crowd->paged_count = 0;
        crowd->page_count = (size_t)strtoull(line + 6, NULL, 10);
        if (crowd->page_count > CROWD_PAGES_MAX)
            crowd->page_count = CROWD_PAGES_MAX;
        ask_page(crowd);
    } else if (strncmp(line, "settle ", 7) == 0) {
        crowd->quiet_us = MILLISECONDS(strtoll(line + 7, NULL, 10));
        begin_task(crowd, SETTLE);
    } else if (strcmp(line, "watch") == 0) {
        crowd->is_watching = true;
    } else if (strcmp(line, "drop") == 0) {
        drop(crowd);
    } else {
        crowd_fail(crowd, "unknown command");
    }
}

static void take_line(struct crowd *crowd)
{
    struct member *member = &crowd->members[crowd->seed_count];
    uint8_t seed[SEED_SIZE];
    uint8_t secret[NOISE_KEY_SIZE];

    if (crowd->seed_count == crowd->count) {
        obey(crowd, crowd->line);
        return;
    }
    if (!bytes_from_hex(crowd->line, seed, sizeof seed)) {
        crowd_fail(crowd, "a seed isn't one");
        return;
    }
    memcpy(member->client.token_id, seed, IDENTITY_TOKEN_ID_SIZE);
    memcpy(member->client.psk, seed + IDENTITY_TOKEN_ID_SIZE, PSK_SIZE);
    entropy_fill(secret, sizeof secret);
    noise_keypair_from(secret, &member->client.keys);
    crowd->seed_count++;
}

static void on_input(struct ev_loop *loop, struct ev_io *watcher, int events)
{
    struct crowd *crowd = watcher->data;
    char room[CROWD_LINE_SIZE_MAX];
    ssize_t size = read(STDIN_FILENO, room, sizeof room);

    (void)loop;
    (void)events;
    if (size <= 0)
        loop_stop(crowd->loop);
    for (ssize_t i = 0; i < size; i++) {
        if (room[i] != '\n' && crowd->line_size < sizeof crowd->line - 1) {
            crowd->line[crowd->line_size++] = room[i];
            continue;
        }
        crowd->line[crowd->line_size] = '\0';
        crowd->line_size = 0;
        take_line(crowd);
    }
}

/* ---- beginning ---- */

static enum result open_template(struct crowd *crowd, const char *path, const char *folder,
                                 struct arena *arena, struct problem *problem)
{
    struct replica_options options = {.path = path};
    const struct script *scripts = NULL;
    struct replica_script *extras = NULL;
    size_t count = 0;
    enum result result = scripts_read(folder, arena, &scripts, &count, problem);

    if (result != RESULT_OK)
        return result;
    extras = arena_array(arena, count + 1, sizeof *extras);
    if (extras == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < count; i++)
        extras[i] = (struct replica_script){scripts[i].name, scripts[i].text};
    options.extras = extras;
    options.extra_count = count;
    return replica_open(&options, &crowd->template, problem);
}

static enum result make_members(struct crowd *crowd, struct problem *problem)
{
    crowd->members = calloc(crowd->count + 1, sizeof *crowd->members);
    if (crowd->members == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory");
    for (size_t i = 0; i < crowd->count; i++) {
        struct member *member = &crowd->members[i];

        member->crowd = crowd;
        member->client = (struct client){.catalog = replica_catalog(crowd->template),
                                         .app_version = "bench",
                                         .root_key = crowd->root_key,
                                         .send = send_message,
                                         .context = member};
        wire_init(&member->wire, &crowd->wires, member);
        buffer_init(&member->sealed, LIMIT_BODY_SIZE_MAX);
    }
    return RESULT_OK;
}

static enum result begin(struct crowd *crowd, char **arguments, struct arena *arena,
                         struct problem *problem)
{
    const struct loop_options options = {.descriptor_count_max = MEMBERS_MAX + 100};
    enum result result;

    crowd->count = (size_t)strtoull(arguments[5], NULL, 10);
    crowd->wires = (struct wires){.port = (uint16_t)strtoul(arguments[1], NULL, 10),
                                  .protocol = "fieldsync.1",
                                  .received = on_received,
                                  .closed = on_closed};
    if (crowd->count > MEMBERS_MAX ||
        !bytes_from_hex(arguments[2], crowd->root_key, sizeof crowd->root_key))
        return problem_set(problem, RESULT_REFUSED, "bad key, or more than %d devices",
                           MEMBERS_MAX);
    result = open_template(crowd, arguments[3], arguments[4], arena, problem);
    if (result == RESULT_OK)
        result = loop_create(&options, &crowd->loop, problem);
    if (result == RESULT_OK)
        result = wires_init(&crowd->wires, problem);
    if (result == RESULT_OK)
        result = loop_timer_create(crowd->loop, on_timer, crowd, &crowd->timer, problem);
    if (result != RESULT_OK)
        return result;
    crowd->wires.loop = loop_ev(crowd->loop);
    ev_io_init(&crowd->input, on_input, STDIN_FILENO, EV_READ);
    crowd->input.data = crowd;
    ev_io_start(crowd->wires.loop, &crowd->input);
    loop_timer_set(crowd->timer, clock_mono_now());
    return make_members(crowd, problem);
}

static void finish(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count && crowd->members != NULL; i++) {
        wire_close(&crowd->members[i].wire);
        client_done(&crowd->members[i].client);
        buffer_done(&crowd->members[i].sealed);
    }
    free(crowd->members);
    loop_timer_destroy(crowd->timer);
    if (crowd->wires.loop != NULL)
        ev_io_stop(crowd->wires.loop, &crowd->input);
    wires_done(&crowd->wires);
    loop_destroy(crowd->loop);
    replica_close(crowd->template);
}

int main(int argc, char **argv)
{
    static struct crowd crowd;
    struct arena arena;
    struct problem problem = {0};

    if (argc != 6 || sodium_init() < 0) {
        fprintf(stderr, "usage: crowd PORT ROOT_KEY_HEX TEMPLATE SCRIPTS COUNT\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOFBF,
            ROOM_SIZE); /* a line for each of thousands mustn't cost a write */
    arena_init(&arena, ARENA_SIZE);
    arena_init(&crowd.arena, ARENA_SIZE);
    if (begin(&crowd, argv, &arena, &problem) == RESULT_OK)
        loop_run(crowd.loop);
    else
        crowd_fail(&crowd, problem.text);
    finish(&crowd);
    arena_done(&crowd.arena);
    arena_done(&arena);
    return crowd.has_failed ? 1 : 0;
}
