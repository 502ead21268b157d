-- SPDX-License-Identifier: Apache-2.0
-- Signatures that came and have no receipt yet: written by the rule that follows the row, taken out
-- when somebody who holds the server's report key has signed. Never replicated.
CREATE TABLE fs_receipt_wanted (
    signature_id INTEGER PRIMARY KEY
);
