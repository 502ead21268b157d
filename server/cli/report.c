/* SPDX-License-Identifier: Apache-2.0 */
/* report verify|export|key: are signed reports still what was signed? */
#include "server/service/audit.h"

#include "edge/files.h"
#include "server/cli/cli_commands.h"
#include "server/cli/report_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static enum result load(struct cli *cli, struct report_check **ret_checks, size_t *ret_count,
                        struct problem *problem)
{
    struct store *store = master_store(cli->master);
    const char *wanted = cli_argument(cli, 0);
    const char *visit = options_value(cli->options, "activity");
    int64_t signature_id = 0;
    int64_t activity_id = 0;
    enum result result = RESULT_OK;

    if (wanted != NULL)
        result = cli_integer(wanted, "signature", &signature_id, problem);
    if (result == RESULT_OK && visit != NULL)
        result = cli_integer(visit, "activity", &activity_id, problem);
    if (result == RESULT_OK)
        result = store_begin(store, STORE_READ, problem);
    if (result == RESULT_OK)
        result = report_check(store, cli->blobs, signature_id, activity_id, &cli->arena, ret_checks,
                              ret_count, problem);
    store_rollback(store);
    if (result == RESULT_OK && *ret_count == 0 && signature_id != 0)
        result =
            problem_set(problem, RESULT_REFUSED, "there is no signature %" PRId64, signature_id);
    return result;
}

/* ---- verify ---- */

static enum result say_content(struct cli *cli, const struct report_check *check,
                               struct problem *problem)
{
    char erased[WALL_TEXT_SIZE] = "";

    wall_time_format((struct wall_time){check->erased_at}, erased);
    if (check->difference.size > 0)
        return cli_say(cli, problem, "  content  NOT WHAT WAS SIGNED (- then, + now)\n");
    if (check->is_erased)
        return cli_say(cli, problem, "  content  erased on %s; what is left is unchanged\n",
                       check->erased_at != 0 ? erased : "an unknown date");
    return cli_say(cli, problem, "  content  unchanged\n");
}

static enum result say_one(struct cli *cli, const struct report_check *check,
                           struct problem *problem)
{
    const struct evidence *evidence = &check->evidence;
    bool is_good = report_check_is_good(check);
    char received[WALL_TEXT_SIZE] = "";
    enum result result;

    wall_time_format((struct wall_time){evidence->receipt.received_at}, received);
    result = cli_say(cli, problem, "%s  signature %" PRId64 " on activity %" PRId64 "\n",
                     is_good ? "good    " : "NOT GOOD", evidence->claim.signature_id,
                     evidence->claim.activity_id);
    if (result == RESULT_OK)
        result = cli_say(cli, problem, "  seal     %s\n",
                         !check->is_sealed    ? "none: it proves nothing"
                         : check->is_key_good ? "signed by the device's key"
                                              : "THE DEVICE'S KEY DID NOT SIGN THIS");
    if (result == RESULT_OK && check->is_sealed)
        result = cli_say(cli, problem, "  chain    %s\n",
                         check->is_chain_good ? "follows the device's signature before"
                                              : "THE SIGNATURE BEFORE IS MISSING OR ANOTHER ONE");
    if (result == RESULT_OK && check->is_sealed)
        result = cli_say(cli, problem, "  receipt  %s%s\n",
                         check->is_receipt_good  ? "of this server, "
                         : evidence->has_receipt ? "NOT FOR THIS SEAL"
                                                 : "not given yet",
                         check->is_receipt_good ? received : "");
    if (result == RESULT_OK && check->is_sealed)
        result = say_content(cli, check, problem);
    if (result == RESULT_OK && !cli->is_json)
        result = buffer_append(&cli->out, check->difference.data, check->difference.size, problem);
    return result;
}

static void verify_json(struct terminal_json *json, const struct report_check *check)
{
    terminal_json_object_begin(json);
    terminal_json_key(json, "signature_id");
    terminal_json_number(json, check->evidence.claim.signature_id);
    terminal_json_key(json, "activity_id");
    terminal_json_number(json, check->evidence.claim.activity_id);
    terminal_json_key(json, "is_good");
    terminal_json_boolean(json, report_check_is_good(check));
    terminal_json_key(json, "is_sealed");
    terminal_json_boolean(json, check->is_sealed);
    terminal_json_key(json, "is_key_good");
    terminal_json_boolean(json, check->is_key_good);
    terminal_json_key(json, "is_chain_good");
    terminal_json_boolean(json, check->is_chain_good);
    terminal_json_key(json, "has_receipt");
    terminal_json_boolean(json, check->evidence.has_receipt);
    terminal_json_key(json, "is_receipt_good");
    terminal_json_boolean(json, check->is_receipt_good);
    terminal_json_key(json, "is_erased");
    terminal_json_boolean(json, check->is_erased);
    terminal_json_key(json, "difference");
    terminal_json_bytes(json, check->difference);
    terminal_json_object_end(json);
}

static enum result run_verify(struct cli *cli, struct problem *problem)
{
    struct report_check *checks = NULL;
    struct terminal_json json;
    size_t count = 0;
    size_t wrong = 0;
    enum result result = load(cli, &checks, &count, problem);

    terminal_json_init(&json, &cli->out);
    if (cli->is_json)
        terminal_json_array_begin(&json);
    for (size_t i = 0; i < count && result == RESULT_OK; i++) {
        wrong += !report_check_is_good(&checks[i]);
        if (cli->is_json)
            verify_json(&json, &checks[i]);
        else
            result = say_one(cli, &checks[i], problem);
    }
    if (cli->is_json && result == RESULT_OK) {
        terminal_json_array_end(&json);
        result = terminal_json_finish(&json, problem);
    }
    if (result == RESULT_OK)
        result = cli_say(cli, problem, "%zu signatures, %zu not good\n", count, wrong);
    cli->exit_code = wrong == 0 ? EXIT_CODE_OK : EXIT_CODE_FAILURE;
    return result;
}

/* ---- export ---- */

/* What leaves the house is noted. */
static enum result note_export(struct work *work, void *context, struct problem *problem)
{
    const size_t *count = context;
    char detail[64];

    snprintf(detail, sizeof detail, "%zu signed reports", *count);
    return audit_add(work, "exported", 0, 0, detail, problem);
}

static enum result run_export(struct cli *cli, struct problem *problem)
{
    struct report_check *checks = NULL;
    struct terminal_json json;
    size_t count = 0;
    enum result result = load(cli, &checks, &count, problem);

    if (result == RESULT_OK)
        result = cli_write(cli, note_export, &count, problem);

    if (result != RESULT_OK)
        return result;
    terminal_json_init(&json, &cli->out);
    terminal_json_array_begin(&json);
    for (size_t i = 0; i < count; i++)
        report_file_append(&json, &checks[i]);
    terminal_json_array_end(&json);
    return terminal_json_finish(&json, problem);
}

/* ---- key ---- */

static enum result run_key(struct cli *cli, struct problem *problem)
{
    char hex[EVIDENCE_HEX_SIZE];

    if (cli->report_key == NULL)
        return problem_set(problem, RESULT_REFUSED,
                           "keys/report.key is not there or not yours to read: "
                           "'fieldsync-server serve' makes it");
    bytes_to_hex(bytes_of(cli->report_key->public_key, EVIDENCE_KEY_SIZE), hex);
    return cli_say(cli, problem, "%s\n", hex);
}

static const struct option_spec SPECS[] = {
    {"activity", 0, "ID", "only the signatures on this visit"},
};

static const struct cli_action ACTIONS[] = {
    {"verify", "[SIGNATURE]", 0, 1, run_verify},
    {"export", "[SIGNATURE]", 0, 1, run_export},
    {"key", NULL, 0, 0, run_key},
};

const struct cli_family CLI_REPORT = {
    .command = {"report",
                "signed reports: still what was signed? export: proof for others, as JSON; key: the"
                " public key of receipts",
                "verify|export|key [SIGNATURE]", 1, 2, SPECS, sizeof SPECS / sizeof *SPECS},
    .actions = ACTIONS,
    .action_count = sizeof ACTIONS / sizeof *ACTIONS,
};
