/* SPDX-License-Identifier: Apache-2.0 */
/* keys.h: the device's keys and where its server is: two small files beside the replica, never in
 * it and never in a backup of it.
 *
 * device.key (0600): protocol/identity.h, kind device. server (0600): lines "url ws://..." and
 * "key_serial N", the highest serial of a server that has proven itself. In memory the keys are
 * guarded and wiped by keys_destroy. */
#pragma once

#include "protocol/identity.h"

enum { KEYS_URL_SIZE = 512 };

struct keys {
    struct identity_file file;
    char url[KEYS_URL_SIZE];
    int64_t key_serial;
};

/* New keys of this device for an enrolment code, or those that are there already if an enrolment
 * with the same company was begun before (a lost answer is given again for the same keys).
 *
 *   url  NULL: ws:// and the address in the code
 *
 * RESULT_REFUSED  this device is enrolled, or its keys belong to another company */
MUST_CHECK enum result keys_prepare(const char *data_folder, const struct identity_code *code,
                                    const char *url, struct keys **ret_keys,
                                    struct problem *problem);
/* RESULT_REFUSED: there are none, or others than the owner may read them. */
MUST_CHECK enum result keys_load(const char *data_folder, struct keys **ret_keys,
                                 struct problem *problem);
/* Durable when it returns. */
MUST_CHECK enum result keys_save(const char *data_folder, const struct keys *keys,
                                 struct problem *problem);
/* Only what is in the file `server`. */
MUST_CHECK enum result keys_save_server(const char *data_folder, const struct keys *keys,
                                        struct problem *problem);
bool keys_are_enrolled(const struct keys *keys);
void keys_destroy(struct keys *keys); /* wipes; takes NULL */
