/* SPDX-License-Identifier: Apache-2.0 */
/* local_http.h: what a running agent says to programs of the same machine and the same user.
 *
 *     GET /api/status        as `fieldsync-agent status --json`
 *
 * Off unless `http.listen` is set. Loopback addresses only, and of each request a token that is
 * random, new with each start, and stands in DATA/http.token (0600): Authorization: Bearer HEX.
 * That is how a program proves that it may read this folder; other users of the machine may not,
 * and neither may pages in a browser: Host has to be a number or localhost, any Origin is refused,
 * no CORS header is ever sent, and without the header there is no answer, so nothing that a
 * browser adds by itself (a cookie, a query) opens anything. */
#pragma once

#include "agent/cli/state_file.h"
#include "agent/replica/replica.h"
#include "edge/loop.h"

#define LOCAL_TOKEN_FILE_NAME "http.token"

struct local_http;

struct local_http_options {
    const char *listen; /* "127.0.0.1:7745", "[::1]:7745"; port 0: any */
    const char *data_folder;
    struct replica *replica;        /* on the loop's thread, as the next */
    const struct state_file *state; /* as it is now */
};

/* Is it an address of this machine only, with a port? RESULT_REFUSED: in words. */
MUST_CHECK enum result local_http_check(const char *listen, struct problem *problem);
/* Makes the token and listens. RESULT_REFUSED: the address, the port is taken, the file can't be
 * written; RESULT_EXHAUSTED: memory. */
MUST_CHECK enum result local_http_open(struct loop *loop, const struct local_http_options *options,
                                       struct local_http **ret_local, struct problem *problem);
/* Removes the token; NULL is fine. Before the loop and the replica. */
void local_http_close(struct local_http *local);
uint16_t local_http_port(const struct local_http *local);
