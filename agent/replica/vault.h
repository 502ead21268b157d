/* SPDX-License-Identifier: Apache-2.0 */
/* vault.h: an encrypted replica: a VFS of SQLite that lies over another one.
 *
 * Whoever opens the database through it sees an ordinary file in WAL mode; on the disk the
 * database, its log, its rollback journal and temporary files are encrypted and authenticated
 * piece by piece (vault_units.h), under one random key. -shm isn't: it holds page numbers and
 * checksums, no content. The log and the journal lie beside the database as NAME-vwal and
 * NAME-vjournal: a program that opens it without the key says "file is not a database" and must
 * not find a log that it takes for its own, for it would delete it.
 *
 * What is damaged or was altered is found when it is read: a page of the database, or of a
 * transaction that SQLite relies on, is SQLITE_IOERR_DATA, and the text of the error names the page
 * (schema/sql.h). What a power cut may have torn reads as SQLite expects torn things to read: a
 * frame of the log that is looked at while the log is recovered, and pieces of the journal, are
 * zeros, which ends both; so is page 1 while only its first bytes are looked at. An older state
 * of a page, or of the whole file, put back in its place isn't noticed here.
 *
 * One vault serves any number of connections of one thread. */
#pragma once

#include "agent/replica/vault_units.h"
#include "base/result.h"

#define VAULT_LOG_SUFFIX     "-vwal"
#define VAULT_JOURNAL_SUFFIX "-vjournal"

struct vault;

struct vault_options {
    const char *below;  /* name of the VFS under it; NULL: SQLite's default */
    const uint8_t *key; /* VAULT_KEY_SIZE bytes, copied into guarded memory */
    /* Unpredictable bytes, for nonces and identities: the same twice gives the content away. */
    void (*draw)(void *context, void *bytes, size_t size);
    void *context;
};

/* Registers the VFS. RESULT_EXHAUSTED: no memory. RESULT_REFUSED: there is no VFS `below`. */
MUST_CHECK enum result vault_create(const struct vault_options *options, struct vault **ret_vault,
                                    struct problem *problem);
/* All its connections are closed. Wipes the key; takes NULL. */
void vault_destroy(struct vault *vault);
const char *vault_vfs_name(const struct vault *vault);
/* Why a file couldn't be opened or read, the last time; "": nothing was wrong. */
const char *vault_trouble(const struct vault *vault);

enum vault_look {
    VAULT_LOOK_NOTHING, /* no file, or an empty one */
    VAULT_LOOK_PLAIN,   /* anything else: SQLite says what it is */
    VAULT_LOOK_SEALED,
};
/* Never while this process has the file open: closing it again would drop SQLite's locks on it
 * (fcntl(2)), and the next program to close it would take away the log. */
enum vault_look vault_look(const char *path);
