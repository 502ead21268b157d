/* SPDX-License-Identifier: Apache-2.0 */
/* import.h: rows of other systems into the master, in whole batches, as often as one likes.
 *
 * A run takes one profile (import_profile.h) and one file after the other. Each batch of
 * IMPORT_BATCH_ROWS records is one transaction through a unit of work, so imported rows are synced
 * like any others. What makes a row the same row next time is external_ref: a second run of the
 * same files changes nothing; of changed files it updates the columns that the profile maps and
 * that differ. It never undoes what people did: a column whose newest value came from a device
 * stays, a row that was deleted here is not brought back, facts are never changed; all of that is
 * in the report. Of records with the same key the first one counts.
 *
 * A record that can't be taken is skipped, a value that can't be read is left out; both are counted
 * by reason, with the lines of the first few. If a batch is refused by the database its records are
 * tried one by one and only the bad ones are skipped.
 *
 * A dry run does the same in one transaction that is undone at the end: same report, no change. It
 * keeps others from writing as long as it lasts.
 *
 * Memory: a batch, and one small entry a key of the outside system (at most IMPORT_KEYS_SIZE_MAX
 * bytes in all, some two million keys). */
#pragma once

#include "server/service/import_profile.h"
#include "server/store/work.h"

enum {
    IMPORT_BATCH_ROWS = 2000,
    IMPORT_BATCH_SIZE_SOFT = 8 * 1024 * 1024, /* bytes of text after which a batch is closed */
    IMPORT_KEYS_SIZE_MAX = 512 * 1024 * 1024,
    IMPORT_REASONS_MAX = 64,
    IMPORT_LINES_MAX = 5,
    IMPORT_COUNTS_MAX = 24,
    IMPORT_TEXT_SIZE = 160,
    IMPORT_SAMPLE_SIZE = 48,
};

/* Why records were skipped, or values left out. */
struct import_reason {
    bool is_skip;                /* false: only a value is missing, the row is there */
    char file[IMPORT_TEXT_SIZE]; /* base name */
    char column[64];             /* of the row, "table.column", or empty */
    char text[IMPORT_TEXT_SIZE];
    int64_t count;
    int64_t lines[IMPORT_LINES_MAX]; /* the first ones */
    char sample[IMPORT_SAMPLE_SIZE]; /* of the first one; may be cut */
};

struct import_count {
    const char *table;
    int64_t inserted;
    int64_t updated;
    int64_t unchanged;
};

struct import_report {
    int64_t read;                         /* records */
    int64_t skipped;                      /* of those */
    int64_t inserted, updated, unchanged; /* records, by what became of their main row */
    int64_t size;                         /* bytes read */
    size_t count_count;
    struct import_count counts[IMPORT_COUNTS_MAX];
    size_t reason_count;
    struct import_reason reasons[IMPORT_REASONS_MAX];
    int64_t more_reasons;        /* events whose reason found no room above */
    int64_t batches;             /* committed */
    char file[IMPORT_TEXT_SIZE]; /* being read */
    int64_t line_committed;      /* of `file`: records up to this line are in the master */
    char encoding[16];           /* of `file` */
    bool is_dry_run;
};

struct import_options {
    struct store *store; /* a writer; no transaction open */
    struct work *work;   /* of that store, made with import_reactions() */
    struct wall_time now;
    bool is_dry_run;
    int64_t skip_count_max; /* stop when more records than this are skipped; 0: never */
    const char *system;     /* in place of the profile's; may be NULL */
    /* After each batch, for a progress line and to wake the readers of what changed; may be NULL.
     * `outcome` is NULL in a dry run. */
    void (*batch_done)(void *context, const struct import_report *report,
                       const struct work_outcome *outcome);
    void *context;
};

/* For work_create: the business rules of the master, or none where history comes in. */
const struct reaction *import_reactions(const struct import_profile *profile);

struct import;

/* Reads the keys that are known already. `options` and `profile` must outlive the import. */
MUST_CHECK enum result import_create(const struct import_options *options,
                                     const struct import_profile *profile,
                                     struct import **ret_import, struct problem *problem);
void import_destroy(struct import *import); /* takes NULL; undoes a dry run */

/* The file of the profile that is called so; for a profile of one file that one. NULL: none. */
const struct import_file *import_file_by_name(const struct import_profile *profile,
                                              const char *base_name);

/* Reads one file to its end. On failure whole batches are in, up to report->line_committed: put
 * right what `problem` says and run it all again, what is in is recognised.
 *
 * RESULT_REFUSED    the file doesn't fit the profile, isn't text, or too many records are skipped
 * RESULT_EXHAUSTED  disk or memory; RESULT_WAIT the database is locked; RESULT_STORAGE as always */
MUST_CHECK enum result import_read(struct import *import, const struct import_file *file,
                                   const char *base_name, const struct csv_source *source,
                                   struct problem *problem);

const struct import_report *import_report(const struct import *import);
