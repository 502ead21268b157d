/* SPDX-License-Identifier: Apache-2.0 */
/* audit verify|list|root: the audit log and the roots over it. */
#include "server/service/audit.h"

#include "edge/files.h"
#include "server/cli/cli_commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_SIZE_MAX = 256 << 20, LIST_LINES = 100 };

/* ---- the copy in the file ---- */

/* {"id":12,"hash":"...64...", and the rest of the line: how audit_copy.c begins each. */
static bool line_begins(struct bytes line, int64_t *ret_id, struct bytes *ret_hash)
{
    static const char ID[] = "{\"id\":";
    static const char HASH[] = ",\"hash\":\"";
    size_t at = sizeof ID - 1;

    if (line.size < at || memcmp(line.data, ID, at) != 0)
        return false;
    *ret_id = 0;
    while (at < line.size && line.data[at] >= '0' && line.data[at] <= '9' && at < 24)
        *ret_id = *ret_id * 10 + (line.data[at++] - '0');
    if (line.size < at + sizeof HASH - 1 + EVIDENCE_HEX_SIZE ||
        memcmp(line.data + at, HASH, sizeof HASH - 1) != 0)
        return false;
    *ret_hash = bytes_of(line.data + at + sizeof HASH - 1, EVIDENCE_HEX_SIZE - 1);
    return true;
}

/* The lines since the file was begun anew last (after a restore), against the database. */
static enum result compare_copy(struct cli *cli, struct bytes file, int64_t *ret_count,
                                struct audit_check *check, struct problem *problem)
{
    struct store *store = master_store(cli->master);
    enum result result = RESULT_OK;

    while (file.size > 0 && result == RESULT_OK && check->is_good) {
        struct bytes line = report_next_line(&file);
        struct store_result found = {0};
        struct bytes hash = {0};
        int64_t id = 0;

        if (!line_begins(line, &id, &hash)) {
            *ret_count = 0; /* a mark: what follows begins anew */
            continue;
        }
        const struct value key = value_integer(id);

        result = store_query(store, "SELECT hash FROM fs_audit WHERE id = ?1", &key, 1, &cli->arena,
                             &found, problem);
        if (result == RESULT_OK && !bytes_equal(store_bytes_at(&found, 0, 0), hash)) {
            check->is_good = false;
            (void)snprintf(check->difference, sizeof check->difference,
                           "line %" PRId64 " of the database is not the one that the copy has", id);
        }
        ++*ret_count;
    }
    return result;
}

static enum result check_copy(struct cli *cli, struct audit_check *check, int64_t *ret_count,
                              struct problem *problem)
{
    const char *path = options_value(cli->options, "copy");
    struct buffer file;
    enum result result;

    if (path == NULL)
        return RESULT_OK;
    buffer_init(&file, FILE_SIZE_MAX);
    result = files_read(path, &file, problem);
    if (result == RESULT_OK)
        result = compare_copy(cli, buffer_bytes(&file), ret_count, check, problem);
    buffer_done(&file);
    return result;
}

/* ---- commands ---- */

static enum result run_verify(struct cli *cli, struct problem *problem)
{
    struct store *store = master_store(cli->master);
    const char *wanted = options_value(cli->options, "key");
    uint8_t key[EVIDENCE_KEY_SIZE];
    struct audit_check check = {0};
    int64_t copied = 0;
    enum result result;

    if (wanted != NULL && !bytes_from_hex(wanted, key, sizeof key))
        return problem_set(problem, RESULT_REFUSED, "--key takes 64 hexadecimal digits");
    result = store_begin(store, STORE_READ, problem);
    if (result == RESULT_OK)
        result = audit_check(store, wanted == NULL ? NULL : key, &check, problem);
    if (result == RESULT_OK)
        result = check_copy(cli, &check, &copied, problem);
    store_rollback(store);
    if (result == RESULT_OK && !check.is_good)
        result = cli_say(cli, problem, "NOT GOOD: %s\n", check.difference);
    if (result == RESULT_OK)
        result = cli_say(cli, problem,
                         "%s: %" PRId64 " lines, %" PRId64 " roots, %" PRId64 " receipts, %" PRId64
                         " lines of the copy\n",
                         check.is_good ? "ok" : "NOT OK", check.line_count, check.root_count,
                         check.receipt_count, copied);
    cli->exit_code = check.is_good ? EXIT_CODE_OK : EXIT_CODE_FAILURE;
    return result;
}

static enum result run_list(struct cli *cli, struct problem *problem)
{
    static const struct cli_column COLUMNS[] = {
        {"LINE", "id", CLI_NUMBER},
        {"AT", "occurred_at", CLI_TIME},
        {"EVENT", "event", CLI_TEXT},
        {"USER", "user_id", CLI_NUMBER},
        {"REPLICA", "replica_no", CLI_NUMBER},
        {"DETAIL", "detail", CLI_TEXT},
    };
    const struct value limit = value_integer(LIST_LINES);
    bool is_all = options_count(cli->options, "all") > 0;
    struct store_result rows = {0};
    enum result result =
        cli_query(cli,
                  is_all ? "SELECT id, occurred_at, event, user_id, replica_no, detail"
                           " FROM fs_audit WHERE ?1 > 0 ORDER BY id"
                         : "SELECT id, occurred_at, event, user_id, replica_no, detail"
                           " FROM (SELECT * FROM fs_audit ORDER BY id DESC LIMIT ?1) ORDER BY id",
                  &limit, 1, &rows, problem);

    return result == RESULT_OK ? cli_print(cli, &rows, COLUMNS, problem) : result;
}

static enum result make_root(struct work *work, void *context, struct problem *problem)
{
    const struct cli *cli = context;
    enum result result = audit_close(work, problem);

    return result == RESULT_OK ? audit_make_root(work, cli->report_key, true, problem) : result;
}

static enum result run_root(struct cli *cli, struct problem *problem)
{
    static const struct cli_column COLUMNS[] = {
        {"ROOT", "id", CLI_NUMBER},          {"AT", "made_at", CLI_TIME},
        {"TO LINE", "audit_to", CLI_NUMBER}, {"LINES", "line_count", CLI_NUMBER},
        {"ROOT HASH", "root", CLI_TEXT},     {"SERVER KEY", "server_key", CLI_TEXT},
    };
    struct store_result rows = {0};
    enum result result = RESULT_OK;

    if (options_count(cli->options, "now") > 0) {
        result = cli->report_key == NULL
                     ? problem_set(problem, RESULT_REFUSED, "keys/report.key is not there")
                     : cli_write(cli, make_root, cli, problem);
    }
    if (result == RESULT_OK)
        result = cli_query(cli,
                           "SELECT id, made_at, audit_to, line_count, root, server_key FROM fs_root"
                           " ORDER BY id",
                           NULL, 0, &rows, problem);
    return result == RESULT_OK ? cli_print(cli, &rows, COLUMNS, problem) : result;
}

static const struct option_spec SPECS[] = {
    {"key", 'k', "HEX", "verify: roots must be signed by this key ('report key')"},
    {"copy", 0, "FILE", "verify: compare with this copy too, audit.log or an older one"},
    {"all", 'a', NULL, "list: every line, not only the last hundred"},
    {"now", 0, NULL, "root: make one now over what has none yet"},
};

static const struct cli_action ACTIONS[] = {
    {"verify", NULL, 0, 0, run_verify},
    {"list", NULL, 0, 0, run_list},
    {"root", NULL, 0, 0, run_root},
};

const struct cli_family CLI_AUDIT = {
    .command = {"audit",
                "who did what; verify: was anything changed? root: the signed daily roots, to keep"
                " elsewhere",
                "verify|list|root", 1, 1, SPECS, sizeof SPECS / sizeof *SPECS},
    .actions = ACTIONS,
    .action_count = sizeof ACTIONS / sizeof *ACTIONS,
};
