/* SPDX-License-Identifier: Apache-2.0 */
/* Files copied and hashed in pieces. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "edge/file_copy.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIZE = 3 * 1024 * 1024 + 17 }; /* several pieces and a rest */

struct place {
    char folder[40];
    char from[64];
    char to[64];
    uint8_t *bytes;
};

static int create(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    FILE *file = NULL;

    if (place == NULL)
        return -1;
    memcpy(place->folder, "/tmp/fieldsync-copy-XXXXXX", 27);
    if (mkdtemp(place->folder) == NULL)
        return -1;
    (void)snprintf(place->from, sizeof place->from, "%s/from", place->folder);
    (void)snprintf(place->to, sizeof place->to, "%s/to", place->folder);
    place->bytes = malloc(SIZE);
    if (place->bytes == NULL)
        return -1;
    for (size_t i = 0; i < SIZE; i++)
        place->bytes[i] = (uint8_t)(i * 7 + i / 4096);
    file = fopen(place->from, "wb");
    if (file == NULL || fwrite(place->bytes, 1, SIZE, file) != SIZE || fclose(file) != 0)
        return -1;
    *state = place;
    return 0;
}

static int destroy(void **state)
{
    struct place *place = *state;

    (void)remove(place->from);
    (void)remove(place->to);
    (void)rmdir(place->folder);
    free(place->bytes);
    free(place);
    return 0;
}

static void a_copy_has_the_content_and_is_private(void **state)
{
    struct place *place = *state;
    struct file_content copied = {0};
    struct file_content found = {0};
    struct problem problem = {0};
    struct stat status;
    uint8_t hash[FILE_HASH_SIZE];

    (void)crypto_generichash(hash, sizeof hash, place->bytes, SIZE, NULL, 0);
    assert_int_equal(file_copy(place->from, place->to, &copied, &problem), RESULT_OK);
    assert_int_equal(copied.size, SIZE);
    assert_memory_equal(copied.hash, hash, sizeof hash);
    assert_int_equal(file_look(place->to, &found, &problem), RESULT_OK);
    assert_memory_equal(found.hash, hash, sizeof hash);
    assert_int_equal(stat(place->to, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(file_sync(place->to, &problem), RESULT_OK);
}

static void nothing_is_overwritten_and_no_folder_is_a_file(void **state)
{
    struct place *place = *state;
    struct file_content content = {0};
    struct problem problem = {0};

    assert_int_equal(file_copy(place->from, place->from, &content, &problem), RESULT_REFUSED);
    assert_int_equal(file_look(place->from, &content, &problem), RESULT_OK);
    assert_int_equal(content.size, SIZE);
    assert_int_equal(file_look(place->folder, &content, &problem), RESULT_REFUSED);
    assert_int_equal(file_copy(place->folder, place->to, &content, &problem), RESULT_REFUSED);
    assert_int_not_equal(access(place->to, F_OK), 0);
    assert_int_equal(file_look(place->to, &content, &problem), RESULT_REFUSED);
    assert_int_equal(file_sync(place->to, &problem), RESULT_REFUSED);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, create, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_copy_has_the_content_and_is_private),
        STORY(nothing_is_overwritten_and_no_folder_is_a_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
