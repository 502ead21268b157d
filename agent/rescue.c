/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rescue.h"

#include "agent/cli/state_file.h"
#include "agent/open.h"
#include "agent/rescue_report.h"
#include "edge/files.h"
#include "edge/replace.h"

#include <stdio.h>
#include <string.h>

enum {
    PIECE_SIZE = 1 << 20,
    BAD_PAGES_MAX = 1 << 20, /* in a row: that is no disk any more */
    STAMP_SIZE = 20,
};

struct places {
    char replica[FILES_PATH_SIZE], copy[FILES_PATH_SIZE], fresh[FILES_PATH_SIZE];
    char rescued[FILES_PATH_SIZE], damaged[FILES_PATH_SIZE], report[FILES_PATH_SIZE];
};

/* What lies beside a file: logs first, since they belong to the one that goes. */
static const char *const LOGS[] = {"-wal", VAULT_LOG_SUFFIX, "-journal", VAULT_JOURNAL_SUFFIX};
enum { LOG_COUNT = sizeof LOGS / sizeof LOGS[0] };

static enum result path_beside(const char *path, const char *end, char ret_path[FILES_PATH_SIZE],
                               struct problem *problem)
{
    int size = snprintf(ret_path, FILES_PATH_SIZE, "%s%s", path, end);

    if (size < 0 || size >= FILES_PATH_SIZE)
        return problem_set(problem, RESULT_EXHAUSTED, "%s%s: the path is too long", path, end);
    return RESULT_OK;
}

static enum result remove_with_logs(const char *path, bool with_itself, struct problem *problem)
{
    char beside[FILES_PATH_SIZE];
    enum result result = path_beside(path, "-shm", beside, problem);

    if (result == RESULT_OK)
        result = files_remove(beside, problem);
    for (size_t i = 0; i < LOG_COUNT && result == RESULT_OK; i++) {
        result = path_beside(path, LOGS[i], beside, problem);
        if (result == RESULT_OK)
            result = files_remove(beside, problem);
    }
    return result == RESULT_OK && with_itself ? files_remove(path, problem) : result;
}

/* "20261129T121500" */
static void stamp_of(struct wall_time now, char ret_stamp[STAMP_SIZE])
{
    char text[WALL_TEXT_SIZE];
    size_t size = 0;

    wall_time_format(now, text);
    for (const char *at = text; *at != '\0' && *at != '.' && size + 1 < STAMP_SIZE; at++)
        if (*at != '-' && *at != ':' && *at != 'Z')
            ret_stamp[size++] = *at;
    ret_stamp[size] = '\0';
}

static enum result find_places(const char *data_folder, struct wall_time now,
                               struct rescue_said *said, struct places *places,
                               struct problem *problem)
{
    char stamp[STAMP_SIZE];
    const struct {
        const char *name;
        char *path;
    } names[] = {{REPLICA_FILE_NAME, places->replica},    {RESCUE_COPY_FILE_NAME, places->copy},
                 {RESCUE_FRESH_FILE_NAME, places->fresh}, {RESCUED_FILE_NAME, places->rescued},
                 {said->damaged, places->damaged},        {said->report, places->report}};
    enum result result = RESULT_OK;

    stamp_of(now, stamp);
    (void)snprintf(said->damaged, sizeof said->damaged, RESCUE_DAMAGED_FILE_NAME "%s", stamp);
    (void)snprintf(said->report, sizeof said->report, RESCUE_REPORT_FILE_NAME "%s.jsonl", stamp);
    for (size_t i = 0; i < sizeof names / sizeof names[0] && result == RESULT_OK; i++)
        result = files_join(data_folder, names[i].name, names[i].path, problem);
    return result;
}

/* ---- a copy to read ---------------------------------------------------------------------------
 */

/* A page that the disk doesn't give becomes zeros. */
static enum result copy_bad_piece(const char *from, const char *to, uint64_t *at, size_t size,
                                  struct buffer *piece, int64_t *bad_count, struct problem *problem)
{
    static const uint8_t ZEROS[VAULT_PAGE_SIZE] = {0};
    enum result result = RESULT_OK;

    for (size_t done = 0; done < size && result == RESULT_OK; done += sizeof ZEROS) {
        struct problem ignored = {0};

        buffer_reset(piece);
        result = files_read_part(from, *at, sizeof ZEROS, piece, &ignored);
        if (result == RESULT_OK && piece->size == 0)
            return RESULT_OK; /* the end */
        *bad_count = result == RESULT_STORAGE ? *bad_count + 1 : 0;
        if (*bad_count > BAD_PAGES_MAX)
            return problem_set(problem, RESULT_STORAGE, "%s", ignored.text);
        if (result == RESULT_STORAGE)
            result = buffer_append(piece, ZEROS, sizeof ZEROS, problem);
        if (result == RESULT_OK)
            result = files_append(to, buffer_bytes(piece), 0600, problem);
        *at += piece->size;
    }
    return result;
}

static enum result copy_readable(const char *from, const char *to, struct problem *problem)
{
    struct buffer piece;
    uint64_t at = 0;
    uint64_t before = 1;
    int64_t bad_count = 0;
    enum result result = RESULT_OK;

    buffer_init(&piece, 2 * PIECE_SIZE);
    while (result == RESULT_OK && at != before) {
        struct problem why = {0};

        before = at;
        buffer_reset(&piece);
        result = files_read_part(from, at, PIECE_SIZE, &piece, &why);
        if (result == RESULT_OK && piece.size > 0)
            result = files_append(to, buffer_bytes(&piece), 0600, problem);
        else if (result == RESULT_STORAGE)
            result = copy_bad_piece(from, to, &at, PIECE_SIZE, &piece, &bad_count, problem);
        else if (result != RESULT_OK)
            result = problem_set(problem, result, "%s", why.text);
        if (result == RESULT_OK && before == at)
            at += piece.size;
    }
    buffer_done(&piece);
    return result;
}

static enum result make_copy(const struct places *places, struct problem *problem)
{
    char from[FILES_PATH_SIZE];
    char to[FILES_PATH_SIZE];
    enum result result = remove_with_logs(places->copy, true, problem);

    if (result == RESULT_OK)
        result = copy_readable(places->replica, places->copy, problem);
    for (size_t i = 0; i < LOG_COUNT && result == RESULT_OK; i++) {
        result = path_beside(places->replica, LOGS[i], from, problem);
        if (result == RESULT_OK)
            result = path_beside(places->copy, LOGS[i], to, problem);
        if (result == RESULT_OK && files_exists(from))
            result = copy_readable(from, to, problem);
    }
    return result;
}

/* ---- the new one takes its place ----------------------------------------------------------------
 */

bool rescue_is_unfinished(const char *data_folder)
{
    char path[FILES_PATH_SIZE];
    struct problem ignored = {0};

    return files_join(data_folder, RESCUED_FILE_NAME, path, &ignored) == RESULT_OK &&
           files_exists(path);
}

/* One that was cut within the same second has done it already. */
static enum result keep(const char *path, const char *second_path, struct problem *problem)
{
    if (!files_exists(path) || replace_is_same(path, second_path))
        return RESULT_OK;
    return replace_keep(path, second_path, problem);
}

/* A second name for what is damaged, and its logs, before anything is taken away. */
static enum result keep_damaged(const struct places *places, struct problem *problem)
{
    char from[FILES_PATH_SIZE];
    char to[FILES_PATH_SIZE];
    enum result result = keep(places->replica, places->damaged, problem);

    for (size_t i = 0; i < LOG_COUNT && result == RESULT_OK; i++) {
        result = path_beside(places->replica, LOGS[i], from, problem);
        if (result == RESULT_OK)
            result = path_beside(places->damaged, LOGS[i], to, problem);
        if (result == RESULT_OK)
            result = keep(from, to, problem);
    }
    return result;
}

/* The log of the old file would be taken for the new one's: it goes first. */
static enum result take_place(const struct places *places, struct problem *problem)
{
    enum result result = remove_with_logs(places->replica, false, problem);

    return result == RESULT_OK ? replace_file(places->rescued, places->replica, problem) : result;
}

static enum result exchange(const struct places *places, struct problem *problem)
{
    enum result result = keep_damaged(places, problem);

    if (result == RESULT_OK)
        result = remove_with_logs(places->fresh, false, problem);
    if (result == RESULT_OK)
        result = replace_file(places->fresh, places->rescued, problem);
    return result == RESULT_OK ? take_place(places, problem) : result;
}

/* ---- the whole --------------------------------------------------------------------------------
 */

static enum result read_wreck(const char *data_folder, const struct keys *keys,
                              const struct places *places, struct wall_time now,
                              struct arena *arena, struct rescue_outcome *outcome,
                              struct problem *problem)
{
    struct open_options open = {0};
    enum vault_look look = vault_look(places->copy);
    struct rescue_options options = {.damaged = places->copy, .fresh = &open.replica, .now = now};
    bool is_encrypted = look == VAULT_LOOK_SEALED || keys_have_replica_file(data_folder);
    enum result result =
        open_prepare(data_folder, keys, places->fresh, is_encrypted, &open, problem);

    options.damaged_vault = open.replica.vault;
    if (result == RESULT_OK)
        result = replica_rescue(&options, arena, outcome, problem);
    open_done(&open);
    return result;
}

enum result rescue_folder(const char *data_folder, const struct keys *keys, struct wall_time now,
                          struct arena *arena, struct rescue_said *ret_said,
                          struct problem *problem)
{
    struct places places;
    struct rescue_said said = {0};
    struct problem ignored = {0};
    bool is_rebuilt = false;
    enum result result = find_places(data_folder, now, &said, &places, problem);

    if (result == RESULT_OK && rescue_is_unfinished(data_folder)) {
        said = (struct rescue_said){.was_unfinished = true};
        *ret_said = said;
        result = take_place(&places, problem);
        return result == RESULT_OK ? remove_with_logs(places.copy, true, problem) : result;
    }
    if (result == RESULT_OK && !files_exists(places.replica))
        result = problem_set(problem, RESULT_REFUSED, "there is no replica in %s", data_folder);
    if (result == RESULT_OK)
        result = remove_with_logs(places.fresh, true, problem);
    if (result == RESULT_OK)
        result = make_copy(&places, problem);
    if (result == RESULT_OK)
        result = read_wreck(data_folder, keys, &places, now, arena, &said.outcome, problem);
    is_rebuilt = !said.outcome.is_sound && !said.outcome.is_identity_lost;
    if (result == RESULT_OK && said.outcome.loss_count > 0)
        result = rescue_report_write(places.report, &said.outcome, problem);
    if (result == RESULT_OK && is_rebuilt)
        result = exchange(&places, problem);
    if (remove_with_logs(places.copy, true, &ignored) != RESULT_OK ||
        (!rescue_is_unfinished(data_folder) &&
         remove_with_logs(places.fresh, true, &ignored) != RESULT_OK))
        problem_add(problem, "%s", ignored.text); /* the next rescue removes it */
    if (!is_rebuilt)
        said.damaged[0] = '\0';
    if (said.outcome.loss_count == 0)
        said.report[0] = '\0';
    if (result == RESULT_OK)
        *ret_said = said;
    return result;
}
