/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/world.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SAME_TIME_MAX = 20000, STORY_SHOWN = 6000 };

/* ---- telling ---- */

void world_say(struct world *world, const char *format, ...)
{
    struct sim_text line = {0};
    char text[600];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (const char *at = text; *at != '\0'; at++)
        world->trace_hash = (world->trace_hash ^ (uint8_t)*at) * UINT64_C(1099511628211);
    sim_text_add(&line, "%11.6f %s\n", (double)world->now_us / 1e6, text);
    if (world->is_traced)
        (void)fputs(line.text, stdout);
    if (world->story.size > world->story_size_max) { /* keep the newer half */
        size_t half = world->story.size / 2;

        memmove(world->story.text, world->story.text + half, world->story.size - half + 1);
        world->story.size -= half;
    }
    sim_text_add(&world->story, "%s", line.text);
    free(line.text);
}

_Noreturn void world_fail(struct world *world, const char *format, ...)
{
    char scenario[SCENARIO_TEXT_SIZE];
    char text[1200];
    const char *story = world->story.text == NULL ? "" : world->story.text;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (world->on_failure != NULL)
        world->on_failure(world, text);
    scenario_format(&world->scenario, scenario);
    if (!world->is_traced)
        (void)fprintf(stderr, "...\n%s",
                      story +
                          (world->story.size > STORY_SHOWN ? world->story.size - STORY_SHOWN : 0));
    (void)fflush(stdout);
    (void)fprintf(stderr, "\nFAILED at %.6f s: %s\nseed %" PRIu64 ": %s\n",
                  (double)world->now_us / 1e6, text, world->scenario.seed, scenario);
    (void)fflush(stderr);
    _exit(1);
}

/* ---- time, chance, events ---- */

struct wall_time world_wall(struct world *world, int node)
{
    int64_t skew_us = node == WORLD_OFFICE ? world->server_skew_us : world->agents[node].skew_us;
    int64_t drift_ppm = node == WORLD_OFFICE ? 0 : world->scenario.drift_ppm[node];

    return (struct wall_time){world->base_us + world->now_us + skew_us +
                              world->now_us / 1000000 * drift_ppm};
}

void world_enter(struct world *world, int node)
{
    world->disk.now = world_wall(world, node);
}

/* ---- disks ---- */

int world_machine(int node)
{
    return node + 1; /* the server's is the first */
}

struct disk_machine *world_disk(struct world *world, int node)
{
    return &world->disk.machines[world_machine(node)];
}

void world_arm(struct world *world, int node)
{
    world_enter(world, node);
    disk_arm(&world->disk, world_machine(node));
}

void world_count(struct world *world, enum fault fault)
{
    world->counts.fired[fault]++;
}

void world_disarm(struct world *world)
{
    static const enum fault FAULTS[DISK_TROUBLE_COUNT] = {
        [DISK_READ_ERROR] = FAULT_READ_ERROR, [DISK_WRITE_ERROR] = FAULT_WRITE_ERROR,
        [DISK_SYNC_ERROR] = FAULT_SYNC_ERROR, [DISK_FULL] = FAULT_DISK_FULL,
        [DISK_SHORT_READ] = FAULT_SHORT_READ, [DISK_FLIPPED_BIT] = FAULT_FLIPPED_BIT,
        [DISK_SLOW] = FAULT_SLOW_DISK,
    };
    struct disk_machine *machine = &world->disk.machines[world->disk.armed];

    disk_disarm(&world->disk);
    for (int i = 0; i < DISK_DEATH; i++) {
        if (machine->struck[i] != 0)
            world_say(world, "disk of %s: %s", machine->path + strlen(world->folder) + 1,
                      fault_name(FAULTS[i]));
        world->counts.fired[FAULTS[i]] += machine->struck[i];
        machine->struck_count += machine->struck[i];
        machine->struck[i] = 0;
    }
}

int64_t world_draw(struct world *world, int64_t least, int64_t most)
{
    if (most <= least)
        return least;
    return least + (int64_t)prng_below(&world->prng, (uint64_t)(most - least) + 1);
}

bool world_chance(struct world *world, uint64_t per_million)
{
    return prng_below(&world->prng, 1000000) < per_million;
}

int64_t world_draw_pause(struct world *world, int64_t mean_us)
{
    return world_draw(world, mean_us / 10, mean_us * 2);
}

void world_marker(struct world *world, char kind, char ret_text[32])
{
    (void)snprintf(ret_text, 32, "%c%" PRIu64 "~", kind, ++world->marker_last);
}

static bool is_before(const struct world_event *a, const struct world_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

void world_push(struct world *world, int64_t delay_us, struct world_event event)
{
    size_t place = world->event_count;

    invariant(delay_us >= 0);
    event.at_us = world->now_us + delay_us;
    event.order = ++world->event_order;
    if (world->event_count == world->event_room) {
        world->event_room = world->event_room * 2 + 64;
        world->events = sim_grow(world->events, world->event_room, sizeof *world->events);
    }
    world->event_count++;
    while (place > 0 && is_before(&event, &world->events[(place - 1) / 2])) {
        world->events[place] = world->events[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    world->events[place] = event;
}

struct world_event world_pop(struct world *world)
{
    struct world_event first = world->events[0];
    struct world_event last = world->events[--world->event_count];
    size_t place = 0;

    for (;;) {
        size_t child = place * 2 + 1;

        if (child + 1 < world->event_count &&
            is_before(&world->events[child + 1], &world->events[child]))
            child++;
        if (child >= world->event_count || !is_before(&world->events[child], &last))
            break;
        world->events[place] = world->events[child];
        place = child;
    }
    if (world->event_count != 0)
        world->events[place] = last;
    return first;
}

/* ---- what happens by itself ---- */

void world_push_for(struct world *world, enum event_kind kind, int agent, int64_t mean_us)
{
    if (mean_us > 0)
        world_push(world, world_draw_pause(world, mean_us),
                   (struct world_event){.kind = kind, .agent = agent});
}

static void on_work(struct world *world, const struct world_event *event)
{
    if (!world->has_workload)
        return;
    if (event->kind == EVENT_EDIT) {
        people_edit(world, event->agent);
        world_push_for(world, EVENT_EDIT, event->agent, world->scenario.edit_every_us);
    } else {
        office_edit(world);
        world_push_for(world, EVENT_OFFICE, 0, world->scenario.office_every_us);
    }
}

static void handle(struct world *world, const struct world_event *event)
{
    switch (event->kind) {
    case EVENT_DIAL:
    case EVENT_FAIL:
    case EVENT_CONNECTED:
    case EVENT_MESSAGE:
    case EVENT_DRAINED:
    case EVENT_CLOSED:
        network_event(world, event);
        break;
    case EVENT_WRITE:
    case EVENT_WROTE:
    case EVENT_READ:
    case EVENT_JOB:
    case EVENT_SERVER_CHANGE:
    case EVENT_SERVER_START:
        server_node_event(world, event);
        break;
    case EVENT_AGENT_CHANGE:
    case EVENT_AGENT_ROTATE:
    case EVENT_AGENT_START:
    case EVENT_AGENT_SYNC:
        agent_node_event(world, event);
        break;
    case EVENT_EDIT:
    case EVENT_OFFICE:
        on_work(world, event);
        break;
    case EVENT_FAULT:
    case EVENT_FAULT_END:
        faults_event(world, event);
        break;
    }
}

/* The node whose deadline is first; WORLD_OFFICE the server's. */
static int64_t next_deadline(struct world *world, int *ret_node)
{
    int64_t first_us = INT64_MAX;

    if (world->server.is_running) {
        first_us = server_deadline(world->server.core).us;
        *ret_node = WORLD_OFFICE;
    }
    for (size_t i = 0; i < world->scenario.agent_count; i++) {
        struct world_agent *agent = &world->agents[i];
        int64_t deadline_us = agent->is_running && agent->stopped_until_us <= world->now_us
                                  ? agent_deadline(agent->core).us
                                  : INT64_MAX;

        if (deadline_us < first_us) {
            first_us = deadline_us;
            *ret_node = (int)i;
        }
    }
    return first_us < world->now_us ? world->now_us : first_us;
}

static void fire_deadline(struct world *world, int node)
{
    struct server_event server_event = {.kind = SERVER_EVENT_DEADLINE};
    struct agent_event agent_event = {.kind = AGENT_EVENT_DEADLINE};

    if (node == WORLD_OFFICE)
        server_node_step(world, &server_event);
    else
        agent_node_step(world, node, &agent_event);
}

/* What is for a process that stands still waits in the system's queues, in its order: all of it to
 * the next full fifth of a second, again and again. */
static bool is_held_up(struct world *world, const struct world_event *event)
{
    bool is_to_agent = event->direction == TO_AGENT;

    switch (event->kind) {
    case EVENT_MESSAGE:
    case EVENT_CLOSED:
        break;
    case EVENT_DRAINED:
        is_to_agent = event->direction == TO_SERVER; /* it is the sender that hears of it */
        break;
    case EVENT_CONNECTED:
    case EVENT_FAIL:
    case EVENT_AGENT_CHANGE:
    case EVENT_AGENT_SYNC:
        is_to_agent = true;
        break;
    default:
        return false;
    }
    if (!is_to_agent || world->agents[event->agent].stopped_until_us <= world->now_us)
        return false;
    world_push(world, MILLISECONDS(200) - world->now_us % MILLISECONDS(200), *event);
    return true;
}

static void advance(struct world *world, int64_t to_us, int node)
{
    if (to_us > world->now_us) {
        world->now_us = to_us;
        world->same_time_count = 0;
    } else if (++world->same_time_count > SAME_TIME_MAX) {
        world_fail(world, "G6: the clock stands still: %s spins",
                   node == WORLD_OFFICE ? "the server" : world->agents[node].name);
    }
}

void world_pass(struct world *world, int64_t time_us)
{
    int64_t end_us = world->now_us + time_us;

    for (;;) {
        int node = WORLD_OFFICE;
        int64_t deadline_us = next_deadline(world, &node);
        int64_t event_us = world->event_count == 0 ? INT64_MAX : world->events[0].at_us;

        if (deadline_us > end_us && event_us > end_us)
            break;
        if (event_us <= deadline_us) {
            struct world_event event = world_pop(world);

            advance(world, event.at_us, event.agent);
            if (is_held_up(world, &event))
                continue;
            handle(world, &event);
            free(event.bytes);
        } else {
            advance(world, deadline_us, node);
            fire_deadline(world, node);
        }
    }
    world->now_us = end_us;
}

/* ---- the end of a run ---- */

static bool is_on_its_way(struct world *world, const struct world_event *event)
{
    if (event->kind == EVENT_MESSAGE)
        return !network_link(world, event->link)->is_cut;
    return event->kind == EVENT_WRITE || event->kind == EVENT_WROTE || event->kind == EVENT_READ ||
           event->kind == EVENT_JOB || event->kind == EVENT_SERVER_CHANGE ||
           event->kind == EVENT_AGENT_CHANGE;
}

bool world_is_settled(struct world *world)
{
    if (!world->server.is_running ||
        server_status(world->server.core).live_count != world->scenario.agent_count)
        return false;
    for (size_t i = 0; i < world->event_count; i++)
        if (is_on_its_way(world, &world->events[i]))
            return false;
    for (size_t i = 0; i < world->scenario.agent_count; i++) {
        struct world_agent *agent = &world->agents[i];

        if (!agent->is_running || !agent_status(agent->core).is_idle ||
            agent_node_state(world, (int)i, "published_seq") == 0)
            return false;
    }
    return true;
}

bool world_wait(struct world *world, int64_t limit_us)
{
    int64_t end_us = world->now_us + limit_us;

    while (world->now_us < end_us) {
        world_pass(world, MILLISECONDS(100));
        if (world_is_settled(world))
            return true;
    }
    return false;
}

void world_describe(struct world *world, struct sim_text *text)
{
    sim_text_add(text, "server %s, %zu sessions, %zu events wait",
                 world->server.is_running ? "runs" : "is down",
                 world->server.is_running ? server_status(world->server.core).live_count : 0,
                 world->event_count);
    for (size_t i = 0; i < world->scenario.agent_count; i++) {
        struct world_agent *agent = &world->agents[i];
        struct agent_status status = {0};

        if (!agent->is_running)
            continue;
        status = agent_status(agent->core);
        sim_text_add(text,
                     "; %s %s%s, %" PRId64 " unsealed, %" PRId64 " unacknowledged, at %" PRId64
                     " (%s)",
                     agent->name, agent_state_name(status.state), status.is_idle ? " idle" : "",
                     sim_integer(world, agent->database, "SELECT unsealed FROM fs_sync"),
                     sim_integer(world, agent->database, "SELECT unacknowledged FROM fs_sync"),
                     agent_node_state(world, (int)i, "published_seq"), status.last_failure);
    }
}

void world_settle(struct world *world)
{
    struct sim_text text = {0};

    world->has_faults = false;
    world->has_workload = false;
    world_say(world, "faults end");
    faults_end(world);
    if (!world->server.is_running)
        server_node_start(world);
    world_pass(world, SECONDS(6)); /* cut links and vain attempts are noticed */
    for (size_t i = 0; i < world->scenario.agent_count; i++) {
        struct agent_event event = {.kind = AGENT_EVENT_SYNC_NOW};

        if (!world->agents[i].is_running)
            agent_node_start(world, (int)i);
        agent_node_step(world, (int)i, &event);
    }
    if (world_wait(world, SECONDS(30)))
        return;
    world_describe(world, &text);
    world_fail(world, "G6: not everything is delivered 30 s after the faults ended: %s", text.text);
}

/* The first attachment whose content isn't where it should be: on the server, or on a device that
 * has asked for it and knows its row. */
static bool is_missing(struct world *world, sqlite3 *database, const struct sim_blobs *blobs,
                       const char *sql, char ret_name[LEDGER_VALUE_SIZE])
{
    sqlite3_stmt *statement = sim_prepare(world, database, sql);
    bool is_found = false;

    while (!is_found && sqlite3_step(statement) == SQLITE_ROW) {
        uint8_t hash[BLOB_STORE_HASH_SIZE] = {0};

        if (!bytes_from_hex((const char *)sqlite3_column_text(statement, 0), hash, sizeof hash))
            world_fail(world, "an attachment with the hash %s", sqlite3_column_text(statement, 0));
        is_found = !sim_blobs_is_whole(blobs, hash);
        if (is_found)
            (void)snprintf(ret_name, LEDGER_VALUE_SIZE, "%s", sqlite3_column_text(statement, 1));
    }
    sqlite3_finalize(statement);
    return is_found;
}

static bool blobs_are_missing(struct world *world, char ret_name[LEDGER_VALUE_SIZE])
{
    if (is_missing(world, world->server.office, &world->server.blobs,
                   "SELECT content_hash, name FROM attachment", ret_name))
        return true;
    for (size_t i = 0; i < world->scenario.agent_count; i++)
        if (is_missing(world, world->agents[i].database, &world->agents[i].blobs,
                       "SELECT a.content_hash, a.name FROM fs_blob AS b JOIN attachment AS a"
                       " ON a.content_hash = lower(hex(b.hash)) WHERE b.state IN (2, 3)",
                       ret_name))
            return true;
    return false;
}

void world_settle_blobs(struct world *world)
{
    char name[LEDGER_VALUE_SIZE] = "";
    int64_t end_us = world->now_us + MINUTES(20);

    while (blobs_are_missing(world, name)) {
        if (world->now_us > end_us)
            world_fail(world, "G6: the content of attachment %s isn't where it should be", name);
        world_pass(world, SECONDS(1));
    }
}
