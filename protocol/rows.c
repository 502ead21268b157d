/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/rows.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <math.h>

/* Rows, changes and departures differ only in which numbers stand before the values, so one codec
 * walks all three by these shapes. */
enum { HEADS_MAX = 4 };

struct shape {
    const char *name;
    size_t head_count;
    int64_t head_min[HEADS_MAX]; /* head 0 is the row id */
    int64_t head_max[HEADS_MAX];
    int64_t tag_max; /* op or kind: 1 to tag_max; 0: there is none */
    bool has_mask;   /* and the values of its columns */
    bool in_table_order;
};

static const struct shape SHAPE_ROWS = {
    "row", 2, {1, 0}, {ID_MAX, INT64_MAX}, 0, true, true,
};
static const struct shape SHAPE_CHANGES = {
    "change", 4,    {1, 1, 0, INT64_MIN}, {ID_MAX, INT64_MAX, INT64_MAX, INT64_MAX}, CHANGE_DELETE,
    true,     true,
};
static const struct shape SHAPE_GONE = {
    "gone row", 2, {1, 0}, {ID_MAX, INT64_MAX}, GONE_LEFT, false, false,
};

struct item {
    uint16_t table_no;
    int64_t heads[HEADS_MAX];
    int64_t tag;
    uint64_t mask;
    struct value *values;
};

/* One of the three kinds of list, as the callers hold them. */
struct list {
    const struct shape *shape;
    size_t count;
    const struct row_image *rows;
    const struct change *changes;
    const struct gone *gone;
};

static struct item item_at(const struct list *list, size_t index)
{
    struct item item = {0};

    invariant(index < list->count);
    if (list->rows != NULL) {
        const struct row_image *row = &list->rows[index];

        item = (struct item){
            row->table_no, {row->row_id, row->seq}, 0, row->mask, row->values,
        };
    } else if (list->changes != NULL) {
        const struct change *change = &list->changes[index];

        item = (struct item){
            change->table_no, {change->row_id, change->lcn, change->base_seq, change->edited_at.us},
            change->op,       change->mask,
            change->values,
        };
    } else {
        const struct gone *gone = &list->gone[index];

        item = (struct item){gone->table_no, {gone->row_id, gone->seq}, gone->kind, 0, NULL};
    }
    return item;
}

static size_t bit_count(uint64_t mask)
{
    size_t count = 0;

    for (; mask != 0; mask &= mask - 1)
        count++;
    return count;
}

static bool has_bit(uint64_t mask, size_t bit)
{
    return (mask >> bit & 1) != 0;
}

/* Differences wrap around, so that any two numbers have one. */
static int64_t delta_of(int64_t value, int64_t before)
{
    return (int64_t)((uint64_t)value - (uint64_t)before);
}

static int64_t delta_add(int64_t before, int64_t delta)
{
    return (int64_t)((uint64_t)before + (uint64_t)delta);
}

/* --- writing ---------------------------------------------------------------------------------- */

static bool value_fits(const struct catalog_column *column, const struct value *value)
{
    if (value->type == VALUE_NULL)
        return column->nullable;
    if (column->type == VALUE_REAL && value->type == VALUE_INTEGER)
        return true;
    return value->type == column->type;
}

static const char *type_name(enum value_type type)
{
    static const char *const NAMES[] = {"NULL", "an integer", "a real", "a text", "a blob"};

    return (size_t)type < sizeof NAMES / sizeof NAMES[0] ? NAMES[type] : "no value";
}

enum result rows_check_value(const struct catalog_table *table, size_t column_no,
                             const struct value *value, struct problem *problem)
{
    const struct catalog_column *column = &table->columns[column_no];

    invariant(column_no > 0 && column_no < table->column_count);
    if (!value_fits(column, value))
        return problem_set(problem, RESULT_REFUSED, "%s.%s can't hold %s", table->name,
                           column->name, type_name(value->type));
    if (value->type == VALUE_TEXT && !bytes_are_text(value->bytes))
        return problem_set(problem, RESULT_REFUSED, "%s.%s: text is not UTF-8 or holds NUL",
                           table->name, column->name);
    return RESULT_OK;
}

static enum result check_values(const struct catalog_table *table, const struct item *item,
                                struct problem *problem)
{
    enum result result = RESULT_OK;

    if ((item->mask & ~table->columns_mask) != 0)
        return problem_set(problem, RESULT_REFUSED,
                           "mask %" PRIx64 " of %s %" PRId64 " has unknown columns", item->mask,
                           table->name, item->heads[0]);
    for (size_t i = 1; i < table->column_count && result == RESULT_OK; i++)
        if (has_bit(item->mask, i))
            result = rows_check_value(table, i, &item->values[i], problem);
    if (result != RESULT_OK)
        problem_add(problem, "%s %" PRId64, table->name, item->heads[0]);
    return result;
}

static enum result check_item(const struct catalog *catalog, const struct shape *shape,
                              const struct item *item, struct problem *problem)
{
    for (size_t i = 0; i < shape->head_count; i++)
        if (item->heads[i] < shape->head_min[i] || item->heads[i] > shape->head_max[i])
            return problem_set(problem, RESULT_REFUSED,
                               "%s: number %zu is %" PRId64 ", allowed %" PRId64 " to %" PRId64,
                               shape->name, i, item->heads[i], shape->head_min[i],
                               shape->head_max[i]);
    if (item->table_no == 0 ||
        (shape->tag_max > 0 && (item->tag < 1 || item->tag > shape->tag_max)))
        return problem_set(problem, RESULT_REFUSED, "%s of table %u, op or kind %" PRId64,
                           shape->name, item->table_no, item->tag);
    if (!shape->has_mask)
        return RESULT_OK;

    const struct catalog_table *table = catalog_table_by_no(catalog, item->table_no);

    if (table == NULL)
        return problem_set(problem, RESULT_REFUSED, "%s of unknown table %u", shape->name,
                           item->table_no);
    if (item->tag == CHANGE_DELETE && item->mask != 0)
        return problem_set(problem, RESULT_REFUSED, "%s %" PRId64 ": a delete has no columns",
                           table->name, item->heads[0]);
    return check_values(table, item, problem);
}

/* Everything that a decoder would refuse is refused here, before a byte is written. */
static enum result check_list(const struct catalog *catalog, const struct list *list,
                              struct problem *problem)
{
    uint16_t table_before = 0;

    if (list->count > LIMIT_ROWS_MAX)
        return problem_set(problem, RESULT_REFUSED, "%zu %ss, at most %d in one message",
                           list->count, list->shape->name, LIMIT_ROWS_MAX);
    for (size_t i = 0; i < list->count; i++) {
        struct item item = item_at(list, i);
        enum result result = check_item(catalog, list->shape, &item, problem);

        if (result != RESULT_OK)
            return result;
        if (list->shape->in_table_order && item.table_no < table_before)
            return problem_set(problem, RESULT_REFUSED, "%s of table %u after one of %u",
                               list->shape->name, item.table_no, table_before);
        table_before = item.table_no;
    }
    return RESULT_OK;
}

/* A real that is a whole number up to 2^53 in size travels as one: 1 to 8 bytes less, and the
 * column's type makes it a real again. Not -0.0, which an integer can't say. */
static bool is_whole(double real, int64_t *ret_whole)
{
    const double whole_max = 9007199254740992.0;

    if (!(real >= -whole_max && real <= whole_max))
        return false;
    *ret_whole = (int64_t)real;
    return (double)*ret_whole == real && !(*ret_whole == 0 && signbit(real));
}

static void write_value(struct writer *writer, enum value_type column_type,
                        const struct value *value)
{
    struct value real = *value;
    int64_t whole = 0;

    if (column_type == VALUE_REAL && value->type == VALUE_INTEGER)
        real = value_real((double)value->integer);
    switch (real.type) {
    case VALUE_NULL:
        writer_nil(writer);
        break;
    case VALUE_INTEGER:
        writer_int64(writer, real.integer);
        break;
    case VALUE_REAL:
        if (is_whole(real.real, &whole))
            writer_int64(writer, whole);
        else
            writer_real(writer, real.real);
        break;
    case VALUE_TEXT:
        writer_text(writer, real.bytes);
        break;
    case VALUE_BLOB:
        writer_blob(writer, real.bytes);
        break;
    }
}

/* nil stands for a whole row; a delete always says 0, so that its mask can't be taken for one. */
static void write_mask(struct writer *writer, const struct catalog_table *table,
                       const struct item *item)
{
    if (item->mask == table->columns_mask && item->tag != CHANGE_DELETE)
        writer_nil(writer);
    else
        writer_int64(writer, (int64_t)item->mask);
}

static void write_item(struct writer *writer, const struct catalog_table *table,
                       const struct shape *shape, const struct item *item,
                       const struct item *before)
{
    for (size_t i = 0; i < shape->head_count; i++)
        writer_int64(writer, delta_of(item->heads[i], before->heads[i]));
    if (shape->tag_max > 0)
        writer_int64(writer, item->tag);
    if (!shape->has_mask)
        return;
    write_mask(writer, table, item);
    for (size_t i = 1; i < table->column_count; i++)
        if (has_bit(item->mask, i))
            write_value(writer, table->columns[i].type, &item->values[i]);
}

/* A run of items of one table that goes into one block: [from, to). */
struct block {
    size_t from;
    size_t to;
    bool is_columnar;
    size_t value_count; /* in the block's array */
};

static size_t uniform_end(const struct list *list, size_t from)
{
    struct item first = item_at(list, from);
    size_t to = from + 1;

    for (; to < list->count; to++) {
        struct item item = item_at(list, to);

        if (item.table_no != first.table_no || item.tag != first.tag || item.mask != first.mask)
            break;
    }
    return to;
}

/* A long uniform run goes columnar; what lies between such runs of a table goes row by row. */
static struct block next_block(const struct list *list, size_t from)
{
    const struct shape *shape = list->shape;
    struct item first = item_at(list, from);
    struct block block = {.from = from, .to = from};
    size_t shared = (shape->tag_max > 0 ? 1u : 0u) + (shape->has_mask ? 1u : 0u);

    while (block.to < list->count) {
        struct item item = item_at(list, block.to);
        size_t end = uniform_end(list, block.to);
        bool is_long = end - block.to >= ROWS_COLUMNAR_COUNT_MIN;

        if (item.table_no != first.table_no || (is_long && block.to > from))
            break;
        block.value_count +=
            (end - block.to) * (shape->head_count + bit_count(item.mask) + (is_long ? 0 : shared));
        block.to = end;
        block.is_columnar = is_long;
        if (is_long)
            break;
    }
    block.value_count += 3 + (block.is_columnar ? shared : 0);
    return block;
}

static void write_columns(struct writer *writer, const struct catalog_table *table,
                          const struct list *list, const struct block *block)
{
    const struct shape *shape = list->shape;
    struct item first = item_at(list, block->from);

    if (shape->tag_max > 0)
        writer_int64(writer, first.tag);
    if (shape->has_mask)
        write_mask(writer, table, &first);
    for (size_t head = 0; head < shape->head_count; head++) {
        int64_t before = 0;

        for (size_t i = block->from; i < block->to; i++) {
            int64_t number = item_at(list, i).heads[head];

            writer_int64(writer, delta_of(number, before));
            before = number;
        }
    }
    for (size_t column = 1; shape->has_mask && column < table->column_count; column++)
        for (size_t i = block->from; has_bit(first.mask, column) && i < block->to; i++)
            write_value(writer, table->columns[column].type, &item_at(list, i).values[column]);
}

static void write_block(struct writer *writer, const struct catalog *catalog,
                        const struct list *list, const struct block *block)
{
    struct item item = item_at(list, block->from);
    struct item before = {0};
    const struct catalog_table *table =
        list->shape->has_mask ? catalog_table_by_no(catalog, item.table_no) : NULL;

    writer_array(writer, block->value_count);
    writer_int64(writer, item.table_no);
    writer_int64(writer, block->is_columnar ? ROWS_COLUMNAR : ROWS_BY_ROW);
    writer_int64(writer, (int64_t)(block->to - block->from));
    if (block->is_columnar) {
        write_columns(writer, table, list, block);
        return;
    }
    for (size_t i = block->from; i < block->to; i++) {
        item = item_at(list, i);
        write_item(writer, table, list->shape, &item, &before);
        before = item;
    }
}

static enum result list_write(const struct catalog *catalog, const struct list *list,
                              struct writer *writer, struct problem *problem)
{
    size_t block_count = 0;
    struct block block = {0};
    enum result result = check_list(catalog, list, problem);

    if (result != RESULT_OK)
        return result;
    for (size_t i = 0; i < list->count; i = block.to) {
        block = next_block(list, i);
        block_count++;
    }
    writer_array(writer, 1 + block_count);
    writer_int64(writer, (int64_t)list->count);
    for (size_t i = 0; i < list->count; i = block.to) {
        block = next_block(list, i);
        write_block(writer, catalog, list, &block);
    }
    return RESULT_OK;
}

enum result rows_write(const struct catalog *catalog, const struct row_image *rows, size_t count,
                       struct writer *writer, struct problem *problem)
{
    struct list list = {.shape = &SHAPE_ROWS, .count = count, .rows = rows};

    return list_write(catalog, &list, writer, problem);
}

enum result changes_write(const struct catalog *catalog, const struct change *changes, size_t count,
                          struct writer *writer, struct problem *problem)
{
    struct list list = {.shape = &SHAPE_CHANGES, .count = count, .changes = changes};

    return list_write(catalog, &list, writer, problem);
}

enum result gone_write(const struct gone *rows, size_t count, struct writer *writer,
                       struct problem *problem)
{
    struct list list = {.shape = &SHAPE_GONE, .count = count, .gone = rows};

    return list_write(NULL, &list, writer, problem);
}

enum result row_write(const struct catalog *catalog, const struct row_image *row,
                      struct writer *writer, struct problem *problem)
{
    struct list list = {.shape = &SHAPE_ROWS, .count = 1, .rows = row};
    struct item before = {0};
    struct item item = item_at(&list, 0);
    enum result result = check_item(catalog, &SHAPE_ROWS, &item, problem);

    if (result != RESULT_OK)
        return result;
    writer_array(writer, 3 + bit_count(item.mask));
    write_item(writer, catalog_table_by_no(catalog, item.table_no), &SHAPE_ROWS, &item, &before);
    return RESULT_OK;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* What all levels of reading need. They answer RESULT_OK also when `reader` has failed: it yields
 * zeros from then on, and the end looks once. */
struct source {
    const struct catalog *catalog;
    struct reader *reader;
    struct arena *arena;
    const struct shape *shape;
    struct problem *problem;
};

static struct value read_value(struct reader *reader, const struct catalog_column *column)
{
    enum reader_kind kind = reader_peek_kind(reader);

    if (kind == READER_NIL && column->nullable) {
        reader_nil(reader);
        return value_null();
    }
    switch (column->type) {
    case VALUE_INTEGER:
        return value_integer(reader_int64(reader, INT64_MIN, INT64_MAX));
    case VALUE_REAL:
        if (kind == READER_INT)
            return value_real((double)reader_int64(reader, INT64_MIN, INT64_MAX));
        return value_real(reader_real(reader));
    case VALUE_TEXT:
        return value_text(reader_text(reader, LIMIT_BODY_SIZE_MAX));
    case VALUE_BLOB:
        return value_blob(reader_blob(reader, LIMIT_BODY_SIZE_MAX));
    case VALUE_NULL:
        break;
    }
    invariant(column->type != VALUE_NULL); /* catalog_check */
    return value_null();
}

static enum result find_table(const struct source *source, int64_t table_no,
                              const struct catalog_table **ret_table)
{
    *ret_table = catalog_table_by_no(source->catalog, table_no);
    if (*ret_table == NULL)
        return problem_set(source->problem, RESULT_REFUSED,
                           "table %" PRId64
                           " is not in this side's catalog (schema version %" PRId64 ")",
                           table_no, source->catalog->schema_version);
    return RESULT_OK;
}

/* The numbers before the values: op or kind, then mask. */
static enum result read_tag_and_mask(const struct source *source, const struct catalog_table *table,
                                     struct item *item)
{
    struct reader *reader = source->reader;

    if (source->shape->tag_max > 0)
        item->tag = reader_int64(reader, 1, source->shape->tag_max);
    if (!source->shape->has_mask)
        return RESULT_OK;
    if (item->tag == CHANGE_DELETE && source->shape == &SHAPE_CHANGES) {
        (void)reader_int64(reader, 0, 0);
        return RESULT_OK;
    }
    if (reader_nil_next(reader)) {
        reader_nil(reader);
        item->mask = table->columns_mask;
        return RESULT_OK;
    }
    item->mask = (uint64_t)reader_int64(reader, 0, INT64_MAX);
    if (has_bit(item->mask, 0))
        reader_fail(reader, "mask has the id in it");
    if (!reader_failed(reader) && (item->mask & ~table->columns_mask) != 0)
        return problem_set(source->problem, RESULT_REFUSED,
                           "mask %" PRIx64 ": table %s has only columns %" PRIx64
                           " here (schema version %" PRId64 ")",
                           item->mask, table->name, table->columns_mask,
                           source->catalog->schema_version);
    return RESULT_OK;
}

static int64_t read_head(const struct source *source, size_t head, int64_t before)
{
    int64_t value = delta_add(before, reader_int64(source->reader, INT64_MIN, INT64_MAX));

    if (value < source->shape->head_min[head] || value > source->shape->head_max[head])
        reader_fail(source->reader, "id, seq or lcn out of range before here");
    return value;
}

static enum result alloc_values(const struct source *source, const struct catalog_table *table,
                                struct item *item)
{
    if (item->mask == 0 || reader_failed(source->reader))
        return RESULT_OK;
    item->values = arena_array(source->arena, table->column_count, sizeof *item->values);
    return item->values == NULL ? arena_full(source->arena, source->problem) : RESULT_OK;
}

static enum result read_item(const struct source *source, const struct catalog_table *table,
                             const struct item *before, struct item *ret_item)
{
    struct item item = {.table_no = table->number};
    enum result result = RESULT_OK;

    for (size_t i = 0; i < source->shape->head_count; i++)
        item.heads[i] = read_head(source, i, before->heads[i]);
    result = read_tag_and_mask(source, table, &item);
    if (result == RESULT_OK)
        result = alloc_values(source, table, &item);
    if (result != RESULT_OK)
        return result;
    for (size_t i = 1; item.values != NULL && i < table->column_count; i++)
        if (has_bit(item.mask, i))
            item.values[i] = read_value(source->reader, &table->columns[i]);
    *ret_item = item;
    return RESULT_OK;
}

/* Where decoded items go: one of the three arrays, as the caller wants them. */
struct target {
    struct row_image *rows;
    struct change *changes;
    struct gone *gone;
    size_t count;
};

static void target_put(struct target *target, size_t index, const struct item *item)
{
    if (target->rows != NULL)
        target->rows[index] = (struct row_image){
            .table_no = item->table_no,
            .row_id = item->heads[0],
            .seq = item->heads[1],
            .mask = item->mask,
            .values = item->values,
        };
    else if (target->changes != NULL)
        target->changes[index] = (struct change){
            .table_no = item->table_no,
            .row_id = item->heads[0],
            .lcn = item->heads[1],
            .base_seq = item->heads[2],
            .edited_at = {item->heads[3]},
            .op = (enum change_op)item->tag,
            .mask = item->mask,
            .values = item->values,
        };
    else
        target->gone[index] = (struct gone){
            .table_no = item->table_no,
            .row_id = item->heads[0],
            .seq = item->heads[1],
            .kind = (enum gone_kind)item->tag,
        };
}

/* A head of item `index` that was put before; columns arrive one after the other. */
static void target_put_head(struct target *target, size_t index, size_t head, int64_t value)
{
    if (target->rows != NULL) {
        *(head == 0 ? &target->rows[index].row_id : &target->rows[index].seq) = value;
    } else if (target->changes != NULL) {
        struct change *change = &target->changes[index];
        int64_t *const members[HEADS_MAX] = {&change->row_id, &change->lcn, &change->base_seq,
                                             &change->edited_at.us};

        *members[head] = value;
    } else {
        *(head == 0 ? &target->gone[index].row_id : &target->gone[index].seq) = value;
    }
}

static enum result read_by_row(const struct source *source, const struct catalog_table *table,
                               struct target *target, size_t count, size_t *ret_value_count)
{
    size_t shared = (source->shape->tag_max > 0 ? 1u : 0u) + (source->shape->has_mask ? 1u : 0u);
    struct item before = {0};
    size_t value_count = 0;

    for (size_t i = 0; i < count && !reader_failed(source->reader); i++) {
        struct item item = {0};
        enum result result = read_item(source, table, &before, &item);

        if (result != RESULT_OK)
            return result;
        value_count += source->shape->head_count + shared + bit_count(item.mask);
        target_put(target, target->count + i, &item);
        before = item;
    }
    *ret_value_count = value_count;
    return RESULT_OK;
}

/* The block's size is known before anything of it is read, and checked before memory is taken. */
static enum result read_columnar(const struct source *source, const struct catalog_table *table,
                                 struct target *target, size_t count, size_t declared)
{
    const struct shape *shape = source->shape;
    struct reader *reader = source->reader;
    size_t shared = (shape->tag_max > 0 ? 1u : 0u) + (shape->has_mask ? 1u : 0u);
    struct item item = {.table_no = table->number};
    struct value *values = NULL;
    enum result result = read_tag_and_mask(source, table, &item);

    if (result != RESULT_OK || reader_failed(reader))
        return result;
    if (declared != 3 + shared + count * (shape->head_count + bit_count(item.mask))) {
        reader_fail(reader, "columnar block of another size");
        return RESULT_OK;
    }
    if (item.mask != 0) {
        values = arena_array(source->arena, count * table->column_count, sizeof *values);
        if (values == NULL)
            return arena_full(source->arena, source->problem);
    }
    for (size_t i = 0; i < count; i++) {
        item.values = values == NULL ? NULL : values + i * table->column_count;
        target_put(target, target->count + i, &item);
    }
    for (size_t head = 0; head < shape->head_count; head++) {
        int64_t before = 0;

        for (size_t i = 0; i < count && !reader_failed(reader); i++) {
            before = read_head(source, head, before);
            target_put_head(target, target->count + i, head, before);
        }
    }
    for (size_t column = 1; values != NULL && column < table->column_count; column++)
        for (size_t i = 0; has_bit(item.mask, column) && i < count && !reader_failed(reader); i++)
            values[i * table->column_count + column] = read_value(reader, &table->columns[column]);
    return RESULT_OK;
}

static enum result read_block(const struct source *source, struct target *target, size_t total,
                              int64_t *table_before)
{
    struct reader *reader = source->reader;
    const struct catalog_table *table = NULL;
    size_t declared = reader_record(reader, 4, LIMIT_BODY_SIZE_MAX);
    int64_t table_no = reader_int64(reader, 1, UINT16_MAX);
    int64_t kind = reader_int64(reader, ROWS_BY_ROW, ROWS_COLUMNAR);
    size_t count = (size_t)reader_int64(reader, 1, LIMIT_ROWS_MAX);
    size_t used = declared;
    enum result result = RESULT_OK;

    if (count > total - target->count)
        reader_fail(reader, "blocks hold more items than the list says");
    if (source->shape->in_table_order && table_no < *table_before)
        reader_fail(reader, "tables are not in ascending order");
    if (reader_failed(reader))
        return RESULT_OK;
    result = find_table(source, table_no, &table);
    if (result == RESULT_OK && kind == ROWS_COLUMNAR) {
        result = read_columnar(source, table, target, count, declared);
    } else if (result == RESULT_OK) {
        result = read_by_row(source, table, target, count, &used);
        used += 3;
    }
    if (used != declared)
        reader_fail(reader, "block of another size");
    target->count += count;
    *table_before = table_no;
    return result;
}

/* Memory is taken for no more items than the bytes left can hold. */
static enum result list_read(const struct source *source, struct target *target,
                             void *(*alloc)(struct arena *arena, size_t count,
                                            struct target *target))
{
    struct reader *reader = source->reader;
    size_t block_count = reader_record(reader, 1, LIMIT_ROWS_MAX + 1);
    size_t total = (size_t)reader_int64(reader, 0, LIMIT_ROWS_MAX);
    int64_t table_before = 0;
    enum result result = RESULT_OK;

    if (total > reader_left(reader) / source->shape->head_count)
        reader_fail(reader, "more items than bytes left can hold");
    if (!reader_failed(reader) && total > 0 && alloc(source->arena, total, target) == NULL)
        return arena_full(source->arena, source->problem);
    for (size_t i = 1; i < block_count && !reader_failed(reader) && result == RESULT_OK; i++)
        result = read_block(source, target, total, &table_before);
    if (result != RESULT_OK)
        return result;
    if (target->count != total)
        reader_fail(reader, "blocks hold fewer items than the list says");
    return reader_failed(reader) ? reader_finish(reader, source->problem) : RESULT_OK;
}

static void *alloc_rows(struct arena *arena, size_t count, struct target *target)
{
    return target->rows = arena_array(arena, count, sizeof *target->rows);
}

static void *alloc_changes(struct arena *arena, size_t count, struct target *target)
{
    return target->changes = arena_array(arena, count, sizeof *target->changes);
}

static void *alloc_gone(struct arena *arena, size_t count, struct target *target)
{
    return target->gone = arena_array(arena, count, sizeof *target->gone);
}

enum result rows_read(const struct catalog *catalog, struct reader *reader, struct arena *arena,
                      struct row_image **ret_rows, size_t *ret_count, struct problem *problem)
{
    struct source source = {catalog, reader, arena, &SHAPE_ROWS, problem};
    struct target target = {0};
    enum result result = list_read(&source, &target, alloc_rows);

    if (result != RESULT_OK)
        return result;
    *ret_rows = target.rows;
    *ret_count = target.count;
    return RESULT_OK;
}

enum result changes_read(const struct catalog *catalog, struct reader *reader, struct arena *arena,
                         struct change **ret_changes, size_t *ret_count, struct problem *problem)
{
    struct source source = {catalog, reader, arena, &SHAPE_CHANGES, problem};
    struct target target = {0};
    enum result result = list_read(&source, &target, alloc_changes);

    if (result != RESULT_OK)
        return result;
    *ret_changes = target.changes;
    *ret_count = target.count;
    return RESULT_OK;
}

enum result gone_read(const struct catalog *catalog, struct reader *reader, struct arena *arena,
                      struct gone **ret_rows, size_t *ret_count, struct problem *problem)
{
    struct source source = {catalog, reader, arena, &SHAPE_GONE, problem};
    struct target target = {0};
    enum result result = list_read(&source, &target, alloc_gone);

    if (result != RESULT_OK)
        return result;
    *ret_rows = target.gone;
    *ret_count = target.count;
    return RESULT_OK;
}

enum result row_read(const struct catalog *catalog, uint16_t table_no, struct reader *reader,
                     struct arena *arena, struct row_image *ret_row, struct problem *problem)
{
    struct source source = {catalog, reader, arena, &SHAPE_ROWS, problem};
    struct target target = {.rows = ret_row};
    struct item before = {0};
    struct item item = {0};
    const struct catalog_table *table = NULL;
    size_t declared = reader_record(reader, 3, 3 + ROW_COLUMNS_MAX);
    enum result result = RESULT_OK;

    if (!reader_failed(reader))
        result = find_table(&source, table_no, &table);
    if (result == RESULT_OK && !reader_failed(reader))
        result = read_item(&source, table, &before, &item);
    if (result != RESULT_OK)
        return result;
    if (declared != 3 + bit_count(item.mask))
        reader_fail(reader, "row of another size");
    if (reader_failed(reader))
        return reader_finish(reader, problem);
    target_put(&target, 0, &item);
    return RESULT_OK;
}

/* --- sizes ------------------------------------------------------------------------------------ */

static size_t values_size_max(uint64_t mask, const struct value *values)
{
    size_t size = 0;

    for (size_t i = 1; mask >> i != 0; i++) {
        if (!has_bit(mask, i))
            continue;
        size += 9;
        if (values[i].type == VALUE_TEXT || values[i].type == VALUE_BLOB)
            size += values[i].bytes.size;
    }
    return size;
}

size_t row_size_max(const struct row_image *row)
{
    return 3 * 9 + values_size_max(row->mask, row->values);
}

size_t change_size_max(const struct change *change)
{
    return 5 * 9 + 1 + values_size_max(change->mask, change->values);
}
