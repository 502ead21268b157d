/* SPDX-License-Identifier: Apache-2.0 */
/* import PROFILE FILE...: reads files, shows progress, prints what became of the records. */
#include "server/service/import.h"

#include "edge/files.h"
#include "server/cli/cli_commands.h"
#include "server/service/import_generic.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { RESCOPE_SIZE_MAX = 64 * 1024 * 1024 };

static const struct option_spec SPECS[] = {
    {"dry-run", 'n', NULL, "change nothing, report the same"},
    {"limit-errors", 0, "N", "stop when more than N records have to be skipped (0: never)"},
    {"table", 0, "TABLE", "profile csv: the table to fill"},
    {"map", 0, "COLUMN=FIELD,...", "profile csv: which column is which field; may be repeated"},
    {"key", 0, "COLUMN", "profile csv: the column that tells rows apart (id, or the first mapped)"},
    {"system", 0, "NAME", "name of the other system, under which keys are remembered (csv)"},
    {"raw", 0, NULL, "profile csv: numbers are as the table stores them (cents, microseconds)"},
    {"dates", 0, "ORDER", "profile csv: ymd (default), dmy or mdy"},
    {"decimal-comma", 0, NULL, "profile csv: 12,50 and not 12.50"},
    {"separator", 0, "CHARACTER", "profile csv: in place of the one that is found"},
    {"encoding", 0, "NAME", "profile csv: auto, utf-8, windows-1252, utf-16le, utf-16be"},
};
enum { SPEC_COUNT = sizeof SPECS / sizeof SPECS[0] };

/* ---- a file as a source ---- */

struct file_source {
    const char *path;
    uint64_t offset;
    struct buffer part;
};

static enum result read_file(void *context, uint8_t *room, size_t size, size_t *ret_size,
                             struct problem *problem)
{
    struct file_source *file = context;
    enum result result;

    buffer_reset(&file->part);
    result = files_read_part(file->path, file->offset, size, &file->part, problem);
    if (result != RESULT_OK)
        return result;
    if (file->part.size > 0)
        memcpy(room, file->part.data, file->part.size);
    file->offset += file->part.size;
    *ret_size = file->part.size;
    return RESULT_OK;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

static enum result read_path(struct import *import, const struct import_file *file,
                             const char *path, struct problem *problem)
{
    struct file_source context = {.path = path};
    const struct csv_source source = {read_file, &context};
    enum result result;

    buffer_init(&context.part, 1024 * 1024);
    result = import_read(import, file, base_name(path), &source, problem);
    buffer_done(&context.part);
    return result;
}

/* ---- the profile ---- */

static enum result separator_of(const struct options *options, char *ret_separator,
                                struct problem *problem)
{
    const char *text = options_value(options, "separator");

    *ret_separator = 0;
    if (text == NULL)
        return RESULT_OK;
    if (strcmp(text, "\\t") == 0 || strcmp(text, "TAB") == 0)
        text = "\t";
    if (strlen(text) != 1 || text[0] == '"' || text[0] == '\n')
        return problem_set(problem, RESULT_REFUSED, "--separator takes one character, or TAB");
    *ret_separator = text[0];
    return RESULT_OK;
}

static enum result order_of(const struct options *options, const char **ret_order,
                            struct problem *problem)
{
    const char *text = options_value(options, "dates");

    *ret_order = NULL;
    if (text == NULL || strcmp(text, "ymd") == 0)
        return RESULT_OK;
    if (strcmp(text, "dmy") != 0 && strcmp(text, "mdy") != 0)
        return problem_set(problem, RESULT_REFUSED, "--dates takes ymd, dmy or mdy");
    *ret_order = text;
    return RESULT_OK;
}

/* The first record of a file, copied. */
static enum result read_heading(struct cli *cli, const struct import_generic *generic,
                                const char *path, struct bytes *names, size_t *ret_count,
                                struct problem *problem)
{
    struct file_source context = {.path = path};
    const struct csv_source source = {read_file, &context};
    const struct csv_format format = {.separator = generic->separator,
                                      .encoding = generic->encoding};
    struct csv_reader *reader = NULL;
    struct csv_record record = {0};
    enum result result;

    buffer_init(&context.part, 1024 * 1024);
    result = csv_create(&format, &source, &reader, problem);
    if (result == RESULT_OK)
        result = csv_next(reader, &record, problem);
    for (size_t i = 0; i < record.field_count && result == RESULT_OK; i++)
        result = arena_copy(&cli->arena, record.fields[i].text, &names[i], problem);
    if (result == RESULT_OK)
        *ret_count = record.field_count;
    csv_destroy(reader);
    buffer_done(&context.part);
    return result;
}

static enum result generic_profile(struct cli *cli, const struct import_profile **ret_profile,
                                   struct problem *problem)
{
    const struct options *options = cli->options;
    const char *encoding = options_value(options, "encoding");
    struct import_pair pairs[ROW_COLUMNS_MAX];
    struct bytes heading[CSV_FIELD_COUNT_MAX];
    struct import_generic generic = {
        .table = options_value(options, "table"),
        .system = options_value(options, "system"),
        .pairs = pairs,
        .key = options_value(options, "key"),
        .is_raw = options_count(options, "raw") > 0,
        .decimal_mark = options_count(options, "decimal-comma") > 0 ? ',' : '.',
        .heading = heading,
    };
    enum result result = RESULT_OK;

    if (generic.table == NULL)
        return problem_set(problem, RESULT_REFUSED, "import csv needs --table");
    if (generic.system == NULL)
        generic.system = "csv";
    if (encoding != NULL && !csv_encoding_parse(encoding, &generic.encoding))
        return problem_set(problem, RESULT_REFUSED, "--encoding takes %s",
                           SPECS[SPEC_COUNT - 1].help);
    for (size_t i = 0; i < options->given_count && result == RESULT_OK; i++)
        if (strcmp(options->given[i].spec->name, "map") == 0)
            result = import_generic_pairs(options->given[i].value, &cli->arena, pairs,
                                          ROW_COLUMNS_MAX, &generic.pair_count, problem);
    if (result == RESULT_OK)
        result = separator_of(options, &generic.separator, problem);
    if (result == RESULT_OK)
        result = order_of(options, &generic.order, problem);
    if (result == RESULT_OK && generic.pair_count == 0)
        result = read_heading(cli, &generic, cli_argument(cli, 1), heading, &generic.heading_count,
                              problem);
    if (result == RESULT_OK)
        result = import_generic_profile(cli->catalog, &generic, &cli->arena, ret_profile, problem);
    return result;
}

static enum result find_profile(struct cli *cli, const struct import_profile **ret_profile,
                                struct problem *problem)
{
    const char *name = cli_argument(cli, 0);

    if (strcmp(name, "csv") == 0)
        return generic_profile(cli, ret_profile, problem);
    *ret_profile = import_profile_by_name(name);
    for (const struct import_profile *known = IMPORT_PROFILES;
         *ret_profile == NULL && known->name != NULL; known++)
        if (options_is_near(name, known->name))
            return problem_set(problem, RESULT_REFUSED, "no profile '%s': did you mean '%s'?", name,
                               known->name);
    if (*ret_profile == NULL)
        return problem_set(problem, RESULT_REFUSED,
                           "no profile '%s'; there are csv, nyc-elevators, openrepair,"
                           " adventureworks, maintnorm, istat-comuni",
                           name);
    return RESULT_OK;
}

/* ---- the run ---- */

struct progress {
    bool is_shown;
    bool is_started;
};

static void show_progress(void *context, const struct import_report *report,
                          const struct work_outcome *outcome)
{
    struct progress *progress = context;
    struct problem ignored = {0};
    char text[256];
    int size;

    (void)outcome;
    if (!progress->is_shown)
        return;
    size = snprintf(text, sizeof text,
                    "\r%.60s: line %" PRId64 ", %" PRId64 " records, %" PRId64 " skipped ",
                    report->file, report->line_committed, report->read, report->skipped);
    progress->is_started = true;
    if (size > 0 && (size_t)size < sizeof text &&
        terminal_write(STDERR_FILENO, bytes_of(text, (size_t)size), &ignored) != RESULT_OK)
        progress->is_shown = false;
}

/* To stderr: it is said about the data, also with --json. */
static void say_missing(const char *path)
{
    char text[FILES_PATH_SIZE + 32];
    struct problem ignored = {0};
    int size = snprintf(text, sizeof text, "not there: %s\n", path);

    if (size > 0 && (size_t)size < sizeof text)
        (void)!terminal_write(STDERR_FILENO, bytes_of(text, (size_t)size), &ignored);
}

/* A folder: those of the profile's files that are in it, in the profile's order. */
static enum result read_folder(struct import *import, const struct import_profile *profile,
                               const char *folder, struct problem *problem)
{
    size_t count = 0;
    enum result result = RESULT_OK;

    for (const struct import_file *file = profile->files;
         file->targets != NULL && result == RESULT_OK; file++) {
        char path[FILES_PATH_SIZE];

        result = files_join(folder, file->name, path, problem);
        if (result != RESULT_OK)
            break;
        if (!files_exists(path)) {
            say_missing(path);
            continue;
        }
        count++;
        result = read_path(import, file, path, problem);
    }
    if (result == RESULT_OK && count == 0)
        result = problem_set(problem, RESULT_REFUSED, "%s has none of the files of %s", folder,
                             profile->name);
    return result;
}

static enum result read_all(struct cli *cli, struct import *import,
                            const struct import_profile *profile, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (int i = 1; cli_argument(cli, i) != NULL && result == RESULT_OK; i++) {
        const char *path = cli_argument(cli, i);
        const struct import_file *file = import_file_by_name(profile, base_name(path));

        if (profile->is_folder && !files_exists(path))
            result = read_folder(import, profile, path, problem);
        else if (file == NULL)
            result = problem_set(problem, RESULT_REFUSED, "%s is no file of the profile %s", path,
                                 profile->name);
        else
            result = read_path(import, file, path, problem);
    }
    return result;
}

/* ---- the report ---- */

static enum result say_lines(struct cli *cli, const struct import_reason *reason,
                             struct problem *problem)
{
    enum result result = RESULT_OK;

    for (int64_t i = 0; i < reason->count && i < IMPORT_LINES_MAX && result == RESULT_OK; i++)
        result = cli_say(cli, problem, "%s%" PRId64, i == 0 ? ", lines " : ", ", reason->lines[i]);
    if (result == RESULT_OK)
        result = cli_say(cli, problem, "%s\n", reason->count > IMPORT_LINES_MAX ? ", ..." : "");
    return result;
}

static enum result say_reasons(struct cli *cli, const struct import_report *report, bool is_skip,
                               struct problem *problem)
{
    enum result result = RESULT_OK;
    bool is_first = true;

    for (size_t i = 0; i < report->reason_count && result == RESULT_OK; i++) {
        const struct import_reason *reason = &report->reasons[i];

        if (reason->is_skip != is_skip)
            continue;
        if (is_first)
            result = cli_say(cli, problem, is_skip ? "skipped records:\n" : "values left out:\n");
        is_first = false;
        if (result == RESULT_OK)
            result = cli_say(cli, problem, "  %" PRId64 " x %s%s%s", reason->count, reason->column,
                             reason->column[0] != 0 ? ": " : "", reason->text);
        if (result == RESULT_OK && reason->sample[0] != 0) {
            result = cli_say(cli, problem, " (");
            if (result == RESULT_OK && !cli->is_json)
                result = terminal_append_plain(&cli->out, bytes_of_text(reason->sample), problem);
            if (result == RESULT_OK)
                result = cli_say(cli, problem, ")");
        }
        if (result == RESULT_OK)
            result = cli_say(cli, problem, "; %s", reason->file);
        if (result == RESULT_OK)
            result = say_lines(cli, reason, problem);
    }
    return result;
}

static enum result say_report(struct cli *cli, const struct import_report *report,
                              struct problem *problem)
{
    enum result result =
        cli_say(cli, problem,
                "%s%" PRId64 " records read: %" PRId64 " new, %" PRId64 " changed, %" PRId64
                " unchanged, %" PRId64 " skipped\n",
                report->is_dry_run ? "dry run, nothing is written: " : "", report->read,
                report->inserted, report->updated, report->unchanged, report->skipped);

    for (size_t i = 0; i < report->count_count && result == RESULT_OK; i++)
        result = cli_say(cli, problem,
                         "  %-20s %9" PRId64 " new %9" PRId64 " changed %9" PRId64 " unchanged\n",
                         report->counts[i].table, report->counts[i].inserted,
                         report->counts[i].updated, report->counts[i].unchanged);
    if (result == RESULT_OK)
        result = say_reasons(cli, report, true, problem);
    if (result == RESULT_OK)
        result = say_reasons(cli, report, false, problem);
    if (result == RESULT_OK && report->more_reasons > 0)
        result = cli_say(cli, problem, "  and %" PRId64 " more for other reasons\n",
                         report->more_reasons);
    return result;
}

static void json_number(struct terminal_json *json, const char *key, int64_t number)
{
    terminal_json_key(json, key);
    terminal_json_number(json, number);
}

static void json_reason(struct terminal_json *json, const struct import_reason *reason)
{
    terminal_json_object_begin(json);
    terminal_json_key(json, "skipped");
    terminal_json_boolean(json, reason->is_skip);
    terminal_json_key(json, "file");
    terminal_json_text(json, reason->file);
    terminal_json_key(json, "column");
    terminal_json_text(json, reason->column);
    terminal_json_key(json, "reason");
    terminal_json_text(json, reason->text);
    terminal_json_key(json, "sample");
    terminal_json_text(json, reason->sample);
    json_number(json, "count", reason->count);
    terminal_json_key(json, "lines");
    terminal_json_array_begin(json);
    for (int64_t i = 0; i < reason->count && i < IMPORT_LINES_MAX; i++)
        terminal_json_number(json, reason->lines[i]);
    terminal_json_array_end(json);
    terminal_json_object_end(json);
}

static enum result json_report(struct cli *cli, const struct import_report *report,
                               struct problem *problem)
{
    struct terminal_json json;

    terminal_json_init(&json, &cli->out);
    terminal_json_object_begin(&json);
    terminal_json_key(&json, "dry_run");
    terminal_json_boolean(&json, report->is_dry_run);
    json_number(&json, "read", report->read);
    json_number(&json, "inserted", report->inserted);
    json_number(&json, "updated", report->updated);
    json_number(&json, "unchanged", report->unchanged);
    json_number(&json, "skipped", report->skipped);
    json_number(&json, "bytes", report->size);
    terminal_json_key(&json, "tables");
    terminal_json_array_begin(&json);
    for (size_t i = 0; i < report->count_count; i++) {
        terminal_json_object_begin(&json);
        terminal_json_key(&json, "table");
        terminal_json_text(&json, report->counts[i].table);
        json_number(&json, "inserted", report->counts[i].inserted);
        json_number(&json, "updated", report->counts[i].updated);
        json_number(&json, "unchanged", report->counts[i].unchanged);
        terminal_json_object_end(&json);
    }
    terminal_json_array_end(&json);
    terminal_json_key(&json, "reasons");
    terminal_json_array_begin(&json);
    for (size_t i = 0; i < report->reason_count; i++)
        json_reason(&json, &report->reasons[i]);
    terminal_json_array_end(&json);
    json_number(&json, "more_reasons", report->more_reasons);
    terminal_json_object_end(&json);
    return terminal_json_finish(&json, problem);
}

/* A failed run prints what it did too, to stderr, and how to go on. */
static void report_failure(struct cli *cli, const struct import_report *report,
                           struct problem *problem)
{
    struct problem ignored = {0};
    struct problem cause = *problem;

    cli->is_json = false;
    if (report->read > 0 && say_report(cli, report, &ignored) == RESULT_OK)
        (void)!terminal_write(STDERR_FILENO, buffer_bytes(&cli->out), &ignored);
    buffer_reset(&cli->out);
    if (report->is_dry_run || report->batches == 0)
        (void)!problem_set(problem, RESULT_OK, "%.380s. Nothing was written", cause.text);
    else
        (void)!problem_set(problem, RESULT_OK,
                           "%.320s. %" PRId64 " batches are written (%.60s up to line %" PRId64
                           "); give the command again, what is in is recognised",
                           cause.text, report->batches, report->file, report->line_committed);
}

/* ---- the command ---- */

static enum result read_digest_key(struct cli *cli, uint8_t ret_key[16], struct problem *problem)
{
    struct store_result found = {0};
    struct bytes key;
    enum result result = cli_query(cli, "SELECT data FROM fs_state WHERE name='digest_key'", NULL,
                                   0, &found, problem);

    if (result != RESULT_OK)
        return result;
    key = store_bytes_at(&found, 0, 0);
    if (key.size != 16)
        return problem_set(problem, RESULT_STORAGE, "the master has no digest key");
    memcpy(ret_key, key.data, key.size);
    return RESULT_OK;
}

/* Who may see what is in now: everybody's subscription once, not after each batch. */
static enum result rescope(struct cli *cli, struct problem *problem)
{
    struct job *job = job_create(JOB_RESCOPE, RESCOPE_SIZE_MAX);
    struct master_outcome outcome = {0};
    enum result result;

    if (job == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory");
    result = master_write(cli->master, &job, 1, cli->now, &outcome, problem);
    if (result == RESULT_OK && job->result != RESULT_OK) {
        *problem = job->problem;
        result = job->result;
    }
    job_destroy(job);
    return result;
}

static enum result run_with(struct cli *cli, const struct import_options *options,
                            const struct import_profile *profile, struct problem *problem)
{
    struct progress *progress = options->context;
    struct problem ignored = {0};
    struct import *import = NULL;
    enum result result = import_create(options, profile, &import, problem);

    if (result != RESULT_OK)
        return result;
    result = read_all(cli, import, profile, problem);
    if (progress->is_started)
        (void)!terminal_write(STDERR_FILENO, bytes_of_text("\n"), &ignored);
    if (result != RESULT_OK)
        report_failure(cli, import_report(import), problem);
    else
        result = cli->is_json ? json_report(cli, import_report(import), problem)
                              : say_report(cli, import_report(import), problem);
    import_destroy(import);
    return result;
}

static enum result run_import(struct cli *cli, struct problem *problem)
{
    const char *limit = options_value(cli->options, "limit-errors");
    struct progress progress = {.is_shown = terminal_is_interactive(STDERR_FILENO)};
    struct import_options options = {
        .store = master_store(cli->master),
        .now = cli->now,
        .is_dry_run = options_count(cli->options, "dry-run") > 0,
        .system = options_value(cli->options, "system"),
        .batch_done = show_progress,
        .context = &progress,
    };
    const struct import_profile *profile = NULL;
    uint8_t digest_key[16];
    enum result result = RESULT_OK;

    if (limit != NULL)
        result = cli_integer(limit, "--limit-errors", &options.skip_count_max, problem);
    if (result == RESULT_OK)
        result = find_profile(cli, &profile, problem);
    if (result == RESULT_OK)
        result = read_digest_key(cli, digest_key, problem);
    if (result == RESULT_OK)
        result = work_create(options.store, import_reactions(profile), digest_key, &options.work,
                             problem);
    if (result == RESULT_OK)
        result = run_with(cli, &options, profile, problem);
    work_destroy(options.work);
    if (result == RESULT_OK && !options.is_dry_run)
        result = rescope(cli, problem);
    return result;
}

static const struct cli_action ACTIONS[] = {{NULL, "PROFILE FILE...", 2, 1000, run_import}};

const struct cli_family CLI_IMPORT = {
    .command = {"import",
                "bring in rows of other systems; profiles: csv, nyc-elevators, openrepair,"
                " adventureworks, maintnorm, istat-comuni",
                "PROFILE FILE...", 2, 1000, SPECS, SPEC_COUNT},
    .actions = ACTIONS,
    .action_count = 1,
};
