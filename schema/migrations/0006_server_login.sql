-- Passwords of those who sign in on the server's pages. Never replicated.

CREATE TABLE fs_login (
    user_id       INTEGER PRIMARY KEY,  -- app_user.id
    password_hash TEXT NOT NULL,        -- Argon2id, with its parameters and salt
    changed_at    BIGINT NOT NULL       -- microseconds since 1970, UTC; older web sessions are void
);
