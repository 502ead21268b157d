/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/permit.h"

#include <stddef.h>
#include <string.h>

bool permit_is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 ||
           strcmp(address, "localhost") == 0;
}

/* Numbers can't be somebody else's name: "192.0.2.1:7743", "[::1]:7743"; and "localhost". */
static bool is_no_foreign_name(const char *host)
{
    size_t size = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");

    if (host[0] == '[')
        return strspn(host + 1, "0123456789abcdefABCDEF:.") == size - 2 && host[size - 1] == ']';
    if (size == 9 && strncmp(host, "localhost", size) == 0)
        return true;
    return size > 0 && strspn(host, "0123456789.") == size;
}

/* Tells nothing by its time about where two tokens of one size differ. */
static bool is_same(const char *a, const char *b)
{
    size_t size = strlen(a);
    unsigned char difference = 0;

    if (strlen(b) != size)
        return false;
    for (size_t i = 0; i < size; i++)
        difference |= (unsigned char)(a[i] ^ b[i]);
    return difference == 0;
}

bool permit_admin(const struct permit_question *question, const char *token)
{
    static const char BEARER[] = "Bearer ";
    bool is_open =
        strcmp(question->path, "/healthz") == 0 || strcmp(question->path, "/readyz") == 0;

    if (question->origin[0] != '\0')
        return false; /* only browsers say where a page came from */
    if (token == NULL)
        return is_no_foreign_name(question->host);
    return is_open || (strncmp(question->authorization, BEARER, sizeof BEARER - 1) == 0 &&
                       is_same(question->authorization + sizeof BEARER - 1, token));
}
