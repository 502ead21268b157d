/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/closing.h"

#include "server/service/audit.h"

enum result closing_run(struct work *work, const void *context, struct problem *problem)
{
    const struct closing *closing = context;
    enum result result =
        closing->key == NULL ? RESULT_OK : receipts_sign(work, closing->key, problem);

    if (result == RESULT_OK)
        result = audit_close(work, problem);
    if (result == RESULT_OK && closing->key != NULL)
        result = audit_make_root(work, closing->key, false, problem);
    return result;
}
