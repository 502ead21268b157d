/* SPDX-License-Identifier: Apache-2.0 */
/* photos.h: files that hang on an activity, a call or an asset. The content goes into the blob
 * store under its BLAKE2b-256 hash, first and durably; then the row that names it. */
#pragma once

#include "agent/service/service.h"

enum { PHOTO_SIZE_MAX = 64 << 20 }; /* bytes: what a memory-bound device still handles */

struct photo {
    int64_t activity_id; /* one of the three, the others 0 */
    int64_t call_id;
    int64_t asset_id;
    const char *name; /* of the file; its extension tells the type */
    struct bytes content;
    bool is_customer_visible;
};
MUST_CHECK enum result photo_add(struct service *service, const struct photo *photo,
                                 int64_t *ret_id, struct problem *problem);
/* Everything that hangs on an activity, its call or its asset. */
MUST_CHECK enum result photo_list(struct service *service, int64_t activity_id, struct arena *arena,
                                  struct listing *ret_listing, struct problem *problem);

/* For other subjects: puts content into the store and returns its name. */
enum { PHOTO_HASH_TEXT_SIZE = 2 * BLOB_STORE_HASH_SIZE + 1 };
MUST_CHECK enum result photo_store(struct service *service, struct bytes content,
                                   char ret_hash[PHOTO_HASH_TEXT_SIZE], struct problem *problem);
/* "image/jpeg" for "a.JPG"; application/octet-stream for what nobody knows. */
const char *photo_mime_type(const char *name);
