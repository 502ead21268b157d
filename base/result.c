/* SPDX-License-Identifier: Apache-2.0 */
#include "base/result.h"

#include <stdio.h>
#include <string.h>

enum result problem_set(struct problem *problem, enum result result, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(problem->text, sizeof problem->text, format, arguments);
    va_end(arguments);
    return result;
}

void problem_add(struct problem *problem, const char *format, ...)
{
    struct problem context = {0};
    struct problem joined;
    size_t used = 0;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(context.text, sizeof context.text, format, arguments);
    va_end(arguments);
    if (problem->text[0] == '\0') {
        *problem = context;
        return;
    }
    used = strlen(context.text);
    if (used > PROBLEM_TEXT_SIZE / 2)
        used = PROBLEM_TEXT_SIZE / 2; /* the cause behind it matters more than a long context */
    memcpy(joined.text, context.text, used);
    if (snprintf(joined.text + used, sizeof joined.text - used, ": %s", problem->text) < 0)
        return;
    memcpy(problem, &joined, sizeof joined);
}

const char *result_name(enum result result)
{
    static const char *const NAMES[] = {
        [RESULT_OK] = "ok",
        [RESULT_WAIT] = "wait",
        [RESULT_REFUSED] = "refused",
        [RESULT_MALFORMED] = "malformed",
        [RESULT_EXHAUSTED] = "exhausted",
        [RESULT_STORAGE] = "storage",
    };

    return NAMES[result];
}
