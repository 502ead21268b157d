/* SPDX-License-Identifier: Apache-2.0 */
/* export --table NAME [FILE]: a table of the master as CSV or JSON. */
#include "server/service/export.h"

#include "edge/files.h"
#include "server/cli/cli_commands.h"
#include "server/service/audit.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static const struct option_spec SPECS[] = {
    {"table", 't', "TABLE", "which one"},
    {"format", 'f', "FORMAT", "csv (default) or json"},
    {"spreadsheet", 0, NULL, "csv: an apostrophe before texts that a spreadsheet would run"},
};

static enum result write_stdout(void *context, struct bytes piece, struct problem *problem)
{
    (void)context;
    return terminal_write(STDOUT_FILENO, piece, problem);
}

static enum result write_file(void *context, struct bytes piece, struct problem *problem)
{
    return files_append(context, piece, 0600, problem);
}

static enum result choose_form(const struct cli *cli, enum export_form *ret_form,
                               struct problem *problem)
{
    const char *format = options_value(cli->options, "format");

    *ret_form = cli->is_json ? EXPORT_JSON : EXPORT_CSV;
    if (format == NULL)
        return RESULT_OK;
    if (strcmp(format, "csv") != 0 && strcmp(format, "json") != 0)
        return problem_set(problem, RESULT_REFUSED, "--format takes csv or json, not '%s'", format);
    *ret_form = strcmp(format, "json") == 0 ? EXPORT_JSON : EXPORT_CSV;
    return RESULT_OK;
}

/* What leaves the house is noted. */
static enum result note_export(struct work *work, void *context, struct problem *problem)
{
    return audit_add(work, "exported", 0, 0, context, problem);
}

static enum result run_export(struct cli *cli, struct problem *problem)
{
    const char *path = cli_argument(cli, 0);
    struct export_options options = {
        .store = master_store(cli->master),
        .table = options_value(cli->options, "table"),
        .for_spreadsheet = options_count(cli->options, "spreadsheet") > 0,
        .write = path == NULL ? write_stdout : write_file,
    };
    char name[FILES_PATH_SIZE];
    struct problem ignored = {0};
    int64_t row_count = 0;
    enum result result = choose_form(cli, &options.form, problem);

    if (result == RESULT_OK && options.table == NULL)
        result = problem_set(problem, RESULT_REFUSED, "export needs --table");
    if (result == RESULT_OK && path != NULL && strlen(path) >= sizeof name)
        result = problem_set(problem, RESULT_REFUSED, "too long a path");
    if (result == RESULT_OK && path != NULL && files_exists(path))
        result =
            problem_set(problem, RESULT_REFUSED, "%s exists; an export overwrites nothing", path);
    if (result != RESULT_OK)
        return result;
    if (path != NULL)
        memcpy(name, path, strlen(path) + 1);
    options.context = name;
    result = export_table(&options, &row_count, problem);
    if (result != RESULT_OK && path != NULL)
        (void)!files_remove(path, &ignored); /* half a table is worse than none */
    if (result == RESULT_OK)
        result = cli_write(cli, note_export, (void *)(uintptr_t)options.table, problem);
    if (result == RESULT_OK && path != NULL)
        result =
            cli_say(cli, problem, "%s: %" PRId64 " rows of %s\n", path, row_count, options.table);
    return result;
}

static const struct cli_action ACTIONS[] = {{NULL, "--table TABLE [FILE]", 0, 1, run_export}};

const struct cli_family CLI_EXPORT = {
    .command = {"export", "write a table as CSV or JSON, to stdout or a new file", "[FILE]", 0, 1,
                SPECS, sizeof SPECS / sizeof SPECS[0]},
    .actions = ACTIONS,
    .action_count = 1,
};
