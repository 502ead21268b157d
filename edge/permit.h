/* SPDX-License-Identifier: Apache-2.0 */
/* permit.h: what both programs ask about a request before any route is looked at.
 *
 * A page of somebody else's, in a browser that reaches a port of ours, must get nothing from it:
 * neither across origins nor by a name of its own that it lets point here (DNS rebinding). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Is this address one that only programs of this machine reach? "127.0.0.1", "::1", "localhost". */
bool permit_is_loopback(const char *address);
/* Can this header Host be nobody else's name? Numbers ("192.0.2.1:7743", "[::1]:7743") and
 * "localhost". */
bool permit_is_own_host(const char *host);
/* Does this header Authorization bring the token? Tells nothing by its time about where two of one
 * size differ. */
bool permit_is_bearer(const char *authorization, const char *token);
