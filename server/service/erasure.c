/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/erasure.h"

#include "server/service/audit.h"
#include "server/service/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SQL_SIZE = 16 * 1024 };

/* The customer's buckets: ?1 is the party, ?2 its own bucket, ?3 the bucket of a site 0. */
#define BUCKETS "(SELECT ?2 UNION ALL SELECT ?3 + s.id FROM site s WHERE s.party_id = ?1)"

struct erasing {
    struct work *work;
    int64_t party_id;
    struct value keys[3]; /* of BUCKETS */
    int64_t seq;          /* newest of what was changed */
    struct problem *problem;
};

static struct erasing erasing_of(struct work *work, int64_t party_id, struct problem *problem)
{
    return (struct erasing){
        .work = work,
        .party_id = party_id,
        .keys = {value_integer(party_id), value_integer(bucket_of(BUCKET_CUSTOMER, party_id)),
                 value_integer(bucket_of(BUCKET_SITE, 0))},
        .problem = problem,
    };
}

static enum result check_customer(struct erasing *erasing)
{
    struct store_result found = {0};
    enum result result = work_query(erasing->work,
                                    "SELECT (SELECT count(*) FROM party WHERE id = ?1),"
                                    " (SELECT min(c.id) FROM call c JOIN site s ON s.id = c.site_id"
                                    " WHERE s.party_id = ?1 AND c.party_id <> ?1)",
                                    erasing->keys, 1, &found, erasing->problem);

    if (result != RESULT_OK)
        return result;
    if (store_integer_at(&found, 0, 0, 0) == 0)
        return problem_set(erasing->problem, RESULT_REFUSED, "there is no customer %" PRId64,
                           erasing->party_id);
    if (store_integer_at(&found, 0, 1, 0) != 0)
        return problem_set(erasing->problem, RESULT_REFUSED,
                           "call %" PRId64 " at one of its sites is another customer's and would"
                           " be erased too: move it to another site first",
                           store_integer_at(&found, 0, 1, 0));
    return RESULT_OK;
}

/* ---- what is personal ---- */

/* The personal columns of a table, by number. */
struct personal {
    const struct catalog_table *table;
    uint64_t mask;
};

static enum result personal_tables(struct erasing *erasing, struct personal **ret_tables,
                                   size_t *ret_count)
{
    struct store_result rows = {0};
    struct personal *tables = NULL;
    size_t count = 0;
    enum result result =
        work_query(erasing->work,
                   "SELECT table_number, number FROM fs_column WHERE is_personal = 1"
                   " ORDER BY table_number, number",
                   NULL, 0, &rows, erasing->problem);

    if (result != RESULT_OK)
        return result;
    tables = arena_array(work_arena(erasing->work), rows.row_count + 1, sizeof *tables);
    if (tables == NULL)
        return arena_full(work_arena(erasing->work), erasing->problem);
    for (size_t i = 0; i < rows.row_count; i++) {
        const struct catalog_table *table =
            catalog_table_by_no(work_catalog(erasing->work), store_integer_at(&rows, i, 0, 0));
        int64_t column = store_integer_at(&rows, i, 1, 0);

        if (table == NULL || table->is_local || column <= 0 || column >= table->column_count)
            continue;
        if (count == 0 || tables[count - 1].table != table)
            tables[count++] = (struct personal){.table = table};
        tables[count - 1].mask |= UINT64_C(1) << column;
    }
    *ret_tables = tables;
    *ret_count = count;
    return RESULT_OK;
}

/* Names come from the catalog, never from outside. */
static size_t put(char *sql, size_t at, const char *before, const char *name, const char *after)
{
    int size = snprintf(sql + at, SQL_SIZE - at, "%s%s%s", before, name, after);

    return size < 0 || at + (size_t)size >= SQL_SIZE ? SQL_SIZE - 1 : at + (size_t)size;
}

/* Ids of the customer's rows of a table that still hold something personal. */
static enum result rows_of(struct erasing *erasing, const struct personal *personal,
                           struct store_result *ret_rows)
{
    char *sql = arena_alloc(work_arena(erasing->work), SQL_SIZE);
    const char *between = "";
    size_t at = 0;

    if (sql == NULL)
        return arena_full(work_arena(erasing->work), erasing->problem);
    at = put(sql, at, "SELECT id FROM \"", personal->table->name,
             "\" WHERE _fs_bucket IN " BUCKETS " AND (");
    for (uint8_t n = 1; n < personal->table->column_count; n++) {
        if ((personal->mask >> n & 1) == 0)
            continue;
        at = put(sql, at, between, "", "coalesce(\"");
        at = put(sql, at, "", personal->table->columns[n].name,
                 "\", '" ERASURE_MARK "') <> '" ERASURE_MARK "'");
        between = " OR ";
    }
    (void)put(sql, at, ") ORDER BY id", "", "");
    return work_query(erasing->work, sql, erasing->keys, 3, ret_rows, erasing->problem);
}

static enum result empty_row(struct erasing *erasing, const struct personal *personal, int64_t id)
{
    const struct author server = rows_server(erasing->work);
    const struct stored_row *row = NULL;
    struct value values[ROW_COLUMNS_MAX + 1] = {{0}};
    enum result result;

    for (uint8_t n = 1; n < personal->table->column_count; n++)
        values[n] =
            personal->table->columns[n].nullable ? value_null() : value_text_of(ERASURE_MARK);
    result = work_update(erasing->work, personal->table, id, values, personal->mask, &server,
                         erasing->problem);
    if (result == RESULT_OK)
        result = work_row(erasing->work, personal->table, id, &row, erasing->problem);
    if (result == RESULT_OK && row != NULL && row->seq > erasing->seq)
        erasing->seq = row->seq;
    return result;
}

/* ---- the plan ---- */

static enum result find_blobs(struct erasing *erasing, struct erasure_plan *plan)
{
    struct arena *arena = work_arena(erasing->work);
    struct store_result rows = {0};
    const char **blobs = NULL;
    enum result result =
        work_query(erasing->work,
                   "SELECT DISTINCT content_hash FROM attachment WHERE _fs_bucket IN " BUCKETS
                   " AND content_hash NOT IN (SELECT a.content_hash FROM attachment a"
                   " WHERE a._fs_bucket NOT IN " BUCKETS ") ORDER BY 1",
                   erasing->keys, 3, &rows, erasing->problem);

    if (result != RESULT_OK)
        return result;
    blobs = arena_array(arena, rows.row_count + 1, sizeof *blobs);
    if (blobs == NULL)
        return arena_full(arena, erasing->problem);
    for (size_t i = 0; i < rows.row_count && result == RESULT_OK; i++)
        result = cell_text(erasing->work, &rows, i, 0, &blobs[i], erasing->problem);
    plan->blobs = blobs;
    plan->blob_count = rows.row_count;
    return result;
}

static enum result count_papers(struct erasing *erasing, struct erasure_plan *plan)
{
    return query_integer(erasing->work,
                         "SELECT (SELECT count(*) FROM invoice WHERE party_id = ?1)"
                         " + (SELECT count(*) FROM quote WHERE party_id = ?1)"
                         " + (SELECT count(*) FROM contract WHERE party_id = ?1)",
                         erasing->keys, 1, 0, &plan->kept_papers, erasing->problem);
}

static enum result walk(struct erasing *erasing, bool is_erasing, struct erasure_plan *plan)
{
    struct personal *tables = NULL;
    struct erasure_item *items = NULL;
    size_t count = 0;
    enum result result = personal_tables(erasing, &tables, &count);

    if (result == RESULT_OK)
        items = arena_array(work_arena(erasing->work), count + 1, sizeof *items);
    if (result == RESULT_OK && items == NULL)
        return arena_full(work_arena(erasing->work), erasing->problem);
    plan->items = items;
    for (size_t i = 0; i < count && result == RESULT_OK; i++) {
        struct store_result rows = {0};

        result = rows_of(erasing, &tables[i], &rows);
        for (size_t k = 0; k < rows.row_count && result == RESULT_OK && is_erasing; k++)
            result = empty_row(erasing, &tables[i], store_integer_at(&rows, k, 0, 0));
        if (rows.row_count == 0)
            continue;
        items[plan->item_count++] =
            (struct erasure_item){tables[i].table->name, (int64_t)rows.row_count};
        plan->row_count += (int64_t)rows.row_count;
    }
    return result;
}

static enum result look(struct erasing *erasing, int64_t party_id, struct erasure_plan *ret_plan)
{
    enum result result = check_customer(erasing);

    *ret_plan = (struct erasure_plan){.party_id = party_id};
    if (result == RESULT_OK)
        result = find_blobs(erasing, ret_plan);
    if (result == RESULT_OK)
        result = count_papers(erasing, ret_plan);
    return result;
}

enum result erasure_plan(struct work *work, int64_t party_id, struct erasure_plan *ret_plan,
                         struct problem *problem)
{
    struct erasing erasing = erasing_of(work, party_id, problem);
    enum result result = look(&erasing, party_id, ret_plan);

    return result == RESULT_OK ? walk(&erasing, false, ret_plan) : result;
}

/* ---- doing it ---- */

static enum result note(struct erasing *erasing, const struct erasure_plan *plan)
{
    const struct value fields[] = {value_integer(plan->party_id),
                                   value_integer(work_now(erasing->work).us),
                                   value_integer(plan->row_count), value_integer(erasing->seq)};
    char detail[80];
    enum result result = work_execute(erasing->work,
                                      "INSERT INTO fs_erasure(party_id, erased_at, row_count, seq)"
                                      " VALUES(?1,?2,?3,?4)",
                                      fields, 4, erasing->problem);

    snprintf(detail, sizeof detail, "party %" PRId64 ", %" PRId64 " rows", plan->party_id,
             plan->row_count);
    return result == RESULT_OK
               ? audit_add(erasing->work, "customer_erased", 0, 0, detail, erasing->problem)
               : result;
}

enum result erasure_run(struct work *work, int64_t party_id, struct erasure_plan *ret_plan,
                        struct problem *problem)
{
    struct erasing erasing = erasing_of(work, party_id, problem);
    enum result result = look(&erasing, party_id, ret_plan);

    if (result == RESULT_OK)
        result = walk(&erasing, true, ret_plan);
    if (result == RESULT_OK)
        result = work_settle(work, problem);
    if (result == RESULT_OK)
        result = work_flush(work, problem);
    return result == RESULT_OK ? note(&erasing, ret_plan) : result;
}
