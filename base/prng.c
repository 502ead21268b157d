/* SPDX-License-Identifier: Apache-2.0 */
#include "base/prng.h"

#include "base/invariant.h"

static uint64_t splitmix_next(uint64_t *state)
{
    uint64_t mixed = (*state += UINT64_C(0x9e3779b97f4a7c15));

    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

void prng_init(struct prng *prng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        prng->state[i] = splitmix_next(&seed);
}

static uint64_t rotate_left(uint64_t value, int count)
{
    return (value << count) | (value >> (64 - count));
}

uint64_t prng_next(struct prng *prng)
{
    uint64_t *state = prng->state;
    uint64_t drawn = rotate_left(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;

    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return drawn;
}

uint64_t prng_below(struct prng *prng, uint64_t bound)
{
    uint64_t reject_below = 0;
    uint64_t drawn = 0;

    invariant(bound > 0);
    reject_below = (0 - bound) % bound; /* the part of the range that would favour small results */
    do
        drawn = prng_next(prng);
    while (drawn < reject_below);
    return drawn % bound;
}
