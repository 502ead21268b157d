/* SPDX-License-Identifier: Apache-2.0 */
/* setup_inside.h: what setup_keys.c and setup_seal.c share; nobody else includes it. */
#pragma once

#include "server/setup.h"

/* The text below a sealed server key: `plain` has SEALED_PLAIN_SIZE_MAX bytes. */
MUST_CHECK enum result setup_unseal(struct setup *setup, struct bytes text, uint8_t *plain,
                                    size_t *ret_size, struct problem *problem);
/* Under setup->seal, if there is one. */
MUST_CHECK enum result setup_write_server_key(const struct setup *setup,
                                              const struct identity_file *key,
                                              struct problem *problem);
