/* SPDX-License-Identifier: Apache-2.0 */
/* What a backup says of itself. */
#include "server/cli/manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct file_content DATABASE = {{1, 2, 3}, 4096};

struct pages {
    struct buffer text;
    struct arena arena;
    struct problem problem;
};

static int create(void **state)
{
    static struct pages pages;

    pages = (struct pages){0};
    arena_init(&pages.arena, 1 << 20);
    buffer_init(&pages.text, 1 << 20);
    assert_int_equal(manifest_begin(&pages.text, (struct wall_time){1772438400000000}, 812,
                                    &DATABASE, &pages.problem),
                     RESULT_OK);
    for (int i = 0; i < 3; i++) {
        const struct file_content blob = {{(uint8_t)i, 9}, 100 + i};

        assert_int_equal(manifest_add_blob(&pages.text, &blob, &pages.problem), RESULT_OK);
    }
    assert_int_equal(manifest_add_damaged(&pages.text, DATABASE.hash, &pages.problem), RESULT_OK);
    assert_int_equal(manifest_end(&pages.text, &pages.problem), RESULT_OK);
    *state = &pages;
    return 0;
}

static int destroy(void **state)
{
    struct pages *pages = *state;

    buffer_done(&pages->text);
    arena_done(&pages->arena);
    return 0;
}

static enum result decode(struct pages *pages, size_t size, struct manifest *ret_manifest)
{
    arena_reset(&pages->arena);
    return manifest_decode(bytes_of(pages->text.data, size), &pages->arena, ret_manifest,
                           &pages->problem);
}

static void what_is_written_is_read(void **state)
{
    struct pages *pages = *state;
    struct manifest manifest = {0};

    assert_int_equal(decode(pages, pages->text.size, &manifest), RESULT_OK);
    assert_int_equal(manifest.made_at.us, 1772438400000000);
    assert_int_equal(manifest.seq, 812);
    assert_int_equal(manifest.database.size, 4096);
    assert_memory_equal(manifest.database.hash, DATABASE.hash, FILE_HASH_SIZE);
    assert_int_equal(manifest.blob_count, 3);
    assert_int_equal(manifest.blobs[2].size, 102);
    assert_int_equal(manifest.blobs[2].hash[0], 2);
    assert_int_equal(manifest.damaged_count, 1);
}

/* A backup whose writing was cut off at any byte is none. */
static void one_that_was_cut_off_anywhere_is_refused(void **state)
{
    struct pages *pages = *state;
    struct manifest manifest = {0};

    for (size_t size = 0; size < pages->text.size; size++)
        assert_int_equal(decode(pages, size, &manifest), RESULT_REFUSED);
}

static void one_with_any_changed_byte_is_refused(void **state)
{
    struct pages *pages = *state;
    struct manifest manifest = {0};

    for (size_t i = 0; i < pages->text.size; i++) {
        pages->text.data[i] ^= 1;
        assert_int_equal(decode(pages, pages->text.size, &manifest), RESULT_REFUSED);
        pages->text.data[i] ^= 1;
    }
    assert_int_equal(decode(pages, pages->text.size, &manifest), RESULT_OK);
}

static void another_text_with_a_right_end_is_refused(void **state)
{
    static const char OTHER[] = "fieldsync backup 2\nmade_at 1\n";
    struct pages *pages = *state;
    struct manifest manifest = {0};

    buffer_reset(&pages->text);
    assert_int_equal(buffer_append(&pages->text, OTHER, sizeof OTHER - 1, &pages->problem),
                     RESULT_OK);
    assert_int_equal(manifest_end(&pages->text, &pages->problem), RESULT_OK);
    assert_int_equal(decode(pages, pages->text.size, &manifest), RESULT_REFUSED);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, create, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(what_is_written_is_read),
        STORY(one_that_was_cut_off_anywhere_is_refused),
        STORY(one_with_any_changed_byte_is_refused),
        STORY(another_text_with_a_right_end_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
