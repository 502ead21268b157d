/* SPDX-License-Identifier: Apache-2.0 */
/* powercut.c: what a program wrote and never synced, so that a test can take it away again.
 *
 * A library for LD_PRELOAD. Before a program changes a file below FIELDSYNC_POWERCUT_FOLDER, what
 * stood there is appended to a journal of this process in FIELDSYNC_POWERCUT_JOURNAL, a folder in
 * memory; after a sync it is noted up to where that sync reaches. The journal is a shared mapping:
 * it outlives kill -9, and powercut.py then undoes any part of what no sync had covered.
 *
 * Names count as contents of their folder: a file that was created, renamed or removed is so for
 * good only after an fsync of the folder. Removed and replaced files stay as links in
 * FIELDSYNC_POWERCUT_KEPT, which is on the same file system. Files of the name *-shm are left out:
 * SQLite makes them anew. New folders are taken as durable.
 *
 * With FIELDSYNC_POWERCUT_LIES set, syncs succeed and are never noted, as with a disk that lies.
 *
 * One record: struct record, `old_length` bytes that were there before, `name_length` bytes of
 * names; padded to 8 bytes. `sequence` orders the records of all processes of one machine. */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum kind {
    KIND_WRITE = 1,
    KIND_TRUNCATE = 2,
    KIND_SYNC = 3, /* offset: records of this file before this sequence are durable */
    KIND_CREATE = 4,
    KIND_RENAME = 5, /* two names, each with its NUL; offset 1: the new name existed, see KEPT */
    KIND_UNLINK = 6,
    KIND_FOLDER_SYNC = 7, /* as KIND_SYNC, of the names in a folder */
};

struct record {
    uint64_t size; /* of all of it, in the journal */
    uint64_t sequence;
    uint64_t kind;
    uint64_t inode;
    uint64_t offset;
    uint64_t length;   /* bytes to be written, or the size to be */
    uint64_t old_size; /* of the file */
    uint64_t old_length;
    uint64_t name_length;
};

enum { JOURNAL_SIZE = 1 << 30, HEAD_SIZE = 64, PATH_SIZE = 4096 };

struct calls {
    int (*open)(const char *path, int flags, ...);
    int (*openat)(int folder, const char *path, int flags, ...);
    ssize_t (*write)(int file, const void *data, size_t size);
    ssize_t (*pwrite)(int file, const void *data, size_t size, off_t offset);
    int (*ftruncate)(int file, off_t size);
    int (*fsync)(int file);
    int (*fdatasync)(int file);
    int (*rename)(const char *from, const char *to);
    int (*unlink)(const char *path);
    int (*mkostemp)(char *path, int flags);
};

/* The one place of this project with state outside of parameters: the functions of the C library
 * that it stands for have none. */
static struct {
    struct calls real;
    const char *folder; /* NULL: nothing is watched */
    const char *kept;
    bool lies;
    _Atomic uint64_t *sequence; /* shared by the processes of the machine */
    uint8_t *journal;
    uint64_t journal_used;
    pthread_mutex_t lock;
} self = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---- set up ---- */

static void give_up(const char *what)
{
    char text[300];
    int size = snprintf(text, sizeof text, "powercut: %s: %s\n", what, strerror(errno));

    if (self.real.write != NULL && size > 0)
        (void)!self.real.write(STDERR_FILENO, text, (size_t)size);
    abort();
}

static void find(const char *name, void *ret_function)
{
    void *function = dlsym(RTLD_NEXT, name);

    if (function == NULL)
        give_up(name);
    memcpy(ret_function, &function, sizeof function);
}

static void *map(const char *name, size_t size)
{
    char path[PATH_SIZE];
    const char *folder = getenv("FIELDSYNC_POWERCUT_JOURNAL");
    void *memory = NULL;
    int file = -1;
    int length = snprintf(path, sizeof path, "%s/%s", folder == NULL ? "" : folder, name);

    if (folder == NULL || length < 0 || (size_t)length >= sizeof path)
        give_up("FIELDSYNC_POWERCUT_JOURNAL");
    file = self.real.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || self.real.ftruncate(file, (off_t)size) != 0)
        give_up(path);
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED)
        give_up(path);
    (void)close(file);
    return memory;
}

static void set_up(void)
{
    char name[40];

    find("write", &self.real.write);
    find("open", &self.real.open);
    find("openat", &self.real.openat);
    find("pwrite", &self.real.pwrite);
    find("ftruncate", &self.real.ftruncate);
    find("fsync", &self.real.fsync);
    find("fdatasync", &self.real.fdatasync);
    find("rename", &self.real.rename);
    find("unlink", &self.real.unlink);
    find("mkostemp", &self.real.mkostemp);
    if (getenv("FIELDSYNC_POWERCUT_FOLDER") == NULL)
        return;
    self.kept = getenv("FIELDSYNC_POWERCUT_KEPT");
    if (self.kept == NULL)
        give_up("FIELDSYNC_POWERCUT_KEPT");
    self.lies = getenv("FIELDSYNC_POWERCUT_LIES") != NULL;
    self.sequence = map("sequence", sizeof *self.sequence);
    /* a process id may come again */
    (void)snprintf(name, sizeof name, "%ld-%llu", (long)getpid(),
                   (unsigned long long)atomic_fetch_add(self.sequence, 1));
    self.journal = map(name, JOURNAL_SIZE);
    self.journal_used = HEAD_SIZE;
    self.folder = getenv("FIELDSYNC_POWERCUT_FOLDER");
}

static const struct calls *real(void)
{
    (void)pthread_once(&once, set_up);
    return &self.real;
}

/* ---- the journal ---- */

/* Appends; the first 8 bytes of the journal, its used size, move last: a kill leaves no half. */
static uint8_t *begin_record(struct record *record)
{
    uint8_t *place = self.journal + self.journal_used;

    record->size = (sizeof *record + record->old_length + record->name_length + 7) / 8 * 8;
    if (self.journal_used + record->size > JOURNAL_SIZE) {
        errno = ENOSPC;
        give_up("the journal is full");
    }
    record->sequence = atomic_fetch_add(self.sequence, 1);
    memcpy(place, record, sizeof *record);
    return place + sizeof *record;
}

static void end_record(const struct record *record)
{
    self.journal_used += record->size;
    atomic_store((_Atomic uint64_t *)(void *)self.journal, self.journal_used);
}

static void note_names(enum kind kind, uint64_t inode, uint64_t offset, const char *names,
                       size_t names_size)
{
    struct record record = {
        .kind = kind, .inode = inode, .offset = offset, .name_length = names_size};
    uint8_t *place = NULL;

    (void)pthread_mutex_lock(&self.lock);
    place = begin_record(&record);
    memcpy(place, names, names_size);
    end_record(&record);
    (void)pthread_mutex_unlock(&self.lock);
}

/* The names of SQLite's shared memory are no contents. */
static bool is_watched_path(const char *path)
{
    size_t size = self.folder == NULL ? 0 : strlen(self.folder);
    size_t path_size = strlen(path);

    if (size == 0 || strncmp(path, self.folder, size) != 0)
        return false;
    if (path[size] != '/' && path[size] != '\0')
        return false;
    return path_size < 4 || strcmp(path + path_size - 4, "-shm") != 0;
}

/* Is it a file or folder that we watch? Fills its facts. */
static bool is_watched(int file, struct stat *facts)
{
    char link[40];
    char path[PATH_SIZE];
    ssize_t size = 0;

    if (self.folder == NULL)
        return false;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    size = readlink(link, path, sizeof path - 1);
    if (size <= 0)
        return false;
    path[size] = '\0';
    return is_watched_path(path) && fstat(file, facts) == 0;
}

/* A file that was opened only for writing has no POSIX locks that closing another descriptor of it
 * could drop. */
static ssize_t read_old(int file, void *data, size_t size, off_t offset)
{
    char link[40];
    int other = -1;
    ssize_t got = pread(file, data, size, offset);

    if (got >= 0 || errno != EBADF)
        return got;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    other = self.real.open(link, O_RDONLY | O_CLOEXEC);
    if (other < 0)
        return -1;
    got = pread(other, data, size, offset);
    (void)close(other);
    return got;
}

/* Notes what stands at [offset, offset + length) of a file, before it changes. */
static void note_old(enum kind kind, int file, uint64_t offset, uint64_t length, uint64_t size)
{
    struct stat facts;
    struct record record = {.kind = kind, .offset = offset, .length = length};
    uint8_t *place = NULL;

    if (!is_watched(file, &facts) || !S_ISREG(facts.st_mode))
        return;
    record.inode = facts.st_ino;
    record.old_size = (uint64_t)facts.st_size;
    if (offset < record.old_size)
        record.old_length = record.old_size - offset < size ? record.old_size - offset : size;
    (void)pthread_mutex_lock(&self.lock);
    place = begin_record(&record);
    if (record.old_length > 0 &&
        read_old(file, place, record.old_length, (off_t)offset) != (ssize_t)record.old_length)
        give_up("reading what is there");
    end_record(&record);
    (void)pthread_mutex_unlock(&self.lock);
}

/* ---- contents ---- */

static uint64_t place_of_write(int file)
{
    struct stat facts;
    off_t offset = lseek(file, 0, SEEK_CUR);
    int flags = fcntl(file, F_GETFL);

    if (flags >= 0 && (flags & O_APPEND) != 0 && fstat(file, &facts) == 0)
        offset = facts.st_size;
    return offset < 0 ? 0 : (uint64_t)offset;
}

ssize_t write(int file, const void *data, size_t size)
{
    const struct calls *calls = real();
    struct stat facts;
    int error = errno;

    if (self.folder != NULL && fstat(file, &facts) == 0 && S_ISREG(facts.st_mode))
        note_old(KIND_WRITE, file, place_of_write(file), size, size);
    errno = error;
    return calls->write(file, data, size);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t offset)
{
    const struct calls *calls = real();
    int error = errno;

    note_old(KIND_WRITE, file, (uint64_t)offset, size, size);
    errno = error;
    return calls->pwrite(file, data, size, offset);
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t offset)
{
    return pwrite(file, data, size, offset);
}

int ftruncate(int file, off_t size)
{
    const struct calls *calls = real();
    int error = errno;

    note_old(KIND_TRUNCATE, file, (uint64_t)size, (uint64_t)size, UINT64_MAX);
    errno = error;
    return calls->ftruncate(file, size);
}

int ftruncate64(int file, off64_t size)
{
    return ftruncate(file, size);
}

/* ---- syncs ---- */

static int sync_noted(int file, int (*call)(int file))
{
    struct stat facts;
    char path[PATH_SIZE];
    char link[40];
    ssize_t size = 0;
    uint64_t before = 0;
    int error = errno;
    int code = 0;
    bool is_ours = is_watched(file, &facts);

    if (is_ours)
        before = atomic_load(self.sequence);
    errno = error;
    if (is_ours && self.lies)
        return 0;
    code = call(file);
    error = errno;
    if (is_ours && code == 0) {
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        size = readlink(link, path, sizeof path);
        note_names(S_ISDIR(facts.st_mode) ? KIND_FOLDER_SYNC : KIND_SYNC, facts.st_ino, before,
                   path, size > 0 ? (size_t)size : 0);
    }
    errno = error;
    return code;
}

int fsync(int file)
{
    return sync_noted(file, real()->fsync);
}

int fdatasync(int file)
{
    return sync_noted(file, real()->fdatasync);
}

/* ---- names ---- */

static bool is_missing(const char *path)
{
    struct stat facts;

    return lstat(path, &facts) != 0 && errno == ENOENT;
}

static void note_created(int file, const char *path)
{
    struct stat facts;

    if (fstat(file, &facts) == 0)
        note_names(KIND_CREATE, facts.st_ino, 0, path, strlen(path));
}

int open(const char *path, int flags, ...)
{
    const struct calls *calls = real();
    mode_t mode = 0;
    int error = errno;
    bool is_new = false;
    int file = -1;

    if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) {
        va_list arguments;

        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
        is_new = self.folder != NULL && is_watched_path(path) && is_missing(path);
    }
    if ((flags & O_TRUNC) != 0 && self.folder != NULL && is_watched_path(path) && !is_new)
        give_up("O_TRUNC on a watched file isn't expected");
    errno = error;
    file = calls->open(path, flags, mode);
    error = errno;
    if (file >= 0 && is_new)
        note_created(file, path);
    errno = error;
    return file;
}

int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;

    if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) {
        va_list arguments;

        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    return open(path, flags, mode);
}

int mkostemp(char *path, int flags)
{
    int file = real()->mkostemp(path, flags);
    int error = errno;

    if (file >= 0 && is_watched_path(path))
        note_created(file, path);
    errno = error;
    return file;
}

int mkostemp64(char *path, int flags)
{
    return mkostemp(path, flags);
}

/* A second name for what is about to lose its own; the next record's sequence may be another. */
static uint64_t keep(const char *path)
{
    char kept[PATH_SIZE];
    uint64_t number = atomic_fetch_add(self.sequence, 1);

    (void)snprintf(kept, sizeof kept, "%s/%llu", self.kept, (unsigned long long)number);
    if (link(path, kept) != 0)
        give_up(kept);
    return number;
}

int unlink(const char *path)
{
    const struct calls *calls = real();
    struct stat facts;
    int error = errno;

    if (is_watched_path(path) && lstat(path, &facts) == 0)
        note_names(KIND_UNLINK, facts.st_ino, keep(path), path, strlen(path));
    errno = error;
    return calls->unlink(path);
}

int rename(const char *from, const char *to)
{
    const struct calls *calls = real();
    char names[2 * PATH_SIZE];
    struct stat facts;
    uint64_t number = 0;
    int error = errno;
    int size = snprintf(names, sizeof names, "%s%c%s", from, '\0', to);

    if (size > 0 && (size_t)size < sizeof names && is_watched_path(to) &&
        lstat(from, &facts) == 0) {
        uint64_t inode = facts.st_ino;

        if (lstat(to, &facts) == 0)
            number = keep(to);
        note_names(KIND_RENAME, inode, number, names, (size_t)size);
    }
    errno = error;
    return calls->rename(from, to);
}

/* The journal begins with the process, not with its first write. */
static __attribute__((constructor)) void begin(void)
{
    (void)real();
}
