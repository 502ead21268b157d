/* SPDX-License-Identifier: Apache-2.0 */
/* What browsers and other programs say to the two HTTP ports, before anybody is signed in: bodies,
 * cookies, Host, Origin and the like. First byte which. */
#include "tests/fuzz/fuzz.h" /* first */

#include "base/json.h"
#include "server/http/cookie.h"
#include "server/http/permit.h"

#include <string.h>

enum { KIND_BODY, KIND_COOKIE, KIND_PERMIT, KIND_COUNT };

/* A header's text, as the HTTP layer gives it. */
struct header {
    char text[1024];
};

static const char *header_of(struct input *input, struct header *header)
{
    struct bytes part = input_part(input);
    size_t size = part.size < sizeof header->text - 1 ? part.size : sizeof header->text - 1;

    if (size > 0)
        memcpy(header->text, part.data, size);
    header->text[size] = '\0';
    return header->text;
}

/* What was read is text, fits its place, and a body that says just that reads the same. */
static void body_round(struct bytes body)
{
    char login[65];
    char password[1025];
    const struct json_text texts[] = {{"login", login, sizeof login},
                                      {"password", password, sizeof password}};
    struct problem problem = {0};

    if (json_read_texts(body, texts, 2, &problem) != RESULT_OK) {
        invariant(problem.text[0] != '\0');
        return;
    }
    invariant(memchr(login, 0, sizeof login) != NULL);
    invariant(memchr(password, 0, sizeof password) != NULL);
    invariant(bytes_are_text(bytes_of_text(login)));
    invariant(bytes_are_text(bytes_of_text(password)));
}

static void cookie_round(struct input *input)
{
    struct header header;
    uint8_t token[COOKIE_TOKEN_SIZE];
    uint8_t again[COOKIE_TOKEN_SIZE];
    char text[COOKIE_TEXT_SIZE];
    bool is_secure = input_byte(input) % 2 == 1;

    if (!cookie_read(header_of(input, &header), is_secure, token))
        return;
    cookie_write(token, is_secure, text);
    *strchr(text, ';') = '\0';
    invariant(cookie_read(text, is_secure, again));
    invariant(memcmp(token, again, sizeof token) == 0);
    invariant(!cookie_read(text, !is_secure, again));
}

/* Whatever it says: no page of another origin gets in, and the figures need their token. */
static void permit_round(struct input *input)
{
    struct header path, host, origin, authorization, site;
    uint8_t flags = input_byte(input);
    const struct permit_rules rules = {.token = (flags & 1) != 0 ? "0123456789abcdef" : NULL,
                                       .origin = (flags & 2) != 0 ? "https://office.example" : NULL,
                                       .is_private = (flags & 4) != 0};
    const struct permit_question question = {.path = header_of(input, &path),
                                             .host = header_of(input, &host),
                                             .origin = header_of(input, &origin),
                                             .authorization = header_of(input, &authorization),
                                             .fetch_site = header_of(input, &site),
                                             .is_change = (flags & 8) != 0,
                                             .is_tls = (flags & 16) != 0};
    bool is_page = strncmp(path.text, "/api/", 5) == 0;

    if (!permit_admin(&question, &rules))
        return;
    if (is_page) {
        invariant(rules.is_private || question.is_tls);
        invariant(strcmp(site.text, "cross-site") != 0);
        invariant(origin.text[0] == '\0' || rules.origin == NULL ||
                  strcmp(origin.text, rules.origin) == 0);
    } else {
        invariant(origin.text[0] == '\0');
        invariant(rules.token == NULL || strcmp(path.text, "/healthz") == 0 ||
                  strcmp(path.text, "/readyz") == 0 ||
                  strcmp(authorization.text, "Bearer 0123456789abcdef") == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_over(data, size);

    switch (input_byte(&input) % KIND_COUNT) {
    case KIND_BODY:
        body_round(input_rest(&input));
        break;
    case KIND_COOKIE:
        cookie_round(&input);
        break;
    default:
        permit_round(&input);
        break;
    }
    return 0;
}
