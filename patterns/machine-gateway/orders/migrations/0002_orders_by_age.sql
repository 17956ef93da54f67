-- "The oldest orders of all", for their retention.
CREATE INDEX orders_by_age ON orders (created_at);
