/* SPDX-License-Identifier: Apache-2.0 */
/* cookie.h: the one cookie of the pages: the token of a session (RFC 6265).
 *
 *     __Host-fieldsync=HEX64     over TLS, Secure
 *     fieldsync=HEX64            on this machine only
 *
 * HttpOnly, SameSite=Strict, Path=/, without Domain; it goes when the browser is closed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { COOKIE_TOKEN_SIZE = 32, COOKIE_TEXT_SIZE = 192 };

/* The token in a header Cookie. False: there is none, or it is spoilt, or there are two. */
bool cookie_read(const char *header, bool is_secure, uint8_t ret_token[COOKIE_TOKEN_SIZE]);
/* The value of Set-Cookie; `token` NULL: one that removes the cookie. */
void cookie_write(const uint8_t *token, bool is_secure, char ret_text[COOKIE_TEXT_SIZE]);
