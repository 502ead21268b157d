/* SPDX-License-Identifier: Apache-2.0 */
#include "server/http/permit.h"

#include <string.h>

static const char HTTPS[] = "https://";
static const char HTTP[] = "http://";

static const char *host_of(const char *origin)
{
    if (strncmp(origin, HTTPS, sizeof HTTPS - 1) == 0)
        return origin + sizeof HTTPS - 1;
    return strncmp(origin, HTTP, sizeof HTTP - 1) == 0 ? origin + sizeof HTTP - 1 : NULL;
}

bool permit_is_origin(const char *text)
{
    static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyz0123456789.-:[]";
    const char *host = host_of(text);

    return host != NULL && host[0] != '\0' && strspn(host, LETTERS) == strlen(host);
}

/* Without an origin that somebody has set the pages are where the request went. */
static bool is_own_origin(const struct permit_question *question, const struct permit_rules *rules)
{
    const char *host = host_of(question->origin);
    bool is_https = strncmp(question->origin, HTTPS, sizeof HTTPS - 1) == 0;

    if (rules->origin != NULL)
        return strcmp(question->origin, rules->origin) == 0;
    return host != NULL && is_https == question->is_tls && strcmp(host, question->host) == 0;
}

static bool is_own_host(const struct permit_question *question, const struct permit_rules *rules)
{
    return permit_is_own_host(question->host) ||
           (rules->origin != NULL && strcmp(question->host, host_of(rules->origin)) == 0);
}

/* A browser says where a request comes from in one header or the other; others say nothing. */
static bool permit_page(const struct permit_question *question, const struct permit_rules *rules)
{
    const char *site = question->fetch_site;
    bool is_from_us = site[0] == '\0' || strcmp(site, "same-origin") == 0 ||
                      (strcmp(site, "none") == 0 && !question->is_change);

    return (question->is_tls || rules->is_private) && is_own_host(question, rules) && is_from_us &&
           (question->origin[0] == '\0' || is_own_origin(question, rules));
}

static bool permit_figures(const struct permit_question *question, const char *token)
{
    bool is_open =
        strcmp(question->path, "/healthz") == 0 || strcmp(question->path, "/readyz") == 0;

    if (question->origin[0] != '\0')
        return false; /* only browsers say where a page came from */
    if (token == NULL)
        return permit_is_own_host(question->host);
    return is_open || permit_is_bearer(question->authorization, token);
}

bool permit_admin(const struct permit_question *question, const struct permit_rules *rules)
{
    return strncmp(question->path, "/api/", 5) == 0 ? permit_page(question, rules)
                                                    : permit_figures(question, rules->token);
}
