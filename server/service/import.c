/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/import.h"

#include "base/invariant.h"
#include "server/service/import_inside.h"
#include "server/service/service.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH_ARENA_SIZE_MAX = 64 * 1024 * 1024,
    FILE_ARENA_SIZE_MAX = 4 * 1024 * 1024,
    RECORD_ARENA_SIZE_MAX = 32 * 1024 * 1024,
};

/* ---- opening ---- */

const struct reaction *import_reactions(const struct import_profile *profile)
{
    return profile->is_history ? NULL : service_reactions();
}

enum result import_create(const struct import_options *options,
                          const struct import_profile *profile, struct import **ret_import,
                          struct problem *problem)
{
    struct import *import = calloc(1, sizeof *import);
    enum result result = RESULT_OK;

    if (import == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for an import");
    import->options = *options;
    import->profile = profile;
    import->system = options->system != NULL ? options->system : profile->system;
    import->catalog = options->store->catalog;
    import->external_ref = catalog_table_by_name(import->catalog, "external_ref");
    import->report.is_dry_run = options->is_dry_run;
    arena_init(&import->keys_arena, IMPORT_KEYS_SIZE_MAX);
    arena_init(&import->file_arena, FILE_ARENA_SIZE_MAX);
    arena_init(&import->batch_arena, BATCH_ARENA_SIZE_MAX);
    arena_init(&import->record_arena, RECORD_ARENA_SIZE_MAX);
    lookup_init(&import->keys, &import->keys_arena);
    if (import->external_ref == NULL)
        result = problem_set(problem, RESULT_REFUSED, "the model has no table external_ref");
    if (result == RESULT_OK)
        result = import_keys_load(import, problem);
    if (result == RESULT_OK && options->is_dry_run) {
        result = store_begin(options->store, STORE_WRITE, problem);
        import->is_open = result == RESULT_OK;
    }
    if (result == RESULT_OK)
        *ret_import = import;
    else
        import_destroy(import);
    return result;
}

void import_destroy(struct import *import)
{
    if (import == NULL)
        return;
    if (import->is_open)
        store_rollback(import->options.store);
    arena_done(&import->keys_arena);
    arena_done(&import->file_arena);
    arena_done(&import->batch_arena);
    arena_done(&import->record_arena);
    free(import);
}

const struct import_report *import_report(const struct import *import)
{
    return &import->report;
}

const struct import_file *import_file_by_name(const struct import_profile *profile,
                                              const char *base_name)
{
    for (const struct import_file *file = profile->files; file->targets != NULL; file++)
        if (file->name == NULL || strcmp(file->name, base_name) == 0)
            return file;
    return NULL;
}

/* ---- a batch ---- */

/* All records in one go; RESULT_REFUSED: some of them can't be, the caller tries one by one. */
static enum result run_together(struct import *import, struct problem *problem)
{
    struct work *work = import->options.work;
    enum result result = work_savepoint(work, problem);

    if (result == RESULT_OK)
        result = import_records_prefetch(import, problem);
    for (size_t i = 0; i < import->record_count && result == RESULT_OK; i++)
        result = import_record_run(import, &import->records[i], problem);
    if (result == RESULT_OK)
        result = work_settle(work, problem);
    if (result == RESULT_OK)
        result = work_release(work, problem);
    if (result == RESULT_OK)
        import_keys_of_batch_keep(import);
    return result;
}

static enum result run_one(struct import *import, const struct import_record *record,
                           struct problem *problem)
{
    struct work *work = import->options.work;
    struct problem refusal = {0};
    enum result result = work_savepoint(work, problem);

    import->report_before = import->report;
    if (result != RESULT_OK)
        return result;
    result = import_record_run(import, record, &refusal);
    if (result == RESULT_OK)
        result = work_settle(work, &refusal);
    if (result == RESULT_OK)
        result = work_flush(work, &refusal);
    if (result == RESULT_OK) {
        import_keys_of_batch_keep(import);
        return work_release(work, problem);
    }
    if (result != RESULT_REFUSED) {
        *problem = refusal;
        return result;
    }
    import_keys_of_batch_undo(import);
    import->report = import->report_before;
    import_report_reason(import, true, "", refusal.text, record->line, bytes_of_text(""));
    return work_undo(work, problem);
}

static enum result run_one_by_one(struct import *import, struct problem *problem)
{
    enum result result = work_undo(import->options.work, problem);

    for (size_t i = 0; i < import->record_count && result == RESULT_OK; i++)
        result = run_one(import, &import->records[i], problem);
    return result;
}

static enum result run_records(struct import *import, struct work_outcome *ret_outcome,
                               struct problem *problem)
{
    struct work *work = import->options.work;
    struct problem refusal = {0};
    enum result result = work_begin(work, import->options.now, problem);

    if (result != RESULT_OK)
        return result;
    import->report_before = import->report;
    result = run_together(import, &refusal);
    if (result == RESULT_REFUSED) {
        import_keys_of_batch_undo(import);
        import->report = import->report_before;
        result = run_one_by_one(import, problem);
    } else if (result != RESULT_OK) {
        *problem = refusal;
    }
    if (result == RESULT_OK)
        result = work_finish(work, ret_outcome, problem);
    return result;
}

static enum result check_skips(const struct import *import, struct problem *problem)
{
    int64_t limit = import->options.skip_count_max;

    if (limit > 0 && import->report.skipped > limit)
        return problem_set(problem, RESULT_REFUSED,
                           "%" PRId64 " records had to be skipped, the limit is %" PRId64,
                           import->report.skipped, limit);
    return RESULT_OK;
}

/* What the undone batch wrote isn't there; what it found wrong with the file is still so. */
static void undo_counts(struct import *import, const struct import_report *before)
{
    struct import_report *report = &import->report;

    report->inserted = before->inserted;
    report->updated = before->updated;
    report->unchanged = before->unchanged;
    memcpy(report->counts, before->counts, sizeof report->counts);
}

/* Writes the batch and makes it durable, or undoes all of it. */
static enum result write_batch(struct import *import, struct problem *problem)
{
    struct store *store = import->options.store;
    struct work_outcome outcome = {0};
    struct import_report before = import->report;
    bool is_dry_run = import->options.is_dry_run;
    enum result result = RESULT_OK;

    if (!is_dry_run)
        result = store_begin(store, STORE_WRITE, problem);
    if (result != RESULT_OK)
        return result;
    result = run_records(import, &outcome, problem);
    if (result == RESULT_OK)
        result = check_skips(import, problem);
    if (result == RESULT_OK && !is_dry_run)
        result = store_commit(store, problem);
    if (result != RESULT_OK) {
        work_abandon(import->options.work);
        store_rollback(store);
        import->is_open = false;
        import->is_broken = true;
        import_keys_of_batch_undo(import);
        undo_counts(import, &before);
        return result;
    }
    import->report.batches++;
    import->report.line_committed = import->line_last;
    arena_reset(&import->batch_arena);
    import->records = NULL;
    import->record_count = 0;
    if (import->options.batch_done != NULL)
        import->options.batch_done(import->options.context, &import->report,
                                   is_dry_run ? NULL : &outcome);
    return is_dry_run ? RESULT_OK : store_tidy(store, problem);
}

/* ---- a file ---- */

/* Copies a record into the batch. */
static enum result keep_record(struct import *import, const struct csv_record *record,
                               struct problem *problem)
{
    struct arena *arena = &import->batch_arena;
    struct import_record *kept;
    const char *number;
    enum result result = RESULT_OK;

    if (import->records == NULL)
        import->records = arena_array(arena, IMPORT_BATCH_ROWS, sizeof *import->records);
    if (import->records == NULL)
        return arena_full(arena, problem);
    kept = &import->records[import->record_count];
    kept->line = record->line;
    kept->number = ++import->record_number;
    kept->fields =
        arena_array(arena, import->field_count + IMPORT_EXTRA_FIELDS, sizeof *kept->fields);
    if (kept->fields == NULL)
        return arena_full(arena, problem);
    number = arena_format(arena, "%" PRId64, ++import->file_record_number);
    if (number == NULL)
        return arena_full(arena, problem);
    kept->fields[import->field_count].text = import->stem;
    kept->fields[import->field_count + 1].text = bytes_of_text(number);
    for (size_t i = 0; i < import->field_count && result == RESULT_OK; i++) {
        kept->fields[i] = record->fields[i];
        result = arena_copy(arena, record->fields[i].text, &kept->fields[i].text, problem);
    }
    import->record_count++;
    return result;
}

/* Fields beyond the heading don't matter if nothing is in them. */
static bool has_right_width(const struct csv_record *record, size_t field_count)
{
    for (size_t i = field_count; i < record->field_count; i++)
        if (record->fields[i].text.size > 0)
            return false;
    return record->field_count >= field_count;
}

static enum result take_record(struct import *import, const struct csv_record *record,
                               struct problem *problem)
{
    char text[IMPORT_TEXT_SIZE];

    import->report.read++;
    if (record->fault != NULL) {
        import_report_reason(import, true, "", record->fault, record->line, bytes_of_text(""));
        return check_skips(import, problem);
    }
    if (!has_right_width(record, import->field_count)) {
        (void)snprintf(text, sizeof text, "%zu fields in place of %zu", record->field_count,
                       import->field_count);
        import_report_reason(import, true, "", text, record->line, record->fields[0].text);
        return check_skips(import, problem);
    }
    return keep_record(import, record, problem);
}

static enum result read_heading(struct import *import, const struct import_file *file,
                                struct csv_reader *reader, struct problem *problem)
{
    struct csv_record record = {0};
    struct bytes names[CSV_FIELD_COUNT_MAX];
    enum result result;

    import->field_count = file->field_count;
    if (!file->has_heading)
        return import_plan_make(import, file, NULL, file->field_count, problem);
    result = csv_next(reader, &record, problem);
    if (result != RESULT_OK)
        return result;
    if (record.line == 0)
        return problem_set(problem, RESULT_REFUSED, "the file is empty");
    if (record.fault != NULL)
        return problem_set(problem, RESULT_REFUSED, "the heading has %s", record.fault);
    import->field_count = record.field_count;
    for (size_t i = 0; i < record.field_count; i++)
        names[i] = import_trim(record.fields[i].text);
    return import_plan_make(import, file, names, record.field_count, problem);
}

static enum result read_records(struct import *import, struct csv_reader *reader,
                                struct problem *problem)
{
    struct csv_record record = {.line = 1};
    int64_t size_before = import->report.size;
    enum result result = RESULT_OK;

    while (result == RESULT_OK && record.line != 0) {
        result = csv_next(reader, &record, problem);
        if (result == RESULT_OK && record.line != 0) {
            import->line_last = record.line;
            result = take_record(import, &record, problem);
        }
        import->report.size = size_before + csv_size(reader);
        (void)snprintf(import->report.encoding, sizeof import->report.encoding, "%s",
                       csv_encoding_name(reader));
        if (result == RESULT_OK && (import->record_count == IMPORT_BATCH_ROWS ||
                                    import->batch_arena.size > IMPORT_BATCH_SIZE_SOFT))
            result = write_batch(import, problem);
    }
    if (result == RESULT_OK && import->record_count > 0)
        result = write_batch(import, problem);
    return result;
}

enum result import_read(struct import *import, const struct import_file *file,
                        const char *base_name, const struct csv_source *source,
                        struct problem *problem)
{
    const char *dot = strrchr(base_name, '.');
    struct csv_reader *reader = NULL;
    enum result result;

    invariant(!import->is_broken);
    (void)snprintf(import->report.file, sizeof import->report.file, "%s", base_name);
    import->report.line_committed = 0;
    import->line_last = 0;
    import->file_record_number = 0;
    import->stem = bytes_of(base_name, dot == NULL ? strlen(base_name) : (size_t)(dot - base_name));
    import->record_count = 0;
    import->records = NULL;
    arena_reset(&import->batch_arena);
    arena_reset(&import->file_arena);
    result = csv_create(&file->format, source, &reader, problem);
    if (result == RESULT_OK)
        result = read_heading(import, file, reader, problem);
    if (result == RESULT_OK)
        result = read_records(import, reader, problem);
    csv_destroy(reader);
    if (result != RESULT_OK)
        problem_add(problem, "%s", base_name);
    return result;
}
