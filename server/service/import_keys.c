/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/import_inside.h"

#include <sodium.h>
#include <string.h>

enum { LOAD_ROWS = 5000 };

/* 128 bits of (table, key), so that entries needn't hold the texts. */
static void hash_key(const char *table, struct bytes key, int64_t *ret_high, int64_t *ret_low)
{
    crypto_generichash_state state;
    uint8_t hash[16];

    (void)crypto_generichash_init(&state, NULL, 0, sizeof hash);
    (void)crypto_generichash_update(&state, (const uint8_t *)table, strlen(table) + 1);
    (void)crypto_generichash_update(&state, key.data, key.size);
    (void)crypto_generichash_final(&state, hash, sizeof hash);
    memcpy(ret_high, hash, sizeof *ret_high);
    memcpy(ret_low, hash + 8, sizeof *ret_low);
}

enum result import_key_of(struct import *import, const char *table, struct bytes key,
                          struct import_key **ret_key, struct problem *problem)
{
    int64_t high = 0;
    int64_t low = 0;
    struct import_key *entry;
    enum result result = RESULT_OK;

    hash_key(table, key, &high, &low);
    entry = lookup_find(&import->keys, high, low);
    if (entry == NULL) {
        entry = arena_alloc(&import->keys_arena, sizeof *entry);
        if (entry == NULL)
            return problem_set(problem, RESULT_EXHAUSTED,
                               "too many keys for one run: give the files in smaller parts");
        result = lookup_put(&import->keys, high, low, entry, problem);
    }
    if (result == RESULT_OK)
        *ret_key = entry;
    return result;
}

enum result import_keys_load(struct import *import, struct problem *problem)
{
    static const char SQL[] = "SELECT id, table_name, external_key, row_id FROM external_ref"
                              " WHERE external_system = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    struct value parameters[3] = {value_text_of(import->system), value_integer(0),
                                  value_integer(LOAD_ROWS)};
    struct store_result found = {.row_count = LOAD_ROWS};
    enum result result = store_begin(import->options.store, STORE_READ, problem);

    while (result == RESULT_OK && found.row_count == LOAD_ROWS) {
        arena_reset(&import->batch_arena);
        result = store_query(import->options.store, SQL, parameters, 3, &import->batch_arena,
                             &found, problem);
        for (size_t i = 0; i < found.row_count && result == RESULT_OK; i++) {
            struct bytes table = store_bytes_at(&found, i, 1);
            const char *name = arena_format(&import->batch_arena, "%.*s", (int)table.size,
                                            (const char *)table.data);
            struct import_key *key = NULL;

            result = name == NULL
                         ? arena_full(&import->batch_arena, problem)
                         : import_key_of(import, name, store_bytes_at(&found, i, 2), &key, problem);
            if (result != RESULT_OK)
                break;
            key->row_id = store_integer_at(&found, i, 3, 0);
            parameters[1] = *store_at(&found, i, 0);
        }
    }
    store_rollback(import->options.store);
    arena_reset(&import->batch_arena);
    return result;
}

void import_keys_of_batch_add(struct import *import, struct import_key *key)
{
    key->next = import->batch_keys;
    import->batch_keys = key;
}

void import_keys_of_batch_keep(struct import *import)
{
    for (struct import_key *key = import->batch_keys; key != NULL; key = key->next)
        key->is_batch_new = false;
    import->batch_keys = NULL;
}

void import_keys_of_batch_undo(struct import *import)
{
    for (struct import_key *key = import->batch_keys; key != NULL; key = key->next) {
        if (key->is_batch_new)
            key->row_id = 0;
        key->is_batch_new = false;
        key->run_line = 0;
    }
    import->batch_keys = NULL;
}
