/* SPDX-License-Identifier: Apache-2.0 */
/* master_file.h: a fresh master file with the real model, quickly.
 *
 * Ninety tables with hidden columns and triggers take a second to make under a sanitizer, a copy of
 * the file that the build made takes none. */
#pragma once

/* Writes a new database to `path`: migrated for the server, triggers installed, fs_state with seq,
 * published_seq and replica_no 0. Fails the running cmocka test if it can't. */
void master_file_make(const char *path);
