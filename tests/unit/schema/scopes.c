/* SPDX-License-Identifier: Apache-2.0 */
/* Which columns decide who receives what: those that a subscription reads, however it does. */
#include "tests/unit/schema/model_fixture.h"

#include "schema/scopes.h"

/* What the only subscription makes of the tables' masks. */
static struct catalog scopes_of(struct model *model, const char *sql)
{
    struct catalog_subscription subscription = {.role = ROLE_MANAGER, .sql = sql};
    struct catalog catalog = model->catalog;
    struct problem problem = {0};

    catalog.subscriptions = &subscription;
    catalog.subscription_count = 1;
    expect_ok(scopes_find(model->database, &model->arena, &catalog, &problem), &problem);
    return catalog;
}

static uint64_t scope_of(const struct catalog *catalog, const char *table_name)
{
    return catalog_table_by_name(catalog, table_name)->scope_mask;
}

static uint64_t column(const struct model *model, const char *table_name, const char *name)
{
    return UINT64_C(1) << catalog_column_by_name(table_of(model, table_name), name)->number;
}

static void columns_that_a_subscription_names_count_and_no_others(void **state)
{
    struct model *model = *state;
    struct catalog catalog =
        scopes_of(model, "SELECT 'site', s.id FROM site s WHERE EXISTS"
                         " (SELECT 1 FROM call c WHERE c.site_id = s.id AND c.state <> 'closed')");

    assert_int_equal(scope_of(&catalog, "site"), 1);
    assert_int_equal(scope_of(&catalog, "call"),
                     1 | column(model, "call", "site_id") | column(model, "call", "state"));
    assert_int_equal(scope_of(&catalog, "asset"), 0);
    assert_int_equal(scope_of(&model->catalog, "asset"), UINT64_MAX); /* it was never asked */
}

static void what_the_server_asks_of_everybody_counts(void **state)
{
    struct model *model = *state;
    struct catalog catalog = scopes_of(model, "SELECT 'shared', 0");

    assert_int_equal(scope_of(&catalog, "app_user"), 1 | column(model, "app_user", "is_active"));
    assert_int_equal(scope_of(&catalog, "role_grant"), 1 | column(model, "role_grant", "user_id") |
                                                           column(model, "role_grant", "role"));
    assert_true((scope_of(&catalog, "device") & column(model, "device", "revoked_at")) != 0);
}

static void reading_by_a_view_or_by_counting_is_reading(void **state)
{
    struct model *model = *state;
    struct catalog catalog;

    run(model, "CREATE VIEW open_call AS SELECT id, site_id FROM call WHERE state = 'new'");
    catalog = scopes_of(model, "SELECT 'site', site_id FROM open_call"
                               " WHERE (SELECT count(*) FROM party) > 3");
    assert_true((scope_of(&catalog, "call") & column(model, "call", "state")) != 0);
    assert_true((scope_of(&catalog, "call") & column(model, "call", "site_id")) != 0);
    assert_int_equal(scope_of(&catalog, "party"), 1);
}

static void what_cannot_be_told_counts_as_everything(void **state)
{
    static const char *const TEXTS[] = {
        "SELECT 'site', id FROM no_such_table",
        "SELECT 'site', s.id FROM site s JOIN party p USING (id)",
        "SELECT 'site', id FROM site natural JOIN party",
    };
    struct model *model = *state;

    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        struct catalog catalog = scopes_of(model, TEXTS[i]);

        assert_int_equal(scope_of(&catalog, "asset"), UINT64_MAX);
        assert_int_equal(scope_of(&catalog, "party"), UINT64_MAX);
    }
}

/* The model's own: a note on a call is nobody's reason to look again. */
static void the_model_reads_few_columns(void **state)
{
    struct model *model = *state;
    struct catalog catalog = model->catalog;
    struct problem problem = {0};

    expect_ok(scopes_find(model->database, &model->arena, &catalog, &problem), &problem);
    assert_true((scope_of(&catalog, "activity") & column(model, "activity", "technician_id")) != 0);
    assert_true((scope_of(&catalog, "call") & column(model, "call", "state")) != 0);
    assert_int_equal(scope_of(&catalog, "site") & column(model, "site", "access_note"), 0);
    assert_int_equal(scope_of(&catalog, "work_session"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(columns_that_a_subscription_names_count_and_no_others),
        CASE(what_the_server_asks_of_everybody_counts),
        CASE(reading_by_a_view_or_by_counting_is_reading),
        CASE(what_cannot_be_told_counts_as_everything),
        CASE(the_model_reads_few_columns),
    };

    return cmocka_run_group_tests_name("scopes", tests, set_up, tear_down);
}
