CREATE TABLE accounts (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  disabled_at INTEGER,
  requests_per_minute INTEGER NOT NULL DEFAULT 600,
  in_flight_limit INTEGER NOT NULL DEFAULT 64,
  monthly_quota INTEGER NOT NULL DEFAULT 100000
);

-- `lookup` finds the row; of the secret only its SHA-256 (lower-case hex) is kept.
CREATE TABLE api_keys (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL REFERENCES accounts (id),
  lookup TEXT NOT NULL UNIQUE,
  secret_sha256 TEXT NOT NULL,
  name TEXT NOT NULL,
  scopes TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  last_used_at INTEGER,
  revoked_at INTEGER
);

-- An index of the analysis objects, for listing only; `sequence` lets the newest state win whatever the order of arrival.
CREATE TABLE analyses (
  id TEXT PRIMARY KEY,
  account_id TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  status TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  ended_at INTEGER,
  expires_at INTEGER,
  cached INTEGER NOT NULL,
  verdict TEXT,
  score REAL
);
CREATE INDEX analyses_by_account ON analyses (account_id, id DESC);
CREATE INDEX analyses_by_status ON analyses (account_id, status, id DESC);
