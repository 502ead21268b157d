/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/service/search.h"

#include <string.h>

static const struct listing_column COLUMNS[] = {
    {"kind", "KIND", LISTING_TEXT},
    {"id", "ID", LISTING_ID},
    {"name", "NAME", LISTING_TEXT},
    {"detail", "DETAIL", LISTING_TEXT},
};

/* instr, not LIKE: % and _ are ordinary letters here. */
static const struct listing_query LIST = LISTING_QUERY(
    "WITH word(w) AS (SELECT lower(?1)) SELECT kind, id, name, detail FROM ("
    "SELECT 1 AS place, 'call' AS kind, c.id AS id, coalesce(c.number_text, '#' || c.id) AS name, "
    "c.subject AS detail, lower(coalesce(c.number_text, '') || ' ' || c.subject || ' ' || "
    "coalesce(c.description, '')) AS hay FROM call c "
    "UNION ALL SELECT 2, 'site', s.id, s.name, coalesce(s.street || ', ', '') || "
    "coalesce(s.city, ''), lower(s.name || ' ' || coalesce(s.street, '') || ' ' || "
    "coalesce(s.city, '')) FROM site s "
    "UNION ALL SELECT 3, 'customer', p.id, p.name, coalesce(p.city, ''), lower(p.name) "
    "FROM party p "
    "UNION ALL SELECT 4, 'asset', t.id, coalesce(t.serial, '#' || t.id), m.name, "
    "lower(coalesce(t.serial, '') || ' ' || coalesce(t.serial_normalised, '') || ' ' || "
    "coalesce(m.name, '') || ' ' || coalesce(t.position, '')) FROM asset t "
    "LEFT JOIN asset_model m ON m.id = t.model_id "
    "UNION ALL SELECT 5, 'part', i.id, i.code, i.name, lower(i.code || ' ' || i.name || ' ' || "
    "coalesce(i.barcode, '')) FROM item i), word WHERE instr(hay, w) > 0 "
    "ORDER BY place, name, id LIMIT 100",
    COLUMNS);

enum result search_all(struct service *service, const char *text, struct arena *arena,
                       struct listing *ret_listing, struct problem *problem)
{
    if (strlen(text) < 2)
        return problem_set(problem, RESULT_REFUSED, "give at least two letters to look for");
    return service_list(service, &LIST, SERVICE_VALUES(value_text_of(text)), arena, ret_listing,
                        problem);
}
