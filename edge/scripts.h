/* SPDX-License-Identifier: Apache-2.0 */
/* scripts.h: the company's own schema scripts, as they lie in the folder `schema` of a data folder.
 *
 * Each NNNN_common_<subject>.sql there (numbers from 5000 on) adds tables and catalog rows; server
 * and devices read theirs at every start and run what is new. Other files are left alone. */
#pragma once

#include "base/arena.h"

enum { SCRIPTS_COUNT_MAX = 200, SCRIPT_SIZE_MAX = 1024 * 1024 };

struct script {
    const char *name; /* without ".sql" */
    const char *text;
};

/* In order of their names, in memory of `arena`; none if the folder isn't there. RESULT_EXHAUSTED:
 * too many or too large. */
MUST_CHECK enum result scripts_read(const char *data_folder, struct arena *arena,
                                    const struct script **ret_scripts, size_t *ret_count,
                                    struct problem *problem);
