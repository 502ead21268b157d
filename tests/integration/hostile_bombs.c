/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of an enrolled device that are made to cost: each costs the server at most 50 ms, and a
 * thousand of them leave no more than 1 MiB behind. Time is that of the processor, so that a busy
 * machine doesn't matter, of both sides together. What the sanitizer keeps for itself would hide
 * what is left behind: memory is compared in builds without it. */
#include "tests/integration/attack.h" /* first: it asks for POSIX */

#include "protocol/rows.h"

#include <time.h>
#include <zlib.h>

#if defined(__SANITIZE_ADDRESS__)
enum { IS_SANITIZED = 1, REPEATS = 100, BOMB_MS_MAX = 250, FLOOD_FRAMES = 20000 };
#else
enum { IS_SANITIZED = 0, REPEATS = 1000, BOMB_MS_MAX = 50, FLOOD_FRAMES = 1000000 };
#endif
enum {
    WARM_UP = 20,
    RSS_GROWTH_MAX = 1024 * 1024,
    BOMB_SIZE_MAX = LIMIT_MESSAGE_OFFER - 64, /* what one message holds */
    FLOOD_BATCH = 500,
    FORGED_CHANGES = LIMIT_PUSH_CHANGES_MAX - 1,
};

struct bomb {
    const char *name;
    void (*build)(struct attack *attack, uint8_t *ret_type, struct buffer *body);
    uint16_t close_code; /* 0: the connection goes on */
    bool is_sealed_raw;  /* `body` is one plaintext frame, to be sealed as it is */
};

static double processor_ms(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int64_t resident_size(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long long pages = 0;
    char line[128] = "";

    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    assert_int_equal(fclose(file), 0);
    assert_int_equal(sscanf(line, "%*s %lld", &pages), 1);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

/* ---- bombs ---- */

static void put(struct buffer *buffer, const void *data, size_t size)
{
    struct problem problem = {0};

    assert_int_equal(buffer_append(buffer, data, size, &problem), RESULT_OK);
}

static void fill(struct buffer *buffer, uint8_t byte, size_t size)
{
    struct problem problem = {0};
    uint8_t *room = NULL;

    assert_int_equal(buffer_reserve(buffer, size, &room, &problem), RESULT_OK);
    memset(room, byte, size);
    buffer->size += size;
}

/* A compressed frame that says it holds `said` bytes and holds `size` of them. */
static void deflate_frame(struct buffer *frame, uint8_t type, uint32_t said, size_t size)
{
    const uint8_t head[] = {type,
                            FRAME_COMPRESSED,
                            (uint8_t)(said >> 24),
                            (uint8_t)(said >> 16),
                            (uint8_t)(said >> 8),
                            (uint8_t)said};
    uint8_t *room = NULL;
    uint8_t *zeros = calloc(1, size);
    z_stream stream = {0};
    struct problem problem = {0};

    assert_non_null(zeros);
    put(frame, head, sizeof head);
    assert_int_equal(buffer_reserve(frame, BOMB_SIZE_MAX, &room, &problem), RESULT_OK);
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = zeros;
    stream.avail_in = (uInt)size;
    stream.next_out = room;
    stream.avail_out = BOMB_SIZE_MAX;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    frame->size += BOMB_SIZE_MAX - stream.avail_out;
    assert_int_equal(deflateEnd(&stream), Z_OK);
    free(zeros);
}

static void honest_zlib_bomb(struct attack *attack, uint8_t *ret_type, struct buffer *body)
{
    (void)attack;
    *ret_type = MESSAGE_PUSH;
    deflate_frame(body, MESSAGE_PUSH, LIMIT_BODY_SIZE_MAX, LIMIT_BODY_SIZE_MAX);
}

static void lying_zlib_bomb(struct attack *attack, uint8_t *ret_type, struct buffer *body)
{
    (void)attack;
    *ret_type = MESSAGE_PUSH;
    deflate_frame(body, MESSAGE_PUSH, 100, 15 * 1024 * 1024);
}

static void boasting_zlib_bomb(struct attack *attack, uint8_t *ret_type, struct buffer *body)
{
    (void)attack;
    *ret_type = MESSAGE_PUSH;
    deflate_frame(body, MESSAGE_PUSH, UINT32_MAX, 15 * 1024 * 1024);
}

static void deep_arrays(struct attack *attack, uint8_t *ret_type, struct buffer *body)
{
    (void)attack;
    *ret_type = MESSAGE_PUSH;
    fill(body, 0x91, LIMIT_BODY_SIZE_MAX);
}

static void wide_array(struct attack *attack, uint8_t *ret_type, struct buffer *body)
{
    (void)attack;
    *ret_type = MESSAGE_DIGEST;
    put(body, "\x92\x01\xdd\x00\x0f\xff\x00", 7);
    fill(body, 0x01, LIMIT_BODY_SIZE_MAX - 7);
}

static void megabyte_of_text(struct attack *attack, uint8_t *ret_type, struct buffer *body)
{
    (void)attack;
    *ret_type = MESSAGE_NOTICE;
    put(body, "\x94\xc2\x00\xdb\x00\x0f\xf0\x00", 8);
    fill(body, 'x', 0x0ff000);
}

/* Columnar, so that a byte of the body makes a value of 24 bytes. */
static void more_rows_than_allowed(struct attack *attack, uint8_t *ret_type, struct buffer *body)
{
    static const uint8_t PUSH_HEAD[] = {0x9b, 1, 1, 0, 0xc3, 1, 0x64, 1, 1, 0xc4, 32};
    static const uint8_t LIST_HEAD[] = {0x92, 0xce, 0, 1, 0, 0, 0xdd, 0, 5, 0, 5};
    uint8_t block_head[] = {0, 1, 0xce, 0, 1, 0, 0, 1, 2};
    uint8_t digests[2 * 32 + 2] = {0};

    digests[32] = 0xc4;
    digests[33] = 32;
    block_head[0] = (uint8_t)table_of(attack, "call_note")->number;
    *ret_type = MESSAGE_PUSH;
    put(body, PUSH_HEAD, sizeof PUSH_HEAD);
    put(body, digests, sizeof digests);
    put(body, LIST_HEAD, sizeof LIST_HEAD);
    put(body, block_head, sizeof block_head);
    fill(body, 1, 5 * 65536);
}

static void buckets_of_others(struct attack *attack, uint8_t *ret_type, struct buffer *body)
{
    static uint8_t digests[LIMIT_BUCKETS_MAX][16];
    struct message_digest digest = {.head = head(attack), .count = LIMIT_BUCKETS_MAX};
    struct world *world = attack->world;

    *ret_type = MESSAGE_DIGEST;
    digest.digests = arena_array(&world->arena, LIMIT_BUCKETS_MAX, sizeof *digest.digests);
    assert_non_null(digest.digests);
    for (size_t i = 0; i < LIMIT_BUCKETS_MAX; i++) {
        digest.digests[i].bucket = bucket_of(BUCKET_SITE, (int64_t)i + 1);
        memcpy(digest.digests[i].digest, digests[i], 16);
    }
    ok(world, message_digest_encode(&digest, body, &world->problem));
}

static void a_seal_for_nothing(struct attack *attack, uint8_t *ret_type, struct buffer *body)
{
    static const uint8_t NOTHING[SEAL_DIGEST_SIZE];
    const struct message_push push = {.incarnation = INT64_MAX,
                                      .seal_no = INT64_MAX,
                                      .is_last_part = true,
                                      .lcn_first = INT64_MAX,
                                      .lcn_last = INT64_MAX,
                                      .schema_version = 1,
                                      .previous_digest = bytes_of(NOTHING, sizeof NOTHING),
                                      .digest = bytes_of(NOTHING, sizeof NOTHING)};

    *ret_type = MESSAGE_PUSH;
    ok(attack->world,
       message_push_encode(&attack->world->catalog, &push, body, &attack->world->problem));
}

static const struct bomb BOMBS[] = {
    {"1 MiB of zeros, compressed", honest_zlib_bomb, 4400, true},
    {"50 MiB that says it has 100 bytes", lying_zlib_bomb, 4400, true},
    {"50 MiB that says it has 4 GiB", boasting_zlib_bomb, 4400, true},
    {"a million arrays in arrays", deep_arrays, 4400, false},
    {"a list of a million", wide_array, 4400, false},
    {"1 MiB of text where 512 bytes go", megabyte_of_text, 4400, false},
    {"65,536 changes in columns", more_rows_than_allowed, 4400, false},
    {"4,096 buckets of others", buckets_of_others, 0, false},
    {"a seal of 2^63 - 1", a_seal_for_nothing, 1000, false},
};

/* ---- their cost ---- */

static void come_back(struct attack *attack)
{
    wire_close(attack->station, attack->wire);
    attack->station->wire_count = 1; /* the honest one */
    arena_reset(&attack->world->arena);
    attack->wire = wire_connect(attack->station, attack->forger);
    assert_int_equal(attack->wire->heard[MESSAGE_WELCOME], 1);
}

/* Milliseconds from the first byte to the end of all that follows. */
static double explode(struct attack *attack, const struct bomb *bomb, uint8_t type,
                      struct bytes body)
{
    struct world *world = attack->world;
    double begin = 0;

    if (bomb->is_sealed_raw) {
        struct bytes frame = body;
        const struct frame_list list = {.frames = &frame, .count = 1};
        struct channel_messages messages = {0};

        ok(world,
           channel_seal(attack->wire->channel, &list, &world->arena, &messages, &world->problem));
        for (size_t i = 0; i < messages.count; i++)
            wire_says(attack->station, attack->wire, messages.messages[i]);
    } else {
        wire_send(attack->station, attack->wire, type, body);
    }
    begin = processor_ms();
    station_flow(attack->station);
    return processor_ms() - begin;
}

static void measure(struct attack *attack, const struct bomb *bomb)
{
    double longest = 0;
    double sum = 0;
    int64_t before = 0;
    uint8_t type = 0;
    struct buffer body;

    buffer_init(&body, (size_t)2 * LIMIT_BODY_SIZE_MAX);
    bomb->build(attack, &type, &body);
    for (int i = -WARM_UP; i < REPEATS; i++) {
        double spent = explode(attack, bomb, type, buffer_bytes(&body));

        assert_int_equal(attack->wire->is_closed, bomb->close_code != 0);
        if (attack->wire->is_closed && attack->wire->close_code != bomb->close_code)
            fail_msg("%s: closed with %d", bomb->name, attack->wire->close_code);
        come_back(attack);
        if (i == -1)
            before = resident_size();
        if (i < 0)
            continue;
        sum += spent;
        longest = spent > longest ? spent : longest;
    }
    buffer_done(&body);
    print_message("  %-34s mean %6.2f ms, longest %6.2f ms, left behind %5lld KiB\n", bomb->name,
                  sum / REPEATS, longest, (long long)(resident_size() - before) / 1024);
    assert_true(sum / REPEATS <= BOMB_MS_MAX);
    if (!IS_SANITIZED)
        assert_true(resident_size() - before <= RSS_GROWTH_MAX);
}

static void a_bomb_costs_little_and_leaves_nothing(void **state)
{
    struct attack attack = attack_begin(state);

    for (size_t i = 0; i < sizeof BOMBS / sizeof *BOMBS; i++)
        measure(&attack, &BOMBS[i]);
    attack_end(&attack);
}

/* Each of them refused, kept and audited: the dearest that a device can ask for. */
static void a_seal_full_of_forgeries_is_refused_in_a_moment(void **state)
{
    struct attack attack = attack_begin(state);
    struct change *changes = arena_array(&attack.world->arena, FORGED_CHANGES, sizeof *changes);
    struct change one = good_note(&attack);
    int64_t audits = number(&attack, "SELECT count(*) FROM fs_audit");
    struct buffer body;
    double begin = 0;
    double spent = 0;

    assert_non_null(changes);
    for (int i = 0; i < FORGED_CHANGES; i++) {
        changes[i] = one;
        changes[i].row_id = id_of(0, 5000000 + i); /* the server's own */
    }
    encode_by_hand(attack.world, &attack.world->catalog, attack.forger, changes, FORGED_CHANGES,
                   &body);
    wire_send(attack.station, attack.wire, MESSAGE_PUSH, buffer_bytes(&body));
    buffer_done(&body);
    begin = processor_ms();
    station_flow(attack.station);
    spent = processor_ms() - begin;
    print_message("  %d forged changes refused, kept and audited: %.0f ms\n", FORGED_CHANGES,
                  spent);
    assert_false(attack.wire->is_closed);
    assert_int_equal(attack.wire->answers.count, FORGED_CHANGES);
    assert_int_equal(number(&attack, "SELECT count(*) FROM fs_audit") - audits, FORGED_CHANGES);
    assert_true(spent < 10 * BOMB_MS_MAX); /* in one write, of which others wait for the end */
    attack_end(&attack);
}

/* A million messages of the smallest size, in batches as a socket would bring them; meanwhile the
 * honest device goes on. */
static void a_flood_of_tiny_frames_is_worked_off(void **state)
{
    struct attack attack = attack_begin(state);
    const struct message_ping ping = {.nonce = 1};
    struct buffer body;
    int64_t before = 0;
    double begin = 0;

    buffer_init(&body, 64);
    ok(attack.world, message_ping_encode(&ping, &body, &attack.world->problem));
    for (int sent = 0; sent < FLOOD_FRAMES; sent += FLOOD_BATCH) {
        for (int i = 0; i < FLOOD_BATCH; i++)
            wire_send(attack.station, attack.wire, MESSAGE_PING, buffer_bytes(&body));
        station_flow(attack.station);
        if (attack.wire->is_closed)
            come_back(&attack);
        arena_reset(&attack.world->arena);
        if (sent == WARM_UP * FLOOD_BATCH) {
            before = resident_size();
            begin = processor_ms();
        }
    }
    print_message("  %d frames: %.2f us each, both sides; left behind %lld KiB\n", FLOOD_FRAMES,
                  (processor_ms() - begin) * 1e3 / (FLOOD_FRAMES - WARM_UP * FLOOD_BATCH),
                  (long long)(resident_size() - before) / 1024);
    if (!IS_SANITIZED)
        assert_true(resident_size() - before <= RSS_GROWTH_MAX);
    buffer_done(&body);
    attack_end(&attack);
}

/* A digest that isn't that of the changes: refused, nothing is taken, and the right one still is.
 */
static void a_seal_with_a_lying_digest_is_not_taken(void **state)
{
    struct attack attack = attack_begin(state);
    const struct side before = *attack.forger;
    struct change changes[] = {good_note(&attack)};
    struct message_push push = {0};
    struct world *world = attack.world;
    int64_t seq = head(&attack);
    struct buffer body;
    struct buffer lying;

    encode_by_hand(world, &world->catalog, attack.forger, changes, 1, &body);
    ok(world, message_push_decode(&world->catalog, buffer_bytes(&body), &world->arena, &push,
                                  &world->problem));
    push.digest = bytes_of(before.psk, SEAL_DIGEST_SIZE);
    buffer_init(&lying, LIMIT_BODY_SIZE_MAX);
    ok(world, message_push_encode(&world->catalog, &push, &lying, &world->problem));
    wire_send(attack.station, attack.wire, MESSAGE_PUSH, buffer_bytes(&lying));
    station_flow(attack.station);
    assert_true(attack.wire->is_closed);
    assert_int_equal(head(&attack), seq);
    wire_close(attack.station, attack.wire);
    attack.wire = wire_connect(attack.station, attack.forger);
    wire_send(attack.station, attack.wire, MESSAGE_PUSH, buffer_bytes(&body));
    station_flow(attack.station);
    assert_int_equal(attack.wire->heard[MESSAGE_VERDICT], 1);
    buffer_done(&lying);
    buffer_done(&body);
    attack_end(&attack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bomb_costs_little_and_leaves_nothing),
        cmocka_unit_test(a_seal_full_of_forgeries_is_refused_in_a_moment),
        cmocka_unit_test(a_seal_with_a_lying_digest_is_not_taken),
        cmocka_unit_test(a_flood_of_tiny_frames_is_worked_off),
    };

    return cmocka_run_group_tests(tests, attack_setup, station_destroy);
}
