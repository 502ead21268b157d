/* SPDX-License-Identifier: Apache-2.0 */
/* story.h: what stories are told with: a quiet world, plain SQL on any machine, what it must give.
 *
 * Include it first: it asks for POSIX. */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* mkdtemp */
#endif

#include "tests/sim/world.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct stage {
    char folder[64];
    struct world *world;
};

static inline void tell_failure(struct world *world, const char *text)
{
    (void)world;
    fail_msg("%s", text);
}

/* A quiet world: sites 1 to 3 with contacts; calls 1 to 6 at site (n - 1) % 3 + 1, each with the
 * activity of the same number. All activities are Anna's first, who sees all sites. */
static inline struct world *world_of(void **state, size_t agent_count)
{
    struct stage *stage = *state;
    struct scenario scenario;

    assert_non_null(stage);
    scenario_quiet(1, agent_count, &scenario);
    stage->world =
        world_create(&scenario, stage->folder, getenv("STORY_TRACE") != NULL, tell_failure);
    stage->world->is_story = true;
    stage->world->has_faults = false;
    stage->world->has_workload = false;
    return stage->world;
}

static inline sqlite3 *database_of(struct world *world, int node)
{
    return node == OFFICE ? world->server.office : world->agents[node].database;
}

/* Plain SQL by some program on that machine. */
static inline void sql(struct world *world, int node, const char *script)
{
    world_enter(world, node);
    sim_exec(world, database_of(world, node), script);
    if (node == OFFICE)
        server_node_changed(world);
    else
        agent_node_changed(world, node);
}

/* The first column of all rows, one after the other; the caller frees it. */
static inline char *text_of(struct world *world, int node, const char *query)
{
    sqlite3_stmt *statement = sim_prepare(world, database_of(world, node), query);
    struct sim_text found = {0};

    sim_text_add(&found, "%s", "");
    while (sqlite3_step(statement) == SQLITE_ROW)
        sim_text_add(&found, "%s%s", found.size == 0 ? "" : " ",
                     sqlite3_column_type(statement, 0) == SQLITE_NULL
                         ? "NULL"
                         : (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return found.text;
}

static inline void expect(struct world *world, int node, const char *query, const char *expected)
{
    char *found = text_of(world, node, query);

    assert_string_equal(found, expected);
    free(found);
}

static inline void expect_told(const struct world *world, const char *words)
{
    if (strstr(world->story.text, words) == NULL)
        fail_msg("nothing said '%s'", words);
}

static inline void link_cut(struct world *world, int agent)
{
    struct link *link = network_link(world, world->agents[agent].link);

    world->agents[agent].is_offline = true;
    if (link != NULL)
        network_cut(world, link);
    world_pass(world, SECONDS(3));
}

static inline void link_restore(struct world *world, int agent)
{
    world->agents[agent].is_offline = false;
}

static inline void assign(struct world *world, int activity, int user)
{
    char script[200];

    (void)snprintf(script, sizeof script,
                   "UPDATE activity SET technician_id = %d, assign_version_n = assign_version_n + 1"
                   " WHERE id = %d",
                   user, activity);
    sql(world, OFFICE, script);
}

/* Both work at site 1, each with an activity there; nobody has anything elsewhere. */
static inline void send_both_to_site_1(struct world *world)
{
    sql(world, OFFICE,
        "UPDATE activity SET technician_id = 1 WHERE id = 1;"
        "UPDATE activity SET technician_id = 2 WHERE id = 4;"
        "UPDATE activity SET technician_id = NULL WHERE id NOT IN (1, 4)");
    assert_true(world_wait(world, SECONDS(20)));
    expect(world, ANNA, "SELECT group_concat(id) FROM site", "1");
    expect(world, BRUNO, "SELECT group_concat(id) FROM site", "1");
}

static inline void the_end(struct world *world)
{
    world_settle(world);
    check_end(world);
}

/* ---- notes: work that is easily found again ---- */

enum { NOTE_SCRIPT_SIZE = 300, NOTE_BODY_SIZE = 40 };

/* A note at call 1. */
static inline void note_script(char script[NOTE_SCRIPT_SIZE], int user, const char *body)
{
    (void)snprintf(script, NOTE_SCRIPT_SIZE,
                   "INSERT INTO call_note (id, call_id, occurred_at, by_id, body) VALUES"
                   " ((SELECT id FROM new_id), 1, 1, %d, '%s')",
                   user, body);
}

/* By the technician whose device this is. */
static inline void write_note(struct world *world, int agent, const char *body)
{
    char script[NOTE_SCRIPT_SIZE];

    note_script(script, agent + 1, body);
    sql(world, agent, script);
}

static inline int64_t count_notes(struct world *world, int node, const char *body)
{
    char query[NOTE_SCRIPT_SIZE];

    (void)snprintf(query, sizeof query, "SELECT count(*) FROM call_note WHERE body = '%s'", body);
    return sim_integer(world, database_of(world, node), query);
}

static inline void numbered_body(char body[NOTE_BODY_SIZE], int64_t number)
{
    (void)snprintf(body, NOTE_BODY_SIZE, "note %" PRId64, number);
}

static inline void write_numbered_note(struct world *world, int agent, int64_t number)
{
    char body[NOTE_BODY_SIZE];

    numbered_body(body, number);
    write_note(world, agent, body);
}

static inline int64_t count_numbered_notes(struct world *world, int node, int64_t number)
{
    char body[NOTE_BODY_SIZE];

    numbered_body(body, number);
    return count_notes(world, node, body);
}

/* ---- photos ---- */

/* A photo that only Anna's device has; its row waits as well. */
static inline void take_photo(struct world *world, size_t size, uint8_t *ret_hash)
{
    uint8_t *content = calloc(1, size);
    char hex[2 * BLOB_STORE_HASH_SIZE + 1];
    char script[400];

    assert_non_null(content);
    for (size_t i = 0; i < size; i++)
        content[i] = (uint8_t)prng_next(&world->prng);
    sim_blobs_put(&world->agents[ANNA].blobs, content, size, ret_hash);
    free(content);
    bytes_to_hex(bytes_of(ret_hash, BLOB_STORE_HASH_SIZE), hex);
    (void)snprintf(script, sizeof script,
                   "INSERT INTO attachment (id, call_id, name, mime_type, size_n, content_hash,"
                   " created_at, by_id) VALUES ((SELECT id FROM new_id), 1, 'pump.jpg',"
                   " 'image/jpeg', %zu, '%s', 1, 1)",
                   size, hex);
    sql(world, ANNA, script);
}

static inline size_t bytes_on_server(const struct world *world, const uint8_t *hash)
{
    const struct sim_blobs *blobs = &world->server.blobs;

    for (size_t i = 0; i < blobs->count; i++)
        if (memcmp(blobs->list[i].hash, hash, BLOB_STORE_HASH_SIZE) == 0)
            return blobs->list[i].size;
    return 0;
}

/* ---- each story in a world of its own ---- */

static inline int open_stage(void **state)
{
    struct stage *stage = calloc(1, sizeof *stage);

    if (stage == NULL)
        return -1;
    (void)snprintf(stage->folder, sizeof stage->folder, "/dev/shm/fieldsync-stories-XXXXXX");
    if (mkdtemp(stage->folder) == NULL)
        return -1;
    world_prepare(stage->folder);
    *state = stage;
    return 0;
}

static inline int end_story(void **state)
{
    struct stage *stage = *state;

    if (stage->world != NULL)
        world_destroy(stage->world);
    stage->world = NULL;
    return 0;
}

static inline int close_stage(void **state)
{
    struct stage *stage = *state;
    char command[100];

    (void)snprintf(command, sizeof command, "rm -rf %s", stage->folder);
    if (system(command) != 0)
        return -1;
    free(stage);
    return 0;
}

#define STORY(function) cmocka_unit_test_teardown(function, end_story)
