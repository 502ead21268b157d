/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/files.h"
#include "server/cli/cli_commands.h"
#include "server/cli/manifest.h"
#include "server/service/upkeep.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A backup under way. What each device had delivered when it began is in it; once it is complete,
 * devices may forget that. */
struct backup {
    struct cli *cli;
    const char *folder;
    struct store_result replicas; /* replica_no, lcn_high */
    struct buffer manifest;
    struct buffer damaged; /* their hashes */
    int64_t size;
    size_t blob_count;
    size_t damaged_count;
};

static enum result note(struct work *work, void *context, struct problem *problem)
{
    const struct backup *backup = context;

    return upkeep_note_backup(work, &backup->replicas, problem);
}

/* ---- the database ---- */

static enum result copy_database(struct backup *backup, struct problem *problem)
{
    struct store_result seq = {0};
    struct file_content content = {0};
    char path[FILES_PATH_SIZE];
    enum result result = files_join(backup->folder, MANIFEST_DATABASE_NAME, path, problem);

    /* before the copy: what comes in meanwhile may be in it, what was there surely is */
    if (result == RESULT_OK)
        result = cli_query(backup->cli, "SELECT replica_no, lcn_high FROM fs_replica", NULL, 0,
                           &backup->replicas, problem);
    if (result == RESULT_OK)
        result = cli_query(backup->cli, "SELECT number FROM fs_state WHERE name='seq'", NULL, 0,
                           &seq, problem);
    if (result == RESULT_OK) /* ours alone, from its first byte on */
        result = files_write(path, (struct bytes){0}, 0600, problem);
    if (result == RESULT_OK)
        result = store_backup(master_store(backup->cli->master), path, problem);
    if (result == RESULT_OK)
        result = file_sync(path, problem);
    if (result == RESULT_OK)
        result = file_look(path, &content, problem);
    if (result == RESULT_OK)
        result = manifest_begin(&backup->manifest, backup->cli->now,
                                store_integer_at(&seq, 0, 0, 0), &content, problem);
    backup->size = content.size;
    return result;
}

/* ---- attachments ---- */

static bool is_hex(const char *name, size_t size)
{
    return strlen(name) == size && strspn(name, "0123456789abcdef") == size;
}

static enum result note_damaged(struct backup *backup, const uint8_t *hash, struct problem *problem)
{
    backup->damaged_count++;
    return buffer_append(&backup->damaged, hash, FILE_HASH_SIZE, problem);
}

static enum result copy_blob(struct backup *backup, const char *from, const char *hex,
                             const char *blobs, struct problem *problem)
{
    struct file_content content = {0};
    uint8_t hash[FILE_HASH_SIZE];
    char to[FILES_PATH_SIZE];
    char parent[FILES_PATH_SIZE];
    enum result result;

    if (!bytes_from_hex(hex, hash, sizeof hash))
        return RESULT_OK; /* somebody's own file */
    result = files_blob_path(blobs, hash, to, problem);
    if (result != RESULT_OK)
        return result;
    snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(to, '/') - to), to);
    result = files_make_folder(parent, problem);
    if (result == RESULT_OK)
        result = file_copy(from, to, &content, problem);
    if (result == RESULT_STORAGE)
        return note_damaged(backup, hash, problem);
    if (result != RESULT_OK)
        return result;
    if (memcmp(content.hash, hash, sizeof hash) != 0) {
        result = files_remove(to, problem);
        return result == RESULT_OK ? note_damaged(backup, hash, problem) : result;
    }
    backup->blob_count++;
    backup->size += content.size;
    return manifest_add_blob(&backup->manifest, &content, problem);
}

static enum result list(struct backup *backup, const char *folder, const char *const **ret_names,
                        size_t *ret_count, struct problem *problem)
{
    *ret_count = 0;
    if (access(folder, F_OK) != 0)
        return RESULT_OK;
    return files_list(folder, &backup->cli->arena, ret_names, ret_count, problem);
}

/* FROM/ab/cd, of which `head` is "abcd". */
static enum result copy_folder(struct backup *backup, const char *folder, const char *head,
                               const char *blobs, struct problem *problem)
{
    const char *const *names = NULL;
    size_t count = 0;
    enum result result = list(backup, folder, &names, &count, problem);

    for (size_t i = 0; i < count && result == RESULT_OK; i++) {
        char from[FILES_PATH_SIZE];
        char hex[2 * FILE_HASH_SIZE + 1];

        if (!is_hex(names[i], 2 * FILE_HASH_SIZE - 4))
            continue;
        snprintf(hex, sizeof hex, "%.4s%.60s", head, names[i]);
        result = files_join(folder, names[i], from, problem);
        if (result == RESULT_OK)
            result = copy_blob(backup, from, hex, blobs, problem);
    }
    return result;
}

static enum result copy_blobs(struct backup *backup, struct problem *problem)
{
    const char *source = backup->cli->host->blobs_path;
    char target[FILES_PATH_SIZE];
    const char *const *firsts = NULL;
    size_t first_count = 0;
    enum result result = files_join(backup->folder, MANIFEST_BLOBS_NAME, target, problem);

    if (result == RESULT_OK && source != NULL)
        result = list(backup, source, &firsts, &first_count, problem);
    for (size_t i = 0; i < first_count && result == RESULT_OK; i++) {
        char folder[FILES_PATH_SIZE];
        const char *const *seconds = NULL;
        size_t second_count = 0;

        if (!is_hex(firsts[i], 2))
            continue;
        result = files_join(source, firsts[i], folder, problem);
        if (result == RESULT_OK)
            result = list(backup, folder, &seconds, &second_count, problem);
        for (size_t k = 0; k < second_count && result == RESULT_OK; k++) {
            char deeper[FILES_PATH_SIZE];
            char head[5];

            if (!is_hex(seconds[k], 2))
                continue;
            snprintf(head, sizeof head, "%.2s%.2s", firsts[i], seconds[k]);
            result = files_join(folder, seconds[k], deeper, problem);
            if (result == RESULT_OK)
                result = copy_folder(backup, deeper, head, target, problem);
        }
    }
    return result;
}

/* ---- the whole ---- */

static enum result finish(struct backup *backup, struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    enum result result = files_join(backup->folder, MANIFEST_FILE_NAME, path, problem);

    for (size_t i = 0; i < backup->damaged_count && result == RESULT_OK; i++)
        result = manifest_add_damaged(&backup->manifest, backup->damaged.data + i * FILE_HASH_SIZE,
                                      problem);
    if (result == RESULT_OK)
        result = manifest_end(&backup->manifest, problem);
    if (result == RESULT_OK) /* with it the backup is complete */
        result = files_write(path, buffer_bytes(&backup->manifest), 0600, problem);
    if (result == RESULT_OK && backup->replicas.row_count > 0)
        result = cli_write(backup->cli, note, backup, problem);
    return result;
}

static enum result run_backup(struct cli *cli, struct problem *problem)
{
    struct backup backup = {.cli = cli, .folder = cli_argument(cli, 0)};
    enum result result = RESULT_OK;

    if (access(backup.folder, F_OK) == 0)
        return problem_set(problem, RESULT_REFUSED, "%s exists; a backup overwrites nothing",
                           backup.folder);
    buffer_init(&backup.manifest, MANIFEST_SIZE_MAX);
    buffer_init(&backup.damaged, MANIFEST_SIZE_MAX);
    result = files_make_folder(backup.folder, problem);
    if (result == RESULT_OK)
        result = copy_database(&backup, problem);
    if (result == RESULT_OK)
        result = copy_blobs(&backup, problem);
    if (result == RESULT_OK)
        result = finish(&backup, problem);
    if (result == RESULT_OK)
        result = cli_say(cli, problem,
                         "%s: complete and checked, %" PRId64 " KiB, %zu attachments.\n"
                         "Keys are not in it: keep a copy of keys/ in another place.\n",
                         backup.folder, backup.size / 1024, backup.blob_count);
    if (result == RESULT_OK && backup.damaged_count > 0)
        result = cli_say(cli, problem,
                         "warning: %zu attachments are damaged on this disk and are not in it\n",
                         backup.damaged_count);
    if (result != RESULT_OK)
        problem_add(problem, "the backup isn't complete and doesn't count; remove %s",
                    backup.folder);
    buffer_done(&backup.damaged);
    buffer_done(&backup.manifest);
    return result;
}

static const struct cli_action ACTIONS[] = {{NULL, "FOLDER", 1, 1, run_backup}};

const struct cli_family CLI_BACKUP = {
    .command = {"backup", "write a checked copy of database and attachments, while others work",
                "FOLDER", 1, 1, NULL, 0},
    .actions = ACTIONS,
    .action_count = 1,
};
