/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "edge/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <termios.h>
#include <unistd.h>

/* A sanitizer attaches to its own process to look for leaks, as a debugger does. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_WATCHED = 1 };
#else
enum { IS_WATCHED = 0 };
#endif

void secret_harden_process(void)
{
    const struct rlimit none = {0, 0};

    /* each is a help and no promise: a system that refuses one still runs the program */
    (void)setrlimit(RLIMIT_CORE, &none);
    if (!IS_WATCHED)
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

void *secret_alloc(size_t size)
{
    void *secret = sodium_malloc(size);

    if (secret != NULL)
        sodium_memzero(secret, size);
    return secret;
}

void secret_free(void *secret)
{
    sodium_free(secret); /* wipes; takes NULL */
}

void secret_wipe(void *secret, size_t size)
{
    sodium_memzero(secret, size);
}

enum result secret_read_descriptor(int descriptor, char *buffer, size_t size,
                                   struct bytes *ret_line, struct problem *problem)
{
    size_t used = 0;

    while (used < size) {
        ssize_t got = read(descriptor, buffer + used, 1); /* what follows the line isn't ours */

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return problem_set(problem, RESULT_REFUSED, "reading a secret from descriptor %d: %s",
                               descriptor, strerror(errno));
        if (got == 0 || buffer[used] == '\n')
            break;
        used++;
    }
    if (used == size)
        return problem_set(problem, RESULT_REFUSED, "a secret of more than %zu bytes", size - 1);
    if (used > 0 && buffer[used - 1] == '\r')
        used--;
    *ret_line = bytes_of(buffer, used);
    return RESULT_OK;
}

enum result secret_ask(const char *question, char *buffer, size_t size, struct bytes *ret_line,
                       struct problem *problem)
{
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    struct termios shown;
    struct termios hidden;
    enum result result;

    if (terminal < 0 || tcgetattr(terminal, &shown) != 0) {
        if (terminal >= 0)
            (void)close(terminal);
        return problem_set(problem, RESULT_REFUSED, "there is no terminal to ask at");
    }
    hidden = shown;
    hidden.c_lflag &= (tcflag_t) ~(tcflag_t)ECHO;
    (void)!write(terminal, question, strlen(question));
    (void)tcsetattr(terminal, TCSAFLUSH, &hidden);
    result = secret_read_descriptor(terminal, buffer, size, ret_line, problem);
    (void)tcsetattr(terminal, TCSAFLUSH, &shown);
    (void)!write(terminal, "\n", 1);
    (void)close(terminal);
    return result;
}
