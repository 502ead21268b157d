/* SPDX-License-Identifier: Apache-2.0 */
/* A technician's key in bad hands: changes that no role of his allows, for each table and column of
 * the catalog, in correct seals among honest work. */
#include "tests/integration/company.h" /* first: it asks for POSIX */

enum { FORGED_MAX = 1024, COLUMNS_MAX = ROW_COLUMNS_MAX + 1 };

/* A seal in the making. */
struct forgery {
    size_t count;
    struct change changes[FORGED_MAX];
    const struct value *before[FORGED_MAX]; /* the row as it is; NULL: there is none */
    int64_t good_id;
};

static int64_t count_of(struct company *company, const char *sql)
{
    return integer_of(company->world, company->world->other, sql, NULL, 0);
}

static int64_t next_id(struct company *company)
{
    struct side *forger = company->forger;

    return id_of(forger->replica_no, ++forger->id_counter);
}

static void add_change(struct company *company, struct forgery *forgery,
                       const struct catalog_table *table, enum change_op op, int64_t row_id,
                       uint64_t mask, struct value *values)
{
    struct world *world = company->world;

    assert_true(forgery->count < FORGED_MAX);
    forgery->before[forgery->count] = read_row(world, world->other, table, row_id);
    forgery->changes[forgery->count++] =
        (struct change){.table_no = table->number,
                        .op = op,
                        .row_id = row_id,
                        .mask = mask,
                        .base_seq = count_of(company, "SELECT number FROM fs_state WHERE"
                                                      " name='published_seq'"),
                        .edited_at = world->now,
                        .values = values};
}

/* Honest work in the same seal. */
static void add_good_change(struct company *company, struct forgery *forgery)
{
    struct world *world = company->world;
    const struct catalog_table *table = catalog_table_by_name(&world->catalog, "call_note");
    bool is_granted = false;
    uint64_t mask = granted_mask(world, ROLE_TECHNICIAN, table, CHANGE_INSERT, &is_granted);

    assert_true(is_granted);
    forgery->good_id = next_id(company);
    add_change(company, forgery, table, CHANGE_INSERT, forgery->good_id, mask,
               sample_row(world, table, &company->people[0].scene, 0, 4));
}

/* Nothing of the row is shown to somebody who doesn't hold it. */
static void expect_nothing_shown(struct company *company, const struct verdict *verdict,
                                 const struct catalog_table *table, int64_t row_id)
{
    const struct value user = value_integer(company->forger->user_id);
    const struct value parameters[] = {user, value_integer(row_id)};
    int64_t is_his = integer_of(
        company->world, company->world->other,
        text_of(company->world,
                "SELECT count(*) FROM \"%s\" WHERE id=?2 AND _fs_bucket IN (SELECT bucket"
                " FROM fs_entitlement WHERE user_id=?1 AND to_seq IS NULL)",
                table->name),
        parameters, 2);

    if (verdict->has_row && is_his == 0)
        complain(company, "%s: a row of somebody else is shown", table->name);
}

static void check_forged(struct company *company, const struct change *change,
                         const struct value *before, size_t *ret_audited)
{
    struct world *world = company->world;
    const struct catalog_table *table = catalog_table_by_no(&world->catalog, change->table_no);
    const struct verdict *verdict = verdict_on(&company->answers, table, change->row_id);
    const struct value *after = read_row(world, world->other, table, change->row_id);

    if (verdict == NULL || verdict->kind != VERDICT_REFUSED) {
        complain(company, "%s, op %d, mask %" PRIx64 ": %s", table->name, (int)change->op,
                 change->mask, verdict == NULL ? "applied" : verdict_name(verdict->kind));
        return;
    }
    *ret_audited += !bytes_equal(verdict->reason, bytes_of_text("append_only"));
    if ((before == NULL) != (after == NULL)) {
        complain(company, "%s, op %d: %s now", table->name, (int)change->op,
                 after == NULL ? "gone" : "there");
        return;
    }
    for (uint8_t i = 0; before != NULL && i < table->column_count; i++)
        if (!value_equal(&before[i], &after[i]))
            complain(company, "%s.%s was changed", table->name, table->columns[i].name);
    expect_nothing_shown(company, verdict, table, change->row_id);
}

/* Pushes the seal: each forged change is refused, kept and noted, the honest one is there. */
static void push_forgery(struct company *company, struct forgery *forgery)
{
    static const char REVIEWS[] = "SELECT count(*) FROM review_item WHERE kind='refused'";
    static const char AUDITS[] = "SELECT count(*) FROM fs_audit";
    struct world *world = company->world;
    int64_t review_count = count_of(company, REVIEWS);
    int64_t audit_count = count_of(company, AUDITS);
    size_t forged = forgery->count;
    size_t audited = 0;
    const struct value *before[FORGED_MAX];
    struct change *changes = arena_array(&world->arena, FORGED_MAX, sizeof *changes);

    assert_non_null(changes);
    memcpy(before, forgery->before, sizeof before);
    memcpy(changes, forgery->changes, forged * sizeof *changes); /* the push orders them */
    add_good_change(company, forgery);
    push_by_hand(world, company->forger, forgery->changes, forgery->count, &company->answers);
    if (company->answers.count != forged)
        complain(company, "%zu exceptions for %zu changes", company->answers.count, forged);
    for (size_t i = 0; i < forged; i++)
        check_forged(company, &changes[i], before[i], &audited);
    if (count_of(company, REVIEWS) - review_count != (int64_t)forged)
        complain(company, "%zu changes refused, %" PRId64 " kept", forged,
                 count_of(company, REVIEWS) - review_count);
    if (count_of(company, AUDITS) - audit_count != (int64_t)audited)
        complain(company, "%zu refusals, %" PRId64 " audited", audited,
                 count_of(company, AUDITS) - audit_count);
    if (read_row(world, world->other, catalog_table_by_name(&world->catalog, "call_note"),
                 forgery->good_id) == NULL)
        complain(company, "the honest change of the seal was lost");
    forgery->count = 0;
}

static struct forgery *forgery_begin(void)
{
    struct forgery *forgery = calloc(1, sizeof *forgery);

    assert_non_null(forgery);
    return forgery;
}

/* What remains to be seen by the honest device: the master and nothing else. */
static void forgery_end(struct company *company, struct forgery *forgery)
{
    free(forgery);
    pull_all(company->world);
    compare_all(company);
    expect_no_complaints(company);
}

static struct scene forger_scene(const struct company *company)
{
    return (struct scene){
        .number = 14, .user_id = company->forger->user_id, .background = &company->people[0].scene};
}

static void no_row_is_inserted_without_a_grant(void **state)
{
    struct company *company = *state;
    struct world *world = company->world;
    struct forgery *forgery = forgery_begin();
    struct scene scene = forger_scene(company);
    size_t tables = 0;

    for (size_t t = 0; t < company->order.count; t++) {
        const struct catalog_table *table = company->order.tables[t];
        bool is_granted = false;

        (void)granted_mask(world, ROLE_TECHNICIAN, table, CHANGE_INSERT, &is_granted);
        if (is_granted)
            continue;
        add_change(company, forgery, table, CHANGE_INSERT, next_id(company), table->columns_mask,
                   sample_row(world, table, &scene, 0, 0));
        tables++;
    }
    assert_true(tables > 40);
    push_forgery(company, forgery);
    forgery_end(company, forgery);
}

/* A grant of an insert is one of its columns only. */
static void no_column_is_inserted_without_a_grant(void **state)
{
    struct company *company = *state;
    struct world *world = company->world;
    struct forgery *forgery = forgery_begin();
    struct scene scene = forger_scene(company);

    for (size_t t = 0; t < company->order.count; t++) {
        const struct catalog_table *table = company->order.tables[t];
        bool is_granted = false;
        uint64_t granted = granted_mask(world, ROLE_TECHNICIAN, table, CHANGE_INSERT, &is_granted);

        for (uint8_t i = 1; is_granted && i < table->column_count; i++) {
            struct value *values = sample_row(world, table, &scene, 0, 0);

            if (has_bit(granted | table->server_only_mask, i) || values[i].type == VALUE_NULL)
                continue;
            add_change(company, forgery, table, CHANGE_INSERT, next_id(company),
                       granted | UINT64_C(1) << i, values);
        }
    }
    assert_true(forgery->count > 0);
    push_forgery(company, forgery);
    forgery_end(company, forgery);
}

/* Somebody else's value for this column: another person, another place, a better role. */
static struct value forged_value(struct company *company, const struct catalog_table *table,
                                 uint8_t column_no)
{
    const struct sample_fixed *fixed = sample_fixed(table, column_no);

    if (fixed != NULL)
        return fixed->text != NULL ? value_text_of("admin") : value_integer(999);
    if (column_no == table->home_column_no)
        return value_integer(bucket_of(BUCKET_SHARED, 0));
    return sample_value(company->world, table, column_no, &company->spare, 0, 3);
}

static void forge_update(struct company *company, struct forgery *forgery,
                         const struct catalog_table *table, uint8_t column_no)
{
    struct world *world = company->world;
    int64_t id = company->people[0].scene.ids[table->number];
    const struct value *now = read_row(world, world->other, table, id);
    struct value *values = arena_array(&world->arena, table->column_count, sizeof *values);

    assert_non_null(now);
    assert_non_null(values);
    values[column_no] = forged_value(company, table, column_no);
    if (!value_equal(&values[column_no], &now[column_no]))
        add_change(company, forgery, table, CHANGE_UPDATE, id, UINT64_C(1) << column_no, values);
}

static void no_column_is_updated_without_a_grant(void **state)
{
    struct company *company = *state;
    struct forgery *forgery = forgery_begin();
    size_t columns = 0;

    for (int column_no = 1; column_no < COLUMNS_MAX; column_no++) {
        for (size_t t = 0; t < company->order.count; t++) {
            const struct catalog_table *table = company->order.tables[t];
            bool is_granted = false;
            uint64_t granted =
                granted_mask(company->world, ROLE_TECHNICIAN, table, CHANGE_UPDATE, &is_granted);

            if (column_no < table->column_count && !has_bit(granted, (uint8_t)column_no))
                forge_update(company, forgery, table, (uint8_t)column_no);
        }
        columns += forgery->count;
        if (forgery->count > 0)
            push_forgery(company, forgery);
    }
    assert_true(columns > 500);
    forgery_end(company, forgery);
}

static void no_row_is_deleted_without_a_grant(void **state)
{
    struct company *company = *state;
    struct forgery *forgery = forgery_begin();

    for (size_t t = 0; t < company->order.count; t++) {
        const struct catalog_table *table = company->order.tables[t];
        bool is_granted = false;

        (void)granted_mask(company->world, ROLE_TECHNICIAN, table, CHANGE_DELETE, &is_granted);
        if (!is_granted)
            add_change(company, forgery, table, CHANGE_DELETE,
                       company->people[0].scene.ids[table->number], 0, NULL);
    }
    assert_true(forgery->count > 80);
    push_forgery(company, forgery);
    forgery_end(company, forgery);
}

static int create_technicians(void **state)
{
    struct company *company = NULL;
    int result = company_create(state, 1);

    company = *state;
    make_scene(company, &company->spare, NOTHING_LEFT_OUT, 0);
    make_scene(company, &company->people[0].scene, NOTHING_LEFT_OUT, 0);
    pull_all(company->world);
    return result;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_row_is_inserted_without_a_grant),
        cmocka_unit_test(no_column_is_inserted_without_a_grant),
        cmocka_unit_test(no_column_is_updated_without_a_grant),
        cmocka_unit_test(no_row_is_deleted_without_a_grant),
    };

    return cmocka_run_group_tests(tests, create_technicians, company_destroy);
}
