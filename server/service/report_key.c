/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/report_key.h"

void report_key_find(const struct store_result *keys, const struct evidence *evidence,
                     bool *ret_is_signed, char ret_hex[EVIDENCE_HEX_SIZE])
{
    *ret_is_signed = false;
    ret_hex[0] = '\0';
    for (size_t i = 0; i < keys->row_count && !*ret_is_signed; i++) {
        struct bytes key = store_bytes_at(keys, i, 0);

        if (key.size != EVIDENCE_KEY_SIZE)
            continue;
        *ret_is_signed = evidence_is_signed(evidence->sealed, key.data, evidence->key_signature);
        if (i == 0 || *ret_is_signed)
            bytes_to_hex(key, ret_hex);
    }
}
