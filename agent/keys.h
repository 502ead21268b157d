/* SPDX-License-Identifier: Apache-2.0 */
/* keys.h: the device's keys and where its server is: small files beside the replica, never in it
 * and never in a backup of it.
 *
 *   device.key           (0600) protocol/identity.h, kind device; or the same sealed by a
 *                        passphrase (protocol/sealed_file.h)
 *   device.key.next      the pair that a rotation has begun with; psk zeros: not given yet
 *   device.key.previous  the pair before the last rotation: what a server that was restored from an
 *                        older backup still knows
 *   replica.key          (0600) of an encrypted replica, always under the passphrase; .next while
 *                        the passphrase changes
 *   server               (0600) lines "url ws://...", "key_serial N": the highest serial of a
 * server that has proven itself, "keys_made_at N": seconds since 1970
 *
 * In memory the keys are guarded, and wiped by keys_destroy. */
#pragma once

#include "agent/replica/vault_units.h"
#include "protocol/identity.h"
#include "protocol/sealed_file.h"

#define KEYS_NEXT_SUFFIX     ".next"
#define KEYS_PREVIOUS_SUFFIX ".previous"

enum { KEYS_URL_SIZE = 512 };

struct keys {
    struct identity_file file;
    struct identity_file next;
    struct identity_file previous;
    bool has_next;
    bool has_previous;
    bool is_sealed; /* the files are written under `seal` */
    struct sealed_key seal;
    bool has_replica_key;
    uint8_t replica_key[VAULT_KEY_SIZE];
    char url[KEYS_URL_SIZE];
    int64_t key_serial;
    int64_t made_at_s; /* 0: not known */
};

/* Gives the passphrase when the key file turns out to be sealed; called once at most. */
struct keys_opener {
    enum result (*ask)(void *context, char *buffer, size_t size, struct bytes *ret_passphrase,
                       struct problem *problem);
    void *context;
};

/* New keys of this device for an enrolment code, or those that are there already if an enrolment
 * with the same company was begun before (a lost answer is given again for the same keys).
 *
 *   url     NULL: ws:// and the address in the code
 *   opener  asked if the keys that are there are sealed
 *   seal    NULL: new files are as they are, or stay sealed as they were
 *
 * RESULT_REFUSED  this device is enrolled, or its keys belong to another company */
MUST_CHECK enum result keys_prepare(const char *data_folder, const struct identity_code *code,
                                    const char *url, const struct keys_opener *opener,
                                    const struct sealed_key *seal, struct keys **ret_keys,
                                    struct problem *problem);
/* RESULT_REFUSED: there are none, others than the owner may read them, or the passphrase is wrong.
 */
MUST_CHECK enum result keys_load(const char *data_folder, const struct keys_opener *opener,
                                 struct keys **ret_keys, struct problem *problem);
/* Is there a key file under a passphrase? */
bool keys_are_sealed(const char *data_folder);
/* All files; durable when it returns. */
MUST_CHECK enum result keys_save(const char *data_folder, const struct keys *keys,
                                 struct problem *problem);
/* Only what is in the file `server`. */
MUST_CHECK enum result keys_save_server(const char *data_folder, const struct keys *keys,
                                        struct problem *problem);
bool keys_are_enrolled(const struct keys *keys);
void keys_destroy(struct keys *keys); /* wipes; takes NULL */

/* ---- rotation (keys_rotation.c): each is durable when it returns ------------------------------
 */

/* A fresh private key becomes the next pair's, if no rotation has begun yet. */
MUST_CHECK enum result keys_begin_rotation(const char *data_folder, struct keys *keys,
                                           const uint8_t fresh[IDENTITY_KEY_SIZE],
                                           struct problem *problem);
MUST_CHECK enum result keys_take_next_psk(const char *data_folder, struct keys *keys,
                                          struct bytes psk, struct problem *problem);
/* The next pair is the current one now, that one the previous. */
MUST_CHECK enum result keys_rotate(const char *data_folder, struct keys *keys, int64_t now_s,
                                   struct problem *problem);
/* The previous pair is the current one again, that one the previous. */
MUST_CHECK enum result keys_revert(const char *data_folder, struct keys *keys,
                                   struct problem *problem);
bool keys_pair_is_complete(const struct identity_file *file);

/* ---- the replica's key (keys_replica.c): each is durable when it returns ----------------------
 */

/* Is there one? */
bool keys_have_replica_file(const char *data_folder);
/* A fresh one, unless there is one. The keys are under a passphrase. */
MUST_CHECK enum result keys_make_replica(const char *data_folder, struct keys *keys,
                                         struct problem *problem);
/* What it has encrypted can't be read any more. */
MUST_CHECK enum result keys_remove_replica(const char *data_folder, struct keys *keys,
                                           struct problem *problem);
/* keys_save, after the passphrase has changed. */
MUST_CHECK enum result keys_reseal(const char *data_folder, const struct keys *keys,
                                   struct problem *problem);

/* ---- for keys*.c ------------------------------------------------------------------------------
 */

/* Writes one of the key files, sealed if the keys are. */
MUST_CHECK enum result keys_write_file(const char *data_folder, const char *suffix,
                                       const struct keys *keys, const struct identity_file *file,
                                       struct problem *problem);
MUST_CHECK enum result keys_load_replica(const char *data_folder, struct keys *keys,
                                         struct problem *problem);
