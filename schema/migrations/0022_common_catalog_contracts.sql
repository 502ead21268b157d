/* SPDX-License-Identifier: Apache-2.0 */
-- Catalog of installed base and contracts: buckets, merge rules, rights.

INSERT INTO fs_table (number, name, bucket_rule, merge, delete_rule, natural_key) VALUES
    (23, 'asset_model',    'shared', 'server_only', 'never', NULL),
    (24, 'asset',          'site:site_id,customer:owner_id', 'last_writer', 'never', NULL),
    (25, 'warranty',       'home:asset_id', 'server_only', 'never', NULL),
    (26, 'coverage',       'shared', 'server_only', 'never', NULL),
    (27, 'coverage_rule',  'shared', 'server_only', 'never', NULL),
    (28, 'contract',       'site:site_id,customer:party_id', 'last_writer', 'never', NULL),
    (29, 'contract_line',  'home:contract_id', 'server_only', 'never', NULL),
    (30, 'contract_fee',   'commercial:party_id', 'server_only', 'never', 'line_id,from_d'),
    (31, 'contract_asset', 'home:asset_id', 'server_only', 'never', 'contract_id,asset_id,from_d'),
    (32, 'contract_event', 'commercial:party_id', 'append_only', 'never', NULL),
    (33, 'bill_period',    'commercial:party_id', 'server_only', 'never', NULL),
    (34, 'rate',           'home:contract_id,customer:party_id,shared',
        'server_only', 'never', NULL),
    (35, 'labour_cost',    'server', 'server_only', 'never', 'cost_class,from_d');

-- asset_model
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (23, 1, 'code',                     'text',    0, NULL, 0, NULL),
    (23, 2, 'name',                     'text',    0, NULL, 0, NULL),
    (23, 3, 'nature',                   'text',    0, NULL, 0, NULL),
    (23, 4, 'maker',                    'text',    1, NULL, 0, NULL),
    (23, 5, 'category',                 'text',    1, NULL, 0, NULL),
    (23, 6, 'warranty_parts_months_n',  'integer', 1, NULL, 0, NULL),
    (23, 7, 'warranty_labour_months_n', 'integer', 1, NULL, 0, NULL),
    (23, 8, 'item_id',                  'integer', 1, NULL, 0, 'item');

-- asset
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (24,  1, 'model_id',          'integer', 0, NULL,          0, 'asset_model'),
    (24,  2, 'serial',            'text',    1, NULL,          0, NULL),
    (24,  3, 'serial_normalised', 'text',    1, 'server_only', 0, NULL),
    (24,  4, 'site_id',           'integer', 1, NULL,          0, 'site'),
    (24,  5, 'owner_id',          'integer', 0, NULL,          0, 'party'),
    (24,  6, 'end_user_id',       'integer', 1, NULL,          0, 'party'),
    (24,  7, 'parent_id',         'integer', 1, NULL,          0, 'asset'),
    (24,  8, 'position',          'text',    1, NULL,          0, NULL),
    (24,  9, 'version',           'text',    1, NULL,          0, NULL),
    (24, 10, 'installed_d',       'text',    1, NULL,          0, NULL),
    (24, 11, 'retired_d',         'text',    1, NULL,          0, NULL),
    (24, 12, 'state',             'text',    0, 'server_only', 0, NULL),
    (24, 13, 'duplicate_of_id',   'integer', 1, 'server_only', 0, 'asset');
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('help_desk', 'asset', 'insert', '*', NULL),
    ('manager', 'asset', 'insert', '*', NULL),
    ('technician', 'asset', 'insert', '*', NULL),
    ('help_desk', 'asset', 'update', '*', NULL),
    ('manager', 'asset', 'update', '*', NULL),
    ('technician', 'asset', 'update', 'serial,position,version', NULL);

-- warranty
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (25, 1, 'asset_id',   'integer', 0, NULL, 0, 'asset'),
    (25, 2, 'origin',     'text',    0, NULL, 0, NULL),
    (25, 3, 'from_d',     'text',    0, NULL, 0, NULL),
    (25, 4, 'to_d',       'text',    0, NULL, 0, NULL),
    (25, 5, 'has_parts',  'integer', 0, NULL, 0, NULL),
    (25, 6, 'has_labour', 'integer', 0, NULL, 0, NULL),
    (25, 7, 'has_travel', 'integer', 0, NULL, 0, NULL),
    (25, 8, 'home',       'integer', 1, NULL, 0, NULL);

-- coverage
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (26, 1, 'name',  'text', 0, NULL, 0, NULL),
    (26, 2, 'basis', 'text', 0, NULL, 0, NULL);

-- coverage_rule
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (27, 1, 'coverage_id',   'integer', 0, NULL, 0, 'coverage'),
    (27, 2, 'charge_kind',   'text',    0, NULL, 0, NULL),
    (27, 3, 'item_category', 'text',    1, NULL, 0, NULL),
    (27, 4, 'time_band_id',  'integer', 1, NULL, 0, 'time_band'),
    (27, 5, 'covered_bp',    'integer', 0, NULL, 0, NULL),
    (27, 6, 'cap_cents',     'integer', 1, NULL, 0, NULL),
    (27, 7, 'cap_m',         'integer', 1, NULL, 0, NULL),
    (27, 8, 'cap_per',       'text',    1, NULL, 0, NULL);

-- contract
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (28,  1, 'number_text',    'text',    1, 'write_once',  0, NULL),
    (28,  2, 'party_id',       'integer', 0, NULL,          0, 'party'),
    (28,  3, 'site_id',        'integer', 1, NULL,          0, 'site'),
    (28,  4, 'name',           'text',    0, NULL,          0, NULL),
    (28,  5, 'state',          'text',    0, 'server_only', 0, NULL),
    (28,  6, 'start_d',        'text',    0, NULL,          1, NULL),
    (28,  7, 'end_d',          'text',    1, NULL,          1, NULL),
    (28,  8, 'renew_mode',     'text',    0, NULL,          2, NULL),
    (28,  9, 'renew_months_n', 'integer', 1, NULL,          2, NULL),
    (28, 10, 'notice_days_n',  'integer', 1, NULL,          2, NULL),
    (28, 11, 'sla_id',         'integer', 1, NULL,          0, 'sla'),
    (28, 12, 'job_id',         'integer', 1, NULL,          0, 'job');
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('sales', 'contract', 'insert', '*', NULL),
    ('billing', 'contract', 'insert', '*', NULL),
    ('manager', 'contract', 'insert', '*', NULL),
    ('sales', 'contract', 'update',
        'party_id,site_id,name,start_d,end_d,renew_mode,renew_months_n,notice_days_n,'
        || 'sla_id,job_id', NULL),
    ('billing', 'contract', 'update',
        'party_id,site_id,name,start_d,end_d,renew_mode,renew_months_n,notice_days_n,'
        || 'sla_id,job_id', NULL),
    ('manager', 'contract', 'update',
        'party_id,site_id,name,start_d,end_d,renew_mode,renew_months_n,notice_days_n,'
        || 'sla_id,job_id', NULL);

-- contract_line
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (29,  1, 'contract_id',     'integer', 0, NULL, 0, 'contract'),
    (29,  2, 'kind',            'text',    0, NULL, 0, NULL),
    (29,  3, 'name',            'text',    0, NULL, 0, NULL),
    (29,  4, 'period_months_n', 'integer', 0, NULL, 0, NULL),
    (29,  5, 'anchor_n',        'integer', 0, NULL, 0, NULL),
    (29,  6, 'is_advance',      'integer', 0, NULL, 0, NULL),
    (29,  7, 'prorate',         'text',    0, NULL, 0, NULL),
    (29,  8, 'start_d',         'text',    0, NULL, 0, NULL),
    (29,  9, 'end_d',           'text',    1, NULL, 0, NULL),
    (29, 10, 'succeeded_by_id', 'integer', 1, NULL, 0, 'contract_line'),
    (29, 11, 'allowance_min',   'integer', 1, NULL, 0, NULL),
    (29, 12, 'home',            'integer', 1, NULL, 0, NULL);

-- contract_fee
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (30, 1, 'line_id',        'integer', 0, NULL, 0, 'contract_line'),
    (30, 2, 'party_id',       'integer', 0, NULL, 0, 'party'),
    (30, 3, 'from_d',         'text',    0, NULL, 0, NULL),
    (30, 4, 'fee_cents',      'integer', 0, NULL, 0, NULL),
    (30, 5, 'index_code',     'text',    1, NULL, 0, NULL),
    (30, 6, 'index_share_bp', 'integer', 1, NULL, 0, NULL),
    (30, 7, 'vat_id',         'integer', 0, NULL, 0, 'vat');

-- contract_asset
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (31, 1, 'contract_id', 'integer', 0, NULL, 0, 'contract'),
    (31, 2, 'asset_id',    'integer', 0, NULL, 0, 'asset'),
    (31, 3, 'from_d',      'text',    0, NULL, 0, NULL),
    (31, 4, 'to_d',        'text',    1, NULL, 0, NULL),
    (31, 5, 'coverage_id', 'integer', 0, NULL, 0, 'coverage'),
    (31, 6, 'home',        'integer', 1, NULL, 0, NULL);

-- contract_event
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (32, 1, 'contract_id', 'integer', 0, NULL,          0, 'contract'),
    (32, 2, 'party_id',    'integer', 0, NULL,          0, 'party'),
    (32, 3, 'kind',        'text',    0, NULL,          0, NULL),
    (32, 4, 'effective_d', 'text',    0, NULL,          0, NULL),
    (32, 5, 'occurred_at', 'integer', 0, NULL,          0, NULL),
    (32, 6, 'by_id',       'integer', 1, NULL,          0, 'app_user'),
    (32, 7, 'payload',     'text',    1, NULL,          0, NULL),
    (32, 8, 'by_roles',    'text',    1, 'server_only', 0, NULL),
    (32, 9, 'accepted_n',  'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('sales', 'contract_event', 'insert', '*', 'by_id'),
    ('billing', 'contract_event', 'insert', '*', 'by_id'),
    ('manager', 'contract_event', 'insert', '*', 'by_id');

-- bill_period
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (33, 1, 'line_id',      'integer', 0, NULL, 0, 'contract_line'),
    (33, 2, 'party_id',     'integer', 0, NULL, 0, 'party'),
    (33, 3, 'from_d',       'text',    0, NULL, 0, NULL),
    (33, 4, 'to_d',         'text',    0, NULL, 0, NULL),
    (33, 5, 'due_d',        'text',    0, NULL, 0, NULL),
    (33, 6, 'amount_cents', 'integer', 0, NULL, 0, NULL),
    (33, 7, 'state',        'text',    0, NULL, 0, NULL);

-- rate
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (34,  1, 'activity_type_id', 'integer', 0, NULL, 0, 'activity_type'),
    (34,  2, 'time_band_id',     'integer', 1, NULL, 0, 'time_band'),
    (34,  3, 'party_id',         'integer', 1, NULL, 0, 'party'),
    (34,  4, 'contract_id',      'integer', 1, NULL, 0, 'contract'),
    (34,  5, 'grade',            'text',    1, NULL, 0, NULL),
    (34,  6, 'from_d',           'text',    0, NULL, 0, NULL),
    (34,  7, 'hour_e4',          'integer', 0, NULL, 0, NULL),
    (34,  8, 'step_min',         'integer', 0, NULL, 0, NULL),
    (34,  9, 'floor_min',        'integer', 0, NULL, 0, NULL),
    (34, 10, 'callout_cents',    'integer', 0, NULL, 0, NULL),
    (34, 11, 'callout_per',      'text',    0, NULL, 0, NULL),
    (34, 12, 'km_e4',            'integer', 0, NULL, 0, NULL),
    (34, 13, 'free_km_m',        'integer', 0, NULL, 0, NULL),
    (34, 14, 'home',             'integer', 1, NULL, 0, NULL);

-- labour_cost
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (35, 1, 'cost_class', 'text',    0, NULL, 0, NULL),
    (35, 2, 'from_d',     'text',    0, NULL, 0, NULL),
    (35, 3, 'hour_e4',    'integer', 0, NULL, 0, NULL),
    (35, 4, 'km_e4',      'integer', 0, NULL, 0, NULL);
