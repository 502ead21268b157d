/* SPDX-License-Identifier: Apache-2.0 */
/* rescue_inside.h: what rescue.c (the books: state, seals, lines) and rescue_rows.c share. */
#pragma once

#include "agent/replica/replica_inside.h"
#include "agent/replica/rescue.h"
#include "agent/replica/wreck.h"

struct rescue {
    const struct rescue_options *options;
    struct arena *arena; /* the caller's: the losses */
    struct rescue_outcome *outcome;
    struct rescue_loss *loss_last;
    struct rescue_loss *sealed_losses; /* only losses if the seals don't prove whole */
    struct wreck *wreck;
    struct replica *replica; /* the new one */
    int64_t replica_no, sealed_lcn, seal_no, base_seq;
    bool is_seal_missing; /* something of fs_seal couldn't be read */
    bool are_lines_lost;  /* something of fs_outbox couldn't be read */
    struct problem *problem;
};

/* An empty one; `reason` lives as long as the arena. */
MUST_CHECK enum result rescue_lose(struct rescue *rescue, const struct rescue_loss *loss);
/* The rows of everything unsent, and the rows that were new in lines which are lost. */
MUST_CHECK enum result rescue_rows(struct rescue *rescue);
/* Identity lost: names the changes in seals, with their values. */
MUST_CHECK enum result rescue_name_sealed(struct rescue *rescue);
