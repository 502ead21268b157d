/* SPDX-License-Identifier: Apache-2.0 */
/* sql.h: the one thin wrapper around sqlite3: open, transactions, statements, values, errors.
 *
 * A struct sql_database is one connection, used by one thread at a time. Statements come from a
 * bounded cache keyed by their text. Nothing here knows the catalog.
 *
 * No connection checkpoints by itself (wal_autocheckpoint 0): exactly one per process calls
 * sql_checkpoint, passive, while another of its connections holds BEGIN IMMEDIATE; a commit beside
 * a checkpoint can reset the log under it in the SQLite that Debian 12 has.
 *
 * Every function that fails fills `problem` with what was done and what SQLite said:
 *   RESULT_WAIT       busy or locked: undo, try again later
 *   RESULT_REFUSED    a constraint, a trigger or a wrong statement said no: the transaction goes on
 *                     or is undone, as the statement's conflict clause says
 *   RESULT_EXHAUSTED  disk, memory, a limit or the time allowed: undo, report, stay up
 *   RESULT_STORAGE    the file can't be read, written or trusted: stop writing, reopen, look */
#pragma once

#include "schema/row.h"

/* A file control for a VFS that knows more about SQLITE_IOERR_DATA than that code: the argument is
 * a `const char **`, its text becomes part of the problem. */
enum { SQL_CONTROL_WHY = 0x66730001 };

struct sqlite3;
struct sql_database;  /* owns its statements; sql_close ends them */
struct sql_statement; /* taken with sql_prepare, given back with sql_release */

enum sql_profile {
    SQL_PROFILE_PLAIN = 0,  /* no journal mode is set: files of others, memory databases */
    SQL_PROFILE_SERVER = 1, /* WAL, synchronous FULL, foreign keys on */
    SQL_PROFILE_AGENT = 2,  /* WAL, synchronous NORMAL (see sql_set_durable), foreign keys off */
    SQL_PROFILE_CHECKPOINT = 3, /* only for sql_checkpoint: never reads the schema, so the parsed
                                   text of all triggers (megabytes) isn't kept once more */
};

struct sql_options {
    const char *path; /* ignored with in_memory */
    enum sql_profile profile;
    bool read_only;
    bool create; /* makes the file if it isn't there */
    bool in_memory;
    const char *vfs;     /* NULL: the default one */
    int64_t cache_kib;   /* page cache; 0: 16 MiB */
    int busy_timeout_ms; /* 0: 5,000; -1: don't wait */
};

/* What SQLite is told once, before the first sql_open of a process. */
void sql_set_up_process(void);

/* Opens with hardening: defensive, schema not trusted, values of at most 16 MiB, statements of at
 * most 100 kB, 200 columns, nothing attached. RESULT_STORAGE also if it is no database. */
MUST_CHECK enum result sql_open(const struct sql_options *options,
                                struct sql_database **ret_database, struct problem *problem);
void sql_close(struct sql_database *database); /* NULL is allowed; open transactions are undone */
/* For what the wrapper doesn't cover (backup, hooks); never to prepare statements with. */
struct sqlite3 *sql_handle(struct sql_database *database);

/* Gives back the memory of pages that aren't in use; they are read again when needed. */
void sql_release_memory(struct sql_database *database);

/* ---- transactions ---- */

enum sql_begin {
    SQL_DEFERRED = 0,  /* reads: one state of the database until the end */
    SQL_IMMEDIATE = 1, /* writes: takes the write lock now, or RESULT_WAIT */
};

/* A scope that undoes itself: begin, work, commit; end in any case. Start with {0}. */
struct sql_transaction {
    struct sql_database *database; /* NULL: not begun, or over */
    /* A commit failed in a way that leaves open what the disk has: read again before doing
     * anything that depends on it. */
    bool outcome_unknown;
};

MUST_CHECK enum result sql_begin(struct sql_transaction *transaction, struct sql_database *database,
                                 enum sql_begin mode, struct problem *problem);
/* RESULT_WAIT and RESULT_REFUSED (a deferred reference is broken): still open, sql_end undoes it.
 * RESULT_STORAGE, RESULT_EXHAUSTED: outcome_unknown is set. */
MUST_CHECK enum result sql_commit(struct sql_transaction *transaction, struct problem *problem);
/* Undoes what wasn't committed; harmless if never begun. */
void sql_end(struct sql_transaction *transaction);
bool sql_in_transaction(const struct sql_database *database);

/* ---- statements ---- */

enum { SQL_STATEMENTS_KEPT_MAX = 96 }; /* idle ones; the longest unused is ended first */

/* Takes a statement with this text, ready to be bound. The same text may be taken several times at
 * once. RESULT_REFUSED: it doesn't compile, or is more than one statement. */
MUST_CHECK enum result sql_prepare(struct sql_database *database, const char *text,
                                   struct sql_statement **ret_statement, struct problem *problem);
/* Where the first statement of a script ends, with its semicolon: never beyond the closing NUL.
 * Semicolons in texts, comments and triggers end nothing. */
const char *sql_statement_end(const char *script);
/* Does it leave the database as it is? */
bool sql_is_read_only(const struct sql_statement *statement);
/* Gives it back, reset and without bindings; NULL is allowed. */
void sql_release(struct sql_statement *statement);
/* Ready to be stepped from the start again; bindings stay. */
void sql_reset(struct sql_statement *statement);

/* Parameters count from 1. The value's bytes are borrowed until the next reset or release.
 * RESULT_REFUSED: NaN, an infinity, or text that holds a NUL. */
MUST_CHECK enum result sql_bind(struct sql_statement *statement, int index,
                                const struct value *value, struct problem *problem);
MUST_CHECK enum result sql_bind_integer(struct sql_statement *statement, int index, int64_t integer,
                                        struct problem *problem);
MUST_CHECK enum result sql_bind_text(struct sql_statement *statement, int index, const char *text,
                                     struct problem *problem);
/* How many parameters the statement has. */
size_t sql_parameter_count(const struct sql_statement *statement);
/* Binds 1 to count. */
MUST_CHECK enum result sql_bind_all(struct sql_statement *statement, const struct value *values,
                                    size_t value_count, struct problem *problem);

/* ret_row: true, a row is there; false, the statement is done (and reset). */
MUST_CHECK enum result sql_step(struct sql_statement *statement, bool *ret_row,
                                struct problem *problem);

/* Columns count from 0; bytes are borrowed until the next step, reset or release. A foreign writer
 * may have stored text that isn't UTF-8: whoever passes it on checks bytes_are_text. */
int sql_column_count(const struct sql_statement *statement);
struct value sql_column(struct sql_statement *statement, int index);
int64_t sql_column_integer(struct sql_statement *statement, int index); /* NULL: 0 */
bool sql_column_is_null(struct sql_statement *statement, int index);
/* As the statement calls it; borrowed until the release. */
const char *sql_column_name(struct sql_statement *statement, int index);
/* NULL stays a NULL pointer; with a closing NUL in `arena`. */
MUST_CHECK enum result sql_column_text(struct sql_statement *statement, int index,
                                       struct arena *arena, const char **ret_text,
                                       struct problem *problem);
MUST_CHECK enum result sql_column_copy(struct sql_statement *statement, int index,
                                       struct arena *arena, struct value *ret_value,
                                       struct problem *problem);

/* ---- whole runs ---- */

/* Any number of statements without parameters, as in a migration; rows are thrown away. */
MUST_CHECK enum result sql_exec(struct sql_database *database, const char *script,
                                struct problem *problem);
/* One statement with values 1 to count; rows are thrown away. values may be NULL if count is 0. */
MUST_CHECK enum result sql_run(struct sql_database *database, const char *text,
                               const struct value *values, size_t value_count,
                               struct problem *problem);
/* The first column of the first row; `otherwise` if there is no row or it is NULL. */
MUST_CHECK enum result sql_query_integer(struct sql_database *database, const char *text,
                                         const struct value *values, size_t value_count,
                                         int64_t otherwise, int64_t *ret_integer,
                                         struct problem *problem);
/* Rows that the last INSERT, UPDATE or DELETE touched, without those of triggers. */
int64_t sql_changes(const struct sql_database *database);

/* ---- care of the file ---- */

/* Changes when another connection has committed. */
MUST_CHECK enum result sql_data_version(struct sql_database *database, int64_t *ret_version,
                                        struct problem *problem);
/* synchronous FULL (true) or what the profile has. Not inside a transaction. */
MUST_CHECK enum result sql_set_durable(struct sql_database *database, bool durable,
                                       struct problem *problem);
/* RESULT_STORAGE with SQLite's first finding if the file is damaged. */
MUST_CHECK enum result sql_quick_check(struct sql_database *database, struct problem *problem);
MUST_CHECK enum result sql_integrity_check(struct sql_database *database, struct problem *problem);
/* Passive: copies what no reader holds back. Frames in the log and how many of them are copied. */
MUST_CHECK enum result sql_checkpoint(struct sql_database *database, int64_t *ret_frame_count,
                                      int64_t *ret_copied_count, struct problem *problem);
/* In place, or into a new file (path not NULL). Not inside a transaction. */
MUST_CHECK enum result sql_vacuum(struct sql_database *database, const char *path,
                                  struct problem *problem);

/* Appends `name` as an SQL identifier: in double quotes, those inside doubled. */
MUST_CHECK enum result sql_append_identifier(struct buffer *buffer, const char *name,
                                             struct problem *problem);
