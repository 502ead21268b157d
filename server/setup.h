/* SPDX-License-Identifier: Apache-2.0 */
/* setup.h: the data folder: what is in it, how it begins, how its parts are opened.
 *
 *     DATA/             0700
 *       fieldsync.db    the master dataset, with -wal and -shm beside it while it is open
 *       keys/root.key   the company's root key: vouches for server keys; copy it to a safe place
 *       keys/server.key the server's own key; sealed by a passphrase after 'key protect'
 *       keys/root.public  beside a sealed one: the root's public key, for enrolment codes
 *       keys/report.key signs receipts for signed reports; lives on in verifiers' notes: keep it
 *       schema/         the company's own scripts, if it has any (edge/scripts.h)
 *       audit.log       second copy of the audit log, only ever longer
 *       blobs/          attachments, by the hash of their content
 *       lock            held by the one server, or by init and restore
 *
 * Failures are for a person: RESULT_REFUSED says what to do instead, RESULT_STORAGE that the disk
 * or the database is damaged, RESULT_WAIT that somebody else holds the database. */
#pragma once

#include "edge/files.h"
#include "edge/secret.h"
#include "protocol/identity.h"
#include "protocol/sealed_file.h"
#include "schema/catalog.h"
#include "server/core/master.h"
#include "server/service/closing.h"

struct setup {
    char folder[FILES_PATH_SIZE];
    char database[FILES_PATH_SIZE];
    char root_key[FILES_PATH_SIZE];
    char server_key[FILES_PATH_SIZE];
    char root_public[FILES_PATH_SIZE];
    char root_change_path[FILES_PATH_SIZE];
    char report_key[FILES_PATH_SIZE];
    char lock_path[FILES_PATH_SIZE];
    char blobs_path[FILES_PATH_SIZE];
    struct blob_store *blobs; /* NULL: not opened */
    int64_t lease_s;          /* lease.days, of a server that serves */
    struct files_lock lock;
    bool is_locked;
    int64_t departure_keep_us; /* departures.h; 0: nothing is forgotten */
    struct arena arena;
    struct catalog catalog;
    bool has_root_change;
    struct identity_root_change root_change;
    struct identity_file *key; /* the server's, in guarded memory; NULL: not read */
    struct sealed_key *seal;   /* what its file is under, likewise; NULL: nothing, or not read */
    struct secret_source passphrase; /* where to ask for it; the owner fills it in */
    struct report_key *reports;      /* likewise; NULL: not read, or this user may not */
    struct closing closing;
};

/* Knows the paths; touches nothing. End with setup_done. */
MUST_CHECK enum result setup_init(struct setup *setup, const char *folder, struct problem *problem);
void setup_done(struct setup *setup);

/* RESULT_REFUSED: another process holds it. */
MUST_CHECK enum result setup_lock(struct setup *setup, struct problem *problem);

/* A new data folder with keys and an empty database. RESULT_REFUSED: there is one already. */
MUST_CHECK enum result setup_create(struct setup *setup, struct wall_time now,
                                    struct problem *problem);
/* A new server key with the next serial, signed by the root key in `root_path` (NULL: the one in
 * the data folder). Devices take it at their next contact; a server that runs takes it with SIGHUP.
 * RESULT_REFUSED: no such root key, or not the one that signed the present server key. */
MUST_CHECK enum result setup_rotate_key(struct setup *setup, const char *root_path,
                                        struct problem *problem);
/* setup_create's part of it: both key files of a new installation. */
MUST_CHECK enum result setup_create_keys(const struct setup *setup, struct problem *problem);
/* A new root key (in the data folder; the old one becomes root.key.old) that the old one vouches
 * for, and a new server key under it. Devices take both at their next contact, as long as this
 * isn't done once more before. Failures as above. */
MUST_CHECK enum result setup_change_root(struct setup *setup, const char *root_path,
                                         struct problem *problem);
/* Asks for the passphrase if there is one, once in the life of a setup. RESULT_REFUSED: damaged,
 * not signed by the root, or a wrong passphrase, in words. */
MUST_CHECK enum result setup_read_key(struct setup *setup, struct problem *problem);
/* Only what an enrolment code says: needs no passphrase. */
MUST_CHECK enum result setup_read_root_public(struct setup *setup,
                                              uint8_t ret_public_key[IDENTITY_KEY_SIZE],
                                              struct problem *problem);
/* Puts the server's key under a passphrase (from the descriptor with this number, or typed twice),
 * or under another one; or under none any more. */
MUST_CHECK enum result setup_protect_key(struct setup *setup, const char *descriptor,
                                         struct problem *problem);
MUST_CHECK enum result setup_unprotect_key(struct setup *setup, struct problem *problem);
/* Makes the key for receipts if there is none yet; only with the lock. */
MUST_CHECK enum result setup_ensure_report_key(struct setup *setup, struct problem *problem);
/* Who may not read it works without: receipts wait for somebody who may. */
MUST_CHECK enum result setup_read_report_key(struct setup *setup, struct problem *problem);
/* RESULT_REFUSED: there is no company in this folder; says how to make one. */
MUST_CHECK enum result setup_expect_company(const struct setup *setup, struct problem *problem);
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
/* Writes the file anew without what was deleted or overwritten in it, and empties its log.
 * RESULT_WAIT: others hold it, nothing was done. */
MUST_CHECK enum result setup_compact(struct setup *setup, struct problem *problem);
/* Integrity of the file, references, triggers. Appends what is wrong to `report`, a line each. */
MUST_CHECK enum result setup_check(struct setup *setup, struct buffer *report,
                                   size_t *ret_wrong_count, struct problem *problem);
