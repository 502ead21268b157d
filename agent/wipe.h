/* SPDX-License-Identifier: Apache-2.0 */
/* wipe.h (of the agent): destroys everything of this device on this disk, keys first.
 *
 * Begun by an authenticated REVOKED with the order to wipe, once the server keeps what the device
 * still had. A small file says that it has begun: whatever starts next in this folder goes on with
 * it, so a cut in between leaves nothing behind. */
#pragma once

#include "base/result.h"

#include <stdbool.h>

#define WIPE_FILE_NAME "wiping"

bool wipe_is_begun(const char *data_folder);
/* Everything it can; the first failure is reported at the end. The data folder itself, its lock and
 * the company's schema scripts stay. */
MUST_CHECK enum result wipe_device(const char *data_folder, struct problem *problem);
