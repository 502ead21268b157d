/* SPDX-License-Identifier: Apache-2.0 */
/* blob_files.h: attachments as files of one folder (files.h, blobs), checked by their hash.
 *
 * The blob store of both programs. A part is written and the file closed again, so any number of
 * transfers may be under way without holding descriptors; the last part reads the whole file back,
 * compares its BLAKE2b-256, syncs it and moves it to its final place. Synchronous: for a thread
 * that may wait for the disk. Two blob stores on one folder don't harm each other. */
#pragma once

#include "base/blob_store.h"

/* The folder is made if it is missing. RESULT_EXHAUSTED: memory or disk; RESULT_REFUSED: it can't
 * be made. */
MUST_CHECK enum result blob_files_create(const char *folder, struct blob_store **ret_store,
                                         struct problem *problem);
void blob_files_destroy(struct blob_store *store); /* takes NULL; the files stay */

/* Removes every file of the folder: a wiped device. That there is no folder is no failure. */
MUST_CHECK enum result blob_files_wipe(const char *folder, struct problem *problem);
