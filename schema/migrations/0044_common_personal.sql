-- SPDX-License-Identifier: Apache-2.0
-- Which columns hold something of a person: what the erasure of a customer empties. Names of firms
-- are among them, since a one-man firm has its owner's. Money, goods and times are not: papers that
-- the law wants kept (invoices, quotes, contracts) stay as they are.
ALTER TABLE fs_column ADD COLUMN is_personal INTEGER NOT NULL DEFAULT 0;

UPDATE fs_column SET is_personal = 1
WHERE table_number || '.' || name IN (
    SELECT t.number || '.' || c.name FROM fs_table t JOIN fs_column c ON c.table_number = t.number
    WHERE (t.name = 'party' AND c.name IN ('name', 'street', 'city', 'post_code', 'province',
                                           'vat_number', 'tax_code', 'sdi_code', 'pec'))
       OR (t.name = 'site' AND c.name IN ('name', 'street', 'city', 'post_code', 'province',
                                          'access_note'))
       OR (t.name = 'contact' AND c.name IN ('name', 'phone', 'email', 'role'))
       OR (t.name = 'call' AND c.name IN ('caller_text', 'subject', 'description'))
       OR (t.name = 'call_event' AND c.name IN ('reason'))
       OR (t.name = 'call_note' AND c.name IN ('body'))
       OR (t.name = 'activity_event' AND c.name IN ('reason'))
       OR (t.name = 'activity_result' AND c.name IN ('cause', 'report_text', 'follow_up_note'))
       OR (t.name = 'attachment' AND c.name IN ('name'))
       OR (t.name = 'message' AND c.name IN ('address_from', 'address_to', 'subject', 'body'))
       OR (t.name = 'checklist_answer' AND c.name IN ('value'))
       OR (t.name = 'signature' AND c.name IN ('signer_name', 'signer_role', 'strokes',
                                               'refused_reason'))
       OR (t.name = 'report_seal' AND c.name IN ('salt'))
       OR (t.name = 'merge_loss' AND c.name IN ('kept', 'lost', 'base_value'))
       OR (t.name = 'review_item' AND c.name IN ('payload', 'resolution')));
