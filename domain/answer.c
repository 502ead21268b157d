/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/answer.h"

#include "base/invariant.h"

const char *answer_name(enum answer answer)
{
    static const char *const NAMES[] = {
        [ANSWER_ACCEPT] = "accept", [ANSWER_ABSORB] = "absorb", [ANSWER_BRANCH] = "branch",
        [ANSWER_PARK] = "park",     [ANSWER_REFUSE] = "refuse",
    };

    invariant(answer >= ANSWER_ACCEPT && answer <= ANSWER_REFUSE);
    return NAMES[answer];
}
