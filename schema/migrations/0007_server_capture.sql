-- SPDX-License-Identifier: Apache-2.0
-- What the generated capture triggers of a server share (schema/triggers.h). Each connection keeps the
-- parsed text of all triggers in memory, so this stands here once and not in every table's.

-- Ids that a statement may give: any, but of the server's own none far ahead of its counter, which
-- could never be moved back.
CREATE VIEW fs_id_range AS
SELECT 1 AS low, 9007199254740991 AS high, last_id + 1073741825 AS closed_low,
       (replica_no << 33) + 8589934591 AS closed_high
FROM (SELECT replica_no, (replica_no << 33)
             + coalesce((SELECT lcn FROM fs_outbox ORDER BY lcn DESC LIMIT 1), 0) AS last_id
      FROM fs_capture);

-- A new row's id goes in; the counter moves up to one ahead of it.
CREATE VIEW fs_id_ahead AS SELECT 0 AS id, 0 AS is_there;
CREATE TRIGGER fs_id_ahead_insert INSTEAD OF INSERT ON fs_id_ahead WHEN NOT NEW.is_there
BEGIN
    INSERT INTO fs_outbox(lcn, tbl, row_id, op, mask, base_seq)
    SELECT (NEW.id & 8589934591) - 1, 0, 0, '-', 0, published_seq FROM fs_capture
    WHERE NEW.id >> 33 = replica_no AND (NEW.id & 8589934591)
          > coalesce((SELECT lcn FROM fs_outbox ORDER BY lcn DESC LIMIT 1), 0) + 1;
END;

-- A row got another id: the old one is gone, the new one came.
CREATE VIEW fs_key_change AS
SELECT 0 AS tbl, 0 AS old_id, 0 AS new_id, 0 AS mask, 0 AS old_bucket, x'' AS old_hash;
CREATE TRIGGER fs_key_change_insert INSTEAD OF INSERT ON fs_key_change
BEGIN
    INSERT INTO fs_outbox(tbl, row_id, op, mask, base_seq, old_bucket, old_hash)
    SELECT NEW.tbl, NEW.old_id, 'D', 0, published_seq, NEW.old_bucket, NEW.old_hash
    FROM fs_capture WHERE is_on;
    INSERT INTO fs_outbox(tbl, row_id, op, mask, base_seq)
    SELECT NEW.tbl, NEW.new_id, 'I', NEW.mask, published_seq FROM fs_capture WHERE is_on;
END;
