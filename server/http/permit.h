/* SPDX-License-Identifier: Apache-2.0 */
/* permit.h: whom the admin port answers, before any route is looked at.
 *
 * The pages there say numbers and no data, and change nothing. Still: a page of somebody else's in
 * a browser on this machine must not read them, neither across origins nor by a name of its own
 * that it lets point here (DNS rebinding). A token, where one is set, settles both. */
#pragma once

#include <stdbool.h>

struct permit_question {
    const char *path;          /* "/metrics" */
    const char *host;          /* header Host; "" if absent */
    const char *origin;        /* header Origin; "" if absent */
    const char *authorization; /* header Authorization; "" if absent */
};

/* `token`: NULL if none is set. /healthz and /readyz, for load balancers, need none. */
bool permit_admin(const struct permit_question *question, const char *token);
/* Is this address one that only programs of this machine reach? "127.0.0.1", "::1", "localhost". */
bool permit_is_loopback(const char *address);
