/* SPDX-License-Identifier: Apache-2.0 */
/* passphrase.h: the passphrase over the device's keys: where it comes from, and changing it. */
#pragma once

#include "agent/keys.h"
#include "edge/options.h"

/* For keys_load: --passphrase-fd if it is given, else the terminal. */
struct keys_opener passphrase_opener(const struct options *options);
/* A key to seal new files with, from --new-passphrase-fd or asked twice. `salt` is fresh. */
MUST_CHECK enum result passphrase_choose(const struct options *options, struct sealed_key *ret_key,
                                         struct problem *problem);
