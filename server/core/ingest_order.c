/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/ingest_inside.h"

#include "base/invariant.h"

#include <string.h>

/* ---- reading ahead ---- */

/* Ids of one table, collected before they are read in one batch. */
struct id_list {
    int64_t *ids;
    size_t count;
    size_t capacity;
};

/* Of one table. */
struct reading_ahead {
    struct id_list changed;
    struct id_list referred; /* of these only the bucket and the versions count */
};

static enum result list_add(struct ingest *ingest, struct id_list *list, int64_t id,
                            struct problem *problem)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        int64_t *ids = arena_array(ingest->arena, capacity, sizeof *ids);

        if (ids == NULL)
            return arena_full(ingest->arena, problem);
        if (list->count > 0)
            memcpy(ids, list->ids, list->count * sizeof *ids);
        list->ids = ids;
        list->capacity = capacity;
    }
    list->ids[list->count++] = id;
    return RESULT_OK;
}

static enum result collect(struct ingest *ingest, const struct ingest_item *item,
                           struct reading_ahead *tables, struct problem *problem)
{
    const struct change *change = item->change;
    enum result result =
        list_add(ingest, &tables[item->table->number].changed, change->row_id, problem);

    for (uint8_t i = 1; i < item->table->column_count && result == RESULT_OK; i++) {
        uint16_t refers_to = item->table->columns[i].refers_to;

        if ((change->mask >> i & 1) != 0 && refers_to != 0 &&
            change->values[i].type == VALUE_INTEGER)
            result =
                list_add(ingest, &tables[refers_to].referred, change->values[i].integer, problem);
    }
    return result;
}

static enum result read_ahead(struct ingest *ingest, struct problem *problem)
{
    struct reading_ahead *tables =
        arena_array(ingest->arena, ingest->catalog->table_count, sizeof *tables);
    enum result result = RESULT_OK;

    if (tables == NULL)
        return arena_full(ingest->arena, problem);
    for (size_t i = 0; i < ingest->count && result == RESULT_OK; i++)
        result = collect(ingest, &ingest->items[i], tables, problem);
    for (size_t t = 1; t < ingest->catalog->table_count && result == RESULT_OK; t++) {
        const struct catalog_table *table = &ingest->catalog->tables[t];
        const struct id_list *changed = &tables[t].changed;
        const struct id_list *referred = &tables[t].referred;

        if (!table->is_local && changed->count > 0)
            result = work_prefetch(ingest->work, table, changed->ids, changed->count, problem);
        if (!table->is_local && referred->count > 0 && result == RESULT_OK)
            result =
                work_prefetch_heads(ingest->work, table, referred->ids, referred->count, problem);
    }
    return result;
}

/* ---- order ---- */

/* Items that are waiting for what they refer to, instead of recursion. */
struct visit {
    struct ingest_item *item;
    uint8_t column_no; /* the next one to look at */
};

struct ordering {
    struct ingest *ingest;
    struct visit *stack;
    size_t depth;
    size_t ordered;
};

/* Values that say what this item refers to: sent ones, for a delete the stored ones. */
static enum result values_of(struct ingest *ingest, const struct ingest_item *item,
                             const struct value **ret_values, uint64_t *ret_mask,
                             struct problem *problem)
{
    const struct stored_row *row = NULL;
    enum result result;

    *ret_values = item->change->values;
    *ret_mask = item->change->mask;
    if (item->change->op != CHANGE_DELETE)
        return RESULT_OK;
    result = work_row(ingest->work, item->table, item->change->row_id, &row, problem);
    if (result != RESULT_OK)
        return result;
    *ret_values = row == NULL ? NULL : row->values;
    *ret_mask = row == NULL ? 0 : item->table->columns_mask;
    return RESULT_OK;
}

/* The next item of the same kind (delete or not) that the top of the stack refers to and that has
 * not been visited; NULL: none. */
static enum result next_referred(struct ordering *ordering, struct ingest_item **ret_item,
                                 struct problem *problem)
{
    struct visit *top = &ordering->stack[ordering->depth - 1];
    const struct catalog_table *table = top->item->table;
    const struct value *values = NULL;
    uint64_t mask = 0;
    enum result result = values_of(ordering->ingest, top->item, &values, &mask, problem);

    *ret_item = NULL;
    while (result == RESULT_OK && top->column_no < table->column_count && *ret_item == NULL) {
        uint8_t i = top->column_no++;
        struct ingest_item *item = NULL;

        if (i == 0 || (mask >> i & 1) == 0 || table->columns[i].refers_to == 0 ||
            values[i].type != VALUE_INTEGER)
            continue;
        item =
            lookup_find(&ordering->ingest->by_row, table->columns[i].refers_to, values[i].integer);
        if (item != NULL && !item->is_visited &&
            (item->change->op == CHANGE_DELETE) == (top->item->change->op == CHANGE_DELETE))
            *ret_item = item;
    }
    return result;
}

static void push(struct ordering *ordering, struct ingest_item *item)
{
    invariant(ordering->depth < ordering->ingest->count); /* each is visited once */
    item->is_visited = true;
    ordering->stack[ordering->depth++] = (struct visit){.item = item};
}

static enum result visit(struct ordering *ordering, struct ingest_item *item,
                         struct problem *problem)
{
    enum result result = RESULT_OK;

    push(ordering, item);
    while (ordering->depth > 0 && result == RESULT_OK) {
        struct ingest_item *referred = NULL;

        result = next_referred(ordering, &referred, problem);
        if (referred != NULL)
            push(ordering, referred);
        else
            ordering->ingest->order[ordering->ordered++] = ordering->stack[--ordering->depth].item;
    }
    return result;
}

enum result ingest_order(struct ingest *ingest, struct problem *problem)
{
    struct ordering ordering = {.ingest = ingest};
    size_t kept = 0;
    enum result result = read_ahead(ingest, problem);

    ingest->order = arena_array(ingest->arena, ingest->count, sizeof(struct ingest_item *));
    ordering.stack = arena_array(ingest->arena, ingest->count, sizeof *ordering.stack);
    if (ingest->order == NULL || ordering.stack == NULL)
        return arena_full(ingest->arena, problem);
    for (int deletes = 0; deletes < 2 && result == RESULT_OK; deletes++) {
        kept = ordering.ordered;
        for (size_t i = 0; i < ingest->count && result == RESULT_OK; i++) {
            struct ingest_item *item = &ingest->items[i];

            if (!item->is_visited && (item->change->op == CHANGE_DELETE) == (deletes == 1))
                result = visit(&ordering, item, problem);
        }
    }
    if (result != RESULT_OK)
        return result;
    for (size_t first = kept, last = ordering.ordered; last > first + 1; first++) {
        struct ingest_item *swapped = ingest->order[--last]; /* children go before parents */

        ingest->order[last] = ingest->order[first];
        ingest->order[first] = swapped;
    }
    return RESULT_OK;
}
