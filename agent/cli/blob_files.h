/* SPDX-License-Identifier: Apache-2.0 */
/* blob_files.h: the attachments of a device in a folder of files: base/blob_store.h on
 * edge/files.h, with the hash checked before anything becomes whole. Synchronous. */
#pragma once

#include "base/blob_store.h"

/* RESULT_EXHAUSTED: memory, or the path is too long. */
MUST_CHECK enum result blob_files_create(const char *folder, struct blob_store **ret_store,
                                         struct problem *problem);
void blob_files_destroy(struct blob_store *store); /* takes NULL; the files stay */
/* Removes every file in the folder: a wiped device. */
MUST_CHECK enum result blob_files_wipe(const char *folder, struct problem *problem);
