/* SPDX-License-Identifier: Apache-2.0 */
/* Devices that wait until a person has compared their fingerprint. */
#include "tests/unit/server/core/master_kit.h" /* first: it asks for POSIX */

#include "protocol/identity.h"
#include "server/core/devices_confirm.h"

enum { CARLA = 0, CARLAS_REPLICA = 3 };

struct typing {
    int64_t replica_no;
    const char *fingerprint;
    bool is_same;
};

static enum result ask(struct work *work, void *context, struct problem *problem)
{
    return devices_ask_confirmation(work, context, problem);
}

static enum result confirm(struct work *work, void *context, struct problem *problem)
{
    struct typing *typing = context;

    return devices_confirm(work, typing->replica_no, typing->fingerprint, &typing->is_same,
                           problem);
}

static enum result type_in(struct world *world, const char *fingerprint, bool *ret_is_same)
{
    struct typing typing = {.replica_no = CARLAS_REPLICA, .fingerprint = fingerprint};
    enum result result =
        master_run(world->master, world->now, confirm, &typing, &world->outcome, &world->problem);

    *ret_is_same = typing.is_same;
    return result;
}

/* A device that was enrolled with a code that asks. */
static void enrol_carla(struct world *world)
{
    uint8_t *token_id = (uint8_t *)(uintptr_t)make_code(world, ANNA, MINUTES(15));
    struct job *job = NULL;

    kit_ok(world,
           master_run(world->master, world->now, ask, token_id, &world->outcome, &world->problem));
    memset(world->devices[CARLA].key, 0x60, PUBLIC_KEY_SIZE);
    job = enrol_job(world, CARLA, token_id);
    write_job(world, job);
    assert_int_equal(job->result, RESULT_OK);
    assert_int_equal(job->replica_no, CARLAS_REPLICA);
    job_destroy(job);
}

static enum replica_state state_of(struct world *world)
{
    struct job *job = make_job(world, JOB_AUTHENTICATE, CARLA);
    enum replica_state state;

    job->key = bytes_of(world->devices[CARLA].key, PUBLIC_KEY_SIZE);
    read_job(world, job);
    assert_true(job->is_known);
    state = job->state;
    job_destroy(job);
    return state;
}

static void a_new_device_waits_until_its_fingerprint_was_typed(void **state)
{
    struct world *world = *state;
    char fingerprint[IDENTITY_FINGERPRINT_SIZE];
    bool is_same = false;

    enrol_carla(world);
    assert_int_equal(state_of(world), REPLICA_PENDING);
    identity_fingerprint(world->devices[CARLA].key, fingerprint);
    assert_int_equal(type_in(world, fingerprint, &is_same), RESULT_OK);
    assert_true(is_same);
    assert_int_equal(state_of(world), REPLICA_ACTIVE);
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_audit WHERE event='confirmed'"
                                    " AND replica_no=3"),
                     1);
    assert_int_equal(type_in(world, fingerprint, &is_same), RESULT_REFUSED); /* it waits no more */
}

static void another_fingerprint_confirms_nothing_and_is_audited(void **state)
{
    static const char *const WRONG[] = {"", "-", "0123-4567-89ab-cdef", "nonsense"};
    struct world *world = *state;
    char part[IDENTITY_FINGERPRINT_SIZE];
    char longer[IDENTITY_FINGERPRINT_SIZE + 4];
    bool is_same = true;

    enrol_carla(world);
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        assert_int_equal(type_in(world, WRONG[i], &is_same), RESULT_OK);
        assert_false(is_same);
    }
    identity_fingerprint(world->devices[CARLA].key, part);
    (void)snprintf(longer, sizeof longer, "%s-1", part);
    assert_int_equal(type_in(world, longer, &is_same), RESULT_OK);
    assert_false(is_same);
    part[strlen(part) - 1] = '\0';
    assert_int_equal(type_in(world, part, &is_same), RESULT_OK);
    assert_false(is_same);
    assert_int_equal(state_of(world), REPLICA_PENDING);
    assert_int_equal(
        integer(world, "SELECT count(*) FROM fs_audit WHERE event='confirmation_mismatch'"), 6);
}

static void capitals_blanks_and_hyphens_do_not_matter(void **state)
{
    struct world *world = *state;
    char fingerprint[IDENTITY_FINGERPRINT_SIZE];
    char typed[64] = " ";
    bool is_same = false;

    enrol_carla(world);
    identity_fingerprint(world->devices[CARLA].key, fingerprint);
    for (size_t i = 0; fingerprint[i] != '\0'; i++) {
        char letter = fingerprint[i];

        if (letter != '-')
            (void)snprintf(typed + strlen(typed), sizeof typed - strlen(typed), "%c ",
                           letter >= 'a' ? letter - 'a' + 'A' : letter);
    }
    assert_int_equal(type_in(world, typed, &is_same), RESULT_OK);
    assert_true(is_same);
}

/* Also where the state was looked at before: the writer looks again. */
static void a_waiting_device_brings_nothing_and_gets_no_welcome(void **state)
{
    struct world *world = *state;
    struct change change =
        make_change(world, "note", CHANGE_INSERT, (INT64_C(3) << 33) + 1, 0, world->now.us,
                    FIELDS(N("site_id", 10), T("a", "too early")));
    struct job *job = NULL;
    int64_t seq = 0;

    enrol_carla(world);
    seq = head(world);
    world->devices[CARLA].replica_no = CARLAS_REPLICA;
    job = seal_job(world, CARLA, &change, 1);
    write_job(world, job);
    assert_int_equal(job->result, RESULT_REFUSED);
    assert_int_equal(job->state, REPLICA_PENDING);
    assert_int_equal(job->frame_count, 0);
    assert_int_equal(head(world), seq);
    job_destroy(job);
}

static void a_revoked_device_is_revoked_whether_confirmed_or_not(void **state)
{
    struct world *world = *state;
    bool is_same = true;

    enrol_carla(world);
    office(world, "UPDATE device SET revoked_at=1 WHERE id=(SELECT device_id FROM fs_replica"
                  " WHERE replica_no=3)");
    assert_int_equal(state_of(world), REPLICA_REVOKED);
    assert_int_equal(type_in(world, "0", &is_same), RESULT_REFUSED);
    assert_false(is_same);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, world_create, world_destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_new_device_waits_until_its_fingerprint_was_typed),
        STORY(another_fingerprint_confirms_nothing_and_is_audited),
        STORY(capitals_blanks_and_hyphens_do_not_matter),
        STORY(a_waiting_device_brings_nothing_and_gets_no_welcome),
        STORY(a_revoked_device_is_revoked_whether_confirmed_or_not),
    };

    return cmocka_run_group_tests(tests, template_create, template_destroy);
}
