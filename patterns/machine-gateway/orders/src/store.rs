use contract::{NewOrder, Operation, Order, OrderId};
use worker::{D1Database, D1Type, Result};

/// Stores an order under a fresh `id`. D1 does not retry a write, and neither do we: it may have been committed.
pub async fn insert(db: &D1Database, id: &str, caller: &str, order: &NewOrder) -> Result<Order> {
    const SQL: &str = "
        INSERT INTO orders (id, caller, sku, quantity, note) VALUES (?1, ?2, ?3, ?4, ?5)
        RETURNING id, sku, quantity, note, created_at";
    let values = [
        D1Type::Text(id),
        D1Type::Text(caller),
        D1Type::Text(order.sku.as_str()),
        D1Type::Real(order.quantity.pieces().into()),
        order.note.as_ref().map_or(D1Type::Null, |note| D1Type::Text(note.as_str())),
    ];
    let stored = db.prepare(SQL).bind_refs(&values)?.first(None).await?;
    stored.ok_or_else(|| worker::Error::RustError("an inserted order was not returned".into()))
}

/// The caller's order of this id; another caller's is as if it were not there.
pub async fn find(db: &D1Database, caller: &str, id: &OrderId) -> Result<Option<Order>> {
    const SQL: &str = "SELECT id, sku, quantity, note, created_at FROM orders WHERE id = ?1 AND caller = ?2";
    db.prepare(SQL).bind_refs(&[D1Type::Text(id.as_str()), D1Type::Text(caller)])?.first(None).await
}

/// The caller's latest orders, newest first.
pub async fn latest(db: &D1Database, caller: &str) -> Result<Vec<Order>> {
    const SQL: &str = "
        SELECT id, sku, quantity, note, created_at FROM orders
        WHERE caller = ?1 ORDER BY created_at DESC, id LIMIT ?2";
    let values = [D1Type::Text(caller), D1Type::Real(Operation::LATEST.into())];
    db.prepare(SQL).bind_refs(&values)?.all().await?.results()
}
