/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/rows.h"

#include "base/prng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "tests/unit/protocol/example_catalog.h"

static const struct catalog CATALOG = {
    .schema_version = 3, .table_count = 3, .tables = EXAMPLE_TABLES};

enum { SITE = 1, WORK = 2, BODY_SIZE_MAX = 64 << 20 };

struct bench {
    struct arena arena;
    struct buffer body;
    struct writer writer;
    struct problem problem;
};

static void bench_begin(struct bench *bench)
{
    *bench = (struct bench){0};
    arena_init(&bench->arena, (size_t)1 << 30);
    buffer_init(&bench->body, BODY_SIZE_MAX);
    writer_init(&bench->writer, &bench->body);
}

static void bench_end(struct bench *bench)
{
    arena_done(&bench->arena);
    buffer_done(&bench->body);
}

static enum result send_rows(struct bench *bench, const struct row_image *rows, size_t count,
                             struct row_image **ret_rows, size_t *ret_count)
{
    struct reader reader;
    enum result result = rows_write(&CATALOG, rows, count, &bench->writer, &bench->problem);

    if (result == RESULT_OK)
        result = writer_finish(&bench->writer, &bench->problem);
    if (result != RESULT_OK)
        return result;
    reader = reader_over(buffer_bytes(&bench->body));
    result = rows_read(&CATALOG, &reader, &bench->arena, ret_rows, ret_count, &bench->problem);
    return result == RESULT_OK ? reader_finish(&reader, &bench->problem) : result;
}

static enum result send_value(uint16_t table_no, size_t column, struct value sent,
                              struct value *ret_received)
{
    struct bench bench;
    struct value values[4] = {0};
    struct row_image row = {table_no, 1, 1, UINT64_C(1) << column, values};
    struct row_image *received = NULL;
    size_t count = 0;
    enum result result = RESULT_OK;

    bench_begin(&bench);
    values[column] = sent;
    result = send_rows(&bench, &row, 1, &received, &count);
    if (result == RESULT_OK)
        *ret_received = received[0].values[column];
    bench_end(&bench);
    return result;
}

static void a_real_stays_a_real_and_an_integer_in_a_real_column_becomes_one(void **state)
{
    static const double REALS[] = {0.0, 1.0, -3.0, 0.25, 9007199254740992.0, 1e18, -1e300};
    struct value received = value_null();

    (void)state;
    for (size_t i = 0; i < sizeof REALS / sizeof REALS[0]; i++) {
        assert_int_equal(send_value(SITE, 3, value_real(REALS[i]), &received), RESULT_OK);
        assert_int_equal(received.type, VALUE_REAL);
        assert_memory_equal(&received.real, &REALS[i], sizeof(double));
    }
    assert_int_equal(send_value(SITE, 3, value_real(-0.0), &received), RESULT_OK);
    assert_true(received.type == VALUE_REAL && signbit(received.real));
    assert_int_equal(send_value(SITE, 3, value_integer(48), &received), RESULT_OK);
    assert_int_equal(received.type, VALUE_REAL);
    assert_true(received.real > 47.9 && received.real < 48.1);
}

static void a_value_of_another_type_than_its_column_is_refused(void **state)
{
    struct value received = value_null();

    (void)state;
    assert_int_equal(send_value(SITE, 1, value_integer(1), &received), RESULT_REFUSED);
    assert_int_equal(send_value(SITE, 1, value_null(), &received), RESULT_REFUSED);
    assert_int_equal(send_value(SITE, 2, value_null(), &received), RESULT_OK);
    assert_int_equal(send_value(SITE, 1, value_blob(bytes_of("a", 1)), &received), RESULT_REFUSED);
    assert_int_equal(send_value(WORK, 1, value_text_of("1"), &received), RESULT_REFUSED);
    assert_int_equal(send_value(WORK, 1, value_real(1.0), &received), RESULT_REFUSED);
    assert_int_equal(send_value(WORK, 3, value_text_of("a"), &received), RESULT_REFUSED);
    assert_int_equal(send_value(SITE, 3, value_real(NAN), &received), RESULT_REFUSED);
    assert_int_equal(send_value(SITE, 1, value_text(bytes_of("a\0b", 3)), &received),
                     RESULT_REFUSED);
}

static enum result read_hex(const char *hex)
{
    uint8_t bytes[128];
    struct arena arena;
    struct reader reader;
    struct row_image *rows = NULL;
    size_t count = 0;
    struct problem problem = {0};
    enum result result = RESULT_OK;

    assert_true(bytes_from_hex(hex, bytes, strlen(hex) / 2));
    arena_init(&arena, 1 << 20);
    reader = reader_over(bytes_of(bytes, strlen(hex) / 2));
    result = rows_read(&CATALOG, &reader, &arena, &rows, &count, &problem);
    arena_done(&arena);
    return result == RESULT_OK ? reader_finish(&reader, &problem) : result;
}

static void what_the_catalog_does_not_know_is_refused_and_what_breaks_it_malformed(void **state)
{
    (void)state;
    assert_int_equal(read_hex("9201970100010105"
                              "02a161"),
                     RESULT_OK); /* site.name = 'a' */
    assert_int_equal(read_hex("9201970100010105"
                              "02a261"),
                     RESULT_MALFORMED);
    assert_int_equal(read_hex("9201970900010105"
                              "02a161"),
                     RESULT_REFUSED); /* table 9 */
    assert_int_equal(read_hex("9201970100010105"
                              "10a161"),
                     RESULT_REFUSED); /* column 4 */
    assert_int_equal(read_hex("9201970100010105"
                              "01a161"),
                     RESULT_MALFORMED); /* the id */
    assert_int_equal(read_hex("9201970100010105"
                              "0201"),
                     RESULT_MALFORMED); /* no text */
    assert_int_equal(read_hex("9201970100010105"
                              "02c0"),
                     RESULT_MALFORMED); /* not nullable */
    assert_int_equal(read_hex("9201970100010005"
                              "02a161"),
                     RESULT_MALFORMED); /* id 0 */
    assert_int_equal(read_hex("92019701000101ff"
                              "02a161"),
                     RESULT_MALFORMED); /* seq -1 */
    assert_int_equal(read_hex("9201970102010105"
                              "02a161"),
                     RESULT_MALFORMED); /* block kind 2 */
    assert_int_equal(read_hex("9201970100020105"
                              "02a161"),
                     RESULT_MALFORMED); /* count 2 */
    assert_int_equal(read_hex("9202970100010105"
                              "02a161"),
                     RESULT_MALFORMED); /* total 2 */
    assert_int_equal(read_hex("9201970100010105"
                              "02a1ff"),
                     RESULT_MALFORMED); /* no UTF-8 */
    assert_int_equal(read_hex("9201970101"
                              "01"
                              "02"
                              "0105"
                              "a161"),
                     RESULT_OK); /* columnar */
    assert_int_equal(read_hex("9201970101"
                              "02"
                              "02"
                              "0105"
                              "a161"),
                     RESULT_MALFORMED);
    assert_int_equal(read_hex("9302970200010105"
                              "0201"
                              "97010001"
                              "010502a161"),
                     RESULT_MALFORMED); /* table 1 after table 2 */
    assert_int_equal(read_hex("9100"), RESULT_OK);
    assert_int_equal(read_hex("90"), RESULT_MALFORMED);
}

static void a_columnar_bomb_takes_no_memory(void **state)
{
    uint8_t bytes[16] = {0x92, 0xcd, 0xff, 0xff, 0xdc, 0xff, 0xff,
                         0x01, 0x01, 0xcd, 0xff, 0xff, 0xc0};
    struct arena arena;
    struct reader reader = reader_over(bytes_of(bytes, sizeof bytes));
    struct row_image *rows = NULL;
    size_t count = 0;
    struct problem problem = {0};

    (void)state;
    arena_init(&arena, 1 << 20);
    assert_int_equal(rows_read(&CATALOG, &reader, &arena, &rows, &count, &problem),
                     RESULT_MALFORMED);
    assert_int_equal(arena.size, 0);
    arena_done(&arena);
}

static void a_table_of_62_columns_goes_through_whole_and_in_part(void **state)
{
    struct catalog_column columns[ROW_COLUMNS_MAX];
    struct catalog_table tables[2] = {{0}};
    struct catalog catalog = {.table_count = 2, .tables = tables};
    struct value values[ROW_COLUMNS_MAX] = {0};
    struct row_image sent[2] = {{1, ID_MAX, INT64_MAX, 0, values},
                                {1, 1, 0, UINT64_C(1) << 61, values}};
    struct row_image *rows = NULL;
    size_t count = 0;
    struct bench bench;
    struct reader reader;

    (void)state;
    for (size_t i = 0; i < ROW_COLUMNS_MAX; i++) {
        columns[i] = (struct catalog_column){
            .number = (uint8_t)i, .name = "c", .type = VALUE_INTEGER, .nullable = true};
        values[i] = value_integer((int64_t)i);
    }
    tables[1] = (struct catalog_table){.number = 1,
                                       .name = "wide",
                                       .column_count = ROW_COLUMNS_MAX,
                                       .columns = columns,
                                       .columns_mask = ((UINT64_C(1) << 61) - 1) << 1};
    sent[0].mask = tables[1].columns_mask;
    bench_begin(&bench);
    assert_int_equal(rows_write(&catalog, sent, 2, &bench.writer, &bench.problem), RESULT_OK);
    assert_int_equal(writer_finish(&bench.writer, &bench.problem), RESULT_OK);
    reader = reader_over(buffer_bytes(&bench.body));
    assert_int_equal(rows_read(&catalog, &reader, &bench.arena, &rows, &count, &bench.problem),
                     RESULT_OK);
    assert_int_equal(count, 2);
    assert_true(rows[0].row_id == ID_MAX && rows[0].seq == INT64_MAX);
    assert_true(rows[0].mask == sent[0].mask && rows[1].mask == sent[1].mask);
    for (size_t i = 1; i < ROW_COLUMNS_MAX; i++)
        assert_true(value_equal(&rows[0].values[i], &values[i]));
    assert_true(rows[1].values[61].integer == 61 && rows[1].values[60].type == VALUE_NULL);
    bench_end(&bench);
}

static void no_item_is_larger_than_its_size_says(void **state)
{
    struct value values[4] = {value_null(), value_text_of("name"), value_null(), value_real(0.125)};
    struct row_image row = {SITE, ID_MAX, INT64_MAX, 0xe, values};
    struct change change = {.lcn = INT64_MAX,
                            .table_no = SITE,
                            .op = CHANGE_UPDATE,
                            .row_id = ID_MAX,
                            .mask = 0xe,
                            .base_seq = INT64_MAX,
                            .edited_at = {INT64_MIN},
                            .values = values};
    struct gone gone = {GONE_LEFT, WORK, ID_MAX, INT64_MAX};
    struct bench bench;

    (void)state;
    bench_begin(&bench);
    assert_int_equal(rows_write(&CATALOG, &row, 1, &bench.writer, &bench.problem), RESULT_OK);
    assert_true(writer_size(&bench.writer) <= row_size_max(&row) + LIST_SIZE_MAX + BLOCK_SIZE_MAX);
    bench_end(&bench);
    bench_begin(&bench);
    assert_int_equal(changes_write(&CATALOG, &change, 1, &bench.writer, &bench.problem), RESULT_OK);
    assert_true(writer_size(&bench.writer) <=
                change_size_max(&change) + LIST_SIZE_MAX + BLOCK_SIZE_MAX);
    bench_end(&bench);
    bench_begin(&bench);
    assert_int_equal(gone_write(&gone, 1, &bench.writer, &bench.problem), RESULT_OK);
    assert_true(writer_size(&bench.writer) <= GONE_SIZE_MAX + LIST_SIZE_MAX + BLOCK_SIZE_MAX);
    bench_end(&bench);
}

/* --- budgets ---------------------------------------------------------------------------------- */

/* Words of a service log, the common ones often: a square makes them so. */
static struct bytes note(struct bench *bench, struct prng *prng, size_t size)
{
    static const char *const WORDS[] = {
        "the",      "and",      "replaced", "pump",       "filter",  "was",       "checked",
        "customer", "pressure", "valve",    "leaking",    "after",   "restart",   "no",
        "error",    "display",  "shows",    "compressor", "ordered", "part",      "again",
        "Tuesday",  "operator", "noise",    "bearing",    "cleaned", "sensor",    "temperature",
        "adjusted", "belt",     "worn",     "door",       "lock",    "motor",     "inverter",
        "firmware", "updated",  "cabinet",  "fuse",       "tested",  "satisfied", "follow",
        "visit",    "needed",   "gasket",   "corroded",   "contact", "relay",     "gear",
        "oil"};
    size_t word_count = sizeof WORDS / sizeof WORDS[0];
    uint8_t *text = arena_alloc(&bench->arena, size + 16);
    size_t used = 0;

    assert_non_null(text);
    while (used < size) {
        double at = (double)prng_below(prng, 1000) / 1000;
        const char *word = WORDS[(size_t)(at * at * (double)word_count)];

        if (prng_below(prng, 8) == 0)
            used +=
                (size_t)snprintf((char *)text + used, 8, "%u ", (unsigned)prng_below(prng, 9999));
        else
            used += (size_t)snprintf((char *)text + used, 16, "%s ", word);
    }
    return bytes_of(text, size);
}

static size_t deflated_size(const struct buffer *body, int level)
{
    uLongf size = compressBound((uLong)body->size);
    uint8_t *packed = test_malloc(size);

    assert_int_equal(compress2(packed, &size, body->data, (uLong)body->size, level), Z_OK);
    test_free(packed);
    return size;
}

static void four_thousand_changes_of_100_characters_fit_220_kb(void **state)
{
    struct bench bench;
    struct prng prng;
    struct change *changes = NULL;

    (void)state;
    bench_begin(&bench);
    prng_init(&prng, 1);
    changes = arena_array(&bench.arena, 4000, sizeof *changes);
    for (size_t i = 0; i < 4000; i++) {
        struct value *values = arena_array(&bench.arena, 4, sizeof *values);

        assert_non_null(values);
        values[1] = value_text(note(&bench, &prng, 20));
        values[2] = value_text(note(&bench, &prng, 60 + prng_below(&prng, 80)));
        changes[i] = (struct change){
            .lcn = 5000 + (int64_t)i,
            .table_no = SITE,
            .op = i % 4 == 0 ? CHANGE_UPDATE : CHANGE_INSERT,
            .row_id = id_of(7, 5000 + (int64_t)i),
            .mask = i % 4 == 0 ? 4 : 6,
            .base_seq = 812000 + (int64_t)(i / 100),
            .edited_at = {1764000000000000 + (int64_t)(i * 37000000 + prng_below(&prng, 1000000))},
            .values = values,
        };
    }
    assert_int_equal(changes_write(&CATALOG, changes, 4000, &bench.writer, &bench.problem),
                     RESULT_OK);
    print_message("4,000 changes: %zu bytes, %zu at zlib-6\n", bench.body.size,
                  deflated_size(&bench.body, 6));
    assert_true(deflated_size(&bench.body, 6) <= 220 * 1000);
    bench_end(&bench);
}

static void a_snapshot_of_100_000_rows_fits_7_mb(void **state)
{
    struct bench bench;
    struct prng prng;
    struct row_image *rows = NULL;
    size_t packed = 0;
    size_t plain = 0;

    (void)state;
    bench_begin(&bench);
    prng_init(&prng, 2);
    rows = arena_array(&bench.arena, 100000, sizeof *rows);
    for (size_t i = 0; i < 100000; i++) {
        struct value *values = arena_array(&bench.arena, 4, sizeof *values);

        assert_non_null(values);
        values[1] = value_text(note(&bench, &prng, 20));
        values[2] = value_text(note(&bench, &prng, 60 + prng_below(&prng, 80)));
        values[3] = value_real(47.0 + (double)prng_below(&prng, 1000000) / 1e6);
        rows[i] =
            (struct row_image){SITE, id_of(7, 1 + (int64_t)i),
                               1 + (int64_t)i * 2 + (int64_t)prng_below(&prng, 2), 0xe, values};
    }
    for (size_t i = 0; i < 100000; i += 5000) { /* pages of a body each */
        struct row_image *received = NULL;
        size_t count = 0;

        buffer_reset(&bench.body);
        writer_init(&bench.writer, &bench.body);
        assert_int_equal(send_rows(&bench, rows + i, 5000, &received, &count), RESULT_OK);
        assert_int_equal(count, 5000);
        for (size_t row = 0; row < count; row++)
            assert_true(received[row].row_id == rows[i + row].row_id &&
                        received[row].seq == rows[i + row].seq &&
                        value_equal(&received[row].values[2], &rows[i + row].values[2]));
        packed += deflated_size(&bench.body, 1);
        plain += bench.body.size;
    }
    print_message("100,000 rows: %zu bytes, %zu at zlib-1\n", plain, packed);
    assert_true(packed <= 7 * 1000 * 1000);
    bench_end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_real_stays_a_real_and_an_integer_in_a_real_column_becomes_one),
        cmocka_unit_test(a_value_of_another_type_than_its_column_is_refused),
        cmocka_unit_test(what_the_catalog_does_not_know_is_refused_and_what_breaks_it_malformed),
        cmocka_unit_test(a_columnar_bomb_takes_no_memory),
        cmocka_unit_test(a_table_of_62_columns_goes_through_whole_and_in_part),
        cmocka_unit_test(no_item_is_larger_than_its_size_says),
        cmocka_unit_test(four_thousand_changes_of_100_characters_fit_220_kb),
        cmocka_unit_test(a_snapshot_of_100_000_rows_fits_7_mb),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
