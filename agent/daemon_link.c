/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/daemon_inside.h"
#include "edge/entropy.h"

#include <stdio.h>

enum { CLOSE_HANDSHAKE = 4401 }; /* the server doesn't know the key or the code (PROTOCOL.md 1) */

void daemon_dial(struct daemon *daemon)
{
    struct problem problem = {0};
    enum result result =
        websocket_connect(daemon->websocket, daemon->keys->url, &daemon->connection, &problem);

    if (result == RESULT_OK)
        return;
    daemon->connection = 0;
    daemon_step(daemon, (struct agent_event){.kind = AGENT_EVENT_CLOSED, .text = problem.text});
}

void daemon_send(struct daemon *daemon, struct bytes message)
{
    struct problem problem = {0};
    uint64_t connection = daemon->connection;

    if (connection == 0)
        return;
    if (websocket_send(daemon->websocket, connection, message, &problem) != RESULT_OK)
        websocket_close(daemon->websocket, connection, WEBSOCKET_NORMAL, "", WEBSOCKET_DROP);
}

void daemon_hang_up(struct daemon *daemon)
{
    if (daemon->connection != 0)
        websocket_close(daemon->websocket, daemon->connection, WEBSOCKET_NORMAL, "",
                        WEBSOCKET_FLUSH);
    daemon->connection = 0; /* its last events aren't ours any more */
}

void daemon_on_opened(void *context, uint64_t connection, const char *peer)
{
    struct daemon *daemon = context;
    uint8_t seed[32];

    (void)peer;
    if (connection != daemon->connection)
        return;
    entropy_fill(seed, sizeof seed);
    daemon_step(daemon, (struct agent_event){.kind = AGENT_EVENT_CONNECTED, .seed = seed});
    identity_wipe(seed, sizeof seed);
}

void daemon_on_received(void *context, uint64_t connection, struct bytes message)
{
    struct daemon *daemon = context;

    if (connection == daemon->connection)
        daemon_step(daemon, (struct agent_event){.kind = AGENT_EVENT_RECEIVED, .bytes = message});
}

void daemon_on_drained(void *context, uint64_t connection)
{
    struct daemon *daemon = context;

    if (connection == daemon->connection)
        daemon_step(daemon, (struct agent_event){.kind = AGENT_EVENT_DRAINED});
}

void daemon_on_closed(void *context, uint64_t connection, const struct websocket_end *how)
{
    struct daemon *daemon = context;
    char text[200];

    if (daemon->is_stopping)
        daemon_end(daemon, EXIT_CODE_OK, "");
    if (connection != daemon->connection)
        return;
    daemon->connection = 0;
    if (how->code == CLOSE_HANDSHAKE)
        daemon_on_rejected(daemon);
    if (how->code == WEBSOCKET_NOT_OPENED)
        snprintf(text, sizeof text, "no connection: %s", how->reason != NULL ? how->reason : "");
    else
        snprintf(text, sizeof text, "the connection ended (%u)", how->code);
    daemon_step(daemon, (struct agent_event){.kind = AGENT_EVENT_CLOSED, .text = text});
}
