/* SPDX-License-Identifier: Apache-2.0 */
-- Catalog of calls and work: buckets, merge rules, rights.

INSERT INTO fs_table (number, name, bucket_rule, merge, delete_rule, natural_key) VALUES
    (36, 'checklist',        'shared', 'server_only', 'never', NULL),
    (37, 'checklist_item',   'shared', 'server_only', 'never', NULL),
    (38, 'job_template',     'shared', 'server_only', 'never', NULL),
    (39, 'plan',             'site:site_id,home:asset_id,home:contract_id,shared',
        'server_only', 'never', NULL),
    (40, 'call',             'site:site_id,customer:party_id', 'last_writer', 'never', NULL),
    (41, 'plan_occurrence',  'home:asset_id,site:site_id,home:plan_id',
        'server_only', 'never', 'plan_id,target_id,occurrence_n'),
    (42, 'call_event',       'home:call_id', 'append_only', 'never', NULL),
    (43, 'call_note',        'home:call_id', 'append_only', 'never', NULL),
    (44, 'activity',         'home:call_id', 'server_only', 'never', NULL),
    (45, 'assign_ack',       'home:activity_id',
        'append_only', 'never', 'activity_id,device_id,assign_version_n'),
    (46, 'activity_event',   'home:activity_id', 'append_only', 'never', NULL),
    (47, 'work_session',     'home:activity_id', 'append_only', 'never', NULL),
    (48, 'trip',             'user:technician_id', 'append_only', 'never', NULL),
    (49, 'trip_stop',        'home:trip_id', 'append_only', 'never', 'trip_id,activity_id'),
    (50, 'activity_result',  'home:activity_id', 'last_writer', 'never', 'activity_id'),
    (51, 'kb_article',       'shared', 'server_only', 'never', NULL),
    (52, 'kb_feedback',      'home:call_id,home:activity_id,user:by_id',
        'append_only', 'never', NULL),
    (53, 'attachment',       'home:activity_id,home:call_id,home:asset_id,'
        || 'customer:party_id,commercial:commercial_party_id,shared',
        'append_only', 'never', NULL),
    (54, 'checklist_answer', 'home:activity_id',
        'last_writer', 'never', 'activity_id,item_id,asset_key'),
    (55, 'expense',          'home:activity_id', 'append_only', 'never', NULL),
    (56, 'asset_event',      'home:asset_id', 'append_only', 'never', NULL),
    (57, 'allowance_entry',  'home:line_id', 'append_only', 'never', NULL),
    (58, 'message',          'home:call_id,office', 'append_only', 'never', 'internet_message_id');

-- checklist
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (36, 1, 'name',      'text',    0, NULL, 0, NULL),
    (36, 2, 'version_n', 'integer', 0, NULL, 0, NULL);

-- checklist_item
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (37, 1, 'checklist_id', 'integer', 0, NULL, 0, 'checklist'),
    (37, 2, 'position_n',   'integer', 0, NULL, 0, NULL),
    (37, 3, 'text',         'text',    0, NULL, 0, NULL),
    (37, 4, 'kind',         'text',    0, NULL, 0, NULL),
    (37, 5, 'is_required',  'integer', 0, NULL, 0, NULL),
    (37, 6, 'unit',         'text',    1, NULL, 0, NULL),
    (37, 7, 'low_m',        'integer', 1, NULL, 0, NULL),
    (37, 8, 'high_m',       'integer', 1, NULL, 0, NULL);

-- job_template
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (38, 1, 'name',                  'text',    0, NULL, 0, NULL),
    (38, 2, 'activity_type_id',      'integer', 0, NULL, 0, 'activity_type'),
    (38, 3, 'estimated_min',         'integer', 0, NULL, 0, NULL),
    (38, 4, 'checklist_id',          'integer', 1, NULL, 0, 'checklist'),
    (38, 5, 'is_signature_required', 'integer', 0, NULL, 0, NULL);

-- plan
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (39,  1, 'target',          'text',    0, NULL, 0, NULL),
    (39,  2, 'asset_model_id',  'integer', 1, NULL, 0, 'asset_model'),
    (39,  3, 'contract_id',     'integer', 1, NULL, 0, 'contract'),
    (39,  4, 'asset_id',        'integer', 1, NULL, 0, 'asset'),
    (39,  5, 'site_id',         'integer', 1, NULL, 0, 'site'),
    (39,  6, 'job_template_id', 'integer', 0, NULL, 0, 'job_template'),
    (39,  7, 'every_n',         'integer', 0, NULL, 0, NULL),
    (39,  8, 'every_unit',      'text',    0, NULL, 0, NULL),
    (39,  9, 'basis',           'text',    0, NULL, 0, NULL),
    (39, 10, 'lead_days_n',     'integer', 0, NULL, 0, NULL),
    (39, 11, 'window_days_n',   'integer', 0, NULL, 0, NULL),
    (39, 12, 'holiday_shift',   'text',    0, NULL, 0, NULL),
    (39, 13, 'start_d',         'text',    0, NULL, 0, NULL),
    (39, 14, 'end_d',           'text',    1, NULL, 0, NULL),
    (39, 15, 'home',            'integer', 1, NULL, 0, NULL);

-- call
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (40,  1, 'number_text',     'text',    1, 'write_once',  0, NULL),
    (40,  2, 'channel',         'text',    0, NULL,          0, NULL),
    (40,  3, 'party_id',        'integer', 0, NULL,          0, 'party'),
    (40,  4, 'bill_to_id',      'integer', 1, NULL,          0, 'party'),
    (40,  5, 'site_id',         'integer', 1, NULL,          0, 'site'),
    (40,  6, 'contact_id',      'integer', 1, NULL,          0, 'contact'),
    (40,  7, 'caller_text',     'text',    1, NULL,          0, NULL),
    (40,  8, 'asset_id',        'integer', 1, NULL,          0, 'asset'),
    (40,  9, 'contract_id',     'integer', 1, NULL,          0, 'contract'),
    (40, 10, 'problem_code',    'text',    1, NULL,          0, NULL),
    (40, 11, 'subject',         'text',    0, NULL,          0, NULL),
    (40, 12, 'description',     'text',    1, NULL,          0, NULL),
    (40, 13, 'priority_n',      'integer', 0, NULL,          0, NULL),
    (40, 14, 'sla_id',          'integer', 1, NULL,          0, 'sla'),
    (40, 15, 'opened_at',       'integer', 0, 'write_once',  0, NULL),
    (40, 16, 'opened_by_id',    'integer', 1, 'write_once',  0, 'app_user'),
    (40, 17, 'respond_due_at',  'integer', 1, 'server_only', 0, NULL),
    (40, 18, 'onsite_due_at',   'integer', 1, 'server_only', 0, NULL),
    (40, 19, 'restore_due_at',  'integer', 1, 'server_only', 0, NULL),
    (40, 20, 'state',           'text',    0, 'server_only', 0, NULL),
    (40, 21, 'owner_id',        'integer', 1, NULL,          0, 'app_user'),
    (40, 22, 'duplicate_of_id', 'integer', 1, 'server_only', 0, 'call'),
    (40, 23, 'job_id',          'integer', 1, NULL,          0, 'job');
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('help_desk', 'call', 'insert', '*', NULL),
    ('dispatcher', 'call', 'insert', '*', NULL),
    ('manager', 'call', 'insert', '*', NULL),
    ('technician', 'call', 'insert',
        'number_text,channel,party_id,site_id,contact_id,caller_text,asset_id,'
        || 'problem_code,subject,description,priority_n,opened_at,opened_by_id', 'opened_by_id'),
    ('sales', 'call', 'insert',
        'number_text,channel,party_id,site_id,contact_id,caller_text,asset_id,'
        || 'problem_code,subject,description,priority_n,opened_at,opened_by_id', 'opened_by_id'),
    ('technician', 'call', 'update', 'problem_code,description', NULL),
    ('help_desk', 'call', 'update',
        'channel,party_id,bill_to_id,site_id,contact_id,caller_text,asset_id,contract_id,'
        || 'problem_code,subject,description,priority_n,sla_id,owner_id,job_id', NULL),
    ('dispatcher', 'call', 'update',
        'channel,party_id,bill_to_id,site_id,contact_id,caller_text,asset_id,contract_id,'
        || 'problem_code,subject,description,priority_n,sla_id,owner_id,job_id', NULL),
    ('manager', 'call', 'update',
        'channel,party_id,bill_to_id,site_id,contact_id,caller_text,asset_id,contract_id,'
        || 'problem_code,subject,description,priority_n,sla_id,owner_id,job_id', NULL),
    ('billing', 'call', 'update', 'bill_to_id,job_id', NULL);

-- plan_occurrence
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (41,  1, 'plan_id',      'integer', 0, NULL,          0, 'plan'),
    (41,  2, 'target_id',    'integer', 0, NULL,          0, NULL),
    (41,  3, 'asset_id',     'integer', 1, NULL,          0, 'asset'),
    (41,  4, 'site_id',      'integer', 1, NULL,          0, 'site'),
    (41,  5, 'occurrence_n', 'integer', 0, NULL,          0, NULL),
    (41,  6, 'due_d',        'text',    0, 'last_writer', 0, NULL),
    (41,  7, 'state',        'text',    0, NULL,          0, NULL),
    (41,  8, 'call_id',      'integer', 1, NULL,          0, 'call'),
    (41,  9, 'skip_reason',  'text',    1, 'last_writer', 0, NULL),
    (41, 10, 'home',         'integer', 1, NULL,          0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('dispatcher', 'plan_occurrence', 'update', 'due_d,skip_reason', NULL),
    ('manager', 'plan_occurrence', 'update', 'due_d,skip_reason', NULL);

-- call_event
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (42,  1, 'call_id',       'integer', 0, NULL,          0, 'call'),
    (42,  2, 'kind',          'text',    0, NULL,          0, NULL),
    (42,  3, 'base_state',    'text',    1, NULL,          0, NULL),
    (42,  4, 'other_call_id', 'integer', 1, NULL,          0, 'call'),
    (42,  5, 'waiting_for',   'text',    1, NULL,          0, NULL),
    (42,  6, 'is_remote',     'integer', 0, NULL,          0, NULL),
    (42,  7, 'occurred_at',   'integer', 0, NULL,          0, NULL),
    (42,  8, 'by_id',         'integer', 1, NULL,          0, 'app_user'),
    (42,  9, 'device_id',     'integer', 1, NULL,          0, 'device'),
    (42, 10, 'reason',        'text',    1, NULL,          0, NULL),
    (42, 11, 'by_roles',      'text',    1, 'server_only', 0, NULL),
    (42, 12, 'accepted_n',    'integer', 1, 'server_only', 0, NULL),
    (42, 13, 'home',          'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('help_desk', 'call_event', 'insert', '*', 'by_id'),
    ('dispatcher', 'call_event', 'insert', '*', 'by_id'),
    ('technician', 'call_event', 'insert', '*', 'by_id'),
    ('manager', 'call_event', 'insert', '*', 'by_id');

-- call_note
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (43, 1, 'call_id',     'integer', 0, NULL,          0, 'call'),
    (43, 2, 'occurred_at', 'integer', 0, NULL,          0, NULL),
    (43, 3, 'by_id',       'integer', 0, NULL,          0, 'app_user'),
    (43, 4, 'visibility',  'text',    0, NULL,          0, NULL),
    (43, 5, 'body',        'text',    0, NULL,          0, NULL),
    (43, 6, 'home',        'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'call_note', 'insert', '*', 'by_id'),
    ('dispatcher', 'call_note', 'insert', '*', 'by_id'),
    ('help_desk', 'call_note', 'insert', '*', 'by_id'),
    ('manager', 'call_note', 'insert', '*', 'by_id'),
    ('warehouse', 'call_note', 'insert', '*', 'by_id'),
    ('purchasing', 'call_note', 'insert', '*', 'by_id'),
    ('billing', 'call_note', 'insert', '*', 'by_id'),
    ('sales', 'call_note', 'insert', '*', 'by_id');

-- activity
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (44,  1, 'call_id',          'integer', 0, 'write_once', 0, 'call'),
    (44,  2, 'activity_type_id', 'integer', 0, 'write_once', 0, 'activity_type'),
    (44,  3, 'job_template_id',  'integer', 1, 'write_once', 0, 'job_template'),
    (44,  4, 'asset_id',         'integer', 1, 'write_once', 0, 'asset'),
    (44,  5, 'site_id',          'integer', 1, 'write_once', 0, 'site'),
    (44,  6, 'technician_id',    'integer', 1, 'write_once', 0, 'app_user'),
    (44,  7, 'assign_version_n', 'integer', 0, NULL,         0, NULL),
    (44,  8, 'planned_start_at', 'integer', 1, NULL,         0, NULL),
    (44,  9, 'planned_min',      'integer', 1, NULL,         0, NULL),
    (44, 10, 'is_locked',        'integer', 0, NULL,         0, NULL),
    (44, 11, 'state',            'text',    0, NULL,         0, NULL),
    (44, 12, 'crew_of_id',       'integer', 1, 'write_once', 0, 'activity'),
    (44, 13, 'branch_of_id',     'integer', 1, NULL,         0, 'activity'),
    (44, 14, 'unplanned_by_id',  'integer', 1, NULL,         0, 'app_user'),
    (44, 15, 'home',             'integer', 1, NULL,         0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'activity', 'insert',
        'call_id,activity_type_id,job_template_id,asset_id,site_id,technician_id,'
        || 'crew_of_id', 'technician_id'),
    ('help_desk', 'activity', 'insert',
        'call_id,activity_type_id,job_template_id,asset_id,site_id,technician_id,'
        || 'crew_of_id', 'technician_id'),
    ('dispatcher', 'activity', 'insert', '*', NULL),
    ('manager', 'activity', 'insert', '*', NULL);

-- assign_ack
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (45, 1, 'activity_id',      'integer', 0, NULL,          0, 'activity'),
    (45, 2, 'device_id',        'integer', 0, NULL,          0, 'device'),
    (45, 3, 'assign_version_n', 'integer', 0, NULL,          0, NULL),
    (45, 4, 'by_id',            'integer', 0, NULL,          0, 'app_user'),
    (45, 5, 'seen_at',          'integer', 0, NULL,          0, NULL),
    (45, 6, 'home',             'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'assign_ack', 'insert', '*', 'by_id'),
    ('help_desk', 'assign_ack', 'insert', '*', 'by_id');

-- activity_event
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (46,  1, 'activity_id',    'integer', 0, NULL,          0, 'activity'),
    (46,  2, 'kind',           'text',    0, NULL,          0, NULL),
    (46,  3, 'technician_id',  'integer', 1, NULL,          0, 'app_user'),
    (46,  4, 'base_version_n', 'integer', 1, NULL,          0, NULL),
    (46,  5, 'base_state',     'text',    1, NULL,          0, NULL),
    (46,  6, 'occurred_at',    'integer', 0, NULL,          0, NULL),
    (46,  7, 'by_id',          'integer', 1, NULL,          0, 'app_user'),
    (46,  8, 'device_id',      'integer', 1, NULL,          0, 'device'),
    (46,  9, 'lat_e7',         'integer', 1, NULL,          0, NULL),
    (46, 10, 'lon_e7',         'integer', 1, NULL,          0, NULL),
    (46, 11, 'reason',         'text',    1, NULL,          0, NULL),
    (46, 12, 'by_roles',       'text',    1, 'server_only', 0, NULL),
    (46, 13, 'accepted_n',     'integer', 1, 'server_only', 0, NULL),
    (46, 14, 'home',           'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'activity_event', 'insert', '*', 'by_id'),
    ('dispatcher', 'activity_event', 'insert', '*', 'by_id'),
    ('manager', 'activity_event', 'insert', '*', 'by_id'),
    ('help_desk', 'activity_event', 'insert', '*', 'by_id');

-- work_session
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (47, 1, 'activity_id',   'integer', 0, NULL,          0, 'activity'),
    (47, 2, 'technician_id', 'integer', 0, NULL,          0, 'app_user'),
    (47, 3, 'kind',          'text',    0, NULL,          0, NULL),
    (47, 4, 'started_at',    'integer', 0, NULL,          0, NULL),
    (47, 5, 'ended_at',      'integer', 0, NULL,          0, NULL),
    (47, 6, 'break_min',     'integer', 0, NULL,          0, NULL),
    (47, 7, 'source',        'text',    0, NULL,          0, NULL),
    (47, 8, 'void_of_id',    'integer', 1, NULL,          0, 'work_session'),
    (47, 9, 'home',          'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'work_session', 'insert', '*', 'technician_id'),
    ('manager', 'work_session', 'insert', '*', NULL);

-- trip
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (48, 1, 'technician_id', 'integer', 0, NULL, 0, 'app_user'),
    (48, 2, 'started_at',    'integer', 0, NULL, 0, NULL),
    (48, 3, 'ended_at',      'integer', 0, NULL, 0, NULL),
    (48, 4, 'km_m',          'integer', 0, NULL, 0, NULL),
    (48, 5, 'vehicle',       'text',    1, NULL, 0, NULL),
    (48, 6, 'source',        'text',    0, NULL, 0, NULL),
    (48, 7, 'void_of_id',    'integer', 1, NULL, 0, 'trip');
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'trip', 'insert', '*', 'technician_id'),
    ('manager', 'trip', 'insert', '*', NULL);

-- trip_stop
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (49, 1, 'trip_id',       'integer', 0, NULL,          0, 'trip'),
    (49, 2, 'activity_id',   'integer', 0, NULL,          0, 'activity'),
    (49, 3, 'technician_id', 'integer', 0, NULL,          0, 'app_user'),
    (49, 4, 'home',          'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'trip_stop', 'insert', '*', 'technician_id'),
    ('manager', 'trip_stop', 'insert', '*', NULL);

-- activity_result
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (50, 1, 'activity_id',    'integer', 0, 'write_once',  0, 'activity'),
    (50, 2, 'outcome',        'text',    1, NULL,          0, NULL),
    (50, 3, 'cause',          'text',    1, NULL,          0, NULL),
    (50, 4, 'report_text',    'text',    1, NULL,          0, NULL),
    (50, 5, 'is_follow_up',   'integer', 0, NULL,          1, NULL),
    (50, 6, 'follow_up_note', 'text',    1, NULL,          1, NULL),
    (50, 7, 'home',           'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'activity_result', 'insert', '*', NULL),
    ('manager', 'activity_result', 'insert', '*', NULL),
    ('technician', 'activity_result', 'update',
        'outcome,cause,report_text,is_follow_up,follow_up_note', NULL),
    ('manager', 'activity_result', 'update',
        'outcome,cause,report_text,is_follow_up,follow_up_note', NULL);

-- kb_article
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (51, 1, 'number_text',    'text',    0, NULL, 0, NULL),
    (51, 2, 'title',          'text',    0, NULL, 0, NULL),
    (51, 3, 'problem',        'text',    0, NULL, 0, NULL),
    (51, 4, 'solution',       'text',    0, NULL, 0, NULL),
    (51, 5, 'asset_model_id', 'integer', 1, NULL, 0, 'asset_model'),
    (51, 6, 'problem_code',   'text',    1, NULL, 0, NULL),
    (51, 7, 'state',          'text',    0, NULL, 0, NULL),
    (51, 8, 'version_n',      'integer', 0, NULL, 0, NULL);

-- kb_feedback
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (52, 1, 'article_id',  'integer', 1, NULL,          0, 'kb_article'),
    (52, 2, 'activity_id', 'integer', 1, NULL,          0, 'activity'),
    (52, 3, 'call_id',     'integer', 1, NULL,          0, 'call'),
    (52, 4, 'kind',        'text',    0, NULL,          0, NULL),
    (52, 5, 'text',        'text',    1, NULL,          0, NULL),
    (52, 6, 'by_id',       'integer', 0, NULL,          0, 'app_user'),
    (52, 7, 'occurred_at', 'integer', 0, NULL,          0, NULL),
    (52, 8, 'home',        'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'kb_feedback', 'insert', '*', 'by_id'),
    ('help_desk', 'kb_feedback', 'insert', '*', 'by_id');

-- attachment
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (53,  1, 'activity_id',         'integer', 1, NULL,          0, 'activity'),
    (53,  2, 'call_id',             'integer', 1, NULL,          0, 'call'),
    (53,  3, 'asset_id',            'integer', 1, NULL,          0, 'asset'),
    (53,  4, 'party_id',            'integer', 1, NULL,          0, 'party'),
    (53,  5, 'commercial_party_id', 'integer', 1, NULL,          0, 'party'),
    (53,  6, 'asset_model_id',      'integer', 1, NULL,          0, 'asset_model'),
    (53,  7, 'article_id',          'integer', 1, NULL,          0, 'kb_article'),
    (53,  8, 'name',                'text',    0, NULL,          0, NULL),
    (53,  9, 'mime_type',           'text',    0, NULL,          0, NULL),
    (53, 10, 'size_n',              'integer', 0, NULL,          0, NULL),
    (53, 11, 'content_hash',        'text',    0, NULL,          0, NULL),
    (53, 12, 'created_at',          'integer', 0, NULL,          0, NULL),
    (53, 13, 'by_id',               'integer', 0, NULL,          0, 'app_user'),
    (53, 14, 'is_customer_visible', 'integer', 0, NULL,          0, NULL),
    (53, 15, 'home',                'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'attachment', 'insert',
        'activity_id,call_id,asset_id,name,mime_type,size_n,content_hash,created_at,'
        || 'by_id,is_customer_visible', 'by_id'),
    ('warehouse', 'attachment', 'insert',
        'activity_id,call_id,asset_id,name,mime_type,size_n,content_hash,created_at,'
        || 'by_id,is_customer_visible', 'by_id'),
    ('purchasing', 'attachment', 'insert',
        'activity_id,call_id,asset_id,name,mime_type,size_n,content_hash,created_at,'
        || 'by_id,is_customer_visible', 'by_id'),
    ('dispatcher', 'attachment', 'insert',
        'activity_id,call_id,asset_id,party_id,name,mime_type,size_n,content_hash,'
        || 'created_at,by_id,is_customer_visible', 'by_id'),
    ('help_desk', 'attachment', 'insert',
        'activity_id,call_id,asset_id,party_id,name,mime_type,size_n,content_hash,'
        || 'created_at,by_id,is_customer_visible', 'by_id'),
    ('manager', 'attachment', 'insert', '*', 'by_id'),
    ('billing', 'attachment', 'insert', '*', 'by_id'),
    ('sales', 'attachment', 'insert', '*', 'by_id');

-- checklist_answer
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (54, 1, 'activity_id', 'integer', 0, 'write_once',  0, 'activity'),
    (54, 2, 'item_id',     'integer', 0, 'write_once',  0, 'checklist_item'),
    (54, 3, 'asset_key',   'integer', 0, 'write_once',  0, NULL),
    (54, 4, 'value',       'text',    1, NULL,          1, NULL),
    (54, 5, 'photo_id',    'integer', 1, NULL,          1, 'attachment'),
    (54, 6, 'by_id',       'integer', 0, NULL,          1, 'app_user'),
    (54, 7, 'answered_at', 'integer', 0, NULL,          1, NULL),
    (54, 8, 'home',        'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'checklist_answer', 'insert', '*', NULL),
    ('technician', 'checklist_answer', 'update', 'value,photo_id,by_id,answered_at', NULL);

-- expense
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (55,  1, 'activity_id',   'integer', 0, NULL,          0, 'activity'),
    (55,  2, 'technician_id', 'integer', 0, NULL,          0, 'app_user'),
    (55,  3, 'kind',          'text',    0, NULL,          0, NULL),
    (55,  4, 'amount_cents',  'integer', 0, NULL,          0, NULL),
    (55,  5, 'currency',      'text',    0, NULL,          0, NULL),
    (55,  6, 'spent_d',       'text',    0, NULL,          0, NULL),
    (55,  7, 'rebill',        'text',    0, NULL,          0, NULL),
    (55,  8, 'receipt_id',    'integer', 1, NULL,          0, 'attachment'),
    (55,  9, 'void_of_id',    'integer', 1, NULL,          0, 'expense'),
    (55, 10, 'home',          'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'expense', 'insert', '*', 'technician_id'),
    ('manager', 'expense', 'insert', '*', NULL);

-- asset_event
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (56,  1, 'asset_id',    'integer', 0, NULL,          0, 'asset'),
    (56,  2, 'kind',        'text',    0, NULL,          0, NULL),
    (56,  3, 'occurred_at', 'integer', 0, NULL,          0, NULL),
    (56,  4, 'by_id',       'integer', 1, NULL,          0, 'app_user'),
    (56,  5, 'activity_id', 'integer', 1, NULL,          0, 'activity'),
    (56,  6, 'site_id',     'integer', 1, NULL,          0, 'site'),
    (56,  7, 'meter',       'text',    1, NULL,          0, NULL),
    (56,  8, 'value_m',     'integer', 1, NULL,          0, NULL),
    (56,  9, 'note',        'text',    1, NULL,          0, NULL),
    (56, 10, 'home',        'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'asset_event', 'insert', '*', 'by_id'),
    ('help_desk', 'asset_event', 'insert', '*', 'by_id'),
    ('manager', 'asset_event', 'insert', '*', 'by_id'),
    ('dispatcher', 'asset_event', 'insert', '*', 'by_id');

-- allowance_entry
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (57, 1, 'line_id',     'integer', 0, NULL,          0, 'contract_line'),
    (57, 2, 'qty_min',     'integer', 0, NULL,          0, NULL),
    (57, 3, 'occurred_at', 'integer', 0, NULL,          0, NULL),
    (57, 4, 'activity_id', 'integer', 1, NULL,          0, 'activity'),
    (57, 5, 'kind',        'text',    0, NULL,          0, NULL),
    (57, 6, 'home',        'integer', 1, 'server_only', 0, NULL);

-- message
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (58,  1, 'call_id',             'integer', 1, NULL,          0, 'call'),
    (58,  2, 'direction',           'text',    0, NULL,          0, NULL),
    (58,  3, 'internet_message_id', 'integer', 0, NULL,          0, NULL),
    (58,  4, 'in_reply_to',         'text',    1, NULL,          0, NULL),
    (58,  5, 'address_from',        'text',    0, NULL,          0, NULL),
    (58,  6, 'address_to',          'text',    0, NULL,          0, NULL),
    (58,  7, 'subject',             'text',    0, NULL,          0, NULL),
    (58,  8, 'body',                'text',    0, NULL,          0, NULL),
    (58,  9, 'occurred_at',         'integer', 0, NULL,          0, NULL),
    (58, 10, 'by_id',               'integer', 1, NULL,          0, 'app_user'),
    (58, 11, 'state',               'text',    0, 'server_only', 0, NULL),
    (58, 12, 'home',                'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('help_desk', 'message', 'insert', '*', 'by_id'),
    ('technician', 'message', 'insert', '*', 'by_id'),
    ('dispatcher', 'message', 'insert', '*', 'by_id');
