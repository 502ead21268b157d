/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/closing.h"

enum result closing_run(struct work *work, const void *context, struct problem *problem)
{
    const struct closing *closing = context;

    return closing->key == NULL ? RESULT_OK : receipts_sign(work, closing->key, problem);
}
