/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "edge/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
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
    (void)tcsetattr(terminal, TCSAFLUSH, &hidden); /* first: it drops what was typed before */
    (void)!write(terminal, question, strlen(question));
    result = secret_read_descriptor(terminal, buffer, size, ret_line, problem);
    (void)tcsetattr(terminal, TCSAFLUSH, &shown);
    (void)!write(terminal, "\n", 1);
    (void)close(terminal);
    return result;
}

/* ---- passphrases ---- */

static enum result read_numbered(const char *number, char *buffer, size_t size,
                                 struct bytes *ret_line, struct problem *problem)
{
    char *end = NULL;
    long descriptor;

    errno = 0;
    descriptor = strtol(number, &end, 10);
    if (errno != 0 || end == number || *end != '\0' || descriptor < 0 || descriptor > 1023)
        return problem_set(problem, RESULT_REFUSED, "'%s' is no descriptor", number);
    return secret_read_descriptor((int)descriptor, buffer, size, ret_line, problem);
}

static enum result read_file(const char *path, char *buffer, size_t size, struct bytes *ret_line,
                             struct problem *problem)
{
    struct stat facts;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    enum result result;

    if (file < 0 || fstat(file, &facts) != 0)
        result = problem_set(problem, RESULT_REFUSED, "%s: %s", path, strerror(errno));
    else if ((facts.st_mode & 0037) != 0)
        result = problem_set(problem, RESULT_REFUSED, "%s: others may touch it, run: chmod 600 %s",
                             path, path);
    else
        result = secret_read_descriptor(file, buffer, size, ret_line, problem);
    if (file >= 0)
        (void)close(file);
    return result;
}

enum result secret_from(const struct secret_source *source, char *buffer, size_t size,
                        struct bytes *ret_line, struct problem *problem)
{
    struct problem no_terminal = {0};

    if (source->descriptor != NULL)
        return read_numbered(source->descriptor, buffer, size, ret_line, problem);
    if (source->path != NULL)
        return read_file(source->path, buffer, size, ret_line, problem);
    if (source->question == NULL ||
        secret_ask(source->question, buffer, size, ret_line, &no_terminal) != RESULT_OK)
        return problem_set(problem, RESULT_REFUSED,
                           "it is under a passphrase and there is no terminal to ask at; %s",
                           source->hint);
    return RESULT_OK;
}

enum result secret_choose(const char *descriptor, char *buffer, size_t size, struct bytes *ret_line,
                          struct problem *problem)
{
    char *again = NULL;
    struct bytes second = {0};
    enum result result;

    if (descriptor != NULL)
        return read_numbered(descriptor, buffer, size, ret_line, problem);
    again = secret_alloc(size);
    if (again == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a passphrase");
    result = secret_ask("New passphrase: ", buffer, size, ret_line, problem);
    if (result == RESULT_OK)
        result = secret_ask("Once more: ", again, size, &second, problem);
    if (result == RESULT_OK && !bytes_equal(*ret_line, second))
        result = problem_set(problem, RESULT_REFUSED, "the two differ");
    secret_free(again);
    return result;
}
