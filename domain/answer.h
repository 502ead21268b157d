/* SPDX-License-Identifier: Apache-2.0 */
/* answer.h: who asks for a step, and what the answer to it can be.
 *
 * Facts (time worked, parts fitted, signatures) happened and are stored whatever the answer is.
 * Only the step itself, from one state to the next, is judged. */
#pragma once

#include "domain/reason.h"

#include <stddef.h>
#include <stdint.h>

/* Roles as bits, since a person may have several. */
enum role {
    ROLE_TECHNICIAN = 1 << 0,
    ROLE_DISPATCHER = 1 << 1,
    ROLE_HELP_DESK = 1 << 2,
    ROLE_MANAGER = 1 << 3,
    ROLE_WAREHOUSE = 1 << 4,
    ROLE_PURCHASING = 1 << 5,
    ROLE_BILLING = 1 << 6,
    ROLE_SALES = 1 << 7,
    ROLE_CUSTOMER = 1 << 8,
    ROLE_SERVER = 1 << 9, /* a server job, no person */
    ROLE_ADMINISTRATOR = 1 << 10,
};

enum { ROLE_COUNT = 11 };

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

/* The one-letter code or short name of one role ("T", "D", ..., "srv", "adm"). */
const char *role_name(enum role role);

/* The bit of a role name; 0 if it is none. */
unsigned role_parse(const char *name);
