/* SPDX-License-Identifier: Apache-2.0 */
/* renewal.h: a device that takes another replica number: its new keys and the code for them, on
 * disk beside the old ones until the server has answered.
 *
 * device.key.next is the key file to be, renewal (0600) the code and the number that the device has
 * until then. Both are durable before the code is used, so that after a crash at any moment the
 * same keys ask again and get the same answer. */
#pragma once

#include "agent/keys.h"

#define RENEWAL_KEY_FILE_NAME "device.key.next"
#define RENEWAL_FILE_NAME     "renewal"

struct renewal {
    struct keys *keys; /* NULL: none is under way */
    struct identity_code code;
    int64_t former_no;
};

/* Makes a new key for the channel, keeps the one for signatures, and stores both with the code. A
 * renewal that was begun before is replaced. */
MUST_CHECK enum result renewal_begin(const char *data_folder, const struct keys *keys,
                                     const struct identity_code *code, int64_t former_no,
                                     struct problem *problem);
/* `keys`: where the server is. renewal_done in any case. */
MUST_CHECK enum result renewal_load(const char *data_folder, const struct keys *keys,
                                    struct renewal *ret_renewal, struct problem *problem);
/* The new keys, which have their psk now, take the place of the old ones. */
MUST_CHECK enum result renewal_finish(const char *data_folder, const struct keys *keys,
                                      struct problem *problem);
/* It isn't wanted any more; the old keys stay. */
MUST_CHECK enum result renewal_drop(const char *data_folder, struct problem *problem);
void renewal_done(struct renewal *renewal); /* wipes */
