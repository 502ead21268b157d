/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"

/* Each case starts from label 1 and memo 1 and 2, as the server has them. */
struct coalescing {
    const char *edits; /* plain SQL of another program, one transaction each line */
    const char *sent;
};

#define NEW "(SELECT id FROM new_id)"

static const struct coalescing CASES[] = {
    {"UPDATE label SET text = 'x' WHERE id = 1", "update label 1 text=x"},
    {"UPDATE label SET text = 'x' WHERE id = 1; UPDATE label SET code = 'y' WHERE id = 1",
     "update label 1 code=y text=x"},
    {"UPDATE label SET text = 'x' WHERE id = 1; UPDATE label SET text = 'first' WHERE id = 1",
     "update label 1 text=first"},
    {"UPDATE label SET text = 'first' WHERE id = 1", "nothing"},
    {"INSERT INTO label(id, code) VALUES (" NEW ", 'N')", "insert label 1 code=N text=-"},
    {"INSERT INTO label(id, code) VALUES (" NEW ", 'N'); UPDATE label SET text = 't' WHERE code ="
     " 'N'",
     "insert label 1 code=N text=t"},
    {"INSERT INTO memo(id, title) VALUES (" NEW ", 'N'); DELETE FROM memo WHERE title = 'N'",
     "nothing"},
    {"INSERT INTO memo(id, title) VALUES (" NEW ", 'N'); UPDATE memo SET n = 3 WHERE title = 'N';"
     " DELETE FROM memo WHERE title = 'N'",
     "nothing"},
    {"DELETE FROM memo WHERE id = 1", "delete memo 1"},
    {"UPDATE memo SET title = 'x' WHERE id = 1; DELETE FROM memo WHERE id = 1", "delete memo 1"},
    /* REPLACE: only what really differs */
    {"REPLACE INTO label(id, code, text) VALUES (1, 'A', 'other')", "update label 1 text=other"},
    {"REPLACE INTO label(id, code, text) VALUES (1, 'A', 'first')", "nothing"},
    {"UPDATE label SET code = 'B' WHERE id = 1; REPLACE INTO label(id, code, text) VALUES"
     " (1, 'B', 'other')",
     "update label 1 code=B text=other"},
    {"REPLACE INTO label(id, code, text) VALUES (1, 'A', 'v1'); UPDATE label SET code = 'C' WHERE"
     " id = 1",
     "update label 1 code=C text=v1"},
    {"INSERT INTO label(id, code) VALUES (1, 'A') ON CONFLICT(id) DO UPDATE SET text = 'u'",
     "update label 1 text=u"},
    {"INSERT OR IGNORE INTO label(id, code, text) VALUES (1, 'Z', 'z')", "nothing"},
    {"INSERT OR IGNORE INTO label(id, code, text) VALUES (1, 'Z', 'z'); UPDATE label SET text = 'k'"
     " WHERE id = 1",
     "update label 1 text=k"},
    /* rolled back */
    {"BEGIN; UPDATE label SET text = 'x' WHERE id = 1; ROLLBACK", "nothing"},
    {"BEGIN; UPDATE label SET text = 'x' WHERE id = 1; SAVEPOINT s; UPDATE label SET code = 'q'"
     " WHERE id = 1; ROLLBACK TO s; COMMIT",
     "update label 1 text=x"},
};

/* The rows as the server has them, nothing recorded: as after first_snapshot. */
static void start_again(struct kit *kit)
{
    sql(kit, "BEGIN; INSERT INTO fs_flag(k) VALUES (1); DELETE FROM memo; DELETE FROM label;"
             "INSERT INTO label VALUES (1, 'A', 'first');"
             "INSERT INTO memo VALUES (1, 1, 'one', 'b1', 5, 'open'), (2, 2, 'two', 'b2', 5,"
             " 'open'); DELETE FROM fs_flag; DELETE FROM fs_seal_change; DELETE FROM fs_seal;"
             "DELETE FROM fs_outbox; DELETE FROM fs_state WHERE name IN ('sealed_lcn', 'seal_no',"
             " 'seal_lcn', 'seal_digest'); COMMIT");
}

static void edits_of_a_row_become_one_change_with_what_really_differs(void **state)
{
    struct kit *kit = *state;

    first_snapshot(kit);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        const char *sent = NULL;

        start_again(kit);
        sql(kit, "%s", CASES[i].edits);
        sent = changes(kit, seal(kit));
        if (strcmp(sent, CASES[i].sent) != 0)
            fail_msg("%s\n sends    %s\n expected %s", CASES[i].edits, sent, CASES[i].sent);
    }
}

/* One edit of the memo that this device made and the server has; ids of others can't be used again
 * once their row is deleted. */
static void edit(struct kit *kit, int kind, int step)
{
    switch (kind) {
    case 0:
        sql(kit, "UPDATE memo SET title = 's%d' WHERE id = %lld", step, (long long)MINE(1));
        break;
    case 1:
        sql(kit, "DELETE FROM memo WHERE id = %lld", (long long)MINE(1));
        break;
    default:
        sql(kit, "INSERT OR REPLACE INTO memo(id, site_id, title) VALUES (%lld, 1, 's%d')",
            (long long)MINE(1), step);
        break;
    }
}

/* What is sent, applied to the row as the server has it, gives the row as it is here. */
static void every_pair_and_triple_of_edits_sends_what_leads_to_the_local_row(void **state)
{
    struct kit *kit = *state;

    first_snapshot(kit);
    sql(kit, "INSERT INTO memo(id, site_id, title) VALUES (" NEW ", 1, 'own')");
    answer(kit, seal(kit), 11, 0, NULL);
    for (int n = 0; n < 9 + 27; n++) {
        int kinds[3] = {n % 3, n / 3 % 3, n < 9 ? -1 : (n - 9) / 9};
        const char *local = NULL;
        const char *sent = NULL;

        start_again(kit);
        sql(kit,
            "BEGIN; INSERT INTO fs_flag(k) VALUES (1); INSERT INTO memo(id, site_id, title)"
            " VALUES (%lld, 1, 'own'); INSERT INTO fs_outbox(lcn, tbl, row_id, op, mask, edited_at,"
            " base_seq) VALUES (50, 0, 0, '-', 0, 0, 0); DELETE FROM fs_flag; COMMIT",
            (long long)MINE(1));
        for (int step = 0; step < 3; step++)
            if (kinds[step] >= 0)
                edit(kit, kinds[step], step);
        local = rows(kit, "SELECT title FROM memo WHERE id = %lld", (long long)MINE(1));
        sent = changes(kit, seal(kit));
        if (local[0] == '\0') {
            assert_string_equal(sent, "delete memo 1");
        } else {
            if (strncmp(sent, "update memo 1 ", 14) != 0 || strstr(sent, local) == NULL)
                fail_msg("edits %d %d %d make '%s', and %s is sent", kinds[0], kinds[1], kinds[2],
                         local, sent);
        }
    }
}

/* A REPLACE through another UNIQUE removes a row without a delete trigger. */
static void a_row_that_replace_removed_is_deleted(void **state)
{
    struct kit *kit = *state;

    first_snapshot(kit);
    sql(kit, "REPLACE INTO label(id, code, text) VALUES (" NEW ", 'A', 'mine')");
    assert_string_equal(changes(kit, seal(kit)), "delete label 1;insert label 1 code=A text=mine");
}

static void a_change_of_the_key_is_a_delete_and_an_insert(void **state)
{
    struct kit *kit = *state;

    first_snapshot(kit);
    sql(kit, "UPDATE memo SET id = " NEW " WHERE id = 1");
    assert_string_equal(changes(kit, seal(kit)), "delete memo 1;insert memo 1 site_id=1 title=one"
                                                 " body=b1 n=5");
}

static void the_applier_and_moves_of_the_counter_leave_nothing_to_send(void **state)
{
    struct kit *kit = *state;
    bool has = true;

    first_snapshot(kit);
    OK(kit, replica_has_unsealed(kit->replica, &has, &kit->problem));
    assert_false(has);
    assert_int_equal(seal(kit), 0);
}

static void ids_go_on_after_lines_are_forgotten(void **state)
{
    struct kit *kit = *state;
    int64_t before = 0;
    int64_t after = 0;

    first_snapshot(kit);
    sql(kit, "UPDATE label SET text = 'x' WHERE id = 1; UPDATE label SET text = 'y' WHERE id = 1");
    OK(kit, replica_new_id(kit->replica, &before, &kit->problem));
    assert_int_equal(seal(kit), 1);
    OK(kit, replica_new_id(kit->replica, &after, &kit->problem));
    assert_int_equal(before, after);
    assert_string_equal(rows(kit, "SELECT count(*) FROM fs_outbox"), "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(edits_of_a_row_become_one_change_with_what_really_differs),
        TEST(every_pair_and_triple_of_edits_sends_what_leads_to_the_local_row),
        TEST(a_row_that_replace_removed_is_deleted),
        TEST(a_change_of_the_key_is_a_delete_and_an_insert),
        TEST(the_applier_and_moves_of_the_counter_leave_nothing_to_send),
        TEST(ids_go_on_after_lines_are_forgotten),
    };

    return RUN(tests);
}
