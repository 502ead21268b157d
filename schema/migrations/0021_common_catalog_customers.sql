/* SPDX-License-Identifier: Apache-2.0 */
-- Catalog of customers, sites, goods and places: buckets, merge rules, rights.

INSERT INTO fs_table (number, name, bucket_rule, merge, delete_rule, natural_key) VALUES
    (11, 'party',         'customer:id', 'last_writer', 'never', NULL),
    (12, 'party_terms',   'commercial:party_id', 'server_only', 'never', 'party_id'),
    (13, 'site',          'site:id', 'last_writer', 'never', NULL),
    (14, 'contact',       'site:site_id,customer:party_id', 'last_writer', 'edit_revives', NULL),
    (15, 'job',           'commercial:party_id,office', 'server_only', 'never', NULL),
    (16, 'item',          'shared', 'server_only', 'never', NULL),
    (17, 'item_cost',     'server', 'server_only', 'never', 'item_id,from_d'),
    (18, 'price_list',    'shared', 'server_only', 'never', NULL),
    (19, 'price',         'shared', 'server_only', 'never', 'list_id,item_id,from_d,min_m'),
    (20, 'location',      'shared', 'server_only', 'never', NULL),
    (21, 'device',        'user:user_id', 'server_only', 'never', NULL),
    (22, 'number_series', 'user:user_id,office', 'server_only', 'never', 'kind,prefix,year_n');

-- party
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (11,  1, 'kind',             'text',    0, NULL,          0, NULL),
    (11,  2, 'name',             'text',    0, NULL,          0, NULL),
    (11,  3, 'bill_to_id',       'integer', 1, NULL,          0, 'party'),
    (11,  4, 'street',           'text',    1, NULL,          1, NULL),
    (11,  5, 'city',             'text',    1, NULL,          1, NULL),
    (11,  6, 'post_code',        'text',    1, NULL,          1, NULL),
    (11,  7, 'province',         'text',    1, NULL,          1, NULL),
    (11,  8, 'country',          'text',    1, NULL,          1, NULL),
    (11,  9, 'vat_number',       'text',    1, 'write_once',  0, NULL),
    (11, 10, 'tax_code',         'text',    1, 'write_once',  0, NULL),
    (11, 11, 'sdi_code',         'text',    1, 'server_only', 0, NULL),
    (11, 12, 'pec',              'text',    1, 'server_only', 0, NULL),
    (11, 13, 'tax_profile',      'text',    1, 'server_only', 0, NULL),
    (11, 14, 'is_split_payment', 'integer', 0, 'server_only', 0, NULL),
    (11, 15, 'withholding_bp',   'integer', 0, 'server_only', 0, NULL),
    (11, 16, 'agent_id',         'integer', 1, NULL,          0, 'app_user'),
    (11, 17, 'state',            'text',    0, 'server_only', 0, NULL),
    (11, 18, 'merged_into_id',   'integer', 1, 'server_only', 0, 'party');
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'party', 'insert',
        'kind,name,bill_to_id,street,city,post_code,province,country,vat_number,tax_code', NULL),
    ('help_desk', 'party', 'insert', '*', NULL),
    ('sales', 'party', 'insert', '*', NULL),
    ('billing', 'party', 'insert', '*', NULL),
    ('technician', 'party', 'update', 'name', NULL),
    ('help_desk', 'party', 'update',
        'kind,name,bill_to_id,street,city,post_code,province,country', NULL),
    ('sales', 'party', 'update',
        'kind,name,bill_to_id,street,city,post_code,province,country', NULL),
    ('billing', 'party', 'update',
        'kind,name,bill_to_id,street,city,post_code,province,country,agent_id', NULL);

-- party_terms
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (12, 1, 'party_id',           'integer', 0, NULL, 0, 'party'),
    (12, 2, 'payment_days_n',     'integer', 0, NULL, 0, NULL),
    (12, 3, 'credit_limit_cents', 'integer', 1, NULL, 0, NULL);

-- site
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (13,  1, 'party_id',    'integer', 0, NULL,          0, 'party'),
    (13,  2, 'name',        'text',    0, NULL,          0, NULL),
    (13,  3, 'street',      'text',    1, NULL,          1, NULL),
    (13,  4, 'city',        'text',    1, NULL,          1, NULL),
    (13,  5, 'post_code',   'text',    1, NULL,          1, NULL),
    (13,  6, 'province',    'text',    1, NULL,          1, NULL),
    (13,  7, 'country',     'text',    1, NULL,          1, NULL),
    (13,  8, 'territory',   'text',    1, NULL,          0, NULL),
    (13,  9, 'lat_e7',      'integer', 1, NULL,          2, NULL),
    (13, 10, 'lon_e7',      'integer', 1, NULL,          2, NULL),
    (13, 11, 'base_km_m',   'integer', 1, 'server_only', 0, NULL),
    (13, 12, 'zone',        'text',    1, 'server_only', 0, NULL),
    (13, 13, 'access_note', 'text',    1, NULL,          0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('help_desk', 'site', 'insert', '*', NULL),
    ('dispatcher', 'site', 'insert', '*', NULL),
    ('help_desk', 'site', 'update', '*', NULL),
    ('dispatcher', 'site', 'update', '*', NULL),
    ('technician', 'site', 'update', 'lat_e7,lon_e7,access_note', NULL);

-- contact
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (14, 1, 'party_id', 'integer', 0, NULL, 0, 'party'),
    (14, 2, 'site_id',  'integer', 1, NULL, 0, 'site'),
    (14, 3, 'name',     'text',    0, NULL, 0, NULL),
    (14, 4, 'phone',    'text',    1, NULL, 0, NULL),
    (14, 5, 'email',    'text',    1, NULL, 0, NULL),
    (14, 6, 'role',     'text',    1, NULL, 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'contact', 'insert', '*', NULL),
    ('help_desk', 'contact', 'insert', '*', NULL),
    ('dispatcher', 'contact', 'insert', '*', NULL),
    ('sales', 'contact', 'insert', '*', NULL),
    ('technician', 'contact', 'update', '*', NULL),
    ('help_desk', 'contact', 'update', '*', NULL),
    ('dispatcher', 'contact', 'update', '*', NULL),
    ('sales', 'contact', 'update', '*', NULL),
    ('help_desk', 'contact', 'delete', '*', NULL),
    ('sales', 'contact', 'delete', '*', NULL);

-- job
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (15, 1, 'code',         'text',    0, NULL, 0, NULL),
    (15, 2, 'name',         'text',    0, NULL, 0, NULL),
    (15, 3, 'party_id',     'integer', 1, NULL, 0, 'party'),
    (15, 4, 'state',        'text',    0, NULL, 0, NULL),
    (15, 5, 'budget_cents', 'integer', 1, NULL, 0, NULL);

-- item
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (16, 1, 'code',            'text',    0, NULL, 0, NULL),
    (16, 2, 'name',            'text',    0, NULL, 0, NULL),
    (16, 3, 'unit_of_measure', 'text',    0, NULL, 0, NULL),
    (16, 4, 'category',        'text',    1, NULL, 0, NULL),
    (16, 5, 'is_stocked',      'integer', 0, NULL, 0, NULL),
    (16, 6, 'is_serialised',   'integer', 0, NULL, 0, NULL),
    (16, 7, 'barcode',         'text',    1, NULL, 0, NULL),
    (16, 8, 'issue_mode',      'text',    0, NULL, 0, NULL);

-- item_cost
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (17, 1, 'item_id', 'integer', 0, NULL, 0, 'item'),
    (17, 2, 'from_d',  'text',    0, NULL, 0, NULL),
    (17, 3, 'cost_e4', 'integer', 0, NULL, 0, NULL);

-- price_list
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (18, 1, 'name',     'text', 0, NULL, 0, NULL),
    (18, 2, 'currency', 'text', 0, NULL, 0, NULL);

-- price
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (19, 1, 'list_id',  'integer', 0, NULL, 0, 'price_list'),
    (19, 2, 'item_id',  'integer', 0, NULL, 0, 'item'),
    (19, 3, 'from_d',   'text',    0, NULL, 0, NULL),
    (19, 4, 'min_m',    'integer', 0, NULL, 0, NULL),
    (19, 5, 'price_e4', 'integer', 0, NULL, 0, NULL);

-- location
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (20, 1, 'kind',      'text',    0, NULL, 0, NULL),
    (20, 2, 'name',      'text',    0, NULL, 0, NULL),
    (20, 3, 'parent_id', 'integer', 1, NULL, 0, 'location'),
    (20, 4, 'holder_id', 'integer', 1, NULL, 0, 'app_user'),
    (20, 5, 'party_id',  'integer', 1, NULL, 0, 'party');

-- device
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (21, 1, 'user_id',         'integer', 0, NULL, 0, 'app_user'),
    (21, 2, 'van_id',          'integer', 1, NULL, 0, 'location'),
    (21, 3, 'series',          'text',    0, NULL, 0, NULL),
    (21, 4, 'key_fingerprint', 'text',    0, NULL, 0, NULL),
    (21, 5, 'enrolled_at',     'integer', 0, NULL, 0, NULL),
    (21, 6, 'revoked_at',      'integer', 1, NULL, 0, NULL);

-- number_series
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (22, 1, 'kind',      'text',    0, NULL,          0, NULL),
    (22, 2, 'prefix',    'text',    0, NULL,          0, NULL),
    (22, 3, 'year_n',    'integer', 0, NULL,          0, NULL),
    (22, 4, 'user_id',   'integer', 1, NULL,          0, 'app_user'),
    (22, 5, 'device_id', 'integer', 1, NULL,          0, 'device'),
    (22, 6, 'next_n',    'integer', 0, 'last_writer', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'number_series', 'update', 'next_n', 'user_id'),
    ('help_desk', 'number_series', 'update', 'next_n', 'user_id'),
    ('sales', 'number_series', 'update', 'next_n', 'user_id'),
    ('warehouse', 'number_series', 'update', 'next_n', 'user_id');
