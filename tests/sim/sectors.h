/* SPDX-License-Identifier: Apache-2.0 */
/* sectors.h: what of a file has been written and not synced: what a power cut may take.
 *
 * Counted in sectors of 512 bytes; a disk with larger ones loses several at once. Of each sector
 * written since the last sync the durable content is kept. A power cut leaves of it the new
 * content, the old one, or a mixture; bytes that nobody wrote keep their values, as SQLite and
 * today's disks assume of each other. */
#pragma once

#include "base/prng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SECTOR_SIZE = 512 };

struct sector {
    size_t number;
    uint8_t durable[SECTOR_SIZE];
};

struct sectors {
    size_t count, room;
    struct sector *list;
    size_t place_room;
    uint32_t *places; /* by sector number: its place in the list + 1, 0: it is durable */
    int64_t durable_size;
};

/* Before a write: `read` fetches what is there, zeros behind the end. */
void sectors_note(struct sectors *sectors, int64_t file_size, int64_t offset, size_t size,
                  void (*read)(void *context, int64_t offset, uint8_t *bytes), void *context);
void sectors_forget(struct sectors *sectors); /* all is durable */
/* Damages a copy of the file; returns how many sectors lost something. */
size_t sectors_damage(const struct sectors *sectors, struct prng *prng, const char *path);
void sectors_done(struct sectors *sectors);
