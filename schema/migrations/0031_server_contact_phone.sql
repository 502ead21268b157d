-- SPDX-License-Identifier: Apache-2.0
-- The same end user entered on two devices is found by the phone number.
CREATE INDEX ix_contact_phone ON contact (phone) WHERE phone IS NOT NULL;
