/* SPDX-License-Identifier: Apache-2.0 */
/* prng.h: repeatable pseudo-random numbers for jitter, workloads and simulation; never for keys.
 *
 * xoshiro256** 1.0 by Blackman and Vigna, seeded through splitmix64 as its authors advise. */
#pragma once

#include <stdint.h>

struct prng {
    uint64_t state[4];
};

void prng_init(struct prng *prng, uint64_t seed);
uint64_t prng_next(struct prng *prng);
/* Uniform in [0, bound); bound > 0. */
uint64_t prng_below(struct prng *prng, uint64_t bound);
