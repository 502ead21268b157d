/* SPDX-License-Identifier: Apache-2.0 */
/* permit.h: whom the admin port answers, before any route is looked at.
 *
 * Two kinds of places are there. The figures (/healthz, /readyz, /metrics) say numbers and change
 * nothing: no browser's page may read them, and with a token only its holder. Everything below
 * /api/ is for the company's own pages: from their one origin, by their one name, and never over a
 * line that others can read. Who is signed in there is asked later (session_api.h). */
#pragma once

#include "edge/permit.h"

struct permit_question {
    const char *path; /* "/metrics" */
    const char *host; /* headers; "" if absent */
    const char *origin;
    const char *authorization;
    const char *fetch_site;
    bool is_change; /* any method but GET and HEAD */
    bool is_tls;
};

struct permit_rules {
    const char *token;  /* for the figures; NULL: none is set */
    const char *origin; /* of the pages, "https://office.example"; NULL: as the Host says */
    bool is_private;    /* only programs of this machine reach the port */
};

bool permit_admin(const struct permit_question *question, const struct permit_rules *rules);
/* Has it the form "http[s]://name[:port]", in lower case? */
bool permit_is_origin(const char *text);
