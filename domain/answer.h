/* SPDX-License-Identifier: Apache-2.0 */
/* answer.h: who asks for a step, and what the answer to it can be.
 *
 * Facts (time worked, parts fitted, signatures) happened and are stored whatever the answer is.
 * Only the step itself, from one state to the next, is judged. */
#pragma once

#include "domain/reason.h"
#include "schema/catalog.h" /* enum role */

#include <stddef.h>
#include <stdint.h>

/* What happens to an event. */
enum answer {
    ANSWER_ACCEPT, /* legal: the state moves, or a stated rule makes it so */
    ANSWER_ABSORB, /* already there or overtaken: nothing changes */
    ANSWER_BRANCH, /* the facts are kept under a sibling object of their own */
    ANSWER_PARK,   /* the state stays, a person decides: the reviews say who */
    ANSWER_REFUSE, /* no right to ask, or asked online and impossible: no state, no review */
};

/* A question to people: shown to every role in `roles`, once per reason and object. */
struct review {
    enum reason reason;
    unsigned roles; /* set of enum role */
};

/* "accept", "absorb", ...: for traces and stored verdicts; lives for ever. */
const char *answer_name(enum answer answer);
