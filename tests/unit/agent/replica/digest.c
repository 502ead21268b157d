/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"

#include "schema/canonical.h"

#include <sodium.h>

/* The digest by the text of the rule, apart from the code under test: big-endian canonical bytes
 * of each row by hand, their keyed hash, added as little-endian numbers. */
struct form {
    uint8_t data[512];
    size_t size;
};

static void put(struct form *form, uint64_t number, size_t size)
{
    for (size_t i = size; i-- > 0;)
        form->data[form->size++] = (uint8_t)(number >> (8 * i));
}

static void put_text(struct form *form, const char *text)
{
    put(form, 3, 1);
    put(form, strlen(text), 4);
    memcpy(form->data + form->size, text, strlen(text));
    form->size += strlen(text);
}

static void add(uint8_t sum[16], const struct form *form)
{
    static const uint8_t KEY[] = "0123456789abcdef";
    uint8_t hash[16];
    unsigned carry = 0;

    assert_int_equal(crypto_shorthash_siphashx24(hash, form->data, form->size, KEY), 0);
    for (size_t i = 0; i < 16; i++) {
        carry += (unsigned)sum[i] + hash[i];
        sum[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

static void add_memo(uint8_t sum[16], int64_t id, int64_t site, const char *title, const char *body)
{
    struct form form = {.size = 0};

    put(&form, MEMO, 2);
    put(&form, (uint64_t)id, 8);
    put(&form, 1, 1);
    put(&form, (uint64_t)site, 8);
    put_text(&form, title);
    put_text(&form, body);
    put(&form, 1, 1);
    put(&form, 5, 8);
    put_text(&form, "open");
    add(sum, &form);
}

static struct message_digest digests(struct kit *kit, int64_t after, size_t max, int64_t *ret_next)
{
    struct message_digest message = {0};

    OK(kit,
       replica_digests(kit->replica, after, max, &kit->arena, &message, ret_next, &kit->problem));
    return message;
}

static void a_digest_is_the_sum_of_the_hashes_of_the_rows(void **state)
{
    struct kit *kit = *state;
    struct message_digest message = {0};
    uint8_t sum[16] = {0};
    int64_t next = -1;

    first_snapshot(kit);
    ROWS(kit, SITE(1), 10, 20, memo(kit, 300, 11, 1, "zw\303\266lf", ""));
    (void)publish(kit, 20);
    message = digests(kit, 0, 10, &next);
    assert_int_equal(next, 0);
    assert_int_equal(message.head, 20);
    assert_int_equal(message.count, 3);
    assert_int_equal(message.digests[1].bucket, SITE(1));
    add_memo(sum, 1, 1, "one", "b1");
    add_memo(sum, 300, 1, "zw\303\266lf", "");
    assert_memory_equal(message.digests[1].digest, sum, 16);
    memset(sum, 0, sizeof sum);
    add_memo(sum, 2, 2, "two", "b2");
    assert_memory_equal(message.digests[2].digest, sum, 16);
}

static void buckets_come_in_turns(void **state)
{
    struct kit *kit = *state;
    struct message_digest message = {0};
    int64_t next = 0;

    first_snapshot(kit);
    message = digests(kit, 0, 2, &next);
    assert_int_equal(message.count, 2);
    assert_int_equal(next, SITE(1));
    message = digests(kit, next, 2, &next);
    assert_int_equal(message.count, 1);
    assert_int_equal(message.digests[0].bucket, SITE(2));
    assert_int_equal(next, 0);
}

static void buckets_with_unanswered_edits_are_not_compared(void **state)
{
    struct kit *kit = *state;
    struct message_digest message = {0};
    int64_t next = 0;

    first_snapshot(kit);
    sql(kit, "UPDATE memo SET title = 'x' WHERE id = 1");
    message = digests(kit, 0, 10, &next);
    assert_int_equal(message.count, 2);
    assert_int_equal(message.digests[1].bucket, SITE(2));
    sql(kit, "DELETE FROM memo WHERE id = 2"); /* from which bucket is no longer known */
    assert_int_equal(digests(kit, 0, 10, &next).count, 0);
    answer(kit, seal(kit), 15, 0, NULL);
    assert_int_equal(digests(kit, 0, 10, &next).count, 0); /* answered, not yet published */
    (void)publish(kit, 15);
    assert_int_equal(digests(kit, 0, 10, &next).count, 3);
}

/* A program that drops triggers escapes capture; the digests find it. */
static void a_difference_is_narrowed_down_to_the_part_of_the_row(void **state)
{
    struct kit *kit = *state;
    struct message_repair repair = {0};
    uint8_t parts[REPAIR_PARTS * ROW_DIGEST_SIZE] = {0};

    first_snapshot(kit);
    ROWS(kit, SITE(1), 10, 20, memo(kit, 300, 11, 1, "x", "y"));
    (void)publish(kit, 20);
    add_memo(parts + 1 * ROW_DIGEST_SIZE, 1, 1, "one", "b1");
    add_memo(parts + 300 % 256 * ROW_DIGEST_SIZE, 300, 1, "x", "y");
    OK(kit,
       replica_differing_parts(kit->replica, SITE(1), parts, &kit->arena, &repair, &kit->problem));
    assert_int_equal(repair.part_count, 0);
    sql(kit, "BEGIN; INSERT INTO fs_flag(k) VALUES (1); UPDATE memo SET title = 'forged' WHERE"
             " id = 300; DELETE FROM fs_flag; COMMIT");
    OK(kit,
       replica_differing_parts(kit->replica, SITE(1), parts, &kit->arena, &repair, &kit->problem));
    assert_int_equal(repair.part_count, 1);
    assert_int_equal(repair.parts[0], 300 % 256);
}

static void dropped_triggers_are_found_and_repaired(void **state)
{
    struct kit *kit = *state;
    size_t repaired = 0;

    OK(kit, replica_check_triggers(kit->replica, &repaired, &kit->problem));
    assert_int_equal(repaired, 0);
    sql(kit, "DROP TRIGGER _fs_memo_update");
    OK(kit, replica_check_triggers(kit->replica, &repaired, &kit->problem));
    assert_int_equal(repaired, 1);
    OK(kit, replica_check_triggers(kit->replica, &repaired, &kit->problem));
    assert_int_equal(repaired, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_digest_is_the_sum_of_the_hashes_of_the_rows),
        TEST(buckets_come_in_turns),
        TEST(buckets_with_unanswered_edits_are_not_compared),
        TEST(a_difference_is_narrowed_down_to_the_part_of_the_row),
        TEST(dropped_triggers_are_found_and_repaired),
    };

    return RUN(tests);
}
