/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/replica/vault_inside.h"

#include "schema/sql.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

struct vault_file *vault_file_of(sqlite3_file *file)
{
    return (struct vault_file *)(void *)file;
}

sqlite3_file *vault_file_below(struct vault_file *file)
{
    return (sqlite3_file *)(void *)(file + 1);
}

static int close_file(sqlite3_file *file)
{
    struct vault_file *self = vault_file_of(file);
    sqlite3_file *below = vault_file_below(self);
    int code = below->pMethods->xClose(below);

    sodium_free(self->own_key); /* wipes; takes NULL */
    sqlite3_free(self->name);
    sodium_memzero(self, sizeof *self);
    return code;
}

/* ---- units ----------------------------------------------------------------------------------- */

static int stored_size(struct vault_file *self, sqlite3_int64 *ret_size)
{
    sqlite3_file *below = vault_file_below(self);

    return below->pMethods->xFileSize(below, ret_size);
}

/* SQLITE_IOERR_SHORT_READ: it lies behind the end. SQLITE_IOERR_DATA: it isn't what was written
 * there. `ret_text` is zeros then. */
static int read_unit(struct vault_file *self, const struct vault_unit *unit, uint8_t *ret_text)
{
    sqlite3_file *below = vault_file_below(self);
    int size = (int)unit->size + VAULT_UNIT_EXTRA_SIZE;
    sqlite3_int64 size_now = 0;
    int code = below->pMethods->xRead(below, self->sealed, size, unit->place);
    int size_code;

    if (code == SQLITE_OK)
        return vault_unit_open(&self->lock, unit, self->sealed, ret_text) ? SQLITE_OK
                                                                          : SQLITE_IOERR_DATA;
    memset(ret_text, 0, unit->size);
    if (code != SQLITE_IOERR_SHORT_READ)
        return code;
    size_code = stored_size(self, &size_now);
    if (size_code != SQLITE_OK)
        return size_code;
    return unit->place + size > size_now ? SQLITE_IOERR_SHORT_READ : SQLITE_IOERR_DATA;
}

static int write_unit(struct vault_file *self, const struct vault_unit *unit, const uint8_t *text)
{
    sqlite3_file *below = vault_file_below(self);

    self->vault->draw(self->vault->context, self->sealed, VAULT_NONCE_SIZE);
    vault_unit_seal(&self->lock, unit, text, self->sealed);
    return below->pMethods->xWrite(below, self->sealed, (int)unit->size + VAULT_UNIT_EXTRA_SIZE,
                                   unit->place);
}

static void note_damage(struct vault_file *self, const struct vault_unit *unit)
{
    struct vault *vault = self->vault;
    const char *label = self->label == NULL ? "a temporary file" : self->label;

    if (self->kind == VAULT_LOG && unit->number > 0)
        (void)snprintf(vault->trouble, sizeof vault->trouble,
                       "frame %" PRIu64 " of %s is damaged or was altered", (unit->number + 1) / 2,
                       label);
    else
        (void)snprintf(vault->trouble, sizeof vault->trouble,
                       "page %" PRIu64 " of %s is damaged or was altered", unit->number + 1, label);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Is this how SQLite looks at what a power cut may have torn? The log's header and whole frames
 * are read only to recover the log; and from the database only its first bytes without the page,
 * before the log, which may hold page 1, is known. */
static int damage_means(const struct vault_file *self, int size, int64_t offset)
{
    struct vault_unit first = vault_unit_at(self->kind, offset);
    bool is_from_start = first.offset == offset;
    bool is_log_header = is_from_start && first.number == 0 && size == (int)first.size;
    bool is_whole_frame = is_from_start && first.number % 2 == 1 && size > VAULT_PAGE_SIZE;

    switch (self->kind) {
    case VAULT_DATABASE:
        return size < VAULT_PAGE_SIZE ? SQLITE_IOERR_SHORT_READ : SQLITE_IOERR_DATA;
    case VAULT_LOG:
        return is_log_header || is_whole_frame ? SQLITE_OK : SQLITE_IOERR_DATA;
    case VAULT_JOURNAL:
        return SQLITE_OK;
    case VAULT_TEMPORARY:
        break;
    }
    return SQLITE_IOERR_DATA;
}

/* As read_unit, for `size` bytes from `offset` on; *ret_unit is the one it ended at. */
static int read_units(struct vault_file *self, uint8_t *room, int size, int64_t offset,
                      struct vault_unit *ret_unit)
{
    bool is_short = false;

    while (size > 0) {
        struct vault_unit unit = vault_unit_at(self->kind, offset);
        size_t skip = (size_t)(offset - unit.offset);
        size_t piece = (size_t)size < unit.size - skip ? (size_t)size : unit.size - skip;
        bool is_whole = piece == unit.size;
        int code = read_unit(self, &unit, is_whole ? room : self->text);

        *ret_unit = unit;
        if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ)
            return code;
        is_short = is_short || code == SQLITE_IOERR_SHORT_READ;
        if (!is_whole)
            memcpy(room, self->text + skip, piece);
        room += piece;
        offset += (int64_t)piece;
        size -= (int)piece;
    }
    return is_short ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
}

static int read_file(sqlite3_file *file, void *bytes, int size, sqlite3_int64 offset)
{
    struct vault_file *self = vault_file_of(file);
    struct vault_unit unit;
    int code = read_units(self, bytes, size, offset, &unit);

    if (code != SQLITE_IOERR_DATA)
        return code;
    /* all of it: a page of zeros under the header of its frame would be taken for whole */
    memset(bytes, 0, (size_t)size);
    code = damage_means(self, size, offset);
    if (code == SQLITE_IOERR_DATA)
        note_damage(self, &unit);
    return code;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Pages that SQLite skips hold nothing, but a copy of the file reads them: no holes. */
static int fill_gap(struct vault_file *self, sqlite3_int64 offset)
{
    sqlite3_int64 size = 0;
    int code = stored_size(self, &size);
    int64_t seen = vault_size_seen(self->kind, size);

    if (code != SQLITE_OK || seen >= offset)
        return code;
    memset(self->text, 0, sizeof self->text);
    while (code == SQLITE_OK) {
        struct vault_unit unit = vault_unit_at(self->kind, seen);

        seen = unit.offset + (int64_t)unit.size;
        if (seen > offset)
            break;
        code = write_unit(self, &unit, self->text);
    }
    return code;
}

/* Part of a unit is written: the rest of it stays. */
static int write_part(struct vault_file *self, const struct vault_unit *unit, size_t skip,
                      const uint8_t *bytes, size_t size)
{
    int code = read_unit(self, unit, self->text);

    if (code == SQLITE_IOERR_DATA)
        note_damage(self, unit);
    if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ)
        return code;
    memcpy(self->text + skip, bytes, size);
    return write_unit(self, unit, self->text);
}

/* Our units are pages of one size; with another one a write would touch a neighbour. */
static bool is_of_our_size(struct vault_file *self, const uint8_t *bytes, int size,
                           sqlite3_int64 offset)
{
    const struct vault_unit unit = vault_unit_at(self->kind, offset);
    bool is_ours = true;

    if (self->kind == VAULT_DATABASE)
        is_ours = offset == unit.offset && size == VAULT_PAGE_SIZE;
    if (self->kind == VAULT_LOG && offset == 0 && size == (int)unit.size)
        is_ours = bytes[8] == 0 && bytes[9] == 0 && bytes[10] == VAULT_PAGE_SIZE / 256 &&
                  bytes[11] == 0; /* SQLite's wal.c: the size of a page */
    if (!is_ours)
        (void)snprintf(self->vault->trouble, sizeof self->vault->trouble,
                       "an encrypted file has pages of %d bytes, no others", (int)VAULT_PAGE_SIZE);
    return is_ours;
}

static int write_file(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
    struct vault_file *self = vault_file_of(file);
    const uint8_t *from = bytes;
    int code;

    if (!is_of_our_size(self, bytes, size, offset))
        return SQLITE_IOERR_DATA; /* the code whose reason is asked for */
    code = fill_gap(self, offset);
    while (code == SQLITE_OK && size > 0) {
        struct vault_unit unit = vault_unit_at(self->kind, offset);
        size_t skip = (size_t)(offset - unit.offset);
        size_t piece = (size_t)size < unit.size - skip ? (size_t)size : unit.size - skip;

        code = piece == unit.size ? write_unit(self, &unit, from)
                                  : write_part(self, &unit, skip, from, piece);
        from += piece;
        offset += (sqlite3_int64)piece;
        size -= (int)piece;
    }
    return code;
}

static int truncate_file(sqlite3_file *file, sqlite3_int64 size)
{
    struct vault_file *self = vault_file_of(file);
    sqlite3_file *below = vault_file_below(self);

    return below->pMethods->xTruncate(below, vault_size_stored(self->kind, size));
}

static int size_of_file(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    struct vault_file *self = vault_file_of(file);
    sqlite3_int64 size = 0;
    int code = stored_size(self, &size);

    if (code == SQLITE_OK)
        *ret_size = vault_size_seen(self->kind, size);
    return code;
}

/* ---- what the file below does by itself ------------------------------------------------------ */

static sqlite3_file *below_of(sqlite3_file *file)
{
    return vault_file_below(vault_file_of(file));
}

static int sync_file(sqlite3_file *file, int flags)
{
    return below_of(file)->pMethods->xSync(below_of(file), flags);
}

static int lock_file(sqlite3_file *file, int level)
{
    return below_of(file)->pMethods->xLock(below_of(file), level);
}

static int unlock_file(sqlite3_file *file, int level)
{
    return below_of(file)->pMethods->xUnlock(below_of(file), level);
}

static int check_lock(sqlite3_file *file, int *ret_is_reserved)
{
    return below_of(file)->pMethods->xCheckReservedLock(below_of(file), ret_is_reserved);
}

static int control_file(sqlite3_file *file, int operation, void *argument)
{
    switch (operation) {
    case SQL_CONTROL_WHY:
        *(const char **)argument = vault_file_of(file)->vault->trouble;
        return SQLITE_OK;
    case SQLITE_FCNTL_SIZE_HINT: /* sizes as SQLite counts; room that nobody wrote isn't sealed */
    case SQLITE_FCNTL_CHUNK_SIZE:
        return SQLITE_OK;
    case SQLITE_FCNTL_MMAP_SIZE: /* what would be mapped is the sealed text */
        *(sqlite3_int64 *)argument = 0;
        return SQLITE_OK;
    default:
        return below_of(file)->pMethods->xFileControl(below_of(file), operation, argument);
    }
}

static int sector_size(sqlite3_file *file)
{
    return below_of(file)->pMethods->xSectorSize(below_of(file));
}

/* Nothing that promises atomic writes or a size that grows with the content: ours are longer. */
static int characteristics(sqlite3_file *file)
{
    return below_of(file)->pMethods->xDeviceCharacteristics(below_of(file)) &
           (SQLITE_IOCAP_POWERSAFE_OVERWRITE | SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN);
}

static int map_shared(sqlite3_file *file, int region, int size, int extend, void volatile **ret)
{
    return below_of(file)->pMethods->xShmMap(below_of(file), region, size, extend, ret);
}

static int lock_shared(sqlite3_file *file, int offset, int count, int flags)
{
    return below_of(file)->pMethods->xShmLock(below_of(file), offset, count, flags);
}

static void shared_barrier(sqlite3_file *file)
{
    below_of(file)->pMethods->xShmBarrier(below_of(file));
}

static int unmap_shared(sqlite3_file *file, int remove)
{
    return below_of(file)->pMethods->xShmUnmap(below_of(file), remove);
}

/* Version 2: without xFetch, so that every page is read here and none is mapped. */
const sqlite3_io_methods VAULT_FILE_METHODS = {
    .iVersion = 2,
    .xClose = close_file,
    .xRead = read_file,
    .xWrite = write_file,
    .xTruncate = truncate_file,
    .xSync = sync_file,
    .xFileSize = size_of_file,
    .xLock = lock_file,
    .xUnlock = unlock_file,
    .xCheckReservedLock = check_lock,
    .xFileControl = control_file,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
    .xShmMap = map_shared,
    .xShmLock = lock_shared,
    .xShmBarrier = shared_barrier,
    .xShmUnmap = unmap_shared,
};
