/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"

#include <sys/stat.h>

enum { MANY = 9000 };

static void send_page(struct kit *kit, int64_t bucket, int64_t to, bool is_complete, int64_t first,
                      size_t count)
{
    struct row_image *images = arena_array(&kit->arena, count, sizeof *images);
    const struct message_rows message = {.bucket = bucket,
                                         .seq_to = to,
                                         .is_complete = is_complete,
                                         .page_table_no = is_complete ? 0 : MEMO,
                                         .page_seq = is_complete ? 0 : first,
                                         .row_count = count,
                                         .rows = images};

    assert_non_null(images);
    for (size_t i = 0; i < count; i++)
        images[i] = memo(kit, first + (int64_t)i, 2 + first + (int64_t)i, bucket_id_of(bucket),
                         "from the snapshot", "b");
    OK(kit, replica_rows(kit->replica, &message, &kit->problem));
}

static struct message_resume resume(struct kit *kit)
{
    struct message_resume message = {0};

    OK(kit, replica_resume(kit->replica, &kit->arena, &message, &kit->problem));
    return message;
}

static void a_first_snapshot_goes_on_where_a_crash_cut_it(void **state)
{
    struct kit *kit = *state;
    struct message_resume message = {0};
    struct replica_identity identity = {0};

    send_page(kit, SITE(1), 500, false, 1, 100);
    OK(kit, replica_settle(kit->replica, &kit->problem));
    send_page(kit, SITE(1), 500, false, 51, 100); /* still in the open transaction */
    kit_reopen(kit); /* nothing was said to the replica: as after kill -9 */
    message = resume(kit);
    assert_int_equal(message.published_seq, 0);
    assert_int_equal(message.cursor_count, 1);
    assert_int_equal(message.cursors[0].seq, 0);
    assert_int_equal(message.cursors[0].page_table_no, MEMO);
    assert_int_equal(message.cursors[0].page_to, 500);
    assert_string_equal(rows(kit, "SELECT max(id) FROM memo"), "100");
    send_page(kit, SITE(1), 500, true, 101, 100);
    OK(kit, replica_settle(kit->replica, &kit->problem));
    kit_reopen(kit);
    message = resume(kit);
    assert_int_equal(message.cursors[0].seq, 500);
    OK(kit, replica_identity(kit->replica, &identity, &kit->problem));
    assert_int_equal(identity.published_seq, 0); /* not ready */
    SUBSCRIBE(kit, SITE(1));
    ROWS(kit, SITE(1), 500, 510, memo_title(kit, 7, 505, "tail"));
    send_gone(kit, SITE(1), 500, 510, GONE_DELETED, MEMO, 8, 506);
    (void)publish(kit, 510);
    assert_string_equal(rows(kit, "SELECT count(*), sum(title = 'tail') FROM memo"), "199|1");
    assert_int_equal(resume(kit).cursor_count, 0);
    OK(kit, replica_identity(kit->replica, &identity, &kit->problem));
    assert_int_equal(identity.published_seq, 510);
    assert_string_equal(identity.user_name, "Anna Rossi");
}

static void a_first_snapshot_begun_anew_leaves_nothing_of_the_one_before(void **state)
{
    struct kit *kit = *state;

    send_page(kit, SITE(1), 500, false, 1, 100);
    send_page(kit, SITE(1), 700, true, 51, 100);
    SUBSCRIBE(kit, SITE(1));
    (void)publish(kit, 700);
    assert_string_equal(rows(kit, "SELECT min(id), max(id), count(*) FROM memo"), "51|150|100");
}

static void a_large_delta_survives_the_connection_and_a_restart(void **state)
{
    struct kit *kit = *state;
    struct message_resume message = {0};

    first_snapshot(kit);
    ROWS(kit, SHARED, 10, 20, label(kit, 2, 12, "S", "small first"));
    send_page(kit, SITE(9), 20000, false, 1000, MANY);
    assert_string_equal(rows(kit, "SELECT count(*) FROM fs_stage_row"), "9001");
    replica_disconnected(kit->replica);
    kit_reopen(kit);
    message = resume(kit);
    assert_int_equal(message.cursor_count, 1);
    assert_int_equal(message.cursors[0].bucket, SITE(9));
    assert_int_equal(message.cursors[0].page_to, 20000);
    send_page(kit, SITE(9), 20000, true, 1000 + MANY, 10);
    send_gone(kit, SITE(1), 10, 20010, GONE_DELETED, MEMO, 1, 15);
    assert_string_equal(rows(kit, "SELECT count(*) FROM memo"), "2");
    /* what isn't read from nothing comes again with the new connection */
    assert_string_equal(rows(kit, "SELECT count(*) FROM fs_stage_row WHERE table_no = 902"), "0");
    ROWS(kit, SHARED, 10, 20, label(kit, 2, 12, "S", "small first"));
    SUBSCRIBE(kit, SHARED, SITE(1), SITE(2), SITE(9));
    assert_int_equal(publish(kit, 20010).row_count, MANY + 11);
    assert_string_equal(rows(kit, "SELECT count(*), min(id) FROM memo"), "9011|2");
    assert_string_equal(rows(kit, "SELECT text FROM label WHERE code = 'S'"), "small first");
    assert_string_equal(rows(kit, "SELECT count(*) FROM fs_stage_row"), "0");
}

static void columns_of_several_deltas_of_a_row_add_up(void **state)
{
    struct kit *kit = *state;
    struct row_image body = memo(kit, 1, 16, 1, NULL, "later body");

    first_snapshot(kit);
    body.mask = 1 << 3;
    ROWS(kit, SITE(1), 10, 20, memo_title(kit, 1, 15, "title"));
    ROWS(kit, SITE(1), 15, 21, body);
    (void)publish(kit, 21);
    assert_string_equal(rows(kit, "SELECT title, body, n FROM memo WHERE id = 1"),
                        "title|later body|5");
}

static void the_subscription_changes_at_the_publication_only(void **state)
{
    struct kit *kit = *state;
    int64_t added[] = {SITE(3)};
    int64_t removed[] = {SITE(2)};
    const struct message_subscribed change = {
        .added_count = 1, .added = added, .removed_count = 1, .removed = removed};

    first_snapshot(kit);
    OK(kit, replica_subscribed(kit->replica, &change, &kit->problem));
    ROWS(kit, SITE(3), 0, 20, memo(kit, 3, 15, 3, "three", "b"));
    assert_string_equal(rows(kit, "SELECT title FROM memo ORDER BY id"), "one;two");
    assert_int_equal(publish(kit, 20).dropped_bucket_count, 1);
    assert_string_equal(rows(kit, "SELECT title FROM memo ORDER BY id"), "one;three");
    assert_string_equal(rows(kit, "SELECT count(*) FROM fs_bucket"), "3");
}

static void the_file_is_private(void **state)
{
    struct kit *kit = *state;
    char path[128];
    struct stat status;
    const struct replica_options options = {.path = path, .extra_count = 1, .extras = &KIT_SCRIPT};
    struct replica *other = NULL;

    (void)snprintf(path, sizeof path, "%s/private.db", kit->folder);
    OK(kit, replica_open(&options, &other, &kit->problem));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    replica_close(other);
    (void)unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_first_snapshot_goes_on_where_a_crash_cut_it),
        TEST(a_first_snapshot_begun_anew_leaves_nothing_of_the_one_before),
        TEST(a_large_delta_survives_the_connection_and_a_restart),
        TEST(columns_of_several_deltas_of_a_row_add_up),
        TEST(the_subscription_changes_at_the_publication_only),
        TEST(the_file_is_private),
    };

    return RUN(tests);
}
