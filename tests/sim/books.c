/* SPDX-License-Identifier: Apache-2.0 */
/* What the service rules have made of the facts: the laws of stock and of calls, each as a query of
 * the master that must find nothing. The rules themselves are those of server/service. */
#include "tests/sim/world.h"

#include <inttypes.h>

struct law {
    const char *words;
    const char *sql; /* a row's id; it breaks the law */
};

static const struct law LAWS[] = {
    {"a part that was used left its place once, and no other way",
     "SELECT u.id FROM part_use AS u WHERE u.void_of_id IS NULL AND 1 <> (SELECT count(*)"
     " FROM stock_move AS m JOIN location AS l ON l.id = m.to_location_id"
     " WHERE m.source_kind = 'part_use' AND m.source_id = u.id AND m.reverses_id IS NULL"
     " AND m.kind = 'use' AND l.kind = 'consumed' AND m.item_id = u.item_id"
     " AND m.quantity_m = u.used_m AND m.from_location_id = u.from_location_id)"},
    {"a use that was taken back was put back once, however often somebody said so",
     "SELECT u.id FROM part_use AS u WHERE EXISTS (SELECT 1 FROM part_use AS v"
     " WHERE v.void_of_id = u.id) AND 1 <> (SELECT count(*) FROM stock_move AS m"
     " JOIN stock_move AS r ON r.reverses_id = m.id WHERE m.source_kind = 'part_use'"
     " AND m.source_id = u.id AND r.quantity_m = m.quantity_m AND r.item_id = m.item_id"
     " AND r.from_location_id = m.to_location_id AND r.to_location_id = m.from_location_id)"},
    {"a move follows from something that happened",
     "SELECT m.id FROM stock_move AS m WHERE m.source_kind = 'part_use' AND NOT EXISTS"
     " (SELECT 1 FROM part_use AS u WHERE u.id = m.source_id)"},
    {"every move has its place in the order of posting, each another",
     "SELECT id FROM stock_move WHERE posted_seq IS NULL OR posted_seq IN (SELECT posted_seq"
     " FROM stock_move GROUP BY posted_seq HAVING count(*) > 1)"},
    {"what takes a place below zero is shown to somebody",
     "SELECT m.id FROM stock_move AS m JOIN location AS l ON l.id = m.from_location_id"
     " WHERE l.kind IN ('van', 'warehouse') AND m.reverses_id IS NULL"
     " AND (SELECT sum(CASE WHEN x.to_location_id = l.id THEN x.quantity_m ELSE -x.quantity_m END)"
     "  FROM stock_move AS x WHERE x.item_id = m.item_id AND l.id IN (x.from_location_id,"
     "  x.to_location_id) AND x.posted_seq <= m.posted_seq) < 0"
     " AND NOT EXISTS (SELECT 1 FROM review_item AS i WHERE i.reason_code = 'negative_stock'"
     "  AND ((i.table_name = 'part_use' AND m.source_kind = 'part_use' AND i.row_id = m.source_id)"
     "  OR (i.table_name = 'stock_move' AND i.row_id = m.id)))"},
    {"an activity that was finished with work done is done",
     "SELECT a.id FROM activity AS a WHERE a.state IN ('draft', 'planned') AND EXISTS (SELECT 1"
     " FROM work_session AS s WHERE s.activity_id = a.id)"},
};

void check_books(struct world *world)
{
    for (size_t i = 0; i < sizeof LAWS / sizeof LAWS[0]; i++) {
        sqlite3_stmt *statement = sim_prepare(world, world->server.office, LAWS[i].sql);

        if (sqlite3_step(statement) == SQLITE_ROW)
            world_fail(world, "books: %s: not so with %" PRId64, LAWS[i].words,
                       (int64_t)sqlite3_column_int64(statement, 0));
        sqlite3_finalize(statement);
    }
}
