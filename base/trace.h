/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h: what a step did, in one line a fact ("anna > server: PUSH 3 changes"); never a secret.
 *
 * The lines are the debug log of the binaries and the expected output of tests. A NULL trace or one
 * without a writer costs one comparison. */
#pragma once

struct trace {
    void (*write)(void *context, const char *line); /* line: NUL-terminated, without newline */
    void *context;
};

void trace_line(const struct trace *trace, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
