/* SPDX-License-Identifier: Apache-2.0 */
/* Files, signatures, search and the inbox. */
#include "agent/cli/cli.h"
#include "agent/service/inbox.h"
#include "agent/service/photos.h"
#include "agent/service/search.h"
#include "agent/service/signatures.h"
#include "domain/report.h"
#include "edge/entropy.h"
#include "edge/files.h"

#include <inttypes.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* ---- photos ---- */

static enum result run_photo_add(struct cli *cli, struct problem *problem)
{
    const char *path = cli_argument(cli, 1);
    const char *slash = strrchr(path, '/');
    struct photo photo = {
        .name = slash != NULL ? slash + 1 : path,
        .is_customer_visible = options_count(cli->options, "customer") > 0,
    };
    struct buffer contents;
    int64_t id = 0;
    enum result result =
        service_find_activity(&cli->service, cli_argument(cli, 0), &photo.activity_id, problem);

    buffer_init(&contents, PHOTO_SIZE_MAX);
    if (result == RESULT_OK)
        result = files_read(path, &contents, problem);
    photo.content = buffer_bytes(&contents);
    if (result == RESULT_OK)
        result = photo_add(&cli->service, &photo, &id, problem);
    buffer_done(&contents);
    if (result != RESULT_OK)
        return result;
    return cli_print_done(cli, id, "attached", problem);
}

static enum result run_photo_list(struct cli *cli, struct problem *problem)
{
    struct listing listing = {0};
    int64_t id = 0;
    enum result result = service_find_activity(&cli->service, cli_argument(cli, 0), &id, problem);

    if (result == RESULT_OK)
        result = photo_list(&cli->service, id, &cli->arena, &listing, problem);
    if (result != RESULT_OK)
        return result;
    return cli_print_listing(cli, &listing, "no files", problem);
}

static const struct option_spec PHOTO_OPTIONS[] = {
    {"customer", 0, NULL, "the customer may see it"},
};
static const struct cli_action PHOTO_ACTIONS[] = {
    {"add", "ACTIVITY FILE", 2, 2, run_photo_add},
    {"list", "ACTIVITY", 1, 1, run_photo_list},
};
const struct cli_family CLI_PHOTO = {
    .command = {.name = "photo",
                .help = "photos and other files of a visit",
                .arguments = "add ACTIVITY FILE | list ACTIVITY",
                .argument_count_max = 3,
                .specs = PHOTO_OPTIONS,
                .spec_count = COUNT_OF(PHOTO_OPTIONS)},
    .needs_enrolment = true,
    .actions = PHOTO_ACTIONS,
    .action_count = COUNT_OF(PHOTO_ACTIONS),
};

/* ---- signatures ---- */

static enum result read_strokes(struct cli *cli, struct buffer *strokes, struct problem *problem)
{
    struct buffer text;
    enum result result;

    if (cli_option(cli, "strokes") == NULL)
        return RESULT_OK;
    buffer_init(&text, 1 << 20);
    result = files_read(cli_option(cli, "strokes"), &text, problem);
    if (result == RESULT_OK)
        result = signature_strokes_parse(buffer_bytes(&text), strokes, problem);
    buffer_done(&text);
    return result;
}

static enum result run_sign(struct cli *cli, struct problem *problem)
{
    struct signature_draft draft = {
        .signer_name = cli_option(cli, "name"),
        .signer_role = cli_option(cli, "role"),
        .refused_reason = cli_option(cli, "refused"),
        .has_amount = cli_option(cli, "amount") != NULL,
        .language = cli_option(cli, "language"),
    };
    uint8_t salt[REPORT_SALT_SIZE];
    struct buffer strokes;
    int64_t id = 0;
    enum result result =
        service_find_activity(&cli->service, cli_argument(cli, 0), &draft.activity_id, problem);

    entropy_fill(salt, sizeof salt);
    draft.salt = salt;
    buffer_init(&strokes, SIGNATURE_STROKES_SIZE_MAX);
    if (result == RESULT_OK && draft.has_amount)
        result = cli_decimal(cli_option(cli, "amount"), 2, "amount", &draft.amount_cents, problem);
    if (result == RESULT_OK)
        result = read_strokes(cli, &strokes, problem);
    draft.strokes = buffer_bytes(&strokes);
    if (result == RESULT_OK)
        result = signature_add(&cli->service, &draft, &id, problem);
    buffer_done(&strokes);
    if (result != RESULT_OK)
        return result;
    return cli_print_done(
        cli, id, draft.refused_reason != NULL ? "the refusal is recorded" : "signed", problem);
}

static const struct option_spec SIGN_OPTIONS[] = {
    {"name", 0, "NAME", "who signs"},
    {"role", 0, "TEXT", "as what: owner, site manager"},
    {"strokes", 0, "FILE", "the pen: lines of x y pressure ms, a blank line between strokes"},
    {"refused", 0, "WHY", "the person refused to sign"},
    {"amount", 0, "AMOUNT", "the total that was shown"},
    {"language", 0, "CODE", "of the text that was shown: en (default), it, ..."},
};
static const struct cli_action SIGN_ACTIONS[] = {
    {NULL, "ACTIVITY --name NAME", 1, 1, run_sign},
};
const struct cli_family CLI_SIGN = {
    .command = {.name = "sign",
                .help = "a signature on the report of a visit as it is now",
                .arguments = "ACTIVITY",
                .argument_count_min = 1,
                .argument_count_max = 1,
                .specs = SIGN_OPTIONS,
                .spec_count = COUNT_OF(SIGN_OPTIONS)},
    .needs_enrolment = true,
    .actions = SIGN_ACTIONS,
    .action_count = COUNT_OF(SIGN_ACTIONS),
};

/* ---- search ---- */

static enum result run_search(struct cli *cli, struct problem *problem)
{
    struct listing listing = {0};
    enum result result =
        search_all(&cli->service, cli_argument(cli, 0), &cli->arena, &listing, problem);

    if (result != RESULT_OK)
        return result;
    return cli_print_listing(cli, &listing, "nothing found on this device", problem);
}

static const struct cli_action SEARCH_ACTIONS[] = {{NULL, "TEXT", 1, 1, run_search}};
const struct cli_family CLI_SEARCH = {
    .command = {.name = "search",
                .help = "calls, sites, customers, machines and parts that hold a text",
                .arguments = "TEXT",
                .argument_count_min = 1,
                .argument_count_max = 1},
    .needs_enrolment = true,
    .actions = SEARCH_ACTIONS,
    .action_count = COUNT_OF(SEARCH_ACTIONS),
};

/* ---- the inbox ---- */

static enum result run_inbox_list(struct cli *cli, struct problem *problem)
{
    struct listing listing = {0};
    enum result result = inbox_list(&cli->service, &cli->arena, &listing, problem);

    if (result != RESULT_OK)
        return result;
    return cli_print_listing(cli, &listing, "nothing was lost or refused", problem);
}

static enum result settle(struct cli *cli, bool is_reapplied, struct problem *problem)
{
    int64_t id = 0;
    enum result result = cli_integer(cli_argument(cli, 0), "id", &id, problem);

    if (result == RESULT_OK)
        result = is_reapplied ? inbox_reapply(&cli->service, id, problem)
                              : inbox_discard(&cli->service, id, problem);
    if (result != RESULT_OK)
        return result;
    return cli_print_done(cli, id, is_reapplied ? "written again" : "discarded", problem);
}

static enum result run_inbox_reapply(struct cli *cli, struct problem *problem)
{
    return settle(cli, true, problem);
}

static enum result run_inbox_discard(struct cli *cli, struct problem *problem)
{
    return settle(cli, false, problem);
}

static const struct cli_action INBOX_ACTIONS[] = {
    {"list", "", 0, 0, run_inbox_list},
    {"reapply", "ID", 1, 1, run_inbox_reapply},
    {"discard", "ID", 1, 1, run_inbox_discard},
};
const struct cli_family CLI_INBOX = {
    .command = {.name = "inbox",
                .help = "edits of mine that lost or were refused: write again or let go",
                .arguments = "list | reapply ID | discard ID",
                .argument_count_max = 2},
    .needs_enrolment = true,
    .actions = INBOX_ACTIONS,
    .action_count = COUNT_OF(INBOX_ACTIONS),
};
