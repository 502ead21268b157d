/* SPDX-License-Identifier: Apache-2.0 */
/* Merging as a pure function: rules one by one, then random pairs of edits in both orders. */
#include "server/core/merge.h"

#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { COLUMNS = 6 }; /* id, a, b, g1, g2 (one group), once */

#define INTEGER_COLUMN(n, text, rule, group)                                                       \
    [n] = {.number = (n),                                                                          \
           .name = (text),                                                                         \
           .type = VALUE_INTEGER,                                                                  \
           .nullable = true,                                                                       \
           .merge = (rule),                                                                        \
           .group_no = (group)}

static const struct catalog_column COLUMN_TABLE[COLUMNS] = {
    [0] = {.name = "id", .type = VALUE_INTEGER},   INTEGER_COLUMN(1, "a", MERGE_LAST_WRITER, 0),
    INTEGER_COLUMN(2, "b", MERGE_LAST_WRITER, 0),  INTEGER_COLUMN(3, "g1", MERGE_LAST_WRITER, 1),
    INTEGER_COLUMN(4, "g2", MERGE_LAST_WRITER, 1), INTEGER_COLUMN(5, "once", MERGE_WRITE_ONCE, 0),
};
static const struct catalog_table TABLE = {.number = 1,
                                           .name = "t",
                                           .column_count = COLUMNS,
                                           .columns = COLUMN_TABLE,
                                           .columns_mask = 0x3e};

/* A master of one row. */
struct master_row {
    struct value values[COLUMNS];
    struct stored_row row;
    struct versions versions;
    int64_t seq;
    size_t loss_count;
    struct merge_loss losses[64];
};

struct edit {
    int64_t replica_no;
    int64_t base_seq;
    int64_t edited_at_us;
    uint64_t mask;
    struct value values[COLUMNS];
};

static struct master_row fresh_row(void)
{
    struct master_row master = {.seq = 10};

    for (int i = 0; i < COLUMNS; i++)
        master.values[i] = value_integer(i);
    master.values[5] = value_null();
    master.versions = (struct versions){.full_seq = 10, .insert = {.seq = 10, .replica_no = 0}};
    return master;
}

static struct merge_outcome apply(struct master_row *master, const struct edit *edit)
{
    struct merge_outcome outcome;
    struct merge_input input = {.table = &TABLE,
                                .row = &master->row,
                                .versions = &master->versions,
                                .values = edit->values,
                                .mask = edit->mask,
                                .base_seq = edit->base_seq,
                                .replica_no = edit->replica_no,
                                .edited_at = {edit->edited_at_us}};

    master->row = (struct stored_row){.id = 1, .values = master->values, .seq = master->seq};
    merge_change(&input, &outcome);
    for (size_t i = 0; i < outcome.loss_count; i++)
        master->losses[master->loss_count++] = outcome.losses[i];
    master->seq++;
    for (uint8_t i = 1; i < COLUMNS; i++)
        if ((outcome.set_mask >> i & 1) != 0 &&
            !value_equal(&master->values[i], &edit->values[i])) {
            master->values[i] = edit->values[i];
            master->versions.columns[i] =
                (struct column_version){.seq = master->seq,
                                        .edited_at_us = outcome.edited_at.us,
                                        .replica_no = edit->replica_no};
        }
    return outcome;
}

static struct edit edit_of(int64_t replica_no, int64_t base_seq, int64_t edited_at_us,
                           uint8_t column_no, int64_t value)
{
    struct edit edit = {.replica_no = replica_no,
                        .base_seq = base_seq,
                        .edited_at_us = edited_at_us,
                        .mask = UINT64_C(1) << column_no};

    edit.values[column_no] = value_integer(value);
    return edit;
}

static void edits_of_different_columns_do_not_meet(void **state)
{
    struct master_row master = fresh_row();
    struct edit a = edit_of(1, 10, 100, 1, 11);
    struct edit b = edit_of(2, 10, 50, 2, 22);

    (void)state;
    assert_int_equal(apply(&master, &a).kind, VERDICT_APPLIED);
    assert_int_equal(apply(&master, &b).kind, VERDICT_APPLIED);
    assert_int_equal(master.values[1].integer, 11);
    assert_int_equal(master.values[2].integer, 22);
    assert_int_equal(master.loss_count, 0);
}

static void of_equal_times_the_higher_replica_wins(void **state)
{
    struct edit a = edit_of(1, 10, 100, 1, 11);
    struct edit b = edit_of(2, 10, 100, 1, 22);

    (void)state;
    for (int order = 0; order < 2; order++) {
        struct master_row master = fresh_row();

        (void)apply(&master, order == 0 ? &a : &b);
        (void)apply(&master, order == 0 ? &b : &a);
        assert_int_equal(master.values[1].integer, 22);
        assert_int_equal(master.loss_count, 1);
        assert_int_equal(master.losses[0].lost.integer, 11);
    }
}

static void the_same_value_twice_is_no_conflict(void **state)
{
    struct master_row master = fresh_row();
    struct edit a = edit_of(1, 10, 100, 1, 11);
    struct edit b = edit_of(2, 10, 50, 1, 11);

    (void)state;
    (void)apply(&master, &a);
    assert_int_equal(apply(&master, &b).kind, VERDICT_APPLIED);
    assert_int_equal(master.loss_count, 0);
}

static void a_device_follows_its_own_order_and_not_its_clock(void **state)
{
    struct master_row master = fresh_row();
    struct edit first = edit_of(1, 10, 500, 1, 11);
    struct edit second = edit_of(1, 10, 100, 1, 12); /* the clock was put back in between */

    (void)state;
    (void)apply(&master, &first);
    assert_int_equal(apply(&master, &second).kind, VERDICT_APPLIED);
    assert_int_equal(master.values[1].integer, 12);
    assert_int_equal(master.loss_count, 0);
}

static void an_informed_edit_wins_and_stays_ahead_of_what_it_saw(void **state)
{
    struct master_row master = fresh_row();
    struct edit seen = edit_of(1, 10, 900, 1, 11);
    struct edit informed = edit_of(2, 0, 1, 1, 12);
    struct edit uninformed = edit_of(3, 10, 800, 1, 13);

    (void)state;
    (void)apply(&master, &seen);
    informed.base_seq = master.seq;
    assert_int_equal(apply(&master, &informed).kind, VERDICT_APPLIED);
    assert_int_equal(master.versions.columns[1].edited_at_us, 901);
    assert_int_equal(apply(&master, &uninformed).kind, VERDICT_OVERRULED);
    assert_int_equal(master.values[1].integer, 12);
}

static void a_group_is_in_conflict_when_one_of_its_columns_is(void **state)
{
    struct master_row master = fresh_row();
    struct edit one = edit_of(1, 10, 200, 3, 33);
    struct edit both = edit_of(2, 10, 100, 3, 63);
    struct merge_outcome outcome;

    (void)state;
    both.mask |= UINT64_C(1) << 4;
    both.values[4] = value_integer(64);
    (void)apply(&master, &one);
    outcome = apply(&master, &both);
    assert_int_equal(outcome.kind, VERDICT_OVERRULED);
    assert_int_equal(outcome.lost_mask, 0x18);
    assert_int_equal(master.values[3].integer, 33);
    assert_int_equal(master.values[4].integer, 4);
    assert_int_equal(master.loss_count, 2);
}

/* As when a row was made on two devices: what neither of them said is nobody's word. */
static void a_default_that_nobody_touched_does_not_lose(void **state)
{
    struct master_row master = fresh_row();
    struct edit unseen = edit_of(1, 5, 200, 1, 11);

    (void)state;
    master.values[1] = value_null();
    assert_int_equal(apply(&master, &unseen).kind, VERDICT_APPLIED);
    assert_int_equal(master.values[1].integer, 11);
    assert_int_equal(master.loss_count, 0);
    master = fresh_row(); /* a value that the insert did say */
    (void)apply(&master, &unseen);
    assert_int_equal(master.loss_count, 1);
}

static void a_once_column_takes_the_first_value_only(void **state)
{
    struct master_row master = fresh_row();
    struct edit first = edit_of(1, 10, 200, 5, 1);
    struct edit same = edit_of(2, 10, 300, 5, 1);
    struct edit other = edit_of(2, 10, 300, 5, 2);

    (void)state;
    assert_int_equal(apply(&master, &first).set_mask, 0x20);
    assert_int_equal(apply(&master, &same).kind, VERDICT_APPLIED);
    assert_int_equal(apply(&master, &other).parked_mask, 0x20);
    assert_int_equal(master.values[5].integer, 1);
}

static void a_delete_has_not_seen_what_others_changed_after_its_base(void **state)
{
    struct master_row master = fresh_row();
    struct edit other = edit_of(2, 10, 100, 2, 22);
    struct edit own = edit_of(1, 10, 100, 1, 11);

    (void)state;
    (void)apply(&master, &other);
    (void)apply(&master, &own);
    assert_int_equal(merge_unseen_mask(&TABLE, &master.versions, 10, 1), 4);
    assert_int_equal(merge_unseen_mask(&TABLE, &master.versions, master.seq, 1), 0);
}

/* ---- properties ---- */

static struct edit random_edit(struct prng *prng, int64_t replica_no)
{
    struct edit edit = {.replica_no = replica_no,
                        .base_seq = 10,
                        .edited_at_us = (1 + (int64_t)prng_below(prng, 4)) * 100};

    edit.mask = prng_below(prng, 4) << 1;
    if (prng_below(prng, 2) == 0)
        edit.mask |= 0x18; /* a device sends a group whole */
    for (int i = 1; i < COLUMNS; i++)
        edit.values[i] = value_integer(100 + (int64_t)prng_below(prng, 3)); /* never as before */
    return edit;
}

/* Is the value in the row or among the losses? */
static bool is_kept(const struct master_row *master, uint8_t column_no, const struct value *value)
{
    if (value_equal(&master->values[column_no], value))
        return true;
    for (size_t i = 0; i < master->loss_count; i++)
        if (master->losses[i].column_no == column_no && value_equal(&master->losses[i].lost, value))
            return true;
    return false;
}

static void two_edits_give_the_same_row_and_losses_in_either_order(void **state)
{
    struct prng prng;

    (void)state;
    prng_init(&prng, 4711);
    for (int round = 0; round < 20000; round++) {
        struct edit a = random_edit(&prng, 1);
        struct edit b = random_edit(&prng, 2);
        struct master_row ab = fresh_row();
        struct master_row ba = fresh_row();

        (void)apply(&ab, &a);
        (void)apply(&ab, &b);
        (void)apply(&ba, &b);
        (void)apply(&ba, &a);
        for (uint8_t i = 1; i < COLUMNS; i++) {
            if (!value_equal(&ab.values[i], &ba.values[i]))
                fail_msg("round %d: column %u differs", round, i);
            if ((a.mask >> i & 1) != 0)
                assert_true(is_kept(&ab, i, &a.values[i]) && is_kept(&ba, i, &a.values[i]));
            if ((b.mask >> i & 1) != 0)
                assert_true(is_kept(&ab, i, &b.values[i]) && is_kept(&ba, i, &b.values[i]));
        }
        if (ab.loss_count != ba.loss_count)
            fail_msg("round %d: %zu and %zu losses", round, ab.loss_count, ba.loss_count);
        for (size_t i = 0; i < ab.loss_count; i++)
            assert_true(is_kept(&ba, ab.losses[i].column_no, &ab.losses[i].lost));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edits_of_different_columns_do_not_meet),
        cmocka_unit_test(of_equal_times_the_higher_replica_wins),
        cmocka_unit_test(the_same_value_twice_is_no_conflict),
        cmocka_unit_test(a_device_follows_its_own_order_and_not_its_clock),
        cmocka_unit_test(an_informed_edit_wins_and_stays_ahead_of_what_it_saw),
        cmocka_unit_test(a_default_that_nobody_touched_does_not_lose),
        cmocka_unit_test(a_group_is_in_conflict_when_one_of_its_columns_is),
        cmocka_unit_test(a_once_column_takes_the_first_value_only),
        cmocka_unit_test(a_delete_has_not_seen_what_others_changed_after_its_base),
        cmocka_unit_test(two_edits_give_the_same_row_and_losses_in_either_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
