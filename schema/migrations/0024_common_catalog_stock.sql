/* SPDX-License-Identifier: Apache-2.0 */
-- Catalog of parts and stock: buckets, merge rules, rights.

INSERT INTO fs_table (number, name, bucket_rule, merge, delete_rule, natural_key) VALUES
    (59, 'serial_unit',        'home:asset_id,shared',
        'last_writer', 'never', 'item_id,serial_normalised'),
    (60, 'stock_move',         'location:ledger_location_id', 'append_only', 'never', NULL),
    (61, 'move_cost',          'server', 'server_only', 'never', 'move_id'),
    (62, 'part_need',          'home:call_id', 'last_writer', 'never', NULL),
    (63, 'part_use',           'home:activity_id', 'append_only', 'never', NULL),
    (64, 'reservation',        'location:location_id', 'last_writer', 'never', NULL),
    (65, 'reservation_event',  'home:reservation_id', 'append_only', 'never', NULL),
    (66, 'stock_count',        'location:location_id', 'last_writer', 'never', NULL),
    (67, 'count_line',         'home:count_id',
        'last_writer', 'never', 'count_id,item_id,serial_unit_key'),
    (68, 'replenishment_rule', 'location:location_id',
        'server_only', 'never', 'location_id,item_id'),
    (69, 'purchase_request',   'home:call_id,office', 'last_writer', 'never', NULL);

-- serial_unit
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (59, 1, 'item_id',           'integer', 0, 'write_once',  0, 'item'),
    (59, 2, 'serial',            'text',    0, 'write_once',  0, NULL),
    (59, 3, 'serial_normalised', 'text',    0, 'write_once',  0, NULL),
    (59, 4, 'asset_id',          'integer', 1, 'write_once',  0, 'asset'),
    (59, 5, 'home',              'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'serial_unit', 'insert', '*', NULL),
    ('warehouse', 'serial_unit', 'insert', '*', NULL),
    ('technician', 'serial_unit', 'update', 'asset_id', NULL),
    ('warehouse', 'serial_unit', 'update', 'asset_id', NULL);

-- stock_move
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (60,  1, 'item_id',            'integer', 0, NULL,          0, 'item'),
    (60,  2, 'serial_unit_id',     'integer', 1, NULL,          0, 'serial_unit'),
    (60,  3, 'owner_id',           'integer', 1, NULL,          0, 'party'),
    (60,  4, 'quantity_m',         'integer', 0, NULL,          0, NULL),
    (60,  5, 'from_location_id',   'integer', 0, NULL,          0, 'location'),
    (60,  6, 'to_location_id',     'integer', 0, NULL,          0, 'location'),
    (60,  7, 'ledger_location_id', 'integer', 0, NULL,          0, 'location'),
    (60,  8, 'kind',               'text',    0, NULL,          0, NULL),
    (60,  9, 'source_kind',        'text',    1, NULL,          0, NULL),
    (60, 10, 'source_id',          'integer', 1, NULL,          0, NULL),
    (60, 11, 'occurred_at',        'integer', 0, NULL,          0, NULL),
    (60, 12, 'by_id',              'integer', 1, NULL,          0, 'app_user'),
    (60, 13, 'device_id',          'integer', 1, NULL,          0, 'device'),
    (60, 14, 'posted_seq',         'integer', 1, 'server_only', 0, NULL),
    (60, 15, 'reverses_id',        'integer', 1, NULL,          0, 'stock_move');
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'stock_move', 'insert', '*', 'by_id'),
    ('warehouse', 'stock_move', 'insert', '*', 'by_id'),
    ('manager', 'stock_move', 'insert', '*', 'by_id');

-- move_cost
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (61, 1, 'move_id',     'integer', 0, NULL, 0, 'stock_move'),
    (61, 2, 'unit_e4',     'integer', 0, NULL, 0, NULL),
    (61, 3, 'total_cents', 'integer', 0, NULL, 0, NULL);

-- part_need
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (62, 1, 'call_id',     'integer', 0, 'write_once',  0, 'call'),
    (62, 2, 'activity_id', 'integer', 1, NULL,          0, 'activity'),
    (62, 3, 'item_id',     'integer', 0, NULL,          0, 'item'),
    (62, 4, 'needed_m',    'integer', 0, NULL,          0, NULL),
    (62, 5, 'note',        'text',    1, NULL,          0, NULL),
    (62, 6, 'state',       'text',    0, 'server_only', 0, NULL),
    (62, 7, 'home',        'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('dispatcher', 'part_need', 'insert', '*', NULL),
    ('technician', 'part_need', 'insert', '*', NULL),
    ('warehouse', 'part_need', 'insert', '*', NULL),
    ('dispatcher', 'part_need', 'update', 'activity_id,item_id,needed_m,note', NULL),
    ('technician', 'part_need', 'update', 'activity_id,item_id,needed_m,note', NULL),
    ('warehouse', 'part_need', 'update', 'activity_id,item_id,needed_m,note', NULL);

-- part_use
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (63,  1, 'activity_id',      'integer', 0, NULL,          0, 'activity'),
    (63,  2, 'item_id',          'integer', 0, NULL,          0, 'item'),
    (63,  3, 'serial_unit_id',   'integer', 1, NULL,          0, 'serial_unit'),
    (63,  4, 'used_m',           'integer', 0, NULL,          0, NULL),
    (63,  5, 'from_location_id', 'integer', 0, NULL,          0, 'location'),
    (63,  6, 'asset_id',         'integer', 1, NULL,          0, 'asset'),
    (63,  7, 'removed_serial',   'text',    1, NULL,          0, NULL),
    (63,  8, 'cause',            'text',    1, NULL,          0, NULL),
    (63,  9, 'occurred_at',      'integer', 0, NULL,          0, NULL),
    (63, 10, 'by_id',            'integer', 0, NULL,          0, 'app_user'),
    (63, 11, 'void_of_id',       'integer', 1, NULL,          0, 'part_use'),
    (63, 12, 'home',             'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'part_use', 'insert', '*', 'by_id'),
    ('manager', 'part_use', 'insert', '*', 'by_id');

-- reservation
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (64, 1, 'part_need_id',   'integer', 1, 'write_once',  0, 'part_need'),
    (64, 2, 'item_id',        'integer', 0, 'write_once',  0, 'item'),
    (64, 3, 'serial_unit_id', 'integer', 1, 'write_once',  0, 'serial_unit'),
    (64, 4, 'location_id',    'integer', 0, 'write_once',  0, 'location'),
    (64, 5, 'asked_m',        'integer', 0, 'write_once',  0, NULL),
    (64, 6, 'by_id',          'integer', 1, 'write_once',  0, 'app_user'),
    (64, 7, 'held_m',         'integer', 0, 'server_only', 0, NULL),
    (64, 8, 'state',          'text',    0, 'server_only', 0, NULL),
    (64, 9, 'expires_d',      'text',    1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'reservation', 'insert', '*', 'by_id'),
    ('dispatcher', 'reservation', 'insert', '*', 'by_id'),
    ('warehouse', 'reservation', 'insert', '*', 'by_id');

-- reservation_event
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (65, 1, 'reservation_id', 'integer', 0, NULL,          0, 'reservation'),
    (65, 2, 'kind',           'text',    0, NULL,          0, NULL),
    (65, 3, 'delta_m',        'integer', 0, NULL,          0, NULL),
    (65, 4, 'occurred_at',    'integer', 0, NULL,          0, NULL),
    (65, 5, 'by_id',          'integer', 1, NULL,          0, 'app_user'),
    (65, 6, 'by_roles',       'text',    1, 'server_only', 0, NULL),
    (65, 7, 'accepted_n',     'integer', 1, 'server_only', 0, NULL),
    (65, 8, 'home',           'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'reservation_event', 'insert', '*', 'by_id'),
    ('dispatcher', 'reservation_event', 'insert', '*', 'by_id'),
    ('warehouse', 'reservation_event', 'insert', '*', 'by_id'),
    ('manager', 'reservation_event', 'insert', '*', 'by_id');

-- stock_count
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (66, 1, 'location_id', 'integer', 0, 'write_once',  0, 'location'),
    (66, 2, 'occurred_at', 'integer', 0, 'write_once',  0, NULL),
    (66, 3, 'by_id',       'integer', 0, 'write_once',  0, 'app_user'),
    (66, 4, 'state',       'text',    0, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'stock_count', 'insert', '*', 'by_id'),
    ('warehouse', 'stock_count', 'insert', '*', 'by_id');

-- count_line
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (67, 1, 'count_id',        'integer', 0, 'write_once',  0, 'stock_count'),
    (67, 2, 'item_id',         'integer', 0, 'write_once',  0, 'item'),
    (67, 3, 'serial_unit_key', 'integer', 0, 'write_once',  0, NULL),
    (67, 4, 'counted_m',       'integer', 0, 'write_once',  0, NULL),
    (67, 5, 'known_m',         'integer', 1, 'server_only', 0, NULL),
    (67, 6, 'home',            'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'count_line', 'insert', '*', NULL),
    ('warehouse', 'count_line', 'insert', '*', NULL);

-- replenishment_rule
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (68, 1, 'location_id', 'integer', 0, NULL, 0, 'location'),
    (68, 2, 'item_id',     'integer', 0, NULL, 0, 'item'),
    (68, 3, 'min_m',       'integer', 0, NULL, 0, NULL),
    (68, 4, 'max_m',       'integer', 0, NULL, 0, NULL);

-- purchase_request
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (69, 1, 'item_id',     'integer', 0, NULL,          0, 'item'),
    (69, 2, 'needed_m',    'integer', 0, NULL,          0, NULL),
    (69, 3, 'needed_d',    'text',    1, NULL,          0, NULL),
    (69, 4, 'call_id',     'integer', 1, NULL,          0, 'call'),
    (69, 5, 'supplier_id', 'integer', 1, NULL,          0, 'party'),
    (69, 6, 'by_id',       'integer', 1, 'write_once',  0, 'app_user'),
    (69, 7, 'state',       'text',    0, 'server_only', 0, NULL),
    (69, 8, 'home',        'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'purchase_request', 'insert', '*', 'by_id'),
    ('dispatcher', 'purchase_request', 'insert', '*', 'by_id'),
    ('purchasing', 'purchase_request', 'insert', '*', 'by_id'),
    ('purchasing', 'purchase_request', 'update', 'item_id,needed_m,needed_d,supplier_id', NULL);
