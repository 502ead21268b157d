/* SPDX-License-Identifier: Apache-2.0 */
/* company.h: people of each role with a device each, a small company of rows for each of them, and
 * the comparison of what the master and the devices hold. */
#pragma once

#include "tests/integration/sample_rows.h" /* first: it asks for POSIX */

#include "schema/canonical.h"
#include "server/service/service.h"

enum { ROLES = 8, FIRST_USER_ID = 101 };

/* A person of each role that has rights on tables, with a device, and a company of his own. */
struct person {
    enum role role;
    struct side *side;
    struct scene scene;
    struct scene own; /* what he wrote on his device, the rest from `scene` */
};

struct company {
    struct world *world;
    struct table_order order;
    struct scene spare; /* for who has nothing of his own */
    struct scene moving;
    struct scene target;
    int people_count;
    struct person people[ROLES];
    struct side *colleague; /* a technician with work at the first one's site */
    struct side *stranger;  /* a technician without any work */
    struct side *forger;    /* no replica: a key of the first technician's in bad hands */
    struct answers answers;
    size_t complaints;
};

static inline void complain(struct company *company, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline void complain(struct company *company, const char *format, ...)
{
    char text[1024];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    company->complaints++;
    print_error("%s\n", text);
}

/* ---- both sides compared ---- */

struct scan {
    struct sql_statement *statement;
    bool has_row;
    struct value values[ROW_COLUMNS_MAX + 1];
};

static inline void scan_next(struct world *world, struct scan *scan)
{
    ok(world, sql_step(scan->statement, &scan->has_row, &world->problem));
    for (int i = 0; scan->has_row && i < sql_column_count(scan->statement); i++)
        scan->values[i] = sql_column(scan->statement, i);
}

static inline void scan_begin(struct world *world, struct scan *scan, struct sql_database *database,
                              const struct catalog_table *table, const char *where,
                              const struct value *parameter)
{
    struct sample_sql sql = {0};

    sql_add(&sql, "SELECT id");
    for (uint8_t i = 1; i < table->column_count; i++)
        sql_add(&sql, ",\"%s\"", table->columns[i].name);
    sql_add(&sql, " FROM \"%s\" %s ORDER BY id", table->name, where);
    ok(world, sql_prepare(database, sql.text, &scan->statement, &world->problem));
    if (parameter != NULL)
        ok(world, sql_bind(scan->statement, 1, parameter, &world->problem));
    scan_next(world, scan);
}

static inline bool is_same_row(struct company *company, const struct catalog_table *table,
                               const struct value *master, const struct value *device)
{
    struct world *world = company->world;
    struct buffer forms[2];
    bool is_same = false;

    for (int i = 0; i < 2; i++) {
        buffer_init(&forms[i], 1 << 20);
        ok(world, canonical_append(table, master[0].integer, i == 0 ? master : device, &forms[i],
                                   &world->problem));
    }
    is_same = bytes_equal(buffer_bytes(&forms[0]), buffer_bytes(&forms[1]));
    buffer_done(&forms[0]);
    buffer_done(&forms[1]);
    return is_same;
}

static inline void say_difference(struct company *company, const struct side *side,
                                  const struct catalog_table *table, const struct value *master,
                                  const struct value *device)
{
    for (uint8_t i = 1; i < table->column_count; i++)
        if (!value_equal(&master[i], &device[i]))
            complain(
                company, "%s: %s %" PRId64 ".%s differs: %d %" PRId64 " on the master, %d %" PRId64,
                side->name, table->name, master[0].integer, table->columns[i].name,
                (int)master[i].type, master[i].integer, (int)device[i].type, device[i].integer);
}

/* The table on the device is what the master has in the user's buckets, row by row, no more and no
 * less. */
static inline size_t compare_table(struct company *company, const struct side *side,
                                   const struct catalog_table *table)
{
    struct world *world = company->world;
    const struct value user = value_integer(side->user_id);
    struct scan master;
    struct scan device;
    size_t count = 0;

    scan_begin(world, &master, world->other, table,
               "WHERE _fs_bucket IN (SELECT bucket FROM fs_entitlement WHERE user_id=?1"
               " AND to_seq IS NULL)",
               &user);
    scan_begin(world, &device, side->other, table, "", NULL);
    while (master.has_row || device.has_row) {
        bool is_lacking = !device.has_row ||
                          (master.has_row && master.values[0].integer < device.values[0].integer);
        bool is_too_much = !master.has_row ||
                           (device.has_row && device.values[0].integer < master.values[0].integer);

        if (is_lacking)
            complain(company, "%s lacks %s %" PRId64, side->name, table->name,
                     master.values[0].integer);
        else if (is_too_much)
            complain(company, "%s has %s %" PRId64, side->name, table->name,
                     device.values[0].integer);
        else if (!is_same_row(company, table, master.values, device.values))
            say_difference(company, side, table, master.values, device.values);
        count++;
        if (!is_too_much)
            scan_next(world, &master);
        if (!is_lacking)
            scan_next(world, &device);
    }
    sql_release(master.statement);
    sql_release(device.statement);
    return count;
}

/* DIGEST of all buckets: the server finds no difference. */
static inline void compare_digests(struct company *company, struct side *side)
{
    struct world *world = company->world;
    int64_t next = 0;

    do {
        struct job *job = make_job(world, JOB_DIGEST, side);
        struct message_digest digest = {0};
        struct buffer body;

        ok(world, replica_digests(side->replica, next, 1000, &world->arena, &digest, &next,
                                  &world->problem));
        buffer_init(&body, LIMIT_BODY_SIZE_MAX);
        ok(world, message_digest_encode(&digest, &body, &world->problem));
        give_body(world, job, &body);
        run_job(world, job);
        if (digest.count == 0)
            complain(company, "%s has no digests", side->name);
        if (job->frame_count != 0)
            complain(company, "%s: DIGEST_DIFFERS", side->name);
        job_destroy(job);
    } while (next != 0);
}

static inline void compare_all(struct company *company)
{
    struct world *world = company->world;

    for (size_t s = 0; s < world->side_count; s++) {
        if (world->sides[s].replica == NULL)
            continue;
        for (size_t t = 0; t < company->order.count; t++)
            (void)compare_table(company, &world->sides[s], company->order.tables[t]);
        compare_digests(company, &world->sides[s]);
    }
}

/* ---- scenes, written with plain SQL on the master ---- */

/* Rows that this role will make itself, and whose key leaves room for one only. */
static inline bool is_left_to_device(const struct company *company,
                                     const struct catalog_table *table, unsigned roles)
{
    uint8_t unused = 0;

    return table->key_column_count > 0 &&
           catalog_may(&company->world->catalog, roles, table, CHANGE_INSERT, 0, &unused);
}

static inline void insert_on_master(struct company *company, struct scene *scene,
                                    const struct catalog_table *table, int variant)
{
    struct world *world = company->world;
    int64_t id = new_id(world, world->other);
    struct value *values = sample_row(world, table, scene, variant, 0);

    if (insert_row(world, world->other, table, id, table->columns_mask, values) != RESULT_OK)
        complain(company, "master: %s %d: %s", table->name, variant, world->problem.text);
    scene->variant_ids[table->number][variant] = id;
    if (variant == 0)
        scene->ids[table->number] = id;
}

enum left_out { NOTHING_LEFT_OUT, KEYS_OF_ROLE_LEFT_OUT, ALL_KEYS_LEFT_OUT };

static inline void make_scene(struct company *company, struct scene *scene, enum left_out left_out,
                              unsigned roles)
{
    struct world *world = company->world;

    run_sql(world, world->other, "BEGIN IMMEDIATE", NULL, 0);
    for (size_t t = 0; t < company->order.count; t++) {
        const struct catalog_table *table = company->order.tables[t];
        int variants = sample_variants(table) + (strcmp(table->name, "location") == 0);

        if ((left_out == KEYS_OF_ROLE_LEFT_OUT && is_left_to_device(company, table, roles)) ||
            (left_out == ALL_KEYS_LEFT_OUT &&
             (table->key_column_count > 0 || strcmp(table->name, "invoice_line") == 0)))
            continue;
        for (int variant = 0; variant < variants; variant++)
            insert_on_master(company, scene, table, variant);
    }
    run_sql(world, world->other, "COMMIT", NULL, 0);
    adopt(world);
}

/* ---- the company ---- */

static const enum role PEOPLE[ROLES] = {ROLE_TECHNICIAN, ROLE_DISPATCHER, ROLE_HELP_DESK,
                                        ROLE_MANAGER,    ROLE_WAREHOUSE,  ROLE_PURCHASING,
                                        ROLE_BILLING,    ROLE_SALES};

static inline void hire(struct world *world, int64_t user_id, const char *login, const char *role)
{
    const struct value user[] = {value_integer(user_id), value_text_of(login)};
    const struct value grant[] = {value_integer(user_id), value_text_of(role)};

    run_sql(world, world->other, "INSERT INTO app_user(id, login, name) VALUES (?1, ?2, ?2)", user,
            2);
    run_sql(world, world->other, "INSERT INTO role_grant(id, user_id, role) VALUES (?1, ?1, ?2)",
            grant, 2);
}

/* The first `count` of PEOPLE have devices. */
static inline int company_create(void **state, int count)
{
    struct company *company = calloc(1, sizeof *company);
    struct world *world = world_create(service_reactions());
    int64_t user_id = FIRST_USER_ID;

    assert_non_null(company);
    company->world = world;
    company->people_count = count;
    order_tables(world, &company->order);
    for (int i = 0; i < ROLES; i++)
        hire(world, user_id + i, role_name(PEOPLE[i]), role_name(PEOPLE[i]));
    hire(world, user_id + ROLES, "colleague", "technician");
    hire(world, user_id + ROLES + 1, "stranger", "technician");
    hire(world, user_id + ROLES + 2, "spare", "nobody");
    hire(world, user_id + ROLES + 3, "target", "nobody");
    adopt(world);
    for (int i = 0; i < count; i++) {
        struct person *person = &company->people[i];

        person->role = PEOPLE[i];
        person->side = side_add(world, role_name(PEOPLE[i]), user_id + i, true);
        person->scene =
            (struct scene){.number = i + 1, .user_id = user_id + i, .background = &company->spare};
    }
    company->colleague = side_add(world, "colleague", user_id + ROLES, true);
    company->stranger = side_add(world, "stranger", user_id + ROLES + 1, true);
    company->forger = side_add(world, "forger", user_id, false);
    company->spare.user_id = user_id + ROLES + 2;
    pull_all(world);
    *state = company;
    return 0;
}

static inline int company_destroy(void **state)
{
    struct company *company = *state;

    world_destroy(company->world);
    free(company);
    return 0;
}

static inline void expect_no_complaints(struct company *company)
{
    size_t complaints = company->complaints;

    company->complaints = 0;
    assert_int_equal(complaints, 0);
}

/* ---- rights and answers ---- */

/* Columns that this role may set. */
static inline uint64_t granted_mask(const struct world *world, enum role role,
                                    const struct catalog_table *table, enum change_op op,
                                    bool *ret_is_granted)
{
    uint64_t mask = 0;

    *ret_is_granted = false;
    for (size_t i = 0; i < world->catalog.grant_count; i++) {
        const struct catalog_grant *grant = &world->catalog.grants[i];

        if (grant->role != role || grant->table_no != table->number || grant->op != op)
            continue;
        *ret_is_granted = true;
        mask |= grant->mask;
    }
    return mask & table->columns_mask & ~table->server_only_mask;
}

static inline const struct verdict *verdict_on(const struct answers *answers,
                                               const struct catalog_table *table, int64_t id)
{
    for (size_t i = 0; i < answers->count; i++)
        if (answers->verdicts[i].table_no == table->number && answers->verdicts[i].row_id == id)
            return &answers->verdicts[i];
    return NULL;
}
