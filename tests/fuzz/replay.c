/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c: runs inputs through a fuzz target without a fuzzer, so that ordinary tests keep the
 * corpus true.
 *
 *     PROGRAM FILE-OR-FOLDER...
 *
 * Each file is one input; of a folder all files in it. An input that fails ends the program, as it
 * would end the fuzzer. No input at all is a failure too: then nothing was tested. */
#define _POSIX_C_SOURCE 200809L
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { INPUT_SIZE_MAX = 4 * 1024 * 1024, PATH_SIZE = 4096 };

/* In memory of exactly its size, so that the sanitizer sees a read behind the end. */
static size_t replay_file(const char *path)
{
    static uint8_t room[INPUT_SIZE_MAX];
    FILE *file = fopen(path, "rb");
    size_t size = 0;
    uint8_t *input = NULL;

    if (file == NULL) {
        perror(path);
        exit(1);
    }
    size = fread(room, 1, sizeof room, file);
    (void)fclose(file);
    input = malloc(size + (size == 0));
    invariant(input != NULL);
    memcpy(input, room, size);
    (void)fprintf(stderr, "%s: %zu bytes\n", path, size);
    (void)LLVMFuzzerTestOneInput(input, size);
    free(input);
    return 1;
}

static size_t replay_folder(const char *path)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, NULL, alphasort);
    size_t replayed = 0;

    for (int i = 0; i < count; i++) {
        char name[PATH_SIZE];

        (void)snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            replayed += replay_file(name);
        free(entries[i]);
    }
    free(entries);
    return replayed;
}

int main(int argc, char **argv)
{
    size_t replayed = 0;

    for (int i = 1; i < argc; i++) {
        struct stat status;

        if (stat(argv[i], &status) != 0) {
            perror(argv[i]);
            return 1;
        }
        replayed += S_ISDIR(status.st_mode) ? replay_folder(argv[i]) : replay_file(argv[i]);
    }
    (void)printf("%zu inputs\n", replayed);
    return replayed > 0 ? 0 : 1;
}
