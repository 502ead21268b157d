/* SPDX-License-Identifier: Apache-2.0 */
-- Catalog of the company: people, devices, calendars, tax codes: buckets, merge rules, rights.
--
-- Numbers are on the wire and in stored masks: never change one, never use one again. A column's
-- merge is NULL where it is its table's; group 0 stands alone. Grants say what a device may push;
-- what is server_only is done by the server's own actions, with their own checks of the role.

INSERT INTO fs_table (number, name, bucket_rule, merge, delete_rule, natural_key) VALUES
    ( 1, 'app_user',       'shared', 'server_only', 'never', NULL),
    ( 2, 'app_user_cost',  'server', 'server_only', 'never', 'user_id'),
    ( 3, 'role_grant',     'user:user_id', 'server_only', 'never', 'user_id,role,area'),
    ( 4, 'calendar',       'shared', 'server_only', 'never', NULL),
    ( 5, 'calendar_hours', 'shared', 'server_only', 'never', 'calendar_id,weekday_n,from_min'),
    ( 6, 'holiday',        'shared', 'server_only', 'never', 'calendar_id,day_d'),
    ( 7, 'sla',            'shared', 'server_only', 'never', NULL),
    ( 8, 'time_band',      'shared', 'server_only', 'never', NULL),
    ( 9, 'vat',            'shared', 'server_only', 'never', NULL),
    (10, 'activity_type',  'shared', 'server_only', 'never', NULL);

-- app_user
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (1, 1, 'login',     'text',    0, NULL, 0, NULL),
    (1, 2, 'name',      'text',    0, NULL, 0, NULL),
    (1, 3, 'grade',     'text',    1, NULL, 0, NULL),
    (1, 4, 'is_active', 'integer', 0, NULL, 0, NULL);

-- app_user_cost
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (2, 1, 'user_id',    'integer', 0, NULL, 0, 'app_user'),
    (2, 2, 'cost_class', 'text',    0, NULL, 0, NULL);

-- role_grant
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (3, 1, 'user_id', 'integer', 0, NULL, 0, 'app_user'),
    (3, 2, 'role',    'text',    0, NULL, 0, NULL),
    (3, 3, 'area',    'text',    0, NULL, 0, NULL);

-- calendar
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (4, 1, 'name',      'text', 0, NULL, 0, NULL),
    (4, 2, 'time_zone', 'text', 0, NULL, 0, NULL);

-- calendar_hours
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (5, 1, 'calendar_id', 'integer', 0, NULL, 0, 'calendar'),
    (5, 2, 'weekday_n',   'integer', 0, NULL, 0, NULL),
    (5, 3, 'from_min',    'integer', 0, NULL, 0, NULL),
    (5, 4, 'to_min',      'integer', 0, NULL, 0, NULL);

-- holiday
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (6, 1, 'calendar_id', 'integer', 0, NULL, 0, 'calendar'),
    (6, 2, 'day_d',       'text',    0, NULL, 0, NULL),
    (6, 3, 'name',        'text',    0, NULL, 0, NULL);

-- sla
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (7, 1, 'name',        'text',    0, NULL, 0, NULL),
    (7, 2, 'calendar_id', 'integer', 0, NULL, 0, 'calendar'),
    (7, 3, 'respond_min', 'integer', 1, NULL, 0, NULL),
    (7, 4, 'onsite_min',  'integer', 1, NULL, 0, NULL),
    (7, 5, 'restore_min', 'integer', 1, NULL, 0, NULL);

-- time_band
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (8, 1, 'name',           'text',    0, NULL, 0, NULL),
    (8, 2, 'weekday_mask_n', 'integer', 0, NULL, 0, NULL),
    (8, 3, 'from_min',       'integer', 0, NULL, 0, NULL),
    (8, 4, 'to_min',         'integer', 0, NULL, 0, NULL),
    (8, 5, 'holiday_rule',   'text',    0, NULL, 0, NULL),
    (8, 6, 'priority_n',     'integer', 0, NULL, 0, NULL);

-- vat
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (9, 1, 'code',    'text',    0, NULL, 0, NULL),
    (9, 2, 'rate_bp', 'integer', 0, NULL, 0, NULL),
    (9, 3, 'nature',  'text',    1, NULL, 0, NULL),
    (9, 4, 'note',    'text',    1, NULL, 0, NULL);

-- activity_type
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (10, 1, 'name',        'text',    0, NULL, 0, NULL),
    (10, 2, 'mode',        'text',    0, NULL, 0, NULL),
    (10, 3, 'is_billable', 'integer', 0, NULL, 0, NULL),
    (10, 4, 'default_min', 'integer', 0, NULL, 0, NULL);
