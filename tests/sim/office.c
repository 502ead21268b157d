/* SPDX-License-Identifier: Apache-2.0 */
/* What happens on the master beside the sync: another program writes it with plain SQL. */
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void run(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void run(struct world *world, const char *format, ...)
{
    char sql[700];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(sql, sizeof sql, format, arguments);
    va_end(arguments);
    sim_exec(world, world->server.office, sql);
    world_say(world, "office writes %s", sql);
}

static int64_t new_id(struct world *world)
{
    return sim_integer(world, world->server.office, "SELECT id FROM new_id");
}

/* ---- the company before the first day; ids are small numbers ---- */

static void fill_people(struct world *world)
{
    for (size_t i = 0; i < world->scenario.agent_count; i++) {
        static const char *const NAMES[] = {"anna",  "bruno", "carla", "dario",
                                            "elena", "fabio", "gina"};
        bool is_desk = world->scenario.has_help_desk && i == 0;
        char login[40];
        long long id = (long long)i + 1;

        if (i < sizeof NAMES / sizeof NAMES[0])
            (void)snprintf(login, sizeof login, "%s", NAMES[i]);
        else
            (void)snprintf(login, sizeof login, "person %zu", i);
        run(world, "INSERT INTO app_user (id, login, name) VALUES (%lld, '%s', '%s')", id, login,
            login);
        run(world, "INSERT INTO role_grant (id, user_id, role) VALUES (%lld, %lld, '%s')", id, id,
            is_desk ? "help_desk" : "technician");
        run(world,
            "INSERT INTO location (id, kind, name, holder_id) VALUES (%lld, 'van', 'van of %s', "
            "%lld)",
            id + 10, login, id);
    }
}

static void fill_sites(struct world *world)
{
    for (long long i = 1; i <= (long long)world->scenario.site_count; i++) {
        run(world, "INSERT INTO party (id, kind, name) VALUES (%lld, 'customer', 'party %lld')", i,
            i);
        run(world, "INSERT INTO site (id, party_id, name) VALUES (%lld, %lld, 'site %lld')", i, i,
            i);
        run(world,
            "INSERT INTO contact (id, party_id, site_id, name) VALUES (%lld, %lld, %lld, 'c')", i,
            i, i);
    }
}

static int64_t some_user(struct world *world)
{
    return world_draw(world, 1, (int64_t)world->scenario.agent_count);
}

static int64_t some_site(struct world *world)
{
    return world_draw(world, 1, (int64_t)world->scenario.site_count);
}

static void add_call(struct world *world, int64_t call, int64_t site, int64_t activity,
                     int64_t user)
{
    int64_t now_us = world_wall(world, WORLD_OFFICE).us;

    run(world,
        "INSERT INTO call (id, channel, party_id, site_id, subject, opened_at) VALUES (%" PRId64
        ", 'phone', (SELECT party_id FROM site WHERE id = %" PRId64 "), %" PRId64 ", 'o%" PRIu64
        "~', %" PRId64 ")",
        call, site, site, ++world->marker_last, now_us);
    run(world,
        "INSERT INTO activity (id, call_id, activity_type_id, technician_id, planned_start_at, "
        "state) VALUES (%" PRId64 ", %" PRId64 ", 1, %" PRId64 ", %" PRId64 ", 'dispatched')",
        activity, call, user, now_us + HOURS(3));
}

void office_fill(struct world *world)
{
    world_enter(world, WORLD_OFFICE);
    sim_exec(world, world->server.office, "BEGIN IMMEDIATE");
    fill_people(world);
    run(world, "INSERT INTO location (id, kind, name) VALUES (1, 'warehouse', 'depot'), "
               "(2, 'consumed', 'consumed'), (3, 'supplier', 'supplier')");
    run(world, "INSERT INTO activity_type (id, name, mode, default_min) VALUES (1, 'visit', "
               "'on_site', 60)");
    for (long long i = 1; i <= 3; i++)
        run(world,
            "INSERT INTO item (id, code, name, unit_of_measure) VALUES (%lld, 'P%lld', 'part', "
            "'pcs')",
            i, i);
    run(world, "INSERT INTO checklist (id, name) VALUES (1, 'usual questions')");
    run(world, "INSERT INTO checklist_item (id, checklist_id, position_n, text, kind) VALUES "
               "(1, 1, 1, 'clean?', 'yes_no'), (2, 1, 2, 'bar?', 'number')");
    fill_sites(world);
    for (long long i = 1; i <= (long long)world->scenario.site_count * 2; i++)
        add_call(world, i, 1 + (i - 1) % (long long)world->scenario.site_count, i,
                 some_user(world));
    sim_exec(world, world->server.office, "COMMIT");
    server_node_changed(world);
}

/* ---- while the others work ---- */

static int64_t pick(struct world *world, const char *table, const char *condition)
{
    char sql[300];
    int64_t count = 0;

    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM \"%s\" WHERE %s", table, condition);
    count = sim_integer(world, world->server.office, sql);
    if (count == 0)
        return 0;
    (void)snprintf(sql, sizeof sql,
                   "SELECT id FROM \"%s\" WHERE %s ORDER BY id LIMIT 1 OFFSET %" PRId64, table,
                   condition, world_draw(world, 0, count - 1));
    return sim_integer(world, world->server.office, sql);
}

static void write_text(struct world *world, const char *table, int64_t id, const char *column,
                       const char *text)
{
    run(world, "UPDATE \"%s\" SET \"%s\" = '%s' WHERE id = %" PRId64, table, column, text, id);
    judge_office(world, table, id, column, text);
}

static void set_text(struct world *world, const char *table, const char *column)
{
    int64_t id = pick(world, table, "1");
    char marker[32];

    world_marker(world, 'o', marker);
    if (id != 0)
        write_text(world, table, id, column, marker);
}

static void reassign(struct world *world)
{
    int64_t activity = pick(world, "activity", "1");

    if (activity != 0)
        run(world,
            "UPDATE activity SET technician_id = %" PRId64
            ", assign_version_n = assign_version_n + 1 WHERE id = %" PRId64,
            some_user(world), activity);
}

/* Noted only if it is another value than before: the same again is no edit. */
static void note_moved(struct world *world, int64_t call, const char *column, int64_t value)
{
    char sql[120];
    char text[LEDGER_VALUE_SIZE];

    (void)snprintf(sql, sizeof sql, "SELECT %s FROM call WHERE id = %" PRId64, column, call);
    (void)snprintf(text, sizeof text, "%" PRId64, value);
    if (sim_integer(world, world->server.office, sql) != value)
        judge_office(world, "call", call, column, text);
}

static void move_call(struct world *world)
{
    int64_t call = pick(world, "call", "1");
    int64_t site = some_site(world);
    char sql[120];

    if (call == 0)
        return;
    (void)snprintf(sql, sizeof sql, "SELECT party_id FROM site WHERE id = %" PRId64, site);
    note_moved(world, call, "site_id", site);
    note_moved(world, call, "party_id", sim_integer(world, world->server.office, sql));
    run(world,
        "UPDATE call SET site_id = %" PRId64
        ", party_id = (SELECT party_id FROM site WHERE id = %" PRId64 ") WHERE id = %" PRId64,
        site, site, call);
}

static void delete_contact(struct world *world)
{
    int64_t contact =
        pick(world, "contact", "NOT EXISTS (SELECT 1 FROM call WHERE contact_id = contact.id)");

    if (contact == 0)
        return;
    run(world, "DELETE FROM contact WHERE id = %" PRId64, contact);
    judge_office_delete(world, "contact", contact);
}

static void new_call(struct world *world)
{
    int64_t call = new_id(world);

    add_call(world, call, some_site(world), call + 1, some_user(world));
}

/* Goods go onto a van. */
static void load_van(struct world *world)
{
    int64_t van = pick(world, "location", "kind = 'van'");

    run(world,
        "INSERT INTO stock_move (id, item_id, quantity_m, from_location_id, to_location_id,"
        " ledger_location_id, kind, occurred_at) VALUES (%" PRId64 ", %" PRId64 ", %" PRId64
        ", 1, %" PRId64 ", %" PRId64 ", 'load', %" PRId64 ")",
        new_id(world), world_draw(world, 1, 3), 1000 * world_draw(world, 1, 3), van, van,
        world_wall(world, WORLD_OFFICE).us);
}

static void edit_once(struct world *world)
{
    switch (world_draw(world, 0, 12)) {
    case 12:
        load_van(world);
        break;
    case 0:
        new_call(world);
        break;
    case 1:
    case 2:
        reassign(world);
        break;
    case 3:
    case 4:
        move_call(world);
        break;
    case 5:
        delete_contact(world);
        break;
    case 6:
        set_text(world, "contact", "phone");
        break;
    case 7:
        set_text(world, "party", "name");
        break;
    case 8:
        set_text(world, "call", "description");
        break;
    case 9:
        set_text(world, "item", "name");
        break;
    default:
        set_text(world, "site", "access_note");
        break;
    }
}

void office_edit(struct world *world)
{
    int64_t more = world_chance(world, 300000) ? world_draw(world, 1, 5) : 0;

    if (!world->server.is_running)
        return;
    world_enter(world, WORLD_OFFICE);
    sim_exec(world, world->server.office, "BEGIN IMMEDIATE");
    for (int64_t i = 0; i <= more; i++)
        edit_once(world);
    sim_exec(world, world->server.office, "COMMIT");
    world->counts.office_edits++;
    server_node_changed(world);
}
