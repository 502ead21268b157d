/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/numbers.h"

#include "base/invariant.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static_assert(NUMBER_PREFIX_SIZE_MAX + 1 + 12 + 1 <= NUMBER_TEXT_SIZE, "the longest number fits");

static bool prefix_is_good(const char *prefix, size_t size)
{
    if (size == 0 || size > NUMBER_PREFIX_SIZE_MAX)
        return false;
    for (size_t i = 0; i < size; i++)
        if (!((prefix[i] >= 'A' && prefix[i] <= 'Z') || (prefix[i] >= '0' && prefix[i] <= '9')))
            return false;
    return true;
}

enum result number_format(const char *prefix, int64_t counter, char ret_text[NUMBER_TEXT_SIZE],
                          struct problem *problem)
{
    char text[NUMBER_TEXT_SIZE];
    int size = 0;

    if (!prefix_is_good(prefix, strlen(prefix)))
        return problem_set(problem, RESULT_REFUSED, "'%.20s' is no prefix of a series", prefix);
    if (counter < 1 || counter > NUMBER_COUNTER_MAX)
        return problem_set(problem, RESULT_REFUSED, "%" PRId64 " is no counter of a series",
                           counter);
    size = snprintf(text, sizeof text, "%s-%0*" PRId64, prefix, NUMBER_DIGITS_MIN, counter);
    invariant(size > 0 && (size_t)size < sizeof text);
    memcpy(ret_text, text, sizeof text);
    return RESULT_OK;
}

/* The counter in canonical digits, 0 if it is none: zeros in front only up to six digits. */
static int64_t counter_of(const char *digits, size_t size)
{
    int64_t counter = 0;

    if (size < NUMBER_DIGITS_MIN || size > 12 || (size > NUMBER_DIGITS_MIN && digits[0] == '0'))
        return 0;
    for (size_t i = 0; i < size; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return 0;
        counter = counter * 10 + (digits[i] - '0');
    }
    return counter;
}

enum result number_parse(const char *text, struct number *ret_number, struct problem *problem)
{
    size_t size = strlen(text);
    const char *dash = memchr(text, '-', size);
    size_t prefix_size = dash == NULL ? 0 : (size_t)(dash - text);
    struct number number = {0};

    if (size >= NUMBER_TEXT_SIZE || dash == NULL || !prefix_is_good(text, prefix_size))
        return problem_set(problem, RESULT_REFUSED, "'%.30s' is not a number of a series", text);
    number.counter = counter_of(dash + 1, size - prefix_size - 1);
    if (number.counter == 0)
        return problem_set(problem, RESULT_REFUSED, "'%.30s' is not a number of a series", text);
    memcpy(number.prefix, text, prefix_size);
    *ret_number = number;
    return RESULT_OK;
}

enum result number_take(const char *prefix, int64_t *next, char ret_text[NUMBER_TEXT_SIZE],
                        struct problem *problem)
{
    enum result result;

    if (*next > NUMBER_COUNTER_MAX)
        return problem_set(problem, RESULT_EXHAUSTED, "the series %.20s is used up", prefix);
    result = number_format(prefix, *next, ret_text, problem);
    if (result == RESULT_OK)
        *next += 1;
    return result;
}

enum result number_resume(int64_t server_last, int64_t own_last, int64_t *ret_next,
                          struct problem *problem)
{
    int64_t last = server_last > own_last ? server_last : own_last;

    if (last >= NUMBER_COUNTER_MAX)
        return problem_set(problem, RESULT_EXHAUSTED, "the series is used up");
    *ret_next = last < 0 ? 1 : last + 1;
    return RESULT_OK;
}
