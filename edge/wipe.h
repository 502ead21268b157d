/* SPDX-License-Identifier: Apache-2.0 */
/* wipe.h: files whose contents must not be read any more.
 *
 * Overwritten in place, synced, then removed. That destroys the contents on a plain disk; a file
 * system that copies on write, and the spare blocks of a flash disk, may still hold the old ones:
 * against those only encryption of the whole disk helps. */
#pragma once

#include "base/result.h"

/* After RESULT_OK no file is at `path`; that none was is no failure. Others: as in files.h, and the
 * file may be there still, overwritten or not. */
MUST_CHECK enum result wipe_file(const char *path, struct problem *problem);
