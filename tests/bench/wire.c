/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tests/bench/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ROOM_SIZE = 256 * 1024,
    UNREAD_SIZE_MAX = 128 * 1024,
    UNSENT_SIZE_MAX = 16 * 1024 * 1024,
    HOSTS = 250,
    OPCODE_BINARY = 2,
    OPCODE_CLOSE = 8,
    OPCODE_PING = 9,
};

enum result wires_init(struct wires *wires, struct problem *problem)
{
    wires->room = malloc(ROOM_SIZE);
    return wires->room != NULL ? RESULT_OK : problem_set(problem, RESULT_EXHAUSTED, "no memory");
}

void wires_done(struct wires *wires)
{
    free(wires->room);
}

/* ---- opening and closing ---- */

static void on_ready(struct ev_loop *loop, struct ev_io *watcher, int events);

void wire_init(struct wire *wire, struct wires *wires, void *context)
{
    *wire = (struct wire){.wires = wires, .context = context, .descriptor = -1};
    buffer_init(&wire->unread, UNREAD_SIZE_MAX);
    buffer_init(&wire->unsent, UNSENT_SIZE_MAX);
}

static void watch(struct wire *wire, int events)
{
    ev_io_stop(wire->wires->loop, &wire->watcher);
    ev_io_init(&wire->watcher, on_ready, wire->descriptor, events);
    wire->watcher.data = wire;
    ev_io_start(wire->wires->loop, &wire->watcher);
}

static struct sockaddr_in address_of(uint32_t host, uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(host)};
}

static int dial(size_t number, uint16_t port)
{
    const int one = 1;
    uint32_t host =
        0x7f010001u + (uint32_t)(number / HOSTS % HOSTS) * 256 + (uint32_t)(number % HOSTS);
    struct sockaddr_in near = address_of(host, 0);
    struct sockaddr_in far = address_of(INADDR_LOOPBACK, port);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (descriptor < 0)
        return -1;
    if (setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) == 0 &&
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0 &&
        bind(descriptor, (struct sockaddr *)&near, sizeof near) == 0 &&
        (connect(descriptor, (struct sockaddr *)&far, sizeof far) == 0 || errno == EINPROGRESS))
        return descriptor;
    (void)close(descriptor);
    return -1;
}

enum result wire_open(struct wire *wire, size_t number, struct problem *problem)
{
    char request[300];
    int size = snprintf(request, sizeof request,
                        "GET /sync HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Protocol: %s\r\n"
                        "Sec-WebSocket-Key: QUFBQUFBQUFBQUFBQUFBQQ==\r\n\r\n",
                        wire->wires->protocol);

    wire->descriptor = dial(number, wire->wires->port);
    wire->is_upgraded = false;
    if (wire->descriptor < 0)
        return problem_set(problem, RESULT_EXHAUSTED, "dialling: %s", strerror(errno));
    watch(wire, EV_WRITE); /* the request goes when the connection is there */
    return buffer_append(&wire->unsent, request, (size_t)size, problem);
}

void wire_close(struct wire *wire)
{
    if (wire->descriptor < 0)
        return;
    ev_io_stop(wire->wires->loop, &wire->watcher);
    (void)close(wire->descriptor);
    wire->descriptor = -1;
    buffer_done(&wire->unread);
    buffer_done(&wire->unsent);
    buffer_init(&wire->unread, UNREAD_SIZE_MAX);
    buffer_init(&wire->unsent, UNSENT_SIZE_MAX);
}

static void lose(struct wire *wire)
{
    wire_close(wire);
    wire->wires->closed(wire->context);
}

/* ---- sending ---- */

/* False: lost. */
static bool write_unsent(struct wire *wire)
{
    struct buffer *unsent = &wire->unsent;
    ssize_t size = send(wire->descriptor, unsent->data, unsent->size, MSG_NOSIGNAL);

    if (size < 0 && errno != EAGAIN) {
        lose(wire);
        return false;
    }
    if (size > 0) {
        unsent->size -= (size_t)size;
        memmove(unsent->data, unsent->data + size, unsent->size);
    }
    if (unsent->size == 0) {
        buffer_done(unsent);
        buffer_init(unsent, UNSENT_SIZE_MAX);
    }
    watch(wire, unsent->size > 0 ? EV_READ | EV_WRITE : EV_READ);
    return true;
}

/* The mask of a client's frame is zeros here, which leaves the payload as it is. */
enum result wire_send(struct wire *wire, struct bytes message, struct problem *problem)
{
    uint8_t head[8] = {0x80 | OPCODE_BINARY};
    size_t head_size = message.size < 126 ? 6 : 8;
    bool was_empty = wire->unsent.size == 0;
    enum result result;

    if (wire->descriptor < 0)
        return RESULT_OK;
    head[1] = (uint8_t)(0x80 | (message.size < 126 ? message.size : 126));
    if (head_size == 8) {
        head[2] = (uint8_t)(message.size >> 8);
        head[3] = (uint8_t)message.size;
    }
    result = buffer_append(&wire->unsent, head, head_size, problem);
    if (result == RESULT_OK)
        result = buffer_append(&wire->unsent, message.data, message.size, problem);
    if (result == RESULT_OK && was_empty)
        watch(wire, EV_READ | EV_WRITE);
    return result;
}

/* ---- receiving ---- */

/* Takes one frame off `bytes`; false: it isn't whole. */
static bool take_frame(struct bytes *bytes, int *ret_opcode, struct bytes *ret_payload)
{
    size_t head_size = 2;
    uint64_t size;

    if (bytes->size < head_size)
        return false;
    size = bytes->data[1] & 0x7f;
    if (size >= 126) {
        size_t width = size == 126 ? 2 : 8;

        head_size += width;
        if (bytes->size < head_size)
            return false;
        size = 0;
        for (size_t i = 0; i < width; i++)
            size = size << 8 | bytes->data[2 + i];
    }
    if (size > bytes->size - head_size)
        return false;
    /* anything but whole messages is for the caller to find strange: opcode 0 */
    *ret_opcode = (bytes->data[0] & 0x80) != 0 ? bytes->data[0] & 0x0f : 0;
    *ret_payload = bytes_of(bytes->data + head_size, (size_t)size);
    *bytes = bytes_of(bytes->data + head_size + size, bytes->size - head_size - (size_t)size);
    return true;
}

/* False: the wire is closed. */
static bool take_frames(struct wire *wire, struct bytes *bytes)
{
    struct bytes payload = {0};
    int opcode = 0;

    while (take_frame(bytes, &opcode, &payload)) {
        if (opcode == OPCODE_BINARY)
            wire->wires->received(wire->context, payload);
        else if (opcode != OPCODE_PING)
            lose(wire);
        if (wire->descriptor < 0)
            return false;
    }
    return true;
}

static bool take_upgrade(struct wire *wire, struct bytes *bytes)
{
    const uint8_t *end = memmem(bytes->data, bytes->size, "\r\n\r\n", 4);

    if (end == NULL)
        return true;
    if (bytes->size < 12 || memcmp(bytes->data, "HTTP/1.1 101", 12) != 0) {
        lose(wire);
        return false;
    }
    wire->is_upgraded = true;
    *bytes = bytes_of(end + 4, bytes->size - (size_t)(end + 4 - bytes->data));
    return true;
}

static void read_some(struct wire *wire)
{
    struct buffer *unread = &wire->unread;
    uint8_t *room = wire->wires->room;
    size_t kept = unread->size;
    struct problem problem = {0};
    struct bytes bytes;
    ssize_t size;

    if (kept > 0)
        memcpy(room, unread->data, kept);
    size = recv(wire->descriptor, room + kept, ROOM_SIZE - kept, 0);
    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0) {
        lose(wire);
        return;
    }
    bytes = bytes_of(room, kept + (size_t)size);
    if (!wire->is_upgraded && !take_upgrade(wire, &bytes))
        return;
    if (wire->is_upgraded && !take_frames(wire, &bytes))
        return;
    buffer_done(unread);
    buffer_init(unread, UNREAD_SIZE_MAX);
    if (bytes.size > 0 && buffer_append(unread, bytes.data, bytes.size, &problem) != RESULT_OK)
        lose(wire);
}

static void on_ready(struct ev_loop *loop, struct ev_io *watcher, int events)
{
    struct wire *wire = watcher->data;

    (void)loop;
    if ((events & EV_WRITE) != 0 && !write_unsent(wire))
        return;
    if ((events & EV_READ) != 0)
        read_some(wire);
}
