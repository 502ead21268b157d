/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/ingest_inside.h"

#include "base/invariant.h"

#include <string.h>

/* ---- entitlement at edit time (R8) ---- */

/* A place that the author's own new rows made: site, customer, ... with an id of this replica. */
static bool is_own_bucket(const struct ingest *ingest, int64_t bucket)
{
    enum bucket_kind kind = bucket_kind_of(bucket);

    return kind != BUCKET_USER && kind != BUCKET_SHARED && kind != BUCKET_OFFICE &&
           kind != BUCKET_SERVER && bucket_id_of(bucket) != 0 &&
           id_replica_no(bucket_id_of(bucket)) == ingest->replica.replica_no;
}

static enum result was_entitled(struct ingest *ingest, int64_t bucket, int64_t base_seq,
                                bool *ret_was, struct problem *problem)
{
    int64_t until = SCOPE_NEVER;
    enum result result = scope_rights_until(&ingest->rights, bucket, &until, problem);

    if (result == RESULT_OK)
        *ret_was = until != SCOPE_NEVER && until > base_seq;
    return result;
}

/* Was the row in a bucket of the author's when he edited it, and moved away since? */
static enum result was_moved_away(struct ingest *ingest, const struct change *change,
                                  int64_t base_seq, bool *ret_was, struct problem *problem)
{
    const struct value parameters[] = {value_integer(change->table_no),
                                       value_integer(change->row_id), value_integer(base_seq),
                                       value_integer(GONE_LEFT)};
    struct store_result found = {0};
    enum result result = work_query(ingest->work,
                                    "SELECT bucket FROM fs_tomb WHERE table_no=?1 AND row_id=?2"
                                    " AND seq>?3 AND kind=?4",
                                    parameters, 4, &found, problem);

    *ret_was = false;
    for (size_t i = 0; i < found.row_count && result == RESULT_OK && !*ret_was; i++)
        result =
            was_entitled(ingest, store_integer_at(&found, i, 0, 0), base_seq, ret_was, problem);
    return result;
}

enum result ingest_may_see(struct ingest *ingest, const struct change *change, int64_t bucket,
                           int64_t moved_row_id, bool *ret_may, struct problem *problem)
{
    int64_t base_seq = change->base_seq < ingest->head ? change->base_seq : ingest->head;
    enum result result;

    *ret_may = false;
    if (bucket_kind_of(bucket) == BUCKET_SERVER)
        return RESULT_OK;
    if (is_own_bucket(ingest, bucket)) {
        *ret_may = true;
        return RESULT_OK;
    }
    result = was_entitled(ingest, bucket, base_seq, ret_may, problem);
    if (result == RESULT_OK && !*ret_may && moved_row_id != 0)
        result = was_moved_away(ingest, change, base_seq, ret_may, problem);
    return result;
}

/* ---- buckets ---- */

static enum result parent_bucket(struct ingest *ingest, const struct catalog_table *table,
                                 uint8_t column_no, int64_t id, int64_t *ret_bucket,
                                 struct problem *problem)
{
    const struct catalog_table *parent_table =
        catalog_table_by_no(ingest->catalog, table->columns[column_no].refers_to);
    const struct stored_row *parent = NULL;
    enum result result;

    invariant(parent_table != NULL); /* catalog_check */
    result = work_head(ingest->work, parent_table, id, &parent, problem);
    if (result == RESULT_OK)
        *ret_bucket = parent == NULL ? 0 : parent->bucket;
    return result;
}

enum result ingest_bucket(struct ingest *ingest, const struct catalog_table *table, int64_t row_id,
                          const struct value *values, int64_t *ret_bucket, struct problem *problem)
{
    enum result result = RESULT_OK;

    *ret_bucket = 0;
    for (uint8_t i = 0; i < table->bucket_term_count && *ret_bucket == 0 && result == RESULT_OK;
         i++) {
        const struct bucket_term *term = &table->bucket_terms[i];
        const struct value *value = &values[term->column_no];

        if (term->source == BUCKET_CONSTANT)
            *ret_bucket = bucket_of(term->kind, 0);
        else if (term->source == BUCKET_GIVEN && table->home_column_no != 0)
            *ret_bucket = values[table->home_column_no].type == VALUE_INTEGER
                              ? values[table->home_column_no].integer
                              : 0;
        else if (term->source == BUCKET_COLUMN && term->column_no == 0)
            *ret_bucket = bucket_of(term->kind, row_id);
        else if (value->type != VALUE_INTEGER || value->integer < 0 || value->integer > ID_MAX)
            continue;
        else if (term->source == BUCKET_COLUMN)
            *ret_bucket = bucket_of(term->kind, value->integer);
        else
            result =
                parent_bucket(ingest, table, term->column_no, value->integer, ret_bucket, problem);
    }
    return result;
}

/* ---- references ---- */

enum result ingest_merged_into(struct ingest *ingest, const struct catalog_table *table,
                               int64_t row_id, int64_t *ret_id, struct problem *problem)
{
    const struct ingest_item *item = lookup_find(&ingest->by_row, table->number, row_id);
    const struct value parameters[] = {value_integer(ingest->replica.replica_no),
                                       value_integer(table->number), value_integer(row_id)};
    struct store_result found = {0};
    enum result result;

    *ret_id = item == NULL || item->state != ITEM_DONE ? 0 : item->verdict.merged_into_id;
    if (*ret_id != 0 || row_id < 0 || row_id > ID_MAX || /* a reference may hold any number */
        id_replica_no(row_id) != ingest->replica.replica_no)
        return RESULT_OK;
    result = store_query(ingest->store,
                         "SELECT merged_into_id FROM fs_verdict WHERE replica_no=?1 AND table_no=?2"
                         " AND row_id=?3 AND merged_into_id IS NOT NULL",
                         parameters, 3, ingest->arena, &found, problem);
    if (result == RESULT_OK)
        *ret_id = store_integer_at(&found, 0, 0, 0);
    return result;
}

/* Is there, or will there be, a row to refer to? */
static enum result is_target(struct ingest *ingest, const struct catalog_table *target, int64_t id,
                             bool *ret_is, struct problem *problem)
{
    const struct ingest_item *item = lookup_find(&ingest->by_row, target->number, id);
    const struct stored_row *row = NULL;
    enum result result = work_head(ingest->work, target, id, &row, problem);

    *ret_is = row != NULL ||
              (item != NULL && item->state == ITEM_WAITING && item->change->op == CHANGE_INSERT);
    return result;
}

enum result ingest_references(struct ingest *ingest, const struct catalog_table *table,
                              struct value *values, uint64_t mask, uint8_t *ret_column_no,
                              struct problem *problem)
{
    enum result result = RESULT_OK;

    *ret_column_no = 0;
    for (uint8_t i = 1; i < table->column_count && result == RESULT_OK; i++) {
        const struct catalog_table *target = NULL;
        int64_t merged_id = 0;
        bool is_there = false;

        if ((mask >> i & 1) == 0 || table->columns[i].refers_to == 0 ||
            values[i].type != VALUE_INTEGER)
            continue;
        target = catalog_table_by_no(ingest->catalog, table->columns[i].refers_to);
        invariant(target != NULL); /* catalog_check */
        result = is_target(ingest, target, values[i].integer, &is_there, problem);
        if (result != RESULT_OK || is_there)
            continue;
        result = ingest_merged_into(ingest, target, values[i].integer, &merged_id, problem);
        if (result != RESULT_OK)
            return result;
        if (merged_id == 0) {
            *ret_column_no = i;
            return RESULT_OK;
        }
        values[i] = value_integer(merged_id);
    }
    return result;
}

/* ---- children ---- */

static enum result refer_sql(const char *table_name, const char *column_name, struct buffer *sql,
                             struct problem *problem)
{
    const char *const pieces[] = {"SELECT id FROM \"", table_name, "\" WHERE \"", column_name,
                                  "\"=?1 LIMIT 1"};
    enum result result = RESULT_OK;

    buffer_reset(sql);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces && result == RESULT_OK; i++)
        result = buffer_append(sql, pieces[i], strlen(pieces[i]), problem);
    if (result == RESULT_OK)
        result = buffer_append(sql, "", 1, problem);
    return result;
}

enum result ingest_has_children(struct ingest *ingest, const struct catalog_table *table,
                                int64_t row_id, bool *ret_has, struct problem *problem)
{
    const struct value parameter = value_integer(row_id);
    struct buffer sql;
    enum result result = RESULT_OK;

    *ret_has = false;
    buffer_init(&sql, 1024);
    for (size_t t = 1; t < ingest->catalog->table_count && result == RESULT_OK; t++) {
        const struct catalog_table *child = &ingest->catalog->tables[t];

        if (child->name == NULL || child->is_local)
            continue;
        for (uint8_t i = 1; i < child->column_count && result == RESULT_OK && !*ret_has; i++) {
            struct store_result found = {0};

            if (child->columns[i].refers_to != table->number)
                continue;
            result = refer_sql(child->name, child->columns[i].name, &sql, problem);
            if (result == RESULT_OK) /* deletes of children that came before are flushed first */
                result = work_query(ingest->work, (const char *)sql.data, &parameter, 1, &found,
                                    problem);
            *ret_has = found.row_count > 0;
        }
    }
    buffer_done(&sql);
    return result;
}
