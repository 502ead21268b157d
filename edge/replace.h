/* SPDX-License-Identifier: Apache-2.0 */
/* replace.h: one finished file in the place of another. Failures as in files.h. */
#pragma once

#include "base/result.h"

#include <stdbool.h>

/* `from` is `to` from now on; whoever looks, after a crash too, sees the old file or the new one.
 * The content of `from` is on the disk already. */
MUST_CHECK enum result replace_file(const char *from, const char *to, struct problem *problem);
/* A second name for the same file: its content outlives the replacement, until it is wiped. */
MUST_CHECK enum result replace_keep(const char *path, const char *second_path,
                                    struct problem *problem);
/* Are both names of one file? False also if one of them isn't there. */
bool replace_is_same(const char *path, const char *other_path);
