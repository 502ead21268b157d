-- SPDX-License-Identifier: Apache-2.0
-- Who is signed in on the server's pages. Never replicated. A row counts only while the person is
-- active and the password is the one that it began with.

CREATE TABLE fs_web_session (
    token_hash  BLOB PRIMARY KEY,       -- BLAKE2b-256 of what the browser holds
    user_id     BIGINT NOT NULL,        -- app_user.id
    password_at BIGINT NOT NULL,        -- fs_login.changed_at when it began
    begun_at    BIGINT NOT NULL,        -- microseconds since 1970, UTC
    seen_at     BIGINT NOT NULL         -- last request, to a minute
);
CREATE INDEX fs_web_session_user ON fs_web_session (user_id, begun_at);
