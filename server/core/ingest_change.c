/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/ingest_inside.h"

#include "base/invariant.h"
#include "server/core/sending.h"

#include <inttypes.h>
#include <string.h>

enum result ingest_refuse(struct ingest *ingest, struct ingest_item *item, enum reason reason,
                          const char *text, struct problem *problem)
{
    item->verdict.kind = VERDICT_REFUSED;
    item->verdict.reason = reason_code(reason);
    item->sent_mask = 0;
    trace_line(ingest->trace, "server: %s %" PRId64 " of replica %" PRId64 " refused: %s",
               item->table->name, item->change->row_id, ingest->replica.replica_no,
               reason_code(reason));
    return ingest_keep_change(ingest, item, "refused", reason, text, problem);
}

/* A refusal that an honest device never causes: somebody should hear of it. */
static enum result refuse_and_audit(struct ingest *ingest, struct ingest_item *item,
                                    enum reason reason, const char *event, struct problem *problem)
{
    const char *detail =
        arena_format(ingest->arena, "%s %" PRId64 ", lcn %" PRId64 ": %s", item->table->name,
                     item->change->row_id, item->change->lcn, reason_code(reason));
    enum result result = RESULT_OK;

    if (detail == NULL)
        return arena_full(ingest->arena, problem);
    result = ingest_audit(ingest, event, detail, problem);
    if (result == RESULT_OK)
        result = ingest_refuse(ingest, item, reason, NULL, problem);
    return result;
}

static bool is_set(uint64_t mask, uint8_t column_no)
{
    return (mask >> column_no & 1) != 0;
}

/* The author's values with the table's defaults where he set none. */
static enum result complete_values(struct ingest *ingest, const struct change *change,
                                   const struct catalog_table *table, uint64_t mask,
                                   struct value **ret_values, struct problem *problem)
{
    struct value *values = arena_array(ingest->arena, table->column_count, sizeof *values);

    if (values == NULL)
        return arena_full(ingest->arena, problem);
    values[0] = value_integer(change->row_id);
    for (uint8_t i = 1; i < table->column_count; i++)
        values[i] = is_set(mask, i) ? change->values[i] : table->columns[i].default_value;
    *ret_values = values;
    return RESULT_OK;
}

static bool lacks_value(const struct catalog_table *table, const struct value *values)
{
    for (uint8_t i = 1; i < table->column_count; i++)
        if (values[i].type == VALUE_NULL && !table->columns[i].nullable &&
            i != table->home_column_no)
            return true;
    return false;
}

static bool is_own(const struct ingest *ingest, const struct value *value)
{
    return value->type == VALUE_INTEGER && value->integer == ingest->replica.user_id;
}

/* ---- merging into a row that is there ---- */

static enum result keep_losses(struct ingest *ingest, const struct ingest_item *item,
                               const struct stored_row *row, const struct merge_outcome *outcome,
                               struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < outcome->loss_count && result == RESULT_OK; i++)
        result = ingest_keep_loss(ingest, item, row, &outcome->losses[i], "last_writer", problem);
    return result;
}

static void take_outcome(struct ingest_item *item, const struct merge_outcome *outcome)
{
    item->verdict.kind = outcome->kind;
    if (outcome->kind == VERDICT_OVERRULED)
        item->verdict.reason = reason_code(REASON_OLDER_EDIT);
    if (outcome->kind == VERDICT_PARKED)
        item->verdict.reason = reason_code(REASON_WRITTEN_ONCE);
}

static enum result merge_into(struct ingest *ingest, struct ingest_item *item,
                              const struct stored_row *row, const struct value *values,
                              uint64_t mask, struct problem *problem)
{
    struct author author = ingest_author(ingest, item->change);
    struct versions versions;
    struct merge_input input = {.table = item->table,
                                .row = row,
                                .versions = &versions,
                                .values = values,
                                .mask = mask,
                                .base_seq = item->change->base_seq,
                                .replica_no = author.replica_no,
                                .edited_at = author.edited_at};
    struct merge_outcome outcome;
    enum result result = versions_of_row(row, &versions, problem);

    if (result != RESULT_OK)
        return result;
    merge_change(&input, &outcome);
    take_outcome(item, &outcome);
    result = keep_losses(ingest, item, row, &outcome, problem);
    if (result == RESULT_OK && outcome.parked_mask != 0)
        result = ingest_keep_change(ingest, item, "parked", REASON_WRITTEN_ONCE, NULL, problem);
    author.edited_at = outcome.edited_at;
    if (result == RESULT_OK && outcome.set_mask != 0)
        result = work_update(ingest->work, item->table, row->id, values, outcome.set_mask, &author,
                             problem);
    return result;
}

/* ---- insert ---- */

/* catalog_may, remembered: a seal has many changes of one table and mask after the other. */
static bool may(struct ingest *ingest, const struct catalog_table *table, enum change_op op,
                uint64_t mask, uint8_t *ret_own_column_no)
{
    struct ingest_may *known = &ingest->may;

    if (known->table != table || known->op != op || known->mask != mask) {
        *known = (struct ingest_may){.table = table, .op = op, .mask = mask};
        known->may =
            catalog_may(ingest->catalog, ingest->roles, table, op, mask, &known->own_column_no);
    }
    if (known->may)
        *ret_own_column_no = known->own_column_no;
    return known->may;
}

/* Takes out what devices don't set, and what the roles may not set but is only the default. */
static bool may_insert(struct ingest *ingest, const struct ingest_item *item, uint64_t *mask,
                       uint8_t *ret_own_column_no)
{
    const struct catalog_table *table = item->table;

    *mask &= ~table->server_only_mask;
    if (may(ingest, table, CHANGE_INSERT, *mask, ret_own_column_no))
        return true;
    for (uint8_t i = 1; i < table->column_count; i++)
        if (is_set(*mask, i) &&
            value_equal(&item->change->values[i], &table->columns[i].default_value))
            *mask &= ~(UINT64_C(1) << i);
    return may(ingest, table, CHANGE_INSERT, *mask, ret_own_column_no);
}

/* The row with the same natural key, NULL if there is none. A row that its author deletes in the
 * same seal makes room first. */
static enum result find_by_key(struct ingest *ingest, struct ingest_item *item,
                               const struct value *values, const struct stored_row **ret_row,
                               struct problem *problem)
{
    const struct catalog_table *table = item->table;
    struct ingest_item *deleted = NULL;
    enum result result = RESULT_OK;

    *ret_row = NULL;
    for (uint8_t i = 0; i < table->key_column_count; i++)
        if (values[table->key_columns[i]].type == VALUE_NULL)
            return RESULT_OK;
    if (table->key_column_count == 0)
        return RESULT_OK;
    result = work_row_by_key(ingest->work, table, values, ret_row, problem);
    if (result != RESULT_OK || *ret_row == NULL)
        return result;
    deleted = lookup_find(&ingest->by_row, table->number, (*ret_row)->id);
    if (deleted == NULL || deleted->state != ITEM_WAITING || deleted->change->op != CHANGE_DELETE)
        return RESULT_OK;
    item->pulled = deleted;
    result = ingest_apply(ingest, deleted, problem);
    if (result == RESULT_OK)
        result = work_row_by_key(ingest->work, table, values, ret_row, problem);
    return result;
}

/* The columns of an insert that say something: a default is no edit that could win over a value,
 * unless it belongs to a group with others. */
static uint64_t meant_mask(const struct catalog_table *table, const struct value *values,
                           uint64_t mask)
{
    uint64_t meant = 0;

    for (uint8_t i = 1; i < table->column_count; i++) {
        const struct catalog_column *column = &table->columns[i];

        if (!is_set(mask, i) || value_equal(&values[i], &column->default_value))
            continue;
        meant |= UINT64_C(1) << i;
        for (uint8_t k = 1; k < table->column_count; k++)
            if (column->group_no != 0 && table->columns[k].group_no == column->group_no)
                meant |= (UINT64_C(1) << k) & mask;
    }
    return meant;
}

static enum result merge_by_key(struct ingest *ingest, struct ingest_item *item,
                                const struct stored_row *row, const struct value *values,
                                uint64_t mask, struct problem *problem)
{
    bool may_see = false;
    enum result result =
        ingest_may_see(ingest, item->change, row->bucket, row->id, &may_see, problem);

    if (result != RESULT_OK)
        return result;
    if (!may_see)
        return ingest_refuse(ingest, item, REASON_NOT_ENTITLED, NULL, problem);
    item->verdict.merged_into_id = row->id;
    result = merge_into(ingest, item, row, values, meant_mask(item->table, values, mask), problem);
    item->sent_mask = 0;
    if (item->verdict.kind != VERDICT_PARKED) {
        item->verdict.kind = VERDICT_MERGED;
        item->verdict.reason = reason_code(REASON_NATURAL_KEY_MERGED);
    }
    return result;
}

static enum result insert_new(struct ingest *ingest, struct ingest_item *item, struct value *values,
                              uint64_t mask, struct problem *problem)
{
    const struct author author = ingest_author(ingest, item->change);
    const struct stored_row *existing = NULL;
    int64_t bucket = 0;
    bool may_see = false;
    enum result result =
        ingest_bucket(ingest, item->table, item->change->row_id, values, &bucket, problem);

    if (result != RESULT_OK)
        return result;
    if (bucket == 0)
        return ingest_refuse(ingest, item, REASON_CHECK_FAILED,
                             "All columns that say where it belongs are empty.", problem);
    result = ingest_may_see(ingest, item->change, bucket, 0, &may_see, problem);
    if (result != RESULT_OK)
        return result;
    if (!may_see)
        return refuse_and_audit(ingest, item, REASON_NOT_ENTITLED, "foreign_bucket", problem);
    if (lacks_value(item->table, values))
        return ingest_refuse(ingest, item, REASON_CHECK_FAILED, "A required value is missing.",
                             problem);
    result = find_by_key(ingest, item, values, &existing, problem);
    if (result != RESULT_OK)
        return result;
    if (existing != NULL)
        return merge_by_key(ingest, item, existing, values, mask, problem);
    return work_insert_kept(ingest->work, item->table, values, &author, problem);
}

static enum result apply_update_of(struct ingest *ingest, struct ingest_item *item,
                                   const struct stored_row *row, uint64_t mask,
                                   struct problem *problem);

static enum result apply_insert(struct ingest *ingest, struct ingest_item *item,
                                struct problem *problem)
{
    const struct change *change = item->change;
    const struct stored_row *row = NULL;
    struct value *values = NULL;
    uint64_t mask = change->mask;
    uint8_t own_column_no = 0;
    uint8_t broken_column_no = 0;
    enum result result;

    if (id_replica_no(change->row_id) != ingest->replica.replica_no)
        return refuse_and_audit(ingest, item, REASON_ID_OUT_OF_RANGE, "foreign_id", problem);
    if (!may_insert(ingest, item, &mask, &own_column_no))
        return refuse_and_audit(ingest, item, REASON_NOT_ENTITLED, "no_grant", problem);
    result = complete_values(ingest, change, item->table, mask, &values, problem);
    if (result != RESULT_OK)
        return result;
    if (own_column_no != 0 && !is_own(ingest, &values[own_column_no]))
        return refuse_and_audit(ingest, item, REASON_NOT_ENTITLED, "forged_author", problem);
    result = work_row(ingest->work, item->table, change->row_id, &row, problem);
    if (result != RESULT_OK)
        return result;
    if (row != NULL) /* its author replaced it, or sends it again after a restore */
        return apply_update_of(ingest, item, row, mask, problem);
    item->sent_mask = item->table->columns_mask;
    if (item->table->home_column_no != 0 && !is_set(change->mask, item->table->home_column_no))
        item->sent_mask &= ~(UINT64_C(1) << item->table->home_column_no);
    result = ingest_references(ingest, item->table, values, mask, &broken_column_no, problem);
    if (result != RESULT_OK)
        return result;
    if (broken_column_no != 0)
        return ingest_refuse(ingest, item, REASON_BAD_REFERENCE, NULL, problem);
    result = ingest_find_twin(ingest, item, values, mask, &row, problem);
    if (result != RESULT_OK || row == NULL)
        return result == RESULT_OK ? insert_new(ingest, item, values, mask, problem) : result;
    item->sent_mask = 0;
    item->verdict.merged_into_id = row->id;
    item->verdict.kind = VERDICT_MERGED;
    item->verdict.reason = reason_code(REASON_COPY_MERGED);
    return RESULT_OK;
}

/* ---- update ---- */

/* Columns of these rules are never changed from a device; *mask loses those that hold the same
 * value already. False: one of them would change. */
static bool strip_rule(const struct ingest_item *item, const struct stored_row *row,
                       enum merge_rule rule, uint64_t *mask)
{
    for (uint8_t i = 1; i < item->table->column_count; i++) {
        if (!is_set(*mask, i) || item->table->columns[i].merge != rule)
            continue;
        if (!value_equal(&item->change->values[i], &row->values[i]))
            return false;
        *mask &= ~(UINT64_C(1) << i);
    }
    return true;
}

/* Bucket, own column and required values of the row as it would be afterwards. */
static enum result check_after(struct ingest *ingest, struct ingest_item *item,
                               const struct stored_row *row, const struct value *values,
                               uint64_t mask, enum reason *ret_reason, struct problem *problem)
{
    struct value *after = arena_array(ingest->arena, item->table->column_count, sizeof *after);
    int64_t bucket = 0;
    bool may_see = true;
    enum result result = RESULT_OK;

    if (after == NULL)
        return arena_full(ingest->arena, problem);
    for (uint8_t i = 0; i < item->table->column_count; i++)
        after[i] = is_set(mask, i) ? values[i] : row->values[i];
    *ret_reason = REASON_NONE;
    result = ingest_bucket(ingest, item->table, row->id, after, &bucket, problem);
    if (result == RESULT_OK && bucket != 0 && bucket != row->bucket)
        result = ingest_may_see(ingest, item->change, bucket, 0, &may_see, problem);
    if (result != RESULT_OK)
        return result;
    if (bucket == 0 || lacks_value(item->table, after))
        *ret_reason = REASON_CHECK_FAILED;
    else if (!may_see)
        *ret_reason = REASON_NOT_ENTITLED;
    return RESULT_OK;
}

/* Checks of the row as it is. */
static enum result check_before(struct ingest *ingest, struct ingest_item *item,
                                const struct stored_row *row, uint8_t own_column_no,
                                enum reason *ret_reason, struct problem *problem)
{
    bool may_see = false;
    enum result result =
        ingest_may_see(ingest, item->change, row->bucket, item->change->row_id, &may_see, problem);

    *ret_reason = REASON_NONE;
    if (result == RESULT_OK &&
        (!may_see || (own_column_no != 0 && !is_own(ingest, &row->values[own_column_no]))))
        *ret_reason = REASON_NOT_ENTITLED;
    return result;
}

static enum result apply_update_of(struct ingest *ingest, struct ingest_item *item,
                                   const struct stored_row *row, uint64_t mask,
                                   struct problem *problem)
{
    struct value *values = NULL;
    enum reason reason = REASON_NONE;
    uint8_t own_column_no = 0;
    uint8_t broken_column_no = 0;
    enum result result;

    item->sent_mask = item->change->mask;
    if (!strip_rule(item, row, MERGE_SERVER_ONLY, &mask))
        return refuse_and_audit(ingest, item, REASON_SERVER_ONLY, "server_only", problem);
    if (!strip_rule(item, row, MERGE_APPEND_ONLY, &mask))
        return ingest_refuse(ingest, item, REASON_APPEND_ONLY, NULL, problem);
    if (mask == 0)
        return RESULT_OK;
    if (!may(ingest, item->table, item->change->op, mask, &own_column_no))
        return refuse_and_audit(ingest, item, REASON_NOT_ENTITLED, "no_grant", problem);
    result = check_before(ingest, item, row, own_column_no, &reason, problem);
    if (result != RESULT_OK)
        return result;
    if (reason != REASON_NONE)
        return refuse_and_audit(ingest, item, reason, "foreign_row", problem);
    result = complete_values(ingest, item->change, item->table, mask, &values, problem);
    if (result == RESULT_OK)
        result = ingest_references(ingest, item->table, values, mask, &broken_column_no, problem);
    if (result == RESULT_OK && broken_column_no != 0)
        return ingest_refuse(ingest, item, REASON_BAD_REFERENCE, NULL, problem);
    if (result == RESULT_OK && own_column_no != 0 && is_set(mask, own_column_no) &&
        !is_own(ingest, &values[own_column_no]))
        return refuse_and_audit(ingest, item, REASON_NOT_ENTITLED, "forged_author", problem);
    if (result == RESULT_OK)
        result = check_after(ingest, item, row, values, mask, &reason, problem);
    if (result != RESULT_OK)
        return result;
    if (reason != REASON_NONE)
        return ingest_refuse(ingest, item, reason, NULL, problem);
    return merge_into(ingest, item, row, values, mask, problem);
}

/* ---- rows that are gone ---- */

/* An edit revives a deleted row if it has all that the row needs. */
static enum result revive(struct ingest *ingest, struct ingest_item *item, bool *ret_revived,
                          struct problem *problem)
{
    uint64_t mask = item->change->mask & ~item->table->server_only_mask;
    struct value *values = NULL;
    uint8_t own_column_no = 0;
    uint8_t broken_column_no = 0;
    enum result result = complete_values(ingest, item->change, item->table, mask, &values, problem);

    *ret_revived = false;
    if (result != RESULT_OK || item->table->delete_rule != EDIT_REVIVES ||
        lacks_value(item->table, values) ||
        !may(ingest, item->table, CHANGE_UPDATE, mask, &own_column_no) ||
        (own_column_no != 0 && !is_own(ingest, &values[own_column_no])))
        return result;
    result = ingest_references(ingest, item->table, values, mask, &broken_column_no, problem);
    if (result != RESULT_OK || broken_column_no != 0)
        return result;
    *ret_revived = true;
    item->sent_mask = item->change->mask;
    return insert_new(ingest, item, values, mask, problem);
}

static enum result answer_gone(struct ingest *ingest, struct ingest_item *item,
                               struct problem *problem)
{
    bool is_revived = false;
    enum result result = RESULT_OK;

    if (item->change->op == CHANGE_DELETE)
        return RESULT_OK; /* as the author wants it */
    result = revive(ingest, item, &is_revived, problem);
    if (result != RESULT_OK || is_revived)
        return result;
    item->verdict.kind = VERDICT_GONE;
    item->verdict.reason = reason_code(REASON_UNKNOWN_ROW);
    return ingest_keep_change(ingest, item, "gone", REASON_UNKNOWN_ROW, NULL, problem);
}

/* ---- delete ---- */

/* Values of others that the author deletes without having seen them. */
static enum result keep_unseen(struct ingest *ingest, struct ingest_item *item,
                               const struct stored_row *row, const struct versions *versions,
                               uint64_t unseen, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (uint8_t i = 1; i < item->table->column_count && result == RESULT_OK; i++) {
        struct merge_loss loss = {.column_no = i,
                                  .replica_no = versions_of_column(versions, i).replica_no,
                                  .kept_by = ingest->replica.replica_no,
                                  .lost = row->values[i]};

        if (is_set(unseen, i) && row->values[i].type != VALUE_NULL &&
            i != item->table->home_column_no)
            result = ingest_keep_loss(ingest, item, row, &loss, "delete_wins", problem);
    }
    return result;
}

static enum result apply_delete(struct ingest *ingest, struct ingest_item *item,
                                const struct stored_row *row, struct problem *problem)
{
    const struct author author = ingest_author(ingest, item->change);
    struct versions versions;
    enum reason reason = REASON_NONE;
    uint8_t own_column_no = 0;
    uint64_t unseen = 0;
    bool has_children = false;
    enum result result = RESULT_OK;

    if (item->table->append_only)
        return ingest_refuse(ingest, item, REASON_APPEND_ONLY, NULL, problem);
    if (item->table->delete_rule == DELETE_NEVER ||
        !may(ingest, item->table, CHANGE_DELETE, 0, &own_column_no))
        return refuse_and_audit(ingest, item, REASON_NOT_ENTITLED, "no_grant", problem);
    result = check_before(ingest, item, row, own_column_no, &reason, problem);
    if (result != RESULT_OK)
        return result;
    if (reason != REASON_NONE)
        return refuse_and_audit(ingest, item, reason, "foreign_row", problem);
    result = versions_of_row(row, &versions, problem);
    if (result == RESULT_OK)
        result = ingest_has_children(ingest, item->table, row->id, &has_children, problem);
    if (result != RESULT_OK)
        return result;
    if (has_children)
        return ingest_refuse(ingest, item, REASON_BAD_REFERENCE,
                             "Other records refer to it: it can't be deleted.", problem);
    unseen = merge_unseen_mask(item->table, &versions, item->change->base_seq,
                               ingest->replica.replica_no);
    if (unseen != 0 && item->table->delete_rule == EDIT_REVIVES) {
        item->verdict.kind = VERDICT_OVERRULED;
        item->verdict.reason = reason_code(REASON_OLDER_EDIT);
        return ingest_keep_change(ingest, item, "parked", REASON_OLDER_EDIT, NULL, problem);
    }
    result = keep_unseen(ingest, item, row, &versions, unseen, problem);
    if (result == RESULT_OK)
        result = work_delete(ingest->work, item->table, row->id, &author, problem);
    return result;
}

/* ---- one change ---- */

static enum result apply_to_row(struct ingest *ingest, struct ingest_item *item,
                                struct problem *problem)
{
    const struct stored_row *row = NULL;
    int64_t merged_id = 0;
    enum result result = work_row(ingest->work, item->table, item->change->row_id, &row, problem);

    if (result == RESULT_OK && row == NULL)
        result = ingest_merged_into(ingest, item->table, item->change->row_id, &merged_id, problem);
    if (result == RESULT_OK && merged_id != 0) {
        result = work_row(ingest->work, item->table, merged_id, &row, problem);
        item->verdict.merged_into_id = merged_id;
    }
    if (result != RESULT_OK)
        return result;
    if (row == NULL)
        return answer_gone(ingest, item, problem);
    if (item->change->op == CHANGE_DELETE)
        return apply_delete(ingest, item, row, problem);
    if (item->table->append_only)
        return ingest_refuse(ingest, item, REASON_APPEND_ONLY, NULL, problem);
    return apply_update_of(ingest, item, row, item->change->mask, problem);
}

enum result ingest_apply(struct ingest *ingest, struct ingest_item *item, struct problem *problem)
{
    bool is_all = false;
    enum result result = RESULT_OK;

    invariant(item->state == ITEM_WAITING);
    item->state = ITEM_DONE;
    item->pulled = NULL;
    item->sent_mask = 0;
    item->verdict = (struct ingest_verdict){.lcn = item->change->lcn,
                                            .table_no = item->change->table_no,
                                            .row_id = item->change->row_id};
    if (ingest->not_after.us != 0 && item->change->edited_at.us > ingest->not_after.us)
        return ingest_refuse(ingest, item, REASON_REVOKED, NULL, problem);
    if (item->table->is_local)
        return ingest_refuse(ingest, item, REASON_UNKNOWN_TABLE, NULL, problem);
    result = ingest_keep_dropped(ingest, item, &is_all, problem);
    if (result != RESULT_OK || is_all)
        return result;
    if (!sending_fits(item->table, item->change->mask, item->change->values))
        return ingest_refuse(ingest, item, REASON_CHECK_FAILED,
                             "A value is longer than what other devices can receive.", problem);
    if (item->change->op == CHANGE_INSERT)
        return apply_insert(ingest, item, problem);
    return apply_to_row(ingest, item, problem);
}

/* ---- in the end ---- */

static bool holds_something_else(const struct ingest_item *item, const struct stored_row *row)
{
    const struct change *change = item->change;

    for (uint8_t i = 1; i < item->table->column_count; i++) {
        const struct value *sent =
            is_set(change->mask, i) ? &change->values[i] : &item->table->columns[i].default_value;

        if (is_set(item->sent_mask, i) && !value_equal(sent, &row->values[i]))
            return true;
    }
    return false;
}

/* The row whose bucket an inserted row takes over, NULL if it has one by its own columns. */
static enum result find_parent(struct ingest *ingest, const struct ingest_item *item,
                               const struct stored_row *row, const struct stored_row **ret_parent,
                               const struct catalog_table **ret_table, struct problem *problem)
{
    *ret_parent = NULL;
    for (uint8_t i = 0; i < item->table->bucket_term_count; i++) {
        const struct bucket_term *term = &item->table->bucket_terms[i];

        if (term->source != BUCKET_INHERITED) {
            if (term->source != BUCKET_COLUMN || row->values[term->column_no].type != VALUE_NULL)
                return RESULT_OK;
        } else if (row->values[term->column_no].type == VALUE_INTEGER) {
            *ret_table = catalog_table_by_no(ingest->catalog,
                                             item->table->columns[term->column_no].refers_to);
            return work_head(ingest->work, *ret_table, row->values[term->column_no].integer,
                             ret_parent, problem);
        }
    }
    return RESULT_OK;
}

/* A device fills `home` of a new row from the parent as it is then, and does not move rows after
 * their parent. Was that one moved since? Then the row may be in another bucket than on the device.
 */
static enum result is_move_unseen(struct ingest *ingest, const struct ingest_item *item,
                                  const struct stored_row *row, bool *ret_is,
                                  struct problem *problem)
{
    const struct stored_row *parent = NULL; /* whose move counts */
    const struct catalog_table *table = NULL;
    int64_t full_seq = 0;
    int64_t replica_no = 0;
    enum result result = RESULT_OK;

    *ret_is = false;
    if (item->change->op == CHANGE_UPDATE)
        parent = row; /* the row itself may have moved while its author edited it */
    else if (item->change->op == CHANGE_INSERT && item->table->home_column_no != 0)
        result = find_parent(ingest, item, row, &parent, &table, problem);
    if (result == RESULT_OK && parent != NULL)
        result = versions_full(parent, &full_seq, &replica_no, problem);
    if (result != RESULT_OK || parent == NULL || full_seq <= item->change->base_seq)
        return result;
    *ret_is = replica_no != ingest->replica.replica_no; /* a move sets it to 0 */
    return RESULT_OK;
}

enum result ingest_compare(struct ingest *ingest, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < ingest->count && result == RESULT_OK; i++) {
        struct ingest_item *item = &ingest->items[i];
        const struct stored_row *row = NULL;
        bool is_elsewhere = false;
        int64_t row_id =
            item->verdict.merged_into_id != 0 ? item->verdict.merged_into_id : item->change->row_id;

        if (item->verdict.kind != VERDICT_APPLIED)
            continue;
        if (item->change->op == CHANGE_DELETE) {
            if (item->verdict.merged_into_id != 0)
                item->verdict.kind = VERDICT_MERGED;
            continue;
        }
        result = work_row(ingest->work, item->table, row_id, &row, problem);
        if (result == RESULT_OK && row != NULL)
            result = is_move_unseen(ingest, item, row, &is_elsewhere, problem);
        if (result == RESULT_OK && (row == NULL || row_id != item->change->row_id || is_elsewhere ||
                                    holds_something_else(item, row)))
            item->verdict.kind = VERDICT_MERGED;
    }
    return result;
}
