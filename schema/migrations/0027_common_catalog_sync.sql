/* SPDX-License-Identifier: Apache-2.0 */
-- Catalog of what the synchronisation asks people: buckets, merge rules, rights.

INSERT INTO fs_table (number, name, bucket_rule, merge, delete_rule, natural_key) VALUES
    (88, 'merge_loss',   'given', 'server_only', 'never', NULL),
    (89, 'review_item',  'given', 'server_only', 'never', NULL),
    (90, 'external_ref', 'office',
        'server_only', 'never', 'table_name,external_system,external_key');

-- merge_loss
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (88,  1, 'table_name',      'text',    0, NULL,          0, NULL),
    (88,  2, 'row_id',          'integer', 0, NULL,          0, NULL),
    (88,  3, 'column_name',     'text',    0, NULL,          0, NULL),
    (88,  4, 'kept',            'text',    1, NULL,          0, NULL),
    (88,  5, 'lost',            'text',    1, NULL,          0, NULL),
    (88,  6, 'base_value',      'text',    1, NULL,          0, NULL),
    (88,  7, 'kept_by_user_id', 'integer', 1, NULL,          0, 'app_user'),
    (88,  8, 'lost_by_user_id', 'integer', 1, NULL,          0, 'app_user'),
    (88,  9, 'lost_device_id',  'integer', 1, NULL,          0, 'device'),
    (88, 10, 'user_id',         'integer', 0, NULL,          0, 'app_user'),
    (88, 11, 'rule',            'text',    0, NULL,          0, NULL),
    (88, 12, 'occurred_at',     'integer', 0, NULL,          0, NULL),
    (88, 13, 'state',           'text',    0, 'last_writer', 0, NULL),
    (88, 14, 'home',            'integer', 1, NULL,          0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'merge_loss', 'update', 'state', 'user_id'),
    ('dispatcher', 'merge_loss', 'update', 'state', NULL),
    ('help_desk', 'merge_loss', 'update', 'state', NULL),
    ('manager', 'merge_loss', 'update', 'state', NULL),
    ('warehouse', 'merge_loss', 'update', 'state', NULL),
    ('purchasing', 'merge_loss', 'update', 'state', NULL),
    ('billing', 'merge_loss', 'update', 'state', NULL),
    ('sales', 'merge_loss', 'update', 'state', NULL);

-- review_item
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (89,  1, 'kind',           'text',    0, NULL,          0, NULL),
    (89,  2, 'table_name',     'text',    0, NULL,          0, NULL),
    (89,  3, 'row_id',         'integer', 1, NULL,          0, NULL),
    (89,  4, 'reason_code',    'text',    0, NULL,          0, NULL),
    (89,  5, 'reason_text',    'text',    0, NULL,          0, NULL),
    (89,  6, 'role',           'text',    0, NULL,          0, NULL),
    (89,  7, 'payload',        'text',    1, NULL,          0, NULL),
    (89,  8, 'user_id',        'integer', 1, NULL,          0, 'app_user'),
    (89,  9, 'device_id',      'integer', 1, NULL,          0, 'device'),
    (89, 10, 'created_at',     'integer', 0, NULL,          0, NULL),
    (89, 11, 'state',          'text',    0, 'last_writer', 0, NULL),
    (89, 12, 'resolved_by_id', 'integer', 1, 'last_writer', 0, 'app_user'),
    (89, 13, 'resolution',     'text',    1, 'last_writer', 0, NULL),
    (89, 14, 'home',           'integer', 1, NULL,          0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'review_item', 'update', 'state,resolved_by_id,resolution', 'user_id'),
    ('dispatcher', 'review_item', 'update', 'state,resolved_by_id,resolution', NULL),
    ('help_desk', 'review_item', 'update', 'state,resolved_by_id,resolution', NULL),
    ('manager', 'review_item', 'update', 'state,resolved_by_id,resolution', NULL),
    ('warehouse', 'review_item', 'update', 'state,resolved_by_id,resolution', NULL),
    ('purchasing', 'review_item', 'update', 'state,resolved_by_id,resolution', NULL),
    ('billing', 'review_item', 'update', 'state,resolved_by_id,resolution', NULL),
    ('sales', 'review_item', 'update', 'state,resolved_by_id,resolution', NULL);

-- external_ref
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (90, 1, 'table_name',      'text',    0, NULL, 0, NULL),
    (90, 2, 'external_system', 'text',    0, NULL, 0, NULL),
    (90, 3, 'external_key',    'text',    0, NULL, 0, NULL),
    (90, 4, 'row_id',          'integer', 0, NULL, 0, NULL);
