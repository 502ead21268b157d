/* SPDX-License-Identifier: Apache-2.0 */
/* cli.h: the commands that work on the master: a table of families, and what they share.
 *
 * A family is one word of the command line ("user"), its actions the next ("add"). Commands work on
 * the database directly, whether a server runs or not: a running one notices what was committed.
 * They translate and never decide: writing goes through services or server/core in one work.
 *
 * To add a family: a file with `const struct cli_family CLI_X`, its name in cli_commands.c. */
#pragma once

#include "edge/config.h"
#include "edge/options.h"
#include "edge/terminal.h"
#include "server/core/master.h"

enum { CLI_OUT_SIZE_MAX = 256 * 1024 * 1024, CLI_ARENA_SIZE_MAX = 512 * 1024 * 1024 };

/* What only the program itself can do for a command. */
struct cli_host {
    void *context;
    /* The text of an enrolment code for this token id and secret. */
    enum result (*encode_code)(void *context, const uint8_t *seed, struct buffer *text,
                               struct problem *problem);
    /* Integrity, references, triggers; appends a line for each fault. */
    enum result (*check_file)(void *context, struct buffer *report, size_t *ret_wrong_count,
                              struct problem *problem);
    const char *blobs_path; /* folder of the attachments; NULL: there are none */
};

struct cli {
    const struct options *options;
    const struct config *config;
    const struct catalog *catalog;
    struct master *master;
    const struct cli_host *host;
    struct wall_time now;
    struct arena arena; /* until the command ends */
    struct buffer out;  /* to stdout when it ends well, or says so */
    bool is_json;
    enum exit_code exit_code; /* if the command itself went well: EXIT_CODE_OK or its finding */
};

struct cli_action {
    const char *name;      /* NULL: the family's only one, without a word of its own */
    const char *arguments; /* for messages: "LOGIN" */
    int argument_count_min, argument_count_max;
    enum result (*run)(struct cli *cli, struct problem *problem);
};

struct cli_family {
    struct options_command command;
    const struct cli_action *actions;
    size_t action_count;
};

/* All families, ends with NULL. */
const struct cli_family *const *cli_families(void);

/* The action that the command line names. RESULT_REFUSED: none, with the nearest right name. */
MUST_CHECK enum result cli_action_of(const struct options *options,
                                     const struct cli_action **ret_action, struct problem *problem);
/* Arguments after the action's name, from 0; NULL if there are fewer. */
const char *cli_argument(const struct cli *cli, int index);
/* An integer of 0 to INT64_MAX in an option or argument. RESULT_REFUSED names `what`. */
MUST_CHECK enum result cli_integer(const char *text, const char *what, int64_t *ret_integer,
                                   struct problem *problem);

/* ---- reading and printing ---- */

MUST_CHECK enum result cli_query(struct cli *cli, const char *sql, const struct value *parameters,
                                 size_t parameter_count, struct store_result *ret_result,
                                 struct problem *problem);

enum cli_form {
    CLI_TEXT,
    CLI_NUMBER,
    CLI_TIME, /* microseconds, printed as ISO 8601 */
    CLI_FLAG, /* 0 or 1: "" or "yes" */
};

struct cli_column {
    const char *title; /* of the table */
    const char *key;   /* of the JSON object */
    enum cli_form form;
};

/* A table for people, or with --json an array of objects. As many columns as the result has. */
MUST_CHECK enum result cli_print(struct cli *cli, const struct store_result *rows,
                                 const struct cli_column *columns, struct problem *problem);
/* A line of text to stdout (left out with --json). */
MUST_CHECK enum result cli_say(struct cli *cli, struct problem *problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* One work on the master: begin, action, commit. */
MUST_CHECK enum result cli_write(struct cli *cli,
                                 enum result (*action)(struct work *work, void *context,
                                                       struct problem *problem),
                                 void *context, struct problem *problem);
