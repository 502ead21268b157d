/* SPDX-License-Identifier: Apache-2.0 */
-- Which buckets a user receives, by role: SELECTs of (kind name, id).
--
-- ?1 is the user's id, ?2 is now in microseconds. A user with several roles receives the union.
-- The windows (30 days = 2592000000000, 14 days = 1209600000000 microseconds) move with the time,
-- so the server runs these again at each connect and once a day, not only after a change.

-- Technician: everybody's rows, his own, his van.
INSERT INTO fs_subscription (role, ordinal, sql) VALUES
    ('technician', 1, 'SELECT ''shared'' AS kind, 0 AS id'),
    ('technician', 2, 'SELECT ''user'' AS kind, CAST(?1 AS BIGINT) AS id'),
    ('technician', 3,
'SELECT ''location'' AS kind, id FROM location WHERE holder_id = ?1
UNION
SELECT ''location'', van_id FROM device
WHERE user_id = ?1 AND van_id IS NOT NULL AND revoked_at IS NULL');

-- Technician: the sites and customers of his calls. An activity counts
--   planned: from 14 days before its start to 30 days after it, longer while it is unfinished,
--            and from the moment the journey to it has begun;
--   unplanned: while it is unfinished, and until 30 days after its call was opened.
-- So do calls he opened himself in the last 30 days. Of such a call he receives the site, the
-- customer, and where they differ the site of the asset, the customer of the site and of the
-- contract.
INSERT INTO fs_subscription (role, ordinal, sql) VALUES
    ('technician', 4,
'WITH mine AS (
    SELECT c.party_id, COALESCE(a.site_id, c.site_id) AS site_id, c.site_id AS call_site_id,
           COALESCE(a.asset_id, c.asset_id) AS asset_id, c.contract_id
    FROM activity a JOIN call c ON c.id = a.call_id
    WHERE a.technician_id = ?1
      AND (a.state IN (''travelling'', ''on_site'', ''working'', ''paused'')
           OR (a.planned_start_at <= ?2 + 1209600000000
               AND (a.planned_start_at >= ?2 - 2592000000000
                    OR a.state NOT IN (''done'', ''approved'', ''priced'', ''failed'',
                                         ''cancelled'')))
           OR (a.planned_start_at IS NULL
               AND (c.opened_at >= ?2 - 2592000000000
                    OR a.state NOT IN (''done'', ''approved'', ''priced'', ''failed'',
                                         ''cancelled''))))
    UNION
    SELECT c.party_id, c.site_id, c.site_id, c.asset_id, c.contract_id
    FROM call c
    WHERE c.opened_by_id = ?1 AND c.opened_at >= ?2 - 2592000000000
)
SELECT ''site'' AS kind, site_id AS id FROM mine WHERE site_id IS NOT NULL
UNION SELECT ''site'', call_site_id FROM mine WHERE call_site_id IS NOT NULL
UNION SELECT ''site'', s.site_id FROM mine m JOIN asset s ON s.id = m.asset_id
      WHERE s.site_id IS NOT NULL
UNION SELECT ''customer'', party_id FROM mine
UNION SELECT ''customer'', s.party_id FROM mine m JOIN site s ON s.id = m.site_id
UNION SELECT ''customer'', k.party_id FROM mine m JOIN contract k ON k.id = m.contract_id');

-- Dispatcher, help desk, manager, billing: all sites, customers and places. Manager and billing
-- also all commercial papers, and everybody's own rows (trips, devices).
INSERT INTO fs_subscription (role, ordinal, sql) VALUES
    ('dispatcher', 1,
'SELECT ''shared'' AS kind, 0 AS id
UNION ALL SELECT ''office'', 0
UNION ALL SELECT ''user'', CAST(?1 AS BIGINT)'),
    ('dispatcher', 2, 'SELECT ''site'' AS kind, id FROM site'),
    ('dispatcher', 3, 'SELECT ''customer'' AS kind, id FROM party'),
    ('dispatcher', 4, 'SELECT ''location'' AS kind, id FROM location'),
    ('help_desk', 1,
'SELECT ''shared'' AS kind, 0 AS id
UNION ALL SELECT ''office'', 0
UNION ALL SELECT ''user'', CAST(?1 AS BIGINT)'),
    ('help_desk', 2, 'SELECT ''site'' AS kind, id FROM site'),
    ('help_desk', 3, 'SELECT ''customer'' AS kind, id FROM party'),
    ('help_desk', 4, 'SELECT ''location'' AS kind, id FROM location'),
    ('manager', 1,
'SELECT ''shared'' AS kind, 0 AS id
UNION ALL SELECT ''office'', 0
UNION ALL SELECT ''user'', id FROM app_user'),
    ('manager', 2, 'SELECT ''site'' AS kind, id FROM site'),
    ('manager', 3, 'SELECT ''customer'' AS kind, id FROM party'),
    ('manager', 4, 'SELECT ''location'' AS kind, id FROM location'),
    ('manager', 5, 'SELECT ''commercial'' AS kind, id FROM party'),
    ('billing', 1,
'SELECT ''shared'' AS kind, 0 AS id
UNION ALL SELECT ''office'', 0
UNION ALL SELECT ''user'', id FROM app_user'),
    ('billing', 2, 'SELECT ''site'' AS kind, id FROM site'),
    ('billing', 3, 'SELECT ''customer'' AS kind, id FROM party'),
    ('billing', 4, 'SELECT ''location'' AS kind, id FROM location'),
    ('billing', 5, 'SELECT ''commercial'' AS kind, id FROM party');

-- Warehouse: all places; sites and customers where parts are needed or goods come back.
INSERT INTO fs_subscription (role, ordinal, sql) VALUES
    ('warehouse', 1,
'SELECT ''shared'' AS kind, 0 AS id
UNION ALL SELECT ''office'', 0
UNION ALL SELECT ''user'', CAST(?1 AS BIGINT)'),
    ('warehouse', 2, 'SELECT ''location'' AS kind, id FROM location'),
    ('warehouse', 3,
'WITH wanted AS (
    SELECT c.site_id, c.party_id FROM call c
    WHERE c.state NOT IN (''closed'', ''duplicate'', ''cancelled'')
      AND EXISTS (SELECT 1 FROM part_need n WHERE n.call_id = c.id)
    UNION
    SELECT c.site_id, r.party_id FROM rma r LEFT JOIN call c ON c.id = r.call_id
    WHERE r.state NOT IN (''closed'', ''refused'', ''expired'', ''credited'', ''scrapped'')
    UNION
    SELECT d.site_id, d.party_id FROM goods_document d WHERE d.state IN (''draft'', ''issued'')
)
SELECT ''site'' AS kind, site_id AS id FROM wanted WHERE site_id IS NOT NULL
UNION SELECT ''customer'', party_id FROM wanted');

-- Purchasing: all places and suppliers; sites and customers of calls that wait for a purchase.
INSERT INTO fs_subscription (role, ordinal, sql) VALUES
    ('purchasing', 1,
'SELECT ''shared'' AS kind, 0 AS id
UNION ALL SELECT ''office'', 0
UNION ALL SELECT ''user'', CAST(?1 AS BIGINT)'),
    ('purchasing', 2, 'SELECT ''location'' AS kind, id FROM location'),
    ('purchasing', 3,
'WITH wanted AS (
    SELECT c.site_id, c.party_id FROM purchase_request q JOIN call c ON c.id = q.call_id
    WHERE q.state NOT IN (''received'', ''cancelled'')
)
SELECT ''site'' AS kind, site_id AS id FROM wanted WHERE site_id IS NOT NULL
UNION SELECT ''customer'', party_id FROM wanted
UNION SELECT ''customer'', id FROM party WHERE kind = ''supplier''');

-- Sales: own customers with their sites and commercial papers, and nothing of anybody else's.
INSERT INTO fs_subscription (role, ordinal, sql) VALUES
    ('sales', 1,
'SELECT ''shared'' AS kind, 0 AS id
UNION ALL SELECT ''user'', CAST(?1 AS BIGINT)'),
    ('sales', 2,
'SELECT ''customer'' AS kind, id FROM party WHERE agent_id = ?1
UNION ALL SELECT ''commercial'', id FROM party WHERE agent_id = ?1
UNION ALL SELECT ''site'', s.id FROM party p JOIN site s ON s.party_id = p.id
WHERE p.agent_id = ?1');

-- Administrator: people, roles and devices.
INSERT INTO fs_subscription (role, ordinal, sql) VALUES
    ('admin', 1,
'SELECT ''shared'' AS kind, 0 AS id
UNION ALL SELECT ''office'', 0
UNION ALL SELECT ''user'', id FROM app_user');
