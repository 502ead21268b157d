/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"

#define NEW "(SELECT id FROM new_id)"

static void rows_become_visible_together_at_the_publication(void **state)
{
    struct kit *kit = *state;
    struct replica_published published = {0};

    first_snapshot(kit);
    ROWS(kit, SITE(1), 10, 20, memo_title(kit, 1, 15, "changed"), memo(kit, 3, 16, 1, "new", "b"));
    send_gone(kit, SITE(2), 10, 20, GONE_DELETED, MEMO, 2, 17);
    assert_string_equal(rows(kit, "SELECT title FROM memo ORDER BY id"), "one;two");
    published = publish(kit, 20);
    assert_string_equal(rows(kit, "SELECT title, body FROM memo ORDER BY id"), "changed|b1;new|b");
    assert_int_equal(published.row_count, 2);
    assert_int_equal(published.gone_count, 1);
    assert_string_equal(rows(kit, "SELECT published_seq, unsealed FROM fs_sync"), "20|0");
}

static void what_came_without_a_publication_is_forgotten_with_the_connection(void **state)
{
    struct kit *kit = *state;

    first_snapshot(kit);
    ROWS(kit, SITE(1), 10, 20, memo_title(kit, 1, 15, "changed"));
    replica_disconnected(kit->replica);
    (void)publish(kit, 20);
    assert_string_equal(rows(kit, "SELECT title FROM memo WHERE id = 1"), "one");
}

/* I6: an incoming value never overwrites a column with an unanswered edit, in the outbox or sealed;
 * all its other columns are applied. */
static void columns_with_unanswered_edits_keep_the_local_value(void **state)
{
    struct kit *kit = *state;

    first_snapshot(kit);
    sql(kit, "UPDATE memo SET title = 'sealed' WHERE id = 1");
    assert_int_equal(seal(kit), 1);
    sql(kit, "UPDATE memo SET title = 'outbox' WHERE id = 2");
    sql(kit, "UPDATE memo SET n = 9 WHERE id = 2; DELETE FROM label WHERE id = 1");
    ROWS(kit, SHARED, 10, 20, label(kit, SERVER(1), 14, "A", "theirs"));
    ROWS(kit, SITE(1), 10, 20, memo(kit, 1, 15, 1, "theirs", "theirs"));
    ROWS(kit, SITE(2), 10, 20, memo(kit, 2, 16, 2, "theirs", "theirs"));
    (void)publish(kit, 20);
    assert_string_equal(rows(kit, "SELECT title, body, n FROM memo ORDER BY id"),
                        "sealed|theirs|5;outbox|theirs|9");
    assert_string_equal(rows(kit, "SELECT count(*) FROM label"), "0"); /* stays deleted */
    assert_string_equal(changes(kit, seal(kit)), "update memo 2 title=outbox n=9;delete label 1");
}

/* ---- R2 -------------------------------------------------------------------------------------- */

static void a_departure_of_a_row_that_now_belongs_to_another_bucket_is_ignored(void **state)
{
    struct kit *kit = *state;

    first_snapshot(kit);
    ROWS(kit, SITE(2), 10, 20, memo(kit, 1, 18, 2, "moved", "b"));
    send_gone(kit, SITE(1), 10, 20, GONE_LEFT, MEMO, 1, 18);
    (void)publish(kit, 20);
    assert_string_equal(rows(kit, "SELECT site_id, title FROM memo WHERE id = 1"), "2|moved");
    /* the order of the two does not matter */
    send_gone(kit, SITE(2), 20, 30, GONE_LEFT, MEMO, 1, 25);
    ROWS(kit, SITE(1), 20, 30, memo(kit, 1, 25, 1, "back", "b"));
    (void)publish(kit, 30);
    assert_string_equal(rows(kit, "SELECT site_id, title FROM memo WHERE id = 1"), "1|back");
}

static void a_row_that_left_and_came_back_in_one_gap_stays(void **state)
{
    struct kit *kit = *state;

    first_snapshot(kit);
    send_gone(kit, SITE(1), 10, 20, GONE_LEFT, MEMO, 1, 15); /* 1 -> 2 -> 1 */
    ROWS(kit, SITE(1), 10, 20, memo(kit, 1, 18, 1, "again", "b"));
    send_gone(kit, SITE(2), 10, 20, GONE_LEFT, MEMO, 1, 18);
    (void)publish(kit, 20);
    assert_string_equal(rows(kit, "SELECT site_id, title FROM memo WHERE id = 1"), "1|again");
}

static void a_row_that_left_for_a_bucket_not_subscribed_goes(void **state)
{
    struct kit *kit = *state;

    first_snapshot(kit);
    send_gone(kit, SITE(1), 10, 20, GONE_LEFT, MEMO, 1, 15);
    (void)publish(kit, 20);
    assert_string_equal(rows(kit, "SELECT count(*) FROM memo WHERE id = 1"), "0");
}

static void an_older_image_does_not_overwrite_a_newer_one_of_the_same_stage(void **state)
{
    struct kit *kit = *state;

    first_snapshot(kit);
    ROWS(kit, SITE(2), 10, 20, memo(kit, 1, 18, 2, "newer", "b"));
    ROWS(kit, SITE(1), 10, 20, memo(kit, 1, 12, 1, "older", "b"));
    (void)publish(kit, 20);
    assert_string_equal(rows(kit, "SELECT site_id, title FROM memo WHERE id = 1"), "2|newer");
}

static void a_departure_older_than_the_row_in_the_stage_is_void(void **state)
{
    struct kit *kit = *state;

    first_snapshot(kit);
    ROWS(kit, SITE(1), 10, 20, memo(kit, 1, 18, 1, "revived", "b"));
    send_gone(kit, SITE(1), 10, 20, GONE_DELETED, MEMO, 1, 12);
    (void)publish(kit, 20);
    assert_string_equal(rows(kit, "SELECT title FROM memo WHERE id = 1"), "revived");
}

/* ---- I7 -------------------------------------------------------------------------------------- */

static void a_deleted_row_with_an_unanswered_edit_stays_until_its_verdict(void **state)
{
    struct kit *kit = *state;
    struct verdict verdict = {.kind = VERDICT_GONE, .table_no = MEMO, .row_id = 1};

    first_snapshot(kit);
    sql(kit, "UPDATE memo SET title = 'late work' WHERE id = 1");
    send_gone(kit, SITE(1), 10, 20, GONE_DELETED, MEMO, 1, 15);
    (void)publish(kit, 20);
    assert_string_equal(rows(kit, "SELECT title FROM memo WHERE id = 1"), "late work");
    assert_int_equal(seal(kit), 1);
    verdict.lcn = lcn_of(kit, 1, 0);
    verdict.is_row_gone = true;
    answer(kit, 1, 21, 1, &verdict);
    assert_string_equal(rows(kit, "SELECT count(*) FROM memo WHERE id = 1"), "0");
}

static void
a_bucket_that_leaves_keeps_rows_with_work_and_their_parents_until_the_verdict(void **state)
{
    struct kit *kit = *state;
    struct replica_published published = {0};

    first_snapshot(kit);
    ROWS(kit, SITE(1), 10, 12, memo(kit, 4, 11, 1, "no work here", "b"));
    (void)publish(kit, 12);
    sql(kit, "INSERT INTO entry(id, memo_id, minutes) VALUES (" NEW ", 1, 30)");
    SUBSCRIBE(kit, SHARED, SITE(2));
    published = publish(kit, 20);
    assert_int_equal(published.dropped_bucket_count, 0);
    assert_string_equal(rows(kit, "SELECT id FROM memo ORDER BY id"), "1;2");
    assert_string_equal(rows(kit, "SELECT minutes FROM entry"), "30");
    answer(kit, seal(kit), 21, 0, NULL);
    assert_string_equal(rows(kit, "SELECT id FROM memo ORDER BY id"), "2");
    assert_string_equal(rows(kit, "SELECT count(*) FROM entry"), "0");
    assert_string_equal(rows(kit, "SELECT count(*) FROM fs_bucket WHERE state = 2"), "0");
}

static void a_bucket_that_comes_back_while_it_leaves_holds_what_the_server_sends(void **state)
{
    struct kit *kit = *state;

    first_snapshot(kit);
    sql(kit, "UPDATE memo SET title = 'work' WHERE id = 1");
    SUBSCRIBE(kit, SHARED, SITE(2));
    (void)publish(kit, 20);
    SUBSCRIBE(kit, SHARED, SITE(1), SITE(2));
    ROWS(kit, SITE(1), 0, 30, memo(kit, 1, 25, 1, "theirs", "new"), memo(kit, 5, 26, 1, "e", "f"));
    (void)publish(kit, 30);
    assert_string_equal(rows(kit, "SELECT id, title, body FROM memo ORDER BY id"),
                        "1|work|new;2|two|b2;5|e|f");
}

/* Two rows of one bucket that isn't ours: one is answered, one not yet. */
static void work_in_a_foreign_bucket_goes_once_it_is_accepted(void **state)
{
    struct kit *kit = *state;

    first_snapshot(kit);
    sql(kit, "INSERT INTO memo(id, site_id, title) VALUES (" NEW ", 99, 'accepted')");
    answer(kit, seal(kit), 20, 0, NULL);
    sql(kit, "INSERT INTO memo(id, site_id, title) VALUES (" NEW ", 99, 'waits')");
    assert_string_equal(rows(kit, "SELECT count(*) FROM memo WHERE site_id = 99"), "2");
    (void)publish(kit, 20);
    assert_string_equal(rows(kit, "SELECT title FROM memo WHERE site_id = 99"), "waits");
    /* a subscription that comes with the publication keeps it */
    answer(kit, seal(kit), 25, 0, NULL);
    SUBSCRIBE(kit, SHARED, SITE(1), SITE(2), SITE(99));
    (void)publish(kit, 25);
    assert_string_equal(rows(kit, "SELECT title FROM memo WHERE site_id = 99"), "waits");
}

/* ---- whole buckets and repairs --------------------------------------------------------------- */

static void rows_that_a_whole_bucket_does_not_have_go_except_those_with_work(void **state)
{
    struct kit *kit = *state;

    first_snapshot(kit);
    ROWS(kit, SITE(1), 10, 12, memo(kit, 4, 11, 1, "stale", "b"), memo(kit, 5, 12, 1, "s", "b"));
    (void)publish(kit, 12);
    sql(kit, "UPDATE memo SET title = 'work' WHERE id = 5");
    ROWS(kit, SITE(1), 0, 20, memo(kit, 1, 5, 1, "one", "b1"));
    (void)publish(kit, 20);
    assert_string_equal(rows(kit, "SELECT id, title FROM memo ORDER BY id"), "1|one;2|two;5|work");
}

/* Below the low-water mark the server lists what there is: the rest goes like any departure. */
static void rows_that_a_list_of_ids_does_not_name_go_except_those_with_work(void **state)
{
    struct kit *kit = *state;
    int64_t there[] = {9};
    struct message_ids ids = {.bucket = SITE(1), .seq_to = 20, .table_no = MEMO, .id_to = ID_MAX};

    first_snapshot(kit);
    ROWS(kit, SITE(1), 10, 12, memo(kit, 7, 11, 1, "edited", "b"), memo(kit, 8, 11, 1, "gone", "b"),
         memo(kit, 9, 11, 1, "there", "b"), memo(kit, 11, 11, 1, "moved", "b"));
    (void)publish(kit, 12);
    sql(kit, "UPDATE memo SET body = 'mine' WHERE id = 7");
    sql(kit, "INSERT INTO memo(id, site_id, title) VALUES (" NEW ", 1, 'new here')");
    ROWS(kit, SITE(2), 12, 20, memo(kit, 11, 15, 2, "moved", "b"));
    ids.count = 1;
    ids.ids = there;
    assert_int_equal(replica_ids(kit->replica, &ids, &kit->problem), RESULT_OK);
    assert_string_equal(rows(kit, "SELECT count(*) FROM memo WHERE id = 8"), "1"); /* not yet */
    (void)publish(kit, 20);
    assert_string_equal(rows(kit, "SELECT title FROM memo WHERE site_id = 1 ORDER BY title"),
                        "edited;new here;there");
    assert_string_equal(rows(kit, "SELECT site_id FROM memo WHERE id = 11"), "2");
}

static void tell_that_none_is_left(struct kit *kit, int64_t bucket, int64_t seq_to)
{
    struct message_ids ids = {
        .bucket = bucket, .seq_to = seq_to, .table_no = MEMO, .id_to = ID_MAX};

    OK(kit, replica_ids(kit->replica, &ids, &kit->problem));
}

/* A new row of this device that the server has moved since: here it is still where it was made,
 * until the answer comes that was lost so far. */
static void a_new_row_that_was_moved_outlives_the_list_of_its_first_bucket(void **state)
{
    for (int is_told_later = 0; is_told_later < 2; is_told_later++) {
        struct kit *kit = *state;
        int64_t head = is_told_later == 0 ? 20 : 40;
        int64_t id = MINE(is_told_later + 1);
        int64_t seal_no = 0;

        if (is_told_later == 0)
            first_snapshot(kit);
        sql(kit, "INSERT INTO memo(id, site_id, title) VALUES (" NEW ", 1, 'own')");
        seal_no = seal(kit);
        ROWS(kit, SITE(2), head - 10, head, memo(kit, id, head - 5, 2, "own", "moved"));
        if (is_told_later != 0) {
            (void)publish(kit, head);
            head += 10;
        }
        tell_that_none_is_left(kit, SITE(1), head);
        (void)publish(kit, head);
        assert_string_equal(rows(kit, "SELECT site_id FROM memo WHERE id = %lld", (long long)id),
                            "1");
        answer(kit, seal_no, head - 18, 0, NULL);
        assert_string_equal(
            rows(kit, "SELECT site_id, body FROM memo WHERE id = %lld", (long long)id), "2|moved");
        (void)publish(kit, head == 20 ? 30 : 60);
    }
}

static void a_new_row_that_was_moved_and_deleted_goes_with_its_answer(void **state)
{
    struct kit *kit = *state;
    int64_t seal_no = 0;

    first_snapshot(kit);
    sql(kit, "INSERT INTO memo(id, site_id, title) VALUES (" NEW ", 1, 'own')");
    seal_no = seal(kit);
    ROWS(kit, SITE(2), 10, 20, memo(kit, MINE(1), 15, 2, "own", "moved"));
    (void)publish(kit, 20);
    send_gone(kit, SITE(2), 20, 30, GONE_DELETED, MEMO, MINE(1), 25);
    (void)publish(kit, 30);
    assert_string_equal(rows(kit, "SELECT count(*) FROM memo WHERE title = 'own'"), "1");
    answer(kit, seal_no, 12, 0, NULL);
    assert_string_equal(rows(kit, "SELECT count(*) FROM memo WHERE title = 'own'"), "0");
}

static void a_list_of_ids_says_nothing_of_what_is_outside_its_range(void **state)
{
    struct kit *kit = *state;
    struct message_ids ids = {
        .bucket = SITE(1), .seq_to = 20, .table_no = MEMO, .id_after = 7, .id_to = 8};

    first_snapshot(kit);
    ROWS(kit, SITE(1), 10, 12, memo(kit, 7, 11, 1, "below", "b"), memo(kit, 8, 11, 1, "in", "b"),
         memo(kit, 9, 11, 1, "above", "b"));
    (void)publish(kit, 12);
    assert_int_equal(replica_ids(kit->replica, &ids, &kit->problem), RESULT_OK);
    (void)publish(kit, 20);
    assert_string_equal(rows(kit, "SELECT title FROM memo WHERE id IN (7, 8, 9) ORDER BY id"),
                        "below;above");
}

static void a_repair_replaces_the_named_parts_only(void **state)
{
    struct kit *kit = *state;
    static const uint8_t PARTS[] = {1, 4};
    struct row_image image;
    struct message_rows message = {.bucket = SITE(1),
                                   .seq_to = 20,
                                   .is_complete = true,
                                   .is_repair = true,
                                   .part_count = 2,
                                   .parts = PARTS,
                                   .row_count = 1,
                                   .rows = &image};

    first_snapshot(kit);
    ROWS(kit, SITE(1), 10, 12, memo(kit, 4, 11, 1, "wrong", "b"), memo(kit, 5, 12, 1, "s", "b"));
    (void)publish(kit, 12);
    image = memo(kit, 1, 5, 1, "right", "b1");
    OK(kit, replica_rows(kit->replica, &message, &kit->problem));
    (void)publish(kit, 20);
    assert_string_equal(rows(kit, "SELECT id, title FROM memo ORDER BY id"), "1|right;2|two;5|s");
}

/* ---- quarantine ------------------------------------------------------------------------------ */

static void a_row_that_cannot_be_stored_waits_and_the_rest_is_published(void **state)
{
    struct kit *kit = *state;
    struct replica_published published = {0};

    first_snapshot(kit);
    sql(kit, "CREATE TRIGGER somebody BEFORE INSERT ON label WHEN NEW.code = 'BAD' BEGIN"
             " SELECT RAISE(ABORT, 'not here'); END");
    ROWS(kit, SHARED, 10, 20, label(kit, 2, 15, "BAD", "x"), label(kit, 3, 16, "C", "y"));
    published = publish(kit, 20);
    assert_int_equal(published.quarantined_count, 1);
    assert_string_equal(rows(kit, "SELECT id FROM label ORDER BY id"), "1;3");
    assert_non_null(strstr(rows(kit, "SELECT reason FROM fs_status"), "not here"));
    /* a change of it joins what waits; tried again at the next publication */
    struct row_image image = label(kit, 2, 25, "BAD", "newer");
    image.mask = 1 << 2;
    ROWS(kit, SHARED, 20, 30, image);
    (void)publish(kit, 30);
    sql(kit, "DROP TRIGGER somebody");
    (void)publish(kit, 31);
    assert_string_equal(rows(kit, "SELECT id, code, text FROM label WHERE id = 2"), "2|BAD|newer");
    assert_string_equal(rows(kit, "SELECT count(*) FROM fs_quarantine"), "0");
}

static void rows_that_swap_a_unique_value_are_both_stored(void **state)
{
    struct kit *kit = *state;
    struct replica_published published = {0};

    first_snapshot(kit);
    ROWS(kit, SHARED, 10, 20, label(kit, 2, 15, "B", "second"));
    (void)publish(kit, 20);
    ROWS(kit, SHARED, 20, 30, label(kit, 1, 25, "B", "first"), label(kit, 2, 26, "A", "second"));
    published = publish(kit, 30);
    assert_int_equal(published.quarantined_count, 0);
    assert_string_equal(rows(kit, "SELECT id, code FROM label ORDER BY id"), "1|B;2|A");
}

/* Ours waits for its verdict, theirs for ours. */
static void a_natural_key_made_on_two_devices_ends_as_the_servers_row(void **state)
{
    struct kit *kit = *state;
    struct verdict verdict = {.kind = VERDICT_MERGED, .table_no = LABEL, .row_id = MINE(1)};

    first_snapshot(kit);
    sql(kit, "INSERT INTO label(id, code, text) VALUES (" NEW ", 'K', 'mine')");
    assert_int_equal(seal(kit), 1);
    ROWS(kit, SHARED, 10, 20, label(kit, 9, 15, "K", "theirs"));
    assert_int_equal(publish(kit, 20).quarantined_count, 1);
    verdict.lcn = lcn_of(kit, 1, 0);
    verdict.merged_into_id = 9;
    verdict.has_row = true;
    verdict.row = label(kit, 9, 21, "K", "mine");
    answer(kit, 1, 21, 1, &verdict);
    assert_string_equal(rows(kit, "SELECT id, code, text FROM label WHERE code = 'K'"), "9|K|mine");
    assert_string_equal(rows(kit, "SELECT count(*) FROM fs_quarantine"), "0");
}

static void a_server_that_goes_back_is_not_believed(void **state)
{
    struct kit *kit = *state;
    struct replica_published published = {0};

    first_snapshot(kit);
    assert_int_equal(replica_publish(kit->replica, 9, NOON, &published, &kit->problem),
                     RESULT_MALFORMED);
}

static void a_locked_file_makes_wait_and_loses_nothing(void **state)
{
    struct kit *kit = *state;
    struct replica_published published = {0};
    sqlite3 *other = NULL;

    first_snapshot(kit);
    ROWS(kit, SITE(1), 10, 20, memo_title(kit, 1, 15, "changed"));
    assert_int_equal(sqlite3_open(kit->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(replica_publish(kit->replica, 20, NOON, &published, &kit->problem),
                     RESULT_WAIT);
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(other);
    (void)publish(kit, 20);
    assert_string_equal(rows(kit, "SELECT title FROM memo WHERE id = 1"), "changed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rows_become_visible_together_at_the_publication),
        TEST(what_came_without_a_publication_is_forgotten_with_the_connection),
        TEST(columns_with_unanswered_edits_keep_the_local_value),
        TEST(a_departure_of_a_row_that_now_belongs_to_another_bucket_is_ignored),
        TEST(a_row_that_left_and_came_back_in_one_gap_stays),
        TEST(a_row_that_left_for_a_bucket_not_subscribed_goes),
        TEST(an_older_image_does_not_overwrite_a_newer_one_of_the_same_stage),
        TEST(a_departure_older_than_the_row_in_the_stage_is_void),
        TEST(a_deleted_row_with_an_unanswered_edit_stays_until_its_verdict),
        TEST(a_bucket_that_leaves_keeps_rows_with_work_and_their_parents_until_the_verdict),
        TEST(a_bucket_that_comes_back_while_it_leaves_holds_what_the_server_sends),
        TEST(work_in_a_foreign_bucket_goes_once_it_is_accepted),
        TEST(rows_that_a_whole_bucket_does_not_have_go_except_those_with_work),
        TEST(rows_that_a_list_of_ids_does_not_name_go_except_those_with_work),
        TEST(a_new_row_that_was_moved_outlives_the_list_of_its_first_bucket),
        TEST(a_new_row_that_was_moved_and_deleted_goes_with_its_answer),
        TEST(a_list_of_ids_says_nothing_of_what_is_outside_its_range),
        TEST(a_repair_replaces_the_named_parts_only),
        TEST(a_row_that_cannot_be_stored_waits_and_the_rest_is_published),
        TEST(rows_that_swap_a_unique_value_are_both_stored),
        TEST(a_natural_key_made_on_two_devices_ends_as_the_servers_row),
        TEST(a_server_that_goes_back_is_not_believed),
        TEST(a_locked_file_makes_wait_and_loses_nothing),
    };

    return RUN(tests);
}
