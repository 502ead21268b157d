/* SPDX-License-Identifier: Apache-2.0 */
/* Seals that were made in an older schema (I15): numbers of tables and columns mean what they mean
 * now, a renamed column is the same, a newer one is left at its default. Only a column that was
 * dropped since has no place any more: what it says is kept for a person. */
#include "server/core/ingest_inside.h"

#include "base/invariant.h"
#include "schema/catalog_version.h"

enum result ingest_find_wire(struct ingest *ingest, struct bytes body, struct job *job,
                             struct problem *problem)
{
    char theirs[SCHEMA_VERSION_TEXT_SIZE];
    char ours[SCHEMA_VERSION_TEXT_SIZE];
    int64_t version = 0;

    job->result = message_push_version(body, &version, &job->problem);
    if (job->result != RESULT_OK)
        return RESULT_OK;
    if (schema_version_lacks(ingest->catalog->schema_version, version)) {
        schema_version_format(version, theirs);
        schema_version_format(ingest->catalog->schema_version, ours);
        job->result =
            problem_set(&job->problem, RESULT_REFUSED,
                        "this work was recorded in schema %s, the server has %s: it stays "
                        "on the device until the server is brought up to date",
                        theirs, ours);
        return RESULT_OK;
    }
    return wire_view(ingest->views, version, &ingest->wire, problem);
}

enum result ingest_translate(struct ingest *ingest, struct ingest_item *item,
                             struct problem *problem)
{
    struct change *change = NULL;

    if (ingest->wire == ingest->catalog || (item->change->mask & ~item->table->columns_mask) == 0)
        return RESULT_OK;
    change = arena_alloc(ingest->arena, sizeof *change);
    if (change == NULL)
        return arena_full(ingest->arena, problem);
    *change = *item->change;
    change->mask &= item->table->columns_mask;
    item->original = item->change;
    item->change = change;
    item->wire = catalog_table_by_no(ingest->wire, change->table_no);
    invariant(item->wire != NULL); /* message_push_decode */
    return RESULT_OK;
}

/* An insert sends every column: what only stands in for nothing isn't worth a person's time. */
static uint64_t telling_columns(const struct ingest_item *item)
{
    uint64_t mask = item->original->mask & ~item->table->columns_mask;

    for (uint8_t n = 1; n < item->wire->column_count; n++) {
        struct value nothing = catalog_stand_in(&item->wire->columns[n]);

        if ((mask >> n & 1) == 0 || item->original->op != CHANGE_INSERT)
            continue;
        if (item->original->values[n].type == VALUE_NULL ||
            value_equal(&item->original->values[n], &nothing))
            mask &= ~(UINT64_C(1) << n);
    }
    return mask;
}

enum result ingest_keep_dropped(struct ingest *ingest, struct ingest_item *item, bool *ret_is_all,
                                struct problem *problem)
{
    struct change dropped = {0};
    struct ingest_item whole = *item;

    *ret_is_all = false;
    if (item->original == NULL)
        return RESULT_OK;
    dropped = *item->original;
    dropped.mask = telling_columns(item);
    if (item->original->op == CHANGE_UPDATE && item->change->mask == 0) {
        *ret_is_all = true;
        item->verdict.kind = VERDICT_PARKED;
        item->verdict.reason = reason_code(REASON_COLUMN_DROPPED);
    }
    if (dropped.mask == 0)
        return RESULT_OK;
    whole.change = &dropped;
    whole.original = &dropped;
    return ingest_keep_change(ingest, &whole, "parked", REASON_COLUMN_DROPPED, NULL, problem);
}
