-- Scopes are read, write and admin, whatever the resource; who could do everything so far may also manage keys.
UPDATE api_keys SET scopes = 'read write admin' WHERE scopes = 'analyses:read analyses:write';
UPDATE api_keys SET scopes = replace(scopes, 'analyses:', '');

CREATE INDEX api_keys_by_account ON api_keys (account_id, id);

-- Accounts of the people who run this deployment: their admin keys may also manage accounts and read metrics.
ALTER TABLE accounts ADD COLUMN operator INTEGER NOT NULL DEFAULT 0;

-- Which endpoints an account has; everything else about an endpoint is in its object.
CREATE TABLE webhook_endpoints (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id),
  created_at INTEGER NOT NULL
);
CREATE INDEX webhook_endpoints_by_account ON webhook_endpoints (account_id, id);
