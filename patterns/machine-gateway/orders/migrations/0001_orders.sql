-- An order belongs to the machine that placed it, and no other sees it: each query names the caller.
CREATE TABLE orders (
  id         TEXT PRIMARY KEY,
  caller     TEXT NOT NULL,
  sku        TEXT NOT NULL,
  quantity   INTEGER NOT NULL,
  note       TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ'))
) WITHOUT ROWID;

-- "My latest orders", without reading anybody else's.
CREATE INDEX orders_of_a_caller ON orders (caller, created_at DESC, id);
