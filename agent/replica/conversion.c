/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* O_CLOEXEC */
#endif

#include "agent/replica/conversion.h"

#include "schema/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUSY_MS = 2000 };

struct end {
    struct vault *vault;
    struct sql_database *database;
};

struct conversion {
    struct end from;
};

static enum result end_open(struct end *end, const char *path, const struct vault_options *vault,
                            struct problem *problem)
{
    struct sql_options options = {.path = path, .busy_timeout_ms = BUSY_MS};
    enum result result = RESULT_OK;

    if (vault != NULL)
        result = vault_create(vault, &end->vault, problem);
    if (result != RESULT_OK)
        return result;
    if (end->vault != NULL)
        options.vfs = vault_vfs_name(end->vault);
    result = sql_open(&options, &end->database, problem);
    if (result != RESULT_OK && end->vault != NULL && vault_trouble(end->vault)[0] != '\0')
        problem_add(problem, "%s", vault_trouble(end->vault));
    return result;
}

static void end_close(struct end *end)
{
    sql_close(end->database);
    vault_destroy(end->vault);
    *end = (struct end){0};
}

/* Everything comes into the one file, and the lock on it stays until the connection is closed. */
static enum result take_alone(struct sql_database *database, struct problem *problem)
{
    int64_t page_size = 0;
    int64_t has_log = 0;
    enum result result = sql_exec(database,
                                  "PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL;"
                                  "PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE; COMMIT",
                                  problem);

    if (result == RESULT_OK)
        result = sql_query_integer(database, "SELECT journal_mode = 'wal' FROM pragma_journal_mode",
                                   NULL, 0, 1, &has_log, problem);
    if (result == RESULT_WAIT || (result == RESULT_OK && has_log != 0))
        result = problem_set(problem, RESULT_WAIT, "another program has the replica open");
    if (result == RESULT_OK)
        result = sql_query_integer(database, "PRAGMA page_size", NULL, 0, 0, &page_size, problem);
    if (result == RESULT_OK && page_size != VAULT_PAGE_SIZE)
        result = problem_set(problem, RESULT_REFUSED,
                             "its pages have %" PRId64 " bytes, and only %d can be encrypted",
                             page_size, (int)VAULT_PAGE_SIZE);
    return result;
}

static enum result copy_pages(struct end *from, struct end *to, struct problem *problem)
{
    sqlite3 *target = sql_handle(to->database);
    sqlite3_backup *backup =
        sqlite3_backup_init(target, "main", sql_handle(from->database), "main");
    const char *why = from->vault == NULL ? "" : vault_trouble(from->vault);
    int code = SQLITE_ERROR;

    if (backup != NULL) {
        (void)sqlite3_backup_step(backup, -1);
        code = sqlite3_backup_finish(backup);
    }
    if (code == SQLITE_OK)
        return RESULT_OK;
    if ((code & 0xff) == SQLITE_FULL)
        return problem_set(problem, RESULT_EXHAUSTED, "the disk is full");
    if ((code & 0xff) == SQLITE_BUSY)
        return problem_set(problem, RESULT_WAIT, "another program has the replica open");
    return problem_set(problem, RESULT_STORAGE, "copying it: %s (SQLite %d)",
                       why[0] != '\0' ? why : sqlite3_errstr(code), code);
}

/* What was written is read again from the disk, by a connection that has no page of it yet. */
static enum result check_copy(const struct conversion_options *options, struct problem *problem)
{
    struct end copy = {0};
    enum result result = end_open(&copy, options->to, options->to_vault, problem);

    if (result == RESULT_OK)
        result = sql_quick_check(copy.database, problem);
    end_close(&copy);
    return result;
}

static enum result make_copy(const struct conversion_options *options, struct end *from,
                             struct problem *problem)
{
    struct end to = {0};
    int file = open(options->to, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    enum result result = RESULT_OK;

    if (file < 0 || close(file) != 0)
        return problem_set(problem, errno == ENOSPC ? RESULT_EXHAUSTED : RESULT_STORAGE, "%s: %s",
                           options->to, strerror(errno));
    result = end_open(&to, options->to, options->to_vault, problem);
    if (result == RESULT_OK)
        result = sql_exec(to.database, "PRAGMA synchronous = FULL", problem);
    if (result == RESULT_OK)
        result = copy_pages(from, &to, problem);
    end_close(&to);
    return result == RESULT_OK ? check_copy(options, problem) : result;
}

enum result conversion_begin(const struct conversion_options *options,
                             struct conversion **ret_conversion, struct problem *problem)
{
    struct conversion *conversion = calloc(1, sizeof *conversion);
    enum result result = RESULT_OK;

    if (conversion == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory");
    result = end_open(&conversion->from, options->from, options->from_vault, problem);
    if (result == RESULT_OK)
        result = take_alone(conversion->from.database, problem);
    if (result == RESULT_OK)
        result = make_copy(options, &conversion->from, problem);
    if (result != RESULT_OK) {
        problem_add(problem, "converting %s", options->from);
        conversion_end(conversion);
        return result;
    }
    *ret_conversion = conversion;
    return RESULT_OK;
}

void conversion_end(struct conversion *conversion)
{
    if (conversion == NULL)
        return;
    end_close(&conversion->from);
    free(conversion);
}
