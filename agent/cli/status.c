/* SPDX-License-Identifier: Apache-2.0 */
/* How the sync stands: status, fate, explain, verify, new-id. */
#include "agent/cli/cli.h"
#include "agent/cli/state_file.h"
#include "agent/cli/status_json.h"
#include "agent/service/fate.h"
#include "agent/service/signatures.h"
#include "edge/files.h"
#include "edge/reserve.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* ---- status ---- */

static bool is_agent_running(const char *data_folder)
{
    char path[FILES_PATH_SIZE];
    struct problem problem = {0};
    struct files_lock lock;

    if (files_join(data_folder, LOCK_FILE_NAME, path, &problem) != RESULT_OK || !files_exists(path))
        return false;
    if (files_lock_open(path, &lock, &problem) != RESULT_OK)
        return true;
    files_lock_close(&lock);
    return false;
}

/* "2 h 5 min" */
static const char *duration(struct cli *cli, int64_t us)
{
    int64_t minutes = us / MINUTES(1);
    const char *text =
        minutes >= 60
            ? arena_format(&cli->arena, "%" PRId64 " h %" PRId64 " min", minutes / 60, minutes % 60)
        : us >= MINUTES(1)
            ? arena_format(&cli->arena, "%" PRId64 " min", minutes)
            : arena_format(&cli->arena, "%" PRId64 " s", us < 0 ? 0 : us / SECONDS(1));

    return text != NULL ? text : "";
}

static const char *moment(struct cli *cli, int64_t us)
{
    struct value value = value_integer(us);

    return us == 0 ? "never" : cli_value_text(cli, LISTING_TIME, &value);
}

static enum result say_server(struct cli *cli, bool is_running, const struct state_file *state,
                              struct problem *problem)
{
    int64_t now = cli->service.now.us;

    if (!is_running)
        return cli_say(cli, problem, "server     the agent isn't running: `fieldsync-agent run`\n");
    if (strcmp(state->state, "live") == 0)
        return cli_say(cli, problem, "server     connected since %s\n",
                       moment(cli, state->connected_at));
    if (strcmp(state->state, "parting") == 0)
        return cli_say(cli, problem,
                       "server     this device was revoked; what it still has is handed over\n");
    if (strcmp(state->state, "revoked") == 0)
        return cli_say(cli, problem, "server     this device was revoked: %s\n",
                       state->last_failure);
    if (state->is_pending)
        return cli_say(cli, problem,
                       "server     waiting for confirmation, fingerprint %s: read it to the"
                       " office; it goes on by itself\n",
                       state->fingerprint);
    if (state->unreachable_since == 0)
        return cli_say(cli, problem, "server     %s\n",
                       state->state[0] != '\0' ? state->state : "starting");
    return cli_say(cli, problem, "server     unreachable since %s (%s); next try in %s; %s\n",
                   moment(cli, state->unreachable_since),
                   duration(cli, now - state->unreachable_since),
                   duration(cli, state->next_try_at - now), state->last_failure);
}

static enum result say_counts(struct cli *cli, const struct replica_counts *counts,
                              struct problem *problem)
{
    enum result result;

    if (counts->unsealed == 0 && counts->unacknowledged == 0 && counts->blobs_to_send == 0)
        result = cli_say(cli, problem, "on device  everything recorded here is on the server\n");
    else
        result = cli_say(cli, problem,
                         "on device  %" PRId64 " changes, %" PRId64 " files (%" PRId64
                         " KiB) waiting to be sent\n",
                         counts->unsealed + counts->unacknowledged, counts->blobs_to_send,
                         counts->blob_bytes_to_send / 1024);
    if (result == RESULT_OK && (counts->refused > 0 || counts->parked > 0))
        result = cli_say(cli, problem,
                         "inbox      %" PRId64 " refused, %" PRId64
                         " waiting for a decision: `fieldsync-agent inbox list`\n",
                         counts->refused, counts->parked);
    if (result == RESULT_OK && counts->quarantined > 0)
        result = cli_say(cli, problem,
                         "quarantine %" PRId64 " rows of the server can't be stored here\n",
                         counts->quarantined);
    if (result == RESULT_OK)
        result = cli_say(cli, problem, "last sync  %s, position %" PRId64 "\n",
                         moment(cli, counts->published_at.us), counts->published_seq);
    return result;
}

/* Looks itself: on a full disk an agent can't even write its state. */
static enum result say_disk(struct cli *cli, bool is_full, struct problem *problem)
{
    uint64_t free_size = 0;
    enum reserve_room room = reserve_room(cli->data_folder, RESERVE_DEVICE_SIZE, &free_size);

    if (is_full || room == RESERVE_ROOM_NONE)
        return cli_say(cli, problem,
                       "disk       full: nothing can be stored until there is room\n");
    if (room == RESERVE_ROOM_LOW)
        return cli_say(cli, problem,
                       "disk       nearly full, %" PRIu64 " KiB are left: make room\n",
                       free_size / 1024);
    return RESULT_OK;
}

static enum result run_status(struct cli *cli, struct problem *problem)
{
    bool is_running = is_agent_running(cli->data_folder);
    struct replica_counts counts = {0};
    struct state_file state;
    enum result result;

    state_file_read(cli->data_folder, &state);
    if (cli->is_json)
        return status_json(cli->service.replica, cli->data_folder, is_running, &state, &cli->out,
                           problem);
    result = replica_counts(cli->service.replica, &counts, problem);
    if (result != RESULT_OK)
        return result;
    if (!cli->service.who.is_enrolled)
        return cli_say(cli, problem,
                       "device     not enrolled: `fieldsync-agent enrol CODE` with a code of "
                       "your office\n");
    result = cli_say(cli, problem, "device     %s (%s)\n", cli->service.who.user_login,
                     cli->service.who.series[0] != '\0' ? cli->service.who.series : "no series");
    if (result == RESULT_OK)
        result = say_server(cli, is_running, &state, problem);
    if (result == RESULT_OK)
        result = say_disk(cli, is_running && state.is_disk_full, problem);
    if (result == RESULT_OK && is_running && state.alarm[0] != '\0')
        result = cli_say(cli, problem, "alarm      %s\n", state.alarm);
    if (result == RESULT_OK)
        result = say_counts(cli, &counts, problem);
    if (result == RESULT_OK && replica_is_encrypted(cli->service.replica))
        result = cli_say(cli, problem,
                         "replica    encrypted; other programs use `fieldsync-agent sql`\n");
    return result;
}

static const struct cli_action STATUS_ACTIONS[] = {{NULL, "", 0, 0, run_status}};
const struct cli_family CLI_STATUS = {
    .command = {.name = "status", .help = "what waits to be sent, and since when"},
    .actions = STATUS_ACTIONS,
    .action_count = COUNT_OF(STATUS_ACTIONS),
};

/* ---- fate ---- */

static enum result print_fate_counts(struct cli *cli, int64_t since_us, struct problem *problem)
{
    struct fate_counts counts = {0};
    enum result result = fate_count(&cli->service, since_us, &cli->arena, &counts, problem);

    if (result != RESULT_OK)
        return result;
    return cli_say(cli, problem,
                   "%" PRId64 " stored, %" PRId64 " merged, %" PRId64 " overruled, %" PRId64
                   " parked, %" PRId64 " refused, %" PRId64 " of rows that were gone, %" PRId64
                   " still here\n",
                   counts.stored, counts.merged, counts.overruled, counts.parked, counts.refused,
                   counts.gone, counts.still_here);
}

static enum result run_fate(struct cli *cli, struct problem *problem)
{
    struct fate_filter filter = {.is_all = options_count(cli->options, "all") > 0};
    const char *since = cli_option(cli, "since");
    struct listing listing = {0};
    enum result result = RESULT_OK;

    if (since != NULL)
        result = cli_time(cli, since, &filter.since_us, problem);
    if (result == RESULT_OK)
        result = fate_list(&cli->service, &filter, &cli->arena, &listing, problem);
    if (result == RESULT_OK)
        result = cli_print_listing(cli, &listing, "every change recorded here was stored as it is",
                                   problem);
    if (result == RESULT_OK && !cli->is_json)
        result = print_fate_counts(cli, filter.since_us, problem);
    return result;
}

static const struct option_spec FATE_OPTIONS[] = {
    {"all", 0, NULL, "also what was stored as it is"},
    {"since", 0, "TIME", "recorded since then: 2026-11-23T07:00Z, or -8h for the last eight hours"},
};
static const struct cli_action FATE_ACTIONS[] = {{NULL, "[--all] [--since TIME]", 0, 0, run_fate}};
const struct cli_family CLI_FATE = {
    .command = {.name = "fate",
                .help = "what became of what was recorded here, newest first",
                .specs = FATE_OPTIONS,
                .spec_count = COUNT_OF(FATE_OPTIONS)},
    .actions = FATE_ACTIONS,
    .action_count = COUNT_OF(FATE_ACTIONS),
};

/* ---- explain, new-id ---- */

static enum result run_explain(struct cli *cli, struct problem *problem)
{
    const char *text = NULL;
    int64_t id = 0;
    struct terminal_json json;
    enum result result = cli_integer(cli_argument(cli, 1), "id", &id, problem);

    if (result == RESULT_OK)
        result = replica_explain(cli->service.replica, cli_argument(cli, 0), id, &cli->arena, &text,
                                 problem);
    if (result != RESULT_OK)
        return result;
    if (!cli->is_json)
        return cli_append(cli, text, problem);
    terminal_json_init(&json, &cli->out);
    terminal_json_object_begin(&json);
    terminal_json_key(&json, "explanation");
    terminal_json_text(&json, text);
    terminal_json_object_end(&json);
    return terminal_json_finish(&json, problem);
}

static const struct cli_action EXPLAIN_ACTIONS[] = {{NULL, "TABLE ID", 2, 2, run_explain}};
const struct cli_family CLI_EXPLAIN = {
    .command = {.name = "explain",
                .help = "why a row is, or isn't, on this device",
                .arguments = "TABLE ID",
                .argument_count_min = 2,
                .argument_count_max = 2},
    .actions = EXPLAIN_ACTIONS,
    .action_count = COUNT_OF(EXPLAIN_ACTIONS),
};

static enum result run_new_id(struct cli *cli, struct problem *problem)
{
    int64_t id = 0;
    enum result result = replica_new_id(cli->service.replica, &id, problem);

    if (result != RESULT_OK)
        return result;
    return cli_say(cli, problem, "%" PRId64 "\n", id);
}

static const struct cli_action NEW_ID_ACTIONS[] = {{NULL, "", 0, 0, run_new_id}};
const struct cli_family CLI_NEW_ID = {
    .command = {.name = "new-id",
                .help = "the id that the next row written here may have (view new_id in SQL)"},
    .needs_enrolment = true,
    .actions = NEW_ID_ACTIONS,
    .action_count = COUNT_OF(NEW_ID_ACTIONS),
};

/* ---- verify ---- */

static enum result verify_file(struct cli *cli, size_t *wrong, struct problem *problem)
{
    struct replica_result rows = {0};
    enum result result = replica_query(cli->service.replica, "PRAGMA integrity_check(20)", NULL, 0,
                                       &cli->arena, &rows, problem);
    bool is_good = result == RESULT_OK && rows.row_count == 1 &&
                   strcmp(service_text(&cli->arena, &rows.values[0]), "ok") == 0;

    if (result != RESULT_OK)
        return result;
    if (is_good)
        return cli_say(cli, problem, "file        ok\n");
    ++*wrong;
    for (size_t i = 0; result == RESULT_OK && i < rows.row_count; i++)
        result = cli_say(cli, problem, "file        %s\n",
                         service_text(&cli->arena, &rows.values[i * rows.column_count]));
    if (result == RESULT_OK)
        result = cli_say(cli, problem,
                         "            stop the agent and run `fieldsync-agent rescue`: it saves "
                         "the unsent work\n");
    return result;
}

static enum result verify_triggers(struct cli *cli, size_t *wrong, struct problem *problem)
{
    size_t repaired = 0;
    enum result result = replica_check_triggers(cli->service.replica, &repaired, problem);

    if (result != RESULT_OK)
        return result;
    *wrong += repaired > 0;
    return repaired == 0 ? cli_say(cli, problem, "triggers    ok\n")
                         : cli_say(cli, problem,
                                   "triggers    %zu were missing or altered; repaired. What was "
                                   "written meanwhile is found by the digests\n",
                                   repaired);
}

static enum result verify_digests(struct cli *cli, struct problem *problem)
{
    int64_t after = 0;
    size_t count = 0;
    enum result result;

    do {
        struct message_digest digest = {0};
        int64_t next = 0;

        result =
            replica_digests(cli->service.replica, after, 64, &cli->arena, &digest, &next, problem);
        count += digest.count;
        after = next;
    } while (result == RESULT_OK && after != 0);
    if (result != RESULT_OK)
        return result;
    return cli_say(cli, problem,
                   "digests     %zu buckets readable; a running agent compares them with the "
                   "server\n",
                   count);
}

/* Who vouches for the seal, in words; the first that is true. */
static const char *seal_in_words(const struct signature_check *check)
{
    if (!check->is_sealed)
        return "without a seal: it proves nothing";
    if (!check->is_own_device)
        return "made on another device";
    if (!check->is_key_good)
        return "the device's key didn't sign this";
    return check->is_chain_good ? "signed by this device"
                                : "the signature before it is another one";
}

static const char *receipt_in_words(struct cli *cli, const struct signature_check *check)
{
    const char *text = check->is_receipt_good ? arena_format(&cli->arena, "the server had it %s",
                                                             moment(cli, check->received_at))
                       : check->has_receipt   ? "THE RECEIPT IS FOR ANOTHER SEAL"
                                              : "no receipt yet";

    return text != NULL ? text : "";
}

static enum result say_signature(struct cli *cli, const struct signature_check *check,
                                 size_t *wrong, struct problem *problem)
{
    bool is_seal_wrong =
        check->is_sealed && check->is_own_device && (!check->is_key_good || !check->is_chain_good);
    bool is_wrong =
        is_seal_wrong || !check->is_unchanged || (check->has_receipt && !check->is_receipt_good);
    const char *content = check->is_erased      ? "the content was erased"
                          : check->is_unchanged ? "the report is unchanged"
                          : check->is_sealed    ? "THE REPORT HAS CHANGED SINCE"
                                                : "nothing to compare";
    enum result result = cli_say(cli, problem, "signature   %" PRId64 " of %s on %s: %s, %s; %s\n",
                                 check->id, check->signer_name, moment(cli, check->signed_at),
                                 seal_in_words(check), content, receipt_in_words(cli, check));

    *wrong += is_wrong;
    if (result == RESULT_OK && check->difference[0] != '\0')
        result = cli_append(cli, check->difference, problem);
    return result;
}

static enum result verify_signatures(struct cli *cli, size_t *wrong, struct problem *problem)
{
    struct signature_check *checks = NULL;
    size_t count = 0;
    enum result result = signature_verify(&cli->service, 0, &cli->arena, &checks, &count, problem);

    for (size_t i = 0; result == RESULT_OK && i < count; i++)
        result = say_signature(cli, &checks[i], wrong, problem);
    return result;
}

static enum result run_verify(struct cli *cli, struct problem *problem)
{
    size_t wrong = 0;
    struct buffer words;
    struct terminal_json json;
    enum result result = verify_file(cli, &wrong, problem);

    if (result == RESULT_OK)
        result = verify_triggers(cli, &wrong, problem);
    if (result == RESULT_OK)
        result = verify_digests(cli, problem);
    if (result == RESULT_OK)
        result = verify_signatures(cli, &wrong, problem);
    if (result == RESULT_OK && wrong > 0)
        cli->exit_code = EXIT_CODE_FAILURE;
    if (result != RESULT_OK || !cli->is_json)
        return result;
    words = cli->out; /* the same words, inside of an object */
    buffer_init(&cli->out, CLI_OUT_SIZE_MAX);
    terminal_json_init(&json, &cli->out);
    terminal_json_object_begin(&json);
    terminal_json_key(&json, "wrong");
    terminal_json_number(&json, (int64_t)wrong);
    terminal_json_key(&json, "report");
    terminal_json_bytes(&json, buffer_bytes(&words));
    terminal_json_object_end(&json);
    buffer_done(&words);
    return terminal_json_finish(&json, problem);
}

static const struct cli_action VERIFY_ACTIONS[] = {{NULL, "", 0, 0, run_verify}};
const struct cli_family CLI_VERIFY = {
    .command = {.name = "verify",
                .help = "checks the file, the triggers, the buckets and the signatures"},
    .needs_enrolment = true,
    .actions = VERIFY_ACTIONS,
    .action_count = COUNT_OF(VERIFY_ACTIONS),
};
