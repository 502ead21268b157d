/* SPDX-License-Identifier: Apache-2.0 */
/* chaos.c: a bad network between an agent and its server, as a TCP proxy.
 *
 *     chaos SERVER_PORT
 *
 * Listens on a port of the loopback that the kernel chooses and says it: "port N". Then it takes
 * commands, one a line, and answers each with one line, "ok" or what was asked:
 *
 *     clear                  all faults end; what was held back goes on
 *     cut                    ends all connections; new ones are good
 *     refuse on|off          new connections end at once
 *     upgrade on|off         off: new ones get an HTTP answer, 403, instead of a connection
 *     forget                 for connections of now: nothing passes any more and nobody is told, as
 *                            when a NAT forgets them; clear doesn't bring them back
 *     DIRECTION hole on|off  bytes wait at the sender, ends aren't seen
 *     DIRECTION delay MS     DIRECTION split SIZE      DIRECTION rate BYTES_A_SECOND
 *     DIRECTION flip AT      a bit of byte AT is changed, from now or from a connection's beginning
 *     DIRECTION twice AT     the piece with byte AT comes twice    DIRECTION lose AT   ... not at
 *                            all    DIRECTION stop AT   the connection ends after AT bytes
 *     count                  "UP DOWN CONNECTIONS": bytes passed on and connections so far
 *
 * DIRECTION is up (from the agent) or down. A fault of one byte strikes once a connection. The
 * program ends with its standard input. One thread, libev, bounded queues. */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PIECE_SIZE = 16384,
    QUEUE_SIZE_MAX = 262144,
    LINKS_MAX = 256,
    LINE_SIZE = 128,
    WORDS_MAX = 3
};

enum { UP, DOWN, DIRECTIONS };

enum strike { STRIKE_NONE, STRIKE_FLIP, STRIKE_TWICE, STRIKE_LOSE, STRIKE_STOP };

/* How one direction is; of all connections. */
struct weather {
    bool is_hole;
    double delay_s;
    size_t split; /* 0: as it comes */
    double rate;  /* bytes a second; 0: as fast as it goes */
    enum strike strike;
    uint64_t strike_at;
};

/* Some bytes on their way; size 0: the sender has ended. */
struct piece {
    struct piece *next;
    double due;
    size_t size;
    size_t sent;
    uint8_t data[];
};

struct link;

struct pipe {
    struct link *link;
    int direction;
    int from;
    int to;
    ev_io readable;
    ev_io writable;
    ev_timer timer;
    struct piece *first;
    struct piece *last;
    size_t queued;
    double may_send_at; /* after the rate */
    uint64_t strike_left;
    enum strike strike; /* that is still to come */
    bool has_read_end;
};

/* One connection of an agent. */
struct link {
    struct chaos *chaos;
    struct pipe pipes[DIRECTIONS];
    bool is_forgotten;
    bool is_broken; /* ends as soon as nobody may be kept from knowing it */
    size_t place;
};

struct chaos {
    struct ev_loop *loop;
    uint16_t server_port;
    int listener;
    ev_io acceptable;
    ev_io command;
    struct weather weather[DIRECTIONS];
    bool refuses;
    bool no_upgrade;
    struct link *links[LINKS_MAX];
    uint64_t bytes[DIRECTIONS];
    uint64_t connections;
    char line[LINE_SIZE];
    size_t line_size;
};

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "chaos: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- pieces ---- */

static struct piece *piece_new(const uint8_t *data, size_t size, double due)
{
    struct piece *piece = malloc(sizeof *piece + size);

    if (piece == NULL)
        give_up("memory");
    *piece = (struct piece){.due = due, .size = size};
    if (size > 0)
        memcpy(piece->data, data, size);
    return piece;
}

static void put(struct pipe *pipe, const uint8_t *data, size_t size)
{
    struct chaos *chaos = pipe->link->chaos;
    double due = ev_now(chaos->loop) + chaos->weather[pipe->direction].delay_s;
    struct piece *piece = piece_new(data, size, due);

    if (pipe->last == NULL)
        pipe->first = piece;
    else
        pipe->last->next = piece;
    pipe->last = piece;
    pipe->queued += size;
}

static void drop_first(struct pipe *pipe)
{
    struct piece *piece = pipe->first;

    pipe->first = piece->next;
    if (pipe->first == NULL)
        pipe->last = NULL;
    pipe->queued -= piece->size;
    free(piece);
}

/* ---- links ---- */

static void link_end(struct link *link)
{
    struct chaos *chaos = link->chaos;

    for (int i = 0; i < DIRECTIONS; i++) {
        struct pipe *pipe = &link->pipes[i];

        ev_io_stop(chaos->loop, &pipe->readable);
        ev_io_stop(chaos->loop, &pipe->writable);
        ev_timer_stop(chaos->loop, &pipe->timer);
        while (pipe->first != NULL)
            drop_first(pipe);
        (void)close(pipe->from);
    }
    chaos->links[link->place] = NULL;
    free(link);
}

static bool is_hidden(const struct link *link)
{
    const struct weather *weather = link->chaos->weather;

    return link->is_forgotten || weather[UP].is_hole || weather[DOWN].is_hole;
}

/* The connection failed, or is to fail. Does it exist no more? */
static bool link_break(struct link *link)
{
    link->is_broken = true;
    if (is_hidden(link))
        return false;
    link_end(link);
    return true;
}

static void pipe_watch(struct pipe *pipe);

static void strike(struct pipe *pipe, uint8_t *data, size_t size)
{
    size_t at = (size_t)pipe->strike_left;
    enum strike kind = pipe->strike;

    pipe->strike = STRIKE_NONE;
    if (kind == STRIKE_FLIP)
        data[at] ^= 0x10;
    if (kind == STRIKE_STOP)
        size = at;
    if (kind != STRIKE_LOSE && size > 0)
        put(pipe, data, size);
    if (kind == STRIKE_TWICE)
        put(pipe, data, size);
    if (kind == STRIKE_STOP) { /* what came before is still passed on */
        put(pipe, NULL, 0);
        pipe->has_read_end = true;
    }
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct pipe *pipe = watcher->data;
    uint8_t data[PIECE_SIZE];
    ssize_t got = recv(pipe->from, data, sizeof data, 0);

    (void)loop;
    (void)events;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got < 0) {
        if (!link_break(pipe->link))
            ev_io_stop(loop, watcher);
        return;
    }
    if (got == 0) {
        pipe->has_read_end = true;
        put(pipe, NULL, 0);
    } else if (pipe->strike != STRIKE_NONE && pipe->strike_left < (uint64_t)got) {
        strike(pipe, data, (size_t)got);
    } else {
        pipe->strike_left -= pipe->strike != STRIKE_NONE ? (uint64_t)got : 0;
        put(pipe, data, (size_t)got);
    }
    pipe_watch(pipe);
}

/* Passes on what may go now. False: the link is gone. */
static bool send_some(struct pipe *pipe)
{
    struct chaos *chaos = pipe->link->chaos;
    const struct weather *weather = &chaos->weather[pipe->direction];
    struct piece *piece = pipe->first;
    size_t size = piece->size - piece->sent;
    ssize_t put_size = 0;

    if (piece->size == 0) {
        drop_first(pipe);
        return !link_break(pipe->link); /* whoever has ended reads no more, either */
    }
    if (weather->split != 0 && size > weather->split)
        size = weather->split;
    put_size = send(pipe->to, piece->data + piece->sent, size, MSG_NOSIGNAL);
    if (put_size < 0)
        return errno == EAGAIN || errno == EINTR || !link_break(pipe->link);
    piece->sent += (size_t)put_size;
    chaos->bytes[pipe->direction] += (uint64_t)put_size;
    if (weather->rate > 0)
        pipe->may_send_at = ev_now(chaos->loop) + (double)put_size / weather->rate;
    if (piece->sent == piece->size)
        drop_first(pipe);
    return true;
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct pipe *pipe = watcher->data;

    (void)loop;
    (void)events;
    if (send_some(pipe))
        pipe_watch(pipe);
}

static void on_pipe_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop;
    (void)events;
    pipe_watch(watcher->data);
}

static void watch_io(struct ev_loop *loop, ev_io *watcher, bool is_on)
{
    if (is_on)
        ev_io_start(loop, watcher);
    else
        ev_io_stop(loop, watcher);
}

/* Waits for what this pipe can do next. */
static void pipe_watch(struct pipe *pipe)
{
    struct link *link = pipe->link;
    struct ev_loop *loop = link->chaos->loop;
    bool is_held =
        link->is_forgotten || link->is_broken || link->chaos->weather[pipe->direction].is_hole;
    double due = 0;

    if (pipe->first != NULL)
        due = pipe->first->due > pipe->may_send_at ? pipe->first->due : pipe->may_send_at;
    watch_io(loop, &pipe->readable,
             !is_held && !pipe->has_read_end && pipe->queued < QUEUE_SIZE_MAX);
    watch_io(loop, &pipe->writable, !is_held && pipe->first != NULL && due <= ev_now(loop));
    ev_timer_stop(loop, &pipe->timer);
    if (!is_held && pipe->first != NULL && due > ev_now(loop)) {
        ev_timer_set(&pipe->timer, due - ev_now(loop), 0);
        ev_timer_start(loop, &pipe->timer);
    }
}

static void pipe_arm(struct pipe *pipe)
{
    const struct weather *weather = &pipe->link->chaos->weather[pipe->direction];

    pipe->strike = weather->strike;
    pipe->strike_left = weather->strike_at;
}

static void pipe_begin(struct pipe *pipe, struct link *link, int direction, int from, int to)
{
    *pipe = (struct pipe){.link = link, .direction = direction, .from = from, .to = to};
    ev_io_init(&pipe->readable, on_readable, from, EV_READ);
    ev_io_init(&pipe->writable, on_writable, to, EV_WRITE);
    ev_init(&pipe->timer, on_pipe_timer);
    pipe->readable.data = pipe->writable.data = pipe->timer.data = pipe;
    pipe_arm(pipe);
    pipe_watch(pipe);
}

/* ---- new connections ---- */

static void make_quick(int descriptor)
{
    int on = 1;

    if (fcntl(descriptor, F_SETFL, O_NONBLOCK) != 0 ||
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
        give_up("socket options");
}

static int dial(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (descriptor < 0)
        give_up("socket");
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0)
        return descriptor;
    (void)close(descriptor);
    return -1;
}

/* What a proxy says that knows no WebSocket. The request may come in one piece, as it does here. */
static void answer_plainly(int descriptor)
{
    static const char ANSWER[] = "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n"
                                 "Content-Length: 10\r\nConnection: close\r\n\r\nforbidden\n";
    char request[4096];

    (void)!recv(descriptor, request, sizeof request, 0);
    (void)!send(descriptor, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL);
    (void)shutdown(descriptor, SHUT_RDWR);
    (void)close(descriptor);
}

static void link_begin(struct chaos *chaos, int near)
{
    size_t place = 0;
    int far = -1;
    struct link *link = NULL;

    while (place < LINKS_MAX && chaos->links[place] != NULL)
        place++;
    if (place < LINKS_MAX)
        far = dial(chaos->server_port);
    if (far < 0) {
        (void)close(near);
        return;
    }
    link = calloc(1, sizeof *link);
    if (link == NULL)
        give_up("memory");
    make_quick(near);
    make_quick(far);
    link->chaos = chaos;
    link->place = place;
    chaos->links[place] = link;
    pipe_begin(&link->pipes[UP], link, UP, near, far);
    pipe_begin(&link->pipes[DOWN], link, DOWN, far, near);
}

static void on_acceptable(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct chaos *chaos = watcher->data;
    int near = accept4(chaos->listener, NULL, NULL, SOCK_CLOEXEC);

    (void)loop;
    (void)events;
    if (near < 0)
        return;
    chaos->connections++;
    if (chaos->refuses)
        (void)close(near);
    else if (chaos->no_upgrade)
        answer_plainly(near);
    else
        link_begin(chaos, near);
}

/* ---- commands ---- */

static void for_all_links(struct chaos *chaos, void (*action)(struct link *link))
{
    for (size_t i = 0; i < LINKS_MAX; i++)
        if (chaos->links[i] != NULL)
            action(chaos->links[i]);
}

static void link_forget(struct link *link)
{
    link->is_forgotten = true;
}

static void link_arm(struct link *link)
{
    pipe_arm(&link->pipes[UP]);
    pipe_arm(&link->pipes[DOWN]);
}

/* After any change of the weather. */
static void link_look(struct link *link)
{
    if (link->is_broken && link_break(link))
        return;
    pipe_watch(&link->pipes[UP]);
    pipe_watch(&link->pipes[DOWN]);
}

static bool is_on(const char *word)
{
    return strcmp(word, "on") == 0;
}

static bool set_weather(struct chaos *chaos, int direction, const char *name, const char *word)
{
    static const struct {
        const char *name;
        enum strike strike;
    } STRIKES[] = {{"flip", STRIKE_FLIP},
                   {"twice", STRIKE_TWICE},
                   {"lose", STRIKE_LOSE},
                   {"stop", STRIKE_STOP}};
    struct weather *weather = &chaos->weather[direction];
    uint64_t number = strtoull(word, NULL, 10);

    if (strcmp(name, "hole") == 0)
        weather->is_hole = is_on(word);
    else if (strcmp(name, "delay") == 0)
        weather->delay_s = (double)number / 1000;
    else if (strcmp(name, "split") == 0)
        weather->split = (size_t)number;
    else if (strcmp(name, "rate") == 0)
        weather->rate = (double)number;
    else {
        size_t i = 0;

        while (i < sizeof STRIKES / sizeof STRIKES[0] && strcmp(name, STRIKES[i].name) != 0)
            i++;
        if (i == sizeof STRIKES / sizeof STRIKES[0])
            return false;
        weather->strike = STRIKES[i].strike;
        weather->strike_at = number;
        for_all_links(chaos, link_arm);
    }
    return true;
}

static bool obey(struct chaos *chaos, char *const *words, size_t count)
{
    if (count == 1 && strcmp(words[0], "clear") == 0) {
        chaos->weather[UP] = chaos->weather[DOWN] = (struct weather){0};
        chaos->refuses = chaos->no_upgrade = false;
        for_all_links(chaos, link_arm);
    } else if (count == 1 && strcmp(words[0], "cut") == 0) {
        for_all_links(chaos, link_end);
    } else if (count == 1 && strcmp(words[0], "forget") == 0) {
        for_all_links(chaos, link_forget);
    } else if (count == 2 && strcmp(words[0], "refuse") == 0) {
        chaos->refuses = is_on(words[1]);
    } else if (count == 2 && strcmp(words[0], "upgrade") == 0) {
        chaos->no_upgrade = !is_on(words[1]);
    } else if (count == 3 && (strcmp(words[0], "up") == 0 || strcmp(words[0], "down") == 0)) {
        if (!set_weather(chaos, words[0][0] == 'u' ? UP : DOWN, words[1], words[2]))
            return false;
    } else {
        return false;
    }
    for_all_links(chaos, link_look);
    return true;
}

static void on_line(struct chaos *chaos, char *line)
{
    char *words[WORDS_MAX] = {0};
    size_t count = 0;

    for (char *at = line; *at != '\0' && count < WORDS_MAX;) {
        words[count++] = at;
        at += strcspn(at, " ");
        if (*at != '\0')
            *at++ = '\0';
    }
    if (count == 1 && strcmp(words[0], "count") == 0)
        printf("%llu %llu %llu\n", (unsigned long long)chaos->bytes[UP],
               (unsigned long long)chaos->bytes[DOWN], (unsigned long long)chaos->connections);
    else
        printf("%s\n", obey(chaos, words, count) ? "ok" : "what?");
    fflush(stdout);
}

static void on_command(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct chaos *chaos = watcher->data;
    char *end = NULL;
    ssize_t got = read(STDIN_FILENO, chaos->line + chaos->line_size,
                       sizeof chaos->line - 1 - chaos->line_size);

    (void)events;
    if (got <= 0) {
        ev_break(loop, EVBREAK_ALL);
        return;
    }
    chaos->line_size += (size_t)got;
    chaos->line[chaos->line_size] = '\0';
    while ((end = strchr(chaos->line, '\n')) != NULL) {
        *end++ = '\0';
        on_line(chaos, chaos->line);
        chaos->line_size -= (size_t)(end - chaos->line);
        memmove(chaos->line, end, chaos->line_size + 1);
    }
}

static void listen_anywhere(struct chaos *chaos)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;

    chaos->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (chaos->listener < 0 ||
        bind(chaos->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(chaos->listener, SOMAXCONN) != 0 ||
        getsockname(chaos->listener, (struct sockaddr *)&address, &size) != 0)
        give_up("listening");
    printf("port %u\n", ntohs(address.sin_port));
    fflush(stdout);
}

int main(int argument_count, char **arguments)
{
    static struct chaos chaos;
    unsigned long port = argument_count == 2 ? strtoul(arguments[1], NULL, 10) : 0;

    if (port == 0 || port > UINT16_MAX) {
        fprintf(stderr, "usage: chaos SERVER_PORT\n");
        return 2;
    }
    chaos.loop = ev_default_loop(0);
    chaos.server_port = (uint16_t)port;
    listen_anywhere(&chaos);
    ev_io_init(&chaos.acceptable, on_acceptable, chaos.listener, EV_READ);
    ev_io_init(&chaos.command, on_command, STDIN_FILENO, EV_READ);
    chaos.acceptable.data = chaos.command.data = &chaos;
    ev_io_start(chaos.loop, &chaos.acceptable);
    ev_io_start(chaos.loop, &chaos.command);
    ev_run(chaos.loop, 0);
    for_all_links(&chaos, link_end);
    (void)close(chaos.listener);
    return 0;
}
