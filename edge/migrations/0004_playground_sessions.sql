-- Accounts that the playground makes for browsers without a key: theirs is a cookie, and their keys open nothing else.
ALTER TABLE accounts ADD COLUMN playground INTEGER NOT NULL DEFAULT 0;
CREATE INDEX playground_accounts ON accounts (created_at) WHERE playground = 1;
