/* SPDX-License-Identifier: Apache-2.0 */
/* Who receives what, by role, and whom a change wakes: the subscriptions and watches of the model.
 */
#include "tests/unit/schema/model_fixture.h"

#include "schema/triggers.h"

#define DAY_US INT64_C(86400000000)
#define NOW_US INT64_C(1790000000000000) /* some day of 2026 */

/* A statement of the catalog, with ?1 and ?2 bound where it has them. */
static struct sql_statement *prepare_for(struct model *model, const char *sql, int64_t first,
                                         int64_t second)
{
    struct sql_statement *statement = NULL;
    struct problem problem = {0};

    expect_ok(sql_prepare(model->database, sql, &statement, &problem), &problem);
    if (strstr(sql, "?1") != NULL)
        expect_ok(sql_bind_integer(statement, 1, first, &problem), &problem);
    if (strstr(sql, "?2") != NULL)
        expect_ok(sql_bind_integer(statement, 2, second, &problem), &problem);
    return statement;
}

/* Does a user with this role receive the bucket? */
static bool receives(struct model *model, enum role role, int64_t user_id, const char *kind,
                     int64_t id)
{
    struct problem problem = {0};
    bool is_found = false;

    for (size_t i = 0; i < model->catalog.subscription_count; i++) {
        const struct catalog_subscription *subscription = &model->catalog.subscriptions[i];
        struct sql_statement *statement = NULL;
        bool is_row = false;

        if (subscription->role != role)
            continue;
        statement = prepare_for(model, subscription->sql, user_id, NOW_US);
        assert_int_equal(sql_column_count(statement), 2);
        for (;;) {
            const char *found = NULL;

            expect_ok(sql_step(statement, &is_row, &problem), &problem);
            if (!is_row)
                break;
            expect_ok(sql_column_text(statement, 0, &model->arena, &found, &problem), &problem);
            if (strcmp(found, kind) == 0 && sql_column_integer(statement, 1) == id)
                is_found = true;
        }
        sql_release(statement);
    }
    return is_found;
}

/* Does a change of the row make the server look at this user's subscription again? */
static bool is_watched(struct model *model, const char *table, int64_t row_id, int64_t user_id)
{
    uint16_t table_no = table_of(model, table)->number;
    struct problem problem = {0};
    bool is_found = false;

    for (size_t i = 0; i < model->catalog.watch_count; i++) {
        struct sql_statement *statement = NULL;
        bool is_row = false;

        if (model->catalog.watches[i].table_no != table_no)
            continue;
        statement = prepare_for(model, model->catalog.watches[i].sql, row_id, 0);
        assert_int_equal(sql_column_count(statement), 1);
        for (;;) {
            expect_ok(sql_step(statement, &is_row, &problem), &problem);
            if (!is_row)
                break;
            assert_false(sql_column_is_null(statement, 0));
            if (sql_column_integer(statement, 0) == user_id)
                is_found = true;
        }
        sql_release(statement);
    }
    return is_found;
}

/* ---- who receives what ---- */

/* Users 1 and 2 technicians, 3 dispatcher, 4 sales agent. Sites 10 (of customer 20, agent 4) and
 * 11 (of customer 21). Call 30 at site 10, 31 at site 11, 32 without a site. */
static void tell_story(struct model *model)
{
    char script[400];
    int size = 0;

    run(model, "INSERT INTO app_user(id, login, name) VALUES (1, 'anna', 'Anna'), "
               "(2, 'bruno', 'Bruno'), (3, 'dora', 'Dora'), (4, 'aldo', 'Aldo');"
               "INSERT INTO role_grant(id, user_id, role) VALUES (1, 1, 'technician'), "
               "(2, 2, 'technician'), (3, 3, 'dispatcher'), (4, 4, 'sales');"
               "INSERT INTO party(id, kind, name, agent_id) VALUES (20, 'customer', 'Rossi', 4), "
               "(21, 'customer', 'Bianchi', NULL), (22, 'prospect', 'Verdi', NULL);"
               "INSERT INTO site(id, party_id, name) VALUES (10, 20, 'Mill'), (11, 21, 'Harbour');"
               "INSERT INTO location(id, kind, name, holder_id) VALUES (40, 'van', 'Van 1', 1), "
               "(41, 'warehouse', 'Depot', NULL)");
    size = snprintf(script, sizeof script,
                    "INSERT INTO call(id, channel, party_id, site_id, subject, opened_at) VALUES "
                    "(30, 'phone', 20, 10, 'leak', %lld), (31, 'phone', 21, 11, 'noise', %lld), "
                    "(32, 'phone', 22, NULL, 'advice', %lld)",
                    (long long)(NOW_US - 90 * DAY_US), (long long)(NOW_US - 90 * DAY_US),
                    (long long)(NOW_US - 90 * DAY_US));
    assert_true(size > 0 && (size_t)size < sizeof script);
    run(model, script);
}

/* One activity of technician 1 on call 30; start_day NULL: unplanned. */
static void plan(struct model *model, const int *start_day, const char *activity_state)
{
    char script[300];
    char start[40] = "NULL";
    int size = 0;

    if (start_day != NULL)
        (void)snprintf(start, sizeof start, "%lld", (long long)(NOW_US + *start_day * DAY_US));
    size = snprintf(script, sizeof script,
                    "INSERT OR REPLACE INTO activity(id, call_id, activity_type_id, "
                    "technician_id, planned_start_at, state) VALUES (50, 30, 1, 1, %s, '%s')",
                    start, activity_state);
    assert_true(size > 0 && (size_t)size < sizeof script);
    run(model, script);
}

static void case_a_technician_receives_the_sites_and_customers_of_the_work(void **state)
{
    struct model *model = *state;
    int tomorrow = 1;

    tell_story(model);
    assert_true(receives(model, ROLE_TECHNICIAN, 1, "shared", 0));
    assert_true(receives(model, ROLE_TECHNICIAN, 1, "user", 1));
    assert_true(receives(model, ROLE_TECHNICIAN, 1, "location", 40));
    assert_false(receives(model, ROLE_TECHNICIAN, 1, "location", 41));
    assert_false(receives(model, ROLE_TECHNICIAN, 1, "site", 10));
    plan(model, &tomorrow, "dispatched");
    assert_true(receives(model, ROLE_TECHNICIAN, 1, "site", 10));
    assert_true(receives(model, ROLE_TECHNICIAN, 1, "customer", 20));
    assert_false(receives(model, ROLE_TECHNICIAN, 1, "site", 11));
    assert_false(receives(model, ROLE_TECHNICIAN, 1, "commercial", 20));
    assert_false(receives(model, ROLE_TECHNICIAN, 1, "office", 0));
    assert_false(receives(model, ROLE_TECHNICIAN, 1, "user", 2));
    assert_false(receives(model, ROLE_TECHNICIAN, 2, "site", 10));
    assert_false(receives(model, ROLE_TECHNICIAN, 2, "location", 40));
}

struct window {
    int start_day; /* from now; 999: unplanned */
    const char *activity_state;
    bool is_received;
};

static const struct window WINDOWS[] = {
    {14, "dispatched", true}, {15, "dispatched", false}, {15, "travelling", true},
    {-30, "priced", true},    {-31, "priced", false},    {-31, "cancelled", false},
    {-31, "paused", true},    {-31, "dispatched", true}, {999, "accepted", true},
    {999, "done", false}, /* its call was opened 90 days ago */
};

static void case_work_counts_from_14_days_before_to_30_after_and_while_unfinished(void **state)
{
    struct model *model = *state;

    tell_story(model);
    for (size_t i = 0; i < sizeof WINDOWS / sizeof WINDOWS[0]; i++) {
        const struct window *window = &WINDOWS[i];

        plan(model, window->start_day == 999 ? NULL : &window->start_day, window->activity_state);
        if (receives(model, ROLE_TECHNICIAN, 1, "site", 10) != window->is_received)
            fail_msg("day %d, %s: expected %s", window->start_day, window->activity_state,
                     window->is_received ? "received" : "not received");
    }
}

static void case_a_technician_keeps_calls_he_opened_for_thirty_days(void **state)
{
    struct model *model = *state;
    char script[120];

    tell_story(model);
    run(model, "UPDATE call SET opened_by_id = 1 WHERE id IN (31, 32)");
    assert_false(receives(model, ROLE_TECHNICIAN, 1, "site", 11));
    assert_true(snprintf(script, sizeof script, "UPDATE call SET opened_at = %lld",
                         (long long)(NOW_US - 29 * DAY_US)) > 0);
    run(model, script);
    assert_true(receives(model, ROLE_TECHNICIAN, 1, "site", 11));
    assert_true(receives(model, ROLE_TECHNICIAN, 1, "customer", 22));
    assert_false(receives(model, ROLE_TECHNICIAN, 1, "site", 10));
}

static void case_a_dispatcher_receives_all_sites_but_no_commercial_papers(void **state)
{
    struct model *model = *state;

    tell_story(model);
    assert_true(receives(model, ROLE_DISPATCHER, 3, "office", 0));
    assert_true(receives(model, ROLE_DISPATCHER, 3, "site", 11));
    assert_true(receives(model, ROLE_DISPATCHER, 3, "customer", 22));
    assert_true(receives(model, ROLE_DISPATCHER, 3, "location", 41));
    assert_false(receives(model, ROLE_DISPATCHER, 3, "commercial", 20));
    assert_false(receives(model, ROLE_HELP_DESK, 3, "commercial", 20));
    assert_true(receives(model, ROLE_BILLING, 3, "commercial", 20));
    assert_true(receives(model, ROLE_BILLING, 3, "user", 1)); /* trips */
}

static void case_a_sales_agent_receives_own_customers_only(void **state)
{
    struct model *model = *state;

    tell_story(model);
    assert_true(receives(model, ROLE_SALES, 4, "customer", 20));
    assert_true(receives(model, ROLE_SALES, 4, "commercial", 20));
    assert_true(receives(model, ROLE_SALES, 4, "site", 10));
    assert_false(receives(model, ROLE_SALES, 4, "customer", 21));
    assert_false(receives(model, ROLE_SALES, 4, "site", 11));
    assert_false(receives(model, ROLE_SALES, 2, "customer", 20));
}

static void case_warehouse_and_purchasing_receive_what_waits_for_them(void **state)
{
    struct model *model = *state;

    tell_story(model);
    assert_false(receives(model, ROLE_WAREHOUSE, 3, "site", 10));
    run(model, "INSERT INTO part_need(id, call_id, item_id, needed_m) VALUES (1, 30, 9, 1000);"
               "INSERT INTO purchase_request(id, item_id, needed_m, call_id) VALUES "
               "(1, 9, 1000, 31)");
    assert_true(receives(model, ROLE_WAREHOUSE, 3, "site", 10));
    assert_true(receives(model, ROLE_WAREHOUSE, 3, "customer", 20));
    assert_false(receives(model, ROLE_WAREHOUSE, 3, "site", 11));
    assert_true(receives(model, ROLE_PURCHASING, 3, "site", 11));
    assert_false(receives(model, ROLE_PURCHASING, 3, "site", 10));
    run(model, "UPDATE call SET state = 'closed'; UPDATE purchase_request SET state = 'received'");
    assert_false(receives(model, ROLE_WAREHOUSE, 3, "site", 10));
    assert_false(receives(model, ROLE_PURCHASING, 3, "site", 11));
}

static void case_every_role_with_a_device_has_a_subscription(void **state)
{
    struct model *model = *state;

    tell_story(model);
    for (unsigned role = ROLE_TECHNICIAN; role <= ROLE_ADMIN; role <<= 1) {
        assert_true(receives(model, (enum role)role, 1, "shared", 0));
        assert_true(receives(model, (enum role)role, 1, "user", 1));
        assert_false(receives(model, (enum role)role, 1, "server", 0));
    }
}

static void case_a_change_wakes_those_whose_subscription_it_alters(void **state)
{
    struct model *model = *state;
    int tomorrow = 1;

    tell_story(model);
    plan(model, &tomorrow, "dispatched");
    assert_true(is_watched(model, "activity", 50, 1));
    assert_false(is_watched(model, "activity", 50, 2));
    assert_true(is_watched(model, "call", 30, 1));
    assert_false(is_watched(model, "call", 31, 1));
    assert_true(is_watched(model, "site", 10, 3)); /* the dispatcher receives all sites */
    assert_true(is_watched(model, "site", 10, 1));
    assert_true(is_watched(model, "site", 10, 4));
    assert_false(is_watched(model, "site", 11, 4));
    assert_true(is_watched(model, "party", 20, 4));
    assert_true(is_watched(model, "location", 40, 1));
    assert_false(is_watched(model, "location", 41, 1));
    assert_true(is_watched(model, "role_grant", 2, 2));
    assert_true(is_watched(model, "app_user", 2, 2));
    assert_false(is_watched(model, "app_user", 2, 1));
}

static void case_every_watch_of_the_catalog_runs(void **state)
{
    struct model *model = *state;

    assert_true(model->catalog.watch_count >= 14);
    for (uint16_t n = 1; n < model->catalog.table_count; n++)
        assert_false(is_watched(model, model->catalog.tables[n].name, 123456, 1));
}

/* The bucket in column home of the one row of a table. */
static void expect_home(struct model *model, const char *table, enum bucket_kind kind, int64_t id)
{
    char query[80];
    int size = snprintf(query, sizeof query, "SELECT home FROM %s", table);
    int64_t home = 0;

    assert_true(size > 0 && (size_t)size < sizeof query);
    home = number(model, query);
    if (home != bucket_of(kind, id))
        fail_msg("%s: home is %lld, not %s/%lld", table, (long long)home, bucket_kind_name(kind),
                 (long long)id);
}

static void case_a_fact_lives_where_its_call_lives(void **state)
{
    struct model *model = *state;
    struct problem problem = {0};

    expect_ok(
        triggers_install(model->database, &model->catalog, SCHEMA_SIDE_SERVER, NULL, &problem),
        &problem);
    tell_story(model);
    run(model, "INSERT INTO activity(id, call_id, activity_type_id, technician_id) "
               "VALUES (50, 30, 1, 1);"
               "INSERT INTO part_use(id, activity_id, item_id, used_m, from_location_id, "
               "occurred_at, by_id) VALUES (51, 50, 9, 1000, 40, 0, 1);"
               "INSERT INTO attachment(id, activity_id, name, mime_type, size_n, content_hash, "
               "created_at, by_id) VALUES (52, 50, 'a.jpg', 'image/jpeg', 1, '00', 0, 1);"
               "INSERT INTO part_need(id, call_id, item_id, needed_m) VALUES (53, 32, 9, 1000);"
               "INSERT INTO purchase_request(id, item_id, needed_m) VALUES (54, 9, 1000);"
               "INSERT INTO trip(id, technician_id, started_at, ended_at, km_m) "
               "VALUES (55, 1, 0, 1, 0);"
               "INSERT INTO trip_stop(id, trip_id, activity_id, technician_id) "
               "VALUES (56, 55, 50, 1);"
               "INSERT INTO quote(id, party_id, by_id) VALUES (57, 20, 4);"
               "INSERT INTO quote_line(id, quote_id, kind, description, quantity_m, price_e4, "
               "vat_id) VALUES (58, 57, 'part', '', 1000, 1, 1)");
    expect_home(model, "activity", BUCKET_SITE, 10);
    expect_home(model, "part_use", BUCKET_SITE, 10); /* two levels up */
    expect_home(model, "attachment", BUCKET_SITE, 10);
    expect_home(model, "part_need", BUCKET_CUSTOMER, 22); /* a call without a site */
    expect_home(model, "purchase_request", BUCKET_OFFICE, 0);
    expect_home(model, "trip_stop", BUCKET_USER, 1);
    expect_home(model, "quote_line", BUCKET_COMMERCIAL, 20);
    run(model, "DELETE FROM quote_line; UPDATE quote SET presenter_id = 1;"
               "INSERT INTO quote_line(id, quote_id, kind, description, quantity_m, price_e4, "
               "vat_id) VALUES (59, 57, 'part', '', 1000, 1, 1)");
    expect_home(model, "quote_line", BUCKET_USER, 1); /* a technician shows it */
}

static void expect_no(struct model *model, const char *script)
{
    struct problem problem = {0};

    assert_int_equal(sql_exec(model->database, script, &problem), RESULT_REFUSED);
}

/* On a device, with all triggers: what a technician types needs no column that only the server
 * fills, and a column of the server's is refused. */
static void case_a_technicians_day_is_plain_sql_on_the_device(void **state)
{
    struct sql_options options = {.in_memory = true, .create = true};
    struct model device = {0};
    struct problem problem = {0};

    (void)state;
    arena_init(&device.arena, 8 << 20);
    expect_ok(sql_open(&options, &device.database, &problem), &problem);
    expect_ok(migrate_run(device.database, SCHEMA_SIDE_AGENT, NULL, 0, (struct wall_time){0}, NULL,
                          &problem),
              &problem);
    expect_ok(catalog_load(device.database, &device.arena, &device.catalog, &problem), &problem);
    run(&device, "INSERT OR REPLACE INTO fs_state(name, number) VALUES ('replica_no', 7)");
    expect_ok(triggers_install(device.database, &device.catalog, SCHEMA_SIDE_AGENT, NULL, &problem),
              &problem);
    run(&device,
        "INSERT INTO call(id, channel, party_id, site_id, subject, opened_at, opened_by_id) "
        "SELECT id, 'visit', 20, 10, 'leak', 0, 1 FROM new_id;"
        "INSERT INTO activity(id, call_id, activity_type_id, technician_id) "
        "SELECT (SELECT id FROM new_id), id, 1, 1 FROM call;"
        "INSERT INTO activity_event(id, activity_id, kind, occurred_at, by_id) "
        "SELECT (SELECT id FROM new_id), id, 'start', 0, 1 FROM activity;"
        "INSERT INTO part_use(id, activity_id, item_id, used_m, from_location_id, occurred_at, "
        "by_id) SELECT (SELECT id FROM new_id), id, 9, 1000, 40, 0, 1 FROM activity;"
        "INSERT INTO reservation(id, item_id, location_id, asked_m, by_id) "
        "SELECT id, 9, 40, 1000, 1 FROM new_id");
    assert_int_equal(number(&device, "SELECT count(*) FROM fs_outbox WHERE op = 'I'"), 5);
    assert_int_equal(number(&device, "SELECT home FROM part_use"), bucket_of(BUCKET_SITE, 10));
    expect_no(&device, "UPDATE call SET state = 'closed'");
    expect_no(&device, "UPDATE activity SET planned_start_at = 1");
    expect_no(&device, "UPDATE part_use SET used_m = 1");
    expect_no(&device, "UPDATE reservation SET held_m = 1000");
    sql_close(device.database);
    arena_done(&device.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(case_a_technician_receives_the_sites_and_customers_of_the_work),
        CASE(case_work_counts_from_14_days_before_to_30_after_and_while_unfinished),
        CASE(case_a_technician_keeps_calls_he_opened_for_thirty_days),
        CASE(case_a_dispatcher_receives_all_sites_but_no_commercial_papers),
        CASE(case_a_sales_agent_receives_own_customers_only),
        CASE(case_warehouse_and_purchasing_receive_what_waits_for_them),
        CASE(case_every_role_with_a_device_has_a_subscription),
        CASE(case_a_change_wakes_those_whose_subscription_it_alters),
        CASE(case_every_watch_of_the_catalog_runs),
        CASE(case_a_fact_lives_where_its_call_lives),
        CASE(case_a_technicians_day_is_plain_sql_on_the_device),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
