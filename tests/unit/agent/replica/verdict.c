/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"

#define NEW "(SELECT id FROM new_id)"

static struct verdict exception(struct kit *kit, int64_t seal_no, enum verdict_kind kind,
                                const char *reason)
{
    struct message_push push = {0};

    OK(kit, replica_push_part(kit->replica, seal_no, 0, 60000, &kit->arena, &push, &kit->problem));
    return (struct verdict){.lcn = push.changes[0].lcn,
                            .kind = kind,
                            .reason = bytes_of_text(reason),
                            .table_no = push.changes[0].table_no,
                            .row_id = push.changes[0].row_id};
}

static void an_applied_change_is_acknowledged_and_kept(void **state)
{
    struct kit *kit = *state;
    struct replica_counts counts = {0};
    int64_t next = 0;

    first_snapshot(kit);
    sql(kit, "UPDATE memo SET title = 'x' WHERE id = 1");
    OK(kit, replica_counts(kit->replica, &counts, &kit->problem));
    assert_int_equal(counts.unsealed, 1);
    assert_int_equal(seal(kit), 1);
    OK(kit, replica_next_seal(kit->replica, 0, &next, &kit->problem));
    assert_int_equal(next, 1);
    answer(kit, 1, 11, 0, NULL);
    OK(kit, replica_next_seal(kit->replica, 0, &next, &kit->problem));
    assert_int_equal(next, 0);
    OK(kit, replica_counts(kit->replica, &counts, &kit->problem));
    assert_int_equal(counts.unacknowledged, 0);
    assert_string_equal(rows(kit, "SELECT op, fate FROM fs_fate"), "update|applied");
    answer(kit, 1, 11, 0, NULL); /* the same answer again */
}

static void an_overruled_value_gives_way_to_the_servers_row(void **state)
{
    struct kit *kit = *state;
    struct verdict verdict;

    first_snapshot(kit);
    sql(kit, "UPDATE memo SET title = 'mine', body = 'mine' WHERE id = 1");
    assert_int_equal(seal(kit), 1);
    sql(kit, "UPDATE memo SET body = 'newer' WHERE id = 1"); /* recorded while it was on its way */
    verdict = exception(kit, 1, VERDICT_OVERRULED, "newer_value");
    verdict.has_row = true;
    verdict.row = memo(kit, 1, 12, 1, "theirs", "mine");
    answer(kit, 1, 12, 1, &verdict);
    assert_string_equal(rows(kit, "SELECT title, body, state FROM memo WHERE id = 1"),
                        "theirs|newer|open");
    assert_string_equal(rows(kit, "SELECT fate, reason FROM fs_fate WHERE fate <> 'pending'"),
                        "overruled|newer_value");
}

/* What was kept of an older image, because the value was ours, is void when the answer has it, too:
 * also when the answer itself has to be kept in part, for an edit that was recorded since. */
static void an_answer_voids_what_an_older_image_said(void **state)
{
    struct kit *kit = *state;
    struct verdict verdict;

    first_snapshot(kit);
    sql(kit, "UPDATE memo SET title = 'mine' WHERE id = 1");
    ROWS(kit, SITE(1), 10, 15, memo_title(kit, 1, 14, "before mine"));
    (void)publish(kit, 15);
    assert_int_equal(seal(kit), 1);
    sql(kit, "UPDATE memo SET body = 'newer' WHERE id = 1");
    verdict = exception(kit, 1, VERDICT_OVERRULED, "newer_value");
    verdict.has_row = true;
    verdict.row = memo(kit, 1, 20, 1, "mine", "theirs");
    answer(kit, 1, 20, 1, &verdict);
    assert_string_equal(rows(kit, "SELECT title, body FROM memo WHERE id = 1"), "mine|newer");
}

static void a_refused_insert_stays_until_the_server_says_that_it_is_gone(void **state)
{
    struct kit *kit = *state;
    struct verdict verdict;

    first_snapshot(kit);
    sql(kit, "INSERT INTO memo(id, title) VALUES (" NEW ", 'no')");
    assert_int_equal(seal(kit), 1);
    verdict = exception(kit, 1, VERDICT_REFUSED, "not_entitled");
    answer(kit, 1, 11, 1, &verdict);
    assert_string_equal(rows(kit, "SELECT title FROM memo WHERE title = 'no'"), "no");
    assert_string_equal(rows(kit, "SELECT table_name, state, reason FROM fs_status"),
                        "memo|refused|not_entitled");
    sql(kit, "INSERT INTO memo(id, title) VALUES (" NEW ", 'no too')");
    assert_int_equal(seal(kit), 2);
    verdict = exception(kit, 2, VERDICT_REFUSED, "not_entitled");
    verdict.is_row_gone = true;
    answer(kit, 2, 12, 1, &verdict);
    assert_string_equal(rows(kit, "SELECT count(*) FROM memo WHERE title = 'no too'"), "0");
}

static void a_row_with_a_newer_edit_goes_only_after_its_verdict(void **state)
{
    struct kit *kit = *state;
    struct verdict verdict;

    first_snapshot(kit);
    sql(kit, "UPDATE memo SET title = 'a' WHERE id = 1");
    assert_int_equal(seal(kit), 1);
    sql(kit, "UPDATE memo SET body = 'b' WHERE id = 1");
    verdict = exception(kit, 1, VERDICT_GONE, "deleted");
    verdict.is_row_gone = true;
    answer(kit, 1, 11, 1, &verdict);
    assert_string_equal(rows(kit, "SELECT body FROM memo WHERE id = 1"), "b");
    assert_int_equal(seal(kit), 2);
    verdict = exception(kit, 2, VERDICT_GONE, "deleted");
    verdict.is_row_gone = true;
    answer(kit, 2, 12, 1, &verdict);
    assert_string_equal(rows(kit, "SELECT count(*) FROM memo WHERE id = 1"), "0");
}

/* Two devices made the same row: references and later edits follow. */
static void a_row_merged_by_its_natural_key_joins_the_servers(void **state)
{
    struct kit *kit = *state;
    struct verdict verdict;

    first_snapshot(kit);
    sql(kit, "INSERT INTO memo(id, site_id, title) VALUES (" NEW ", 1, 'mine')");
    sql(kit, "INSERT INTO entry(id, memo_id, minutes) VALUES (" NEW ", %lld, 30)",
        (long long)MINE(1));
    assert_int_equal(seal(kit), 1);
    sql(kit, "UPDATE memo SET body = 'later' WHERE id = %lld", (long long)MINE(1));
    verdict = exception(kit, 1, VERDICT_MERGED, "same_key");
    verdict.merged_into_id = SERVER(77);
    verdict.has_row = true;
    verdict.row = memo(kit, SERVER(77), 12, 1, "mine", "theirs");
    answer(kit, 1, 12, 1, &verdict);
    assert_string_equal(rows(kit, "SELECT id, title, body FROM memo WHERE title = 'mine'"),
                        "77|mine|later");
    assert_string_equal(rows(kit, "SELECT memo_id FROM entry"), "77");
    assert_string_equal(changes(kit, seal(kit)), "update memo 77 body=later");
}

/* The server's feed may be read before our commit and arrive after its verdict. */
static void an_image_older_than_our_commit_does_not_undo_it(void **state)
{
    struct kit *kit = *state;

    first_snapshot(kit);
    sql(kit, "UPDATE memo SET title = 'mine' WHERE id = 1");
    assert_int_equal(seal(kit), 1);
    ROWS(kit, SITE(1), 10, 15, memo_title(kit, 1, 14, "older"));
    answer(kit, 1, 20, 0, NULL);
    (void)publish(kit, 15);
    assert_string_equal(rows(kit, "SELECT title FROM memo WHERE id = 1"), "mine");
    ROWS(kit, SITE(1), 15, 25, memo_title(kit, 1, 24, "newer"));
    (void)publish(kit, 25);
    assert_string_equal(rows(kit, "SELECT title FROM memo WHERE id = 1"), "newer");
    assert_string_equal(rows(kit, "SELECT count(*) FROM fs_hold"), "0");
}

/* ... or be read after our commit and arrive before its verdict. */
static void an_image_newer_than_our_commit_appears_with_the_verdict(void **state)
{
    struct kit *kit = *state;

    first_snapshot(kit);
    sql(kit, "UPDATE memo SET title = 'mine' WHERE id = 1");
    assert_int_equal(seal(kit), 1);
    ROWS(kit, SITE(1), 10, 25, memo_title(kit, 1, 24, "newer"));
    (void)publish(kit, 25);
    assert_string_equal(rows(kit, "SELECT title FROM memo WHERE id = 1"), "mine");
    answer(kit, 1, 20, 0, NULL);
    assert_string_equal(rows(kit, "SELECT title FROM memo WHERE id = 1"), "newer");
    assert_string_equal(rows(kit, "SELECT count(*) FROM fs_shadow"), "0");
}

/* The newest seq of a bucket may lie below the commit that holds ours and theirs. */
static void a_newer_value_of_the_same_commit_wins_whenever_its_verdict_comes(void **state)
{
    struct kit *kit = *state;

    first_snapshot(kit);
    sql(kit, "UPDATE memo SET title = 'mine' WHERE id IN (1, 2)");
    assert_int_equal(seal(kit), 1);
    answer(kit, 1, 30, 0, NULL); /* ours at 21 and 22, theirs at 23, others up to 30 */
    ROWS(kit, SITE(1), 10, 23, memo_title(kit, 1, 23, "theirs"));
    (void)publish(kit, 30);
    assert_string_equal(rows(kit, "SELECT title FROM memo ORDER BY id"), "theirs;mine");
    sql(kit, "UPDATE memo SET title = 'mine again' WHERE id = 1");
    assert_int_equal(seal(kit), 2);
    ROWS(kit, SITE(1), 30, 43, memo_title(kit, 1, 43, "theirs again"));
    (void)publish(kit, 50);
    answer(kit, 2, 50, 0, NULL);
    assert_string_equal(rows(kit, "SELECT title FROM memo WHERE id = 1"), "theirs again");
}

static void a_verdict_of_no_seal_or_of_half_a_seal_breaks_the_protocol(void **state)
{
    struct kit *kit = *state;
    struct message_verdict verdict = {.seal_no = 9, .lcn_high = 9, .commit_seq = 11};

    first_snapshot(kit);
    assert_int_equal(replica_verdict(kit->replica, &verdict, NOON, &kit->problem),
                     RESULT_MALFORMED);
    sql(kit, "UPDATE memo SET title = 'x' WHERE id = 1; UPDATE memo SET title = 'y' WHERE id = 2");
    verdict.seal_no = seal(kit);
    verdict.lcn_high = 1;
    assert_int_equal(replica_verdict(kit->replica, &verdict, NOON, &kit->problem),
                     RESULT_MALFORMED);
}

/* A restored server asks again for what it had acknowledged after its backup. */
static void acknowledged_work_becomes_pending_again_in_a_new_epoch(void **state)
{
    struct kit *kit = *state;
    struct message_welcome welcome = {
        .epoch = bytes_of_text("epoch-epoch-0002"),
        .replica_no = REPLICA_NO,
        .incarnation = 1,
        .lcn_high = 1,
        .resume_token = bytes_of_text("token-token-token-token-token-01"),
        .digest_key = bytes_of_text("0123456789abcdef"),
        .server_time = NOON,
        .schema_version = replica_catalog(kit->replica)->schema_version,
    };
    struct message_resume resume = {0};
    int64_t next = 0;

    first_snapshot(kit);
    sql(kit, "UPDATE memo SET title = 'x' WHERE id = 1");
    answer(kit, seal(kit), 11, 0, NULL);
    sql(kit, "UPDATE memo SET title = 'y' WHERE id = 2");
    answer(kit, seal(kit), 12, 0, NULL);
    OK(kit, replica_welcome(kit->replica, &welcome, NOON, &kit->problem));
    OK(kit, replica_next_seal(kit->replica, 0, &next, &kit->problem));
    assert_int_equal(next, 2);
    OK(kit, replica_resume(kit->replica, &kit->arena, &resume, &kit->problem));
    assert_int_equal(resume.cursor_count, 3);
    assert_int_equal(resume.cursors[0].seq, 0);
    /* everything again, from a head below the one before */
    ROWS(kit, SHARED, 0, 8, label(kit, SERVER(1), 3, "A", "first"));
    ROWS(kit, SITE(1), 0, 8, memo(kit, SERVER(1), 5, 1, "x", "b1"));
    ROWS(kit, SITE(2), 0, 8, memo(kit, SERVER(2), 6, 2, "two", "b2"));
    (void)publish(kit, 8);
    assert_string_equal(rows(kit, "SELECT title FROM memo ORDER BY id"), "x;y");
}

static void a_welcome_for_another_replica_changes_nothing(void **state)
{
    struct kit *kit = *state;
    const struct message_welcome welcome = {
        .epoch = bytes_of_text("epoch-epoch-0001"),
        .replica_no = REPLICA_NO + 1,
        .incarnation = 1,
        .resume_token = bytes_of_text("token-token-token-token-token-01"),
        .digest_key = bytes_of_text("0123456789abcdef"),
    };

    assert_int_equal(replica_welcome(kit->replica, &welcome, NOON, &kit->problem), RESULT_REFUSED);
    assert_string_equal(rows(kit, "SELECT CAST(data AS TEXT) FROM fs_state WHERE name ="
                                  " 'resume_token'"),
                        "token-token-token-token-token-00");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_applied_change_is_acknowledged_and_kept),
        TEST(an_overruled_value_gives_way_to_the_servers_row),
        TEST(an_answer_voids_what_an_older_image_said),
        TEST(a_refused_insert_stays_until_the_server_says_that_it_is_gone),
        TEST(a_row_with_a_newer_edit_goes_only_after_its_verdict),
        TEST(a_row_merged_by_its_natural_key_joins_the_servers),
        TEST(an_image_older_than_our_commit_does_not_undo_it),
        TEST(an_image_newer_than_our_commit_appears_with_the_verdict),
        TEST(a_newer_value_of_the_same_commit_wins_whenever_its_verdict_comes),
        TEST(a_verdict_of_no_seal_or_of_half_a_seal_breaks_the_protocol),
        TEST(acknowledged_work_becomes_pending_again_in_a_new_epoch),
        TEST(a_welcome_for_another_replica_changes_nothing),
    };

    return RUN(tests);
}
