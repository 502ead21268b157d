/* SPDX-License-Identifier: Apache-2.0 */
/* conversion.h: a copy of a replica, encrypted where the replica isn't, or the other way.
 *
 * The copy has the same pages, one by one. Nobody else may have the replica open: a program that
 * went on writing the old file after it was replaced would lose what it writes. */
#pragma once

#include "agent/replica/vault.h"

struct conversion;

struct conversion_options {
    const char *from, *to;                  /* paths; `to` doesn't exist */
    const struct vault_options *from_vault; /* NULL: an ordinary file */
    const struct vault_options *to_vault;
};

/* Leaves a copy that is whole, checked and durable. Until conversion_end nobody else can read or
 * write the replica: replace it meanwhile.
 *
 * RESULT_WAIT: another program has it open. RESULT_REFUSED: its pages have another size. Otherwise
 * as in replica.h. What is there of the copy then is the caller's to remove. */
MUST_CHECK enum result conversion_begin(const struct conversion_options *options,
                                        struct conversion **ret_conversion,
                                        struct problem *problem);
void conversion_end(struct conversion *conversion); /* takes NULL */
