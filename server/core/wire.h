/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h: the catalogs in which a server speaks to devices of other schema versions.
 *
 * Most devices have the server's own version and are spoken to in its own catalog: nothing is made
 * for them. For the others a view is made once and kept (catalog_version.h). Belongs to one
 * thread's master. */
#pragma once

#include "protocol/messages.h"
#include "schema/catalog_version.h"

struct wire_views;
struct wire_views *wire_views_create(const struct catalog *catalog); /* NULL: no memory */
void wire_views_destroy(struct wire_views *views);                   /* takes NULL */

/* The catalog of what a device of `version` and this server have in common; valid until the next
 * call. RESULT_EXHAUSTED: no memory for it. */
MUST_CHECK enum result wire_view(struct wire_views *views, int64_t version,
                                 const struct catalog **ret_view, struct problem *problem);
/* Decodes a PUSH by itself, in the schema in which it was sealed. Failures: message_push_decode. */
MUST_CHECK enum result wire_decode_push(const struct catalog *catalog, struct bytes body,
                                        struct arena *arena, struct message_push *ret_push,
                                        struct problem *problem);
