/* SPDX-License-Identifier: Apache-2.0 */
/* The server's machine: core, writer, reader and file; jobs run in groups after some delay. */
#include "tests/sim/world.h"

#include "protocol/identity.h"
#include "schema/load.h"
#include "schema/scopes.h"
#include "server/core/devices.h"
#include "server/core/feed.h"
#include "server/service/service.h"
#include "server/store/sqlite/sqlite_store.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static void draw_bytes(struct world *world, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)prng_next(&world->prng);
}

static void write_trace(void *context, const char *line)
{
    world_say(context, "server: %s", line);
}

void server_node_rotate(struct world *world)
{
    struct world_server *server = &world->server;
    struct identity_signer root;
    uint8_t public_key[32];

    identity_signer_from(server->root_seed, &root);
    draw_bytes(world, server->secret, sizeof server->secret);
    if (crypto_scalarmult_base(public_key, server->secret) != 0)
        world_fail(world, "no public key");
    identity_certify(&root, ++server->key_serial, public_key, server->signature);
}

void server_node_init(struct world *world)
{
    struct world_server *server = &world->server;
    struct identity_signer root;

    draw_bytes(world, server->root_seed, sizeof server->root_seed);
    identity_signer_from(server->root_seed, &root);
    memcpy(server->root_public, root.public_key, sizeof server->root_public);
    server_node_rotate(world);
    server->trace = (struct trace){write_trace, world};
    arena_init(&server->catalog_arena, 16 * 1024 * 1024);
}

/* ---- start and end ---- */

static enum result load_catalog(struct world_server *server, struct problem *problem)
{
    struct sql_options options = {.path = server->path, .profile = SQL_PROFILE_SERVER};
    struct sql_database *database = NULL;
    enum result result = RESULT_OK;

    arena_reset(&server->catalog_arena);
    result = sql_open(&options, &database, problem);
    if (result == RESULT_OK)
        result = catalog_load(database, &server->catalog_arena, &server->catalog, problem);
    if (result == RESULT_OK)
        result = scopes_find(database, &server->catalog_arena, &server->catalog, problem);
    sql_close(database);
    return result;
}

static enum result open_master(struct world *world, bool is_reader, struct master **ret_master,
                               struct problem *problem)
{
    struct world_server *server = &world->server;
    struct sqlite_store_options store_options = {.path = server->path,
                                                 .is_reader = is_reader,
                                                 .wal_size_soft = world->scenario.checkpoint_bytes};
    struct master_options options = {.catalog = &server->catalog,
                                     .blobs = &server->blobs.store,
                                     .reactions = is_reader ? NULL : service_reactions(),
                                     .lease_s = server->lease_s,
                                     .departure_keep_us = world->scenario.departure_keep_us,
                                     .trace = &server->trace};
    enum result result =
        sqlite_store_open(&store_options, &server->catalog, &options.store, problem);

    if (result != RESULT_OK)
        return result;
    result = master_create(&options, ret_master, problem);
    if (result != RESULT_OK)
        store_close(options.store);
    else if (!is_reader)
        history_watch(&world->history, sql_handle(sqlite_store_database(options.store)));
    return result;
}

static enum result open_all(struct world *world, struct problem *problem)
{
    struct world_server *server = &world->server;
    enum result result = RESULT_OK;

    world_arm(world, WORLD_OFFICE);
    result = load_catalog(server, problem);
    if (result == RESULT_OK)
        result = open_master(world, false, &server->writer, problem);
    if (result == RESULT_OK)
        result = open_master(world, true, &server->reader, problem);
    world_disarm(world);
    return result;
}

static void close_all(struct world_server *server)
{
    master_destroy(server->writer);
    master_destroy(server->reader);
    server->writer = server->reader = NULL;
}

static void start_later(struct world *world)
{
    world_push(world, world_draw(world, MILLISECONDS(100), SECONDS(8)),
               (struct world_event){.kind = EVENT_SERVER_START, .life = world->server.life});
}

/* Nothing may fail by itself. */
static void check_excuse(struct world *world, const char *what, enum result result,
                         const struct problem *problem)
{
    if (world_disk(world, WORLD_OFFICE)->struck_count == 0)
        world_fail(world, "server: %s: %s: %s", what, result_name(result), problem->text);
    world_say(world, "server: %s: %s: %s", what, result_name(result), problem->text);
}

static void die(struct world *world);

/* The end may have come right after a commit: what nobody was told of is there all the same. */
static void catch_up(struct world *world)
{
    struct history *history = &world->history;

    if (sim_integer(world, history->database, "SELECT number FROM fs_state WHERE name = 'seq'") >
        history->head)
        history_commit(history);
    ledger_commit(world);
}

static bool open_or_later(struct world *world)
{
    struct world_server *server = &world->server;
    struct problem problem = {0};
    enum result result = open_all(world, &problem);

    if (result == RESULT_OK)
        return true;
    close_all(server);
    if (world_disk(world, WORLD_OFFICE)->is_dead) {
        die(world);
    } else {
        check_excuse(world, "it doesn't start", result, &problem);
        start_later(world);
    }
    return false;
}

void server_node_start(struct world *world)
{
    struct world_server *server = &world->server;
    struct server_options options = {
        .catalog = &server->catalog,
        .static_secret = server->secret,
        .key_serial = server->key_serial,
        .throttle = server->throttle,
        .root_signature = server->signature,
        .trace = &server->trace,
        .connections_max = 1000,
        .handshakes_per_address_max = 64,
        .rescope_interval_us = world->scenario.rescope_every_us,
    };
    struct problem problem = {0};

    if (!open_or_later(world))
        return;
    history_open(&world->history, world, server->path);
    if (server->life != 0)
        catch_up(world);
    server->office = sim_open(world, server->path);
    sim_exec(world, server->office, "PRAGMA foreign_keys = ON");
    history_watch(&world->history, server->office);
    options.head = world->history.head;
    if (server_create(&options, &server->core, &problem) != RESULT_OK)
        world_fail(world, "the server doesn't start: %s", problem.text);
    server->is_running = true;
    server->life++;
    world_say(world, "server: starts at %" PRId64, world->history.head);
}

static void drop_job(struct job *job)
{
    if (job->kind == JOB_RESUME || job->kind == JOB_FEED)
        feed_destroy(job->feed); /* its session is gone */
    job_destroy(job);
}

static void drop_jobs(struct job **jobs, size_t *count)
{
    for (size_t i = 0; i < *count; i++)
        drop_job(jobs[i]);
    *count = 0;
}

void server_node_stop(struct world *world)
{
    struct world_server *server = &world->server;

    if (!server->is_running)
        return;
    server->is_running = false;
    server_destroy(server->core);
    server->core = NULL;
    drop_jobs(server->writes, &server->write_count);
    drop_jobs(server->running, &server->running_count);
    drop_jobs(server->reads, &server->read_count);
    server->is_writing = false;
    server->is_reading = false;
    close_all(server);
    (void)sqlite3_close(server->office);
    server->office = NULL;
    history_close(&world->history);
}

static void lose_process(struct world *world)
{
    if (world->server.running_count != 0)
        world->counts.lost_acks++;
    network_lose_process(world, WORLD_OFFICE);
    server_node_stop(world);
}

/* The files of that moment are kept already; what is in memory is lost. */
static void die(struct world *world)
{
    struct world_server *server = &world->server;
    int machine = world_machine(WORLD_OFFICE);

    world_count(world, world->death[machine]);
    world_say(world, "server: %s, %zu results untold", fault_name(world->death[machine]),
              server->running_count);
    lose_process(world);
    sim_restore_files(world, server->path);
    disk_restart(&world->disk, machine);
    start_later(world);
}

static void end_now(struct world *world, enum fault how)
{
    if (!world->server.is_running)
        return;
    world->death[world_machine(WORLD_OFFICE)] = how;
    faults_on_death(world, world_machine(WORLD_OFFICE));
    die(world);
}

void server_node_crash(struct world *world)
{
    end_now(world, FAULT_SERVER_KILL);
}

void server_node_power_cut(struct world *world)
{
    end_now(world, FAULT_SERVER_POWER_CUT);
}

/* What the real one does: it exits, its service manager starts it again, it looks at the file. */
static void give_up(struct world *world)
{
    world->counts.reopens++;
    world_say(world, "server: exits, what is on the disk is unknown");
    lose_process(world);
    world_disk(world, WORLD_OFFICE)->struck_count = 0;
    start_later(world);
}

/* False: the process is gone. */
static bool judge(struct world *world, const char *what, enum result result,
                  const struct problem *problem)
{
    if (world_disk(world, WORLD_OFFICE)->is_dead) {
        die(world);
        return false;
    }
    if (result != RESULT_OK)
        check_excuse(world, what, result, problem);
    if (result == RESULT_STORAGE) {
        give_up(world);
        return false;
    }
    return true;
}

/* ---- the step ---- */

static void take_write(struct world *world, struct job *job)
{
    struct world_server *server = &world->server;

    if (server->write_count == server->write_room) {
        server->write_room = server->write_room * 2 + 16;
        server->writes = sim_grow(server->writes, server->write_room, sizeof(struct job *));
        server->running = sim_grow(server->running, server->write_room, sizeof(struct job *));
    }
    server->writes[server->write_count++] = job;
    if (server->is_writing)
        return;
    server->is_writing = true;
    world_push(world, world_draw(world, 10, world->scenario.job_delay_us),
               (struct world_event){.kind = EVENT_WRITE, .life = server->life});
}

static void take_read(struct world *world, struct job *job)
{
    struct world_server *server = &world->server;

    if (server->read_count == server->read_room) {
        server->read_room = server->read_room * 2 + 16;
        server->reads = sim_grow(server->reads, server->read_room, sizeof(struct job *));
    }
    server->reads[server->read_count++] = job;
    if (server->is_reading)
        return;
    server->is_reading = true;
    world_push(world, world_draw(world, 10, world->scenario.job_delay_us),
               (struct world_event){.kind = EVENT_READ, .life = server->life});
}

static void carry_out(struct world *world, const struct server_effect *effect)
{
    struct link *link = network_link(world, effect->connection);

    switch (effect->kind) {
    case SERVER_EFFECT_SEND:
        network_send(world, link, TO_AGENT, effect->bytes);
        break;
    case SERVER_EFFECT_CLOSE:
        world_say(world, "server: the network closes %" PRIu64 ": %u %s", effect->connection,
                  effect->code, effect->text); /* reads the text, as a real close frame does */
        network_close(world, link, TO_SERVER);
        break;
    case SERVER_EFFECT_READ:
        take_read(world, effect->job);
        break;
    case SERVER_EFFECT_WRITE:
        take_write(world, effect->job);
        break;
    }
}

void server_node_step(struct world *world, struct server_event *event)
{
    struct world_server *server = &world->server;
    struct server_effects effects = {0};
    struct problem problem = {0};
    enum result result = RESULT_OK;

    world_enter(world, WORLD_OFFICE);
    event->mono.us = world->now_us;
    event->wall = world_wall(world, WORLD_OFFICE);
    result = server_step(server->core, event, &effects, &problem);
    for (size_t i = 0; i < effects.count; i++)
        carry_out(world, &effects.effects[i]);
    if (result != RESULT_OK)
        world_fail(world, "server_step: %s: %s", result_name(result), problem.text);
}

/* ---- jobs ---- */

static void begin_write(struct world *world)
{
    struct world_server *server = &world->server;
    struct problem problem = {0};
    size_t count = server->write_count;
    enum result result = RESULT_OK;

    if (count != 0)
        memcpy(server->running, server->writes, count * sizeof(struct job *));
    server->running_count = count;
    server->write_count = 0;
    judge_group(world);
    world_arm(world, WORLD_OFFICE);
    result = master_write(server->writer, server->running, count, world_wall(world, WORLD_OFFICE),
                          &server->outcome, &problem);
    world_disarm(world);
    if (!judge(world, "master_write", result, &problem))
        return;
    if (server->outcome.work.seq != 0 || server->outcome.rescoped_count != 0)
        history_commit(&world->history);
    ledger_commit(world);
    world_push(world,
               world_disk(world, WORLD_OFFICE)->wait_us +
                   world_draw(world, 10, world->scenario.job_delay_us),
               (struct world_event){.kind = EVENT_WROTE, .life = server->life});
}

static void tell_done(struct world *world, struct job *job)
{
    uint8_t seed[64];
    struct server_event event = {.kind = SERVER_EVENT_JOB_DONE, .job = job, .seed = seed};

    draw_bytes(world, seed, sizeof seed);
    if (job->result != RESULT_OK)
        world_say(world, "server: %s: %s: %s", job_name(job->kind), result_name(job->result),
                  job->problem.text);
    server_node_step(world, &event);
}

static void end_write(struct world *world)
{
    struct world_server *server = &world->server;
    struct server_event event = {.kind = SERVER_EVENT_COMMITTED, .outcome = &server->outcome};
    size_t count = server->running_count;

    if (server->outcome.work.seq != 0 || server->outcome.rescoped_count != 0 ||
        server->outcome.revoked_count != 0)
        server_node_step(world, &event);
    server->running_count = 0;
    for (size_t i = 0; i < count; i++)
        tell_done(world, server->running[i]);
    server->is_writing = server->write_count != 0;
    if (server->is_writing)
        world_push(world, world_draw(world, 10, world->scenario.job_delay_us),
                   (struct world_event){.kind = EVENT_WRITE, .life = server->life});
}

static void read_jobs(struct world *world)
{
    struct world_server *server = &world->server;
    struct problem problem = {0};
    enum result result = RESULT_OK;

    world_arm(world, WORLD_OFFICE);
    result = master_read(server->reader, server->reads, server->read_count,
                         world_wall(world, WORLD_OFFICE), &problem);
    world_disarm(world);
    if (!judge(world, "master_read", result, &problem))
        return;
    for (size_t i = 0; i < server->read_count; i++)
        world_push(
            world, world_draw(world, 10, world->scenario.job_delay_us),
            (struct world_event){.kind = EVENT_JOB, .life = server->life, .job = server->reads[i]});
    server->read_count = 0;
    server->is_reading = false;
}

void server_node_event(struct world *world, const struct world_event *event)
{
    struct server_event step = {.kind = SERVER_EVENT_LOCAL_CHANGE};
    bool is_ours = world->server.is_running && event->life == world->server.life;

    switch (event->kind) {
    case EVENT_SERVER_START:
        if (!world->server.is_running)
            server_node_start(world);
        break;
    case EVENT_WRITE:
        if (is_ours)
            begin_write(world);
        break;
    case EVENT_WROTE:
        if (is_ours)
            end_write(world);
        break;
    case EVENT_READ:
        if (is_ours)
            read_jobs(world);
        break;
    case EVENT_JOB:
        if (is_ours)
            tell_done(world, event->job);
        else
            drop_job(event->job);
        break;
    default:
        if (is_ours)
            server_node_step(world, &step);
        break;
    }
}

void server_node_changed(struct world *world)
{
    world_push(world, world_draw(world, 100, SECONDS(1)),
               (struct world_event){.kind = EVENT_SERVER_CHANGE, .life = world->server.life});
}

/* ---- enrolment codes ---- */

struct invitation {
    int64_t user_id, van_id;
    uint8_t seed[DEVICES_CODE_SEED_SIZE];
    struct wall_time expires_at;
};

static enum result make_code(struct work *work, void *context, struct problem *problem)
{
    const struct invitation *invitation = context;

    return devices_create_code(work, invitation->user_id, invitation->van_id, invitation->seed,
                               invitation->expires_at, problem);
}

void server_node_invite(struct world *world, struct world_agent *agent)
{
    struct world_server *server = &world->server;
    struct wall_time now = world_wall(world, WORLD_OFFICE);
    struct invitation invitation = {.user_id = agent->user_id, .expires_at = {now.us + HOURS(1)}};
    struct master_outcome outcome;
    struct problem problem = {0};
    char sql[100];

    world_enter(world, WORLD_OFFICE);
    (void)snprintf(sql, sizeof sql, "SELECT id FROM location WHERE holder_id = %" PRId64,
                   agent->user_id);
    invitation.van_id = sim_integer(world, server->office, sql);
    draw_bytes(world, invitation.seed, sizeof invitation.seed);
    memcpy(agent->token_id, invitation.seed, sizeof agent->token_id);
    memcpy(agent->token_secret, invitation.seed + sizeof agent->token_id,
           sizeof agent->token_secret);
    if (master_run(server->writer, now, make_code, &invitation, &outcome, &problem) != RESULT_OK)
        world_fail(world, "no enrolment code: %s", problem.text);
    if (outcome.work.seq != 0)
        history_commit(&world->history);
}
