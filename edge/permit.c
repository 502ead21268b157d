/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/permit.h"

#include <sodium.h>
#include <string.h>

bool permit_is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 ||
           strcmp(address, "localhost") == 0;
}

bool permit_is_own_host(const char *host)
{
    size_t size = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");

    if (host[0] == '[')
        return strspn(host + 1, "0123456789abcdefABCDEF:.") == size - 2 && host[size - 1] == ']';
    if (size == 9 && strncmp(host, "localhost", size) == 0)
        return true;
    return size > 0 && strspn(host, "0123456789.") == size;
}

bool permit_is_bearer(const char *authorization, const char *token)
{
    static const char BEARER[] = "Bearer ";
    const size_t title_size = sizeof BEARER - 1;

    return strncmp(authorization, BEARER, title_size) == 0 &&
           strlen(authorization + title_size) == strlen(token) &&
           sodium_memcmp(authorization + title_size, token, strlen(token)) == 0;
}
