/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "edge/blob_files.h"

#include "edge/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char TEXT[] = "what the photo of the pump shows";

struct place {
    char folder[64];
    struct blob_store *store;
    uint8_t hash[BLOB_STORE_HASH_SIZE];
    struct problem problem;
};

static int place_create(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    char folder[96];

    assert_non_null(place);
    assert_true(sodium_init() >= 0);
    (void)snprintf(place->folder, sizeof place->folder, "/tmp/fieldsync-blobs-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(folder, sizeof folder, "%s/blobs", place->folder);
    assert_int_equal(blob_files_create(folder, &place->store, &place->problem), RESULT_OK);
    (void)crypto_generichash(place->hash, sizeof place->hash, (const uint8_t *)TEXT, sizeof TEXT,
                             NULL, 0);
    *state = place;
    return 0;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

static int place_destroy(void **state)
{
    struct place *place = *state;

    blob_files_destroy(place->store);
    assert_int_equal(nftw(place->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(place);
    return 0;
}

static enum result append(struct place *place, int64_t offset, size_t size, bool is_last)
{
    return place->store->operations->append(
        place->store, place->hash, offset, bytes_of(TEXT + offset, size), is_last, &place->problem);
}

static void expect_status(struct place *place, int64_t size, bool is_whole)
{
    int64_t found_size = -1;
    bool found_whole = !is_whole;

    assert_int_equal(place->store->operations->status(place->store, place->hash, &found_size,
                                                      &found_whole, &place->problem),
                     RESULT_OK);
    assert_int_equal(found_size, size);
    assert_true(found_whole == is_whole);
}

static void unknown_blob_has_nothing(void **state)
{
    expect_status(*state, 0, false);
}

static void parts_grow_at_the_end_and_the_last_makes_it_whole(void **state)
{
    struct place *place = *state;
    uint8_t memory[64] = {0};
    size_t size = 0;

    assert_int_equal(append(place, 0, 10, false), RESULT_OK);
    expect_status(place, 10, false);
    assert_int_equal(append(place, 10, sizeof TEXT - 10, true), RESULT_OK);
    expect_status(place, sizeof TEXT, true);
    assert_int_equal(place->store->operations->read(place->store, place->hash, 5, memory,
                                                    sizeof memory, &size, &place->problem),
                     RESULT_OK);
    assert_int_equal(size, sizeof TEXT - 5);
    assert_memory_equal(memory, TEXT + 5, size);
}

static void part_at_another_place_is_refused_and_changes_nothing(void **state)
{
    struct place *place = *state;

    assert_int_equal(append(place, 0, 10, false), RESULT_OK);
    assert_int_equal(append(place, 12, 5, false), RESULT_REFUSED);
    assert_int_equal(append(place, 0, 10, false), RESULT_REFUSED);
    expect_status(place, 10, false);
}

static void wrong_content_is_refused_and_forgotten(void **state)
{
    struct place *place = *state;

    assert_int_equal(append(place, 0, 10, false), RESULT_OK);
    assert_int_equal(place->store->operations->append(place->store, place->hash, 10,
                                                      bytes_of("something else", 14), true,
                                                      &place->problem),
                     RESULT_REFUSED);
    expect_status(place, 0, false);
    assert_int_equal(append(place, 0, sizeof TEXT, true), RESULT_OK); /* and may come again */
    expect_status(place, sizeof TEXT, true);
}

static void partial_blob_survives_its_store(void **state)
{
    struct place *place = *state;
    char folder[96];

    assert_int_equal(append(place, 0, 10, false), RESULT_OK);
    blob_files_destroy(place->store);
    place->store = NULL;
    (void)snprintf(folder, sizeof folder, "%s/blobs", place->folder);
    assert_int_equal(blob_files_create(folder, &place->store, &place->problem), RESULT_OK);
    expect_status(place, 10, false);
}

static bool is_any_file(struct place *place)
{
    char command[128];

    (void)snprintf(command, sizeof command, "test -n \"$(find %s -type f)\"", place->folder);
    return system(command) == 0;
}

static void destroyed_blob_is_gone_whole_or_not(void **state)
{
    struct place *place = *state;
    struct blob_store *store = place->store;

    assert_int_equal(append(place, 0, 10, false), RESULT_OK);
    assert_int_equal(store->operations->destroy(store, place->hash, &place->problem), RESULT_OK);
    expect_status(place, 0, false);
    assert_int_equal(append(place, 0, sizeof TEXT, true), RESULT_OK);
    assert_int_equal(store->operations->destroy(store, place->hash, &place->problem), RESULT_OK);
    expect_status(place, 0, false);
    assert_false(is_any_file(place));
    assert_int_equal(store->operations->destroy(store, place->hash, &place->problem), RESULT_OK);
}

static void wiped_folder_has_no_file(void **state)
{
    struct place *place = *state;
    char folder[96];

    (void)snprintf(folder, sizeof folder, "%s/nothing", place->folder);
    assert_int_equal(blob_files_wipe(folder, &place->problem), RESULT_OK);
    (void)snprintf(folder, sizeof folder, "%s/blobs", place->folder);
    assert_int_equal(append(place, 0, sizeof TEXT, true), RESULT_OK);
    place->hash[0] ^= 1;
    assert_int_equal(append(place, 0, 10, false), RESULT_OK);
    assert_true(is_any_file(place));
    assert_int_equal(blob_files_wipe(folder, &place->problem), RESULT_OK);
    assert_false(is_any_file(place));
}

#define AT_PLACE(test) cmocka_unit_test_setup_teardown(test, place_create, place_destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT_PLACE(unknown_blob_has_nothing),
        AT_PLACE(parts_grow_at_the_end_and_the_last_makes_it_whole),
        AT_PLACE(part_at_another_place_is_refused_and_changes_nothing),
        AT_PLACE(wrong_content_is_refused_and_forgotten),
        AT_PLACE(partial_blob_survives_its_store),
        AT_PLACE(destroyed_blob_is_gone_whole_or_not),
        AT_PLACE(wiped_folder_has_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
