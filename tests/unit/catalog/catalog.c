/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Three tables: site, call (site:site_id,customer:party_id), activity (home:call_id). */
struct model {
    struct catalog_column site[2];
    struct catalog_column call[4];
    struct catalog_column activity[4];
    struct catalog_table tables[6];
    struct catalog_grant grants[4];
    struct catalog catalog;
};

static struct catalog_column column(uint8_t number, const char *name, enum value_type type,
                                    enum merge_rule merge, uint16_t refers_to)
{
    return (struct catalog_column){.number = number,
                                   .name = name,
                                   .type = type,
                                   .nullable = true,
                                   .merge = merge,
                                   .refers_to = refers_to};
}

static void add_table(struct model *model, uint16_t number, const char *name,
                      const struct catalog_column *columns, uint8_t count, const char *rule)
{
    struct catalog_table *table = &model->tables[number];
    struct problem problem = {0};

    *table = (struct catalog_table){.number = number,
                                    .name = name,
                                    .column_count = count,
                                    .columns = columns,
                                    .delete_rule = DELETE_WINS};
    for (uint8_t n = 1; n < count; n++) {
        table->columns_mask |= UINT64_C(1) << n;
        if (columns[n].merge == MERGE_SERVER_ONLY)
            table->server_only_mask |= UINT64_C(1) << n;
        if (strcmp(columns[n].name, "home") == 0)
            table->home_column_no = n;
    }
    assert_int_equal(catalog_parse_bucket_rule(table, rule, &problem), RESULT_OK);
}

static int setup(void **state)
{
    struct model *model = calloc(1, sizeof *model);

    assert_non_null(model);
    model->site[0] = column(0, "id", VALUE_INTEGER, MERGE_WRITE_ONCE, 0);
    model->site[1] = column(1, "name", VALUE_TEXT, MERGE_LAST_WRITER, 0);
    add_table(model, 1, "site", model->site, 2, "site:id");
    model->call[0] = column(0, "id", VALUE_INTEGER, MERGE_WRITE_ONCE, 0);
    model->call[1] = column(1, "site_id", VALUE_INTEGER, MERGE_LAST_WRITER, 1);
    model->call[2] = column(2, "party_id", VALUE_INTEGER, MERGE_LAST_WRITER, 0);
    model->call[3] = column(3, "state", VALUE_TEXT, MERGE_SERVER_ONLY, 0);
    add_table(model, 2, "call", model->call, 4, "site:site_id, customer:party_id");
    model->activity[0] = column(0, "id", VALUE_INTEGER, MERGE_WRITE_ONCE, 0);
    model->activity[1] = column(1, "call_id", VALUE_INTEGER, MERGE_LAST_WRITER, 2);
    model->activity[2] = column(2, "home", VALUE_INTEGER, MERGE_SERVER_ONLY, 0);
    model->activity[3] = column(3, "technician_id", VALUE_INTEGER, MERGE_LAST_WRITER, 0);
    add_table(model, 5, "activity", model->activity, 4, "home:call_id,user:technician_id");
    model->grants[0] = (struct catalog_grant){2, ROLE_DISPATCHER, CHANGE_UPDATE, 2 | 4, 0};
    model->grants[1] = (struct catalog_grant){2, ROLE_TECHNICIAN, CHANGE_UPDATE, 2, 2};
    model->grants[2] = (struct catalog_grant){5, ROLE_TECHNICIAN, CHANGE_INSERT, 2 | 8, 3};
    model->grants[3] = (struct catalog_grant){5, ROLE_DISPATCHER, CHANGE_DELETE, 0, 0};
    model->catalog = (struct catalog){
        .table_count = 6, .tables = model->tables, .grant_count = 4, .grants = model->grants};
    *state = model;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void refused(const struct model *model, const char *why)
{
    struct problem problem = {0};

    assert_int_equal(catalog_check(&model->catalog, &problem), RESULT_REFUSED);
    if (strstr(problem.text, why) == NULL)
        fail_msg("'%s' doesn't say '%s'", problem.text, why);
}

static void buckets_are_kind_and_id(void **state)
{
    char text[BUCKET_TEXT_SIZE];

    (void)state;
    for (int kind = BUCKET_SHARED; kind < BUCKET_KIND_COUNT; kind++) {
        int64_t bucket = bucket_of((enum bucket_kind)kind, ID_MAX);

        assert_int_equal(bucket_kind_of(bucket), kind);
        assert_int_equal(bucket_id_of(bucket), ID_MAX);
        assert_true(bucket > 0);
    }
    bucket_format(bucket_of(BUCKET_SITE, 17), text);
    assert_string_equal(text, "site/17");
    bucket_format(bucket_of(BUCKET_SHARED, 0), text);
    assert_string_equal(text, "shared");
    bucket_format(-1, text);
    assert_memory_equal(text, "unknown/", 8);
}

static void roles_have_names_both_ways(void **state)
{
    enum role role = ROLE_ADMIN;

    (void)state;
    for (int n = 0; n < ROLE_COUNT; n++) {
        assert_true(role_from_name(role_name((enum role)(1 << n)), &role));
        assert_int_equal(role, 1 << n);
    }
    assert_false(role_from_name("tehnician", &role));
    assert_string_equal(role_name(ROLE_HELP_DESK), "help_desk");
}

static void tables_are_found_by_number_and_name(void **state)
{
    struct model *model = *state;
    static const int64_t NONE[] = {-1, 0, 3, 6, INT64_MAX, INT64_MIN};

    assert_ptr_equal(catalog_table_by_no(&model->catalog, 5), &model->tables[5]);
    for (size_t i = 0; i < sizeof NONE / sizeof NONE[0]; i++)
        assert_null(catalog_table_by_no(&model->catalog, NONE[i]));
    assert_ptr_equal(catalog_table_by_name(&model->catalog, "call"), &model->tables[2]);
    assert_null(catalog_table_by_name(&model->catalog, "Call"));
    assert_int_equal(catalog_column_by_name(&model->tables[2], "state")->number, 3);
    assert_null(catalog_column_by_name(&model->tables[2], "home"));
}

static void first_term_that_is_not_null_decides(void **state)
{
    struct model *model = *state;
    struct problem problem = {0};
    struct value values[4] = {{0}};
    int64_t bucket = 0;

    assert_int_equal(catalog_bucket(&model->tables[1], 9, values, &bucket, &problem), RESULT_OK);
    assert_int_equal(bucket, bucket_of(BUCKET_SITE, 9));
    assert_int_equal(catalog_bucket(&model->tables[2], 9, values, &bucket, &problem),
                     RESULT_REFUSED);
    values[2] = value_integer(4);
    assert_int_equal(catalog_bucket(&model->tables[2], 9, values, &bucket, &problem), RESULT_OK);
    assert_int_equal(bucket, bucket_of(BUCKET_CUSTOMER, 4));
    values[1] = value_integer(3);
    assert_int_equal(catalog_bucket(&model->tables[2], 9, values, &bucket, &problem), RESULT_OK);
    assert_int_equal(bucket, bucket_of(BUCKET_SITE, 3));
    values[1] = value_integer(-3);
    assert_int_equal(catalog_bucket(&model->tables[2], 9, values, &bucket, &problem),
                     RESULT_REFUSED);
    values[1] = value_text_of("3");
    assert_int_equal(catalog_bucket(&model->tables[2], 9, values, &bucket, &problem),
                     RESULT_REFUSED);
}

static void inherited_bucket_is_read_from_home(void **state)
{
    struct model *model = *state;
    struct problem problem = {0};
    struct value values[4] = {{0}, value_integer(2), {0}, value_integer(8)};
    int64_t bucket = 0;

    assert_int_equal(catalog_bucket(&model->tables[5], 9, values, &bucket, &problem),
                     RESULT_REFUSED);
    values[2] = value_integer(17); /* of no kind */
    assert_int_equal(catalog_bucket(&model->tables[5], 9, values, &bucket, &problem),
                     RESULT_REFUSED);
    values[2] = value_integer(bucket_of(BUCKET_SITE, 3));
    assert_int_equal(catalog_bucket(&model->tables[5], 9, values, &bucket, &problem), RESULT_OK);
    assert_int_equal(bucket, bucket_of(BUCKET_SITE, 3));
    values[1] = value_null();
    assert_int_equal(catalog_bucket(&model->tables[5], 9, values, &bucket, &problem), RESULT_OK);
    assert_int_equal(bucket, bucket_of(BUCKET_USER, 8));
}

static void bucket_rules_that_make_no_sense_are_refused(void **state)
{
    struct model *model = *state;
    struct problem problem = {0};
    static const char *const RULES[] = {
        "",
        "nobody",
        "site",
        "shared:id",
        "site:",
        "site:nope",
        "home:nope",
        "home:",
        ":id",
        "site:id,",
        "given",
        ",site:id",
        "site:id,site:id,site:id,site:id,site:id,site:id,site:id",
        "site:id extra",
        "server:id",
    };

    for (size_t i = 0; i < sizeof RULES / sizeof RULES[0]; i++)
        assert_int_equal(catalog_parse_bucket_rule(&model->tables[2], RULES[i], &problem),
                         RESULT_REFUSED);
    assert_int_equal(catalog_parse_bucket_rule(&model->tables[5], "given", &problem), RESULT_OK);
    assert_int_equal(catalog_parse_bucket_rule(&model->tables[5], " shared ", &problem), RESULT_OK);
}

static void grants_add_up_and_own_columns_bind(void **state)
{
    struct model *model = *state;
    const struct catalog *catalog = &model->catalog;
    const struct catalog_table *call = &model->tables[2];
    uint8_t own = 99;

    assert_true(catalog_may(catalog, ROLE_DISPATCHER, call, CHANGE_UPDATE, 2 | 4, &own));
    assert_int_equal(own, 0);
    assert_false(catalog_may(catalog, ROLE_DISPATCHER, call, CHANGE_UPDATE, 2 | 8, &own));
    assert_true(catalog_may(catalog, ROLE_TECHNICIAN, call, CHANGE_UPDATE, 2, &own));
    assert_int_equal(own, 2);
    assert_false(catalog_may(catalog, ROLE_TECHNICIAN, call, CHANGE_UPDATE, 4, &own));
    assert_true(
        catalog_may(catalog, ROLE_TECHNICIAN | ROLE_DISPATCHER, call, CHANGE_UPDATE, 2, &own));
    assert_int_equal(own, 0); /* one role is free of the rule */
    assert_false(catalog_may(catalog, ROLE_TECHNICIAN, call, CHANGE_INSERT, 0, &own));
    assert_false(catalog_may(catalog, ROLE_TECHNICIAN, call, CHANGE_DELETE, 0, &own));
    assert_true(catalog_may(catalog, ROLE_DISPATCHER, &model->tables[5], CHANGE_DELETE, 0, &own));
    assert_false(catalog_may(catalog, 0, call, CHANGE_UPDATE, 0, &own));
}

static void sound_catalog_passes(void **state)
{
    struct model *model = *state;
    struct problem problem = {0};

    if (catalog_check(&model->catalog, &problem) != RESULT_OK)
        fail_msg("%s", problem.text);
}

static void contradictions_in_tables_are_found(void **state)
{
    struct model *model = *state;

    model->tables[5].number = 4;
    refused(model, "number 4 at place 5");
    model->tables[5].number = 5;
    model->tables[5].name = "call";
    refused(model, "two tables are named call");
    model->tables[5].name = "activity";
    model->tables[2].delete_rule = 0;
    refused(model, "no delete rule");
    model->tables[2].delete_rule = DELETE_WINS;
    model->tables[2].column_count = 64;
    refused(model, "63 columns");
    model->tables[2].column_count = 4;
    model->tables[2].server_only_mask = 0;
    refused(model, "masks");
    model->tables[2].server_only_mask = 8;
    model->tables[2].key_column_count = 1;
    model->tables[2].key_columns[0] = 4;
    refused(model, "natural key");
}

static void contradictions_in_columns_are_found(void **state)
{
    struct model *model = *state;

    model->call[1].refers_to = 3;
    refused(model, "refers to table 3");
    model->call[1].refers_to = 1;
    model->call[1].name = "state";
    refused(model, "two columns are named state");
    model->call[1].name = "_fs_seq";
    refused(model, "reserved");
    model->call[1].name = "site_id";
    model->call[1].group_no = model->call[3].group_no = 1;
    refused(model, "two merge rules");
    model->call[1].group_no = 0;
    model->call[2].type = VALUE_TEXT;
    refused(model, "party_id isn't an integer");
    model->call[2].type = VALUE_INTEGER;
    model->call[2].merge = MERGE_APPEND_ONLY;
    refused(model, "use write_once");
}

static void circles_of_inherited_buckets_are_found(void **state)
{
    struct model *model = *state;

    model->activity[1].refers_to = 5;
    refused(model, "circle");
    model->activity[1].refers_to = 0;
    refused(model, "refers to no table");
}

static void grants_that_promise_too_much_are_found(void **state)
{
    struct model *model = *state;

    model->grants[0].mask = 8;
    refused(model, "server_only");
    model->grants[0].mask = 16;
    refused(model, "no such column");
    model->grants[0].mask = 2;
    model->grants[0].table_no = 3;
    refused(model, "table 3");
    model->grants[0].table_no = 2;
    model->grants[0].own_column_no = 4;
    refused(model, "own column");
    model->grants[0].own_column_no = 0;
    model->tables[5].delete_rule = DELETE_NEVER;
    refused(model, "its delete rule is never");
    for (int n = 1; n < 4; n++)
        model->activity[n].merge = n == 2 ? MERGE_SERVER_ONLY : MERGE_APPEND_ONLY;
    model->tables[5].append_only = true;
    refused(model, "only inserted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_are_kind_and_id),
        cmocka_unit_test(roles_have_names_both_ways),
        cmocka_unit_test_setup_teardown(tables_are_found_by_number_and_name, setup, teardown),
        cmocka_unit_test_setup_teardown(first_term_that_is_not_null_decides, setup, teardown),
        cmocka_unit_test_setup_teardown(inherited_bucket_is_read_from_home, setup, teardown),
        cmocka_unit_test_setup_teardown(bucket_rules_that_make_no_sense_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(grants_add_up_and_own_columns_bind, setup, teardown),
        cmocka_unit_test_setup_teardown(sound_catalog_passes, setup, teardown),
        cmocka_unit_test_setup_teardown(contradictions_in_tables_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(contradictions_in_columns_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(circles_of_inherited_buckets_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(grants_that_promise_too_much_are_found, setup, teardown),
    };

    return cmocka_run_group_tests_name("catalog", tests, NULL, NULL);
}
