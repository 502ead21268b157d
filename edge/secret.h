/* SPDX-License-Identifier: Apache-2.0 */
/* secret.h: where secrets live in this process, and how they come in without being seen.
 *
 * Never by argv or environment: others read those. A passphrase comes from a descriptor that the
 * caller opened (a pipe of a program), from a file that only its owner reads (a credential of the
 * service manager), or from the terminal without echo. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <stddef.h>

/* No core dump of this process and no debugger of the same user: secrets stay out of files. At the
 * start of every program, before any secret is read. */
void secret_harden_process(void);

/* Zeroed memory between guard pages, kept out of swap as far as the system allows; NULL: none. */
void *secret_alloc(size_t size);
void secret_free(void *secret);              /* wipes; takes NULL */
void secret_wipe(void *secret, size_t size); /* what lies in ordinary memory */

/* The first line of what the descriptor gives, to secret_alloc'd `buffer` of `size` bytes; 0 bytes
 * if it gives nothing. RESULT_REFUSED: it can't be read, or the line is longer. */
MUST_CHECK enum result secret_read_descriptor(int descriptor, char *buffer, size_t size,
                                              struct bytes *ret_line, struct problem *problem);
/* Asks the person at the terminal. RESULT_REFUSED: there is none. */
MUST_CHECK enum result secret_ask(const char *question, char *buffer, size_t size,
                                  struct bytes *ret_line, struct problem *problem);

/* ---- passphrases: which way one comes in ---- */

/* The first that is set is taken; the terminal is the last. */
struct secret_source {
    const char *descriptor; /* its number as typed; NULL: none */
    const char *path;       /* of a file; NULL: none */
    const char *question;   /* for the terminal; NULL: don't ask */
    const char *hint;       /* "give --passphrase-fd": when none of them is there */
};
MUST_CHECK enum result secret_from(const struct secret_source *source, char *buffer, size_t size,
                                   struct bytes *ret_line, struct problem *problem);
/* A new one: from the descriptor, or typed twice. RESULT_REFUSED also: the two differ. */
MUST_CHECK enum result secret_choose(const char *descriptor, char *buffer, size_t size,
                                     struct bytes *ret_line, struct problem *problem);
