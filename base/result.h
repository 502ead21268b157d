/* SPDX-License-Identifier: Apache-2.0 */
/* result.h: how a function says what happened, and the sentence that goes with it.
 *
 * A result tells the caller what to do next; where and why is in the problem, a text that the
 * caller owns and that each level may prefix on the way up. Nothing here is global. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))

/* What the caller does next. */
enum result {
    RESULT_OK,
    RESULT_WAIT,      /* nothing wrong: call again with more to read or room to write */
    RESULT_REFUSED,   /* understood and denied (rights, range, state): tell the sender, go on */
    RESULT_MALFORMED, /* the peer broke the protocol: close this conversation, keep the others */
    RESULT_EXHAUSTED, /* a limit, memory or disk is used up: undo, report, stay up */
    RESULT_STORAGE,   /* what is on disk is unknown: stop writing, reopen, look */
};

enum { PROBLEM_TEXT_SIZE = 512 }; /* bytes with the closing NUL; longer texts are cut at the end */

/* A failure in words: cause and effect. Start with {0}; an empty text means no problem. */
struct problem {
    char text[PROBLEM_TEXT_SIZE];
};

/* Writes the text and returns `result`, so that a failing line is one `return`. */
MUST_CHECK enum result problem_set(struct problem *problem, enum result result, const char *format,
                                   ...) __attribute__((format(printf, 3, 4)));

/* Puts context in front: "publishing at 812: " + what is there. */
void problem_add(struct problem *problem, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "ok", "wait", "refused", ...: for traces and logs. */
const char *result_name(enum result result);
