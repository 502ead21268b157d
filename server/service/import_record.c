/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/import_inside.h"
#include "server/store/versions.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- the plan of a file ---- */

static enum result plan_column(struct import *import, const struct catalog_table *table,
                               const struct import_target *target,
                               const struct import_column *column, const struct bytes *heading,
                               size_t field_count, struct import_plan_column *ret_column,
                               struct problem *problem)
{
    ret_column->column = column;
    (void)snprintf(ret_column->name, sizeof ret_column->name, "%s.%s", target->table, column->name);
    if (table != NULL) {
        ret_column->field = catalog_column_by_name(table, column->name);
        if (ret_column->field == NULL)
            return problem_set(problem, RESULT_REFUSED, "table %s has no column %s", table->name,
                               column->name);
    }
    if (column->kind == IMPORT_REFERENCE) {
        ret_column->refers_to = catalog_table_by_name(import->catalog, column->argument);
        if (ret_column->refers_to == NULL)
            return problem_set(problem, RESULT_REFUSED, "there is no table %s", column->argument);
    }
    return import_template_parse(column->source, heading, field_count, &import->file_arena,
                                 &ret_column->source, problem);
}

static enum result plan_target(struct import *import, const struct import_target *target,
                               const struct bytes *heading, size_t field_count,
                               struct import_plan_target *ret_target, struct problem *problem)
{
    struct arena *arena = &import->file_arena;
    enum result result = RESULT_OK;

    ret_target->target = target;
    if ((target->flags & IMPORT_IS_MEMO) == 0) {
        ret_target->table = catalog_table_by_name(import->catalog, target->table);
        if (ret_target->table == NULL)
            return problem_set(problem, RESULT_REFUSED, "there is no table %s", target->table);
        ret_target->count = import_report_count(import, ret_target->table->name);
    }
    if (target->key != NULL)
        result = import_template_parse(target->key, heading, field_count, arena, &ret_target->key,
                                       problem);
    while (target->columns[ret_target->column_count].name != NULL)
        ret_target->column_count++;
    ret_target->columns = arena_array(arena, ret_target->column_count, sizeof *ret_target->columns);
    if (ret_target->columns == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < ret_target->column_count && result == RESULT_OK; i++)
        result = plan_column(import, ret_target->table, target, &target->columns[i], heading,
                             field_count, &ret_target->columns[i], problem);
    if (result == RESULT_OK && target->match != NULL) {
        if (catalog_column_by_name(ret_target->table, target->match) == NULL)
            return problem_set(problem, RESULT_REFUSED, "table %s has no column %s", target->table,
                               target->match);
        ret_target->match_sql =
            arena_format(arena, "SELECT id FROM \"%s\" WHERE \"%s\" = ?1 ORDER BY id LIMIT 1",
                         ret_target->table->name, target->match);
        if (ret_target->match_sql == NULL)
            return arena_full(arena, problem);
    }
    return result;
}

enum result import_plan_make(struct import *import, const struct import_file *file,
                             const struct bytes *heading, size_t field_count,
                             struct problem *problem)
{
    struct import_plan *plan = &import->plan;
    struct arena *arena = &import->file_arena;
    enum result result = RESULT_OK;

    memset(plan, 0, sizeof *plan);
    while (file->targets[plan->target_count].table != NULL)
        plan->target_count++;
    while (file->filters != NULL && file->filters[plan->filter_count].source != NULL)
        plan->filter_count++;
    plan->targets = arena_array(arena, plan->target_count, sizeof *plan->targets);
    plan->filters = arena_array(arena, plan->filter_count + 1, sizeof *plan->filters);
    if (plan->targets == NULL || plan->filters == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < plan->filter_count && result == RESULT_OK; i++) {
        plan->filters[i].filter = &file->filters[i];
        result = import_template_parse(file->filters[i].source, heading, field_count, arena,
                                       &plan->filters[i].source, problem);
    }
    for (size_t i = 0; i < plan->target_count && result == RESULT_OK; i++)
        result = plan_target(import, &file->targets[i], heading, field_count, &plan->targets[i],
                             problem);
    return result;
}

/* ---- values of a record ---- */

struct run {
    struct import *import;
    const struct import_record *record;
    bool is_skipped;
    bool is_main_new;
    bool is_optional; /* the target being read */
    bool is_dropped;  /* it can't be written, the record goes on without it */
};

static void skip(struct run *run, const char *column, const char *text, struct bytes sample)
{
    if (run->is_optional) {
        if (!run->is_dropped)
            import_report_reason(run->import, false, column, text, run->record->line, sample);
        run->is_dropped = true;
        return;
    }
    if (!run->is_skipped)
        import_report_reason(run->import, true, column, text, run->record->line, sample);
    run->is_skipped = true;
}

static void leave_out(struct run *run, const struct import_plan_column *column, const char *text,
                      struct bytes sample)
{
    if ((column->column->flags & IMPORT_REQUIRED) != 0)
        skip(run, column->name, text, sample);
    else
        import_report_reason(run->import, false, column->name, text, run->record->line, sample);
}

/* References and memos are found by their key; a row that this very record makes counts too. */
static enum result read_linked(struct run *run, const struct import_plan_column *column,
                               struct bytes text, struct value *ret_value, struct problem *problem)
{
    struct import *import = run->import;
    bool is_memo = column->column->kind == IMPORT_MEMO;
    struct import_key *key = NULL;
    enum result result = import_key_of(
        import, is_memo ? column->column->argument : column->refers_to->name, text, &key, problem);

    if (result != RESULT_OK)
        return result;
    *ret_value = value_null();
    if (is_memo && key->memo.data != NULL)
        *ret_value = value_text(key->memo);
    else if (!is_memo && (key->row_id != 0 || key->promised_by == run->record->number))
        *ret_value = value_text(text); /* looked up again when the row is written */
    else
        leave_out(run, column, "refers to a key that isn't there", text);
    return RESULT_OK;
}

/* The text of a column; IMPORT_VERBATIM takes its field as it is. */
static enum result column_text(struct run *run, const struct import_plan_column *column,
                               struct bytes *ret_text, bool *ret_is_empty, struct problem *problem)
{
    const struct import_piece *piece = column->source.pieces;

    if (column->column->kind != IMPORT_VERBATIM || column->source.piece_count != 1 ||
        piece->field == IMPORT_NO_FIELD)
        return import_template_text(&column->source, run->record->fields,
                                    &run->import->record_arena, ret_text, NULL, ret_is_empty,
                                    problem);
    *ret_text = run->record->fields[piece->field].text;
    *ret_is_empty = ret_text->size == 0 && !run->record->fields[piece->field].is_quoted;
    return RESULT_OK;
}

static enum result read_column(struct run *run, const struct import_plan_column *column,
                               struct import_draft *draft, struct problem *problem)
{
    struct arena *arena = &run->import->record_arena;
    struct value value = value_null();
    struct bytes text = {0};
    const char *fault = NULL;
    bool is_empty = false;
    enum result result = column_text(run, column, &text, &is_empty, problem);

    if (result != RESULT_OK)
        return result;
    if (column->column->kind == IMPORT_NOW)
        value = value_integer(run->import->options.now.us);
    else if (!is_empty &&
             (column->column->kind == IMPORT_REFERENCE || column->column->kind == IMPORT_MEMO))
        result = read_linked(run, column, text, &value, problem);
    else if (!is_empty &&
             (text.size > 0 || column->column->kind == IMPORT_TEXT ||
              column->column->kind == IMPORT_VERBATIM || column->column->kind == IMPORT_BOOLEAN))
        result = import_value_read(column->column, text, arena, &value, &fault, problem);
    if (result != RESULT_OK)
        return result;
    if (fault != NULL)
        leave_out(run, column, fault, text);
    else if (value.type == VALUE_NULL && (column->column->flags & IMPORT_REQUIRED) != 0)
        skip(run, column->name, "no value", text);
    draft->values[column->field->number] = value;
    if (value.type != VALUE_NULL || column->field->nullable)
        draft->mask |= UINT64_C(1) << column->field->number;
    if ((column->column->flags & IMPORT_ON_INSERT) != 0)
        draft->insert_mask |= UINT64_C(1) << column->field->number;
    return RESULT_OK;
}

/* A memo is kept at once: later records of this or another file ask for it. */
static enum result keep_memo(struct run *run, const struct import_plan_target *target,
                             struct bytes key_text, struct problem *problem)
{
    struct import *import = run->import;
    struct import_key *key = NULL;
    struct bytes text = {0};
    bool is_empty = false;
    enum result result = import_key_of(import, target->target->table, key_text, &key, problem);

    if (result == RESULT_OK)
        result = import_template_text(&target->columns[0].source, run->record->fields,
                                      &import->record_arena, &text, NULL, &is_empty, problem);
    if (result == RESULT_OK && key->memo.data == NULL && !is_empty)
        result = arena_copy(&import->keys_arena, text, &key->memo, problem);
    return result;
}

/* Columns that the table insists on and nobody filled. */
static void check_missing(struct run *run, const struct import_plan_target *target,
                          const struct import_draft *draft)
{
    for (uint8_t i = 1; i < target->table->column_count; i++) {
        const struct catalog_column *column = &target->table->columns[i];
        char name[64];

        if (column->nullable || column->default_value.type != VALUE_NULL ||
            i == target->table->home_column_no || (draft->mask & (UINT64_C(1) << i)) != 0)
            continue;
        (void)snprintf(name, sizeof name, "%s.%s", target->table->name, column->name);
        skip(run, name, "no value", bytes_of_text(""));
    }
}

static enum result read_target(struct run *run, const struct import_plan_target *target,
                               struct import_draft *draft, struct problem *problem)
{
    struct import *import = run->import;
    unsigned flags = target->target->flags;
    bool is_whole = true;
    bool is_empty = false;
    enum result result = RESULT_OK;

    if (target->target->key != NULL)
        result = import_template_text(&target->key, run->record->fields, &import->record_arena,
                                      &draft->key_text, &is_whole, &is_empty, problem);
    if (result != RESULT_OK)
        return result;
    if (!is_whole || is_empty) {
        if ((flags & IMPORT_MAIN) != 0)
            skip(run, "", "no key", bytes_of_text(target->target->key));
        return RESULT_OK;
    }
    if ((flags & IMPORT_IS_MEMO) != 0)
        return keep_memo(run, target, draft->key_text, problem);
    if (target->target->key != NULL)
        result = import_key_of(import, target->table->name, draft->key_text, &draft->key, problem);
    if (result != RESULT_OK)
        return result;
    if (draft->key != NULL && draft->key->run_line != 0 && (flags & IMPORT_MAIN) != 0) {
        skip(run, "", "the same key as an earlier record", draft->key_text);
        return RESULT_OK;
    }
    if (draft->key != NULL && draft->key->run_line != 0)
        return RESULT_OK; /* a parent that an earlier record wrote */
    run->is_optional = (flags & IMPORT_OPTIONAL) != 0;
    run->is_dropped = false;
    draft->values =
        arena_array(&import->record_arena, target->table->column_count, sizeof *draft->values);
    if (draft->values == NULL)
        return arena_full(&import->record_arena, problem);
    for (size_t i = 0; i < target->column_count && result == RESULT_OK && !run->is_skipped; i++)
        result = read_column(run, &target->columns[i], draft, problem);
    if (result == RESULT_OK && !run->is_skipped && !run->is_dropped)
        check_missing(run, target, draft);
    draft->is_wanted = !run->is_dropped;
    run->is_optional = false;
    if (draft->key != NULL && draft->is_wanted)
        draft->key->promised_by = run->record->number;
    return result;
}

static enum result check_filters(struct run *run, struct problem *problem)
{
    const struct import_plan *plan = &run->import->plan;
    enum result result = RESULT_OK;

    for (size_t i = 0; i < plan->filter_count && result == RESULT_OK && !run->is_skipped; i++) {
        struct bytes text = {0};
        bool is_empty = false;

        result = import_template_text(&plan->filters[i].source, run->record->fields,
                                      &run->import->record_arena, &text, NULL, &is_empty, problem);
        if (result == RESULT_OK &&
            bytes_equal(text, bytes_of_text(plan->filters[i].filter->equals)))
            skip(run, "", plan->filters[i].filter->reason, text);
    }
    return result;
}

/* ---- rows ---- */

static struct author author_of(const struct import *import)
{
    return (struct author){.edited_at = import->options.now};
}

static enum result resolve_references(struct run *run, const struct import_plan_target *target,
                                      struct import_draft *draft, struct problem *problem)
{
    for (size_t i = 0; i < target->column_count; i++) {
        const struct import_plan_column *column = &target->columns[i];
        struct value *value = &draft->values[column->field->number];
        const struct stored_row *row = NULL;
        struct import_key *key = NULL;
        enum result result;

        if (column->column->kind != IMPORT_REFERENCE || value->type != VALUE_TEXT)
            continue;
        result = import_key_of(run->import, column->refers_to->name, value->bytes, &key, problem);
        if (result == RESULT_OK && key->row_id != 0)
            result =
                work_row(run->import->options.work, column->refers_to, key->row_id, &row, problem);
        if (result != RESULT_OK)
            return result;
        if (row == NULL)
            return problem_set(problem, RESULT_REFUSED,
                               "%s refers to a row that isn't here any more", column->name);
        *value = value_integer(key->row_id);
    }
    return RESULT_OK;
}

/* A row that is here already, made by hand or by another system; 0: none. */
static enum result find_match(struct run *run, const struct import_plan_target *target,
                              const struct import_draft *draft, int64_t *ret_id,
                              struct problem *problem)
{
    struct work *work = run->import->options.work;
    const struct stored_row *row = NULL;
    struct store_result found = {0};
    enum result result = RESULT_OK;

    *ret_id = 0;
    if (target->match_sql != NULL) {
        const struct catalog_column *column =
            catalog_column_by_name(target->table, target->target->match);

        result =
            work_query(work, target->match_sql, &draft->values[column->number], 1, &found, problem);
        if (result == RESULT_OK)
            *ret_id = store_integer_at(&found, 0, 0, 0);
    } else if (target->table->key_column_count > 0) {
        result = work_row_by_key(work, target->table, draft->values, &row, problem);
        if (result == RESULT_OK && row != NULL)
            *ret_id = row->id;
    }
    return result;
}

static enum result insert_reference(struct run *run, const struct import_plan_target *target,
                                    const struct import_draft *draft, struct problem *problem)
{
    const struct import *import = run->import;
    const struct work_field fields[] = {
        {"table_name", value_text_of(target->table->name)},
        {"external_system", value_text_of(import->system)},
        {"external_key", value_text(draft->key_text)},
        {"row_id", value_integer(draft->key->row_id)},
        {.name = NULL},
    };
    struct author author = author_of(import);
    int64_t id = 0;

    return work_insert_fields(import->options.work, "external_ref", fields, &author, &id, problem);
}

static void count_inserted(struct run *run, const struct import_plan_target *target)
{
    if (target->count != NULL)
        target->count->inserted++;
    if ((target->target->flags & IMPORT_MAIN) == 0)
        return;
    run->is_main_new = true;
    run->import->report.inserted++;
}

static enum result insert_row(struct run *run, const struct import_plan_target *target,
                              const struct import_draft *draft, struct problem *problem)
{
    struct author author = author_of(run->import);
    int64_t id = 0;
    enum result result = work_insert(run->import->options.work, target->table, draft->values,
                                     draft->mask, &author, &id, problem);

    if (result != RESULT_OK)
        return result;
    count_inserted(run, target);
    if (draft->key == NULL)
        return RESULT_OK;
    draft->key->row_id = id;
    draft->key->is_batch_new = true;
    return insert_reference(run, target, draft, problem);
}

/* Columns to write over those of a row that is here; what people on devices wrote stays. */
static enum result changed_columns(struct run *run, const struct import_plan_target *target,
                                   const struct import_draft *draft, const struct stored_row *row,
                                   uint64_t *ret_mask, struct problem *problem)
{
    struct versions versions;
    enum result result = versions_of_row(row, &versions, problem);

    *ret_mask = 0;
    for (size_t i = 0; i < target->column_count && result == RESULT_OK; i++) {
        const struct import_plan_column *column = &target->columns[i];
        uint8_t number = column->field->number;
        uint64_t bit = UINT64_C(1) << number;

        if ((draft->mask & bit) == 0 || (draft->insert_mask & bit) != 0 ||
            value_equal(&draft->values[number], &row->values[number]))
            continue;
        if (target->table->append_only)
            import_report_reason(run->import, false, column->name,
                                 "differs from the fact that is here, which is never changed",
                                 run->record->line, draft->key_text);
        else if (versions_of_column(&versions, number).replica_no != 0)
            import_report_reason(run->import, false, column->name,
                                 "edited on a device since: what is here stays", run->record->line,
                                 draft->key_text);
        else
            *ret_mask |= bit;
    }
    return result;
}

static enum result update_row(struct run *run, const struct import_plan_target *target,
                              const struct import_draft *draft, int64_t id, struct problem *problem)
{
    struct import *import = run->import;
    bool is_main = (target->target->flags & IMPORT_MAIN) != 0;
    const struct stored_row *row = NULL;
    struct author author = author_of(import);
    uint64_t mask = 0;
    enum result result = work_row(import->options.work, target->table, id, &row, problem);

    if (result != RESULT_OK)
        return result;
    if (row == NULL) {
        import_report_reason(import, is_main, "", "deleted here since: not brought back",
                             run->record->line, draft->key_text);
        run->is_skipped = run->is_skipped || is_main;
        return RESULT_OK;
    }
    result = changed_columns(run, target, draft, row, &mask, problem);
    if (result == RESULT_OK && mask != 0)
        result = work_update(import->options.work, target->table, id, draft->values, mask, &author,
                             problem);
    if (result != RESULT_OK)
        return result;
    if (target->count != NULL)
        *(mask != 0 ? &target->count->updated : &target->count->unchanged) += 1;
    if (is_main)
        *(mask != 0 ? &import->report.updated : &import->report.unchanged) += 1;
    return RESULT_OK;
}

static enum result write_target(struct run *run, const struct import_plan_target *target,
                                struct import_draft *draft, struct problem *problem)
{
    bool is_once = (target->target->flags & IMPORT_ONCE) != 0;
    int64_t id = 0;
    enum result result;

    if (!draft->is_wanted || run->is_skipped || (is_once && !run->is_main_new))
        return RESULT_OK;
    result = resolve_references(run, target, draft, problem);
    if (result != RESULT_OK || draft->key == NULL)
        return result != RESULT_OK ? result : insert_row(run, target, draft, problem);
    draft->key->run_line = run->record->line;
    import_keys_of_batch_add(run->import, draft->key);
    if (draft->key->row_id != 0)
        return update_row(run, target, draft, draft->key->row_id, problem);
    result = find_match(run, target, draft, &id, problem);
    if (result != RESULT_OK || id == 0)
        return result != RESULT_OK ? result : insert_row(run, target, draft, problem);
    draft->key->row_id = id;
    draft->key->is_batch_new = true;
    result = insert_reference(run, target, draft, problem);
    if (result == RESULT_OK)
        result = update_row(run, target, draft, id, problem);
    return result;
}

enum result import_record_run(struct import *import, const struct import_record *record,
                              struct problem *problem)
{
    const struct import_plan *plan = &import->plan;
    struct run run = {.import = import, .record = record};
    struct import_draft *drafts;
    enum result result;

    arena_reset(&import->record_arena);
    drafts = arena_array(&import->record_arena, plan->target_count, sizeof *drafts);
    if (drafts == NULL)
        return arena_full(&import->record_arena, problem);
    result = check_filters(&run, problem);
    for (size_t i = 0; i < plan->target_count && result == RESULT_OK && !run.is_skipped; i++)
        result = read_target(&run, &plan->targets[i], &drafts[i], problem);
    for (size_t i = 0; i < plan->target_count && result == RESULT_OK && !run.is_skipped; i++)
        result = write_target(&run, &plan->targets[i], &drafts[i], problem);
    return result;
}

/* ---- reading ahead ---- */

static enum result prefetch_target(struct import *import, const struct import_plan_target *target,
                                   int64_t *ids, struct problem *problem)
{
    size_t count = 0;
    enum result result = RESULT_OK;

    for (size_t i = 0; i < import->record_count && result == RESULT_OK; i++) {
        struct import_key *key = NULL;
        struct bytes text = {0};
        bool is_whole = false;
        bool is_empty = false;

        result = import_template_text(&target->key, import->records[i].fields,
                                      &import->record_arena, &text, &is_whole, &is_empty, problem);
        if (result != RESULT_OK || !is_whole || is_empty)
            continue;
        result = import_key_of(import, target->table->name, text, &key, problem);
        if (result == RESULT_OK && key->row_id != 0 && key->run_line == 0)
            ids[count++] = key->row_id;
    }
    if (result == RESULT_OK && count > 0)
        result = work_prefetch(import->options.work, target->table, ids, count, problem);
    return result;
}

enum result import_records_prefetch(struct import *import, struct problem *problem)
{
    int64_t *ids;
    enum result result = RESULT_OK;

    for (size_t i = 0; i < import->plan.target_count && result == RESULT_OK; i++) {
        const struct import_plan_target *target = &import->plan.targets[i];

        if (target->table == NULL || target->target->key == NULL)
            continue;
        arena_reset(&import->record_arena);
        ids = arena_array(&import->record_arena, import->record_count, sizeof *ids);
        if (ids == NULL)
            return arena_full(&import->record_arena, problem);
        result = prefetch_target(import, target, ids, problem);
    }
    return result;
}
