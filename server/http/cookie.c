/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/cookie.h"

#include "base/bytes.h"
#include "base/invariant.h"

#include <stdio.h>
#include <string.h>

static const char *name_of(bool is_secure)
{
    return is_secure ? "__Host-fieldsync" : "fieldsync";
}

bool cookie_read(const char *header, bool is_secure, uint8_t ret_token[COOKIE_TOKEN_SIZE])
{
    const char *name = name_of(is_secure);
    const size_t name_size = strlen(name);
    size_t count = 0;
    bool is_good = false;

    while (*header != '\0') {
        size_t size = strcspn(header, ";");

        if (size > name_size && strncmp(header, name, name_size) == 0 && header[name_size] == '=') {
            char text[2 * COOKIE_TOKEN_SIZE + 1] = "";

            count++;
            if (size == name_size + sizeof text) {
                memcpy(text, header + name_size + 1, sizeof text - 1);
                is_good = bytes_from_hex(text, ret_token, COOKIE_TOKEN_SIZE);
            }
        }
        header += size;
        header += strspn(header, "; ");
    }
    return is_good && count == 1;
}

void cookie_write(const uint8_t *token, bool is_secure, char ret_text[COOKIE_TEXT_SIZE])
{
    char text[2 * COOKIE_TOKEN_SIZE + 1] = "";
    int size;

    if (token != NULL)
        bytes_to_hex(bytes_of(token, COOKIE_TOKEN_SIZE), text);
    size = snprintf(ret_text, COOKIE_TEXT_SIZE, "%s=%s; Path=/; HttpOnly; SameSite=Strict%s%s",
                    name_of(is_secure), text, is_secure ? "; Secure" : "",
                    token == NULL ? "; Max-Age=0" : "");
    invariant(size > 0 && size < COOKIE_TEXT_SIZE);
}
