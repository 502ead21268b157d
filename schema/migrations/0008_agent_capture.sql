-- SPDX-License-Identifier: Apache-2.0
-- What the generated capture triggers of a device share (schema/triggers.h). Each connection keeps the
-- parsed text of all triggers in memory, so this stands here once and not in every table's.

-- Ids that a statement may give: this replica's own, not far ahead of its counter, which could
-- never be moved back. Nothing while the device isn't enrolled.
CREATE VIEW fs_id_range AS
SELECT (replica_no << 33) + 1 AS low,
       (replica_no << 33) + CASE WHEN last_lcn < 8588886015 THEN last_lcn + 1048576
                                 ELSE 8589934591 END AS high,
       NULL AS closed_low, NULL AS closed_high
FROM (SELECT replica_no,
             coalesce((SELECT lcn FROM fs_outbox ORDER BY lcn DESC LIMIT 1), 0) AS last_lcn
      FROM fs_capture);

-- A new row's id goes in; the counter moves up to one ahead of it.
CREATE VIEW fs_id_ahead AS SELECT 0 AS id, 0 AS is_there;
CREATE TRIGGER fs_id_ahead_insert INSTEAD OF INSERT ON fs_id_ahead
BEGIN
    SELECT RAISE(ABORT, 'this replica has no number yet: enrol the device before writing')
    FROM fs_capture WHERE replica_no IS NULL;
    INSERT INTO fs_outbox(lcn, tbl, row_id, op, mask, base_seq)
    SELECT (NEW.id & 8589934591) - 1, 0, 0, '-', 0, published_seq FROM fs_capture
    WHERE NOT NEW.is_there AND NEW.id >> 33 = replica_no AND (NEW.id & 8589934591)
          > coalesce((SELECT lcn FROM fs_outbox ORDER BY lcn DESC LIMIT 1), 0) + 1;
END;

-- A row got another id: the old one is gone, the new one came.
CREATE VIEW fs_key_change AS SELECT 0 AS tbl, 0 AS old_id, 0 AS new_id, 0 AS mask;
CREATE TRIGGER fs_key_change_insert INSTEAD OF INSERT ON fs_key_change
BEGIN
    INSERT INTO fs_outbox(tbl, row_id, op, mask, base_seq)
    SELECT NEW.tbl, NEW.old_id, 'D', 0, published_seq FROM fs_capture WHERE is_on;
    INSERT INTO fs_outbox(tbl, row_id, op, mask, base_seq)
    SELECT NEW.tbl, NEW.new_id, 'I', NEW.mask, published_seq FROM fs_capture WHERE is_on;
END;
