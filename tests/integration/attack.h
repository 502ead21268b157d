/* SPDX-License-Identifier: Apache-2.0 */
/* attack.h: an enrolled device that turned bad, beside the honest device of the same person, on the
 * real channel to the real server core and master. */
#pragma once

#include "tests/integration/station.h" /* first: it asks for POSIX */

struct attack {
    struct station *station;
    struct company *company;
    struct world *world;
    struct side *forger;
    struct wire *wire;   /* of the forger */
    struct wire *honest; /* of the technician's own device */
};

static inline const struct catalog_table *table_of(const struct attack *attack, const char *name)
{
    const struct catalog_table *table = catalog_table_by_name(&attack->world->catalog, name);

    assert_non_null(table);
    return table;
}

static inline uint8_t column_of(const struct catalog_table *table, const char *name)
{
    const struct catalog_column *column = catalog_column_by_name(table, name);

    assert_non_null(column);
    return column->number;
}

static inline int64_t number(const struct attack *attack, const char *sql)
{
    return integer_of(attack->world, attack->world->other, sql, NULL, 0);
}

static inline int64_t head(const struct attack *attack)
{
    return number(attack, "SELECT number FROM fs_state WHERE name='published_seq'");
}

static inline struct attack attack_begin(void **state)
{
    struct station *station = *state;
    struct attack attack = {.station = station,
                            .company = station->company,
                            .world = station->world,
                            .forger = station->company->forger};

    attack.honest = wire_connect(station, station->company->people[0].side);
    attack.wire = wire_connect(station, attack.forger);
    assert_int_equal(attack.honest->heard[MESSAGE_WELCOME], 1);
    assert_int_equal(attack.wire->heard[MESSAGE_WELCOME], 1);
    assert_false(attack.wire->is_closed);
    return attack;
}

/* A note of the technician's on his device goes up, a change of the office comes down, and his
 * device holds what the master holds. */
static inline void expect_honest_work(struct attack *attack)
{
    struct world *world = attack->world;
    struct side *side = attack->honest->side;
    const struct catalog_table *table = table_of(attack, "call_note");
    int64_t id = new_id(world, side->other);
    size_t verdicts = attack->honest->heard[MESSAGE_VERDICT];
    int64_t seal_no = 0;
    bool is_granted = false;
    struct message_push push = {0};
    struct buffer body;

    ok(world, insert_row(world, side->other, table, id,
                         granted_mask(world, ROLE_TECHNICIAN, table, CHANGE_INSERT, &is_granted),
                         sample_row(world, table, &attack->company->people[0].scene, 0, 5)));
    ok(world, replica_seal(side->replica, world->now, &seal_no, &world->problem));
    ok(world,
       replica_push_part(side->replica, seal_no, 0, 60000, &world->arena, &push, &world->problem));
    assert_true(push.is_last_part);
    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    ok(world, message_push_encode(catalog_of(world, side), &push, &body, &world->problem));
    wire_send(attack->station, attack->honest, MESSAGE_PUSH, buffer_bytes(&body));
    buffer_done(&body);
    run_sql(world, world->other, "UPDATE site SET city = CAST(random() AS TEXT)", NULL, 0);
    station_queue(attack->station, (struct server_event){.kind = SERVER_EVENT_LOCAL_CHANGE});
    station_pass(attack->station, SECONDS(3));
    assert_false(attack->honest->is_closed);
    assert_int_equal(attack->honest->heard[MESSAGE_VERDICT], verdicts + 1);
    assert_int_equal(attack->honest->answers.count, 0);
    assert_non_null(read_row(world, world->other, table, id));
    for (size_t t = 0; t < attack->company->order.count; t++)
        (void)compare_table(attack->company, side, attack->company->order.tables[t]);
    expect_no_complaints(attack->company);
}

static inline void attack_end(struct attack *attack)
{
    expect_honest_work(attack);
    wire_close(attack->station, attack->wire);
    wire_close(attack->station, attack->honest);
    assert_int_equal(server_status(attack->station->server).live_count, 0);
}

/* The forger's connection is over, with this code; it may come back. */
static inline void expect_closed(struct attack *attack, uint16_t close_code)
{
    assert_true(attack->wire->is_closed);
    assert_int_equal(attack->wire->close_code, close_code);
    wire_close(attack->station, attack->wire);
    attack->wire = wire_connect(attack->station, attack->forger);
    assert_int_equal(attack->wire->heard[MESSAGE_WELCOME], 1);
    assert_false(attack->wire->is_closed);
}

/* ---- seals by hand ---- */

static inline struct change note_on(struct attack *attack, int64_t row_id, int64_t call_id)
{
    struct world *world = attack->world;
    const struct catalog_table *table = table_of(attack, "call_note");
    bool is_granted = false;
    struct change change = {
        .table_no = table->number,
        .op = CHANGE_INSERT,
        .row_id = row_id,
        .base_seq = head(attack),
        .edited_at = world->now,
        .mask = granted_mask(world, ROLE_TECHNICIAN, table, CHANGE_INSERT, &is_granted),
        .values = sample_row(world, table, &attack->company->people[0].scene, 0, 6)};

    change.values[column_of(table, "call_id")] = value_integer(call_id);
    return change;
}

static inline int64_t own_id(struct attack *attack)
{
    return id_of(attack->forger->replica_no, ++attack->forger->id_counter);
}

static inline struct change good_note(struct attack *attack)
{
    return note_on(attack, own_id(attack),
                   attack->company->people[0].scene.ids[table_of(attack, "call")->number]);
}

/* Sends the changes as one correct seal. */
static inline void send_seal(struct attack *attack, const struct catalog *catalog,
                             struct change *changes, size_t count)
{
    struct buffer body;

    encode_by_hand(attack->world, catalog, attack->forger, changes, count, &body);
    wire_send(attack->station, attack->wire, MESSAGE_PUSH, buffer_bytes(&body));
    buffer_done(&body);
    station_flow(attack->station);
}

/* ---- the whole ---- */

static inline int attack_setup(void **state)
{
    int result = station_create(state);
    struct station *station = *state;
    struct company *company = station->company;

    make_scene(company, &company->spare, NOTHING_LEFT_OUT, 0);
    make_scene(company, &company->people[0].scene, NOTHING_LEFT_OUT, 0);
    pull_all(company->world);
    station_pass(station, SECONDS(1));
    return result;
}
