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
#include "protocol/channel.h"
#include "protocol/limits.h"

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
    struct channel *channel;
    struct replica *replica;
    struct replica_identity who;
    struct identity_file keys;
    struct arena arena; /* of one event */
    bool is_live;

    int64_t lcn;
    int64_t seal_no;
    uint8_t digest[SEAL_DIGEST_SIZE];
    int64_t row_counter;
    bool is_pushed; /* the seal waits for its verdict */
    int64_t lcn_before;
    uint8_t digest_before[SEAL_DIGEST_SIZE];

    int64_t sessions, frames, seals, verdicts, busies, byes;
    bool has_failed;
};

static void fail(struct hostile *hostile, const char *what)
{
    fprintf(stderr, "hostile: %s\n", what);
    hostile->has_failed = true;
    loop_stop(hostile->loop);
}

static void send_message(struct hostile *hostile, struct bytes message)
{
    struct problem problem = {0};

    if (websocket_send(hostile->websocket, hostile->connection, message, &problem) == RESULT_OK)
        hostile->frames++;
}

static void send_body(struct hostile *hostile, uint8_t type, struct bytes body)
{
    struct channel_messages messages = {0};
    struct problem problem = {0};

    if (channel_send(hostile->channel, type, body, 0, &hostile->arena, &messages, &problem) !=
        RESULT_OK) {
        fail(hostile, problem.text);
        return;
    }
    for (size_t i = 0; i < messages.count; i++)
        send_message(hostile, messages.messages[i]);
}

/* ---- seals ---- */

static uint8_t column_of(const struct catalog_table *table, const char *name)
{
    const struct catalog_column *column = catalog_column_by_name(table, name);

    return column == NULL ? 0 : column->number;
}

static void set(struct change *change, const struct catalog_table *table, const char *name,
                struct value value)
{
    uint8_t column_no = column_of(table, name);

    change->values[column_no] = value;
    change->mask |= UINT64_C(1) << column_no;
}

/* A note; with `is_foreign` under a number of the server's own: refused. */
static bool make_note(struct hostile *hostile, const struct catalog_table *table, bool is_foreign,
                      struct bytes body, struct change *ret_change)
{
    int64_t replica_no = is_foreign ? 0 : hostile->who.replica_no;
    struct value *values = arena_array(&hostile->arena, table->column_count, sizeof(struct value));

    if (values == NULL)
        return false;
    memset(values, 0, table->column_count * sizeof *values);
    *ret_change = (struct change){.table_no = table->number,
                                  .op = CHANGE_INSERT,
                                  .row_id = id_of(replica_no, 1000000 + ++hostile->row_counter),
                                  .lcn = ++hostile->lcn,
                                  .edited_at = clock_wall_now(),
                                  .values = values};
    values[0] = value_integer(ret_change->row_id);
    set(ret_change, table, "call_id", value_integer(hostile->call_id));
    set(ret_change, table, "occurred_at", value_integer(clock_wall_now().us));
    set(ret_change, table, "by_id", value_integer(hostile->who.user_id));
    set(ret_change, table, "body", value_text(body));
    return true;
}

static struct change *make_notes(struct hostile *hostile, const struct catalog_table *table,
                                 bool is_foreign, size_t count, size_t text_size)
{
    struct change *changes = arena_array(&hostile->arena, count, sizeof *changes);
    char *text = arena_alloc(&hostile->arena, text_size);

    if (changes == NULL || text == NULL)
        return NULL;
    for (size_t i = 0; i < text_size; i++)
        text[i] = (char)('a' + (i * i + (size_t)hostile->row_counter) % 26);
    for (size_t i = 0; i < count; i++)
        if (!make_note(hostile, table, is_foreign, bytes_of(text, text_size), &changes[i]))
            return NULL;
    return changes;
}

static void send_part(struct hostile *hostile, const struct message_push *push)
{
    struct problem problem = {0};
    struct buffer body;

    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    if (message_push_encode(replica_catalog(hostile->replica), push, &body, &problem) == RESULT_OK)
        send_body(hostile, MESSAGE_PUSH, buffer_bytes(&body));
    else
        fail(hostile, problem.text);
    buffer_done(&body);
}

/* One correct seal in `part_count` parts. */
static void send_seal(struct hostile *hostile, size_t part_count, size_t count, size_t text_size,
                      bool is_foreign)
{
    const struct catalog *catalog = replica_catalog(hostile->replica);
    const struct catalog_table *table = catalog_table_by_name(catalog, "call_note");
    struct message_push push = {.incarnation = hostile->who.incarnation,
                                .seal_no = hostile->seal_no + 1,
                                .lcn_first = hostile->lcn + 1,
                                .lcn_last = hostile->lcn + (int64_t)(part_count * count),
                                .schema_version = catalog->schema_version,
                                .sealed_at = clock_wall_now(),
                                .change_count = count};
    struct change *parts[LARGE_PARTS];
    struct seal_digest_state state;
    struct problem problem = {0};

    hostile->lcn_before = hostile->lcn;
    memcpy(hostile->digest_before, hostile->digest, sizeof hostile->digest);
    push.previous_digest = bytes_of(hostile->digest_before, SEAL_DIGEST_SIZE);
    seal_digest_begin(&state, &push);
    for (size_t i = 0; i < part_count; i++) {
        parts[i] = make_notes(hostile, table, is_foreign, count, text_size);
        push.changes = parts[i];
        if (parts[i] == NULL || seal_digest_add(&state, catalog, &push, &problem) != RESULT_OK) {
            fail(hostile, problem.text[0] != '\0' ? problem.text : "no memory");
            return;
        }
    }
    seal_digest_end(&state, hostile->digest);
    push.digest = bytes_of(hostile->digest, SEAL_DIGEST_SIZE);
    for (size_t i = 0; i < part_count; i++) {
        push.part_no = (int64_t)i;
        push.is_last_part = i + 1 == part_count;
        push.changes = parts[i];
        send_part(hostile, &push);
    }
    hostile->seals++;
    hostile->is_pushed = true;
}

/* The server took nothing of the last one. */
static void forget_seal(struct hostile *hostile)
{
    if (!hostile->is_pushed)
        return;
    hostile->lcn = hostile->lcn_before;
    memcpy(hostile->digest, hostile->digest_before, sizeof hostile->digest);
    hostile->is_pushed = false;
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
    if (!hostile->is_live || hostile->is_pushed)
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

static void on_welcome(struct hostile *hostile, struct bytes body)
{
    struct message_welcome welcome = {0};
    struct problem problem = {0};

    if (message_welcome_decode(body, &hostile->arena, &welcome, &problem) != RESULT_OK ||
        replica_welcome(hostile->replica, &welcome, clock_wall_now(), &problem) != RESULT_OK) {
        fail(hostile, problem.text);
        return;
    }
    hostile->is_live = true;
    hostile->sessions++;
    attack(hostile);
}

/* Of a seal of many changes it comes in parts. */
static void on_verdict(struct hostile *hostile, struct bytes body)
{
    struct message_verdict verdict = {0};
    struct problem problem = {0};

    if (message_verdict_decode(replica_catalog(hostile->replica), body, &hostile->arena, &verdict,
                               &problem) != RESULT_OK) {
        fail(hostile, problem.text);
        return;
    }
    if (verdict.has_more)
        return;
    hostile->verdicts++;
    hostile->seal_no = verdict.seal_no;
    hostile->is_pushed = false;
    attack(hostile);
}

static void on_frame(struct hostile *hostile, const struct frame *frame)
{
    switch (frame->type) {
    case MESSAGE_WELCOME:
        on_welcome(hostile, frame->body);
        break;
    case MESSAGE_VERDICT:
        on_verdict(hostile, frame->body);
        break;
    case MESSAGE_ERROR:
        hostile->busies++;
        forget_seal(hostile);
        loop_timer_set(hostile->timer, mono_after(clock_mono_now(), AGAIN_US));
        break;
    case MESSAGE_BYE:
        hostile->byes++;
        break;
    default:
        break; /* its feed doesn't interest it */
    }
}

static void on_received(void *context, uint64_t connection, struct bytes message)
{
    struct hostile *hostile = context;
    struct channel_event event = {0};
    struct problem problem = {0};

    if (connection != hostile->connection)
        return;
    arena_reset(&hostile->arena);
    if (channel_receive(hostile->channel, message, &hostile->arena, &event, &problem) !=
        RESULT_OK) {
        websocket_close(hostile->websocket, connection, WEBSOCKET_NORMAL, "", WEBSOCKET_DROP);
        return;
    }
    if (event.kind == CHANNEL_SEND || event.kind == CHANNEL_OPEN)
        send_message(hostile, event.message);
    else if (event.kind == CHANNEL_FRAME)
        on_frame(hostile, &event.frame);
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
    hostile->is_live = false;
    forget_seal(hostile);
    loop_timer_set(hostile->timer, mono_after(clock_mono_now(), AGAIN_US));
}

static enum result greet(struct hostile *hostile, struct buffer *greeting, struct problem *problem)
{
    struct message_resume resume = {0};
    enum result result = replica_resume(hostile->replica, &hostile->arena, &resume, problem);

    resume.lcn_last = hostile->lcn;
    resume.seal_no = hostile->seal_no;
    resume.seal_digest = bytes_of(hostile->digest, SEAL_DIGEST_SIZE);
    resume.device_time = clock_wall_now();
    resume.app_version = bytes_of_text("hostile");
    return result == RESULT_OK ? message_resume_encode(&resume, greeting, problem) : result;
}

static void dial(struct hostile *hostile)
{
    struct noise_keypair keys;
    uint8_t seed[32];
    struct buffer greeting;
    struct problem problem = {0};
    struct channel_device_options options = {.root_public_key = hostile->keys.root_public_key,
                                             .static_keys = &keys,
                                             .psk = hostile->keys.psk,
                                             .kind = CHANNEL_SESSION,
                                             .seed = seed};
    enum result result;

    arena_reset(&hostile->arena);
    entropy_fill(seed, sizeof seed);
    noise_keypair_from(hostile->keys.noise_private, &keys);
    buffer_init(&greeting, 64 * 1024);
    result = greet(hostile, &greeting, &problem);
    options.greeting = buffer_bytes(&greeting);
    channel_destroy(hostile->channel);
    hostile->channel = NULL;
    if (result == RESULT_OK)
        result = channel_create_device(&options, &hostile->channel, &problem);
    if (result == RESULT_OK)
        result =
            websocket_connect(hostile->websocket, hostile->url, &hostile->connection, &problem);
    buffer_done(&greeting);
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

static enum result open_device(struct hostile *hostile, const char *folder, struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    struct replica_options options = {.path = path};
    struct message_resume resume = {0};
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
    if (result == RESULT_OK)
        result = replica_identity(hostile->replica, &hostile->who, problem);
    if (result == RESULT_OK)
        result = replica_resume(hostile->replica, &hostile->arena, &resume, problem);
    if (result != RESULT_OK)
        return result;
    hostile->lcn = resume.lcn_last;
    hostile->seal_no = resume.seal_no;
    if (resume.seal_digest.size == SEAL_DIGEST_SIZE)
        memcpy(hostile->digest, resume.seal_digest.data, SEAL_DIGEST_SIZE);
    return RESULT_OK;
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
    channel_destroy(hostile.channel);
    replica_close(hostile.replica);
    arena_done(&hostile.arena);
    return status;
}
