/* SPDX-License-Identifier: Apache-2.0 */
-- Catalog of returns, delivery notes and signatures: buckets, merge rules, rights.

INSERT INTO fs_table (number, name, bucket_rule, merge, delete_rule, natural_key) VALUES
    (70, 'rma',                  'home:call_id,customer:party_id', 'last_writer', 'never', NULL),
    (71, 'rma_line',             'home:rma_id', 'last_writer', 'never', NULL),
    (72, 'rma_event',            'home:rma_id', 'append_only', 'never', NULL),
    (73, 'goods_document',       'site:site_id,home:call_id,home:rma_id,'
        || 'location:location_id,customer:party_id',
        'last_writer', 'never', NULL),
    (74, 'signature',            'home:activity_id,home:goods_document_id',
        'append_only', 'never', NULL),
    (75, 'goods_line',           'home:document_id', 'last_writer', 'delete_wins', NULL),
    (76, 'goods_document_event', 'home:document_id', 'append_only', 'never', NULL);

-- rma
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (70,  1, 'number_text',   'text',    1, 'write_once',  0, NULL),
    (70,  2, 'party_id',      'integer', 0, NULL,          0, 'party'),
    (70,  3, 'call_id',       'integer', 1, NULL,          0, 'call'),
    (70,  4, 'action',        'text',    1, NULL,          0, NULL),
    (70,  5, 'reason',        'text',    1, NULL,          0, NULL),
    (70,  6, 'by_id',         'integer', 1, 'write_once',  0, 'app_user'),
    (70,  7, 'authorised_at', 'integer', 1, 'server_only', 0, NULL),
    (70,  8, 'expires_d',     'text',    1, 'server_only', 0, NULL),
    (70,  9, 'state',         'text',    0, 'server_only', 0, NULL),
    (70, 10, 'home',          'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('help_desk', 'rma', 'insert', '*', 'by_id'),
    ('technician', 'rma', 'insert', '*', 'by_id'),
    ('help_desk', 'rma', 'update', 'party_id,call_id,action,reason', NULL),
    ('manager', 'rma', 'update', 'party_id,call_id,action,reason', NULL);

-- rma_line
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (71, 1, 'rma_id',      'integer', 0, 'write_once',  0, 'rma'),
    (71, 2, 'asset_id',    'integer', 1, NULL,          0, 'asset'),
    (71, 3, 'item_id',     'integer', 1, NULL,          0, 'item'),
    (71, 4, 'serial_text', 'text',    1, NULL,          0, NULL),
    (71, 5, 'quantity_m',  'integer', 0, NULL,          0, NULL),
    (71, 6, 'fault',       'text',    1, NULL,          0, NULL),
    (71, 7, 'verdict',     'text',    1, 'write_once',  0, NULL),
    (71, 8, 'home',        'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('help_desk', 'rma_line', 'insert', '*', NULL),
    ('technician', 'rma_line', 'insert', '*', NULL),
    ('warehouse', 'rma_line', 'insert', '*', NULL),
    ('help_desk', 'rma_line', 'update',
        'asset_id,item_id,serial_text,quantity_m,fault,verdict', NULL),
    ('technician', 'rma_line', 'update',
        'asset_id,item_id,serial_text,quantity_m,fault,verdict', NULL),
    ('warehouse', 'rma_line', 'update',
        'asset_id,item_id,serial_text,quantity_m,fault,verdict', NULL);

-- rma_event
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (72,  1, 'rma_id',      'integer', 0, NULL,          0, 'rma'),
    (72,  2, 'kind',        'text',    0, NULL,          0, NULL),
    (72,  3, 'base_state',  'text',    1, NULL,          0, NULL),
    (72,  4, 'rma_line_id', 'integer', 1, NULL,          0, 'rma_line'),
    (72,  5, 'quantity_m',  'integer', 1, NULL,          0, NULL),
    (72,  6, 'occurred_at', 'integer', 0, NULL,          0, NULL),
    (72,  7, 'by_id',       'integer', 1, NULL,          0, 'app_user'),
    (72,  8, 'device_id',   'integer', 1, NULL,          0, 'device'),
    (72,  9, 'reason',      'text',    1, NULL,          0, NULL),
    (72, 10, 'by_roles',    'text',    1, 'server_only', 0, NULL),
    (72, 11, 'accepted_n',  'integer', 1, 'server_only', 0, NULL),
    (72, 12, 'home',        'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'rma_event', 'insert', '*', 'by_id'),
    ('warehouse', 'rma_event', 'insert', '*', 'by_id'),
    ('help_desk', 'rma_event', 'insert', '*', 'by_id'),
    ('manager', 'rma_event', 'insert', '*', 'by_id');

-- goods_document
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (73,  1, 'direction',            'text',    0, 'write_once',  0, NULL),
    (73,  2, 'series',               'text',    1, 'write_once',  0, NULL),
    (73,  3, 'number_n',             'integer', 1, 'write_once',  0, NULL),
    (73,  4, 'document_d',           'text',    1, 'write_once',  0, NULL),
    (73,  5, 'party_id',             'integer', 0, NULL,          0, 'party'),
    (73,  6, 'site_id',              'integer', 1, NULL,          0, 'site'),
    (73,  7, 'location_id',          'integer', 1, NULL,          0, 'location'),
    (73,  8, 'reason',               'text',    0, NULL,          0, NULL),
    (73,  9, 'carrier',              'text',    1, NULL,          0, NULL),
    (73, 10, 'packages_n',           'integer', 1, NULL,          0, NULL),
    (73, 11, 'weight_m',             'integer', 1, NULL,          0, NULL),
    (73, 12, 'appearance',           'text',    1, NULL,          0, NULL),
    (73, 13, 'incoterm',             'text',    1, NULL,          0, NULL),
    (73, 14, 'transport_started_at', 'integer', 1, NULL,          0, NULL),
    (73, 15, 'inbound_text',         'text',    1, NULL,          0, NULL),
    (73, 16, 'state',                'text',    0, 'server_only', 0, NULL),
    (73, 17, 'rma_id',               'integer', 1, NULL,          0, 'rma'),
    (73, 18, 'call_id',              'integer', 1, NULL,          0, 'call'),
    (73, 19, 'by_id',                'integer', 0, 'write_once',  0, 'app_user'),
    (73, 20, 'home',                 'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'goods_document', 'insert', '*', 'by_id'),
    ('warehouse', 'goods_document', 'insert', '*', 'by_id'),
    ('technician', 'goods_document', 'update',
        'series,number_n,document_d,carrier,packages_n,weight_m,appearance,'
        || 'transport_started_at,inbound_text', 'by_id'),
    ('warehouse', 'goods_document', 'update',
        'series,number_n,document_d,party_id,site_id,location_id,reason,carrier,'
        || 'packages_n,weight_m,appearance,incoterm,transport_started_at,inbound_text,'
        || 'rma_id,call_id', NULL);

-- signature
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (74,  1, 'activity_id',       'integer', 1, NULL,          0, 'activity'),
    (74,  2, 'goods_document_id', 'integer', 1, NULL,          0, 'goods_document'),
    (74,  3, 'document_kind',     'text',    0, NULL,          0, NULL),
    (74,  4, 'version_n',         'integer', 0, NULL,          0, NULL),
    (74,  5, 'document_hash',     'text',    0, NULL,          0, NULL),
    (74,  6, 'signer_name',       'text',    0, NULL,          0, NULL),
    (74,  7, 'signer_role',       'text',    1, NULL,          0, NULL),
    (74,  8, 'signed_at',         'integer', 0, NULL,          0, NULL),
    (74,  9, 'strokes',           'blob',    1, NULL,          0, NULL),
    (74, 10, 'refused_reason',    'text',    1, NULL,          0, NULL),
    (74, 11, 'amount_cents',      'integer', 1, NULL,          0, NULL),
    (74, 12, 'by_id',             'integer', 0, NULL,          0, 'app_user'),
    (74, 13, 'device_id',         'integer', 0, NULL,          0, 'device'),
    (74, 14, 'key_signature',     'blob',    1, NULL,          0, NULL),
    (74, 15, 'previous_hash',     'text',    1, NULL,          0, NULL),
    (74, 16, 'home',              'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'signature', 'insert', '*', 'by_id'),
    ('warehouse', 'signature', 'insert', '*', 'by_id');

-- goods_line
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (75, 1, 'document_id', 'integer', 0, 'write_once',  0, 'goods_document'),
    (75, 2, 'item_id',     'integer', 1, NULL,          0, 'item'),
    (75, 3, 'description', 'text',    0, NULL,          0, NULL),
    (75, 4, 'serial_text', 'text',    1, NULL,          0, NULL),
    (75, 5, 'quantity_m',  'integer', 0, NULL,          0, NULL),
    (75, 6, 'rma_line_id', 'integer', 1, NULL,          0, 'rma_line'),
    (75, 7, 'move_id',     'integer', 1, NULL,          0, 'stock_move'),
    (75, 8, 'home',        'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('warehouse', 'goods_line', 'insert', '*', NULL),
    ('technician', 'goods_line', 'insert', '*', NULL),
    ('warehouse', 'goods_line', 'update',
        'item_id,description,serial_text,quantity_m,rma_line_id,move_id', NULL),
    ('technician', 'goods_line', 'update',
        'item_id,description,serial_text,quantity_m,rma_line_id,move_id', NULL),
    ('warehouse', 'goods_line', 'delete', '*', NULL),
    ('technician', 'goods_line', 'delete', '*', NULL);

-- goods_document_event
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (76,  1, 'document_id', 'integer', 0, NULL,          0, 'goods_document'),
    (76,  2, 'kind',        'text',    0, NULL,          0, NULL),
    (76,  3, 'base_state',  'text',    1, NULL,          0, NULL),
    (76,  4, 'occurred_at', 'integer', 0, NULL,          0, NULL),
    (76,  5, 'by_id',       'integer', 1, NULL,          0, 'app_user'),
    (76,  6, 'device_id',   'integer', 1, NULL,          0, 'device'),
    (76,  7, 'reason',      'text',    1, NULL,          0, NULL),
    (76,  8, 'by_roles',    'text',    1, 'server_only', 0, NULL),
    (76,  9, 'accepted_n',  'integer', 1, 'server_only', 0, NULL),
    (76, 10, 'home',        'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'goods_document_event', 'insert', '*', 'by_id'),
    ('warehouse', 'goods_document_event', 'insert', '*', 'by_id'),
    ('manager', 'goods_document_event', 'insert', '*', 'by_id'),
    ('billing', 'goods_document_event', 'insert', '*', 'by_id');
