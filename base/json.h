/* SPDX-License-Identifier: Apache-2.0 */
/* json.h: what a request's body says, when it is one JSON object of named texts (RFC 8259).
 *
 *     {"login": "anna", "password": "correct horse"}
 *
 * That is all the pages send so far; nothing nested is read, so nothing recurses. Strict: each name
 * once, no other names, valid UTF-8, no NUL, nothing behind the object. Texts go to where the
 * caller wants them, so that a secret is nowhere else. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

struct json_text {
    const char *name;
    char *text;  /* the caller's; NUL-terminated when it was read */
    size_t size; /* of `text`, NUL included */
};

/* RESULT_MALFORMED: it isn't such an object, a name is missing, twice or unknown, or a text is
 * longer than its place; `problem` says what and quotes no value. The texts' content is undefined
 * then. */
MUST_CHECK enum result json_read_texts(struct bytes body, const struct json_text *texts,
                                       size_t text_count, struct problem *problem);
