/* SPDX-License-Identifier: Apache-2.0 */
#include "base/invariant.h"
#include "server/service/audit_inside.h"
#include "server/service/rows.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { DETAIL_SIZE = 200, NEWEST_SIZE_MAX = 64 * 1024 };

/* ---- lines ---- */

enum result audit_add(struct work *work, const char *event, int64_t user_id, int64_t replica_no,
                      const char *detail, struct problem *problem)
{
    const struct value parameters[] = {value_integer(work_now(work).us), value_text_of(event),
                                       value_id(user_id), value_id(replica_no),
                                       value_text_of(detail)};

    return work_execute(work,
                        "INSERT INTO fs_audit(occurred_at, event, user_id, replica_no, detail)"
                        " SELECT ?1,?2,?3,?4,?5 WHERE NOT EXISTS (SELECT 1 FROM fs_audit"
                        " WHERE hash IS NULL AND event=?2 AND detail=?5)",
                        parameters, 5, problem);
}

void audit_hash_line(const uint8_t before[EVIDENCE_HASH_SIZE], const struct store_result *lines,
                     size_t row, uint8_t ret_hash[EVIDENCE_HASH_SIZE])
{
    struct bytes event = store_bytes_at(lines, row, 2);
    struct bytes detail = store_bytes_at(lines, row, 5);
    crypto_generichash_state state;
    char head[160];
    int size =
        snprintf(head, sizeof head, "%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %zu %zu\n",
                 store_integer_at(lines, row, 0, 0), store_integer_at(lines, row, 1, 0),
                 store_integer_at(lines, row, 3, 0), store_integer_at(lines, row, 4, 0), event.size,
                 detail.size);

    invariant(size > 0 && (size_t)size < sizeof head);
    crypto_generichash_init(&state, NULL, 0, EVIDENCE_HASH_SIZE);
    crypto_generichash_update(&state, before, EVIDENCE_HASH_SIZE);
    crypto_generichash_update(&state, (const uint8_t *)head, strlen(head));
    crypto_generichash_update(&state, event.data, event.size);
    crypto_generichash_update(&state, detail.data, detail.size);
    crypto_generichash_final(&state, ret_hash, EVIDENCE_HASH_SIZE);
}

static bool hash_at(const struct store_result *rows, size_t row, size_t column,
                    uint8_t ret_hash[EVIDENCE_HASH_SIZE])
{
    struct bytes hex = store_bytes_at(rows, row, column);
    char text[EVIDENCE_HEX_SIZE] = "";

    if (hex.size != sizeof text - 1)
        return false;
    memcpy(text, hex.data, hex.size);
    return bytes_from_hex(text, ret_hash, EVIDENCE_HASH_SIZE);
}

static enum result last_hash(struct work *work, uint8_t ret_hash[EVIDENCE_HASH_SIZE],
                             struct problem *problem)
{
    struct store_result last = {0};
    enum result result = work_query(
        work, "SELECT hash FROM fs_audit WHERE hash IS NOT NULL ORDER BY id DESC LIMIT 1", NULL, 0,
        &last, problem);

    memset(ret_hash, 0, EVIDENCE_HASH_SIZE);
    if (result == RESULT_OK && last.row_count > 0 && !hash_at(&last, 0, 0, ret_hash))
        memset(ret_hash, 0xff, EVIDENCE_HASH_SIZE); /* spoilt: the check says so, work goes on */
    return result;
}

static enum result close_some(struct work *work, size_t *ret_count, struct problem *problem)
{
    uint8_t hash[EVIDENCE_HASH_SIZE];
    char hex[EVIDENCE_HEX_SIZE];
    const struct value limit = value_integer(AUDIT_LINES_AT_ONCE);
    struct store_result open = {0};
    enum result result = work_query(
        work, "SELECT " AUDIT_COLUMNS " FROM fs_audit WHERE hash IS NULL ORDER BY id LIMIT ?1",
        &limit, 1, &open, problem);

    if (result == RESULT_OK && open.row_count > 0)
        result = last_hash(work, hash, problem);
    for (size_t i = 0; i < open.row_count && result == RESULT_OK; i++) {
        audit_hash_line(hash, &open, i, hash);
        bytes_to_hex(bytes_of(hash, sizeof hash), hex);
        const struct value parameters[] = {*store_at(&open, i, 0), value_text_of(hex)};

        result = work_execute(work, "UPDATE fs_audit SET hash = ?2 WHERE id = ?1", parameters, 2,
                              problem);
    }
    *ret_count = open.row_count;
    return result;
}

/* A restore puts the database back below all programs; that it happened shows in the epoch. */
static enum result note_epoch(struct work *work, struct problem *problem)
{
    struct store_result states = {0};
    enum result result =
        work_query(work,
                   "SELECT e.data, a.data FROM fs_state e LEFT JOIN fs_state a"
                   " ON a.name = 'audit_epoch' WHERE e.name = 'epoch' AND e.data IS DISTINCT FROM"
                   " a.data",
                   NULL, 0, &states, problem);

    if (result != RESULT_OK || states.row_count == 0)
        return result;
    result = audit_add(work, store_bytes_at(&states, 0, 1).size == 0 ? "begun" : "restored", 0, 0,
                       NULL, problem);
    return result == RESULT_OK
               ? work_execute(work,
                              "INSERT INTO fs_state(name, data) VALUES('audit_epoch', ?1)"
                              " ON CONFLICT(name) DO UPDATE SET data = excluded.data",
                              store_at(&states, 0, 0), 1, problem)
               : result;
}

enum result audit_close(struct work *work, struct problem *problem)
{
    size_t count = 0;
    enum result result = note_epoch(work, problem);

    while (result == RESULT_OK) {
        result = close_some(work, &count, problem);
        if (count < AUDIT_LINES_AT_ONCE)
            break;
    }
    if (result != RESULT_OK)
        problem_add(problem, "closing the audit log");
    return result;
}

/* ---- roots ---- */

static void node(const uint8_t *left, const uint8_t *right, uint8_t ret_hash[EVIDENCE_HASH_SIZE])
{
    uint8_t both[1 + 2 * EVIDENCE_HASH_SIZE] = {1};

    memcpy(both + 1, left, EVIDENCE_HASH_SIZE);
    memcpy(both + 1 + EVIDENCE_HASH_SIZE, right, EVIDENCE_HASH_SIZE);
    crypto_generichash(ret_hash, EVIDENCE_HASH_SIZE, both, sizeof both, NULL, 0);
}

/* Bit n of count: level n holds the hash of a full tree of 2^n leaves, larger ones further left. */
void merkle_add(struct merkle *tree, const uint8_t leaf[EVIDENCE_HASH_SIZE])
{
    uint8_t marked[1 + EVIDENCE_HASH_SIZE] = {0};
    uint8_t hash[EVIDENCE_HASH_SIZE];
    size_t level = 0;

    memcpy(marked + 1, leaf, EVIDENCE_HASH_SIZE);
    crypto_generichash(hash, sizeof hash, marked, sizeof marked, NULL, 0);
    while ((tree->count >> level & 1) != 0) {
        node(tree->levels[level], hash, hash);
        level++;
    }
    memcpy(tree->levels[level], hash, sizeof hash);
    tree->count++;
}

void merkle_root(const struct merkle *tree, uint8_t ret_root[EVIDENCE_HASH_SIZE])
{
    bool is_first = true;

    crypto_generichash(ret_root, EVIDENCE_HASH_SIZE, NULL, 0, NULL, 0); /* of no leaves */
    for (size_t level = 0; level < MERKLE_DEPTH_MAX - 1; level++) {
        if ((tree->count >> level & 1) == 0)
            continue;
        if (is_first)
            memcpy(ret_root, tree->levels[level], EVIDENCE_HASH_SIZE);
        else
            node(tree->levels[level], ret_root, ret_root);
        is_first = false;
    }
}

size_t audit_root_text(const struct root *root, char ret_text[ROOT_TEXT_SIZE])
{
    int size = snprintf(ret_text, ROOT_TEXT_SIZE,
                        "fieldsync root v1\nmade-at %" PRId64 "\nafter %" PRId64 "\nto %" PRId64
                        "\nlines %" PRId64 "\nroot %s\nchain %s\n",
                        root->made_at, root->after, root->to, root->count, root->root, root->chain);

    invariant(size > 0 && size < ROOT_TEXT_SIZE);
    return (size_t)size;
}

/* Reads the lines above root->after into the tree, and where they end into *root. */
static enum result gather(struct work *work, struct root *root, struct merkle *tree,
                          struct problem *problem)
{
    struct store_result lines = {0};
    enum result result;

    root->to = root->after;
    do {
        const struct value parameters[] = {value_integer(root->to),
                                           value_integer(AUDIT_LINES_AT_ONCE)};

        result = work_query(work,
                            "SELECT id, hash FROM fs_audit WHERE id > ?1 AND hash IS NOT NULL"
                            " ORDER BY id LIMIT ?2",
                            parameters, 2, &lines, problem);
        for (size_t i = 0; i < lines.row_count && result == RESULT_OK; i++) {
            uint8_t hash[EVIDENCE_HASH_SIZE] = {0};

            (void)hash_at(&lines, i, 1, hash); /* spoilt: the check says so */
            merkle_add(tree, hash);
            bytes_to_hex(bytes_of(hash, sizeof hash), root->chain);
            root->to = store_integer_at(&lines, i, 0, 0);
        }
    } while (result == RESULT_OK && lines.row_count == AUDIT_LINES_AT_ONCE);
    root->count = tree->count;
    return result;
}

static enum result sign_root(struct work *work, const struct report_key *key,
                             const struct root *root, struct problem *problem)
{
    uint8_t signature[EVIDENCE_SIGNATURE_SIZE];
    char server_key[EVIDENCE_HEX_SIZE];
    char text[ROOT_TEXT_SIZE];
    size_t size = audit_root_text(root, text);

    evidence_sign(bytes_of(text, size), key->secret_key, signature);
    bytes_to_hex(bytes_of(key->public_key, sizeof key->public_key), server_key);
    const struct value parameters[] = {
        value_integer(root->made_at), value_integer(root->after),
        value_integer(root->to),      value_integer(root->count),
        value_text_of(root->root),    value_text_of(root->chain),
        value_text_of(server_key),    value_blob(bytes_of(signature, sizeof signature))};

    return work_execute(work,
                        "INSERT INTO fs_root(made_at, audit_after, audit_to, line_count, root,"
                        " chain, server_key, server_signature) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)",
                        parameters, 8, problem);
}

enum result audit_make_root(struct work *work, const struct report_key *key, bool is_wanted,
                            struct problem *problem)
{
    struct root root = {.made_at = work_now(work).us};
    struct merkle tree = {0};
    uint8_t hash[EVIDENCE_HASH_SIZE];
    struct store_result oldest = {0};
    enum result result =
        work_query(work,
                   "SELECT id, occurred_at, (SELECT coalesce(max(audit_to), 0) FROM fs_root)"
                   " FROM fs_audit WHERE id > (SELECT coalesce(max(audit_to), 0) FROM fs_root)"
                   " ORDER BY id LIMIT 1",
                   NULL, 0, &oldest, problem);
    int64_t today = root.made_at - root.made_at % HOURS(24);

    if (result != RESULT_OK || oldest.row_count == 0 ||
        (!is_wanted && store_integer_at(&oldest, 0, 1, 0) >= today))
        return result;
    root.after = store_integer_at(&oldest, 0, 2, 0);
    result = gather(work, &root, &tree, problem);
    if (result != RESULT_OK || root.count == 0)
        return result;
    merkle_root(&tree, hash);
    bytes_to_hex(bytes_of(hash, sizeof hash), root.root);
    return sign_root(work, key, &root, problem);
}

enum result audit_newest_root(struct store *store, struct audit_newest *ret_newest,
                              struct problem *problem)
{
    struct store_result found = {0};
    struct arena arena;
    enum result result;

    *ret_newest = (struct audit_newest){0};
    arena_init(&arena, NEWEST_SIZE_MAX);
    result = store_query(store, "SELECT id, made_at, root FROM fs_root ORDER BY id DESC LIMIT 1",
                         NULL, 0, &arena, &found, problem);
    if (result == RESULT_OK && found.row_count > 0) {
        struct bytes root = store_bytes_at(&found, 0, 2);

        ret_newest->number = store_integer_at(&found, 0, 0, 0);
        ret_newest->made_at.us = store_integer_at(&found, 0, 1, 0);
        if (root.size >= sizeof ret_newest->first)
            memcpy(ret_newest->first, root.data, sizeof ret_newest->first - 1);
    }
    arena_done(&arena);
    return result;
}

/* ---- what is noted of rows ---- */

enum result audit_rights_react(struct work *work, const struct work_change *change,
                               struct problem *problem)
{
    const char *what = change->after == NULL    ? "removed"
                       : change->before == NULL ? "added"
                                                : "changed";
    bool is_person = strcmp(change->table->name, "app_user") == 0;
    char detail[DETAIL_SIZE];

    if (is_person && !change_sets(change, "is_active"))
        return RESULT_OK;
    snprintf(detail, sizeof detail, "%s %" PRId64 " %s", change->table->name, change->row_id, what);
    return audit_add(work, "rights_changed", change->author.user_id, change->author.replica_no,
                     detail, problem);
}

enum result audit_decision_react(struct work *work, const struct work_change *change,
                                 struct problem *problem)
{
    char detail[DETAIL_SIZE];

    if (change->before == NULL || change->after == NULL || !change_sets(change, "state"))
        return RESULT_OK;
    snprintf(detail, sizeof detail, "%s %" PRId64 " %.*s", change->table->name, change->row_id,
             (int)change_text(change, "state").size,
             (const char *)change_text(change, "state").data);
    return audit_add(work, "conflict_decided", change->author.user_id, change->author.replica_no,
                     detail, problem);
}
