/* SPDX-License-Identifier: Apache-2.0 */
/* sending.h: can a stored row travel, and about how large is it on the wire?
 *
 * Another program may have written into the master what no message can carry: text that isn't
 * UTF-8, a text in an integer column, a value past LIMIT_TEXT_SIZE_MAX. Such a row must not stop
 * the rest of its bucket: whoever sends leaves it out and says so in the trace. */
#pragma once

#include "schema/catalog.h"

bool sending_fits(const struct catalog_table *table, uint64_t mask, const struct value *values);
/* An upper bound of its bytes in a message body. */
size_t sending_size(const struct catalog_table *table, uint64_t mask, const struct value *values);
