/* SPDX-License-Identifier: Apache-2.0 */
#include "base/trace.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

void trace_line(const struct trace *trace, const char *format, ...)
{
    enum { LINE_SIZE = 400 };
    char line[LINE_SIZE];
    va_list arguments;

    if (trace == NULL || trace->write == NULL)
        return;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    trace->write(trace->context, line);
}
