/* SPDX-License-Identifier: Apache-2.0 */
/* Another replica number. */
#include "tests/unit/agent/replica/kit.h"

enum { OTHER_NO = 23 };
#define OTHER(counter) id_of(OTHER_NO, (counter))

static struct message_enrolled another_number(void)
{
    return (struct message_enrolled){
        .replica_no = OTHER_NO,
        .device_id = 71,
        .incarnation = 1,
        .user_id = 12,
        .user_login = bytes_of_text("anna"),
        .user_name = bytes_of_text("Anna Rossi"),
        .series = bytes_of_text("T23"),
        .van_id = 3,
        .psk = bytes_of_text("abcdef0123456789abcdef0123456789"),
        .resume_token = bytes_of_text("token-token-token-token-token-99"),
        .epoch = bytes_of_text("epoch-epoch-0001"),
        .digest_key = bytes_of_text("0123456789abcdef"),
        .schema_version = 1,
    };
}

static void renew(struct kit *kit, const struct message_enrolled *enrolled)
{
    OK(kit, replica_renew(kit->replica, enrolled, NOON, &kit->problem));
}

static int64_t find(struct kit *kit, const char *query)
{
    return strtoll(rows(kit, "%s", query), NULL, 10);
}

/* An entry refers to a memo; both are new here. */
static void write_family(struct kit *kit)
{
    sql(kit, "INSERT INTO memo(id, title) VALUES ((SELECT id FROM new_id), 'parent')");
    sql(kit, "INSERT INTO entry(id, memo_id, minutes) VALUES ((SELECT id FROM new_id),"
             " (SELECT max(id) FROM memo), 5)");
}

/* Has the server say that the first seal is applied as it was sent. */
static void seal_and_answer(struct kit *kit)
{
    answer(kit, seal(kit), 10, 0, NULL);
}

static void unanswered_rows_and_what_refers_to_them_move(void **state)
{
    struct kit *kit = *state;
    const struct message_enrolled enrolled = another_number();
    struct replica_identity who = {0};
    int64_t counter = 0;

    write_family(kit);
    counter = id_counter(find(kit, "SELECT max(id) FROM memo"));
    renew(kit, &enrolled);
    assert_int_equal(find(kit, "SELECT id FROM memo"), OTHER(counter));
    assert_int_equal(find(kit, "SELECT memo_id FROM entry"), OTHER(counter));
    assert_int_equal(find(kit, "SELECT id FROM entry"), OTHER(counter + 1));
    assert_int_equal(find(kit, "SELECT min(row_id >> 33) FROM fs_seal_change"), OTHER_NO);
    assert_int_equal(find(kit, "SELECT id >> 33 FROM new_id"), OTHER_NO);
    assert_true(find(kit, "SELECT id FROM new_id") > OTHER(counter + 1));
    OK(kit, replica_identity(kit->replica, &who, &kit->problem));
    assert_int_equal(who.replica_no, OTHER_NO);
    assert_int_equal(who.device_id, 71);
    assert_string_equal(who.series, "T23");
}

/* The seal that was on its way is the first of the new number, with its own digest. */
static void seals_begin_anew_and_are_what_their_digests_say(void **state)
{
    static const uint8_t ZEROS[SEAL_DIGEST_SIZE];
    struct kit *kit = *state;
    const struct message_enrolled enrolled = another_number();
    struct message_push push = {0};
    struct seal_digest_state digest_state;
    uint8_t digest[SEAL_DIGEST_SIZE];

    write_family(kit);
    assert_int_equal(seal(kit), 1);
    sql(kit, "INSERT INTO memo(id, title) VALUES ((SELECT id FROM new_id), 'later')");
    renew(kit, &enrolled);
    OK(kit, replica_push_part(kit->replica, 1, 0, 65536, &kit->arena, &push, &kit->problem));
    assert_true(push.is_last_part);
    assert_int_equal(push.change_count, 2);
    assert_int_equal(id_replica_no(push.changes[0].row_id), OTHER_NO);
    assert_int_equal(push.changes[1].values[1].integer, push.changes[0].row_id);
    assert_memory_equal(push.previous_digest.data, ZEROS, sizeof ZEROS);
    seal_digest_begin(&digest_state, &push);
    OK(kit, seal_digest_add(&digest_state, replica_catalog(kit->replica), &push, &kit->problem));
    seal_digest_end(&digest_state, digest);
    assert_memory_equal(push.digest.data, digest, sizeof digest);
    OK(kit, replica_push_part(kit->replica, 2, 0, 65536, &kit->arena, &push, &kit->problem));
    assert_memory_equal(push.previous_digest.data, digest, sizeof digest);
}

/* What the server has answered is the other copy's, too, under the old ids. */
static void answered_rows_keep_their_ids(void **state)
{
    struct kit *kit = *state;
    const struct message_enrolled enrolled = another_number();
    int64_t old_id = 0;

    sql(kit, "INSERT INTO memo(id, title) VALUES ((SELECT id FROM new_id), 'answered')");
    old_id = find(kit, "SELECT id FROM memo");
    seal_and_answer(kit);
    sql(kit, "UPDATE memo SET body = 'edited since'");
    sql(kit, "INSERT INTO entry(id, memo_id, minutes) VALUES ((SELECT id FROM new_id),"
             " (SELECT max(id) FROM memo), 5)");
    renew(kit, &enrolled);
    assert_int_equal(find(kit, "SELECT id FROM memo"), old_id);
    assert_int_equal(find(kit, "SELECT memo_id FROM entry"), old_id);
    assert_int_equal(find(kit, "SELECT id >> 33 FROM entry"), OTHER_NO);
    assert_int_equal(find(kit, "SELECT count(*) FROM fs_seal WHERE seal_no < 1"), 1);
    assert_int_equal(find(kit, "SELECT unacknowledged FROM fs_sync"), 2);
}

static void the_same_answer_again_changes_nothing(void **state)
{
    struct kit *kit = *state;
    const struct message_enrolled enrolled = another_number();
    int64_t id = 0;

    write_family(kit);
    renew(kit, &enrolled);
    id = find(kit, "SELECT id FROM memo");
    kit_reopen(kit);
    renew(kit, &enrolled);
    assert_int_equal(find(kit, "SELECT id FROM memo"), id);
    assert_int_equal(find(kit, "SELECT count(*) FROM fs_seal"), 1);
}

static void another_persons_code_is_refused(void **state)
{
    struct kit *kit = *state;
    struct message_enrolled enrolled = another_number();
    int64_t id = 0;

    write_family(kit);
    id = find(kit, "SELECT id FROM memo");
    enrolled.user_id = 13;
    assert_int_equal(replica_renew(kit->replica, &enrolled, NOON, &kit->problem), RESULT_REFUSED);
    assert_int_equal(find(kit, "SELECT id FROM memo"), id);
}

/* The server was restored meanwhile: what it had answered after its last backup counts again. */
static void in_another_epoch_answered_work_is_sent_again(void **state)
{
    struct kit *kit = *state;
    struct message_enrolled enrolled = another_number();

    write_family(kit);
    seal_and_answer(kit);
    enrolled.epoch = bytes_of_text("epoch-epoch-0002");
    renew(kit, &enrolled);
    assert_int_equal(find(kit, "SELECT unacknowledged FROM fs_sync"), 2);
    assert_int_equal(find(kit, "SELECT id >> 33 FROM memo"), OTHER_NO);
    assert_int_equal(find(kit, "SELECT memo_id FROM entry"), find(kit, "SELECT id FROM memo"));
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(unanswered_rows_and_what_refers_to_them_move),
        STORY(seals_begin_anew_and_are_what_their_digests_say),
        STORY(answered_rows_keep_their_ids),
        STORY(the_same_answer_again_changes_nothing),
        STORY(another_persons_code_is_refused),
        STORY(in_another_epoch_answered_work_is_sent_again),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
