/* SPDX-License-Identifier: Apache-2.0 */
/* options.h: the command line from tables: what may be given, its help, and what the exit says.
 *
 *     PROGRAM [global options] COMMAND [options] [arguments]
 *
 * getopt_long(3) does the reading: -x VALUE, -xVALUE, --name VALUE, --name=VALUE, "--" ends the
 * options, unambiguous abbreviations work. Global options may stand after the command too.
 * -h/--help and -V/--version are in every program. getopt keeps state of its own: main thread only,
 * one parse at a time. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

/* What a shell or a service manager is told; documented in the manual pages. */
enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_FAILURE = 1,
    EXIT_CODE_USAGE = 2,          /* wrong command line */
    EXIT_CODE_CONFIG = 3,         /* wrong configuration */
    EXIT_CODE_DATABASE = 4,       /* locked by someone else, or damaged */
    EXIT_CODE_NETWORK = 5,        /* the peer is unreachable or refused us */
    EXIT_CODE_AUTHENTICATION = 6, /* unknown, revoked, wrong code */
    EXIT_CODE_TEMPORARY = 75,     /* try again later: EX_TEMPFAIL of sysexits.h */
};

struct option_spec {
    const char *name;     /* without the dashes */
    char short_name;      /* 0: none */
    const char *argument; /* its name in the help, "FILE"; NULL: takes none */
    const char *help;     /* one line */
};

struct options_command {
    const char *name;
    const char *help;      /* one line */
    const char *arguments; /* in the usage line, "FILE [DEVICE...]"; NULL: none */
    int argument_count_min, argument_count_max;
    const struct option_spec *specs;
    size_t spec_count;
};

/* All of it constant and longer-lived than what is parsed with it. */
struct options_program {
    const char *name;
    const char *summary;  /* one line */
    const char *version;  /* "0.3.0 (git abc123, sqlite 3.40.1)" */
    const char *examples; /* lines that start with two blanks and end with a newline; or NULL */
    const struct option_spec *specs; /* global ones */
    size_t spec_count;
    const struct options_command *commands;
    size_t command_count;
};

enum { OPTIONS_SPEC_COUNT_MAX = 96, OPTIONS_GIVEN_COUNT_MAX = 64 };

enum options_wish {
    OPTIONS_RUN,
    OPTIONS_HELP,    /* print options_help to stdout, exit 0 */
    OPTIONS_VERSION, /* print options_version to stdout, exit 0 */
};

struct options {
    enum options_wish wish;
    const struct options_command *command; /* NULL only with OPTIONS_HELP or OPTIONS_VERSION */
    struct {
        const struct option_spec *spec;
        const char *value;            /* of argv; NULL if it takes none */
    } given[OPTIONS_GIVEN_COUNT_MAX]; /* in the order of the command line */
    size_t given_count;
    char *const *arguments; /* of argv: what is left after options and command */
    int argument_count;
};

/* Reads a command line. argv is as main got it; its order may change, its texts are borrowed.
 *
 * RESULT_REFUSED  says what is wrong with the nearest right name: print it with options_usage to
 *                 stderr, exit with EXIT_CODE_USAGE. So does a missing command. */
MUST_CHECK enum result options_parse(const struct options_program *program, int argc, char **argv,
                                     struct options *ret_options, struct problem *problem);

/* The value given last; NULL if the option wasn't given (or takes no value). */
const char *options_value(const struct options *options, const char *name);
/* How often it was given. */
size_t options_count(const struct options *options, const char *name);

/* Appends the help of the program (`command` NULL) or of one command: examples first. */
MUST_CHECK enum result options_help(const struct options_program *program,
                                    const struct options_command *command, struct buffer *out,
                                    struct problem *problem);
/* Appends the line or two for stderr after a mistake. */
MUST_CHECK enum result options_usage(const struct options_program *program,
                                     const struct options_command *command, struct buffer *out,
                                     struct problem *problem);
MUST_CHECK enum result options_version(const struct options_program *program, struct buffer *out,
                                       struct problem *problem);

/* How many letters must be added, removed, changed or swapped with their neighbour to get from one
 * name to the other (optimal string alignment); for "did you mean". SIZE_MAX when one is longer
 * than 63 bytes. */
size_t options_distance(const char *a, const char *b);

/* Near enough to be a slip of the finger: at most a third of the letters, at most 3. */
bool options_is_near(const char *word, const char *name);
