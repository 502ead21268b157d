/* SPDX-License-Identifier: Apache-2.0 */
/* The model of a service company: tables, catalog rows, rights, checks and views. */
#include "tests/unit/schema/model_fixture.h"

enum { TABLE_COUNT = 92 };
/* ---- help ---- */

/* The script breaks a rule of the database, and `word` is in what it says about it. */
static void expect_refused(struct model *model, const char *script, const char *word)
{
    struct problem problem = {0};
    enum result result = sql_exec(model->database, script, &problem);

    if (result != RESULT_REFUSED || strstr(problem.text, word) == NULL)
        fail_msg("expected '%s' to refuse, got %s: %s\n%s", word, result_name(result), problem.text,
                 script);
}

static void expect_no_rows(struct model *model, const char *query, const char *rule)
{
    struct sql_statement *statement = NULL;
    struct problem problem = {0};
    const char *found = NULL;
    bool is_row = false;

    expect_ok(sql_prepare(model->database, query, &statement, &problem), &problem);
    expect_ok(sql_step(statement, &is_row, &problem), &problem);
    if (is_row) {
        expect_ok(sql_column_text(statement, 0, &model->arena, &found, &problem), &problem);
        fail_msg("%s: %s", rule, found == NULL ? "NULL" : found);
    }
    sql_release(statement);
}

static uint64_t mask_of(const struct catalog_table *table, const char *columns)
{
    uint64_t mask = 0;

    for (uint8_t n = 1; n < table->column_count; n++) {
        const char *name = table->columns[n].name;
        const char *found = strstr(columns, name);
        size_t size = strlen(name);

        while (found != NULL) {
            bool starts = found == columns || found[-1] == ',';

            if (starts && (found[size] == ',' || found[size] == '\0'))
                mask |= UINT64_C(1) << n;
            found = strstr(found + 1, name);
        }
    }
    return mask;
}

/* ---- model and catalog say the same ---- */

static void case_every_table_of_the_model_is_in_the_catalog(void **state)
{
    struct model *model = *state;

    assert_int_equal(number(model, "SELECT count(*) FROM fs_table"), TABLE_COUNT);
    expect_no_rows(model,
                   "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'fs\\_%' "
                   "ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
                   "AND name NOT IN (SELECT name FROM fs_table)",
                   "a table without a catalog row");
    expect_no_rows(model,
                   "SELECT name FROM fs_table WHERE name NOT IN "
                   "(SELECT name FROM sqlite_schema WHERE type = 'table')",
                   "a catalog row without a table");
}

static void case_columns_stand_in_catalog_order(void **state)
{
    struct model *model = *state;

    expect_no_rows(model,
                   "SELECT t.name || '.' || i.name FROM fs_table t, pragma_table_info(t.name) i "
                   "LEFT JOIN fs_column c ON c.table_number = t.number AND c.number = i.cid "
                   "WHERE i.cid > 0 AND c.name IS NOT i.name",
                   "a column at another place than its catalog row says");
    expect_no_rows(model,
                   "SELECT t.name FROM fs_table t, pragma_table_info(t.name) i "
                   "WHERE i.cid = 0 AND (i.name <> 'id' OR i.type <> 'INTEGER' OR i.pk <> 1)",
                   "a table that doesn't begin with id INTEGER PRIMARY KEY");
}

static void case_references_of_catalog_and_database_are_the_same(void **state)
{
    struct model *model = *state;

    expect_no_rows(model,
                   "SELECT t.name || '.' || c.name FROM fs_table t "
                   "JOIN fs_column c ON c.table_number = t.number WHERE c.refers_to IS NOT "
                   "(SELECT f.\"table\" FROM pragma_foreign_key_list(t.name) f "
                   "WHERE f.\"from\" = c.name AND f.\"to\" = 'id')",
                   "a reference that only one of them knows");
    /* Columns that name a row by its id, but of a table that another column tells. */
    expect_no_rows(model,
                   "SELECT t.name || '.' || c.name FROM fs_table t "
                   "JOIN fs_column c ON c.table_number = t.number "
                   "WHERE c.name LIKE '%\\_id' ESCAPE '\\' AND c.refers_to IS NULL "
                   "AND c.name NOT IN ('source_id', 'row_id', 'target_id', 'internet_message_id')",
                   "an id that refers to nothing");
}

static void case_references_go_back_so_that_postgresql_can_make_them(void **state)
{
    struct model *model = *state;

    /* Tables are numbered in the order in which the scripts make them. */
    expect_no_rows(model,
                   "SELECT t.name || '.' || c.name FROM fs_table t "
                   "JOIN fs_column c ON c.table_number = t.number "
                   "JOIN fs_table p ON p.name = c.refers_to WHERE p.number > t.number",
                   "a reference to a table that is made later");
}

static void case_names_of_columns_carry_their_types(void **state)
{
    struct model *model = *state;

    expect_no_rows(
        model,
        "SELECT t.name || '.' || c.name FROM fs_table t "
        "JOIN fs_column c ON c.table_number = t.number CROSS JOIN "
        "(VALUES ('_at'), ('_cents'), ('_e4'), ('_e7'), ('_m'), ('_min'), ('_bp'), ('_n'), "
        "('_seq')) s WHERE c.type <> 'integer' "
        "AND substr(c.name, -length(s.column1)) = s.column1",
        "a name that ends in a unit without being an integer");
    expect_no_rows(model,
                   "SELECT t.name || '.' || c.name FROM fs_table t "
                   "JOIN fs_column c ON c.table_number = t.number "
                   "WHERE (substr(c.name, -2) = '_d' AND c.type <> 'text') "
                   "OR ((c.name LIKE 'is\\_%' ESCAPE '\\' OR c.name LIKE 'has\\_%' ESCAPE '\\') "
                   "AND c.type <> 'integer')",
                   "a day that isn't text or a yes-no that isn't an integer");
}

static void case_every_natural_key_is_unique_in_the_database(void **state)
{
    struct model *model = *state;

    expect_no_rows(model,
                   "SELECT t.name FROM fs_table t WHERE t.natural_key IS NOT NULL AND NOT EXISTS "
                   "(SELECT 1 FROM pragma_index_list(t.name) l WHERE l.\"unique\" AND NOT "
                   "l.partial AND (SELECT group_concat(name, ',') FROM (SELECT i.name FROM "
                   "pragma_index_info(l.name) i ORDER BY i.seqno)) = t.natural_key)",
                   "a natural key that the database doesn't guard");
    /* A key with a NULL in it would be no key: UNIQUE lets NULLs pass. */
    expect_no_rows(model,
                   "SELECT t.name || '.' || c.name FROM fs_table t "
                   "JOIN fs_column c ON c.table_number = t.number WHERE c.is_nullable "
                   "AND instr(',' || t.natural_key || ',', ',' || c.name || ',') > 0",
                   "a natural key with a column that may be NULL");
}

static void case_every_insert_grant_is_enough_for_a_whole_row(void **state)
{
    struct model *model = *state;

    for (size_t i = 0; i < model->catalog.grant_count; i++) {
        const struct catalog_grant *grant = &model->catalog.grants[i];
        const struct catalog_table *table = catalog_table_by_no(&model->catalog, grant->table_no);

        if (grant->op != CHANGE_INSERT)
            continue;
        for (uint8_t n = 1; n < table->column_count; n++) {
            char query[300];
            int size = snprintf(query, sizeof query,
                                "SELECT 1 FROM pragma_table_info('%s') WHERE name = '%s' "
                                "AND \"notnull\" AND dflt_value IS NULL",
                                table->name, table->columns[n].name);

            assert_true(size > 0 && (size_t)size < sizeof query);
            if ((grant->mask & (UINT64_C(1) << n)) == 0 && number(model, query) == 1)
                fail_msg("%s can't insert into %s: %s is NOT NULL and not granted",
                         role_name(grant->role), table->name, table->columns[n].name);
        }
    }
}

static void case_facts_are_append_only_and_a_technicians_are_his_own(void **state)
{
    static const char *const FACTS[] = {
        "call_event", "call_note", "activity_event", "work_session",      "trip",
        "part_use",   "expense",   "signature",      "stock_move",        "attachment",
        "trip_stop",  "rma_event", "asset_event",    "reservation_event", "assign_ack",
    };
    struct model *model = *state;

    for (size_t i = 0; i < sizeof FACTS / sizeof FACTS[0]; i++) {
        const struct catalog_table *table = table_of(model, FACTS[i]);
        uint64_t needed = 0;
        uint8_t own = 0;

        assert_true(table->append_only);
        assert_int_equal(table->delete_rule, DELETE_NEVER);
        assert_true(
            catalog_may(&model->catalog, ROLE_TECHNICIAN, table, CHANGE_INSERT, needed, &own));
        if (own == 0)
            fail_msg("a technician may write facts of others into %s", table->name);
        assert_false(catalog_may(&model->catalog, ROLE_TECHNICIAN, table, CHANGE_UPDATE, 2, &own));
        assert_false(catalog_may(&model->catalog, ROLE_TECHNICIAN, table, CHANGE_DELETE, 0, &own));
    }
}

static void case_costs_never_leave_the_server(void **state)
{
    struct model *model = *state;

    expect_no_rows(model,
                   "SELECT t.name || '.' || c.name FROM fs_table t "
                   "JOIN fs_column c ON c.table_number = t.number "
                   "WHERE t.bucket_rule <> 'server' AND (t.name LIKE '%cost%' "
                   "OR c.name LIKE '%cost%')",
                   "a cost in a bucket that devices receive");
    for (size_t i = 0; i < model->catalog.subscription_count; i++)
        if (strstr(model->catalog.subscriptions[i].sql, "'server'") != NULL)
            fail_msg("%s", model->catalog.subscriptions[i].sql);
}

struct permission {
    enum role role;
    const char *table;
    enum change_op op;
    const char *columns;
    bool is_allowed;
};

static const struct permission PERMISSIONS[] = {
    {ROLE_HELP_DESK, "call", CHANGE_INSERT, "channel,party_id,subject,opened_at", true},
    {ROLE_SALES, "call", CHANGE_INSERT, "channel,party_id,subject,opened_at,opened_by_id", true},
    {ROLE_WAREHOUSE, "call", CHANGE_INSERT, "channel,party_id,subject,opened_at", false},
    {ROLE_TECHNICIAN, "call", CHANGE_UPDATE, "problem_code,description", true},
    {ROLE_TECHNICIAN, "call", CHANGE_UPDATE, "priority_n", false},
    {ROLE_DISPATCHER, "call", CHANGE_UPDATE, "state", false},
    {ROLE_MANAGER, "call", CHANGE_UPDATE, "onsite_due_at", false},
    {ROLE_TECHNICIAN, "activity", CHANGE_INSERT, "call_id,activity_type_id,technician_id", true},
    {ROLE_TECHNICIAN, "activity", CHANGE_INSERT, "planned_start_at", false},
    {ROLE_TECHNICIAN, "activity", CHANGE_UPDATE, "technician_id", false},
    {ROLE_DISPATCHER, "activity", CHANGE_UPDATE, "technician_id", false},
    {ROLE_DISPATCHER, "activity", CHANGE_UPDATE, "assign_version_n", false},
    {ROLE_TECHNICIAN, "site", CHANGE_UPDATE, "access_note,lat_e7,lon_e7", true},
    {ROLE_TECHNICIAN, "site", CHANGE_UPDATE, "name", false},
    {ROLE_TECHNICIAN, "party", CHANGE_INSERT, "kind,name,tax_code", true},
    {ROLE_BILLING, "party", CHANGE_UPDATE, "withholding_bp", false},
    {ROLE_TECHNICIAN, "part_use", CHANGE_INSERT, "activity_id,item_id,used_m,by_id", true},
    {ROLE_BILLING, "part_use", CHANGE_INSERT, "activity_id,item_id,used_m,by_id", false},
    {ROLE_HELP_DESK, "work_session", CHANGE_INSERT, "technician_id", false},
    {ROLE_PURCHASING, "stock_move", CHANGE_INSERT, "quantity_m,by_id", false},
    {ROLE_WAREHOUSE, "stock_move", CHANGE_INSERT, "posted_seq", false},
    {ROLE_TECHNICIAN, "attachment", CHANGE_INSERT, "commercial_party_id,by_id", false},
    {ROLE_SALES, "attachment", CHANGE_INSERT, "commercial_party_id,by_id", true},
    {ROLE_BILLING, "invoice", CHANGE_INSERT, "kind", false},
    {ROLE_BILLING, "contract_fee", CHANGE_UPDATE, "fee_cents", false},
    {ROLE_ADMIN, "role_grant", CHANGE_INSERT, "user_id,role", false},
    {ROLE_TECHNICIAN, "merge_loss", CHANGE_UPDATE, "state", true},
    {ROLE_TECHNICIAN, "merge_loss", CHANGE_UPDATE, "lost", false},
    {ROLE_WAREHOUSE, "contract", CHANGE_UPDATE, "name", false},
    {ROLE_SALES, "contract", CHANGE_UPDATE, "name", true},
};

static void case_a_device_may_push_what_the_role_may_do_and_no_more(void **state)
{
    struct model *model = *state;

    for (size_t i = 0; i < sizeof PERMISSIONS / sizeof PERMISSIONS[0]; i++) {
        const struct permission *permission = &PERMISSIONS[i];
        const struct catalog_table *table = table_of(model, permission->table);
        uint64_t mask = mask_of(table, permission->columns);
        uint8_t own = 0;
        bool may = false;

        assert_true(mask != 0);
        may = catalog_may(&model->catalog, permission->role, table, permission->op, mask, &own);
        if (may != permission->is_allowed)
            fail_msg("%s, %s of %s (%s): expected %s", role_name(permission->role),
                     permission->op == CHANGE_INSERT ? "insert" : "update", permission->table,
                     permission->columns, permission->is_allowed ? "yes" : "no");
    }
}

/* ---- checks and unique indexes ---- */

struct trial {
    const char *good; /* accepted */
    const char *bad;  /* then refused */
    const char *word; /* in the refusal */
};

/* clang-format off */
#define MOVE \
    "INSERT INTO stock_move(id, item_id, quantity_m, from_location_id, to_location_id, " \
    "ledger_location_id, kind, occurred_at) VALUES "
#define SESSION \
    "INSERT INTO work_session(id, activity_id, technician_id, kind, started_at, " \
    "ended_at, break_min) VALUES "
#define TRIP "INSERT INTO trip(id, technician_id, started_at, ended_at, km_m) VALUES "
#define PERIOD \
    "INSERT INTO bill_period(id, line_id, party_id, from_d, to_d, due_d, " \
    "amount_cents) VALUES "
#define COVERED \
    "INSERT INTO contract_asset(id, contract_id, asset_id, from_d, to_d, " \
    "coverage_id) VALUES "
#define RULE "INSERT INTO coverage_rule(id, coverage_id, charge_kind, covered_bp) VALUES "
#define USE \
    "INSERT INTO part_use(id, activity_id, item_id, used_m, from_location_id, " \
    "occurred_at, by_id) VALUES "
#define CHARGE \
    "INSERT INTO charge(id, source_kind, source_id, call_id, party_id, kind, " \
    "quantity_m, price_e4, gross_cents, covered_cents, net_cents, vat_id, trace) VALUES "
#define QUOTED \
    "INSERT INTO quote_line(id, quote_id, kind, description, quantity_m, price_e4, " \
    "vat_id, covered_bp, discount_bp) VALUES "
#define BILLED \
    "INSERT INTO invoice_line(id, invoice_id, description, quantity_m, price_e4, " \
    "net_cents, vat_id, charge_id, bill_period_id, is_void) VALUES "
#define PAPER \
    "INSERT INTO goods_document(id, direction, party_id, reason, by_id, state, series, " \
    "number_n, document_d) VALUES "
#define ASSET \
    "INSERT INTO asset(id, model_id, owner_id, serial_normalised, duplicate_of_id) VALUES "
#define FILED \
    "INSERT INTO attachment(id, call_id, name, mime_type, size_n, content_hash, " \
    "created_at, by_id) VALUES "
#define SIGNED \
    "INSERT INTO signature(id, activity_id, document_kind, document_hash, " \
    "signer_name, signed_at, by_id, device_id) VALUES "
#define UNIT  "INSERT INTO serial_unit(id, item_id, serial, serial_normalised) VALUES "
#define VISIT "INSERT INTO plan_occurrence(id, plan_id, target_id, occurrence_n, due_d) VALUES "
#define INVOICE \
    "INSERT INTO invoice(id, kind, document_type_code, party_id, series, number_n) VALUES "
#define ALLOWED \
    "INSERT INTO allowance_entry(id, line_id, qty_min, occurred_at, activity_id, " \
    "kind) VALUES "
#define WORK \
    "INSERT INTO activity(id, call_id, activity_type_id, technician_id, branch_of_id) VALUES "

static const struct trial CHECKS[] = {
    {MOVE "(1, 1, 1, 1, 2, 1, 'load', 0)", MOVE "(2, 1, 0, 1, 2, 1, 'load', 0)", "CHECK"},
    {MOVE "(1, 1, 1, 2, 1, 1, 'load', 0)", MOVE "(2, 1, 1, 1, 1, 1, 'load', 0)", "CHECK"},
    {MOVE "(1, 1, 1, 1, 2, 2, 'load', 0)", MOVE "(2, 1, 1, 1, 2, 3, 'load', 0)", "CHECK"},
    {SESSION "(1, 1, 1, 'work', 10, 11, 0)", SESSION "(2, 1, 1, 'work', 10, 10, 0)", "CHECK"},
    {SESSION "(1, 1, 1, 'work', 10, 11, 0)", SESSION "(2, 1, 1, 'work', 10, 11, -1)", "CHECK"},
    {TRIP "(1, 1, 10, 10, 0)", TRIP "(2, 1, 10, 10, -1)", "CHECK"},
    {TRIP "(1, 1, 10, 11, 5)", TRIP "(2, 1, 10, 9, 5)", "CHECK"},
    {PERIOD "(1, 1, 1, '2026-01-01', '2026-01-01', '2026-01-31', 1)",
     PERIOD "(2, 1, 1, '2026-02-01', '2026-01-31', '2026-02-28', 1)", "CHECK"},
    {COVERED "(1, 1, 1, '2026-01-01', NULL, 1)", COVERED "(2, 1, 1, '2026-02-01', '2026-01-31', 1)",
     "CHECK"},
    {RULE "(1, 1, 'part', 10000)", RULE "(2, 1, 'part', 10001)", "CHECK"},
    {RULE "(1, 1, 'part', 0)", RULE "(2, 1, 'part', -1)", "CHECK"},
    {USE "(1, 1, 1, 1, 1, 0, 1)", USE "(2, 1, 1, 0, 1, 0, 1)", "CHECK"},
    {CHARGE "(1, 'trip', 1, 1, 1, 'km', 1, 1, 100, 40, 60, 1, '')",
     CHARGE "(2, 'trip', 2, 1, 1, 'km', 1, 1, 100, 40, 61, 1, '')", "CHECK"},
    {QUOTED "(1, 1, 'part', '', 1, 1, 1, 10000, 0)", QUOTED "(2, 1, 'part', '', 1, 1, 1, 10001, 0)",
     "CHECK"},
    {QUOTED "(1, 1, 'part', '', 1, 1, 1, 0, 10000)", QUOTED "(2, 1, 'part', '', 1, 1, 1, 0, -1)",
     "CHECK"},
    {"INSERT INTO quote(id, party_id, by_id, discount_bp) VALUES (1, 1, 1, 10000)",
     "INSERT INTO quote(id, party_id, by_id, discount_bp) VALUES (2, 1, 1, 10001)", "CHECK"},
    {BILLED "(1, 1, '', 1, 1, 1, 1, 7, NULL, 0)", BILLED "(2, 1, '', 1, 1, 1, 1, NULL, NULL, 0)",
     "CHECK"},
    {PAPER "(1, 'out', 1, 'sale', 1, 'draft', NULL, NULL, NULL)",
     PAPER "(2, 'out', 1, 'sale', 1, 'issued', 'T07', NULL, '2026-01-01')", "CHECK"},
    {PAPER "(1, 'out', 1, 'sale', 1, 'issued', 'T07', 1, '2026-01-01')",
     PAPER "(2, 'out', 1, 'sale', 1, 'void', 'T07', 2, NULL)", "CHECK"},
    {ASSET "(1, 1, 1, NULL, 2)", ASSET "(2, 1, 1, NULL, 2)", "CHECK"},
    {FILED "(1, 1, 'a.pdf', 'application/pdf', 1, '00', 0, 1)",
     FILED "(2, NULL, 'a.pdf', 'application/pdf', 1, '00', 0, 1)", "CHECK"},
    {SIGNED "(1, 1, 'report', '00', 'Rossi', 0, 1, 1)",
     SIGNED "(2, NULL, 'report', '00', 'Rossi', 0, 1, 1)", "CHECK"},
};

static const struct trial UNIQUES[] = {
    {ASSET "(1, 1, 1, 'AB1234', NULL), (2, 1, 1, 'AB1234', 1), (3, 2, 1, 'AB1234', NULL), "
     "(4, 1, 1, NULL, NULL), (5, 1, 1, NULL, NULL)", ASSET "(6, 1, 1, 'AB1234', NULL)", "UNIQUE"},
    {UNIT "(1, 1, 'a', 'A'), (2, 2, 'a', 'A')", UNIT "(3, 1, 'A', 'A')", "UNIQUE"},
    {VISIT "(1, 1, 1, 1, '2026-01-01'), (2, 1, 1, 2, '2026-01-01'), (3, 1, 2, 1, '2026-01-01')",
     VISIT "(4, 1, 1, 1, '2026-07-01')", "UNIQUE"},
    {PERIOD "(1, 1, 1, '2026-01-01', '2026-03-31', '2026-04-30', 1);"
     "UPDATE bill_period SET state = 'cancelled';"
     PERIOD "(2, 1, 1, '2026-01-01', '2026-03-31', '2026-04-30', 1)",
     PERIOD "(3, 1, 1, '2026-01-01', '2026-06-30', '2026-07-31', 1)", "UNIQUE"},
    {BILLED "(1, 1, '', 1, 1, 1, 1, 7, NULL, 1), (2, 2, '', 1, 1, 1, 1, 7, NULL, 0)",
     BILLED "(3, 3, '', 1, 1, 1, 1, 7, NULL, 0)", "UNIQUE"},
    {BILLED "(1, 1, '', 1, 1, 1, 1, NULL, 7, 1), (2, 2, '', 1, 1, 1, 1, NULL, 7, 0)",
     BILLED "(3, 3, '', 1, 1, 1, 1, NULL, 7, 0)", "UNIQUE"},
    {CHARGE "(1, 'trip', 1, 1, 1, 'km', 1, 1, 1, 0, 1, 1, '')",
     CHARGE "(2, 'trip', 1, 1, 1, 'km', 1, 1, 1, 0, 1, 1, '')", "UNIQUE"},
    {MOVE "(1, 1, 1, 1, 2, 1, 'use', 0), (2, 1, 1, 1, 2, 1, 'use', 0);"
     "UPDATE stock_move SET source_kind = 'part_use', source_id = id",
     "UPDATE stock_move SET source_id = 1", "UNIQUE"},
    {MOVE "(1, 1, 1, 1, 2, 1, 'use', 0), (2, 1, 1, 2, 1, 1, 'reverse', 0), "
     "(3, 1, 1, 2, 1, 1, 'reverse', 0); UPDATE stock_move SET reverses_id = 1 WHERE id = 2",
     "UPDATE stock_move SET reverses_id = 1 WHERE id = 3", "UNIQUE"},
    {INVOICE "(1, 'invoice', 'TD01', 1, 'A', 1), (2, 'invoice', 'TD01', 1, 'A', NULL), "
     "(3, 'invoice', 'TD01', 1, 'A', NULL), (4, 'invoice', 'TD01', 1, 'B', 1)",
     "UPDATE invoice SET number_n = 1 WHERE id = 2", "UNIQUE"},
    {PAPER "(1, 'out', 1, 'sale', 1, 'issued', 'T07', 1, '2026-01-01'), "
     "(2, 'in', 1, 'sale', 1, 'issued', 'T07', 1, '2026-01-01')",
     PAPER "(3, 'out', 1, 'sale', 1, 'issued', 'T07', 1, '2026-01-02')", "UNIQUE"},
    {ALLOWED "(1, 1, -30, 0, 1, 'use'), (2, 1, 5, 0, 1, 'correct'), (3, 2, -30, 0, 1, 'use')",
     ALLOWED "(4, 1, -45, 0, 1, 'use')", "UNIQUE"},
    {WORK "(1, 1, 1, 1, NULL), (2, 1, 1, 1, NULL), (3, 1, 1, 2, 1), (4, 1, 1, 3, 1)",
     WORK "(5, 1, 1, 2, 1)", "UNIQUE"},
};
/* clang-format on */

static void try_all(struct model *model, const struct trial *trials, size_t trial_count)
{
    for (size_t i = 0; i < trial_count; i++) {
        run(model, "SAVEPOINT trial");
        run(model, trials[i].good);
        expect_refused(model, trials[i].bad, trials[i].word);
        run(model, "ROLLBACK TO trial; RELEASE trial");
    }
}

static void case_every_check_refuses_a_row_that_breaks_it(void **state)
{
    try_all(*state, CHECKS, sizeof CHECKS / sizeof CHECKS[0]);
}

static void case_what_may_exist_once_exists_once(void **state)
{
    try_all(*state, UNIQUES, sizeof UNIQUES / sizeof UNIQUES[0]);
}

static void case_references_are_checked_at_the_end_of_a_transaction(void **state)
{
    struct model *model = *state;

    run(model, "ROLLBACK; PRAGMA foreign_keys = ON; BEGIN");
    run(model, "INSERT INTO site(id, party_id, name) VALUES (1, 7, 'Mill')");
    expect_refused(model, "COMMIT", "FOREIGN KEY");
    run(model, "INSERT INTO party(id, kind, name) VALUES (7, 'customer', 'Rossi')");
    run(model, "COMMIT; BEGIN; DELETE FROM site; DELETE FROM party; COMMIT; BEGIN");
}

/* ---- views ---- */

static void case_stock_is_the_sum_of_its_moves_and_of_all_places_zero(void **state)
{
    struct model *model = *state;

    /* Places: 1 supplier, 2 warehouse, 3 van, 4 consumed, 5 customer. Item 9. */
    run(model,
        MOVE "(1, 9, 12000, 1, 2, 2, 'receive', 0), (2, 9, 5000, 2, 3, 3, 'load', 0), "
             "(3, 9, 2000, 3, 4, 3, 'use', 0);"
             "INSERT INTO stock_move(id, item_id, owner_id, quantity_m, from_location_id, "
             "to_location_id, ledger_location_id, kind, occurred_at) VALUES "
             "(4, 9, 77, 1000, 5, 2, 2, 'return', 0);"
             "INSERT INTO reservation(id, item_id, location_id, asked_m, held_m, state) VALUES "
             "(1, 9, 2, 3000, 3000, 'held'), (2, 9, 2, 1000, 1000, 'released')");
    assert_int_equal(number(model, "SELECT quantity_m FROM stock_balance WHERE location_id = 3"),
                     3000);
    assert_int_equal(number(model, "SELECT quantity_m FROM stock_balance WHERE location_id = 2 "
                                   "AND owner_key = 0"),
                     7000);
    assert_int_equal(number(model, "SELECT quantity_m FROM stock_balance WHERE location_id = 2 "
                                   "AND owner_key = 77"),
                     1000);
    assert_int_equal(number(model, "SELECT sum(quantity_m) FROM stock_balance"), 0);
    assert_int_equal(number(model, "SELECT free_m FROM stock_available WHERE location_id = 2"),
                     4000); /* held goods and customers' goods are not free */
    assert_int_equal(number(model, "SELECT free_m FROM stock_available WHERE location_id = 3"),
                     3000);
}

static void case_prepaid_minutes_and_margins_are_sums(void **state)
{
    struct model *model = *state;

    run(model, "INSERT INTO allowance_entry(id, line_id, qty_min, occurred_at, activity_id, kind) "
               "VALUES (1, 1, 120, 0, NULL, 'grant'), (2, 1, -90, 0, 5, 'use');"
               "INSERT INTO cost_entry(id, job_id, kind, amount_cents, source_kind, source_id, "
               "entry_d) VALUES (1, 3, 'revenue', 25510, 'charge', 1, '2026-01-01'), "
               "(2, 3, 'labour', -25770, 'charge', 1, '2026-01-01')");
    assert_int_equal(number(model, "SELECT left_min FROM allowance_left WHERE line_id = 1"), 30);
    assert_int_equal(number(model, "SELECT margin_cents FROM job_margin WHERE job_id = 3"), -260);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(case_every_table_of_the_model_is_in_the_catalog),
        CASE(case_columns_stand_in_catalog_order),
        CASE(case_references_of_catalog_and_database_are_the_same),
        CASE(case_references_go_back_so_that_postgresql_can_make_them),
        CASE(case_names_of_columns_carry_their_types),
        CASE(case_every_natural_key_is_unique_in_the_database),
        CASE(case_every_insert_grant_is_enough_for_a_whole_row),
        CASE(case_facts_are_append_only_and_a_technicians_are_his_own),
        CASE(case_costs_never_leave_the_server),
        CASE(case_a_device_may_push_what_the_role_may_do_and_no_more),
        CASE(case_every_check_refuses_a_row_that_breaks_it),
        CASE(case_what_may_exist_once_exists_once),
        CASE(case_references_are_checked_at_the_end_of_a_transaction),
        CASE(case_stock_is_the_sum_of_its_moves_and_of_all_places_zero),
        CASE(case_prepaid_minutes_and_margins_are_sums),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
