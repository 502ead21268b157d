/* SPDX-License-Identifier: Apache-2.0 */
/* vault_inside.h: shared by vault.c (the file system) and vault_file.c (an open file). */
#pragma once

#include "agent/replica/vault.h"

#include <sqlite3.h>

enum { VAULT_TROUBLE_SIZE = 256 };

struct vault {
    sqlite3_vfs vfs; /* first: SQLite hands it back */
    sqlite3_vfs *below;
    uint8_t *key; /* guarded */
    void (*draw)(void *context, void *bytes, size_t size);
    void *context;
    char name[48];
    char trouble[VAULT_TROUBLE_SIZE];
};

/* An open file; the one below lies right behind it. */
struct vault_file {
    sqlite3_file base; /* first: SQLite hands it back */
    struct vault *vault;
    enum vault_kind kind;
    struct vault_lock lock;
    uint8_t identity[VAULT_IDENTITY_SIZE];
    uint8_t *own_key;  /* of a temporary file, guarded; NULL: the vault's */
    char *name;        /* on the disk, if it isn't SQLite's name for it */
    const char *label; /* for people; NULL: a temporary file */
    uint8_t sealed[VAULT_SEALED_SIZE_MAX];
    uint8_t text[VAULT_PAGE_SIZE];
};

struct vault_file *vault_file_of(sqlite3_file *file);
sqlite3_file *vault_file_below(struct vault_file *file);
extern const sqlite3_io_methods VAULT_FILE_METHODS;
