/* SPDX-License-Identifier: Apache-2.0 */
/* sample_rows.h: a row of any table of the catalog, made from the types and names of its columns.
 *
 * A scene holds one row of each table; references lead to rows of the same scene, so that one
 * scene is a small company with one customer, one site, one call. Variant n of a row leaves out the
 * columns of the first n terms of the bucket rule: together the variants reach each bucket that the
 * table knows. Revision n of a row differs from all others in every column that may change. */
#pragma once

#include "tests/integration/both_sides.h"

enum { SCENE_TABLES = 128, SAMPLE_VARIANTS_MAX = 8 };

struct scene {
    int number;
    int64_t user_id;           /* all references to people lead to him */
    int64_t ids[SCENE_TABLES]; /* by table number; 0: there is none */
    int64_t variant_ids[SCENE_TABLES][SAMPLE_VARIANTS_MAX]; /* [0] is the one in ids */
    const struct scene *previous;   /* references to the own table lead there; NULL: nowhere */
    const struct scene *background; /* for tables that this scene has no row of */
};

/* Columns whose values a CHECK, or a meaning for the sync, ties down. */
static const struct sample_fixed {
    const char *table;
    const char *column;
    int64_t integer;
    const char *text; /* NULL: the integer */
} SAMPLE_FIXED[] = {
    {"charge", "gross_cents", 30, NULL},  {"charge", "covered_cents", 10, NULL},
    {"charge", "net_cents", 20, NULL},    {"goods_document", "state", 0, "draft"},
    {"location", "kind", 0, "warehouse"}, /* stock can't be kept in what is no place */
    {"role_grant", "role", 0, "nobody"},
};

static inline const struct sample_fixed *sample_fixed(const struct catalog_table *table,
                                                      uint8_t column_no)
{
    for (size_t i = 0; i < sizeof SAMPLE_FIXED / sizeof *SAMPLE_FIXED; i++)
        if (strcmp(SAMPLE_FIXED[i].table, table->name) == 0 &&
            strcmp(SAMPLE_FIXED[i].column, table->columns[column_no].name) == 0)
            return &SAMPLE_FIXED[i];
    return NULL;
}

static inline bool has_bit(uint64_t mask, uint8_t column_no)
{
    return (mask >> column_no & 1) != 0;
}

static inline bool ends_with(const char *name, const char *end)
{
    size_t size = strlen(name);

    return size >= strlen(end) && strcmp(name + size - strlen(end), end) == 0;
}

static inline bool is_move_end(const struct catalog_table *table, uint8_t column_no)
{
    return strcmp(table->name, "stock_move") == 0 &&
           ends_with(table->columns[column_no].name, "location_id");
}

/* How many variants a row of this table has: one more for each bucket term that may be left out. */
static inline int sample_variants(const struct catalog_table *table)
{
    int count = 1;

    for (uint8_t i = 0; i + 1 < table->bucket_term_count; i++) {
        const struct bucket_term *term = &table->bucket_terms[i];

        if (term->source != BUCKET_COLUMN && term->source != BUCKET_INHERITED)
            break;
        if (term->column_no == 0 || !table->columns[term->column_no].nullable)
            break;
        count++;
    }
    return count;
}

static inline bool is_left_out(const struct catalog_table *table, uint8_t column_no, int variant)
{
    for (int i = 0; i < variant; i++)
        if (table->bucket_terms[i].column_no == column_no)
            return true;
    return false;
}

static inline int64_t scene_id(const struct scene *scene, uint16_t table_no)
{
    for (; scene != NULL; scene = scene->background)
        if (scene->ids[table_no] != 0)
            return scene->ids[table_no];
    return 0;
}

/* A move has two ends: scenes have one more location than the rule asks for. */
static inline int64_t second_location_id(const struct scene *scene, uint16_t location_no)
{
    while (scene != NULL && scene->variant_ids[location_no][1] == 0)
        scene = scene->background;
    return scene == NULL ? 0 : scene->variant_ids[location_no][1];
}

static inline struct value reference_of(struct world *world, const struct catalog_table *table,
                                        uint8_t column_no, const struct scene *scene, int variant)
{
    const struct catalog_column *column = &table->columns[column_no];
    const struct catalog_table *target = catalog_table_by_no(&world->catalog, column->refers_to);
    int64_t id = 0;

    if (strcmp(target->name, "app_user") == 0)
        id = scene->user_id;
    else if (is_move_end(table, column_no) && strcmp(column->name, "to_location_id") == 0)
        id = second_location_id(scene, target->number);
    else if (target != table)
        id = scene_id(scene, target->number);
    else if (scene->previous != NULL && variant == 0)
        id = scene_id(scene->previous, target->number);
    return id == 0 ? value_null() : value_integer(id);
}

static inline struct value integer_sample(const struct catalog_table *table, uint8_t column_no,
                                          const struct scene *scene, int variant, int revision)
{
    const char *name = table->columns[column_no].name;
    int64_t place = scene->number * 40 + variant * 8 + revision;

    if (ends_with(name, "_at"))
        return value_integer(SIDES_NOW_US + column_no * MINUTES(1) + place * 1000000);
    if (strncmp(name, "is_", 3) == 0 || strncmp(name, "has_", 4) == 0)
        return value_integer((revision & 1) ^ 1);
    if (ends_with(name, "_bp"))
        return value_integer(100 + place);
    return value_integer((place + 1) * 1000 + column_no);
}

static inline struct value text_sample(struct world *world, const struct catalog_table *table,
                                       uint8_t column_no, const struct scene *scene, int variant,
                                       int revision)
{
    const char *name = table->columns[column_no].name;
    int day = column_no * 5 + revision;

    if (ends_with(name, "_d"))
        return value_text_of(
            text_of(world, "%d-%02d-%02d", 2020 + scene->number, 1 + day / 28, 1 + day % 28));
    return value_text_of(text_of(world, "%s's \"%s\" \xc3\xa8\xe2\x82\xac %d.%d.%d", table->name,
                                 name, scene->number, variant, revision));
}

static inline struct value sample_value(struct world *world, const struct catalog_table *table,
                                        uint8_t column_no, const struct scene *scene, int variant,
                                        int revision)
{
    const struct catalog_column *column = &table->columns[column_no];
    const struct sample_fixed *fixed = sample_fixed(table, column_no);
    uint8_t *blob = NULL;

    if (fixed != NULL)
        return fixed->text == NULL ? value_integer(fixed->integer) : value_text_of(fixed->text);
    if (column_no == table->home_column_no) /* `given` is given, all else is filled by triggers */
        return table->bucket_terms[0].source == BUCKET_GIVEN
                   ? value_integer(bucket_of(
                         BUCKET_SITE,
                         scene_id(scene, catalog_table_by_name(&world->catalog, "site")->number)))
                   : value_null();
    if (is_left_out(table, column_no, variant))
        return value_null();
    if (column->refers_to != 0)
        return reference_of(world, table, column_no, scene, variant);
    switch (column->type) {
    case VALUE_INTEGER:
        return integer_sample(table, column_no, scene, variant, revision);
    case VALUE_REAL:
        return value_real(scene->number + column_no / 8.0 + revision);
    case VALUE_TEXT:
        return text_sample(world, table, column_no, scene, variant, revision);
    default:
        blob = arena_alloc(&world->arena, 32);
        assert_non_null(blob);
        memset(blob, scene->number * 40 + variant * 8 + revision, 32);
        blob[0] = (uint8_t)table->number;
        blob[1] = column_no;
        return value_blob(bytes_of(blob, 32));
    }
}

static inline struct value *sample_row(struct world *world, const struct catalog_table *table,
                                       const struct scene *scene, int variant, int revision)
{
    struct value *values = arena_array(&world->arena, table->column_count, sizeof *values);

    assert_non_null(values);
    for (uint8_t i = 1; i < table->column_count; i++)
        values[i] = sample_value(world, table, i, scene, variant, revision);
    return values;
}

/* May revision 1 of this column follow revision 0, without touching what others depend on? */
static inline bool is_revisable(const struct catalog_table *table, uint8_t column_no)
{
    return sample_fixed(table, column_no) == NULL && column_no != table->home_column_no;
}

/* ---- plain SQL ---- */

struct sample_sql {
    char text[4096];
    size_t size;
};

static inline void sql_add(struct sample_sql *sql, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline void sql_add(struct sample_sql *sql, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    sql->size +=
        (size_t)vsnprintf(sql->text + sql->size, sizeof sql->text - sql->size, format, arguments);
    va_end(arguments);
    assert_true(sql->size < sizeof sql->text);
}

/* The columns of `mask` only. */
static inline enum result insert_row(struct world *world, struct sql_database *database,
                                     const struct catalog_table *table, int64_t id, uint64_t mask,
                                     const struct value *values)
{
    struct value parameters[ROW_COLUMNS_MAX + 1] = {value_integer(id)};
    struct sample_sql sql = {0};
    size_t count = 1;

    sql_add(&sql, "INSERT INTO \"%s\"(id", table->name);
    for (uint8_t i = 1; i < table->column_count; i++)
        if (has_bit(mask, i)) {
            sql_add(&sql, ",\"%s\"", table->columns[i].name);
            parameters[count++] = values[i];
        }
    sql_add(&sql, ") VALUES(?1");
    for (size_t i = 1; i < count; i++)
        sql_add(&sql, ",?%zu", i + 1);
    sql_add(&sql, ")");
    return sql_run(database, sql.text, parameters, count, &world->problem);
}

static inline enum result update_row(struct world *world, struct sql_database *database,
                                     const struct catalog_table *table, int64_t id, uint64_t mask,
                                     const struct value *values)
{
    struct value parameters[ROW_COLUMNS_MAX + 1] = {value_integer(id)};
    struct sample_sql sql = {0};
    size_t count = 1;

    sql_add(&sql, "UPDATE \"%s\" SET ", table->name);
    for (uint8_t i = 1; i < table->column_count; i++)
        if (has_bit(mask, i)) {
            sql_add(&sql, "%s\"%s\"=?%zu", count == 1 ? "" : ",", table->columns[i].name,
                    count + 1);
            parameters[count++] = values[i];
        }
    sql_add(&sql, " WHERE id=?1");
    return sql_run(database, sql.text, parameters, count, &world->problem);
}

static inline int64_t new_id(struct world *world, struct sql_database *database)
{
    return integer_of(world, database, "SELECT id FROM new_id", NULL, 0);
}

/* The stored row; NULL if there is none. */
static inline struct value *read_row(struct world *world, struct sql_database *database,
                                     const struct catalog_table *table, int64_t id)
{
    struct sample_sql sql = {0};
    struct sql_statement *statement = NULL;
    const struct value parameter = value_integer(id);
    struct value *values = NULL;
    bool has_row = false;

    sql_add(&sql, "SELECT id");
    for (uint8_t i = 1; i < table->column_count; i++)
        sql_add(&sql, ",\"%s\"", table->columns[i].name);
    sql_add(&sql, " FROM \"%s\" WHERE id=?1", table->name);
    ok(world, sql_prepare(database, sql.text, &statement, &world->problem));
    ok(world, sql_bind(statement, 1, &parameter, &world->problem));
    ok(world, sql_step(statement, &has_row, &world->problem));
    if (has_row) {
        values = arena_array(&world->arena, table->column_count, sizeof *values);
        assert_non_null(values);
        for (int i = 0; i < table->column_count; i++)
            ok(world, sql_column_copy(statement, i, &world->arena, &values[i], &world->problem));
    }
    sql_release(statement);
    return values;
}

/* ---- the order of the catalog: what is referred to comes first ---- */

struct table_order {
    size_t count;
    const struct catalog_table *tables[SCENE_TABLES];
};

static inline bool is_ready(const struct world *world, const struct catalog_table *table,
                            const bool *done, bool may_leave_out)
{
    for (uint8_t i = 1; i < table->column_count; i++) {
        const struct catalog_column *column = &table->columns[i];

        if (column->refers_to == 0 || column->refers_to == table->number || done[column->refers_to])
            continue;
        if (!may_leave_out || !column->nullable)
            return false;
    }
    (void)world;
    return true;
}

static inline void order_tables(const struct world *world, struct table_order *order)
{
    bool done[SCENE_TABLES] = {false};
    bool may_leave_out = false;

    assert_true(world->catalog.table_count <= SCENE_TABLES);
    order->count = 0;
    for (;;) {
        const struct catalog_table *found = NULL;
        bool is_all = true;

        for (size_t t = 1; t < world->catalog.table_count && found == NULL; t++) {
            const struct catalog_table *table = &world->catalog.tables[t];

            if (table->name == NULL || table->is_local || done[t])
                continue;
            is_all = false;
            if (is_ready(world, table, done, may_leave_out))
                found = table;
        }
        if (is_all)
            return;
        assert_true(found != NULL || !may_leave_out); /* required references in a circle */
        may_leave_out = found == NULL;
        if (found != NULL) {
            done[found->number] = true;
            order->tables[order->count++] = found;
        }
    }
}
