/* SPDX-License-Identifier: Apache-2.0 */
/* Nobody takes a line out of the audit log unseen. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "server/service/audit.h"
#include "server/service/audit_inside.h"
#include "server/service/closing.h"
#include "tests/unit/server/service/bench.h"

#include <sodium.h>

static const uint8_t SERVER_SEED[32] = {3};

static const struct report_key *key_of_server(void)
{
    static struct report_key key;

    crypto_sign_seed_keypair(key.public_key, key.secret_key, SERVER_SEED);
    return &key;
}

static void close_with(struct bench *bench, const struct report_key *key)
{
    const struct closing closing = {.key = key};

    assert_ok(bench, work_settle(bench->work, &bench->problem));
    assert_ok(bench, closing_run(bench->work, &closing, &bench->problem));
    commit(bench);
}

static void note(struct bench *bench, const char *event, const char *detail)
{
    begin(bench);
    assert_ok(bench, audit_add(bench->work, event, 0, 0, detail, &bench->problem));
    close_with(bench, key_of_server());
}

static void make_root(struct bench *bench)
{
    begin(bench);
    assert_ok(bench, audit_make_root(bench->work, key_of_server(), true, &bench->problem));
    commit(bench);
}

static struct audit_check check_with(struct bench *bench, const uint8_t *key)
{
    struct audit_check check = {0};

    assert_ok(bench, store_begin(bench->store, STORE_READ, &bench->problem));
    assert_ok(bench, audit_check(bench->store, key, &check, &bench->problem));
    store_rollback(bench->store);
    return check;
}

/* Another program on the database: our own connections run without triggers. */
static enum result try(struct bench *bench, const char *sql)
{
    const struct sql_options options = {.path = bench->path, .profile = SQL_PROFILE_SERVER};
    struct sql_database *database = NULL;
    struct problem problem = {0};
    enum result result;

    assert_ok(bench, sql_open(&options, &database, &bench->problem));
    result = sql_exec(database, sql, &problem);
    sql_close(database);
    return result;
}

/* As somebody would who owns the file and stops at nothing. */
static void force(struct bench *bench, const char *sql)
{
    assert_int_equal(try(bench, "DROP TRIGGER IF EXISTS fs_audit_changed"), RESULT_OK);
    assert_int_equal(try(bench, "DROP TRIGGER IF EXISTS fs_audit_removed"), RESULT_OK);
    assert_int_equal(try(bench, "DROP TRIGGER IF EXISTS fs_audit_added"), RESULT_OK);
    assert_int_equal(try(bench, sql), RESULT_OK);
}

static void three_lines(struct bench *bench)
{
    note(bench, "one", "a");
    note(bench, "two", "b\n{\"id\":9}");
    note(bench, "three", NULL);
}

static void lines_are_only_ever_added(void **state)
{
    struct bench *bench = *state;

    three_lines(bench);
    assert_int_equal(try(bench, "UPDATE fs_audit SET detail = 'x' WHERE event = 'one'"),
                     RESULT_REFUSED);
    assert_int_equal(try(bench, "UPDATE fs_audit SET hash = NULL"), RESULT_REFUSED);
    assert_int_equal(try(bench, "DELETE FROM fs_audit WHERE event = 'one'"), RESULT_REFUSED);
    assert_int_equal(try(bench, "INSERT INTO fs_audit(id, occurred_at, event) VALUES(0, 1, 'x')"),
                     RESULT_REFUSED);
    assert_int_equal(try(bench, "INSERT INTO fs_audit(occurred_at, event, hash)"
                                " VALUES(1, 'x', 'ab')"),
                     RESULT_REFUSED);
    assert_true(check_with(bench, NULL).is_good);
}

static void whoever_changes_a_line_breaks_the_chain(void **state)
{
    static const char *const CRIMES[] = {
        "UPDATE fs_audit SET detail = 'x' WHERE event = 'two'",
        "UPDATE fs_audit SET occurred_at = 1 WHERE event = 'two'",
        "UPDATE fs_audit SET user_id = 5 WHERE event = 'two'",
        "DELETE FROM fs_audit WHERE event = 'two'",
        "INSERT INTO fs_audit(id, occurred_at, event, hash) VALUES(-1, 1, 'x', 'ab')",
    };
    struct bench *bench = *state;

    three_lines(bench);
    for (size_t i = 0; i < sizeof CRIMES / sizeof *CRIMES; i++) {
        struct audit_check check;

        assert_int_equal(try(bench, "CREATE TABLE IF NOT EXISTS kept AS SELECT * FROM fs_audit"),
                         RESULT_OK);
        force(bench, CRIMES[i]);
        check = check_with(bench, NULL);
        if (check.is_good)
            fail_msg("unseen: %s", CRIMES[i]);
        assert_non_null(strstr(check.difference, "does not follow"));
        force(bench, "DELETE FROM fs_audit");
        force(bench, "INSERT INTO fs_audit SELECT * FROM kept");
        assert_true(check_with(bench, NULL).is_good);
    }
}

/* A whole new chain is consistent in itself; only what somebody else has seen contradicts it. */
static void a_root_holds_the_server_to_what_is_below_it(void **state)
{
    struct bench *bench = *state;
    struct audit_check check;

    three_lines(bench);
    make_root(bench);
    note(bench, "four", "d");
    make_root(bench);
    make_root(bench); /* nothing new: no root */
    check = check_with(bench, key_of_server()->public_key);
    assert_true(check.is_good);
    assert_int_equal(check.root_count, 2);
    assert_int_equal(check.line_count, number(bench, "SELECT count(*) FROM fs_audit", 0, 0));
    check = check_with(bench, SERVER_SEED); /* no key of anybody */
    assert_false(check.is_good);
    assert_non_null(strstr(check.difference, "root 1 is not signed"));

    force(bench, "UPDATE fs_audit SET detail = 'x', hash = NULL WHERE event = 'one'");
    force(bench, "UPDATE fs_audit SET hash = NULL");
    begin(bench); /* closes the chain anew over what now stands there */
    close_with(bench, NULL);
    check = check_with(bench, NULL);
    assert_false(check.is_good);
    assert_non_null(strstr(check.difference, "root 1 is not the root of lines 1 to"));
}

static void a_root_is_made_the_day_after(void **state)
{
    struct bench *bench = *state;

    three_lines(bench);
    assert_int_equal(number(bench, "SELECT count(*) FROM fs_root", 0, 0), 0);
    bench->now.us += HOURS(24);
    begin(bench);
    close_with(bench, NULL);
    assert_int_equal(number(bench, "SELECT count(*) FROM fs_root", 0, 0), 0);
    begin(bench);
    close_with(bench, key_of_server());
    assert_int_equal(number(bench, "SELECT count(*) FROM fs_root", 0, 0), 1);
    begin(bench);
    close_with(bench, key_of_server());
    assert_int_equal(number(bench, "SELECT count(*) FROM fs_root", 0, 0), 1);
}

static void a_restore_is_noted_by_its_epoch(void **state)
{
    struct bench *bench = *state;

    for (int i = 0; i < 3; i++) {
        assert_int_equal(try(bench, i == 2 ? "UPDATE fs_state SET data = x'02' WHERE name = 'epoch'"
                                           : "INSERT OR REPLACE INTO fs_state(name, data)"
                                             " VALUES('epoch', x'01')"),
                         RESULT_OK);
        begin(bench);
        close_with(bench, NULL);
    }
    assert_int_equal(number(bench, "SELECT count(*) FROM fs_audit WHERE event = 'begun'", 0, 0), 1);
    assert_int_equal(number(bench, "SELECT count(*) FROM fs_audit WHERE event = 'restored'", 0, 0),
                     1);
}

/* RFC 6962, 2.1, computed here from above: the left part is the largest power of two below n. */
static void tree_of(uint8_t (*leaves)[EVIDENCE_HASH_SIZE], size_t count,
                    uint8_t ret_hash[EVIDENCE_HASH_SIZE])
{
    uint8_t both[1 + 2 * EVIDENCE_HASH_SIZE] = {0};
    size_t left = 1;

    if (count == 1) {
        memcpy(both + 1, leaves[0], EVIDENCE_HASH_SIZE);
        crypto_generichash(ret_hash, EVIDENCE_HASH_SIZE, both, 1 + EVIDENCE_HASH_SIZE, NULL, 0);
        return;
    }
    while (left * 2 < count)
        left *= 2;
    both[0] = 1;
    tree_of(leaves, left, both + 1);
    tree_of(leaves + left, count - left, both + 1 + EVIDENCE_HASH_SIZE);
    crypto_generichash(ret_hash, EVIDENCE_HASH_SIZE, both, sizeof both, NULL, 0);
}

static void the_tree_is_that_of_rfc_6962(void **state)
{
    uint8_t leaves[40][EVIDENCE_HASH_SIZE] = {{0}};
    struct merkle tree = {0};

    (void)state;
    for (size_t i = 0; i < 40; i++) {
        uint8_t grown[EVIDENCE_HASH_SIZE];
        uint8_t computed[EVIDENCE_HASH_SIZE];

        leaves[i][0] = (uint8_t)(i + 1);
        merkle_add(&tree, leaves[i]);
        merkle_root(&tree, grown);
        tree_of(leaves, i + 1, computed);
        assert_memory_equal(grown, computed, sizeof grown);
    }
}

static void rights_and_decisions_are_noted(void **state)
{
    struct bench *bench = *state;
    const struct author server = {0};
    int64_t item;

    begin(bench);
    item = insert_in(bench, "review_item", 0,
                     FIELDS({"kind", T("x")}, {"table_name", T("call")}, {"reason_code", T("x")},
                            {"reason_text", T("x")}, {"role", T("manager")}, {"created_at", N(1)},
                            {"home", N(bucket_of(BUCKET_OFFICE, 0))}));
    close_with(bench, NULL);
    begin(bench);
    assert_ok(bench,
              work_update_fields(bench->work, "review_item", item, FIELDS({"state", T("resolved")}),
                                 &server, &bench->problem));
    (void)insert_in(bench, "role_grant", 0,
                    FIELDS({"user_id", N(bench->mario)}, {"role", T("warehouse")}));
    close_with(bench, NULL);
    assert_int_equal(
        number(bench, "SELECT count(*) FROM fs_audit WHERE event='conflict_decided'", 0, 0), 1);
    assert_int_equal(number(bench,
                            "SELECT count(*) FROM fs_audit WHERE event = 'rights_changed'"
                            " AND detail LIKE 'role_grant % added'",
                            0, 0),
                     8);
    assert_true(check_with(bench, NULL).is_good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(lines_are_only_ever_added),
        STORY(whoever_changes_a_line_breaks_the_chain),
        STORY(a_root_holds_the_server_to_what_is_below_it),
        STORY(a_root_is_made_the_day_after),
        STORY(a_restore_is_noted_by_its_epoch),
        STORY(the_tree_is_that_of_rfc_6962),
        STORY(rights_and_decisions_are_noted),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
