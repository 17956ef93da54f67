-- A team signs up once: the primary key is what keeps that promise, also when two requests come at the same time.
CREATE TABLE signups (
  team TEXT PRIMARY KEY,
  plan TEXT NOT NULL,
  at   TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) WITHOUT ROWID;
