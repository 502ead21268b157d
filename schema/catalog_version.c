/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/catalog_version.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NUMBER_BITS = 16, CHECK_SHIFT = 32 };
#define NUMBER_MAX ((INT64_C(1) << NUMBER_BITS) - 1)

struct schema_version schema_version_of(int64_t number)
{
    return (struct schema_version){
        .product = number & NUMBER_MAX,
        .company = number >> NUMBER_BITS & NUMBER_MAX,
        .check = number >> CHECK_SHIFT & ((INT64_C(1) << SCHEMA_CHECK_BITS) - 1),
    };
}

int64_t schema_version_number(struct schema_version version)
{
    if (version.company == 0)
        version.check = 0;
    return version.check << CHECK_SHIFT | version.company << NUMBER_BITS | version.product;
}

void schema_version_format(int64_t number, char ret_text[SCHEMA_VERSION_TEXT_SIZE])
{
    struct schema_version version = schema_version_of(number);

    if (version.company == 0)
        (void)snprintf(ret_text, SCHEMA_VERSION_TEXT_SIZE, "%" PRId64, version.product);
    else
        (void)snprintf(ret_text, SCHEMA_VERSION_TEXT_SIZE,
                       "%" PRId64 " with %" PRId64 " of the company", version.product,
                       version.company);
}

bool schema_version_has(int64_t version, int64_t script)
{
    struct schema_version parts = schema_version_of(version);

    return script <= (script >= SCHEMA_COMPANY_FROM ? parts.company : parts.product);
}

int64_t schema_version_common(int64_t a, int64_t b)
{
    struct schema_version one = schema_version_of(a);
    struct schema_version other = schema_version_of(b);
    struct schema_version common = one.company <= other.company ? one : other;

    common.product = one.product < other.product ? one.product : other.product;
    return schema_version_number(common);
}

bool schema_version_lacks(int64_t version, int64_t other)
{
    struct schema_version mine = schema_version_of(version);
    struct schema_version theirs = schema_version_of(other);

    return theirs.product > mine.product || theirs.company > mine.company;
}

enum result catalog_check_version(const struct catalog *catalog, int64_t version,
                                  struct problem *problem)
{
    struct schema_version theirs = schema_version_of(version);
    struct schema_version ours = schema_version_of(catalog->schema_version);

    if (theirs.company == 0 || theirs.company > ours.company)
        return RESULT_OK;
    for (size_t i = 0; i < catalog->step_count; i++)
        if (catalog->steps[i].number == theirs.company && catalog->steps[i].check == theirs.check)
            return RESULT_OK;
    return problem_set(problem, RESULT_REFUSED,
                       "the company's scripts up to %" PRId64 " are others there than here",
                       theirs.company);
}

struct value catalog_stand_in(const struct catalog_column *column)
{
    if (column->nullable)
        return value_null();
    switch (column->type) {
    case VALUE_INTEGER:
        return value_integer(0);
    case VALUE_REAL:
        return value_real(0);
    case VALUE_TEXT:
        return value_text(bytes_of_text(""));
    default:
        return value_blob((struct bytes){0});
    }
}

/* ---- views ---- */

/* Columns that came later go. */
static void hide_newer(struct catalog_table *table, int64_t version)
{
    for (uint8_t n = 1; n < table->column_count; n++)
        if (catalog_has_column(table, n) && !schema_version_has(version, table->columns[n].since))
            table->columns_mask &= ~(UINT64_C(1) << n);
}

static bool is_visible(const struct catalog_dropped *dropped, int64_t version)
{
    return schema_version_has(version, dropped->column.since) &&
           !schema_version_has(version, dropped->until);
}

/* Columns that were dropped later come back, in a copy of the table's columns. */
static enum result show_dropped(const struct catalog *catalog, struct catalog_table *table,
                                int64_t version, struct arena *arena, struct problem *problem)
{
    struct catalog_column *columns = NULL;

    for (size_t i = 0; i < catalog->dropped_count; i++) {
        const struct catalog_dropped *dropped = &catalog->dropped[i];

        if (dropped->table_no != table->number || !is_visible(dropped, version))
            continue;
        if (columns == NULL) {
            columns = arena_array(arena, table->column_count, sizeof *columns);
            if (columns == NULL)
                return arena_full(arena, problem);
            memcpy(columns, table->columns, table->column_count * sizeof *columns);
            table->columns = columns;
        }
        invariant(dropped->column.number < table->column_count); /* load.c makes room */
        columns[dropped->column.number] = dropped->column;
        table->columns_mask |= UINT64_C(1) << dropped->column.number;
        if (dropped->column.merge == MERGE_SERVER_ONLY)
            table->server_only_mask |= UINT64_C(1) << dropped->column.number;
    }
    return RESULT_OK;
}

enum result catalog_view(const struct catalog *catalog, int64_t version, struct arena *arena,
                         struct catalog *ret_view, struct problem *problem)
{
    struct catalog view = *catalog;
    struct catalog_table *tables = arena_array(arena, catalog->table_count + 1, sizeof *tables);
    enum result result = RESULT_OK;

    if (tables == NULL)
        return arena_full(arena, problem);
    for (size_t n = 1; n < catalog->table_count && result == RESULT_OK; n++) {
        if (catalog->tables[n].name == NULL ||
            !schema_version_has(version, catalog->tables[n].since))
            continue; /* its place stays empty */
        tables[n] = catalog->tables[n];
        hide_newer(&tables[n], version);
        result = show_dropped(catalog, &tables[n], version, arena, problem);
    }
    view.tables = tables;
    view.schema_version = schema_version_common(version, catalog->schema_version);
    if (result == RESULT_OK)
        *ret_view = view;
    return result;
}

bool catalog_restrict_row(const struct catalog_table *table, const struct catalog_table *wire,
                          struct row_image *row)
{
    if (wire == NULL)
        return false;
    if (row->mask != table->columns_mask) {
        row->mask &= wire->columns_mask;
        return row->mask != 0;
    }
    row->mask = wire->columns_mask;
    for (uint8_t n = 1; n < wire->column_count; n++)
        if (catalog_has_column(wire, n) && !catalog_has_column(table, n))
            row->values[n] = catalog_stand_in(&wire->columns[n]);
    return true;
}
