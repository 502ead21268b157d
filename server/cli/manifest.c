/* SPDX-License-Identifier: Apache-2.0 */
#include "server/cli/manifest.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEX_SIZE = 2 * FILE_HASH_SIZE, LINE_SIZE_MAX = 200 };

static const char TITLE[] = "fieldsync backup 1\n";

/* ---- writing ---- */

static enum result add(struct buffer *text, const char *line, int size, struct problem *problem)
{
    return buffer_append(text, line, (size_t)size, problem);
}

static enum result add_content(struct buffer *text, const char *word,
                               const struct file_content *content, struct problem *problem)
{
    char hex[HEX_SIZE + 1];
    char line[LINE_SIZE_MAX];

    bytes_to_hex(bytes_of(content->hash, sizeof content->hash), hex);
    return add(text, line,
               snprintf(line, sizeof line, "%s %s %" PRId64 "\n", word, hex, content->size),
               problem);
}

static enum result add_hash(struct buffer *text, const char *word,
                            const uint8_t hash[FILE_HASH_SIZE], struct problem *problem)
{
    char hex[HEX_SIZE + 1];
    char line[LINE_SIZE_MAX];

    bytes_to_hex(bytes_of(hash, FILE_HASH_SIZE), hex);
    return add(text, line, snprintf(line, sizeof line, "%s %s\n", word, hex), problem);
}

enum result manifest_begin(struct buffer *text, struct wall_time made_at, int64_t seq,
                           const struct file_content *database, struct problem *problem)
{
    char line[LINE_SIZE_MAX];
    enum result result = buffer_append(text, TITLE, sizeof TITLE - 1, problem);

    if (result == RESULT_OK)
        result = add(
            text, line,
            snprintf(line, sizeof line, "made_at %" PRId64 "\nseq %" PRId64 "\n", made_at.us, seq),
            problem);
    return result == RESULT_OK ? add_content(text, "database", database, problem) : result;
}

enum result manifest_add_blob(struct buffer *text, const struct file_content *blob,
                              struct problem *problem)
{
    return add_content(text, "blob", blob, problem);
}

enum result manifest_add_damaged(struct buffer *text, const uint8_t hash[FILE_HASH_SIZE],
                                 struct problem *problem)
{
    return add_hash(text, "damaged", hash, problem);
}

enum result manifest_end(struct buffer *text, struct problem *problem)
{
    uint8_t hash[FILE_HASH_SIZE];

    (void)crypto_generichash(hash, sizeof hash, text->data, text->size, NULL, 0);
    return add_hash(text, "end", hash, problem);
}

/* ---- reading ---- */

struct scan {
    const char *at;
    const char *end;
    bool is_wrong;
};

static bool take_word(struct scan *scan, const char *word)
{
    size_t size = strlen(word);

    if ((size_t)(scan->end - scan->at) < size || memcmp(scan->at, word, size) != 0)
        return false;
    scan->at += size;
    return true;
}

static int64_t take_number(struct scan *scan)
{
    int64_t number = 0;
    const char *from = scan->at;

    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9' &&
           number < INT64_MAX / 10 - 1)
        number = number * 10 + (*scan->at++ - '0');
    scan->is_wrong |= scan->at == from;
    return number;
}

static void take_hash(struct scan *scan, uint8_t ret_hash[FILE_HASH_SIZE])
{
    char hex[HEX_SIZE + 1] = {0};

    if (scan->end - scan->at < HEX_SIZE) {
        scan->is_wrong = true;
        return;
    }
    memcpy(hex, scan->at, HEX_SIZE);
    scan->at += HEX_SIZE;
    scan->is_wrong |= !bytes_from_hex(hex, ret_hash, FILE_HASH_SIZE);
}

static void take_content(struct scan *scan, struct file_content *ret_content)
{
    take_hash(scan, ret_content->hash);
    scan->is_wrong |= !take_word(scan, " ");
    ret_content->size = take_number(scan);
    scan->is_wrong |= !take_word(scan, "\n");
}

static size_t count_lines(struct bytes text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.size; i++)
        count += text.data[i] == '\n';
    return count;
}

/* Is the last line the hash of all before it? Looked at first: nothing of a text that was cut off
 * or changed is to be believed. */
static bool is_whole(struct bytes text)
{
    uint8_t hash[FILE_HASH_SIZE];
    uint8_t said[FILE_HASH_SIZE] = {0};
    size_t end_size = strlen("end ") + HEX_SIZE + 1;
    struct scan scan;

    if (text.size < end_size)
        return false;
    scan = (struct scan){(const char *)text.data + text.size - end_size,
                         (const char *)text.data + text.size, false};
    if (!take_word(&scan, "end "))
        return false;
    take_hash(&scan, said);
    (void)crypto_generichash(hash, sizeof hash, text.data, text.size - end_size, NULL, 0);
    return !scan.is_wrong && take_word(&scan, "\n") && memcmp(hash, said, sizeof hash) == 0;
}

static void take_head(struct scan *scan, struct manifest *manifest)
{
    scan->is_wrong |= !take_word(scan, TITLE);
    scan->is_wrong |= !take_word(scan, "made_at ");
    manifest->made_at.us = take_number(scan);
    scan->is_wrong |= !take_word(scan, "\nseq ");
    manifest->seq = take_number(scan);
    scan->is_wrong |= !take_word(scan, "\ndatabase ");
    take_content(scan, &manifest->database);
}

enum result manifest_decode(struct bytes text, struct arena *arena, struct manifest *ret_manifest,
                            struct problem *problem)
{
    struct manifest manifest = {0};
    struct scan scan = {(const char *)text.data, (const char *)text.data + text.size, false};
    uint8_t damaged[FILE_HASH_SIZE];

    if (text.size == 0 || !is_whole(text))
        return problem_set(problem, RESULT_REFUSED,
                           "the manifest is cut off or was changed: this backup isn't complete");
    manifest.blobs = arena_array(arena, count_lines(text), sizeof *manifest.blobs);
    if (manifest.blobs == NULL)
        return arena_full(arena, problem);
    take_head(&scan, &manifest);
    while (!scan.is_wrong && take_word(&scan, "blob "))
        take_content(&scan, &manifest.blobs[manifest.blob_count++]);
    while (!scan.is_wrong && take_word(&scan, "damaged ")) {
        take_hash(&scan, damaged);
        scan.is_wrong |= !take_word(&scan, "\n");
        manifest.damaged_count++;
    }
    if (scan.is_wrong || !take_word(&scan, "end "))
        return problem_set(problem, RESULT_REFUSED,
                           "the manifest is of a version that this program doesn't know");
    *ret_manifest = manifest;
    return RESULT_OK;
}
