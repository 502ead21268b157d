/* SPDX-License-Identifier: Apache-2.0 */
/* Who is subscribed to what, since when and until when. */
#include "tests/unit/server/core/master_kit.h" /* first: it asks for POSIX */

static size_t subscribed(struct world *world, int64_t user_id)
{
    struct store *store = master_store(world->reader);
    struct scope_bucket *buckets = NULL;
    size_t count = 0;

    kit_ok(world, store_begin(store, STORE_READ, &world->problem));
    kit_ok(world,
           scope_subscribed(store, &world->arena, user_id, &buckets, &count, &world->problem));
    store_rollback(store);
    for (size_t i = 1; i < count; i++)
        assert_true(buckets[i - 1].bucket < buckets[i].bucket);
    return count;
}

/* The seq from which the user is out of the bucket, as scope_rights_until says. */
static int64_t until(struct world *world, int64_t user_id, int64_t bucket)
{
    struct store *store = master_store(world->reader);
    struct scope_rights rights;
    int64_t found = -1;

    kit_ok(world, store_begin(store, STORE_READ, &world->problem));
    scope_rights_init(&rights, store, &world->arena, user_id);
    for (int i = 0; i < 2; i++) /* asked and remembered */
        kit_ok(world, scope_rights_until(&rights, bucket, &found, &world->problem));
    store_rollback(store);
    return found;
}

static void roles_decide_what_is_subscribed(void **state)
{
    struct world *world = *state;

    assert_int_equal(subscribed(world, ANNA), 4); /* shared, her own, two sites */
    assert_int_equal(subscribed(world, BRUNO), 3);
    office(world, "DELETE FROM role_grant WHERE user_id=2");
    assert_int_equal(subscribed(world, BRUNO), 0);
    office(world, "INSERT INTO role_grant(id, user_id, role) VALUES"
                  " (50,2,'technician'),(51,2,'admin')");
    assert_true(subscribed(world, BRUNO) >= 4); /* the union of both roles */
}

static void who_is_not_active_is_subscribed_to_nothing(void **state)
{
    struct world *world = *state;

    office(world, "UPDATE app_user SET is_active=0 WHERE id=1");
    assert_int_equal(subscribed(world, ANNA), 0);
    assert_int_equal(subscribed(world, BRUNO), 3);
}

static void the_history_says_until_when_a_bucket_was_whose(void **state)
{
    struct world *world = *state;

    assert_int_equal(until(world, ANNA, SITE(20)), INT64_MAX);
    assert_int_equal(until(world, ANNA, SITE(30)), SCOPE_NEVER);
    office(world, "DELETE FROM watch_list WHERE id=3");
    assert_int_equal(until(world, ANNA, SITE(20)), head(world));
    office(world, "INSERT INTO watch_list(id, user_id, site_id) VALUES (60,1,20)");
    assert_int_equal(until(world, ANNA, SITE(20)), INT64_MAX);
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_entitlement WHERE user_id=1"
                                    " AND to_seq IS NOT NULL"),
                     1); /* the time before is still known */
}

static void a_commit_that_concerns_nobody_changes_no_subscription(void **state)
{
    struct world *world = *state;

    office(world, "INSERT INTO note(id, site_id) VALUES (1,10)");
    assert_int_equal(world->outcome.rescoped_count, 0);
    office(world, "INSERT INTO watch_list(id, user_id, site_id) VALUES (61,1,10)"); /* again */
    assert_int_equal(world->outcome.rescoped_count, 0);
}

/* The master must not look at subscriptions for a column that none of them reads. */
static void a_change_that_no_subscription_reads_names_nobody(void **state)
{
    struct world *world = *state;

    office(world, "INSERT INTO note(id, site_id) VALUES (1,10)");
    assert_int_equal(world->outcome.work.user_count, 0);
    office(world, "UPDATE note SET site_id=20, a='moved' WHERE id=1");
    assert_int_equal(world->outcome.work.user_count, 0);
    office(world, "UPDATE site SET access_note='ring twice' WHERE id=10");
    assert_int_equal(world->outcome.work.user_count, 0);
    office(world, "DELETE FROM note WHERE id=1");
    assert_int_equal(world->outcome.work.user_count, 0);
    office(world, "UPDATE watch_list SET site_id=30 WHERE id=3");
    assert_int_equal(world->outcome.work.user_count, 1);
    assert_int_equal(until(world, ANNA, SITE(30)), INT64_MAX);
    office(world, "UPDATE app_user SET is_active=0 WHERE id=2");
    assert_true(world->outcome.work.user_count > 0);
    assert_int_equal(subscribed(world, BRUNO), 0);
}

static void a_subscription_that_time_changes_gets_a_seq_of_its_own(void **state)
{
    struct world *world = *state;
    int64_t before = head(world);
    struct job *job = make_job(world, JOB_RESCOPE, ANNA);

    write_job(world, job);
    assert_int_equal(head(world), before); /* nothing had changed */
    sql(world, "INSERT INTO fs_flag(k) VALUES(1); DELETE FROM watch_list WHERE id=3;"
               " DELETE FROM fs_flag;"); /* as if only the time had passed */
    write_job(world, job);
    assert_int_equal(head(world), before + 1);
    assert_int_equal(world->outcome.work.seq, before + 1);
    assert_int_equal(until(world, ANNA, SITE(20)), before + 1);
    job_destroy(job);
}

static void a_user_without_a_device_costs_nothing(void **state)
{
    struct world *world = *state;

    office(world, "INSERT INTO app_user(id, login, name) VALUES (9,'carla','Carla');"
                  "INSERT INTO role_grant(id, user_id, role) VALUES (70,9,'technician');"
                  "INSERT INTO watch_list(id, user_id, site_id) VALUES (71,9,10)");
    assert_int_equal(subscribed(world, 9), 0);
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_entitlement WHERE user_id=9"), 0);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, world_create, world_destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(roles_decide_what_is_subscribed),
        STORY(who_is_not_active_is_subscribed_to_nothing),
        STORY(the_history_says_until_when_a_bucket_was_whose),
        STORY(a_commit_that_concerns_nobody_changes_no_subscription),
        STORY(a_change_that_no_subscription_reads_names_nobody),
        STORY(a_subscription_that_time_changes_gets_a_seq_of_its_own),
        STORY(a_user_without_a_device_costs_nothing),
    };

    return cmocka_run_group_tests(tests, template_create, template_destroy);
}
