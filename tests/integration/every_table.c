/* SPDX-License-Identifier: Apache-2.0 */
/* Each table of the catalog in both directions, between a master and real replicas. The rows are
 * made from the catalog, so a new table is tested without a line here. */
#include "tests/integration/company.h" /* first: it asks for POSIX */

enum { PART_SIZE = 60000, WRITTEN_MAX = 512 };

/* ---- from the master down ---- */

static int64_t count_on(struct company *company, const struct side *side, const char *table_name)
{
    return integer_of(company->world, side->other,
                      text_of(company->world, "SELECT count(*) FROM \"%s\"", table_name), NULL, 0);
}

static bool is_server_only_bucket(const struct catalog_table *table)
{
    return table->bucket_terms[0].source == BUCKET_CONSTANT &&
           table->bucket_terms[0].kind == BUCKET_SERVER;
}

static bool is_for_everybody(const struct catalog_table *table)
{
    return table->bucket_terms[table->bucket_term_count - 1].source == BUCKET_CONSTANT &&
           table->bucket_terms[table->bucket_term_count - 1].kind == BUCKET_SHARED;
}

/* Rows that the master was given in plain SQL are on the devices entitled to them, byte for byte,
 * and on no other. */
static void every_row_of_the_master_reaches_whom_it_belongs_to(void **state)
{
    struct company *company = *state;
    struct world *world = company->world;
    struct person *manager = &company->people[3];

    make_scene(company, &company->spare, NOTHING_LEFT_OUT, 0);
    for (int i = 0; i < ROLES; i++)
        make_scene(company, &company->people[i].scene, KEYS_OF_ROLE_LEFT_OUT,
                   company->people[i].role);
    {
        struct scene visit = company->people[0].scene;
        const struct catalog_table *activity = catalog_table_by_name(&world->catalog, "activity");
        struct value *values = NULL;

        visit.number = 20;
        visit.user_id = company->colleague->user_id;
        values = sample_row(world, activity, &visit, 0, 0);
        ok(world, insert_row(world, world->other, activity, new_id(world, world->other),
                             activity->columns_mask, values));
        adopt(world);
    }
    pull_all(world);
    compare_all(company);
    for (size_t t = 0; t < company->order.count; t++) {
        const struct catalog_table *table = company->order.tables[t];
        int64_t seen = count_on(company, manager->side, table->name);

        if (is_server_only_bucket(table) ? seen != 0 : seen == 0)
            complain(company, "the manager has %" PRId64 " rows of %s", seen, table->name);
        if (!is_for_everybody(table) && seen > 0 &&
            count_on(company, company->stranger, table->name) >= seen)
            complain(company, "the stranger has all rows of %s", table->name);
    }
    expect_no_complaints(company);
}

/* Every second column of the mask, from column `first` on. */
static uint64_t every_second(uint64_t mask, int first)
{
    return mask & (first == 0 ? UINT64_C(0x5555555555555555) : UINT64_C(0xaaaaaaaaaaaaaaaa));
}

/* Columns whose values make the row another one without moving it or what it belongs to. */
static uint64_t plain_mask(const struct catalog_table *table)
{
    uint64_t mask = 0;

    for (uint8_t i = 1; i < table->column_count; i++)
        if (is_revisable(table, i) && table->columns[i].refers_to == 0)
            mask |= UINT64_C(1) << i;
    return mask;
}

static uint64_t reference_mask(const struct catalog_table *table)
{
    uint64_t mask = 0;

    for (uint8_t i = 1; i < table->column_count; i++)
        if (is_revisable(table, i) && table->columns[i].refers_to != 0)
            mask |= UINT64_C(1) << i;
    return mask;
}

static void revise_on_master(struct company *company, const struct catalog_table *table, int64_t id,
                             const struct scene *scene, uint64_t mask, int revision)
{
    struct world *world = company->world;
    struct value *values = sample_row(world, table, scene, 0, revision);

    if (id != 0 && mask != 0 &&
        update_row(world, world->other, table, id, mask, values) != RESULT_OK)
        complain(company, "master: update of %s: %s", table->name, world->problem.text);
}

/* Each column in its turn, half of them at a time, so that rows travel in parts. */
static void every_column_that_the_master_changes_follows(void **state)
{
    struct company *company = *state;
    struct world *world = company->world;

    for (int half = 0; half < 2; half++) {
        run_sql(world, world->other, "BEGIN IMMEDIATE", NULL, 0);
        for (int i = 0; i < ROLES; i++)
            for (size_t t = 0; t < company->order.count; t++) {
                const struct catalog_table *table = company->order.tables[t];
                const struct scene *scene = &company->people[i].scene;

                revise_on_master(company, table, scene->ids[table->number], scene,
                                 every_second(plain_mask(table), half), 1);
            }
        run_sql(world, world->other, "COMMIT", NULL, 0);
        adopt(world);
        pull_all(world);
        compare_all(company);
    }
    expect_no_complaints(company);
}

/* Deletes what the server itself had made of the deleted rows; false: there was nothing. */
static bool delete_orphan(struct company *company)
{
    struct world *world = company->world;
    struct sql_statement *statement = NULL;
    const char *table_name = NULL;
    struct value id = {0};
    bool has_row = false;

    ok(world,
       sql_prepare(world->other, "SELECT \"table\", rowid FROM pragma_foreign_key_check LIMIT 1",
                   &statement, &world->problem));
    ok(world, sql_step(statement, &has_row, &world->problem));
    if (has_row) {
        ok(world, sql_column_text(statement, 0, &world->arena, &table_name, &world->problem));
        id = value_integer(sql_column_integer(statement, 1));
    }
    sql_release(statement);
    if (has_row)
        run_sql(world, world->other, text_of(world, "DELETE FROM \"%s\" WHERE id=?1", table_name),
                &id, 1);
    return has_row;
}

static void delete_on_master(struct company *company, const struct scene *scene)
{
    struct world *world = company->world;

    run_sql(world, world->other, "BEGIN IMMEDIATE", NULL, 0);
    for (size_t t = company->order.count; t > 0; t--) {
        const struct catalog_table *table = company->order.tables[t - 1];

        for (int variant = SAMPLE_VARIANTS_MAX - 1; variant >= 0; variant--) {
            const struct value id = value_integer(scene->variant_ids[table->number][variant]);

            if (id.integer != 0)
                run_sql(world, world->other,
                        text_of(world, "DELETE FROM \"%s\" WHERE id=?1", table->name), &id, 1);
        }
    }
    while (delete_orphan(company))
        continue;
    run_sql(world, world->other, "COMMIT", NULL, 0);
    adopt(world);
}

/* Rows go to another customer, site, call and person, and then cease to be. */
static void every_row_that_moves_or_dies_leaves_the_device(void **state)
{
    struct company *company = *state;
    struct world *world = company->world;
    struct scene *moving = &company->moving;
    struct scene *target = &company->target;
    struct scene moved;

    *moving = (struct scene){.number = 10,
                             .user_id = company->colleague->user_id,
                             .previous = &company->people[ROLES - 1].scene,
                             .background = &company->spare};
    *target = (struct scene){
        .number = 11, .user_id = company->spare.user_id + 1, .background = &company->spare};
    make_scene(company, moving, NOTHING_LEFT_OUT, 0);
    make_scene(company, target, ALL_KEYS_LEFT_OUT, 0);
    pull_all(world);
    moved = *target;
    moved.number = moving->number;
    moved.previous = target;
    for (int half = 0; half < 2; half++) {
        run_sql(world, world->other, "BEGIN IMMEDIATE", NULL, 0);
        for (size_t t = 0; t < company->order.count; t++) {
            const struct catalog_table *table = company->order.tables[t];
            uint64_t mask = reference_mask(table);

            if (strcmp(table->name, "stock_move") == 0)
                mask = half == 0 ? mask : 0; /* its ends go together */
            else
                mask = every_second(mask, half);
            revise_on_master(company, table, moving->ids[table->number], &moved, mask, 2);
        }
        run_sql(world, world->other, "COMMIT", NULL, 0);
        adopt(world);
        pull_all(world);
        compare_all(company);
    }
    delete_on_master(company, moving);
    pull_all(world);
    compare_all(company);
    expect_no_complaints(company);
}

/* What no message can hold stays on the master and stops nothing else. */
static void rows_that_can_not_travel_stop_nobody(void **state)
{
    struct company *company = *state;
    struct world *world = company->world;

    ok(world, sql_exec(world->other,
                       "PRAGMA foreign_keys=OFF;" /* as most programs have it */
                       "INSERT INTO contact(id, party_id, name) VALUES (400000011, -5, 'x'),"
                       " (400000012, 9007199254740992, 'y'), (400000013, 0, 'z'),"
                       " (400000014, 9223372036854775807, 'z');"
                       "PRAGMA foreign_keys=ON;"
                       "INSERT INTO party(id, kind, name) VALUES"
                       " (400000002, 'customer', CAST(x'61ff62' AS TEXT)),"
                       " (400000003, 'customer', 'a' || char(0) || 'b'),"
                       " (400000004, 5, 7.5), (400000005, 'customer', x'00ff'),"
                       " (400000006, 'customer', hex(zeroblob(40000))),"
                       " (400000007, 'customer', hex(zeroblob(1000000)));",
                       &world->problem));
    adopt(world);
    pull_all(world);
    compare_all(company);
    expect_no_complaints(company);
}

/* ---- from a device up ---- */

/* A row that a person wrote on his device. */
struct written {
    const struct catalog_table *table;
    int64_t id;
    int variant;
    uint64_t mask;
    struct value *values;
    uint64_t parked; /* columns that hold something already and are written once */
};

struct written_list {
    size_t count;
    struct written items[WRITTEN_MAX];
};

static void note_written(struct written_list *list, const struct catalog_table *table, int64_t id,
                         int variant, uint64_t mask, struct value *values)
{
    assert_true(list->count < WRITTEN_MAX);
    list->items[list->count++] = (struct written){
        .table = table, .id = id, .variant = variant, .mask = mask, .values = values};
}

/* An attachment that hangs on nothing is no row; the others need no parent. */
static bool has_any_parent(const struct catalog_table *table, uint64_t mask,
                           const struct value *values)
{
    if (strcmp(table->name, "attachment") != 0)
        return true;
    for (uint8_t i = 1; i < table->column_count; i++)
        if (has_bit(mask, i) && values[i].type != VALUE_NULL &&
            ends_with(table->columns[i].name, "_id") &&
            strcmp(table->columns[i].name, "by_id") != 0)
            return true;
    return false;
}

static void insert_on_device(struct company *company, struct person *person,
                             const struct catalog_table *table, uint64_t mask,
                             struct written_list *list)
{
    struct world *world = company->world;

    for (int variant = 0; variant < sample_variants(table); variant++) {
        int64_t id = new_id(world, person->side->other);
        struct value *values = sample_row(world, table, &person->own, variant, 0);

        if (!has_any_parent(table, mask, values))
            continue;
        if (insert_row(world, person->side->other, table, id, mask, values) != RESULT_OK) {
            complain(company, "%s: %s: %s", person->side->name, table->name, world->problem.text);
            continue;
        }
        person->own.variant_ids[table->number][variant] = id;
        if (variant == 0)
            person->own.ids[table->number] = id;
        note_written(list, table, id, variant, mask, values);
    }
}

/* Is this bucket the person's to write into? Ids of his own replica make places of his own. */
static bool may_write_into(struct company *company, const struct person *person, int64_t bucket)
{
    const struct value parameters[] = {value_integer(person->side->user_id), value_integer(bucket)};
    enum bucket_kind kind = bucket_kind_of(bucket);

    if ((kind == BUCKET_SITE || kind == BUCKET_CUSTOMER || kind == BUCKET_COMMERCIAL ||
         kind == BUCKET_LOCATION) &&
        id_replica_no(bucket_id_of(bucket)) == person->side->replica_no)
        return true;
    return integer_of(company->world, company->world->other,
                      "SELECT count(*) FROM fs_entitlement WHERE user_id=?1 AND bucket=?2"
                      " AND to_seq IS NULL",
                      parameters, 2) == 1;
}

static void complain_of(struct company *company, const struct side *side,
                        const struct written *written, const struct verdict *verdict,
                        const char *instead)
{
    complain(company, "%s: %s %d: %s(%.*s) instead of %s", side->name, written->table->name,
             written->variant, verdict == NULL ? "applied" : verdict_name(verdict->kind),
             verdict == NULL ? 0 : (int)verdict->reason.size,
             verdict == NULL ? "" : (const char *)verdict->reason.data, instead);
}

/* The master holds what was written. */
static void expect_stored(struct company *company, const struct side *side,
                          const struct written *written)
{
    struct world *world = company->world;
    struct value *stored = read_row(world, world->other, written->table, written->id);

    if (stored == NULL) {
        complain(company, "%s: %s %d is not on the master", side->name, written->table->name,
                 written->variant);
        return;
    }
    for (uint8_t i = 1; i < written->table->column_count; i++)
        if (strcmp(written->table->columns[i].name, "asked_m") == 0)
            continue; /* the server lowers it to what there is */
        else if (has_bit(written->mask & ~written->parked, i) &&
                 !value_equal(&stored[i], &written->values[i]))
            complain(company, "%s: %s.%s is another on the master", side->name,
                     written->table->name, written->table->columns[i].name);
        else if (has_bit(written->parked, i) && value_equal(&stored[i], &written->values[i]))
            complain(company, "%s: %s.%s was overwritten", side->name, written->table->name,
                     written->table->columns[i].name);
}

/* Applied where he may write, refused where not; returns whether it was applied. */
static bool check_insert(struct company *company, const struct person *person,
                         const struct written *written, int64_t bucket)
{
    struct world *world = company->world;
    const struct verdict *verdict = verdict_on(&company->answers, written->table, written->id);

    if (bucket != 0 && may_write_into(company, person, bucket)) {
        if (verdict != NULL && verdict->kind != VERDICT_MERGED)
            complain_of(company, person->side, written, verdict, "applied");
        else
            expect_stored(company, person->side, written);
        return true;
    }
    if (verdict == NULL || verdict->kind != VERDICT_REFUSED)
        complain_of(company, person->side, written, verdict, "refused");
    if (read_row(world, world->other, written->table, written->id) != NULL)
        complain(company, "%s: %s %d is on the master", person->side->name, written->table->name,
                 written->variant);
    return false;
}

static int64_t bucket_on_device(struct company *company, const struct person *person,
                                const struct written *written)
{
    struct world *world = company->world;
    struct value *values = read_row(world, person->side->other, written->table, written->id);
    int64_t bucket = 0;

    assert_non_null(values);
    if (catalog_bucket(written->table, written->id, values, &bucket, &world->problem) != RESULT_OK)
        return 0; /* it follows a row that isn't here */
    return bucket;
}

static void check_inserts(struct company *company, struct person *person,
                          const struct written_list *list, const int64_t *buckets)
{
    size_t applied[SCENE_TABLES] = {0};

    for (size_t i = 0; i < list->count; i++)
        applied[list->items[i].table->number] +=
            check_insert(company, person, &list->items[i], buckets[i]);
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].variant == 0 && applied[list->items[i].table->number] == 0)
            complain(company, "%s may insert %s and never can", person->side->name,
                     list->items[i].table->name);
}

static void insert_all(struct company *company, struct person *person, struct written_list *list)
{
    struct world *world = company->world;
    int64_t buckets[WRITTEN_MAX] = {0};

    list->count = 0;
    run_sql(world, person->side->other, "BEGIN IMMEDIATE", NULL, 0);
    for (size_t t = 0; t < company->order.count; t++) {
        const struct catalog_table *table = company->order.tables[t];
        bool is_granted = false;
        uint64_t mask = granted_mask(world, person->role, table, CHANGE_INSERT, &is_granted);

        if (is_granted)
            insert_on_device(company, person, table, mask, list);
    }
    run_sql(world, person->side->other, "COMMIT", NULL, 0);
    for (size_t i = 0; i < list->count; i++)
        buckets[i] = bucket_on_device(company, person, &list->items[i]);
    side_push(world, person->side, PART_SIZE / 8, &company->answers);
    if (company->answers.change_count != list->count)
        complain(company, "%s: %zu changes of %zu rows", person->side->name,
                 company->answers.change_count, list->count);
    check_inserts(company, person, list, buckets);
}

/* All tables that a role may insert into, in one seal, the rows referring to each other. */
static void every_row_that_a_role_may_insert_reaches_the_master_and_others(void **state)
{
    struct company *company = *state;
    struct written_list *list = calloc(1, sizeof *list);

    assert_non_null(list);
    for (int i = 0; i < ROLES; i++) {
        struct person *person = &company->people[i];

        person->own = (struct scene){.number = 12 + i,
                                     .user_id = person->scene.user_id,
                                     .previous = &person->scene,
                                     .background = &person->scene};
        insert_all(company, person, list);
    }
    pull_all(company->world);
    compare_all(company);
    free(list);
    expect_no_complaints(company);
}

/* References go to the other of the two rows that a person has; people and places stay. */
static struct value other_reference(struct company *company, const struct person *person,
                                    const struct catalog_table *table, uint8_t column_no,
                                    const struct value *now)
{
    uint16_t target = table->columns[column_no].refers_to;
    int64_t id = person->own.ids[target];

    if (strcmp(catalog_table_by_no(&company->world->catalog, target)->name, "app_user") == 0 ||
        target == table->number || now->type != VALUE_INTEGER || id == 0)
        return *now;
    return value_integer(now->integer == id ? scene_id(&person->scene, target) : id);
}

/* What remains of `mask` are the columns that are given another value. */
static struct value *revised_row(struct company *company, const struct person *person,
                                 const struct catalog_table *table, const struct value *now,
                                 const struct scene *scene, uint64_t *mask)
{
    struct value *values = sample_row(company->world, table, scene, 0, 2);

    for (uint8_t i = 1; i < table->column_count; i++) {
        if (table->columns[i].refers_to != 0)
            values[i] = other_reference(company, person, table, i, &now[i]);
        if (!is_revisable(table, i) || value_equal(&values[i], &now[i]))
            *mask &= ~(UINT64_C(1) << i);
    }
    return values;
}

static uint64_t written_once(const struct catalog_table *table, const struct value *now,
                             uint64_t mask)
{
    uint64_t parked = 0;

    for (uint8_t i = 1; i < table->column_count; i++)
        if (has_bit(mask, i) && table->columns[i].merge == MERGE_WRITE_ONCE &&
            now[i].type != VALUE_NULL && !value_equal(&now[i], &table->columns[i].default_value))
            parked |= UINT64_C(1) << i;
    return parked;
}

static void update_on_device(struct company *company, struct person *person,
                             const struct catalog_table *table, uint64_t granted, int half,
                             struct written_list *list)
{
    struct world *world = company->world;
    uint64_t mask = every_second(granted, half);
    const struct scene *scene = person->own.ids[table->number] != 0 ? &person->own : &person->scene;
    int64_t id = scene->ids[table->number];
    struct value *now = read_row(world, person->side->other, table, id);
    struct value *values = NULL;

    if (now == NULL) {
        complain(company, "%s may update %s and has no row of it", person->side->name, table->name);
        return;
    }
    values = revised_row(company, person, table, now, scene, &mask);
    if (mask == 0)
        return;
    note_written(list, table, id, 0, mask, values);
    list->items[list->count - 1].parked = written_once(table, now, mask);
    if (update_row(world, person->side->other, table, id, mask, values) != RESULT_OK)
        complain(company, "%s: update of %s: %s", person->side->name, table->name,
                 world->problem.text);
}

static void check_update(struct company *company, const struct person *person,
                         const struct written *written)
{
    const struct verdict *verdict = verdict_on(&company->answers, written->table, written->id);
    bool is_as_expected = written->parked != 0 ? verdict != NULL && verdict->kind == VERDICT_PARKED
                                               : verdict == NULL || verdict->kind == VERDICT_MERGED;

    if (!is_as_expected)
        complain_of(company, person->side, written, verdict,
                    written->parked != 0 ? "parked" : "applied");
    expect_stored(company, person->side, written);
}

static void update_all(struct company *company, struct person *person, int half,
                       struct written_list *list)
{
    struct world *world = company->world;

    list->count = 0;
    run_sql(world, person->side->other, "BEGIN IMMEDIATE", NULL, 0);
    for (size_t t = 0; t < company->order.count; t++) {
        const struct catalog_table *table = company->order.tables[t];
        bool is_granted = false;
        uint64_t mask = granted_mask(world, person->role, table, CHANGE_UPDATE, &is_granted);

        if (is_granted)
            update_on_device(company, person, table, mask, half, list);
    }
    run_sql(world, person->side->other, "COMMIT", NULL, 0);
    side_push(world, person->side, PART_SIZE, &company->answers);
    for (size_t i = 0; i < list->count; i++)
        check_update(company, person, &list->items[i]);
}

static void every_column_that_a_role_may_change_reaches_the_master_and_others(void **state)
{
    struct company *company = *state;
    struct written_list *list = calloc(1, sizeof *list);

    assert_non_null(list);
    for (int half = 0; half < 2; half++) {
        for (int i = 0; i < ROLES; i++)
            update_all(company, &company->people[i], half, list);
        pull_all(company->world);
        compare_all(company);
    }
    free(list);
    expect_no_complaints(company);
}

static void delete_on_device(struct company *company, struct person *person,
                             const struct catalog_table *table)
{
    struct world *world = company->world;
    int variant = sample_variants(table) - 1; /* nothing refers to the last one */
    const struct value id = value_integer(person->own.variant_ids[table->number][variant]);

    if (read_row(world, person->side->other, table, id.integer) == NULL) {
        complain(company, "%s may delete from %s and has no row of it", person->side->name,
                 table->name);
        return;
    }
    run_sql(world, person->side->other,
            text_of(world, "DELETE FROM \"%s\" WHERE id=?1", table->name), &id, 1);
    side_push(world, person->side, PART_SIZE, &company->answers);
    if (company->answers.change_count != 1 || company->answers.count != 0)
        complain(company, "%s: delete from %s: %zu changes, %zu exceptions", person->side->name,
                 table->name, company->answers.change_count, company->answers.count);
    if (read_row(world, world->other, table, id.integer) != NULL)
        complain(company, "%s: %s is still on the master", person->side->name, table->name);
}

static void every_row_that_a_role_may_delete_is_gone_everywhere(void **state)
{
    struct company *company = *state;

    for (int i = 0; i < ROLES; i++)
        for (size_t t = 0; t < company->order.count; t++) {
            bool is_granted = false;

            (void)granted_mask(company->world, company->people[i].role, company->order.tables[t],
                               CHANGE_DELETE, &is_granted);
            if (is_granted)
                delete_on_device(company, &company->people[i], company->order.tables[t]);
        }
    pull_all(company->world);
    compare_all(company);
    expect_no_complaints(company);
}

static int create_all(void **state)
{
    return company_create(state, ROLES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_the_master_reaches_whom_it_belongs_to),
        cmocka_unit_test(every_column_that_the_master_changes_follows),
        cmocka_unit_test(every_row_that_moves_or_dies_leaves_the_device),
        cmocka_unit_test(rows_that_can_not_travel_stop_nobody),
        cmocka_unit_test(every_row_that_a_role_may_insert_reaches_the_master_and_others),
        cmocka_unit_test(every_column_that_a_role_may_change_reaches_the_master_and_others),
        cmocka_unit_test(every_row_that_a_role_may_delete_is_gone_everywhere),
    };

    return cmocka_run_group_tests(tests, create_all, company_destroy);
}
