/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/world.h"

#include "base/invariant.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void sim_text_add(struct sim_text *text, const char *format, ...)
{
    va_list arguments;
    int size = 0;

    va_start(arguments, format);
    size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    invariant(size >= 0);
    if (text->size + (size_t)size + 1 > text->room) {
        text->room = (text->size + (size_t)size + 1) * 2;
        text->text = sim_grow(text->text, text->room, 1);
    }
    va_start(arguments, format);
    (void)vsnprintf(text->text + text->size, text->room - text->size, format, arguments);
    va_end(arguments);
    text->size += (size_t)size;
}

void *sim_zero(size_t size)
{
    void *memory = calloc(1, size == 0 ? 1 : size);

    invariant(memory != NULL);
    return memory;
}

void *sim_grow(void *memory, size_t count, size_t size)
{
    void *grown = realloc(memory, count * size == 0 ? 1 : count * size);

    invariant(grown != NULL);
    return grown;
}

char *sim_copy(const char *text)
{
    size_t size = text == NULL ? 0 : strlen(text);
    char *copy = sim_zero(size + 1);

    if (size != 0)
        memcpy(copy, text, size);
    return copy;
}

bool sim_has_file(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Without `from` there is no `to` either. */
void sim_copy_file(struct world *world, const char *from, const char *to)
{
    enum { PIECE_SIZE = 256 * 1024 };
    int in = open(from, O_RDONLY);
    int out = -1;
    char *piece = NULL;

    (void)unlink(to);
    if (in < 0)
        return;
    out = open(to, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    if (out < 0)
        world_fail(world, "can't write %s", to);
    piece = sim_zero(PIECE_SIZE);
    for (;;) {
        ssize_t size = read(in, piece, PIECE_SIZE);

        if (size <= 0)
            break;
        if (write(out, piece, (size_t)size) != size)
            world_fail(world, "can't write %s", to);
    }
    free(piece);
    (void)close(in);
    (void)close(out);
}

static void draw(void *context, void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)prng_next(context);
}

struct vault_options sim_vault_options(struct prng *prng)
{
    static const uint8_t KEY[VAULT_KEY_SIZE] = "the key of all devices here";

    return (struct vault_options){.key = KEY, .draw = draw, .context = prng};
}

static const char *const ENDS[] = {"", "-wal", VAULT_LOG_SUFFIX, "-shm"};
enum { ENDS_COUNT = sizeof ENDS / sizeof ENDS[0], KEPT_COUNT = ENDS_COUNT - 1 };

/* A database as a crash leaves it: file and log of this moment, no shared memory. */
void sim_keep_files(struct world *world, const char *path)
{
    for (size_t i = 0; i < KEPT_COUNT; i++) {
        struct sim_text from = {0};
        struct sim_text to = {0};

        sim_text_add(&from, "%s%s", path, ENDS[i]);
        sim_text_add(&to, "%s%s.crash", path, ENDS[i]);
        sim_copy_file(world, from.text, to.text);
        free(from.text);
        free(to.text);
    }
}

void sim_restore_files(struct world *world, const char *path)
{
    for (size_t i = 0; i < ENDS_COUNT; i++) {
        struct sim_text file = {0};
        struct sim_text copy = {0};

        sim_text_add(&file, "%s%s", path, ENDS[i]);
        sim_text_add(&copy, "%s%s.crash", path, ENDS[i]);
        (void)unlink(file.text);
        if (sim_has_file(copy.text) && rename(copy.text, file.text) != 0)
            world_fail(world, "can't rename %s", copy.text);
        free(file.text);
        free(copy.text);
    }
}

static bool is_replica(const struct world *world, const char *path)
{
    size_t size = strlen(world->folder);

    return strncmp(path, world->folder, size) == 0 && strncmp(path + size, "/agent", 6) == 0;
}

sqlite3 *sim_open(struct world *world, const char *path)
{
    sqlite3 *database = NULL;
    const char *vfs =
        world->vault != NULL && is_replica(world, path) ? vault_vfs_name(world->vault) : NULL;

    if (sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, vfs) != SQLITE_OK)
        world_fail(world, "can't open %s: %s", path, sqlite3_errmsg(database));
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void)sqlite3_wal_autocheckpoint(database, 0);
    sim_exec(world, database, "PRAGMA synchronous = FULL"); /* as SQLite does if nobody says */
    return database;
}

sqlite3_stmt *sim_prepare(struct world *world, sqlite3 *database, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK)
        world_fail(world, "%s: %s", sql, sqlite3_errmsg(database));
    return statement;
}

void sim_exec(struct world *world, sqlite3 *database, const char *sql)
{
    char *problem = NULL;

    if (sqlite3_exec(database, sql, NULL, NULL, &problem) != SQLITE_OK)
        world_fail(world, "%s: %s", sql, problem == NULL ? "?" : problem);
}

int sim_try(sqlite3 *database, const char *sql)
{
    return sqlite3_exec(database, sql, NULL, NULL, NULL);
}

int64_t sim_integer(struct world *world, sqlite3 *database, const char *sql)
{
    sqlite3_stmt *statement = sim_prepare(world, database, sql);
    int64_t integer = 0;
    int code = sqlite3_step(statement);

    if (code == SQLITE_ROW)
        integer = sqlite3_column_int64(statement, 0);
    else if (code != SQLITE_DONE)
        world_fail(world, "%s: %s", sql, sqlite3_errmsg(database));
    sqlite3_finalize(statement);
    return integer;
}
