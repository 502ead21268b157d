/* SPDX-License-Identifier: Apache-2.0 */
/* invariant.h: a condition that only our own mistake can break.
 *
 * Stays on in production: the process stops before it writes anything wrong. Input from outside is
 * never checked with it; that is what enum result is for. */
#pragma once

#define invariant(condition)                                                                       \
    ((condition) ? (void)0 : invariant_broken(#condition, __FILE__, __LINE__))

_Noreturn void invariant_broken(const char *condition, const char *file, int line);
