/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h: the only place that reads a clock; everything else is told what time it is.
 *
 * Waiting uses CLOCK_MONOTONIC (clock_gettime(2)): never set back, not adjusted in jumps, zero at
 * some unknown moment, and it stands still while the machine sleeps. That is wanted: a device that
 * was suspended for eight hours shall not find all its deadlines due at once before it has looked
 * at the network. Stamping uses CLOCK_REALTIME, which anybody may set to any value.
 *
 * Both calls cannot fail on Linux; if one does, the process stops (invariant). Thread-safe. */
#pragma once

#include "base/instant.h"

/* Microseconds since an arbitrary start; two calls in one process never go backwards. */
struct mono_time clock_mono_now(void);

/* Microseconds since 1970-01-01T00:00:00Z; may jump either way between two calls. */
struct wall_time clock_wall_now(void);
