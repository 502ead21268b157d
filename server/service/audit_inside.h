/* SPDX-License-Identifier: Apache-2.0 */
/* audit_inside.h: what audit.c and audit_check.c share; nobody else includes it. */
#pragma once

#include "server/service/audit.h"

enum { AUDIT_LINES_AT_ONCE = 1000, MERKLE_DEPTH_MAX = 64 };

/* Columns of a line as both read them. */
#define AUDIT_COLUMNS "id, occurred_at, event, user_id, replica_no, detail, hash"

void audit_hash_line(const uint8_t before[EVIDENCE_HASH_SIZE], const struct store_result *lines,
                     size_t row, uint8_t ret_hash[EVIDENCE_HASH_SIZE]);

/* A tree that grows leaf by leaf and keeps one hash a level. */
struct merkle {
    int64_t count;
    uint8_t levels[MERKLE_DEPTH_MAX][EVIDENCE_HASH_SIZE];
};
void merkle_add(struct merkle *tree, const uint8_t leaf[EVIDENCE_HASH_SIZE]);
void merkle_root(const struct merkle *tree, uint8_t ret_root[EVIDENCE_HASH_SIZE]);

struct root {
    int64_t made_at, after, to, count;
    char root[EVIDENCE_HEX_SIZE];
    char chain[EVIDENCE_HEX_SIZE];
};
enum { ROOT_TEXT_SIZE = 512 };
/* Returns its size. */
size_t audit_root_text(const struct root *root, char ret_text[ROOT_TEXT_SIZE]);
