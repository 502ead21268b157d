/* SPDX-License-Identifier: Apache-2.0 */
/* files.h: whole files, folders, the lock of an instance, and blobs named after their contents.
 *
 * Everything here is synchronous and may wait for the disk: call it from a worker, or at start.
 * What is reported as written is on the disk (file and folder entry synced; fsync(2)). Paths are
 * NUL-terminated, shorter than FILES_PATH_SIZE. New folders are 0700. Descriptors are
 * close-on-exec.
 *
 * The same failures everywhere, unless a function says otherwise:
 * RESULT_REFUSED    the system said no (missing, rights, read-only, not a file): nothing changed;
 *                   tell the operator, the text has the path and the reason
 * RESULT_EXHAUSTED  disk, quota, descriptors, memory or a given bound: nothing changed; free
 *                   something and call again
 * RESULT_STORAGE    the disk failed while reading or syncing: what it holds is unknown, look before
 *                   going on. A failed fsync is never tried again on the same descriptor: the
 *                   kernel may have dropped the pages and say yes the second time */
#pragma once

#include "base/arena.h"
#include "base/bytes.h"
#include "base/result.h"

#include <sys/types.h>

enum { FILES_PATH_SIZE = 4096 }; /* bytes with the closing NUL; PATH_MAX of Linux */

/* Appends the whole file to `contents`; its size_max is the bound. On failure it is as it was.
 * RESULT_REFUSED also for anything but a regular file, so that a pipe can't block the caller. */
MUST_CHECK enum result files_read(const char *path, struct buffer *contents,
                                  struct problem *problem);

/* Appends up to `size` bytes from `offset` on; fewer only at the end of the file, none beyond it.
 */
MUST_CHECK enum result files_read_part(const char *path, uint64_t offset, size_t size,
                                       struct buffer *contents, struct problem *problem);

/* Puts `contents` in the place of whatever was at `path`: readers and a crash see the old file or
 * the new one, nothing between. Rights are exactly `mode`. A symbolic link is replaced, not
 * followed. RESULT_STORAGE: the old file is there, or the new one; both whole. */
MUST_CHECK enum result files_write(const char *path, struct bytes contents, mode_t mode,
                                   struct problem *problem);

/* Adds to the end, making the file with `mode` if it is missing. RESULT_EXHAUSTED: the file has its
 * former size again. */
MUST_CHECK enum result files_append(const char *path, struct bytes contents, mode_t mode,
                                    struct problem *problem);

/* Makes a new file of `size` bytes whose room on the disk is really there; it is removed again if
 * there isn't enough. Not synced: its contents mean nothing. */
MUST_CHECK enum result files_allocate(const char *path, uint64_t size, mode_t mode,
                                      struct problem *problem);

/* After RESULT_OK no file is at `path`; that none was is no failure. Not for folders. */
MUST_CHECK enum result files_remove(const char *path, struct problem *problem);

/* Makes the name of a file durable, for one that a process left behind that may not have got to it.
 * The functions above have done it before they return. */
MUST_CHECK enum result files_sync_name(const char *path, struct problem *problem);

/* True if a regular file is there that we may look at. */
bool files_exists(const char *path);
bool files_is_folder(const char *path);

/* Makes the folder and all above it; those that exist keep their rights. */
MUST_CHECK enum result files_make_folder(const char *path, struct problem *problem);

/* Bytes that this user may still write on the file system of `path`. */
MUST_CHECK enum result files_free_size(const char *path, uint64_t *ret_size,
                                       struct problem *problem);

/* The names in a folder without "." and "..", in byte order, in `arena`. */
MUST_CHECK enum result files_list(const char *path, struct arena *arena,
                                  const char *const **ret_names, size_t *ret_name_count,
                                  struct problem *problem);

/* "FOLDER/NAME". RESULT_EXHAUSTED: longer than a path may be. */
MUST_CHECK enum result files_join(const char *folder, const char *name,
                                  char ret_path[FILES_PATH_SIZE], struct problem *problem);

/* ---- One instance per data folder ------------------------------------------------------------
 * flock(2) on a file, held until files_lock_close or the end of the process, however it ends: a
 * left-over file never blocks anybody. The file holds our process id for the message only and is
 * never removed (removing it would let two processes lock two files of one name). */
struct files_lock {
    int descriptor;
};

/* RESULT_REFUSED with "process N already uses ...": a second instance; say so and exit. */
MUST_CHECK enum result files_lock_open(const char *path, struct files_lock *ret_lock,
                                       struct problem *problem);
void files_lock_close(struct files_lock *lock);

/* ---- Blobs -----------------------------------------------------------------------------------
 * A finished blob lies at FOLDER/ab/cd/REST, where abcdREST is the hex of the BLAKE2b-256 of its
 * contents; it never changes. While it arrives it is FOLDER/partial/HEX and grows at its end only,
 * so that a transfer resumes at its size. This module moves bytes and never computes a hash: the
 * caller reads the partial file back, compares, and then finishes or drops it. */
enum { FILES_BLOB_HASH_SIZE = 32 };

MUST_CHECK enum result files_blob_path(const char *folder, const uint8_t hash[FILES_BLOB_HASH_SIZE],
                                       char ret_path[FILES_PATH_SIZE], struct problem *problem);

struct files_partial {
    int descriptor;
    uint64_t size; /* bytes that are here: the offset to go on at */
    char path[FILES_PATH_SIZE];
    char finished_path[FILES_PATH_SIZE];
};

/* Opens what has arrived of a blob, or starts it. Ends with finish, drop or pause, whichever comes
 * first. RESULT_REFUSED also while someone else has it open. */
MUST_CHECK enum result files_partial_open(const char *folder,
                                          const uint8_t hash[FILES_BLOB_HASH_SIZE],
                                          struct files_partial *ret_partial,
                                          struct problem *problem);

/* RESULT_REFUSED: `offset` isn't partial->size, ask the sender to go on there. Not synced. */
MUST_CHECK enum result files_partial_append(struct files_partial *partial, uint64_t offset,
                                            struct bytes part, struct problem *problem);

/* As files_read_part, to compute the hash with. */
MUST_CHECK enum result files_partial_read(const struct files_partial *partial, uint64_t offset,
                                          size_t size, struct buffer *contents,
                                          struct problem *problem);

/* Syncs and moves it to its final place; call only after the hash was right. The partial is closed
 * in any case; after a failure it can be opened again. */
MUST_CHECK enum result files_partial_finish(struct files_partial *partial, struct problem *problem);

/* Closes and removes it: the hash was wrong, or nobody wants it any more. */
MUST_CHECK enum result files_partial_drop(struct files_partial *partial, struct problem *problem);

/* Closes and keeps it. Nothing is synced: after a power cut its tail may be wrong, which the hash
 * will show. */
void files_partial_pause(struct files_partial *partial);
