/* SPDX-License-Identifier: Apache-2.0 */
/* cli.h: the commands of a device that work on its replica: a table of families, and what they
 * share. They translate and never decide: rules and writing SQL are in agent/service.
 *
 * A family is one word of the command line ("call"), its actions the next ("open"). Commands work
 * on the file directly, whether the agent runs or not, and need no network: they return at once,
 * and a running agent notices what was committed. What needs the network (enrol, run, sync) is the
 * program's own (agent/commands.h).
 *
 * To add a family: a file with `const struct cli_family CLI_X`, its name in cli_commands.c. */
#pragma once

#include "agent/service/service.h"
#include "edge/options.h"
#include "edge/terminal.h"

enum { CLI_OUT_SIZE_MAX = 64 << 20, CLI_ARENA_SIZE_MAX = 256 << 20 };

struct cli {
    const struct options *options;
    struct service service;
    const char *data_folder;
    struct arena arena; /* until the command ends */
    struct buffer out;  /* to stdout when it ends well */
    bool is_json;
    enum exit_code exit_code; /* if the command itself went well: EXIT_CODE_OK or its finding */
};

struct cli_action {
    const char *name; /* NULL: the family's only one, without a word of its own */
    const char *arguments;
    int argument_count_min, argument_count_max;
    enum result (*run)(struct cli *cli, struct problem *problem);
};

struct cli_family {
    struct options_command command;
    bool needs_enrolment; /* false: works before, service.who is empty then */
    const struct cli_action *actions;
    size_t action_count;
};

/* All families, ends with NULL. */
const struct cli_family *const *cli_families(void);
/* NULL: no family, a command of the program's own. */
const struct cli_family *cli_family_of(const struct options *options);

/* Runs the command: RESULT_OK leaves its text in cli->out. RESULT_REFUSED is for the person;
 * RESULT_WAIT: another program is writing, run it again. */
MUST_CHECK enum result cli_run(struct cli *cli, struct problem *problem);

/* ---- for the families ------------------------------------------------------------------------ */

/* Arguments after the action's name, from 0; NULL if there are fewer. */
const char *cli_argument(const struct cli *cli, int index);
int cli_argument_count(const struct cli *cli);
const char *cli_option(const struct cli *cli, const char *name); /* NULL: not given */

/* RESULT_REFUSED names `what`. */
MUST_CHECK enum result cli_integer(const char *text, const char *what, int64_t *ret_integer,
                                   struct problem *problem);
/* "2.5" is 2500 with 3 digits behind the point, "12,50" is 1250 with 2. */
MUST_CHECK enum result cli_decimal(const char *text, int digits, const char *what,
                                   int64_t *ret_number, struct problem *problem);
/* "2026-11-23T15:54Z", with seconds or without; "now"; "-90m", "-2h": before now. */
MUST_CHECK enum result cli_time(const struct cli *cli, const char *text, int64_t *ret_us,
                                struct problem *problem);

/* A table for people, an array of objects for programs. `empty` is said to people without rows. */
MUST_CHECK enum result cli_print_listing(struct cli *cli, const struct listing *listing,
                                         const char *empty, struct problem *problem);
/* One row as lines "title  value". */
MUST_CHECK enum result cli_print_card(struct cli *cli, const struct listing *listing,
                                      struct problem *problem);
/* Writes a listing as a member of an object that is being written. */
void cli_json_listing(struct terminal_json *json, const char *key, const struct listing *listing);
/* Data may come from anywhere: of control characters only line ends get out. */
MUST_CHECK enum result cli_append(struct cli *cli, const char *text, struct problem *problem);
/* The same for a formatted text of up to 4 KiB. */
MUST_CHECK enum result cli_say(struct cli *cli, struct problem *problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The usual end of a command that made a row: words for people, {"id": ...} for programs. */
MUST_CHECK enum result cli_print_done(struct cli *cli, int64_t id, const char *words,
                                      struct problem *problem);
/* A value as people read it, in the arena. */
const char *cli_value_text(struct cli *cli, enum listing_kind kind, const struct value *value);

extern const struct cli_family CLI_CALL;
extern const struct cli_family CLI_NOTE;
extern const struct cli_family CLI_ACTIVITY;
extern const struct cli_family CLI_WORK;
extern const struct cli_family CLI_EXPENSE;
extern const struct cli_family CLI_PART;
extern const struct cli_family CLI_VAN;
extern const struct cli_family CLI_PHOTO;
extern const struct cli_family CLI_SIGN;
extern const struct cli_family CLI_SEARCH;
extern const struct cli_family CLI_INBOX;
extern const struct cli_family CLI_STATUS;
extern const struct cli_family CLI_VERIFY;
extern const struct cli_family CLI_EXPLAIN;
extern const struct cli_family CLI_FATE;
extern const struct cli_family CLI_NEW_ID;
extern const struct cli_family CLI_SQL;
