/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/writer.h"

#include "protocol/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

static void write_one_of_each(struct writer *writer)
{
    writer_array(writer, 8);
    writer_nil(writer);
    writer_bool(writer, true);
    writer_bool(writer, false);
    writer_int64(writer, INT64_MIN);
    writer_real(writer, 1.5);
    writer_text(writer, bytes_of_text("M\xc3\xbcller"));
    writer_blob(writer, bytes_of("\0\1", 2));
    writer_raw(writer, bytes_of("\x91\x05", 2));
}

static void what_is_written_is_read_back(void **state)
{
    struct buffer buffer;
    struct writer writer;
    struct problem problem = {0};
    struct reader reader;

    (void)state;
    buffer_init(&buffer, 1000);
    writer_init(&writer, &buffer);
    write_one_of_each(&writer);
    assert_int_equal(writer_size(&writer), buffer.size);
    assert_int_equal(writer_finish(&writer, &problem), RESULT_OK);
    reader = reader_over(buffer_bytes(&buffer));
    assert_int_equal(reader_array(&reader, 8), 8);
    reader_nil(&reader);
    assert_true(reader_bool(&reader));
    assert_false(reader_bool(&reader));
    assert_int_equal(reader_int64(&reader, INT64_MIN, 0), INT64_MIN);
    assert_true(reader_real(&reader) == 1.5);
    assert_true(bytes_equal(reader_text(&reader, 7), bytes_of_text("M\xc3\xbcller")));
    assert_true(bytes_equal(reader_blob(&reader, 2), bytes_of("\0\1", 2)));
    assert_int_equal(reader_array(&reader, 1), 1);
    assert_int_equal(reader_int64(&reader, 5, 5), 5);
    assert_int_equal(reader_finish(&reader, &problem), RESULT_OK);
    buffer_done(&buffer);
}

static void integers_take_the_shortest_form(void **state)
{
    static const struct {
        int64_t value;
        size_t size;
    } SIZES[] = {{0, 1},      {127, 1},       {128, 2},        {255, 2},       {256, 3},
                 {65535, 3},  {65536, 5},     {UINT32_MAX, 5}, {1LL << 32, 9}, {-1, 1},
                 {-32, 1},    {-33, 2},       {-128, 2},       {-129, 3},      {-32768, 3},
                 {-32769, 5}, {INT32_MIN, 5}, {INT64_MIN, 9},  {INT64_MAX, 9}};
    struct buffer buffer;
    struct problem problem = {0};

    (void)state;
    buffer_init(&buffer, 16);
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        struct writer writer;
        struct reader reader;

        buffer_reset(&buffer);
        writer_init(&writer, &buffer);
        writer_int64(&writer, SIZES[i].value);
        assert_int_equal(writer_finish(&writer, &problem), RESULT_OK);
        assert_int_equal(buffer.size, SIZES[i].size);
        reader = reader_over(buffer_bytes(&buffer));
        assert_int_equal(reader_int64(&reader, INT64_MIN, INT64_MAX), SIZES[i].value);
    }
    buffer_done(&buffer);
}

static void wherever_the_buffer_ends_nothing_is_left_of_the_message(void **state)
{
    struct problem problem = {0};
    size_t size_max = 0;

    (void)state;
    for (;; size_max++) {
        struct buffer buffer;
        struct writer writer;
        enum result result;

        buffer_init(&buffer, size_max + 1);
        assert_int_equal(buffer_append(&buffer, "!", 1, &problem), RESULT_OK);
        writer_init(&writer, &buffer);
        write_one_of_each(&writer);
        result = writer_finish(&writer, &problem);
        if (result != RESULT_OK) {
            assert_int_equal(result, RESULT_EXHAUSTED);
            assert_int_equal(buffer.size, 1);
            assert_int_equal(writer_size(&writer), 0);
        }
        buffer_done(&buffer);
        if (result == RESULT_OK)
            break;
    }
    assert_int_equal(size_max, 1 + 1 + 1 + 1 + 9 + 9 + 8 + 4 + 2);
}

static void what_no_reader_would_take_is_not_written(void **state)
{
    struct buffer buffer;
    struct writer writer;
    struct problem problem = {0};

    (void)state;
    buffer_init(&buffer, 100);
    writer_init(&writer, &buffer);
    writer_int64(&writer, 1);
    writer_text(&writer, bytes_of("a\0b", 3));
    writer_int64(&writer, 2);
    assert_int_equal(writer_finish(&writer, &problem), RESULT_REFUSED);
    assert_string_equal(problem.text, "text of 3 bytes is not UTF-8 or holds NUL");
    assert_int_equal(buffer.size, 0);
    writer_init(&writer, &buffer);
    writer_real(&writer, (double)NAN);
    assert_int_equal(writer_finish(&writer, &problem), RESULT_REFUSED);
    writer_init(&writer, &buffer);
    writer_real(&writer, -(double)INFINITY);
    assert_int_equal(writer_finish(&writer, &problem), RESULT_REFUSED);
    writer_init(&writer, &buffer);
    writer_array(&writer, (size_t)UINT32_MAX + 1);
    assert_int_equal(writer_finish(&writer, &problem), RESULT_REFUSED);
    assert_int_equal(buffer.size, 0);
    buffer_done(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(integers_take_the_shortest_form),
        cmocka_unit_test(wherever_the_buffer_ends_nothing_is_left_of_the_message),
        cmocka_unit_test(what_no_reader_would_take_is_not_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
