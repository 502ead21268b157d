/* SPDX-License-Identifier: Apache-2.0 */
/* reserve.h: room on the disk, kept for the day when it is full.
 *
 * A file of some megabytes beside the database. When nothing can be stored any more, the running
 * program gives it up: what is under way can then still be stored, and people are told to make
 * room. Once there is room again it is made anew. */
#pragma once

#include "base/result.h"

#include <stdbool.h>
#include <stdint.h>

#define RESERVE_FILE_NAME "reserve"
enum { RESERVE_DEVICE_SIZE = 4 * 1024 * 1024 };

enum reserve_room {
    RESERVE_ROOM_AMPLE,
    RESERVE_ROOM_LOW,  /* less than twice the reserve: say so */
    RESERVE_ROOM_NONE, /* as good as nothing */
};

/* How full the disk of a folder is for a reserve of `size`; ret_free: bytes that are free. What
 * can't be told is ample. */
enum reserve_room reserve_room(const char *folder, uint64_t size, uint64_t *ret_free);

/* Makes the file if it isn't there and the room is ample; size 0: never. */
MUST_CHECK enum result reserve_keep(const char *folder, uint64_t size, struct problem *problem);

/* Gives the room back. ret_is_given false: there was none any more. */
MUST_CHECK enum result reserve_give(const char *folder, bool *ret_is_given,
                                    struct problem *problem);
