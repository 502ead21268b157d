/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/catalog_version.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* lift: 1 code, 2 colour since 5002, 3 weight dropped by 5003, 4 floors since product 31. Table
 * check since 5003. */
static const struct catalog_column LIFT[] = {
    {.number = 0, .name = "id", .type = VALUE_INTEGER},
    {.number = 1, .name = "code", .type = VALUE_TEXT, .merge = MERGE_LAST_WRITER},
    {.number = 2, .name = "colour", .type = VALUE_TEXT, .nullable = true, .since = 5002},
    {.number = 3, .name = "", .nullable = true},
    {.number = 4, .name = "floors", .type = VALUE_INTEGER, .nullable = true, .since = 31},
};
static const struct catalog_column CHECK[] = {
    {.number = 0, .name = "id", .type = VALUE_INTEGER},
    {.number = 1, .name = "result", .type = VALUE_TEXT, .nullable = true, .since = 5003},
};
static const struct catalog_dropped DROPPED[] = {
    {.table_no = 1,
     .until = 5003,
     .column = {.number = 3, .name = "weight", .type = VALUE_INTEGER, .since = 5001}},
};
static const struct catalog_step STEPS[] = {{5001, 11}, {5002, 12}, {5003, 13}};
static const struct catalog_table TABLES[] = {
    {0},
    {.number = 1, .name = "lift", .column_count = 5, .columns = LIFT, .columns_mask = 0x16},
    {.number = 2,
     .name = "check",
     .since = 5003,
     .column_count = 2,
     .columns = CHECK,
     .columns_mask = 2},
};

static int64_t version(int64_t product, int64_t company, int64_t check)
{
    return schema_version_number((struct schema_version){product, company, check});
}

static struct catalog catalog_of_now(void)
{
    return (struct catalog){.schema_version = version(31, 5003, 13),
                            .table_count = 3,
                            .tables = TABLES,
                            .dropped_count = 1,
                            .dropped = DROPPED,
                            .step_count = 3,
                            .steps = STEPS};
}

static void a_version_is_two_numbers_and_a_check(void **state)
{
    struct schema_version parts = schema_version_of(version(30, 5002, 0xfffff));
    char text[SCHEMA_VERSION_TEXT_SIZE];

    (void)state;
    assert_int_equal(version(30, 0, 77), 30); /* nothing of a company: as short as can be */
    assert_int_equal(parts.product, 30);
    assert_int_equal(parts.company, 5002);
    assert_int_equal(parts.check, 0xfffff);
    schema_version_format(version(30, 5002, 1), text);
    assert_string_equal(text, "30 with 5002 of the company");
    assert_true(schema_version_has(version(30, 5002, 1), 0));
    assert_true(schema_version_has(version(30, 5002, 1), 30));
    assert_false(schema_version_has(version(30, 5002, 1), 31));
    assert_true(schema_version_has(version(30, 5002, 1), 5002));
    assert_false(schema_version_has(version(30, 5002, 1), 5003));
    assert_false(schema_version_has(version(4999, 0, 0), 5000));
}

static void what_two_versions_have_in_common_is_the_lower_of_each_kind(void **state)
{
    int64_t office = version(30, 5003, 13);
    int64_t device = version(31, 5001, 11);

    (void)state;
    assert_int_equal(schema_version_common(office, device), version(30, 5001, 11));
    assert_int_equal(schema_version_common(device, office), version(30, 5001, 11));
    assert_int_equal(schema_version_common(office, office), office);
    assert_int_equal(schema_version_common(office, version(29, 0, 0)), version(29, 0, 0));
    assert_true(schema_version_lacks(device, office));
    assert_true(schema_version_lacks(office, device));
    assert_false(schema_version_lacks(office, version(30, 5001, 11)));
}

static void scripts_of_another_company_are_told_apart(void **state)
{
    const struct catalog catalog = catalog_of_now();
    struct problem problem = {0};

    (void)state;
    assert_int_equal(catalog_check_version(&catalog, version(29, 0, 0), &problem), RESULT_OK);
    assert_int_equal(catalog_check_version(&catalog, version(31, 5002, 12), &problem), RESULT_OK);
    assert_int_equal(catalog_check_version(&catalog, version(31, 5002, 13), &problem),
                     RESULT_REFUSED);
    /* more than this side has: the other one can tell */
    assert_int_equal(catalog_check_version(&catalog, version(31, 5004, 1), &problem), RESULT_OK);
}

static void a_view_has_the_columns_of_its_time(void **state)
{
    static const struct {
        int64_t product, company, check;
        uint64_t lift_mask;
        bool has_check;
    } TIMES[] = {
        {30, 5001, 11, 0x0a, false}, /* code, weight */
        {30, 5002, 12, 0x0e, false}, /* and colour */
        {31, 5002, 12, 0x1e, false}, /* and floors */
        {30, 5003, 13, 0x06, true},  /* weight was dropped */
        {31, 5003, 13, 0x16, true},
        {40, 5009, 99, 0x16, true}, /* newer than all this side knows */
    };
    const struct catalog catalog = catalog_of_now();
    struct problem problem = {0};
    struct arena arena;

    (void)state;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < sizeof TIMES / sizeof TIMES[0]; i++) {
        struct catalog view = {0};
        const struct catalog_table *lift = NULL;

        assert_int_equal(catalog_view(&catalog,
                                      version(TIMES[i].product, TIMES[i].company, TIMES[i].check),
                                      &arena, &view, &problem),
                         RESULT_OK);
        lift = catalog_table_by_no(&view, 1);
        assert_non_null(lift);
        assert_int_equal(lift->columns_mask, TIMES[i].lift_mask);
        assert_int_equal(lift->column_count, 5); /* numbers stay */
        assert_int_equal(catalog_table_by_no(&view, 2) != NULL, TIMES[i].has_check);
        assert_string_equal(lift->columns[3].name, (lift->columns_mask & 8) != 0 ? "weight" : "");
    }
    assert_int_equal(TABLES[1].columns_mask, 0x16); /* the catalog itself is as it was */
    arena_done(&arena);
}

/* What a reader doesn't know isn't sent; what only he has is filled. */
static void a_row_is_restricted_to_what_its_reader_knows(void **state)
{
    const struct catalog catalog = catalog_of_now();
    struct value values[5] = {{0}};
    struct row_image row = {.table_no = 1, .row_id = 7, .mask = 0x16, .values = values};
    struct catalog view = {0};
    struct problem problem = {0};
    struct arena arena;

    (void)state;
    arena_init(&arena, 1 << 20);
    values[1] = value_text_of("A1");
    values[2] = value_text_of("red");
    values[4] = value_integer(9);
    assert_int_equal(catalog_view(&catalog, version(30, 5001, 11), &arena, &view, &problem),
                     RESULT_OK);
    assert_true(catalog_restrict_row(&TABLES[1], &view.tables[1], &row));
    assert_int_equal(row.mask, 0x0a); /* still whole, for him */
    assert_int_equal(values[3].type, VALUE_INTEGER);
    assert_int_equal(values[3].integer, 0);
    row.mask = 0x04; /* only the colour is newer: nothing for him */
    assert_false(catalog_restrict_row(&TABLES[1], &view.tables[1], &row));
    row.mask = 0x06;
    assert_true(catalog_restrict_row(&TABLES[1], &view.tables[1], &row));
    assert_int_equal(row.mask, 0x02);
    assert_false(catalog_restrict_row(&TABLES[2], catalog_table_by_no(&view, 2), &row));
    arena_done(&arena);
}

static void a_full_arena_makes_no_view(void **state)
{
    const struct catalog catalog = catalog_of_now();
    struct catalog view = {.table_count = 99};
    struct problem problem = {0};
    struct arena arena;

    (void)state;
    arena_init(&arena, 64);
    assert_int_equal(catalog_view(&catalog, version(30, 5001, 11), &arena, &view, &problem),
                     RESULT_EXHAUSTED);
    assert_int_equal(view.table_count, 99);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_version_is_two_numbers_and_a_check),
        cmocka_unit_test(what_two_versions_have_in_common_is_the_lower_of_each_kind),
        cmocka_unit_test(scripts_of_another_company_are_told_apart),
        cmocka_unit_test(a_view_has_the_columns_of_its_time),
        cmocka_unit_test(a_row_is_restricted_to_what_its_reader_knows),
        cmocka_unit_test(a_full_arena_makes_no_view),
    };

    return cmocka_run_group_tests_name("catalog_version", tests, NULL, NULL);
}
