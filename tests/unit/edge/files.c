/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/files.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A new folder per test; removed whole afterwards. */
struct place {
    char folder[64];
    char path[FILES_PATH_SIZE]; /* of the last path_in */
};

static int place_create(void **state)
{
    struct place *place = calloc(1, sizeof *place);

    if (place == NULL)
        return -1;
    (void)snprintf(place->folder, sizeof place->folder, "/tmp/fieldsync-files-XXXXXX");
    *state = place;
    return mkdtemp(place->folder) == NULL ? -1 : 0;
}

static int place_destroy(void **state)
{
    struct place *place = *state;
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        execlp("rm", "rm", "-rf", "--", place->folder, (char *)NULL);
        _exit(1);
    }
    (void)waitpid(child, &status, 0);
    free(place);
    return status == 0 ? 0 : -1;
}

static const char *path_in(struct place *place, const char *name)
{
    struct problem problem = {0};

    assert_int_equal(files_join(place->folder, name, place->path, &problem), RESULT_OK);
    return place->path;
}

static void expect_contents(const char *path, const char *expected)
{
    struct buffer contents;
    struct problem problem = {0};

    buffer_init(&contents, 4096);
    assert_int_equal(files_read(path, &contents, &problem), RESULT_OK);
    assert_true(bytes_equal(buffer_bytes(&contents), bytes_of_text(expected)));
    buffer_done(&contents);
}

static size_t count_of_names(const char *folder)
{
    struct arena arena;
    struct problem problem = {0};
    const char *const *names = NULL;
    size_t count = 0;

    arena_init(&arena, 65536);
    assert_int_equal(files_list(folder, &arena, &names, &count, &problem), RESULT_OK);
    arena_done(&arena);
    return count;
}

static void written_file_replaces_the_old_one_whole_with_its_mode(void **state)
{
    struct place *place = *state;
    const char *path = path_in(place, "key");
    struct problem problem = {0};
    struct stat facts;

    assert_int_equal(files_write(path, bytes_of_text("a long first text"), 0644, &problem),
                     RESULT_OK);
    assert_int_equal(files_write(path, bytes_of_text("second"), 0600, &problem), RESULT_OK);
    expect_contents(path, "second");
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0600);
    assert_int_equal(count_of_names(place->folder), 1); /* no temporary file is left */
}

/* A full disk in small: the kernel refuses bytes past RLIMIT_FSIZE. */
static void failed_write_leaves_the_old_file_and_nothing_else(void **state)
{
    struct place *place = *state;
    const char *path = path_in(place, "state");
    struct problem problem = {0};
    struct rlimit before;
    struct rlimit small;
    uint8_t *much = calloc(1, 100000);
    enum result write_result;
    enum result append_result;

    assert_non_null(much);
    assert_int_equal(files_write(path, bytes_of_text("old"), 0600, &problem), RESULT_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 4096;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    write_result = files_write(path, bytes_of(much, 100000), 0600, &problem);
    append_result = files_append(path, bytes_of(much, 100000), 0600, &problem);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    free(much);
    assert_int_equal(write_result, RESULT_EXHAUSTED);
    assert_int_equal(append_result, RESULT_EXHAUSTED);
    assert_non_null(strstr(problem.text, path));
    expect_contents(path, "old");
    assert_int_equal(count_of_names(place->folder), 1);
}

static void file_larger_than_the_bound_is_refused_unread(void **state)
{
    struct place *place = *state;
    const char *path = path_in(place, "large");
    struct buffer contents;
    struct problem problem = {0};

    assert_int_equal(files_write(path, bytes_of_text("0123456789"), 0600, &problem), RESULT_OK);
    buffer_init(&contents, 9);
    assert_int_equal(files_read(path, &contents, &problem), RESULT_EXHAUSTED);
    assert_int_equal(contents.size, 0);
    buffer_done(&contents);
    buffer_init(&contents, 10);
    assert_int_equal(files_read(path, &contents, &problem), RESULT_OK);
    assert_int_equal(contents.size, 10);
    buffer_done(&contents);
}

static void missing_files_folders_and_pipes_are_no_files(void **state)
{
    struct place *place = *state;
    struct buffer contents;
    struct problem problem = {0};

    buffer_init(&contents, 100);
    assert_int_equal(files_read(path_in(place, "missing"), &contents, &problem), RESULT_REFUSED);
    assert_non_null(strstr(problem.text, "missing"));
    assert_int_equal(files_read(place->folder, &contents, &problem), RESULT_REFUSED);
    assert_int_equal(mkfifo(path_in(place, "pipe"), 0600), 0);
    assert_int_equal(files_read(place->path, &contents, &problem), RESULT_REFUSED);
    assert_false(files_exists(place->path));
    assert_int_equal(files_write(path_in(place, "none/file"), bytes_of_text("x"), 0600, &problem),
                     RESULT_REFUSED);
    buffer_done(&contents);
}

/* /proc says that its files have no bytes. */
static void file_that_claims_to_be_empty_is_read_to_its_end(void **state)
{
    struct buffer contents;
    struct problem problem = {0};

    (void)state;
    buffer_init(&contents, 65536);
    assert_int_equal(files_read("/proc/self/status", &contents, &problem), RESULT_OK);
    assert_true(contents.size > 100);
    buffer_done(&contents);
}

static void part_ends_at_the_end_of_the_file(void **state)
{
    struct place *place = *state;
    const char *path = path_in(place, "part");
    struct buffer contents;
    struct problem problem = {0};

    assert_int_equal(files_write(path, bytes_of_text("0123456789"), 0600, &problem), RESULT_OK);
    buffer_init(&contents, 100);
    assert_int_equal(files_read_part(path, 7, 50, &contents, &problem), RESULT_OK);
    assert_true(bytes_equal(buffer_bytes(&contents), bytes_of_text("789")));
    assert_int_equal(files_read_part(path, 10, 50, &contents, &problem), RESULT_OK);
    assert_int_equal(files_read_part(path, UINT64_MAX, 50, &contents, &problem), RESULT_OK);
    assert_int_equal(contents.size, 3);
    buffer_done(&contents);
}

static void appended_bytes_come_last_and_removed_files_are_gone(void **state)
{
    struct place *place = *state;
    const char *path = path_in(place, "audit");
    struct problem problem = {0};

    assert_int_equal(files_append(path, bytes_of_text("one\n"), 0600, &problem), RESULT_OK);
    assert_int_equal(files_append(path, bytes_of_text("two\n"), 0600, &problem), RESULT_OK);
    expect_contents(path, "one\ntwo\n");
    assert_int_equal(files_remove(path, &problem), RESULT_OK);
    assert_false(files_exists(path));
    assert_int_equal(files_remove(path, &problem), RESULT_OK); /* that it was gone is fine */
}

static void folders_are_made_private_with_their_parents(void **state)
{
    struct place *place = *state;
    struct problem problem = {0};
    struct stat facts;
    const char *path = path_in(place, "a//b/c/");

    assert_int_equal(files_make_folder(path, &problem), RESULT_OK);
    assert_int_equal(files_make_folder(path, &problem), RESULT_OK);
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0700);
    assert_int_equal(stat(path_in(place, "a"), &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0700);
    assert_int_equal(files_write(path_in(place, "file"), bytes_of_text(""), 0600, &problem),
                     RESULT_OK);
    assert_int_equal(files_make_folder(path_in(place, "file/below"), &problem), RESULT_REFUSED);
    assert_int_equal(files_make_folder(path_in(place, "file"), &problem), RESULT_REFUSED);
    assert_int_equal(files_make_folder("", &problem), RESULT_REFUSED);
}

static void listing_is_sorted_and_bounded(void **state)
{
    struct place *place = *state;
    struct problem problem = {0};
    struct arena arena;
    const char *const *names = NULL;
    size_t count = 0;

    assert_int_equal(files_write(path_in(place, "b"), bytes_of_text(""), 0600, &problem), 0);
    assert_int_equal(files_write(path_in(place, "a"), bytes_of_text(""), 0600, &problem), 0);
    assert_int_equal(files_write(path_in(place, ".c"), bytes_of_text(""), 0600, &problem), 0);
    arena_init(&arena, 4096);
    assert_int_equal(files_list(place->folder, &arena, &names, &count, &problem), RESULT_OK);
    assert_int_equal(count, 3);
    assert_string_equal(names[0], ".c");
    assert_string_equal(names[1], "a");
    assert_string_equal(names[2], "b");
    arena_done(&arena);
    arena_init(&arena, 8);
    assert_int_equal(files_list(place->folder, &arena, &names, &count, &problem), RESULT_EXHAUSTED);
    arena_done(&arena);
    assert_int_equal(files_list("/nowhere/at/all", &arena, &names, &count, &problem),
                     RESULT_REFUSED);
}

static void free_size_is_told_and_a_wrong_path_is_refused(void **state)
{
    struct place *place = *state;
    struct problem problem = {0};
    uint64_t size = 0;

    assert_int_equal(files_free_size(place->folder, &size, &problem), RESULT_OK);
    assert_true(size > 0);
    assert_int_equal(files_free_size("/nowhere", &size, &problem), RESULT_REFUSED);
}

static void overlong_path_is_refused_not_cut(void **state)
{
    char name[FILES_PATH_SIZE + 10];
    char joined[FILES_PATH_SIZE];
    struct problem problem = {0};

    (void)state;
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(files_join("/tmp", name, joined, &problem), RESULT_EXHAUSTED);
    assert_int_equal(files_write(name, bytes_of_text(""), 0600, &problem), RESULT_EXHAUSTED);
    assert_int_equal(files_make_folder(name, &problem), RESULT_EXHAUSTED);
}

/* In a child of its own: exit code 0 if it got the lock, 1 if it was told who has it. */
static int try_lock_elsewhere(const char *path, pid_t holder)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        struct files_lock lock;
        struct problem problem = {0};
        char expected[64];
        enum result result = files_lock_open(path, &lock, &problem);

        (void)snprintf(expected, sizeof expected, "process %ld already", (long)holder);
        _exit(result == RESULT_OK                                                  ? 0
              : result == RESULT_REFUSED && strstr(problem.text, expected) != NULL ? 1
                                                                                   : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void second_instance_is_refused_and_told_who_holds_the_lock(void **state)
{
    struct place *place = *state;
    const char *path = path_in(place, "lock");
    struct files_lock lock;
    struct problem problem = {0};

    assert_int_equal(files_lock_open(path, &lock, &problem), RESULT_OK);
    assert_int_equal(try_lock_elsewhere(path, getpid()), 1);
    files_lock_close(&lock);
    assert_true(files_exists(path));
    assert_int_equal(try_lock_elsewhere(path, getpid()), 0); /* a left-over file blocks nobody */
}

static void killed_holder_frees_the_lock(void **state)
{
    struct place *place = *state;
    const char *path = path_in(place, "lock");
    int ready[2];
    char byte = 0;
    pid_t child = 0;

    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        struct files_lock lock;
        struct problem problem = {0};

        if (files_lock_open(path, &lock, &problem) == RESULT_OK && write(ready[1], "x", 1) == 1)
            (void)pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(try_lock_elsewhere(path, child), 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(try_lock_elsewhere(path, child), 0);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

static const uint8_t HASH[FILES_BLOB_HASH_SIZE] = {0xab, 0xcd, 0xef, 0x01};

static void blob_resumes_at_its_byte_and_ends_under_its_hash(void **state)
{
    struct place *place = *state;
    struct files_partial partial;
    struct problem problem = {0};
    struct buffer contents;
    char path[FILES_PATH_SIZE];
    char expected[FILES_PATH_SIZE];

    assert_int_equal(files_partial_open(place->folder, HASH, &partial, &problem), RESULT_OK);
    assert_int_equal(partial.size, 0);
    assert_int_equal(files_partial_append(&partial, 0, bytes_of_text("hello "), &problem),
                     RESULT_OK);
    files_partial_pause(&partial);
    assert_int_equal(files_partial_open(place->folder, HASH, &partial, &problem), RESULT_OK);
    assert_int_equal(partial.size, 6);
    assert_int_equal(files_partial_append(&partial, 0, bytes_of_text("hello "), &problem),
                     RESULT_REFUSED);
    assert_int_equal(files_partial_append(&partial, 7, bytes_of_text("x"), &problem),
                     RESULT_REFUSED);
    assert_int_equal(files_partial_append(&partial, 6, bytes_of_text("world"), &problem),
                     RESULT_OK);
    buffer_init(&contents, 100);
    assert_int_equal(files_partial_read(&partial, 0, 100, &contents, &problem), RESULT_OK);
    assert_true(bytes_equal(buffer_bytes(&contents), bytes_of_text("hello world")));
    buffer_done(&contents);
    assert_int_equal(files_blob_path(place->folder, HASH, path, &problem), RESULT_OK);
    assert_false(files_exists(path));
    assert_int_equal(files_partial_finish(&partial, &problem), RESULT_OK);
    (void)snprintf(expected, sizeof expected, "%s/ab/cd/ef01%056d", place->folder, 0);
    assert_string_equal(path, expected);
    expect_contents(path, "hello world");
    assert_int_equal(count_of_names(path_in(place, "partial")), 0);
}

static void blob_has_one_receiver_and_a_dropped_one_starts_again(void **state)
{
    struct place *place = *state;
    struct files_partial first;
    struct files_partial second;
    struct problem problem = {0};

    assert_int_equal(files_partial_open(place->folder, HASH, &first, &problem), RESULT_OK);
    assert_int_equal(files_partial_append(&first, 0, bytes_of_text("wrong"), &problem), RESULT_OK);
    assert_int_equal(files_partial_open(place->folder, HASH, &second, &problem), RESULT_REFUSED);
    assert_int_equal(files_partial_drop(&first, &problem), RESULT_OK);
    assert_int_equal(files_partial_open(place->folder, HASH, &second, &problem), RESULT_OK);
    assert_int_equal(second.size, 0);
    files_partial_pause(&second);
}

#define TEST_AT_PLACE(test) cmocka_unit_test_setup_teardown(test, place_create, place_destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_AT_PLACE(written_file_replaces_the_old_one_whole_with_its_mode),
        TEST_AT_PLACE(failed_write_leaves_the_old_file_and_nothing_else),
        TEST_AT_PLACE(file_larger_than_the_bound_is_refused_unread),
        TEST_AT_PLACE(missing_files_folders_and_pipes_are_no_files),
        cmocka_unit_test(file_that_claims_to_be_empty_is_read_to_its_end),
        TEST_AT_PLACE(part_ends_at_the_end_of_the_file),
        TEST_AT_PLACE(appended_bytes_come_last_and_removed_files_are_gone),
        TEST_AT_PLACE(folders_are_made_private_with_their_parents),
        TEST_AT_PLACE(listing_is_sorted_and_bounded),
        TEST_AT_PLACE(free_size_is_told_and_a_wrong_path_is_refused),
        cmocka_unit_test(overlong_path_is_refused_not_cut),
        TEST_AT_PLACE(second_instance_is_refused_and_told_who_holds_the_lock),
        TEST_AT_PLACE(killed_holder_frees_the_lock),
        TEST_AT_PLACE(blob_resumes_at_its_byte_and_ends_under_its_hash),
        TEST_AT_PLACE(blob_has_one_receiver_and_a_dropped_one_starts_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
