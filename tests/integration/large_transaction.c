/* SPDX-License-Identifier: Apache-2.0 */
/* R7 at its largest: one local transaction of 250,000 rows arrives whole or not at all, however
 * often it is cut off on its way, and neither side's memory grows with it without bound. */
#include "tests/integration/company.h" /* first: it asks for POSIX */

#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__)
enum { IS_SANITIZED = 1, ROWS = 20000 }; /* memory and time are ten times as much here */
#else
enum { IS_SANITIZED = 0, ROWS = 250000 };
#endif
enum {
    PART_SIZE = 128 * 1024,
    SEALING_MIB_MAX = 64,
    APPLYING_MIB_MAX = 600,
};

/* A call on the first device, without notes; its id. */
static int64_t scene_of(struct company *company)
{
    struct world *world = company->world;

    make_scene(company, &company->spare, NOTHING_LEFT_OUT, 0);
    make_scene(company, &company->people[0].scene, NOTHING_LEFT_OUT, 0);
    run_sql(world, world->other, "DELETE FROM call_note", NULL, 0);
    adopt(world);
    pull_all(world);
    return integer_of(world, company->people[0].side->other, "SELECT min(id) FROM call", NULL, 0);
}

static void write_transaction(struct company *company, struct side *side, int64_t call_id,
                              int row_count)
{
    struct world *world = company->world;
    struct sql_statement *insert = NULL;
    bool has_row = false;

    ok(world, sql_exec(side->other, "BEGIN IMMEDIATE", &world->problem));
    ok(world,
       sql_prepare(side->other,
                   "INSERT INTO call_note(id, call_id, occurred_at, by_id, body)"
                   " VALUES((SELECT id FROM new_id), ?1, ?2, ?3, 'measured value no. ' || ?4)",
                   &insert, &world->problem));
    for (int i = 0; i < row_count; i++) {
        const struct value values[] = {value_integer(call_id), value_integer(world->now.us),
                                       value_integer(side->user_id), value_integer(i)};

        sql_reset(insert);
        ok(world, sql_bind_all(insert, values, 4, &world->problem));
        ok(world, sql_step(insert, &has_row, &world->problem));
    }
    sql_release(insert);
    ok(world, sql_exec(side->other, "COMMIT", &world->problem));
}

static int64_t notes_on_master(struct company *company)
{
    return integer_of(company->world, company->world->other, "SELECT count(*) FROM call_note", NULL,
                      0);
}

static int64_t memory_mib(void)
{
    struct rusage usage;

    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss / 1024;
}

/* Parts [0, part_max) of the seal; true: the last one was among them. */
static bool push_parts(struct company *company, struct side *side, int64_t seal_no,
                       int64_t part_max, struct answers *answers)
{
    struct world *world = company->world;
    const struct catalog *catalog = NULL;
    bool is_last = false;

    answers->count = 0;
    for (int64_t part_no = 0; part_no < part_max && !is_last; part_no++) {
        struct job *job = make_job(world, JOB_PUSH, side);
        struct message_push push = {0};
        struct arena arena;
        struct buffer body;

        arena_init(&arena, 64 << 20);
        ok(world, replica_push_part(side->replica, seal_no, part_no, PART_SIZE, &arena, &push,
                                    &world->problem));
        buffer_init(&body, LIMIT_BODY_SIZE_MAX);
        ok(world,
           replica_catalog_of(side->replica, push.schema_version, &catalog, &world->problem));
        ok(world, message_push_encode(catalog, &push, &body, &world->problem));
        give_body(world, job, &body);
        run_job(world, job);
        if (job->result != RESULT_OK)
            fail_msg("part %" PRId64 ": %s", part_no, job->problem.text);
        is_last = push.is_last_part;
        if (is_last)
            take_verdict(world, side, job, answers);
        else if (part_no == 0)
            assert_int_equal(notes_on_master(company), 0);
        job_destroy(job);
        arena_done(&arena);
    }
    return is_last;
}

static void a_transaction_of_250000_rows_arrives_whole(void **state)
{
    struct company *company = *state;
    struct world *world = company->world;
    struct side *anna = company->people[0].side;
    int64_t call_id = scene_of(company);
    int64_t seal_no = 0;
    int64_t mib = 0;

    write_transaction(company, anna, call_id, ROWS);
    mib = memory_mib();
    ok(world, replica_seal(anna->replica, world->now, &seal_no, &world->problem));
    print_message("  the device takes %" PRId64 " MiB to seal it\n", memory_mib() - mib);
    assert_true(IS_SANITIZED || memory_mib() - mib <= SEALING_MIB_MAX);
    assert_false(replica_seal_is_cut(anna->replica));
    assert_int_equal(integer_of(world, anna->other, "SELECT count(*) FROM fs_seal_change", NULL, 0),
                     ROWS);

    assert_false(push_parts(company, anna, seal_no, 3, &company->answers));
    side_resume(world, anna); /* cut in the middle */
    assert_int_equal(notes_on_master(company), 0);
    mib = memory_mib();
    assert_true(push_parts(company, anna, seal_no, INT64_MAX, &company->answers));
    print_message("  the server takes %" PRId64 " MiB to apply it\n", memory_mib() - mib);
    assert_true(IS_SANITIZED || memory_mib() - mib <= APPLYING_MIB_MAX);
    assert_int_equal(company->answers.count, 0);
    assert_int_equal(notes_on_master(company), ROWS);
    assert_int_equal(integer_of(world, world->other, "SELECT count(*) FROM fs_push_part", NULL, 0),
                     0);
}

/* More than any server takes in one piece: nothing waits for ever, and the device knows. */
static void what_no_server_takes_whole_goes_in_pieces(void **state)
{
    enum { HALVES = 2 };
    struct company *company = *state;
    struct world *world = company->world;
    struct side *anna = company->people[0].side;
    int64_t seals[HALVES] = {0};
    bool has_unsealed = true;
    int64_t call_id = 0;

    if (IS_SANITIZED)
        skip();
    call_id = scene_of(company);
    write_transaction(company, anna, call_id, LIMIT_UNIT_CHANGES_MAX + 1);
    for (int i = 0; i < HALVES; i++) {
        ok(world, replica_seal(anna->replica, world->now, &seals[i], &world->problem));
        assert_int_equal(replica_seal_is_cut(anna->replica), i == 0);
    }
    ok(world, replica_has_unsealed(anna->replica, &has_unsealed, &world->problem));
    assert_false(has_unsealed);
    assert_int_equal(seals[1], seals[0] + 1);
    assert_int_equal(integer_of(world, anna->other, "SELECT count(*) FROM fs_seal_change", NULL, 0),
                     LIMIT_UNIT_CHANGES_MAX + 1);
}

/* Texts that no server takes in one piece: the same. */
static void a_seal_is_cut_by_its_size_as_well(void **state)
{
    enum { TEXT_SIZE = 60000, TEXTS = 1200 };
    struct company *company = *state;
    struct world *world = company->world;
    struct side *anna = company->people[0].side;
    int64_t seal_no = 0;
    int64_t call_id = scene_of(company);
    const struct value values[] = {value_integer(call_id), value_integer(TEXTS),
                                   value_integer(TEXT_SIZE), value_integer(anna->user_id)};

    run_sql(world, anna->other,
            "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < ?2)"
            " INSERT INTO call_note(id, call_id, occurred_at, by_id, body)"
            " SELECT (SELECT id FROM new_id) + i, ?1, i, ?4, hex(zeroblob(?3 / 2)) FROM n",
            values, 4);
    ok(world, replica_seal(anna->replica, world->now, &seal_no, &world->problem));
    assert_true(replica_seal_is_cut(anna->replica));
    assert_true(push_parts(company, anna, seal_no, INT64_MAX, &company->answers));
    ok(world, replica_seal(anna->replica, world->now, &seal_no, &world->problem));
    assert_false(replica_seal_is_cut(anna->replica));
}

static int begin(void **state)
{
    return company_create(state, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_transaction_of_250000_rows_arrives_whole, begin,
                                        company_destroy),
        cmocka_unit_test_setup_teardown(what_no_server_takes_whole_goes_in_pieces, begin,
                                        company_destroy),
        cmocka_unit_test_setup_teardown(a_seal_is_cut_by_its_size_as_well, begin, company_destroy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
