/* SPDX-License-Identifier: Apache-2.0 */
/* Is the audit log what it was when its roots were signed? */
#include "server/service/audit_inside.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { CHECK_SIZE_MAX = 64 << 20 };

struct reading {
    struct store *store;
    const uint8_t *server_key;
    struct arena arena; /* of one batch */
    uint8_t hash[EVIDENCE_HASH_SIZE];
    int64_t line_id; /* checked up to here; ids begin at 1, what lies below is foreign */
    struct audit_check *check;
    struct problem *problem;
};

__attribute__((format(printf, 2, 3))) static void differ(struct audit_check *check,
                                                         const char *format, ...)
{
    va_list arguments;

    if (!check->is_good) /* the first one is what counts */
        return;
    check->is_good = false;
    va_start(arguments, format);
    (void)vsnprintf(check->difference, sizeof check->difference, format, arguments);
    va_end(arguments);
}

/* Lines up to `to` (and with it), into the tree as well. */
static enum result read_lines(struct reading *reading, int64_t to, struct merkle *tree)
{
    struct store_result lines = {0};
    enum result result;

    do {
        const struct value parameters[] = {value_integer(reading->line_id), value_integer(to),
                                           value_integer(AUDIT_LINES_AT_ONCE)};

        arena_reset(&reading->arena);
        result = store_query(reading->store,
                             "SELECT " AUDIT_COLUMNS " FROM fs_audit WHERE id > ?1 AND id <= ?2"
                             " AND hash IS NOT NULL ORDER BY id LIMIT ?3",
                             parameters, 3, &reading->arena, &lines, reading->problem);
        for (size_t i = 0; i < lines.row_count && result == RESULT_OK; i++) {
            char hex[EVIDENCE_HEX_SIZE];

            audit_hash_line(reading->hash, &lines, i, reading->hash);
            bytes_to_hex(bytes_of(reading->hash, sizeof reading->hash), hex);
            reading->line_id = store_integer_at(&lines, i, 0, 0);
            if (!bytes_equal(store_bytes_at(&lines, i, 6), bytes_of_text(hex)))
                differ(reading->check,
                       "line %" PRId64 " does not follow from the one before it: it was changed,"
                       " or one before it was taken out or put in",
                       reading->line_id);
            merkle_add(tree, reading->hash);
            reading->check->line_count++;
        }
    } while (result == RESULT_OK && lines.row_count == AUDIT_LINES_AT_ONCE);
    return result;
}

static bool is_root_signed(const struct reading *reading, const struct store_result *roots,
                           size_t row, const struct root *root)
{
    struct bytes hex = store_bytes_at(roots, row, 7);
    char digits[EVIDENCE_HEX_SIZE] = "";
    uint8_t key[EVIDENCE_KEY_SIZE];
    char text[ROOT_TEXT_SIZE];
    size_t size = audit_root_text(root, text);

    if (hex.size != sizeof digits - 1)
        return false;
    memcpy(digits, hex.data, hex.size);
    return bytes_from_hex(digits, key, sizeof key) &&
           (reading->server_key == NULL || memcmp(key, reading->server_key, sizeof key) == 0) &&
           evidence_is_signed(bytes_of(text, size), key, store_bytes_at(roots, row, 8));
}

static enum result check_root(struct reading *reading, const struct store_result *roots, size_t row)
{
    int64_t id = store_integer_at(roots, row, 0, 0);
    struct root root = {.made_at = store_integer_at(roots, row, 1, 0),
                        .after = store_integer_at(roots, row, 2, 0),
                        .to = store_integer_at(roots, row, 3, 0)};
    int64_t line_before = reading->line_id == INT64_MIN ? 0 : reading->line_id;
    struct merkle tree = {0};
    uint8_t hash[EVIDENCE_HASH_SIZE];
    enum result result = read_lines(reading, root.to, &tree);

    if (result != RESULT_OK)
        return result;
    merkle_root(&tree, hash);
    root.count = tree.count;
    bytes_to_hex(bytes_of(hash, sizeof hash), root.root);
    bytes_to_hex(bytes_of(reading->hash, sizeof reading->hash), root.chain);
    if (root.after != line_before)
        differ(reading->check,
               "root %" PRId64 " begins after line %" PRId64 ", the one before it ends at %" PRId64,
               id, root.after, line_before);
    if (root.count != store_integer_at(roots, row, 4, -1) ||
        !bytes_equal(store_bytes_at(roots, row, 5), bytes_of_text(root.root)))
        differ(reading->check, "root %" PRId64 " is not the root of lines %" PRId64 " to %" PRId64,
               id, root.after + 1, root.to);
    if (!is_root_signed(reading, roots, row, &root))
        differ(reading->check, "root %" PRId64 " is not signed by the server's report key", id);
    reading->check->root_count++;
    return RESULT_OK;
}

static enum result check_receipts(struct reading *reading, struct problem *problem)
{
    struct store_result rows = {0};
    enum result result;

    arena_reset(&reading->arena);
    result = store_query(reading->store,
                         "SELECT (SELECT count(*) FROM report_receipt),"
                         " (SELECT min(r.signature_id) FROM report_receipt r WHERE NOT EXISTS"
                         " (SELECT 1 FROM fs_audit a WHERE a.event = 'receipt' AND a.detail ="
                         " 'signature ' || r.signature_id || ' ' || r.report_hash)),"
                         " (SELECT min(a.id) FROM fs_audit a WHERE a.event = 'receipt'"
                         " AND NOT EXISTS (SELECT 1 FROM report_receipt r WHERE a.detail ="
                         " 'signature ' || r.signature_id || ' ' || r.report_hash))",
                         NULL, 0, &reading->arena, &rows, problem);
    if (result != RESULT_OK)
        return result;
    reading->check->receipt_count = store_integer_at(&rows, 0, 0, 0);
    if (store_integer_at(&rows, 0, 1, 0) != 0)
        differ(reading->check, "the receipt of signature %" PRId64 " is not in the log",
               store_integer_at(&rows, 0, 1, 0));
    if (store_integer_at(&rows, 0, 2, 0) != 0)
        differ(reading->check, "line %" PRId64 " names a receipt that is not there any more",
               store_integer_at(&rows, 0, 2, 0));
    return RESULT_OK;
}

enum result audit_check(struct store *store, const uint8_t *server_key,
                        struct audit_check *ret_check, struct problem *problem)
{
    struct reading reading = {.store = store,
                              .server_key = server_key,
                              .line_id = INT64_MIN,
                              .check = ret_check,
                              .problem = problem};
    struct arena root_arena;
    struct store_result roots = {0};
    struct merkle rest = {0};
    enum result result;

    *ret_check = (struct audit_check){.is_good = true};
    arena_init(&reading.arena, CHECK_SIZE_MAX);
    arena_init(&root_arena, CHECK_SIZE_MAX);
    result = store_query(store,
                         "SELECT id, made_at, audit_after, audit_to, line_count, root, chain,"
                         " server_key, server_signature FROM fs_root ORDER BY id",
                         NULL, 0, &root_arena, &roots, problem);
    for (size_t i = 0; i < roots.row_count && result == RESULT_OK; i++)
        result = check_root(&reading, &roots, i);
    if (result == RESULT_OK)
        result = read_lines(&reading, INT64_MAX, &rest);
    if (result == RESULT_OK)
        result = check_receipts(&reading, problem);
    arena_done(&reading.arena);
    arena_done(&root_arena);
    return result;
}
