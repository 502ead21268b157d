/* SPDX-License-Identifier: Apache-2.0 */
/* What revoked devices have left behind: look at it, let it in, or leave it out. */
#include "server/core/quarantine.h"
#include "server/cli/cli_commands.h"

#include <inttypes.h>
#include <string.h>

struct order {
    struct cli *cli;
    int64_t replica_no;
    struct quarantine_step step;
    int64_t count;
};

static enum result run_list(struct cli *cli, struct problem *problem)
{
    static const struct cli_column COLUMNS[] = {
        {"REPLICA", "replica_no", CLI_NUMBER}, {"USER", "user", CLI_TEXT},
        {"SEALS", "seals", CLI_NUMBER},        {"CHANGES", "changes", CLI_NUMBER},
        {"REVOKED", "revoked_at", CLI_TIME},   {"RECEIVED", "received_at", CLI_TIME},
        {"DECISION", "decision", CLI_TEXT},
    };
    struct store_result rows = {0};
    enum result result =
        cli_query(cli,
                  "SELECT q.replica_no, u.login, count(DISTINCT q.seal_no), sum(q.change_count),"
                  " r.revoked_at, max(q.received_at), coalesce(q.decision, 'waits')"
                  " FROM fs_quarantine q JOIN fs_replica r ON r.replica_no=q.replica_no"
                  " LEFT JOIN app_user u ON u.id=r.user_id"
                  " GROUP BY q.replica_no, q.decision ORDER BY q.replica_no, q.decision",
                  NULL, 0, &rows, problem);

    return result == RESULT_OK ? cli_print(cli, &rows, COLUMNS, problem) : result;
}

static enum result print_changes(struct cli *cli, const struct quarantine_change *changes,
                                 size_t count, struct problem *problem)
{
    static const struct cli_column COLUMNS[] = {
        {"SEAL", "seal_no", CLI_NUMBER}, {"DATED", "edited_at", CLI_TIME},
        {"LATE", "is_late", CLI_FLAG},   {"TABLE", "table", CLI_TEXT},
        {"ROW", "row_id", CLI_NUMBER},   {"OP", "op", CLI_TEXT},
        {"VALUES", "values", CLI_TEXT},
    };
    enum { COLUMN_COUNT = sizeof COLUMNS / sizeof *COLUMNS };
    struct store_result rows = {.row_count = count, .column_count = COLUMN_COUNT};

    rows.values = arena_array(&cli->arena, count * COLUMN_COUNT + 1, sizeof *rows.values);
    if (rows.values == NULL)
        return arena_full(&cli->arena, problem);
    for (size_t i = 0; i < count; i++) {
        const struct value line[COLUMN_COUNT] = {
            value_integer(changes[i].seal_no), value_integer(changes[i].edited_at.us),
            value_integer(changes[i].is_late), value_text_of(changes[i].table_name),
            value_integer(changes[i].row_id),  value_text_of(changes[i].op),
            value_text_of(changes[i].values)};

        for (size_t j = 0; j < COLUMN_COUNT; j++)
            rows.values[i * COLUMN_COUNT + j] = line[j];
    }
    return cli_print(cli, &rows, COLUMNS, problem);
}

static enum result run_show(struct cli *cli, struct problem *problem)
{
    struct store *store = master_store(cli->master);
    struct quarantine_change *changes = NULL;
    size_t count = 0;
    int64_t replica_no = 0;
    enum result result = cli_integer(cli_argument(cli, 0), "replica", &replica_no, problem);

    if (result == RESULT_OK)
        result = store_begin(store, STORE_READ, problem);
    if (result != RESULT_OK)
        return result;
    result = quarantine_read(store, replica_no, &cli->arena, &changes, &count, problem);
    store_rollback(store);
    return result == RESULT_OK ? print_changes(cli, changes, count, problem) : result;
}

/* Is the content here, all of it? */
static enum result is_here(struct cli *cli, struct bytes hex, bool *ret_is, struct problem *problem)
{
    char text[2 * BLOB_STORE_HASH_SIZE + 1] = {0};
    uint8_t hash[BLOB_STORE_HASH_SIZE];
    int64_t size = 0;

    *ret_is = false;
    if (cli->blobs == NULL || hex.size != sizeof text - 1)
        return RESULT_OK;
    memcpy(text, hex.data, hex.size);
    if (!bytes_from_hex(text, hash, sizeof hash))
        return RESULT_OK;
    return cli->blobs->operations->status(cli->blobs, hash, &size, ret_is, problem);
}

static enum result run_files(struct cli *cli, struct problem *problem)
{
    enum { HERE = 2 };
    static const struct cli_column COLUMNS[] = {
        {"SEAL", "seal_no", CLI_NUMBER},
        {"BYTES", "size", CLI_NUMBER},
        {"HERE", "is_here", CLI_FLAG},
        {"CONTENT", "hash", CLI_TEXT},
    };
    struct store_result rows = {0};
    struct value replica = {0};
    int64_t replica_no = 0;
    enum result result = cli_integer(cli_argument(cli, 0), "replica", &replica_no, problem);

    replica = value_integer(replica_no);
    if (result == RESULT_OK)
        result = cli_query(cli,
                           "SELECT seal_no, size, 0, hash FROM fs_quarantine_blob"
                           " WHERE replica_no=?1 ORDER BY seal_no, hash",
                           &replica, 1, &rows, problem);
    for (size_t i = 0; i < rows.row_count && result == RESULT_OK; i++) {
        bool is = false;

        result = is_here(cli, store_bytes_at(&rows, i, HERE + 1), &is, problem);
        rows.values[i * rows.column_count + HERE] = value_integer(is);
    }
    return result == RESULT_OK ? cli_print(cli, &rows, COLUMNS, problem) : result;
}

static enum result release(struct work *work, void *context, struct problem *problem)
{
    struct order *order = context;

    return quarantine_release(work, master_store(order->cli->master), order->replica_no,
                              &order->step, problem);
}

/* Seal by seal: what was released stays released if a later one can't be. */
static enum result run_release(struct cli *cli, struct problem *problem)
{
    struct order order = {.cli = cli};
    int64_t seals = 0;
    int64_t changes = 0;
    int64_t late = 0;
    enum result result = cli_integer(cli_argument(cli, 0), "replica", &order.replica_no, problem);

    do {
        order.step = (struct quarantine_step){0};
        if (result == RESULT_OK)
            result = cli_write(cli, release, &order, problem);
        seals += order.step.seal_no != 0;
        changes += order.step.change_count;
        late += order.step.late_count;
    } while (result == RESULT_OK && order.step.seal_no != 0);
    if (result != RESULT_OK) {
        problem_add(problem, "%" PRId64 " seals were released before", seals);
        return result;
    }
    if (seals == 0)
        return problem_set(problem, RESULT_REFUSED, "nothing of replica %" PRId64 " waits",
                           order.replica_no);
    return cli_say(cli, problem,
                   "%" PRId64 " seals with %" PRId64 " changes released; %" PRId64
                   " are dated after the revocation and were refused\n",
                   seals, changes, late);
}

static enum result drop(struct work *work, void *context, struct problem *problem)
{
    struct order *order = context;

    return quarantine_drop(work, order->replica_no, &order->count, problem);
}

static enum result run_drop(struct cli *cli, struct problem *problem)
{
    struct order order = {.cli = cli};
    enum result result = cli_integer(cli_argument(cli, 0), "replica", &order.replica_no, problem);

    if (result == RESULT_OK && options_count(cli->options, "yes") == 0)
        return problem_set(problem, RESULT_REFUSED,
                           "this leaves out what the device still had; look at it with show, then"
                           " say --yes");
    if (result == RESULT_OK)
        result = cli_write(cli, drop, &order, problem);
    if (result == RESULT_OK && order.count == 0)
        return problem_set(problem, RESULT_REFUSED, "nothing of replica %" PRId64 " waits",
                           order.replica_no);
    if (result == RESULT_OK)
        result = cli_say(cli, problem, "%" PRId64 " seals are left out\n", order.count);
    return result;
}

static const struct option_spec SPECS[] = {
    {"yes", 'y', NULL, "yes, leave it out (drop)"},
};

static const struct cli_action ACTIONS[] = {
    {"list", NULL, 0, 0, run_list},
    {"show", "REPLICA", 1, 1, run_show},
    {"files", "REPLICA", 1, 1, run_files},
    {"release", "REPLICA", 1, 1, run_release},
    {"drop", "REPLICA --yes", 1, 1, run_drop},
};

const struct cli_family CLI_QUARANTINE = {
    .command = {"quarantine", "what revoked devices still had to bring",
                "list|show|files|release|drop [REPLICA]", 1, 2, SPECS,
                sizeof SPECS / sizeof *SPECS},
    .actions = ACTIONS,
    .action_count = sizeof ACTIONS / sizeof *ACTIONS,
};
