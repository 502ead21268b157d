/* SPDX-License-Identifier: Apache-2.0 */
/* config.h: settings from a table of keys, and where each value came from.
 *
 * A key is "name" or "section.name" in lower case with _. The same key has one form per source,
 * and of several sources the higher one wins:
 *
 *     5 command line    --listen-port 8443
 *     4 environment     FIELDSYNC_LISTEN_PORT=8443
 *     3 a named file    [listen] and below it  port = 8443        (--config FILE)
 *     2 folder          the same, in *.conf files in byte order, the last one wins
 *     1 default         of the table
 *
 * Files are INI as libinih reads them: "key = value" or "key: value", [section], lines that start
 * with # or ; are comments, and so is what follows " ;" in a line. Lines of up to about 195 bytes,
 * files of up to CONFIG_FILE_SIZE_MAX. A key twice in one file, an unknown key, or a value that
 * doesn't fit its type stops the start with file, line and the nearest right name. A variable with
 * our prefix that is no key is only a mistake when it is a slip away from one: others use it too.
 *
 * Secrets are never values: a CONFIG_SECRET_FILE key names a file. A configuration doesn't change
 * after config_load; to reload, load a second one and keep the first if that fails. */
#pragma once

#include "base/arena.h"
#include "base/bytes.h"
#include "base/result.h"
#include "edge/options.h"

enum { CONFIG_FILE_SIZE_MAX = 256 * 1024, CONFIG_SECRET_SIZE_MAX = 4096 };

enum config_type {
    CONFIG_TEXT,        /* min, max: bytes */
    CONFIG_INTEGER,     /* decimal */
    CONFIG_BOOLEAN,     /* true yes on 1, false no off 0 */
    CONFIG_SIZE,        /* bytes; 64K, 16M, 2G count in 1024 */
    CONFIG_DURATION,    /* 250ms 30s 5min 2h 30d; read as microseconds, and so are min and max */
    CONFIG_CHOICE,      /* one of choices */
    CONFIG_PATH,        /* not empty */
    CONFIG_SECRET_FILE, /* path of a file with a secret; the name ends in "_file" */
};

struct config_key {
    const char *name;
    enum config_type type;
    const char *fallback; /* as it would stand in a file; NULL: not set */
    const char *help;     /* one line */
    int64_t min, max;     /* both in; both 0: no limit */
    const char *choices;  /* "text|json", for CONFIG_CHOICE */
};

struct config_sources {
    const char *folder;             /* NULL: none; may be missing on the disk */
    const char *file;               /* NULL: none; must exist */
    char *const *environment;       /* environ; NULL: none */
    const char *environment_prefix; /* "FIELDSYNC_" */
    const struct options *options;  /* NULL: none */
};

struct config;

/* The keys (constant, longer-lived than the configuration) with values from all sources.
 *
 * RESULT_REFUSED    wrong configuration, in words: print it, exit with EXIT_CODE_CONFIG, or keep
 *                   the old one when reloading
 * RESULT_EXHAUSTED  memory, or a file larger than its limit: the same
 * RESULT_STORAGE    the disk failed: the same */
MUST_CHECK enum result config_load(const struct config_key *keys, size_t key_count,
                                   const struct config_sources *sources, struct config **ret_config,
                                   struct problem *problem);
void config_destroy(struct config *config);

/* A name that isn't in the table, or is of another type, is our own mistake (invariant). */
bool config_is_set(const struct config *config, const char *name);
/* TEXT, CHOICE, PATH, SECRET_FILE; NULL when not set. Lives as long as the configuration. */
const char *config_text(const struct config *config, const char *name);
/* INTEGER, SIZE (bytes), DURATION (microseconds); must have a default or be set. */
int64_t config_number(const struct config *config, const char *name);
bool config_boolean(const struct config *config, const char *name);
/* "default", "/etc/.../10.conf:7", "environment FIELDSYNC_X", "option --x". */
const char *config_origin(const struct config *config, const char *name);

/* Appends the contents of the file that a CONFIG_SECRET_FILE key names, without one closing line
 * end. `secret` has a size_max of CONFIG_SECRET_SIZE_MAX or more; the caller wipes it.
 * RESULT_REFUSED: not set, missing, empty, or others than the owner (and its group, to read) may
 * touch it: say so, exit with EXIT_CODE_CONFIG. */
MUST_CHECK enum result config_read_secret(const struct config *config, const char *name,
                                          struct buffer *secret, struct problem *problem);

/* Appends every key with its value and origin, one line each. Read as a file it gives the same
 * values, unless one of the environment or the command line holds what a file can't (" ;"). */
MUST_CHECK enum result config_show(const struct config *config, struct buffer *out,
                                   struct problem *problem);

/* Appends a file with every key, its help, limits and default, all commented out. */
MUST_CHECK enum result config_sample(const struct config_key *keys, size_t key_count,
                                     struct buffer *out, struct problem *problem);

/* One option per key ("listen.port" is --listen-port), in `arena`, for the table of a program. */
MUST_CHECK enum result config_options(const struct config_key *keys, size_t key_count,
                                      struct arena *arena, const struct option_spec **ret_specs,
                                      struct problem *problem);
