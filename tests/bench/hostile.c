/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
/* hostile: an enrolled device that turned bad. It has a real device's keys and speaks the real
 * protocol, as fast as the server lets it, and minds no request to slow down.
 *
 *     hostile URL DATA KIND CALL
 *
 * DATA: the folder of an enrolled device whose agent doesn't run. CALL: a call it may write notes
 * to. KIND:
 *
 *     refused   seals of thousands of changes that are all refused
 *     tiny      the smallest frames there are
 *     bulky     the same of some megabytes
 *     large     seals of some megabytes of good changes
 *     reconnect a new session, as soon as the last one is live
 *
 * Until SIGTERM; then one line on stdout: what it did. Its own number of the newest seal lives in
 * memory only, so use a folder once. */
#include "agent/replica/replica.h"
#include "edge/clock.h"
#include "edge/entropy.h"
#include "edge/files.h"
#include "edge/loop.h"
#include "edge/websocket.h"
#include "tests/bench/client.h"

#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARENA_SIZE = 256 * 1024 * 1024,
    REFUSED_COUNT = 2000, /* changes of a part */
    LARGE_PARTS = 8,
    LARGE_COUNT = 110, /* of LARGE_SIZE: nearly a full body */
    LARGE_SIZE = 8000,
    TINY_COUNT = 500, /* each time that the socket has taken the last ones */
    QUEUE_SIZE_MAX = 16 * 1024 * 1024,
};

#define AGAIN_US MILLISECONDS(100) /* whatever the server has asked for */

enum kind { REFUSED, BULKY, LARGE, TINY, RECONNECT, KIND_COUNT };

static const char *const NAMES[KIND_COUNT] = {"refused", "bulky", "large", "tiny", "reconnect"};

struct hostile {
    enum kind kind;
    const char *url;
    int64_t call_id;
    struct loop *loop;
    struct loop_timer *timer;
    struct websocket *websocket;
    uint64_t connection; /* 0: none */
    struct client client;
    struct replica *replica;
    struct identity_file keys;
    struct arena arena; /* of one event */

    int64_t sessions, frames, seals, verdicts, busies, byes;
    bool has_failed;
};

static void fail(struct hostile *hostile, const char *what)
{
    fprintf(stderr, "hostile: %s\n", what);
    hostile->has_failed = true;
    loop_stop(hostile->loop);
}

static void send_message(void *context, struct bytes message)
{
    struct hostile *hostile = context;
    struct problem problem = {0};

    if (websocket_send(hostile->websocket, hostile->connection, message, &problem) == RESULT_OK)
        hostile->frames++;
}

static void send_body(struct hostile *hostile, uint8_t type, struct bytes body)
{
    struct problem problem = {0};

    if (client_send(&hostile->client, type, body, 0, &hostile->arena, &problem) != RESULT_OK)
        fail(hostile, problem.text);
}

/* ---- seals ---- */

/* A note; with `is_foreign` under a number of the server's own: refused. */
static bool make_note(struct hostile *hostile, const struct catalog_table *table, bool is_foreign,
                      struct bytes body, struct change *change)
{
    struct client *client = &hostile->client;
    struct wall_time now = clock_wall_now();

    change->op = CHANGE_INSERT;
    change->row_id = id_of(is_foreign ? 0 : client->replica_no, 1000000 + ++client->row_counter);
    change->edited_at = now;
    return client_change_begin(&hostile->arena, table, change) &&
           client_change_set(change, table, "call_id", value_integer(hostile->call_id)) &&
           client_change_set(change, table, "occurred_at", value_integer(now.us)) &&
           client_change_set(change, table, "by_id", value_integer(client->user_id)) &&
           client_change_set(change, table, "body", value_text(body));
}

static struct change *make_notes(struct hostile *hostile, const struct catalog_table *table,
                                 bool is_foreign, size_t count, size_t text_size)
{
    struct change *changes = client_changes(&hostile->arena, count);
    char *text = arena_alloc(&hostile->arena, text_size);

    if (changes == NULL || text == NULL)
        return NULL;
    for (size_t i = 0; i < text_size; i++)
        text[i] = (char)('a' + (i * i + (size_t)hostile->client.row_counter) % 26);
    for (size_t i = 0; i < count; i++)
        if (!make_note(hostile, table, is_foreign, bytes_of(text, text_size), &changes[i]))
            return NULL;
    return changes;
}

static void send_part(struct hostile *hostile, struct client_seal *seal, size_t part_no)
{
    struct problem problem = {0};
    struct buffer body;

    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    if (client_part(&hostile->client, seal, part_no, &body, &problem) == RESULT_OK)
        send_body(hostile, MESSAGE_PUSH, buffer_bytes(&body));
    else
        fail(hostile, problem.text);
    buffer_done(&body);
}

/* One correct seal in `part_count` parts. */
static void send_seal(struct hostile *hostile, size_t part_count, size_t count, size_t text_size,
                      bool is_foreign)
{
    const struct catalog_table *table =
        catalog_table_by_name(replica_catalog(hostile->replica), "call_note");
    struct change *parts[LARGE_PARTS];
    struct client_seal seal = {
        .part_count = part_count, .parts = parts, .push = {.change_count = count}};
    struct problem problem = {0};

    for (size_t i = 0; i < part_count; i++) {
        parts[i] = make_notes(hostile, table, is_foreign, count, text_size);
        if (parts[i] == NULL) {
            fail(hostile, "no memory");
            return;
        }
    }
    if (client_seal(&hostile->client, &seal, clock_wall_now(), &problem) != RESULT_OK) {
        fail(hostile, problem.text);
        return;
    }
    for (size_t i = 0; i < part_count; i++)
        send_part(hostile, &seal, i);
    hostile->seals++;
}

/* ---- attacks ---- */

static void ping(struct hostile *hostile)
{
    static const uint8_t BODY[] = {0x91, 0x01}; /* [1] */

    for (int i = 0; i < TINY_COUNT && hostile->connection != 0; i++)
        send_body(hostile, MESSAGE_PING, bytes_of(BODY, sizeof BODY));
}

static void attack(struct hostile *hostile)
{
    if (!hostile->client.is_live || hostile->client.is_pushed)
        return;
    arena_reset(&hostile->arena);
    switch (hostile->kind) {
    case REFUSED:
        send_seal(hostile, 1, REFUSED_COUNT, 16, true);
        break;
    case BULKY:
    case LARGE:
        send_seal(hostile, LARGE_PARTS, LARGE_COUNT, LARGE_SIZE, hostile->kind == BULKY);
        break;
    case TINY:
        ping(hostile);
        break;
    case RECONNECT:
        websocket_close(hostile->websocket, hostile->connection, WEBSOCKET_NORMAL, "",
                        WEBSOCKET_DROP);
        break;
    case KIND_COUNT:
        break;
    }
}

/* ---- the conversation ---- */

static void on_client_event(struct hostile *hostile, const struct client_event *event)
{
    switch (event->kind) {
    case CLIENT_LIVE:
        hostile->sessions++;
        attack(hostile);
        break;
    case CLIENT_VERDICT:
        hostile->verdicts++;
        attack(hostile);
        break;
    case CLIENT_ERROR:
        hostile->busies++;
        client_forget_seal(&hostile->client);
        loop_timer_set(hostile->timer, mono_after(clock_mono_now(), AGAIN_US));
        break;
    case CLIENT_BYE:
        hostile->byes++;
        break;
    case CLIENT_PING:
    case CLIENT_NOTHING:
    case CLIENT_ENROLLED:
    case CLIENT_PUBLISH:
    case CLIENT_ROWS:
    case CLIENT_LATER:
        break; /* the server closes what it doesn't want */
    }
}

static void on_received(void *context, uint64_t connection, struct bytes message)
{
    struct hostile *hostile = context;
    struct client_event event = {0};
    struct problem problem = {0};

    if (connection != hostile->connection)
        return;
    arena_reset(&hostile->arena);
    if (client_receive(&hostile->client, message, &hostile->arena, &event, &problem) == RESULT_OK)
        on_client_event(hostile, &event);
    else
        websocket_close(hostile->websocket, connection, WEBSOCKET_NORMAL, "", WEBSOCKET_DROP);
}

static void on_drained(void *context, uint64_t connection)
{
    struct hostile *hostile = context;

    if (connection == hostile->connection && hostile->kind == TINY)
        attack(hostile);
}

static void on_closed(void *context, uint64_t connection, const struct websocket_end *end)
{
    struct hostile *hostile = context;

    (void)end;
    if (connection != hostile->connection)
        return;
    hostile->connection = 0;
    client_disconnected(&hostile->client);
    loop_timer_set(hostile->timer, mono_after(clock_mono_now(), AGAIN_US));
}

static void dial(struct hostile *hostile)
{
    uint8_t seed[32];
    struct problem problem = {0};
    enum result result;

    entropy_fill(seed, sizeof seed);
    result = client_dial(&hostile->client, seed, clock_wall_now(), &problem);
    if (result == RESULT_OK)
        result =
            websocket_connect(hostile->websocket, hostile->url, &hostile->connection, &problem);
    if (result != RESULT_OK)
        fail(hostile, problem.text);
}

static void on_opened(void *context, uint64_t connection, const char *peer)
{
    (void)context;
    (void)connection;
    (void)peer; /* the server speaks first */
}

static void on_timer(void *context)
{
    struct hostile *hostile = context;

    if (hostile->connection == 0)
        dial(hostile);
    else
        attack(hostile);
}

static void on_signal(void *context, int number)
{
    struct hostile *hostile = context;

    if (number == SIGTERM || number == SIGINT)
        loop_stop(hostile->loop);
}

/* ---- beginning ---- */

/* What the device's agent has kept becomes the client's. */
static enum result take_over(struct hostile *hostile, struct problem *problem)
{
    struct client *client = &hostile->client;
    struct replica_identity who = {0};
    struct message_resume resume = {0};
    enum result result = replica_identity(hostile->replica, &who, problem);

    if (result == RESULT_OK)
        result = replica_resume(hostile->replica, &hostile->arena, &resume, problem);
    if (result != RESULT_OK)
        return result;
    if (resume.resume_token.size != TOKEN_SIZE || resume.epoch.size != EPOCH_SIZE)
        return problem_set(problem, RESULT_REFUSED, "the device never had a session");
    *client = (struct client){.catalog = replica_catalog(hostile->replica),
                              .app_version = "hostile",
                              .root_key = hostile->keys.root_public_key,
                              .is_enrolled = true,
                              .send = send_message,
                              .context = hostile,
                              .incarnation = resume.incarnation,
                              .user_id = who.user_id,
                              .replica_no = who.replica_no,
                              .published_seq = resume.published_seq,
                              .lcn = resume.lcn_last,
                              .seal_no = resume.seal_no};
    noise_keypair_from(hostile->keys.noise_private, &client->keys);
    memcpy(client->psk, hostile->keys.psk, PSK_SIZE);
    memcpy(client->resume_token, resume.resume_token.data, TOKEN_SIZE);
    memcpy(client->epoch, resume.epoch.data, EPOCH_SIZE);
    if (resume.seal_digest.size == SEAL_DIGEST_SIZE)
        memcpy(client->digest, resume.seal_digest.data, SEAL_DIGEST_SIZE);
    return RESULT_OK;
}

static enum result open_device(struct hostile *hostile, const char *folder, struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    struct replica_options options = {.path = path};
    struct buffer text;
    enum result result = files_join(folder, "device.key", path, problem);

    buffer_init(&text, IDENTITY_FILE_SIZE_MAX);
    if (result == RESULT_OK)
        result = files_read(path, &text, problem);
    if (result == RESULT_OK)
        result =
            identity_file_decode(buffer_bytes(&text), IDENTITY_DEVICE, &hostile->keys, problem);
    buffer_done(&text);
    if (result == RESULT_OK)
        result = files_join(folder, "replica.db", path, problem);
    if (result == RESULT_OK)
        result = replica_open(&options, &hostile->replica, problem);
    return result == RESULT_OK ? take_over(hostile, problem) : result;
}

static enum result begin(struct hostile *hostile, char **arguments, struct problem *problem)
{
    const struct websocket_options options = {.queue_size_max = QUEUE_SIZE_MAX};
    const struct websocket_events events = {.context = hostile,
                                            .opened = on_opened,
                                            .received = on_received,
                                            .drained = on_drained,
                                            .closed = on_closed};
    enum result result;

    hostile->kind = KIND_COUNT;
    for (enum kind kind = 0; kind < KIND_COUNT; kind++)
        if (strcmp(arguments[3], NAMES[kind]) == 0)
            hostile->kind = kind;
    if (hostile->kind == KIND_COUNT)
        return problem_set(problem, RESULT_REFUSED, "no kind '%s'", arguments[3]);
    hostile->url = arguments[1];
    hostile->call_id = strtoll(arguments[4], NULL, 10);
    result = open_device(hostile, arguments[2], problem);
    if (result == RESULT_OK)
        result = loop_create(NULL, &hostile->loop, problem);
    if (result == RESULT_OK)
        result = websocket_create(hostile->loop, &options, &events, &hostile->websocket, problem);
    if (result == RESULT_OK)
        result = loop_timer_create(hostile->loop, on_timer, hostile, &hostile->timer, problem);
    return result;
}

static int run(struct hostile *hostile, char **arguments)
{
    struct problem problem = {0};

    if (begin(hostile, arguments, &problem) != RESULT_OK) {
        fprintf(stderr, "hostile: %s\n", problem.text);
        return 1;
    }
    loop_take_signals(hostile->loop, on_signal, hostile);
    dial(hostile);
    loop_run(hostile->loop);
    printf("%s: %" PRId64 " sessions, %" PRId64 " messages, %" PRId64 " seals, %" PRId64
           " of them answered, %" PRId64 " times busy, %" PRId64 " times sent away\n",
           NAMES[hostile->kind], hostile->sessions, hostile->frames, hostile->seals,
           hostile->verdicts, hostile->busies, hostile->byes);
    return hostile->has_failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct hostile hostile = {0};
    int status;

    if (argc != 5 || sodium_init() < 0) {
        fprintf(stderr, "usage: hostile URL DATA refused|bulky|large|tiny|reconnect CALL\n");
        return 2;
    }
    arena_init(&hostile.arena, ARENA_SIZE);
    status = run(&hostile, argv);
    hostile.connection = 0; /* no last steps */
    loop_timer_destroy(hostile.timer);
    websocket_destroy(hostile.websocket);
    loop_destroy(hostile.loop);
    client_done(&hostile.client);
    replica_close(hostile.replica);
    arena_done(&hostile.arena);
    return status;
}
