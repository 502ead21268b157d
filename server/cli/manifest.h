/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.h: what a backup consists of. A folder:
 *
 *     BACKUP/fieldsync.db      the master dataset, one whole file
 *     BACKUP/blobs/ab/cd/...   attachments, by the hash of their content
 *     BACKUP/MANIFEST          written last: without it, or with another end, the backup was cut
 * off
 *
 * MANIFEST is lines of text:
 *
 *     fieldsync backup 1
 *     made_at MICROSECONDS
 *     seq NUMBER               newest sequence number in it
 *     database HASH SIZE       BLAKE2b-256 in hex
 *     blob HASH SIZE           one each, ascending
 *     damaged HASH             an attachment that the server held damaged; it isn't in the backup
 *     end HASH                 of all lines before */
#pragma once

#include "base/arena.h"
#include "base/instant.h"
#include "edge/file_copy.h"

#define MANIFEST_FILE_NAME     "MANIFEST"
#define MANIFEST_DATABASE_NAME "fieldsync.db"
#define MANIFEST_BLOBS_NAME    "blobs"
enum { MANIFEST_SIZE_MAX = 512 * 1024 * 1024 };

struct manifest {
    struct wall_time made_at;
    int64_t seq;
    struct file_content database;
    size_t blob_count;
    struct file_content *blobs;
    size_t damaged_count;
};

/* Lines are added in their order; manifest_end comes last. */
MUST_CHECK enum result manifest_begin(struct buffer *text, struct wall_time made_at, int64_t seq,
                                      const struct file_content *database, struct problem *problem);
MUST_CHECK enum result manifest_add_blob(struct buffer *text, const struct file_content *blob,
                                         struct problem *problem);
MUST_CHECK enum result manifest_add_damaged(struct buffer *text, const uint8_t hash[FILE_HASH_SIZE],
                                            struct problem *problem);
MUST_CHECK enum result manifest_end(struct buffer *text, struct problem *problem);

/* RESULT_REFUSED: it isn't one, of another version, or cut off. Blobs are in `arena`. */
MUST_CHECK enum result manifest_decode(struct bytes text, struct arena *arena,
                                       struct manifest *ret_manifest, struct problem *problem);
