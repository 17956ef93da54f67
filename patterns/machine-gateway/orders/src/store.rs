use contract::{NewOrder, Operation, Order, OrderId};
use js_sys::JSON;
use wasm_bindgen::JsCast;
use worker::wasm_bindgen_futures::JsFuture;
use worker::worker_sys::types::D1Result;
use worker::{D1Database, D1PreparedStatement, D1Type, Result};

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
    let stored = rows(&db.prepare(SQL).bind_refs(&values)?).await?.pop();
    stored.ok_or_else(|| worker::Error::RustError("an inserted order was not returned".into()))
}

/// The caller's order of this id; another caller's is as if it were not there.
pub async fn find(db: &D1Database, caller: &str, id: &OrderId) -> Result<Option<Order>> {
    const SQL: &str = "SELECT id, sku, quantity, note, created_at FROM orders WHERE id = ?1 AND caller = ?2";
    Ok(rows(&db.prepare(SQL).bind_refs(&[D1Type::Text(id.as_str()), D1Type::Text(caller)])?).await?.pop())
}

/// The caller's latest orders, newest first.
pub async fn latest(db: &D1Database, caller: &str) -> Result<Vec<Order>> {
    const SQL: &str = "
        SELECT id, sku, quantity, note, created_at FROM orders
        WHERE caller = ?1 ORDER BY created_at DESC, id LIMIT ?2";
    let values = [D1Type::Text(caller), D1Type::Real(Operation::LATEST.into())];
    rows(&db.prepare(SQL).bind_refs(&values)?).await
}

/// The rows that a statement returns, as JSON in one crossing: `D1Result::results` asks JavaScript some twenty times a row.
async fn rows(statement: &D1PreparedStatement) -> Result<Vec<Order>> {
    let result: D1Result = JsFuture::from(statement.inner().all()?).await?.unchecked_into();
    let rows = JSON::stringify(&result.results()?.unwrap_or_default())?;
    Ok(serde_json::from_str(&String::from(rows))?)
}
