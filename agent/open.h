/* SPDX-License-Identifier: Apache-2.0 */
/* open.h: opens the replica of a data folder, encrypted or not, with the company's own schema
 * scripts that lie there (edge/scripts.h). */
#pragma once

#include "agent/keys.h"
#include "agent/replica/replica.h"
#include "agent/replica/vault.h"
#include "edge/files.h"

/* Is the replica encrypted, or will it be when it is made? Then open_folder needs the keys. Not
 * while it is open (vault.h). */
bool open_needs_keys(const char *data_folder);
/* How an encrypted replica is opened; valid as long as the keys are. */
struct vault_options open_vault(const struct keys *keys);
/* Where what is committed is written first, for who watches it. */
MUST_CHECK enum result open_log_path(const char *data_folder, const struct replica *replica,
                                     char ret_path[FILES_PATH_SIZE], struct problem *problem);

/* How a file is opened as this folder's replica; valid as long as the keys and the path are.
 * open_done in any case. Failures as open_folder. */
struct open_options {
    struct replica_options replica;
    struct vault_options vault;
    struct arena scripts;
};
MUST_CHECK enum result open_prepare(const char *data_folder, const struct keys *keys,
                                    const char *path, bool is_encrypted,
                                    struct open_options *ret_options, struct problem *problem);
void open_done(struct open_options *options);

/* `data_folder` exists. `keys` may be NULL if the replica isn't encrypted, `trace` may be NULL.
 * Failures as replica_open; RESULT_EXHAUSTED also: too many scripts, or too large; RESULT_REFUSED:
 * the key is missing. RESULT_STORAGE also: a rescue (agent/rescue.h) was interrupted. */
MUST_CHECK enum result open_folder(const char *data_folder, const struct keys *keys,
                                   bool is_read_only, const struct trace *trace,
                                   struct replica **ret_replica, struct problem *problem);
