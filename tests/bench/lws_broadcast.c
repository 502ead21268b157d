/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
/* lws_broadcast: what the carrier alone needs to tell many receivers one thing: libwebsockets on
 * libev, without encryption, storage or anything of Fieldsync. The yardstick of T4.
 *
 *     lws_broadcast RECEIVERS ROUNDS
 *
 * On stdout a line "connected US" (all of them, at once), then one a message and receiver:
 * microseconds from the first write to its arrival. */
#include "tests/bench/wire.h"

#include <inttypes.h>
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RECEIVERS_MAX = 20000, MESSAGE_SIZE = 100, BETWEEN_MS = 100 };

static int64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- the receivers, a process of their own ---- */

static void on_message(void *context, struct bytes message)
{
    int64_t sent = 0;

    (void)context;
    memcpy(&sent, message.data, sizeof sent);
    printf("%" PRId64 "\n", (now_ns() - sent) / 1000);
}

static void on_end(void *context)
{
    ev_break(context, EVBREAK_ALL);
}

static int receive(uint16_t port, size_t count)
{
    struct wires wires = {.loop = ev_loop_new(EVFLAG_AUTO),
                          .port = port,
                          .protocol = "broadcast",
                          .received = on_message,
                          .closed = on_end};
    struct wire *all = calloc(count, sizeof *all);
    struct problem problem = {0};
    enum result result = wires_init(&wires, &problem);

    for (size_t i = 0; i < count && all != NULL && result == RESULT_OK; i++) {
        wire_init(&all[i], &wires, wires.loop);
        result = wire_open(&all[i], i, &problem);
    }
    if (result != RESULT_OK)
        fprintf(stderr, "lws_broadcast: %s\n", problem.text);
    else
        ev_run(wires.loop, 0);
    for (size_t i = 0; i < count && all != NULL; i++)
        wire_close(&all[i]);
    wires_done(&wires);
    ev_loop_destroy(wires.loop);
    free(all);
    (void)fflush(stdout);
    return result == RESULT_OK ? 0 : 1;
}

/* ---- the server ---- */

struct hall {
    struct lws_context *context;
    struct ev_loop *loop;
    struct ev_timer timer;
    struct lws *receivers[RECEIVERS_MAX];
    size_t wanted;
    size_t count;
    int64_t began_ns;
    int rounds;
    uint8_t message[LWS_PRE + MESSAGE_SIZE];
};

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t size)
{
    struct hall *hall = lws_context_user(lws_get_context(wsi));

    (void)user;
    (void)in;
    (void)size;
    if (reason == LWS_CALLBACK_ESTABLISHED && hall->count < RECEIVERS_MAX) {
        hall->receivers[hall->count++] = wsi;
        if (hall->count == hall->wanted)
            printf("connected %" PRId64 "\n", (now_ns() - hall->began_ns) / 1000);
    }
    if (reason == LWS_CALLBACK_SERVER_WRITEABLE && hall->count == hall->wanted)
        return lws_write(wsi, hall->message + LWS_PRE, MESSAGE_SIZE, LWS_WRITE_BINARY) < 0 ? -1 : 0;
    return 0;
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct hall *hall = timer->data;
    int64_t now;

    (void)events;
    if (hall->count < hall->wanted)
        return;
    if (hall->rounds-- == 0) {
        ev_break(loop, EVBREAK_ALL);
        return;
    }
    now = now_ns();
    memcpy(hall->message + LWS_PRE, &now, sizeof now);
    for (size_t i = 0; i < hall->count; i++)
        (void)lws_callback_on_writable(hall->receivers[i]);
}

static const struct lws_protocols PROTOCOLS[] = {
    {.name = "broadcast", .callback = on_event, .rx_buffer_size = 1024},
    {.name = NULL},
};

static struct lws_vhost *listen_somewhere(struct hall *hall)
{
    void *loops[1] = {hall->loop};
    struct lws_context_creation_info info = {.options = LWS_SERVER_OPTION_LIBEV |
                                                        LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
                                             .foreign_loops = loops,
                                             .gid = -1,
                                             .uid = -1,
                                             .pcontext = &hall->context,
                                             .user = hall};
    struct lws_context_creation_info host = {
        .port = 0, .iface = "127.0.0.1", .protocols = PROTOCOLS, .vhost_name = "broadcast"};

    hall->context = lws_create_context(&info);
    return hall->context == NULL ? NULL : lws_create_vhost(hall->context, &host);
}

int main(int argc, char **argv)
{
    static struct hall hall;
    struct lws_vhost *host;
    pid_t child;
    int status = 0;

    lws_set_log_level(0, NULL);
    if (argc != 3)
        return 2;
    hall.wanted = (size_t)strtoull(argv[1], NULL, 10);
    hall.rounds = (int)strtol(argv[2], NULL, 10);
    hall.loop = ev_loop_new(EVFLAG_AUTO);
    if (hall.wanted == 0 || hall.wanted > RECEIVERS_MAX || hall.loop == NULL)
        return 2;
    host = listen_somewhere(&hall);
    if (host == NULL) {
        fprintf(stderr, "lws_broadcast: libwebsockets doesn't start\n");
        return 1;
    }
    hall.began_ns = now_ns();
    child = fork();
    if (child == 0)
        _exit(receive((uint16_t)lws_get_vhost_listen_port(host), hall.wanted));
    ev_timer_init(&hall.timer, on_timer, BETWEEN_MS / 1e3, BETWEEN_MS / 1e3);
    hall.timer.data = &hall;
    ev_timer_start(hall.loop, &hall.timer);
    ev_run(hall.loop, 0);
    for (size_t i = 0; i < hall.count; i++) /* which ends the child */
        lws_set_timeout(hall.receivers[i], PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
    (void)waitpid(child, &status, 0);
    lws_context_destroy(hall.context);
    ev_loop_destroy(hall.loop);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
