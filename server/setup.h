/* SPDX-License-Identifier: Apache-2.0 */
/* setup.h: the data folder: what is in it, how it begins, how its parts are opened.
 *
 *     DATA/             0700
 *       fieldsync.db    the master dataset, with -wal and -shm beside it while it is open
 *       keys/root.key   the company's root key: vouches for server keys; copy it to a safe place
 *       keys/server.key the server's own key
 *       schema/         the company's own scripts, if it has any (edge/scripts.h)
 *       blobs/          attachments, by the hash of their content
 *       lock            held by the one server, or by init and restore
 *
 * Failures are for a person: RESULT_REFUSED says what to do instead, RESULT_STORAGE that the disk
 * or the database is damaged, RESULT_WAIT that somebody else holds the database. */
#pragma once

#include "edge/files.h"
#include "protocol/identity.h"
#include "schema/catalog.h"
#include "server/core/master.h"

struct setup {
    char folder[FILES_PATH_SIZE];
    char database[FILES_PATH_SIZE];
    char root_key[FILES_PATH_SIZE];
    char server_key[FILES_PATH_SIZE];
    char lock_path[FILES_PATH_SIZE];
    char blobs_path[FILES_PATH_SIZE];
    struct blob_store *blobs; /* NULL: not opened */
    struct files_lock lock;
    bool is_locked;
    int64_t departure_keep_us; /* departures.h; 0: nothing is forgotten */
    struct arena arena;
    struct catalog catalog;
    struct identity_file *key; /* the server's, in guarded memory; NULL: not read */
};

/* Knows the paths; touches nothing. End with setup_done. */
MUST_CHECK enum result setup_init(struct setup *setup, const char *folder, struct problem *problem);
void setup_done(struct setup *setup);

/* RESULT_REFUSED: another process holds it. */
MUST_CHECK enum result setup_lock(struct setup *setup, struct problem *problem);

/* A new data folder with keys and an empty database. RESULT_REFUSED: there is one already. */
MUST_CHECK enum result setup_create(struct setup *setup, struct wall_time now,
                                    struct problem *problem);
MUST_CHECK enum result setup_read_key(struct setup *setup, struct problem *problem);
/* Brings the database up to date and its triggers with it; only with the lock. */
MUST_CHECK enum result setup_migrate(struct setup *setup, struct wall_time now,
                                     struct problem *problem);
/* RESULT_REFUSED: no database, or one of another version than this program. */
MUST_CHECK enum result setup_load_catalog(struct setup *setup, struct problem *problem);
/* Attachments, for all masters that are opened afterwards. */
MUST_CHECK enum result setup_open_blobs(struct setup *setup, struct problem *problem);
MUST_CHECK enum result setup_open_master(struct setup *setup, bool is_reader,
                                         const struct trace *trace, struct master **ret_master,
                                         struct problem *problem);
/* Runs `change` on the store in one transaction, below all services; `seed`: 32 random bytes. Only
 * with the lock. */
MUST_CHECK enum result setup_change(struct setup *setup,
                                    enum result (*change)(struct store *store, const uint8_t *seed,
                                                          void *context, struct problem *problem),
                                    void *context, struct problem *problem);
/* Integrity of the file, references, triggers. Appends what is wrong to `report`, a line each. */
MUST_CHECK enum result setup_check(struct setup *setup, struct buffer *report,
                                   size_t *ret_wrong_count, struct problem *problem);
