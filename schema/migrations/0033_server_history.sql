-- SPDX-License-Identifier: Apache-2.0
-- Which schema each device speaks (docs/SCHEMA.md).

-- The version up to which it has all that its columns hold; NULL: the one before this script.
ALTER TABLE fs_replica ADD COLUMN schema_version BIGINT;
-- The server's version whose scripts it was sent last, and when.
ALTER TABLE fs_replica ADD COLUMN schema_offered BIGINT;
ALTER TABLE fs_replica ADD COLUMN schema_offered_at BIGINT;
