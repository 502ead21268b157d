/* SPDX-License-Identifier: Apache-2.0 */
/* An enrolled device that turned bad, on the real channel to the real server core and master:
 * whatever it sends is refused change by change or ends its connection; the server lives on, the
 * honest device of the same person goes on working, and nothing is lost. */
#include "tests/integration/attack.h" /* first: it asks for POSIX */

#include "server/core/copies.h"
#include "server/store/versions.h"

/* What no honest device sends is audited; a reference to nothing comes about when a colleague was
 * faster, and what a table refuses is mostly a mistake. */
static bool is_forgery(const char *reason)
{
    return strcmp(reason, "bad_reference") != 0 && strcmp(reason, "check_failed") != 0;
}

/* The change alone is refused for this reason, and kept; a good one beside it is applied. */
static void expect_refused(struct attack *attack, struct change change, const char *reason)
{
    static const char AUDITS[] = "SELECT count(*) FROM fs_audit";
    static const char REVIEWS[] = "SELECT count(*) FROM review_item WHERE kind = 'refused'";
    struct change changes[2] = {change, good_note(attack)};
    int64_t audit_count = number(attack, AUDITS);
    int64_t review_count = number(attack, REVIEWS);
    int64_t good_id = changes[1].row_id;
    const struct verdict *verdict = NULL;

    send_seal(attack, &attack->world->catalog, changes, 2);
    assert_false(attack->wire->is_closed);
    assert_int_equal(attack->wire->answers.count, 1);
    verdict = &attack->wire->answers.verdicts[0];
    if (verdict->kind != VERDICT_REFUSED || !bytes_equal(verdict->reason, bytes_of_text(reason)))
        fail_msg("%s(%.*s) instead of refused(%s)", verdict_name(verdict->kind),
                 (int)verdict->reason.size, (const char *)verdict->reason.data, reason);
    assert_int_equal(verdict->row_id, change.row_id);
    assert_int_equal(number(attack, AUDITS), audit_count + is_forgery(reason));
    assert_true(number(attack, REVIEWS) > review_count); /* a large one is kept in pieces */
    assert_non_null(
        read_row(attack->world, attack->world->other, table_of(attack, "call_note"), good_id));
}

/* ---- refused change by change ---- */

static void ids_of_others_are_refused(void **state)
{
    struct attack attack = attack_begin(state);
    const struct scene *scene = &attack.company->people[0].scene;
    int64_t call_id = scene->ids[table_of(&attack, "call")->number];
    int64_t honest_no = attack.company->people[0].side->replica_no;

    expect_refused(&attack, note_on(&attack, id_of(honest_no, 4711), call_id), "id_out_of_range");
    expect_refused(&attack, note_on(&attack, id_of(0, 4711), call_id), "id_out_of_range");
    expect_refused(&attack, note_on(&attack, ID_MAX, call_id), "id_out_of_range");
    attack_end(&attack);
}

static void references_to_nothing_and_to_others_rows_are_refused(void **state)
{
    struct attack attack = attack_begin(state);
    int64_t call_no = table_of(&attack, "call")->number;

    expect_refused(&attack, note_on(&attack, own_id(&attack), id_of(0, 999999999)),
                   "bad_reference");
    expect_refused(&attack, note_on(&attack, own_id(&attack), 0), "bad_reference");
    expect_refused(&attack, note_on(&attack, own_id(&attack), -1), "bad_reference");
    expect_refused(&attack, note_on(&attack, own_id(&attack), INT64_MIN), "bad_reference");
    expect_refused(&attack, note_on(&attack, own_id(&attack), INT64_MAX), "bad_reference");
    expect_refused(&attack, note_on(&attack, own_id(&attack), attack.company->spare.ids[call_no]),
                   "not_entitled");
    attack_end(&attack);
}

/* More than other devices could receive. */
static void values_that_are_too_long_are_refused(void **state)
{
    enum { TEXT_SIZE = LIMIT_TEXT_SIZE_MAX + 1 };
    struct attack attack = attack_begin(state);
    char *text = arena_alloc(&attack.world->arena, TEXT_SIZE);
    struct change change = good_note(&attack);

    assert_non_null(text);
    memset(text, 'x', TEXT_SIZE);
    change.values[column_of(table_of(&attack, "call_note"), "body")] =
        value_text(bytes_of(text, TEXT_SIZE));
    expect_refused(&attack, change, "check_failed");
    attack_end(&attack);
}

/* The site of a customer that the technician doesn't work for. */
static void rows_of_foreign_buckets_are_refused(void **state)
{
    struct attack attack = attack_begin(state);
    const struct catalog_table *site = table_of(&attack, "site");
    uint8_t column_no = column_of(site, "access_note");
    struct change change = {.table_no = site->number,
                            .op = CHANGE_UPDATE,
                            .row_id = attack.company->spare.ids[site->number],
                            .base_seq = head(&attack),
                            .edited_at = attack.world->now,
                            .mask = UINT64_C(1) << column_no,
                            .values = sample_row(attack.world, site, &attack.company->spare, 0, 7)};

    expect_refused(&attack, change, "not_entitled");
    assert_false(attack.wire->answers.verdicts[0].has_row); /* nothing of it is shown */
    change.base_seq = INT64_MAX;
    expect_refused(&attack, change, "not_entitled");
    change.base_seq = 0;
    expect_refused(&attack, change, "not_entitled");
    attack_end(&attack);
}

static struct column_version version_of(struct attack *attack, const struct catalog_table *table,
                                        int64_t id, uint8_t column_no)
{
    struct world *world = attack->world;
    struct store *store = master_store(world->reader);
    struct stored_row *row = NULL;
    struct versions versions;

    ok(world, store_begin(store, STORE_READ, &world->problem));
    ok(world, store_read_rows(store, table, &id, 1, &world->arena, &row, &world->problem));
    ok(world, versions_of_row(row, &versions, &world->problem));
    store_rollback(store);
    return versions_of_column(&versions, column_no);
}

/* A clock of 2099 wins against nobody later than now. */
static void edit_times_are_never_in_the_future(void **state)
{
    static const int64_t TIMES_US[] = {INT64_C(4070908800000000), 0, INT64_MIN, INT64_MAX,
                                       -INT64_C(4070908800000000)};
    struct attack attack = attack_begin(state);
    const struct catalog_table *site = table_of(&attack, "site");
    uint8_t column_no = column_of(site, "access_note");
    int64_t id = attack.company->people[0].scene.ids[site->number];

    for (size_t i = 0; i < sizeof TIMES_US / sizeof *TIMES_US; i++) {
        struct change change = {
            .table_no = site->number,
            .op = CHANGE_UPDATE,
            .row_id = id,
            .base_seq = head(&attack),
            .edited_at = {TIMES_US[i]},
            .mask = UINT64_C(1) << column_no,
            .values = arena_array(&attack.world->arena, site->column_count, sizeof(struct value))};

        change.values[column_no] = value_text_of(text_of(attack.world, "edit %zu", i));
        send_seal(&attack, &attack.world->catalog, &change, 1);
        assert_false(attack.wire->is_closed);
        assert_int_equal(attack.wire->answers.count, 0);
        assert_true(version_of(&attack, site, id, column_no).edited_at_us <=
                    attack.world->now.us + SECONDS(1));
        assert_true(version_of(&attack, site, id, column_no).edited_at_us > 0);
    }
    attack_end(&attack);
}

/* Times and amounts at the ends of 64 bits, in each table that a technician may insert into: no
 * rule behind may stumble. */
static void numbers_at_the_ends_of_64_bits_do_no_harm(void **state)
{
    static const int64_t ENDS[] = {INT64_C(1) << 62, INT64_MAX, INT64_MIN, -1};
    struct attack attack = attack_begin(state);
    struct world *world = attack.world;
    struct scene scene = attack.company->people[0].scene;

    for (size_t e = 0; e < sizeof ENDS / sizeof *ENDS; e++) {
        struct change *changes = arena_array(&world->arena, 200, sizeof *changes);
        size_t count = 0;

        scene.number = 20 + (int)e;
        for (size_t t = 0; t < attack.company->order.count; t++) {
            const struct catalog_table *table = attack.company->order.tables[t];
            bool is_granted = false;
            uint64_t mask = granted_mask(world, ROLE_TECHNICIAN, table, CHANGE_INSERT, &is_granted);
            struct value *values = sample_row(world, table, &scene, 0, 1);

            for (uint8_t i = 1; i < table->column_count; i++)
                if (table->columns[i].type == VALUE_INTEGER && table->columns[i].refers_to == 0)
                    values[i] = value_integer(ENDS[e]);
            if (is_granted)
                changes[count++] = (struct change){.table_no = table->number,
                                                   .op = CHANGE_INSERT,
                                                   .row_id = own_id(&attack),
                                                   .base_seq = head(&attack),
                                                   .edited_at = world->now,
                                                   .mask = mask,
                                                   .values = values};
        }
        send_seal(&attack, &world->catalog, changes, count);
        assert_false(attack.wire->is_closed);
        assert_int_equal(attack.wire->heard[MESSAGE_VERDICT], e + 1);
    }
    attack_end(&attack);
}

/* ---- what ends the connection ---- */

/* A correct body with some bytes replaced by others. */
static void send_altered(struct attack *attack, struct change change, struct bytes find,
                         struct bytes replacement)
{
    const struct side before = *attack->forger;
    struct buffer body;
    struct buffer altered;
    size_t at = 0;

    encode_by_hand(attack->world, &attack->world->catalog, attack->forger, &change, 1, &body);
    while (at + find.size <= body.size && memcmp(body.data + at, find.data, find.size) != 0)
        at++;
    assert_true(at + find.size <= body.size);
    buffer_init(&altered, LIMIT_BODY_SIZE_MAX);
    ok(attack->world, buffer_append(&altered, body.data, at, &attack->world->problem));
    ok(attack->world,
       buffer_append(&altered, replacement.data, replacement.size, &attack->world->problem));
    ok(attack->world, buffer_append(&altered, body.data + at + find.size,
                                    body.size - at - find.size, &attack->world->problem));
    wire_send(attack->station, attack->wire, MESSAGE_PUSH, buffer_bytes(&altered));
    buffer_done(&altered);
    buffer_done(&body);
    station_flow(attack->station);
    memcpy(attack->forger->digest, before.digest, sizeof before.digest); /* it was no seal */
    attack->forger->seal_no = before.seal_no;
    attack->forger->lcn = before.lcn;
}

#define BYTES(...) bytes_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void ids_that_are_none_end_the_connection(void **state)
{
    struct attack attack = attack_begin(state);
    const struct bytes replacements[] = {
        BYTES(0x00),                                                 /* 0 */
        BYTES(0xff),                                                 /* -1 */
        BYTES(0xcf, 0, 0x20, 0, 0, 0, 0, 0, 0),                      /* 2^53 */
        BYTES(0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0),                      /* -2^63 */
        BYTES(0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), /* 2^64 - 1 */
        BYTES(0xa1, 'x'),                                            /* a text */
        BYTES(0xc0),                                                 /* nil */
        BYTES(0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0),                   /* NaN */
    };
    int64_t seq = head(&attack);

    for (size_t i = 0; i < sizeof replacements / sizeof *replacements; i++) {
        struct change change = good_note(&attack);
        uint8_t id[9] = {0xcf};

        for (int b = 0; b < 8; b++)
            id[1 + b] = (uint8_t)(change.row_id >> (56 - 8 * b));
        send_altered(&attack, change, bytes_of(id, sizeof id), replacements[i]);
        expect_closed(&attack, 4400);
    }
    assert_int_equal(head(&attack), seq);
    attack_end(&attack);
}

static void values_that_are_none_end_the_connection(void **state)
{
    struct attack attack = attack_begin(state);
    const struct catalog_table *table = table_of(&attack, "call_note");
    const struct bytes replacements[] = {
        BYTES(0xa8, 'a', 'b', 0, 'd', 'e', 'f', 'g', 'h'),      /* NUL */
        BYTES(0xa8, 'a', 'b', 0xff, 'd', 'e', 'f', 'g', 'h'),   /* not UTF-8 */
        BYTES(0xa8, 'a', 'b', 0xed, 0xa0, 0x80, 'f', 'g', 'h'), /* a surrogate */
        BYTES(0x2a),                                            /* a number in a text column */
        BYTES(0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0),              /* NaN */
        BYTES(0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0),              /* infinity */
        BYTES(0xc4, 1, 'x'),                                    /* a blob */
        BYTES(0x91, 0x01),                                      /* an array */
        BYTES(0xdb, 0xff, 0xff, 0xff, 0xff, 'x'),               /* a text of 4 GB */
        BYTES(0xdd, 0xff, 0xff, 0xff, 0xff),                    /* an array of 2^32 - 1 */
    };
    int64_t seq = head(&attack);

    for (size_t i = 0; i < sizeof replacements / sizeof *replacements; i++) {
        struct change change = good_note(&attack);

        change.values[column_of(table, "body")] = value_text_of("findthis");
        send_altered(&attack, change, BYTES(0xa8, 'f', 'i', 'n', 'd', 't', 'h', 'i', 's'),
                     replacements[i]);
        expect_closed(&attack, 4400);
    }
    assert_int_equal(head(&attack), seq);
    attack_end(&attack);
}

/* A catalog in which all is text, and whose tables are wider and more than the server's. */
static struct catalog other_catalog(struct attack *attack)
{
    struct world *world = attack->world;
    struct catalog catalog = world->catalog;
    struct catalog_table *tables =
        arena_array(&world->arena, catalog.table_count + 1, sizeof *tables);

    assert_non_null(tables);
    memcpy(tables, catalog.tables, catalog.table_count * sizeof *tables);
    for (size_t t = 1; t <= catalog.table_count; t++) {
        const struct catalog_table *from =
            &tables[t < catalog.table_count ? t : table_of(attack, "call_note")->number];
        uint8_t count = (uint8_t)(from->column_count + 1);
        struct catalog_column *columns = arena_array(&world->arena, count, sizeof *columns);

        assert_non_null(columns);
        if (from->name == NULL || from->column_count == 0)
            continue;
        memcpy(columns, from->columns, from->column_count * sizeof *columns);
        columns[count - 1] = columns[1];
        for (uint8_t i = 1; i < count; i++) {
            columns[i].number = i;
            columns[i].type = VALUE_TEXT;
        }
        tables[t] = *from;
        tables[t].number = (uint16_t)t;
        tables[t].columns = columns;
        tables[t].column_count = count;
        tables[t].columns_mask |= UINT64_C(1) << (count - 1);
    }
    catalog.tables = tables;
    catalog.table_count++;
    return catalog;
}

/* Sends a seal of one change by another catalog; the seal counts as never made. */
static void send_by_other_catalog(struct attack *attack, const struct catalog *catalog,
                                  uint16_t table_no, uint64_t mask)
{
    const struct side before = *attack->forger;
    const struct catalog_table *table = catalog_table_by_no(catalog, table_no);
    struct change change = {
        .table_no = table_no,
        .op = CHANGE_INSERT,
        .row_id = own_id(attack),
        .base_seq = head(attack),
        .edited_at = attack->world->now,
        .mask = mask,
        .values = arena_array(&attack->world->arena, table->column_count, sizeof(struct value))};

    for (uint8_t i = 1; i < table->column_count; i++)
        change.values[i] = value_text_of("1");
    send_seal(attack, catalog, &change, 1);
    memcpy(attack->forger->digest, before.digest, sizeof before.digest);
    attack->forger->seal_no = before.seal_no;
    attack->forger->lcn = before.lcn;
}

static void another_schema_ends_the_connection(void **state)
{
    struct attack attack = attack_begin(state);
    const struct catalog catalog = other_catalog(&attack);
    uint16_t note_no = table_of(&attack, "call_note")->number;
    uint8_t count = table_of(&attack, "call_note")->column_count;
    int64_t seq = head(&attack);

    /* text where numbers belong */
    send_by_other_catalog(&attack, &catalog, note_no, 2);
    expect_closed(&attack, 4400);
    /* a table and a column that the server doesn't know: perhaps it is older, so not a word of a
     * broken protocol */
    send_by_other_catalog(&attack, &catalog, (uint16_t)(catalog.table_count - 1), 2);
    expect_closed(&attack, 1000);
    send_by_other_catalog(&attack, &catalog, note_no, UINT64_C(1) << count);
    expect_closed(&attack, 1000);
    assert_int_equal(head(&attack), seq);
    assert_int_equal(number(&attack, "SELECT count(*) FROM fs_replica WHERE state<>'active'"), 0);
    attack_end(&attack);
}

static void more_changes_than_allowed_end_the_connection(void **state)
{
    enum { COUNT = LIMIT_PUSH_CHANGES_MAX + 1 };
    struct attack attack = attack_begin(state);
    const struct side before = *attack.forger;
    struct change *changes = arena_array(&attack.world->arena, COUNT, sizeof *changes);
    struct change one = good_note(&attack);
    struct message_push push = {.incarnation = 1,
                                .seal_no = before.seal_no + 1,
                                .is_last_part = true,
                                .lcn_first = before.lcn + 1,
                                .lcn_last = before.lcn + COUNT,
                                .schema_version = attack.world->catalog.schema_version,
                                .sealed_at = attack.world->now,
                                .previous_digest = bytes_of(before.digest, SEAL_DIGEST_SIZE),
                                .digest = bytes_of(before.digest, SEAL_DIGEST_SIZE),
                                .change_count = COUNT,
                                .changes = changes};
    struct buffer body;
    int64_t seq = head(&attack);

    for (int i = 0; i < COUNT; i++) {
        changes[i] = one;
        changes[i].row_id = own_id(&attack);
        changes[i].lcn = before.lcn + 1 + i;
        changes[i].mask = 2; /* small */
    }
    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    if (message_push_encode(&attack.world->catalog, &push, &body, &attack.world->problem) ==
        RESULT_OK) {
        wire_send(attack.station, attack.wire, MESSAGE_PUSH, buffer_bytes(&body));
        station_flow(attack.station);
        assert_true(attack.wire->is_closed);
    }
    buffer_done(&body);
    assert_int_equal(head(&attack), seq);
    attack_end(&attack);
}

/* ---- seals out of order ---- */

static void a_gap_between_seals_is_refused_and_the_right_one_taken(void **state)
{
    struct attack attack = attack_begin(state);
    struct change changes[] = {good_note(&attack)};
    int64_t id = changes[0].row_id;
    const struct side before = *attack.forger;
    int64_t seq = head(&attack);

    attack.forger->seal_no += 5;
    send_seal(&attack, &attack.world->catalog, changes, 1);
    assert_int_equal(head(&attack), seq);
    expect_closed(&attack, 1000);
    memcpy(attack.forger->digest, before.digest, sizeof before.digest);
    attack.forger->seal_no = before.seal_no;
    attack.forger->lcn = before.lcn;
    send_seal(&attack, &attack.world->catalog, changes, 1);
    assert_int_equal(attack.wire->heard[MESSAGE_VERDICT], 1);
    assert_non_null(
        read_row(attack.world, attack.world->other, table_of(&attack, "call_note"), id));
    attack_end(&attack);
}

/* A push when only `jobs` of the jobs of a greeting (AUTHENTICATE, RESUME) were done. */
static void push_early(struct attack *attack, int jobs, uint16_t close_code)
{
    const struct side before = *attack->forger;
    struct change change = good_note(attack);
    struct buffer body;

    wire_close(attack->station, attack->wire);
    encode_by_hand(attack->world, &attack->world->catalog, attack->forger, &change, 1, &body);
    attack->station->is_slow = true;
    attack->wire = wire_connect(attack->station, attack->forger);
    for (int i = 0; i < jobs; i++)
        station_work(attack->station);
    assert_int_equal(attack->station->job_count, 1);
    wire_send(attack->station, attack->wire, MESSAGE_PUSH, buffer_bytes(&body));
    buffer_done(&body);
    station_flow(attack->station);
    attack->station->is_slow = false;
    station_flow(attack->station);
    assert_int_equal(attack->wire->heard[MESSAGE_VERDICT], 0);
    assert_null(read_row(attack->world, attack->world->other, table_of(attack, "call_note"),
                         change.row_id));
    memcpy(attack->forger->digest, before.digest, sizeof before.digest);
    attack->forger->seal_no = before.seal_no;
    attack->forger->lcn = before.lcn;
    expect_closed(attack, close_code);
}

static void a_push_before_the_welcome_ends_the_connection(void **state)
{
    struct attack attack = attack_begin(state);

    push_early(&attack, 0, 4401);
    push_early(&attack, 1, 4400);
    attack_end(&attack);
}

/* ---- quantity ---- */

static void a_thousand_tiny_messages_are_just_messages(void **state)
{
    struct attack attack = attack_begin(state);
    struct buffer body;

    for (int i = 0; i < 500; i++) {
        const struct message_ping ping = {.nonce = i};
        const struct message_published published = {.seq = i};

        buffer_init(&body, 64);
        ok(attack.world, message_ping_encode(&ping, &body, &attack.world->problem));
        wire_send(attack.station, attack.wire, MESSAGE_PING, buffer_bytes(&body));
        buffer_done(&body);
        buffer_init(&body, 64);
        ok(attack.world, message_published_encode(&published, &body, &attack.world->problem));
        wire_send(attack.station, attack.wire, MESSAGE_PUBLISHED, buffer_bytes(&body));
        buffer_done(&body);
    }
    station_flow(attack.station);
    assert_true(attack.wire->is_closed || attack.wire->heard[MESSAGE_PONG] > 0);
    attack_end(&attack);
}

/* Parts without end: the whole is refused when it passes 64 MiB, and nothing of it stays. */
static void a_seal_larger_than_allowed_is_dropped(void **state)
{
    enum { CHANGES = 15, TEXT_SIZE = 64 * 1024 };
    struct attack attack = attack_begin(state);
    const struct side before = *attack.forger;
    const struct catalog_table *table = table_of(&attack, "call_note");
    char *text = arena_alloc(&attack.world->arena, TEXT_SIZE);
    struct change changes[CHANGES];
    int64_t parts = 0;

    memset(text, 'x', TEXT_SIZE);
    for (int i = 0; i < CHANGES; i++) {
        changes[i] = good_note(&attack);
        changes[i].lcn = before.lcn + 1 + i;
        changes[i].values[column_of(table, "body")] = value_text(bytes_of(text, TEXT_SIZE));
    }
    for (; !attack.wire->is_closed && parts < 100; parts++) {
        struct message_push push = {.incarnation = 1,
                                    .seal_no = before.seal_no + 1,
                                    .part_no = parts,
                                    .lcn_first = before.lcn + 1,
                                    .lcn_last = before.lcn + 1000,
                                    .schema_version = attack.world->catalog.schema_version,
                                    .sealed_at = attack.world->now,
                                    .previous_digest = bytes_of(before.digest, SEAL_DIGEST_SIZE),
                                    .digest = bytes_of(before.digest, SEAL_DIGEST_SIZE),
                                    .change_count = CHANGES,
                                    .changes = changes};
        struct buffer body;

        buffer_init(&body, LIMIT_BODY_SIZE_MAX);
        ok(attack.world,
           message_push_encode(&attack.world->catalog, &push, &body, &attack.world->problem));
        wire_send(attack.station, attack.wire, MESSAGE_PUSH, buffer_bytes(&body));
        buffer_done(&body);
        station_flow(attack.station);
    }
    assert_true(parts > 60 && parts < 80);
    assert_int_equal(number(&attack, "SELECT count(*) FROM fs_push_part"), 0);
    expect_closed(&attack, 1000);
    attack_end(&attack);
}

/* ---- a copied disk ---- */

static enum result release(struct work *work, void *context, struct problem *problem)
{
    const int64_t *replica_no = context;
    bool goes_on = false;

    return copies_choose(work, *replica_no, 0, &goes_on, problem);
}

static void an_applied_seal_with_another_content_holds_the_device(void **state)
{
    struct attack attack = attack_begin(state);
    const struct side before = *attack.forger;
    struct change first[] = {good_note(&attack)};
    struct change other[] = {good_note(&attack)};
    struct master_outcome outcome = {0};

    send_seal(&attack, &attack.world->catalog, first, 1);
    assert_int_equal(attack.wire->heard[MESSAGE_VERDICT], 1);
    memcpy(attack.forger->digest, before.digest, sizeof before.digest);
    attack.forger->seal_no = before.seal_no;
    attack.forger->lcn = before.lcn;
    send_seal(&attack, &attack.world->catalog, other, 1);
    assert_true(attack.wire->is_closed);
    assert_string_equal(attack.wire->code, "held");
    assert_int_equal(number(&attack, "SELECT count(*) FROM fs_replica WHERE state='held'"), 1);
    assert_null(read_row(attack.world, attack.world->other, table_of(&attack, "call_note"),
                         other[0].row_id));
    expect_honest_work(&attack);
    wire_close(attack.station, attack.wire);
    attack.wire = wire_connect(attack.station, attack.forger); /* it stays held */
    assert_true(attack.wire->is_closed);
    assert_string_equal(attack.wire->code, "held");
    assert_int_equal(attack.wire->heard[MESSAGE_WELCOME], 0);
    ok(attack.world, master_run(attack.world->master, attack.world->now, release,
                                &attack.forger->replica_no, &outcome, &attack.world->problem));
    wire_close(attack.station, attack.wire);
    attack.wire = wire_connect(attack.station, attack.forger); /* never again under this number */
    assert_int_equal(attack.wire->heard[MESSAGE_WELCOME], 0);
    assert_int_equal(attack.wire->heard[MESSAGE_RENEW], 1);
    attack_end(&attack);
}

/* ---- the program ---- */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_of_others_are_refused),
        cmocka_unit_test(references_to_nothing_and_to_others_rows_are_refused),
        cmocka_unit_test(rows_of_foreign_buckets_are_refused),
        cmocka_unit_test(values_that_are_too_long_are_refused),
        cmocka_unit_test(edit_times_are_never_in_the_future),
        cmocka_unit_test(numbers_at_the_ends_of_64_bits_do_no_harm),
        cmocka_unit_test(ids_that_are_none_end_the_connection),
        cmocka_unit_test(values_that_are_none_end_the_connection),
        cmocka_unit_test(another_schema_ends_the_connection),
        cmocka_unit_test(more_changes_than_allowed_end_the_connection),
        cmocka_unit_test(a_gap_between_seals_is_refused_and_the_right_one_taken),
        cmocka_unit_test(a_push_before_the_welcome_ends_the_connection),
        cmocka_unit_test(a_thousand_tiny_messages_are_just_messages),
        cmocka_unit_test(a_seal_larger_than_allowed_is_dropped),
        cmocka_unit_test(an_applied_seal_with_another_content_holds_the_device),
    };

    return cmocka_run_group_tests(tests, attack_setup, station_destroy);
}
