/* SPDX-License-Identifier: Apache-2.0 */
/* import_inside.h: what the parts of import.h share; not for others.
 *
 *   import.c         a run: files, batches, transactions
 *   import_record.c  one record: values first, then rows
 *   import_keys.c    which key of the outside system is which row
 *   import_report.c  reasons and counts */
#pragma once

#include "base/lookup.h"
#include "server/service/import.h"
#include "server/service/import_value.h"

/* One key of the outside system in one table, or one memo. */
struct import_key {
    int64_t row_id;      /* 0: no such row yet */
    int64_t run_line;    /* record of this run that wrote it first; 0: none */
    int64_t promised_by; /* record (by number) that is about to write it */
    struct bytes memo;
    bool is_batch_new;       /* row and external_ref come from the batch at hand */
    struct import_key *next; /* of the batch */
};

/* A file's target with names and templates resolved. */
struct import_plan_column {
    const struct import_column *column;
    const struct catalog_column *field; /* NULL: of a memo */
    struct import_template source;
    const struct catalog_table *refers_to; /* IMPORT_REFERENCE */
    char name[64];                         /* "table.column" for reasons */
};

struct import_plan_target {
    const struct import_target *target;
    const struct catalog_table *table; /* NULL: memo */
    struct import_template key;
    size_t column_count;
    struct import_plan_column *columns;
    const char *match_sql; /* NULL: none */
    struct import_count *count;
};

struct import_plan_filter {
    const struct import_filter *filter;
    struct import_template source;
};

struct import_plan {
    size_t filter_count;
    struct import_plan_filter *filters;
    size_t target_count;
    struct import_plan_target *targets;
};

/* A record kept for its batch. */
struct import_record {
    int64_t line;
    int64_t number; /* of the run, from 1 */
    struct csv_field *fields;
};

/* What a target of one record is to become. */
struct import_draft {
    struct import_key *key; /* NULL: nothing, or IMPORT_ONCE */
    bool is_wanted;
    struct bytes key_text;
    struct value *values; /* by column number */
    uint64_t mask;
    uint64_t insert_mask; /* IMPORT_ON_INSERT */
};

struct import {
    struct import_options options;
    const struct import_profile *profile;
    const char *system;
    const struct catalog *catalog;
    const struct catalog_table *external_ref;
    struct import_report report;
    struct import_report report_before; /* of the batch, to come back to */

    struct arena keys_arena;
    struct lookup keys; /* hash -> struct import_key */
    struct import_key *batch_keys;

    struct arena file_arena; /* plan of the file */
    struct import_plan plan;
    size_t field_count;
    struct bytes stem;          /* of the file's name: {file} */
    int64_t file_record_number; /* {record} */

    struct arena batch_arena; /* records of the batch */
    struct import_record *records;
    size_t record_count;
    int64_t record_number;
    int64_t line_last;

    struct arena record_arena; /* drafts of a record */
    bool is_open;              /* a dry run's transaction is open */
    bool is_broken;
};

/* ---- import_keys.c ---- */
MUST_CHECK enum result import_keys_load(struct import *import, struct problem *problem);
/* The entry of a key, made if it isn't there. */
MUST_CHECK enum result import_key_of(struct import *import, const char *table, struct bytes key,
                                     struct import_key **ret_key, struct problem *problem);
void import_keys_of_batch_add(struct import *import, struct import_key *key);
void import_keys_of_batch_keep(struct import *import);
void import_keys_of_batch_undo(struct import *import);

/* ---- import_report.c ---- */
void import_report_reason(struct import *import, bool is_skip, const char *column, const char *text,
                          int64_t line, struct bytes sample);
struct import_count *import_report_count(struct import *import, const char *table);

/* ---- import_record.c ---- */
/* One record into the work. Skipped ones are in the report. RESULT_REFUSED: the database said no:
 * the work must go back to its savepoint. */
MUST_CHECK enum result import_record_run(struct import *import, const struct import_record *record,
                                         struct problem *problem);
/* Reads the rows that the records will need in one go. */
MUST_CHECK enum result import_records_prefetch(struct import *import, struct problem *problem);
/* Resolves names and templates of a file. RESULT_REFUSED: a column isn't there. */
MUST_CHECK enum result import_plan_make(struct import *import, const struct import_file *file,
                                        const struct bytes *heading, size_t field_count,
                                        struct problem *problem);
