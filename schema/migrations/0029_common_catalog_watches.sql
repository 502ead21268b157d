/* SPDX-License-Identifier: Apache-2.0 */
-- Whose subscription a changed row may alter: SELECTs of user ids, ?1 is the row's id.
--
-- Each runs before and after the change, so a reassigned activity names both technicians. One that
-- names too many people costs time, one that names too few leaves a device without its rows.

-- Work: the technician, and the technicians of a call that moves to another site or customer.
INSERT INTO fs_watch (table_name, ordinal, sql) VALUES
    ('activity', 1,
'SELECT technician_id AS user_id FROM activity WHERE id = ?1 AND technician_id IS NOT NULL'),
    ('call', 1,
'SELECT technician_id AS user_id FROM activity WHERE call_id = ?1 AND technician_id IS NOT NULL
UNION SELECT opened_by_id FROM call WHERE id = ?1 AND opened_by_id IS NOT NULL'),
    ('call', 2,
'SELECT user_id FROM role_grant
WHERE (role = ''warehouse''
       AND (EXISTS (SELECT 1 FROM part_need n WHERE n.call_id = ?1)
            OR EXISTS (SELECT 1 FROM rma r WHERE r.call_id = ?1)))
   OR (role = ''purchasing''
       AND EXISTS (SELECT 1 FROM purchase_request q WHERE q.call_id = ?1))'),
    ('asset', 1,
'SELECT technician_id AS user_id FROM activity WHERE asset_id = ?1 AND technician_id IS NOT NULL
UNION SELECT a.technician_id FROM call c JOIN activity a ON a.call_id = c.id
      WHERE c.asset_id = ?1 AND a.technician_id IS NOT NULL
UNION SELECT opened_by_id FROM call WHERE asset_id = ?1 AND opened_by_id IS NOT NULL'),
    ('contract', 1,
'SELECT a.technician_id AS user_id FROM call c JOIN activity a ON a.call_id = c.id
WHERE c.contract_id = ?1 AND a.technician_id IS NOT NULL
UNION SELECT opened_by_id FROM call WHERE contract_id = ?1 AND opened_by_id IS NOT NULL');

-- Who receives all sites, customers or places gets each new one.
INSERT INTO fs_watch (table_name, ordinal, sql) VALUES
    ('site', 1,
'SELECT user_id FROM role_grant
WHERE role IN (''dispatcher'', ''help_desk'', ''manager'', ''billing'')
UNION SELECT p.agent_id FROM site s JOIN party p ON p.id = s.party_id
      WHERE s.id = ?1 AND p.agent_id IS NOT NULL
UNION SELECT a.technician_id FROM call c JOIN activity a ON a.call_id = c.id
      WHERE c.site_id = ?1 AND a.technician_id IS NOT NULL
UNION SELECT technician_id FROM activity WHERE site_id = ?1 AND technician_id IS NOT NULL
UNION SELECT opened_by_id FROM call WHERE site_id = ?1 AND opened_by_id IS NOT NULL'),
    ('party', 1,
'SELECT user_id FROM role_grant
WHERE role IN (''dispatcher'', ''help_desk'', ''manager'', ''billing'', ''purchasing'')
UNION SELECT agent_id FROM party WHERE id = ?1 AND agent_id IS NOT NULL'),
    ('location', 1,
'SELECT user_id FROM role_grant
WHERE role IN (''dispatcher'', ''help_desk'', ''manager'', ''billing'', ''warehouse'',
               ''purchasing'')
UNION SELECT holder_id FROM location WHERE id = ?1 AND holder_id IS NOT NULL');

-- People, roles and devices.
INSERT INTO fs_watch (table_name, ordinal, sql) VALUES
    ('app_user', 1,
'SELECT id AS user_id FROM app_user WHERE id = ?1
UNION SELECT user_id FROM role_grant WHERE role IN (''manager'', ''billing'', ''admin'')'),
    ('role_grant', 1, 'SELECT user_id FROM role_grant WHERE id = ?1'),
    ('device', 1, 'SELECT user_id FROM device WHERE id = ?1');

-- Warehouse and purchasing: what makes a call, a return or a paper theirs to see.
INSERT INTO fs_watch (table_name, ordinal, sql) VALUES
    ('part_need', 1,
'SELECT user_id FROM role_grant
WHERE role = ''warehouse'' AND EXISTS (SELECT 1 FROM part_need WHERE id = ?1)'),
    ('rma', 1,
'SELECT user_id FROM role_grant
WHERE role = ''warehouse'' AND EXISTS (SELECT 1 FROM rma WHERE id = ?1)'),
    ('goods_document', 1,
'SELECT user_id FROM role_grant
WHERE role = ''warehouse'' AND EXISTS (SELECT 1 FROM goods_document WHERE id = ?1)'),
    ('purchase_request', 1,
'SELECT user_id FROM role_grant
WHERE role = ''purchasing'' AND EXISTS (SELECT 1 FROM purchase_request WHERE id = ?1)');
