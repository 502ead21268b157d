/* SPDX-License-Identifier: Apache-2.0 */
/* entropy.h: unpredictable bytes from the kernel, for keys, tokens and seeds.
 *
 * getrandom(2) without flags: waits until the kernel's pool was seeded once after boot, never gives
 * weak bytes. There is no failure a caller could meet sensibly: if the kernel refuses, the process
 * stops (invariant) rather than making a guessable key. Thread-safe; keeps no state, so a snapshot
 * of a machine that runs on twice never repeats them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Fills all of `size` bytes; 0 is allowed. */
void entropy_fill(void *ret_data, size_t size);

/* One number to start a struct prng with (jitter, never keys). */
uint64_t entropy_seed(void);
