/* SPDX-License-Identifier: Apache-2.0 */
/* demo.h: a made-up company to try the programs with: a folder, people, data, calls, codes.
 *
 * The data is schema/demo/, plain SQL as any program may write it; people, calls and codes are made
 * by the same services as the commands of the office. The order is demo_make_folder, setup_create,
 * demo_fill, then serving, and while that begins demo_invite.
 *
 * Failures as in setup.h: their text is for a person. */
#pragma once

#include "server/cli/cli.h"
#include "server/setup.h"

/* A new folder, 0700: `wanted`, or if that is NULL one under $TMPDIR (/tmp). RESULT_REFUSED: there
 * is something of that name, or the system said no. */
MUST_CHECK enum result demo_make_folder(const char *wanted, char ret_folder[FILES_PATH_SIZE],
                                        struct problem *problem);
/* Removes it with everything in it, also the devices that enrolled there. RESULT_REFUSED: something
 * is left. */
MUST_CHECK enum result demo_remove_folder(const char *folder, struct problem *problem);

/* People, data and calls, into what setup_create has made. */
MUST_CHECK enum result demo_fill(struct setup *setup, struct wall_time now,
                                 struct problem *problem);

struct demo_invitation {
    const struct cli_host *host; /* makes the codes */
    const char *program;         /* as it was called; the agent lies beside it */
    uint16_t port;               /* where devices connect */
    bool is_kept;                /* the folder stays at the end */
    struct wall_time now;
};
/* Makes a code for one device of each person and appends to `text` what to do with them. */
MUST_CHECK enum result demo_invite(struct setup *setup, const struct demo_invitation *invitation,
                                   struct buffer *text, struct problem *problem);
