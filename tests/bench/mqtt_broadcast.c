/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
/* mqtt_broadcast: how long an MQTT broker takes to tell many receivers one thing with QoS 1, which
 * each receiver acknowledges. For `bench --peers`.
 *
 *     mqtt_broadcast PORT RECEIVERS ROUNDS
 *
 * Speaks MQTT 3.1.1 to a broker at 127.0.0.1. One line on stdout a message and receiver:
 * microseconds from the publisher's write to its arrival. */
#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    RECEIVERS_MAX = 20000,
    ROOM_SIZE = 1024,
    MESSAGE_SIZE = 100,
    SMALL_MAX = 127, /* packets up to here say their size in one byte */
    CONNACK = 0x20,
    PUBLISH = 0x32,
    PUBACK = 0x40,
    SUBACK = 0x90,
};
#define BETWEEN_S 0.1

struct receiver {
    struct fair *fair;
    struct ev_io watcher;
    uint8_t room[ROOM_SIZE];
    size_t size;
    bool is_publisher;
};

struct fair {
    struct ev_loop *loop;
    struct ev_timer timer;
    struct receiver *receivers; /* the last one publishes */
    size_t wanted;
    size_t ready;
    size_t heard;
    int rounds;
};

static void fail(const char *what)
{
    (void)fprintf(stderr, "mqtt_broadcast: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* All that is ever sent fits into an empty socket buffer. */
static void send_all(const struct receiver *receiver, const uint8_t *packet, size_t size)
{
    if (send(receiver->watcher.fd, packet, size, MSG_NOSIGNAL) != (ssize_t)size)
        fail("sending");
}

static void say_connect(const struct receiver *receiver, size_t number)
{
    uint8_t packet[SMALL_MAX] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 8};

    (void)snprintf((char *)packet + 14, 9, "%08zu", number); /* no keep-alive, clean session */
    packet[1] = 20;
    send_all(receiver, packet, 22);
}

static void say_subscribe(const struct receiver *receiver)
{
    static const uint8_t PACKET[] = {0x82, 6, 0, 1, 0, 1, 't', 1};

    send_all(receiver, PACKET, sizeof PACKET);
}

static void say_publish(const struct receiver *receiver)
{
    uint8_t packet[7 + MESSAGE_SIZE] = {PUBLISH, 5 + MESSAGE_SIZE, 0, 1, 't', 0, 1};
    int64_t now = now_ns();

    memcpy(packet + 7, &now, sizeof now);
    send_all(receiver, packet, sizeof packet);
}

static void on_publish(struct receiver *receiver, const uint8_t *body)
{
    uint8_t packet[] = {PUBACK, 2, body[3], body[4]}; /* behind the topic "t" */
    int64_t sent = 0;

    memcpy(&sent, body + 5, sizeof sent);
    (void)printf("%" PRId64 "\n", (now_ns() - sent) / 1000);
    send_all(receiver, packet, sizeof packet);
    receiver->fair->heard++;
}

static void on_packet(struct receiver *receiver, uint8_t type, const uint8_t *body)
{
    struct fair *fair = receiver->fair;

    if (type == CONNACK && receiver->is_publisher)
        fair->ready++;
    else if (type == CONNACK)
        say_subscribe(receiver);
    else if (type == SUBACK)
        fair->ready++;
    else if ((type & 0xf0) == (PUBLISH & 0xf0))
        on_publish(receiver, body);
}

static void on_ready(struct ev_loop *loop, struct ev_io *watcher, int events)
{
    struct receiver *receiver = watcher->data;
    ssize_t size = recv(watcher->fd, receiver->room + receiver->size, ROOM_SIZE - receiver->size,
                        MSG_DONTWAIT);
    size_t place = 0;

    (void)loop;
    (void)events;
    if (size <= 0)
        fail("the broker has hung up");
    receiver->size += (size_t)size;
    while (receiver->size - place >= 2 && receiver->room[place + 1] <= SMALL_MAX &&
           receiver->size - place >= 2u + receiver->room[place + 1]) {
        on_packet(receiver, receiver->room[place], receiver->room + place + 2);
        place += 2u + receiver->room[place + 1];
    }
    receiver->size -= place;
    memmove(receiver->room, receiver->room + place, receiver->size);
}

static void dial(struct fair *fair, size_t number, uint16_t port)
{
    const int one = 1;
    struct sockaddr_in far = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct receiver *receiver = &fair->receivers[number];
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&far, sizeof far) != 0 ||
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0)
        fail("dialling");
    receiver->fair = fair;
    receiver->is_publisher = number == fair->wanted;
    ev_io_init(&receiver->watcher, on_ready, descriptor, EV_READ);
    receiver->watcher.data = receiver;
    ev_io_start(fair->loop, &receiver->watcher);
    say_connect(receiver, number);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct fair *fair = timer->data;

    (void)events;
    if (fair->ready < fair->wanted + 1 || fair->heard < fair->wanted)
        return; /* the last one hasn't arrived everywhere */
    fair->heard = 0;
    if (fair->rounds-- == 0)
        ev_break(loop, EVBREAK_ALL);
    else
        say_publish(&fair->receivers[fair->wanted]);
}

int main(int argc, char **argv)
{
    struct fair fair = {0};
    uint16_t port = argc == 4 ? (uint16_t)strtoul(argv[1], NULL, 10) : 0;

    if (port == 0)
        return 2;
    fair.wanted = (size_t)strtoull(argv[2], NULL, 10);
    fair.rounds = (int)strtol(argv[3], NULL, 10);
    if (fair.wanted == 0 || fair.wanted > RECEIVERS_MAX)
        return 2;
    fair.heard = fair.wanted; /* of no message before the first */
    fair.loop = ev_loop_new(EVFLAG_AUTO);
    fair.receivers = calloc(fair.wanted + 1, sizeof *fair.receivers);
    if (fair.loop == NULL || fair.receivers == NULL)
        fail("beginning");
    for (size_t i = 0; i <= fair.wanted; i++)
        dial(&fair, i, port);
    ev_timer_init(&fair.timer, on_timer, BETWEEN_S, BETWEEN_S);
    fair.timer.data = &fair;
    ev_timer_start(fair.loop, &fair.timer);
    ev_run(fair.loop, 0);
    for (size_t i = 0; i <= fair.wanted; i++)
        (void)close(fair.receivers[i].watcher.fd);
    ev_loop_destroy(fair.loop);
    free(fair.receivers);
    return 0;
}
