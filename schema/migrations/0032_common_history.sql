-- SPDX-License-Identifier: Apache-2.0
-- What the catalog was before: a server and a device of different versions agree by it on what they
-- both know (docs/SCHEMA.md). A column keeps its number for ever, so a dropped one stays listed.

-- Number of the script in which it came; 0: there from the start. Scripts leave it out: it is
-- filled in after they have run.
ALTER TABLE fs_table ADD COLUMN since INTEGER;
ALTER TABLE fs_column ADD COLUMN since INTEGER;
UPDATE fs_table SET since = 0;
UPDATE fs_column SET since = 0;

-- Number of the script that dropped the column: a script that drops one sets it.
ALTER TABLE fs_column ADD COLUMN until INTEGER;

-- On a server: the newest seq when the script ran. What it brought was set after that.
ALTER TABLE fs_migration ADD COLUMN seq BIGINT;

-- Texts of scripts: on a server the common ones that have run, for devices that lack them; on a
-- device those that came from the server.
CREATE TABLE fs_script (
    name       TEXT NOT NULL PRIMARY KEY,
    text       TEXT NOT NULL,
    is_pending INTEGER NOT NULL DEFAULT 0,     -- device: it hasn't run yet
    problem    TEXT                            -- device: why it couldn't run
);
