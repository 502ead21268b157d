/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/schema_fixture/fixture.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <sys/wait.h>

static int agent_setup(void **state)
{
    *state = fixture_create_model(SCHEMA_SIDE_AGENT);
    return 0;
}

static int server_setup(void **state)
{
    *state = fixture_create_model(SCHEMA_SIDE_SERVER);
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

#define NEW_ID "(SELECT id FROM new_id)"

static void insert_update_and_delete_are_captured(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO site(id, name) VALUES (" NEW_ID ", 'a')");
    fixture_exec(f, "UPDATE site SET note = 'x'");
    fixture_exec(f, "UPDATE site SET name = 'b', note = 'y'");
    fixture_exec(f, "DELETE FROM site");
    fixture_expect_outbox(f, "I1:6 U1:4 U1:6 D1:0");
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM fs_outbox WHERE base_seq = 812 AND"
                                        " abs(edited_at / 1000000 - strftime('%s')) < 5"),
                     4);
}

static void update_without_difference_is_not_captured(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO site(id, name, note) VALUES (" NEW_ID ", 'a', NULL)");
    fixture_expect_outbox(f, "I1:6");
    fixture_exec(f, "UPDATE site SET name = 'a', note = NULL; UPDATE site SET id = id");
    fixture_expect_outbox(f, "");
}

static void change_of_case_is_captured_in_a_nocase_column(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO site(id, name) VALUES (" NEW_ID ", 'Rome')");
    fixture_exec(f, "UPDATE site SET name = 'ROME'");
    fixture_expect_outbox(f, "I1:6 U1:2");
}

static void values_differ_by_content_not_by_spelling(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO part(id, n) VALUES (" NEW_ID ", 1)");
    fixture_expect_outbox(f, "I1:62");
    fixture_exec(f, "UPDATE part SET n = 1.0; UPDATE part SET n = '1'"); /* REAL: still 1.0 */
    fixture_expect_outbox(f, "");
    fixture_exec(f, "UPDATE part SET n = 1.5; UPDATE part SET code = ''; UPDATE part SET code ="
                    " NULL; UPDATE part SET data = x''; UPDATE part SET data = x'00'; UPDATE part"
                    " SET data = '0'; UPDATE part SET data = 0; UPDATE part SET data = NULL");
    fixture_expect_outbox(f, "U1:16 U1:2 U1:2 U1:32 U1:32 U1:32 U1:32 U1:32");
    fixture_exec(f, "UPDATE part SET code = 7; UPDATE part SET code = '7'"); /* TEXT: the same */
    fixture_expect_outbox(f, "U1:2");
}

static void upsert_is_captured_as_what_it_does(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO part(id, code, a) VALUES (" NEW_ID ", 'p', 'x')");
    fixture_expect_outbox(f, "I1:62");
    fixture_exec(f, "INSERT INTO part(id, code, a) VALUES (" NEW_ID ", 'p', 'y')"
                    " ON CONFLICT(code) DO UPDATE SET a = excluded.a");
    fixture_expect_outbox(f, "?1:0 U1:4");
    fixture_exec(f, "INSERT INTO part(id, code) VALUES (" NEW_ID ", 'p') ON CONFLICT DO NOTHING");
    fixture_expect_outbox(f, "?1:0");
    fixture_exec(f, "INSERT INTO part(id, code, a) SELECT id, code, 'z' FROM part WHERE true"
                    " ON CONFLICT(id) DO UPDATE SET a = excluded.a");
    fixture_expect_outbox(f, "R1:4 U1:4");
}

static void upsert_of_a_row_with_server_columns_is_let_through(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO call(id, title) VALUES (" NEW_ID ", 't')");
    fixture_exec(f, "BEGIN; INSERT INTO fs_flag VALUES (1); UPDATE call SET state = 'open';"
                    " DELETE FROM fs_flag; COMMIT");
    fixture_exec(f, "INSERT INTO call(id, title) SELECT id, 'u' FROM call WHERE true"
                    " ON CONFLICT(id) DO UPDATE SET title = excluded.title");
    fixture_expect_outbox(f, "I1:14 R1:24 U1:8");
    fixture_exec(f, "REPLACE INTO call(id, title, state) SELECT id, 'v', state FROM call");
    fixture_expect_outbox(f, "R1:8 I1:14");
    fixture_refuses(f, "REPLACE INTO call(id, title) SELECT id, 'w' FROM call",
                    "REPLACE changes a fact or resets what the server sets");
    fixture_expect_outbox(f, "");
}

static void replace_of_the_same_id_says_which_columns_differ(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO part(id, code, a, b, n, data) VALUES (" NEW_ID
                    ", 'p', 'x', 'y', 1.5, x'01')");
    fixture_exec(f, "REPLACE INTO part SELECT id, code, 'X', b, 2.5, data FROM part");
    fixture_expect_outbox(f, "I1:62 R1:20 I1:62");
    fixture_exec(f, "PRAGMA recursive_triggers = ON;"
                    " REPLACE INTO part SELECT id, code, 'X', b, 3.5, data FROM part");
    fixture_expect_outbox(f, "R1:16 D1:0 I1:62");
}

static void replace_through_a_single_unique_looks_at_the_victim(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO part(id, code) VALUES (" NEW_ID ", 'p')");
    fixture_exec(f, "REPLACE INTO part(id, code) VALUES (" NEW_ID ", 'p')");
    fixture_expect_outbox(f, "I1:62 ?1:0 I2:62");
    fixture_exec(f, "PRAGMA recursive_triggers = ON");
    fixture_exec(f, "REPLACE INTO part(id, code) VALUES (" NEW_ID ", 'p')");
    fixture_expect_outbox(f, "?2:0 D2:0 I4:62");
}

static void replace_through_a_composite_unique_looks_at_the_victim(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO part(id, a, b) VALUES (" NEW_ID ", 'a', 'b')");
    fixture_exec(f, "REPLACE INTO part(id, a, b) VALUES (" NEW_ID ", 'a', NULL)");
    fixture_expect_outbox(f, "I1:62 I2:62"); /* a NULL is never the same */
    fixture_exec(f, "REPLACE INTO part(id, a, b) VALUES (" NEW_ID ", 'a', 'B')"); /* NOCASE */
    fixture_expect_outbox(f, "?1:0 I3:62");
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM part WHERE b IS NOT NULL"), 1);
}

static void replace_through_a_partial_unique_looks_at_the_victim(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO part(id, a, n) VALUES (" NEW_ID ", 'it''s ) WHERE', 7)");
    fixture_exec(f, "INSERT INTO part(id, a, n) VALUES (" NEW_ID ", 'other', 7)");
    fixture_expect_outbox(f, "I1:62 ?1:0 I2:62"); /* spurious: row 1 is still there */
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM part"), 2);
    fixture_exec(f, "UPDATE OR REPLACE part SET a = 'it''s ) WHERE' WHERE a = 'other'");
    fixture_expect_outbox(f, "?1:0 U2:4");
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM part"), 1);
}

static void update_or_replace_looks_at_the_victim(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO part(id, code) VALUES (" NEW_ID ", 'p')");
    fixture_exec(f, "INSERT INTO part(id, code) VALUES (" NEW_ID ", 'q')");
    fixture_exec(f, "UPDATE OR REPLACE part SET code = 'p' WHERE code = 'q'");
    fixture_expect_outbox(f, "I1:62 I2:62 ?1:0 U2:2");
    fixture_refuses(f, "INSERT INTO part(id, code) VALUES (" NEW_ID ", 'p')", "UNIQUE");
    fixture_expect_outbox(f, "");
}

static void insert_or_ignore_leaves_only_looks(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO part(id, code) VALUES (" NEW_ID ", 'p')");
    fixture_exec(f, "INSERT OR IGNORE INTO part(id, code) VALUES (" NEW_ID ", 'p')");
    fixture_exec(f, "INSERT OR IGNORE INTO part(id, code) SELECT id, 'q' FROM part");
    fixture_expect_outbox(f, "I1:62 ?1:0 R1:2");
}

static void key_change_is_a_delete_and_an_insert(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO site(id, name) VALUES (" NEW_ID ", 'a')");
    fixture_exec(f, "INSERT INTO site(id, name) VALUES (" NEW_ID ", 'b')");
    fixture_exec(f, "UPDATE site SET id = " NEW_ID " WHERE name = 'a'");
    fixture_expect_outbox(f, "I1:6 I2:6 D1:0 I3:6");
    fixture_exec(f, "UPDATE site SET rowid = " NEW_ID ", note = 'n' WHERE name = 'a'");
    fixture_expect_outbox(f, "D3:0 I5:6");
    fixture_exec(f, "UPDATE OR REPLACE site SET id = (SELECT id FROM site WHERE name = 'b')"
                    " WHERE name = 'a'");
    fixture_expect_outbox(f, "R2:6 D5:0 I2:6");
    fixture_refuses(f, "UPDATE site SET id = 17", "use (SELECT id FROM new_id)");
}

static void cascades_are_captured(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "PRAGMA foreign_keys = ON");
    fixture_exec(f, "INSERT INTO folder(id) VALUES (" NEW_ID ")");
    fixture_exec(f, "INSERT INTO leaf(id, folder_id) SELECT " NEW_ID ", id FROM folder");
    fixture_exec(f, "UPDATE folder SET id = " NEW_ID);
    fixture_expect(f,
                   "SELECT group_concat(op || tbl || ':' || mask, ' ') FROM (SELECT * FROM"
                   " fs_outbox WHERE lcn > 2 ORDER BY op, tbl)",
                   "D8:0 I8:2 U9:2");
    fixture_exec(f, "UPDATE fs_state SET number = 0 WHERE name = 'seen'; DELETE FROM folder");
    fixture_expect(f,
                   "SELECT group_concat(op || tbl, ' ') FROM (SELECT * FROM fs_outbox WHERE"
                   " lcn > 5 ORDER BY tbl)",
                   "D8 D9");
}

static void what_is_rolled_back_is_not_captured(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "BEGIN; INSERT INTO site(id) VALUES (" NEW_ID "); ROLLBACK");
    fixture_expect_outbox(f, "");
    fixture_exec(f, "BEGIN; INSERT INTO site(id) VALUES (" NEW_ID "); SAVEPOINT s;"
                    " UPDATE site SET name = 'x'; ROLLBACK TO s; UPDATE site SET note = 'y';"
                    " COMMIT");
    fixture_expect_outbox(f, "I1:6 U1:4");
}

static void writes_of_a_foreign_trigger_are_captured(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "CREATE TRIGGER mine AFTER INSERT ON folder BEGIN"
                    " INSERT INTO leaf(id, folder_id) VALUES (" NEW_ID ", NEW.id); END");
    fixture_exec(f, "INSERT INTO folder(id) VALUES (" NEW_ID ")");
    fixture_expect(f,
                   "SELECT group_concat(op || tbl, ' ') FROM (SELECT * FROM fs_outbox ORDER BY"
                   " tbl)",
                   "I8 I9");
    fixture_exec(f, "INSERT INTO folder(id) VALUES (" NEW_ID ")");
    assert_int_equal(fixture_integer(f, "SELECT count(DISTINCT id) FROM leaf"), 2);
}

static void block_of_rows_takes_consecutive_ids(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
                    " INSERT INTO site(id, name) SELECT " NEW_ID " + row_number() OVER () - 1,"
                    " i FROM n");
    assert_int_equal(fixture_integer(f, "SELECT max(id) & 8589934591 FROM site"), 100);
    assert_int_equal(fixture_integer(f, "SELECT max(lcn) FROM fs_outbox"), 100);
    fixture_exec(f, "INSERT INTO site(id) VALUES (" NEW_ID ")");
    assert_int_equal(fixture_integer(f, "SELECT max(id) & 8589934591 FROM site"), 101);
    /* Backwards, and with a hole: the counter follows, no id is given twice. */
    fixture_exec(f, "INSERT INTO site(id) SELECT " NEW_ID " + 5");
    assert_int_equal(fixture_integer(f, "SELECT op = '-' FROM fs_outbox WHERE lcn = 106"), 1);
    assert_int_equal(fixture_integer(f, "SELECT id & 8589934591 FROM new_id"), 108);
}

static void wrong_ids_are_refused_with_advice(void **state)
{
    struct fixture *f = *state;
    static const char ADVICE[] = "id must be given and from this device's range: use"
                                 " (SELECT id FROM new_id)";

    fixture_refuses(f, "INSERT INTO site(name) VALUES ('no id')", ADVICE);
    fixture_refuses(f, "INSERT INTO site(id) VALUES (NULL)", ADVICE);
    fixture_refuses(f, "INSERT INTO site(id) VALUES (0)", ADVICE);
    fixture_refuses(f, "INSERT INTO site(id) VALUES (-7)", ADVICE);
    fixture_refuses(f, "INSERT INTO site(id) VALUES (1)", ADVICE);
    fixture_refuses(f, "INSERT INTO site(id) VALUES (5 << 33)", ADVICE);
    fixture_refuses(f, "INSERT INTO site(id) VALUES ((6 << 33) + 1)", ADVICE);
    fixture_refuses(f, "INSERT INTO site(id) VALUES ((5 << 33) + 2000000)", ADVICE);
    fixture_refuses(f, "INSERT OR IGNORE INTO site(id) VALUES (1)", ADVICE);
    fixture_refuses(f, "INSERT OR REPLACE INTO site(id) VALUES (1)", ADVICE);
    fixture_expect_outbox(f, "");
    fixture_exec(f, "UPDATE fs_state SET number = NULL WHERE name = 'replica_no'");
    fixture_refuses(f, "INSERT INTO site(id) VALUES (1)", "has no number yet");
}

static void flag_suppresses_everything(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "BEGIN; INSERT INTO fs_flag VALUES (1);"
                    " INSERT INTO site(id) VALUES (1); UPDATE site SET name = 'x';"
                    " INSERT INTO event(id, kind, home) VALUES (1, 'k', 9);"
                    " UPDATE event SET kind = 'l'; DELETE FROM event;"
                    " INSERT INTO call(id, state) VALUES (1, 'open'); REPLACE INTO call(id)"
                    " VALUES (1); UPDATE call SET id = 2; DELETE FROM call; DELETE FROM fs_flag;"
                    " COMMIT");
    fixture_expect_outbox(f, "");
    fixture_exec(f, "UPDATE site SET note = 'own edit of a row of the server'");
    fixture_expect_outbox(f, "U1:4");
}

static void fs_flag_holds_one_row_and_says_so(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "BEGIN; INSERT INTO fs_flag(k) VALUES (1)");
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM fs_flag"), 1);
    fixture_refuses(f, "INSERT INTO fs_flag(k) VALUES (1)", "has its row already");
    fixture_exec(f, "DELETE FROM fs_flag");
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM fs_flag"), 0);
    fixture_exec(f, "INSERT INTO site(id) VALUES (" NEW_ID "); INSERT INTO fs_flag(k) VALUES (1);"
                    " ROLLBACK; INSERT INTO site(id) VALUES (" NEW_ID ")");
    fixture_expect_outbox(f, "I1:6");
}

static void captured_lines_follow_fs_state_however_it_is_written(void **state)
{
    static const char *const WRITES[] = {
        "INSERT OR REPLACE INTO fs_state(name, number) VALUES ('published_seq', 900)",
        ("INSERT INTO fs_state(name, number) VALUES ('published_seq', 901)"
         " ON CONFLICT(name) DO UPDATE SET number = excluded.number"),
        "UPDATE fs_state SET number = 902 WHERE name = 'published_seq'",
        "UPDATE fs_state SET name = 'other' WHERE name = 'published_seq'",
        "DELETE FROM fs_state WHERE name = 'replica_no'",
    };
    static const int64_t SEQS[] = {900, 901, 902, 0};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof SEQS / sizeof SEQS[0]; i++) {
        fixture_exec(f, WRITES[i]);
        fixture_exec(f, "INSERT INTO site(id) VALUES (" NEW_ID ")");
        assert_int_equal(
            fixture_integer(f, "SELECT base_seq FROM fs_outbox ORDER BY lcn DESC LIMIT 1"),
            SEQS[i]);
    }
    fixture_exec(f, WRITES[4]);
    assert_int_equal(fixture_integer(f, "SELECT id IS NULL FROM new_id"), 1);
}

/* One transaction of an applier: rows of another replica, and a new published head. */
static void apply(struct fixture *f, struct triggers_pause *pause, const char *script)
{
    struct sql_transaction transaction = {0};

    fixture_ok(f, sql_begin(&transaction, f->database, SQL_IMMEDIATE, &f->problem));
    fixture_ok(f, triggers_pause_begin(pause, f->database, &f->problem));
    fixture_exec(f, script);
    fixture_ok(f, triggers_pause_end(pause, f->database, &f->problem));
    fixture_ok(f, sql_commit(&transaction, &f->problem));
    sql_end(&transaction);
}

static void what_an_applier_writes_in_a_pause_is_not_captured(void **state)
{
    struct fixture *f = *state;
    struct triggers_pause pause = {0};

    apply(f, &pause,
          "INSERT INTO call(id, state, site_id) VALUES (1, 'open', 77);"
          " UPDATE call SET state = 'closed'; REPLACE INTO call(id) VALUES (1);"
          " UPDATE fs_state SET number = 950 WHERE name = 'published_seq'");
    assert_true(pause.is_off);
    apply(f, &pause, "INSERT INTO event(id, home) VALUES (1, 9); DELETE FROM event");
    fixture_expect_outbox(f, "");
    triggers_pause_done(&pause, f->database);
    fixture_exec(f, "UPDATE call SET title = 't'");
    assert_int_equal(fixture_integer(f, "SELECT base_seq FROM fs_outbox"), 950);
    fixture_expect_outbox(f, "U1:8");
    fixture_refuses(f, "INSERT INTO site(id) VALUES (1)", "id must be given");
}

static void pause_of_one_connection_leaves_others_captured(void **state)
{
    struct fixture *f = *state;
    struct triggers_pause pause = {0};
    struct sql_database *applier = f->database;

    apply(f, &pause, "INSERT INTO site(id) VALUES (1)");
    f->database = NULL;
    fixture_reopen(f, SQL_PROFILE_AGENT);
    fixture_exec(f, "UPDATE site SET note = 'mine'");
    fixture_expect_outbox(f, "U1:4");
    sql_close(applier);
}

static void triggers_of_others_run_in_a_pause(void **state)
{
    struct fixture *f = *state;
    struct triggers_pause pause = {0};

    apply(f, &pause, "INSERT INTO site(id, name) VALUES (1, 'a')");
    assert_true(pause.is_off);
    /* Seen though it came later. */
    fixture_exec(f, "CREATE TRIGGER mine AFTER INSERT ON site BEGIN"
                    " INSERT INTO scratch(t) VALUES (NEW.name); END");
    apply(f, &pause, "INSERT INTO site(id, name) VALUES (2, 'b')");
    assert_false(pause.is_off);
    fixture_expect(f, "SELECT group_concat(t) FROM scratch", "b");
    fixture_expect_outbox(f, "");
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM fs_flag"), 0);
    fixture_exec(f, "DROP TRIGGER mine");
    apply(f, &pause, "INSERT INTO site(id, name) VALUES (3, 'c')");
    assert_true(pause.is_off);
    fixture_expect_outbox(f, "");
}

static void unique_index_with_an_expression_looks_at_all_changes(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "CREATE UNIQUE INDEX site_x ON site(name, lower(note))");
    fixture_ok(f, triggers_install(f->database, &f->catalog, SCHEMA_SIDE_AGENT, NULL, &f->problem));
    fixture_exec(f, "INSERT INTO site(id, name, note) VALUES (" NEW_ID ", 'a', 'x')");
    fixture_exec(f, "INSERT INTO site(id, name, note) VALUES (" NEW_ID ", 'a', 'y')");
    fixture_expect_outbox(f, "I1:6 ?1:0 I2:6");
    fixture_exec(f, "UPDATE OR REPLACE site SET note = 'X' WHERE note = 'y'");
    fixture_expect_outbox(f, "?1:0 U2:4");
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM site"), 1);
}

static void server_columns_are_refused_on_an_agent(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO call(id, state) VALUES (" NEW_ID ", 'new')"); /* its default */
    fixture_refuses(f, "INSERT INTO call(id, state) VALUES (" NEW_ID ", 'open')",
                    "call.state is set by the server: leave it out");
    fixture_refuses(f, "UPDATE call SET state = 'closed'", "call.state is set by the server only");
    fixture_refuses(
        f, "UPDATE activity SET home = 3; INSERT INTO activity(id, home) VALUES (" NEW_ID ", 3)",
        "activity.home is set by the server: leave it out");
    fixture_exec(f, "INSERT INTO activity(id) VALUES (" NEW_ID ")");
    fixture_refuses(f, "UPDATE activity SET home = 3", "activity.home is set by the server only");
}

/* 43 tables of the model are like this one. */
static void rows_that_the_server_makes_are_refused_at_once(void **state)
{
    static const char SAME[] =
        "UPDATE price SET name = 'a', unit = 'h'; INSERT INTO price(id, name)"
        " VALUES (7, 'a') ON CONFLICT(id) DO UPDATE SET name ="
        " excluded.name; INSERT OR IGNORE INTO price(id, name) VALUES"
        " (7, 'b')";
    struct fixture *f = *state;

    fixture_exec(f,
                 "CREATE TABLE price(id INTEGER PRIMARY KEY, name TEXT, unit TEXT NOT NULL DEFAULT"
                 " 'h'); INSERT INTO fs_table(number, name, bucket_rule, merge, delete_rule) VALUES"
                 " (20, 'price', 'shared', 'server_only', 'never'); INSERT INTO"
                 " fs_column(table_number, number, name, type, is_nullable) VALUES"
                 " (20, 1, 'name', 'text', 1), (20, 2, 'unit', 'text', 0)");
    fixture_load(f);
    fixture_ok(f, triggers_install(f->database, &f->catalog, SCHEMA_SIDE_AGENT, NULL, &f->problem));
    fixture_exec(f, "BEGIN; INSERT INTO fs_flag VALUES (1); INSERT INTO price(id, name) VALUES"
                    " (7, 'a'); DELETE FROM fs_flag; COMMIT");
    fixture_refuses(f, "INSERT INTO price(id) VALUES (" NEW_ID ")",
                    "rows of price are made by the server only");
    fixture_refuses(f, "REPLACE INTO price(id, name) VALUES (7, 'a')",
                    "rows of price are made by the server only");
    fixture_refuses(f, "UPDATE price SET unit = 'd'", "rows of price are changed by the server");
    fixture_refuses(f, "UPDATE price SET id = " NEW_ID, "rows of price are changed by the server");
    fixture_refuses(f, "DELETE FROM price", "rows of price are never deleted by a device");
    fixture_exec(f, SAME);
    fixture_expect_outbox(f, "");
}

static void facts_are_neither_changed_nor_deleted_on_an_agent(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO event(id, kind) VALUES (" NEW_ID ", 'k')");
    fixture_refuses(f, "UPDATE event SET kind = 'l'", "rows of event are facts");
    fixture_refuses(f, "UPDATE event SET id = " NEW_ID, "rows of event are facts");
    fixture_refuses(f, "DELETE FROM event", "rows of event are never deleted by a device");
    fixture_refuses(f, "REPLACE INTO event(id, kind) SELECT id, 'l' FROM event",
                    "REPLACE changes a fact");
    fixture_refuses(f, "REPLACE INTO event(id, kind) VALUES (" NEW_ID ", 'k')",
                    "REPLACE removes another row of event");
    fixture_exec(f, "UPDATE event SET kind = 'k'; INSERT INTO event(id, kind) VALUES (" NEW_ID
                    ", 'k') ON CONFLICT DO NOTHING");
    fixture_expect_outbox(f, "I1:10 ?1:0");
}

/* The row that an earlier statement met has left since; nothing was replaced now. */
static void a_look_of_an_earlier_statement_refuses_nothing(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO event(id, kind) VALUES (" NEW_ID ", 'k')");
    fixture_exec(f, "INSERT INTO event(id, kind) VALUES (" NEW_ID ", 'k') ON CONFLICT DO NOTHING");
    fixture_exec(f, "INSERT INTO fs_flag(k) VALUES (1); DELETE FROM event; DELETE FROM fs_flag");
    fixture_exec(f, "CREATE TEMP TABLE taken AS SELECT id FROM new_id;"
                    "INSERT INTO site(id, name) VALUES (" NEW_ID ", 'between')");
    fixture_exec(f, "INSERT INTO event(id, kind) SELECT id, 'l' FROM taken");
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM event"), 1);
}

static void home_follows_the_deciding_columns_over_two_levels(void **state)
{
    struct fixture *f = *state;
    char expected[32];

    fixture_exec(f, "INSERT INTO call(id, site_id) VALUES (" NEW_ID ", 77)");
    fixture_exec(f, "INSERT INTO call(id, party_id) VALUES (" NEW_ID ", 88)");
    fixture_exec(f, "INSERT INTO activity(id, call_id) SELECT " NEW_ID ", id FROM call WHERE"
                    " site_id = 77");
    fixture_exec(f, "INSERT INTO event(id, activity_id) SELECT " NEW_ID ", id FROM activity");
    (void)snprintf(expected, sizeof expected, "%" PRId64, bucket_of(BUCKET_SITE, 77));
    fixture_expect(f, "SELECT home FROM activity", expected);
    fixture_expect(f, "SELECT home FROM event", expected);
    fixture_exec(f, "UPDATE activity SET call_id = (SELECT id FROM call WHERE party_id = 88)");
    (void)snprintf(expected, sizeof expected, "%" PRId64, bucket_of(BUCKET_CUSTOMER, 88));
    fixture_expect(f, "SELECT home FROM activity", expected);
    fixture_expect_outbox(f, "I1:14 I2:14 I3:10 I4:10 U3:2");
    fixture_exec(f, "UPDATE activity SET call_id = NULL");
    fixture_expect(f, "SELECT home IS NULL FROM activity", "1");
}

static void names_that_need_quotes_are_quoted(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO \"odd \"\"name's\"(id, \"q\"\"q\") VALUES (" NEW_ID ", 'x')");
    fixture_exec(f, "REPLACE INTO \"odd \"\"name's\"(id, \"q\"\"q\") VALUES (" NEW_ID ", 'x')");
    fixture_exec(f, "UPDATE \"odd \"\"name's\" SET \"select\" = 's'");
    fixture_expect_outbox(f, "I1:6 ?1:0 I2:6 U2:2");
    fixture_refuses(f, "INSERT INTO \"odd \"\"name's\"(id) VALUES (1)", "id must be given");
}

static void local_tables_are_left_alone(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO scratch(t) VALUES ('x'); DELETE FROM scratch");
    fixture_expect_outbox(f, "");
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'"
                                        " AND tbl_name = 'scratch'"),
                     0);
}

static void sixty_two_columns_have_a_bit_each(void **state)
{
    struct fixture *f = *state;
    char script[4096];
    int size = snprintf(script, sizeof script, "CREATE TABLE wide(id INTEGER PRIMARY KEY");

    for (int n = 1; n <= 62; n++)
        size += snprintf(script + size, sizeof script - (size_t)size, ", c%d INTEGER", n);
    (void)snprintf(script + size, sizeof script - (size_t)size,
                   "); INSERT INTO fs_table(number, name, bucket_rule, merge, delete_rule) VALUES"
                   " (6, 'wide', 'shared', 'last_writer', 'delete_wins');"
                   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 62)"
                   " INSERT INTO fs_column(table_number, number, name, type, is_nullable)"
                   " SELECT 6, i, 'c' || i, 'integer', 1 FROM n;");
    fixture_exec(f, script);
    fixture_load(f);
    fixture_ok(f, triggers_install(f->database, &f->catalog, SCHEMA_SIDE_AGENT, NULL, &f->problem));
    fixture_exec(f, "INSERT INTO wide(id) VALUES (" NEW_ID "); UPDATE wide SET c62 = 1, c1 = 2;"
                    " REPLACE INTO wide(id, c62) SELECT id, 1 FROM wide");
    fixture_expect_outbox(f, "I1:9223372036854775806 U1:4611686018427387906 R1:2"
                             " I1:9223372036854775806");
}

static void installing_again_changes_nothing(void **state)
{
    struct fixture *f = *state;
    size_t changed_count = 99;

    fixture_ok(f, triggers_install(f->database, &f->catalog, SCHEMA_SIDE_AGENT, &changed_count,
                                   &f->problem));
    assert_int_equal(changed_count, 0);
}

static void verify(struct fixture *f, enum schema_side side, size_t wrong_count, const char *report)
{
    struct arena report_arena;
    const char *text = NULL;
    size_t found_count = 99;

    arena_init(&report_arena, 64 * 1024);
    fixture_ok(f, triggers_verify(f->database, &f->catalog, side, &report_arena, &found_count,
                                  &text, &f->problem));
    assert_string_equal(text, report);
    assert_int_equal(found_count, wrong_count);
    arena_done(&report_arena);
}

static void missing_altered_and_unknown_triggers_are_found_and_put_right(void **state)
{
    struct fixture *f = *state;
    size_t changed_count = 0;

    verify(f, SCHEMA_SIDE_AGENT, 0, "");
    fixture_exec(f, "DROP TRIGGER _fs_site_insert; DROP TRIGGER _fs_site_update;"
                    " CREATE TRIGGER _fs_site_update AFTER UPDATE ON site BEGIN SELECT 1; END;"
                    " CREATE TRIGGER _fs_old AFTER UPDATE ON site BEGIN SELECT 1; END;"
                    " CREATE TRIGGER mine AFTER UPDATE ON site BEGIN SELECT 1; END;"
                    " CREATE TRIGGER hook AFTER INSERT ON fs_outbox BEGIN SELECT 1; END");
    verify(f, SCHEMA_SIDE_AGENT, 4,
           "missing _fs_site_insert; altered _fs_site_update; unknown _fs_old; unknown hook");
    fixture_ok(f, triggers_install(f->database, &f->catalog, SCHEMA_SIDE_AGENT, &changed_count,
                                   &f->problem));
    assert_int_equal(changed_count, 5); /* three dropped, two created */
    verify(f, SCHEMA_SIDE_AGENT, 0, "");
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM sqlite_schema WHERE name = 'mine'"),
                     1);
}

/* A new database gets them all at once (docs/decisions/0029), this one one by one, because one is
 * there already: what SQLite keeps is the same, and the file is closed to such writing as ever. */
static void all_at_once_is_the_same_as_one_by_one(void **state)
{
    static const char LISTED[] = "SELECT count(*) FROM at_once";
    static const char EQUAL[] = "SELECT count(*) FROM at_once a JOIN sqlite_schema s USING (name)"
                                " WHERE s.type = a.type AND s.tbl_name = a.tbl_name"
                                " AND s.sql = a.sql AND s.rootpage = 0";
    struct fixture *f = *state;
    sqlite3 *handle = sql_handle(f->database);
    sqlite3_stmt *one = NULL;
    char *text = NULL;
    size_t removed_count = 0;

    fixture_exec(f, "CREATE TABLE at_once AS SELECT type, name, tbl_name, sql FROM sqlite_schema"
                    " WHERE substr(name, 1, 4) = '_fs_' AND type IN ('trigger', 'view')");
    fixture_ok(f, triggers_remove(f->database, &removed_count, &f->problem));
    assert_true(removed_count > 8);
    assert_int_equal(fixture_integer(f, EQUAL), 0);
    assert_int_equal(sqlite3_prepare_v2(handle,
                                        "SELECT sql FROM at_once WHERE name = '_fs_site_insert'",
                                        -1, &one, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(one), SQLITE_ROW);
    text = strdup((const char *)sqlite3_column_text(one, 0));
    assert_int_equal(sqlite3_finalize(one), SQLITE_OK);
    fixture_exec(f, text);
    free(text);
    fixture_ok(f, triggers_install(f->database, &f->catalog, SCHEMA_SIDE_AGENT, NULL, &f->problem));
    assert_int_equal(fixture_integer(f, EQUAL), (int64_t)removed_count);
    assert_int_equal(fixture_integer(f, LISTED), (int64_t)removed_count);
    fixture_refuses(f, "DELETE FROM sqlite_schema WHERE name = 'at_once'", "may not be modified");
}

static void new_unique_index_is_watched_after_installing_again(void **state)
{
    struct fixture *f = *state;
    size_t changed_count = 0;

    fixture_exec(f, "CREATE UNIQUE INDEX folder_t ON folder(t COLLATE NOCASE)");
    fixture_ok(f, triggers_install(f->database, &f->catalog, SCHEMA_SIDE_AGENT, &changed_count,
                                   &f->problem));
    assert_int_equal(changed_count, 4);
    fixture_exec(f, "INSERT INTO folder(id, t) VALUES (" NEW_ID ", 'x')");
    fixture_exec(f, "REPLACE INTO folder(id, t) VALUES (" NEW_ID ", 'X')");
    fixture_expect_outbox(f, "I1:2 ?1:0 I2:2");
    fixture_exec(f, "CREATE UNIQUE INDEX folder_e ON folder(lower(t))");
    assert_int_equal(
        triggers_install(f->database, &f->catalog, SCHEMA_SIDE_AGENT, NULL, &f->problem),
        RESULT_REFUSED);
    assert_non_null(strstr(f->problem.text, "folder_e"));
}

static void vacuum_keeps_triggers_and_counter(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO site(id) VALUES (" NEW_ID ")");
    fixture_ok(f, sql_vacuum(f->database, NULL, &f->problem));
    verify(f, SCHEMA_SIDE_AGENT, 0, "");
    fixture_exec(f, "INSERT INTO site(id) VALUES (" NEW_ID ")");
    fixture_expect_outbox(f, "I1:6 I2:6");
}

static void write_as_process(const char *path, int process_no)
{
    struct sql_database *database = NULL;
    struct problem problem = {0};
    struct sql_options options = {
        .path = path, .profile = SQL_PROFILE_AGENT, .busy_timeout_ms = 60000};
    enum result result = sql_open(&options, &database, &problem);

    for (int i = 0; i < 1000 && result == RESULT_OK; i++) {
        struct value name = value_integer(process_no * 1000 + i);

        result = sql_run(database, "INSERT INTO site(id, name) VALUES (" NEW_ID ", ?1)", &name, 1,
                         &problem);
    }
    if (result != RESULT_OK)
        fprintf(stderr, "writer %d: %s\n", process_no, problem.text);
    sql_close(database);
    _exit(result == RESULT_OK ? 0 : 1);
}

static void four_processes_lose_no_capture(void **state)
{
    struct fixture *f = *state;
    pid_t writers[4];

    fixture_exec(f, "PRAGMA wal_checkpoint"); /* and no statement of ours is open meanwhile */
    for (int i = 0; i < 4; i++) {
        writers[i] = fork();
        assert_true(writers[i] >= 0);
        if (writers[i] == 0)
            write_as_process(f->path, i);
    }
    for (int i = 0; i < 4; i++) {
        int status = -1;

        assert_int_equal(waitpid(writers[i], &status, 0), writers[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(fixture_integer(f, "SELECT count(DISTINCT name) FROM site"), 4000);
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM site JOIN fs_outbox ON row_id = id"
                                        " AND op = 'I' AND tbl = 1 AND lcn = id & 8589934591"),
                     4000);
}

/* Runs a program on the file with one insert; false if it isn't installed. */
static bool program_inserts(const char *program, const char *option, const char *script,
                            const char *path)
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        if (option == NULL)
            (void)execlp(program, program, path, script, (char *)NULL);
        else
            (void)execlp(program, program, option, script, path, (char *)NULL);
        _exit(99); /* not there */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 99)
        return false;
    assert_int_equal(WEXITSTATUS(status), 0);
    return true;
}

static void foreign_programs_are_captured(void **state)
{
    struct fixture *f = *state;
    int64_t run_count = 0;

    if (program_inserts("sqlite3", NULL, "INSERT INTO site(id, name) VALUES (" NEW_ID ", 'shell')",
                        f->path))
        run_count++;
    if (program_inserts("python3", "-c",
                        "import sqlite3, sys\n"
                        "c = sqlite3.connect(sys.argv[1])\n"
                        "c.execute(\"INSERT INTO site(id, name) VALUES (" NEW_ID ", 'python')\")\n"
                        "c.commit()",
                        f->path))
        run_count++;
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM site"), run_count);
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM fs_outbox WHERE op = 'I'"),
                     run_count);
}

static void server_remembers_where_a_vanished_row_was(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO part(id, code) VALUES (" NEW_ID ", 'p');"
                    " UPDATE part SET _fs_bucket = 42, _fs_hash = x'0102', _fs_seq = 9");
    fixture_expect_outbox(f, "I1:62");
    fixture_exec(f, "REPLACE INTO part(id, code) VALUES (" NEW_ID ", 'p')");
    fixture_exec(f, "UPDATE part SET _fs_bucket = 43");
    fixture_exec(f, "REPLACE INTO part(id, code) SELECT id, 'q' FROM part");
    fixture_exec(f, "UPDATE part SET _fs_bucket = 44; DELETE FROM part");
    fixture_expect(f,
                   "SELECT group_concat(op || coalesce(old_bucket, '') || hex(coalesce(old_hash,"
                   " '')), ' ') FROM fs_outbox",
                   "I ?420102 I R43 I D44");
    fixture_expect(f, "SELECT number FROM fs_state WHERE name = 'replica_no'", "0");
}

static void server_takes_server_columns_and_any_id_but_a_missing_one(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "INSERT INTO call(id, state) VALUES ((5 << 33) + 3, 'open')");
    fixture_exec(f, "INSERT INTO event(id, kind) VALUES (500, 'k'); UPDATE event SET kind = 'l';"
                    " DELETE FROM event");
    assert_int_equal(fixture_integer(f, "SELECT id > 500 FROM new_id"), 1);
    fixture_refuses(f, "INSERT INTO call(title) VALUES ('x')", "id must be given");
    fixture_refuses(f, "INSERT INTO call(id) VALUES (1 << 53)", "id must be given");
    fixture_exec(f, "INSERT INTO call(id, site_id) VALUES (7, 77);"
                    " INSERT INTO activity(id, call_id) VALUES (8, 7)");
    assert_int_equal(fixture_integer(f, "SELECT home FROM activity"), bucket_of(BUCKET_SITE, 77));
}

static void server_columns_and_feed_are_made_and_verified(void **state)
{
    struct fixture *f = *state;
    size_t changed_count = 99;

    verify(f, SCHEMA_SIDE_SERVER, 0, "");
    fixture_ok(f, triggers_install(f->database, &f->catalog, SCHEMA_SIDE_SERVER, &changed_count,
                                   &f->problem));
    assert_int_equal(changed_count, 0);
    fixture_load(f); /* the hidden columns don't disturb it */
    fixture_exec(f, "DROP INDEX _fs_call_feed");
    verify(f, SCHEMA_SIDE_SERVER, 1, "missing _fs_call_feed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(insert_update_and_delete_are_captured, agent_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(update_without_difference_is_not_captured, agent_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(change_of_case_is_captured_in_a_nocase_column, agent_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(values_differ_by_content_not_by_spelling, agent_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(upsert_is_captured_as_what_it_does, agent_setup, teardown),
        cmocka_unit_test_setup_teardown(upsert_of_a_row_with_server_columns_is_let_through,
                                        agent_setup, teardown),
        cmocka_unit_test_setup_teardown(replace_of_the_same_id_says_which_columns_differ,
                                        agent_setup, teardown),
        cmocka_unit_test_setup_teardown(replace_through_a_single_unique_looks_at_the_victim,
                                        agent_setup, teardown),
        cmocka_unit_test_setup_teardown(replace_through_a_composite_unique_looks_at_the_victim,
                                        agent_setup, teardown),
        cmocka_unit_test_setup_teardown(replace_through_a_partial_unique_looks_at_the_victim,
                                        agent_setup, teardown),
        cmocka_unit_test_setup_teardown(update_or_replace_looks_at_the_victim, agent_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(insert_or_ignore_leaves_only_looks, agent_setup, teardown),
        cmocka_unit_test_setup_teardown(key_change_is_a_delete_and_an_insert, agent_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(cascades_are_captured, agent_setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_rolled_back_is_not_captured, agent_setup, teardown),
        cmocka_unit_test_setup_teardown(writes_of_a_foreign_trigger_are_captured, agent_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(block_of_rows_takes_consecutive_ids, agent_setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_ids_are_refused_with_advice, agent_setup, teardown),
        cmocka_unit_test_setup_teardown(flag_suppresses_everything, agent_setup, teardown),
        cmocka_unit_test_setup_teardown(fs_flag_holds_one_row_and_says_so, agent_setup, teardown),
        cmocka_unit_test_setup_teardown(captured_lines_follow_fs_state_however_it_is_written,
                                        agent_setup, teardown),
        cmocka_unit_test_setup_teardown(what_an_applier_writes_in_a_pause_is_not_captured,
                                        agent_setup, teardown),
        cmocka_unit_test_setup_teardown(pause_of_one_connection_leaves_others_captured, agent_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(triggers_of_others_run_in_a_pause, agent_setup, teardown),
        cmocka_unit_test_setup_teardown(unique_index_with_an_expression_looks_at_all_changes,
                                        agent_setup, teardown),
        cmocka_unit_test_setup_teardown(server_columns_are_refused_on_an_agent, agent_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(rows_that_the_server_makes_are_refused_at_once, agent_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(facts_are_neither_changed_nor_deleted_on_an_agent,
                                        agent_setup, teardown),
        cmocka_unit_test_setup_teardown(a_look_of_an_earlier_statement_refuses_nothing, agent_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(home_follows_the_deciding_columns_over_two_levels,
                                        agent_setup, teardown),
        cmocka_unit_test_setup_teardown(names_that_need_quotes_are_quoted, agent_setup, teardown),
        cmocka_unit_test_setup_teardown(local_tables_are_left_alone, agent_setup, teardown),
        cmocka_unit_test_setup_teardown(sixty_two_columns_have_a_bit_each, agent_setup, teardown),
        cmocka_unit_test_setup_teardown(installing_again_changes_nothing, agent_setup, teardown),
        cmocka_unit_test_setup_teardown(all_at_once_is_the_same_as_one_by_one, agent_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            missing_altered_and_unknown_triggers_are_found_and_put_right, agent_setup, teardown),
        cmocka_unit_test_setup_teardown(new_unique_index_is_watched_after_installing_again,
                                        agent_setup, teardown),
        cmocka_unit_test_setup_teardown(vacuum_keeps_triggers_and_counter, agent_setup, teardown),
        cmocka_unit_test_setup_teardown(four_processes_lose_no_capture, agent_setup, teardown),
        cmocka_unit_test_setup_teardown(foreign_programs_are_captured, agent_setup, teardown),
        cmocka_unit_test_setup_teardown(server_remembers_where_a_vanished_row_was, server_setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(server_takes_server_columns_and_any_id_but_a_missing_one,
                                        server_setup, teardown),
        cmocka_unit_test_setup_teardown(server_columns_and_feed_are_made_and_verified, server_setup,
                                        teardown),
    };

    return cmocka_run_group_tests_name("triggers", tests, NULL, NULL);
}
