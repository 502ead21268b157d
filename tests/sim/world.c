/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* dirfd, unlinkat */

#include "tests/sim/world.h"

#include "base/invariant.h"
#include "schema/load.h"
#include "schema/migrate.h"
#include "schema/triggers.h"
#include "server/core/devices.h"
#include "server/store/sqlite/sqlite_store.h"
#include "tests/sim/memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SAME_TIME_MAX = 20000, STORY_SIZE = 200000, STORY_SHOWN = 6000 };
#define BASE_US INT64_C(1772438400000000) /* 2026-03-02, 08:00 UTC */

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

static struct world_event pop(struct world *world)
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

static void push_for(struct world *world, enum event_kind kind, int agent, int64_t mean_us)
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
        push_for(world, EVENT_EDIT, event->agent, world->scenario.edit_every_us);
    } else {
        office_edit(world);
        push_for(world, EVENT_OFFICE, 0, world->scenario.office_every_us);
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
            struct world_event event = pop(world);

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

static void describe(struct world *world, struct sim_text *text)
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
    describe(world, &text);
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

/* ---- the beginning ---- */

static _Noreturn void prepare_failed(const struct problem *problem)
{
    (void)fprintf(stderr, "sim: %s\n", problem->text);
    exit(2);
}

static void prepare_server(const char *path)
{
    struct sql_options options = {.path = path, .profile = SQL_PROFILE_SERVER, .create = true};
    struct sqlite_store_options store_options = {.path = path};
    static const uint8_t SEED[DEVICES_INIT_SEED_SIZE] = {7};
    struct wall_time now = {BASE_US};
    struct sql_database *database = NULL;
    struct store *store = NULL;
    struct arena arena;
    struct catalog catalog = {0};
    struct problem problem = {0};

    arena_init(&arena, 16 * 1024 * 1024);
    if (sql_open(&options, &database, &problem) != RESULT_OK ||
        migrate_run(database, SCHEMA_SIDE_SERVER, NULL, 0, now, NULL, &problem) != RESULT_OK ||
        catalog_load(database, &arena, &catalog, &problem) != RESULT_OK ||
        triggers_install(database, &catalog, SCHEMA_SIDE_SERVER, NULL, &problem) != RESULT_OK)
        prepare_failed(&problem);
    sql_close(database);
    if (sqlite_store_open(&store_options, &catalog, &store, &problem) != RESULT_OK ||
        store_begin(store, STORE_WRITE, &problem) != RESULT_OK ||
        devices_init(store, SEED, &problem) != RESULT_OK ||
        store_commit(store, &problem) != RESULT_OK)
        prepare_failed(&problem);
    store_close(store);
    arena_done(&arena);
}

static void prepare_agent(const char *folder, const char *name, const struct vault_options *vault)
{
    char path[200];
    struct replica_options options = {.path = path, .vault = vault};
    struct replica *replica = NULL;
    struct problem problem = {0};

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (replica_open(&options, &replica, &problem) != RESULT_OK)
        prepare_failed(&problem);
    replica_close(replica);
}

void world_prepare(const char *folder)
{
    char path[200];
    struct disk *disk = sim_zero(sizeof *disk);
    struct prng prng;
    const struct vault_options vault = sim_vault_options(&prng);

    if (sodium_init() < 0)
        exit(2);
    memory_install();
    disk_install(disk, 1);
    disk->now.us = BASE_US;
    prng_init(&prng, 1);
    (void)snprintf(path, sizeof path, "%s/server.db", folder);
    prepare_server(path);
    prepare_agent(folder, "agent.db", NULL);
    prepare_agent(folder, "agent-sealed.db", &vault);
    disk_remove(disk);
    free(disk);
}

static void make_vault(struct world *world)
{
    const struct vault_options options = sim_vault_options(&world->vault_prng);
    struct problem problem = {0};

    prng_init(&world->vault_prng, world->scenario.seed ^ UINT64_C(0x5ea1ed));
    if (world->scenario.is_encrypted &&
        vault_create(&options, &world->vault, &problem) != RESULT_OK)
        world_fail(world, "%s", problem.text);
}

static void enrol_all(struct world *world)
{
    for (size_t i = 0; i < world->scenario.agent_count; i++) {
        struct world_agent *agent = &world->agents[i];
        char sql[120];

        agent_node_init(world, (int)i);
        (void)snprintf(sql, sizeof sql, "SELECT id FROM app_user WHERE login = '%s'", agent->name);
        agent->user_id = sim_integer(world, world->server.office, sql);
        server_node_invite(world, agent);
        agent_node_start(world, (int)i);
    }
    if (!world_wait(world, MINUTES(3))) {
        struct sim_text text = {0};

        describe(world, &text);
        world_fail(world, "the devices don't get ready: %s", text.text);
    }
}

static void begin(struct world *world)
{
    const struct scenario *scenario = &world->scenario;

    world->has_faults = true;
    world->has_workload = true;
    push_for(world, EVENT_OFFICE, 0, scenario->office_every_us);
    for (size_t i = 0; i < scenario->agent_count; i++)
        push_for(world, EVENT_EDIT, (int)i, scenario->edit_every_us);
    faults_begin(world);
}

struct world *world_found(const struct scenario *scenario, const char *folder, bool is_traced,
                          void (*on_failure)(struct world *, const char *))
{
    struct world *world = sim_zero(sizeof *world);
    char from[200];

    world->scenario = *scenario;
    world->on_failure = on_failure;
    world->is_traced = is_traced;
    world->base_us = BASE_US;
    world->story_size_max = STORY_SIZE;
    prng_init(&world->prng, scenario->seed);
    (void)snprintf(world->template_folder, sizeof world->template_folder, "%s", folder);
    (void)snprintf(world->folder, sizeof world->folder, "%s/world-%" PRIu64, folder,
                   scenario->seed);
    (void)mkdir(world->folder, 0700);
    disk_install(&world->disk, scenario->seed);
    world->disk.on_death = faults_on_death;
    world->disk.context = world;
    make_vault(world);
    world->agents = sim_zero(scenario->agent_count * sizeof *world->agents);
    (void)snprintf(world->server.path, sizeof world->server.path, "%s/server.db", world->folder);
    (void)snprintf(from, sizeof from, "%s/server.db", folder);
    sim_copy_file(world, from, world->server.path);
    disk_attach(&world->disk, world_machine(WORLD_OFFICE), world->server.path);
    sim_blobs_init(&world->server.blobs, &world->disk, world_machine(WORLD_OFFICE));
    server_node_init(world);
    server_node_start(world);
    office_fill(world);
    world_pass(world, SECONDS(3));
    enrol_all(world);
    return world;
}

struct world *world_create(const struct scenario *scenario, const char *folder, bool is_traced,
                           void (*on_failure)(struct world *, const char *))
{
    struct world *world = world_found(scenario, folder, is_traced, on_failure);

    begin(world);
    return world;
}

static void copy_folder(struct world *world, const char *from, const char *to)
{
    DIR *folder = opendir(from);
    const struct dirent *entry = NULL;

    if (folder == NULL || mkdir(to, 0700) != 0)
        world_fail(world, "can't copy %s to %s", from, to);
    while ((entry = readdir(folder)) != NULL) {
        char source[512];
        char target[512];

        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
        (void)snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
        sim_copy_file(world, source, target);
    }
    (void)closedir(folder);
}

void world_live(struct world *world, const struct scenario *scenario, bool is_traced)
{
    char home[sizeof world->folder];

    invariant(scenario->company == world->scenario.company &&
              scenario->agent_count == world->scenario.agent_count);
    invariant((size_t)snprintf(home, sizeof home, "%s/life-%" PRIu64, world->template_folder,
                               scenario->seed) < sizeof home);
    copy_folder(world, world->folder, home);
    disk_move(&world->disk, world->folder, home, scenario->seed);
    disk_move_path(world->server.path, sizeof world->server.path, world->folder, home);
    for (size_t i = 0; i < scenario->agent_count; i++)
        disk_move_path(world->agents[i].path, sizeof world->agents[i].path, world->folder, home);
    (void)snprintf(world->folder, sizeof world->folder, "%s", home);
    memory_leave();
    world->scenario = *scenario;
    world->is_traced = is_traced;
    prng_init(&world->prng, scenario->seed);
    prng_init(&world->vault_prng, scenario->seed ^ UINT64_C(0x5ea1ed) << 32);
    begin(world);
}

static void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry = NULL;

    while (folder != NULL && (entry = readdir(folder)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder == NULL || closedir(folder) != 0 || rmdir(path) != 0)
        (void)fprintf(stderr, "sim: %s stays\n", path);
}

void world_leave(struct world *world)
{
    remove_folder(world->folder);
}

void world_destroy(struct world *world)
{
    for (size_t i = 0; i < world->scenario.agent_count; i++) {
        agent_node_stop(world, (int)i);
        sim_blobs_done(&world->agents[i].blobs);
    }
    server_node_stop(world);
    sim_blobs_done(&world->server.blobs);
    while (world->event_count != 0) {
        struct world_event event = pop(world);

        if (event.kind == EVENT_JOB)
            server_node_event(world, &event);
        free(event.bytes);
    }
    remove_folder(world->folder);
    network_free(world);
    history_free(&world->history);
    arena_done(&world->server.catalog_arena);
    vault_destroy(world->vault);
    disk_remove(&world->disk);
    free(world->server.writes);
    free(world->server.running);
    free(world->server.reads);
    free(world->ledger.edits);
    judge_free(&world->judge);
    free(world->events);
    free(world->agents);
    free(world->story.text);
    free(world);
}
