/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/trigger_shared.h"

#include <assert.h>

#define FROM_IF_ON " FROM fs_capture WHERE is_on"
/* The newest line's lcn. ORDER BY with LIMIT is cheaper than max(). */
#define NEWEST_LCN "(SELECT lcn FROM fs_outbox ORDER BY lcn DESC LIMIT 1)"
#define LINE       "INSERT INTO fs_outbox(tbl, row_id, op, mask, base_seq"
#define ID_PUT_BEGIN                                                                               \
    "CREATE TRIGGER _fs_idput INSTEAD OF INSERT ON _fs_id WHEN NEW.was IS NOT NEW.id\nBEGIN\n"     \
    "  INSERT INTO fs_id_ahead SELECT NEW.id, CASE WHEN NEW.is_there THEN 1 WHEN NEW.id IS NULL "  \
    "OR"                                                                                           \
    " NEW.id NOT BETWEEN low AND high OR NEW.id BETWEEN closed_low AND closed_high THEN"           \
    " RAISE(ABORT, 'id must be given"
#define ID_PUT_END ": use (SELECT id FROM new_id)') ELSE 0 END FROM fs_id_range;\nEND"
static_assert(UNIQUES_MAX == 16, "as in the text: R stands between, too");

/* Each connection keeps the parsed text of all triggers in memory, so whatever isn't done for each
 * row that is written, and doesn't name columns, stands here once. No table's object has such a
 * name: theirs have a second underscore. */
static const struct shared_object {
    enum schema_side side; /* 0: both */
    struct trigger_object object;
} SHARED[] = {
    /* the id that new_id gives; no row while the writer is the applier */
    {0,
     {"view", "_fs_next", NULL,
      "CREATE VIEW _fs_next AS SELECT replica_no << 33 | (coalesce(" NEWEST_LCN
      ", 0) + 1) AS id FROM fs_capture WHERE is_on"}},
    /* a new id goes in, of a row that had the id `was` or is new; is_there: another row has it.
     * fs_id_range and fs_id_ahead (0007, 0008) know what this side allows. */
    {0, {"view", "_fs_id", NULL, "CREATE VIEW _fs_id AS SELECT 0 AS was, 0 AS id, 0 AS is_there"}},
    {SCHEMA_SIDE_SERVER,
     {"trigger", "_fs_idput", "_fs_id", ID_PUT_BEGIN ", in 1 to 2^53-1" ID_PUT_END}},
    {SCHEMA_SIDE_AGENT,
     {"trigger", "_fs_idput", "_fs_id", ID_PUT_BEGIN " and from this device''s range" ID_PUT_END}},
    /* a line other than I and U */
    {SCHEMA_SIDE_SERVER,
     {"view", "_fs_line", NULL,
      "CREATE VIEW _fs_line AS SELECT '' AS op, 0 AS tbl, 0 AS id, 0 AS mask, 0 AS bucket,"
      " x'' AS hash"}},
    {SCHEMA_SIDE_SERVER,
     {"trigger", "_fs_lineput", "_fs_line",
      "CREATE TRIGGER _fs_lineput INSTEAD OF INSERT ON _fs_line\nBEGIN\n  " LINE
      ", old_bucket, old_hash) SELECT NEW.tbl, NEW.id, NEW.op, NEW.mask, published_seq,"
      " NEW.bucket, NEW.hash" FROM_IF_ON ";\nEND"}},
    {SCHEMA_SIDE_AGENT,
     {"view", "_fs_line", NULL,
      "CREATE VIEW _fs_line AS SELECT '' AS op, 0 AS tbl, 0 AS id, 0 AS mask"}},
    {SCHEMA_SIDE_AGENT,
     {"trigger", "_fs_lineput", "_fs_line",
      "CREATE TRIGGER _fs_lineput INSTEAD OF INSERT ON _fs_line\nBEGIN\n  " LINE
      ") SELECT NEW.tbl, NEW.id, NEW.op, NEW.mask, published_seq" FROM_IF_ON ";\nEND"}},
    /* the line I of a row of which a REPLACE may not change the columns `kept`. In the common case
     * the row's counter is the line's lcn: nothing was replaced, and fs_outbox isn't looked at. */
    {SCHEMA_SIDE_AGENT,
     {"view", "_fs_new", NULL,
      "CREATE VIEW _fs_new AS SELECT 0 AS tbl, 0 AS id, 0 AS mask, 0 AS kept"}},
    {SCHEMA_SIDE_AGENT,
     {"trigger", "_fs_newput", "_fs_new",
      "CREATE TRIGGER _fs_newput INSTEAD OF INSERT ON _fs_new\nBEGIN\n  " LINE
      ") SELECT NEW.tbl, NEW.id, 'I', NEW.mask, published_seq" FROM_IF_ON ";\n"
      "  SELECT CASE WHEN NEW.id <> replica_no << 33 | last_insert_rowid() THEN\n"
      "  (SELECT RAISE(ABORT, 'REPLACE changes a fact or resets what the server sets: insert a new"
      " row, use UPDATE or ON CONFLICT(id) DO UPDATE') FROM fs_outbox WHERE lcn ="
      " last_insert_rowid() - 1 AND op = 'R' AND tbl = NEW.tbl AND row_id = NEW.id AND"
      " mask & NEW.kept <> 0) END" FROM_IF_ON ";\nEND"}},
    /* rows that were looked at right before the newest line, by the same statement as far as the
     * lines between tell, and what id that line has if it has its own */
    {SCHEMA_SIDE_AGENT,
     {"view", "_fs_looked", NULL,
      "CREATE VIEW _fs_looked AS SELECT replica_no << 33 | " NEWEST_LCN
      " AS id, b.tbl AS tbl, b.row_id AS row_id FROM fs_capture CROSS JOIN fs_outbox AS b WHERE"
      " is_on AND b.op = '?' AND b.lcn BETWEEN " NEWEST_LCN " - 17 AND " NEWEST_LCN " - 1"
      " AND NOT EXISTS (SELECT 1 FROM fs_outbox AS c WHERE c.lcn > b.lcn AND c.lcn < " NEWEST_LCN
      " AND c.op NOT IN ('?', 'R'))"}},
};
enum { SHARED_COUNT = sizeof SHARED / sizeof SHARED[0] };
static_assert((int)SHARED_COUNT <= (int)TRIGGER_OBJECTS_MAX, "room for them");

void trigger_shared_objects(enum schema_side side,
                            struct trigger_object ret_objects[TRIGGER_OBJECTS_MAX],
                            size_t *ret_count)
{
    size_t count = 0;

    for (size_t i = 0; i < SHARED_COUNT; i++)
        if (SHARED[i].side == 0 || SHARED[i].side == side)
            ret_objects[count++] = SHARED[i].object;
    *ret_count = count;
}
