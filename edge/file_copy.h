/* SPDX-License-Identifier: Apache-2.0 */
/* file_copy.h: large files, copied and hashed piece by piece.
 *
 * What is reported as copied is on the disk. Failures as in files.h; a copy that fails leaves
 * nothing at its place. */
#pragma once

#include "base/bytes.h"

enum { FILE_HASH_SIZE = 32 }; /* BLAKE2b-256 of the whole content */

struct file_content {
    uint8_t hash[FILE_HASH_SIZE];
    int64_t size;
};

MUST_CHECK enum result file_look(const char *path, struct file_content *ret_content,
                                 struct problem *problem);
/* Rights are 0600. RESULT_REFUSED: `to` is there already. */
MUST_CHECK enum result file_copy(const char *from, const char *to, struct file_content *ret_content,
                                 struct problem *problem);
/* Something else has written it: now it is on the disk, with its name. */
MUST_CHECK enum result file_sync(const char *path, struct problem *problem);
