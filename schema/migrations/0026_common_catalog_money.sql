/* SPDX-License-Identifier: Apache-2.0 */
-- Catalog of quotes, orders, charges and invoices: buckets, merge rules, rights.

INSERT INTO fs_table (number, name, bucket_rule, merge, delete_rule, natural_key) VALUES
    (77, 'quote',            'user:presenter_id,commercial:party_id', 'last_writer', 'never', NULL),
    (78, 'quote_line',       'home:quote_id', 'last_writer', 'delete_wins', NULL),
    (79, 'quote_event',      'home:quote_id', 'append_only', 'never', NULL),
    (80, 'sales_order',      'commercial:party_id', 'server_only', 'never', 'quote_id'),
    (81, 'sales_order_line', 'home:order_id', 'server_only', 'never', NULL),
    (82, 'charge',           'commercial:party_id', 'server_only', 'never', NULL),
    (83, 'invoice',          'commercial:party_id', 'server_only', 'never', NULL),
    (84, 'invoice_line',     'home:invoice_id', 'server_only', 'never', NULL),
    (85, 'invoice_vat',      'home:invoice_id', 'server_only', 'never', 'invoice_id,vat_id'),
    (86, 'invoice_check',    'home:invoice_id', 'append_only', 'never', NULL),
    (87, 'cost_entry',       'server', 'append_only', 'never', NULL);

-- quote
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (77,  1, 'number_text',           'text',    1, 'write_once',  0, NULL),
    (77,  2, 'revision_n',            'integer', 0, 'write_once',  0, NULL),
    (77,  3, 'party_id',              'integer', 0, 'write_once',  0, 'party'),
    (77,  4, 'site_id',               'integer', 1, NULL,          0, 'site'),
    (77,  5, 'call_id',               'integer', 1, NULL,          0, 'call'),
    (77,  6, 'rma_id',                'integer', 1, NULL,          0, 'rma'),
    (77,  7, 'presenter_id',          'integer', 1, NULL,          0, 'app_user'),
    (77,  8, 'by_id',                 'integer', 0, 'write_once',  0, 'app_user'),
    (77,  9, 'valid_d',               'text',    1, NULL,          0, NULL),
    (77, 10, 'discount_bp',           'integer', 0, NULL,          0, NULL),
    (77, 11, 'state',                 'text',    0, 'server_only', 0, NULL),
    (77, 12, 'total_cents',           'integer', 1, 'server_only', 0, NULL),
    (77, 13, 'accepted_at',           'integer', 1, 'server_only', 0, NULL),
    (77, 14, 'accepted_signature_id', 'integer', 1, 'server_only', 0, 'signature'),
    (77, 15, 'previous_id',           'integer', 1, 'write_once',  0, 'quote');
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('sales', 'quote', 'insert', '*', 'by_id'),
    ('billing', 'quote', 'insert', '*', 'by_id'),
    ('technician', 'quote', 'insert',
        'number_text,revision_n,party_id,site_id,call_id,rma_id,presenter_id,by_id,'
        || 'valid_d,previous_id', 'by_id'),
    ('sales', 'quote', 'update', 'site_id,call_id,rma_id,presenter_id,valid_d,discount_bp', NULL),
    ('billing', 'quote', 'update',
        'site_id,call_id,rma_id,presenter_id,valid_d,discount_bp', NULL),
    ('technician', 'quote', 'update', 'site_id,call_id,rma_id,valid_d', 'by_id');

-- quote_line
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (78,  1, 'quote_id',         'integer', 0, 'write_once',  0, 'quote'),
    (78,  2, 'kind',             'text',    0, NULL,          0, NULL),
    (78,  3, 'item_id',          'integer', 1, NULL,          0, 'item'),
    (78,  4, 'activity_type_id', 'integer', 1, NULL,          0, 'activity_type'),
    (78,  5, 'description',      'text',    0, NULL,          0, NULL),
    (78,  6, 'quantity_m',       'integer', 0, NULL,          1, NULL),
    (78,  7, 'price_e4',         'integer', 0, NULL,          1, NULL),
    (78,  8, 'discount_bp',      'integer', 0, NULL,          1, NULL),
    (78,  9, 'vat_id',           'integer', 0, NULL,          0, 'vat'),
    (78, 10, 'covered_bp',       'integer', 0, NULL,          0, NULL),
    (78, 11, 'cover_reason',     'text',    1, NULL,          0, NULL),
    (78, 12, 'home',             'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('sales', 'quote_line', 'insert', '*', NULL),
    ('billing', 'quote_line', 'insert', '*', NULL),
    ('technician', 'quote_line', 'insert', '*', NULL),
    ('sales', 'quote_line', 'update',
        'kind,item_id,activity_type_id,description,quantity_m,price_e4,discount_bp,'
        || 'vat_id,covered_bp,cover_reason', NULL),
    ('billing', 'quote_line', 'update',
        'kind,item_id,activity_type_id,description,quantity_m,price_e4,discount_bp,'
        || 'vat_id,covered_bp,cover_reason', NULL),
    ('technician', 'quote_line', 'update',
        'kind,item_id,activity_type_id,description,quantity_m,price_e4,discount_bp,'
        || 'vat_id,covered_bp,cover_reason', NULL),
    ('sales', 'quote_line', 'delete', '*', NULL),
    ('billing', 'quote_line', 'delete', '*', NULL),
    ('technician', 'quote_line', 'delete', '*', NULL);

-- quote_event
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (79,  1, 'quote_id',     'integer', 0, NULL,          0, 'quote'),
    (79,  2, 'kind',         'text',    0, NULL,          0, NULL),
    (79,  3, 'base_state',   'text',    1, NULL,          0, NULL),
    (79,  4, 'revision_n',   'integer', 0, NULL,          0, NULL),
    (79,  5, 'signature_id', 'integer', 1, NULL,          0, 'signature'),
    (79,  6, 'occurred_at',  'integer', 0, NULL,          0, NULL),
    (79,  7, 'by_id',        'integer', 1, NULL,          0, 'app_user'),
    (79,  8, 'device_id',    'integer', 1, NULL,          0, 'device'),
    (79,  9, 'reason',       'text',    1, NULL,          0, NULL),
    (79, 10, 'by_roles',     'text',    1, 'server_only', 0, NULL),
    (79, 11, 'accepted_n',   'integer', 1, 'server_only', 0, NULL),
    (79, 12, 'home',         'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('sales', 'quote_event', 'insert', '*', 'by_id'),
    ('billing', 'quote_event', 'insert', '*', 'by_id'),
    ('technician', 'quote_event', 'insert', '*', 'by_id');

-- sales_order
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (80, 1, 'number_text', 'text',    0, NULL, 0, NULL),
    (80, 2, 'quote_id',    'integer', 0, NULL, 0, 'quote'),
    (80, 3, 'party_id',    'integer', 0, NULL, 0, 'party'),
    (80, 4, 'state',       'text',    0, NULL, 0, NULL);

-- sales_order_line
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (81, 1, 'order_id',      'integer', 0, NULL, 0, 'sales_order'),
    (81, 2, 'quote_line_id', 'integer', 1, NULL, 0, 'quote_line'),
    (81, 3, 'quantity_m',    'integer', 0, NULL, 0, NULL),
    (81, 4, 'home',          'integer', 1, NULL, 0, NULL);

-- charge
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (82,  1, 'source_kind',      'text',    0, NULL, 0, NULL),
    (82,  2, 'source_id',        'integer', 0, NULL, 0, NULL),
    (82,  3, 'part_n',           'integer', 0, NULL, 0, NULL),
    (82,  4, 'call_id',          'integer', 0, NULL, 0, 'call'),
    (82,  5, 'activity_id',      'integer', 1, NULL, 0, 'activity'),
    (82,  6, 'party_id',         'integer', 0, NULL, 0, 'party'),
    (82,  7, 'kind',             'text',    0, NULL, 0, NULL),
    (82,  8, 'quantity_m',       'integer', 0, NULL, 0, NULL),
    (82,  9, 'price_e4',         'integer', 0, NULL, 0, NULL),
    (82, 10, 'discount_bp',      'integer', 0, NULL, 0, NULL),
    (82, 11, 'gross_cents',      'integer', 0, NULL, 0, NULL),
    (82, 12, 'covered_cents',    'integer', 0, NULL, 0, NULL),
    (82, 13, 'net_cents',        'integer', 0, NULL, 0, NULL),
    (82, 14, 'vat_id',           'integer', 0, NULL, 0, 'vat'),
    (82, 15, 'warranty_id',      'integer', 1, NULL, 0, 'warranty'),
    (82, 16, 'coverage_rule_id', 'integer', 1, NULL, 0, 'coverage_rule'),
    (82, 17, 'cover_reason',     'text',    1, NULL, 0, NULL),
    (82, 18, 'state',            'text',    0, NULL, 0, NULL),
    (82, 19, 'trace',            'text',    0, NULL, 0, NULL),
    (82, 20, 'generation_n',     'integer', 0, NULL, 0, NULL);

-- invoice
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (83,  1, 'kind',               'text',    0, NULL, 0, NULL),
    (83,  2, 'document_type_code', 'text',    0, NULL, 0, NULL),
    (83,  3, 'series',             'text',    1, NULL, 0, NULL),
    (83,  4, 'number_n',           'integer', 1, NULL, 0, NULL),
    (83,  5, 'document_d',         'text',    1, NULL, 0, NULL),
    (83,  6, 'due_d',              'text',    1, NULL, 0, NULL),
    (83,  7, 'party_id',           'integer', 0, NULL, 0, 'party'),
    (83,  8, 'state',              'text',    0, NULL, 0, NULL),
    (83,  9, 'discount_bp',        'integer', 0, NULL, 0, NULL),
    (83, 10, 'total_cents',        'integer', 1, NULL, 0, NULL),
    (83, 11, 'stamp_cents',        'integer', 1, NULL, 0, NULL),
    (83, 12, 'withholding_cents',  'integer', 1, NULL, 0, NULL),
    (83, 13, 'payable_cents',      'integer', 1, NULL, 0, NULL),
    (83, 14, 'refers_to_id',       'integer', 1, NULL, 0, 'invoice');

-- invoice_line
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (84,  1, 'invoice_id',     'integer', 0, NULL, 0, 'invoice'),
    (84,  2, 'charge_id',      'integer', 1, NULL, 0, 'charge'),
    (84,  3, 'bill_period_id', 'integer', 1, NULL, 0, 'bill_period'),
    (84,  4, 'order_line_id',  'integer', 1, NULL, 0, 'sales_order_line'),
    (84,  5, 'goods_line_id',  'integer', 1, NULL, 0, 'goods_line'),
    (84,  6, 'description',    'text',    0, NULL, 0, NULL),
    (84,  7, 'quantity_m',     'integer', 0, NULL, 0, NULL),
    (84,  8, 'price_e4',       'integer', 0, NULL, 0, NULL),
    (84,  9, 'discount_bp',    'integer', 0, NULL, 0, NULL),
    (84, 10, 'net_cents',      'integer', 0, NULL, 0, NULL),
    (84, 11, 'vat_id',         'integer', 0, NULL, 0, 'vat'),
    (84, 12, 'is_void',        'integer', 0, NULL, 0, NULL),
    (84, 13, 'home',           'integer', 1, NULL, 0, NULL);

-- invoice_vat
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (85, 1, 'invoice_id',    'integer', 0, NULL, 0, 'invoice'),
    (85, 2, 'vat_id',        'integer', 0, NULL, 0, 'vat'),
    (85, 3, 'taxable_cents', 'integer', 0, NULL, 0, NULL),
    (85, 4, 'tax_cents',     'integer', 0, NULL, 0, NULL),
    (85, 5, 'home',          'integer', 1, NULL, 0, NULL);

-- invoice_check
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (86,  1, 'invoice_id',      'integer', 0, NULL,          0, 'invoice'),
    (86,  2, 'run_n',           'integer', 0, NULL,          0, NULL),
    (86,  3, 'code',            'text',    0, NULL,          0, NULL),
    (86,  4, 'severity',        'text',    0, NULL,          0, NULL),
    (86,  5, 'is_pass',         'integer', 0, NULL,          0, NULL),
    (86,  6, 'detail',          'text',    1, NULL,          0, NULL),
    (86,  7, 'override_by_id',  'integer', 1, NULL,          0, 'app_user'),
    (86,  8, 'override_reason', 'text',    1, NULL,          0, NULL),
    (86,  9, 'occurred_at',     'integer', 0, NULL,          0, NULL),
    (86, 10, 'home',            'integer', 1, 'server_only', 0, NULL);

-- cost_entry
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (87, 1, 'job_id',       'integer', 1, NULL, 0, 'job'),
    (87, 2, 'contract_id',  'integer', 1, NULL, 0, 'contract'),
    (87, 3, 'kind',         'text',    0, NULL, 0, NULL),
    (87, 4, 'amount_cents', 'integer', 0, NULL, 0, NULL),
    (87, 5, 'source_kind',  'text',    0, NULL, 0, NULL),
    (87, 6, 'source_id',    'integer', 0, NULL, 0, NULL),
    (87, 7, 'entry_d',      'text',    0, NULL, 0, NULL);
