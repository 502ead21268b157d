/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/answer.h"

#include "base/invariant.h"

#include <string.h>

static const char *const ROLE_NAMES[ROLE_COUNT] = {"T", "D", "H", "M",   "W",  "P",
                                                   "B", "A", "C", "srv", "adm"};

const char *answer_name(enum answer answer)
{
    static const char *const NAMES[] = {
        [ANSWER_ACCEPT] = "accept", [ANSWER_ABSORB] = "absorb", [ANSWER_BRANCH] = "branch",
        [ANSWER_PARK] = "park",     [ANSWER_REFUSE] = "refuse",
    };

    invariant(answer >= ANSWER_ACCEPT && answer <= ANSWER_REFUSE);
    return NAMES[answer];
}

const char *role_name(enum role role)
{
    size_t i = 0;

    while (i < ROLE_COUNT && (1u << i) != (unsigned)role)
        i++;
    invariant(i < ROLE_COUNT);
    return ROLE_NAMES[i];
}

unsigned role_parse(const char *name)
{
    for (size_t i = 0; i < ROLE_COUNT; i++)
        if (strcmp(ROLE_NAMES[i], name) == 0)
            return 1u << i;
    return 0;
}
