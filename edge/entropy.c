/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE

#include "edge/entropy.h"

#include "base/invariant.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/types.h>

void entropy_fill(void *ret_data, size_t size)
{
    uint8_t *data = ret_data;
    size_t done = 0;

    while (done < size) {
        ssize_t got = getrandom(data + done, size - done, 0);

        if (got < 0 && errno == EINTR)
            continue;
        invariant(got > 0);
        done += (size_t)got;
    }
}

uint64_t entropy_seed(void)
{
    uint64_t seed = 0;

    entropy_fill(&seed, sizeof seed);
    return seed;
}
