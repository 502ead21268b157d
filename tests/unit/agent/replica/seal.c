/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"

#include <sys/wait.h>
#include <time.h>

#define NEW "(SELECT id FROM new_id)"

/* The seal's message, encoded: the bytes that go over the wire. */
static struct bytes encoded(struct kit *kit, int64_t seal_no)
{
    struct message_push push = {0};
    struct buffer body;
    struct bytes copy = {0};

    OK(kit, replica_push_part(kit->replica, seal_no, 0, 60000, &kit->arena, &push, &kit->problem));
    buffer_init(&body, 1 << 20);
    OK(kit, message_push_encode(replica_catalog(kit->replica), &push, &body, &kit->problem));
    OK(kit, arena_copy(&kit->arena, buffer_bytes(&body), &copy, &kit->problem));
    buffer_done(&body);
    return copy;
}

static void a_seal_is_sent_byte_for_byte_the_same_however_often(void **state)
{
    struct kit *kit = *state;
    struct bytes first = {0};
    int64_t seal_no = 0;

    first_snapshot(kit);
    sql(kit, "UPDATE memo SET title = 'x' WHERE id = 1; INSERT INTO label(id, code) VALUES (" NEW
             ", 'N')");
    seal_no = seal(kit);
    first = encoded(kit, seal_no);
    sql(kit, "UPDATE memo SET title = 'y' WHERE id = 1"); /* later edits don't touch it */
    ROWS(kit, SITE(1), 10, 20, memo(kit, 1, 15, 1, "server's", "b9"));
    (void)publish(kit, 20);
    kit_reopen(kit);
    assert_true(bytes_equal(first, encoded(kit, seal_no)));
}

static void seals_form_a_chain_of_digests_without_gap_in_number_and_range(void **state)
{
    struct kit *kit = *state;
    struct message_push first = {0};
    struct message_push second = {0};
    struct seal_digest_state digest;
    uint8_t own[SEAL_DIGEST_SIZE];

    first_snapshot(kit);
    sql(kit, "UPDATE memo SET title = 'x' WHERE id = 1");
    assert_int_equal(seal(kit), 1);
    sql(kit, "INSERT OR IGNORE INTO label(id, code) VALUES (1, 'A')"); /* nothing comes of it */
    assert_int_equal(seal(kit), 0);
    sql(kit, "UPDATE memo SET title = 'y' WHERE id = 2");
    assert_int_equal(seal(kit), 2);
    OK(kit, replica_push_part(kit->replica, 1, 0, 60000, &kit->arena, &first, &kit->problem));
    OK(kit, replica_push_part(kit->replica, 2, 0, 60000, &kit->arena, &second, &kit->problem));
    assert_true(bytes_equal(second.previous_digest, first.digest));
    assert_int_equal(second.lcn_first, first.lcn_last + 1);
    seal_digest_begin(&digest, &second);
    OK(kit, seal_digest_add(&digest, replica_catalog(kit->replica), &second, &kit->problem));
    seal_digest_end(&digest, own);
    assert_memory_equal(own, second.digest.data, sizeof own);
}

static void a_large_seal_goes_in_parts_that_together_are_the_seal(void **state)
{
    struct kit *kit = *state;
    struct message_push part = {0};
    size_t count = 0;
    int64_t part_no = 0;
    int64_t lcn = 0;

    first_snapshot(kit);
    sql(kit, "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 499)"
             " INSERT INTO memo(id, title) SELECT (SELECT id FROM new_id) + i, 'memo ' || i"
             " FROM n");
    assert_int_equal(seal(kit), 1);
    for (; !part.is_last_part; part_no++) {
        OK(kit,
           replica_push_part(kit->replica, 1, part_no, 8000, &kit->arena, &part, &kit->problem));
        assert_true(part.change_count > 0);
        assert_true(part.changes[0].lcn > lcn);
        lcn = part.changes[part.change_count - 1].lcn;
        count += part.change_count;
    }
    assert_int_equal(count, 500);
    assert_true(part_no > 3);
    assert_int_equal(
        replica_push_part(kit->replica, 1, part_no, 8000, &kit->arena, &part, &kit->problem),
        RESULT_REFUSED);
    OK(kit, replica_push_part(kit->replica, 1, 0, 8000, &kit->arena, &part, &kit->problem));
    assert_int_equal(part.part_no, 0);
    assert_int_equal(part.changes[0].lcn, 1);
}

/* A child process writes pairs of rows, each pair in one transaction. */
static void write_pairs(const char *path, int count)
{
    sqlite3 *other = NULL;

    if (sqlite3_open(path, &other) != SQLITE_OK)
        _exit(1);
    (void)sqlite3_busy_timeout(other, 20000);
    for (int i = 0; i < count; i++)
        if (sqlite3_exec(other,
                         "BEGIN IMMEDIATE; INSERT INTO memo(id, title) VALUES (" NEW ", 'a');"
                         "INSERT INTO memo(id, title, n) VALUES (" NEW ", 'b', " NEW " - 1);"
                         "COMMIT",
                         NULL, NULL, NULL) != SQLITE_OK)
            _exit(2);
    (void)sqlite3_close(other);
    _exit(0);
}

/* Every 'a' is in the same seal as the 'b' of its transaction. */
static size_t check_pairs(struct kit *kit, int64_t seal_no)
{
    struct message_push push = {0};
    struct lookup ids;

    OK(kit,
       replica_push_part(kit->replica, seal_no, 0, 1 << 20, &kit->arena, &push, &kit->problem));
    assert_true(push.is_last_part);
    lookup_init(&ids, &kit->arena);
    for (size_t i = 0; i < push.change_count; i++)
        OK(kit, lookup_put(&ids, 0, push.changes[i].row_id, &push.changes[i], &kit->problem));
    for (size_t i = 0; i < push.change_count; i++)
        if (push.changes[i].values[4].type == VALUE_INTEGER)
            assert_non_null(lookup_find(&ids, 0, push.changes[i].values[4].integer));
    assert_int_equal(push.change_count % 2, 0);
    return push.change_count;
}

static void a_seal_is_a_union_of_whole_transactions_of_several_writers(void **state)
{
    struct kit *kit = *state;
    pid_t writers[3];
    size_t count = 0;

    replica_close(kit->replica);
    kit->replica = NULL;
    for (size_t i = 0; i < 3; i++) {
        writers[i] = fork();
        assert_true(writers[i] >= 0);
        if (writers[i] == 0)
            write_pairs(kit->path, 60);
    }
    for (;;) {
        const struct replica_options options = {
            .path = kit->path, .extra_count = 1, .extras = &KIT_SCRIPT};
        enum result result =
            kit->replica != NULL ? RESULT_OK : replica_open(&options, &kit->replica, &kit->problem);
        int64_t seal_no = 0;

        if (result == RESULT_OK)
            result = replica_seal(kit->replica, NOON, &seal_no, &kit->problem);
        assert_true(result == RESULT_OK || result == RESULT_WAIT);
        if (seal_no != 0)
            count += check_pairs(kit, seal_no);
        if (count == 360)
            break;
        (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    for (size_t i = 0; i < 3; i++) {
        int status = 0;

        assert_int_equal(waitpid(writers[i], &status, 0), writers[i]);
        assert_int_equal(status, 0);
    }
}

static void a_value_that_cannot_travel_waits_and_joins_the_correction(void **state)
{
    struct kit *kit = *state;

    first_snapshot(kit);
    sql(kit, "UPDATE memo SET n = 'a text' WHERE id = 1; UPDATE memo SET title = 'x' WHERE id = 2");
    assert_string_equal(changes(kit, seal(kit)), "update memo 2 title=x");
    assert_string_equal(rows(kit, "SELECT table_name, row_id, state, reason FROM fs_status"
                                  " WHERE state = 'pending'"),
                        "memo|1|pending|n: an integer is expected");
    assert_int_equal(seal(kit), 0); /* no endless loop */
    sql(kit, "UPDATE memo SET title = 'y' WHERE id = 1; UPDATE memo SET n = 8 WHERE id = 1");
    assert_string_equal(changes(kit, seal(kit)), "update memo 1 title=y n=8");
    assert_string_equal(rows(kit, "SELECT count(*) FROM fs_unsendable"), "0");
}

/* The later edit has seen what the office wrote between the two; the earlier one has not. */
static void a_change_of_two_edits_has_seen_only_what_the_first_had(void **state)
{
    struct kit *kit = *state;

    first_snapshot(kit);
    sql(kit, "UPDATE memo SET title = 'before' WHERE id = 1");
    ROWS(kit, SITE(1), 10, 20, memo(kit, 1, 15, 1, "one", "of the office"));
    (void)publish(kit, 20);
    sql(kit, "UPDATE memo SET n = 7 WHERE id = 1");
    (void)changes(kit, seal(kit));
    assert_string_equal(rows(kit, "SELECT base_seq FROM fs_seal_change"), "10");
}

static void times_are_corrected_by_the_offset_and_kept_as_recorded(void **state)
{
    struct kit *kit = *state;
    const struct message_welcome welcome = {
        .epoch = bytes_of_text("epoch-epoch-0001"),
        .replica_no = REPLICA_NO,
        .incarnation = 1,
        .resume_token = bytes_of_text("token-token-token-token-token-01"),
        .digest_key = bytes_of_text("0123456789abcdef"),
        .server_time = {NOON.us + 5000000},
        .schema_version = replica_catalog(kit->replica)->schema_version,
    };
    struct message_resume resume = {0};

    first_snapshot(kit);
    OK(kit, replica_welcome(kit->replica, &welcome, NOON, &kit->problem));
    sql(kit, "UPDATE memo SET title = 'x' WHERE id = 1");
    assert_int_equal(seal(kit), 1);
    assert_string_equal(rows(kit, "SELECT edited_at - recorded_at FROM fs_seal_change"), "5000000");
    OK(kit, replica_resume(kit->replica, &kit->arena, &resume, &kit->problem));
    assert_true(bytes_equal(resume.resume_token, welcome.resume_token));
    assert_int_equal(resume.published_seq, 10);
    assert_int_equal(resume.lcn_last, 1);
    assert_int_equal(resume.cursor_count, 0);
    assert_int_equal(resume.subscribed_digest_size, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_seal_is_sent_byte_for_byte_the_same_however_often),
        TEST(seals_form_a_chain_of_digests_without_gap_in_number_and_range),
        TEST(a_large_seal_goes_in_parts_that_together_are_the_seal),
        TEST(a_seal_is_a_union_of_whole_transactions_of_several_writers),
        TEST(a_value_that_cannot_travel_waits_and_joins_the_correction),
        TEST(a_change_of_two_edits_has_seen_only_what_the_first_had),
        TEST(times_are_corrected_by_the_offset_and_kept_as_recorded),
    };

    return RUN(tests);
}
