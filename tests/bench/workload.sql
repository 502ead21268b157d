/* SPDX-License-Identifier: Apache-2.0 */
-- The tables of workload W as a company's own extension of the schema: SQL and catalog rows, no C.
-- Used by the benchmark only. Territory 1 (a twentieth) is what role technician subscribes to; role
-- manager has everything; crew7, whose role is sales, has the sites of customer 7; role help_desk has
-- those of customer 1.

CREATE TABLE customers (
    id INTEGER PRIMARY KEY, name TEXT, street TEXT, city TEXT, postcode TEXT, phone TEXT, email TEXT,
    contact TEXT, territory BIGINT
);
CREATE TABLE sites (
    id INTEGER PRIMARY KEY, customer_id BIGINT, name TEXT, street TEXT, city TEXT, postcode TEXT,
    lat REAL, lon REAL, access_notes TEXT
);
CREATE TABLE assets (
    id INTEGER PRIMARY KEY, site_id BIGINT, serial TEXT, model TEXT, maker TEXT, install_date TEXT,
    warranty_until TEXT, location TEXT, status TEXT
);
CREATE TABLE calls (
    id INTEGER PRIMARY KEY, site_id BIGINT, asset_id BIGINT, subject TEXT, description TEXT,
    status TEXT, priority BIGINT, opened_at BIGINT, due_at BIGINT, closed_at BIGINT,
    assigned_to BIGINT, note TEXT
);
CREATE TABLE worklogs (
    id INTEGER PRIMARY KEY, call_id BIGINT, technician BIGINT, started_at BIGINT, minutes BIGINT,
    note TEXT, home BIGINT
);
CREATE TABLE parts (
    id INTEGER PRIMARY KEY, sku TEXT, name TEXT, unit TEXT, price_cents BIGINT, stock BIGINT,
    depot BIGINT
);
CREATE TABLE partuse (
    id INTEGER PRIMARY KEY, call_id BIGINT, part_id BIGINT, qty BIGINT, price_cents BIGINT,
    used_at BIGINT, home BIGINT
);
CREATE INDEX sites_c ON sites (customer_id);
CREATE INDEX assets_s ON assets (site_id);
CREATE INDEX calls_s ON calls (site_id);
CREATE INDEX calls_a ON calls (asset_id);
CREATE INDEX worklogs_c ON worklogs (call_id);
CREATE INDEX partuse_c ON partuse (call_id);

INSERT INTO fs_table (number, name, bucket_rule, merge, delete_rule, natural_key) VALUES
    (901, 'customers', 'customer:id',    'last_writer', 'never', NULL),
    (902, 'sites',     'site:id',        'last_writer', 'never', NULL),
    (903, 'assets',    'site:site_id',   'last_writer', 'never', NULL),
    (904, 'calls',     'site:site_id',   'last_writer', 'never', NULL),
    (905, 'worklogs',  'home:call_id',   'append_only', 'never', NULL),
    (906, 'parts',     'location:depot', 'last_writer', 'never', NULL),
    (907, 'partuse',   'home:call_id',   'append_only', 'never', NULL);

INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (901, 1, 'name', 'text', 1, NULL, 0, NULL),
    (901, 2, 'street', 'text', 1, NULL, 0, NULL),
    (901, 3, 'city', 'text', 1, NULL, 0, NULL),
    (901, 4, 'postcode', 'text', 1, NULL, 0, NULL),
    (901, 5, 'phone', 'text', 1, NULL, 0, NULL),
    (901, 6, 'email', 'text', 1, NULL, 0, NULL),
    (901, 7, 'contact', 'text', 1, NULL, 0, NULL),
    (901, 8, 'territory', 'integer', 1, NULL, 0, NULL),
    (902, 1, 'customer_id', 'integer', 1, NULL, 0, 'customers'),
    (902, 2, 'name', 'text', 1, NULL, 0, NULL),
    (902, 3, 'street', 'text', 1, NULL, 0, NULL),
    (902, 4, 'city', 'text', 1, NULL, 0, NULL),
    (902, 5, 'postcode', 'text', 1, NULL, 0, NULL),
    (902, 6, 'lat', 'real', 1, NULL, 0, NULL),
    (902, 7, 'lon', 'real', 1, NULL, 0, NULL),
    (902, 8, 'access_notes', 'text', 1, NULL, 0, NULL),
    (903, 1, 'site_id', 'integer', 1, NULL, 0, 'sites'),
    (903, 2, 'serial', 'text', 1, NULL, 0, NULL),
    (903, 3, 'model', 'text', 1, NULL, 0, NULL),
    (903, 4, 'maker', 'text', 1, NULL, 0, NULL),
    (903, 5, 'install_date', 'text', 1, NULL, 0, NULL),
    (903, 6, 'warranty_until', 'text', 1, NULL, 0, NULL),
    (903, 7, 'location', 'text', 1, NULL, 0, NULL),
    (903, 8, 'status', 'text', 1, NULL, 0, NULL),
    (904, 1, 'site_id', 'integer', 1, NULL, 0, 'sites'),
    (904, 2, 'asset_id', 'integer', 1, NULL, 0, 'assets'),
    (904, 3, 'subject', 'text', 1, NULL, 0, NULL),
    (904, 4, 'description', 'text', 1, NULL, 0, NULL),
    (904, 5, 'status', 'text', 1, NULL, 0, NULL),
    (904, 6, 'priority', 'integer', 1, NULL, 0, NULL),
    (904, 7, 'opened_at', 'integer', 1, NULL, 0, NULL),
    (904, 8, 'due_at', 'integer', 1, NULL, 0, NULL),
    (904, 9, 'closed_at', 'integer', 1, NULL, 0, NULL),
    (904, 10, 'assigned_to', 'integer', 1, NULL, 0, NULL),
    (904, 11, 'note', 'text', 1, NULL, 0, NULL),
    (905, 1, 'call_id', 'integer', 1, NULL, 0, 'calls'),
    (905, 2, 'technician', 'integer', 1, NULL, 0, NULL),
    (905, 3, 'started_at', 'integer', 1, NULL, 0, NULL),
    (905, 4, 'minutes', 'integer', 1, NULL, 0, NULL),
    (905, 5, 'note', 'text', 1, NULL, 0, NULL),
    (905, 6, 'home', 'integer', 1, 'server_only', 0, NULL),
    (906, 1, 'sku', 'text', 1, NULL, 0, NULL),
    (906, 2, 'name', 'text', 1, NULL, 0, NULL),
    (906, 3, 'unit', 'text', 1, NULL, 0, NULL),
    (906, 4, 'price_cents', 'integer', 1, NULL, 0, NULL),
    (906, 5, 'stock', 'integer', 1, NULL, 0, NULL),
    (906, 6, 'depot', 'integer', 1, NULL, 0, NULL),
    (907, 1, 'call_id', 'integer', 1, NULL, 0, 'calls'),
    (907, 2, 'part_id', 'integer', 1, NULL, 0, 'parts'),
    (907, 3, 'qty', 'integer', 1, NULL, 0, NULL),
    (907, 4, 'price_cents', 'integer', 1, NULL, 0, NULL),
    (907, 5, 'used_at', 'integer', 1, NULL, 0, NULL),
    (907, 6, 'home', 'integer', 1, 'server_only', 0, NULL);

INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('manager',    'calls',    'update', 'status,note', NULL),
    ('manager',    'worklogs', 'insert', '*', NULL),
    ('manager',    'partuse',  'insert', '*', NULL),
    ('technician', 'calls',    'update', 'status,note', NULL),
    ('technician', 'worklogs', 'insert', '*', NULL),
    ('technician', 'partuse',  'insert', '*', NULL),
    ('sales',      'calls',    'update', 'status,note', NULL),
    ('sales',      'worklogs', 'insert', '*', NULL),
    ('sales',      'partuse',  'insert', '*', NULL);

INSERT INTO fs_subscription (role, ordinal, sql) VALUES
    ('manager', 901,
'SELECT ''customer'' AS kind, id FROM customers
UNION ALL SELECT ''site'', id FROM sites
UNION ALL SELECT ''location'', depot FROM parts GROUP BY depot'),
    ('technician', 901,
'SELECT ''customer'' AS kind, id FROM customers WHERE territory = 1
UNION ALL SELECT ''site'', s.id FROM sites s JOIN customers c ON c.id = s.customer_id
          WHERE c.territory = 1
UNION ALL SELECT ''location'', 1'),
    ('help_desk', 901, 'SELECT ''site'' AS kind, id FROM sites WHERE customer_id = 1'),
    ('sales', 901,
'SELECT ''site'' AS kind, s.id FROM app_user u
JOIN sites s ON u.login = ''crew'' || CAST(s.customer_id AS TEXT) WHERE u.id = ?1');
