/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/merge.h"

#include "base/invariant.h"

static bool is_unseen(struct column_version version, int64_t base_seq, int64_t replica_no)
{
    return version.seq > base_seq && version.replica_no != replica_no;
}

uint64_t merge_unseen_mask(const struct catalog_table *table, const struct versions *versions,
                           int64_t base_seq, int64_t replica_no)
{
    uint64_t mask = 0;

    for (uint8_t i = 1; i < table->column_count; i++)
        if (is_unseen(versions_of_column(versions, i), base_seq, replica_no))
            mask |= UINT64_C(1) << i;
    return mask & table->columns_mask;
}

/* The column alone, or all columns of its group. */
static uint64_t together_with(const struct catalog_table *table, uint8_t column_no)
{
    uint8_t group_no = table->columns[column_no].group_no;
    uint64_t mask = UINT64_C(1) << column_no;

    if (group_no == 0)
        return mask;
    for (uint8_t i = 1; i < table->column_count; i++)
        if (table->columns[i].group_no == group_no)
            mask |= UINT64_C(1) << i;
    return mask;
}

/* What the author and the master hold of columns that win or lose together. */
struct contest {
    bool is_conflict;
    struct column_version newest; /* of the unseen stored versions, the one that counts */
};

/* The later edit time counts, then the higher replica number: never the order of arrival. */
static bool is_later(int64_t a_us, int64_t a_replica_no, int64_t b_us, int64_t b_replica_no)
{
    return a_us != b_us ? a_us > b_us : a_replica_no > b_replica_no;
}

/* A default that the row's insert left, and that nobody has touched since, is no edit: it neither
 * wins nor loses. */
static bool is_unsaid(const struct merge_input *input, uint8_t column_no)
{
    return input->versions->columns[column_no].seq == 0 &&
           value_equal(&input->row->values[column_no],
                       &input->table->columns[column_no].default_value);
}

static struct contest contest_of(const struct merge_input *input, uint64_t together)
{
    struct contest contest = {0};
    bool differs = false;

    for (uint8_t i = 1; i < input->table->column_count; i++) {
        struct column_version version;

        if ((together >> i & 1) == 0)
            continue;
        version = versions_of_column(input->versions, i);
        if ((input->mask >> i & 1) != 0 && !value_equal(&input->values[i], &input->row->values[i]))
            differs = true;
        if (!is_unseen(version, input->base_seq, input->replica_no) || is_unsaid(input, i))
            continue;
        if (!contest.is_conflict ||
            is_later(version.edited_at_us, version.replica_no, contest.newest.edited_at_us,
                     contest.newest.replica_no))
            contest.newest = version;
        contest.is_conflict = true;
    }
    contest.is_conflict = contest.is_conflict && differs;
    return contest;
}

static void note_loss(const struct merge_input *input, struct merge_outcome *outcome,
                      uint8_t column_no, bool is_incoming)
{
    struct column_version version = versions_of_column(input->versions, column_no);
    struct merge_loss *loss = &outcome->losses[outcome->loss_count++];

    invariant(outcome->loss_count <= ROW_COLUMNS_MAX);
    *loss = (struct merge_loss){.column_no = column_no, .is_incoming = is_incoming};
    if (is_incoming) {
        loss->kept = input->row->values[column_no];
        loss->lost = input->values[column_no];
        loss->replica_no = input->replica_no;
        loss->kept_by = version.replica_no;
    } else {
        loss->kept = input->values[column_no];
        loss->lost = input->row->values[column_no];
        loss->replica_no = version.replica_no;
        loss->kept_by = input->replica_no;
    }
}

static void settle_last_writer(const struct merge_input *input, uint8_t column_no,
                               struct merge_outcome *outcome)
{
    struct contest contest = contest_of(input, together_with(input->table, column_no));
    struct column_version stored = versions_of_column(input->versions, column_no);
    bool is_equal = value_equal(&input->values[column_no], &input->row->values[column_no]);

    if (contest.is_conflict && !is_later(input->edited_at.us, input->replica_no,
                                         contest.newest.edited_at_us, contest.newest.replica_no)) {
        if (is_equal)
            return; /* of a group that lost, but this value is the same */
        outcome->lost_mask |= UINT64_C(1) << column_no;
        note_loss(input, outcome, column_no, true);
        return;
    }
    outcome->set_mask |= UINT64_C(1) << column_no;
    if (is_equal || is_unsaid(input, column_no))
        return;
    if (is_unseen(stored, input->base_seq, input->replica_no))
        note_loss(input, outcome, column_no, false);
    else if (stored.edited_at_us >= outcome->edited_at.us)
        outcome->edited_at.us = stored.edited_at_us + 1; /* it has seen that value */
}

static void settle_write_once(const struct merge_input *input, uint8_t column_no,
                              struct merge_outcome *outcome)
{
    const struct value *stored = &input->row->values[column_no];

    if (value_equal(stored, &input->values[column_no]))
        return;
    if (stored->type == VALUE_NULL ||
        value_equal(stored, &input->table->columns[column_no].default_value))
        outcome->set_mask |= UINT64_C(1) << column_no;
    else
        outcome->parked_mask |= UINT64_C(1) << column_no;
}

void merge_change(const struct merge_input *input, struct merge_outcome *ret_outcome)
{
    invariant(input->row->values != NULL);
    *ret_outcome = (struct merge_outcome){.kind = VERDICT_APPLIED, .edited_at = input->edited_at};
    for (uint8_t i = 1; i < input->table->column_count; i++) {
        if ((input->mask >> i & 1) == 0)
            continue;
        switch (input->table->columns[i].merge) {
        case MERGE_LAST_WRITER:
            settle_last_writer(input, i, ret_outcome);
            break;
        case MERGE_WRITE_ONCE:
        case MERGE_APPEND_ONLY: /* only a natural key merge brings one here */
            settle_write_once(input, i, ret_outcome);
            break;
        case MERGE_SERVER_ONLY:
            break;
        }
    }
    if (ret_outcome->parked_mask != 0)
        ret_outcome->kind = VERDICT_PARKED;
    else if (ret_outcome->lost_mask != 0)
        ret_outcome->kind = VERDICT_OVERRULED;
}
