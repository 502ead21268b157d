/* SPDX-License-Identifier: Apache-2.0 */
/* run.h: the serving process: joins loop, sockets, threads, stores and the server core.
 *
 *     sockets --> loop thread: server core --> jobs --> writer thread: master, one commit a group
 *                      ^                        +-----> reader threads: master, one state a batch
 *                      +------ answers, commits ---------+
 *
 * The writer takes whatever waits as one group, so that an idle server answers at once and a busy
 * one shares its fsyncs. A reader does the same, so that receivers of one commit share encoded
 * bodies; another one is there for whom a long snapshot would keep waiting. A store whose state on
 * disk is unknown ends the process: what was not acknowledged comes again, and the service manager
 * starts it anew. */
#pragma once

#include "edge/config.h"
#include "edge/log.h"
#include "edge/options.h"
#include "server/setup.h"

/* Who has something to add to what is said at the start, when devices can connect at `port`. */
struct run_guest {
    void *context;
    /* Appends whole lines to `text`. A failure ends the start. */
    enum result (*greet)(void *context, uint16_t port, struct buffer *text,
                         struct problem *problem);
};

/* Serves until a signal says stop. `setup`: locked, migrated, with its key. Says where it listens
 * on stdout. `guest`: may be NULL. Answers the exit code; what went wrong is in the log. */
enum exit_code run_serve(struct setup *setup, const struct options *options, struct config *config,
                         const struct run_guest *guest);
