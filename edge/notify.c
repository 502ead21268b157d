/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "edge/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum result notify_send(const char *state, struct problem *problem)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = path == NULL ? 0 : strlen(path);
    enum result result = RESULT_OK;
    int descriptor = -1;

    if (size == 0)
        return RESULT_OK;
    if ((path[0] != '/' && path[0] != '@') || size < 2 || size >= sizeof address.sun_path)
        return problem_set(problem, RESULT_REFUSED,
                           "NOTIFY_SOCKET=%.200s is neither a path nor an abstract address", path);
    memcpy(address.sun_path, path, size);
    if (path[0] == '@')
        address.sun_path[0] = '\0'; /* abstract: unix(7) */
    descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return problem_set(problem, RESULT_EXHAUSTED, "notifying: %s", strerror(errno));
    if (sendto(descriptor, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)) < 0)
        result = problem_set(
            problem, errno == EAGAIN || errno == ENOBUFS ? RESULT_EXHAUSTED : RESULT_REFUSED,
            "notifying %s: %s", path, strerror(errno));
    (void)close(descriptor);
    return result;
}

/* -1 unless the variable is a whole number that fits. */
static int64_t number_in_environment(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    intmax_t number = 0;

    if (text == NULL || text[0] < '0' || text[0] > '9')
        return -1;
    errno = 0;
    number = strtoimax(text, &end, 10);
    if (errno != 0 || *end != '\0' || number > INT64_MAX)
        return -1;
    return (int64_t)number;
}

int64_t notify_watchdog_us(void)
{
    int64_t period_us = number_in_environment("WATCHDOG_USEC");

    if (period_us <= 0)
        return 0;
    if (getenv("WATCHDOG_PID") != NULL && number_in_environment("WATCHDOG_PID") != getpid())
        return 0;
    return period_us / 2;
}
