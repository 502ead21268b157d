/* SPDX-License-Identifier: Apache-2.0 */
/* message_lists.h: what several messages have in common besides plain fields: ascending buckets,
 * and the parts of a bucket, as one blob of ascending part numbers (row id modulo REPAIR_PARTS).
 * Internal to protocol/message*.c. */
#pragma once

#include "protocol/reader.h"
#include "protocol/writer.h"

/* The next bucket of an ascending list: the difference to the one before, at least 1. */
int64_t bucket_read(struct reader *reader, int64_t before);

/* RESULT_REFUSED: too many, or not ascending. */
MUST_CHECK enum result parts_check(const uint8_t *parts, size_t count, struct problem *problem);
void parts_write(const uint8_t *parts, size_t count, struct writer *writer);
/* NULL and 0 for an empty list; borrows from the reader's bytes. */
const uint8_t *parts_read(struct reader *reader, size_t *ret_count);
